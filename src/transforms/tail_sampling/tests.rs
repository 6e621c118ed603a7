//! Traces through the task on a virtual clock: what is kept, what is dropped, and when.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::delivery::queue::{EdgeReceiver, EdgeSender, WhenFull, edge};
use crate::delivery::{Ack, Path, Settle, Verdict};
use crate::pipeline::outlet::{Chain, Gate, Reader};
use crate::telemetry::Telemetry;

/// What the source heard.
#[derive(Default)]
struct Heard(Mutex<Vec<(u64, Verdict)>>);

impl Settle for Heard {
    fn settled(&self, token: u64, verdict: Verdict) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((token, verdict));
    }
}

/// The task between an edge and a receiver.
struct Bench {
    input: Option<EdgeSender>,
    output: EdgeReceiver,
    heard: Arc<Heard>,
    task: JoinHandle<Result<(), TaskError>>,
    sent: u64,
    _gate: Arc<Gate>,
}

impl Bench {
    fn new(options: serde_json::Value) -> Self {
        let options: Options = serde_json::from_value(options).expect("the shape is right");
        assert!(options::problems(&options).is_empty(), "{:?}", options::problems(&options));
        let metrics = Telemetry::new().component("transform", "tail_sampling/t");
        let (input, receiver) = edge(1 << 30, WhenFull::Block, metrics.clone());
        let (sender, output) = edge(1 << 30, WhenFull::Block, metrics.clone());
        let chain = Chain { readers: vec![Reader::edge(sender, "t")] };
        let (gate, outlet) = Gate::open(chain, Path::new(), metrics.clone());
        let policies = Policies::new(&options).expect("checked");
        let context =
            TaskContext { input: receiver, outlets: vec![outlet], metrics, shutdown: CancellationToken::new() };
        let task = tokio::spawn(Box::new(TailSampling { options, policies }).start(context));
        Self { input: Some(input), output, heard: Arc::default(), task, sent: 0, _gate: gate }
    }

    async fn send(&mut self, spans: Vec<Span>) {
        self.send_batch(batch(spans)).await;
    }

    async fn send_batch(&mut self, batch: TraceBatch) {
        self.sent += 1;
        let ack = Ack::new(self.heard.clone(), self.sent, Path::new(), false);
        let message = Message::new(Batch::Traces(batch), ack);
        self.input.as_ref().expect("open").send(message).await.expect("open");
    }

    /// Lets the task do what it can now.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn pass(&self, time: Duration) {
        self.settle().await;
        tokio::time::advance(time).await;
        self.settle().await;
    }

    /// Names of the spans that came out, settled as delivered.
    fn kept(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(message) = self.output.try_recv() {
            let Batch::Traces(batch) = &message.batch else { panic!("spans went in") };
            let spans = (0..batch.spans().len()).map(|at| Span::decode(batch.span(at)).expect("a span"));
            names.extend(spans.map(|span| span.name));
            let records = message.batch.count() as u64;
            message.ack.settle(Outcome::Delivered, records);
        }
        names.sort();
        names
    }

    /// Delivered and filtered spans of each message that was settled.
    fn heard(&self) -> Vec<(u64, u64, u64)> {
        let heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut heard: Vec<_> = heard
            .iter()
            .map(|(token, verdict)| {
                assert!(!verdict.abandoned, "{token}");
                (*token, verdict.count(Outcome::Delivered), verdict.count(Outcome::Filtered))
            })
            .collect();
        heard.sort_unstable();
        heard
    }
}

fn batch(spans: Vec<Span>) -> TraceBatch {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    index(crate::data::Chunk::from_vec(request.encode_to_vec())).expect("valid").batch
}

/// A span of trace `trace` that has a parent, from 1 s for `millis`.
fn span(trace: u8, name: &str, millis: u64) -> Span {
    let start = 1_000_000_000;
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![name.len() as u8 + 1; 8],
        parent_span_id: vec![9; 8],
        name: name.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + millis * 1_000_000,
        ..Span::default()
    }
}

fn root(trace: u8, name: &str, millis: u64) -> Span {
    Span { parent_span_id: Vec::new(), ..span(trace, name, millis) }
}

fn failed(span: Span) -> Span {
    Span { status: Some(Status { code: 2, message: String::new() }), ..span }
}

fn with(mut span: Span, key: &str, value: ProtoValue) -> Span {
    let value = Some(AnyValue { value: Some(value) });
    span.attributes.push(KeyValue { key: key.into(), value, ..KeyValue::default() });
    span
}

fn errors() -> serde_json::Value {
    serde_json::json!({ "policies": [{ "type": "status_code", "status_code": { "status_codes": ["ERROR"] } }] })
}

/// A request with the spans of these services.
fn of_services(services: Vec<(&str, Vec<Span>)>) -> TraceBatch {
    let resource_spans = services.into_iter().map(|(service, spans)| {
        let name = with(Span::default(), "service.name", ProtoValue::StringValue(service.into())).attributes;
        let resource = Some(ProtoResource { attributes: name, ..ProtoResource::default() });
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }
    });
    let request = ExportTraceServiceRequest { resource_spans: resource_spans.collect() };
    index(crate::data::Chunk::from_vec(request.encode_to_vec())).expect("valid").batch
}

#[tokio::test(start_paused = true)]
async fn a_condition_keeps_a_trace_for_one_of_its_spans() {
    let kept = async |condition: &str| {
        let mut bench =
            Bench::new(serde_json::json!({ "policies": [{ "type": "condition", "condition": condition }] }));
        let (shop, bank) = (vec![root(1, "a", 5), root(2, "b", 700)], vec![failed(span(1, "c", 2)), root(3, "d", 5)]);
        bench.send_batch(of_services(vec![("shop", shop), ("bank", bank)])).await;
        bench.pass(Duration::from_secs(31)).await;
        bench.kept()
    };
    assert_eq!(kept(r#"duration > "500ms""#).await, ["b"]);
    assert_eq!(kept(r#"resource["service.name"] == "bank""#).await, ["a", "c", "d"]);
    assert_eq!(kept(r#"resource["service.name"] == "shop" and status.code == "ERROR""#).await, [""; 0]);
    assert_eq!(kept(r#"resource["service.name"] == "bank" and status.code == "ERROR""#).await, ["a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn entries_of_decided_traces_are_let_go_of() {
    let options = serde_json::json!({ "decision_wait": "1h", "root_wait": "1s", "policies": errors()["policies"] });
    let options: Options = serde_json::from_value(options).expect("the shape is right");
    let mut traces = Traces::new(&options);
    let mut pass = |number: u64, root: bool| {
        let id = [[0; 8], number.to_be_bytes()].concat().try_into().expect("16 bytes");
        let now = Instant::now();
        let seen = traces.open(id, now);
        seen.root = root;
        let ack = crate::delivery::Ack::detached();
        let only = batch(vec![span(1, "a", 1)]);
        traces.add(id, OneTrace::of(&only).part(&[0], ack), now);
        traces.take_due(now + Duration::from_secs(2)).into_iter().for_each(|trace| {
            trace.parts.into_iter().for_each(|part| part.ack.done());
        });
        traces.waiting()
    };
    assert_eq!(pass(0, false), 1, "it stays open, and all others stand behind it");
    let most = (1..10_000).map(|number| pass(number, true)).max();
    assert!(most < Some(2000), "{most:?} entries for one open trace");
}

#[test]
fn a_condition_that_is_none_is_told_with_its_place() {
    for (condition, says) in [("duration > 5", "with its unit"), ("duratoin > \"5s\"", "no field `duratoin`")] {
        let policies = serde_json::json!({ "policies": [{ "type": "condition", "condition": condition }] });
        let options: Options = serde_json::from_value(policies).expect("the shape is right");
        let [problem] = &options::problems(&options)[..] else { panic!("one problem") };
        let said = format!("{} {}", problem.message, problem.help.clone().unwrap_or_default());
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_is_decided_whole_once_its_root_has_ended() {
    let mut bench = Bench::new(errors());
    bench.send(vec![span(1, "a", 5), span(2, "x", 5), failed(span(1, "b", 5))]).await;
    bench.send(vec![root(1, "root", 9), root(2, "y", 9)]).await;
    bench.pass(Duration::from_secs(4)).await;
    assert_eq!(bench.kept(), Vec::<String>::new(), "a moment is left for those that come late");
    assert_eq!(bench.heard(), [], "nothing is settled before it is decided");
    bench.pass(Duration::from_secs(2)).await;
    assert_eq!(bench.kept(), ["a", "b", "root"]);
    bench.settle().await;
    assert_eq!(bench.heard(), [(1, 2, 1), (2, 1, 1)]);
    // Those that come later follow the decision.
    bench.send(vec![span(1, "late", 1), span(2, "late too", 1)]).await;
    bench.settle().await;
    assert_eq!(bench.kept(), ["late"]);
    assert_eq!(bench.heard()[2..], [(3, 1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_trace_without_a_root_is_decided_when_it_was_waited_for() {
    let mut bench = Bench::new(errors());
    bench.send(vec![failed(span(1, "a", 5))]).await;
    bench.pass(Duration::from_secs(29)).await;
    assert_eq!(bench.kept(), Vec::<String>::new());
    bench.pass(Duration::from_secs(2)).await;
    assert_eq!(bench.kept(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_and_the_oldest_is_decided_early() {
    let mut options = errors();
    options["max_bytes"] = "1MiB".into();
    let mut bench = Bench::new(options);
    let large = || "x".repeat(10_000);
    for trace in 1..=250 {
        bench.send(vec![failed(span(trace, &large(), 5))]).await;
        bench.settle().await;
    }
    let early = bench.kept().len();
    assert!((140..160).contains(&early), "{early} of 250 had to go");
    bench.pass(Duration::from_secs(31)).await;
    assert_eq!(bench.kept().len(), 250 - early, "and none is lost");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_input_decides_what_is_left() {
    let mut bench = Bench::new(errors());
    bench.send(vec![failed(span(1, "a", 5)), span(2, "b", 5)]).await;
    bench.settle().await;
    bench.input = None;
    bench.settle().await;
    assert_eq!(bench.kept(), ["a"]);
    assert_eq!(bench.heard(), [(1, 1, 1)]);
    assert!(bench.task.is_finished());
}

/// Which of some traces policies keep.
async fn kept_by(policies: serde_json::Value, traces: Vec<Vec<Span>>) -> Vec<String> {
    let mut bench = Bench::new(serde_json::json!({ "policies": policies }));
    for trace in traces {
        bench.send(trace).await;
    }
    bench.pass(Duration::from_secs(31)).await;
    bench.kept()
}

#[tokio::test(start_paused = true)]
async fn policies_ask_what_their_names_say() {
    use serde_json::json;
    let text = |text: &str| ProtoValue::StringValue(text.into());
    let traces = || {
        vec![
            vec![with(span(1, "slow", 900), "tier", text("gold"))],
            vec![with(failed(span(2, "failed", 10)), "n", ProtoValue::IntValue(7))],
            vec![with(span(3, "flag", 20), "vip", ProtoValue::BoolValue(true)), span(3, "flag2", 30)],
            vec![Span { trace_state: "a=1, b=2".into(), ..span(4, "state", 40) }],
        ]
    };
    for (policy, expected) in [
        (json!({ "type": "always_sample" }), vec!["failed", "flag", "flag2", "slow", "state"]),
        (json!({ "type": "latency", "latency": { "threshold_ms": 500 } }), vec!["slow"]),
        (
            json!({ "type": "latency", "latency": { "threshold_ms": 15, "upper_threshold_ms": 35 } }),
            vec!["flag", "flag2"],
        ),
        (json!({ "type": "status_code", "status_code": { "status_codes": ["ERROR"] } }), vec!["failed"]),
        (
            json!({ "type": "string_attribute", "string_attribute": { "key": "tier", "values": ["gold"] } }),
            vec!["slow"],
        ),
        (
            json!({ "type": "string_attribute", "string_attribute":
                { "key": "tier", "values": ["^g.ld$"], "enabled_regex_matching": true } }),
            vec!["slow"],
        ),
        (
            json!({ "type": "string_attribute", "string_attribute":
                { "key": "tier", "values": ["gold"], "invert_match": true } }),
            vec!["failed", "flag", "flag2", "state"],
        ),
        (
            json!({ "type": "numeric_attribute", "numeric_attribute": { "key": "n", "min_value": 7, "max_value": 7 } }),
            vec!["failed"],
        ),
        (json!({ "type": "numeric_attribute", "numeric_attribute": { "key": "n", "min_value": 8 } }), vec![]),
        (
            json!({ "type": "boolean_attribute", "boolean_attribute": { "key": "vip", "value": true } }),
            vec!["flag", "flag2"],
        ),
        (json!({ "type": "trace_state", "trace_state": { "key": "b", "values": ["2"] } }), vec!["state"]),
        (json!({ "type": "span_count", "span_count": { "min_spans": 2 } }), vec!["flag", "flag2"]),
        (
            json!({ "type": "span_count", "span_count": { "min_spans": 1, "max_spans": 1 } }),
            vec!["failed", "slow", "state"],
        ),
        (
            json!({ "type": "and", "and": { "and_sub_policy": [
                { "type": "always_sample" }, { "type": "latency", "latency": { "threshold_ms": 35 } } ] } }),
            vec!["slow", "state"],
        ),
        (
            json!({ "type": "not", "not": { "not_sub_policy":
                { "type": "status_code", "status_code": { "status_codes": ["ERROR"] } } } }),
            vec!["flag", "flag2", "slow", "state"],
        ),
        (json!({ "type": "probabilistic", "probabilistic": { "sampling_percentage": 0 } }), vec![]),
        (
            json!({ "type": "probabilistic", "probabilistic": { "sampling_percentage": 100 } }),
            vec!["failed", "flag", "flag2", "slow", "state"],
        ),
        // 7 of 100 traces have randomness of 0x04… and more below 0xed: none of these.
        (json!({ "type": "rate_limiting", "rate_limiting": { "spans_per_second": 2 } }), vec!["failed", "slow"]),
        (json!({ "type": "bytes_limiting", "bytes_limiting": { "bytes_per_second": 0, "burst_capacity": 1 } }), vec![]),
    ] {
        assert_eq!(kept_by(json!([policy]), traces()).await, expected, "{policy}");
    }
    let drop = json!([{ "type": "always_sample" }, { "type": "drop", "drop": { "drop_sub_policy": [
        { "type": "status_code", "status_code": { "status_codes": ["ERROR"] } } ] } }]);
    assert_eq!(kept_by(drop, traces()).await, ["flag", "flag2", "slow", "state"]);
    let composite = json!([{ "type": "composite", "composite": {
        "max_total_spans_per_second": 4,
        "policy_order": ["bad", "rest"],
        "composite_sub_policy": [
            { "name": "rest", "type": "always_sample" },
            { "name": "bad", "type": "status_code", "status_code": { "status_codes": ["ERROR"] } } ],
        "rate_allocation": [{ "policy": "bad", "percent": 50 }] } }]);
    assert_eq!(kept_by(composite, traces()).await, ["failed", "slow", "state"], "two spans a second for the rest");
}

#[test]
fn the_share_of_traces_is_that_of_their_ids() {
    let options = |percent: f64, salt: &str| -> Options {
        let policy = serde_json::json!({ "type": "probabilistic",
            "probabilistic": { "sampling_percentage": percent, "hash_salt": salt } });
        serde_json::from_value(serde_json::json!({ "policies": [policy] })).expect("the shape is right")
    };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let ids: Vec<[u8; 16]> = (0..20_000).map(|_| random.u128(..).to_be_bytes()).collect();
    let kept = |percent, salt| {
        let mut policies = Policies::new(&options(percent, salt)).expect("valid");
        let seen = policy::Seen::default();
        ids.iter().filter(|id| policies.decide(&seen, id, Instant::now())).copied().collect::<Vec<_>>()
    };
    let (few, more, other) = (kept(10.0, ""), kept(30.0, ""), kept(10.0, "salt"));
    for (kept, expected) in [(&few, 2000), (&more, 6000), (&other, 2000)] {
        assert!(kept.len().abs_diff(expected) < 400, "{} of {expected}", kept.len());
    }
    assert!(few.iter().all(|id| more.contains(id)), "who is kept by less is kept by more");
    assert_ne!(few, other);
}
