//! What a lane sends, in the order in which it is due, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use super::{Lane, Presence};
use crate::alerting::notifier::{PageKind, Refusal};
use crate::alerting::outbox::record::{self, End};
use crate::alerting::outbox::{Around, Attempt, Event, Settings};
use crate::data::UnixMillis;
use crate::delivery::retry::Backoff;

/// Longest pause that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Longest pause of a page that waits for another key.
const LONGEST_FOR_KEY: Duration = Duration::from_secs(5);

impl Lane {
    /// What is to be sent now.
    pub fn next(&mut self, around: &mut Around<'_>, now: UnixMillis, attempts: &mut Vec<Attempt>) {
        let settings = *around.settings;
        let is_gone = self.presence == Presence::Gone;
        while let Some((due, key)) = self.due.first().cloned() {
            if due > now || (!is_gone && self.under_way >= settings.concurrency) {
                return;
            }
            self.due.pop_first();
            let Some(queue) = self.queues.get_mut(&key) else { continue };
            let is_still_due = queue.due(self.presence, &settings, now).is_some_and(|due| due <= now);
            let Some(first) = queue.waiting.front_mut().filter(|_| is_still_due) else {
                self.settle(&key, around, now);
                continue;
            };
            if is_gone || first.is_stale(&settings, now) {
                self.give_up(&key, around, now);
                continue;
            }
            if first.begun_at.is_none() {
                first.begun_at = Some(now);
                around.records.push(record::begun(first.written.id, now));
            }
            if first.written.page.kind == PageKind::Trigger {
                queue.is_open = true;
                queue.last_trigger = Some(now);
            }
            queue.is_under_way = true;
            self.under_way += 1;
            let (page, id) = (first.written.page.clone(), first.written.id);
            attempts.push(Attempt { lane: around.name.clone(), page, id });
        }
    }

    /// When [`Self::next`] has something to do.
    pub fn next_due(&self, settings: &Settings) -> Option<UnixMillis> {
        let is_full = self.presence != Presence::Gone && self.under_way >= settings.concurrency;
        self.due.first().filter(|_| !is_full).map(|(due, _)| *due)
    }

    /// What became of an attempt.
    pub fn done(&mut self, attempt: &Attempt, result: Result<(), Refusal>, around: &mut Around<'_>, now: UnixMillis) {
        let Some(key) = self.keys.get(&attempt.id).cloned() else { return };
        let Some(queue) = self.queues.get_mut(&key) else { return };
        let is_first = queue.is_under_way && queue.waiting.front().is_some_and(|first| first.written.id == attempt.id);
        let before = queue.beside.len();
        queue.beside.retain(|id| *id != attempt.id);
        if !is_first && queue.beside.len() == before {
            return;
        }
        queue.is_under_way &= !is_first;
        self.under_way -= 1;
        match result {
            Ok(()) => {
                (queue.backoff, queue.not_before) = (None, now);
                self.counts.delivered += 1;
                self.end(attempt.id, &key, End::Delivered, around);
                self.end_trouble(around);
            }
            Err(Refusal::ForGood(why)) => {
                self.counts.refused += 1;
                queue.backoff = None;
                self.trouble.get_or_insert_default().say(&why, &attempt.page.about);
                let about = attempt.page.about.clone();
                around.events.push(Event::Refused { lane: around.name.clone(), key: key.clone(), about, why });
                self.end(attempt.id, &key, End::Refused, around);
            }
            Err(Refusal::OfKey(why)) => {
                let pause = self.pause(&key, around).min(LONGEST_FOR_KEY);
                self.postpone(attempt, &key, (why, now.plus(pause)), is_first, around);
            }
            Err(Refusal::ForNow { why, after }) => {
                let pause = self.pause(&key, around);
                let asked = after.map_or(Duration::ZERO, |asked| asked.min(LONGEST_ASKED) + pause / 4);
                self.postpone(attempt, &key, (why, now.plus(pause.max(asked))), is_first, around);
            }
        }
        self.settle(&key, around, now);
    }

    /// How long the pages of a key wait behind one more refusal.
    fn pause(&mut self, key: &Arc<str>, around: &mut Around<'_>) -> Duration {
        let Some(queue) = self.queues.get_mut(key) else { return Duration::ZERO };
        queue.backoff.get_or_insert_with(|| Backoff::new(around.random.fork())).next(None)
    }

    /// A page was not taken: for that reason it waits until then.
    fn postpone(
        &mut self,
        attempt: &Attempt,
        key: &Arc<str>,
        (why, until): (String, UnixMillis),
        is_first: bool,
        around: &mut Around<'_>,
    ) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        self.counts.retries += 1;
        queue.not_before = until;
        let about = &attempt.page.about;
        if self.trouble.get_or_insert_default().say(&why, about) {
            let (lane, about) = (around.name.clone(), about.clone());
            around.events.push(Event::Waits { lane, about, why, next: until });
        }
        // What came behind it meanwhile says more.
        if is_first && queue.says_more() {
            self.counts.superseded += 1;
            around.records.push(record::dropped(&[attempt.id]));
            self.remove(attempt.id, around);
        }
    }

    /// A page arrived: all is well again, unless other keys wait for another attempt.
    fn end_trouble(&mut self, around: &mut Around<'_>) {
        let Some(trouble) = &self.trouble else { return };
        if self.queues.values().all(|queue| queue.backoff.is_none()) {
            let (lane, about) = (around.name.clone(), trouble.about.clone());
            around.events.push(Event::Arrives { lane, about });
            self.trouble = None;
        }
    }

    pub(super) fn give_up(&mut self, key: &Arc<str>, around: &mut Around<'_>, now: UnixMillis) {
        let Some(first) = self.queues.get(key).and_then(|queue| queue.waiting.front()) else { return };
        let first = &first.written;
        let (id, kind, origin) = (first.id, first.page.kind, first.origin.clone());
        let about = first.page.about.clone();
        self.counts.given_up += 1;
        if let Some(queue) = self.queues.get_mut(key) {
            queue.backoff = None;
        }
        around.events.push(Event::GivenUp { lane: around.name.clone(), key: key.clone(), about, kind, origin });
        self.end(id, key, End::GivenUp, around);
        self.settle(key, around, now);
    }

    fn end(&mut self, id: u64, key: &Arc<str>, end: End, around: &mut Around<'_>) {
        around.records.push(record::done(id, end));
        self.ended(id, key, around);
    }

    pub(super) fn ended(&mut self, id: u64, key: &Arc<str>, around: &mut Around<'_>) {
        if let Some(queue) = self.queues.get_mut(key)
            && queue.waiting.iter().any(|waiting| waiting.written.id == id && waiting.written.is_resolve())
        {
            // Delivered or not, nothing more can be done to close it.
            queue.is_open = false;
        }
        self.remove(id, around);
    }
}
