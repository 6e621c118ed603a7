//! Floor 11: the command line, one file a verb. Prints are for people; logs are for operators.

mod agent;
pub mod alerts;
pub mod check;
pub mod convert;
mod demo;
pub mod explain;
pub mod graph;
mod login;
pub mod promql;
pub mod relabel;
pub mod rules;
pub mod run;
pub mod silence;
mod table;
pub mod targets;
pub mod test;
pub mod validate;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::Rejected;
use crate::config::{self, Plan};
use crate::registry::TABLES;
use graph::GraphFormat;
use run::Failed;

/// Exit codes, by meaning. Part of the interface: a code never gets another meaning.
pub mod exit {
    /// Everything was done.
    pub const DONE: u8 = 0;
    /// Something failed while running.
    pub const FAILED: u8 = 1;
    /// The command line was wrong, or names what does not exist; clap's own code.
    pub const USAGE: u8 = 2;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 3;
    /// Tests of the configuration failed.
    pub const TESTS: u8 = 4;
    /// Converted, but something has no counterpart here and was left out; it was told.
    pub const PARTLY: u8 = 5;
}

/// One agent for every signal on a Kubernetes node.
#[derive(Debug, Parser)]
#[command(name = "tailwater", version, about, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "Examples:
  tailwater demo --for 30s
  tailwater run --config /etc/tailwater
  tailwater validate --config config/tailwater.yaml

Exit codes:
  0  everything was done
  1  something failed while running: a port is taken, a file cannot be written
  2  the command line is wrong, or names what does not exist
  3  the configuration is wrong
  4  tests of the configuration failed
  5  converted, but something was left out, and told";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent until SIGTERM or SIGINT
    ///
    /// SIGHUP, a change of the configuration's files and `POST /-/reload` load the configuration anew; one that
    /// is wrong leaves the old one running. What is read but not yet delivered at the end is delivered first,
    /// for at most `drain_timeout`.
    #[command(after_help = "Examples:
  tailwater run --config /etc/tailwater/tailwater.yaml
  tailwater run --config /etc/tailwater            all *.yaml of the folder, as one configuration

Exit codes: 0 stopped by a signal or at the end of all sources, 1 failed, 3 wrong configuration")]
    Run(ConfigArgs),
    /// Watch the agent carry the logs of a small shop, on a machine that has nothing else
    ///
    /// The shop writes as a node's containers would: JSON, plain text, klog, stack traces, long lines that are
    /// split, rotations, a pod that lives one second. At the end every record that was written is looked for in
    /// what came out. Ctrl-C ends it early, with the same summary; a second one does not wait for the rest.
    #[command(after_help = "Examples:
  tailwater demo
  tailwater demo --for 30s --data /tmp/demo --rate 2000

Exit codes: 0 nothing lost, doubled or leaked, 1 something was, or it failed")]
    Demo(demo::DemoArgs),
    /// Say everything that is wrong with a configuration, without running it
    #[command(after_help = "Examples:
  tailwater validate --config config/tailwater.yaml
  tailwater validate --config /etc/tailwater --format json

Exit codes: 0 valid (there may be warnings), 3 wrong configuration")]
    Validate {
        #[command(flatten)]
        config: ConfigArgs,
        /// What is printed: for people, or one JSON object
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Run the tests that a configuration holds under `tests`
    #[command(after_help = "Examples:
  tailwater test --config config/tailwater.yaml
  tailwater test --config /etc/tailwater --only 'debug is dropped'

Exit codes: 0 all passed, 3 wrong configuration, 4 a test failed")]
    Test {
        #[command(flatten)]
        config: ConfigArgs,
        /// Run only the tests whose name contains this
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        only: String,
    },
    /// Draw the graph of a configuration
    #[command(after_help = "Examples:
  tailwater graph --config /etc/tailwater | dot -Tsvg > graph.svg
  tailwater graph --config /etc/tailwater --format mermaid

Exit codes: 0 drawn, 3 wrong configuration")]
    Graph {
        #[command(flatten)]
        config: ConfigArgs,
        /// For Graphviz, or for Mermaid
        #[arg(long, value_enum, default_value_t)]
        format: GraphFormat,
    },
    /// Check a text that an exporter wrote
    #[command(after_help = "Example: tailwater check openmetrics < metrics.txt

Exit codes: 0 valid, 1 not valid")]
    Check {
        /// What the text should be
        #[command(subcommand)]
        what: check::Check,
    },
    /// Show what a running agent scrapes, and how that goes
    #[command(after_help = "Examples:
  tailwater targets
  tailwater targets --failing
  tailwater targets --admin http://10.0.0.7:7780 --token-file /etc/tailwater/token --format json

Exit codes: 0 shown, 1 the agent does not answer, 2 it has no such job")]
    Targets(targets::TargetsArgs),
    /// Show what fires, is pending or held in a running agent
    ///
    /// Since when, with which value and why it is held; and which of it is silenced or inhibited.
    #[command(after_help = "Examples:
  tailwater alerts
  tailwater alerts Down instance=~'web-.*'
  tailwater alerts --admin http://10.0.0.7:7780 --format json

Exit codes: 0 shown, 1 the agent does not answer or evaluates no rules, 2 the question makes no sense")]
    Alerts(alerts::AlertsArgs),
    /// Make, list and end silences of a running agent
    #[command(after_help = "Examples:
  tailwater silence add alertname=Down instance=~'web-.*' --duration 2h --comment 'new disks'
  tailwater silence list --within 8h
  tailwater silence expire 0195e1a0-0000-4000-8000-000000000000")]
    Silence {
        /// What is to be done
        #[command(subcommand)]
        what: silence::Silence,
    },
    /// Show what relabelling rules do to labels, rule by rule
    ///
    /// Labels are those of a target before it is scraped, or with --metrics those of a series. They are given as
    /// `{name="value"}` or as a JSON object, on the command line or one set a line on standard input. With --job
    /// the labels that every target of the job has are added: job, __scheme__, __metrics_path__ and the like.
    #[command(after_help = "Examples:
  tailwater relabel --rules rules.yaml '{__address__=\"10.0.0.7:80\"}'
  tailwater relabel --config /etc/tailwater --job pods '{__address__=\"10.0.0.7:80\"}'
  tailwater relabel --config /etc/tailwater --job pods --metrics 'http_requests_total{code=\"200\"}'

Exit codes: 0 shown, whether kept or dropped, 1 the labels cannot be read, 2 there is no such job,
3 wrong configuration or rules")]
    Relabel(relabel::RelabelArgs),
    /// Work with rule files of Prometheus
    #[command(after_help = "Example: tailwater rules test tests.yml")]
    Rules {
        /// What is done
        #[command(subcommand)]
        what: rules::Rules,
    },
    /// Work with PromQL, the language of rules
    #[command(after_help = "Example: tailwater promql test tests/*.test")]
    Promql {
        #[command(subcommand)]
        what: promql::Promql,
    },
    /// Convert what another program is configured with
    #[command(after_help = "Example: tailwater convert prometheus /etc/prometheus/prometheus.yml -o tailwater.yaml")]
    Convert {
        #[command(subcommand)]
        from: convert::From,
    },
    /// Explain the code of an error or a warning
    #[command(after_help = "Examples:
  tailwater explain TW0305
  tailwater explain            all of them

Exit codes: 0 explained, 2 there is no such code")]
    Explain {
        /// The code, such as TW0305
        code: Option<String>,
    },
    /// Print the JSON Schema of configurations, for editors
    #[command(after_help = "Example: tailwater schema > tailwater.schema.json")]
    Schema,
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// A YAML file, or a folder of them; may be given several times
    #[arg(long, short, value_name = "FILE|FOLDER", required = true, num_args = 1..)]
    config: Vec<PathBuf>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Plan, Failed> {
        config::load(&self.config, TABLES).map_err(|errors| Rejected::Config(errors).into())
    }
}

/// What a verb prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Run(args) => run::run(args.config).map(|()| exit::DONE),
        Verb::Demo(args) => demo::run(args).map(|holds| if holds { exit::DONE } else { exit::FAILED }),
        Verb::Validate { config, format } => {
            let findings = validate::validate(&config.config);
            print(&findings.render(format));
            Ok(if findings.errors.0.is_empty() { exit::DONE } else { exit::CONFIG })
        }
        Verb::Test { config, only } => config.load().and_then(|plan| test::test(&plan, &only)).map(|report| {
            print(&report.text);
            if report.failed == 0 { exit::DONE } else { exit::TESTS }
        }),
        Verb::Graph { config, format } => config.load().map(|plan| {
            print(&graph::draw(&plan.graph, format));
            exit::DONE
        }),
        Verb::Check { what } => check::check(&what).map(|checked| match checked {
            Ok(valid) => {
                print(&valid);
                exit::DONE
            }
            Err(violation) => {
                complain(&violation);
                exit::FAILED
            }
        }),
        Verb::Targets(args) => targets::targets(&args).map(|text| {
            print(&text);
            exit::DONE
        }),
        Verb::Alerts(args) => alerts::alerts(&args).map(|text| {
            print(&text);
            exit::DONE
        }),
        Verb::Silence { what } => silence::silence(&what).map(|text| {
            print(&text);
            exit::DONE
        }),
        Verb::Relabel(args) => relabel::relabel(&args).map(|text| {
            print(&text);
            exit::DONE
        }),
        Verb::Rules { what } => rules::rules(&what, |line| match line {
            rules::Line::Out(text) => print(&format!("{text}\n")),
            rules::Line::Wrong(text) => complain(&text),
        }),
        Verb::Promql { what } => promql::promql(&what).map(|tested| {
            print(&tested.text);
            if tested.holds { exit::DONE } else { exit::TESTS }
        }),
        Verb::Convert { from } => convert::convert(&from).map(|converted| {
            converted.yaml.iter().for_each(|yaml| print(yaml));
            complain(&converted.report.trim_end());
            converted.exit
        }),
        Verb::Explain { code } => match explain::explain(code.as_deref()) {
            Ok(text) => {
                print(&text);
                Ok(exit::DONE)
            }
            Err(unknown) => {
                complain(&unknown);
                Ok(exit::USAGE)
            }
        },
        Verb::Schema => {
            print(&format!("{:#}\n", config::schema(TABLES)));
            Ok(exit::DONE)
        }
    };
    ExitCode::from(done.unwrap_or_else(|error| {
        complain(&error);
        match error {
            Failed::Rejected(Rejected::Config(_) | Rejected::NeedsRestart(_)) => exit::CONFIG,
            Failed::Rejected(_) | Failed::Process(_) => exit::FAILED,
            Failed::Usage(_) => exit::USAGE,
        }
    }))
}

/// Prints a result. A reader that has seen enough (`head`) closes the pipe, which is no failure.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[expect(clippy::print_stderr, reason = "the command line's own message")]
fn complain(error: &dyn std::fmt::Display) {
    eprintln!("{error}");
}
