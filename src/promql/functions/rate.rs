//! `rate`, `increase` and `delta`: how much a series grew over a range. Samples seldom lie at the range's bounds, so that the
//! growth between them is extrapolated: to a bound where the next sample might well lie beyond it, else by half of what
//! samples are apart; and never to where a counter would be below zero.

use std::sync::Arc;

use super::super::histogram::FloatHistogram;
use super::extended;
use super::notes::{Note, Operation, Work};
use super::starts::Starts;
use super::window::{Datum, Extension, Window};
use crate::data::histogram::ResetHint;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// Of a gauge.
    Delta,
    /// Of a counter.
    Increase,
    /// Of a counter, by second.
    Rate,
}

impl Growth {
    pub fn is_counter(self) -> bool {
        self != Self::Delta
    }
}

pub(super) fn rate(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    growth(window, Growth::Rate, work)
}

pub(super) fn increase(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    growth(window, Growth::Increase, work)
}

pub(super) fn delta(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    growth(window, Growth::Delta, work)
}

fn growth(window: &Window<'_>, growth: Growth, work: &mut Work) -> Option<Datum> {
    if window.is_mixed() {
        window.note(&mut work.notes, 0, Note::MixedFloatsHistograms(window.metric.into()));
        return None;
    }
    let floats = window.histograms.is_empty();
    match (floats, window.extension) {
        (true, Extension::None) => of_floats(window, growth, work).map(Datum::Float),
        (true, _) => extended::of_floats(window, growth).map(Datum::Float),
        (false, Extension::None) => of_histograms(window, growth, work).map(|grown| Datum::Histogram(Arc::new(grown))),
        (false, _) => extended::of_histograms(window, growth, work).map(|grown| Datum::Histogram(Arc::new(grown))),
    }
}

fn of_floats(window: &Window<'_>, growth: Growth, work: &mut Work) -> Option<f64> {
    let values = window.values;
    let (&first, &last) = (values.first()?, values.last()?);
    let mut grown = last - first;
    let starts = Starts::new(window.starts, window.times);
    if growth.is_counter() {
        if starts.is_known() {
            if starts.overlap() {
                window.note(&mut work.notes, 0, Note::StartOverlap(window.metric.into()));
            }
            let resets = (1..values.len()).filter(|&at| values[at] < values[at - 1] || starts.is_reset(at));
            resets.for_each(|at| grown += values[at - 1]);
        } else {
            grown = with_resets(values, grown);
        }
    }
    let mut spread = Spread::new(window, window.times)?;
    if growth.is_counter() && spread.begins_at(starts.get(0), window) {
        grown += first;
    } else {
        // A single sample does not tell how fast it grows.
        if values.len() < 2 {
            return None;
        }
        let zero = (grown > 0.0 && first >= 0.0).then(|| spread.sampled * (first / grown));
        spread.extend_to_start(zero.filter(|_| growth.is_counter()));
    }
    Some(grown * spread.factor(window, growth))
}

/// Adds what a counter had reached before each of its resets.
fn with_resets(values: &[f64], mut grown: f64) -> f64 {
    let pairs = || values.iter().zip(&values[1..]);
    // Resets are rare, and a loop without a branch tells fast that there are none.
    let resets: u32 = pairs().map(|(before, now)| u32::from(now < before)).sum();
    if resets > 0 {
        pairs().filter(|(before, now)| now < before).for_each(|(before, _)| grown += before);
    }
    grown
}

fn of_histograms(window: &Window<'_>, growth: Growth, work: &mut Work) -> Option<FloatHistogram> {
    let first = window.histograms.first()?;
    let starts = Starts::new(window.histogram_starts, window.histogram_times);
    let mut grown = match window.histograms.len() {
        1 => None,
        _ => Some(between(window, starts, growth, work)?),
    };
    let mut spread = Spread::new(window, window.histogram_times)?;
    if growth.is_counter() && spread.begins_at(starts.get(0), window) {
        match &mut grown {
            None => grown = Some(FloatHistogram::clone(first)),
            Some(grown) => add(grown, first, window, work)?,
        }
    } else {
        let grown = grown.as_ref()?;
        let zero = (grown.count > 0.0 && first.count >= 0.0).then(|| spread.sampled * (first.count / grown.count));
        spread.extend_to_start(zero.filter(|_| growth.is_counter()));
    }
    let mut grown = grown?;
    grown.multiply(spread.factor(window, growth));
    Some(grown)
}

/// How much histograms grew from the first to the last.
fn between(window: &Window<'_>, starts: Starts<'_>, growth: Growth, work: &mut Work) -> Option<FloatHistogram> {
    let histograms = window.histograms;
    let (first, last) = (histograms.first()?, histograms.last()?);
    let counter = growth.is_counter();
    let gauge = |histogram: &FloatHistogram| histogram.reset_hint == ResetHint::Gauge;
    if counter && histograms.iter().any(|histogram| gauge(histogram)) {
        window.note(&mut work.notes, 0, Note::NativeNotCounter(window.metric.into()));
    }
    // What a counter was before it was reset right at the beginning does not matter, nor does its layout.
    let second = &histograms[1];
    let emptied = (counter && (starts.is_reset(1) || second.is_reset_since(first)))
        .then(|| FloatHistogram::empty(second.schema, second.custom_bounds.clone()));
    let from = emptied.as_ref().unwrap_or(first);
    let inner: &[Arc<FloatHistogram>] = if counter { &histograms[1..histograms.len() - 1] } else { &[] };
    let all = || inner.iter().map(|histogram| &**histogram).chain([&**last]);
    if all().any(|histogram| histogram.is_custom() != from.is_custom()) {
        window.note(&mut work.notes, 0, Note::MixedExponentialCustom(window.metric.into()));
        return None;
    }
    let schema = all().map(|histogram| histogram.schema).min()?.min(from.schema);
    let mut grown = last.in_schema(schema);
    subtract(&mut grown, from, window, work)?;
    if counter {
        if starts.overlap() {
            window.note(&mut work.notes, 0, Note::StartOverlap(window.metric.into()));
        }
        let mut before = from;
        for (at, histogram) in histograms.iter().enumerate().skip(1) {
            if starts.is_reset(at) || histogram.is_reset_since(before) {
                add(&mut grown, before, window, work)?;
            }
            before = histogram;
        }
    } else if !gauge(first) || !gauge(last) {
        window.note(&mut work.notes, 0, Note::NativeNotGauge(window.metric.into()));
    }
    grown.reset_hint = ResetHint::Gauge;
    grown.compact();
    Some(grown)
}

/// Adds, and says what there is to say about it.
pub(super) fn add(
    sum: &mut FloatHistogram,
    other: &FloatHistogram,
    window: &Window<'_>,
    work: &mut Work,
) -> Option<()> {
    let combined = sum.add(other).ok();
    reconciled(combined.map(|combined| combined.bounds_reconciled), Operation::Addition, window, work)
}

/// Subtracts, and says what there is to say about it.
pub(super) fn subtract(
    from: &mut FloatHistogram,
    other: &FloatHistogram,
    window: &Window<'_>,
    work: &mut Work,
) -> Option<()> {
    let combined = from.subtract(other).ok();
    reconciled(combined.map(|combined| combined.bounds_reconciled), Operation::Subtraction, window, work)
}

fn reconciled(bounds: Option<bool>, operation: Operation, window: &Window<'_>, work: &mut Work) -> Option<()> {
    match bounds {
        None => window.note(&mut work.notes, 0, Note::MixedExponentialCustom(window.metric.into())),
        Some(true) => window.note(&mut work.notes, 0, Note::MismatchedBounds(operation)),
        Some(false) => {}
    }
    bounds.map(|_| ())
}

/// How samples are spread over their range, in seconds.
struct Spread {
    /// From the range's beginning to where the growth is known from.
    to_start: f64,
    /// From the last sample to the range's end.
    to_end: f64,
    /// From where the growth is known to the last sample.
    sampled: f64,
    last: i64,
    first: i64,
    /// What samples are apart.
    apart: f64,
}

impl Spread {
    fn new(window: &Window<'_>, times: &[i64]) -> Option<Self> {
        let (&first, &last) = (times.first()?, times.last()?);
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
        let sampled = seconds(first, last);
        let gaps = times.len() - 1;
        let apart = if gaps > 0 { sampled / gaps as f64 } else { 0.0 };
        let (to_start, to_end) = (seconds(window.start, first), seconds(last, window.end));
        Some(Self { to_start, to_end, sampled, last, first, apart })
    }

    /// Whether the counter began in the range before its first sample: then it was zero there, and nothing needs to be
    /// extrapolated.
    fn begins_at(&mut self, start: i64, window: &Window<'_>) -> bool {
        let begins = start != 0 && start > window.start && start < self.first;
        if begins {
            self.to_start = 0.0;
            self.sampled = (self.last - start) as f64 / 1000.0;
        }
        begins
    }

    /// Farther than this from a bound, samples seem to have begun, or ended, within the range.
    fn far(&self) -> f64 {
        self.apart * 1.1
    }

    /// Extrapolates to the range's beginning, but not beyond where a counter is zero.
    fn extend_to_start(&mut self, zero: Option<f64>) {
        if self.to_start >= self.far() {
            self.to_start = self.apart / 2.0;
        }
        if let Some(zero) = zero
            && zero < self.to_start
        {
            self.to_start = zero;
        }
    }

    /// What the growth between samples is multiplied by.
    fn factor(&self, window: &Window<'_>, growth: Growth) -> f64 {
        let to_end = if self.to_end >= self.far() { self.apart / 2.0 } else { self.to_end };
        let factor = if self.sampled == 0.0 { 1.0 } else { (self.sampled + self.to_start + to_end) / self.sampled };
        if growth == Growth::Rate { factor / window.seconds() } else { factor }
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::window;
    use super::*;

    fn compute(times: &[i64], values: &[f64], starts: &[i64], of: Growth) -> Option<f64> {
        let window = Window { starts, ..window(times, values, 0, 60_000) };
        match growth(&window, of, &mut Work::default())? {
            Datum::Float(value) => Some(value),
            Datum::Histogram(_) => None,
        }
    }

    const TIMES: [i64; 4] = [10_000, 25_000, 40_000, 55_000];

    #[test]
    fn growth_is_extrapolated_to_the_bounds_that_are_near() {
        // 45 s between samples grow by 30; 10 s and 5 s to the bounds are less than 15 s apart.
        assert_eq!(compute(&TIMES, &[100.0, 110.0, 120.0, 130.0], &[], Growth::Increase), Some(40.0));
        assert_eq!(compute(&TIMES, &[100.0, 110.0, 120.0, 130.0], &[], Growth::Rate), Some(40.0 / 60.0));
        // Far bounds are reached by half of what samples are apart: 15 s of samples, twice 7.5 s.
        assert_eq!(compute(&[30_000, 40_000], &[100.0, 110.0], &[], Growth::Increase), Some(20.0));
        assert_eq!(compute(&[10_000], &[100.0], &[], Growth::Increase), None);
    }

    #[test]
    fn a_counter_is_not_extrapolated_below_zero() {
        // It would have been zero 3 s before its first sample.
        assert_eq!(compute(&TIMES, &[2.0, 12.0, 22.0, 32.0], &[], Growth::Increase), Some(30.0 * 53.0 / 45.0));
        assert_eq!(compute(&TIMES, &[2.0, 12.0, 22.0, 32.0], &[], Growth::Delta), Some(40.0));
    }

    #[test]
    fn what_was_reached_before_a_reset_counts() {
        assert_eq!(compute(&TIMES, &[100.0, 120.0, 5.0, 10.0], &[], Growth::Increase), Some(30.0 * 60.0 / 45.0));
        assert_eq!(compute(&TIMES, &[100.0, 120.0, 5.0, 10.0], &[], Growth::Delta), Some(-90.0 * 60.0 / 45.0));
        assert!(compute(&TIMES, &[1.0, f64::NAN, 5.0, 10.0], &[], Growth::Rate).is_some());
    }

    #[test]
    fn a_counter_that_began_within_the_range_was_zero_there() {
        assert_eq!(compute(&[20_000], &[7.0], &[10_000], Growth::Increase), Some(7.0));
        // A reset that the values do not show: from 10 s to 40 s it grew by 5, was reset, and grew by 8; the end is near.
        let grown = compute(&[20_000, 40_000], &[5.0, 8.0], &[10_000, 30_000], Growth::Increase);
        assert_eq!(grown, Some(13.0 * (50.0 / 30.0)));
        let mut work = Work::default();
        let overlapping = Window { starts: &[1000, 5000], ..window(&[20_000, 40_000], &[5.0, 8.0], 0, 60_000) };
        assert!(rate(&overlapping, &[], &mut work).is_some());
        assert!(!work.notes.is_empty());
    }
}
