//! Reloads while lines keep coming: every line once, also at a sink that cannot tell a repetition.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::agent::Agent;
use crate::http::{self, Message};
use crate::node::Node;
use crate::server::until;

const RELOADS: u32 = 12;

fn configuration(node: &Node, admin: SocketAddr, round: u32) -> String {
    // Every round changes a transform; every third the source's own options, every fourth the graph.
    let exclude = if round % 3 == 2 { "exclude: [\"/nowhere/*.log\"], " } else { "" };
    let extra = if round % 4 == 3 { "  blackhole/more: { inputs: [steps/main] }\n" } else { "" };
    format!(
        r#"
data_dir: {data}
admin: {{ listen: "{admin}" }}
health: {{ listen: "127.0.0.1:0" }}
sources:
  file/containers: {{ include: ["{logs}/*.log"], {exclude}format: container, start_at: beginning }}
transforms:
  steps/main:
    inputs: [file/containers]
    steps:
      - parse_json: {{ on_error: keep }}
      - set: 'attributes["round"] = "{round}"'
sinks:
  file/out: {{ inputs: [steps/main], path: {out}, max_size: 1GiB }}
{extra}"#,
        data = node.path("data"),
        logs = node.path("containers"),
        out = node.path("out.ndjson"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_and_double_nothing() {
    let mut node = Node::new(3);
    let admin = SocketAddr::from(([127, 0, 0, 1], crate::hung::free_port()));
    let config = node.configure(&configuration(&node, admin, 0));
    let agent = Agent::start(&config);
    let status = || Message { first_line: "GET /api/v1/status HTTP/1.1".into(), ..Message::default() };
    until("the admin listener answers", || async { http::exchange(admin, status()).await.is_some() }).await;
    let mut written = 0u64;
    for round in 1..=RELOADS {
        for _ in 0..100 {
            for _ in 0..20 {
                node.write(written as usize % 3, 'F', &format!("{{\"n\":{written}}}"));
                written += 1;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if round % 5 == 0 {
            node.rotate(round as usize % 3);
        }
        node.configure(&configuration(&node, admin, round));
        let request = Message { first_line: "POST /-/reload HTTP/1.1".into(), ..Message::default() };
        let answer = http::exchange(admin, request).await.expect("admin answers");
        assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
    }
    let out = node.root.path().join("out.ndjson");
    until("every line is out", || std::future::ready(crate::node::lines(&out) >= written)).await;
    agent.stop();
    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    let text = std::fs::read_to_string(&out).expect("reads");
    let mut rounds = std::collections::BTreeSet::new();
    for line in text.lines() {
        let document: serde_json::Value = serde_json::from_str(line).expect("JSON");
        *times.entry(document["attributes"]["n"].as_u64().expect("a number")).or_default() += 1;
        rounds.insert(document["attributes"]["round"].as_str().expect("set").to_owned());
    }
    let wrong: Vec<_> = times.iter().filter(|(_, times)| **times != 1).take(5).collect();
    assert!(wrong.is_empty(), "doubled: {wrong:?}");
    assert_eq!(times.len() as u64, written);
    assert!(rounds.len() > 5, "the reloads took effect: {rounds:?}");
}
