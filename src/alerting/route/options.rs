//! The ways of alerts as they are written: Alertmanager's `route`, `inhibit_rules` and `time_intervals`, key for key.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::alerting::mute::TimeIntervalOptions;
use crate::options::{PrometheusDuration, Spanned};

/// Which alerts go where.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Routing")]
pub struct RoutingOptions {
    /// The root of the tree of routes, which every alert enters. It needs a `receiver` and can have no matchers and no
    /// intervals. Required where there are receivers.
    pub route: Option<Spanned<RouteOptions>>,
    /// Rules by which alerts that fire keep others from being told. Default: none.
    pub inhibit_rules: Vec<Spanned<InhibitRuleOptions>>,
    /// Named intervals, which routes refer to. Default: none.
    pub time_intervals: Vec<Spanned<TimeIntervalOptions>>,
    /// The older name of `time_intervals`; both may be there, and no name may be in both. Default: none.
    pub mute_time_intervals: Vec<Spanned<TimeIntervalOptions>>,
}

/// A route. An alert that fits goes on to the first of the routes below that it fits too, and behind it to further ones as
/// long as they say `continue`; where it fits none, it is this route's.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Route")]
pub struct RouteOptions {
    /// Name of the receiver that is told. Default: that of the route above.
    pub receiver: Option<Spanned<String>>,
    /// Labels by which alerts are put together: those that agree in all of them are told at once. `['...']` for all labels,
    /// so that every alert is told alone. Default: that of the route above; at the root, all alerts together.
    pub group_by: Option<Vec<Spanned<String>>>,
    /// Whether an alert that fits this route is also held against those that stand behind it. Default: `false`.
    #[serde(rename = "continue")]
    pub continues: bool,
    /// What the labels of an alert have to fulfil, all of it: `severity="page"`, `team=~"a|b"`. Default: nothing.
    pub matchers: Vec<Spanned<String>>,
    /// The older form of `matchers`: labels and the values that they must have. Default: none.
    #[serde(rename = "match")]
    pub equal: BTreeMap<String, Spanned<String>>,
    /// The older form of `matchers` with patterns: labels and the patterns that their values must match. Default: none.
    #[serde(rename = "match_re")]
    pub pattern: BTreeMap<String, Spanned<String>>,
    /// How long a new group waits for more alerts before it is told; a group whose first alert is older than that does not
    /// wait. Default: that of the route above; at the root `30s`.
    pub group_wait: Option<Spanned<PrometheusDuration>>,
    /// How long a group that was told waits before changes of it are. Default: that of the route above; at the root `5m`.
    pub group_interval: Option<Spanned<PrometheusDuration>>,
    /// After how long a group that did not change is told again. Default: that of the route above; at the root `4h`.
    pub repeat_interval: Option<Spanned<PrometheusDuration>>,
    /// Names of `time_intervals` in which nobody is told. Not inherited. Default: none.
    pub mute_time_intervals: Vec<Spanned<String>>,
    /// Names of `time_intervals` outside of which nobody is told. Not inherited. Default: none, so that it is always active.
    pub active_time_intervals: Vec<Spanned<String>>,
    /// Labels of the route itself, which the API shows with its groups. Routes below have them too, unless they set them
    /// otherwise. Default: none.
    pub labels: BTreeMap<String, String>,
    /// The routes below. Default: none.
    pub routes: Vec<Spanned<RouteOptions>>,
}

/// A rule by which alerts keep others from being told: as long as one that fits the source fires, no receiver is told of
/// those that fit the target.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "InhibitRule")]
pub struct InhibitRuleOptions {
    /// A name, for people. Default: none.
    pub name: String,
    /// What the labels of the alert that inhibits fulfil. Default: nothing.
    pub source_matchers: Vec<Spanned<String>>,
    /// The older form of `source_matchers`: labels and their values. Default: none.
    pub source_match: BTreeMap<String, Spanned<String>>,
    /// The older form of `source_matchers` with patterns. Default: none.
    pub source_match_re: BTreeMap<String, Spanned<String>>,
    /// What the labels of alerts that are inhibited fulfil. Default: nothing.
    pub target_matchers: Vec<Spanned<String>>,
    /// The older form of `target_matchers`: labels and their values. Default: none.
    pub target_match: BTreeMap<String, Spanned<String>>,
    /// The older form of `target_matchers` with patterns. Default: none.
    pub target_match_re: BTreeMap<String, Spanned<String>>,
    /// Labels in which the two have to agree; one that both are without agrees. Default: none.
    pub equal: Vec<Spanned<String>>,
}
