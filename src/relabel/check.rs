//! From a rule as written to a rule that can be applied, or to what is wrong with it. The conditions are
//! Prometheus's own; the words say what to write instead.

use super::matcher::{ANYTHING, Matcher};
use super::options::{Action, RelabelRule};
use super::template::Template;
use super::{Effect, Rule};
use crate::formats::prometheus::NameValidation;
use crate::options::problem::Code;
use crate::options::{Problem, Spanned};

/// A key that the action needs is missing.
const INCOMPLETE: Code = Code("TW0721");

/// A regular expression that is none.
const BAD_REGEX: Code = Code("TW0722");

/// A name that no label can have.
const BAD_LABEL: Code = Code("TW0723");

/// A key that the action does not look at.
const UNUSED_KEY: Code = Code("TW0724");

/// The default of `replacement`.
const FIRST_GROUP: &str = "$1";

/// The default of `separator`.
const SEPARATOR: &str = ";";

/// Checks one rule.
pub(super) fn rule(written: &Spanned<RelabelRule>, names: NameValidation) -> Result<Rule, Vec<Problem>> {
    let mut check = Check { written, names, problems: Vec::new() };
    let action = written.action.as_ref().map(|action| action.value).unwrap_or_default();
    check.keys(action);
    check.sources();
    check.target(action);
    let matcher = check.matcher();
    let effect = matcher.and_then(|matcher| check.effect(action, matcher));
    match effect {
        Some(effect) if check.problems.is_empty() => Ok(Rule {
            span: written.span,
            action,
            sources: written
                .source_labels
                .iter()
                .flat_map(|list| &list.value)
                .map(|name| (*name.value).into())
                .collect(),
            separator: written.separator.as_ref().map_or(SEPARATOR, |text| &text.value).into(),
            effect,
        }),
        _ => Err(check.problems),
    }
}

struct Check<'a> {
    written: &'a Spanned<RelabelRule>,
    names: NameValidation,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn target_text(&self) -> &str {
        self.written.target_label.as_ref().map_or("", |target| &target.value)
    }

    fn replacement_text(&self) -> &str {
        self.written.replacement.as_ref().map_or(FIRST_GROUP, |text| &text.value)
    }

    /// Keys that the action does not look at are errors where Prometheus says so; elsewhere it ignores them,
    /// and configurations that it takes are taken.
    fn keys(&mut self, action: Action) {
        let rule = &self.written.value;
        let (takes, unused): (&str, Vec<_>) = match action {
            Action::KeepEqual | Action::DropEqual => {
                let regex = rule.regex.as_ref().filter(|regex| regex.value != ANYTHING);
                let unused = [
                    ("regex", regex.map(|regex| regex.span)),
                    ("modulus", rule.modulus.as_ref().map(|modulus| modulus.span)),
                    ("separator", self.changed_separator()),
                    ("replacement", self.changed_replacement()),
                ];
                ("`source_labels` and `target_label`", unused.into())
            }
            Action::LabelDrop | Action::LabelKeep => {
                let unused = [
                    ("source_labels", rule.source_labels.as_ref().map(|list| list.span)),
                    ("target_label", rule.target_label.as_ref().filter(|text| !text.is_empty()).map(|text| text.span)),
                    ("modulus", rule.modulus.as_ref().map(|modulus| modulus.span)),
                    ("separator", self.changed_separator()),
                    ("replacement", self.changed_replacement()),
                ];
                ("`regex`, which is matched with the names of labels", unused.into())
            }
            Action::Lowercase | Action::Uppercase => {
                ("`source_labels`, `separator` and `target_label`", vec![("replacement", self.changed_replacement())])
            }
            _ => return,
        };
        for (key, span) in unused {
            if let Some(span) = span {
                let message = format!("`{}` does not look at `{key}`", action.name());
                let help = format!("leave it out: the action takes {takes}");
                self.problems.push(Problem::new(UNUSED_KEY, span, message).help(help));
            }
        }
    }

    fn changed_separator(&self) -> Option<crate::options::Span> {
        self.written.separator.as_ref().filter(|text| text.value != SEPARATOR).map(|text| text.span)
    }

    fn changed_replacement(&self) -> Option<crate::options::Span> {
        self.written.replacement.as_ref().filter(|text| text.value != FIRST_GROUP).map(|text| text.span)
    }

    fn sources(&mut self) {
        for name in self.written.source_labels.iter().flat_map(|list| &list.value) {
            if !NameValidation::Utf8.label(name) {
                let problem = Problem::new(BAD_LABEL, name.span, "a label has a name");
                self.problems.push(problem.help("name a label such as `__address__`, or leave the entry out"));
            }
        }
    }

    fn target(&mut self, action: Action) {
        if !action.has_target() {
            return;
        }
        let name = action.name();
        let Some(target) = self.written.target_label.as_ref().filter(|target| !target.is_empty()) else {
            let message = format!("`{name}` needs the label that it is about");
            let problem = Problem::new(INCOMPLETE, self.written.span, message);
            self.problems.push(problem.help("write `target_label: NAME`"));
            return;
        };
        let template = action == Action::Replace && target.contains('$');
        let fits = if template { is_name_template(target, self.names) } else { self.names.label(target) };
        if !fits {
            self.bad_label(target.span, &target.value, template);
        }
    }

    fn bad_label(&mut self, span: crate::options::Span, name: &str, template: bool) {
        let message = format!("`{name}` is no name of a label under `metric_name_validation_scheme: legacy`");
        let groups = if template { ", and `$1` or `${name}` for groups of `regex`" } else { "" };
        let help = format!("use letters, digits and `_`, not beginning with a digit{groups}");
        self.problems.push(Problem::new(BAD_LABEL, span, message).help(help));
    }

    fn matcher(&mut self) -> Option<Matcher> {
        let Some(regex) = &self.written.regex else { return Matcher::new(ANYTHING).ok() };
        Matcher::new(regex)
            .map_err(|wrong| {
                let message = format!("`{}` is no regular expression: {}", regex.value, wrong.message);
                let problem =
                    Problem::new(BAD_REGEX, regex.span, message).within(wrong.at.0, wrong.at.1.max(wrong.at.0 + 1));
                self.problems.push(problem.help("rules take RE2's syntax, as Prometheus does"));
            })
            .ok()
    }

    fn effect(&mut self, action: Action, matcher: Matcher) -> Option<Effect> {
        let target = self.target_text();
        let effect = match action {
            Action::Replace => Effect::Replace {
                target: Template::new(target, &matcher),
                replacement: Template::new(self.replacement_text(), &matcher),
                names: self.names,
                matcher,
            },
            Action::Keep => Effect::Keep(matcher),
            Action::Drop => Effect::Drop(matcher),
            Action::KeepEqual => Effect::KeepEqual(target.into()),
            Action::DropEqual => Effect::DropEqual(target.into()),
            Action::Lowercase => Effect::Lowercase(target.into()),
            Action::Uppercase => Effect::Uppercase(target.into()),
            Action::HashMod => {
                let modulus = self.written.modulus.as_ref().map(|modulus| modulus.value);
                let Some(modulus) = modulus.and_then(std::num::NonZeroU64::new) else {
                    let span = self.written.modulus.as_ref().map_or(self.written.span, |modulus| modulus.span);
                    let problem = Problem::new(INCOMPLETE, span, "`hashmod` needs the number of parts, 1 or more");
                    self.problems.push(problem.help("write `modulus: 2` to divide into two parts"));
                    return None;
                };
                Effect::HashMod { target: target.into(), modulus }
            }
            Action::LabelMap => {
                let replacement = self.replacement_text().to_owned();
                if !is_name_template(&replacement, self.names) {
                    let span = self.written.replacement.as_ref().map_or(self.written.span, |text| text.span);
                    self.bad_label(span, &replacement, true);
                }
                Effect::LabelMap { replacement: Template::new(&replacement, &matcher), matcher }
            }
            Action::LabelDrop => Effect::LabelDrop(matcher),
            Action::LabelKeep => Effect::LabelKeep(matcher),
        };
        Some(effect)
    }
}

/// Whether what a template makes can be a name: under the older rule letters, digits and `_`, with groups
/// anywhere (a group is taken to make what may stand there).
fn is_name_template(template: &str, names: NameValidation) -> bool {
    if names == NameValidation::Utf8 {
        return names.label(template);
    }
    let mut rest = template;
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let word = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        rest = match c {
            '$' => match rest[1..].strip_prefix('{') {
                Some(inner) => {
                    let end = word(inner);
                    let Some(after) = inner[end..].strip_prefix('}').filter(|_| end > 0) else { return false };
                    after
                }
                None => {
                    let end = word(&rest[1..]);
                    if end == 0 {
                        return false;
                    }
                    &rest[1 + end..]
                }
            },
            c if c == '_' || c.is_ascii_alphabetic() || (!first && c.is_ascii_digit()) => &rest[1..],
            _ => return false,
        };
        first = false;
    }
    !template.is_empty()
}
