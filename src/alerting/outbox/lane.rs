//! The pages of one integration: a queue for each key, and the order in which they are due.

mod succession;
mod trouble;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::record::{self, End};
use super::{Around, Attempt, Counts, Event, LaneName, LaneStatus, Settings, later};
use crate::alerting::notifier::{Page, PageKind, Refusal};
use crate::data::UnixMillis;
use crate::delivery::retry::Backoff;
use trouble::Trouble;

/// Longest pause that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

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

/// The pages of one key, in their order.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether the first of them is being sent.
    is_under_way: bool,
    /// Others that are being sent: by lanes that this one took over. It goes on when all are answered.
    beside: Vec<u64>,
    /// Whether something may be open at the receiver: a trigger was attempted, and no resolve delivered since.
    is_open: bool,
    /// The pause behind a refusal ends then.
    not_before: UnixMillis,
    /// By when it stands in the order of what is due.
    due: UnixMillis,
    backoff: Option<Backoff>,
    last_trigger: Option<UnixMillis>,
}

/// A page as it was written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub id: u64,
    /// The id of the first page that was written with it.
    pub batch: u64,
    pub origin: Arc<str>,
    /// Whether it says more than that something fires, so that a newer one says not all that it says.
    pub is_lasting: bool,
    pub page: Page,
    pub written_at: UnixMillis,
}

/// A page that waits or is being sent.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub written: Written,
    /// When it was attempted first.
    pub begun_at: Option<UnixMillis>,
    /// Whether that was before a crash, which left unknown whether it arrived.
    pub is_unanswered: bool,
}

impl Queue {
    /// Whether what waits behind the first page makes that needless.
    fn says_more(&self) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|first| self.waiting.iter().skip(1).any(|other| first.written.yields_to(&other.written)))
    }

    /// When something is to be done about it; `None` where nothing is.
    fn due(&self, presence: Presence, settings: &Settings, now: UnixMillis) -> Option<UnixMillis> {
        // Until then the next trigger has to wait.
        let free = self.last_trigger.map_or(now, |last| later(last, settings.key_interval));
        let Some(first) = self.waiting.front() else { return (free > now).then_some(free) };
        Some(match (presence, first.written.page.kind) {
            (Presence::Gone, _) => first.written.patience_ends(settings),
            (_, PageKind::Trigger) => self.not_before.max(free),
            _ => self.not_before.max(now),
        })
    }
}

impl Written {
    fn is_resolve(&self) -> bool {
        self.page.kind == PageKind::Resolve
    }

    /// Whether what comes behind it in `other` makes it needless.
    fn yields_to(&self, other: &Self) -> bool {
        !self.is_resolve() && !self.is_lasting && self.batch != other.batch && other.page.kind != PageKind::Acknowledge
    }

    /// When it has waited too long, where that is possible.
    fn patience_ends(&self, settings: &Settings) -> UnixMillis {
        let is_of_ends = self.is_resolve() || self.is_lasting;
        later(self.written_at, if is_of_ends { settings.resolve_within } else { settings.resend_within })
    }

    fn bytes(&self) -> usize {
        self.page.body.len() + self.page.key.len() + 256
    }
}

impl Waiting {
    pub fn new(written: Written) -> Self {
        Self { written, begun_at: None, is_unanswered: false }
    }

    /// Whether it must not be sent any more.
    fn is_stale(&self, settings: &Settings, now: UnixMillis) -> bool {
        let written = &self.written;
        if written.is_resolve() || written.is_lasting {
            return written.patience_ends(settings) <= now;
        }
        let begun = self.begun_at.filter(|_| self.is_unanswered);
        begun.is_some_and(|begun| later(begun, settings.resend_within) <= now)
    }
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
            Err(Refusal::ForNow { why, after }) => {
                self.counts.retries += 1;
                let backoff = queue.backoff.get_or_insert_with(|| Backoff::new(around.random.fork()));
                let pause = backoff.next(None);
                let asked = after.map_or(Duration::ZERO, |asked| asked.min(LONGEST_ASKED) + pause / 4);
                queue.not_before = later(now, pause.max(asked));
                let about = &attempt.page.about;
                if self.trouble.get_or_insert_default().say(&why, about) {
                    let (lane, about) = (around.name.clone(), about.clone());
                    around.events.push(Event::Waits { lane, about, why, next: queue.not_before });
                }
                // What came behind it meanwhile says more.
                if is_first && queue.says_more() {
                    self.counts.superseded += 1;
                    around.records.push(record::dropped(&[attempt.id]));
                    self.remove(attempt.id, around);
                }
            }
        }
        self.settle(&key, around, now);
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

    /// What is wrong, in words.
    pub fn complaint(&self, name: &LaneName) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        let waiting = self.keys.len();
        let waiting = if waiting == 0 { String::new() } else { format!("; pages that wait: {waiting}") };
        Some(format!("{} ({}) was not told of {}: {}{waiting}", name.receiver, name.kind(), trouble.about, trouble.why))
    }

    fn give_up(&mut self, key: &Arc<str>, around: &mut Around<'_>, now: UnixMillis) {
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

    fn ended(&mut self, id: u64, key: &Arc<str>, around: &mut Around<'_>) {
        if let Some(queue) = self.queues.get_mut(key)
            && queue.waiting.iter().any(|waiting| waiting.written.id == id && waiting.written.is_resolve())
        {
            // Delivered or not, nothing more can be done to close it.
            queue.is_open = false;
        }
        self.remove(id, around);
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
