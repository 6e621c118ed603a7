//! The agent under measurement: the release binary on one core, with the configuration of one path.

use std::fs;
use std::io;
use std::path::Path;

use crate::process::{self, Pinned};

/// Core of the agent. The sink, and whoever writes logs, use [`OTHER_CORE`].
pub const AGENT_CORE: usize = 0;
/// The core that the agent does not use.
pub const OTHER_CORE: usize = 1;

/// A path through the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// tail → CRI → parse_json → drop by level → blackhole.
    Blackhole,
    /// The same → Elasticsearch, uncompressed.
    Elasticsearch,
    /// With redact and set → Elasticsearch, uncompressed.
    RedactAndSet,
    /// drop → Elasticsearch, gzip.
    Gzip,
    /// Nothing but the defaults of the sink, without a drop.
    Defaults,
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    /// Its process.
    pub process: Pinned,
    health: String,
}

impl Agent {
    /// Starts the agent in `folder` on the links in `containers`; what it sends goes to `sink`.
    pub fn start(flow: Flow, folder: &Path, containers: &Path, sink: &str) -> io::Result<Self> {
        let health = process::free_address()?;
        let config = folder.join("tailwater.yaml");
        fs::write(&config, configuration(flow, folder, containers, sink, &health)?)?;
        let config = config.to_string_lossy();
        let log = folder.join("agent.log");
        let program = Path::new(env!("CARGO_BIN_EXE_tailwater"));
        let mut process = Pinned::start(AGENT_CORE, program, &["run", "--config", &config], &log)?;
        process::wait_ready(&mut process, &health, "/livez").map_err(|error| {
            let words = fs::read_to_string(&log).unwrap_or_default();
            io::Error::new(error.kind(), format!("the agent did not start: {error}\n{words}"))
        })?;
        Ok(Self { process, health })
    }

    /// Sum of a counter over all components whose name starts with `component`.
    pub fn counter(&self, name: &str, component: &str) -> io::Result<u64> {
        let text = process::get(&self.health, "/metrics")?;
        let start = format!("{name}{{component=\"{component}");
        let lines = String::from_utf8_lossy(&text);
        let values = lines.lines().filter(|line| line.starts_with(&start)).filter_map(|line| line.rsplit(' ').next());
        Ok(values.filter_map(|value| value.parse::<f64>().ok()).sum::<f64>() as u64)
    }
}

fn configuration(flow: Flow, folder: &Path, containers: &Path, sink: &str, health: &str) -> io::Result<String> {
    let admin = process::free_address()?;
    let (data, containers) = (folder.join("data"), containers.display());
    let mut steps = vec!["parse_json: { on_error: keep }"];
    if flow != Flow::Defaults {
        steps.push(r#"drop: 'attributes["level"] == "debug"'"#);
    }
    if flow == Flow::RedactAndSet {
        steps.push(r#"redact: { fields: ['attributes["user_email"]'], patterns: [email] }"#);
        steps.push(r#"set: 'attributes["env"] = "prod"'"#);
    }
    let steps: String = steps.iter().map(|step| format!("      - {step}\n")).collect();
    let elasticsearch = format!("inputs: [steps/main], endpoints: [\"http://{sink}\"], index: logs, mapping: ecs");
    let sinks = match flow {
        Flow::Blackhole => "blackhole/null: { inputs: [steps/main] }".to_owned(),
        Flow::Gzip => format!("elasticsearch/logs: {{ {elasticsearch}, compression: gzip }}"),
        Flow::Defaults => format!("elasticsearch/logs: {{ {elasticsearch} }}"),
        Flow::Elasticsearch | Flow::RedactAndSet => {
            format!("elasticsearch/logs: {{ {elasticsearch}, compression: none }}")
        }
    };
    Ok(format!(
        "data_dir: {data}\nadmin: {{ listen: \"{admin}\" }}\nhealth: {{ listen: \"{health}\" }}\nsources:\n  file/containers: \
         {{ include: [\"{containers}/*.log\"], format: container, start_at: beginning }}\ntransforms:\n  steps/main:\n    \
         inputs: [file/containers]\n    steps:\n{steps}sinks:\n  {sinks}\n",
        data = data.display()
    ))
}
