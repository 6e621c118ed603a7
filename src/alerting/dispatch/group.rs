//! What happens when a group is due, and when everything is swept.

use std::collections::HashSet;
use std::sync::Arc;

use super::heard::unheard_record;
use super::notified::{Seen, Whom, Wish};
use super::{Acknowledged, Desk, Dispatcher, Fingerprint, GroupId, Kept, Notice, Occasion, Reason, kept};
use crate::alerting::notifier::Notification;
use crate::alerting::silence::Silences;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// The alerts of a group that may be told, and those that may not.
#[derive(Debug, Default)]
struct Sorted {
    audible: Vec<Arc<Kept>>,
    muffled: Vec<Arc<Kept>>,
    /// Those of the latter that fire and that somebody silenced.
    silenced: Vec<Arc<Kept>>,
}

impl Dispatcher {
    /// Tells the receiver of a group what is news.
    pub(super) fn look_at(&mut self, id: GroupId, now: UnixMillis, silences: &Silences, desk: &mut dyn Desk) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let route = self.routing.route(id.route);
        group.next = now.plus(route.group_interval);
        self.due.insert((group.next, id, Occasion::Look));
        let (key, labels, receiver) = (group.key.clone(), group.labels.clone(), route.receiver.clone());
        let repeat = route.repeat_interval;
        let alerts = self.alerts_of(id);
        let sorted = self.sort(id, &alerts, now, silences);
        let mut all_told = true;
        for integration in self.integrations.get(&*receiver).into_iter().flatten() {
            let whom =
                Whom { group_key: key.clone(), receiver: (&*receiver).into(), integration: integration.name.clone() };
            let before = self.notified.get(&whom);
            let closes = |alert: &&Arc<Kept>| {
                integration.keeps_open
                    && alert.alert.is_resolved(now)
                    && before.is_some_and(|told| told.open.contains(&alert.fingerprint))
            };
            // What is only remembered is as it was told, and no news.
            let is_so = |alert: &&Arc<Kept>| {
                alert.is_confirmed
                    || alert.alert.is_resolved(now)
                    || before.is_some_and(|told| told.firing.contains(&alert.fingerprint))
            };
            let told = sorted.audible.iter().filter(is_so).chain(sorted.muffled.iter().filter(closes)).cloned();
            let (resolved, firing) = told.partition(|alert: &Arc<Kept>| alert.alert.is_resolved(now));
            let seen = Seen { firing, resolved };
            let mut attended = Vec::new();
            for kept in sorted.silenced.iter().filter(|_| integration.keeps_open) {
                let acknowledged =
                    Acknowledged { receiver: &receiver, integration, group_key: &key, alert: &kept.alert };
                if self.notified.is_unattended(&whom, kept.fingerprint) && desk.acknowledge(&acknowledged) {
                    attended.push(kept.fingerprint);
                }
            }
            // A record has all that was told of the group: one for each alert would be the square of them.
            if !attended.is_empty() {
                desk.record(self.notified.acknowledge(&whom, attended));
            }
            if seen.firing.is_empty() && seen.resolved.is_empty() {
                continue;
            }
            let wish = Wish { send_resolved: integration.send_resolved, keeps_open: integration.keeps_open, repeat };
            let Some(reason) = self.notified.reason(&whom, &seen, wish, now) else { continue };
            let before = self.notified.get(&whom);
            // Nor of an end that it was told, or of one of what it was never told of.
            let is_open = |kept: &&Arc<Kept>| {
                !integration.keeps_open || before.is_none_or(|told| told.open.contains(&kept.fingerprint))
            };
            let resolved = seen.resolved.iter().filter(|_| integration.send_resolved).filter(is_open);
            // Who keeps open what it was told needs no word of it with every change of the group.
            let is_news = |kept: &&Arc<Kept>| {
                !integration.keeps_open
                    || reason == Reason::Repeat
                    || before.is_none_or(|told| {
                        !told.firing.contains(&kept.fingerprint) || told.attended.contains(&kept.fingerprint)
                    })
            };
            let firing = seen.firing.iter().filter(|kept| kept.is_confirmed).filter(is_news);
            let mut alerts: Vec<_> = firing.chain(resolved).map(|kept| kept.alert.clone()).collect();
            alerts.sort_by(|a, b| kept::in_order(&a.labels, &b.labels));
            let notification = Notification {
                receiver: receiver.clone(),
                group_key: key.to_string(),
                group_labels: labels.clone(),
                now,
                alerts,
            };
            // One that wants to hear of nothing that is over has then nothing to hear, and is known to have heard it.
            let silent = notification.alerts.is_empty();
            if silent && reason == Reason::Repeat {
                continue;
            }
            if silent || desk.tell(&Notice { integration, reason, notification }) {
                self.notified.tell(whom, &seen, wish, now).into_iter().for_each(|record| desk.record(record));
            } else {
                all_told = false;
            }
        }
        if all_told {
            self.leave(id, &alerts, now);
        }
    }

    /// Tells the integrations that must hear of it again what they know to fire.
    pub(super) fn resend(&mut self, id: GroupId, now: UnixMillis, silences: &Silences, desk: &mut dyn Desk) {
        let receiver = self.routing.route(id.route).receiver.clone();
        let every = self.resend_every(&receiver);
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.resend = every.map(|every| now.plus(every));
        self.due.extend(group.resend.map(|at| (at, id, Occasion::Resend)));
        let (key, group_labels) = (group.key.clone(), group.labels.clone());
        let alerts = self.alerts_of(id);
        let audible = self.sort(id, &alerts, now, silences).audible;
        for integration in self.integrations.get(&*receiver).into_iter().flatten() {
            let whom =
                Whom { group_key: key.clone(), receiver: (&*receiver).into(), integration: integration.name.clone() };
            let Some(told) = self.notified.get(&whom).filter(|_| integration.resend_every.is_some()) else { continue };
            let is_known = |kept: &&Arc<Kept>| {
                kept.is_confirmed && !kept.alert.is_resolved(now) && told.firing.contains(&kept.fingerprint)
            };
            let alerts: Vec<_> = audible.iter().filter(is_known).map(|kept| kept.alert.clone()).collect();
            if alerts.is_empty() {
                continue;
            }
            let notification = Notification {
                receiver: receiver.clone(),
                group_key: key.to_string(),
                group_labels: group_labels.clone(),
                now,
                alerts,
            };
            // One that cannot be written is written again soon, and what was told stays the same.
            let _ = desk.tell(&Notice { integration, reason: Reason::Repeat, notification });
        }
    }

    /// The alerts of a group in the order in which they are told.
    fn alerts_of(&self, id: GroupId) -> Vec<Arc<Kept>> {
        let alerts = self.groups.get(&id).into_iter().flat_map(|group| &group.alerts);
        let mut alerts: Vec<Arc<Kept>> =
            alerts.filter_map(|alert| self.alerts.get(alert)).map(|held| held.kept.clone()).collect();
        alerts.sort_by(|a, b| kept::in_order(&a.alert.labels, &b.alert.labels));
        alerts
    }

    /// What is over and was told leaves its group, and a group without alerts is none.
    fn leave(&mut self, id: GroupId, alerts: &[Arc<Kept>], now: UnixMillis) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        for over in alerts.iter().filter(|kept| kept.alert.is_resolved(now)) {
            group.alerts.remove(&over.fingerprint);
        }
        if group.alerts.is_empty() {
            self.due.remove(&(group.next, id, Occasion::Look));
            group.resend.map(|at| self.due.remove(&(at, id, Occasion::Resend)));
            self.groups.remove(&id);
        }
    }

    fn sort(&mut self, id: GroupId, alerts: &[Arc<Kept>], now: UnixMillis, silences: &Silences) -> Sorted {
        let mut sorted = Sorted::default();
        let muted = !self.routing.muted_by(id.route, now).is_empty();
        for kept in alerts {
            let labels = &kept.alert.labels;
            let count = if self.inhibitor_of(labels, now).is_some() {
                &mut self.counts.inhibited
            } else if muted {
                &mut self.counts.muted
            } else if silences.silencing(labels, now).next().is_some() {
                sorted.silenced.extend(Some(kept.clone()).filter(|kept| !kept.alert.is_resolved(now)));
                &mut self.counts.silenced
            } else {
                sorted.audible.push(kept.clone());
                continue;
            };
            *count += 1;
            sorted.muffled.push(kept.clone());
        }
        sorted
    }

    /// The alert by which one with these labels is inhibited.
    pub(super) fn inhibitor_of(&self, labels: &LabelSet, now: UnixMillis) -> Option<Fingerprint> {
        let find = |fingerprint| self.alerts.get(&fingerprint).map(|held| &*held.kept);
        self.inhibitor.inhibitor_of(&self.routing.inhibit_rules, labels, now, find)
    }

    /// Tells receivers of the end of what they keep open and what belongs to no group any more, since its route changed.
    pub(super) fn close_orphans(&mut self, now: UnixMillis, desk: &mut dyn Desk) {
        let there: HashSet<(&str, &str)> =
            self.groups.iter().map(|(id, group)| (&*group.key, &*self.routing.route(id.route).receiver)).collect();
        for (whom, open) in self.notified.orphans(|whom| there.contains(&(&*whom.group_key, &*whom.receiver))) {
            let mut of_receiver = self.integrations.get(&whom.receiver).into_iter().flatten();
            let Some(integration) = of_receiver.find(|known| known.name == whom.integration && known.send_resolved)
            else {
                continue;
            };
            let known = open.iter().filter_map(|alert| self.alerts.get(alert));
            let over: Vec<Arc<Kept>> =
                known.map(|held| held.kept.clone()).filter(|kept| kept.alert.is_resolved(now)).collect();
            if over.is_empty() {
                continue;
            }
            let notification = Notification {
                receiver: (&*whom.receiver).into(),
                group_key: whom.group_key.to_string(),
                group_labels: LabelSet::new(),
                now,
                alerts: over.iter().map(|kept| kept.alert.clone()).collect(),
            };
            if desk.tell(&Notice { integration, reason: Reason::AllResolved, notification }) {
                desk.record(self.notified.close(&whom, &over));
            }
        }
    }

    /// Forgets alerts that are over and in no group, and what was told of groups that are gone.
    pub(super) fn sweep(&mut self, now: UnixMillis, desk: &mut dyn Desk) {
        let groups = &self.groups;
        let is_held = |fingerprint: &Fingerprint, places: &[GroupId]| {
            places.iter().any(|id| groups.get(id).is_some_and(|group| group.alerts.contains(fingerprint)))
        };
        let (rules, inhibitor, bytes) = (&self.routing.inhibit_rules, &mut self.inhibitor, &mut self.bytes);
        let remembered = &mut self.remembered;
        self.alerts.retain(|fingerprint, held| {
            let stays = !held.kept.alert.is_resolved(now) || is_held(fingerprint, &held.places);
            if !stays {
                inhibitor.forget(rules, &held.kept);
                *bytes -= held.kept.bytes();
                remembered.remove(fingerprint);
                if held.kept.is_posted {
                    desk.record(unheard_record(*fingerprint));
                }
            }
            stays
        });
        let there: HashSet<&str> = self.groups.values().map(|group| &*group.key).collect();
        let alerts = &self.alerts;
        let stays = |key: &str, open: &HashSet<Fingerprint>| {
            there.contains(key) || open.iter().any(|fingerprint| alerts.contains_key(fingerprint))
        };
        self.notified.forget_old(now, stays).into_iter().for_each(|record| desk.record(record));
    }
}
