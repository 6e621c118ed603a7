//! The sinks before a receiver on loopback that speaks both protocols and answers in every way.

mod metrics;
mod routing;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::data::{MemoryBudget, SeriesTable};
use crate::delivery::{Outcome, Verdict};
use crate::formats::otlp::traces;
use crate::formats::protobuf::{push_bytes, push_message, push_uint};
use crate::net::grpc::{self, Code, Status};
use crate::net::http_server::{self, BodyLimits};
use crate::options::Identity;
use crate::pipeline::graph::ComponentId;
use crate::pipeline::testing::Driven;
use crate::telemetry::Telemetry;

/// Most bytes of a request, before and after compression: what receivers of gRPC take.
const LIMITS: BodyLimits = BodyLimits { wire: 4 << 20, inflated: 4 << 20 };

/// What a receiver says.
enum Says {
    Taken,
    /// So many are refused for good.
    Partly(u64),
    Later(std::time::Duration),
    /// With these words.
    Refused(&'static str),
    TooLarge,
}

/// Looks at an encoded request.
type Look = Box<dyn FnMut(&[u8]) -> Says + Send>;

struct Store {
    look: Look,
    /// Headers of every request.
    headers: Vec<HeaderMap>,
    /// Encoded requests that were taken, as a whole or in part.
    taken: Vec<Vec<u8>>,
    requests: usize,
}

struct Receiver {
    store: Arc<Mutex<Store>>,
    address: std::net::SocketAddr,
    _server: http_server::Server,
}

impl Receiver {
    async fn start(look: impl FnMut(&[u8]) -> Says + Send + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), look).await
    }

    async fn start_at(at: std::net::SocketAddr, look: impl FnMut(&[u8]) -> Says + Send + 'static) -> Self {
        let store = Store { look: Box::new(look), headers: Vec::new(), taken: Vec::new(), requests: 0 };
        let store = Arc::new(Mutex::new(store));
        let listener = TcpListener::bind(at).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut router = Router::new();
        for (package, service) in [("metrics", "MetricsService"), ("trace", "TraceService"), ("logs", "LogsService")] {
            let method = format!("/opentelemetry.proto.collector.{package}.v1.{service}/Export");
            router = router.route(&method, post(call));
        }
        router = router.route("/v1/metrics", post(take)).route("/v1/traces", post(take));
        let server = http_server::Server::start(listener, router.with_state(store.clone())).expect("starts");
        Self { store, address, _server: server }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.store.lock().expect("not poisoned"))
    }
}

impl Store {
    fn says(&mut self, headers: &HeaderMap, request: &[u8]) -> Says {
        self.headers.push(headers.clone());
        self.requests += 1;
        let says = (self.look)(request);
        if matches!(says, Says::Taken | Says::Partly(_)) {
            self.taken.push(request.to_vec());
        }
        says
    }
}

fn response(rejected: u64) -> Vec<u8> {
    let (mut partial, mut response) = (Vec::new(), Vec::new());
    if rejected > 0 {
        push_uint(1, rejected, &mut partial);
        push_bytes(2, b"too strange", &mut partial);
        push_bytes(1, &partial, &mut response);
    }
    response
}

async fn call(State(store): State<Arc<Mutex<Store>>>, request: Request) -> Response {
    let headers = request.headers().clone();
    let memory = MemoryBudget::new(1 << 30).share(Signal::Traces);
    let message = match grpc::read(&LIMITS, &memory, request).await {
        Ok((message, _)) => message,
        Err(status) => return grpc::reply(Err(status)),
    };
    grpc::reply(match store.lock().expect("not poisoned").says(&headers, &message) {
        Says::Taken => Ok(response(0)),
        Says::Partly(rejected) => Ok(response(rejected)),
        Says::Later(after) => Err(grpc::retry_later(Code::Unavailable, "busy", after)),
        Says::Refused(words) => Err(Status::invalid_argument(words)),
        Says::TooLarge => Err(Status::resource_exhausted("grpc: received message larger than max (5 vs. 4)")),
    })
}

async fn take(State(store): State<Arc<Mutex<Store>>>, request: Request) -> Response {
    use std::io::Read;
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LIMITS.wire).await.expect("a body");
    let mut message = Vec::new();
    match parts.headers.get("content-encoding").map(|value| value.as_bytes()) {
        Some(b"gzip") => {
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut message).expect("gzip");
        }
        Some(b"zstd") => message = zstd::decode_all(&body[..]).expect("zstd"),
        _ => message.extend_from_slice(&body),
    }
    let kind = [("content-type", "application/x-protobuf")];
    match store.lock().expect("not poisoned").says(&parts.headers, &message) {
        Says::Taken => (kind, response(0)).into_response(),
        Says::Partly(rejected) => (kind, response(rejected)).into_response(),
        Says::Later(after) => {
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", after.as_secs().to_string())]).into_response()
        }
        Says::Refused(words) => (StatusCode::BAD_REQUEST, words).into_response(),
        Says::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

fn prepare_context(name: &str) -> PrepareContext {
    let telemetry = Arc::new(Telemetry::new());
    PrepareContext {
        id: ComponentId(name.into()),
        metrics: telemetry.component("sink", name),
        telemetry,
        names: Arc::default(),
        series: SeriesTable::new(1),
        memory: Arc::new(MemoryBudget::new(1)),
        data_dir: std::path::Path::new("").into(),
        identity: Arc::new(Identity::default()),
        pods: Arc::default(),
        lasting: Default::default(),
        workers: 1,
    }
}

/// The sink with these options.
fn sink(options: serde_json::Value) -> Box<dyn Sink> {
    let options: Options = serde_json::from_value(options).expect("the shape is right");
    let named = Named { options, signals: &[Signal::Logs, Signal::Metrics, Signal::Traces] };
    assert_eq!(named.problems(), []);
    named.prepare(&prepare_context("otlp/x")).expect("prepares")
}

fn start(receiver: &Receiver, more: serde_json::Value) -> Driven {
    let mut options = json!({ "endpoint": receiver.url(), "batch": { "linger": "10ms" } });
    for (key, value) in more.as_object().expect("an object") {
        options[key] = value.clone();
    }
    Driven::start(sink(options))
}

fn delivered(verdict: &Verdict) -> (u64, u64) {
    assert!(!verdict.abandoned);
    (verdict.count(Outcome::Delivered), verdict.count(Outcome::Refused))
}

#[tokio::test]
async fn a_request_is_of_one_signal() {
    let receiver = Receiver::start(|_| Says::Taken).await;
    let mut driven = start(&receiver, json!({ "batch": { "linger": "200ms" } }));
    // A span with ids of ones.
    let span = [&b"\x0a\x10"[..], &[1; 16], b"\x12\x08", &[1; 8]].concat();
    let mut request = Vec::new();
    push_message(1, &mut request, |out| push_message(2, out, |out| push_bytes(2, &span, out)));
    let spans = traces::index(crate::data::Chunk::from_vec(request.clone())).expect("well-formed").batch;
    driven.send_batch(Batch::Logs(crate::pipeline::testing::batch(&["a"])), None).await;
    driven.send_batch(Batch::Traces(spans), None).await;
    driven.send_batch(Batch::Logs(crate::pipeline::testing::batch(&["b"])), None).await;
    for _ in 0..3 {
        assert_eq!(delivered(&driven.verdict().await), (1, 0));
    }
    receiver.with(|store| {
        assert_eq!(store.requests, 2, "both lines in one");
        assert!(store.taken.contains(&request));
    });
}
