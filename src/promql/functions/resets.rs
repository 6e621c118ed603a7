//! `resets` and `changes`: how often neighbours differ in some way. Floats and histograms are looked at in the order of their
//! times.

use super::super::histogram::FloatHistogram;
use super::notes::Work;
use super::starts::{Starts, is_reset};
use super::window::{Datum, Extension, Window};

pub(super) fn resets(window: &Window<'_>, _: &[f64], _: &mut Work) -> Option<Datum> {
    let window = since_anchor(window)?;
    let starts = Starts::new(window.starts, window.times);
    if window.histograms.is_empty() && !starts.is_known() {
        return Some(count(pairs(window.values).filter(|(before, now)| now < before)));
    }
    Some(count(Pairs::new(&window).filter(|(before, now)| {
        let begun = || is_reset(before.start, before.time, now.start, now.time);
        match (before.value, now.value) {
            (Value::Float(before), Value::Float(now)) => now < before || begun(),
            (Value::Histogram(before), Value::Histogram(now)) => begun() || now.is_reset_since(before),
            _ => true,
        }
    })))
}

pub(super) fn changes(window: &Window<'_>, _: &[f64], _: &mut Work) -> Option<Datum> {
    let window = since_anchor(window)?;
    let differs = |before: f64, now: f64| now != before && !(now.is_nan() && before.is_nan());
    if window.histograms.is_empty() {
        return Some(count(pairs(window.values).filter(|(before, now)| differs(*before, *now))));
    }
    Some(count(Pairs::new(&window).filter(|(before, now)| match (before.value, now.value) {
        (Value::Float(before), Value::Float(now)) => differs(before, now),
        (Value::Histogram(before), Value::Histogram(now)) => !now.same(before),
        _ => true,
    })))
}

fn count(found: impl Iterator) -> Datum {
    Datum::Float(found.count() as f64)
}

fn pairs(values: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    values.iter().copied().zip(values.iter().copied().skip(1))
}

/// The window without what is before its anchor, the last sample at or before its beginning; nothing where no sample is behind
/// that.
fn since_anchor<'a>(window: &Window<'a>) -> Option<Window<'a>> {
    let mut since = *window;
    if window.extension != Extension::Anchored {
        return Some(since);
    }
    let within = |times: &[i64]| times.partition_point(|time| *time <= window.start);
    let (mut floats, mut histograms) = (within(window.times), within(window.histogram_times));
    if floats == window.times.len() && histograms == window.histogram_times.len() {
        return None;
    }
    let float = floats.checked_sub(1).map(|at| window.times[at]);
    let histogram = histograms.checked_sub(1).map(|at| window.histogram_times[at]);
    if float.is_some() && float >= histogram {
        floats -= 1;
    } else if histogram.is_some() {
        histograms -= 1;
    }
    fn rest<T>(column: &[T], from: usize) -> &[T] {
        column.get(from..).unwrap_or_default()
    }
    since.times = rest(since.times, floats);
    since.values = rest(since.values, floats);
    since.starts = rest(since.starts, floats);
    since.histogram_times = rest(since.histogram_times, histograms);
    since.histograms = rest(since.histograms, histograms);
    since.histogram_starts = rest(since.histogram_starts, histograms);
    Some(since)
}

#[derive(Clone, Copy)]
struct Sample<'a> {
    time: i64,
    start: i64,
    value: Value<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Float(f64),
    Histogram(&'a FloatHistogram),
}

/// Neighbours in time.
struct Pairs<'a, 'w> {
    window: &'w Window<'a>,
    floats: usize,
    histograms: usize,
    before: Option<Sample<'a>>,
}

impl<'a, 'w> Pairs<'a, 'w> {
    fn new(window: &'w Window<'a>) -> Self {
        let mut pairs = Self { window, floats: 0, histograms: 0, before: None };
        pairs.before = pairs.sample();
        pairs
    }

    fn sample(&mut self) -> Option<Sample<'a>> {
        let window = self.window;
        let (float, histogram) = (window.times.get(self.floats), window.histogram_times.get(self.histograms));
        let start = |starts: &[i64], at: usize| starts.get(at).copied().unwrap_or(0);
        match (float, histogram) {
            (Some(&time), other) if other.is_none_or(|other| time < *other) => {
                let at = self.floats;
                self.floats += 1;
                Some(Sample { time, start: start(window.starts, at), value: Value::Float(window.values[at]) })
            }
            (_, Some(&time)) => {
                let at = self.histograms;
                self.histograms += 1;
                let value = Value::Histogram(&window.histograms[at]);
                Some(Sample { time, start: start(window.histogram_starts, at), value })
            }
            _ => None,
        }
    }
}

impl<'a> Iterator for Pairs<'a, '_> {
    type Item = (Sample<'a>, Sample<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let now = self.sample()?;
        Some((self.before.replace(now)?, now))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::window::tests::window;
    use super::*;

    fn float(datum: Option<Datum>) -> Option<f64> {
        match datum? {
            Datum::Float(value) => Some(value),
            Datum::Histogram(_) => None,
        }
    }

    #[test]
    fn neighbours_are_compared() {
        let all = window(&[1, 2, 3, 4, 5, 6], &[1.0, 3.0, 2.0, f64::NAN, f64::NAN, 1.0], 0, 6);
        assert_eq!(float(resets(&all, &[], &mut Work::default())), Some(1.0));
        assert_eq!(float(changes(&all, &[], &mut Work::default())), Some(4.0));
        let begun = Window { starts: &[1, 1, 25], ..window(&[10, 20, 30], &[1.0, 2.0, 3.0], 0, 40) };
        assert_eq!(float(resets(&begun, &[], &mut Work::default())), Some(1.0));
    }

    #[test]
    fn what_becomes_a_histogram_changes() {
        let histogram = |count| Arc::new(FloatHistogram { count, ..FloatHistogram::empty(0, Arc::new([])) });
        let histograms = [histogram(1.0), histogram(2.0), histogram(1.0)];
        let mixed =
            Window { histogram_times: &[2, 3, 4], histograms: &histograms, ..window(&[1, 5], &[1.0, 1.0], 0, 6) };
        assert_eq!(float(resets(&mixed, &[], &mut Work::default())), Some(3.0));
        assert_eq!(float(changes(&mixed, &[], &mut Work::default())), Some(4.0));
    }

    #[test]
    fn an_anchored_range_begins_with_the_sample_before_it() {
        let anchored = Window { extension: Extension::Anchored, ..window(&[1, 2, 5], &[9.0, 8.0, 7.0], 3, 6) };
        assert_eq!(float(resets(&anchored, &[], &mut Work::default())), Some(1.0));
        let nothing = Window { start: 5, ..anchored };
        assert_eq!(float(resets(&nothing, &[], &mut Work::default())), None);
    }
}
