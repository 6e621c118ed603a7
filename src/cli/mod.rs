//! Floor 9: the command line, one file a verb. Prints are for people; logs are for operators.

pub mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use run::Failed;

/// Exit codes, by meaning. Part of the interface: a code never gets another meaning.
pub mod exit {
    /// Everything was done.
    pub const DONE: u8 = 0;
    /// Something failed while running.
    pub const FAILED: u8 = 1;
    /// The command line was wrong; clap's own code.
    pub const USAGE: u8 = 2;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 3;
    /// Tests of the configuration failed.
    pub const TESTS: u8 = 4;
}

/// One agent for every signal on a Kubernetes node.
#[derive(Debug, Parser)]
#[command(name = "tailwater", version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "Examples:
  tailwater demo --for 30s
  tailwater run --config /etc/tailwater
  tailwater validate --config config/tailwater.yaml

Exit codes: 0 done, 1 failed while running, 2 wrong command line, 3 wrong configuration,
4 tests of the configuration failed.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent until SIGTERM or SIGINT; SIGHUP reloads the configuration
    #[command(after_help = "Example: tailwater run --config /etc/tailwater/tailwater.yaml")]
    Run(ConfigArgs),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// A YAML file, or a folder of them; may be given several times
    #[arg(long, short, value_name = "FILE|FOLDER", required = true, num_args = 1..)]
    config: Vec<PathBuf>,
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Run(args) => match run::run(args.config) {
            Ok(()) => ExitCode::from(exit::DONE),
            Err(error) => fail(&error),
        },
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own message")]
fn fail(error: &Failed) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(match error {
        Failed::Rejected(_) => exit::CONFIG,
        Failed::Process(_) => exit::FAILED,
    })
}
