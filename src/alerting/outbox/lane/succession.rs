//! How a lane goes on: where the journal ended, and where another lane is no more.

use std::sync::Arc;

use super::Lane;
use super::queue::{Queue, Waiting};
use crate::alerting::notifier::PageKind;
use crate::alerting::outbox::Around;
use crate::alerting::outbox::record;
use crate::data::UnixMillis;

impl Lane {
    pub fn replay_begun(&mut self, id: u64, at: UnixMillis) {
        let Some(queue) = self.keys.get(&id).and_then(|key| self.queues.get_mut(key)) else { return };
        if let Some(waiting) = queue.waiting.iter_mut().find(|waiting| waiting.written.id == id) {
            waiting.begun_at = Some(at);
            queue.is_open |= waiting.written.page.kind == PageKind::Trigger;
        }
    }

    pub fn replay_done(&mut self, id: u64, around: &mut Around<'_>) {
        if let Some(key) = self.keys.get(&id).cloned() {
            self.ended(id, &key, around);
        }
    }

    pub fn replay_open(&mut self, key: Arc<str>) {
        self.queues.entry(key).or_default().is_open = true;
    }

    /// Goes on where the journal ended: an attempt that was under way counts as unanswered.
    pub fn resume(&mut self, is_whole: bool, around: &mut Around<'_>, now: UnixMillis) {
        self.forgot |= !is_whole;
        for waiting in self.queues.values_mut().flat_map(|queue| &mut queue.waiting) {
            waiting.is_unanswered = waiting.begun_at.is_some();
        }
        let keys: Vec<Arc<str>> = self.queues.keys().cloned().collect();
        for key in keys {
            while let Some(queue) = self.queues.get(&key) {
                let Some(first) = queue.waiting.front() else { break };
                let written = &first.written;
                if written.is_resolve() || written.is_lasting {
                    break;
                }
                let since = first.begun_at.unwrap_or(written.written_at);
                if first.begun_at.is_some() && queue.says_more() {
                    let id = written.id;
                    self.counts.superseded += 1;
                    around.records.push(record::dropped(&[id]));
                    self.remove(id, around);
                } else if since.plus(around.settings.resend_within) <= now {
                    self.give_up(&key, around, now);
                } else {
                    break;
                }
            }
            self.settle(&key, around, now);
        }
    }

    /// What waits in `other` waits here from now on: of each key in the order in which it was written, and behind what is
    /// under way.
    pub fn take_over(&mut self, other: Self, around: &mut Around<'_>, now: UnixMillis) {
        self.forgot |= other.forgot;
        self.bytes += other.bytes;
        self.trouble = self.trouble.take().or(other.trouble);
        for (key, theirs) in other.queues {
            let ours = self.queues.entry(key.clone()).or_default();
            self.due.remove(&(ours.due, key.clone()));
            self.keys.extend(theirs.waiting.iter().map(|waiting| (waiting.written.id, key.clone())));
            let first =
                |queue: &Queue| queue.waiting.front().filter(|_| queue.is_under_way).map(|first| first.written.id);
            let (our_first, their_first) = (first(ours), first(&theirs));
            self.under_way += usize::from(their_first.is_some()) + theirs.beside.len();
            ours.beside.extend(theirs.beside);
            ours.beside.extend(their_first.filter(|_| our_first.is_some()));
            let first = our_first.or(their_first);
            ours.waiting.extend(theirs.waiting);
            let in_order = |waiting: &Waiting| (Some(waiting.written.id) != first, waiting.written.id);
            ours.waiting.make_contiguous().sort_by_key(in_order);
            ours.is_under_way |= theirs.is_under_way;
            ours.is_open |= theirs.is_open;
            ours.not_before = ours.not_before.max(theirs.not_before);
            ours.last_trigger = ours.last_trigger.max(theirs.last_trigger);
            ours.backoff = ours.backoff.take().or(theirs.backoff);
            self.settle(&key, around, now);
        }
    }

    /// Gives up everything that waits, and what is under way with it.
    pub fn give_up_all(&mut self, around: &mut Around<'_>, now: UnixMillis) {
        let keys: Vec<Arc<str>> = self.queues.keys().cloned().collect();
        for key in keys {
            while self.queues.get(&key).is_some_and(|queue| !queue.waiting.is_empty()) {
                self.give_up(&key, around, now);
            }
        }
    }
}
