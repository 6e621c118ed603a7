//! Calls as they are counted, under virtual time.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::{Value as Json, json};

use super::*;
use crate::data::Batch;
use crate::pipeline::aggregate::testing::{Driven, spans, text};

fn start(value: Json) -> Driven {
    let options: Options = serde_json::from_value(value).expect("the shape is right");
    Driven::start(&options, Signal::Traces)
}

/// A span of call `call`: a client's or a server's by its kind.
fn end(kind: i32, call: u8, millis: u64) -> Span {
    let (id, parent) = match kind {
        3 | 4 => (vec![call; 8], Vec::new()),
        _ => (vec![call + 100; 8], vec![call; 8]),
    };
    Span {
        trace_id: vec![7; 16],
        span_id: id,
        parent_span_id: parent,
        kind,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_000_000_000 + millis * 1_000_000,
        ..Span::default()
    }
}

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// All samples but those of buckets and the zeros that series begin with, without what all names begin with.
async fn emitted(driven: &mut Driven) -> Vec<String> {
    loop {
        let (samples, _) = driven.next().await;
        if !samples.iter().all(|sample| sample.ends_with(" 0")) {
            let samples = samples.iter().filter(|sample| !sample.contains("_bucket"));
            return samples.map(|sample| sample.replace("traces_service_graph_", "")).collect();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_two_ends_of_a_call_meet_whichever_comes_first() {
    let mut driven = start(json!({}));
    driven.send(spans(&[("shop", vec![end(CLIENT, 1, 500)])])).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    let failed = Span { status: Some(Status { code: 2, message: String::new() }), ..end(SERVER, 2, 250) };
    driven.send(spans(&[("bank", vec![end(SERVER, 1, 250), failed])])).await;
    driven.send(spans(&[("shop", vec![end(CLIENT, 2, 750), end(1, 3, 1)])])).await;
    let labels = "{client=shop,server=bank}";
    let expected = [
        format!("request_client_seconds_count{labels} 2"),
        format!("request_client_seconds_sum{labels} 1.25"),
        format!("request_failed_total{labels} 1"),
        format!("request_server_seconds_count{labels} 2"),
        format!("request_server_seconds_sum{labels} 0.5"),
        format!("request_total{labels} 2"),
    ];
    assert_eq!(emitted(&mut driven).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_span_whose_other_end_does_not_come_is_counted_as_unpaired() {
    let mut driven = start(json!({ "wait": "5s" }));
    driven.send(spans(&[("shop", vec![end(CLIENT, 1, 500), end(PRODUCER, 2, 1)])])).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    driven.send(spans(&[("bank", vec![end(SERVER, 1, 250)])])).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let expected = [
        "unpaired_spans_total{client=shop,connection_type=messaging_system} 1",
        "unpaired_spans_total{client=shop} 1",
        "unpaired_spans_total{server=bank} 1",
    ];
    assert_eq!(emitted(&mut driven).await, expected);
}

#[tokio::test(start_paused = true)]
async fn messages_databases_users_and_peers_are_edges_of_their_types() {
    let mut driven = start(json!({ "wait": "5s" }));
    let with = |span: Span, key: &str, value: &str| Span { attributes: vec![text(key, value)], ..span };
    let root = Span { parent_span_id: Vec::new(), ..end(SERVER, 9, 4000) };
    let shop = vec![
        end(PRODUCER, 1, 1000),
        with(end(CLIENT, 2, 2000), "db.name", "orders"),
        with(end(CLIENT, 3, 3000), "peer.service", "stripe"),
        root,
    ];
    driven.send(spans(&[("shop", shop), ("mail", vec![end(CONSUMER, 1, 8000)])])).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut expected = Vec::new();
    for (client, server, connection, client_seconds, server_seconds) in [
        ("shop", "mail", "messaging_system", Some(1), Some(8)),
        ("shop", "orders", "database", Some(2), Some(2)),
        ("shop", "stripe", "virtual_node", Some(3), None),
        ("user", "shop", "virtual_node", None, Some(4)),
    ] {
        let labels = format!("{{client={client},connection_type={connection},server={server}}}");
        expected.push(format!("request_total{labels} 1"));
        for (end, seconds) in [("client", client_seconds), ("server", server_seconds)] {
            let Some(seconds) = seconds else { continue };
            expected.push(format!("request_{end}_seconds_count{labels} 1"));
            expected.push(format!("request_{end}_seconds_sum{labels} {seconds}"));
        }
    }
    expected.sort();
    assert_eq!(emitted(&mut driven).await, expected);
}

#[tokio::test(start_paused = true)]
async fn dimensions_are_of_both_ends_and_sampled_calls_count_for_many() {
    let mut driven = start(json!({ "dimensions": [{ "name": "cloud.zone", "default": "none" }] }));
    let client = Span {
        attributes: vec![text("cloud.zone", "a")],
        trace_state: "ot=rv:ffffffffffffff;th:8".into(),
        ..end(CLIENT, 1, 0)
    };
    let server = Span { trace_state: "ot=rv:ffffffffffffff;th:c".into(), ..end(SERVER, 1, 0) };
    driven.send(spans(&[("shop", vec![client]), ("bank", vec![server])])).await;
    let samples = emitted(&mut driven).await;
    let labels = "{client=shop,client_cloud_zone=a,server=bank,server_cloud_zone=none}";
    assert!(samples.contains(&format!("request_total{labels} 4")), "{samples:?}");
}

#[tokio::test(start_paused = true)]
async fn of_two_consumers_before_their_producer_the_first_is_unpaired() {
    let mut driven = start(json!({}));
    driven.send(spans(&[("one", vec![end(CONSUMER, 1, 0)]), ("two", vec![end(CONSUMER, 1, 0)])])).await;
    driven.send(spans(&[("shop", vec![end(PRODUCER, 1, 0)])])).await;
    let samples = emitted(&mut driven).await;
    let has = |sample: &str| samples.iter().any(|known| known.starts_with(sample) && known.ends_with(" 1"));
    assert!(has("request_total{client=shop,connection_type=messaging_system,server=two}"), "{samples:?}");
    assert!(has("unpaired_spans_total{"), "{samples:?}");
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bytes_the_oldest_spans_are_dropped_and_counted() {
    let mut driven = start(json!({ "max_bytes": "64KiB", "wait": "10m" }));
    let many: Vec<_> = (0..1000_u32)
        .map(|number| Span { span_id: [&[1; 4][..], &number.to_be_bytes()].concat(), ..end(CLIENT, 1, 0) })
        .collect();
    driven.send(spans(&[("shop", many)])).await;
    let samples = emitted(&mut driven).await;
    let [sample] = samples.as_slice() else { panic!("{samples:?}") };
    let dropped: usize =
        sample.strip_prefix("dropped_spans_total{client=shop} ").expect("dropped").parse().expect("a number");
    assert!((500..1000).contains(&dropped), "{dropped}");
    // At the end nothing waits any more.
    let left = driven.finish().await;
    let sums = left.iter().map(|message| match &message.batch {
        Batch::Metrics(batch) => batch.columns().values.iter().sum::<f64>(),
        _ => panic!("metrics come out"),
    });
    assert_eq!(sums.sum::<f64>(), 1000.0);
    left.into_iter().for_each(|message| message.ack.done());
}

#[tokio::test(start_paused = true)]
async fn spans_of_no_service_are_no_ends() {
    let mut driven = start(json!({ "wait": "1s" }));
    driven.send(spans(&[("", vec![end(CLIENT, 1, 0), end(SERVER, 2, 0)]), ("shop", vec![end(CLIENT, 3, 0)])])).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(emitted(&mut driven).await, ["unpaired_spans_total{client=shop} 1"]);
}
