//! Inhibition: as long as an alert fires that fits the source of a rule, nobody is told of those that fit its target and
//! agree with it in the rule's labels. An alert that fits both sides inhibits none that does so too, or it would inhibit
//! itself.

use std::collections::HashMap;

use super::dispatch::{Fingerprint, Kept};
use super::matcher::Matchers;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// A rule, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InhibitRule {
    /// For people.
    pub name: Box<str>,
    /// What the alert that inhibits fulfils.
    pub source: Matchers,
    /// What alerts fulfil that are inhibited.
    pub target: Matchers,
    /// Labels in which the two agree.
    pub equal: Box<[Box<str>]>,
}

/// Which alerts may inhibit others, by rule and by the values in which targets have to agree.
#[derive(Debug, Default)]
pub(super) struct Inhibitor(Vec<HashMap<Vec<u8>, Vec<Fingerprint>>>);

impl Inhibitor {
    /// Knows no alert yet.
    pub fn new(rules: &[InhibitRule]) -> Self {
        Self(rules.iter().map(|_| HashMap::new()).collect())
    }

    /// Knows of an alert from now on.
    pub fn remember(&mut self, rules: &[InhibitRule], alert: &Kept) {
        for (rule, sources) in rules.iter().zip(&mut self.0) {
            if rule.source.match_all(&alert.alert.labels) {
                let known = sources.entry(rule.agreement(&alert.alert.labels)).or_default();
                if !known.contains(&alert.fingerprint) {
                    known.push(alert.fingerprint);
                }
            }
        }
    }

    /// Knows nothing of an alert any more.
    pub fn forget(&mut self, rules: &[InhibitRule], alert: &Kept) {
        for (rule, sources) in rules.iter().zip(&mut self.0) {
            let agreement = rule.agreement(&alert.alert.labels);
            if let Some(known) = sources.get_mut(&agreement) {
                known.retain(|fingerprint| *fingerprint != alert.fingerprint);
                if known.is_empty() {
                    sources.remove(&agreement);
                }
            }
        }
    }

    /// The alert by which one with these labels is inhibited; `alert` finds those that were remembered.
    pub fn inhibitor_of<'a>(
        &self,
        rules: &[InhibitRule],
        labels: &LabelSet,
        now: UnixMillis,
        alert: impl Fn(Fingerprint) -> Option<&'a Kept>,
    ) -> Option<Fingerprint> {
        rules.iter().zip(&self.0).find_map(|(rule, sources)| {
            if sources.is_empty() || !rule.target.match_all(labels) {
                return None;
            }
            let both = rule.source.match_all(labels);
            sources.get(&rule.agreement(labels))?.iter().copied().find(|source| {
                let Some(source) = alert(*source).filter(|source| !source.alert.is_resolved(now)) else { return false };
                !both || !rule.target.match_all(&source.alert.labels)
            })
        })
    }
}

impl InhibitRule {
    fn agreement(&self, labels: &LabelSet) -> Vec<u8> {
        let mut values = Vec::new();
        for name in &self.equal {
            values.extend_from_slice(labels.get(name).as_bytes());
            values.push(0xff);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::dispatch::testing::kept;
    use crate::alerting::matcher;

    fn rule(source: &str, target: &str, equal: &[&str]) -> InhibitRule {
        let matchers = |text| Matchers::as_given(matcher::parse(text).expect("matchers"));
        let equal = equal.iter().map(|label| Box::from(*label)).collect();
        InhibitRule { name: "".into(), source: matchers(source), target: matchers(target), equal }
    }

    /// Whether an alert keeps another from being told, under one rule.
    fn inhibits(rule: InhibitRule, source: &[(&str, &str)], target: &[(&str, &str)], now: i64) -> bool {
        let rules = [rule];
        let mut inhibitor = Inhibitor::new(&rules);
        let source = kept(source, 0, 1000);
        inhibitor.remember(&rules, &source);
        let labels = target.iter().copied().collect();
        let find = |fingerprint| (fingerprint == source.fingerprint).then_some(&source);
        let found = inhibitor.inhibitor_of(&rules, &labels, UnixMillis(now), find);
        inhibitor.forget(&rules, &source);
        assert_eq!(inhibitor.inhibitor_of(&rules, &labels, UnixMillis(now), find), None);
        found.is_some()
    }

    #[test]
    fn a_source_inhibits_targets_that_agree_with_it() {
        let down = || rule("alertname=NodeDown", "severity=warning", &["node", "zone"]);
        let source = [("alertname", "NodeDown"), ("node", "a")];
        assert!(inhibits(down(), &source, &[("severity", "warning"), ("node", "a")], 0));
        assert!(!inhibits(down(), &source, &[("severity", "warning"), ("node", "b")], 0));
        assert!(!inhibits(down(), &source, &[("severity", "warning"), ("node", "a"), ("zone", "x")], 0));
        assert!(!inhibits(down(), &source, &[("severity", "page"), ("node", "a")], 0));
        assert!(!inhibits(down(), &source, &[("severity", "warning"), ("node", "a")], 1000), "it is over");
    }

    #[test]
    fn an_alert_does_not_inhibit_itself_nor_its_like() {
        let all = || rule("a=~\"1|2\"", "a=~\"2|3\"", &[]);
        assert!(inhibits(all(), &[("a", "1")], &[("a", "2")], 0));
        assert!(inhibits(all(), &[("a", "2")], &[("a", "3")], 0));
        assert!(!inhibits(all(), &[("a", "2")], &[("a", "2"), ("b", "x")], 0));
        assert!(!inhibits(all(), &[("a", "2")], &[("a", "2")], 0));
    }
}
