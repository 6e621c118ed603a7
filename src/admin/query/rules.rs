//! `/api/v1/rules` and `/api/v1/alerts`: what is evaluated, and what it came to.

use serde::Serialize;

use super::answer::{Answered, Fault};
use super::form::Form;
use super::{Api, listing};
use crate::alerting::{AlertStatus, GroupStatus, RuleStatus};
use crate::data::LabelSet;
use crate::series::Matcher;

#[derive(Serialize)]
struct Groups {
    groups: Vec<GroupStatus>,
}

#[derive(Serialize)]
struct Alerts {
    alerts: Vec<AlertStatus>,
}

pub(super) fn alerts(api: &Api) -> Result<Answered, Fault> {
    written(&Alerts { alerts: api.control.alerts() })
}

pub(super) fn rules(api: &Api, form: &Form) -> Result<Answered, Fault> {
    let kind = form.get("type").to_ascii_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return Err(Fault::parameter("type", format_args!("not supported value {kind:?}")));
    }
    let bare = match form.get("exclude_alerts") {
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        _ => return Err(Fault::parameter("exclude_alerts", "error converting exclude_alerts: write true or false")),
    };
    let selectors = listing::selectors(form)?;
    let named = |parameter: &str, name: &str| {
        form.all(parameter).next().is_none() || form.all(parameter).any(|wanted| wanted == name)
    };
    let mut groups = api.control.rules();
    groups.retain(|group| named("rule_group[]", &group.name) && named("file[]", &group.file));
    for group in &mut groups {
        group.rules.retain_mut(|rule| {
            let (name, labels, of_kind) = match rule {
                RuleStatus::Alerting(rule) => (&rule.name, &rule.labels.0, kind != "record"),
                RuleStatus::Recording(rule) => (&rule.name, &rule.labels.0, kind != "alert"),
            };
            let wanted = of_kind && named("rule_name[]", name) && fits(labels, &selectors);
            if let RuleStatus::Alerting(rule) = rule
                && bare
            {
                rule.alerts.clear();
            }
            wanted
        });
    }
    // A group of which nothing was asked for is left out.
    groups.retain(|group| !group.rules.is_empty());
    written(&Groups { groups })
}

fn fits(labels: &LabelSet, selectors: &[Vec<Matcher>]) -> bool {
    let all = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name)));
    selectors.is_empty() || selectors.iter().any(all)
}

fn written(data: &impl Serialize) -> Result<Answered, Fault> {
    serde_json::to_vec(data).map(Answered::of).map_err(|error| Fault::internal(error.to_string()))
}
