//! Rules and queries, by this agent and by Prometheus in the same minutes on the same data.
//!
//! *Rules*: both scrape the same targets and evaluate the same 1,000 alerting rules over 100,000 series; what counts is
//! processor time and memory. *Queries*: both hold the same history, written by remote write, and answer the same range
//! queries over HTTP; what counts is the time of an answer, and that both answers are the same.
//!
//! Ratios of one run are what counts.

mod contender;
mod history;
mod queries;
mod rules;

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::{Args, ValueEnum};

use crate::report::Report;

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Measure only this part. Results are written to `benches/results` for both at full size.
    #[arg(long)]
    only: Option<Part>,
    /// Seconds for which rules are measured, after a warm-up as long as the longest range that a rule reads.
    #[arg(long, default_value_t = SECONDS)]
    seconds: u64,
    /// Seconds of warm-up before rules are measured.
    #[arg(long, default_value_t = WARM_UP)]
    warm_up: u64,
    /// Series that are scraped, in targets of 5,000.
    #[arg(long, default_value_t = RULE_SERIES)]
    series: usize,
    /// Times each query is asked; the median counts.
    #[arg(long, default_value_t = REPEAT)]
    repeat: usize,
    /// Seed of the values.
    #[arg(long, default_value_t = 20_261_129)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Rules,
    Queries,
}

const SECONDS: u64 = 120;
const WARM_UP: u64 = 330;
const RULE_SERIES: usize = 100_000;
const REPEAT: usize = 7;

/// Measures and reports.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end_to_end_alerts");
    let Options { seconds, warm_up, series, repeat, seed, only } = options;
    let command = format!(
        "alerts --seconds {seconds} --warm-up {warm_up} --series {series} --repeat {repeat} --seed {seed}{}",
        match only {
            None => "",
            Some(Part::Rules) => " --only rules",
            Some(Part::Queries) => " --only queries",
        }
    );
    let mut report = Report::new("Rules and queries, end to end", &command);
    for part in [Part::Queries, Part::Rules] {
        if only.is_some_and(|only| only != part) {
            continue;
        }
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir_all(&root)?;
        match part {
            Part::Queries => queries::measure(options, &root, &mut report)?,
            Part::Rules => rules::measure(options, &root, &mut report)?,
        }
    }
    let full = (*seconds, *warm_up, *series, *repeat) == (SECONDS, WARM_UP, RULE_SERIES, REPEAT);
    report.finish(full && only.is_none(), "-alerts")
}
