//! Tail sampling holds what its budget says, and no more after an hour than after the first minutes: 100,000 traces are
//! open at every moment, on a virtual clock.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tailwater::data::{Batch, Chunk, MemoryBudget, Names, SeriesTable, Signal};
use tailwater::delivery::queue::{EdgeReceiver, EdgeSender, WhenFull, edge};
use tailwater::delivery::{Ack, Message, Outcome, Path, Settle, Verdict};
use tailwater::formats::otlp::traces::index;
use tailwater::options::Identity;
use tailwater::pipeline::component::{PrepareContext, PrepareTransform, PreparedTransform, TaskContext};
use tailwater::pipeline::graph::ComponentId;
use tailwater::pipeline::outlet::{Chain, Gate, Reader};
use tailwater::telemetry::Telemetry;
use tailwater::transforms::tail_sampling;
use tokio_util::sync::CancellationToken;

/// Traces of a request, each with two spans and no root: it stays open as long as it may.
const TRACES: u64 = 100;
/// From one request to the next, so that 100,000 traces come in the ten minutes that each stays open.
const EVERY: Duration = Duration::from_millis(600);
const OPEN: u64 = 100_000;

struct Unheard;

impl Settle for Unheard {
    fn settled(&self, _: u64, _: Verdict) {}
}

/// The transform between two edges.
struct Sampling {
    input: EdgeSender,
    output: EdgeReceiver,
    settle: Arc<dyn Settle>,
    next: u64,
    kept: u64,
    _gate: Arc<Gate>,
}

impl Sampling {
    /// Starts it with so many bytes.
    fn new(max_bytes: &str) -> Self {
        let options = serde_json::json!({
            "decision_wait": "10m",
            "max_bytes": max_bytes,
            "policies": [{ "type": "probabilistic", "probabilistic": { "sampling_percentage": 5 } }],
        });
        let plan = (tail_sampling::DESCRIPTOR.plan)(&mut <dyn erased_serde::Deserializer>::erase(options));
        let telemetry = Arc::new(Telemetry::new());
        let metrics = telemetry.component("transform", "tail_sampling/main");
        let common = PrepareContext {
            id: ComponentId("tail_sampling/main".into()),
            metrics: metrics.clone(),
            telemetry,
            names: Arc::new(Names::default()),
            series: SeriesTable::new(1),
            memory: Arc::new(MemoryBudget::new(1 << 30)),
            data_dir: std::path::Path::new("").into(),
            identity: Arc::new(Identity::default()),
            pods: Arc::default(),
            lasting: Default::default(),
            workers: 1,
        };
        let downstream = tailwater::data::names::Interest::default();
        let prepare = PrepareTransform { common: &common, signal: Signal::Traces, downstream: &downstream };
        let Ok(PreparedTransform::Task(task)) = plan.expect("good options").prepare(&prepare) else {
            panic!("`tail_sampling` is a task");
        };
        let (input, receiver) = edge(1 << 30, WhenFull::Block, metrics.clone());
        let (sender, output) = edge(1 << 30, WhenFull::Block, metrics.clone());
        let chain = Chain { readers: vec![Reader::edge(sender, "tail_sampling/main")] };
        let (gate, outlet) = Gate::open(chain, Path::new(), metrics.clone());
        let outlets = vec![outlet];
        tokio::spawn(task.start(TaskContext { input: receiver, outlets, metrics, shutdown: CancellationToken::new() }));
        Self { input, output, settle: Arc::new(Unheard), next: 0, kept: 0, _gate: gate }
    }

    /// Sends the next traces, lets time pass, and takes what comes out.
    async fn turn(&mut self) {
        let batch = index(request(self.next)).expect("well-formed").batch;
        self.next += TRACES;
        let ack = Ack::new(self.settle.clone(), self.next, Path::new(), false);
        self.input.send(Message::new(Batch::Traces(batch), ack)).await.expect("the task runs");
        for pause in [Duration::ZERO, EVERY] {
            tokio::time::advance(pause).await;
            tokio::task::yield_now().await;
        }
        while let Some(message) = self.output.try_recv() {
            let spans = message.batch.count() as u64;
            self.kept += spans;
            message.ack.settle(Outcome::Delivered, spans);
        }
    }
}

fn request(first: u64) -> Chunk {
    let span = |trace: u64, span: u64| Span {
        trace_id: [trace.wrapping_mul(0x9e37_79b9_7f4a_7c15), trace.wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1]
            .map(u64::to_be_bytes)
            .concat(),
        span_id: span.to_be_bytes().to_vec(),
        parent_span_id: vec![9; 8],
        name: format!("GET /cart/{trace}/{}", "x".repeat(120)),
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_500_000_000,
        ..Span::default()
    };
    let spans = (first..first + TRACES).flat_map(|trace| [span(trace, 1), span(trace, 2)]).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    Chunk::from_vec(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

/// Bytes that are held after half an hour, when as many decisions are remembered as may be, and at the end of the hour.
fn held(max_bytes: &str) -> (i64, i64, Sampling, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let mut sampling = runtime.block_on(async { Sampling::new(max_bytes) });
    let mut turns = |count: u64| {
        let run = || {
            runtime.block_on(async {
                for _ in 0..count {
                    sampling.turn().await
                }
            })
        };
        measure(run).bytes_current
    };
    let (first, rest) = (3000, 3000);
    let early = turns(first);
    let late = early + turns(rest);
    (early, late, sampling, (first + rest) * TRACES)
}

#[test]
fn an_hour_with_100_000_open_traces_holds_what_it_did_at_first() {
    let (early, late, sampling, traces) = held("128MiB");
    println!("{} MiB, then {} MiB", early >> 20, late >> 20);
    // All of them are open, or they would have taken less.
    assert!(early > (OPEN * 2 * 180) as i64 && early < 160 << 20, "{early} bytes for a budget of 128 MiB");
    assert!((late - early).abs() < early / 100, "{early} bytes after half an hour, {late} after an hour");
    // Those that came in the last ten minutes are undecided.
    let decided = 2 * (traces - OPEN);
    assert!((decided * 4 / 100..decided * 6 / 100).contains(&sampling.kept), "{} of {decided} spans", sampling.kept);
}

#[test]
fn a_budget_that_is_too_small_decides_early_and_is_kept() {
    let (early, late, sampling, traces) = held("32MiB");
    println!("{} MiB, then {} MiB", early >> 20, late >> 20);
    assert!(early < 48 << 20 && late < 48 << 20, "{early} and {late} bytes for a budget of 32 MiB");
    assert!(sampling.kept > 2 * (traces - OPEN / 2) * 4 / 100, "{} spans of {traces} traces", sampling.kept);
}
