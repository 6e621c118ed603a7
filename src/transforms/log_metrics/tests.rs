//! What is emitted for records, under virtual time.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::data::logs::RareFields;
use crate::data::metrics::Exemplar;
use crate::data::resource::ResourceValue;
use crate::data::{
    Attribute, Batch, Chunk, LogBuilder, LogRecord, MetricBatch, Resource, Signal, Slice, UnixNanos, Value,
};
use crate::pipeline::aggregate::testing::Driven;

fn options(value: Json) -> Options {
    serde_json::from_value(value).expect("the shape is right")
}

fn start(value: Json) -> Driven {
    Driven::start(&options(value), Signal::Logs)
}

/// Records of one text attribute each and a number.
fn logs(records: &[(&str, f64)]) -> Batch {
    let resource = Resource::new([("k8s.namespace.name".into(), ResourceValue::from("shop"))]);
    let mut builder = LogBuilder::new(Arc::new(resource), Arc::default());
    let mut bytes = b"statusseconds".to_vec();
    let texts: Vec<_> = records
        .iter()
        .map(|(text, _)| {
            bytes.extend_from_slice(text.as_bytes());
            Slice::new(0, (bytes.len() - text.len()) as u32, text.len() as u32)
        })
        .collect();
    builder.add_chunk(Chunk::from_vec(bytes));
    let source = builder.source();
    for (number, (text, (_, value))) in texts.into_iter().zip(records).enumerate() {
        let attributes = source.attributes.len() as u32;
        source.attributes.push(Attribute { key: Slice::new(0, 0, 6), value: Value::Text(text) });
        source.attributes.push(Attribute { key: Slice::new(0, 6, 7), value: Value::Double(*value) });
        source.records.push(LogRecord {
            attributes_start: attributes,
            attributes_len: 2,
            time: UnixNanos(1 + number as u64),
            ..LogRecord::of_body(Slice::EMPTY)
        });
    }
    Batch::Logs(builder.build())
}

#[tokio::test(start_paused = true)]
async fn counters_begin_at_zero_and_go_on_while_nothing_comes() {
    let mut driven = start(json!({
        "interval": "30s",
        "metrics": [{
            "name": "orders_total",
            "type": "counter",
            "if": "attributes[\"status\"] != \"debug\"",
            "labels": { "status": "attributes[\"status\"]", "ns": "resource[\"k8s.namespace.name\"]", "app": "\"web\"" }
        }]
    }));
    driven.send(logs(&[("ok", 0.0), ("ok", 0.0), ("debug", 0.0), ("bad", 0.0)])).await;
    let zero = ["orders_total{app=web,ns=shop,status=bad} 0", "orders_total{app=web,ns=shop,status=ok} 0"];
    assert_eq!(driven.next().await.0, zero);
    let (first, list) = driven.next().await;
    assert_eq!(first, ["orders_total{app=web,ns=shop,status=bad} 1", "orders_total{app=web,ns=shop,status=ok} 2"]);
    driven.send(logs(&[("ok", 0.0)])).await;
    let (second, again) = driven.next().await;
    assert_eq!(second, ["orders_total{app=web,ns=shop,status=bad} 1", "orders_total{app=web,ns=shop,status=ok} 3"]);
    assert_eq!(list, again, "the list is shared while no series comes or goes");
    assert_eq!(driven.metrics.records_in.get(), 5);
    driven.send(logs(&[("ok", 0.0)])).await;
    let left = driven.finish().await;
    let [last] = left.as_slice() else { panic!("one more batch at the end") };
    let Batch::Metrics(batch) = &last.batch else { panic!("metrics") };
    assert_eq!(batch.columns().values.iter().sum::<f64>(), 5.0);
    assert!(batch.created(0).is_some());
    left.into_iter().for_each(|message| message.ack.done());
}

#[tokio::test(start_paused = true)]
async fn gauges_are_what_the_latest_record_says_and_histograms_count() {
    let mut driven = start(json!({
        "metrics": [
            { "name": "depth", "type": "gauge", "value": "attributes[\"seconds\"]" },
            { "name": "wait_seconds", "type": "histogram", "unit": "seconds", "value": "attributes[\"seconds\"]", "buckets": [0.5, 1] }
        ]
    }));
    driven.send(logs(&[("a", 0.5), ("b", 0.75), ("c", 4.0)])).await;
    assert_eq!(driven.next().await.0.len(), 5, "a gauge has no zero to begin with");
    let expected = [
        "depth{} 4",
        "wait_seconds_bucket{le=+Inf} 3",
        "wait_seconds_bucket{le=0.5} 1",
        "wait_seconds_bucket{le=1.0} 2",
        "wait_seconds_count{} 3",
        "wait_seconds_sum{} 5.25",
    ];
    assert_eq!(driven.next().await.0, expected);
}

#[tokio::test(start_paused = true)]
async fn a_series_that_nothing_touches_ends_with_a_marker() {
    let mut driven = start(json!({
        "interval": "10s", "expiry": "25s",
        "metrics": [{ "name": "n_total", "type": "counter", "labels": { "s": "attributes[\"status\"]" } }]
    }));
    driven.send(logs(&[("a", 0.0), ("b", 0.0)])).await;
    assert_eq!(driven.next().await.0, ["n_total{s=a} 0", "n_total{s=b} 0"]);
    assert_eq!(driven.next().await.0, ["n_total{s=a} 1", "n_total{s=b} 1"]);
    driven.send(logs(&[("a", 0.0)])).await;
    assert_eq!(driven.next().await.0, ["n_total{s=a} 2", "n_total{s=b} 1"]);
    assert_eq!(driven.next().await.0, ["n_total{s=a} 2"]);
    assert_eq!(driven.next().await.0, ["n_total{s=b} stale"]);
    driven.send(logs(&[("b", 0.0)])).await;
    assert_eq!(driven.next().await.0, ["n_total{s=b} 0"], "a counter that comes back begins anew");
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_records_overflow_or_are_refused() {
    let with = |when_full: &str| {
        start(json!({
            "limit": 2, "when_full": when_full,
            "metrics": [{ "name": "n_total", "type": "counter", "labels": { "s": "attributes[\"status\"]" } }]
        }))
    };
    let records = [("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0), ("a", 0.0)];
    let mut driven = with("overflow");
    driven.send(logs(&records)).await;
    driven.next().await;
    assert_eq!(driven.next().await.0, ["n_total{overflow=true} 2", "n_total{s=a} 2", "n_total{s=b} 1"]);
    assert!(driven.metrics.health.status().last_error.is_some_and(|(_, words)| words.contains("limit of 2 series")));
    let mut driven = with("refuse");
    driven.send(logs(&records)).await;
    driven.next().await;
    assert_eq!(driven.next().await.0, ["n_total{s=a} 2", "n_total{s=b} 1"]);
    assert_eq!(driven.metrics.records_refused.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_several_metrics_refuse_is_refused_once() {
    let metric = |name: &str| json!({ "name": name, "type": "counter", "labels": { "s": "attributes[\"status\"]" } });
    let options = json!({ "limit": 2, "when_full": "refuse", "metrics": [metric("m_total"), metric("n_total")] });
    let mut driven = start(options);
    driven.send(logs(&[("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0)])).await;
    driven.next().await;
    assert_eq!(driven.next().await.0, ["m_total{s=a} 1", "m_total{s=b} 1"]);
    assert_eq!(driven.metrics.records_refused.get(), 4);
    let told = driven.metrics.health.status().last_error.map(|(_, words)| words);
    assert_eq!(told.as_deref(), Some("6 times a metric refused a record: the limit of 2 series is reached"));
}

/// Exemplars as series, value and labels, by series.
fn exemplars(driven: &Driven, batch: &MetricBatch) -> Vec<(String, f64, String)> {
    let shown = driven.show_unsorted(batch);
    let labels = |exemplar: &Exemplar| -> Vec<String> {
        batch.exemplar_labels(exemplar).iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    let exemplars = batch.columns().exemplars.iter();
    let mut exemplars: Vec<_> =
        exemplars.map(|one| (shown[one.sample as usize].clone(), one.value, labels(one).join(" "))).collect();
    // Series come in the order of their hashes.
    exemplars.sort_by(|a, b| a.0.cmp(&b.0));
    exemplars
}

/// Records whose attributes are these texts.
fn records(records: &[&[(&str, &str)]]) -> Batch {
    let mut builder = LogBuilder::new(Arc::default(), Arc::default());
    let mut bytes = Vec::new();
    let mut slice = |text: &str| {
        bytes.extend_from_slice(text.as_bytes());
        Slice::new(0, (bytes.len() - text.len()) as u32, text.len() as u32)
    };
    for attributes in records {
        let source = builder.source();
        let attributes_start = source.attributes.len() as u32;
        for (key, value) in *attributes {
            source.attributes.push(Attribute { key: slice(key), value: Value::Text(slice(value)) });
        }
        let attributes_len = attributes.len() as u16;
        source.records.push(LogRecord { attributes_start, attributes_len, ..LogRecord::of_body(Slice::EMPTY) });
    }
    builder.add_chunk(Chunk::from_vec(bytes));
    Batch::Logs(builder.build())
}

const TRACES: [&str; 3] =
    ["0AF7651916cd43dd8448eb211c80319c", "11111111111111111111111111111111", "22222222222222222222222222222222"];

#[tokio::test(start_paused = true)]
async fn the_traces_of_the_latest_records_are_exemplars_of_counters_and_histograms() {
    let mut driven = start(json!({
        "exemplars": { "enabled": true, "max_per_data_point": 2 },
        "metrics": [
            { "name": "errors_total", "type": "counter" },
            { "name": "wait_seconds", "type": "histogram", "value": "attributes[\"seconds\"]", "buckets": [0.5, 1] },
            { "name": "depth", "type": "gauge", "value": "attributes[\"seconds\"]" }
        ]
    }));
    let of = |trace| [("trace_id", trace), ("span_id", "b7ad6b7169203331"), ("seconds", "0.75")];
    let [first, second, third] = TRACES.map(of);
    let no_trace: [&[(&str, &str)]; 5] = [
        &[("seconds", "4")],
        &[("span_id", "b7ad6b7169203331"), ("seconds", "4")],
        &[("trace_id", "not an id"), ("seconds", "4")],
        &[("trace_id", "00000000000000000000000000000000"), ("seconds", "4")],
        &[("trace_id", "0af7651916cd43dd8448eb211c80319x"), ("seconds", "4")],
    ];
    driven.send(records(&[&first, &second])).await;
    driven.send(records(&[&third[..1]])).await;
    driven.send(records(&no_trace)).await;
    assert_eq!(driven.batch().await.columns().exemplars, [], "where series begin there is no example");
    let batch = driven.batch().await;
    let span = "span_id=b7ad6b7169203331 ";
    let [first, second, third] = TRACES.map(|trace| format!("trace_id={}", trace.to_ascii_lowercase()));
    let expected = [
        ("errors_total{} 8".to_owned(), 1.0, format!("{span}{second}")),
        ("errors_total{} 8".to_owned(), 1.0, third),
        ("wait_seconds_bucket{le=1.0} 2".to_owned(), 0.75, format!("{span}{first}")),
        ("wait_seconds_bucket{le=1.0} 2".to_owned(), 0.75, format!("{span}{second}")),
    ];
    assert_eq!(exemplars(&driven, &batch), expected);
    let times: Vec<_> = batch.columns().exemplars.iter().map(|one| one.time.expect("a time").0).collect();
    assert!(times[0] < times[1] && times[2] < times[3], "a store keeps one exemplar a time: {times:?}");
    assert_eq!(driven.batch().await.columns().exemplars, [], "each is sent once");
}

#[tokio::test(start_paused = true)]
async fn ids_are_those_of_pushed_records_or_what_the_options_name() {
    let with = |exemplars: Json| {
        start(json!({ "exemplars": exemplars, "metrics": [{ "name": "n_total", "type": "counter" }] }))
    };
    let pushed = || {
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        let chunk = format!("trace_id{}dd.trace", TRACES[2]).into_bytes();
        builder.add_chunk(Chunk::from_vec(chunk));
        let source = builder.source();
        source.rare.push(RareFields { trace_id: [0x11; 16], span_id: [7; 8], ..RareFields::default() });
        let text = Value::Text(Slice::new(0, 8, 32));
        source.attributes.push(Attribute { key: Slice::new(0, 0, 8), value: text });
        source.attributes.push(Attribute { key: Slice::new(0, 40, 8), value: text });
        source.records.push(LogRecord { rare: 0, attributes_len: 2, ..LogRecord::of_body(Slice::EMPTY) });
        Batch::Logs(builder.build())
    };
    for (options, expected) in [
        (json!({}), None),
        (json!({ "enabled": true }), Some("span_id=0707070707070707 trace_id=11111111111111111111111111111111")),
        (
            json!({ "enabled": true, "trace_id": "attributes[\"dd.trace\"]", "span_id": "attributes[\"none\"]" }),
            Some("trace_id=22222222222222222222222222222222"),
        ),
    ] {
        let mut driven = with(options);
        driven.send(pushed()).await;
        driven.batch().await;
        let batch = driven.batch().await;
        let labels = exemplars(&driven, &batch).into_iter().map(|(.., labels)| labels).next();
        assert_eq!(labels.as_deref(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn lines_ride_along_where_they_are_asked_for_short_and_printable() {
    let long = "ü".repeat(200);
    let said =
        [("a", "no trace\r\n"), ("b", "red \u{1b}[31m\nsecond"), ("c", long.as_str()), ("d", ""), ("e", TRACES[1])];
    let batch = || {
        let said = said.map(|(status, msg)| [("status", status), ("msg", msg), ("trace_id", msg)]);
        records(&said.each_ref().map(|attributes| &attributes[..]))
    };
    let metrics = json!([{ "name": "n_total", "type": "counter", "labels": { "s": "attributes[\"status\"]" } }]);
    let with = |exemplars: Json| start(json!({ "exemplars": exemplars, "metrics": metrics }));
    let mut driven = with(json!({ "enabled": true, "log_line": "attributes[\"msg\"]" }));
    driven.send(batch()).await;
    driven.batch().await;
    let batch_with = driven.batch().await;
    let shown = driven.show_unsorted(&batch_with);
    let mut lines: Vec<_> = batch_with
        .columns()
        .exemplars
        .iter()
        .map(|one| {
            let line = std::str::from_utf8(batch_with.exemplar_line(one)).expect("text");
            (shown[one.sample as usize].clone(), line.to_owned(), one.leaves())
        })
        .collect();
    lines.sort();
    let expected = [
        ("n_total{s=a} 1", "no trace".to_owned(), false),
        ("n_total{s=b} 1", "red \u{fffd}[31m\nsecond".to_owned(), false),
        ("n_total{s=c} 1", format!("{}…", "ü".repeat(126)), false),
        ("n_total{s=e} 1", TRACES[1].to_owned(), true),
    ];
    assert_eq!(lines, expected.map(|(series, line, leaves)| (series.to_owned(), line, leaves)));
    let mut driven = with(json!({ "enabled": true }));
    driven.send(batch()).await;
    driven.batch().await;
    let without = driven.batch().await;
    let [one] = without.columns().exemplars.as_slice() else { panic!("one record has a trace") };
    assert_eq!(without.exemplar_line(one), b"");
}

#[test]
fn wrong_options_are_told_all_at_once() {
    let problems = |value: Json| -> Vec<String> {
        options(value).problems().into_iter().map(|problem| format!("{} {}", problem.code.0, problem.message)).collect()
    };
    let told = problems(json!({
        "interval": "1s", "expiry": "0", "limit": 0,
        "exemplars": { "max_per_data_point": 0, "trace_id": "traceid", "log_line": "body" },
        "metrics": [
            { "name": "9", "type": "gauge", "value": "body" },
            { "name": "orders", "type": "counter", "unit": "orders_", "labels": { "a-b": "body", "x": "levl" } },
            { "name": "t_total", "type": "gauge" },
            { "name": "h", "type": "histogram", "value": "1", "buckets": [2, 1], "labels": { "le": "body" } },
            { "name": "h", "type": "counter", "buckets": [] }
        ]
    }));
    let says = [
        "TW0452 `expiry`",
        "TW0452 `limit`",
        "TW0451 two metrics are called `h`",
        "TW0450 `9` is no name",
        "TW0450 `orders` is a counter",
        "TW0451 the unit",
        "TW0450 `a-b`",
        "TW0401 logs have no field `levl`",
        "TW0450 `t_total` ends",
        "TW0451 `t_total` has no `value`",
        "TW0450 the label `le`",
        "TW0451 `buckets` are",
        "TW0450 `h` is a counter",
        "TW0451 `h` has `buckets`",
        "TW0452 `max_per_data_point` is 0",
        "TW0401 logs have no field `traceid`",
        "TW0451 `log_line` is set, but",
    ];
    assert_eq!(told.len(), says.len(), "{told:#?}");
    for (told, says) in told.iter().zip(says) {
        assert!(told.starts_with(says), "{told} / {says}");
    }
    assert_eq!(problems(json!({ "metrics": [] })).len(), 1);
}
