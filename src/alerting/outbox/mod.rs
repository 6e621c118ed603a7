//! The outbox: pages on their way to their receivers. A state machine: times are arguments, nothing here waits or does I/O.
//! What it wants to be kept it hands out as records, and whoever drives it makes them durable before the first
//! attempt of what they are about.
//!
//! What holds, over crashes too:
//!
//! - Pages of one key go out one after the other. A resolve never overtakes its trigger, and once a resolve is kept, no
//!   trigger before it is sent any more.
//! - Of triggers of one key that wait, the newest goes out. One that also tells of ends, as those of a whole group do, waits
//!   its turn, whatever comes behind it.
//! - A trigger that was never attempted is dropped with its resolve: nobody has to be told of the end of what nobody was
//!   told of. Where it may be known, the resolve goes out.
//! - A page that is refused for now is tried again, with pauses that grow, for as long as it means something: a trigger
//!   until it is delivered, superseded or over, a resolve for [`Settings::resolve_within`]. What is refused for good is never
//!   tried again, and what is refused for its key is looked at again within seconds.
//! - After a crash nobody knows whether an attempt that was under way arrived. A trigger is then sent again only within
//!   [`Settings::resend_within`] of its first attempt. Behind that it is given up, and whoever wrote it hears so: if it is
//!   still so, it is told anew.
//! - Keys do not wait for each other, and integrations do not at all: nor does one take the room of all others.

mod lane;
mod options;
mod record;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use options::OutboxOptions;
pub use told::{Counts, Event, LaneStatus};

use super::notifier::{Page, PageKind, Refusal};
use crate::data::UnixMillis;
use lane::{Lane, Written};

/// How pages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most requests of one integration at once.
    pub concurrency: usize,
    /// Longest time for one.
    pub timeout: Duration,
    /// How long after its first attempt a trigger may be sent again that a crash left unanswered.
    pub resend_within: Duration,
    /// How long a resolve is tried.
    pub resolve_within: Duration,
    /// Shortest time between two triggers of one key.
    pub key_interval: Duration,
    /// Most bytes of pages that wait.
    pub bytes: usize,
}

/// One way to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneName {
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// The integration: its kind and a hash of [whom it sends to](crate::alerting::sending::Target), with a number where two
    /// are the same in that. In journals of before it was its number among those of its kind.
    pub integration: Arc<str>,
}

impl LaneName {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.integration.split('/').next().unwrap_or_default()
    }
}

/// `oncall (pagerduty/1f0c5b2e9a37)`
impl fmt::Display for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.receiver, self.integration)
    }
}

/// A request to be made now.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// By which way.
    pub lane: LaneName,
    /// What is sent.
    pub page: Page,
    /// By which it is known here.
    id: u64,
}

/// There is no place for another page; it is written again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Pages on their way.
#[derive(Debug)]
pub struct Outbox {
    lanes: BTreeMap<LaneName, Lane>,
    last_id: u64,
    shared: Shared,
}

/// What all lanes have in common.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    /// Bytes of pages that wait or are under way.
    bytes: usize,
    random: fastrand::Rng,
    records: Vec<Vec<u8>>,
    events: Vec<Event>,
}

/// What the methods of a lane need of the outbox around it.
struct Around<'a> {
    settings: &'a Settings,
    name: &'a LaneName,
    bytes: &'a mut usize,
    random: &'a mut fastrand::Rng,
    records: &'a mut Vec<Vec<u8>>,
    events: &'a mut Vec<Event>,
}

impl Shared {
    fn around<'a>(&'a mut self, name: &'a LaneName) -> Around<'a> {
        let Self { settings, bytes, random, records, events } = self;
        Around { settings, name, bytes, random, records, events }
    }
}

impl Outbox {
    /// An empty outbox. Pauses between attempts are drawn from `random`.
    pub fn new(settings: Settings, random: fastrand::Rng) -> Self {
        let shared = Shared { settings, bytes: 0, random, records: Vec::new(), events: Vec::new() };
        Self { lanes: BTreeMap::new(), last_id: 0, shared }
    }

    /// Which integrations there are from now on, each with whether it is told what is over, and how pages are sent. What
    /// waits for one that is gone waits for its return until it is too old.
    pub fn configure(&mut self, settings: Settings, lanes: impl IntoIterator<Item = (LaneName, bool)>) {
        self.shared.settings = settings;
        self.lanes.values_mut().for_each(Lane::is_gone);
        for (name, is_told_of_ends) in lanes {
            self.with_lane(&name, |lane, around| lane.is_there(is_told_of_ends, around));
        }
        self.lanes.retain(|_, lane| !lane.is_needless());
    }

    /// What was to go one way goes another one from now on, which leads to the same target. Its journal has to be written
    /// anew.
    pub fn rename(&mut self, from: &LaneName, to: &LaneName, now: UnixMillis) {
        if let Some(gone) = self.lanes.remove(from) {
            self.with_lane(to, |lane, around| lane.take_over(gone, around, now));
        }
    }

    /// Gives up what waits for an integration, and forgets it.
    pub fn remove(&mut self, name: &LaneName, now: UnixMillis) {
        if self.lanes.contains_key(name) {
            self.with_lane(name, |lane, around| lane.give_up_all(around, now));
            self.lanes.remove(name);
        }
    }

    /// Whether a page waits for an integration, or is under way to it.
    pub fn is_busy(&self, name: &LaneName) -> bool {
        self.lanes.get(name).is_some_and(Lane::is_busy)
    }

    /// Names of the alerts of which a page waits for an integration.
    pub fn waits_about(&self, name: &LaneName) -> BTreeSet<String> {
        self.lanes.get(name).map(Lane::about).unwrap_or_default()
    }

    /// All integrations that something is known of.
    pub fn lanes(&self) -> impl Iterator<Item = &LaneName> {
        self.lanes.keys()
    }

    /// Takes over a record of the journal, before anything else; whether it was one of these.
    pub fn replay(&mut self, record: &[u8]) -> bool {
        record::replay(self, record).is_some()
    }

    /// Goes on where the journal ended. `is_whole` is false where some of it was lost, so that what is open at receivers is
    /// not known for sure.
    pub fn resume(&mut self, is_whole: bool, now: UnixMillis) {
        self.for_each_lane(|lane, around| lane.resume(is_whole, around, now));
    }

    /// Takes the pages that an integration wrote at once. `origin` is the group that they came from. Where
    /// `tell_of_ends`, what they say beside their kind tells of ends too: a newer page then takes the place of none of them.
    ///
    /// # Errors
    /// Where there is no place for them; none is then taken. Resolves always find one.
    pub fn put(
        &mut self,
        lane: &LaneName,
        origin: &Arc<str>,
        pages: Vec<Page>,
        tell_of_ends: bool,
        now: UnixMillis,
    ) -> Result<(), Full> {
        let begins = || pages.iter().filter(|page| page.kind != PageKind::Resolve);
        let more: usize = begins().map(|page| page.body.len()).sum();
        let is_full = more > 0 && !self.has_room(lane, more);
        let batch = self.last_id + 1;
        self.last_id += pages.len() as u64;
        self.with_lane(lane, |lane, around| {
            if is_full {
                lane.counts.full += pages.len() as u64;
                return Err(Full);
            }
            for (id, page) in (batch..).zip(pages) {
                let is_lasting = tell_of_ends && page.kind == PageKind::Trigger;
                lane.put(Written { id, batch, origin: origin.clone(), is_lasting, page, written_at: now }, around, now);
            }
            Ok(())
        })
    }

    /// A page came that cannot be sent: it counts as refused for good, and is told as such.
    pub fn refuse(&mut self, lane: &LaneName, page: Page, why: &str) {
        self.with_lane(lane, |lane, around| lane.refuse(page, why, around));
    }

    /// What is to be sent now. What [`Self::take_records`] returns has to be durable before.
    pub fn next(&mut self, now: UnixMillis) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        self.for_each_lane(|lane, around| lane.next(around, now, &mut attempts));
        attempts
    }

    /// When [`Self::next`] has something to do, if nothing else happens before.
    pub fn next_due(&self) -> Option<UnixMillis> {
        self.lanes.values().filter_map(|lane| lane.next_due(&self.shared.settings)).min()
    }

    /// What became of an attempt.
    pub fn done(&mut self, attempt: &Attempt, result: Result<(), Refusal>, now: UnixMillis) {
        let is_of = |lane: &Lane| lane.has(attempt.id);
        let renamed = || self.lanes.iter().find(|(_, lane)| is_of(lane)).map(|(name, _)| name.clone());
        let name =
            if self.lanes.get(&attempt.lane).is_some_and(is_of) { Some(attempt.lane.clone()) } else { renamed() };
        if let Some(name) = name {
            self.with_lane(&name, |lane, around| lane.done(attempt, result, around, now));
        }
    }

    /// Keeps a record of somebody else behind those that are here.
    pub fn keep_too(&mut self, record: Vec<u8>) {
        self.shared.records.push(record);
    }

    /// The wall clock was set by so many milliseconds: what lasts goes on as if it had not been.
    pub fn shift(&mut self, by: i64) {
        self.lanes.values_mut().for_each(|lane| lane.shift(by));
    }

    /// Records that are to be kept, in their order, since the last time.
    pub fn take_records(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.shared.records)
    }

    /// What somebody should hear of, since the last time.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.shared.events)
    }

    /// The records of everything that has to be known after a restart.
    pub fn state(&self) -> Vec<Vec<u8>> {
        self.lanes.iter().flat_map(|(name, lane)| lane.state(name)).collect()
    }

    /// What is wrong, in words.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        self.lanes.iter().filter_map(|(name, lane)| lane.complaint(name))
    }

    /// How the integrations are doing.
    pub fn status(&self) -> Vec<LaneStatus> {
        self.lanes.iter().map(|(name, lane)| lane.status(name)).collect()
    }

    /// How pages are sent.
    pub fn settings(&self) -> Settings {
        self.shared.settings
    }

    /// Half of the room is for whoever comes first, and of the other half each integration has the same share: one whose
    /// receiver hangs takes none of what others need. Pages that nothing waits before may be larger than that.
    fn has_room(&self, name: &LaneName, more: usize) -> bool {
        let lane = self.lanes.get(name).map_or(0, Lane::bytes);
        let others = self.lanes.iter().filter(|(other, _)| *other != name).map(|(_, other)| other.bytes());
        let share = self.shared.settings.bytes / 2 / (others.clone().count() + 1);
        if lane + more <= share {
            return true;
        }
        let reserved: usize = if lane == 0 { 0 } else { others.map(|other| share.saturating_sub(other)).sum() };
        self.shared.bytes + more + reserved <= self.shared.settings.bytes
    }

    fn with_lane<T>(&mut self, name: &LaneName, work: impl FnOnce(&mut Lane, &mut Around<'_>) -> T) -> T {
        work(self.lanes.entry(name.clone()).or_default(), &mut self.shared.around(name))
    }

    fn for_each_lane(&mut self, mut work: impl FnMut(&mut Lane, &mut Around<'_>)) {
        for (name, lane) in &mut self.lanes {
            work(lane, &mut self.shared.around(name));
        }
    }
}
