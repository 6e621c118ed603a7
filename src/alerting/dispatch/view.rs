//! What the dispatcher knows, for whoever looks: worked out when it is asked for, since silences and intervals change what
//! is told without anything happening here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Dispatcher, Fingerprint, Held, Kept, kept};
use crate::alerting::silence::Silences;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// An alert that has not ended.
#[derive(Clone, Debug)]
pub struct AlertView {
    /// What is known of it.
    pub kept: Arc<Kept>,
    /// Who is told of it, in the order of the routes.
    pub receivers: Vec<Box<str>>,
    /// Ids of the silences that keep it from being told.
    pub silenced_by: Vec<Arc<str>>,
    /// The alert by which it is inhibited.
    pub inhibited_by: Option<Fingerprint>,
}

/// A group that has alerts.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The labels by which it is put together.
    pub labels: LabelSet,
    /// Labels of its route.
    pub route_labels: BTreeMap<String, String>,
    /// Who is told.
    pub receiver: Box<str>,
    /// Time intervals that keep it from being told.
    pub muted_by: Vec<String>,
    /// Its alerts.
    pub alerts: Vec<AlertView>,
}

impl Dispatcher {
    /// Alerts that have not ended, in the order of their fingerprints.
    pub fn alerts(&self, silences: &Silences, now: UnixMillis) -> Vec<AlertView> {
        let firing = self.alerts.values().filter(|held| !held.kept.alert.is_resolved(now));
        let mut alerts: Vec<AlertView> = firing.map(|held| self.view(held, silences, now)).collect();
        alerts.sort_by_key(|alert| alert.kept.fingerprint);
        alerts
    }

    /// Groups that have alerts that have not ended.
    pub fn groups(&self, silences: &Silences, now: UnixMillis) -> Vec<GroupView> {
        let mut groups: Vec<GroupView> = Vec::new();
        for (id, group) in &self.groups {
            let held = group.alerts.iter().filter_map(|fingerprint| self.alerts.get(fingerprint));
            let firing = held.filter(|held| !held.kept.alert.is_resolved(now));
            let mut alerts: Vec<AlertView> = firing.map(|held| self.view(held, silences, now)).collect();
            if alerts.is_empty() {
                continue;
            }
            alerts.sort_by(|a, b| kept::in_order(&a.kept.alert.labels, &b.kept.alert.labels));
            let route = self.routing.route(id.route);
            groups.push(GroupView {
                labels: group.labels.clone(),
                route_labels: route.labels.clone(),
                receiver: route.receiver.clone(),
                muted_by: self.routing.muted_by(id.route, now).into_iter().map(str::to_owned).collect(),
                alerts,
            });
        }
        groups.sort_by(|a, b| kept::labels_in_order(&a.labels, &b.labels).then_with(|| a.receiver.cmp(&b.receiver)));
        groups
    }

    fn view(&self, held: &Held, silences: &Silences, now: UnixMillis) -> AlertView {
        let labels = &held.kept.alert.labels;
        AlertView {
            kept: held.kept.clone(),
            receivers: held.places.iter().map(|place| self.routing.route(place.route).receiver.clone()).collect(),
            silenced_by: silences.silencing(labels, now).map(|silence| silence.id.clone()).collect(),
            inhibited_by: self.inhibitor_of(labels, now),
        }
    }
}
