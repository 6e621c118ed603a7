//! What is written reads back, and as OpenMetrics it is valid.

use proptest::prelude::*;

use super::*;
use crate::data::LabelSet;
use crate::formats::prometheus::openmetrics::strict;
use crate::formats::prometheus::{Entry, Exposition, OpenMetricsParser, TextParser};

fn family(name: &str, kind: MetricKind, unit: &str) -> Family {
    Family { name: name.into(), kind, help: "A \\ \"help\"\nin two lines.".into(), unit: unit.into() }
}

fn encoded(labels: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    labels.iter().copied().collect::<LabelSet>().encode(&mut out);
    out
}

type Line<'a> = (Family, &'a [(&'a str, &'a str)], f64);

fn write(protocol: ScrapeProtocol, escaping: Escaping, lines: &[Line<'_>]) -> String {
    let mut exposer = Exposer::new(protocol, escaping).expect("a text format");
    let mut out = Vec::new();
    let example = encoded(&[("trace_id", "a\"b")]);
    for (family, labels, value) in lines {
        let labels = encoded(labels);
        let exemplar = Some((Labels::of_encoded(&example), 0.5, Some(UnixMillis(1001))));
        let sample = Exposed { labels: Labels::of_encoded(&labels), value: *value, timestamp: None, exemplar };
        exposer.sample(Some(family), &sample, &mut out);
    }
    exposer.end(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn every_kind() -> Vec<Line<'static>> {
    let counter = family("c_seconds", MetricKind::Counter, "seconds");
    let histogram = family("h", MetricKind::Histogram, "");
    vec![
        (counter.clone(), &[("__name__", "c_seconds_total"), ("a", "\\ \" \n")], 1.0),
        (counter, &[("__name__", "c_seconds_created"), ("a", "\\ \" \n")], 1.5e9),
        (family("old_total", MetricKind::Counter, ""), &[("__name__", "old_total")], 2.0),
        (family("odd", MetricKind::Counter, ""), &[("__name__", "odd")], 3.0),
        (histogram.clone(), &[("__name__", "h_bucket"), ("le", "1.0")], 2.0),
        (histogram.clone(), &[("__name__", "h_bucket"), ("le", "+Inf")], 2.0),
        (histogram.clone(), &[("__name__", "h_count")], 2.0),
        (histogram, &[("__name__", "h_sum")], 0.25),
        (family("s", MetricKind::Summary, ""), &[("__name__", "s"), ("quantile", "0.5")], f64::NAN),
        (family("i", MetricKind::Info, ""), &[("__name__", "i_info"), ("v", "1")], 1.0),
        (family("t", MetricKind::StateSet, ""), &[("__name__", "t"), ("t", "on")], 0.0),
        (family("", MetricKind::Unknown, ""), &[("__name__", "u"), ("a", "b")], f64::NEG_INFINITY),
        (family("my.gauge", MetricKind::Gauge, ""), &[("__name__", "my.gauge"), ("my label", "x")], 1e6),
    ]
}

#[test]
fn openmetrics_of_every_kind_is_valid() {
    let written = write(ScrapeProtocol::OpenMetricsText1_0_0, Escaping::Underscores, &every_kind());
    assert_eq!(strict::check(written.as_bytes()).map(|summary| summary.samples), Ok(13), "{written}");
    let head = "# TYPE c_seconds counter\n# UNIT c_seconds seconds\n# HELP c_seconds A \\\\ \\\"help\\\"\\nin two lines.\n\
                c_seconds_total{a=\"\\\\ \\\" \\n\"} 1.0 # {trace_id=\"a\\\"b\"} 0.5 1.0010005\n";
    assert!(written.starts_with(head), "{written}");
    for line in [
        "# TYPE old counter\n",
        "old_total 2.0 # ",
        "# TYPE odd unknown\n",
        "odd 3.0\n",
        "my_gauge{my_label=\"x\"} 1e+06\n",
    ] {
        assert!(written.contains(line), "{line} in {written}");
    }
}

#[test]
fn the_text_formats_keep_names_of_counters_and_have_no_exemplars() {
    let written = write(ScrapeProtocol::PrometheusText0_0_4, Escaping::AllowUtf8, &every_kind());
    let head = "# TYPE c_seconds_total counter\n# HELP c_seconds_total A \\\\ \"help\"\\nin two lines.\n\
                c_seconds_total{a=\"\\\\ \\\" \\n\"} 1\n# TYPE c_seconds_created gauge\n";
    assert!(written.starts_with(head), "{written}");
    for line in [
        "# TYPE odd counter\n",
        "# TYPE i_info gauge\n",
        "# TYPE t gauge\n",
        "my_gauge{my_label=\"x\"} 1e+06\n",
        "u{a=\"b\"} -Inf\n",
    ] {
        assert!(written.contains(line), "{line} in {written}");
    }
    assert!(!written.contains(" # ") && !written.contains("EOF") && !written.contains("TYPE u "), "{written}");
    let written = write(ScrapeProtocol::PrometheusText1_0_0, Escaping::AllowUtf8, &every_kind());
    assert!(written.contains("# TYPE \"my.gauge\" gauge\n"), "{written}");
    assert!(written.ends_with("{\"my.gauge\",\"my label\"=\"x\"} 1e+06\n"), "{written}");
    assert!(Exposer::new(ScrapeProtocol::PrometheusProto, Escaping::Dots).is_none());
}

/// Everything that samples say, read back.
fn read<P: Exposition>(mut parser: P) -> Vec<String> {
    let (mut told, mut set) = (Vec::new(), LabelSet::new());
    loop {
        let (raw, mut words, exemplar) = match parser.next().expect("what was written is read") {
            Some(Entry::Series(series)) => {
                let point = series.point;
                let exemplar = point.exemplar.map(|exemplar| {
                    let mut set = LabelSet::new();
                    P::read_exemplar(exemplar, &mut set).expect("labels");
                    format!(" {set:?} {} {:?}", exemplar.value.to_bits(), exemplar.timestamp)
                });
                (series.raw.to_vec(), format!("{} {:?}", point.value.to_bits(), point.timestamp), exemplar)
            }
            Some(_) => continue,
            None => return told,
        };
        P::read_labels(&raw, parser.kind(), &mut set).expect("labels");
        words.push_str(&exemplar.unwrap_or_default());
        told.push(format!("{set:?} {words}"));
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![any::<i32>().prop_map(f64::from), any::<f64>(), any::<u64>().prop_map(f64::from_bits)]
}

fn labels() -> impl Strategy<Value = LabelSet> {
    let name = prop_oneof!["[a-z]{1,3}", "[ -~é\n]{1,4}"];
    proptest::collection::btree_map(name, "[ -~é\n]{1,5}", 0..4).prop_map(|labels| labels.into_iter().collect())
}

type Measured = (LabelSet, f64, Option<i64>);

fn sample() -> impl Strategy<Value = (LabelSet, f64, Option<i64>, Option<Measured>)> {
    let name = prop_oneof!["[a-z:]{1,3}_total", "[ -~é\n]{1,4}"];
    let time = || proptest::option::of(0..4_000_000_000_000_i64);
    let exemplar = proptest::option::of((labels(), value(), time()));
    (name, labels(), value(), time(), exemplar).prop_map(|(name, mut labels, value, time, exemplar)| {
        labels.set(METRIC_NAME, &name);
        (labels, value, time, exemplar)
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(samples in proptest::collection::vec(sample(), 0..6), counter in any::<bool>()) {
        for protocol in [ScrapeProtocol::PrometheusText1_0_0, ScrapeProtocol::OpenMetricsText1_0_0] {
            let openmetrics = protocol.format() == Format::OpenMetrics;
            let mut exposer = Exposer::new(protocol, Escaping::AllowUtf8).expect("a text format");
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            for (labels, value, time, exemplar) in &samples {
                let name = labels.get(METRIC_NAME).to_owned();
                let kind = if counter { MetricKind::Counter } else { MetricKind::Gauge };
                let family = Family { name: name.as_str().into(), kind, ..family("", kind, "") };
                let (mut own, mut examples) = (Vec::new(), Vec::new());
                labels.encode(&mut own);
                if let Some((labels, ..)) = exemplar {
                    labels.encode(&mut examples);
                }
                let time = time.map(UnixMillis);
                let with_labels = exemplar.as_ref().map(|(_, value, time)| {
                    (Labels::of_encoded(&examples), *value, time.map(UnixMillis))
                });
                let sample = Exposed { labels: Labels::of_encoded(&own), value: *value, timestamp: time, exemplar: with_labels };
                exposer.sample(Some(&family), &sample, &mut out);
                let bits = |value: f64| if value.is_nan() { number::NORMAL_NAN } else { value }.to_bits();
                let exemplar = exemplar.as_ref().filter(|_| openmetrics && (counter && name.ends_with("_total") || name.ends_with("_bucket")));
                let exemplar = exemplar.map(|(labels, value, time)| format!(" {labels:?} {} {:?}", bits(*value), time.map(UnixMillis)));
                expected.push(format!("{labels:?} {} {time:?}{}", bits(*value), exemplar.unwrap_or_default()));
            }
            exposer.end(&mut out);
            let read = if openmetrics { read(OpenMetricsParser::new(&out)) } else { read(TextParser::new(&out)) };
            prop_assert_eq!(read, expected, "{}", String::from_utf8_lossy(&out));
        }
    }
}
