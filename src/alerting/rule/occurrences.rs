//! What an alert counted: the exemplars of the series that its rule reads, so that a page can lead to a trace.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::alert::Occurrence;
use super::super::missing_input::{agrees, narrowed};
use super::Evaluating;
use crate::data::LabelSet;
use crate::promql::Query;

/// Occurrences of one alert, the latest.
const MOST: usize = 10;

/// Exemplars that are looked at for one selector.
const MOST_EXEMPLARS: usize = 1000;

/// The latest traces that stand behind an element of a rule's result, the last one first.
pub(super) fn of(query: &Query, element: &LabelSet, cx: &Evaluating<'_>) -> Vec<Occurrence> {
    let mut found: BTreeMap<(i64, String), Occurrence> = BTreeMap::new();
    for selector in query.selectors().filter(|selector| selector.pinned.is_none()) {
        let back = i64::try_from(selector.back.max(Duration::from_mins(1)).as_millis()).unwrap_or(i64::MAX);
        let from = cx.query_at.0.saturating_sub(back);
        let matchers = narrowed(selector.matchers, element);
        for series in cx.store.exemplars(matchers, from, cx.query_at.0, MOST_EXEMPLARS) {
            let mut labels = Vec::new();
            series.labels.encode(&mut labels);
            if !agrees(crate::data::labels::Labels::of_encoded(&labels), element) {
                continue;
            }
            for exemplar in series.exemplars {
                let of = |name| exemplar.labels.get(name).to_owned();
                let occurrence = Occurrence { trace_id: of("trace_id"), span_id: of("span_id"), line: of("line") };
                if occurrence != Occurrence::default() {
                    found
                        .insert((exemplar.time, format!("{}/{}", occurrence.trace_id, occurrence.span_id)), occurrence);
                }
            }
        }
    }
    let mut latest: Vec<Occurrence> = Vec::new();
    for occurrence in found.into_values().rev() {
        if latest.len() < MOST && !latest.contains(&occurrence) {
            latest.push(occurrence);
        }
    }
    latest
}
