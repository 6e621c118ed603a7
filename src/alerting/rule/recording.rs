//! Recording rules: the result under the rule's name, with its labels.

use std::collections::HashSet;

use super::super::results::Row;
use super::{Evaluating, Rule, RuleError};
use crate::data::labels::METRIC_NAME;

impl Rule {
    pub(super) fn record(&self, cx: &Evaluating<'_>, rows: &mut Vec<Row>) -> Result<(), RuleError> {
        let vector = cx.vector(&self.written.query)?;
        rows.reserve(vector.len());
        let mut seen = HashSet::with_capacity(vector.len());
        for mut sample in vector {
            sample.labels.set(METRIC_NAME, self.name());
            for label in &self.written.labels {
                sample.labels.set(&label.name, &label.value);
            }
            let mut labels = Vec::new();
            sample.labels.encode(&mut labels);
            let labels: Box<[u8]> = labels.into();
            if !seen.insert(labels.clone()) {
                return Err(RuleError::SameRecording);
            }
            rows.push(Row { labels, point: sample.point });
        }
        let (limit, found) = (cx.limit, rows.len());
        if limit > 0 && found > limit {
            return Err(RuleError::Limit { limit, found, what: "series" });
        }
        Ok(())
    }
}
