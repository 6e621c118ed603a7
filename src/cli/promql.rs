//! `tailwater promql`: PromQL on the command line. `test` runs scripts in the language of Prometheus's own tests.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Subcommand;

use super::run::Failed;
use crate::options::whole_file;
use crate::promql::Limits;
use crate::promql::script::{Failure, Script};

/// What is done with PromQL.
#[derive(Debug, Subcommand)]
pub enum Promql {
    /// Run scripts in the language in which Prometheus tests its own PromQL
    ///
    /// A script loads series, evaluates expressions at an instant or over a range, and says what must come out: values,
    /// warnings, failures. Each expression that does not hold is told with its line, what was expected and what came out.
    #[command(after_help = "Examples:
  tailwater promql test rates.test
  tailwater promql test tests/*.test

A script:
  load 1m
    requests{job=\"web\"} 0+10x10

  eval instant at 10m rate(requests[5m])
    expect no_warn
    {job=\"web\"} 0.16666666666666666

Exit codes: 0 all hold, 1 a file cannot be read, 4 an expectation did not hold, or a script makes no sense")]
    Test {
        /// Scripts
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

/// What became of scripts.
pub struct Tested {
    /// Whether all of them hold.
    pub holds: bool,
    /// A line for each script, more for each that does not hold, and the numbers at the end.
    pub text: String,
}

/// Longest script that is read.
const LONGEST: u64 = 64 << 20;

/// Most differences of one evaluation that are shown.
const MOST_SHOWN: usize = 10;

/// Does it.
pub fn promql(what: &Promql) -> Result<Tested, Failed> {
    let Promql::Test { files } = what;
    // As Prometheus runs its own.
    let limits = Limits { delayed_name_removal: true, start_timestamps: true, ..Limits::default() };
    let (mut text, mut evaluations, mut failures, mut wrong) = (String::new(), 0, 0, 0);
    for file in files {
        let name = file.display();
        let script =
            whole_file::text(file, LONGEST).map_err(|why| Failed::Process(format!("cannot read {name}: {why}")))?;
        match Script::parse(&script) {
            Err(error) => {
                wrong += 1;
                line(&mut text, format_args!("FAILED  {name}\n   --> {name}:{}: {}", error.line, error.problem));
            }
            Ok(script) => {
                let report = script.run(&limits);
                evaluations += report.evaluations;
                failures += report.failures.len();
                let counted = many(report.evaluations, "evaluation");
                if report.failures.is_empty() {
                    line(&mut text, format_args!("ok      {name}: {counted}"));
                } else {
                    line(&mut text, format_args!("FAILED  {name}: {counted}, {} failed", report.failures.len()));
                }
                report.failures.iter().for_each(|failure| tell(&name, failure, &mut text));
            }
        }
    }
    let unread = if wrong == 0 { String::new() } else { format!(", {} not read", many(wrong, "script")) };
    line(
        &mut text,
        format_args!(
            "\n{}, {}, {failures} failed{unread}",
            many(files.len(), "script"),
            many(evaluations, "evaluation")
        ),
    );
    Ok(Tested { holds: failures + wrong == 0, text })
}

fn many(count: usize, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

fn tell(file: &dyn std::fmt::Display, failure: &Failure, out: &mut String) {
    let way = failure.way.to_string();
    let way = if way.is_empty() { way } else { format!(" ({way})") };
    line(out, format_args!("   --> {file}:{}: {}{way}", failure.line, failure.what));
    for difference in failure.differences.iter().take(MOST_SHOWN) {
        line(out, format_args!("        expected  {}\n        got       {}", difference.expected, difference.got));
    }
    if failure.differences.len() > MOST_SHOWN {
        line(out, format_args!("        and {} more differences", failure.differences.len() - MOST_SHOWN));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}
