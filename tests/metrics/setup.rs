//! An agent's configuration and folder, and what it is started with.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::agent::Agent;

/// A folder for an agent.
pub struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    /// A new one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a configuration with these components; JSON is YAML.
    pub fn configure(&self, sources: Value, sinks: Value) -> PathBuf {
        let config = self.path("tailwater.yaml");
        let text = json!({
            "data_dir": self.path("data"),
            "admin": { "listen": "127.0.0.1:0" },
            "health": { "listen": "127.0.0.1:0" },
            "sources": sources,
            "sinks": sinks,
        });
        std::fs::write(&config, text.to_string()).expect("it can be written");
        config
    }

    /// An agent that scrapes these jobs and sends to `url`.
    pub fn scrape_and_send(&self, jobs: Value, url: &str, version: &str) -> Agent {
        let source = json!({ "prometheus_scrape/app": { "scrape_configs": jobs } });
        let sink = json!({ "inputs": ["prometheus_scrape/app"], "url": url, "version": version });
        Agent::start(&self.configure(source, json!({ "prometheus_remote_write/out": sink })))
    }
}
