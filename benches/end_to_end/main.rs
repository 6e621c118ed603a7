//! The paths of logs, metrics and traces end to end, as a user would run them: the release binary, pinned to one core.
//! It tails a corpus of container logs and sends it to a counting stand-in for Elasticsearch on the other core;
//! or it scrapes targets and sends to a counting receiver of remote write, beside its peers; or it forwards spans, beside a
//! forwarder that does nothing else; or it evaluates rules and queries, beside Prometheus.
//!
//! ```text
//! cargo bench --bench end_to_end -- logs                  everything at full size; writes benches/results/
//! cargo bench --bench end_to_end -- logs --size 64        a quick look at 64 MiB
//! cargo bench --bench end_to_end -- logs --only rows      one part: rows, many, idle or fair
//! cargo bench --bench end_to_end -- metrics               10 k, 100 k and 1 M series, beside peers; writes benches/results/
//! cargo bench --bench end_to_end -- metrics --series 100000 --agents tailwater1,prometheus1 --seconds 20
//! cargo bench --bench end_to_end -- traces                spans, beside a bare forwarder; writes benches/results/
//! cargo bench --bench end_to_end -- alerts                rules and queries, beside Prometheus; writes benches/results/
//! cargo bench --bench end_to_end -- alerts --only queries --repeat 3
//! ```
//!
//! Costs are processor time. Those of logs are told as the ratio to a plain `read` and newline search of the same files in
//! the same run: seconds differ between machines, ratios less so. Two cores and Linux are needed.

#![expect(clippy::print_stdout, reason = "a program that reports to the terminal")]

mod agent;
mod alerts;
mod corpus;
mod counting_sink;
mod metrics;
mod paced;
mod process;
mod reference;
mod report;
mod throughput;
mod traces;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use agent::{AGENT_CORE, Flow};
use corpus::{Corpus, Spec};
use report::Report;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What `cargo bench` adds on its own.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Measures the path of logs.
    Logs {
        /// Size of the corpus in MiB. Results are written to `benches/results` at the full size alone.
        #[arg(long, default_value_t = FULL)]
        size: u64,
        /// Measure only this part.
        #[arg(long)]
        only: Option<Part>,
        /// Seed of the corpus.
        #[arg(long, default_value_t = 20_261_123)]
        seed: u64,
        /// Seconds of each run against the clock.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Times each row is measured; the median counts.
        #[arg(long, default_value_t = 3)]
        repeat: usize,
    },
    /// Measures the path of metrics.
    Metrics(metrics::Options),
    /// Measures the path of traces.
    Traces(traces::Options),
    /// Measures rules and queries.
    Alerts(alerts::Options),
    /// The forwarder that `traces` compares with; started by it.
    #[command(hide = true)]
    Forward {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        to: String,
    },
    /// The counting receiver of spans; started by `traces`.
    #[command(hide = true)]
    Counter {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Sends spans; started by `traces`.
    #[command(hide = true)]
    Load {
        #[arg(long)]
        to: String,
        #[arg(long)]
        seconds: u64,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        in_flight: usize,
        #[arg(long)]
        seed: u64,
    },
    /// The targets; started by `metrics`.
    #[command(hide = true)]
    Targets {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        count: usize,
        #[arg(long)]
        series: usize,
        #[arg(long)]
        seed: u64,
    },
    /// The counting receiver; started by `metrics`.
    #[command(hide = true)]
    Receiver {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// The counting sink; started by `logs`.
    #[command(hide = true)]
    Sink {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        sample: usize,
    },
    /// The yardstick; started by `logs`.
    #[command(hide = true)]
    Scan { files: Vec<PathBuf> },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Rows,
    Many,
    Idle,
    Fair,
}

/// Size of the corpus, in MiB, that results are quoted for.
const FULL: u64 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        Command::Sink { listen, sample } => Ok(counting_sink::serve(listen, sample)?),
        Command::Scan { files } => {
            let (cpu, newlines) = reference::scan(&files)?;
            println!("{} {newlines}", cpu.as_nanos());
            Ok(())
        }
        Command::Metrics(options) => metrics::run(&options),
        Command::Traces(options) => traces::run(&options),
        Command::Alerts(options) => alerts::run(&options),
        Command::Forward { listen, to } => traces::raw::forward(listen, &to),
        Command::Counter { listen } => traces::receiver::serve(listen),
        Command::Load { to, seconds, connections, in_flight, seed } => {
            traces::raw::load(&to, seconds, connections, in_flight, seed)
        }
        Command::Targets { port, count, series, seed } => Ok(metrics::targets::serve(port, count, series, seed)?),
        Command::Receiver { listen } => Ok(metrics::receiver::serve(listen)?),
        Command::Logs { size, only, seed, seconds, repeat } => logs(size, only, seed, seconds, repeat.max(1)),
    }
}

fn logs(size: u64, only: Option<Part>, seed: u64, seconds: u64, repeat: usize) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end_to_end");
    let wanted = |part| only.is_none_or(|only| only == part);
    let mut report = Report::new("Logs, end to end", &format!("logs --size {size} --seed {seed} --repeat {repeat}"));
    if wanted(Part::Rows) {
        let corpus = corpus::corpus(&root, Spec { bytes: size << 20, files: 10, seed })?;
        rows(&corpus, &root, repeat, &mut report)?;
    }
    if wanted(Part::Many) {
        let corpus = corpus::corpus(&root, Spec { bytes: size << 20, files: 200, seed })?;
        let row = throughput::run(Flow::Elasticsearch, &corpus, &reference::expected(&corpus.files)?, &root)?;
        report.many(&row);
    }
    if wanted(Part::Idle) {
        report.idle(&paced::run(Flow::Defaults, 200, false, seconds, &root)?);
    }
    if wanted(Part::Fair) {
        report.fair(&paced::run(Flow::Gzip, 50, true, seconds.min(30), &root)?);
    }
    report.finish(size == FULL && only.is_none(), "")
}

fn rows(corpus: &Corpus, root: &Path, repeat: usize, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let expected = reference::expected(&corpus.files)?;
    report.corpus(corpus, &expected);
    scan(corpus)?; // Warms the page cache.
    let flows = [Flow::Blackhole, Flow::Elasticsearch, Flow::RedactAndSet, Flow::Gzip];
    let mut scans = Vec::new();
    let mut measured = vec![Vec::new(); flows.len()];
    // Rows and the yardstick take turns, so that a change of the machine's mood meets all of them.
    for _ in 0..repeat {
        for (flow, measured) in flows.iter().zip(&mut measured) {
            scans.push(scan(corpus)?);
            measured.push(throughput::run(*flow, corpus, &expected, root)?);
        }
    }
    scans.sort_unstable();
    for measured in &mut measured {
        measured.sort_by_key(|row| row.cpu);
    }
    report.rows(corpus, scans[scans.len() / 2], &measured);
    Ok(())
}

/// Processor time of the yardstick, in a process of its own on the agent's core.
fn scan(corpus: &Corpus) -> Result<Duration, Box<dyn Error>> {
    let mut command = std::process::Command::new("taskset");
    command.args(["-c", &AGENT_CORE.to_string()]).arg(std::env::current_exe()?).arg("scan").args(&corpus.files);
    let output = command.output()?;
    let text = String::from_utf8(output.stdout)?;
    let nanos = text.split_ascii_whitespace().next().ok_or("the yardstick said nothing")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}
