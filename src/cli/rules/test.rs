//! `tailwater rules test`: runs promtool's files of tests, and prints as `promtool test rules` does.

use std::path::PathBuf;

use clap::Args;
use regex::Regex;

use super::super::run::Failed;
use super::{Line, junit};
use crate::alerting::unit_test::{self, Options};
use crate::data::UnixNanos;

/// What is tested, and how.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Files of tests
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Run only tests whose name matches this regular expression; may be given several times
    #[arg(long, value_name = "REGEX")]
    run: Vec<String>,
    /// Show alerts that differ line by line
    #[arg(long)]
    diff: bool,
    /// Show all samples at the end of each test
    #[arg(long)]
    debug: bool,
    /// Pass over keys of rule files that mean nothing to Prometheus
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Write what became of each test to this file too, in the XML of JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Runs the files, printing as it goes. Returns whether all tests hold.
pub fn test(args: &TestArgs, mut print: impl FnMut(Line)) -> Result<bool, Failed> {
    let run = match &args.run[..] {
        [] => None,
        patterns => Some(
            Regex::new(&patterns.join("|"))
                .map_err(|error| Failed::Usage(format!("--run takes a regular expression: {error}")))?,
        ),
    };
    let options =
        Options { run, diff: args.diff, debug: args.debug, ignore_unknown_fields: args.ignore_unknown_fields };
    let mut holds = true;
    let mut report = junit::Report::default();
    for file in &args.files {
        print(Line::Out(format!("Processing test file: {}", file.display())));
        let began = UnixNanos::now();
        let outcome = unit_test::run(file, &options);
        outcome.notes.iter().for_each(|note| print(Line::Wrong(note.clone())));
        if outcome.failures().next().is_none() {
            print(Line::Out("  SUCCESS".into()));
        } else {
            holds = false;
            print(Line::Wrong("  FAILED:".into()));
            for failure in outcome.failures() {
                print(Line::Wrong(failure.to_owned()));
                print(Line::Out(String::new()));
            }
        }
        print(Line::Out(String::new()));
        report.add(file, began, &outcome);
    }
    if let Some(path) = &args.junit {
        let cannot = |error| {
            format!("{} cannot be written: {error}; give --junit a file in a folder that is there", path.display())
        };
        std::fs::write(path, report.finish()).map_err(|error| Failed::Process(cannot(error)))?;
    }
    Ok(holds)
}
