//! `rate`, `increase` and `delta` of ranges that are `anchored` or `smoothed`: nothing is extrapolated, since the samples
//! around the range are there. Anchored, the growth is that from the last sample before the range to the last in it;
//! smoothed, that between the values at the range's bounds, interpolated between the samples around them.

use super::super::histogram::FloatHistogram;
use super::notes::{Note, Operation, Work};
use super::rate::{Growth, add, subtract};
use super::starts::{is_reset, is_reset_after};
use super::window::{Extension, Window};
use crate::data::histogram::ResetHint;

/// A value at a time, and when its counter began.
#[derive(Clone, Copy)]
struct Sample {
    time: i64,
    value: f64,
    start: i64,
}

impl Sample {
    /// Where the counter of a sample began, at zero.
    fn begin(self) -> Self {
        Self { time: self.start, value: 0.0, start: self.start }
    }

    /// The value at a time between this sample and a later one. A counter that was reset between them was zero all along.
    fn towards(self, later: Self, time: i64, counter: bool) -> f64 {
        let from = if counter && later.value < self.value { 0.0 } else { self.value };
        from + (later.value - from) * (time - self.time) as f64 / (later.time - self.time) as f64
    }

    fn is_reset_since(self, before: Self) -> bool {
        is_reset(before.start, before.time, self.start, self.time)
    }
}

/// The samples that matter: the last at or before the range's beginning, or else the first; and the last, or smoothed the
/// first at or behind its end.
fn outermost(window: &Window<'_>, times: &[i64]) -> Option<(usize, usize)> {
    let last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|time| *time <= window.start).saturating_sub(1);
    let last = match window.extension {
        Extension::Smoothed => times[..last].partition_point(|time| *time < window.end),
        _ => last,
    };
    (times[last] > window.start).then_some((first, last))
}

pub(super) fn of_floats(window: &Window<'_>, growth: Growth) -> Option<f64> {
    let smoothed = window.extension == Extension::Smoothed;
    let counter = growth.is_counter();
    let (first, last) = outermost(window, window.times)?;
    let bounds = Bounds { window, smoothed, counter };
    let head = bounds.sample(first);
    // Behind the range nothing is known of it, but where a counter began.
    if smoothed && head.time > window.end {
        let begins = is_reset_after(bounds.earliest(), head.start, head.time);
        if !counter || !begins || is_reset_after(window.end, head.start, head.time) {
            return None;
        }
    }
    let (left, right) = (bounds.left(first), bounds.right(last));
    let mut grown = right.value - left.value;
    if counter {
        // What is at the bounds or beyond is part of the values there.
        let from = first + usize::from(head.time <= window.start);
        let to = last + usize::from(window.times[last] < window.end);
        let mut before = left;
        for now in (from..to).map(|at| bounds.sample(at)).chain([right]) {
            if now.value < before.value || now.is_reset_since(before) {
                grown += before.value;
            }
            before = now;
        }
    }
    Some(if growth == Growth::Rate { grown / window.seconds() } else { grown })
}

/// Values at a range's bounds.
struct Bounds<'a> {
    window: &'a Window<'a>,
    smoothed: bool,
    counter: bool,
}

impl Bounds<'_> {
    fn sample(&self, at: usize) -> Sample {
        let start = self.window.starts.get(at).copied().unwrap_or(0);
        Sample { time: self.window.times[at], value: self.window.values[at], start }
    }

    /// The earliest that a sample before the range may be.
    fn earliest(&self) -> i64 {
        self.window.start - self.window.lookback
    }

    fn left(&self, first: usize) -> Sample {
        let bound = self.window.start;
        let mut here = self.sample(first);
        let mut start = if here.start > bound { 0 } else { here.start };
        let value = if here.time == bound {
            start = here.start;
            here.value
        } else if here.time > bound {
            self.before_all(here, bound)
        } else {
            let mut next = self.sample(first + 1);
            if self.counter && is_reset_after(bound, next.start, next.time) {
                next = next.begin();
            } else if self.counter && next.is_reset_since(here) {
                here = next.begin();
                start = next.start;
            }
            if self.smoothed { here.towards(next, bound, self.counter) } else { here.value }
        };
        Sample { time: bound, value, start }
    }

    fn right(&self, last: usize) -> Sample {
        let bound = self.window.end;
        let mut here = self.sample(last);
        let mut start = if here.start > bound { 0 } else { here.start };
        let value = if here.time <= bound {
            here.value
        } else if last == 0 {
            self.before_all(here, bound)
        } else {
            let mut before = self.sample(last - 1);
            if self.counter && is_reset_after(bound, here.start, here.time) {
                here = here.begin();
                start = before.start;
            } else if self.counter && here.is_reset_since(before) {
                before = here.begin();
            }
            if self.smoothed { before.towards(here, bound, self.counter) } else { before.value }
        };
        Sample { time: bound, value, start }
    }

    /// The value at a bound before the first sample: that sample's, unless it is known that its counter began in sight.
    fn before_all(&self, first: Sample, bound: i64) -> f64 {
        if !self.counter || !is_reset_after(self.earliest(), first.start, first.time) {
            first.value
        } else if self.smoothed && !is_reset_after(bound, first.start, first.time) {
            first.begin().towards(first, bound, true)
        } else {
            0.0
        }
    }
}

pub(super) fn of_histograms(window: &Window<'_>, growth: Growth, work: &mut Work) -> Option<FloatHistogram> {
    let smoothed = window.extension == Extension::Smoothed;
    let counter = growth.is_counter();
    let (histograms, times) = (window.histograms, window.histogram_times);
    let (first, last) = outermost(window, times)?;
    if smoothed && times[first] > window.end {
        return None;
    }
    let custom = histograms[first].is_custom();
    for histogram in &histograms[first..=last] {
        if histogram.is_custom() != custom {
            window.note(&mut work.notes, 0, Note::MixedExponentialCustom(window.metric.into()));
            return None;
        }
        if counter && histogram.reset_hint == ResetHint::Gauge {
            window.note(&mut work.notes, 0, Note::NativeNotCounter(window.metric.into()));
        }
    }
    let (interpolates_left, interpolates_right) =
        (smoothed && times[first] < window.start, smoothed && last > 0 && times[last] > window.end);
    let left = if interpolates_left {
        between(window, first, window.start, counter, work)?
    } else {
        FloatHistogram::clone(&histograms[first])
    };
    let right = if interpolates_right {
        between(window, last - 1, window.end, counter, work)?
    } else {
        FloatHistogram::clone(&histograms[last])
    };
    if !counter && (left.reset_hint != ResetHint::Gauge || right.reset_hint != ResetHint::Gauge) {
        window.note(&mut work.notes, 0, Note::NativeNotGauge(window.metric.into()));
    }
    let mut grown = right.clone();
    subtract(&mut grown, &left, window, work)?;
    if counter {
        let mut before = &left;
        let mut from = first + 1;
        // A reset right behind the first sample is part of the interpolated value.
        if interpolates_left && histograms[first + 1].is_reset_since(&histograms[first]) {
            before = &histograms[first + 1];
            from += 1;
        }
        if from <= last {
            let mut correction: Option<FloatHistogram> = None;
            let inner = histograms[from..last].iter().map(|histogram| &**histogram);
            for now in inner.chain([&right]) {
                if now.is_reset_since(before) {
                    match &mut correction {
                        None => correction = Some(before.clone()),
                        Some(correction) => add(correction, before, window, work)?,
                    }
                }
                before = now;
            }
            if let Some(correction) = correction {
                add(&mut grown, &correction, window, work)?;
            }
        }
    }
    if growth == Growth::Rate {
        grown.divide(window.seconds());
    }
    grown.reset_hint = ResetHint::Gauge;
    grown.compact();
    Some(grown)
}

/// The histogram at a time between a sample and the next.
fn between(window: &Window<'_>, at: usize, time: i64, counter: bool, work: &mut Work) -> Option<FloatHistogram> {
    let (from, to) = (&window.histograms[at], &window.histograms[at + 1]);
    let (earlier, later) = (window.histogram_times[at], window.histogram_times[at + 1]);
    if time == earlier {
        return Some(FloatHistogram::clone(from));
    }
    let mut result = FloatHistogram::clone(to);
    if time == later {
        return Some(result);
    }
    let fraction = (time - earlier) as f64 / (later - earlier) as f64;
    if counter && to.is_reset_since(from) {
        result.multiply(fraction);
        return Some(result);
    }
    let mut mismatch = |combined: Option<bool>, operation| {
        if combined == Some(true) {
            window.note(&mut work.notes, 0, Note::MismatchedBounds(operation));
        }
        combined
    };
    mismatch(result.subtract(from).ok().map(|combined| combined.bounds_reconciled), Operation::Subtraction)?;
    result.multiply(fraction);
    mismatch(result.add(from).ok().map(|combined| combined.bounds_reconciled), Operation::Addition)?;
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::window;
    use super::*;

    fn grown(times: &[i64], values: &[f64], starts: &[i64], extension: Extension, of: Growth) -> Option<f64> {
        of_floats(&Window { extension, starts, ..window(times, values, 10_000, 30_000) }, of)
    }

    #[test]
    fn anchored_growth_is_that_since_the_last_sample_before() {
        let anchored = |times: &[i64], values: &[f64]| grown(times, values, &[], Extension::Anchored, Growth::Increase);
        assert_eq!(anchored(&[0, 8000, 20_000, 29_000], &[1.0, 2.0, 5.0, 9.0]), Some(7.0));
        assert_eq!(anchored(&[8000, 20_000, 29_000], &[5.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(anchored(&[12_000, 20_000], &[5.0, 6.0]), Some(1.0));
        assert_eq!(anchored(&[8000], &[5.0]), None);
    }

    #[test]
    fn smoothed_growth_is_that_between_interpolated_values() {
        let smoothed = |times: &[i64], values: &[f64], of| grown(times, values, &[], Extension::Smoothed, of);
        // 5 at the beginning, 20 at the end.
        assert_eq!(smoothed(&[5000, 15_000, 25_000, 35_000], &[0.0, 10.0, 15.0, 25.0], Growth::Increase), Some(15.0));
        assert_eq!(smoothed(&[5000, 15_000, 25_000, 35_000], &[0.0, 10.0, 15.0, 25.0], Growth::Rate), Some(0.75));
        // Reset between the first two: half of the second at the beginning.
        assert_eq!(smoothed(&[5000, 15_000, 30_000], &[100.0, 4.0, 10.0], Growth::Increase), Some(8.0));
        assert_eq!(smoothed(&[5000, 15_000, 30_000], &[100.0, 4.0, 10.0], Growth::Delta), Some(-42.0));
        assert_eq!(smoothed(&[40_000, 50_000], &[1.0, 2.0], Growth::Increase), None);
    }

    #[test]
    fn counters_that_began_in_the_range_were_zero() {
        let anchored =
            |starts: &[i64]| grown(&[20_000, 25_000], &[4.0, 6.0], starts, Extension::Anchored, Growth::Increase);
        assert_eq!(anchored(&[]), Some(2.0));
        assert_eq!(anchored(&[15_000, 15_000]), Some(6.0));
    }
}
