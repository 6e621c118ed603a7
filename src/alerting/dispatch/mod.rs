//! From alerts to notifications: alerts are put into groups by the tree of routes, and each group is told to its receiver
//! when it is due, as far as that is news. A state machine: times are arguments, nothing here waits, reads a clock or does
//! I/O. What it means is Alertmanager's, but for this:
//!
//! - What receivers were told is remembered together with the alerts, so that an alert that was told and that nobody speaks
//!   of after a restart resolves in the end, as it would have without the restart.
//! - A receiver that [keeps open](crate::alerting::Notifier::keeps_open) what it was told hears that it is over also while
//!   the alert is silenced, inhibited or muted, and also after its route was taken away; and of a group that changes it
//!   hears what changed, not all that still fires.

mod fingerprint;
mod group;
mod heard;
mod kept;
mod notified;
mod succession;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub use fingerprint::Fingerprint;
pub use kept::Kept;
pub use notified::Reason;
pub use view::{AlertView, GroupView};

use super::alert::Alert;
use super::inhibit::Inhibitor;
use super::notifier::Notification;
use super::route::{RouteId, Routing};
use super::silence::Silences;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;
use crate::data::time::millis;
use notified::Notified;

/// How often what is over is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Shortest time for which an alert counts as firing after a restart if nobody speaks of it.
const LEAST_GRACE: Duration = Duration::from_secs(300);

/// Most bytes of one alert, about.
const MOST_ALERT: usize = 1 << 20;

/// How late a group may be looked at and still count as looked at in time.
const PUNCTUAL: i64 = 1000;

/// How much is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Alerts, those that resolved a moment ago included.
    pub alerts: usize,
    /// Bytes of them, about.
    pub bytes: usize,
    /// Groups.
    pub groups: usize,
    /// For how long at least an alert counts as firing after a restart if nobody speaks of it: whoever evaluates rarely
    /// needs more than five minutes.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { alerts: 50_000, bytes: 64 << 20, groups: 20_000, grace: LEAST_GRACE }
    }
}

/// One way to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// Its kind and a hash of whom it sends to.
    pub name: Arc<str>,
    /// Whether it wants to hear of alerts that resolved.
    pub send_resolved: bool,
    /// Whether what it is told stays open until it is told that it is over.
    pub keeps_open: bool,
    /// How often it must hear of what fires, however long the route waits.
    pub resend_every: Option<Duration>,
}

/// Ways to receivers, by the receiver's name.
pub type Integrations = BTreeMap<Arc<str>, Vec<Integration>>;

/// What a receiver is to be told.
#[derive(Debug)]
pub struct Notice<'a> {
    /// By which of the receiver's integrations.
    pub integration: &'a Integration,
    /// Why.
    pub reason: Reason,
    /// What.
    pub notification: Notification,
}

/// Of what somebody takes care.
#[derive(Debug)]
pub struct Acknowledged<'a> {
    /// Name of the receiver.
    pub receiver: &'a str,
    /// By which of its integrations.
    pub integration: &'a Integration,
    /// The group.
    pub group_key: &'a str,
    /// The alert.
    pub alert: &'a Alert,
}

/// Whoever passes notices on and keeps records.
pub trait Desk {
    /// Writes what a notice says; false where it cannot be written. It is then tried again when the group is due again.
    fn tell(&mut self, notice: &Notice<'_>) -> bool;

    /// Says that somebody takes care of an alert that the receiver keeps open, where it can be told such a thing.
    fn acknowledge(&mut self, whom: &Acknowledged<'_>) -> bool;

    /// Keeps a record. What was told before it has to be as durable as it is.
    fn record(&mut self, record: Vec<u8>);
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times that somebody spoke of an alert that fires.
    pub firing: u64,
    /// Times that somebody spoke of an alert that is over.
    pub resolved: u64,
    /// Alerts that found no place.
    pub refused: u64,
    /// Alerts that found no place in a group.
    pub ungrouped: u64,
    /// Alerts that were not told because others fire.
    pub inhibited: u64,
    /// Alerts that were not told because of a silence.
    pub silenced: u64,
    /// Alerts that were not told at this time.
    pub muted: u64,
}

/// Alerts, their groups, and what receivers were told of them.
#[derive(Debug)]
pub struct Dispatcher {
    routing: Arc<Routing>,
    integrations: Integrations,
    limits: Limits,
    alerts: HashMap<Fingerprint, Held>,
    bytes: usize,
    groups: HashMap<GroupId, Group>,
    due: BTreeSet<(UnixMillis, GroupId, Occasion)>,
    inhibitor: Inhibitor,
    notified: Notified,
    /// Alerts of others as the journal had them, until they are taken over.
    heard: heard::Heard,
    /// Records of such alerts that the journal does not have yet.
    unwritten: Vec<Vec<u8>>,
    /// Alerts that are only remembered. Some may be over.
    remembered: HashSet<Fingerprint>,
    next_sweep: UnixMillis,
    counts: Counts,
}

/// A group: its route, and the fingerprint of the labels by which it is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct GroupId {
    route: RouteId,
    labels: Fingerprint,
}

/// Why a group is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Occasion {
    /// It is time for news.
    Look,
    /// Some integrations must hear again of what they know.
    Resend,
}

#[derive(Debug)]
struct Held {
    kept: Arc<Kept>,
    /// The groups that it belongs to: its labels say which, so that this is worked out once.
    places: Box<[GroupId]>,
}

#[derive(Debug)]
struct Group {
    labels: LabelSet,
    key: Arc<str>,
    alerts: HashSet<Fingerprint>,
    next: UnixMillis,
    /// When some integrations must hear again of what they know.
    resend: Option<UnixMillis>,
}

impl Dispatcher {
    /// Knows no alert yet.
    pub fn new(routing: Arc<Routing>, integrations: Integrations, limits: Limits, now: UnixMillis) -> Self {
        Self {
            inhibitor: Inhibitor::new(&routing.inhibit_rules),
            routing,
            integrations,
            limits,
            alerts: HashMap::new(),
            bytes: 0,
            groups: HashMap::new(),
            due: BTreeSet::new(),
            notified: Notified::default(),
            heard: heard::Heard::new(),
            remembered: HashSet::new(),
            unwritten: Vec::new(),
            next_sweep: now.plus(SWEEP_EVERY),
            counts: Counts::default(),
        }
    }

    /// Takes over a record of the journal, before anything else; whether it was one of these.
    pub fn replay(&mut self, record: &[u8]) -> bool {
        self.notified.replay(record) || heard::replay(&mut self.heard, record)
    }

    /// Hears of alerts.
    pub fn put(&mut self, alerts: impl IntoIterator<Item = Kept>, now: UnixMillis) {
        for kept in alerts {
            if kept.alert.is_resolved(now) {
                self.counts.resolved += 1;
            } else {
                self.counts.firing += 1;
            }
            let posted = kept.is_posted.then_some(kept.fingerprint);
            self.keep(kept, now);
            let posted = posted.and_then(|fingerprint| self.alerts.get(&fingerprint));
            self.unwritten.extend(posted.map(|held| heard::heard_record(&held.kept)));
        }
    }

    fn keep(&mut self, kept: Kept, now: UnixMillis) {
        if kept.is_confirmed {
            self.remembered.remove(&kept.fingerprint);
        }
        let known = self.alerts.get(&kept.fingerprint);
        let is_full = kept.bytes() > MOST_ALERT || self.bytes >= self.limits.bytes;
        let kept = Arc::new(match known {
            // Whether it fires is known all the same.
            Some(before) if is_full && kept.bytes() > before.kept.bytes() => {
                self.counts.refused += 1;
                before.kept.then(kept.in_words_of(&before.kept), now)
            }
            Some(before) => before.kept.then(kept, now),
            None if is_full || self.alerts.len() >= self.limits.alerts => {
                self.counts.refused += 1;
                return;
            }
            None => kept,
        });
        let places: Box<[GroupId]> = match known {
            Some(before) => before.places.clone(),
            None => self.places(&kept.alert.labels),
        };
        self.bytes -= known.map_or(0, |before| before.kept.bytes());
        self.bytes += kept.bytes();
        if known.is_none() {
            // Its labels are what it is known by, so that nothing of this changes.
            self.inhibitor.remember(&self.routing.inhibit_rules, &kept);
        }
        for id in &places {
            self.join(*id, &kept, now);
        }
        self.alerts.insert(kept.fingerprint, Held { kept, places });
    }

    fn places(&self, labels: &LabelSet) -> Box<[GroupId]> {
        let place = |route| GroupId { route, labels: Fingerprint::of(&self.routing.route(route).group_labels(labels)) };
        self.routing.routes_of(labels).into_iter().map(place).collect()
    }

    fn join(&mut self, id: GroupId, kept: &Kept, now: UnixMillis) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.alerts.insert(kept.fingerprint);
            return;
        }
        if self.groups.len() >= self.limits.groups {
            self.counts.ungrouped += 1;
            return;
        }
        let route = self.routing.route(id.route);
        let labels = route.group_labels(&kept.alert.labels);
        let key: Arc<str> = route.group_key(&labels).into();
        let next = match self.notified.last_told(&key) {
            // It was told before a restart or a reload, and goes on in its pace.
            Some(told) => next_look(told, route.group_interval, now),
            None if kept.alert.starts_at.plus(route.group_wait) < now => now,
            None => now.plus(route.group_wait),
        };
        let resend = self.resend_every(&route.receiver).map(|every| now.plus(every));
        self.due.insert((next, id, Occasion::Look));
        self.due.extend(resend.map(|at| (at, id, Occasion::Resend)));
        self.groups.insert(id, Group { labels, key, alerts: HashSet::from([kept.fingerprint]), next, resend });
    }

    /// How often some integration of a receiver must hear of what fires.
    fn resend_every(&self, receiver: &str) -> Option<Duration> {
        self.integrations.get(receiver)?.iter().filter_map(|integration| integration.resend_every).min()
    }

    /// When [`Self::tick`] has something to do next.
    pub fn next_due(&self) -> UnixMillis {
        self.due.first().map_or(self.next_sweep, |(due, ..)| self.next_sweep.min(*due))
    }

    /// Tells receivers what is due.
    pub fn tick(&mut self, now: UnixMillis, silences: &Silences, desk: &mut dyn Desk) {
        self.unwritten.drain(..).for_each(|record| desk.record(record));
        while let Some((due, id, occasion)) = self.due.first().copied().filter(|(due, ..)| *due <= now) {
            self.due.pop_first();
            // Whoever counts from one look to the next must not see that a clock comes a little late.
            let at = if now.0 - due.0 < PUNCTUAL { due } else { now };
            match occasion {
                Occasion::Look => self.look_at(id, at, silences, desk),
                Occasion::Resend => self.resend(id, at, silences, desk),
            }
        }
        if self.next_sweep <= now {
            self.next_sweep = now.plus(SWEEP_EVERY);
            self.close_orphans(now, desk);
            self.sweep(now, desk);
        }
    }

    /// The ways of alerts.
    pub fn routing(&self) -> &Arc<Routing> {
        &self.routing
    }

    /// So much is kept at most from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Another tree of routes and other receivers from now on. Groups that are there before and after keep their pace.
    pub fn reload(&mut self, routing: Arc<Routing>, integrations: Integrations, now: UnixMillis) {
        let groups = std::mem::take(&mut self.groups);
        let in_group: HashSet<Fingerprint> = groups.values().flat_map(|group| &group.alerts).copied().collect();
        let pace: HashMap<Arc<str>, (UnixMillis, Option<UnixMillis>)> =
            groups.into_values().map(|group| (group.key, (group.next, group.resend))).collect();
        self.due.clear();
        self.inhibitor = Inhibitor::new(&routing.inhibit_rules);
        (self.routing, self.integrations) = (routing, integrations);
        self.bytes = 0;
        for (fingerprint, held) in std::mem::take(&mut self.alerts) {
            if in_group.contains(&fingerprint) || !held.kept.alert.is_resolved(now) {
                self.keep(Arc::unwrap_or_clone(held.kept), now);
            } else if held.kept.is_posted {
                self.unwritten.push(heard::unheard_record(fingerprint));
            }
        }
        for (id, group) in &mut self.groups {
            let Some((next, resend)) = pace.get(&group.key) else { continue };
            self.due.remove(&(group.next, *id, Occasion::Look));
            group.next = *next;
            self.due.insert((group.next, *id, Occasion::Look));
            // Whoever must hear in time hears no later for it.
            if let (Some(at), Some(before)) = (group.resend, resend) {
                self.due.remove(&(at, *id, Occasion::Resend));
                group.resend = Some(at.min(*before));
                self.due.extend(group.resend.map(|at| (at, *id, Occasion::Resend)));
            }
        }
    }

    /// The wall clock was set by so many milliseconds: what lasts goes on as if it had not been.
    pub fn shift(&mut self, by: i64, now: UnixMillis) {
        let moved = |time: UnixMillis| UnixMillis(time.0.saturating_add(by));
        let before = UnixMillis(now.0.saturating_sub(by));
        for held in self.alerts.values_mut().filter(|held| !held.kept.alert.is_resolved(before)) {
            let alert = &mut Arc::make_mut(&mut held.kept).alert;
            alert.ends_at = moved(alert.ends_at);
        }
        for group in self.groups.values_mut() {
            group.next = moved(group.next);
            group.resend = group.resend.map(moved);
        }
        let due = std::mem::take(&mut self.due).into_iter();
        self.due = due.map(|(due, id, occasion)| (moved(due), id, occasion)).collect();
        self.next_sweep = moved(self.next_sweep);
        self.notified.shift(moved);
    }

    /// Forgets that a receiver was told of what fires in a group, since it never heard: it is told once more when the group
    /// is due. Returns the record of that.
    pub fn retract(&mut self, group_key: &str, receiver: &str, integration: &str) -> Option<Vec<u8>> {
        let whom =
            notified::Whom { group_key: group_key.into(), receiver: receiver.into(), integration: integration.into() };
        self.notified.retract(&whom)
    }

    /// The records of everything that has to be known after a restart.
    pub fn state(&mut self) -> Vec<Vec<u8>> {
        let alerts = &self.alerts;
        let mut records = self.notified.state(|fingerprint| alerts.get(&fingerprint).map(|held| &*held.kept));
        let posted = alerts.values().filter(|held| held.kept.is_posted);
        records.extend(posted.map(|held| heard::heard_record(&held.kept)));
        records
    }

    /// Counts alerts that found no place before they came here.
    pub fn count_refused(&mut self, alerts: u64) {
        self.counts.refused += alerts;
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Alerts, their bytes about, and groups that are kept.
    pub fn size(&self) -> (usize, usize, usize) {
        (self.alerts.len(), self.bytes, self.groups.len())
    }
}

/// The first time behind `now` at which a group is due that was told at `told` and is looked at every `interval`.
fn next_look(told: UnixMillis, interval: Duration, now: UnixMillis) -> UnixMillis {
    let every = millis(interval).max(1);
    let passed = now.0.saturating_sub(told.0).max(0) / every;
    UnixMillis(told.0.saturating_add(every.saturating_mul(passed + 1)))
}
