//! The store of a test: what it loads, and what rules write into it.

use std::sync::{PoisonError, RwLock};

use super::super::results::{Row, Store, Wanted};
use crate::data::labels::{LabelSet, Labels};
use crate::data::{UnixMillis, histogram::ResetHint};
use crate::promql::script::series_notation::Item;
use crate::promql::script::{AppendError, MemorySamples};
use crate::promql::{EvalError, Evaluation, Limits, Point, Query, When};
use crate::series::{Columns, Refusal, Samples, Select, SelectError, SeriesExemplars};

/// The store.
#[derive(Debug, Default)]
pub(super) struct TestStore(RwLock<MemorySamples>);

impl TestStore {
    /// Loads a sample.
    pub fn load(&self, labels: &LabelSet, time: i64, item: &Item) -> Result<(), AppendError> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).append(labels, time, None, item)
    }
}

impl Samples for TestStore {
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).select(what, visit)
    }
}

impl Store for TestStore {
    fn evaluate(&self, query: &Query, at: UnixMillis, limits: &Limits) -> Result<Evaluation, EvalError> {
        query.evaluate(self, When::Instant(at.0), limits)
    }

    fn append(&self, time: UnixMillis, rows: &[Row], _: UnixMillis) -> Vec<(Refusal, u64)> {
        let mut samples = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut refused = Vec::new();
        for row in rows {
            let item = match &row.point {
                Point::Float(value) => Item::Float(*value),
                Point::Histogram(histogram) => {
                    let hint_given = histogram.reset_hint != ResetHint::Unknown;
                    Item::Histogram { histogram: histogram.clone(), hint_given }
                }
            };
            let why = match samples.append(&Labels::of_encoded(&row.labels).to_set(), time.0, None, &item) {
                Ok(()) => continue,
                Err(AppendError::OutOfOrder) => Refusal::OutOfOrder,
                Err(AppendError::Duplicate | AppendError::Invalid | AppendError::Negative) => Refusal::Duplicate,
            };
            if !row.is_marker() {
                refused.push((why, 1));
            }
        }
        refused
    }

    fn exemplars(&self, _: Wanted<'_>, _: i64, _: i64, _: usize) -> Vec<SeriesExemplars> {
        Vec::new()
    }
}
