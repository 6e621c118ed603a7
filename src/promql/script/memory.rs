//! Samples that a script loaded: all of them, exactly, from any time.
//!
//! Whether the counter of a native histogram was reset is said as Prometheus's storage says it: of the first of a run of
//! histograms nothing is known, those after it were not reset, and a new run begins where one was.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::series_notation::Item;
use crate::data::histogram::{Counts, Histogram, ResetHint};
use crate::data::labels::{LabelSet, Labels};
use crate::data::metrics::is_stale;
use crate::promql::histogram::FloatHistogram;
use crate::series::{Columns, Samples, Select, SelectError};

/// Samples in memory, for tests of queries and rules.
#[derive(Debug, Default)]
pub struct MemorySamples(BTreeMap<Box<[u8]>, Kept>);

#[derive(Debug, Default)]
struct Kept {
    columns: Columns,
    /// The last histogram as it came, until something else follows.
    last: Option<Arc<Histogram>>,
}

/// A sample that cannot be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is a later one.
    #[error("a later sample is there already")]
    OutOfOrder,
    /// There is another one of this time.
    #[error("another value of this time is there already")]
    Duplicate,
    /// Its buckets make no sense.
    #[error("the histogram is not valid: its schema, bounds and buckets do not fit together")]
    Invalid,
    /// It counts fewer than none.
    #[error("the histogram is not valid: a count of it is negative")]
    Negative,
}

impl MemorySamples {
    /// No samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a sample to a series. `start` is when its counter began, if that is known; both are milliseconds since 1970.
    ///
    /// # Errors
    /// Where it is not later than what is there. The same sample again is no error and changes nothing.
    pub fn append(&mut self, labels: &LabelSet, time: i64, start: Option<i64>, item: &Item) -> Result<(), AppendError> {
        if matches!(item, Item::None) {
            return Ok(());
        }
        let mut key = Vec::new();
        labels.encode(&mut key);
        let kept = self.0.entry(key.into()).or_default();
        if kept.columns.times.last().is_some_and(|last| *last >= time) {
            return kept.again(time, item);
        }
        let value = match item {
            Item::None => return Ok(()),
            Item::Float(value) => {
                // A marker does not end what is known of the histograms before it: that of the next one does.
                kept.last = kept.last.take().filter(|_| is_stale(*value));
                *value
            }
            Item::Histogram { histogram, .. } => {
                if !histogram.is_valid() {
                    return Err(AppendError::Invalid);
                }
                if counts_below_zero(histogram) {
                    return Err(AppendError::Negative);
                }
                kept.push_histogram(histogram);
                0.0
            }
        };
        let columns = &mut kept.columns;
        columns.times.push(time);
        columns.values.push(value);
        if start.is_some() || !columns.starts.is_empty() {
            columns.starts.resize(columns.times.len() - 1, 0);
            columns.starts.push(start.unwrap_or(0));
        }
        Ok(())
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Kept {
    /// A sample that is not later than the last one.
    fn again(&self, time: i64, item: &Item) -> Result<(), AppendError> {
        let place = self.columns.times.len() - 1;
        let same = match item {
            // Nothing is never late.
            Item::None => return Ok(()),
            _ if self.columns.times[place] != time => return Err(AppendError::OutOfOrder),
            Item::Float(value) => self.columns.values[place].to_bits() == value.to_bits(),
            Item::Histogram { histogram, .. } => self.last.as_ref().is_some_and(|last| last == histogram),
        };
        if same { Ok(()) } else { Err(AppendError::Duplicate) }
    }

    fn push_histogram(&mut self, histogram: &Arc<Histogram>) {
        let after_marker = self.columns.values.last().is_some_and(|value| is_stale(*value));
        let hint = match (&self.last, histogram.reset_hint) {
            (_, ResetHint::Gauge) => ResetHint::Gauge,
            (Some(last), _) if !after_marker && continues(last, histogram) => ResetHint::No,
            _ => ResetHint::Unknown,
        };
        let stored = if histogram.reset_hint == hint {
            Arc::clone(histogram)
        } else {
            Arc::new(Histogram { reset_hint: hint, ..Histogram::clone(histogram) })
        };
        let place = u32::try_from(self.columns.times.len()).unwrap_or(u32::MAX);
        self.columns.histograms.push((place, stored));
        self.last = Some(Arc::clone(histogram));
    }
}

/// As in Prometheus, what is computed may have such counts, and what is stored not.
fn counts_below_zero(histogram: &Histogram) -> bool {
    let Counts::Float { count, zero, positive, negative } = &histogram.counts else { return false };
    [count, zero].into_iter().chain(positive).chain(negative).any(|count| *count < 0.0)
}

/// Whether the counter of `next` goes on from `last`, in the same buckets.
fn continues(last: &Histogram, next: &Histogram) -> bool {
    let same_layout = next.schema == last.schema
        && next.zero_threshold == last.zero_threshold
        && next.custom_bounds == last.custom_bounds;
    if !same_layout || last.reset_hint == ResetHint::Gauge || next.reset_hint == ResetHint::Yes {
        return false;
    }
    // Whatever was written, what the buckets say is believed.
    let mut next = FloatHistogram::from(next);
    next.reset_hint = ResetHint::Unknown;
    !next.is_reset_since(&FloatHistogram::from(last))
}

impl Samples for MemorySamples {
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        let mut shown = Columns::default();
        for (key, Kept { columns, .. }) in &self.0 {
            let labels = Labels::of_encoded(key);
            if !what.matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or(""))) {
                continue;
            }
            let from = columns.times.partition_point(|time| *time <= what.after);
            let to = columns.times.partition_point(|time| *time <= what.until);
            if from >= to {
                continue;
            }
            shown.clear();
            shown.times.extend_from_slice(&columns.times[from..to]);
            shown.values.extend_from_slice(&columns.values[from..to]);
            if !columns.starts.is_empty() {
                shown.starts.extend_from_slice(&columns.starts[from..to]);
            }
            let inside = |place: u32| (from..to).contains(&(place as usize));
            let histograms = columns.histograms.iter().filter(|(place, _)| inside(*place));
            let first = u32::try_from(from).unwrap_or(u32::MAX);
            shown.histograms.extend(histograms.map(|(place, histogram)| (place - first, Arc::clone(histogram))));
            visit(labels, &shown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::series_notation;
    use super::*;
    use crate::data::metrics::STALE;

    fn loaded(text: &str) -> Result<MemorySamples, AppendError> {
        let mut samples = MemorySamples::new();
        let series = series_notation::series(text).expect("read");
        for (place, item) in (0..).zip(&series.values) {
            samples.append(&series.labels, place * 1000, None, item)?;
        }
        Ok(samples)
    }

    fn shown(samples: &MemorySamples, after: i64, until: i64) -> Vec<(String, Columns)> {
        let mut all = Vec::new();
        let what = Select { matchers: &[], after, until };
        let mut visit = |labels: Labels<'_>, columns: &Columns| {
            all.push((labels.to_string(), columns.clone()));
            Ok(())
        };
        samples.select(what, &mut visit).expect("read");
        all
    }

    #[test]
    fn a_span_is_open_on_its_left() {
        let samples = loaded("a{b=\"c\"} 1 _ 3 stale {{sum:1}}").expect("read");
        let [(labels, columns)] = &shown(&samples, 0, 4000)[..] else { panic!() };
        assert_eq!((labels.as_str(), &columns.times[..]), ("a{b=\"c\"}", &[2000, 3000, 4000][..]));
        assert_eq!(columns.values[1].to_bits(), STALE.to_bits());
        assert!(matches!(&columns.histograms[..], [(2, _)]));
        assert!(shown(&samples, 4000, 9000).is_empty() && shown(&samples, 0, 1000).is_empty());
    }

    #[test]
    fn what_is_not_later_is_refused_unless_it_is_the_same() {
        let (mut samples, labels) = (MemorySamples::new(), series_notation::metric("a").expect("read"));
        for (time, value, expected) in [
            (5, 1.0, Ok(())),
            (5, 1.0, Ok(())),
            (5, 2.0, Err(AppendError::Duplicate)),
            (4, 1.0, Err(AppendError::OutOfOrder)),
            (6, 2.0, Ok(())),
        ] {
            assert_eq!(samples.append(&labels, time, None, &Item::Float(value)), expected, "{time} {value}");
        }
        assert_eq!(loaded("a {{schema:9 sum:1}}").expect_err("refused"), AppendError::Invalid);
        for negative in ["buckets:[1 -1]", "n_buckets:[-1]", "z_bucket:-1", "count:-1"] {
            let refused = loaded(&format!("a {{{{sum:1 counter_reset_hint:gauge {negative}}}}}")).expect_err("refused");
            assert_eq!(refused, AppendError::Negative, "{negative}");
        }
    }

    #[test]
    fn a_run_of_histograms_ends_where_its_counter_was_reset() {
        use ResetHint::{Gauge, No, Unknown};
        for (text, expected) in [
            ("{{count:1 buckets:[1]}} {{count:2 buckets:[1 1]}} {{count:3 buckets:[2 1]}}", vec![Unknown, No, No]),
            (
                "{{count:3 buckets:[1 2]}} {{count:3 buckets:[2 1]}} {{count:2 buckets:[2]}}",
                vec![Unknown, Unknown, Unknown],
            ),
            ("{{count:1}} {{count:1 counter_reset_hint:reset}} {{count:2}}", vec![Unknown, Unknown, No]),
            ("{{count:1 counter_reset_hint:gauge}}x1 {{count:2}} {{count:2}}", vec![Gauge, Gauge, Unknown, No]),
            ("{{count:1}} stale {{count:2}} {{count:3}}", vec![Unknown, Unknown, No]),
            ("{{count:1}} 5 {{count:2}}", vec![Unknown, Unknown]),
            ("{{schema:1 count:1}} {{count:2}}", vec![Unknown, Unknown]),
            ("{{z_bucket:1 count:1}} {{count:1}}", vec![Unknown, Unknown]),
        ] {
            let samples = loaded(&format!("a {text}")).expect("read");
            let columns = &shown(&samples, -1, 99_000)[0].1;
            let hints: Vec<_> = columns.histograms.iter().map(|(_, histogram)| histogram.reset_hint).collect();
            assert_eq!(hints, expected, "{text}");
        }
    }
}
