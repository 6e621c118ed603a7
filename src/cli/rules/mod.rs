//! `tailwater rules`: rule files on the command line, in the words of promtool, so that what reads promtool's output reads
//! this.

pub mod test;

use clap::Subcommand;

/// What is done with rule files.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Run unit tests of rules, as `promtool test rules` does
    ///
    /// A file of tests names rule files, loads series, and says which alerts fire and what expressions give at which time:
    /// https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
    #[command(after_help = "Examples:
  tailwater rules test tests.yml
  tailwater rules test --run 'disk.*' --diff tests/*.yml

Exit codes: 0 all hold, 1 one does not or a file is wrong, 2 --run is no regular expression")]
    Test(test::TestArgs),
}

/// Something to print.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A result.
    Out(String),
    /// What is wrong.
    Wrong(String),
}
