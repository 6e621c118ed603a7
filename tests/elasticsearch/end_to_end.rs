//! The binary with the configuration that the quickstart begins with, from a container's file to the real
//! server.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::binary;
use crate::server::{Server, until};

const CONFIG: &str = r#"
data_dir: /var/lib/tailwater
admin: { listen: "127.0.0.1:7780" }
health: { listen: "127.0.0.1:7781" }
sources:
  file/containers: { include: ["/var/log/containers/*.log"], format: container, start_at: beginning }
transforms:
  steps/main:
    inputs: [file/containers]
    steps:
      - parse_json: { on_error: keep }
      - drop: 'attributes["level"] == "debug"'
      - redact: { fields: ['attributes["user_email"]'], patterns: [email] }
      - set: 'attributes["env"] = "prod"'
sinks:
  elasticsearch/logs: { inputs: [steps/main], endpoints: ["http://127.0.0.1:9200"], index: logs, mapping: ecs, compression: none }
  blackhole/null: { inputs: [steps/main] }
"#;

/// A container's log as the kubelet lays it out: the file, and the link by which it is found.
struct Container {
    file: PathBuf,
    lines: u64,
}

impl Container {
    fn new(root: &Path) -> Self {
        let folder = root.join("pods/shop_web-1_0b6f/web");
        fs::create_dir_all(&folder).expect("a folder");
        fs::create_dir_all(root.join("containers")).expect("a folder");
        let file = folder.join("0.log");
        fs::write(&file, "").expect("written");
        std::os::unix::fs::symlink(&file, root.join("containers/web-1_shop_web-c0ffee.log")).expect("linked");
        Self { file, lines: 0 }
    }

    /// Forty more lines: of each ten one is `debug`, one is plain text and one is written in two parts.
    fn write(&mut self) {
        let mut text = String::new();
        for _ in 0..40 {
            let n = self.lines;
            let time = format!("2026-11-24T12:{:02}:{:02}.000000001Z", n / 60 % 60, n % 60);
            let level = if n % 10 == 3 { "debug" } else { "info" };
            let json = format!(r#"{{"level":"{level}","n":{n},"user_email":"jo{n}@example.com"}}"#);
            text += &match n % 10 {
                4 => format!("{time} stderr F plain {n}\n"),
                5 => format!("{time} stdout P {}\n{time} stdout F {}\n", &json[..20], &json[20..]),
                _ => format!("{time} stdout F {json}\n"),
            };
            self.lines += 1;
        }
        let mut file = OpenOptions::new().append(true).create(true).open(&self.file).expect("opened");
        file.write_all(text.as_bytes()).expect("written");
    }

    fn rotate(&self, stamp: &str) {
        fs::rename(&self.file, self.file.with_file_name(format!("0.log.{stamp}"))).expect("renamed");
        fs::write(&self.file, "").expect("written");
    }

    /// Numbers of the lines that are to arrive.
    fn expected(&self) -> Vec<u64> {
        (0..self.lines).filter(|n| n % 10 != 3).collect()
    }
}

/// Documents by the number of their line; each line is there once.
async fn stored(server: &Server) -> BTreeMap<u64, Value> {
    let documents = server.documents("logs").await;
    let count = documents.len();
    let number = |source: &Value| {
        let plain = || source["message"].as_str()?.strip_prefix("plain ")?.parse().ok();
        source["n"].as_u64().or_else(plain).unwrap_or_else(|| panic!("no number: {source}"))
    };
    let by_number: BTreeMap<u64, Value> = documents.into_iter().map(|(_, source)| (number(&source), source)).collect();
    assert_eq!(by_number.len(), count, "a line is stored twice");
    by_number
}

#[tokio::test]
async fn lines_of_a_container_arrive_once_across_rotations_and_a_restart() {
    let server = Server::shared();
    let root = tempfile::tempdir().expect("a folder");
    let path = |name: &str| root.path().join(name).display().to_string();
    let config = CONFIG
        .replace("/var/lib/tailwater", &path("data"))
        .replace("/var/log/containers", &path("containers"))
        .replace("127.0.0.1:7780", "127.0.0.1:0")
        .replace("127.0.0.1:7781", "127.0.0.1:0")
        .replace("127.0.0.1:9200", &server.address().to_string());
    let file = root.path().join("tailwater.yaml");
    fs::write(&file, config).expect("written");
    server.must("PUT", "/logs", Value::Null).await;

    let mut container = Container::new(root.path());
    container.write();
    for restart in 0..2 {
        let agent = binary::Agent::start(&file);
        for rotation in 0..2 {
            let expected = container.expected();
            until("every line is stored", async || stored(server).await.len() >= expected.len()).await;
            assert_eq!(stored(server).await.into_keys().collect::<Vec<_>>(), expected);
            container.rotate(&format!("20261124-12000{restart}{rotation}"));
            container.write();
        }
        agent.signal("TERM");
        let (status, log) = agent.ended();
        assert!(status.success(), "{status}: {log}");
        container.write();
    }
    let agent = binary::Agent::start(&file);
    let expected = container.expected();
    until("every line is stored", async || stored(server).await.len() >= expected.len()).await;
    agent.signal("TERM");
    agent.ended();

    let documents = stored(server).await;
    assert_eq!(documents.keys().copied().collect::<Vec<_>>(), expected);
    for (n, source) in &documents {
        assert_eq!(source["env"], "prod", "{source}");
        assert!(!source.to_string().contains("example.com"), "{source}");
        let stream = if n % 10 == 4 { "stderr" } else { "stdout" };
        assert_eq!(source["log"]["iostream"], stream, "{source}");
        assert_eq!(source["@timestamp"], format!("2026-11-24T12:{:02}:{:02}.000000001Z", n / 60 % 60, n % 60));
    }
}
