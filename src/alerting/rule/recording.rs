//! Recording rules: the result under the rule's name, with its labels.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::results::Row;
use super::super::rule_file;
use super::{Evaluating, RuleError};
use crate::data::labels::{METRIC_NAME, encode_over};
use crate::promql::VectorSample;

/// The rows of a result. Series that are `known` have the labels that are there already.
pub(super) fn rows(
    rule: &rule_file::Rule,
    vector: Vec<VectorSample>,
    known: &HashSet<Arc<[u8]>>,
    cx: &Evaluating<'_>,
) -> Result<Vec<Row>, RuleError> {
    let mut rows = Vec::with_capacity(vector.len());
    let mut seen: HashSet<Arc<[u8]>> = HashSet::with_capacity(vector.len());
    let mut over: Vec<(&str, &str)> = rule.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    over.push((METRIC_NAME, rule.name()));
    // Of one name the last one counts.
    over.reverse();
    over.sort_by_key(|(name, _)| *name);
    over.dedup_by_key(|(name, _)| *name);
    let mut encoded = Vec::new();
    for sample in vector {
        encoded.clear();
        encode_over(sample.labels.iter(), over.iter().copied(), &mut encoded);
        let labels = known.get(&*encoded).cloned().unwrap_or_else(|| encoded.as_slice().into());
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
