//! The receiver before clients: what is taken, what is refused, and how each request is answered.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::*;
use crate::data::series_table::ListBuilder;
use crate::data::{Batch, LabelSet, MetricBatch, MetricBuilder, UnixMillis};
use crate::delivery::queue::{EdgeReceiver, WhenFull, edge};
use crate::delivery::{Message, Outcome, Path};
use crate::formats::prometheus::remote_write::{Body as Written, Compressor, EncodeOptions, Encoder, Part, Version};
use crate::pipeline::outlet::{Chain, Gate, Reader};
use crate::pipeline::pushed::Intake;
use crate::telemetry::Telemetry;

/// A receiver without a port, and the other side of its output.
struct Tested {
    router: axum::Router,
    edge: EdgeReceiver,
    table: Arc<SeriesTable>,
    _gate: Arc<Gate>,
}

fn tested(limit: usize, answer_within: Duration) -> Tested {
    let metrics = Telemetry::new().component("source", "prometheus_remote_write/x");
    let (sender, edge) = edge(16 << 20, WhenFull::Block, metrics.clone());
    let chain = Chain { readers: vec![Reader::edge(sender, "in")] };
    let (gate, outlet) = Gate::open(chain, Path::new(), metrics.clone());
    let table = SeriesTable::new(limit);
    let receiver = Receiver {
        intake: Intake::new(outlet, metrics.clone()),
        table: table.clone(),
        memory: MemoryBudget::new(64 << 20).share(Signal::Metrics),
        resource: Arc::default(),
        metrics,
        limits: BodyLimits { wire: 1 << 20, inflated: 1 << 20 },
        labels: 5,
        answer_within,
        families: Arc::default(),
    };
    Tested { router: receiver.router("/api/v1/write"), edge, table, _gate: gate }
}

fn request(version: Version, body: Vec<u8>) -> Request<Body> {
    Request::post("/api/v1/write")
        .header("content-type", version.content_type())
        .header("content-encoding", "snappy")
        .body(Body::from(body))
        .expect("a request")
}

/// A request with these series, each a name and milliseconds; bad ones have too many labels.
fn written(version: Version, series: &[(&str, i64)], bad: usize) -> Request<Body> {
    let table = SeriesTable::new(1000);
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    for (name, millis) in series {
        list.labels(&[("__name__", *name), ("a", "b")].into_iter().collect(), Default::default());
        builder.samples().values.push(1.5);
        builder.samples().times.push(UnixMillis(*millis));
    }
    for index in 0..bad {
        let name = format!("bad_{index}");
        let mut labels: LabelSet = ["a", "b", "c", "d", "e"].map(|label| (label, "x")).into_iter().collect();
        labels.set("__name__", &name);
        list.labels(&labels, Default::default());
        builder.samples().values.push(0.0);
        builder.samples().times.push(UnixMillis(0));
    }
    let batch = builder.build(Arc::default(), table.list_with_repeats(&list).list);
    let mut encoder = Encoder::new(version, EncodeOptions::default());
    let (mut compressor, mut bodies) = (Compressor::default(), [Written::new()]);
    let part = Part::whole(&batch, 1, usize::MAX);
    encoder.encode(&batch, &table.read(), &part, &mut compressor, &mut bodies);
    request(version, bodies[0].finish(&mut compressor, Vec::new()).as_ref().to_vec())
}

/// Sends a request while the other side does something with each message.
async fn exchange(
    tested: &mut Tested,
    request: Request<Body>,
    mut with: impl FnMut(Message),
) -> (StatusCode, http::HeaderMap, String) {
    let mut router = tested.router.clone();
    let answer = router.call(request);
    tokio::pin!(answer);
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer.expect("routers answer"),
            Some(message) = tested.edge.recv() => with(message),
        }
    };
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    (head.status, head.headers, String::from_utf8(body.to_vec()).expect("text"))
}

fn metrics(message: &Message) -> &MetricBatch {
    let Batch::Metrics(batch) = &message.batch else { panic!("metrics come in") };
    batch
}

fn deliver(message: Message) {
    let records = message.batch.count() as u64;
    message.ack.settle(Outcome::Delivered, records);
}

fn written_header(headers: &http::HeaderMap) -> Option<&str> {
    headers.get("x-prometheus-remote-write-samples-written").map(|value| value.to_str().expect("text"))
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_is_delivered_is_answered_with_what_was_written() {
    for (version, header) in [(Version::V1, None), (Version::V2, Some("2"))] {
        let mut tested = tested(100, LONG);
        let table = tested.table.clone();
        let mut seen = Vec::new();
        let (status, headers, body) = exchange(&mut tested, written(version, &[("up", 1), ("up", 2)], 0), |message| {
            assert!(message.ack.waited_for());
            let series = table.read();
            seen.extend(metrics(&message).iter().map(|s| (series.labels(s.series).to_string(), s.time.0)));
            drop(series);
            deliver(message);
        })
        .await;
        assert_eq!((status, &*body), (StatusCode::NO_CONTENT, ""));
        assert_eq!(written_header(&headers), header);
        assert_eq!(seen, [("up{a=\"b\"}".to_owned(), 1), ("up{a=\"b\"}".to_owned(), 2)]);
    }
}

#[tokio::test]
async fn a_bad_series_costs_itself_and_is_told() {
    for (version, header) in [(Version::V1, None), (Version::V2, Some("1"))] {
        let mut tested = tested(100, LONG);
        let mut taken = 0;
        let (status, headers, body) = exchange(&mut tested, written(version, &[("up", 1)], 12), |message| {
            taken += message.batch.count();
            deliver(message);
        })
        .await;
        assert_eq!((status, taken), (StatusCode::BAD_REQUEST, 1));
        assert_eq!(written_header(&headers), header);
        assert!(body.contains("bad_0{a=\"x\""), "{body}");
        assert!(body.contains("6 labels where at most 5 are taken") && body.contains("and 2 more"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_takes_in_time_is_withdrawn_and_is_to_be_sent_again() {
    let mut tested = tested(100, Duration::from_secs(5));
    let mut held = Vec::new();
    let (status, headers, body) =
        exchange(&mut tested, written(Version::V2, &[("up", 1)], 0), |message| held.push(message)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert!(headers.contains_key("retry-after"));
    assert_eq!(written_header(&headers), Some("0"));
    assert!(held[0].ack.is_revoked());
}

#[tokio::test(start_paused = true)]
async fn what_one_destination_has_is_taken_though_another_is_slow() {
    let mut tested = tested(100, Duration::from_secs(5));
    let mut slow = Vec::new();
    let (status, ..) = exchange(&mut tested, written(Version::V2, &[("up", 1)], 0), |message| {
        slow.push(message.fork());
        deliver(message);
    })
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(!slow[0].ack.is_revoked(), "the agent owns the rest");
}

#[tokio::test]
async fn verdicts_become_answers() {
    let mut tested = tested(100, LONG);
    let one = || written(Version::V2, &[("up", 1)], 0);
    let refuse = |message: Message| {
        message.ack.refuse(Outcome::Refused, 1, "out of order");
        message.ack.done();
    };
    let (status, headers, body) = exchange(&mut tested, one(), refuse).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("1 samples were refused: out of order"), "{body}");
    assert_eq!(written_header(&headers), Some("0"));
    let (status, ..) = exchange(&mut tested, one(), drop).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "abandoned");
    let (status, ..) = exchange(&mut tested, one(), |message| message.ack.settle(Outcome::Filtered, 1)).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "the configuration says to drop it");
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_the_reason() {
    let mut tested = tested(100, LONG);
    let post = || Request::post("/api/v1/write");
    let body = |request: http::request::Builder| request.body(Body::from(vec![1, 2, 3])).expect("a request");
    let v3 = body(post().header("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request"));
    let json = body(post().header("content-type", "application/json"));
    let gzip = body(post().header("content-encoding", "gzip"));
    for request in [v3, json, gzip] {
        let (status, ..) = exchange(&mut tested, request, drop).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let (status, ..) = exchange(&mut tested, request(Version::V1, vec![0xff; 20]), drop).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "no snappy");
    let snappy = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).expect("compresses");
    let (status, _, words) = exchange(&mut tested, request(Version::V1, snappy(&[0x0a, 200])), drop).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "no message");
    assert!(words.contains("not a `prometheus.WriteRequest`: it ends within a field"), "{words}");
    let (status, ..) = exchange(&mut tested, request(Version::V1, snappy(&vec![0; 2 << 20])), drop).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "too large once it is inflated");
    let (status, ..) = exchange(&mut tested, request(Version::V1, vec![0; 2 << 20]), drop).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // What carries no samples, such as metadata alone, is fine.
    let (status, ..) = exchange(&mut tested, request(Version::V1, snappy(&[])), drop).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn series_beyond_the_agents_limit_are_refused_and_the_others_taken() {
    let mut tested = tested(2, LONG);
    let series = [("a", 1), ("b", 2), ("c", 3), ("a", 4)];
    let mut seen = Vec::new();
    let (status, headers, body) = exchange(&mut tested, written(Version::V2, &series, 0), |message| {
        seen.extend(metrics(&message).iter().map(|sample| sample.time.0));
        deliver(message);
    })
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(written_header(&headers), Some("3"));
    assert_eq!(seen, [1, 2, 4]);
    assert!(body.contains("1 new series: the agent keeps at most 2 series"), "{body}");
}

#[tokio::test]
async fn it_listens_where_it_is_told_and_stops() {
    let options: Options = serde_json::from_value(json!({ "listen": "127.0.0.1:0" })).expect("the shape is right");
    assert_eq!(options.problems(), []);
    let metrics = Telemetry::new().component("source", "prometheus_remote_write/x");
    let source = RemoteWrite {
        options,
        table: SeriesTable::new(1),
        memory: Arc::new(MemoryBudget::new(1 << 20)),
        resource: Arc::default(),
    };
    let (_gate, outlet) = Gate::open(Chain::default(), Path::new(), metrics.clone());
    let shutdown = CancellationToken::new();
    let id = crate::pipeline::graph::ComponentId("prometheus_remote_write/x".into());
    let cx =
        SourceContext { id, outlets: vec![outlet], metrics, shutdown: shutdown.clone(), removed: shutdown.clone() };
    let task = tokio::spawn(Box::new(source).start(cx));
    shutdown.cancel();
    task.await.expect("no panic").expect("ends");
}
