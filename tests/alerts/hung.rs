//! Elasticsearch and remote write take connections and never answer: scrapes, evaluations and pages are on time all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use crate::agent::Agent;
use crate::exposition_target::{Exposition, ExpositionTarget};
use crate::pagerduty_server::{PagerDutyServer, Status};
use crate::setup::Setup;
use crate::until;

const RULES: &str = r#"
groups:
  - name: shop
    interval: 500ms
    rules:
      - { record: "shop:orders:rate", expr: "rate(orders_total[5s])" }
      - { alert: Down, expr: "broken == 1", for: 500ms, labels: { severity: critical } }
"#;

/// Somebody who takes connections and says nothing.
async fn hung() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// How many scrapes and evaluations must happen, of two a second.
fn wanted() -> u32 {
    if std::env::var_os("TAILWATER_TEST_LONG").is_some() { 7200 } else { 60 }
}

/// Four times as long as they take, and a minute: a loaded machine is no failure. What waits for who hangs gets on once in
/// 30 seconds, when a request is given up, as soon as the buffers are full: it would come to a fraction.
fn limit() -> Duration {
    wanted() * Duration::from_millis(500) * 4 + Duration::from_secs(60)
}

/// Waits until so many evaluations have begun.
async fn evaluations(setup: &Setup, wanted: u32) {
    let mut begun = BTreeSet::new();
    while begun.len() < wanted as usize {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(rules) = setup.api("/api/v1/rules").await {
            begun.insert(rules["groups"][0]["lastEvaluation"].to_string());
        }
    }
}

/// Waits until a target was asked so often.
async fn scrapes(target: &ExpositionTarget, wanted: u32) {
    let before = target.asked().len();
    while target.asked().len() < before + wanted as usize {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_scrapes_nor_rules_nor_pages_wait_for_who_hangs() {
    let (elasticsearch, remote_write) = (hung().await, hung().await);
    let pagerduty = PagerDutyServer::start().await;
    let target = ExpositionTarget::start().await;
    let (mut orders, broken) = (0, std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let is_broken = broken.clone();
    target.expose_by("/metrics", move |_| {
        orders += 7;
        let broken = u8::from(is_broken.load(std::sync::atomic::Ordering::Relaxed));
        // Enough that a buffer of a megabyte is full soon.
        let filler: String = (0..2000).map(|n| format!("filler{{n=\"{n}\"}} {orders}\n")).collect();
        Exposition::text(format!("orders_total {orders}\nbroken {broken}\n{filler}"))
    });
    let setup = Setup::new();
    std::fs::write(setup.path("app.log"), "a line that nobody takes\n".repeat(200_000)).expect("a log");
    let mut alerting = setup.pages(&pagerduty.url());
    alerting["inputs"] = json!(["prometheus_scrape/shop"]);
    alerting["rule_files"] = json!([setup.path("rules.yaml")]);
    let scrape = json!([{ "job_name": "shop", "scrape_interval": "500ms", "scrape_timeout": "500ms",
        "static_configs": [{ "targets": [target.address().to_string()] }] }]);
    let config = setup.configure(
        RULES,
        json!({
            "sources": {
                "prometheus_scrape/shop": { "scrape_configs": scrape },
                "file/app": { "include": [setup.path("app.log")], "format": "text" },
            },
            "sinks": {
                "prometheus_remote_write/hung": {
                    "inputs": ["prometheus_scrape/shop", "alerting.metrics"],
                    "url": format!("http://{remote_write}/api/v1/write"),
                    "buffer": { "disk": "off", "memory": "1MiB" },
                },
                "elasticsearch/hung": {
                    "inputs": ["file/app"], "endpoints": [format!("http://{elasticsearch}")],
                    "buffer": { "memory": "1MiB" },
                },
            },
            "alerting": alerting,
        }),
    );
    let agent = Agent::start(&config);
    until("the rules are evaluated", || async {
        let groups = setup.api("/api/v1/rules").await;
        groups.is_some_and(|groups| groups["groups"][0]["rules"][0]["health"] == "ok")
    })
    .await;
    let both = async { tokio::join!(scrapes(&target, wanted()), evaluations(&setup, wanted())) };
    let done = tokio::time::timeout(limit(), both).await;
    assert!(done.is_ok(), "not {} scrapes and evaluations within {:?}: {}", wanted(), limit(), agent.log());
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    let opened = std::time::Instant::now();
    pagerduty.wait("the page", |incidents| incidents.iter().any(|one| one.status == Status::Triggered)).await;
    eprintln!("the page came after {:?}", opened.elapsed());
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    pagerduty.wait("its end", |incidents| incidents.iter().all(|one| one.status == Status::Resolved)).await;
    agent.kill();
}

const FAR: &str = r#"
groups:
  - name: far
    interval: 500ms
    rules:
      - { alert: Far, expr: "avg_over_time(up[30d]) < 0.5" }
  - name: near
    interval: 500ms
    rules:
      - { record: "near", expr: "vector(1)" }
"#;

/// Nothing is timed here: the server's answer would take an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_hangs_delays_neither_other_groups_nor_the_api_nor_a_reload() {
    let setup = Setup::new();
    let remote = json!({ "url": format!("http://{}", hung().await), "timeout": "1h" });
    let alerting =
        json!({ "inputs": ["prometheus_scrape/none"], "rule_files": [setup.path("rules.yaml")], "remote": remote });
    let sources = json!({ "prometheus_scrape/none": { "scrape_configs": [] } });
    let config = setup.configure(FAR, json!({ "sources": sources, "alerting": alerting }));
    let agent = Agent::start(&config);
    let is_evaluated = async |group: &str| {
        let groups = setup.api("/api/v1/rules").await?;
        let group = groups["groups"].as_array()?.iter().find(|one| one["name"] == group)?.clone();
        Some(group["rules"][0]["health"] != "unknown")
    };
    until("the other group is evaluated ten times", || async {
        let counted = setup.api("/api/v1/query?query=count_over_time(near%5B1m%5D)").await;
        let count = counted.and_then(|counted| counted["result"][0]["value"][1].as_str()?.parse::<u32>().ok());
        count.is_some_and(|count| count >= 10)
    })
    .await;
    assert_eq!(is_evaluated("far").await, Some(false), "{}", agent.log());
    let more = FAR.replace("name: near", "name: later").replace("record: \"near\"", "record: \"later\"");
    std::fs::write(setup.path("rules.yaml"), more).expect("it can be written");
    until("the reload is taken", || async { is_evaluated("later").await == Some(true) }).await;
    assert_eq!(is_evaluated("far").await, Some(false), "{}", agent.log());
    agent.kill();
}
