//! Reading: what did not fit into memory comes back in its order, then what waits to be written.

use std::time::Instant;

use super::super::reader::Next;
use super::super::state::Ready;
use super::{PAUSE, Trouble, Worker};

/// Failed attempts to read a segment after which it is given up.
const READ_ATTEMPTS: u32 = 10;

impl Worker {
    /// Makes messages ready until memory is full: those on disk, then those that wait to be written.
    pub(super) fn fill(&mut self) {
        let memory = self.queue.settings.memory;
        loop {
            let from = {
                let mut state = self.queue.lock();
                if state.rewind {
                    let ready = state.go_back();
                    self.reader.rewind();
                    drop(state);
                    drop(ready);
                    continue;
                }
                let paused = self.read_again_at.is_some_and(|at| at > Instant::now());
                if paused || !state.opened || state.direct || state.finished || !state.has_room(memory, 1) {
                    return;
                }
                state.next_ready
            };
            match self.reader.next(&self.segments, from) {
                Ok(Next::Message(head, stored)) => {
                    (self.read_failures, self.read_again_at) = (0, None);
                    self.works(Trouble::Reading);
                    let mut state = self.queue.lock();
                    if state.has(head.sequence) {
                        state.next_ready = head.sequence + 1;
                        continue;
                    }
                    // An earlier process may have handed it on, or this one before the sink let it go.
                    let again = head.sequence < state.own_from || state.was_abandoned(head.sequence);
                    let first_attempt = head.first_attempt.or(again.then_some(head.accepted));
                    let (sequence, accepted) = (head.sequence, head.accepted);
                    let (batch, input) = (stored.batch, stored.input);
                    state.make_ready(Ready { sequence, batch, input, accepted, first_attempt });
                    self.queue.show_memory(&state);
                    self.queue.filled().notify_one();
                }
                Ok(Next::Damaged { words, bytes, left }) => {
                    let records = {
                        let mut state = self.queue.lock();
                        let records = left.records(|sequence| sequence >= from && !state.has(sequence));
                        state.records = state.records.saturating_sub(records);
                        records
                    };
                    self.queue.metrics.records_lost.inc_by(records);
                    self.lose(format!("{words}, and with them {records} records or more"), bytes);
                }
                Ok(Next::End) => {
                    if self.fill_from_memory() {
                        self.reader.close();
                    }
                    return;
                }
                Err(error) => {
                    self.read_failures += 1;
                    let words = format!("the disk queue {} cannot be read: {error}", self.folder.display());
                    if self.read_failures < READ_ATTEMPTS {
                        self.complain(Trouble::Reading, words);
                        self.read_again_at = Some(Instant::now() + PAUSE);
                        return;
                    }
                    (self.read_failures, self.read_again_at) = (0, None);
                    let bytes = self.reader.give_up(&self.segments, from);
                    self.lose(words, bytes);
                }
            }
        }
    }

    /// Part of a segment cannot be read: told and counted. Nothing more is written into it.
    fn lose(&mut self, words: String, bytes: u64) {
        tracing::error!(component = %self.queue.metrics.name, "{words}");
        self.queue.metrics.bytes_lost.inc_by(bytes);
        self.queue.metrics.error(words);
        self.close_segment();
    }

    /// The disk is read to its end: what waits to be written follows, and new messages go straight to the sink
    /// once all of that is ready. Returns whether it is.
    fn fill_from_memory(&self) -> bool {
        let memory = self.queue.settings.memory;
        let mut vanished = Vec::new();
        let mut state = self.queue.lock();
        let mut index = 0;
        while let Some(accepted) = state.accepted.get(index) {
            if accepted.sequence < state.next_ready || state.has(accepted.sequence) {
                index += 1;
                continue;
            }
            let Some(batch) = accepted.batch.clone() else {
                // It was written, and is not there any more.
                let Some(accepted) = state.take_accepted(index) else { break };
                state.records = state.records.saturating_sub(accepted.records);
                vanished.push(accepted);
                continue;
            };
            if !state.has_room(memory, accepted.bytes) {
                return false;
            }
            let (sequence, at) = (accepted.sequence, accepted.at);
            let first_attempt = accepted.first_attempt.or(state.was_abandoned(sequence).then_some(at));
            let input = accepted.input.clone();
            state.make_ready(Ready { sequence, batch, input, accepted: at, first_attempt });
            self.queue.filled().notify_one();
            index += 1;
        }
        state.next_ready = state.next;
        state.direct = true;
        self.queue.show_memory(&state);
        let closed = state.closed;
        drop(state);
        if closed {
            self.queue.filled().notify_one();
        }
        drop(vanished);
        true
    }
}
