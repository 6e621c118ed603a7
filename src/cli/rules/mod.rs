//! `tailwater rules`: rule files on the command line, in the words of promtool, so that what reads promtool's output reads
//! this.

pub mod check;
mod junit;
pub mod test;

use clap::Subcommand;

use super::exit;
use super::run::Failed;

/// What is done with rule files.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Say everything that is wrong with rule files, as `promtool check rules` does
    ///
    /// Files are read as Prometheus reads them. Rules that write the same series are told too: they may overwrite each
    /// other.
    #[command(after_help = "Examples:
  tailwater rules check /etc/prometheus/rules/*.yml
  tailwater rules check --lint-fatal rules.yml
  tailwater rules check < rules.yml

Exit codes: 0 no file is wrong, 1 one is, 3 one has rules that write the same, and --lint-fatal was given")]
    Check(check::CheckArgs),
    /// Run unit tests of rules, as `promtool test rules` does
    ///
    /// A file of tests names rule files, loads series, and says which alerts fire and what expressions give at which time:
    /// <https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>
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

/// Does it, printing as it goes. Returns the exit code.
pub fn rules(what: &Rules, print: impl FnMut(Line)) -> Result<u8, Failed> {
    match what {
        Rules::Check(args) => Ok(check::check(args, print)),
        Rules::Test(args) => test::test(args, print).map(|holds| if holds { exit::DONE } else { exit::FAILED }),
    }
}
