//! The real Alertmanager on a free loopback port, by itself, with a folder of its own: what alerts it holds can be read back.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::http::{self, Message};
use crate::server_process::{ServerProcess, free_ports, new_folder};

/// Longest wait for a state; a loaded machine is no failure.
const LIMIT: Duration = Duration::from_secs(60);

/// A running server.
pub struct AlertmanagerServer {
    address: SocketAddr,
    process: ServerProcess,
}

impl AlertmanagerServer {
    /// A server with one receiver, who tells nobody.
    pub async fn start() -> Self {
        Self::with("route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").await
    }

    /// A server with this configuration, YAML.
    pub async fn with(config: &str) -> Self {
        let [port] = free_ports();
        let folder = new_folder("alertmanager");
        std::fs::write(folder.join("alertmanager.yml"), config).expect("a configuration");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let arguments = [
            folder.display().to_string(),
            format!("--config.file={}", folder.join("alertmanager.yml").display()),
            format!("--storage.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".into(),
        ];
        let mut process = ServerProcess::start("alertmanager", &arguments, &folder.join("alertmanager.log"));
        process.wait_ready(|| async move { get(address, "/-/ready").await.is_some() }).await;
        Self { address, process }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The alerts that it holds for active.
    pub async fn alerts(&self) -> Vec<Value> {
        let body = get(self.address, "/api/v2/alerts").await.unwrap_or_else(|| panic!("no answer: {}", self.log()));
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Waits until the alerts that it holds for active are as wanted.
    pub async fn wait(&self, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let wait = async {
            loop {
                let alerts = self.alerts().await;
                if wanted(&alerts) {
                    return alerts;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, wait).await;
        match waited {
            Ok(alerts) => alerts,
            Err(_) => panic!("not within a minute: {what}: {:#?}", self.alerts().await),
        }
    }

    /// What it said.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

async fn get(address: SocketAddr, path: &str) -> Option<Vec<u8>> {
    let request = Message { first_line: format!("GET {path} HTTP/1.1"), ..Message::default() };
    let answer = http::exchange(address, request).await?;
    (answer.status() == 200).then_some(answer.body)
}
