//! An exporter against small servers on loopback.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use tokio::net::TcpListener;

use super::*;
use crate::data::Chunk;
use crate::formats::otlp::span::SpanMessage;
use crate::formats::otlp::traces::index;
use crate::net::http_server::Server;

fn span(number: u64) -> SpanData {
    let ids = (TraceId::from(7), SpanId::from(number));
    SpanData {
        span_context: SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: format!("span {number}").into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("test").build(),
    }
}

async fn serve(router: Router) -> Server {
    Server::start(TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port"), router).expect("starts")
}

fn exporter(endpoint: String, queue: usize) -> (SpanQueue, SpanExporter, Counters) {
    let counters = Counters::new().expect("valid names");
    let settings = Settings {
        client: HttpClient::new(&Default::default()).expect("a client"),
        endpoint: endpoint.parse().expect("an address"),
        resource: Resource::builder_empty().with_attributes([KeyValue::new("service.name", "shop")]).build(),
        queue,
        linger: Duration::from_millis(1),
        timeout: Duration::from_secs(10),
    };
    let (queue, exporter) = start(settings, counters.clone()).expect("starts");
    (queue, exporter, counters)
}

#[tokio::test]
async fn what_is_put_off_is_sent_again_and_the_end_loses_nothing() {
    let (got, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
    let keep = got.clone();
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        if asked.fetch_add(1, Ordering::Relaxed) == 0 {
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")], Vec::new());
        }
        assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
        keep.lock().expect("not poisoned").push(body);
        (StatusCode::OK, [(header::RETRY_AFTER, "0")], Vec::new())
    };
    let server = serve(Router::new().route("/v1/traces", post(answer))).await;
    let (queue, exporter, counters) = exporter(format!("http://{}/v1/traces", server.address()), 2000);
    for number in 1..=1200 {
        queue.offer(span(number));
    }
    exporter.finish(Duration::from_secs(60)).await;
    assert_eq!((counters.sent.get(), counters.dropped.get()), (1200, 0));
    let mut names = Vec::new();
    for request in got.lock().expect("not poisoned").drain(..) {
        let indexed = index(Chunk::from_bytes(request)).expect("a request");
        assert_eq!(indexed.refused, 0);
        assert!(String::from_utf8_lossy(indexed.batch.resource_of(&indexed.batch.spans()[0])).contains("shop"));
        for at in 0..indexed.batch.spans().len() {
            names.push(String::from_utf8_lossy(SpanMessage(indexed.batch.span(at)).name()).into_owned());
        }
    }
    assert_eq!(names, (1..=1200).map(|number| format!("span {number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_nobody_takes_is_dropped_and_counted() {
    let refuse = || async { (StatusCode::BAD_REQUEST, "no") };
    // ExportTraceServiceResponse { partial_success: { rejected_spans: 2, error_message: "odd" } }
    let partial = || async { vec![0x0a, 7, 0x08, 2, 0x12, 3, b'o', b'd', b'd'] };
    let server = serve(Router::new().route("/refuse", post(refuse)).route("/partial", post(partial))).await;
    for (path, expected) in [("refuse", (0, 3)), ("partial", (1, 2))] {
        let (queue, exporter, counters) = exporter(format!("http://{}/{path}", server.address()), 3);
        // Nothing takes them out before the first wait, so the fourth finds no room.
        for number in 1..=4 {
            queue.offer(span(number));
        }
        exporter.finish(Duration::from_secs(60)).await;
        assert_eq!((counters.sent.get(), counters.dropped.get()), (expected.0, expected.1 + 1), "{path}");
        queue.offer(span(5));
        assert_eq!(counters.dropped.get(), expected.1 + 2, "nothing is taken after the end");
    }
}
