//! What a receiver has in the end, by what it answers.

use std::sync::{Arc, Mutex, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::data::{Chunk, Slice, TraceBatch};
use crate::delivery::{Ack, Outcome, Path, Settle, Verdict};
use crate::formats::otlp::json::{self, Document};
use crate::telemetry::{ComponentMetrics, Telemetry};

/// What a receiver answers to the spans of these names.
type Answers = fn(&[String]) -> u16;

/// Names of the spans of a request, and its bytes.
type Taken = (Vec<String>, usize);

#[derive(Clone)]
struct Receiver {
    answers: Answers,
    taken: Arc<Mutex<Vec<Taken>>>,
}

async fn receive(State(receiver): State<Receiver>, body: Bytes) -> StatusCode {
    let spans: Vec<Value> = serde_json::from_slice(&body).expect("an array");
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().expect("a name").to_owned()).collect();
    let status = (receiver.answers)(&names);
    if status == 202 {
        receiver.taken.lock().expect("not poisoned").push((names, body.len()));
    }
    StatusCode::from_u16(status).expect("a status")
}

struct Told(mpsc::Sender<Verdict>);

impl Settle for Told {
    fn settled(&self, _: u64, verdict: Verdict) {
        self.0.send(verdict).expect("read");
    }
}

fn batch(names: &[String]) -> TraceBatch {
    let span = |(at, name): (usize, &String)| json!({ "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": format!("{:016x}", at + 1), "name": name });
    let spans: Vec<_> = names.iter().enumerate().map(span).collect();
    let request = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string();
    let request = json::read(Document::Request(Signal::Traces), request.as_bytes(), 1 << 20).expect("a request");
    traces::index(Chunk::from_vec(request)).expect("well-formed").batch
}

/// Delivers batches as one parcel; returns what was taken, what became of each batch, and the metrics.
async fn deliver(
    batches: Vec<TraceBatch>,
    max_bytes: usize,
    answers: Answers,
) -> (Vec<Taken>, Vec<Verdict>, Arc<ComponentMetrics>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let receiver = Receiver { answers, taken: Arc::default() };
    let options = json!({ "endpoint": format!("http://{}/api/v2/spans", listener.local_addr().expect("bound")) });
    let options: Options = serde_json::from_value(options).expect("the shape is right");
    let router = Router::new().route("/api/v2/spans", axum::routing::post(receive)).with_state(receiver.clone());
    let server = crate::net::http_server::Server::start(listener, router).expect("it serves");
    let metrics = Telemetry::new().component("sink", "zipkin/x");
    let shared = Shared {
        server: Server::new(&Options {
            own: options::Own { compression: options::Compression::None, ..options.own },
            ..options
        })
        .expect("valid"),
        compression: options::Compression::None.of_bodies(),
        max_bytes,
        metrics: metrics.clone(),
    };
    let (told, verdicts) = mpsc::channel();
    let told = Arc::new(Told(told));
    let count = batches.len();
    let messages = batches
        .into_iter()
        .map(|batch| Message::new(Batch::Traces(batch), Ack::new(told.clone(), 0, Path::new(), false)));
    let (parcel, parts) = Part::all(messages.collect());
    let sender =
        Sender::new(metrics.clone(), Arc::new(Complaints::new(metrics.clone())), 4, fastrand::Rng::with_seed(7));
    sender.run(&mut Delivery::new(Arc::new(shared), parcel, parts)).await;
    server.stop().await;
    let verdicts: Vec<_> = verdicts.try_iter().collect();
    assert_eq!(verdicts.len(), count, "every message is settled");
    let taken = receiver.taken.lock().expect("not poisoned").clone();
    (taken, verdicts, metrics)
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("span {number}")).collect()
}

fn names(taken: &[Taken]) -> Vec<String> {
    taken.iter().flat_map(|(names, _)| names.clone()).collect()
}

fn counts(verdicts: &[Verdict]) -> Vec<(u64, u64)> {
    let count = |verdict: &Verdict| (verdict.count(Outcome::Delivered), verdict.count(Outcome::Refused));
    let mut counts: Vec<_> = verdicts.iter().map(count).collect();
    counts.sort_unstable();
    counts
}

#[tokio::test]
async fn what_is_refused_as_a_whole_costs_the_span_that_is_to_blame() {
    for answers in [
        |names: &[String]| if names.iter().any(|name| name == "bad") { 400 } else { 202 },
        |names: &[String]| if names.iter().any(|name| name == "bad") { 413 } else { 202 },
    ] as [Answers; 2]
    {
        let mut first = numbered(0..7);
        first[3] = "bad".into();
        let second = numbered(7..12);
        let (taken, verdicts, metrics) = deliver(vec![batch(&first), batch(&second)], 1 << 20, answers).await;
        let expected: Vec<_> = first.into_iter().chain(second).filter(|name| name != "bad").collect();
        assert_eq!(names(&taken), expected, "each once, in order");
        assert_eq!(counts(&verdicts), [(5, 0), (6, 1)]);
        assert_eq!((metrics.records_out.get(), metrics.records_refused.get()), (11, 1));
    }
}

#[tokio::test]
async fn requests_are_split_between_spans() {
    let (all, long) = (numbered(0..40), "long ".repeat(300));
    let batches = vec![batch(&all[..25]), batch(std::slice::from_ref(&long)), batch(&all[25..])];
    let (taken, verdicts, _) = deliver(batches, 1024, |_| 202).await;
    let expected: Vec<_> = all[..25].iter().chain([&long]).chain(&all[25..]).cloned().collect();
    assert_eq!(names(&taken), expected);
    assert_eq!(counts(&verdicts), [(1, 0), (15, 0), (25, 0)]);
    let large = taken.iter().filter(|(_, bytes)| *bytes > 1025).count();
    assert_eq!(large, 1, "only a single span that is larger: {taken:?}");
    assert!(taken.len() < 12, "requests are filled: {taken:?}");
}

#[tokio::test]
async fn a_span_that_cannot_be_written_is_refused_alone() {
    let mut edited = batch(&numbered(0..3));
    let chunk = edited.next_chunk();
    // A span whose edited message has lost its ids.
    edited.edit(Chunk::from_vec(vec![5 << 3 | 2, 1, b'x'])).spans[1].message = Slice::new(chunk, 0, 3);
    let mut alone = batch(&numbered(3..4));
    alone.edit(Chunk::from_vec(vec![5 << 3 | 2, 1, b'x'])).spans[0].message = Slice::new(chunk, 0, 3);
    let (taken, verdicts, _) = deliver(vec![edited, alone], 1 << 20, |_| 202).await;
    assert_eq!(names(&taken), ["span 0", "span 2"]);
    assert_eq!(counts(&verdicts), [(0, 1), (2, 1)]);
    assert!(verdicts.iter().all(|verdict| verdict.reason.as_ref().is_some_and(|why| why.contains("trace id"))));
}
