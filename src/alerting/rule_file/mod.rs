//! Rule files as Prometheus 3 defines them (`docs/configuration/{recording,alerting}_rules.md`): groups of recording and
//! alerting rules.
//!
//! A [`RuleFile`] that exists has passed every check that Prometheus makes when it loads one: keys, names, durations,
//! expressions, templates. What is wrong is collected, each with its place and the name of its rule; what Prometheus only
//! warns of is in [`RuleFile::warnings`].
//!
//! `read` takes the values out of the YAML tree, `check` makes rules of them, `files` finds what a glob names.

mod check;
mod fault;
mod files;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::options::whole_file::{self, Unread};
use crate::promql::Query;

pub use fault::{Fault, InRule, RuleFileError};
pub use files::{BadGlob, find};

/// What is said of a second document.
pub const SECOND_DOCUMENT: &str = "a second document starts here; only the first is read";

/// Largest rule file that is read.
const MAX_FILE: u64 = 64 << 20;

/// A rule file, checked.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Where it was read.
    pub path: PathBuf,
    /// Its groups in their order.
    pub groups: Vec<Group>,
    /// Where a second document starts, which is not read.
    pub second_document: Option<Place>,
    /// What is allowed and probably not meant: more than one document, rules that write the same series.
    pub warnings: Vec<Fault>,
}

/// Rules that are evaluated one after the other at the same times.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name, which no other group of the file has.
    pub name: Box<str>,
    /// How often it is evaluated, where it says so.
    pub interval: Option<Duration>,
    /// How far before the time of the evaluation its queries look, where it says so.
    pub query_offset: Option<Duration>,
    /// Most alerts or series of one rule; 0 for no limit. Prometheus takes a negative number as it takes 0.
    pub limit: usize,
    /// Its rules in their order.
    pub rules: Vec<Rule>,
}

/// A name and a text. An empty text removes the label that a series brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: Box<str>,
    /// Its text.
    pub value: Box<str>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it does with the result of its query.
    pub kind: Kind,
    /// Its query.
    pub query: Query,
    /// Its labels and those of its group that it does not set itself, sorted by name, as they were written.
    pub labels: Vec<Label>,
    /// Where it was written.
    pub place: Place,
}

/// What a rule does with the result of its query.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Records it as a series of its own.
    Record {
        /// The metric's name.
        name: Box<str>,
    },
    /// Makes an alert of each series.
    Alert(AlertRule),
}

/// What an alerting rule has besides its query and its labels.
#[derive(Clone, Debug)]
pub struct AlertRule {
    /// The alert's name.
    pub name: Box<str>,
    /// How long a series must be there before its alert fires.
    pub for_: Duration,
    /// How long an alert goes on firing after its series is gone.
    pub keep_firing_for: Duration,
    /// Its annotations, sorted by name, as they were written.
    pub annotations: Vec<Label>,
}

impl Rule {
    /// The name that `record` or `alert` gives.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Record { name } | Kind::Alert(AlertRule { name, .. }) => name,
        }
    }
}

/// Where something was written in a file; both from 1, the column in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// How strictly files are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Whether keys that mean nothing are passed over. Prometheus refuses them when it loads a file.
    pub ignore_unknown_keys: bool,
}

impl RuleFile {
    /// Reads a file.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn read(path: &Path, reading: Reading) -> Result<Self, RuleFileError> {
        let unreadable = |why| RuleFileError::unreadable(path, why);
        let text = whole_file::text(path, MAX_FILE).map_err(|error| match error {
            Unread::TooLarge(_) => unreadable(format!("{error}; split it into several files")),
            _ => unreadable(error.to_string()),
        })?;
        Self::parse(path, &text, reading)
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn parse(path: &Path, text: &str, reading: Reading) -> Result<Self, RuleFileError> {
        let wrong = |faults| RuleFileError { path: path.to_owned(), faults };
        let written = read::read(text, reading).map_err(wrong)?;
        check::check(path, written).map_err(wrong)
    }

    /// Number of its rules.
    pub fn rules(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }

    /// Rules that another one of the file repeats: the same name and the same labels. Each once, sorted.
    pub fn duplicates(&self) -> Vec<(&str, &[Label])> {
        check::duplicates(&self.groups)
    }
}
