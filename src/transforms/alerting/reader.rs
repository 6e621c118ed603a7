//! What rules read and write: the agent's own store, and a server that has more where a rule reads further back.

use std::sync::Arc;
use std::time::Duration;

use crate::alerting::remote::Remote;
use crate::alerting::{Answers, Questions, Row, Store as RuleStore, Ticket, Wanted};
use crate::data::UnixMillis;
use crate::data::labels::Labels;
use crate::promql::{EvalError, Evaluation, Limits, Query};
use crate::series::{Columns, Refusal, Samples, Select, SelectError, SeriesExemplars, Store};

/// The store, and who else is asked.
pub struct Reader {
    store: Arc<Store>,
    remote: Option<Arc<Remote>>,
    retention: Duration,
}

impl Reader {
    /// Reads the store, and asks `remote` what it does not go back to.
    pub fn new(store: Arc<Store>, remote: Option<Remote>, retention: Duration) -> Self {
        Self { store, remote: remote.map(Arc::new), retention }
    }

    /// Asks what a group has to know; without anybody to ask there are no answers.
    pub async fn answer(self: Arc<Self>, questions: Questions) -> (Ticket, Answers) {
        let answers = match &self.remote {
            Some(remote) => remote.clone().answer(&questions).await,
            None => Answers::default(),
        };
        (questions.ticket, answers)
    }

    fn is_beyond(&self, query: &Query) -> bool {
        is_beyond(query, self.retention)
    }
}

/// Whether a query reads further back than samples are kept.
pub fn is_beyond(query: &Query, retention: Duration) -> bool {
    query.selectors().any(|selector| selector.pinned.is_some() || selector.back > retention)
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
        // That of a rule was asked before. One in a template is known only while somebody waits for the text.
        if self.is_elsewhere(query) {
            return Err(EvalError::Query(
                "it reads further back than samples are kept, and `alerting.remote` answers queries of rules, not of texts"
                    .into(),
            ));
        }
        self.store.evaluate(query, at, limits)
    }

    fn is_elsewhere(&self, query: &Query) -> bool {
        self.remote.is_some() && self.is_beyond(query)
    }

    fn append(&self, time: UnixMillis, rows: &[Row], now: UnixMillis) -> Vec<(Refusal, u64)> {
        RuleStore::append(&*self.store, time, rows, now)
    }

    fn exemplars(&self, wanted: Wanted<'_>, from: i64, until: i64, limit: usize) -> Vec<SeriesExemplars> {
        RuleStore::exemplars(&*self.store, wanted, from, until, limit)
    }
}
