//! What an alert counted: the exemplars of the series that its rule reads, so that a page can lead to a trace.

use std::time::Duration;

use super::super::alert::Occurrence;
use super::super::missing_input::{Inputs, agrees};
use super::super::results::Wanted;
use super::Evaluating;
use crate::data::labels::Labels;
use crate::data::{LabelSet, UnixMillis};
use crate::promql::{Query, Selector};
use crate::series::{ExemplarPoint, SeriesExemplars};

/// Occurrences of one alert, the latest.
const MOST: usize = 10;

/// Exemplars that are looked at for one selector, the latest: as many as the store has, so that an alert that counts much hides
/// none that counts little.
const MOST_EXEMPLARS: usize = 10_000;

/// With more alerts than these the exemplars of all are asked for, which says less and is found sooner.
const FEW: usize = 8;

/// What alerts of a rule counted, asked for once for all that are handed on.
pub(super) struct Counted(Vec<Inputs<Vec<Occurrence>>>);

impl Counted {
    /// What stands behind these elements of a rule's result.
    pub fn by(query: &Query, elements: &[&LabelSet], cx: &Evaluating<'_>) -> Self {
        let any = |labels: Labels<'_>| elements.len() > FEW || elements.iter().any(|element| agrees(labels, element));
        let of_selector = |selector: Selector<'_>| {
            let back = i64::try_from(selector.back.max(Duration::from_mins(1)).as_millis()).unwrap_or(i64::MAX);
            let from = cx.query_at.0.saturating_sub(back);
            let matchers = selector.matchers.to_vec();
            let wanted = Wanted { matchers: &matchers, predicate: &any };
            let found = cx.store.exemplars(wanted, from, cx.query_at.0, MOST_EXEMPLARS);
            Inputs::new(found.into_iter().map(counted).collect())
        };
        let selectors = query.selectors().filter(|selector| selector.pinned.is_none());
        Self(selectors.map(of_selector).collect())
    }

    /// The latest of what stands behind an element, the last one first; of what is alike the last alone.
    pub fn latest(&self, element: &LabelSet) -> Vec<Occurrence> {
        let mut found: Vec<&Occurrence> = Vec::new();
        for series in &self.0 {
            let of_target = series.of(element).filter(|(labels, _)| is_of_target(*labels, element));
            found.extend(of_target.flat_map(|(_, occurrences)| occurrences));
        }
        latest(found)
    }
}

/// Whether a series is of the target that an alert names.
fn is_of_target(labels: Labels<'_>, element: &LabelSet) -> bool {
    ["job", "instance"].iter().all(|name| !element.has(name) || labels.get(name).is_some())
}

/// What the exemplars of a series tell, by its labels.
fn counted(series: SeriesExemplars) -> (Box<[u8]>, Vec<Occurrence>) {
    let occurrence = |exemplar: ExemplarPoint| {
        let of = |name| exemplar.labels.get(name).to_owned();
        let (trace_id, span_id, line) = (of("trace_id"), of("span_id"), exemplar.line);
        let says_nothing = trace_id.is_empty() && span_id.is_empty() && line.is_empty();
        let time = UnixMillis(exemplar.time);
        (!says_nothing).then_some(Occurrence { time, value: exemplar.value, trace_id, span_id, line })
    };
    let mut labels = Vec::new();
    series.labels.encode(&mut labels);
    (labels.into(), series.exemplars.into_iter().filter_map(occurrence).collect())
}

fn latest(mut found: Vec<&Occurrence>) -> Vec<Occurrence> {
    // One that has its line before the same without: another metric may count it too.
    found.sort_by(|a, b| b.time.cmp(&a.time).then(a.line.is_empty().cmp(&b.line.is_empty())));
    let mut latest: Vec<Occurrence> = Vec::new();
    for occurrence in found {
        if latest.len() == MOST {
            break;
        }
        if !latest.iter().any(|later| says(later, occurrence)) {
            latest.push(occurrence.clone());
        }
    }
    latest
}

/// Whether one of two says all that the other does.
fn says(one: &Occurrence, other: &Occurrence) -> bool {
    one.trace_id == other.trace_id && one.span_id == other.span_id && (other.line.is_empty() || one.line == other.line)
}
