//! Tests of rules in the files that `promtool test rules` reads: series are loaded, rules are evaluated over them step by
//! step, and alerts and expressions are compared with what is expected
//! (<https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>).
//!
//! Everything is as in promtool: rules are evaluated in Prometheus's way, nothing is held, and what differs is worded as
//! promtool words it. `read` reads the file, `run` runs one test of it, `shown` writes what is compared.

mod read;
mod run;
mod shown;
mod store;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::rule_file::{self, Reading};
use crate::options::whole_file::{self, Unread};
use read::TestFile;

/// How tests are run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only tests whose name this matches, anywhere in it.
    pub run: Option<Regex>,
    /// Whether alerts that differ are shown line by line.
    pub diff: bool,
    /// Whether all samples are shown at the end of a test.
    pub debug: bool,
    /// Whether unknown keys of rule files are passed over.
    pub ignore_unknown_fields: bool,
}

/// What became of a file.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Why the file cannot be run at all; nothing where it can.
    pub faults: Vec<String>,
    /// The tests that were run, in their order.
    pub tests: Vec<Tested>,
    /// What is to be told besides.
    pub notes: Vec<String>,
}

impl Outcome {
    /// What does not hold, in promtool's words; nothing where all does.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        let failures = self.tests.iter().flat_map(|test| &test.failures);
        self.faults.iter().chain(failures).map(String::as_str)
    }
}

/// What became of a test.
#[derive(Clone, Debug, Default)]
pub struct Tested {
    /// Its name; `unnamed#` and its place where it has none.
    pub name: String,
    /// What does not hold.
    pub failures: Vec<String>,
}

/// Largest file of tests that is read.
const MAX_FILE: u64 = 64 << 20;

/// Runs the tests of a file.
pub fn run(path: &Path, options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(faults) = run_into(path, options, &mut outcome) {
        outcome.faults = faults;
    }
    outcome
}

fn run_into(path: &Path, options: &Options, outcome: &mut Outcome) -> Result<(), Vec<String>> {
    let unread = |why: String| vec![format!("{}: {why}", path.display())];
    let text = whole_file::text(path, MAX_FILE).map_err(|error| match error {
        Unread::TooLarge(_) => unread(format!("{error}; split it into several files")),
        _ => unread(error.to_string()),
    })?;
    let file = read::read(&text)
        .map_err(|faults| faults.iter().map(|fault| unread(fault.clone()).remove(0)).collect::<Vec<_>>())?;
    let rule_files = rule_files(path, &file, &mut outcome.notes)?;
    let mut order = Vec::new();
    let mut known = HashSet::new();
    for name in &file.group_eval_order {
        if !known.insert(name) {
            return Err(vec![format!("group name repeated in evaluation order: {name}")]);
        }
        order.push(name.as_str());
    }
    for (number, test) in file.tests.iter().enumerate() {
        if options.run.as_ref().is_some_and(|run| !run.is_match(&test.name)) {
            continue;
        }
        let surroundings = run::Surroundings {
            file: &file,
            rule_files: &rule_files,
            order: &order,
            options,
            shown_name: if test.name.is_empty() { format!("unnamed#{number}") } else { test.name.clone() },
        };
        let mut failures = Vec::new();
        run::run(test, &surroundings, &mut failures, &mut outcome.notes);
        outcome.tests.push(Tested { name: surroundings.shown_name, failures });
    }
    Ok(())
}

/// The files that the globs name, beside the file of tests.
fn rule_files(path: &Path, file: &TestFile, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, Vec<String>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for glob in &file.rule_files {
        let glob = folder.join(glob);
        let files = rule_file::find(&glob).map_err(|error| vec![error.to_string()])?;
        if files.is_empty() {
            notes.push(format!("  WARNING: no file match pattern {}", glob.display()));
        }
        found.extend(files);
    }
    Ok(found)
}

fn reading(options: &Options) -> Reading {
    Reading { ignore_unknown_keys: options.ignore_unknown_fields }
}

#[cfg(test)]
mod tests;
