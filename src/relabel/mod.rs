//! Floor 2: Prometheus's relabelling. Rules take a set of labels and change it, or drop what it belongs to:
//! a target before it is scraped, a series before it is kept or sent.
//!
//! Follows `model/relabel` of Prometheus 3. [`RelabelRule`] is a rule as written, [`Rules`] are rules that
//! can be applied: applying them allocates nothing once a [`Scratch`] has grown to what they need.

mod check;
pub mod compiled;
pub mod dialect;
mod matcher;
mod options;
mod template;
#[cfg(test)]
mod tests;
mod trace;

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

use md5::{Digest, Md5};
use regex::CaptureLocations;

pub use options::{Action, RelabelRule};
pub use trace::{Change, Step, Trace};

use crate::data::LabelSet;
use crate::formats::prometheus::NameValidation;
use crate::options::{Problem, Span, Spanned};
use matcher::Matcher;
use template::Template;

/// What became of what the labels belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It goes on, with the labels as they are now.
    Kept,
    /// It is dropped; the labels are as the rules before the one that dropped it left them.
    Dropped,
}

/// Rules, checked, in the order in which they are applied. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rules(Arc<[Rule]>);

#[derive(Debug)]
struct Rule {
    span: Span,
    action: Action,
    sources: Box<[Box<str>]>,
    separator: Box<str>,
    effect: Effect,
}

#[derive(Debug)]
enum Effect {
    Replace { matcher: Matcher, target: Template, replacement: Template, names: NameValidation },
    Keep(Matcher),
    Drop(Matcher),
    KeepEqual(Box<str>),
    DropEqual(Box<str>),
    HashMod { target: Box<str>, modulus: NonZeroU64 },
    LabelMap { matcher: Matcher, replacement: Template },
    LabelDrop(Matcher),
    LabelKeep(Matcher),
    Lowercase(Box<str>),
    Uppercase(Box<str>),
}

/// Memory that rules work in. Keep one for each worker and use it for the same rules again and again; other
/// rules may use it too, at the price of an allocation at each change.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The rules that `locations` belong to.
    of: Rules,
    /// Groups of the expressions, one entry a rule.
    locations: Vec<Option<CaptureLocations>>,
    /// The joined values of the source labels.
    joined: String,
    name: String,
    value: String,
    /// New labels of a `labelmap`: bytes of `name`, bytes of `value`.
    mapped: Vec<(Range<usize>, Range<usize>)>,
}

impl Rules {
    /// Checks rules; everything that is wrong is told, each at its place. `names` is the rule for the names
    /// that they may make.
    pub fn new(written: &[Spanned<RelabelRule>], names: NameValidation) -> Result<Self, Vec<Problem>> {
        let (mut rules, mut problems) = (Vec::with_capacity(written.len()), Vec::new());
        for rule in written {
            match check::rule(rule, names) {
                Ok(rule) => rules.push(rule),
                Err(wrong) => problems.extend(wrong),
            }
        }
        if problems.is_empty() { Ok(Self(rules.into())) } else { Err(problems) }
    }

    /// Whether there are none: nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Applies the rules in their order.
    pub fn apply(&self, labels: &mut LabelSet, scratch: &mut Scratch) -> Verdict {
        scratch.fit(self);
        for (index, rule) in self.0.iter().enumerate() {
            if rule.apply(index, labels, scratch) == Verdict::Dropped {
                return Verdict::Dropped;
            }
        }
        Verdict::Kept
    }
}

impl Scratch {
    fn fit(&mut self, rules: &Rules) {
        if !Arc::ptr_eq(&self.of.0, &rules.0) {
            self.of = rules.clone();
            self.locations = rules.0.iter().map(Rule::locations).collect();
        }
    }
}

impl Rule {
    fn locations(&self) -> Option<CaptureLocations> {
        match &self.effect {
            Effect::Replace { matcher, .. } | Effect::LabelMap { matcher, .. } => matcher.locations(),
            _ => None,
        }
    }

    /// The joined values of the source labels.
    fn input<'a>(&self, labels: &'a LabelSet, joined: &'a mut String) -> &'a str {
        match &*self.sources {
            [] => "",
            [only] => labels.get(only),
            several => {
                joined.clear();
                for (index, name) in several.iter().enumerate() {
                    if index > 0 {
                        joined.push_str(&self.separator);
                    }
                    joined.push_str(labels.get(name));
                }
                joined
            }
        }
    }

    fn apply(&self, index: usize, labels: &mut LabelSet, scratch: &mut Scratch) -> Verdict {
        let Scratch { locations, joined, name, value, mapped, .. } = scratch;
        let kept = |keep| if keep { Verdict::Kept } else { Verdict::Dropped };
        match &self.effect {
            Effect::Keep(matcher) => return kept(matcher.is_match(self.input(labels, joined))),
            Effect::Drop(matcher) => return kept(!matcher.is_match(self.input(labels, joined))),
            Effect::KeepEqual(target) => return kept(labels.get(target) == self.input(labels, joined)),
            Effect::DropEqual(target) => return kept(labels.get(target) != self.input(labels, joined)),
            Effect::Replace { matcher, target, replacement, names } => {
                let input = self.input(labels, joined);
                let Some(groups) = matcher.groups(input, &mut locations[index]) else { return Verdict::Kept };
                value.clear();
                replacement.expand(&groups, input, value);
                let target = target.constant().unwrap_or_else(|| {
                    name.clear();
                    target.expand(&groups, input, name);
                    name
                });
                // What groups make is known only now; a name that cannot be leaves the labels alone.
                if names.label(target) {
                    put(labels, target, value);
                }
            }
            Effect::HashMod { target, modulus } => {
                let hash = Md5::digest(self.input(labels, joined));
                // The last eight bytes, as Prometheus takes them.
                let hash = hash.iter().skip(8).fold(0u64, |hash, byte| hash << 8 | u64::from(*byte));
                value.clear();
                push_decimal(hash % modulus.get(), value);
                put(labels, target, value);
            }
            Effect::LabelMap { matcher, replacement } => {
                name.clear();
                value.clear();
                mapped.clear();
                for (known, text) in labels.iter() {
                    if let Some(groups) = matcher.groups(known, &mut locations[index]) {
                        let from = (name.len(), value.len());
                        replacement.expand(&groups, known, name);
                        value.push_str(text);
                        mapped.push((from.0..name.len(), from.1..value.len()));
                    }
                }
                for (known, text) in mapped.iter() {
                    put(labels, &name[known.clone()], &value[text.clone()]);
                }
            }
            Effect::LabelDrop(matcher) => labels.retain(|name, _| !matcher.is_match(name)),
            Effect::LabelKeep(matcher) => labels.retain(|name, _| matcher.is_match(name)),
            Effect::Lowercase(target) => {
                value.clear();
                self.input(labels, joined).chars().for_each(|c| value.push(simple_case(c, c.to_lowercase())));
                put(labels, target, value);
            }
            Effect::Uppercase(target) => {
                value.clear();
                self.input(labels, joined).chars().for_each(|c| value.push(simple_case(c, c.to_uppercase())));
                put(labels, target, value);
            }
        }
        Verdict::Kept
    }
}

/// Sets a label unless it has the value already, so that a set that does not change does not grow. A name
/// that groups made nothing of sets none.
fn put(labels: &mut LabelSet, name: &str, value: &str) {
    if !name.is_empty() && labels.get(name) != value {
        labels.set(name, value);
    }
}

/// One character for one, as Go maps case; where Unicode's full mapping makes several, the character stays
/// (`ß`), but for `İ`.
pub fn simple_case(c: char, mut full: impl ExactSizeIterator<Item = char>) -> char {
    match (full.len(), full.next(), c) {
        (_, Some('i'), 'İ') => 'i',
        (1, Some(mapped), _) => mapped,
        _ => c,
    }
}

fn push_decimal(number: u64, out: &mut String) {
    use std::fmt::Write;
    // Writing to a string cannot fail.
    let _ = write!(out, "{number}");
}
