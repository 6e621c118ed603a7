//! The checks that Prometheus makes when it loads a rule file, and the rules that pass them.

use std::collections::HashSet;
use std::path::Path;

use super::fault::{Fault, InRule};
use super::read::{Placed, Written, WrittenGroup, WrittenLabel, WrittenRule};
use super::{AlertRule, Group, Kind, Label, Place, Rule, RuleFile, SECOND_DOCUMENT};
use crate::alerting::template::functions::prometheus::alert_template;
use crate::data::labels::METRIC_NAME;
use crate::promql::{ParseError, Query};

/// Makes rules of what was written, or tells everything that is wrong with it.
pub(super) fn check(path: &Path, written: Written) -> Result<RuleFile, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut names = HashSet::new();
    let mut groups = Vec::with_capacity(written.groups.len());
    for group in written.groups {
        let name = &group.name.value;
        if name.is_empty() {
            faults.push(Fault::at(group.place, "the group has no name; set `name`"));
        } else if !names.insert(name.clone()) {
            faults.push(Fault::at(group.name.place, format!("group {name:?} is twice in this file; rename one")));
        }
        groups.push(checked_group(group, &mut faults));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut warnings = Vec::new();
    if let Some(place) = written.second_document {
        warnings.push(Fault::at(place, SECOND_DOCUMENT));
    }
    for (name, labels) in duplicates(&groups) {
        let labels: Vec<String> = labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
        let message = format!("several rules write {name}{{{}}}: they may overwrite each other", labels.join(", "));
        warnings.push(Fault { place: None, rule: None, message });
    }
    Ok(RuleFile { path: path.to_owned(), groups, second_document: written.second_document, warnings })
}

fn checked_group(written: WrittenGroup, faults: &mut Vec<Fault>) -> Group {
    let mut name_faults = Vec::new();
    check_names(&written.labels, &mut name_faults);
    faults.extend(name_faults.into_iter().map(|(place, message)| Fault::at(place, message)));
    let mut rules = Vec::with_capacity(written.rules.len());
    for (index, rule) in written.rules.into_iter().enumerate() {
        let name = if rule.alert.value.is_empty() { &rule.record.value } else { &rule.alert.value };
        let place = InRule { group: written.name.value.as_str().into(), number: index + 1, name: name.as_str().into() };
        let mut own = Vec::new();
        rules.extend(checked_rule(rule, &written.labels, &mut own));
        let fault = |(at, message)| Fault { place: Some(at), rule: Some(place.clone()), message };
        faults.extend(own.into_iter().map(fault));
    }
    Group {
        name: written.name.value.into(),
        interval: (!written.interval.is_zero()).then_some(written.interval),
        query_offset: written.query_offset,
        limit: usize::try_from(written.limit).unwrap_or(0),
        rules,
    }
}

/// What is wrong with a rule, and where.
type Faults = Vec<(Place, String)>;

/// The rule, if its query is one; whoever calls this looks at the faults first.
fn checked_rule(written: WrittenRule, of_group: &[WrittenLabel], faults: &mut Faults) -> Option<Rule> {
    let (record, alert) = (&written.record, &written.alert);
    let (is_record, is_alert) = (!record.value.is_empty(), !alert.value.is_empty());
    match (is_record, is_alert) {
        (true, true) => faults.push((record.place, "a rule has `record` or `alert`, not both".into())),
        (false, false) => faults.push((written.place, "a rule needs `record` or `alert`".into())),
        _ => {}
    }
    let query = query(&written.expr, faults);
    if is_record {
        check_record(&written, faults);
    }
    check_names(&written.labels, faults);
    for annotation in written.annotations.iter().filter(|annotation| annotation.name.is_empty()) {
        faults.push((annotation.name_place, "the name of an annotation is empty".into()));
    }
    if is_alert {
        check_templates(&written, faults);
    }
    let kind = if is_alert {
        Kind::Alert(AlertRule {
            name: written.alert.value.into(),
            for_: written.for_.value,
            keep_firing_for: written.keep_firing_for.value,
            annotations: sorted(written.annotations.iter()),
        })
    } else {
        Kind::Record { name: written.record.value.into() }
    };
    let inherited = of_group.iter().filter(|label| !written.labels.iter().any(|own| own.name == label.name));
    let labels = sorted(written.labels.iter().chain(inherited));
    Some(Rule { kind, query: query?, labels, place: written.place })
}

fn query(written: &Placed<String>, faults: &mut Faults) -> Option<Query> {
    if written.value.is_empty() {
        faults.push((written.place, "the rule has no `expr`".into()));
        return None;
    }
    let parsed = Query::parse(&written.value);
    let fault = |error: ParseError| format!("`expr` is no query: {}", error.in_text(&written.value));
    parsed.map_err(|error| faults.push((written.place, fault(error)))).ok()
}

fn check_record(written: &WrittenRule, faults: &mut Faults) {
    let Placed { value: name, place } = &written.record;
    if !written.annotations.is_empty() {
        faults.push((written.annotations_place, "a recording rule has no `annotations`".into()));
    }
    for (key, duration) in [("for", &written.for_), ("keep_firing_for", &written.keep_firing_for)] {
        if !duration.value.is_zero() {
            faults.push((duration.place, format!("a recording rule has no `{key}`")));
        }
    }
    // Any text may name a metric; one that looks like a query was meant to be one.
    if name.contains(['{', '}']) {
        faults.push((*place, format!("`record` names a metric, and {name:?} has braces; does it belong into `expr`?")));
    }
}

/// What a group gives to its rules is not looked at: as in Prometheus, a label that is no template says so in each alert.
fn check_templates(written: &WrittenRule, faults: &mut Faults) {
    let texts = [("label", &written.labels), ("annotation", &written.annotations)];
    for (what, text) in texts.iter().flat_map(|(what, texts)| texts.iter().map(move |text| (what, text))) {
        if let Err(error) = alert_template(&written.alert.value, &text.value) {
            faults.push((text.value_place, format!("{what} {:?}: {error}", text.name)));
        }
    }
}

fn check_names(labels: &[WrittenLabel], faults: &mut Faults) {
    for label in labels {
        match &*label.name {
            "" => faults.push((label.name_place, "the name of a label is empty".into())),
            METRIC_NAME => {
                let message = format!("a rule cannot set the label `{METRIC_NAME}`; `record` names the metric");
                faults.push((label.name_place, message));
            }
            _ => {}
        }
    }
}

fn sorted<'w>(labels: impl Iterator<Item = &'w WrittenLabel>) -> Vec<Label> {
    let mut labels: Vec<Label> =
        labels.map(|label| Label { name: label.name.as_str().into(), value: label.value.as_str().into() }).collect();
    labels.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    labels
}

/// Names and labels that more than one rule has; each once, sorted.
pub(super) fn duplicates(groups: &[Group]) -> Vec<(&str, &[Label])> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let mut written: Vec<(&str, &[Label])> = rules.map(|rule| (rule.name(), &*rule.labels)).collect();
    written.sort_unstable_by(|a, b| {
        let labels =
            |labels: &[Label]| labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect::<Vec<_>>();
        a.0.cmp(b.0).then_with(|| labels(a.1).cmp(&labels(b.1)))
    });
    let mut found: Vec<(&str, &[Label])> = Vec::new();
    for pair in written.windows(2) {
        if pair[0] == pair[1] && found.last() != Some(&pair[1]) {
            found.push(pair[1]);
        }
    }
    found
}
