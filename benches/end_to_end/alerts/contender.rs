//! Who is measured: this agent, and Prometheus as a server.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

use crate::agent::AGENT_CORE;
use crate::process::{self, Pinned};

/// Who evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// This agent.
    Tailwater,
    /// Prometheus.
    Prometheus,
}

/// A running one.
pub struct Running {
    /// Its process.
    pub process: Pinned,
    /// Where its query API is.
    pub api: String,
    /// Where it takes remote write.
    pub write: String,
}

impl Contender {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tailwater, Self::Prometheus];

    /// What the report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tailwater => "tailwater",
            Self::Prometheus => "prometheus",
        }
    }

    /// Starts it in `folder`. It scrapes what `scrape` says, as Prometheus's `scrape_configs`, every so many seconds, and
    /// evaluates the rule file as often; where nothing is scraped it takes remote write.
    pub fn start(
        self,
        folder: &Path,
        scrape: Option<&str>,
        rules: Option<&Path>,
        interval: u64,
    ) -> Result<Running, Box<dyn Error>> {
        let folder = folder.join(self.name());
        fs::create_dir_all(&folder)?;
        let (api, other, write) = (process::free_address()?, process::free_address()?, process::free_address()?);
        let data = folder.join("data").display().to_string();
        let config = folder.join("config.yaml");
        let rule_files = rules.map(|rules| rules.display().to_string()).into_iter().collect::<Vec<_>>();
        let (program, arguments, text, ready, path, write) = match self {
            Self::Tailwater => {
                let (source, input) = match scrape {
                    Some(scrape) => {
                        (format!("prometheus_scrape/bench: {{ scrape_configs: {scrape} }}"), "prometheus_scrape/bench")
                    }
                    None => (
                        format!("prometheus_remote_write/bench: {{ listen: \"{write}\" }}"),
                        "prometheus_remote_write/bench",
                    ),
                };
                let selectors = if scrape.is_some() { "[]" } else { "['{__name__=~\".+\"}']" };
                let text = format!(
                    "data_dir: {data}\nidentity: {{ cluster: bench }}\nadmin: {{ listen: \"{api}\" }}\nhealth: {{ listen: \
                     \"{other}\" }}\nsources:\n  {source}\nalerting:\n  inputs: [{input}]\n  rule_files: \
                     {rule_files:?}\n  evaluation_interval: {interval}s\n  missing_input: prometheus\n  store: {{ \
                     selectors: {selectors}, max_bytes: 1GiB }}\n"
                );
                let arguments = vec!["run".into(), "--config".into(), config.display().to_string()];
                let write = format!("{write}/api/v1/write");
                (Path::new(env!("CARGO_BIN_EXE_tailwater")).to_owned(), arguments, text, other, "/livez", write)
            }
            Self::Prometheus => {
                let text = format!(
                    "global: {{ evaluation_interval: {interval}s }}\nrule_files: {rule_files:?}\nscrape_configs: {}\n",
                    scrape.unwrap_or("[]")
                );
                let arguments = vec![
                    format!("--config.file={}", config.display()),
                    format!("--storage.tsdb.path={data}"),
                    format!("--web.listen-address={api}"),
                    "--web.enable-remote-write-receiver".into(),
                ];
                let program = process::fetched("prometheus")?.join("prometheus");
                let write = format!("{api}/api/v1/write");
                (program, arguments, text, api.clone(), "/-/ready", write)
            }
        };
        fs::write(&config, text)?;
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let log = folder.join("log");
        let mut process = Pinned::start(AGENT_CORE, &program, &arguments, &log)?;
        process::wait_ready(&mut process, &ready, path).map_err(|error| {
            let words = fs::read_to_string(&log).unwrap_or_default();
            io::Error::new(error.kind(), format!("{} did not start: {error}\n{words}", self.name()))
        })?;
        Ok(Running { process, api, write })
    }
}
