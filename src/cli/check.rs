//! `tailwater check`: whether what stands on standard input is valid, for whoever writes an exporter.

use std::io::Read;

use clap::Subcommand;

use super::run::Failed;
use crate::formats::prometheus::openmetrics::strict::{self, Summary, Violation};

/// What is checked.
#[derive(Debug, Subcommand)]
pub enum Check {
    /// Check that standard input is a valid OpenMetrics 1.0 exposition
    ///
    /// Everything that the specification says MUST hold is checked, which is more than a scrape asks for. The
    /// first fault is told as `line:column: reason`, the column in bytes.
    #[command(after_help = "Example:
  curl -s -H 'Accept: application/openmetrics-text;version=1.0.0' localhost:9090/metrics | tailwater check openmetrics

Exit codes: 0 valid, 1 not valid, or standard input cannot be read")]
    Openmetrics,
}

/// Longest text that is read.
const LONGEST: u64 = 256 << 20;

/// Reads standard input and says what it is.
pub fn check(what: &Check) -> Result<Result<String, Violation>, Failed> {
    let Check::Openmetrics = what;
    let mut text = Vec::new();
    let failed = |error| Failed::Process(format!("cannot read standard input: {error}"));
    std::io::stdin().lock().take(LONGEST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(Failed::Process(format!("standard input is longer than {} MiB", LONGEST >> 20)));
    }
    Ok(strict::check(&text).map(|Summary { families, samples }| {
        let families_word = if families == 1 { "family" } else { "families" };
        let samples_word = if samples == 1 { "sample" } else { "samples" };
        format!("the exposition is valid: {families} metric {families_word}, {samples} {samples_word}\n")
    }))
}
