//! The way of a batch through the graph, as spans of one trace: from where it sets out to the last destination that has
//! said what became of it, with its steps, its waits in edges and its requests below.
//!
//! Which batches are followed [`OwnTraces`](crate::telemetry::OwnTraces) says. The spans of a batch hang on its
//! [`Ack`](super::Ack), which whoever has a part of the batch holds: a batch that is not followed has nothing there, and
//! costs the look that finds nothing.
//!
//! **Never a loop.** Batches that hold spans of this scope, whichever agent made them, are not followed. So no span comes of
//! a span: not of an agent that sends to its own source, not of two that send to each other, not with a Collector between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::Outcome;
use super::ack::Verdict;
use super::sender::Attempted;
use crate::data::{Batch, TraceBatch};
use crate::formats::otlp::span::scope_name;
use crate::telemetry::{ComponentMetrics, Exit};

/// The instrumentation scope of every agent's own spans.
pub const SCOPE: &str = "tailwater.agent";

/// What becomes of records, as attributes have it.
const OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Delivered, "tailwater.records.delivered"),
    (Outcome::Filtered, "tailwater.records.filtered"),
    (Outcome::DeadLettered, "tailwater.records.dead_lettered"),
    (Outcome::Dropped, "tailwater.records.dropped"),
    (Outcome::Refused, "tailwater.records.refused"),
];

/// A part of a followed batch's way that is not over. It ends when it is dropped.
pub struct Leg {
    exit: Exit,
    trace: TraceId,
    id: SpanId,
    parent: SpanId,
    verb: &'static str,
    component: Box<str>,
    kind: SpanKind,
    start: SystemTime,
    attributes: Mutex<Vec<KeyValue>>,
    counts: [AtomicU64; OUTCOMES.len()],
    failed: Mutex<Option<String>>,
}

/// The whole way of a batch that sets out from a component, if it is to be followed.
#[inline]
pub fn begin(verb: &'static str, metrics: &ComponentMetrics, batch: &Batch) -> Option<Box<Leg>> {
    let exit = metrics.own_traces.chosen()?;
    set_out(exit, verb, metrics, batch)
}

#[cold]
fn set_out(exit: Exit, verb: &'static str, metrics: &ComponentMetrics, batch: &Batch) -> Option<Box<Leg>> {
    if let Batch::Traces(traces) = batch
        && has_own(traces)
    {
        return None;
    }
    // An id of zeros is none.
    let trace = TraceId::from(fastrand::u128(1..));
    let leg = Leg::new(exit, (trace, SpanId::INVALID), verb, metrics, SpanKind::Internal);
    leg.say(KeyValue::new("tailwater.signal", batch.signal().name()));
    leg.say(KeyValue::new("tailwater.records", int(batch.count() as u64)));
    leg.say(KeyValue::new("tailwater.bytes", int(batch.bytes())));
    Some(Box::new(leg))
}

/// Whether some agent's own spans are among these.
fn has_own(traces: &TraceBatch) -> bool {
    traces.index().scopes.iter().any(|scope| scope_name(traces.bytes(scope.scope)) == SCOPE.as_bytes())
}

impl Leg {
    fn new(
        exit: Exit,
        (trace, parent): (TraceId, SpanId),
        verb: &'static str,
        metrics: &ComponentMetrics,
        kind: SpanKind,
    ) -> Self {
        let attributes = vec![
            KeyValue::new("tailwater.component", metrics.name.to_string()),
            KeyValue::new("tailwater.component.kind", metrics.kind),
        ];
        Self {
            exit,
            trace,
            id: SpanId::from(fastrand::u64(1..)),
            parent,
            verb,
            component: metrics.name.clone(),
            kind,
            start: SystemTime::now(),
            attributes: Mutex::new(attributes),
            counts: Default::default(),
            failed: Mutex::default(),
        }
    }

    /// A part of this one that begins now.
    pub fn part(&self, verb: &'static str, metrics: &ComponentMetrics, kind: SpanKind) -> Self {
        Self::new(self.exit.clone(), (self.trace, self.id), verb, metrics, kind)
    }

    /// The same with how much of the batch is left.
    #[must_use]
    pub fn with(self, batch: &Batch) -> Self {
        self.say(KeyValue::new("tailwater.records", int(batch.count() as u64)));
        self.say(KeyValue::new("tailwater.bytes", int(batch.bytes())));
        self
    }

    /// Records that had this outcome.
    pub fn count(&self, outcome: Outcome, records: u64) {
        self.counts[outcome as usize].fetch_add(records, Ordering::Relaxed);
    }

    /// What went wrong; the first counts.
    pub fn fail(&self, why: &str) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.to_owned());
    }

    /// Tells what became of the whole batch.
    pub fn settled(&self, verdict: &Verdict) {
        for (outcome, _) in OUTCOMES {
            self.counts[outcome as usize].store(verdict.count(outcome), Ordering::Relaxed);
        }
        if verdict.abandoned {
            self.fail(ABANDONED);
        } else if let Some(reason) = &verdict.reason {
            self.fail(reason);
        }
    }

    /// Tells how an attempt to send ended.
    pub fn attempted(&self, attempted: &Attempted) {
        match attempted {
            Attempted::Done => {}
            Attempted::Withdrawn => self.fail("withdrawn"),
            Attempted::Retry { reason, .. } | Attempted::Blocked { reason } => self.fail(reason),
        }
    }

    fn say(&self, attribute: KeyValue) {
        self.attributes.lock().unwrap_or_else(PoisonError::into_inner).push(attribute);
    }
}

/// Why a part failed whose holder vanished.
pub(super) const ABANDONED: &str = "let go without a word: it is read or sent again";

impl Drop for Leg {
    fn drop(&mut self) {
        let mut attributes = std::mem::take(self.attributes.get_mut().unwrap_or_else(PoisonError::into_inner));
        for (outcome, name) in OUTCOMES {
            let records = *self.counts[outcome as usize].get_mut();
            if records > 0 {
                attributes.push(KeyValue::new(name, int(records)));
            }
        }
        let failed = self.failed.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        (self.exit)(SpanData {
            span_context: SpanContext::new(self.trace, self.id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: self.parent,
            parent_span_is_remote: false,
            span_kind: self.kind.clone(),
            name: format!("{} {}", self.verb, self.component).into(),
            start_time: self.start,
            end_time: SystemTime::now(),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: failed.map_or(Status::Unset, Status::error),
            instrumentation_scope: InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build(),
        });
    }
}

impl std::fmt::Debug for Leg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.component)
    }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
