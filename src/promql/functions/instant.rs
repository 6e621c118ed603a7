//! `irate` and `idelta`: how much a series grew between its last two samples.

use std::sync::Arc;

use super::super::histogram::FloatHistogram;
use super::notes::{Note, Work};
use super::rate::subtract;
use super::starts::is_reset;
use super::window::{Datum, Window};
use crate::data::histogram::ResetHint;

pub(super) fn irate(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    grown(window, true, work)
}

pub(super) fn idelta(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    grown(window, false, work)
}

/// A sample of either kind.
#[derive(Clone, Copy)]
struct Last<'a> {
    time: i64,
    start: i64,
    value: Value<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

impl<'a> Last<'a> {
    /// The sample with so many behind it of either kind, if there are so many.
    fn but(window: &Window<'a>, floats: usize, histograms: usize) -> Option<Self> {
        let float = window.values.len().checked_sub(floats + 1);
        let histogram = window.histograms.len().checked_sub(histograms + 1);
        let later = |at: usize, other: usize| window.histogram_times[other] >= window.times[at];
        match (float, histogram) {
            (Some(at), Some(other)) if later(at, other) => Some(Self::histogram(window, other)),
            (Some(at), _) => {
                let start = window.starts.get(at).copied().unwrap_or(0);
                Some(Self { time: window.times[at], start, value: Value::Float(window.values[at]) })
            }
            (None, Some(other)) => Some(Self::histogram(window, other)),
            (None, None) => None,
        }
    }

    fn histogram(window: &Window<'a>, at: usize) -> Self {
        let start = window.histogram_starts.get(at).copied().unwrap_or(0);
        Self { time: window.histogram_times[at], start, value: Value::Histogram(&window.histograms[at]) }
    }
}

fn grown(window: &Window<'_>, counter: bool, work: &mut Work) -> Option<Datum> {
    let last = Last::but(window, 0, 0)?;
    let before = match last.value {
        Value::Float(_) => Last::but(window, 1, 0),
        Value::Histogram(_) => Last::but(window, 0, 1),
    }?;
    let seconds = (last.time - before.time) as f64 / 1000.0;
    if seconds == 0.0 {
        return None;
    }
    let reset = counter && is_reset(before.start, before.time, last.start, last.time);
    match (before.value, last.value) {
        (Value::Float(from), Value::Float(to)) => {
            // Since a reset it has grown by all that it is.
            let grown = if counter && (to < from || reset) { to } else { to - from };
            Some(Datum::Float(if counter { grown / seconds } else { grown }))
        }
        (Value::Histogram(from), Value::Histogram(to)) => {
            let gauge = |histogram: &FloatHistogram| histogram.reset_hint == ResetHint::Gauge;
            if counter && (gauge(from) || gauge(to)) {
                window.note(&mut work.notes, 0, Note::NativeNotCounter(window.metric.into()));
            }
            if !counter && (!gauge(from) || !gauge(to)) {
                window.note(&mut work.notes, 0, Note::NativeNotGauge(window.metric.into()));
            }
            let mut grown = FloatHistogram::clone(to);
            if !counter || !(reset || to.is_reset_since(from)) {
                subtract(&mut grown, from, window, work)?;
            }
            grown.reset_hint = ResetHint::Gauge;
            grown.compact();
            if counter {
                grown.divide(seconds);
            }
            Some(Datum::Histogram(Arc::new(grown)))
        }
        _ => {
            window.note(&mut work.notes, 0, Note::MixedFloatsHistograms(window.metric.into()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::window;
    use super::*;

    fn float(datum: Option<Datum>) -> Option<f64> {
        match datum? {
            Datum::Float(value) => Some(value),
            Datum::Histogram(_) => None,
        }
    }

    #[test]
    fn the_last_two_samples_tell() {
        let grown = window(&[0, 10_000, 15_000], &[1.0, 5.0, 10.0], -1, 20_000);
        assert_eq!(float(irate(&grown, &[], &mut Work::default())), Some(1.0));
        assert_eq!(float(idelta(&grown, &[], &mut Work::default())), Some(5.0));
        let reset = window(&[10_000, 15_000], &[5.0, 2.0], -1, 20_000);
        assert_eq!(float(irate(&reset, &[], &mut Work::default())), Some(0.4));
        assert_eq!(float(idelta(&reset, &[], &mut Work::default())), Some(-3.0));
        let hidden = Window { starts: &[1000, 12_000], ..window(&[10_000, 15_000], &[5.0, 20.0], -1, 20_000) };
        assert_eq!(float(irate(&hidden, &[], &mut Work::default())), Some(4.0));
        assert!(irate(&window(&[10_000], &[5.0], -1, 20_000), &[], &mut Work::default()).is_none());
    }

    #[test]
    fn a_float_behind_a_histogram_tells_nothing() {
        let histograms = [Arc::new(FloatHistogram::empty(0, Arc::new([])))];
        let mixed = Window {
            histogram_times: &[14_000],
            histograms: &histograms,
            ..window(&[10_000, 15_000], &[5.0, 6.0], -1, 20_000)
        };
        let mut work = Work::default();
        assert!(irate(&mixed, &[], &mut work).is_none());
        assert!(!work.notes.is_empty());
        // Before the last two samples it does not matter.
        let mut work = Work::default();
        let before = Window { histogram_times: &[9000], ..mixed };
        assert_eq!(float(irate(&before, &[], &mut work)), Some(0.2));
        assert!(work.notes.is_empty());
    }
}
