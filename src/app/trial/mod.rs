//! The configuration's own tests: records or spans enter one transform, as a source would send them, and what leaves
//! it is compared with what was expected.

mod compare;
mod record;
mod span;

pub use compare::Difference;

use crate::config::{Plan, TestCase};
use crate::data::{Batch, Signal};
use crate::pipeline::trial;

/// Why a test did not pass.
#[derive(Debug)]
pub enum Failure {
    /// Other records came than were expected.
    Differs(Vec<Difference>),
    /// It could not be run, for this reason.
    NotRun(String),
}

/// Runs one test.
pub async fn run(plan: &Plan, test: &TestCase) -> Result<(), Failure> {
    let common = super::check::apart(plan);
    let Some(output) = plan.graph.output(&test.at) else {
        return Err(Failure::NotRun(format!("`{}` is no output of a transform", test.at.value)));
    };
    let records = &test.input.0;
    let input = match plan.graph.components[output.component].input_signal {
        Some(Signal::Traces) => {
            let spans = span::batch(records, &plan.identity.of_senders()).map_err(Failure::NotRun)?;
            if records.is_empty() { Vec::new() } else { vec![Batch::Traces(spans)] }
        }
        _ => record::batches(records, &plan.identity).into_iter().map(Batch::Logs).collect(),
    };
    let left = trial::run(&plan.graph, &output, &common, input).await;
    let mut got = Vec::new();
    for batch in left.map_err(|error| Failure::NotRun(error.to_string()))? {
        match batch {
            Batch::Logs(logs) => got.extend(logs.iter().map(|view| record::shown(&view))),
            Batch::Traces(spans) => got.extend(span::shown(&spans).map_err(Failure::NotRun)?),
            Batch::Metrics(_) => {
                let why = "its output is metrics: only records of logs and spans can be compared yet";
                return Err(Failure::NotRun(why.into()));
            }
        }
    }
    let differences = compare::compare(&test.expect, &got);
    if differences.is_empty() { Ok(()) } else { Err(Failure::Differs(differences)) }
}
