//! The path of traces: requests of 200 spans over gRPC through the agent to a receiver that counts, beside a forwarder
//! that does nothing but forward bytes, in turns on the same core.
//!
//! Ratios of one run are what counts.

pub mod raw;
pub mod receiver;
mod report;
mod requests;

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};

use receiver::Received;

use crate::agent::{AGENT_CORE, OTHER_CORE};
use crate::process::{self, Pinned};
use crate::report::Report;

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Seconds of each run.
    #[arg(long, default_value_t = SECONDS)]
    seconds: u64,
    /// Times each is measured, in turns; the median counts.
    #[arg(long, default_value_t = REPEAT)]
    repeat: usize,
    /// What to measure; all of it unless said. Results are written to `benches/results` only for all of everything.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contender>,
    /// Connections of the load.
    #[arg(long, default_value_t = CONNECTIONS)]
    connections: usize,
    /// Requests under way on each.
    #[arg(long, default_value_t = IN_FLIGHT)]
    in_flight: usize,
    /// The binary of this agent, instead of the one that `cargo bench` builds.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Seed of the spans.
    #[arg(long, default_value_t = 20_261_129)]
    seed: u64,
}

const SECONDS: u64 = 10;
const REPEAT: usize = 5;
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 4;
/// Seconds before what is measured begins.
const WARM: u64 = 2;

/// Who forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// tonic with a codec of raw bytes, and nothing else.
    Forwarder,
    /// This agent, nothing between.
    Bare,
    /// This agent, a condition evaluated on every span.
    Condition,
    /// This agent, the condition and an attribute set on every span.
    Edit,
}

impl Contender {
    const ALL: [Self; 4] = [Self::Forwarder, Self::Bare, Self::Condition, Self::Edit];

    fn steps(self) -> &'static [&'static str] {
        match self {
            Self::Forwarder | Self::Bare => &[],
            Self::Condition => &[DROP],
            Self::Edit => &[DROP, r#"set: 'attributes["deployment.environment.name"] = "production"'"#],
        }
    }

    /// Starts it; what it is sent goes to `to`. Returns where it listens.
    fn start(self, binary: &Path, folder: &Path, to: &str) -> Result<(Pinned, String), Box<dyn Error>> {
        let listen = process::free_address()?;
        let log = folder.join("log");
        if self == Self::Forwarder {
            let program = std::env::current_exe()?;
            return Ok((
                Pinned::start(AGENT_CORE, &program, &["forward", "--listen", &listen, "--to", to], &log)?,
                listen,
            ));
        }
        let (admin, health) = (process::free_address()?, process::free_address()?);
        let steps: String = self.steps().iter().map(|step| format!("      - {step}\n")).collect();
        let (transforms, input) = match steps.is_empty() {
            true => (String::new(), "otlp/apps.traces"),
            false => (
                format!("transforms:\n  steps/main:\n    inputs: [otlp/apps.traces]\n    steps:\n{steps}"),
                "steps/main",
            ),
        };
        let config = folder.join("tailwater.yaml");
        let text = format!(
            "data_dir: {data}\nadmin: {{ listen: \"{admin}\" }}\nhealth: {{ listen: \"{health}\" }}\nsources:\n  otlp/apps: {{ grpc: {{ \
             listen: \"{listen}\" }}, http: {{ listen: off }} }}\n{transforms}sinks:\n  otlp/next: {{ inputs: [{input}], \
             endpoints: [\"http://{to}\"], compression: none }}\n",
            data = folder.join("data").display()
        );
        fs::write(&config, text)?;
        let config = config.display().to_string();
        let mut agent = Pinned::start(AGENT_CORE, binary, &["run", "--config", &config], &log)?;
        process::wait_ready(&mut agent, &health, "/livez").map_err(|error| {
            let words = fs::read_to_string(&log).unwrap_or_default();
            io::Error::new(error.kind(), format!("the agent did not start: {error}\n{words}"))
        })?;
        Ok((agent, listen))
    }
}

/// True of no span: what it asks for stands last among the attributes.
const DROP: &str = r#"drop: 'attributes["user_agent.original"] == "kube-probe/1.36"'"#;

/// What one of them did.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Processor time while it was measured.
    pub cpu: Duration,
    /// What arrived in that time.
    pub received: Received,
    /// Most resident memory.
    pub peak_rss: u64,
}

impl Row {
    /// Processor time a span, in nanoseconds.
    pub fn nanos_a_span(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.received.spans as f64
    }
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end_to_end_traces");
    let contenders = if options.only.is_empty() { Contender::ALL.to_vec() } else { options.only.clone() };
    let command = format!("traces --seconds {} --repeat {}", options.seconds, options.repeat);
    let mut report = Report::new("Traces, end to end", &command);
    let requests = requests::make(options.seed);
    let bytes: usize = requests.iter().map(bytes::Bytes::len).sum();
    report.traces_load(bytes as f64 / requests.len() as f64, options.connections, options.in_flight);
    let mut measured = vec![Vec::new(); contenders.len()];
    for _ in 0..options.repeat.max(1) {
        for (contender, rows) in contenders.iter().zip(&mut measured) {
            rows.push(measure(*contender, options, &folder)?);
        }
    }
    for rows in &mut measured {
        rows.sort_by(|a, b| a.nanos_a_span().total_cmp(&b.nanos_a_span()));
    }
    report.traces_rows(&contenders, &measured);
    let whole = options.only.is_empty() && options.binary.is_none() && options.seconds == SECONDS;
    report.finish(whole && options.repeat == REPEAT, "-traces")
}

fn measure(contender: Contender, options: &Options, folder: &Path) -> Result<Row, Box<dyn Error>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let program = std::env::current_exe()?;
    let to = process::free_address()?;
    let mut receiver =
        Pinned::start(OTHER_CORE, &program, &["counter", "--listen", &to], &folder.join("receiver.log"))?;
    process::wait_ready(&mut receiver, &to, "/")?;
    let binary = options.binary.as_deref().unwrap_or(Path::new(env!("CARGO_BIN_EXE_tailwater")));
    let (mut agent, listen) = contender.start(binary, folder, &to)?;
    let mut load = Command::new("taskset");
    load.args(["-c", &OTHER_CORE.to_string()]).arg(&program).args(["load", "--to", &listen]);
    load.args(["--seconds", &(options.seconds + 2 * WARM).to_string(), "--seed", &options.seed.to_string()]);
    load.args(["--connections", &options.connections.to_string(), "--in-flight", &options.in_flight.to_string()]);
    let load = load.stdout(Stdio::piped()).spawn()?;
    std::thread::sleep(Duration::from_secs(WARM));
    let (cpu, before) = (agent.cpu()?, received(&to)?);
    std::thread::sleep(Duration::from_secs(options.seconds));
    let (cpu_after, after) = (agent.cpu()?, received(&to)?);
    let said = String::from_utf8(load.wait_with_output()?.stdout)?;
    let (sent, failed) = said.trim().split_once(' ').ok_or("the load said nothing")?;
    let all = received(&to)?;
    agent.check()?;
    if failed != "0" || all.broken > 0 || sent.parse::<u64>()? * requests::SPANS as u64 != all.spans {
        let words = format!("{contender:?}: {sent} requests were answered, {failed} were not, {all:?} arrived");
        return Err(format!("{words}; see {}", folder.display()).into());
    }
    let peak_rss = agent.peak_rss()?;
    drop(agent);
    let received = Received {
        requests: after.requests - before.requests,
        bytes: after.bytes - before.bytes,
        spans: after.spans - before.spans,
        broken: 0,
    };
    Ok(Row { cpu: cpu_after - cpu, received, peak_rss })
}

fn received(at: &str) -> Result<Received, Box<dyn Error>> {
    Ok(serde_json::from_slice(&process::get(at, "/")?)?)
}
