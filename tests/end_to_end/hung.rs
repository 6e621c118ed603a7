//! A destination that hangs while lines keep coming through rotations: limits hold, others are on time,
//! and what does not arrive later is counted.

use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::fault_proxy::{Fault, FaultProxy};
use crate::http::{self, Message};
use crate::node::{Node, lines};
use crate::server::{Server, unique, until};

/// Bytes of one line, header and line feed included.
const LINE: usize = 1000;
const ROTATIONS: u64 = 50;
const LINES_A_ROTATION: u64 = 1000;
/// How long writing takes: 10 MB a second.
const SECONDS: f64 = 5.0;

struct Outcome {
    agent: Agent,
    proxy: FaultProxy,
    node: Node,
    target: String,
    metrics: std::net::SocketAddr,
    written: u64,
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// Runs the agent with a hung Elasticsearch and a file as its sinks, through all rotations.
async fn flood(when_full: &str, name: &str) -> Outcome {
    let server = Server::shared();
    let proxy = FaultProxy::start(server.address()).await;
    proxy.all_bulks(Fault::HangBefore);
    let mut node = Node::new(1);
    let target = unique(name);
    let health = free_port();
    let config = node.configure(&format!(
        r#"
data_dir: {data}
admin: {{ listen: "127.0.0.1:0" }}
health: {{ listen: "127.0.0.1:{health}" }}
sources:
  file/containers: {{ include: ["{logs}/*.log"], format: container, held_files: 8MiB }}
sinks:
  elasticsearch/hung:
    inputs: [file/containers]
    endpoints: ["http://{proxy}"]
    index: {target}
    timeout: 2s
    buffer: {{ memory: 4MiB, when_full: {when_full} }}
  file/second: {{ inputs: [file/containers], path: {out}, max_size: 1GiB }}
"#,
        data = node.path("data"),
        logs = node.path("containers"),
        out = node.path("out.ndjson"),
        proxy = proxy.address(),
    ));
    let agent = Agent::start(&config);
    let started = Instant::now();
    let (mut written, mut rotated) = (0, Vec::new());
    let (mut most_resident, mut most_descriptors, mut most_deleted) = (0, 0, 0);
    for rotation in 0..ROTATIONS {
        for _ in 0..LINES_A_ROTATION {
            // The header is 40 bytes, the line feed one.
            node.write(0, 'F', &format!("{written:0width$}", width = LINE - 41));
            written += 1;
        }
        rotated.push(node.rotate(0));
        // What waits to be read is deleted as soon as the agent has seen it.
        if when_full == "block" && rotated.len() > 2 {
            let oldest = rotated.remove(0);
            until("the agent has the file open", || std::future::ready(agent.has_open(&oldest))).await;
            std::fs::remove_file(&oldest).expect("removes");
        }
        let (descriptors, deleted) = agent.descriptors();
        most_resident = most_resident.max(agent.resident());
        most_descriptors = most_descriptors.max(descriptors);
        most_deleted = most_deleted.max(deleted);
        let due = Duration::from_secs_f64(SECONDS * (rotation + 1) as f64 / ROTATIONS as f64);
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
    }
    assert!(most_resident < 160 << 20, "memory grew to {} MiB", most_resident >> 20);
    assert!(most_descriptors < 100, "{most_descriptors} descriptors");
    // The limit, and what was deleted since the agent looked last.
    assert!(most_deleted <= (8 << 20) + (12 << 20), "{most_deleted} bytes of deleted files were held");
    let metrics = std::net::SocketAddr::from(([127, 0, 0, 1], health));
    Outcome { agent, proxy, node, target, metrics, written }
}

/// The sum of a metric over all its series whose labels contain `labels`.
pub async fn metric(from: std::net::SocketAddr, name: &str, labels: &str) -> u64 {
    let request = Message { first_line: "GET /metrics HTTP/1.1".into(), ..Message::default() };
    let answer = http::exchange(from, request).await.expect("health answers");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let series = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

/// Waits until a number that grows is what it should become.
pub async fn reaches(wanted: u64, now: impl AsyncFn() -> u64) {
    let end = Instant::now() + Duration::from_secs(90);
    loop {
        let have = now().await;
        if have == wanted {
            return;
        }
        assert!(have < wanted && Instant::now() < end, "{have} where {wanted} are wanted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn stored(target: &str) -> u64 {
    let server = Server::shared();
    if server.ask("POST", &format!("/{target}/_refresh"), serde_json::Value::Null).await.0 != 200 {
        return 0;
    }
    let count = server.must("GET", &format!("/{target}/_count"), serde_json::Value::Null).await;
    count["count"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_drops_keeps_the_other_sink_on_time() {
    let Outcome { node, agent, proxy, target, metrics, written } = flood("drop_oldest", "hung-drop").await;
    let out = node.root.path().join("out.ndjson");
    // On time: while the destination still hangs.
    reaches(written, async || lines(&out)).await;
    assert_eq!(metric(metrics, "tailwater_bytes_lost_total", "").await, 0);
    proxy.decide(|_| Fault::Pass);
    let dropped = async || metric(metrics, "tailwater_records_dropped_total", "elasticsearch/hung").await;
    reaches(written, async || stored(&target).await + dropped().await).await;
    assert!(dropped().await > 0, "the buffer was too large for this test");
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_blocks_sheds_held_files_and_counts_them() {
    let Outcome { node, agent, proxy, target, metrics, written } = flood("block", "hung-block").await;
    let out = node.root.path().join("out.ndjson");
    assert!((lines(&out)) < written / 2, "both sinks wait");
    proxy.decide(|_| Fault::Pass);
    let lost = async || metric(metrics, "tailwater_log_bytes_lost_total", "web-0_shop").await;
    reaches(written, async || stored(&target).await + lost().await / LINE as u64).await;
    let lost = lost().await;
    assert!(lost > 0 && lost.is_multiple_of(LINE as u64), "{lost} bytes are lost");
    reaches(written - lost / LINE as u64, async || lines(&out)).await;
    agent.stop();
}
