//! Values as Prometheus's API writes them: numbers as texts, times as seconds with at most three digits behind the point,
//! native histograms as their buckets. Answers are tens of megabytes at times: a point of a range is the text of its step,
//! which is made once, and its number.

use std::io::Write;

use crate::data::histogram::Histogram;
use crate::data::labels::LabelSet;
use crate::data::metrics::is_stale;
use crate::formats::prometheus::number;
use crate::promql::histogram::FloatHistogram;
use crate::promql::{Matrix, MatrixSeries, Point, SeriesPoints, Value, VectorSample};

/// Writes a value and its type; `time` is when it was evaluated, in milliseconds since 1970.
pub(super) fn value(value: &Value, time: i64, out: &mut Vec<u8>) {
    let kind = match value {
        Value::Scalar(_) => "scalar",
        Value::String(_) => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    };
    // Writing to memory cannot fail; so it is below.
    let _ = write!(out, "{{\"resultType\":\"{kind}\",\"result\":[");
    match value {
        Value::Scalar(value) => {
            timestamp(time, out);
            // Of a scalar alone Prometheus writes all digits of whatever size.
            out.extend_from_slice(b",\"");
            number::push_plain(*value, out);
            out.push(b'"');
        }
        Value::String(value) => {
            timestamp(time, out);
            out.push(b',');
            text(value, out);
        }
        Value::Vector(samples) => list(samples, out, sample),
        Value::Matrix(all) => list(all, out, series),
    }
    out.extend_from_slice(b"]}");
}

/// Writes the result of a range. After each series `part` may take what is written so far, or end it.
pub(super) fn matrix<E>(
    matrix: &Matrix,
    out: &mut Vec<u8>,
    mut part: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    out.extend_from_slice(b"{\"resultType\":\"matrix\",\"result\":[");
    let steps = Steps::of(matrix.times());
    for (place, series) in matrix.series().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        of_range(&series, &steps, out);
        part(out)?;
    }
    out.extend_from_slice(b"]}");
    Ok(())
}

/// How points of each step begin: `[1435781451.781,`.
struct Steps {
    texts: Vec<u8>,
    ends: Vec<usize>,
}

impl Steps {
    fn of(times: impl Iterator<Item = i64>) -> Self {
        let (mut texts, mut ends) = (Vec::new(), vec![0]);
        for time in times {
            texts.push(b'[');
            timestamp(time, &mut texts);
            texts.push(b',');
            ends.push(texts.len());
        }
        Self { texts, ends }
    }

    fn begin(&self, step: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.texts[self.ends[step]..self.ends[step + 1]]);
    }
}

fn of_range(series: &MatrixSeries<'_>, steps: &Steps, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"metric\":");
    labels(series.labels.iter(), out);
    let mut numbers = series.values.iter().enumerate().filter(|(_, value)| !is_stale(**value)).peekable();
    if numbers.peek().is_some() {
        out.extend_from_slice(b",\"values\":[");
        list(numbers, out, |(step, value), out| {
            steps.begin(step, out);
            float(*value, out);
            out.push(b']');
        });
        out.push(b']');
    }
    if !series.histograms.is_empty() {
        out.extend_from_slice(b",\"histograms\":[");
        list(series.histograms, out, |(step, histogram), out| {
            steps.begin(*step as usize, out);
            buckets(histogram, out);
            out.push(b']');
        });
        out.push(b']');
    }
    out.push(b'}');
}

fn sample(sample: &VectorSample, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"metric\":");
    labels(sample.labels.iter(), out);
    let member = match sample.point {
        Point::Float(_) => ",\"value\":",
        Point::Histogram(_) => ",\"histogram\":",
    };
    out.extend_from_slice(member.as_bytes());
    point(sample.time, &sample.point, out);
    out.push(b'}');
}

fn series(series: &SeriesPoints, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"metric\":");
    labels(series.labels.iter(), out);
    let is_float = |point: &&(i64, Point)| matches!(point.1, Point::Float(_));
    let write = |(time, value): &(i64, Point), out: &mut Vec<u8>| point(*time, value, out);
    if series.points.iter().any(|point| is_float(&point)) {
        out.extend_from_slice(b",\"values\":[");
        list(series.points.iter().filter(is_float), out, write);
        out.push(b']');
    }
    if series.points.iter().any(|point| !is_float(&point)) {
        out.extend_from_slice(b",\"histograms\":[");
        list(series.points.iter().filter(|point| !is_float(point)), out, write);
        out.push(b']');
    }
    out.push(b'}');
}

fn point(time: i64, point: &Point, out: &mut Vec<u8>) {
    out.push(b'[');
    timestamp(time, out);
    out.push(b',');
    match point {
        Point::Float(value) => float(*value, out),
        Point::Histogram(value) => histogram(value, out),
    }
    out.push(b']');
}

fn histogram(histogram: &Histogram, out: &mut Vec<u8>) {
    buckets(&FloatHistogram::from(histogram), out);
}

fn buckets(histogram: &FloatHistogram, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"count\":");
    float(histogram.count, out);
    out.extend_from_slice(b",\"sum\":");
    float(histogram.sum, out);
    let mut filled = histogram.buckets().filter(|bucket| bucket.count != 0.0).peekable();
    if filled.peek().is_some() {
        out.extend_from_slice(b",\"buckets\":[");
        list(filled, out, |bucket, out| {
            // Which of its bounds belong to it.
            let bounds = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => b'0',
                (true, false) => b'1',
                (false, false) => b'2',
                (true, true) => b'3',
            };
            out.extend_from_slice(&[b'[', bounds]);
            for number in [bucket.lower, bucket.upper, bucket.count] {
                out.push(b',');
                float(number, out);
            }
            out.push(b']');
        });
        out.push(b']');
    }
    out.push(b'}');
}

/// Labels as an object, in the order of their names.
pub(super) fn label_set(set: &LabelSet, out: &mut Vec<u8>) {
    labels(set.iter(), out);
}

fn labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    out.push(b'{');
    list(labels, out, |(name, value), out| {
        text(name, out);
        out.push(b':');
        text(value, out);
    });
    out.push(b'}');
}

/// A number as a text, without an exponent from a millionth on and below 1e21.
pub(super) fn float(value: f64, out: &mut Vec<u8>) {
    out.push(b'"');
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        number::push_plain(value, out);
    } else {
        number::push_scientific(value, out);
    }
    out.push(b'"');
}

/// Milliseconds as seconds.
pub(super) fn timestamp(millis: i64, out: &mut Vec<u8>) {
    let (sign, size) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    let _ = write!(out, "{sign}{}", size / 1000);
    if size % 1000 != 0 {
        let _ = write!(out, ".{:03}", size % 1000);
    }
}

/// A text.
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, text);
}

/// Items with commas between them.
pub(super) fn list<T>(items: impl IntoIterator<Item = T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(item, out);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::promql::script::MemorySamples;
    use crate::promql::script::series_notation::{self, Item};
    use crate::promql::{Limits, Query, When};

    fn written(value: &Value) -> String {
        let mut out = Vec::new();
        super::value(value, 1_435_781_451_781, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn points(text: &str) -> SeriesPoints {
        let series = series_notation::series(text).expect("a series");
        let points = (1..).map(|second| second * 1000).zip(series.values).filter_map(|(time, item)| match item {
            Item::None => None,
            Item::Float(value) => Some((time, Point::Float(value))),
            Item::Histogram { histogram, .. } => Some((time, Point::Histogram(histogram))),
        });
        SeriesPoints { labels: series.labels, points: points.collect() }
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-07"),
            (-1.5, "-1.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            let mut out = Vec::new();
            float(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), format!("\"{expected}\""));
        }
        for (millis, expected) in [(0, "0"), (5, "0.005"), (-1500, "-1.500"), (1_435_781_451_780, "1435781451.780")] {
            let mut out = Vec::new();
            timestamp(millis, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn a_range_is_written_as_its_points_are() {
        let mut samples = MemorySamples::new();
        for text in ["b{x=\"2\"} 1 _ {{count:2 sum:3}} 4.5", "a _ 1e-7", "b{x=\"1\"} {{count:1}}", "b stale NaN"] {
            let series = series_notation::series(text).expect("a series");
            for (place, item) in series.values.iter().enumerate() {
                samples.append(&series.labels, place as i64 * 1500, None, item).expect("appended");
            }
        }
        for (text, start) in
            [("last_over_time({__name__=~\".+\"}[1s])", 0), ("nothing", 0), ("time() * 0.1", 0), ("b", 9000)]
        {
            let query = Query::parse(text).expect("a query");
            let range = When::Range { start, end: 6000, step: 1500 };
            let points = query.evaluate(&samples, range, &Limits::default()).expect("a result").value;
            let (columns, _) =
                query.evaluate_range(&samples, (start, 6000, 1500), &Limits::default()).expect("a result");
            let mut out = Vec::new();
            matrix(&columns, &mut out, |_| Ok::<_, ()>(())).expect("nobody ends it");
            assert_eq!(String::from_utf8(out).expect("UTF-8"), written(&points), "{text}");
        }
    }

    #[test]
    fn every_kind_of_value_is_written() {
        let time = "1435781451.781";
        assert_eq!(written(&Value::Scalar(1.0)), format!(r#"{{"resultType":"scalar","result":[{time},"1"]}}"#));
        let large = r#""1000000000000000000000""#;
        assert_eq!(written(&Value::Scalar(1e21)), format!(r#"{{"resultType":"scalar","result":[{time},{large}]}}"#));
        let string = Value::String("a\"b\n".into());
        assert_eq!(written(&string), format!(r#"{{"resultType":"string","result":[{time},"a\"b\n"]}}"#));
        assert_eq!(written(&Value::Vector(Vec::new())), r#"{"resultType":"vector","result":[]}"#);
        let SeriesPoints { labels, points: at } = points(r#"up{job="a<b"} 1"#);
        let vector = Value::Vector(vec![VectorSample { labels, time: 1500, point: at[0].1.clone() }]);
        let expected =
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a<b"},"value":[1.500,"1"]}]}"#;
        assert_eq!(written(&vector), expected);
        let matrix = Value::Matrix(vec![points("a 1 _ {{count:2 sum:3}} 4"), points("{} 5")]);
        let expected = r#"{"resultType":"matrix","result":[{"metric":{"__name__":"a"},"values":[[1,"1"],[4,"4"]],"histograms":[[3,{"count":"2","sum":"3"}]]},{"metric":{},"values":[[1,"5"]]}]}"#;
        assert_eq!(written(&matrix), expected);
    }

    #[test]
    fn a_histogram_is_its_buckets() {
        let text = "a {{count:15 sum:2.5 z_bucket:2 z_bucket_w:0.5 buckets:[4 0 5] n_buckets:[1 3]}}";
        let SeriesPoints { labels, points: at } = points(text);
        let vector = Value::Vector(vec![VectorSample { labels, time: 0, point: at[0].1.clone() }]);
        let expected = r#"{"resultType":"vector","result":[{"metric":{"__name__":"a"},"histogram":[0,{"count":"15","sum":"2.5","buckets":[[1,"-2","-1","3"],[1,"-1","-0.5","1"],[3,"-0.5","0.5","2"],[0,"0.5","1","4"],[0,"2","4","5"]]}]}]}"#;
        assert_eq!(written(&vector), expected);
        let SeriesPoints { points: at, .. } = points("a {{schema:-53 custom_values:[1 2] count:3 buckets:[1 1 1]}}");
        let Point::Histogram(custom) = &at[0].1 else { panic!() };
        let mut out = Vec::new();
        histogram(&Arc::clone(custom), &mut out);
        let expected = r#"{"count":"3","sum":"0","buckets":[[3,"-Inf","1","1"],[0,"1","2","1"],[0,"2","+Inf","1"]]}"#;
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
