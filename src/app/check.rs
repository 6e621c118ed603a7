//! Whether a configuration would run: every part is prepared, as at a start or a reload, and thrown away.

use crate::config::{Errors, Plan};
use crate::data::{MemoryBudget, SeriesTable, series_table};
use crate::pipeline::{Common, prepare};
use crate::telemetry::Telemetry;

/// Prepares everything that the plan names. Nothing exclusive is taken, so it may run beside an agent.
pub fn check(plan: &Plan) -> Result<(), Errors> {
    match prepare(plan.graph.clone(), &apart(plan)) {
        Ok(_) => Ok(()),
        Err(errors) => Err(plan.refused(&errors)),
    }
}

/// What components share, apart from any running agent.
pub(super) fn apart(plan: &Plan) -> Common {
    Common {
        telemetry: Telemetry::new().into(),
        names: Default::default(),
        series: SeriesTable::new(series_table::DEFAULT_LIMIT),
        memory: MemoryBudget::new(u64::MAX).into(),
        data_dir: plan.data_dir.as_path().into(),
        identity: plan.identity.clone().into(),
        pods: Default::default(),
        lasting: Default::default(),
        workers: 1,
    }
}
