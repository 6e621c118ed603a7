//! A folder for an agent with rules, and what it answers.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::http::{Message, exchange};
use crate::server_process::free_ports;

/// A folder, and the port of the agent's `admin`.
pub struct Setup {
    folder: tempfile::TempDir,
    admin: SocketAddr,
}

impl Setup {
    /// A new one.
    pub fn new() -> Self {
        let [port] = free_ports();
        Self { folder: tempfile::tempdir().expect("a folder"), admin: ([127, 0, 0, 1], port).into() }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes rules, and a configuration with these parts; JSON is YAML.
    pub fn configure(&self, rules: &str, parts: Value) -> PathBuf {
        std::fs::write(self.path("rules.yaml"), rules).expect("it can be written");
        std::fs::write(self.path("key"), "0123456789abcdef0123456789abcdef").expect("it can be written");
        let config = self.path("tailwater.yaml");
        let mut text = json!({
            "data_dir": self.path("data"),
            "identity": { "cluster": "test" },
            "admin": { "listen": self.admin.to_string() },
            "health": { "listen": "off" },
        });
        for (key, part) in parts.as_object().expect("parts") {
            text[key] = part.clone();
        }
        std::fs::write(&config, text.to_string()).expect("it can be written");
        config
    }

    /// `data` of an answer of the agent's API; none while it does not listen.
    pub async fn api(&self, path: &str) -> Option<Value> {
        let request = Message { first_line: format!("GET {path} HTTP/1.1"), ..Message::default() };
        let answer = exchange(self.admin, request).await?;
        let mut body: Value = serde_json::from_slice(&answer.body).ok()?;
        assert_eq!(body["status"], "success", "{path}: {body}");
        Some(body["data"].take())
    }

    /// Where the agent's API is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// A receiver that pages by PagerDuty at `url`, every alert alone and at once.
    pub fn pages(&self, url: &str) -> Value {
        json!({
            "route": { "receiver": "oncall", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s" },
            "receivers": [{
                "name": "oncall",
                "pagerduty_configs": [{ "routing_key_file": self.path("key"), "url": url }],
            }],
        })
    }
}
