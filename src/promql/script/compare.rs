//! Holds what came out to what was expected.

use super::expect::{Expectations, Expected, Notes, Points, Words};
use super::histogram_notation::{self, number};
use super::series_notation::{Item, Series};
use crate::data::histogram::Histogram;
use crate::data::labels::{LabelSet, METRIC_NAME};
use crate::data::metrics::is_stale;
use crate::promql::histogram::{Buckets, FloatHistogram};
use crate::promql::{Annotations, Point, SeriesPoints, Value, VectorSample};

/// Relative error that a number may have.
const EPSILON: f64 = 1e-6;

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What was expected.
    pub expected: String,
    /// What came out.
    pub got: String,
}

fn differs(expected: impl Into<String>, got: impl Into<String>) -> Difference {
    Difference { expected: expected.into(), got: got.into() }
}

/// What differs from the value that was expected, series by series.
pub(super) fn value(expected: &Expectations, got: &Value) -> Vec<Difference> {
    match (&expected.value, got) {
        (Expected::Scalar(wanted), Value::Scalar(value)) if almost_equal(*wanted, *value) => Vec::new(),
        (Expected::Text(wanted), Value::String(text)) if wanted == text => Vec::new(),
        (Expected::Series(wanted), Value::Vector(got)) => match expected.points {
            None => vector(wanted, got, expected.ordered),
            Some(_) => vec![differs("a range vector", "an instant vector")],
        },
        (Expected::Series(wanted), Value::Matrix(got)) => match expected.points {
            Some(_) if expected.ordered => vec![differs("series in an order", "series over time, which have none")],
            Some(points) => matrix(wanted, got, points),
            None => vec![differs("an instant vector", "a range vector; `expect range vector` gives its times")],
        },
        (wanted, got) => vec![differs(kind_expected(wanted), kind(got))],
    }
}

fn kind_expected(expected: &Expected) -> String {
    match expected {
        Expected::Series(_) => "series".into(),
        Expected::Scalar(value) => number(*value),
        Expected::Text(text) => format!("{text:?}"),
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Scalar(value) => number(*value),
        Value::String(text) => format!("{text:?}"),
        Value::Vector(series) => {
            let shown: Vec<_> =
                series.iter().take(5).map(|series| line(&series.labels, &point(&series.point))).collect();
            format!("{} series {}", series.len(), shown.join(", "))
        }
        Value::Matrix(series) => {
            let shown: Vec<_> = series.iter().take(5).map(|series| labels(&series.labels)).collect();
            format!("{} series over time {}", series.len(), shown.join(", "))
        }
    }
}

fn vector(wanted: &[Series], got: &[VectorSample], ordered: bool) -> Vec<Difference> {
    let mut differences = Vec::new();
    for series in wanted {
        let Some(item) = series.values.first() else { continue };
        let wanted_line = || line(&series.labels, &item_text(item));
        let mut found = got.iter().filter(|sample| sample.labels == series.labels);
        match found.next() {
            None => differences.push(differs(wanted_line(), "nothing of these labels")),
            Some(sample) if !fits(item, &sample.point) => {
                differences.push(differs(wanted_line(), line(&sample.labels, &point(&sample.point))));
            }
            Some(_) => {}
        }
        if let Some(again) = found.next() {
            differences.push(differs("each series once", line(&again.labels, &point(&again.point))));
        }
    }
    for sample in got.iter().filter(|sample| !wanted.iter().any(|series| series.labels == sample.labels)) {
        differences.push(differs("nothing of these labels", line(&sample.labels, &point(&sample.point))));
    }
    if ordered
        && differences.is_empty()
        && !wanted.iter().map(|series| &series.labels).eq(got.iter().map(|got| &got.labels))
    {
        let order = |series: &mut dyn Iterator<Item = &LabelSet>| series.map(labels).collect::<Vec<_>>().join(", ");
        differences.push(differs(
            format!("in this order: {}", order(&mut wanted.iter().map(|series| &series.labels))),
            format!("in this order: {}", order(&mut got.iter().map(|series| &series.labels))),
        ));
    }
    differences
}

fn matrix(wanted: &[Series], got: &[SeriesPoints], points: Points) -> Vec<Difference> {
    let mut differences = Vec::new();
    for series in wanted {
        let wanted_line = || line(&series.labels, &series.values.iter().map(item_text).collect::<Vec<_>>().join(" "));
        match got.iter().find(|got| got.labels == series.labels) {
            None => differences.push(differs(wanted_line(), "nothing of these labels")),
            Some(got) if !fit_over_time(&series.values, got, points) => {
                differences.push(differs(wanted_line(), line(&got.labels, &over_time(got, points))));
            }
            Some(_) => {}
        }
    }
    for series in got.iter().filter(|got| !wanted.iter().any(|series| series.labels == got.labels)) {
        differences.push(differs("nothing of these labels", line(&series.labels, &over_time(series, points))));
    }
    if let Some(pair) = got.windows(2).find(|pair| pair[0].labels >= pair[1].labels) {
        let order = format!("{} before {}", labels(&pair[0].labels), labels(&pair[1].labels));
        differences.push(differs("series in the order of their labels, each once", order));
    }
    differences
}

fn fit_over_time(wanted: &[Item], got: &SeriesPoints, points: Points) -> bool {
    let wanted = (0..).zip(wanted).filter(|(_, item)| !matches!(item, Item::None));
    let mut got = got.points.iter();
    let mut all = wanted.map(|(place, item)| (points.time(place), item));
    all.all(|(time, item)| got.next().is_some_and(|(at, point)| *at == time && fits(item, point)))
        && got.next().is_none()
}

/// The points as a script would expect them; one that is at no step is shown with its time.
fn over_time(series: &SeriesPoints, points: Points) -> String {
    let (mut texts, mut place) = (Vec::new(), 0);
    for (time, value) in &series.points {
        while points.time(place) < *time && points.time(place) < points.end {
            texts.push("_".to_owned());
            place += 1;
        }
        let text = point(value);
        if points.time(place) == *time {
            texts.push(text);
            place += 1;
        } else {
            texts.push(format!("{text}@{}s", number(*time as f64 / 1000.0)));
        }
    }
    texts.join(" ")
}

fn fits(item: &Item, point: &Point) -> bool {
    match (item, point) {
        (Item::Float(wanted), Point::Float(value)) => almost_equal(*wanted, *value),
        (Item::Histogram { histogram, hint_given }, Point::Histogram(got)) => {
            (!hint_given || histogram.reset_hint == got.reset_hint) && almost_same(histogram, got)
        }
        _ => false,
    }
}

/// Whether two numbers are the same but for an error of the computation. Staleness markers are another kind of NaN.
fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

fn almost_same(a: &Histogram, b: &Histogram) -> bool {
    let [a, b] = [a, b].map(|histogram| {
        let mut histogram = FloatHistogram::from(histogram);
        // An empty bucket is the same as none.
        histogram.compact();
        histogram
    });
    let same_side = |a: &Buckets, b: &Buckets| {
        a.indexes() == b.indexes() && a.counts().iter().zip(b.counts()).all(|(a, b)| almost_equal(*a, *b))
    };
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && a.custom_bounds == b.custom_bounds
        && almost_equal(a.count, b.count)
        && almost_equal(a.sum, b.sum)
        && almost_equal(a.zero_count, b.zero_count)
        && same_side(&a.positive, &b.positive)
        && same_side(&a.negative, &b.negative)
}

/// What differs in warnings and infos.
pub(super) fn notes(expected: &Expectations, got: &Annotations) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (kind, wanted, got) in [("warning", &expected.warnings, &got.warnings), ("info", &expected.infos, &got.infos)] {
        match wanted {
            Notes::Whatever => {}
            Notes::None => differences.extend(got.iter().map(|note| differs(format!("no {kind}"), note))),
            Notes::Some(words) => {
                let all = || {
                    if got.is_empty() { "none".to_owned() } else { got.iter().cloned().collect::<Vec<_>>().join("; ") }
                };
                let missed = words.iter().filter(|words| !got.iter().any(|note| words.fit(note)));
                differences.extend(missed.map(|words| differs(format!("{kind}: {}", words.shown()), all())));
                let more = got.iter().filter(|note| !words.iter().any(|words| words.fit(note)));
                differences.extend(more.map(|note| differs(format!("no other {kind}"), note)));
            }
        }
    }
    differences
}

/// What differs in the failure that was expected.
pub(super) fn failure(words: &Words, got: &str) -> Vec<Difference> {
    if words.fit(got) {
        Vec::new()
    } else {
        vec![differs(format!("error: {}", words.shown()), format!("error: {got}"))]
    }
}

fn line(series: &LabelSet, values: &str) -> String {
    format!("{} {values}", labels(series))
}

/// Labels as a script writes them.
pub(super) fn labels(set: &LabelSet) -> String {
    let name = set.get(METRIC_NAME);
    let plain = |name: &str, colon: bool| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
        !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(fits)
    };
    let mut parts = Vec::new();
    let outside = plain(name, true);
    if !outside {
        parts.push(format!("{name:?}"));
    }
    for (label, value) in set.iter().filter(|(label, _)| *label != METRIC_NAME) {
        parts.push(if plain(label, false) { format!("{label}={value:?}") } else { format!("{label:?}={value:?}") });
    }
    let inside = if parts.is_empty() && !name.is_empty() { String::new() } else { format!("{{{}}}", parts.join(", ")) };
    format!("{}{inside}", if outside { name } else { "" })
}

fn item_text(item: &Item) -> String {
    match item {
        Item::None => "_".into(),
        Item::Float(value) => float(*value),
        Item::Histogram { histogram, .. } => histogram_notation::text(histogram),
    }
}

fn point(point: &Point) -> String {
    match point {
        Point::Float(value) => float(*value),
        Point::Histogram(histogram) => histogram_notation::text(histogram),
    }
}

fn float(value: f64) -> String {
    if is_stale(value) { "stale".into() } else { number(value) }
}
