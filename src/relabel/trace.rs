//! What each rule does to one set of labels, for people who ask why a target is missing.

use super::{Action, Rules, Scratch, Verdict};
use crate::data::LabelSet;
use crate::options::Span;

/// What rules did to one set of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// One entry a rule, up to the one that dropped it.
    pub steps: Vec<Step>,
    /// The labels in the end, or before the rule that dropped it.
    pub labels: LabelSet,
    /// What became of it.
    pub verdict: Verdict,
}

/// What one rule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the rule was written.
    pub span: Span,
    /// Its action.
    pub action: Action,
    /// The labels that it looks at, and their joined values. Actions on names look at none.
    pub sources: Vec<String>,
    /// The joined values.
    pub input: String,
    /// What changed, sorted by the names of labels.
    pub changes: Vec<Change>,
    /// What became of it.
    pub verdict: Verdict,
}

/// One label before and after a rule; empty means absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The label.
    pub name: String,
    /// Its value before.
    pub before: String,
    /// Its value after.
    pub after: String,
}

impl Rules {
    /// Applies the rules to a copy, and tells what each of them did.
    pub fn trace(&self, labels: &LabelSet) -> Trace {
        let mut scratch = Scratch::default();
        scratch.fit(self);
        let mut labels = labels.clone();
        let mut steps = Vec::new();
        let mut verdict = Verdict::Kept;
        for (index, rule) in self.0.iter().enumerate() {
            let before = labels.clone();
            let input = rule.input(&before, &mut String::new()).to_owned();
            verdict = rule.apply(index, &mut labels, &mut scratch);
            let changes = changes(&before, &labels);
            let sources = rule.sources.iter().map(|name| (**name).to_owned()).collect();
            steps.push(Step { span: rule.span, action: rule.action, sources, input, changes, verdict });
            if verdict == Verdict::Dropped {
                break;
            }
        }
        Trace { steps, labels, verdict }
    }
}

fn changes(before: &LabelSet, after: &LabelSet) -> Vec<Change> {
    let mut names: Vec<&str> = before.iter().chain(after.iter()).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().filter(|name| before.get(name) != after.get(name));
    changed
        .map(|name| Change { name: name.into(), before: before.get(name).into(), after: after.get(name).into() })
        .collect()
}
