//! `/api/v1/rules` and `/api/v1/alerts`: what is evaluated, and what it came to.

use serde::Serialize;

use super::answer::{Answered, Fault};
use super::form::Form;
use super::{Api, listing};
use crate::alerting::{AlertStatus, GroupStatus, RuleStatus};
use crate::data::LabelSet;
use crate::series::Matcher;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Groups {
    groups: Vec<GroupStatus>,
    /// What asks for the groups behind these.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
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
        other => {
            let problem =
                format!("error converting exclude_alerts: strconv.ParseBool: parsing {other:?}: invalid syntax");
            return Err(Fault::parameter("exclude_alerts", problem));
        }
    };
    let page = Page::read(form)?;
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
                rule.alerts = None;
            }
            wanted
        });
    }
    // A group of which nothing was asked for is left out.
    groups.retain(|group| !group.rules.is_empty());
    let group_next_token = page.cut(&mut groups)?;
    written(&Groups { groups, group_next_token })
}

/// A part of the groups, in the order of their files and names.
struct Page<'a> {
    most: Option<usize>,
    from: &'a str,
}

impl<'a> Page<'a> {
    fn read(form: &'a Form) -> Result<Self, Fault> {
        let (limit, from) = (form.get("group_limit"), form.get("group_next_token"));
        let most = match limit {
            "" => None,
            text => {
                let number: i64 = text.parse().map_err(|_| {
                    let problem = "group_limit needs to be a valid number: strconv.ParseInt: parsing";
                    Fault::parameter("group_limit", format!("{problem} {text:?}: invalid syntax"))
                })?;
                let most = usize::try_from(number).ok().filter(|most| *most > 0);
                Some(most.ok_or_else(|| Fault::parameter("group_limit", "group_limit needs to be greater than 0"))?)
            }
        };
        if most.is_none() && !from.is_empty() {
            let problem = "group_limit needs to be present in order to paginate over the groups";
            return Err(Fault::parameter("group_next_token", problem));
        }
        Ok(Self { most, from })
    }

    /// Leaves what was asked for; what names the first group behind it.
    fn cut(&self, groups: &mut Vec<GroupStatus>) -> Result<Option<String>, Fault> {
        let Some(most) = self.most else { return Ok(None) };
        groups.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        if !self.from.is_empty() {
            let at = groups.iter().position(|group| token(group) == self.from).ok_or_else(|| {
                let problem = "invalid group_next_token: no group has it any more; ask for the first page again";
                Fault::parameter("group_next_token", problem)
            })?;
            groups.drain(..at);
        }
        let next = groups.get(most).map(token);
        groups.truncate(most);
        Ok(next)
    }
}

/// What stands for a group in an address.
fn token(group: &GroupStatus) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(format!("{};{}", group.file, group.name).as_bytes()))
}

fn fits(labels: &LabelSet, selectors: &[Vec<Matcher>]) -> bool {
    let all = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name)));
    selectors.is_empty() || selectors.iter().any(all)
}

fn written(data: &impl Serialize) -> Result<Answered, Fault> {
    serde_json::to_vec(data).map(|data| Answered::of(&data)).map_err(|error| Fault::internal(error.to_string()))
}
