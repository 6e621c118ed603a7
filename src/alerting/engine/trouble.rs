//! What is wrong with groups. It stands apart from them, so that whoever asks for it waits for no evaluation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::group::Group;

/// A rule that has failed so often in a row is in trouble.
const FAILS: u64 = 3;

/// A group by its file and its name.
pub type GroupName = (Arc<str>, Arc<str>);

/// The groups with which something is wrong.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<BTreeMap<GroupName, Trouble>>);

#[derive(Debug)]
enum Trouble {
    /// So many of its rules fail again and again.
    Fails { count: usize, first: String, error: String },
    /// Its last evaluation ended by a panic.
    Panicked,
}

impl Troubles {
    /// An evaluation of the group has ended.
    pub fn look(&self, name: &GroupName, group: &Group) {
        let mut fails = group.rules.iter().filter(|rule| rule.failing.times >= FAILS).peekable();
        let first = fails.peek().map(|rule| (rule.name().to_owned(), rule.outcome.error.clone().unwrap_or_default()));
        match first {
            Some((first, error)) => self.set(name.clone(), Trouble::Fails { count: fails.count(), first, error }),
            None => self.forget(name),
        }
    }

    /// It ended by a panic.
    pub fn panicked(&self, name: GroupName) {
        self.set(name, Trouble::Panicked);
    }

    /// The group is no more, or begins anew.
    pub fn forget(&self, name: &GroupName) {
        self.hold().remove(name);
    }

    /// What is wrong, in words.
    pub fn words(&self) -> Vec<String> {
        let held = self.hold();
        let (mut count, mut first) = (0, None);
        let mut words = Vec::new();
        for ((file, name), trouble) in &*held {
            match trouble {
                Trouble::Fails { count: more, first: rule, error } => {
                    count += more;
                    first = first.or(Some((rule, error)));
                }
                Trouble::Panicked => words.push(format!(
                    "the group `{name}` of {file} is not evaluated, by a bug of the agent: the log has a panic, please report it"
                )),
            }
        }
        words.extend(first.map(|(name, error)| match count {
            1 => format!("the rule `{name}` fails: {error}"),
            count => format!("{count} rules fail; the first, `{name}`: {error}"),
        }));
        words
    }

    fn set(&self, name: GroupName, trouble: Trouble) {
        self.hold().insert(name, trouble);
    }

    fn hold(&self) -> MutexGuard<'_, BTreeMap<GroupName, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
