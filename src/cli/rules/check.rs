//! `tailwater rules check`: what Prometheus would say of rule files, before it is asked.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Line;
use crate::alerting::rule_file::{Label, Reading, RuleFile, RuleFileError, SECOND_DOCUMENT};
use crate::cli::exit;

/// Which files, and how strictly.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Rule files; standard input without any
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is looked for besides errors, separated by commas: all, duplicate-rules, none
    #[arg(long, value_name = "CHECKS", default_value = "duplicate-rules")]
    lint: String,
    /// Exit with 3 where something was found that is no error
    #[arg(long)]
    lint_fatal: bool,
    /// Pass over keys that mean nothing to Prometheus, which refuses a file that has any
    #[arg(long)]
    ignore_unknown_fields: bool,
}

/// What was found in a file.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    errors: bool,
    lint: bool,
}

/// Checks the files, printing as it goes. Returns the exit code.
pub fn check(args: &CheckArgs, mut print: impl FnMut(Line)) -> u8 {
    let mut duplicates = false;
    for check in args.lint.split(',').filter(|check| !check.is_empty()) {
        match check {
            "all" | "duplicate-rules" => duplicates = true,
            "none" => {}
            unknown => print(Line::Out(format!("WARNING: unknown lint option: {unknown:?}"))),
        }
    }
    let reading = Reading { ignore_unknown_keys: args.ignore_unknown_fields };
    let mut found = Found::default();
    if args.files.is_empty() {
        print(Line::Out("Checking standard input".into()));
        match standard_input(reading) {
            Ok(file) => tell(&file, duplicates, &mut found, &mut print),
            Err(error) => {
                found.errors = true;
                print(Line::Wrong("  FAILED:".into()));
                error.faults.iter().for_each(|fault| print(Line::Wrong(fault.to_string())));
            }
        }
    }
    for path in &args.files {
        print(Line::Out(format!("Checking {}", path.display())));
        match RuleFile::read(path, reading) {
            Ok(file) => tell(&file, duplicates, &mut found, &mut print),
            Err(error) => {
                found.errors = true;
                print(Line::Wrong(format!("  FAILED:\n{error}")));
            }
        }
    }
    match found {
        Found { errors: true, .. } => exit::FAILED,
        Found { lint: true, .. } if args.lint_fatal => exit::CONFIG,
        _ => exit::DONE,
    }
}

/// Longest text that is read from standard input.
const LONGEST: u64 = 64 << 20;

fn standard_input(reading: Reading) -> Result<RuleFile, RuleFileError> {
    let path = Path::new("standard input");
    let mut text = String::new();
    match std::io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text) {
        Ok(read) if read as u64 > LONGEST => {
            Err(RuleFileError::unreadable(path, format!("it is longer than {} MiB", LONGEST >> 20)))
        }
        Ok(_) => RuleFile::parse(path, &text, reading),
        Err(error) => Err(RuleFileError::unreadable(path, error.to_string())),
    }
}

fn tell(file: &RuleFile, duplicates: bool, found: &mut Found, print: &mut impl FnMut(Line)) {
    if let Some(place) = file.second_document {
        let path = file.path.display();
        print(Line::Wrong(format!("{path}: {place}: {SECOND_DOCUMENT}")));
    }
    match file.duplicates() {
        repeated if duplicates && !repeated.is_empty() => {
            found.lint = true;
            print(Line::Wrong(format!("  FAILED:\nlint error {}", told(&repeated))));
        }
        _ => print(Line::Out(format!("  SUCCESS: {} rules found", file.rules()))),
    }
    print(Line::Out(String::new()));
}

fn told(repeated: &[(&str, &[Label])]) -> String {
    let mut text = format!("{} duplicate rule(s) found.\n", repeated.len());
    // Writing to a string cannot fail.
    for (metric, labels) in repeated {
        let _ = writeln!(text, "Metric: {metric}\nLabel(s):");
        for Label { name, value } in *labels {
            let _ = writeln!(text, "\t{name}: {value}");
        }
    }
    text + "Might cause inconsistency while recording expressions"
}
