//! The journal of alerts: what each one is, so that after a restart, or a kill at any moment, every alert goes on where it
//! was.
//!
//! # Format, version 1
//!
//! A [journal](crate::delivery::journal) of the kind `ALERTS`, with these records. Numbers are little endian; a text or a
//! run of bytes is its length as `u32` and the bytes; labels are such bytes as
//! [`Labels`](crate::data::labels::Labels) holds them; `wall` is nanoseconds since 1970 as `u64`, `steady` nanoseconds on
//! the line of time that knows no steps of the wall clock, as `i64`.
//!
//! ```text
//! version u8        1
//! kind    u8
//! 1  a rule         group u32, rule u32, file text, group text, name text, query text,
//!                   count u32 and so many labels: name text, value text
//! 2  an alert as it is from now on
//!                   group u32, rule u32, its labels, its annotations, labels of its series in the rule's result,
//!                   value f64, active since wall, its `for` counts from steady,
//!                   phase u8: 1 pending | 2 firing: fired wall | 3 resolved: fired wall, resolved wall, resolved steady,
//!                   goes on firing by `keep_firing_for`: 0 | 1, since wall, since steady,
//!                   held: 0 | 1, since wall, since steady, cause u8, text, text,
//!                   handed on: 0 | 1, steady
//! 3  an alert that is no more
//!                   group u32, rule u32, its labels
//! 4  a group was evaluated
//!                   group u32, wall, steady
//! ```
//!
//! Rules stand in the state at the beginning of a generation, which a load of rules begins anew; the numbers of groups and
//! rules mean something within their generation alone. A record of a newer version or kind is passed over and told.
//!
//! Invariants: an alert that began, fired, resolved, was held or let go is on stable storage before anybody hears of it.
//! That an alert was handed on is journalled after that, so that after a crash it may be handed on again, but is not
//! forgotten; whoever took it may have died before it was safe with them, so what fires is handed on again at a start, and
//! so is what resolved right before the end. When a group was evaluated is written each time, behind all that the evaluation changed, and forced with
//! the next change, each minute at least while there are alerts.

mod record;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::group::{Group, Shared};
use super::moment::Steady;
use super::rule::{Alerting, Instance, Phase, Since};
use crate::delivery::journal::{Journal, Kind, MOST_RECORD, Place, Restored};
pub(super) use record::Identity;
use record::{Record, RuleId};

/// While alerts are pending or fire, what is written is forced at least this often: after a power cut their `for` lacks no
/// more than that.
const FORCE_EVERY: Duration = Duration::from_mins(1);

/// How long whoever takes alerts may need until they are safe with them.
const HANDING_ON: Duration = Duration::from_secs(10);

/// What the records are.
pub const KIND: Kind = Kind(*b"ALERTS\0\0");

/// A rule as an earlier process left it.
#[derive(Debug)]
pub(super) struct Left {
    /// Which rule it is.
    pub identity: Identity,
    /// Its alerts.
    pub alerts: BTreeMap<Box<[u8]>, Instance>,
    /// When it was evaluated last.
    pub evaluated: Option<Since>,
}

/// What an earlier process left.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Its rules.
    pub rules: Vec<Left>,
    /// The latest evaluation of a group.
    pub last: Option<Since>,
    /// What is to be told.
    pub complaints: Vec<String>,
    /// What the next generation is begun behind.
    pub restored: Restored,
}

/// Reads what an earlier process left.
pub(super) fn restore(place: &Place) -> io::Result<Found> {
    let mut rules: BTreeMap<RuleId, Left> = BTreeMap::new();
    let mut evaluated: BTreeMap<u32, Since> = BTreeMap::new();
    let mut unknown = 0;
    let mut restored = place.restore(|bytes| match record::read(bytes) {
        Some(Record::Rule(id, identity)) => {
            rules.insert(id, Left { identity, alerts: BTreeMap::new(), evaluated: None });
        }
        Some(Record::Alert(id, labels, alert)) => {
            if let Some(rule) = rules.get_mut(&id) {
                rule.alerts.insert(labels.into(), *alert);
            }
        }
        Some(Record::Gone(id, labels)) => {
            if let Some(rule) = rules.get_mut(&id) {
                rule.alerts.remove(labels);
            }
        }
        Some(Record::Evaluated(group, at)) => {
            evaluated.insert(group, at);
        }
        None => unknown += 1,
    })?;
    let mut complaints = std::mem::take(&mut restored.complaints);
    if unknown > 0 {
        complaints.push(format!(
            "{unknown} records of the journal of alerts are of a kind that this release does not know and were left out"
        ));
    }
    for ((group, _), rule) in &mut rules {
        rule.evaluated = evaluated.get(group).copied();
        let last = rule.evaluated;
        rule.alerts.values_mut().for_each(|alert| hand_on_again(alert, last));
    }
    let last = evaluated.into_values().max_by_key(|at| at.steady);
    Ok(Found { rules: rules.into_values().collect(), last, complaints, restored })
}

/// What was handed on is kept by somebody else, who may have died before it was: what fires is said again at once, for whom
/// that is nothing new, and so is what resolved right before the end.
fn hand_on_again(alert: &mut Instance, last: Option<Since>) {
    let uncertain = |sent: &Steady| last.is_none_or(|last| last.steady.since(*sent) < HANDING_ON);
    let again = match alert.phase {
        Phase::Pending => false,
        Phase::Firing { .. } => true,
        Phase::Resolved { .. } => alert.sent.as_ref().is_some_and(uncertain),
    };
    if again {
        (alert.sent, alert.sent_journalled) = (None, None);
    }
}

/// Begins a generation with the state of all groups.
pub(super) fn begin(place: &Place, restored: &Restored, groups: &[Arc<Shared>]) -> io::Result<Journal> {
    let state = whole(groups);
    place.begin(restored, state.iter().map(Vec::as_slice))
}

/// Begins the next generation with the state of all groups.
pub(super) fn replace(journal: &mut Journal, groups: &[Arc<Shared>]) -> io::Result<()> {
    let state = whole(groups);
    journal.replace(state.iter().map(Vec::as_slice))
}

/// Journals what an evaluation of a group has changed. When this returns it is durable.
pub(super) fn follow(journal: &mut Journal, number: usize, group: &Shared, now: Since) -> io::Result<()> {
    // Nobody who looks at the group waits for the disk.
    let durable = changes(journal, number as u32, &mut group.hold(), now);
    journal.commit(durable)?;
    if durable {
        group.hold().forced = Some(now.steady);
    }
    Ok(())
}

/// Writes what the evaluation of a group at `now` has changed. Returns whether that must be forced.
fn changes(journal: &mut Journal, number: u32, group: &mut Group, now: Since) -> bool {
    let mut durable = false;
    let mut any_active = false;
    for (place, rule) in group.rules.iter_mut().enumerate() {
        let Some(alerting) = &mut rule.alerting else { continue };
        let id = (number, place as u32);
        for labels in alerting.forgotten.drain(..) {
            journal.append(&record::gone(id, &labels));
            durable = true;
        }
        for (labels, alert) in &mut alerting.alerts {
            any_active |= alert.is_active();
            let was_changed = std::mem::take(&mut alert.changed);
            let before = alert.sent_journalled;
            // What this evaluation hands on is not handed on yet.
            alert.sent_journalled = alert.sent.filter(|sent| *sent < now.steady);
            if was_changed || alert.sent_journalled != before {
                bounded(id, labels, alert).iter().for_each(|record| journal.append(record));
                durable |= was_changed;
            }
        }
    }
    // The last one: a write that is torn, and an evaluation that was stopped, did not happen, and are made up for.
    if group.evaluated == Some(now) {
        journal.append(&record::evaluated(number, now));
    }
    durable | (any_active && group.forced.is_none_or(|forced| now.steady.since(forced) >= FORCE_EVERY))
}

/// The state of all groups. What an evaluation that goes on has done so far is part of it, and that it took place is not.
fn whole(groups: &[Arc<Shared>]) -> Vec<Vec<u8>> {
    let mut state = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let mut group = group.hold();
        let Group { file, name, rules, evaluated, .. } = &mut *group;
        let number = number as u32;
        state.extend(evaluated.map(|at| record::evaluated(number, at)));
        for (place, rule) in rules.iter_mut().enumerate() {
            let id = (number, place as u32);
            let Some(Alerting { alerts, forgotten, .. }) = &mut rule.alerting else { continue };
            state.push(record::rule(id, &Identity::of(file, name, &rule.written)));
            forgotten.clear();
            for (labels, alert) in alerts {
                alert.changed = false;
                state.extend(bounded(id, labels, alert));
            }
        }
    }
    state
}

/// The record of an alert: without its annotations where they are too long for one, and none where its labels are.
fn bounded(id: RuleId, labels: &[u8], alert: &Instance) -> Option<Vec<u8>> {
    let record = record::alert(id, labels, alert);
    if record.len() <= MOST_RECORD {
        return Some(record);
    }
    let record = record::alert(id, labels, &Instance { annotations: Default::default(), ..alert.clone() });
    (record.len() <= MOST_RECORD).then_some(record)
}

#[cfg(test)]
mod tests;
