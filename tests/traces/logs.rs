//! Log records through the binary, from agent to agent and into a file: what was sent is what is written.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::server_process::{free_ports, new_folder, script};

/// An agent that takes OTLP and hands it to another by gRPC, which writes it down.
struct Chain {
    grpc: SocketAddr,
    http: SocketAddr,
    file: std::path::PathBuf,
    _agents: [Agent; 2],
}

impl Chain {
    fn start() -> Self {
        let [grpc, http, between] = free_ports();
        let folder = new_folder("logs");
        let file = folder.join("out.ndjson");
        let agent = |name: &str, rest: String| {
            let config = folder.join(format!("{name}.yaml"));
            let data = folder.join(name);
            let head = format!("data_dir: {}\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\n", data.display());
            std::fs::write(&config, head + &rest).expect("a configuration");
            Agent::start(&config)
        };
        let last = agent(
            "last",
            format!(
                "sources:\n  otlp/in: {{ grpc: {{ listen: \"127.0.0.1:{between}\" }}, http: {{ listen: off }} }}\nsinks:\n  \
                 file/out: {{ inputs: [otlp/in.logs], path: {} }}\n",
                file.display()
            ),
        );
        let first = agent(
            "first",
            format!(
                "sources:\n  otlp/in: {{ grpc: {{ listen: \"127.0.0.1:{grpc}\" }}, http: {{ listen: \"127.0.0.1:{http}\" }} }}\n\
                 sinks:\n  otlp/next: {{ inputs: [otlp/in.logs], endpoint: \"http://127.0.0.1:{between}\", \
                 compression: zstd }}\n"
            ),
        );
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { grpc: local(grpc), http: local(http), file, _agents: [first, last] }
    }

    async fn post(&self, body: &Value) -> Message {
        let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
        let request =
            Message { first_line: "POST /v1/logs HTTP/1.1".into(), headers, body: body.to_string().into_bytes() };
        let sent = async {
            loop {
                // Until the second agent listens, the first says to come again.
                if let Some(answer) = exchange(self.http, request.clone()).await
                    && answer.status() != 503
                {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), sent).await.expect("an answer")
    }

    /// The lines of the file once there are so many.
    async fn lines(&self, count: usize) -> Vec<Value> {
        let mut lines = Vec::new();
        let wait = async {
            while lines.len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let text = std::fs::read_to_string(&self.file).unwrap_or_default();
                lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        assert!(waited.is_ok(), "{count} lines");
        lines
    }
}

#[tokio::test]
async fn records_arrive_with_bodies_ids_and_attributes_of_every_kind() {
    let chain = Chain::start();
    let attribute = |key: &str, value: Value| json!({ "key": key, "value": value });
    let record = |body: Value| {
        json!({ "timeUnixNano": "1764380000000000001", "severityNumber": 13, "severityText": "WARN", "body": body,
                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
                "attributes": [attribute("n", json!({ "intValue": "7" })), attribute("yes", json!({ "boolValue": true }))] })
    };
    let bodies = ["first\nsecond \u{1} \"quoted\"", "{\"looks\": \"like JSON\"}"];
    let records: Vec<Value> = bodies.iter().map(|body| record(json!({ "stringValue": body }))).collect();
    let request = json!({ "resourceLogs": [{
        "resource": { "attributes": [attribute("service.name", json!({ "stringValue": "shop" }))] },
        "scopeLogs": [{ "scope": { "name": "checkout" }, "logRecords": records }],
    }] });
    let answer = chain.post(&request).await;
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
    let lines = chain.lines(2).await;
    for (line, body) in lines.iter().zip(bodies) {
        assert_eq!(line["body"]["text"].as_str().or(line["body"].as_str()), Some(body), "{line}");
        let text = line.to_string();
        for expected in [
            "shop",
            "5b8efff798038103d269b633813fc60c",
            "eee19b7ec3c1b174",
            "WARN",
            "\"n\":7",
            "\"yes\":true",
            "checkout",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}

#[tokio::test]
async fn telemetrygen_s_records_all_arrive_by_both_protocols() {
    let chain = Chain::start();
    // Both listen once this is answered.
    chain
        .post(&json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{ "body": { "stringValue": "x" } }] }] }] }))
        .await;
    for (to, over_http) in [(chain.grpc, false), (chain.http, true)] {
        let mut arguments: Vec<String> =
            ["logs", "--otlp-insecure", "--logs", "100", "--rate", "0", "--otlp-endpoint"].map(str::to_owned).into();
        arguments.push(to.to_string());
        if over_http {
            arguments.push("--otlp-http".into());
        }
        let run = move || Command::new(script("telemetrygen")).args(arguments).output();
        let output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("telemetrygen runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(chain.lines(201).await.len(), 201);
}
