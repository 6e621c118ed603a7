//! Messages as prost encodes them, read as Prometheus reads them.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::data::UnixMillis;
use crate::data::histogram::{BucketSpan, Counts, ResetHint};

/// `io.prometheus.client`, as far as the tests need it.
mod client {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LabelPair {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Timestamp {
        #[prost(int64, tag = "1")]
        pub seconds: i64,
        #[prost(int32, tag = "2")]
        pub nanos: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(double, tag = "2")]
        pub value: f64,
        #[prost(message, optional, tag = "3")]
        pub timestamp: Option<Timestamp>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Simple {
        #[prost(double, tag = "1")]
        pub value: f64,
        #[prost(message, optional, tag = "2")]
        pub exemplar: Option<Exemplar>,
        #[prost(message, optional, tag = "3")]
        pub start: Option<Timestamp>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Quantile {
        #[prost(double, tag = "1")]
        pub quantile: f64,
        #[prost(double, tag = "2")]
        pub value: f64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Summary {
        #[prost(uint64, tag = "1")]
        pub count: u64,
        #[prost(double, tag = "2")]
        pub sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub quantile: Vec<Quantile>,
        #[prost(message, optional, tag = "4")]
        pub start: Option<Timestamp>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Bucket {
        #[prost(uint64, tag = "1")]
        pub count: u64,
        #[prost(double, tag = "4")]
        pub count_float: f64,
        #[prost(double, tag = "2")]
        pub bound: f64,
        #[prost(message, optional, tag = "3")]
        pub exemplar: Option<Exemplar>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Span {
        #[prost(sint32, tag = "1")]
        pub offset: i32,
        #[prost(uint32, tag = "2")]
        pub length: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Histogram {
        #[prost(uint64, tag = "1")]
        pub count: u64,
        #[prost(double, tag = "4")]
        pub count_float: f64,
        #[prost(double, tag = "2")]
        pub sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub bucket: Vec<Bucket>,
        #[prost(sint32, tag = "5")]
        pub schema: i32,
        #[prost(double, tag = "6")]
        pub zero_threshold: f64,
        #[prost(uint64, tag = "7")]
        pub zero_count: u64,
        #[prost(message, repeated, tag = "9")]
        pub negative_span: Vec<Span>,
        #[prost(sint64, repeated, tag = "10")]
        pub negative_delta: Vec<i64>,
        #[prost(message, repeated, tag = "12")]
        pub positive_span: Vec<Span>,
        #[prost(sint64, repeated, packed = "false", tag = "13")]
        pub positive_delta: Vec<i64>,
        #[prost(double, repeated, tag = "14")]
        pub positive_count: Vec<f64>,
        #[prost(message, optional, tag = "15")]
        pub start: Option<Timestamp>,
        #[prost(message, repeated, tag = "16")]
        pub exemplars: Vec<Exemplar>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub gauge: Option<Simple>,
        #[prost(message, optional, tag = "3")]
        pub counter: Option<Simple>,
        #[prost(message, optional, tag = "4")]
        pub summary: Option<Summary>,
        #[prost(message, optional, tag = "5")]
        pub untyped: Option<Simple>,
        #[prost(message, optional, tag = "7")]
        pub histogram: Option<Histogram>,
        #[prost(int64, tag = "6")]
        pub timestamp_ms: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct MetricFamily {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub help: String,
        #[prost(int32, tag = "3")]
        pub kind: i32,
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
        #[prost(string, tag = "5")]
        pub unit: String,
    }
}

use client::{Bucket, Exemplar, LabelPair, Metric, MetricFamily, Simple, Span, Timestamp};

const TRACE: &str = "trace_id";

fn pair(name: &str, value: &str) -> LabelPair {
    LabelPair { name: name.into(), value: value.into() }
}

fn example(value: f64, seconds: Option<i64>) -> Exemplar {
    let timestamp = seconds.map(|seconds| Timestamp { seconds, nanos: 5_900_000 });
    Exemplar { label: vec![pair(TRACE, "x")], value, timestamp }
}

fn family(name: &str, kind: i32, metric: Vec<Metric>) -> MetricFamily {
    MetricFamily { name: name.into(), help: "Help.".into(), kind, metric, unit: String::new() }
}

fn body(families: &[MetricFamily]) -> Vec<u8> {
    families.iter().flat_map(MetricFamily::encode_length_delimited_to_vec).collect()
}

/// Entries in words: the labels of a series, its value, and what else it says.
fn read(body: &[u8], histograms: Histograms) -> Result<Vec<String>, String> {
    let mut parser = ProtobufParser::new(body, histograms);
    let mut told = Vec::new();
    let mut labels = LabelSet::new();
    let exemplars = |all: &[RawExemplar<'_>]| {
        let mut labels = LabelSet::new();
        let told = all.iter().map(|exemplar| {
            let read = ProtobufParser::read_exemplar(*exemplar, &mut labels);
            read.map(|()| format!(" # {labels:?} {} {:?}", exemplar.value, exemplar.timestamp.map(|time| time.0)))
        });
        told.collect::<Result<String, Fault>>()
    };
    while let Some(entry) = parser.next().map_err(|error| error.to_string())? {
        let refused = |fault: Fault| fault.to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        told.push(match entry {
            Entry::Series(Series { raw, point, created }) => {
                ProtobufParser::read_labels(raw, MetricKind::Unknown, &mut labels).map_err(refused)?;
                let (time, created) = (point.timestamp.map(|time| time.0), created.map(|time| time.0));
                let exemplar = exemplars(point.exemplar.as_slice()).map_err(refused)?;
                format!("{labels:?} {} {time:?} {created:?}{exemplar}", point.value)
            }
            Entry::Histogram(series) => {
                ProtobufParser::read_labels(series.raw, MetricKind::Unknown, &mut labels).map_err(refused)?;
                format!("{labels:?} {:?}{}", series.histogram.counts, exemplars(series.exemplars).map_err(refused)?)
            }
            Entry::Type { name, kind } => format!("{} {kind:?}", text(name)),
            Entry::Help { name, text: help } => format!("{} help {}", text(name), text(help)),
            Entry::Unit { name, unit } => format!("{} unit {}", text(name), text(unit)),
            Entry::Comment(_) => unreachable!("messages have no comments"),
        });
    }
    Ok(told)
}

fn classic() -> client::Histogram {
    let bucket = |bound, count, exemplar| Bucket { bound, count, exemplar, count_float: 0.0 };
    client::Histogram {
        count: 9,
        sum: 2.5,
        bucket: vec![
            bucket(0.5, 3, None),
            bucket(1.0, 7, Some(example(0.75, None))),
            bucket(1e6, 8, Some(example(7.0, Some(1)))),
        ],
        start: Some(Timestamp { seconds: 3, nanos: 0 }),
        ..Default::default()
    }
}

fn native() -> client::Histogram {
    client::Histogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 2,
        positive_span: vec![Span { offset: -2, length: 1 }, Span { offset: 3, length: 2 }],
        positive_delta: vec![2, 1, -1],
        negative_span: vec![Span { offset: 0, length: 1 }],
        negative_delta: vec![1],
        ..classic()
    }
}

fn histogram(histogram: client::Histogram) -> Metric {
    Metric { histogram: Some(histogram), label: vec![pair("a", "b")], ..Default::default() }
}

const BOTH: Histograms = Histograms { native: true, classic_too: true };

#[test]
fn counters_gauges_and_untyped_metrics_are_one_series_each() {
    let start = Some(Timestamp { seconds: 12, nanos: 345_000_000 });
    let counter = Simple { value: 3.5, exemplar: Some(example(0.5, Some(9))), start };
    let plain = Simple { value: -1.0, ..Default::default() };
    let body = body(&[
        family(
            "c_total",
            0,
            vec![Metric { counter: Some(counter), label: vec![pair("l", "1\n\"")], ..Default::default() }],
        ),
        family("empty", 1, vec![]),
        MetricFamily {
            unit: "seconds".into(),
            ..family(
                "g.seconds",
                1,
                vec![Metric { gauge: Some(plain.clone()), timestamp_ms: 77, ..Default::default() }],
            )
        },
        family("u", 3, vec![Metric { untyped: Some(plain), label: vec![pair("e", "")], ..Default::default() }]),
    ]);
    let expected = [
        "c_total help Help.",
        "c_total Counter",
        "{\"__name__\": \"c_total\", \"l\": \"1\\n\\\"\"} 3.5 None Some(12345) # {\"trace_id\": \"x\"} 0.5 Some(9005)",
        "g.seconds help Help.",
        "g.seconds unit seconds",
        "g.seconds Gauge",
        "{\"__name__\": \"g.seconds\"} -1 Some(77) None",
        "u help Help.",
        "u Unknown",
        "{\"__name__\": \"u\"} -1 None None",
    ];
    assert_eq!(read(&body, Histograms::default()).expect("an exposition"), expected);
}

#[test]
fn summaries_and_classic_histograms_are_the_series_of_the_text_formats() {
    let quantile = [(0.5, 1.0), (1.0, f64::NAN)].map(|(quantile, value)| client::Quantile { quantile, value });
    let summary = client::Summary { count: 4, sum: 2.0, quantile: quantile.to_vec(), start: None };
    let body = body(&[
        family("s", 2, vec![Metric { summary: Some(summary), ..Default::default() }]),
        family("h", 4, vec![histogram(classic())]),
    ]);
    let expected = [
        "s help Help.",
        "s Summary",
        "{\"__name__\": \"s_count\"} 4 None None",
        "{\"__name__\": \"s_sum\"} 2 None None",
        "{\"__name__\": \"s\", \"quantile\": \"0.5\"} 1 None None",
        "{\"__name__\": \"s\", \"quantile\": \"1.0\"} NaN None None",
        "h help Help.",
        "h Histogram",
        "{\"__name__\": \"h_count\", \"a\": \"b\"} 9 None Some(3000)",
        "{\"__name__\": \"h_sum\", \"a\": \"b\"} 2.5 None Some(3000)",
        "{\"__name__\": \"h_bucket\", \"a\": \"b\", \"le\": \"0.5\"} 3 None Some(3000)",
        "{\"__name__\": \"h_bucket\", \"a\": \"b\", \"le\": \"1.0\"} 7 None Some(3000) # {\"trace_id\": \"x\"} 0.75 None",
        "{\"__name__\": \"h_bucket\", \"a\": \"b\", \"le\": \"1e+06\"} 8 None Some(3000) # {\"trace_id\": \"x\"} 7 Some(1005)",
        "{\"__name__\": \"h_bucket\", \"a\": \"b\", \"le\": \"+Inf\"} 9 None Some(3000)",
    ];
    assert_eq!(read(&body, BOTH).expect("an exposition"), expected);
}

#[test]
fn native_histograms_come_whole_or_as_classic_ones_as_asked() {
    let body = body(&[family("h", 4, vec![histogram(native()), histogram(classic())])]);
    let count = |histograms| {
        let all = read(&body, histograms).expect("an exposition");
        let whole = all.iter().filter(|entry| entry.contains("Integer")).count();
        (whole, all.len() - 2 - whole)
    };
    assert_eq!(count(Histograms::default()), (0, 12));
    assert_eq!(count(Histograms { native: true, classic_too: false }), (1, 6));
    assert_eq!(count(BOTH), (1, 12));
    let told = read(&body, BOTH).expect("an exposition");
    assert_eq!(
        told[2],
        "{\"__name__\": \"h\", \"a\": \"b\"} Integer { count: 9, zero: 2, positive: [2, 1, -1], negative: [1] } # {\"trace_id\": \"x\"} 7 Some(1005)",
    );
}

#[test]
fn a_native_histogram_keeps_spans_floats_and_its_own_exemplars() {
    let float = client::Histogram {
        count: 0,
        count_float: 2.5,
        positive_delta: vec![],
        negative_delta: vec![],
        negative_span: vec![],
        positive_count: vec![1.0, 0.5, 1.0],
        exemplars: vec![example(1.0, None), example(2.0, Some(5)), example(3.0, Some(6))],
        ..native()
    };
    let body = body(&[family("h", 5, vec![histogram(float)])]);
    let mut parser = ProtobufParser::new(&body, Histograms { native: true, classic_too: false });
    let series = loop {
        match parser.next().expect("an entry") {
            Some(Entry::Histogram(series)) => break series,
            Some(_) => {}
            None => panic!("no histogram"),
        }
    };
    assert_eq!(
        series.histogram.counts,
        Counts::Float { count: 2.5, zero: 0.0, positive: vec![1.0, 0.5, 1.0], negative: vec![] }
    );
    assert_eq!((series.histogram.schema, series.histogram.reset_hint), (3, ResetHint::Gauge));
    let spans = [BucketSpan { offset: -2, length: 1 }, BucketSpan { offset: 3, length: 2 }];
    assert_eq!(series.histogram.positive_spans, spans);
    assert_eq!(series.exemplars.iter().map(|exemplar| exemplar.value).collect::<Vec<_>>(), [2.0, 3.0]);
    assert_eq!(series.created, Some(UnixMillis(3000)));
}

#[test]
fn what_is_wrong_is_refused() {
    let gauge = |label| Metric { gauge: Some(Simple::default()), label, ..Default::default() };
    let told = |family: MetricFamily| read(&body(&[family]), BOTH).expect_err("refused");
    assert_eq!(told(family("", 1, vec![gauge(vec![])])), "byte 0: a metric's name is expected");
    assert!(told(family("g", 6, vec![gauge(vec![])])).contains("unknown metric type"));
    let twice = vec![pair("a", "1"), pair("a", "2")];
    assert_eq!(told(family("g", 1, vec![gauge(twice)])), "the label `a` is given twice");
    let wrong = client::Histogram { positive_delta: vec![1], ..native() };
    assert!(told(family("h", 4, vec![histogram(wrong)])).contains("do not fit together"));
    let mut cut = body(&[family("g", 1, vec![gauge(vec![])])]);
    cut.pop();
    assert!(read(&cut, BOTH).expect_err("refused").contains("it ends within a field"));
    assert!(read(b"up 1\n", BOTH).is_err());
}

fn any_family() -> impl Strategy<Value = MetricFamily> {
    let simple = (any::<i8>(), 0_i64..3).prop_map(|(value, start)| Simple {
        value: f64::from(value),
        exemplar: None,
        start: (start > 0).then_some(Timestamp { seconds: start, nanos: 0 }),
    });
    let metric = (simple, 0_usize..3, 0_u8..4).prop_map(|(simple, labels, which)| Metric {
        label: (0..labels).map(|label| pair(&format!("l{label}"), &which.to_string())).collect(),
        gauge: Some(simple.clone()),
        counter: Some(simple.clone()),
        untyped: Some(simple),
        histogram: Some(if which == 0 { native() } else { classic() }),
        summary: Some(client::Summary::default()),
        timestamp_ms: i64::from(which == 3),
    });
    (0_i32..6, proptest::collection::vec(metric, 0..4))
        .prop_map(|(kind, metric)| family(&format!("f{kind}"), kind, metric))
}

proptest! {
    #[test]
    fn knowing_the_last_exposition_changes_nothing(
        before in proptest::collection::vec(any_family(), 0..4),
        now in proptest::collection::vec(any_family(), 0..4),
        repeat in any::<bool>(),
    ) {
        let now = body(if repeat { &before } else { &now });
        let before = body(&before);
        let parser = |body| ProtobufParser::new(body, BOTH);
        let fresh = super::super::tests::predicted(parser(b""), parser(&now));
        prop_assert_eq!(super::super::tests::predicted(parser(&before), parser(&now)), fresh);
    }

    #[test]
    fn broken_messages_never_make_it_panic(families in proptest::collection::vec(any_family(), 1..3), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = body(&families);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes, BOTH);
        let _ = read(&bytes[..at], BOTH);
    }
}
