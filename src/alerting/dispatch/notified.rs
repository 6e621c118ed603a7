//! What the receivers were told of each group, so that nothing is repeated and nothing that was told is left open, over
//! restarts too.
//!
//! Records, behind [version and kind](crate::alerting::record):
//!
//! ```text
//! 1  alert      fingerprint (8 bytes), starts_at, labels, annotations, generator_url, value (8 bytes, IEEE 754)
//! 2  told       group key, receiver, integration, at, until,
//!               four lists of fingerprints (their number, then 8 bytes each): firing, resolved, open, attended
//! 3  forgotten  group key, receiver, integration
//! ```
//!
//! A later record of the same alert or of the same group and integration stands for the earlier one. The alerts of a record
//! `told` have been written before it. The kinds share a journal with those of the outbox.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Fingerprint, Kept};
use crate::alerting::Alert;
use crate::alerting::record::{Reader, Writer};
use crate::data::UnixMillis;

const ALERT: u8 = 1;
const TOLD: u8 = 2;
const FORGOTTEN: u8 = 3;

/// A group of alerts and one way to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Whom {
    pub group_key: Arc<str>,
    pub receiver: Arc<str>,
    pub integration: Arc<str>,
}

/// What was told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub at: UnixMillis,
    /// Until when it is remembered where the group is gone.
    pub until: UnixMillis,
    /// Alerts that fired.
    pub firing: HashSet<Fingerprint>,
    /// Alerts that had resolved.
    pub resolved: HashSet<Fingerprint>,
    /// Alerts that were told as firing at any time and not as resolved since, where the receiver keeps them open.
    pub open: HashSet<Fingerprint>,
    /// Those of them of which it was told that somebody takes care.
    pub attended: HashSet<Fingerprint>,
}

/// Why a receiver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing of the group is known to fire there.
    First,
    /// Alerts joined the group.
    NewAlerts,
    /// Alerts are silenced no more of which it was told that somebody takes care of them.
    Unsilenced,
    /// Alerts resolved, others fire.
    SomeResolved,
    /// None fires any more.
    AllResolved,
    /// Nothing changed for long.
    Repeat,
}

/// What all receivers were told, and which alerts the journal knows.
#[derive(Debug, Default)]
pub(super) struct Notified {
    told: BTreeMap<Whom, Told>,
    /// Alerts that were journalled, and when they began.
    journalled: HashMap<Fingerprint, UnixMillis>,
    /// Alerts as the journal had them, until they are taken.
    restored: HashMap<Fingerprint, Alert>,
}

/// The alerts of a group as one integration sees them.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub firing: Vec<Arc<Kept>>,
    pub resolved: Vec<Arc<Kept>>,
}

/// How an integration wants to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub send_resolved: bool,
    pub keeps_open: bool,
    pub repeat: Duration,
}

impl Told {
    /// What two were told that are one.
    fn unite(&mut self, other: Self) {
        self.at = self.at.max(other.at);
        self.until = self.until.max(other.until);
        self.resolved.retain(|alert| other.resolved.contains(alert));
        self.firing.extend(other.firing);
        self.open.extend(other.open);
        self.attended.retain(|alert| other.attended.contains(alert));
    }
}

impl Notified {
    /// What was told.
    pub fn get(&self, whom: &Whom) -> Option<&Told> {
        self.told.get(whom)
    }

    /// Whether, and why, a receiver is to be told what is seen.
    pub fn reason(&self, whom: &Whom, seen: &Seen, wish: Wish, now: UnixMillis) -> Option<Reason> {
        let Some(told) = self.told.get(whom) else {
            return (!seen.firing.is_empty()).then_some(Reason::First);
        };
        if seen.firing.iter().any(|alert| !told.firing.contains(&alert.fingerprint)) {
            return Some(if told.firing.is_empty() { Reason::First } else { Reason::NewAlerts });
        }
        // Somebody took a silence back: what was told as taken care of is not.
        if seen.firing.iter().any(|alert| told.attended.contains(&alert.fingerprint)) {
            return Some(Reason::Unsilenced);
        }
        let closes = seen.resolved.iter().any(|alert| told.open.contains(&alert.fingerprint));
        if seen.firing.is_empty() {
            return (!told.firing.is_empty() || (closes && wish.send_resolved)).then_some(Reason::AllResolved);
        }
        // Who keeps open what it was told needs no other word of an end, however long its rules speak of it.
        let news = !wish.keeps_open && seen.resolved.iter().any(|alert| !told.resolved.contains(&alert.fingerprint));
        if wish.send_resolved && (news || closes) {
            return Some(Reason::SomeResolved);
        }
        let long_ago = told.at.0 < now.0.saturating_sub(wish.repeat.as_millis() as i64);
        long_ago.then_some(Reason::Repeat)
    }

    /// Remembers what was told; returns the records of that.
    pub fn tell(&mut self, whom: Whom, seen: &Seen, wish: Wish, now: UnixMillis) -> Vec<Vec<u8>> {
        let set = |alerts: &[Arc<Kept>]| alerts.iter().map(|alert| alert.fingerprint).collect::<HashSet<_>>();
        let before = self.told.get(&whom);
        let mut open = before.map(|told| told.open.clone()).unwrap_or_default();
        if wish.keeps_open {
            open.extend(seen.firing.iter().map(|alert| alert.fingerprint));
            open.retain(|alert| !seen.resolved.iter().any(|over| over.fingerprint == *alert));
        } else {
            open.clear();
        }
        let until = UnixMillis(now.0.saturating_add(2 * wish.repeat.as_millis() as i64));
        let (firing, resolved) = (set(&seen.firing), set(&seen.resolved));
        let still = |alert: &&Fingerprint| open.contains(alert) && !firing.contains(alert);
        let attended = before.map(|told| told.attended.iter().filter(still).copied().collect()).unwrap_or_default();
        let told = Told { at: now, until, firing, resolved, open, attended };
        let mut records = Vec::new();
        for kept in &seen.firing {
            let began = self.journalled.insert(kept.fingerprint, kept.alert.starts_at);
            if began != Some(kept.alert.starts_at) {
                records.push(alert_record(kept.fingerprint, &kept.alert));
            }
        }
        records.push(told_record(&whom, &told));
        self.told.insert(whom, told);
        records
    }

    /// Whether a receiver keeps an alert open and does not know that somebody takes care of it.
    pub fn is_unattended(&self, whom: &Whom, alert: Fingerprint) -> bool {
        self.told.get(whom).is_some_and(|told| told.open.contains(&alert) && !told.attended.contains(&alert))
    }

    /// Remembers that a receiver was told that somebody takes care of alerts; returns the record of that.
    pub fn acknowledge(&mut self, whom: &Whom, alerts: impl IntoIterator<Item = Fingerprint>) -> Vec<u8> {
        let Some(told) = self.told.get_mut(whom) else { return forgotten_record(whom) };
        told.attended.extend(alerts);
        told_record(whom, told)
    }

    /// Forgets that alerts were told as firing, so that they are told once more where they still fire. What may be open
    /// stays known as such. Returns the record of that, if there was anything to forget.
    pub fn retract(&mut self, whom: &Whom) -> Option<Vec<u8>> {
        let told = self.told.get_mut(whom).filter(|told| !told.firing.is_empty())?;
        told.firing.clear();
        Some(told_record(whom, told))
    }

    /// What receivers keep open of groups that are gone, or that others are told of.
    pub fn orphans(&self, is_there: impl Fn(&Whom) -> bool) -> Vec<(Whom, HashSet<Fingerprint>)> {
        let open = self.told.iter().filter(|(whom, told)| !told.open.is_empty() && !is_there(whom));
        open.map(|(whom, told)| (whom.clone(), told.open.clone())).collect()
    }

    /// Remembers that alerts were told as over which a receiver kept open; returns the record of that.
    pub fn close(&mut self, whom: &Whom, over: &[Arc<Kept>]) -> Vec<u8> {
        let Some(told) = self.told.get_mut(whom) else { return forgotten_record(whom) };
        for alert in over {
            told.open.remove(&alert.fingerprint);
            told.firing.remove(&alert.fingerprint);
            told.attended.remove(&alert.fingerprint);
        }
        told_record(whom, told)
    }

    /// Forgets what was told of groups that are gone, where it is older than it counts; returns the records of that.
    pub fn forget_old(&mut self, now: UnixMillis, stays: impl Fn(&str, &HashSet<Fingerprint>) -> bool) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        self.told.retain(|whom, told| {
            let keeps = told.until > now || stays(&whom.group_key, &told.open);
            if !keeps {
                records.push(forgotten_record(whom));
            }
            keeps
        });
        records
    }

    /// Integrations that were told of anything: receiver and name.
    pub fn lanes(&self) -> BTreeSet<(Arc<str>, Arc<str>)> {
        self.told.keys().map(|whom| (whom.receiver.clone(), whom.integration.clone())).collect()
    }

    /// What one integration was told counts as told by another, which leads to the same target.
    pub fn rename(&mut self, from: (&str, &str), to: (&Arc<str>, &Arc<str>)) {
        for (whom, told) in self.take(from) {
            let whom = Whom { receiver: to.0.clone(), integration: to.1.clone(), ..whom };
            match self.told.entry(whom) {
                Entry::Vacant(none) => drop(none.insert(told)),
                Entry::Occupied(mut both) => both.get_mut().unite(told),
            }
        }
    }

    /// What one integration was told, which is forgotten.
    pub fn take(&mut self, (receiver, integration): (&str, &str)) -> Vec<(Whom, Told)> {
        let is_of = |whom: &Whom| *whom.receiver == *receiver && *whom.integration == *integration;
        let of: Vec<Whom> = self.told.keys().filter(|whom| is_of(whom)).cloned().collect();
        of.into_iter().filter_map(|whom| self.told.remove_entry(&whom)).collect()
    }

    /// Alerts that an integration keeps open.
    pub fn open_at<'a>(&'a self, receiver: &'a str, integration: &'a str) -> impl Iterator<Item = Fingerprint> + 'a {
        let of =
            self.told.iter().filter(move |(whom, _)| *whom.receiver == *receiver && *whom.integration == *integration);
        of.flat_map(|(_, told)| told.open.iter().copied())
    }

    /// Every time is another.
    pub fn shift(&mut self, moved: impl Fn(UnixMillis) -> UnixMillis) {
        for told in self.told.values_mut() {
            (told.at, told.until) = (moved(told.at), moved(told.until));
        }
    }

    /// Takes over a record of a journal; whether it was one of these.
    pub fn replay(&mut self, record: &[u8]) -> bool {
        let Some((kind @ (ALERT | TOLD | FORGOTTEN), mut reader)) = Reader::new(record) else { return false };
        let whole = match kind {
            ALERT => read_alert(&mut reader).map(|(fingerprint, alert)| drop(self.restored.insert(fingerprint, alert))),
            TOLD => read_told(&mut reader).map(|(whom, told)| drop(self.told.insert(whom, told))),
            _ => read_whom(&mut reader).map(|whom| drop(self.told.remove(&whom))),
        };
        whole.is_some()
    }

    /// The alerts that some receiver was told of as firing, as the journal had them.
    pub fn take_restored(&mut self) -> Vec<Alert> {
        let wanted: HashSet<Fingerprint> = self.references().collect();
        let mut restored = std::mem::take(&mut self.restored);
        restored.retain(|fingerprint, _| wanted.contains(fingerprint));
        self.journalled = restored.iter().map(|(fingerprint, alert)| (*fingerprint, alert.starts_at)).collect();
        restored.into_values().collect()
    }

    /// Whether some receiver was told of an alert that it is over, and of none since that it fires.
    pub fn knows_as_over(&self, alert: Fingerprint) -> bool {
        let fires = self.told.values().any(|told| told.firing.contains(&alert) || told.open.contains(&alert));
        !fires && self.told.values().any(|told| told.resolved.contains(&alert))
    }

    /// The records of everything that is remembered; `alert` finds what is known of an alert.
    pub fn state<'a>(&mut self, alert: impl Fn(Fingerprint) -> Option<&'a Kept>) -> Vec<Vec<u8>> {
        let wanted: HashSet<Fingerprint> = self.references().collect();
        let known: Vec<&Kept> = wanted.into_iter().filter_map(alert).collect();
        self.journalled = known.iter().map(|kept| (kept.fingerprint, kept.alert.starts_at)).collect();
        let alerts = known.into_iter().map(|kept| alert_record(kept.fingerprint, &kept.alert));
        alerts.chain(self.told.iter().map(|(whom, told)| told_record(whom, told))).collect()
    }

    /// When a group was told last, by any of its integrations, if it was not told that all is over.
    pub fn last_told(&self, group_key: &str) -> Option<UnixMillis> {
        let none: Arc<str> = "".into();
        let from = Whom { group_key: group_key.into(), receiver: none.clone(), integration: none };
        let of_group = self.told.range(from..).take_while(|(whom, _)| *whom.group_key == *group_key);
        of_group.filter(|(_, told)| !told.firing.is_empty()).map(|(_, told)| told.at).max()
    }

    fn references(&self) -> impl Iterator<Item = Fingerprint> {
        self.told.values().flat_map(|told| told.firing.iter().chain(&told.open).copied())
    }
}

pub(super) fn forgotten_record(whom: &Whom) -> Vec<u8> {
    whom_record(FORGOTTEN, whom).finish()
}

fn whom_record(kind: u8, whom: &Whom) -> Writer {
    Writer::new(kind).text(&whom.group_key).text(&whom.receiver).text(&whom.integration)
}

fn read_whom(reader: &mut Reader<'_>) -> Option<Whom> {
    let (group_key, receiver) = (reader.text()?.into(), reader.text()?.into());
    Some(Whom { group_key, receiver, integration: reader.text()?.into() })
}

fn told_record(whom: &Whom, told: &Told) -> Vec<u8> {
    let writer = whom_record(TOLD, whom).time(told.at).time(told.until);
    let list = |writer: Writer, set: &HashSet<Fingerprint>| {
        set.iter().fold(writer.number(set.len() as u64), |writer, fingerprint| writer.eight(fingerprint.0))
    };
    [&told.firing, &told.resolved, &told.open, &told.attended].into_iter().fold(writer, list).finish()
}

fn read_told(reader: &mut Reader<'_>) -> Option<(Whom, Told)> {
    let whom = read_whom(reader)?;
    let (at, until) = (reader.time()?, reader.time()?);
    let mut list = || (0..reader.number()?).map(|_| reader.eight().map(Fingerprint)).collect::<Option<HashSet<_>>>();
    Some((whom, Told { at, until, firing: list()?, resolved: list()?, open: list()?, attended: list()? }))
}

fn alert_record(fingerprint: Fingerprint, alert: &Alert) -> Vec<u8> {
    alert_fields(Writer::new(ALERT), fingerprint, alert).finish()
}

pub(super) fn alert_fields(writer: Writer, fingerprint: Fingerprint, alert: &Alert) -> Writer {
    let writer = writer.eight(fingerprint.0).time(alert.starts_at);
    let writer = writer.labels(&alert.labels).labels(&alert.annotations).text(&alert.generator_url);
    writer.eight(alert.value.to_bits())
}

pub(super) fn read_alert(reader: &mut Reader<'_>) -> Option<(Fingerprint, Alert)> {
    let fingerprint = Fingerprint(reader.eight()?);
    let starts_at = reader.time()?;
    let (labels, annotations) = (reader.labels()?, reader.labels()?);
    let generator_url = reader.text()?.to_owned();
    let value = f64::from_bits(reader.eight()?);
    let ends_at = UnixMillis(i64::MAX);
    Some((
        fingerprint,
        Alert { labels, annotations, starts_at, ends_at, generator_url, value, occurrences: Vec::new() },
    ))
}
