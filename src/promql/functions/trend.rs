//! Where floats are heading, and what they add up to over time: `deriv`, `predict_linear`, `double_exponential_smoothing` and
//! `integral`.

use super::super::neumaier;
use super::notes::{Note, Work};
use super::window::{Datum, Window};

pub(super) fn deriv(window: &Window<'_>, _: &[f64], work: &mut Work) -> Option<Datum> {
    // Times near each other keep the products small, and with them what rounding takes.
    let &first = window.times.first()?;
    let line = Line::through(window, first, work)?;
    Some(Datum::Float(line.slope))
}

pub(super) fn predict_linear(window: &Window<'_>, scalars: &[f64], work: &mut Work) -> Option<Datum> {
    let line = Line::through(window, window.time, work)?;
    Some(Datum::Float(line.slope * scalars.first()? + line.intercept))
}

/// The line with the least squares.
struct Line {
    /// By second.
    slope: f64,
    /// Its value at a time.
    intercept: f64,
}

impl Line {
    fn through(window: &Window<'_>, at: i64, work: &mut Work) -> Option<Self> {
        let values = window.values;
        if !values.is_empty() {
            window.note_ignored(&mut work.notes);
        }
        if values.len() < 2 {
            return None;
        }
        if values.iter().all(|value| *value == values[0]) {
            let [slope, intercept] = if values[0].is_infinite() { [f64::NAN; 2] } else { [0.0, values[0]] };
            return Some(Self { slope, intercept });
        }
        let n = values.len() as f64;
        let mut sums = [(0.0, 0.0); 4];
        for (&time, &y) in window.times.iter().zip(values) {
            let x = (time - at) as f64 / 1e3;
            for (sum, part) in sums.iter_mut().zip([x, y, x * y, x * x]) {
                *sum = neumaier::add(part, sum.0, sum.1);
            }
        }
        let [x, y, xy, xx] = sums.map(|(sum, rest)| sum + rest);
        let slope = (xy - x * y / n) / (xx - x * x / n);
        Some(Self { slope, intercept: y / n - slope * x / n })
    }
}

/// Smoothed level and trend, both with exponentially falling weight of what is older (Holt's linear method).
pub(super) fn double_exponential_smoothing(window: &Window<'_>, scalars: &[f64], work: &mut Work) -> Option<Datum> {
    let &[smoothing, trending] = scalars else { return None };
    for (factor, name) in [(smoothing, "smoothing"), (trending, "trend")] {
        // As Prometheus: what is no number passes.
        if factor <= 0.0 || factor >= 1.0 {
            let bound = if name == "smoothing" { "sf" } else { "tf" };
            work.notes.fail(format!("invalid {name} factor. Expected: 0 < {bound} < 1, got: {factor:.6}"));
            return None;
        }
    }
    let values = window.values;
    if !values.is_empty() {
        window.note_ignored(&mut work.notes);
    }
    let [first, second, ..] = *values else { return None };
    let (mut before, mut level, mut trend) = (0.0, first, second - first);
    for (place, &value) in values[1..].iter().enumerate() {
        if place > 0 {
            trend = trending * (level - before) + (1.0 - trending) * trend;
        }
        (before, level) = (level, smoothing * value + (1.0 - smoothing) * (level + trend));
    }
    Some(Datum::Float(level))
}

/// How the area between two samples is told.
#[derive(Clone, Copy)]
enum Area {
    /// By the earlier sample.
    Left,
    /// By the later one.
    Right,
    /// By the middle of both.
    Trapezoid,
}

pub(super) fn integral(window: &Window<'_>, scalars: &[f64], work: &mut Work) -> Option<Datum> {
    if window.values.is_empty() {
        return None;
    }
    window.note_ignored(&mut work.notes);
    let area = match scalars.first() {
        None => Area::Trapezoid,
        Some(0.0) => Area::Left,
        Some(1.0) => Area::Right,
        Some(2.0) => Area::Trapezoid,
        Some(other) => {
            window.note(&mut work.notes, 1, Note::InvalidIntegralStrategy(*other));
            Area::Trapezoid
        }
    };
    // What is no number counts as zero, so that its neighbours tell what they can.
    let number = |value: f64| if value.is_nan() { 0.0 } else { value };
    let middle = |left: f64, right: f64| {
        let (sum, rest) = neumaier::add(right, left, 0.0);
        if sum.is_infinite() && left.is_finite() && right.is_finite() {
            return neumaier::add(right / 2.0, left / 2.0, 0.0);
        }
        (sum / 2.0, rest / 2.0)
    };
    let (mut sum, mut rest) = (0.0, 0.0);
    for (times, values) in window.times.windows(2).zip(window.values.windows(2)) {
        let (left, right) = (number(values[0]), number(values[1]));
        let seconds = (times[1] - times[0]) as f64 / 1000.0;
        let (height, lost) = match area {
            Area::Left => (left, 0.0),
            Area::Right => (right, 0.0),
            Area::Trapezoid => middle(left, right),
        };
        if height != 0.0 || lost != 0.0 {
            (sum, rest) = neumaier::add(height * seconds, sum, rest + lost * seconds);
        }
    }
    Some(Datum::Float(if sum.is_infinite() { sum } else { sum + rest }))
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::window;
    use super::*;

    fn float(datum: Option<Datum>) -> f64 {
        match datum {
            Some(Datum::Float(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_goes_on_as_it_went() {
        let rising = window(&[0, 10_000, 20_000], &[1.0, 3.0, 5.0], -1, 30_000);
        assert!((float(deriv(&rising, &[], &mut Work::default())) - 0.2).abs() < 1e-12);
        assert!((float(predict_linear(&rising, &[60.0], &mut Work::default())) - 19.0).abs() < 1e-9);
        let flat = window(&[0, 10_000], &[7.0, 7.0], -1, 30_000);
        assert_eq!(float(predict_linear(&flat, &[60.0], &mut Work::default())), 7.0);
        let infinite = window(&[0, 10_000], &[f64::INFINITY; 2], -1, 30_000);
        assert!(float(deriv(&infinite, &[], &mut Work::default())).is_nan());
        assert!(deriv(&window(&[0], &[1.0], -1, 1), &[], &mut Work::default()).is_none());
    }

    #[test]
    fn levels_are_smoothed_with_their_trend() {
        let values = window(&[0, 1, 2], &[10.0, 20.0, 60.0], -1, 3);
        // Trend 10; level 0.5·20 + 0.5·20 = 20; trend 0.5·10 + 0.5·10; level 0.5·60 + 0.5·30.
        let smooth = |scalars: &[f64], work: &mut Work| double_exponential_smoothing(&values, scalars, work);
        assert_eq!(float(smooth(&[0.5, 0.5], &mut Work::default())), 45.0);
        let mut work = Work::default();
        assert!(smooth(&[0.5, 1.0], &mut work).is_none());
        assert_eq!(work.notes.failure(), Some("invalid trend factor. Expected: 0 < tf < 1, got: 1.000000"));
    }

    #[test]
    fn areas_are_told_by_one_sample_or_both() {
        let values = window(&[0, 2000, 3000, 5000], &[1.0, 3.0, f64::NAN, 5.0], -1, 6000);
        for (scalars, area) in [(&[0.0][..], 5.0), (&[1.0], 16.0), (&[2.0], 10.5), (&[], 10.5)] {
            let mut work = Work::default();
            assert_eq!(float(integral(&values, scalars, &mut work)), area);
            assert!(work.notes.is_empty());
        }
        let mut work = Work::default();
        assert_eq!(float(integral(&values, &[0.5], &mut work)), 10.5);
        assert!(!work.notes.is_empty());
    }
}
