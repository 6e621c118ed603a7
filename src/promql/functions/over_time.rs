//! The functions `…_over_time`: the samples of a range told as one.

use std::sync::Arc;

use super::super::histogram::{Combined, FloatHistogram, Incompatible, Sum};
use super::super::neumaier;
use super::notes::{Note, Operation, Work};
use super::quantile::quantile;
use super::window::{Datum, Window};
use crate::data::histogram::ResetHint;

pub(super) fn avg(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    told_by_all(window, work, average, |sum, histogram| sum.add_for_mean(histogram), Sum::mean)
}

pub(super) fn sum(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    let total = |values: &[f64]| {
        let (sum, rest) = neumaier::sum(values);
        if sum.is_infinite() { sum } else { sum + rest }
    };
    told_by_all(window, work, total, |sum, histogram| sum.add(histogram), Sum::sum)
}

pub(super) fn count(window: &Window<'_>, _: &[f64], _: &mut Work) -> Option<Datum> {
    Some(Datum::Float(window.len() as f64))
}

pub(super) fn present(_: &Window<'_>, _: &[f64], _: &mut Work) -> Option<Datum> {
    Some(Datum::Float(1.0))
}

pub(super) fn first(window: &Window<'_>, _: &[f64], _: &mut Work) -> Option<Datum> {
    match (window.times.first(), window.histogram_times.first()) {
        (Some(float), histogram) if histogram.is_none_or(|histogram| float < histogram) => {
            window.values.first().map(|value| Datum::Float(*value))
        }
        _ => window.histograms.first().map(|histogram| Datum::Histogram(histogram.clone())),
    }
}

pub(super) fn last(window: &Window<'_>, _: &[f64], _: &mut Work) -> Option<Datum> {
    match (window.times.last(), window.histogram_times.last()) {
        (Some(float), histogram) if histogram.is_none_or(|histogram| histogram < float) => {
            window.values.last().map(|value| Datum::Float(*value))
        }
        _ => window.histograms.last().map(|histogram| Datum::Histogram(histogram.clone())),
    }
}

pub(super) fn time_of_first(window: &Window<'_>, _: &[f64], _: &mut Work) -> Option<Datum> {
    let times = window.times.first().into_iter().chain(window.histogram_times.first());
    times.min().map(seconds)
}

pub(super) fn time_of_last(window: &Window<'_>, _: &[f64], _: &mut Work) -> Option<Datum> {
    let times = window.times.last().into_iter().chain(window.histogram_times.last());
    times.max().map(seconds)
}

pub(super) fn max(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    let values = floats(window, work)?;
    Some(Datum::Float(extreme(values, f64::NEG_INFINITY, |value, most| value > most)))
}

pub(super) fn min(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    let values = floats(window, work)?;
    Some(Datum::Float(extreme(values, f64::INFINITY, |value, least| value < least)))
}

pub(super) fn time_of_max(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    time_of(window, work, |value, most| value >= most)
}

pub(super) fn time_of_min(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    time_of(window, work, |value, least| value <= least)
}

pub(super) fn standard_variance(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    floats(window, work).map(|values| Datum::Float(variance(values)))
}

pub(super) fn standard_deviation(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    floats(window, work).map(|values| Datum::Float(variance(values).sqrt()))
}

pub(super) fn quantile_of(window: &Window<'_>, scalars: &[f64], work: &mut Work) -> Option<Datum> {
    let &q = scalars.first()?;
    if window.values.is_empty() {
        return None;
    }
    if !(0.0..=1.0).contains(&q) {
        window.note(&mut work.notes, 0, Note::InvalidQuantile(q));
    }
    if window.is_mixed() {
        // The range is the second argument, but this is where Prometheus says it.
        window.note(&mut work.notes, 0, Note::IgnoredInMixedRange(window.metric.into()));
    }
    Some(Datum::Float(quantile(q, copy(window.values, &mut work.numbers))))
}

/// The median of the distances from the median.
pub(super) fn median_absolute_deviation(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    let values = floats(window, work)?;
    if values.iter().any(|value| value.is_nan()) {
        return Some(Datum::Float(f64::NAN));
    }
    let numbers = copy(values, &mut work.numbers);
    let median = quantile(0.5, numbers);
    numbers.iter_mut().for_each(|number| *number = (*number - median).abs());
    Some(Datum::Float(quantile(0.5, numbers)))
}

fn copy<'a>(values: &[f64], to: &'a mut Vec<f64>) -> &'a mut [f64] {
    to.clear();
    to.extend_from_slice(values);
    to
}

fn seconds(time: &i64) -> Datum {
    Datum::Float(*time as f64 / 1000.0)
}

/// The floats, if there are any; histograms among them are ignored.
fn floats<'a>(window: &Window<'a>, work: &mut Work) -> Option<&'a [f64]> {
    if window.values.is_empty() {
        return None;
    }
    window.note_ignored(&mut work.notes);
    Some(window.values)
}

/// The largest or the smallest of numbers; NaN where none is a number.
fn extreme(values: &[f64], worst: f64, better: impl Fn(f64, f64) -> bool) -> f64 {
    // Four at a time do not wait for each other.
    let mut best = [worst; 4];
    let mut numbers = false;
    let mut chunks = values.chunks_exact(4);
    for chunk in &mut chunks {
        for (best, &value) in best.iter_mut().zip(chunk) {
            *best = if better(value, *best) { value } else { *best };
            numbers |= !value.is_nan();
        }
    }
    let mut all = worst;
    for &value in chunks.remainder().iter().chain(&best) {
        all = if better(value, all) { value } else { all };
    }
    numbers |= chunks.remainder().iter().any(|value| !value.is_nan());
    if numbers { all } else { f64::NAN }
}

/// When the best of the floats was; of many the last.
fn time_of(window: &Window<'_>, work: &mut Work, better: impl Fn(f64, f64) -> bool) -> Option<Datum> {
    let values = floats(window, work)?;
    let mut best = (values[0], window.times[0]);
    for (&value, &time) in values.iter().zip(window.times) {
        if better(value, best.0) || best.0.is_nan() {
            best = (value, time);
        }
    }
    Some(seconds(&best.1))
}

/// The mean. As long as the sum is finite it is the sum divided, which rounds least.
fn average(values: &[f64]) -> f64 {
    let (sum, rest) = neumaier::sum(values);
    if sum.is_finite() {
        let count = values.len() as f64;
        return sum / count + rest / count;
    }
    let Some((&first, others)) = values.split_first() else { return f64::NAN };
    let (mut sum, mut rest) = (first, 0.0);
    for (place, &value) in others.iter().enumerate() {
        let (next, next_rest) = neumaier::add(value, sum, rest);
        if next.is_infinite() {
            let so_far = (place + 1) as f64;
            return incremental(&others[place..], so_far, sum / so_far, rest / so_far);
        }
        (sum, rest) = (next, next_rest);
    }
    let count = values.len() as f64;
    sum / count + rest / count
}

/// Goes on with a mean of `count` numbers.
fn incremental(values: &[f64], mut count: f64, mut mean: f64, mut rest: f64) -> f64 {
    for value in values {
        count += 1.0;
        let share = (count - 1.0) / count;
        (mean, rest) = neumaier::add(value / count, share * mean, share * rest);
    }
    mean + rest
}

/// The variance (Welford, "Note on a method for calculating corrected sums of squares and products", 1962).
fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, (0.0, 0.0), (0.0, 0.0));
    for &value in values {
        count += 1.0;
        let off = value - (mean.0 + mean.1);
        mean = neumaier::add(off / count, mean.0, mean.1);
        squares = neumaier::add(off * (value - (mean.0 + mean.1)), squares.0, squares.1);
    }
    (squares.0 + squares.1) / count
}

/// Floats told as one float, histograms as one histogram; together they tell nothing.
fn told_by_all(
    window: &Window<'_>,
    work: &mut Work,
    floats: impl Fn(&[f64]) -> f64,
    add: impl Fn(&mut Sum, &FloatHistogram) -> Result<Combined, Incompatible>,
    finish: impl Fn(Sum) -> FloatHistogram,
) -> Option<Datum> {
    let Some((first, others)) = window.histograms.split_first() else {
        return Some(Datum::Float(floats(window.values)));
    };
    if window.is_mixed() {
        window.note(&mut work.notes, 0, Note::MixedFloatsHistograms(window.metric.into()));
        return None;
    }
    let mut sum = Sum::new(first);
    let mut reconciled = false;
    for histogram in others {
        match add(&mut sum, histogram) {
            Ok(combined) => reconciled |= combined.bounds_reconciled,
            Err(Incompatible) => {
                window.note(&mut work.notes, 0, Note::MixedExponentialCustom(window.metric.into()));
                return None;
            }
        }
    }
    let hinted = |hint| window.histograms.iter().any(|histogram| histogram.reset_hint == hint);
    if hinted(ResetHint::Yes) && hinted(ResetHint::No) {
        window.note(&mut work.notes, 0, Note::ResetCollision(Operation::Aggregation));
    }
    if reconciled {
        window.note(&mut work.notes, 0, Note::MismatchedBounds(Operation::Aggregation));
    }
    Some(Datum::Histogram(Arc::new(finish(sum))))
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::window;
    use super::*;

    type Compute = fn(&Window<'_>, &[f64], &mut Work) -> Option<Datum>;

    fn of(compute: Compute, values: &[f64], scalars: &[f64]) -> f64 {
        let times: Vec<_> = (1..).map(|place| place * 1000).take(values.len()).collect();
        match compute(&window(&times, values, 0, 60_000), scalars, &mut Work::default()) {
            Some(Datum::Float(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn floats_are_told_as_one() {
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0];
        for (compute, told) in [
            (sum as Compute, 25.0),
            (avg, 25.0 / 7.0),
            (count, 7.0),
            (present, 1.0),
            (first, 3.0),
            (last, 2.0),
            (max, 9.0),
            (min, 1.0),
            (time_of_first, 1.0),
            (time_of_last, 7.0),
            (time_of_max, 6.0),
            (time_of_min, 4.0),
            (median_absolute_deviation, 2.0),
        ] {
            assert_eq!(of(compute, &values, &[]), told);
        }
        assert_eq!(of(quantile_of, &values, &[0.5]), 3.0);
        assert_eq!(of(standard_variance, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], &[]), 4.0);
        assert_eq!(of(standard_deviation, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], &[]), 2.0);
    }

    #[test]
    fn what_is_no_number_is_passed_by_where_there_are_numbers() {
        let nan = f64::NAN;
        assert_eq!((of(max, &[nan, 1.0, nan, 2.0, 1.5], &[]), of(min, &[nan, 1.0, nan], &[])), (2.0, 1.0));
        assert!(of(max, &[nan, nan], &[]).is_nan() && of(sum, &[nan, 1.0], &[]).is_nan());
        assert_eq!(of(max, &[f64::NEG_INFINITY; 5], &[]), f64::NEG_INFINITY);
        assert_eq!(of(time_of_max, &[nan, 1.0, nan], &[]), 2.0);
        assert!(of(median_absolute_deviation, &[1.0, nan], &[]).is_nan());
    }

    #[test]
    fn means_of_large_numbers_are_finite() {
        assert!((of(avg, &[f64::MAX, f64::MAX, f64::MAX], &[]) / f64::MAX - 1.0).abs() < 1e-15);
        assert_eq!(of(avg, &[1.0, 1e100, 1.0, -1e100], &[]), 0.5);
        assert_eq!(of(avg, &[f64::INFINITY, 1.0], &[]), f64::INFINITY);
        assert_eq!(of(sum, &[f64::INFINITY, 1.0], &[]), f64::INFINITY);
    }

    #[test]
    fn floats_and_histograms_are_not_told_as_one() {
        let histograms = [Arc::new(FloatHistogram::empty(0, Arc::new([])))];
        let mixed = Window {
            histogram_times: &[1500],
            histograms: &histograms,
            ..window(&[1000, 2000], &[1.0, 2.0], 0, 60_000)
        };
        let mut work = Work::default();
        assert!(sum(&mixed, &[], &mut work).is_none() && avg(&mixed, &[], &mut work).is_none());
        assert_eq!(work.notes.finish("").warnings.len(), 1);
        let mut work = Work::default();
        assert!(matches!(max(&mixed, &[], &mut work), Some(Datum::Float(2.0))));
        assert_eq!(work.notes.finish("").infos.len(), 1);
        assert!(matches!(last(&mixed, &[], &mut work), Some(Datum::Float(2.0))));
    }
}
