//! The tree of routes: which receivers hear of an alert, together with which others and how often. What it means is
//! Alertmanager's.
//!
//! [`RoutingOptions`] is what is written; [`Routing`] is what it means, which exists only if nothing is wrong.

mod options;
mod read;
#[cfg(test)]
mod tests;
mod written;

use std::collections::BTreeMap;
use std::time::Duration;

pub use options::{InhibitRuleOptions, RouteOptions, RoutingOptions};
pub use written::Written;

use super::inhibit::InhibitRule;
use super::matcher::Matchers;
use super::mute::{IntervalId, Intervals};
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;
use crate::formats::go::quote;

/// The ways of alerts, checked.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The root first, each route before those below it.
    routes: Vec<Route>,
    pub(super) inhibit_rules: Vec<InhibitRule>,
    intervals: Intervals,
    /// After how long an alert without an end counts as resolved.
    pub resolve_timeout: Duration,
}

/// Which route of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(usize);

/// A route, with what it took from those above it.
#[derive(Clone, Debug)]
pub struct Route {
    /// Name of the receiver.
    pub receiver: Box<str>,
    /// By which labels alerts are put together.
    pub group_by: GroupBy,
    /// How long a new group waits.
    pub group_wait: Duration,
    /// How long a group that was told waits.
    pub group_interval: Duration,
    /// After how long a group that did not change is told again.
    pub repeat_interval: Duration,
    /// Labels of the route itself.
    pub labels: BTreeMap<String, String>,
    /// Its matchers behind those of the routes above, as group keys begin.
    pub key: Box<str>,
    mute: Box<[IntervalId]>,
    active: Box<[IntervalId]>,
    matchers: Matchers,
    continues: bool,
    children: Vec<RouteId>,
}

/// By which labels alerts are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Each alert alone.
    Everything,
    /// Those that agree in these.
    Labels(Box<[Box<str>]>),
}

impl Routing {
    /// Routes that an alert goes to: one at least. The tree is searched in its order, deepest first.
    pub fn routes_of(&self, labels: &LabelSet) -> Vec<RouteId> {
        let mut found = Vec::new();
        self.search(RouteId(0), labels, &mut found);
        found
    }

    fn search(&self, at: RouteId, labels: &LabelSet, found: &mut Vec<RouteId>) -> bool {
        let route = self.route(at);
        if !route.matchers.match_all(labels) {
            return false;
        }
        let before = found.len();
        for child in &route.children {
            if self.search(*child, labels, found) && !self.route(*child).continues {
                break;
            }
        }
        if found.len() == before {
            found.push(at);
        }
        true
    }

    /// A route.
    pub fn route(&self, id: RouteId) -> &Route {
        &self.routes[id.0]
    }

    /// Every route and its number.
    #[cfg(test)]
    fn routes(&self) -> impl Iterator<Item = (RouteId, &Route)> {
        self.routes.iter().enumerate().map(|(index, route)| (RouteId(index), route))
    }

    /// Names of the intervals that mute a route at this time; none where it may speak.
    pub fn muted_by(&self, id: RouteId, now: UnixMillis) -> Vec<&str> {
        let route = self.route(id);
        let names = |of: &[IntervalId]| of.iter().map(|id| self.intervals.name(*id)).collect();
        if !route.active.is_empty() && !route.active.iter().any(|id| self.intervals.contain(*id, now)) {
            return names(&route.active);
        }
        let muting: Vec<IntervalId> =
            route.mute.iter().copied().filter(|id| self.intervals.contain(*id, now)).collect();
        names(&muting)
    }
}

impl Route {
    /// The labels by which an alert is put together with others.
    pub fn group_labels(&self, labels: &LabelSet) -> LabelSet {
        match &self.group_by {
            GroupBy::Everything => labels.clone(),
            GroupBy::Labels(names) => names.iter().map(|name| (&**name, labels.get(name))).collect(),
        }
    }

    /// The key of a group: `{}/{severity="page"}:{alertname="Down"}`.
    pub fn group_key(&self, group_labels: &LabelSet) -> String {
        let mut key = format!("{}:{{", self.key);
        for (index, (name, value)) in group_labels.iter().enumerate() {
            if index > 0 {
                key.push_str(", ");
            }
            key.push_str(name);
            key.push('=');
            key.push_str(&quote(value, false));
        }
        key.push('}');
        key
    }
}
