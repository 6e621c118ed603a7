//! The path of metrics: targets whose values move are scraped and sent by remote write to a receiver that counts, by
//! this agent and its peers in the same minutes: the same targets, the same receiver, the same core.
//!
//! Ratios of one run are what counts. Times of peers on another machine, or of another day, are not comparable.

mod contender;
pub mod receiver;
mod report;
pub mod targets;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

pub use contender::Contender;
use receiver::Received;

use crate::agent::OTHER_CORE;
use crate::process::{self, Pinned};
use crate::report::Report;

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Seconds that are measured, after every agent has sent each series twice; at least two scrapes.
    #[arg(long, default_value_t = SECONDS)]
    seconds: u64,
    /// Numbers of series, in targets of 5,000 that are scraped every 5 s (every 30 s from half a million on).
    #[arg(long, value_delimiter = ',', default_values_t = SERIES)]
    series: Vec<usize>,
    /// Agents to measure; all of them unless said. Results are written to `benches/results` only for all of everything.
    #[arg(long, value_delimiter = ',')]
    agents: Vec<Contender>,
    /// Measures one agent after the other instead of all at once.
    #[arg(long)]
    apart: bool,
    /// The binary of this agent, instead of the one that `cargo bench` builds.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Seed of the values.
    #[arg(long, default_value_t = 20_261_124)]
    seed: u64,
}

const SECONDS: u64 = 60;
/// The middle one is what results are quoted for: 20 targets.
const SERIES: [usize; 3] = [10_000, 100_000, 1_000_000];
const SERIES_A_TARGET: usize = 5_000;

/// What is scraped, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Targets.
    pub targets: usize,
    /// Series of each.
    pub series_a_target: usize,
    /// Seconds between scrapes.
    pub interval: u64,
}

impl Load {
    fn of(series: usize) -> Self {
        let targets = series.div_ceil(SERIES_A_TARGET);
        let interval = if series < 500_000 { 5 } else { 30 };
        Self { targets, series_a_target: series / targets, interval }
    }

    /// Series that the targets expose; scrapers add a handful for each target.
    pub fn series(&self) -> usize {
        self.targets * self.series_a_target
    }
}

/// What one agent did with one load.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Who.
    pub agent: Contender,
    /// Processor time while it was measured.
    pub cpu: Duration,
    /// What arrived while it was measured.
    pub received: Received,
    /// Most resident memory, since its start.
    pub peak_rss: u64,
    /// Seconds that were measured.
    pub seconds: f64,
}

impl Row {
    /// Processor time a sample, in nanoseconds.
    pub fn nanos_a_sample(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.received.samples as f64
    }
}

impl Options {
    /// The subcommand as it would be typed.
    fn command(&self) -> String {
        let list = |words: Vec<String>| words.join(",");
        let series = list(self.series.iter().map(usize::to_string).collect());
        let mut command = format!("metrics --seconds {} --series {series} --seed {}", self.seconds, self.seed);
        if !self.agents.is_empty() {
            let names = self.agents.iter().filter_map(|agent| Some(agent.to_possible_value()?.get_name().to_owned()));
            command += &format!(" --agents {}", list(names.collect()));
        }
        if let Some(binary) = &self.binary {
            command += &format!(" --binary {}", binary.display());
        }
        if self.apart {
            command += " --apart";
        }
        command
    }
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end_to_end_metrics");
    let agents = if options.agents.is_empty() { Contender::ALL.to_vec() } else { options.agents.clone() };
    let mut report = Report::new("Metrics, end to end", &options.command());
    report.metrics_load(targets::bytes_per_sample(SERIES_A_TARGET, options.seed));
    let mut loads = Vec::new();
    for series in &options.series {
        let load = Load::of(*series);
        let mut rows = Vec::new();
        if options.apart {
            for agent in &agents {
                rows.extend(measure(&[*agent], load, options, &root)?);
            }
        } else {
            rows = measure(&agents, load, options, &root)?;
        }
        report.metrics_rows(load, &rows);
        loads.push((load, rows));
    }
    report.metrics_growth(&loads);
    let given = !options.agents.is_empty() || options.binary.is_some();
    let whole = options.seconds == SECONDS && options.series == SERIES && !given;
    report.finish(whole, "-metrics")
}

/// Measures these agents at the same time.
fn measure(agents: &[Contender], load: Load, options: &Options, root: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::create_dir_all(root)?;
    let (_targets, port) = start_targets(root, load, options.seed)?;
    let (_receiver, receiver) = start_receiver(root)?;
    let mut running = Vec::new();
    for agent in agents {
        let binary = options.binary.as_deref().unwrap_or(Path::new(env!("CARGO_BIN_EXE_tailwater")));
        running.push((*agent, agent.start(binary, root, &load, port, &receiver)?));
    }
    let each_series_twice = |sent: &BTreeMap<String, Received>, agent: Contender| {
        sent.get(agent.path()).is_some_and(|sent| sent.samples >= 2 * load.series() as u64)
    };
    let limit = Instant::now() + Duration::from_secs(120 + 4 * load.interval);
    loop {
        let sent = summary(&receiver)?;
        if running.iter().all(|(agent, _)| each_series_twice(&sent, *agent)) {
            break;
        }
        for (agent, process) in &mut running {
            process.check().map_err(|error| format!("{}: {error}; see {}", agent.path(), root.display()))?;
        }
        if Instant::now() > limit {
            return Err(format!("not every agent sends; {sent:?}; see {}", root.display()).into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    // Whole turns: what a scrape costs comes in bursts.
    let turns = options.seconds.div_ceil(load.interval).max(2);
    let begin = look(&running, &receiver)?;
    let (from, span) = (Instant::now(), Duration::from_secs(turns * load.interval));
    std::thread::sleep(span);
    let end = look(&running, &receiver)?;
    let seconds = from.elapsed().as_secs_f64();
    let mut rows = Vec::new();
    for (((agent, process), (cpu, before)), (cpu_after, after)) in running.into_iter().zip(begin).zip(end) {
        let received = Received {
            requests: after.requests - before.requests,
            bytes: after.bytes - before.bytes,
            samples: after.samples - before.samples,
            ..after
        };
        let expected = load.series() as u64 * turns;
        // An agent that falls behind would look cheap.
        if received.samples < expected * 9 / 10 {
            return Err(format!("{} sent {} of {expected} samples", agent.path(), received.samples).into());
        }
        rows.push(Row { agent, cpu: cpu_after - cpu, received, peak_rss: process.peak_rss()?, seconds });
        process.stop()?;
    }
    Ok(rows)
}

/// Processor time of each agent so far, and what arrived from it.
fn look(running: &[(Contender, Pinned)], receiver: &str) -> Result<Vec<(Duration, Received)>, Box<dyn Error>> {
    let sent = summary(receiver)?;
    running
        .iter()
        .map(|(agent, process)| Ok((process.cpu()?, sent.get(agent.path()).copied().unwrap_or_default())))
        .collect()
}

fn summary(receiver: &str) -> Result<BTreeMap<String, Received>, Box<dyn Error>> {
    Ok(serde_json::from_slice(&process::get(receiver, "/bench/summary")?)?)
}

fn start_targets(folder: &Path, load: Load, seed: u64) -> Result<(Pinned, u16), Box<dyn Error>> {
    let address = process::free_address()?;
    let port = address.rsplit(':').next().unwrap_or_default().to_owned();
    let program = std::env::current_exe()?;
    let (count, series, seed) = (load.targets.to_string(), load.series_a_target.to_string(), seed.to_string());
    let arguments = ["targets", "--port", &port, "--count", &count, "--series", &series, "--seed", &seed];
    let mut process = Pinned::start(OTHER_CORE, &program, &arguments, &folder.join("targets.log"))?;
    process::wait_ready(&mut process, &address, "/metrics")?;
    Ok((process, port.parse()?))
}

fn start_receiver(folder: &Path) -> Result<(Pinned, String), Box<dyn Error>> {
    let address = process::free_address()?;
    let program = std::env::current_exe()?;
    let arguments = ["receiver", "--listen", &address];
    let mut process = Pinned::start(OTHER_CORE, &program, &arguments, &folder.join("receiver.log"))?;
    process::wait_ready(&mut process, &address, "/bench/summary")?;
    Ok((process, address))
}
