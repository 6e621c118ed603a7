//! SIGKILL in mid-flow: every line is in Elasticsearch exactly once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::fault_proxy::{Fault, FaultProxy};
use crate::node::Node;
use crate::seed;
use crate::server::{Server, unique, until};

const KILLS: u32 = 20;
const CONTAINERS: usize = 4;

/// Writes lines, some of them in parts, and rotates now and then.
struct Writer {
    node: Node,
    random: fastrand::Rng,
    written: u64,
    /// For each container, the number whose parts are not all written.
    open: [Option<u64>; CONTAINERS],
}

impl Writer {
    fn step(&mut self) {
        let container = self.random.usize(..CONTAINERS);
        if let Some(n) = self.open[container].take() {
            return self.node.write(container, 'F', &format!("{n}}}"));
        }
        let n = self.written;
        self.written += 1;
        match self.random.u32(..100) {
            0..2 => {
                self.node.rotate(container);
                self.node.write(container, 'F', &format!("{{\"n\":{n}}}"));
            }
            2..12 => {
                self.node.write(container, 'P', "{\"n\":");
                self.open[container] = Some(n);
            }
            _ => self.node.write(container, 'F', &format!("{{\"n\":{n},\"level\":\"info\"}}")),
        }
    }

    fn finish(&mut self) {
        for container in 0..CONTAINERS {
            if let Some(n) = self.open[container].take() {
                self.node.write(container, 'F', &format!("{n}}}"));
            }
        }
    }
}

/// How often each number is stored.
async fn stored(server: &Server, target: &str) -> BTreeMap<u64, u64> {
    if server.ask("POST", &format!("/{target}/_refresh"), Value::Null).await.0 != 200 {
        return BTreeMap::new();
    }
    let (mut numbers, mut after) = (BTreeMap::new(), Value::Null);
    loop {
        let mut query = json!({ "size": 5000, "sort": [{ "n": "asc" }], "_source": ["n", "attributes.n"] });
        query["sort"] = json!([{ "@timestamp": "asc" }, { "_doc": "asc" }]);
        if !after.is_null() {
            query["search_after"] = after;
        }
        let found = server.must("POST", &format!("/{target}/_search"), query).await;
        let hits = found["hits"]["hits"].as_array().cloned().unwrap_or_default();
        let Some(last) = hits.last() else { return numbers };
        after = last["sort"].clone();
        for hit in &hits {
            let source = &hit["_source"];
            let n = source["n"].as_u64().or_else(|| source["attributes"]["n"].as_u64());
            *numbers.entry(n.unwrap_or_else(|| panic!("no number: {source}"))).or_default() += 1;
        }
    }
}

async fn exactly_once(target: &str, sink: &str, rolls_over: bool) {
    let server = Server::shared();
    let mut random = fastrand::Rng::with_seed(seed());
    let proxy = FaultProxy::start(server.address()).await;
    let node = Node::new(CONTAINERS);
    let config = node.configure(&format!(
        r#"
data_dir: {data}
admin: {{ listen: "127.0.0.1:0" }}
health: {{ listen: "127.0.0.1:0" }}
sources:
  file/containers: {{ include: ["{logs}/*.log"], format: container, start_at: beginning }}
transforms:
  steps/main: {{ inputs: [file/containers], steps: [{{ parse_json: {{ on_error: keep }} }}] }}
sinks:
  elasticsearch/{target}:
    inputs: [steps/main]
    endpoints: ["http://{proxy}"]
    {sink}
    batch: {{ max_bytes: 64KiB, linger: 50ms }}
"#,
        data = node.path("data"),
        logs = node.path("containers"),
        proxy = proxy.address(),
    ));
    let writer = Writer { node, random: random.fork(), written: 0, open: [None; CONTAINERS] };
    let writer = Arc::new(Mutex::new(writer));
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move {
            let mut pace = tokio::time::interval(Duration::from_millis(4));
            loop {
                pace.tick().await;
                writer.lock().expect("not poisoned").step();
            }
        }
    });
    let mut rollovers = 0;
    for kill in 0..KILLS {
        let agent = Agent::start(&config);
        // The bulk request with this number gets no answer, in every other run although the server did it.
        let (mut left, fault) = (random.u32(..6), if kill % 2 == 0 { Fault::HangAfter } else { Fault::HangBefore });
        let hung = Arc::new(tokio::sync::Notify::new());
        let told = hung.clone();
        proxy.decide(move |seen| {
            if !seen.is_bulk() {
                return Fault::Pass;
            }
            if left > 0 {
                left -= 1;
                return Fault::Pass;
            }
            told.notify_one();
            fault.clone()
        });
        let waited = tokio::time::timeout(Duration::from_secs(60), hung.notified()).await;
        assert!(waited.is_ok(), "no request within a minute: {}", agent.log());
        if rolls_over && kill % 3 == 0 {
            // Between the attempt that got no answer and the next.
            // The stream is made by the first request, which may be on its way.
            let path = format!("/{target}/_rollover");
            until("the stream rolls over", || async { server.ask("POST", &path, Value::Null).await.0 == 200 }).await;
            rollovers += 1;
        }
        tokio::time::sleep(Duration::from_millis(random.u64(..150))).await;
        agent.kill();
    }
    writing.abort();
    let _ = writing.await;
    let written = {
        let mut writer = writer.lock().expect("not poisoned");
        writer.finish();
        writer.written
    };
    proxy.decide(|_| Fault::Pass);
    let agent = Agent::start(&config);
    until("every line is stored", || async { stored(server, target).await.len() as u64 == written }).await;
    agent.stop();
    let stored = stored(server, target).await;
    let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times != 1).collect();
    assert!(doubled.is_empty(), "stored more than once: {doubled:?}");
    assert!(!rolls_over || rollovers >= 5, "only {rollovers} rollovers");
    assert!(written > 500, "only {written} lines were written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_on_a_plain_index() {
    let index = unique("kill-index");
    exactly_once(&index, &format!("index: {index}"), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_on_a_data_stream_that_rolls_over() {
    let dataset = unique("kill").replace('-', "_");
    let target = format!("logs-{dataset}-test");
    exactly_once(&target, &format!("data_stream: {{ dataset: {dataset}, namespace: test }}"), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_with_most_of_the_queue_on_disk() {
    let index = unique("kill-queue");
    let buffer = "buffer: { memory: 4KiB, disk: 64MiB, min_free: 0% }";
    exactly_once(&index, &format!("index: {index}\n    {buffer}"), false).await;
}
