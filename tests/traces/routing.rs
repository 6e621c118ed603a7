//! Whole traces in one place: an agent before three others, each of which sees all spans of its traces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::agent::Agent;
use crate::server_process::{free_ports, new_folder, script};

/// Span ids by their traces, in a file of OTLP/JSON.
fn spans(file: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // The last line may still be on its way.
    for request in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let each = |value: &Value, list: &str| value[list].as_array().cloned().unwrap_or_default();
        let scopes = each(&request, "resourceSpans").into_iter().flat_map(|resource| each(&resource, "scopeSpans"));
        for span in scopes.flat_map(|scope| each(&scope, "spans")) {
            let id = |key: &str| span[key].as_str().expect("an id").to_owned();
            found.entry(id("traceId")).or_default().insert(id("spanId"));
        }
    }
    found
}

#[tokio::test]
async fn every_trace_of_telemetrygen_is_whole_in_one_of_three_agents() {
    let folder = new_folder("routing");
    let [port, gateways @ ..]: [u16; 4] = free_ports();
    let agent = |name: &str, rest: String| {
        let config = folder.join(format!("{name}.yaml"));
        let data = folder.join(name);
        let head = format!("data_dir: {}\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\n", data.display());
        std::fs::write(&config, head + &rest).expect("a configuration");
        Agent::start(&config)
    };
    let source = |port: u16| {
        format!("sources:\n  otlp/in: {{ grpc: {{ listen: \"127.0.0.1:{port}\" }}, http: {{ listen: off }} }}\n")
    };
    let files = gateways.map(|port| folder.join(format!("{port}.ndjson")));
    let behind: Vec<_> = gateways
        .iter()
        .zip(&files)
        .map(|(port, file)| {
            let sink = format!("sinks:\n  file/out: {{ inputs: [otlp/in.traces], path: {} }}\n", file.display());
            agent(&port.to_string(), source(*port) + &sink)
        })
        .collect();
    let endpoints = gateways.map(|port| format!("\"http://127.0.0.1:{port}\"")).join(", ");
    let sink = format!(
        "sinks:\n  otlp/gateways: {{ inputs: [otlp/in.traces], endpoints: [{endpoints}], routing: trace_id }}\n"
    );
    let front = agent("front", source(port) + &sink);
    let run = move || {
        let to = format!("127.0.0.1:{port}");
        let arguments = [
            "traces",
            "--otlp-insecure",
            "--traces",
            "60",
            "--child-spans",
            "4",
            "--rate",
            "0",
            "--otlp-endpoint",
            &to,
        ];
        // Until the agents listen it fails.
        for _ in 0..50 {
            let output = Command::new(script("telemetrygen")).args(arguments).output().expect("telemetrygen runs");
            if output.status.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("telemetrygen cannot send");
    };
    tokio::task::spawn_blocking(run).await.expect("it sends");
    let all = || files.each_ref().map(|file| spans(file));
    let count = || all().iter().flat_map(BTreeMap::values).map(BTreeSet::len).sum::<usize>();
    let wait = async {
        while count() < 60 * 5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert!(waited.is_ok(), "{} spans of 300\n{}", count(), front.log());
    let all = all();
    let traces: Vec<_> = all.iter().flat_map(BTreeMap::keys).collect();
    assert_eq!(traces.len(), traces.iter().collect::<BTreeSet<_>>().len(), "a trace is in two places");
    assert!(all.iter().flat_map(BTreeMap::values).all(|spans| spans.len() == 5), "a trace is not whole");
    assert!(all.iter().all(|of_one| of_one.len() > 5), "{:?}", all.map(|of_one| of_one.len()));
    drop(behind);
}
