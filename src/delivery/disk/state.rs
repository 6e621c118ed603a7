//! What senders, the sink and the worker of a disk queue share, and which of its messages are where.
//!
//! A message is in up to two places: in `accepted` until it is settled towards its source, and in `ready` until
//! the sink takes it, from when on it is in `handed`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::{Batch, UnixNanos};
use crate::delivery::Ack;

/// What senders, sink and worker share.
#[derive(Debug, Default)]
pub struct State {
    /// For the sink, in order.
    pub ready: VecDeque<Ready>,
    pub ready_bytes: u64,
    /// What is not settled towards its source, in order.
    pub accepted: VecDeque<Accepted>,
    /// Bytes of what is accepted and not written.
    pub unwritten_bytes: u64,
    /// What the sink has and everything behind it, until it is settled, by number.
    pub handed: VecDeque<Handed>,
    /// The number of the next message.
    pub next: u64,
    /// The lowest number that was not made ready yet.
    pub next_ready: u64,
    /// Up to this number messages are in a segment.
    pub written: u64,
    /// Up to this number the worker writes just now.
    pub writing: u64,
    /// The highest number that the sink has taken.
    pub passed: u64,
    /// Whether new messages are made ready at once.
    pub direct: bool,
    /// Whether the folder was read, or cannot be: numbers are given from then on.
    pub opened: bool,
    /// A message was abandoned: it must be made ready once more.
    pub rewind: bool,
    /// No more messages are taken.
    pub closed: bool,
    /// No more messages are handed out.
    pub finished: bool,
    /// The sink is gone.
    pub gone: bool,
    /// Records in the queue.
    pub records: u64,
    /// Since when the worker may sleep without a limit.
    pub asleep: bool,
    /// Whether something changed since the worker looked.
    pub changed: bool,
    /// Whether it was told that something is kept in memory alone.
    pub told_unstorable: bool,
    /// Numbers from here on were given by this process.
    pub own_from: u64,
}

/// A message for the sink.
#[derive(Debug)]
pub struct Ready {
    pub sequence: u64,
    pub batch: Batch,
    pub input: Arc<str>,
    pub accepted: UnixNanos,
    pub first_attempt: Option<UnixNanos>,
}

/// A message whose source waits.
#[derive(Debug)]
pub struct Accepted {
    pub sequence: u64,
    pub at: UnixNanos,
    /// Until it is written.
    pub batch: Option<Batch>,
    pub input: Arc<str>,
    pub first_attempt: Option<UnixNanos>,
    pub records: u64,
    pub bytes: u64,
    pub ack: Ack,
    /// Whether its source never waits.
    pub offered: bool,
    /// Whether no record can be made of it, or the one that was made may not survive: only the sink settles it.
    pub only_in_memory: bool,
}

/// A message that the sink was given.
#[derive(Debug)]
pub struct Handed {
    pub sequence: u64,
    pub records: u64,
    pub accepted: UnixNanos,
    pub state: Given,
}

/// What became of a message that the sink was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    Out,
    Settled,
    Abandoned,
}

impl State {
    /// Everything up to this number is settled.
    pub fn settled(&self) -> u64 {
        let handed = self.handed.front().map_or(u64::MAX, |handed| handed.sequence - 1);
        let ready = self.ready.front().map_or(u64::MAX, |ready| ready.sequence - 1);
        handed.min(ready).min(self.next_ready.saturating_sub(1))
    }

    /// Whether a message that was written is not settled towards its source.
    pub fn owes(&self) -> bool {
        self.accepted.front().is_some_and(|accepted| accepted.sequence <= self.written)
    }

    /// When the oldest unsettled message in memory was accepted.
    pub fn oldest(&self) -> Option<UnixNanos> {
        let handed = self.handed.front().map(|handed| handed.accepted);
        handed.or_else(|| self.ready.front().map(|ready| ready.accepted))
    }

    pub fn accepted_at(&self, sequence: u64) -> Option<usize> {
        self.accepted.binary_search_by_key(&sequence, |accepted| accepted.sequence).ok()
    }

    pub fn handed_at(&self, sequence: u64) -> Result<usize, usize> {
        self.handed.binary_search_by_key(&sequence, |handed| handed.sequence)
    }

    /// Takes a message out of what its source waits for.
    pub fn take_accepted(&mut self, index: usize) -> Option<Accepted> {
        let accepted = self.accepted.remove(index)?;
        if accepted.batch.is_some() {
            self.unwritten_bytes -= accepted.bytes;
        }
        Some(accepted)
    }

    /// Makes a message ready behind those that are.
    pub fn make_ready(&mut self, ready: Ready) {
        self.next_ready = ready.sequence + 1;
        self.ready_bytes += ready.batch.bytes();
        self.ready.push_back(ready);
    }

    /// Whether the sink has this message, or has settled it, and will not get it again.
    pub fn has(&self, sequence: u64) -> bool {
        self.handed_at(sequence).is_ok_and(|index| self.handed[index].state != Given::Abandoned)
    }

    /// Whether the sink had this message and let it go.
    pub fn was_abandoned(&self, sequence: u64) -> bool {
        self.handed_at(sequence).is_ok_and(|index| self.handed[index].state == Given::Abandoned)
    }

    /// Whether the memory for the sink has room for a message of this size.
    pub fn has_room(&self, memory: u64, bytes: u64) -> bool {
        self.ready.is_empty() || self.ready_bytes + bytes <= memory
    }

    /// Makes everything ready once more that the sink has neither got nor settled.
    pub fn go_back(&mut self) -> Vec<Ready> {
        self.rewind = false;
        self.direct = false;
        self.ready_bytes = 0;
        let ready = std::mem::take(&mut self.ready);
        let abandoned = self.handed.iter().filter(|handed| handed.state == Given::Abandoned);
        let first = abandoned.map(|handed| handed.sequence).chain(ready.iter().map(|ready| ready.sequence)).min();
        self.next_ready = self.next_ready.min(first.unwrap_or(u64::MAX));
        ready.into()
    }

    /// Takes the oldest message out that no record was made of and that the sink has not; only one that was
    /// offered where `offered`.
    pub fn shed(&mut self, offered: bool) -> Option<Accepted> {
        let taken = self.passed.max(self.writing);
        let droppable = |accepted: &Accepted| {
            accepted.batch.is_some() && accepted.sequence > taken && (accepted.offered || !offered)
        };
        let index = self.accepted.iter().position(droppable)?;
        let accepted = self.take_accepted(index)?;
        self.forget_ready(accepted.sequence);
        self.records -= accepted.records;
        Some(accepted)
    }

    /// Takes a message out of what is ready.
    pub fn forget_ready(&mut self, sequence: u64) {
        if let Ok(index) = self.ready.binary_search_by_key(&sequence, |ready| ready.sequence)
            && let Some(ready) = self.ready.remove(index)
        {
            self.ready_bytes -= ready.batch.bytes();
        }
    }
}
