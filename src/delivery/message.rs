//! What moves through the graph.

use std::sync::{Arc, LazyLock};

use super::{Ack, Outcome};
use crate::data::{Batch, UnixNanos};
use crate::telemetry::ComponentMetrics;

/// A batch and the acknowledgement that its source waits for.
#[derive(Debug)]
pub struct Message {
    /// The records, samples or spans.
    pub batch: Batch,
    /// Settled by every destination that the batch reaches.
    pub ack: Ack,
    /// If some of it may have been handed on before (a restart, a rewind): the earliest time at which
    /// that can have been. A sink that deduplicates looks no further back.
    pub first_attempt: Option<UnixNanos>,
    /// Component output through which the message reached its sink; part of a document's identity.
    pub input: Arc<str>,
}

impl Message {
    /// A message seen for the first time.
    pub fn new(batch: Batch, ack: Ack) -> Self {
        static NOT_YET: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
        Self { batch, ack, first_attempt: None, input: NOT_YET.clone() }
    }

    /// Whether some of it may have been handed on before: after a restart, from the disk queue or from the log,
    /// or because a sink let it go.
    pub fn is_replayed(&self) -> bool {
        self.first_attempt.is_some()
    }

    /// Settles all of it as refused for good by the component with these metrics.
    pub fn refuse(self, why: &str, metrics: &ComponentMetrics) {
        let records = self.batch.count() as u64;
        metrics.records_refused.inc_by(records);
        metrics.error(format!("{records} refused for good: {why}"));
        self.ack.refuse(Outcome::Refused, records, why);
        self.ack.done();
    }

    /// The same records for one more destination.
    pub fn fork(&self) -> Self {
        Self {
            batch: self.batch.clone(),
            ack: self.ack.fork(),
            first_attempt: self.first_attempt,
            input: self.input.clone(),
        }
    }
}
