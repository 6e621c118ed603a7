//! `store.journal` is turned on by a reload: what was in memory until then is there after a kill.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::agent::Agent;
use crate::setup::Setup;
use crate::until;

const RULES: &str = "groups:\n- name: g\n  interval: 500ms\n  rules:\n  - { record: ones, expr: vector(1) }\n";

fn configure(setup: &Setup, journal: bool) -> std::path::PathBuf {
    let alerting = json!({
        "inputs": ["prometheus_scrape/none"], "rule_files": [setup.path("rules.yaml")], "store": { "journal": journal },
    });
    let sources = json!({ "prometheus_scrape/none": { "scrape_configs": [] } });
    setup.configure(RULES, json!({ "sources": sources, "alerting": alerting }))
}

/// Times of what the rule recorded.
async fn recorded(setup: &Setup) -> Vec<f64> {
    let answer = setup.api("/api/v1/query?query=ones%5B1h%5D").await;
    let values = answer.as_ref().and_then(|answer| answer["result"][0]["values"].as_array());
    values.into_iter().flatten().filter_map(|pair| pair[0].as_f64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_turns_the_journal_on_for_what_is_in_memory() {
    let setup = Setup::new();
    let config = configure(&setup, false);
    let agent = Agent::start(&config);
    until("something is recorded", || async { recorded(&setup).await.len() >= 2 }).await;
    let first = recorded(&setup).await[0];
    assert!(!setup.path("data/series").exists(), "nothing is on disk");
    configure(&setup, true);
    until("a snapshot is on disk", || async {
        let entries = std::fs::read_dir(setup.path("data/series"));
        let mut names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.any(|name| name.to_string_lossy().ends_with(".snapshot"))
    })
    .await;
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    until("it goes on", || async { recorded(&setup).await.last().is_some_and(|last| *last > before + 1.0) }).await;
    agent.kill();
    let agent = Agent::start(&config);
    until("it is asked", || async { !recorded(&setup).await.is_empty() }).await;
    let again = recorded(&setup).await;
    assert_eq!(again[0], first, "{}", agent.log());
    assert!(again.iter().any(|time| *time > before), "what came after the reload is there too");
    agent.kill();
}
