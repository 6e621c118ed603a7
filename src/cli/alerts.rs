//! `tailwater alerts`: what fires, is pending or held in a running agent, and what is silenced of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Args;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::Format;
use super::agent::AgentArgs;
use super::run::Failed;
use super::silence::matchers;
use super::table::lines;
use crate::alerting::matcher::Matcher;
use crate::data::labels::ALERT_NAME;

/// Which alerts of which agent are shown.
#[derive(Debug, Args)]
pub struct AlertsArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// Only alerts whose labels fulfil these; the first may be the name of an alert alone
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
    /// What is printed: a table, or a JSON list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Labels or annotations.
type Texts = BTreeMap<String, String>;

/// An alert of the rules, with what keeps people from hearing of it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: Texts,
    annotations: Texts,
    state: String,
    active_at: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_because: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    silenced_by: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inhibited_by: Vec<String>,
}

/// `/api/v1/alerts`.
#[derive(Deserialize)]
struct Evaluated {
    data: Alerts,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

/// An element of `/api/v2/alerts`.
#[derive(Deserialize)]
struct Dispatched {
    labels: Texts,
    status: Suppressed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suppressed {
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
}

/// What of `/api/v1/status` is about alerts.
#[derive(Deserialize)]
struct Agent {
    alerting: Option<Alerting>,
}

#[derive(Deserialize)]
struct Alerting {
    evaluates: bool,
    why_not: Option<String>,
    held_back: Vec<String>,
}

impl Agent {
    /// What is not told yet that people may wait for.
    ///
    /// # Errors
    /// Where no rules are evaluated, so that nothing is known of what fires: says why, and what to do.
    fn held_back(self) -> Result<Vec<String>, String> {
        let alerting = self.alerting.ok_or(
            "the agent evaluates no rules, since its configuration has no `alerting`; ask one that does with --admin, or add \
             the section (see docs/alerts.md)",
        )?;
        if alerting.evaluates {
            return Ok(alerting.held_back);
        }
        let why = alerting.why_not.unwrap_or_default();
        Err(format!(
            "the agent evaluates no rules now: `alerting`: {why}; what fires is not known. Ask again in a moment, and see its log"
        ))
    }
}

/// Asks the agent; returns what to print.
pub(super) fn alerts(args: &AlertsArgs) -> Result<String, Failed> {
    let matchers = matchers(&args.matchers)?;
    let unreadable = |error: serde_json::Error| args.agent.failed(format!("this is no Tailwater: {error}"));
    let status: Agent = serde_json::from_slice(&args.agent.get("api/v1/status", &[])?).map_err(unreadable)?;
    let held_back = status.held_back().map_err(|why| args.agent.failed(why))?;
    let evaluated: Evaluated = serde_json::from_slice(&args.agent.get("api/v1/alerts", &[])?).map_err(unreadable)?;
    // Where nobody is told of alerts there are no silences.
    let dispatched: Vec<Dispatched> = match args.agent.send(Method::GET, "api/v2/alerts", None)? {
        (StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE, _) => Vec::new(),
        answer => serde_json::from_slice(&args.agent.success(answer)?).map_err(unreadable)?,
    };
    let alerts = joined(evaluated.data.alerts, &dispatched, &matchers);
    match args.format {
        Format::Text => Ok(table(&alerts, &held_back)),
        Format::Json => Ok(format!("{}\n", serde_json::to_string(&alerts).map_err(unreadable)?)),
    }
}

/// The alerts that fit, firing ones first, each with what suppresses it.
fn joined(mut alerts: Vec<Alert>, dispatched: &[Dispatched], matchers: &[Matcher]) -> Vec<Alert> {
    let fits = |alert: &Alert| {
        let label = |name: &str| alert.labels.get(name).map_or("", String::as_str);
        matchers.iter().all(|matcher| matcher.matches(label(matcher.name())))
    };
    alerts.retain(fits);
    for alert in &mut alerts {
        // On its way it got the agent's external labels.
        let is_same =
            |other: &&Dispatched| alert.labels.iter().all(|(name, value)| other.labels.get(name) == Some(value));
        if let Some(Dispatched { status, .. }) =
            dispatched.iter().filter(is_same).min_by_key(|other| other.labels.len())
        {
            (alert.silenced_by, alert.inhibited_by) = (status.silenced_by.clone(), status.inhibited_by.clone());
        }
    }
    alerts.sort_by(|a, b| (&a.state, &a.labels).cmp(&(&b.state, &b.labels)));
    alerts
}

const COLUMNS: [&str; 5] = ["alert", "state", "since", "value", "labels"];

/// A table; below an alert what else is to be known of it, and below all what is held back.
fn table(alerts: &[Alert], held_back: &[String]) -> String {
    let mut out = String::new();
    let below = [Vec::new()].into_iter().chain(alerts.iter().map(below));
    for (line, below) in lines(COLUMNS, alerts.iter().map(cells)).zip(below) {
        out += &format!("{line}\n");
        below.iter().for_each(|words| out += &format!("  {words}\n"));
    }
    let count = |is: fn(&Alert) -> bool| alerts.iter().filter(|alert| is(alert)).count();
    // Writing into memory does not fail.
    let _ = writeln!(
        out,
        "\n{} firing, {} pending; {} held, {} silenced, {} inhibited",
        count(|alert| alert.state == "firing"),
        count(|alert| alert.state == "pending"),
        count(|alert| alert.held_since.is_some()),
        count(|alert| !alert.silenced_by.is_empty()),
        count(|alert| !alert.inhibited_by.is_empty())
    );
    held_back.iter().for_each(|line| {
        let _ = writeln!(out, "{line}");
    });
    out
}

fn cells(alert: &Alert) -> [String; COLUMNS.len()] {
    let mut state = alert.state.clone();
    for (is_so, word) in [
        (alert.held_since.is_some(), ", held"),
        (!alert.silenced_by.is_empty(), ", silenced"),
        (!alert.inhibited_by.is_empty(), ", inhibited"),
    ] {
        state.push_str(if is_so { word } else { "" });
    }
    let labels = alert.labels.iter().filter(|(name, _)| *name != ALERT_NAME);
    let value: Result<f64, _> = alert.value.parse();
    [
        alert.labels.get(ALERT_NAME).cloned().unwrap_or_default(),
        state,
        seconds(&alert.active_at),
        value.map_or_else(|_| alert.value.clone(), |value| value.to_string()),
        labels.map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(" "),
    ]
}

fn below(alert: &Alert) -> Vec<String> {
    let mut words = Vec::new();
    if let (Some(since), Some(because)) = (&alert.held_since, &alert.held_because) {
        words.push(format!("held since {}: {because}", seconds(since)));
    }
    if let Some(since) = &alert.keep_firing_since {
        words.push(format!("its condition does not hold any more since {}", seconds(since)));
    }
    if !alert.silenced_by.is_empty() {
        words.push(format!("silenced by {}", alert.silenced_by.join(", ")));
    }
    words
}

/// A time without what is below a second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts() -> Vec<Alert> {
        let json = serde_json::json!([
            { "labels": { "alertname": "Slow", "job": "web" }, "annotations": {}, "state": "pending",
              "activeAt": "2026-11-23T00:00:30.5Z", "value": "1.25e+00" },
            { "labels": { "alertname": "Down", "instance": "a" }, "annotations": {}, "state": "firing",
              "activeAt": "2026-11-23T00:00:00Z", "value": "0e+00", "heldSince": "2026-11-23T00:02:00.25Z",
              "heldBecause": "the agent was away" },
        ]);
        serde_json::from_value(json).expect("alerts")
    }

    fn dispatched() -> Vec<Dispatched> {
        let json = serde_json::json!([
            { "labels": { "alertname": "Down", "instance": "b" }, "status": { "silencedBy": ["other"], "inhibitedBy": [] } },
            { "labels": { "alertname": "Down", "instance": "a", "region": "eu" },
              "status": { "silencedBy": ["id"], "inhibitedBy": [] } },
        ]);
        serde_json::from_value(json).expect("alerts")
    }

    #[test]
    fn alerts_are_a_table_with_what_holds_and_silences_them() {
        assert_eq!(
            table(&joined(alerts(), &dispatched(), &[]), &["pages that wait for r (slack): 2".to_owned()]),
            "alert  state                   since                 value  labels\n\
             Down   firing, held, silenced  2026-11-23T00:00:00Z  0      instance=\"a\"\n\
             \u{20} held since 2026-11-23T00:02:00Z: the agent was away\n\
             \u{20} silenced by id\n\
             Slow   pending                 2026-11-23T00:00:30Z  1.25   job=\"web\"\n\
             \n\
             1 firing, 1 pending; 1 held, 1 silenced, 0 inhibited\n\
             pages that wait for r (slack): 2\n"
        );
        assert!(table(&[], &[]).ends_with("\n\n0 firing, 0 pending; 0 held, 0 silenced, 0 inhibited\n"));
    }

    #[test]
    fn where_no_rules_are_evaluated_nothing_is_shown_as_not_firing() {
        let held_back = |json: serde_json::Value| {
            let agent: Agent = serde_json::from_value(json).expect("a status");
            agent.held_back()
        };
        let none = held_back(serde_json::json!({ "components": [] })).expect_err("no section");
        assert!(none.contains("no `alerting`") && none.contains("--admin"), "{none}");
        let begins = serde_json::json!({ "alerting": { "evaluates": false, "why_not": "it begins", "held_back": [] } });
        let begins = held_back(begins).expect_err("it begins");
        assert!(begins.contains("`alerting`: it begins") && begins.contains("not known"), "{begins}");
        let runs = serde_json::json!({ "alerting": { "evaluates": true, "held_back": ["a"] } });
        assert_eq!(held_back(runs), Ok(vec!["a".to_owned()]));
    }

    #[test]
    fn only_those_that_fit_are_shown() {
        let shown = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let Ok(matchers) = matchers(&texts) else { panic!("matchers") };
            let fit = joined(alerts(), &[], &matchers);
            fit.iter().map(|alert| alert.labels["alertname"].clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(&["Down"]), "Down");
        assert_eq!(shown(&["job=~w.*"]), "Slow");
        assert_eq!(shown(&["instance=\"\""]), "Slow");
    }
}
