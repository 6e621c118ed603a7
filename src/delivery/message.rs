//! What moves through the graph.

use std::sync::{Arc, LazyLock};

use super::Ack;
use crate::data::{Batch, UnixNanos};

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
