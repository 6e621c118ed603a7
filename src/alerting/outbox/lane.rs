//! The pages of one integration: a queue for each key, and the order in which they are due.

mod attempts;
mod queue;
mod succession;
mod trouble;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(super) use queue::Written;

use super::record;
use super::{Around, Counts, Event, LaneName, LaneStatus};
use crate::alerting::notifier::{Page, PageKind};
use crate::data::UnixMillis;
use queue::{Queue, Waiting};
use trouble::Trouble;

/// Most keys of which it is remembered that something may be open; as many again wait at most, by the bytes of pages.
const MOST_OPEN: usize = 100_000;

/// The pages of one integration.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queues: HashMap<Arc<str>, Queue>,
    /// Keys whose first page waits, by when it is due.
    due: BTreeSet<(UnixMillis, Arc<str>)>,
    /// Keys of pages by their ids.
    keys: BTreeMap<u64, Arc<str>>,
    /// Bytes of pages that wait or are under way.
    bytes: usize,
    under_way: usize,
    presence: Presence,
    /// Whether what is open was not remembered in full.
    forgot: bool,
    trouble: Option<Trouble>,
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    /// The configuration has no such integration.
    #[default]
    Gone,
    There {
        is_told_of_ends: bool,
    },
}

impl Lane {
    pub fn is_gone(&mut self) {
        self.presence = Presence::Gone;
    }

    /// The configuration has it; what waited for its return is due at once.
    pub fn is_there(&mut self, is_told_of_ends: bool, around: &Around<'_>) {
        self.presence = Presence::There { is_told_of_ends };
        let keys: Vec<Arc<str>> = self.queues.keys().cloned().collect();
        keys.iter().for_each(|key| self.settle(key, around, UnixMillis(0)));
    }

    /// Names of the alerts of which a page waits.
    pub fn about(&self) -> BTreeSet<String> {
        let waiting = self.queues.values().flat_map(|queue| &queue.waiting);
        waiting.map(|waiting| waiting.written.page.about.clone()).collect()
    }

    /// Whether a page waits or is under way.
    pub fn is_busy(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Bytes of pages that wait or are under way.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a page waits here, or is under way.
    pub fn has(&self, id: u64) -> bool {
        self.keys.contains_key(&id)
    }

    /// Whether nothing is lost with it.
    pub fn is_needless(&self) -> bool {
        self.presence == Presence::Gone && self.queues.is_empty()
    }

    /// Takes a page.
    pub fn put(&mut self, written: Written, around: &mut Around<'_>, now: UnixMillis) {
        self.counts.put += 1;
        let key: Arc<str> = written.page.key.as_str().into();
        let is_known = self.queues.contains_key(&key);
        let queue = self.queues.entry(key.clone()).or_default();
        let waiting = || {
            let behind = queue.waiting.iter().skip(usize::from(queue.is_under_way)).map(|waiting| &waiting.written);
            behind.filter(|written| !queue.beside.contains(&written.id))
        };
        let superseded: Vec<u64> = match written.page.kind {
            // What waits before a resolve is over with it, but for a resolve that has its own trigger.
            PageKind::Resolve => {
                waiting().filter(|before| before.yields_to(&written)).map(|before| before.id).collect()
            }
            PageKind::Trigger => {
                let last = waiting().rev().take_while(|before| before.page.kind == PageKind::Trigger);
                last.filter(|before| before.yields_to(&written)).map(|before| before.id).collect()
            }
            PageKind::Acknowledge => Vec::new(),
        };
        let is_needless = written.is_resolve() && !superseded.is_empty() && {
            // What is left once those are gone: a resolve that closes it, or a trigger that opens it.
            let left =
                queue.waiting.iter().map(|waiting| &waiting.written).rfind(|left| !superseded.contains(&left.id));
            match left {
                Some(left) => left.is_resolve() && left.batch != written.batch,
                None => !queue.is_open && !self.forgot && is_known,
            }
        };
        if is_needless {
            self.counts.over_unsent += 1 + superseded.len() as u64;
            around.records.push(record::dropped(&superseded));
            superseded.iter().for_each(|id| self.remove(*id, around));
            let about = written.page.about;
            around.events.push(Event::OverUnsent { lane: around.name.clone(), key: key.clone(), about });
        } else {
            self.counts.superseded += superseded.len() as u64;
            around.records.push(record::page(around.name, &written, &superseded));
            superseded.iter().for_each(|id| self.remove(*id, around));
            self.restore(written, around);
        }
        self.settle(&key, around, now);
    }

    /// A page is refused before anybody saw it.
    pub fn refuse(&mut self, page: Page, why: &str, around: &mut Around<'_>) {
        self.counts.put += 1;
        self.counts.refused += 1;
        self.trouble.get_or_insert_default().say(why, &page.about);
        let (lane, key) = (around.name.clone(), page.key.as_str().into());
        around.events.push(Event::Refused { lane, key, about: page.about, why: why.to_owned() });
    }

    /// A page stands at the end of its queue.
    pub fn restore(&mut self, written: Written, around: &mut Around<'_>) {
        let key: Arc<str> = written.page.key.as_str().into();
        *around.bytes += written.bytes();
        self.bytes += written.bytes();
        self.keys.insert(written.id, key.clone());
        self.queues.entry(key).or_default().waiting.push_back(Waiting::new(written));
    }

    /// A page is not there any more. Whoever calls this settles its key.
    pub fn remove(&mut self, id: u64, around: &mut Around<'_>) {
        let Some(key) = self.keys.remove(&id) else { return };
        let Some(queue) = self.queues.get_mut(&key) else { return };
        if let Some(at) = queue.waiting.iter().position(|waiting| waiting.written.id == id)
            && let Some(gone) = queue.waiting.remove(at)
        {
            *around.bytes -= gone.written.bytes();
            self.bytes -= gone.written.bytes();
        }
    }

    /// Puts a key into the order of what is due, or forgets it.
    fn settle(&mut self, key: &Arc<str>, around: &Around<'_>, now: UnixMillis) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        self.due.remove(&(queue.due, key.clone()));
        if queue.is_under_way || !queue.beside.is_empty() {
            return;
        }
        if let Some(due) = queue.due(self.presence, around.settings, now) {
            queue.due = due;
            self.due.insert((due, key.clone()));
        } else if !queue.is_open || self.presence == (Presence::There { is_told_of_ends: false }) {
            self.queues.remove(key);
        } else if self.queues.len() > 2 * MOST_OPEN {
            self.forget_some();
        }
    }

    /// Forgets of half of the keys that something may be open: that costs a resolve too many, never one too few.
    fn forget_some(&mut self) {
        self.forgot = true;
        let mut every_other = false;
        let due = &mut self.due;
        self.queues.retain(|key, queue| {
            every_other = !every_other;
            let stays = !queue.waiting.is_empty() || every_other;
            if !stays {
                due.remove(&(queue.due, key.clone()));
            }
            stays
        });
    }

    /// What is wrong, in words.
    pub fn complaint(&self, name: &LaneName) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        let waiting = self.keys.len();
        let waiting = if waiting == 0 { String::new() } else { format!("; pages that wait: {waiting}") };
        Some(format!("{} ({}) was not told of {}: {}{waiting}", name.receiver, name.kind(), trouble.about, trouble.why))
    }

    /// Every time is another by so much.
    pub fn shift(&mut self, by: i64) {
        let moved = |time: &mut UnixMillis| time.0 = time.0.saturating_add(by);
        self.due = std::mem::take(&mut self.due)
            .into_iter()
            .map(|(mut due, key)| {
                moved(&mut due);
                (due, key)
            })
            .collect();
        for queue in self.queues.values_mut() {
            moved(&mut queue.due);
            moved(&mut queue.not_before);
            queue.last_trigger.as_mut().map(moved);
            for waiting in &mut queue.waiting {
                moved(&mut waiting.written.written_at);
                waiting.begun_at.as_mut().map(moved);
            }
        }
    }

    /// The records of everything that has to be known after a restart.
    pub fn state(&self, name: &LaneName) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for (key, queue) in &self.queues {
            if queue.is_open {
                records.push(record::open(name, key));
            }
            for waiting in &queue.waiting {
                records.push(record::page(name, &waiting.written, &[]));
                records.extend(waiting.begun_at.map(|at| record::begun(waiting.written.id, at)));
            }
        }
        records
    }

    pub fn status(&self, name: &LaneName) -> LaneStatus {
        // Ids are given in the order in which pages are written.
        let oldest = self
            .keys
            .first_key_value()
            .and_then(|(id, key)| self.queues.get(key)?.waiting.iter().find(|waiting| waiting.written.id == *id));
        LaneStatus {
            lane: name.clone(),
            waiting: self.keys.len(),
            under_way: self.under_way,
            oldest: oldest.map(|waiting| waiting.written.written_at),
            complaint: self.complaint(name),
            counts: self.counts,
        }
    }
}
