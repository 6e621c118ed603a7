//! What is emitted for records, under virtual time.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::data::resource::ResourceValue;
use crate::data::{Attribute, Batch, Chunk, LogBuilder, LogRecord, Resource, Signal, Slice, UnixNanos, Value};
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

#[test]
fn wrong_options_are_told_all_at_once() {
    let problems = |value: Json| -> Vec<String> {
        options(value).problems().into_iter().map(|problem| format!("{} {}", problem.code.0, problem.message)).collect()
    };
    let told = problems(json!({
        "interval": "1s", "expiry": "0", "limit": 0,
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
    ];
    assert_eq!(told.len(), says.len(), "{told:#?}");
    for (told, says) in told.iter().zip(says) {
        assert!(told.starts_with(says), "{told} / {says}");
    }
    assert_eq!(problems(json!({ "metrics": [] })).len(), 1);
}
