//! What is wrong with a rule file, worded and placed as Prometheus does it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Place;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, if it is at a place.
    pub place: Option<Place>,
    /// In which rule, if it is in one.
    pub rule: Option<InRule>,
    /// What is wrong.
    pub message: String,
}

/// Which rule of which group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InRule {
    /// The group's name.
    pub group: Box<str>,
    /// Number of the rule in its group, from 1.
    pub number: usize,
    /// The rule's name.
    pub name: Box<str>,
}

impl Fault {
    /// A fault at a place.
    pub(super) fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place: Some(place), rule: None, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(InRule { group, number, name }) = &self.rule {
            write!(f, "group {group:?}, rule {number}, {name:?}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a rule file: one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RuleFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, in the order of the file.
    pub faults: Vec<Fault>,
}

impl RuleFileError {
    /// The file cannot be read, and why.
    pub fn unreadable(path: &Path, why: String) -> Self {
        Self { path: path.to_owned(), faults: vec![Fault { place: None, rule: None, message: why }] }
    }
}

impl fmt::Display for RuleFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}: {fault}", self.path.display())?;
        }
        Ok(())
    }
}
