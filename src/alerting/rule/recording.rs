//! Recording rules: the result under the rule's name, with its labels.

use std::collections::HashSet;

use super::super::results::Row;
use super::super::rule_file;
use super::{Evaluating, RuleError};
use crate::data::labels::METRIC_NAME;
use crate::promql::VectorSample;

/// The rows of a result.
pub(super) fn rows(
    rule: &rule_file::Rule,
    vector: Vec<VectorSample>,
    cx: &Evaluating<'_>,
) -> Result<Vec<Row>, RuleError> {
    let mut rows = Vec::with_capacity(vector.len());
    let mut seen = HashSet::with_capacity(vector.len());
    for mut sample in vector {
        sample.labels.set(METRIC_NAME, rule.name());
        for label in &rule.labels {
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
    Ok(rows)
}
