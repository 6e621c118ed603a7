//! The agent's own traces: what they say of a batch's way, into the real Jaeger; and that nothing comes of themselves, not
//! through the agent's own source and not through another agent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::jaeger_server::JaegerServer;
use crate::server_process::{free_ports, new_folder};

/// Longest wait for what must come.
const LIMIT: Duration = Duration::from_secs(120);

fn start(folder: &Path, name: &str, text: &str) -> Agent {
    let config = folder.join(format!("{name}.yaml"));
    let head = format!(
        "data_dir: {}/{name}\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\n\
         identity: {{ cluster: prod, node: {name}, role: node }}\n",
        folder.display()
    );
    std::fs::write(&config, head + text).expect("a configuration");
    Agent::start(&config)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, wait).await.is_ok(), "{what}");
}

/// Posts one span, of a scope of the shop's, until it is taken.
async fn post(to: SocketAddr, number: u64) {
    let span = json!({ "traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "name": "GET /" });
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "scope": { "name": "shop" }, "spans": [span] }] }] });
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    let first_line = "POST /v1/traces HTTP/1.1".into();
    let request = Message { first_line, headers, body: body.to_string().into() };
    until("the span is taken", async || {
        exchange(to, request.clone()).await.is_some_and(|answer| answer.status() == 200)
    })
    .await;
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A source; what it is sent waits long, since one that is sent again would be told of again.
fn source(port: u16, answer_within: &str) -> String {
    format!(
        "  otlp/in:\n    grpc: {{ listen: off }}\n    http: {{ listen: \"127.0.0.1:{port}\" }}\n    \
         answer_within: {answer_within}\n"
    )
}

fn telemetry(to: SocketAddr) -> String {
    format!("telemetry: {{ otlp: {{ endpoint: \"http://{to}\", sample_ratio: 1 }} }}\n")
}

/// Names of the agents' own spans in a file of spans, and those of others.
fn names(path: &Path) -> (Vec<String>, Vec<String>) {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        for scope in line["resourceSpans"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|resource| resource["scopeSpans"].as_array().into_iter().flatten())
        {
            let names = if scope["scope"]["name"] == "tailwater.agent" { &mut own } else { &mut others };
            let spans = scope["spans"].as_array().into_iter().flatten();
            names.extend(spans.map(|span| span["name"].as_str().expect("a name").to_owned()));
        }
    }
    (own, others)
}

#[tokio::test]
async fn the_way_of_a_batch_is_a_trace_in_jaeger() {
    let jaeger = JaegerServer::start().await;
    let folder = new_folder("own");
    let [port, dead] = free_ports();
    let text = format!(
        "{}sources:\n{}transforms:\n  steps/main: {{ inputs: [otlp/in.traces], steps: [{{ drop: 'name == \"noise\"' }}] }}\n\
         sinks:\n  file/out: {{ inputs: [steps/main], path: {}/out.jsonl }}\n  \
         otlp/dead: {{ inputs: [steps/main], endpoint: \"http://127.0.0.1:{dead}\", protocol: http }}\n",
        telemetry(jaeger.http),
        source(port, "5s"),
        folder.display()
    );
    let agent = start(&folder, "node-1", &text);
    post(local(port), 1).await;
    // The sink that has nobody to send to tells of each attempt; the way itself is open until the agent gives up.
    let mut found = Vec::new();
    until("attempts are in Jaeger", async || {
        found = jaeger.traces("tailwater").await;
        !found.is_empty()
    })
    .await;
    agent.signal("TERM");
    let mut spans = Vec::new();
    until("the whole way is in Jaeger", async || {
        spans = jaeger.spans(&found[0], 1).await;
        spans.iter().any(|(span, ..)| span["name"] == "read otlp/in")
    })
    .await;
    let ids: BTreeMap<&str, &str> = spans
        .iter()
        .map(|(span, ..)| (span["spanId"].as_str().expect("an id"), span["name"].as_str().expect("a name")))
        .collect();
    let seen: BTreeSet<(&str, &str)> = spans
        .iter()
        .map(|(span, ..)| {
            let parent = span["parentSpanId"].as_str().unwrap_or_default();
            (span["name"].as_str().expect("a name"), ids.get(parent).copied().unwrap_or_default())
        })
        .collect();
    let expected = [
        ("read otlp/in", ""),
        ("process steps/main", "read otlp/in"),
        ("wait for file/out", "read otlp/in"),
        ("deliver file/out", "read otlp/in"),
        ("wait for otlp/dead", "read otlp/in"),
        ("deliver otlp/dead", "read otlp/in"),
        ("send otlp/dead", "deliver otlp/dead"),
    ];
    assert_eq!(seen, expected.into(), "{}", agent.log());
    let (root, resource, scope) = spans.iter().find(|(span, ..)| span["name"] == "read otlp/in").expect("there");
    let attribute = |of: &Value, key: &str| {
        let attributes = of["attributes"].as_array().expect("attributes");
        attributes.iter().find(|one| one["key"] == key).map(|one| one["value"].clone()).unwrap_or_default()
    };
    assert_eq!(scope["name"], "tailwater.agent");
    assert_eq!(attribute(root, "tailwater.signal")["stringValue"], "traces");
    assert_eq!(attribute(root, "tailwater.records")["intValue"], "1");
    assert_eq!(attribute(root, "tailwater.records.delivered")["intValue"], "1");
    assert_eq!(root["status"]["code"], 2, "one destination never had it: {root}");
    for (key, value) in [("k8s.cluster.name", "prod"), ("k8s.node.name", "node-1"), ("service.name", "tailwater")] {
        assert_eq!(attribute(resource, key)["stringValue"], value, "{resource}");
    }
    assert!(attribute(resource, "service.instance.id")["stringValue"].as_str().is_some_and(|id| id.len() == 36));
}

/// Posts spans to an agent, waits for all that must come of them, and for as long again that nothing else does.
async fn nothing_comes_of_itself(to: SocketAddr, files: &[PathBuf]) {
    const BATCHES: u64 = 5;
    for number in 1..=BATCHES {
        post(to, number).await;
    }
    let own = || files.iter().flat_map(|file| names(file).0).collect::<Vec<_>>();
    // Of each batch: read, wait, deliver.
    let expected = 3 * BATCHES as usize;
    until("the spans about the batches come back", async || own().len() >= expected).await;
    // What came of these spans, had anything, would be sent a second later.
    for _ in 0..3 {
        post(to, BATCHES + 1).await;
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    until("the spans about the last batches come back", async || own().len() >= expected + 9).await;
    assert_eq!(own().len(), expected + 9, "{:?}", own());
}

#[tokio::test]
async fn an_agent_that_sends_to_its_own_source_tells_nothing_of_that() {
    let folder = new_folder("own");
    let [port] = free_ports();
    let out = folder.join("out.jsonl");
    let sinks = format!("sinks:\n  file/out: {{ inputs: [otlp/in.traces], path: {} }}\n", out.display());
    let text = format!("{}sources:\n{}{sinks}", telemetry(local(port)), source(port, "30s"));
    let agent = start(&folder, "node-1", &text);
    nothing_comes_of_itself(local(port), std::slice::from_ref(&out)).await;
    let (own, others) = names(&out);
    assert_eq!(others.len(), 8);
    for name in ["read otlp/in", "wait for file/out", "deliver file/out"] {
        assert_eq!(own.iter().filter(|own| *own == name).count(), 8, "{own:?}");
    }
    agent.stop();
}

#[tokio::test]
async fn two_agents_that_send_to_each_other_tell_nothing_of_that() {
    let folder = new_folder("own");
    let [one, other] = free_ports();
    let outs = ["one", "other"].map(|name| folder.join(format!("{name}.jsonl")));
    let agents = [("one", one, other), ("other", other, one)].map(|(name, port, to)| {
        let out = folder.join(format!("{name}.jsonl"));
        let sinks = format!("sinks:\n  file/out: {{ inputs: [otlp/in.traces], path: {} }}\n", out.display());
        start(&folder, name, &format!("{}sources:\n{}{sinks}", telemetry(local(to)), source(port, "30s")))
    });
    nothing_comes_of_itself(local(one), &outs).await;
    assert_eq!(names(&outs[0]).0.len(), 0, "the other has nothing to tell");
    agents.into_iter().for_each(Agent::stop);
}
