//! What both protocols do with a request once it is there: read, handed on, and answered by what became of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::OUTPUTS;
use super::options::Options;
use crate::data::{Batch, Budget, Chunk, MemoryBudget, Signal};
use crate::formats::otlp::resource::ResourceAttributes;
use crate::formats::otlp::{Malformed, traces};
use crate::formats::protobuf::{push_bytes, push_uint};
use crate::options::Identity;
use crate::options::identity::Role;
use crate::pipeline::outlet::Outlet;
use crate::pipeline::pushed::{Became, hand_on};
use crate::telemetry::ComponentMetrics;

/// When a sender may come again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was taken, but for so many records that are refused for good.
    Taken { rejected: u64, reason: String },
    /// It cannot be read.
    Malformed(String),
    /// There is no memory for it now.
    Pressure,
    /// No destination has it: once more, later.
    Later(String),
}

impl Answer {
    /// The encoded `ExportTraceServiceResponse`, or that of another signal: their fields are the same.
    pub fn response(rejected: u64, reason: &str) -> Vec<u8> {
        let mut response = Vec::new();
        if rejected > 0 || !reason.is_empty() {
            let mut partial = Vec::new();
            push_uint(1, rejected, &mut partial);
            push_bytes(2, reason.as_bytes(), &mut partial);
            push_bytes(1, &partial, &mut response);
        }
        response
    }
}

/// What requests share.
#[derive(Clone)]
pub(super) struct Receiver(Arc<Inner>);

struct Inner {
    /// One an output, cloned for each request.
    outlets: [Mutex<Outlet>; OUTPUTS.len()],
    memory: [Arc<Budget>; OUTPUTS.len()],
    metrics: Arc<ComponentMetrics>,
    answer_within: Duration,
    identity: ResourceAttributes,
}

impl Receiver {
    pub fn new(
        options: &Options,
        memory: &MemoryBudget,
        identity: &Identity,
        outlets: Vec<Outlet>,
        metrics: Arc<ComponentMetrics>,
    ) -> Self {
        let outlets: Vec<_> = outlets.into_iter().map(Mutex::new).collect();
        Self(Arc::new(Inner {
            outlets: outlets.try_into().unwrap_or_else(|_| unreachable!("one outlet an output")),
            memory: OUTPUTS.map(|signal| memory.share(signal)),
            metrics,
            answer_within: options.answer_within.0,
            identity: attributes(identity),
        }))
    }

    /// Until when a request that comes now is answered.
    pub fn until(&self) -> Instant {
        Instant::now() + self.0.answer_within
    }

    /// Takes an encoded request of a signal.
    pub async fn take(&self, signal: Signal, message: Bytes, until: Instant) -> Answer {
        let output = OUTPUTS.iter().position(|known| *known == signal).expect("a router knows no other signal");
        self.0.metrics.bytes_in.inc_by(message.len() as u64);
        // The index of small spans is about as large as they are.
        let wanted = 2 * message.len() as u64;
        let Ok(_permit) = timeout_at(until, self.0.memory[output].acquire(wanted)).await else {
            self.0.metrics.error("requests are put off: there is no memory for them");
            return Answer::Pressure;
        };
        let read = match self.read(message) {
            Ok(read) => read,
            Err(error) => return self.malformed(&error.to_string()),
        };
        self.count(&read);
        let mut outlet = self.0.outlets[output].lock().unwrap_or_else(PoisonError::into_inner).clone();
        let became =
            if read.batches.is_empty() { Became::TAKEN } else { hand_on(&mut outlet, read.batches, until).await };
        match became {
            Became::Later(words) => Answer::Later(words),
            Became::Taken { refused, reason } => {
                let first = [read.reason.unwrap_or_default(), reason].into_iter().find(|reason| !reason.is_empty());
                Answer::Taken { rejected: read.refused + refused, reason: first.unwrap_or_default() }
            }
        }
    }

    /// Counts a request that cannot be read.
    pub fn malformed(&self, words: &str) -> Answer {
        self.0.metrics.error(format!("a request that cannot be read: {words}"));
        Answer::Malformed(words.to_owned())
    }

    fn read(&self, message: Bytes) -> Result<Read, Malformed> {
        let traces::Indexed { mut batch, refused, reason } = traces::index(Chunk::from_bytes(message))?;
        self.0.identity.add(&mut batch);
        let batches = if batch.spans().is_empty() { Vec::new() } else { vec![Batch::Traces(batch)] };
        Ok(Read { batches, refused, reason })
    }

    fn count(&self, read: &Read) {
        let taken: usize = read.batches.iter().map(Batch::count).sum();
        self.0.metrics.records_in.inc_by(taken as u64 + read.refused);
        if let Some(reason) = &read.reason {
            self.0.metrics.records_refused.inc_by(read.refused);
            self.0.metrics.error(format!("{} of a request were refused: {reason}", read.refused));
        }
    }
}

/// What a request holds.
struct Read {
    batches: Vec<Batch>,
    refused: u64,
    reason: Option<String>,
}

/// What of the agent's identity is true of who sends to it: the cluster and the external labels, and the node where
/// this agent is one of each node. A standalone agent takes from everywhere.
fn attributes(identity: &Identity) -> ResourceAttributes {
    let on_its_node = matches!(identity.role, Role::Node | Role::Sidecar);
    let node = identity.node.as_deref().filter(|_| on_its_node);
    let named = [("k8s.cluster.name", identity.cluster.as_deref()), ("k8s.node.name", node)];
    let named = named.into_iter().filter_map(|(key, value)| Some((key, value?)));
    ResourceAttributes::new(named.chain(identity.external_labels.iter().map(|(key, value)| (&**key, &**value))))
}
