//! What a worker is told: by the catalog about files, by sinks about batches.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::generation::GenerationFile;
use super::origin::Origin;
use crate::delivery::{Settle, Verdict};

/// Something for a worker to take in.
#[derive(Debug)]
pub enum Command {
    /// A log of its own, with at least one generation.
    Add(Box<Origin>),
    /// The next generation of log number `origin`.
    Extend {
        /// Which log.
        origin: u32,
        /// The generation.
        file: Arc<GenerationFile>,
    },
    /// The log is gone or has ended: once it is read to its end nothing more comes.
    End {
        /// Which log.
        origin: u32,
    },
    /// The log is done and forgotten.
    Remove {
        /// Which log.
        origin: u32,
    },
}

/// What became of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    /// Which log.
    pub origin: u32,
    /// The batch's token.
    pub token: u64,
    /// Whether nothing may be concluded: read again.
    pub abandoned: bool,
}

/// A worker's inbox. Its lock is taken once a batch.
#[derive(Debug, Default)]
pub struct Inbox {
    content: Mutex<Content>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Content {
    commands: Vec<Command>,
    settled: Vec<Settled>,
}

impl Inbox {
    /// Tells the worker something.
    pub fn command(&self, command: Command) {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).commands.push(command);
        self.filled.notify_one();
    }

    /// Moves everything out.
    pub fn take(&self, commands: &mut Vec<Command>, settled: &mut Vec<Settled>) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        commands.append(&mut content.commands);
        settled.append(&mut content.settled);
    }

    /// Waits until something may have come. Cancel-safe.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }
}

/// Settles the batches of one log.
pub struct Mailbox {
    /// Of the worker that owns the log.
    pub inbox: Arc<Inbox>,
    /// Which log.
    pub origin: u32,
}

impl Settle for Mailbox {
    fn settled(&self, token: u64, verdict: Verdict) {
        let settled = Settled { origin: self.origin, token, abandoned: verdict.abandoned };
        self.inbox.content.lock().unwrap_or_else(PoisonError::into_inner).settled.push(settled);
        self.inbox.filled.notify_one();
    }
}
