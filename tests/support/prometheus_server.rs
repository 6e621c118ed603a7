//! The real Prometheus on a free loopback port with a data folder of its own: as a receiver of remote write whose
//! samples can be read back one by one, as a scraper to compare with, and as a sender (its agent mode).

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::http::{self, Message};
use crate::server_process::{ServerProcess, free_ports, new_folder};

/// The labels of a series, `__name__` among them.
pub type Labels = BTreeMap<String, String>;

/// The samples of series as the server stores them, oldest first: milliseconds and the value in Prometheus's words
/// (`1`, `0.1`, `NaN`, `+Inf`), or the JSON of a native histogram.
pub type Samples = BTreeMap<Labels, Vec<(i64, String)>>;

/// How it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Stores what it scrapes and what is written to it. A sample that is older than one of its series is refused,
    /// unless the configuration has an `out_of_order_time_window`.
    Server,
    /// Scrapes and sends, as an agent.
    Agent,
}

/// A running server.
pub struct PrometheusServer {
    address: SocketAddr,
    folder: PathBuf,
    mode: Mode,
    process: Option<ServerProcess>,
}

impl PrometheusServer {
    /// A server that scrapes nothing and takes what is written to it.
    pub async fn receiver() -> Self {
        Self::start(Mode::Server, "").await
    }

    /// A server with this configuration, YAML.
    pub async fn start(mode: Mode, config: &str) -> Self {
        let [port] = free_ports();
        let folder = new_folder("prometheus");
        std::fs::write(folder.join("prometheus.yml"), config).expect("a configuration");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Self { address, folder, mode, process: None };
        server.resume().await;
        server
    }

    /// Ends the process; what it stores is kept.
    pub fn pause(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    /// Starts it again after [`Self::pause`], at the same address with the same data.
    pub async fn resume(&mut self) {
        let mut arguments = vec![
            // Deleted by this struct, since a pause is no end.
            String::new(),
            format!("--config.file={}", self.folder.join("prometheus.yml").display()),
            format!("--web.listen-address={}", self.address),
            "--web.enable-lifecycle".into(),
            "--enable-feature=exemplar-storage,native-histograms,metadata-wal-records".into(),
        ];
        let data = self.folder.join("data");
        if self.mode == Mode::Agent {
            arguments.extend(["--agent".into(), format!("--storage.agent.path={}", data.display())]);
        } else {
            arguments.push(format!("--storage.tsdb.path={}", data.display()));
            arguments.push("--web.enable-remote-write-receiver".into());
            arguments.push("--web.enable-otlp-receiver".into());
            for accepted in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
                arguments.push(format!("--web.remote-write-receiver.accepted-protobuf-messages={accepted}"));
            }
        }
        let mut process = ServerProcess::start("prometheus", &arguments, &self.folder.join("prometheus.log"));
        let address = self.address;
        process.wait_ready(|| async move { get(address, "/-/ready").await.is_some() }).await;
        self.process = Some(process);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where remote write goes.
    pub fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// What it said.
    pub fn log(&self) -> String {
        self.process.as_ref().map(ServerProcess::log).unwrap_or_default()
    }

    /// `data` of an answer of its API.
    pub async fn api(&self, path: &str) -> Value {
        let body = get(self.address, path).await.unwrap_or_else(|| panic!("no answer to {path}: {}", self.log()));
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].take()
    }

    /// Every sample of the last hour of every series that the selector matches, staleness markers excepted, which
    /// its query API hides.
    pub async fn samples(&self, selector: &str) -> Samples {
        let found = self.api(&format!("/api/v1/query?query={}", encoded(&format!("{selector}[1h]")))).await;
        let mut samples = Samples::new();
        for series in found["result"].as_array().expect("a matrix") {
            let labels: Labels = serde_json::from_value(series["metric"].clone()).expect("labels");
            let of_series = samples.entry(labels).or_default();
            for kind in ["values", "histograms"] {
                for pair in series[kind].as_array().into_iter().flatten() {
                    let millis = (pair[0].as_f64().expect("seconds") * 1000.0).round() as i64;
                    let value = pair[1].as_str().map_or_else(|| pair[1].to_string(), str::to_owned);
                    of_series.push((millis, value));
                }
            }
            of_series.sort();
        }
        samples
    }

    /// Every sample of the last hour.
    pub async fn all_samples(&self) -> Samples {
        self.samples(r#"{__name__=~".+"}"#).await
    }

    /// Whether a series is seen now: false also where a staleness marker ended it.
    pub async fn is_live(&self, selector: &str) -> bool {
        let found = self.api(&format!("/api/v1/query?query={}", encoded(selector))).await;
        found["result"].as_array().is_some_and(|result| !result.is_empty())
    }

    /// Its own metrics, in the text format.
    pub async fn own_metrics(&self) -> String {
        String::from_utf8(get(self.address, "/metrics").await.unwrap_or_default()).expect("UTF-8")
    }
}

impl Drop for PrometheusServer {
    fn drop(&mut self) {
        self.pause();
        // What is left lies in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What `promtool` says about a file: its exit code and its words.
pub fn promtool(arguments: &[&str], input: &Path) -> (i32, String) {
    let output = std::process::Command::new(crate::server_process::script("prometheus"))
        .arg("promtool")
        .args(arguments)
        .stdin(std::fs::File::open(input).expect("an input"))
        .output()
        .expect("promtool runs");
    let words = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&words).into_owned())
}

/// The body of a 200 answer.
async fn get(address: SocketAddr, path: &str) -> Option<Vec<u8>> {
    let request = Message { first_line: format!("GET {path} HTTP/1.1"), ..Message::default() };
    let answer = http::exchange(address, request).await?;
    (answer.status() == 200).then_some(answer.body)
}

/// Percent-encoded for a query (RFC 3986, 2.1).
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
