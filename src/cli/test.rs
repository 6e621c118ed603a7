//! `tailwater test`: runs the tests that a configuration holds of itself.

use std::fmt::Write;

use super::run::Failed;
use crate::app::trial::{self, Difference, Failure};
use crate::config::{Plan, TestCase};

/// What became of the tests.
pub struct Report {
    /// Number of tests that passed.
    pub passed: usize,
    /// Number of tests that did not.
    pub failed: usize,
    /// A line for each that passed, more for each that did not, and the numbers at the end.
    pub text: String,
}

/// Runs the tests whose name contains `only`, in the order of writing.
pub fn test(plan: &Plan, only: &str) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| Failed::Process(format!("cannot start the runtime: {error}")))?;
    let mut report = Report { passed: 0, failed: 0, text: String::new() };
    for test in plan.tests.iter().filter(|test| test.name.contains(only)) {
        match runtime.block_on(trial::run(plan, test)) {
            Ok(()) => {
                report.passed += 1;
                line(&mut report.text, format_args!("ok      {}", test.name.value));
            }
            Err(failure) => {
                report.failed += 1;
                tell(test, &failure, &mut report.text);
            }
        }
    }
    if report.passed + report.failed == 0 {
        let none = if plan.tests.is_empty() { "the configuration holds no tests" } else { "no test has such a name" };
        line(&mut report.text, format_args!("{none}"));
        // A name that none has would be green for ever.
        report.failed = usize::from(!plan.tests.is_empty());
    } else {
        line(&mut report.text, format_args!("\n{} passed, {} failed", report.passed, report.failed));
    }
    Ok(report)
}

fn tell(test: &TestCase, failure: &Failure, out: &mut String) {
    line(out, format_args!("FAILED  {}", test.name.value));
    if let Some(place) = &test.place {
        line(out, format_args!("   --> {place}, at {}", test.at.value));
    }
    match failure {
        Failure::NotRun(why) => line(out, format_args!("        {why}")),
        Failure::Differs(differences) => differences.iter().for_each(|difference| tell_one(difference, out)),
    }
}

fn tell_one(difference: &Difference, out: &mut String) {
    match difference {
        Difference::Field { record, path, expected, got } => {
            let word =
                |value: &Option<serde_json::Value>| value.as_ref().map_or("(absent)".into(), ToString::to_string);
            line(out, format_args!("        record {record}: {path}"));
            line(out, format_args!("          expected  {}", word(expected)));
            line(out, format_args!("          got       {}", word(got)));
        }
        Difference::Missing { record, expected } => {
            line(out, format_args!("        record {record} did not come; expected {expected}"));
        }
        Difference::Unexpected { record, got } => {
            line(out, format_args!("        record {record} was not expected; got {got}"));
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    let _ = writeln!(out, "{text}");
}
