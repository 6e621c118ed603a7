//! The transform `tail_sampling`: keeps or drops whole traces, by what their spans say once they are there.
//!
//! It holds: a span is settled when its trace is dropped, or when a destination has it. Until then it stands in the disk
//! queue before the transform, which is on by default: who pushed it was answered once it was there, and after a restart
//! or a kill the undecided spans are read again from there. Without that queue a sender waits for the decision.
//!
//! A trace is decided `decision_wait` after its first span, or `root_wait` after its root has ended; a span that comes
//! later follows the decision, which is remembered. What is held is bounded in bytes: beyond them the oldest trace is
//! decided early, by what is known of it.

mod decided;
mod options;
mod policy;
mod question;
mod rate;
#[cfg(test)]
mod tests;
mod traces;

use std::sync::Arc;

use schemars::JsonSchema;
use tokio::time::{Instant, sleep_until};

use crate::data::names::Interest;
use crate::data::traces::ResourceSpans;
use crate::data::{Batch, Names, Resource, Signal, TraceBatch};
use crate::delivery::{Message, Outcome};
use crate::expression::traces::SpanView;
use crate::formats::otlp::origin::read_resource;
use crate::formats::otlp::span::SpanMessage;
use crate::formats::otlp::traces::index;
use crate::options::Problem;
use crate::pipeline::component::{Plan, PrepareTransform, TransformTask};
use crate::pipeline::graph::Buffer;
use crate::pipeline::outlet::Outlet;
use crate::pipeline::{
    Descriptor, Outputs, PrepareError, PreparedTransform, Task, TaskContext, TaskError, TransformPlan,
};
use crate::telemetry::ComponentMetrics;
use options::Options;
use policy::Policies;
use traces::{Decided, OneTrace, Part, Traces};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "tail_sampling",
    summary: "Keeps or drops whole traces by what their spans say.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Bytes of the disk queue before it, unless told otherwise.
const DISK: u64 = 2 << 30;

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        options::problems(self)
    }
}

impl TransformPlan for Options {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        match signal {
            Signal::Traces => Ok(Outputs::One(Signal::Traces)),
            other => Err(format!("`tail_sampling` samples traces, not {}", other.name())),
        }
    }

    fn interest(&self, _: Signal, _: &Names, _: &Interest) -> Result<Interest, PrepareError> {
        Ok(Interest::default())
    }

    fn default_buffer(&self) -> Buffer {
        Buffer::on_disk(DISK)
    }

    fn prepare(&self, _: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let policies = Policies::new(self).map_err(|problem| PrepareError(problem.message))?;
        Ok(PreparedTransform::Task(Box::new(TailSampling { options: self.clone(), policies })))
    }
}

struct TailSampling {
    options: Options,
    policies: Policies,
}

impl TransformTask for TailSampling {
    fn absorbs(&self) -> bool {
        false
    }

    fn start(self: Box<Self>, cx: TaskContext) -> Task {
        Box::pin(self.run(cx))
    }
}

impl TailSampling {
    async fn run(self: Box<Self>, cx: TaskContext) -> Result<(), TaskError> {
        let Self { options, policies } = *self;
        let TaskContext { mut input, outlets, metrics, shutdown } = cx;
        let outlet = outlets.into_iter().next().ok_or_else(|| TaskError("it has no output".into()))?;
        let mut sampler = Sampler::new(&options, policies, outlet, metrics);
        loop {
            let due = sampler.traces.next_due();
            let work = async {
                tokio::select! {
                    biased;
                    () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Some(None),
                    message = input.recv() => message.map(Some),
                }
            };
            let Some(work) = shutdown.run_until_cancelled(work).await else { return Ok(()) };
            match work {
                // What is undecided stays in the disk queue; without one nobody brings it again but its sender.
                None if input.is_durable() => return Ok(()),
                None => {
                    let all = sampler.traces.take_all();
                    let _ = shutdown.run_until_cancelled(sampler.decide(all)).await;
                    return Ok(());
                }
                Some(message) => {
                    let step = sampler.step(message);
                    if shutdown.run_until_cancelled(step).await.is_none() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Everything that the task has.
struct Sampler {
    traces: Traces,
    policies: Policies,
    outlet: Outlet,
    metrics: Arc<ComponentMetrics>,
}

impl Sampler {
    fn new(options: &Options, policies: Policies, outlet: Outlet, metrics: Arc<ComponentMetrics>) -> Self {
        Self { traces: Traces::new(options), policies, outlet, metrics }
    }

    /// Takes a message, and decides what is due.
    async fn step(&mut self, message: Option<Message>) {
        let now = Instant::now();
        if let Some(message) = message {
            self.metrics.count_in(&message.batch);
            let late = self.take(message, now);
            for part in late {
                self.keep(part).await;
            }
        }
        let due = self.traces.take_due(now);
        self.decide(due).await;
    }

    /// Puts the spans of a message to their traces. Returns those whose trace was kept before.
    fn take(&mut self, message: Message, now: Instant) -> Vec<Part> {
        let Message { batch, ack, .. } = message;
        let Batch::Traces(batch) = batch else {
            // The plan takes traces alone.
            ack.done();
            return Vec::new();
        };
        let mut late = Vec::new();
        let resources = self.resources(&batch);
        let mut only = OneTrace::of(&batch);
        for (trace_id, spans) in traces::by_trace(&batch) {
            match self.traces.decision(&trace_id) {
                Some(Decided::Kept) => late.push(only.part(&spans, ack.fork())),
                Some(Decided::Dropped) => {
                    self.metrics.records_filtered.inc_by(spans.len() as u64);
                    ack.count(Outcome::Filtered, spans.len() as u64);
                }
                None => {
                    let part = only.part(&spans, ack.fork());
                    let trace = self.traces.open(trace_id, now);
                    look(&batch, &spans, &resources, &mut self.policies, trace);
                    self.traces.add(trace_id, part, now);
                }
            }
        }
        ack.done();
        late
    }

    /// What conditions read of the resources of a batch, in their order; nothing where they read none.
    fn resources(&self, batch: &TraceBatch) -> Vec<Arc<Resource>> {
        let all: &[_] = if self.policies.read_resource() { &batch.index().resources } else { &[] };
        // What the index has proven cannot fail to be read.
        let read = |entry: &ResourceSpans| read_resource(batch.bytes(entry.resource), b"").unwrap_or_default();
        all.iter().map(|entry| Arc::new(read(entry))).collect()
    }

    /// Decides traces, and hands on those that are kept.
    async fn decide(&mut self, traces: Vec<traces::Trace>) {
        for trace in traces {
            let kept = self.policies.decide(&trace.seen, &trace.id, Instant::now());
            self.traces.remember(trace.id, if kept { Decided::Kept } else { Decided::Dropped });
            // What was withdrawn its sender brings again.
            for part in trace.parts.into_iter().filter(|part| !part.ack.is_revoked()) {
                if kept {
                    self.keep(part).await;
                } else {
                    self.metrics.records_filtered.inc_by(part.spans);
                    part.ack.settle(Outcome::Filtered, part.spans);
                }
            }
        }
    }

    /// Hands spans on; they are settled by whoever has them in the end.
    async fn keep(&mut self, part: Part) {
        let Part { request, ack, .. } = part;
        // It was made of spans that were indexed once.
        let Ok(indexed) = index(request) else { return };
        // An error says that nothing takes messages any more: the ack is dropped, which abandons the spans.
        let _ = self.outlet.send(Message::new(Batch::Traces(indexed.batch), ack)).await;
    }
}

/// Notes what the policies want to know of a trace's new spans.
fn look(
    batch: &TraceBatch,
    spans: &[usize],
    resources: &[Arc<Resource>],
    policies: &mut Policies,
    trace: &mut policy::Seen,
) {
    let unread = Arc::default();
    for &span in spans {
        let entry = &batch.spans()[span];
        let scope = &batch.index().scopes[entry.scope as usize];
        let resource = resources.get(scope.resource as usize).unwrap_or(&unread);
        let message = SpanMessage(batch.span(span));
        let view = SpanView { entry, message, scope: batch.bytes(scope.scope), resource };
        policies.look(&view, batch.resource_of(entry), trace);
    }
}
