//! What an alert counted: the exemplars of the series that its rule reads, so that a page can lead to a trace.

use std::time::Duration;

use super::super::alert::Occurrence;
use super::super::missing_input::{agrees, narrowed};
use super::super::results::Wanted;
use super::Evaluating;
use crate::data::{LabelSet, UnixMillis};
use crate::promql::Query;

/// Occurrences of one alert, the latest.
const MOST: usize = 10;

/// Exemplars that are looked at for one selector, the latest.
const MOST_EXEMPLARS: usize = 1000;

/// The latest of what stands behind an element of a rule's result, the last one first; of what is alike the last alone.
pub(super) fn of(query: &Query, element: &LabelSet, cx: &Evaluating<'_>) -> Vec<Occurrence> {
    let mut found: Vec<Occurrence> = Vec::new();
    for selector in query.selectors().filter(|selector| selector.pinned.is_none()) {
        let back = i64::try_from(selector.back.max(Duration::from_mins(1)).as_millis()).unwrap_or(i64::MAX);
        let from = cx.query_at.0.saturating_sub(back);
        let matchers = narrowed(selector.matchers, element);
        // Those of other alerts are not asked for: they would be too many.
        let wanted = Wanted { matchers: &matchers, predicate: &|labels| agrees(labels, element) };
        for series in cx.store.exemplars(wanted, from, cx.query_at.0, MOST_EXEMPLARS) {
            for exemplar in series.exemplars {
                let of = |name| exemplar.labels.get(name).to_owned();
                let (trace_id, span_id, line) = (of("trace_id"), of("span_id"), exemplar.line);
                if !(trace_id.is_empty() && span_id.is_empty() && line.is_empty()) {
                    let time = UnixMillis(exemplar.time);
                    found.push(Occurrence { time, value: exemplar.value, trace_id, span_id, line });
                }
            }
        }
    }
    // One that has its line before the same without: another metric may count it too.
    found.sort_by(|a, b| b.time.cmp(&a.time).then(a.line.is_empty().cmp(&b.line.is_empty())));
    let mut latest: Vec<Occurrence> = Vec::new();
    for occurrence in found {
        if latest.len() < MOST && !latest.iter().any(|later| says(later, &occurrence)) {
            latest.push(occurrence);
        }
    }
    latest
}

/// Whether one of two says all that the other does.
fn says(one: &Occurrence, other: &Occurrence) -> bool {
    one.trace_id == other.trace_id && one.span_id == other.span_id && (other.line.is_empty() || one.line == other.line)
}
