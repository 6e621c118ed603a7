//! Reading: what did not fit into memory comes back in its order, then what waits to be written.

use std::time::Instant;

use super::super::reader::Next;
use super::super::state::{Ready, Vanished};
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
                    state.go_back();
                    self.reader.rewind();
                }
                let paused = self.read_again_at.is_some_and(|at| at > Instant::now());
                if paused || !state.opened || state.direct || state.finished || !state.has_room(memory, 1) {
                    return;
                }
                let waited = !state.can_hand();
                let from = state.next_wanted();
                if waited && state.can_hand() {
                    self.queue.filled().notify_one();
                }
                from
            };
            match self.reader.next(&self.segments, from) {
                Ok(Next::Message(head, stored)) => {
                    (self.read_failures, self.read_again_at) = (0, None);
                    self.works(Trouble::Reading);
                    let mut state = self.queue.lock();
                    let gone = state.pass(head.sequence);
                    if state.is_there(head.sequence) {
                        drop(state);
                        self.count_vanished(gone);
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
                    drop(state);
                    self.count_vanished(gone);
                }
                Ok(Next::Damaged { words, bytes, last, left }) => {
                    let (records, gone) = {
                        let mut state = self.queue.lock();
                        let records = left.records(|sequence| sequence >= from && !state.knows(sequence));
                        state.records = state.records.saturating_sub(records);
                        (records, state.pass(last + 1))
                    };
                    self.queue.metrics.records_lost.inc_by(records);
                    let records = records + self.count_vanished(gone);
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
                    let (bytes, last) = self.reader.give_up(&self.segments, from);
                    let gone = self.queue.lock().pass(last + 1);
                    self.count_vanished(gone);
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

    /// Counts what is gone, and tells sources that wait for it. Returns how many records that are.
    fn count_vanished(&self, gone: Vanished) -> u64 {
        // The sink may have waited for what was passed.
        self.queue.filled().notify_one();
        let (records, lost) = (gone.records(), gone.lost());
        if records > 0 {
            let words = format!(
                "{records} records cannot be read again from the disk queue: {lost} are lost, their sources are asked for {}",
                records - lost
            );
            tracing::error!(component = %self.queue.metrics.name, "{words}");
            self.queue.metrics.error(words);
            self.queue.metrics.records_lost.inc_by(lost);
        }
        records
    }

    /// The disk is read to its end: what waits to be written follows, and new messages go straight to the sink
    /// once all of that is ready. Returns whether it is.
    fn fill_from_memory(&self) -> bool {
        let memory = self.queue.settings.memory;
        let mut state = self.queue.lock();
        let written = state.written;
        let mut gone = state.pass(written + 1);
        let mut index = state.accepted.partition_point(|accepted| accepted.sequence < state.next_ready);
        while let Some(accepted) = state.accepted.get(index) {
            let (sequence, bytes) = (accepted.sequence, accepted.bytes);
            if !state.is_there(sequence) {
                if !state.has_room(memory, bytes) {
                    drop(state);
                    self.count_vanished(gone);
                    return false;
                }
                state.make_accepted_ready(index);
                self.queue.filled().notify_one();
            }
            index += 1;
        }
        let next = state.next;
        let rest = state.pass(next);
        gone.settled += rest.settled;
        gone.unsettled.extend(rest.unsettled);
        state.direct = true;
        self.queue.show_memory(&state);
        drop(state);
        self.queue.filled().notify_one();
        self.count_vanished(gone);
        true
    }
}
