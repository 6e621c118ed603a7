//! Selectors that are `smoothed` or `anchored` and are not an argument of a function: values interpolated between the samples
//! around a step, and ranges with values at their bounds.

use std::rc::Rc;
use std::sync::Arc;

use super::super::functions::{Extension, Note, Operation, Place, Work};
use super::super::histogram::FloatHistogram;
use super::super::query::EvalError;
use super::super::tree::Selected;
use super::super::value::Point;
use super::rows::{Cells, Metric, Rows, cell_bytes};
use super::select::Span;
use super::split::{Series, Split};
use super::{Evaluator, Steps};
use crate::data::histogram::ResetHint;

impl Evaluator<'_> {
    /// An instant selector whose values are interpolated.
    pub(super) fn smoothed(&mut self, selected: &Selected, place: Place, steps: Steps) -> Result<Rows, EvalError> {
        let times = self.times(&selected.shift, steps)?;
        let lookback = self.lookback;
        let span = Span { after: times.first.saturating_sub(lookback), until: times.last().saturating_add(lookback) };
        let mut rows = Rows::new(&self.budget, times.count);
        let mut split = Split::default();
        let budget = Rc::clone(&self.budget);
        let mut work = std::mem::take(&mut self.work);
        let visited = self.visit(&selected.matchers, span, |labels, columns| {
            let series = split.of(columns, false, selected.summaries);
            let mut cells = Cells::new();
            let mut room = budget.room(0)?;
            for (step, out) in rows.open()?.iter_mut().enumerate() {
                let time = times.at(step);
                let within = |times: &[i64]| {
                    let from = times.partition_point(|sample| *sample <= time.saturating_sub(lookback));
                    from..times.partition_point(|sample| *sample <= time.saturating_add(lookback)).max(from)
                };
                budget.work(1)?;
                let (floats, histograms) = (within(series.times), within(series.histogram_times));
                if !floats.is_empty() && !histograms.is_empty() {
                    let name = labels.metric_name();
                    work.notes.add(place, Note::MixedFloatsHistograms(name.into()));
                } else if !histograms.is_empty() {
                    let at = At { times: &series.histogram_times[histograms.clone()], time };
                    let of = &series.histograms[histograms];
                    if let Some(histogram) = at.histogram(of, place, labels.metric_name(), &mut work) {
                        room.take(cell_bytes(&cells, &histogram))?;
                        cells.push((step as u32, histogram));
                    }
                } else {
                    let at = At { times: &series.times[floats.clone()], time };
                    if let Some(value) = at.float(&series.values[floats]) {
                        *out = value;
                    }
                }
            }
            drop(room);
            rows.finish(|| Metric::new(labels.encoded()), false, cells)
        });
        self.work = work;
        visited?;
        Ok(rows)
    }
}

/// A time among those of samples.
struct At<'a> {
    times: &'a [i64],
    time: i64,
}

impl At<'_> {
    /// The first sample that is not before the time.
    fn next(&self) -> usize {
        self.times.partition_point(|sample| *sample < self.time)
    }

    fn float(&self, values: &[f64]) -> Option<f64> {
        let next = self.next();
        match self.times.get(next) {
            Some(time) if *time == self.time => Some(values[next]),
            Some(_) if next > 0 => Some(between(self.times, values, next, self.time)),
            Some(_) => None,
            None => values.last().copied(),
        }
    }

    fn histogram(
        &self,
        histograms: &[Arc<FloatHistogram>],
        place: Place,
        name: &str,
        work: &mut Work,
    ) -> Option<Arc<FloatHistogram>> {
        let next = self.next();
        let Some(time) = self.times.get(next) else {
            // The hint is about this sample and the one before it.
            let mut last = Arc::clone(histograms.last()?);
            Arc::make_mut(&mut last).reset_hint = ResetHint::Unknown;
            return Some(last);
        };
        if *time == self.time {
            return Some(Arc::clone(&histograms[next]));
        }
        let (before, behind) = (&histograms[next.checked_sub(1)?], &histograms[next]);
        if before.is_custom() != behind.is_custom() {
            work.notes.add(place, Note::MixedExponentialCustom(name.to_owned().into()));
            return None;
        }
        let share = (self.time - self.times[next - 1]) as f64 / (time - self.times[next - 1]) as f64;
        let is_gauge = before.reset_hint == ResetHint::Gauge && behind.reset_hint == ResetHint::Gauge;
        let mut value = FloatHistogram::clone(behind);
        if !is_gauge && behind.is_reset_since(before) {
            value.multiply(share);
            return Some(Arc::new(value));
        }
        let combined = value.subtract(before).and_then(|first| {
            value.multiply(share);
            Ok((first, value.add(before)?))
        });
        let Ok((first, second)) = combined else { return None };
        for (combined, operation) in [(first, Operation::Subtraction), (second, Operation::Addition)] {
            if combined.bounds_reconciled {
                work.notes.add(place, Note::MismatchedBounds(operation));
            }
        }
        Some(Arc::new(value))
    }
}

fn between(times: &[i64], values: &[f64], next: usize, time: i64) -> f64 {
    let (before, behind) = (values[next - 1], values[next]);
    before + (behind - before) * (time - times[next - 1]) as f64 / (times[next] - times[next - 1]) as f64
}

/// The samples of a range with values at its bounds: of the sample before each, or interpolated.
pub(super) fn extended(series: Series<'_>, start: i64, end: i64, extension: Extension) -> Vec<(i64, Point)> {
    let (times, values) = (series.times, series.values);
    let smoothed = extension == Extension::Smoothed;
    let Some(last) = times.len().checked_sub(1) else { return Vec::new() };
    let first = times[..last].partition_point(|time| *time <= start).saturating_sub(1);
    let last = if smoothed { times[..last].partition_point(|time| *time < end) } else { last };
    if times[last] <= start {
        return Vec::new();
    }
    let left = if smoothed && times[first] < start { between(times, values, first + 1, start) } else { values[first] };
    let right = match last {
        last if times[last] <= end || last == 0 => values[last],
        last if smoothed => between(times, values, last, end),
        last => values[last - 1],
    };
    let inner = (first..=last).filter(|place| times[*place] > start && times[*place] < end);
    let inner = inner.map(|place| (times[place], Point::Float(values[place])));
    let bound = |time, value| std::iter::once((time, Point::Float(value)));
    bound(start, left).chain(inner).chain(bound(end, right)).collect()
}
