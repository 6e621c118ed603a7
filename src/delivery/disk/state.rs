//! What senders, the sink and the worker of a disk queue share, and which of its messages are where.
//!
//! A message is in up to two places: in `accepted` until it is settled towards its source, and in `ready` until
//! the sink takes it, from when on it is in `handed`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::{Batch, UnixNanos};
use crate::delivery::Ack;

/// What reading has passed and nobody has any more.
#[derive(Debug, Default)]
pub struct Vanished {
    /// Records whose sources were told that they are safe.
    pub settled: u64,
    /// Messages that were written, whose sources wait still: dropped, they tell them to send again.
    pub unsettled: Vec<Accepted>,
}

impl Vanished {
    /// Records of all of it.
    pub fn records(&self) -> u64 {
        self.settled + self.unsettled.iter().map(|accepted| accepted.records).sum::<u64>()
    }

    /// Records that no source gives again: it was told that they are safe, or never waits to be told.
    pub fn lost(&self) -> u64 {
        let offered = self.unsettled.iter().filter(|accepted| accepted.offered);
        self.settled + offered.map(|accepted| accepted.records).sum::<u64>()
    }
}

/// What senders, sink and worker share.
#[derive(Debug, Default)]
pub struct State {
    /// For the sink, in order.
    pub ready: VecDeque<Ready>,
    pub ready_bytes: u64,
    /// What is not settled towards its source, in order.
    pub accepted: VecDeque<Accepted>,
    /// Bytes of what is accepted and neither written nor lent.
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
    /// Whether the sink has it and no record can be made of it. What a sink takes bounds such messages, as it does
    /// where there is no disk; counted here as well they would keep everything else out until they are settled.
    pub lent: bool,
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
        self.first_unsettled().map_or(u64::MAX, |handed| handed.sequence - 1).min(self.reached())
    }

    /// What is up to this number was made ready, and the sink has had it.
    fn reached(&self) -> u64 {
        let ready = self.ready.front().map_or(u64::MAX, |ready| ready.sequence - 1);
        ready.min(self.next_ready.saturating_sub(1))
    }

    fn first_unsettled(&self) -> Option<&Handed> {
        self.handed.iter().find(|handed| handed.state != Given::Settled)
    }

    /// When the oldest unsettled message in memory was accepted.
    pub fn oldest(&self) -> Option<UnixNanos> {
        let handed = self.first_unsettled().map(|handed| handed.accepted);
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
        if accepted.batch.is_some() && !accepted.lent {
            self.unwritten_bytes -= accepted.bytes;
        }
        Some(accepted)
    }

    /// Notes that the sink has a message, or has let it go, of which no record can be made. Returns whether there
    /// is more room now.
    pub fn lend(&mut self, sequence: u64, lent: bool) -> bool {
        let Some(index) = self.accepted_at(sequence) else { return false };
        let accepted = &mut self.accepted[index];
        if accepted.batch.is_none() || !accepted.only_in_memory || accepted.lent == lent {
            return false;
        }
        accepted.lent = lent;
        match lent {
            true => self.unwritten_bytes -= accepted.bytes,
            false => self.unwritten_bytes += accepted.bytes,
        }
        lent
    }

    /// Takes out what its source has withdrawn and the sink has not.
    pub fn take_revoked(&mut self) -> Vec<Accepted> {
        let (mut revoked, mut index) = (Vec::new(), 0);
        while let Some(accepted) = self.accepted.get(index) {
            if !accepted.ack.is_revoked() || self.has(accepted.sequence) {
                index += 1;
                continue;
            }
            revoked.extend(self.revoke(index));
        }
        revoked
    }

    /// Takes out a message that its source has withdrawn, so that the sink never gets it: where a record was made of
    /// it, reading goes over that, and so does the cursor.
    pub fn revoke(&mut self, index: usize) -> Option<Accepted> {
        let accepted = self.take_accepted(index)?;
        let Accepted { sequence, records, at, .. } = accepted;
        self.forget_ready(sequence);
        self.records = self.records.saturating_sub(records);
        if sequence <= self.written.max(self.writing) {
            let settled = Handed { sequence, records, accepted: at, state: Given::Settled };
            match self.handed_at(sequence) {
                Ok(index) => self.handed[index] = settled,
                Err(index) => self.handed.insert(index, settled),
            }
            self.forget_settled();
        } else {
            self.forget_abandoned(sequence);
        }
        Some(accepted)
    }

    /// Makes a message ready in its place among those that are.
    pub fn make_ready(&mut self, ready: Ready) {
        self.next_ready = ready.sequence + 1;
        self.ready_bytes += ready.batch.bytes();
        let index = self.ready.partition_point(|other| other.sequence < ready.sequence);
        self.ready.insert(index, ready);
    }

    /// Makes a message ready that waits in memory for its source.
    pub fn make_accepted_ready(&mut self, index: usize) {
        let accepted = &self.accepted[index];
        let Some(batch) = accepted.batch.clone() else { return };
        let (sequence, at, input) = (accepted.sequence, accepted.at, accepted.input.clone());
        let first_attempt = accepted.first_attempt.or(self.was_abandoned(sequence).then_some(at));
        self.make_ready(Ready { sequence, batch, input, accepted: at, first_attempt });
    }

    /// Whether the sink can get the next message: none that was let go before it is still to be read.
    pub fn can_hand(&self) -> bool {
        self.ready.front().is_some_and(|ready| ready.sequence < self.next_ready)
    }

    /// Whether the sink has this message, or has settled it, and will not get it again.
    pub fn has(&self, sequence: u64) -> bool {
        self.handed_at(sequence).is_ok_and(|index| self.handed[index].state != Given::Abandoned)
    }

    /// Whether the sink had this message and let it go.
    pub fn was_abandoned(&self, sequence: u64) -> bool {
        self.handed_at(sequence).is_ok_and(|index| self.handed[index].state == Given::Abandoned)
    }

    /// Whether this message is ready, or the sink has it or has settled it: it need not be read.
    pub fn is_there(&self, sequence: u64) -> bool {
        self.has(sequence) || self.is_ready(sequence)
    }

    fn is_ready(&self, sequence: u64) -> bool {
        self.ready.binary_search_by_key(&sequence, |ready| ready.sequence).is_ok()
    }

    /// Whether memory knows of this message, and accounts for it when reading passes it.
    pub fn knows(&self, sequence: u64) -> bool {
        self.is_ready(sequence) || self.handed_at(sequence).is_ok() || self.accepted_at(sequence).is_some()
    }

    /// The numbers from `from` on that memory knows of, in their order.
    pub fn known_from(&self, from: u64) -> Vec<u64> {
        let handed = self.handed.range(self.handed_from(from)..).map(|handed| handed.sequence);
        let ready = self.ready.iter().map(|ready| ready.sequence).filter(|sequence| *sequence >= from);
        let accepted = self.accepted.iter().map(|accepted| accepted.sequence).filter(|sequence| *sequence >= from);
        let mut known: Vec<_> = handed.chain(ready).chain(accepted).collect();
        known.sort_unstable();
        known
    }

    /// Whether the memory for the sink has room for a message of this size. It has where the sink waits for one.
    pub fn has_room(&self, memory: u64, bytes: u64) -> bool {
        !self.can_hand() || self.ready_bytes + bytes <= memory
    }

    /// Goes back to the first message that the sink has let go. What is ready stays: memory may be all that has it.
    pub fn go_back(&mut self) {
        self.rewind = false;
        self.direct = false;
        let let_go = |handed: &&Handed| handed.state == Given::Abandoned && !self.is_ready(handed.sequence);
        if let Some(first) = self.handed.iter().find(let_go) {
            self.next_ready = self.next_ready.min(first.sequence);
        }
    }

    /// Goes over what need not be read; returns the next number that is wanted.
    pub fn next_wanted(&mut self) -> u64 {
        while self.is_there(self.next_ready) {
            self.next_ready += 1;
        }
        self.next_ready
    }

    /// Goes on to a number before which nothing more can be read. What was let go, or never made ready, comes from
    /// memory where it is there; the rest is gone.
    pub fn pass(&mut self, to: u64) -> Vanished {
        let (from, mut gone) = (self.next_ready, Vanished::default());
        let mut index = self.accepted.partition_point(|accepted| accepted.sequence < from);
        while let Some(Accepted { sequence, batch, .. }) =
            self.accepted.get(index).filter(|accepted| accepted.sequence < to)
        {
            let (sequence, unwritten) = (*sequence, batch.is_some());
            if self.is_there(sequence) {
                // What was written of it is not there: it is the sink that settles it.
                self.accepted[index].only_in_memory |= !unwritten;
            } else if unwritten {
                self.make_accepted_ready(index);
            } else if let Some(accepted) = self.take_accepted(index) {
                self.records = self.records.saturating_sub(accepted.records);
                self.forget_abandoned(sequence);
                gone.unsettled.push(accepted);
                continue;
            }
            index += 1;
        }
        let (first, behind) = (self.handed_from(from), self.handed_from(to));
        for index in (first..behind).rev() {
            let Handed { sequence, records, state, .. } = self.handed[index];
            if state == Given::Abandoned && !self.is_ready(sequence) {
                self.handed.remove(index);
                self.records = self.records.saturating_sub(records);
                gone.settled += records;
            }
        }
        self.next_ready = from.max(to);
        self.forget_settled();
        gone
    }

    fn handed_from(&self, sequence: u64) -> usize {
        self.handed.partition_point(|handed| handed.sequence < sequence)
    }

    /// Forgets that the sink has let a message go: it will not get it again.
    pub fn forget_abandoned(&mut self, sequence: u64) {
        if let Ok(index) = self.handed_at(sequence)
            && self.handed[index].state == Given::Abandoned
        {
            self.handed.remove(index);
            self.forget_settled();
        }
    }

    /// Forgets what is settled and has nothing unsettled before it: reading never comes back to it.
    pub fn forget_settled(&mut self) {
        let reached = self.reached();
        let over = |handed: &mut Handed| handed.state == Given::Settled && handed.sequence <= reached;
        while self.handed.pop_front_if(over).is_some() {}
    }

    /// Takes the oldest message out that no record was made of and that the sink has not; only one that was
    /// offered where `offered`.
    pub fn shed(&mut self, offered: bool) -> Option<Accepted> {
        let taken = self.passed.max(self.writing);
        let droppable = |accepted: &Accepted| accepted.batch.is_some() && (accepted.offered || !offered);
        let first = self.accepted.partition_point(|accepted| accepted.sequence <= taken);
        let index = first + self.accepted.range(first..).position(droppable)?;
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
