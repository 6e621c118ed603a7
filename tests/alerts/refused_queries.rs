//! Texts that are no queries beside the real Prometheus: whether both refuse them, and that both say the same of them, with the
//! same place.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::prometheus_server::{Mode, PrometheusServer};
use crate::server_process::free_ports;
use crate::setup::Setup;
use crate::until;

/// One a line.
const TEXTS: &str = r#"up foo
up{a="b"
up{a=b}
up{a="b",,}
up{a=="b"}
up{1a="b"}
up{a=~"("}
up{"up"}
{}
{a=~".*"}
up é
a.b
up + * up
up and
* 1
(up
up)
()
sum by (a
sum by (,) (up)
sum by (a b) (up)
sum(up foo)
sum(up) without by (a)
sum()
topk(up)
topk("a", up)
count_values(up, up)
sum(up[5m])
rate(up)
rate(up[5m], 1)
abs(up,)
nothing(up)
label_join(up)
1 == 1
1 and up
up and on() group_left up
up + on(a) group_left(a) up
up + bool up
up[5m] + 1
-"a"
1.2.3
1h1d
"\q"
"a
up @ foo
up @ 1 @ 2
up offset foo
up offset 5m offset 5m
sum(up) offset 5m
sum(up)[5m]
up[5m]]
up +
  sum by (a) foo"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_prometheus_own() {
    let setup = Setup::new();
    let [port] = free_ports();
    let listen = SocketAddr::from(([127, 0, 0, 1], port)).to_string();
    let sources = json!({ "prometheus_remote_write/in": { "listen": listen } });
    let store = json!({ "selectors": ["{__name__=~\".+\"}"] });
    let alerting = json!({ "inputs": ["prometheus_remote_write/in"], "store": store });
    let config = setup.configure("groups: []", json!({ "sources": sources, "alerting": alerting }));
    let prometheus = PrometheusServer::start(Mode::Server, "").await;
    let agent = Agent::start(&config);
    until("the agent is there", || async { setup.api("/api/v1/rules").await.is_some() }).await;
    let (lines, last) = TEXTS.split_at(TEXTS.rfind("up +\n").expect("a query of two lines"));
    let mut differ = Vec::new();
    for text in lines.lines().chain([last]) {
        for path in ["query", "format_query"] {
            let path = format!("/api/v1/{path}?query={}", encoded(text));
            let (own, theirs) = (refusal(setup.admin(), &path).await, refusal(prometheus.address(), &path).await);
            assert!(theirs.contains("parse error"), "{text}: {theirs}");
            if own != theirs {
                differ.push(format!("{text}\n  own    {own}\n  theirs {theirs}"));
            }
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    agent.stop();
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The whole of what an answer says, without its data.
async fn refusal(address: SocketAddr, path: &str) -> String {
    let request = Message { first_line: format!("GET {path} HTTP/1.1"), ..Message::default() };
    let answer = exchange(address, request).await.expect("an answer");
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    format!("{} {} {}: {}", answer.status(), body["status"], body["errorType"], body["error"])
}
