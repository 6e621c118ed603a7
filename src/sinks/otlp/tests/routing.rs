//! Traces by their ids: each to one of several backends, and to another only where its own is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use super::*;
use crate::data::{Chunk, TraceBatch};
use crate::sinks::otlp::members::{self, Members};
use crate::sinks::otlp::rendezvous::Rendezvous;

const TRACES: u64 = 60;

fn trace_id(trace: u64) -> [u8; 16] {
    u128::from(trace + 1).to_be_bytes()
}

/// One span of each trace.
fn turn(turn: u64) -> TraceBatch {
    let spans = (0..TRACES).map(|trace| Span {
        trace_id: trace_id(trace).to_vec(),
        span_id: (turn * TRACES + trace + 1).to_be_bytes().to_vec(),
        name: "GET /".into(),
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    traces::index(Chunk::from_vec(request.encode_to_vec())).expect("well-formed").batch
}

/// Span ids that a receiver took, by the number of their trace.
fn spans(receiver: &Receiver) -> BTreeMap<u64, Vec<u64>> {
    let mut found: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for request in receiver.with(|store| store.taken.clone()) {
        let request = ExportTraceServiceRequest::decode(&*request).expect("a request");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let trace = u128::from_be_bytes(span.trace_id.try_into().expect("16 bytes")) as u64 - 1;
            let span = u64::from_be_bytes(span.span_id.try_into().expect("8 bytes"));
            found.entry(trace).or_default().push(span);
        }
    }
    found
}

/// Fails unless every span of so many turns was taken once.
fn assert_all_once(taken: &[BTreeMap<u64, Vec<u64>>], turns: u64) {
    let mut all: Vec<u64> = taken.iter().flat_map(|taken| taken.values().flatten().copied()).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=turns * TRACES).collect::<Vec<_>>());
}

#[tokio::test]
async fn all_spans_of_a_trace_go_to_the_one_backend_that_hashing_says() {
    let mut receivers = Vec::new();
    for _ in 0..3 {
        receivers.push(Receiver::start(|_| Says::Taken).await);
    }
    let urls: Vec<_> = receivers.iter().map(Receiver::url).collect();
    let options = json!({ "endpoints": urls, "routing": "trace_id", "batch": { "linger": "10ms" } });
    let mut driven = Driven::start(sink(options));
    for at in 0..5 {
        driven.send_batch(Batch::Traces(turn(at)), None).await;
    }
    for _ in 0..5 {
        assert_eq!(delivered(&driven.verdict().await), (TRACES, 0));
    }
    driven.finish().await.expect("ends");
    let taken: Vec<_> = receivers.iter().map(spans).collect();
    assert_all_once(&taken, 5);
    let names: Vec<_> = receivers.iter().map(|receiver| receiver.address.to_string()).collect();
    let rendezvous = Rendezvous::new(names.iter().map(String::as_str));
    for (index, taken) in taken.iter().enumerate() {
        assert!(!taken.is_empty(), "each has some");
        assert!(taken.keys().all(|trace| rendezvous.owner(&trace_id(*trace)) == index));
    }
}

#[test]
fn what_has_no_traces_is_not_routed_by_them() {
    let options = serde_json::from_value(json!({ "endpoint": "http://gateways:4317", "routing": "trace_id" }));
    let named = Named { options: options.expect("options"), signals: &[Signal::Logs, Signal::Metrics, Signal::Traces] };
    assert_eq!(named.problems(), []);
    assert!(named.accepts(Signal::Traces) && !named.accepts(Signal::Logs) && !named.accepts(Signal::Metrics));
}

/// Receivers on several addresses of loopback and one port.
async fn on_one_port(looks: [Box<dyn Fn() -> Says + Send>; 3]) -> [Receiver; 3] {
    let [first, second, third] = looks;
    let first = Receiver::start(move |_| first()).await;
    let port = first.address.port();
    let at = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
    let second = Receiver::start_at(at(2), move |_| second()).await;
    let third = Receiver::start_at(at(3), move |_| third()).await;
    [first, second, third]
}

#[tokio::test]
async fn what_was_on_its_way_to_a_member_that_is_gone_goes_to_those_that_are_left() {
    let taken = || Box::new(|| Says::Taken);
    let back = Arc::new(AtomicBool::new(false));
    let is_back = back.clone();
    let away = move || match is_back.load(Ordering::Relaxed) {
        true => Says::Taken,
        false => Says::Later(Duration::from_secs(600)),
    };
    let receivers = on_one_port([taken(), Box::new(away), taken()]).await;
    let port = receivers[0].address.port();
    let known: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
    let say = |last: &[u8]| {
        *known.lock().expect("not poisoned") = last.iter().map(|last| IpAddr::from([127, 0, 0, *last])).collect();
    };
    say(&[1, 2, 3]);
    let options: Options = serde_json::from_value(json!({
        "endpoint": format!("http://gateways:{port}"), "routing": "trace_id", "concurrency": 1,
        "batch": { "linger": "1ms" },
    }))
    .expect("the shape is right");
    assert_eq!(options::problems(&options), []);
    let asked = known.clone();
    let resolve: members::Resolve =
        Box::new(move |_| std::future::ready(Ok(asked.lock().expect("not poisoned").clone())).boxed());
    let url = format!("http://gateways:{port}").parse().expect("an address");
    let members = Members::Named { url, every: Duration::from_millis(20), resolve };
    let server = Server::new(&options).expect("a client");
    let mut driven = Driven::start(Box::new(Otlp { options, server, members: Some(members) }));
    // Some of it is tried by the one that is away, some waits for it.
    const TURNS: u64 = 4;
    for at in 0..TURNS {
        driven.send_batch(Batch::Traces(turn(at)), None).await;
        let tried = |receiver: &Receiver| receiver.with(|store| store.requests);
        while tried(&receivers[1]) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let name = |last: u8| format!("127.0.0.{last}:{port}");
    let before = Rendezvous::new([name(1), name(2), name(3)].iter().map(String::as_str));
    let owned = |rendezvous: &Rendezvous, owner: usize| -> BTreeSet<u64> {
        (0..TRACES).filter(|trace| rendezvous.owner(&trace_id(*trace)) == owner).collect()
    };
    assert!((0..3).all(|owner| !owned(&before, owner).is_empty()));
    say(&[1, 3]);
    for _ in 0..TURNS {
        assert_eq!(delivered(&driven.verdict().await), (TRACES, 0), "nothing is lost, and nothing abandoned");
    }
    let found = [spans(&receivers[0]), spans(&receivers[2])];
    assert_all_once(&found, TURNS);
    assert!(spans(&receivers[1]).is_empty());
    let after = Rendezvous::new([name(1), name(3)].iter().map(String::as_str));
    for (index, found) in found.iter().enumerate() {
        assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), owned(&after, index));
    }
    // It comes back, and has its own again.
    back.store(true, Ordering::Relaxed);
    say(&[3, 2, 1]);
    let mut turns = TURNS;
    while spans(&receivers[1]).is_empty() {
        driven.send_batch(Batch::Traces(turn(turns)), None).await;
        assert_eq!(delivered(&driven.verdict().await), (TRACES, 0));
        turns += 1;
    }
    assert_eq!(spans(&receivers[1]).into_keys().collect::<BTreeSet<_>>(), owned(&before, 1));
    driven.finish().await.expect("ends");
    assert_all_once(&receivers.each_ref().map(spans), turns);
}

#[tokio::test]
async fn nothing_is_taken_before_a_member_is_known() {
    let receiver = Receiver::start(|_| Says::Taken).await;
    let options: Options =
        serde_json::from_value(json!({ "endpoint": receiver.url(), "routing": "trace_id" })).expect("options");
    let known = Arc::new(AtomicBool::new(false));
    let asked = known.clone();
    let resolve: members::Resolve = Box::new(move |_| {
        let known = asked.load(Ordering::Relaxed);
        std::future::ready(if known { Ok(vec![IpAddr::from([127, 0, 0, 1])]) } else { Err("no server".into()) }).boxed()
    });
    let url = receiver.url().replace("127.0.0.1", "gateways").parse().expect("an address");
    let members = Members::Named { url, every: Duration::from_millis(10), resolve };
    let server = Server::new(&options).expect("a client");
    let mut driven = Driven::start(Box::new(Otlp { options, server, members: Some(members) }));
    driven.send_batch(Batch::Traces(turn(0)), None).await;
    while driven.metrics.health.status().unhealthy.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(driven.metrics.records_in.get(), 0);
    known.store(true, Ordering::Relaxed);
    assert_eq!(delivered(&driven.verdict().await), (TRACES, 0));
    assert_eq!(driven.metrics.health.status().unhealthy, None);
}
