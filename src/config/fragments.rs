//! `use: name` in a list of steps stands for the steps of the fragment of that name. It is replaced in
//! the tree, before any step is read, so that a step's problems point into the fragment.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{codes, fault};
use crate::formats::yaml::{Entry, Node, Value};
use crate::options::Problem;

/// Most steps that one list may become.
const MAX_STEPS: usize = 10_000;

/// The fragments of a configuration.
pub struct Fragments<'a> {
    entries: &'a [Entry],
    used: BTreeSet<&'a str>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Fragments<'a> {
    /// Fragments as written.
    pub fn new(entries: &'a [Entry], problems: &'a mut Vec<Problem>) -> Self {
        for entry in entries.iter().filter(|entry| !matches!(entry.node.value, Value::List(_))) {
            let message = format!("a fragment is a list of steps, this is {}", entry.node.kind());
            problems.push(Problem::new(codes::WRONG_TYPE, entry.node.span, message));
        }
        Self { entries, used: BTreeSet::new(), problems }
    }

    /// The node with every list under a key `steps` expanded.
    pub fn expand(&mut self, node: &Arc<Node>) -> Arc<Node> {
        let Value::Map(entries) = &node.value else { return node.clone() };
        let expanded = entries.iter().map(|entry| {
            let node = match &entry.node.value {
                Value::List(items) if &*entry.key == "steps" => {
                    let mut steps = Vec::new();
                    self.steps(items, &mut Vec::new(), &mut steps);
                    Arc::new(Node { span: entry.node.span, value: Value::List(steps) })
                }
                _ => self.expand(&entry.node),
            };
            Entry { node, ..entry.clone() }
        });
        let value = Value::Map(expanded.collect());
        Arc::new(Node { span: node.span, value })
    }

    /// Fragments that no list of steps uses.
    pub fn unused(&self) -> Vec<Problem> {
        let unused = self.entries.iter().filter(|entry| !self.used.contains(&*entry.key));
        let warn = |entry: &Entry| {
            let message = format!("the fragment `{}` is used nowhere, so its steps are not checked", entry.key);
            Problem::new(codes::UNUSED_FRAGMENT, entry.key_span, message)
        };
        unused.map(warn).collect()
    }

    /// Appends the steps, `within` being the fragments that are being expanded.
    fn steps(&mut self, items: &[Arc<Node>], within: &mut Vec<&'a str>, out: &mut Vec<Arc<Node>>) {
        for item in items {
            let Some(uses) = uses(item) else {
                out.push(item.clone());
                continue;
            };
            match self.fragment(item, uses, within) {
                Ok((name, steps)) if out.len() + steps.len() <= MAX_STEPS => {
                    self.used.insert(name);
                    within.push(name);
                    self.steps(steps, within, out);
                    within.pop();
                }
                Ok(_) => {
                    let message = format!("this list becomes longer than {MAX_STEPS} steps");
                    self.problems.push(Problem::new(codes::TOO_LARGE, item.span, message));
                    return;
                }
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn fragment(&self, item: &Node, uses: &Entry, within: &[&str]) -> Result<(&'a str, &'a [Arc<Node>]), Problem> {
        let Value::Scalar(name) = &uses.node.value else {
            let message = format!("`use` takes the name of a fragment, this is {}", uses.node.kind());
            return Err(Problem::new(codes::BAD_USE, uses.node.span, message));
        };
        if let Value::Map(entries) = &item.value
            && let Some(other) = entries.iter().find(|entry| &*entry.key != "use")
        {
            let message = format!("`{}` beside `use` would have no effect", other.key);
            let help = "put it on the steps of the fragment";
            return Err(Problem::new(codes::BAD_USE, other.key_span, message).help(help));
        }
        if let Some(at) = within.iter().position(|outer| *outer == &*name.text) {
            let mut round = within[at..].to_vec();
            round.push(&name.text);
            let message = format!("fragments use each other in a circle: {}", round.join(" → "));
            return Err(Problem::new(codes::FRAGMENT_CYCLE, uses.node.span, message));
        }
        let Some(entry) = self.entries.iter().find(|entry| *entry.key == *name.text) else {
            let known: Vec<&str> = self.entries.iter().map(|entry| &*entry.key).collect();
            let message = format!("no fragment is called `{}`", name.text);
            let help = fault::instead(&name.text, &known, "fragments");
            return Err(Problem::new(codes::UNKNOWN_FRAGMENT, uses.node.span, message).help(help));
        };
        match &entry.node.value {
            Value::List(steps) => Ok((&entry.key, steps)),
            // Told when the fragments were taken.
            _ => Ok((&entry.key, &[])),
        }
    }
}

fn uses(item: &Node) -> Option<&Entry> {
    let Value::Map(entries) = &item.value else { return None };
    entries.iter().find(|entry| &*entry.key == "use")
}
