//! Who is measured: this agent and its peers, each with the configuration that a user would give it for the same work.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

use clap::ValueEnum;

use super::Load;
use super::targets;
use crate::agent::AGENT_CORE;
use crate::process::{self, Pinned};

/// An agent that scrapes and sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// This agent, remote write 1.0.
    Tailwater1,
    /// This agent, remote write 2.0.
    Tailwater2,
    /// Prometheus in agent mode, remote write 1.0.
    Prometheus1,
    /// Prometheus in agent mode, remote write 2.0.
    Prometheus2,
    /// vmagent, remote write 1.0.
    Vmagent,
}

impl Contender {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Tailwater1, Self::Tailwater2, Self::Prometheus1, Self::Prometheus2, Self::Vmagent];

    /// What the report calls it; also the path that it writes to.
    pub fn path(self) -> &'static str {
        match self {
            Self::Tailwater1 => "tailwater-1.0",
            Self::Tailwater2 => "tailwater-2.0",
            Self::Prometheus1 => "prometheus-1.0",
            Self::Prometheus2 => "prometheus-2.0",
            Self::Vmagent => "vmagent-1.0",
        }
    }

    /// Starts it in `folder` on the targets at `port`; what it sends goes to `receiver`. This agent is `binary`.
    pub fn start(
        self,
        binary: &Path,
        folder: &Path,
        load: &Load,
        port: u16,
        receiver: &str,
    ) -> Result<Pinned, Box<dyn Error>> {
        let folder = folder.join(self.path());
        fs::create_dir_all(&folder)?;
        let url = format!("http://{receiver}/{}", self.path());
        let (listen, ready) = (process::free_address()?, process::free_address()?);
        let targets: Vec<_> = (0..load.targets).map(|index| targets::address(index, port).to_string()).collect();
        let scrape = format!(
            "[{{ job_name: bench, scrape_interval: {0}s, scrape_timeout: {0}s, static_configs: [{{ targets: {targets:?} }}] }}]",
            load.interval
        );
        let data = folder.join("data").display().to_string();
        let config = folder.join("config.yaml");
        let (program, arguments, text, (address, path)) = match self {
            Self::Tailwater1 | Self::Tailwater2 => {
                let version = if self == Self::Tailwater1 { "1.0" } else { "2.0" };
                let text = format!(
                    "data_dir: {data}\nadmin: {{ listen: \"{listen}\" }}\nhealth: {{ listen: \"{ready}\" }}\nseries: {{ limit: {} \
                     }}\nsources:\n  prometheus_scrape/bench: {{ scrape_configs: {scrape} }}\nsinks:\n  \
                     prometheus_remote_write/bench: {{ inputs: [prometheus_scrape/bench], url: \"{url}\", version: \
                     \"{version}\" }}\n",
                    2 * load.series()
                );
                let arguments = vec!["run".into(), "--config".into(), config.display().to_string()];
                (binary.to_owned(), arguments, text, (ready, "/livez"))
            }
            Self::Prometheus1 | Self::Prometheus2 => {
                let version = if self == Self::Prometheus1 {
                    "prometheus.WriteRequest"
                } else {
                    "io.prometheus.write.v2.Request"
                };
                let text = format!(
                    "scrape_configs: {scrape}\nremote_write: [{{ url: \"{url}\", protobuf_message: {version} }}]\n"
                );
                let arguments = vec![
                    "--agent".into(),
                    format!("--config.file={}", config.display()),
                    format!("--storage.agent.path={data}"),
                    format!("--web.listen-address={listen}"),
                ];
                (process::fetched("prometheus")?.join("prometheus"), arguments, text, (listen, "/-/ready"))
            }
            Self::Vmagent => {
                let arguments = vec![
                    format!("-promscrape.config={}", config.display()),
                    format!("-remoteWrite.tmpDataPath={data}"),
                    format!("-remoteWrite.url={url}"),
                    // Its own protocol would be refused by other receivers.
                    "-remoteWrite.forcePromProto".into(),
                    format!("-httpListenAddr={listen}"),
                ];
                (
                    process::fetched("vmagent")?.join("vmagent"),
                    arguments,
                    format!("scrape_configs: {scrape}\n"),
                    (listen, "/health"),
                )
            }
        };
        fs::write(&config, text)?;
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let log = folder.join("log");
        let mut agent = Pinned::start(AGENT_CORE, &program, &arguments, &log)?;
        process::wait_ready(&mut agent, &address, path).map_err(|error| {
            let words = fs::read_to_string(&log).unwrap_or_default();
            io::Error::new(error.kind(), format!("{} did not start: {error}\n{words}", self.path()))
        })?;
        Ok(agent)
    }
}
