//! Samples as lines: newline-delimited JSON from which every sample can be had back to the bit, and text for
//! people. What the sinks `file` and `console` write of metrics.
//!
//! ```json
//! {"labels":{"__name__":"up","job":"web"},"timestamp":1700000000000,"value":"1"}
//! ```
//!
//! Numbers are texts, as in Prometheus's API, since JSON has no NaN and no infinity: the shortest digits that
//! read back as the same number, `NaN`, `+Inf`, `-Inf`; `stale` for a staleness marker, and `NaN:` with 16
//! hexadecimal digits for any other NaN. Instead of `value` a native histogram has `histogram`. `created`
//! (milliseconds) and `exemplars` are there where the sample has them.

use std::io::Write;

use super::json::text::write_string;
use super::prometheus::number::{self, NORMAL_NAN};
use crate::data::histogram::{BucketSpan, Counts, Histogram, ResetHint};
use crate::data::metrics::{STALE, SampleValue};
use crate::data::{Labels, MetricBatch, UnixNanos};

/// Appends a line of JSON for each selected sample.
pub fn json(batch: &MetricBatch, out: &mut Vec<u8>) {
    let table = batch.series().table().read();
    for sample in batch.iter() {
        out.extend_from_slice(b"{\"labels\":");
        labels(table.labels(sample.series), out);
        out.extend_from_slice(b",\"timestamp\":");
        integer(sample.time.0, out);
        match sample.value {
            SampleValue::Float(value) => {
                out.extend_from_slice(b",\"value\":");
                number(value, out);
            }
            SampleValue::Histogram(of) => {
                out.extend_from_slice(b",\"histogram\":");
                histogram(of, out);
            }
        }
        if let Some(created) = batch.created(sample.index) {
            out.extend_from_slice(b",\"created\":");
            integer(created.0, out);
        }
        let mut exemplars = batch.exemplars(sample.index).iter().filter(|exemplar| exemplar.leaves()).peekable();
        if exemplars.peek().is_some() {
            out.extend_from_slice(b",\"exemplars\":[");
            list(exemplars, out, |exemplar, out| {
                out.extend_from_slice(b"{\"labels\":");
                labels(batch.exemplar_labels(exemplar), out);
                out.extend_from_slice(b",\"value\":");
                number(exemplar.value, out);
                if let Some(time) = exemplar.time {
                    out.extend_from_slice(b",\"timestamp\":");
                    integer(time.0, out);
                }
                out.push(b'}');
            });
            out.push(b']');
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Appends a line for people for each selected sample: time, series, value. Nothing in a label can end its line
/// or reach the terminal as a command.
pub fn text(batch: &MetricBatch, out: &mut Vec<u8>) {
    const INTO_MEMORY: &str = "writing into memory does not fail";
    let table = batch.series().table().read();
    for sample in batch.iter() {
        let nanos = u64::try_from(sample.time.0).unwrap_or_default().saturating_mul(1_000_000);
        UnixNanos(nanos).write_rfc3339(out);
        let labels = table.labels(sample.series);
        write!(out, " {} ", printable(labels)).expect(INTO_MEMORY);
        match sample.value {
            SampleValue::Float(value) => bare(value, out),
            SampleValue::Histogram(of) => {
                let (count, sum) = (count(of), of.sum);
                write!(out, "histogram of {count} observations, sum {sum}").expect(INTO_MEMORY);
            }
        }
        out.push(b'\n');
    }
}

/// A series as text; names may be any UTF-8.
fn printable(labels: Labels<'_>) -> String {
    let text = labels.to_string();
    match text.chars().any(char::is_control) {
        true => text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect(),
        false => text,
    }
}

fn count(histogram: &Histogram) -> f64 {
    match &histogram.counts {
        Counts::Integer { count, .. } => *count as f64,
        Counts::Float { count, .. } => *count,
    }
}

fn labels(labels: Labels<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name.as_bytes(), out);
        out.push(b':');
        write_string(value.as_bytes(), out);
    }
    out.push(b'}');
}

fn integer(number: i64, out: &mut Vec<u8>) {
    // Writing into memory does not fail.
    let _ = write!(out, "{number}");
}

fn number(value: f64, out: &mut Vec<u8>) {
    out.push(b'"');
    bare(value, out);
    out.push(b'"');
}

fn bare(value: f64, out: &mut Vec<u8>) {
    if !value.is_nan() || value.to_bits() == NORMAL_NAN.to_bits() {
        number::push(value, out);
    } else if value.to_bits() == STALE.to_bits() {
        out.extend_from_slice(b"stale");
    } else {
        let _ = write!(out, "NaN:{:016x}", value.to_bits());
    }
}

fn list<'a, T: 'a>(items: impl IntoIterator<Item = &'a T>, out: &mut Vec<u8>, mut each: impl FnMut(&T, &mut Vec<u8>)) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        each(item, out);
    }
}

/// By the names of remote write 2.0: buckets of whole counts are differences, others are absolute.
fn histogram(histogram: &Histogram, out: &mut Vec<u8>) {
    let _ = write!(out, "{{\"schema\":{},\"zero_threshold\":", histogram.schema);
    number(histogram.zero_threshold, out);
    out.extend_from_slice(b",\"sum\":");
    number(histogram.sum, out);
    let field = |name: &str, out: &mut Vec<u8>| {
        let _ = write!(out, ",\"{name}\":");
    };
    let array = |name: &str, out: &mut Vec<u8>, write: &dyn Fn(&mut Vec<u8>)| {
        field(name, out);
        out.push(b'[');
        write(out);
        out.push(b']');
    };
    match &histogram.counts {
        Counts::Integer { count, zero, positive, negative } => {
            let _ = write!(out, ",\"count\":{count},\"zero_count\":{zero}");
            array("positive_deltas", out, &|out| list(positive, out, |delta, out| integer(*delta, out)));
            array("negative_deltas", out, &|out| list(negative, out, |delta, out| integer(*delta, out)));
        }
        Counts::Float { count, zero, positive, negative } => {
            field("count_float", out);
            number(*count, out);
            field("zero_count_float", out);
            number(*zero, out);
            array("positive_counts", out, &|out| list(positive, out, |count, out| number(*count, out)));
            array("negative_counts", out, &|out| list(negative, out, |count, out| number(*count, out)));
        }
    }
    let span = |span: &BucketSpan, out: &mut Vec<u8>| {
        let _ = write!(out, "[{},{}]", span.offset, span.length);
    };
    array("positive_spans", out, &|out| list(&histogram.positive_spans, out, span));
    array("negative_spans", out, &|out| list(&histogram.negative_spans, out, span));
    if !histogram.custom_bounds.is_empty() {
        array("custom_values", out, &|out| list(&histogram.custom_bounds, out, |bound, out| number(*bound, out)));
    }
    let hint = match histogram.reset_hint {
        ResetHint::Unknown => "unknown",
        ResetHint::Yes => "yes",
        ResetHint::No => "no",
        ResetHint::Gauge => "gauge",
    };
    let _ = write!(out, ",\"reset_hint\":\"{hint}\"}}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::data::metrics::Exemplar;
    use crate::data::series_table::{FamilyId, ListBuilder, SeriesTable};
    use crate::data::{LabelSet, MetricBuilder, UnixMillis};

    fn batch(values: &[f64], label: &str) -> MetricBatch {
        let mut list = ListBuilder::default();
        for number in 0..values.len() {
            let labels: LabelSet = [("__name__", "m"), ("n", &number.to_string()), ("l", label)].into_iter().collect();
            list.labels(&labels, FamilyId::default());
        }
        let mut builder = MetricBuilder::new();
        builder.samples().time = UnixMillis(1_700_000_000_000);
        builder.samples().values.extend(values);
        builder.build(Arc::default(), SeriesTable::new(100).list(&list).list)
    }

    fn lines(batch: &MetricBatch) -> Vec<Json> {
        let mut out = Vec::new();
        json(batch, &mut out);
        out.split(|byte| *byte == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).expect("JSON"))
            .collect()
    }

    fn read(text: &str) -> u64 {
        match (text, text.strip_prefix("NaN:")) {
            ("stale", _) => STALE.to_bits(),
            ("NaN", _) => NORMAL_NAN.to_bits(),
            (_, Some(bits)) => u64::from_str_radix(bits, 16).expect("hexadecimal"),
            _ => text.parse::<f64>().expect("a number").to_bits(),
        }
    }

    proptest! {
        #[test]
        fn every_value_and_label_reads_back_to_the_bit(
            bits in proptest::collection::vec(prop_oneof![
                any::<u64>(),
                any::<f64>().prop_map(f64::to_bits),
                Just(STALE.to_bits()),
                Just(NORMAL_NAN.to_bits()),
                Just(f64::NEG_INFINITY.to_bits()),
                Just((-0.0f64).to_bits()),
            ], 1..8),
            label in "[a\"\\\\\n\u{1}\u{e9}]{0,6}",
        ) {
            let values: Vec<f64> = bits.iter().map(|bits| f64::from_bits(*bits)).collect();
            for (number, line) in lines(&batch(&values, &label)).iter().enumerate() {
                prop_assert_eq!(read(line["value"].as_str().expect("a text")), bits[number]);
                prop_assert_eq!(line["labels"]["l"].as_str().unwrap_or_default(), label.as_str());
                prop_assert_eq!(&line["timestamp"], &json!(1_700_000_000_000i64));
            }
        }
    }

    #[test]
    fn histograms_exemplars_and_beginnings_are_written() {
        let mut batch = batch(&[3.0, 0.0], "x");
        let plain = lines(&batch);
        assert_eq!(
            plain[0],
            json!({
                "labels": { "__name__": "m", "n": "0", "l": "x" }, "timestamp": 1_700_000_000_000i64, "value": "3"
            })
        );
        let mut builder = MetricBuilder::new();
        let samples = builder.samples();
        samples.values.extend([3.0, 0.0]);
        samples.created.push((0, UnixMillis(5)));
        let mut text = Vec::new();
        [("trace_id", "ab")].into_iter().collect::<LabelSet>().encode(&mut text);
        samples.exemplars.push(Exemplar {
            sample: 0,
            labels: 0..text.len() as u32,
            line: text.len() as u32..text.len() as u32 + 6,
            value: 0.5,
            time: Some(UnixMillis(7)),
        });
        let line = samples.exemplars[0].line.clone();
        samples.exemplars.push(Exemplar { sample: 0, labels: 0..0, line, value: 0.25, time: None });
        text.extend_from_slice(b"a line");
        samples.text = text;
        let histogram = Histogram {
            schema: 0,
            zero_threshold: 0.001,
            sum: f64::INFINITY,
            counts: Counts::Integer { count: 4, zero: 1, positive: vec![2, -1], negative: Vec::new() },
            positive_spans: vec![BucketSpan { offset: -1, length: 2 }],
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: ResetHint::No,
        };
        samples.histograms.push((1, Arc::new(histogram)));
        batch = builder.build(Arc::default(), batch.series().clone());
        let written = lines(&batch);
        assert_eq!(written[0]["created"], 5);
        assert_eq!(
            written[0]["exemplars"],
            json!([{ "labels": { "trace_id": "ab" }, "value": "0.5", "timestamp": 7 }])
        );
        assert_eq!(written[1].get("value"), None);
        assert_eq!(
            written[1]["histogram"],
            json!({
                "schema": 0, "zero_threshold": "0.001", "sum": "+Inf", "count": 4, "zero_count": 1,
                "positive_deltas": [2, -1], "negative_deltas": [], "positive_spans": [[-1, 2]], "negative_spans": [],
                "reset_hint": "no"
            })
        );
    }

    #[test]
    fn people_read_a_line_a_sample() {
        let mut out = Vec::new();
        text(&batch(&[1.5, STALE], "a\u{1b}\n"), &mut out);
        let expected = "2023-11-14T22:13:20.000000000Z m{l=\"a\\u{1b}\\n\", n=\"0\"} 1.5\n\
                        2023-11-14T22:13:20.000000000Z m{l=\"a\\u{1b}\\n\", n=\"1\"} stale\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
