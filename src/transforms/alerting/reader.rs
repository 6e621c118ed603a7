//! What rules read and write: the agent's own store, and a server that has more where a rule reads further back.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::alerting::remote::Remote;
use crate::alerting::rule_file::RuleFile;
use crate::alerting::{Row, Store as RuleStore};
use crate::data::UnixMillis;
use crate::data::labels::Labels;
use crate::promql::{EvalError, Evaluation, Limits, Query};
use crate::series::{Columns, Matcher, Refusal, Samples, Select, SelectError, SeriesExemplars, Store};

/// The store, and who else is asked.
pub struct Reader {
    store: Arc<Store>,
    remote: Option<Remote>,
    retention: Duration,
    runtime: Handle,
}

impl Reader {
    /// Reads the store, and asks `remote` what it does not go back to.
    pub fn new(store: Arc<Store>, remote: Option<Remote>, retention: Duration, runtime: Handle) -> Self {
        Self { store, remote, retention, runtime }
    }

    /// Tells of rules that read further back than there are samples, where nobody else is asked.
    pub fn warn_of(&self, files: &[RuleFile]) {
        if self.remote.is_some() {
            return;
        }
        for rule in files.iter().flat_map(|file| &file.groups).flat_map(|group| &group.rules) {
            if self.is_beyond(&rule.query) {
                tracing::warn!(
                    rule = rule.name(),
                    "the rule reads further back than samples are kept ({}): raise `alerting.store.retention`, or name a \
                     server that has them in `alerting.remote`",
                    crate::options::Duration(self.retention)
                );
            }
        }
    }

    fn is_beyond(&self, query: &Query) -> bool {
        query.selectors().any(|selector| selector.pinned.is_some() || selector.back > self.retention)
    }
}

impl Samples for Reader {
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        self.store.select(what, visit)
    }
}

impl RuleStore for Reader {
    fn evaluate(&self, query: &Query, at: UnixMillis, limits: &Limits) -> Result<Evaluation, EvalError> {
        match &self.remote {
            Some(remote) if self.is_beyond(query) => {
                let evaluated = remote.evaluate(query, at.0, &self.runtime);
                evaluated.map_err(|error| EvalError::Samples(SelectError(error.to_string())))
            }
            _ => self.store.evaluate(query, at, limits),
        }
    }

    fn append(&self, time: UnixMillis, rows: &[Row], now: UnixMillis) -> Vec<(Refusal, u64)> {
        RuleStore::append(&*self.store, time, rows, now)
    }

    fn exemplars(&self, matchers: Vec<Matcher>, from: i64, until: i64, limit: usize) -> Vec<SeriesExemplars> {
        RuleStore::exemplars(&*self.store, matchers, from, until, limit)
    }
}
