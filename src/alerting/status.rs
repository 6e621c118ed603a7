//! What runs, for people and for Prometheus's clients: the data of `/api/v1/rules` and `/api/v1/alerts` in Prometheus's
//! shape, with what it has no word for: that an alert is held.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::group::Group;
use super::rule::{Alerting, Instance, Phase, Rule, label_set};
use super::rule_file::{AlertRule, Kind, Label};
use crate::data::labels::Labels;
use crate::data::{LabelSet, UnixNanos};

/// A group: an element of `groups` of `/api/v1/rules`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// Its name.
    pub name: Box<str>,
    /// The file that it was read from.
    pub file: Box<str>,
    /// Its rules in their order.
    pub rules: Vec<RuleStatus>,
    /// How often it is evaluated, in seconds.
    #[serde(serialize_with = "seconds")]
    pub interval: f64,
    /// Most alerts or series of one rule; 0 for no limit.
    pub limit: usize,
    /// How long its last evaluation took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub evaluation_time: f64,
    /// When that began.
    pub last_evaluation: Time,
    /// Times of evaluation that came.
    #[serde(skip)]
    pub iterations: u64,
    /// Those at which it was not evaluated, because an evaluation before took too long.
    #[serde(skip)]
    pub missed: u64,
    /// Evaluations of its rules.
    #[serde(skip)]
    pub evaluations: u64,
    /// Those that failed.
    #[serde(skip)]
    pub failures: u64,
    /// Rows that its last evaluation wrote.
    #[serde(skip)]
    pub rows: usize,
}

/// A rule.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum RuleStatus {
    /// It makes alerts.
    Alerting(AlertingStatus),
    /// It records series.
    Recording(RecordingStatus),
}

impl RuleStatus {
    /// How its last evaluation went: `ok`, `err`, or `unknown` before the first one.
    pub fn health(&self) -> &'static str {
        match self {
            Self::Alerting(AlertingStatus { outcome, .. }) | Self::Recording(RecordingStatus { outcome, .. }) => {
                outcome.health
            }
        }
    }
}

/// An alerting rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertingStatus {
    /// The greatest state of its alerts: `firing`, `pending`, `inactive`, or `unknown` before its first evaluation.
    pub state: &'static str,
    /// The alert's name.
    pub name: Box<str>,
    /// Its query.
    pub query: String,
    /// Its `for`, in seconds.
    #[serde(serialize_with = "seconds")]
    pub duration: f64,
    /// Its `keep_firing_for`, in seconds.
    #[serde(serialize_with = "seconds")]
    pub keep_firing_for: f64,
    /// Its labels as they were written.
    pub labels: Map,
    /// Its annotations as they were written.
    pub annotations: Map,
    /// Its alerts that are pending or fire; none where they were not asked for.
    pub alerts: Option<Vec<AlertStatus>>,
    /// How it goes.
    #[serde(flatten)]
    pub outcome: OutcomeStatus,
}

/// A recording rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingStatus {
    /// What it records.
    pub name: Box<str>,
    /// Its query.
    pub query: String,
    /// Its labels.
    pub labels: Map,
    /// How it goes.
    #[serde(flatten)]
    pub outcome: OutcomeStatus,
}

/// How the last evaluation of a rule went.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeStatus {
    /// `ok`, `err`, or `unknown` before the first evaluation.
    pub health: &'static str,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_error: String,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub evaluation_time: f64,
    /// When it began.
    pub last_evaluation: Time,
}

/// An alert: an element of `alerts` of `/api/v1/alerts`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// Its labels.
    pub labels: Map,
    /// Its annotations.
    pub annotations: Map,
    /// `pending` or `firing`.
    pub state: &'static str,
    /// Since when its series is there.
    pub active_at: Time,
    /// Since when it fires only because of `keep_firing_for`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<Time>,
    /// The value at the last evaluation, as Go writes it: `1e+00`.
    pub value: String,
    /// Since when it is held, because nothing is known of its condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Time>,
    /// Why it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_because: Option<String>,
}

/// Seconds as Go writes them in JSON: whole ones without a fraction.
fn seconds<S: Serializer>(seconds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "it is compared with what it came from")]
    let whole = *seconds as i64;
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    let is_whole = whole as f64 == *seconds;
    if is_whole { serializer.serialize_i64(whole) } else { serializer.serialize_f64(*seconds) }
}

/// A time as Go writes it in JSON; the first of January of the year 1 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Option<UnixNanos>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(time) = self.0 else { return serializer.serialize_str("0001-01-01T00:00:00Z") };
        let mut text = Vec::new();
        time.write_rfc3339(&mut text);
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
        serializer.collect_str(&format_args!("{text}Z"))
    }
}

/// Labels or annotations, as an object.
#[derive(Clone, Debug)]
pub struct Map(pub LabelSet);

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

pub(super) fn group(group: &Group) -> GroupStatus {
    let tally = &group.tally;
    GroupStatus {
        name: group.name.clone(),
        file: group.file.clone(),
        rules: group.rules.iter().map(rule).collect(),
        interval: group.interval.as_secs_f64(),
        limit: group.limit,
        evaluation_time: tally.took.as_secs_f64(),
        last_evaluation: Time(tally.at),
        iterations: tally.iterations,
        missed: tally.missed,
        evaluations: tally.evaluations,
        failures: tally.failures,
        rows: tally.rows,
    }
}

fn rule(rule: &Rule) -> RuleStatus {
    let (name, query) = (rule.name().into(), rule.written.query.to_string());
    let outcome = OutcomeStatus {
        health: match (&rule.outcome.at, &rule.outcome.error) {
            (None, _) => "unknown",
            (_, None) => "ok",
            _ => "err",
        },
        last_error: rule.outcome.error.clone().unwrap_or_default(),
        evaluation_time: rule.outcome.took.as_secs_f64(),
        last_evaluation: Time(rule.outcome.at),
    };
    let (Kind::Alert(AlertRule { for_, keep_firing_for, annotations, .. }), Some(alerting)) =
        (&rule.written.kind, &rule.alerting)
    else {
        return RuleStatus::Recording(RecordingStatus { name, query, labels: map(&rule.written.labels), outcome });
    };
    RuleStatus::Alerting(AlertingStatus {
        state: if rule.outcome.at.is_none() && alerting.alerts.is_empty() { "unknown" } else { state(alerting) },
        name,
        query,
        duration: for_.as_secs_f64(),
        keep_firing_for: keep_firing_for.as_secs_f64(),
        labels: map(&rule.written.labels),
        annotations: map(annotations),
        alerts: Some(alerts(rule).collect()),
        outcome,
    })
}

fn map(labels: &[Label]) -> Map {
    Map(label_set(labels))
}

fn state(alerting: &Alerting) -> &'static str {
    let is = |wanted: fn(&Phase) -> bool| alerting.alerts.values().any(|alert| wanted(&alert.phase));
    if is(|phase| matches!(phase, Phase::Firing { .. })) {
        "firing"
    } else if is(|phase| matches!(phase, Phase::Pending)) {
        "pending"
    } else {
        "inactive"
    }
}

/// The alerts of a rule that are pending or fire.
pub(super) fn alerts(rule: &Rule) -> impl Iterator<Item = AlertStatus> {
    let all = rule.alerting.iter().flat_map(|alerting| &alerting.alerts);
    all.filter(|(_, alert)| alert.is_active()).map(|(labels, alert)| self::alert(labels, alert))
}

fn alert(labels: &[u8], alert: &Instance) -> AlertStatus {
    AlertStatus {
        labels: Map(Labels::of_encoded(labels).to_set()),
        annotations: Map(alert.annotations.clone()),
        state: if alert.phase == Phase::Pending { "pending" } else { "firing" },
        active_at: Time(Some(alert.active_at)),
        keep_firing_since: alert.keeps_firing.map(|since| Time(Some(since.wall))),
        value: exponent(alert.value),
        held_since: alert.held.as_ref().map(|held| Time(Some(held.since.wall))),
        held_because: alert.held.as_ref().map(|held| held.why.to_string()),
    }
}

/// As Go's `strconv.FormatFloat(value, 'e', -1, 64)` writes a number.
pub(super) fn exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_as_go_does() {
        let table = [(0.0, "0e+00"), (1.0, "1e+00"), (-12.5, "-1.25e+01"), (1e-7, "1e-07"), (1e100, "1e+100")];
        for (value, expected) in table {
            assert_eq!(exponent(value), expected);
        }
        assert_eq!(exponent(f64::NEG_INFINITY), "-Inf");
        let json = |time| serde_json::to_string(&Time(time)).expect("JSON");
        assert_eq!(json(None), "\"0001-01-01T00:00:00Z\"");
        assert_eq!(json(Some(UnixNanos(1_795_392_000_000_000_000))), "\"2026-11-23T00:00:00Z\"");
        assert_eq!(json(Some(UnixNanos(1_795_392_000_120_000_000))), "\"2026-11-23T00:00:00.12Z\"");
    }
}
