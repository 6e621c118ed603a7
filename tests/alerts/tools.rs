//! The tools that ask an agent: the real `amtool`, which reads its ways of alerts as an Alertmanager's, and `tailwater alerts`.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::agent::Agent;
use crate::setup::Setup;
use crate::until;

const RULES: &str = r#"
groups:
  - name: often
    interval: 500ms
    rules:
      - { alert: Always, expr: "vector(1)" }
"#;

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn amtool(setup: &Setup, arguments: &[&str]) -> String {
    let start = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/alertmanager/start");
    let url = format!("--alertmanager.url=http://{}", setup.admin());
    let ran = Command::new(start).arg("amtool").args(arguments).arg(url).output().expect("amtool");
    assert!(ran.status.success(), "{arguments:?}: {}", told(&ran));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn alerts(setup: &Setup) -> (Option<i32>, String) {
    let admin = format!("http://{}", setup.admin());
    let ran = Command::new(env!("CARGO_BIN_EXE_tailwater")).args(["alerts", "--admin", &admin]).output();
    let ran = ran.expect("it runs");
    (ran.status.code(), told(&ran))
}

#[tokio::test(flavor = "multi_thread")]
async fn amtool_reads_the_ways_of_alerts_and_shows_no_secret() {
    let setup = Setup::new();
    let webhook = |name: &str| json!({ "name": name, "webhook_configs": [{ "url": "http://127.0.0.1:1/hush" }] });
    let alerting = json!({
        "inputs": ["internal/own"],
        "rule_files": [setup.path("rules.yaml")],
        "route": {
            "receiver": "chat", "group_by": ["alertname"], "group_wait": "1h",
            "routes": [
                { "matchers": ["severity=~\"page|ticket\""], "receiver": "oncall", "group_by": ["..."], "continue": true,
                  "labels": { "owner": "sre" },
                  "routes": [{ "match": { "team": "d\"b" }, "receiver": "dba", "mute_time_intervals": ["night"] }] },
                { "matchers": ["severity=ticket"], "receiver": "chat", "active_time_intervals": ["office"] },
            ],
        },
        "inhibit_rules": [{ "name": "down", "source_matchers": ["alertname=Down"], "target_matchers": ["severity=ticket"],
            "equal": ["node"] }],
        "time_intervals": [
            { "name": "night", "time_intervals": [{ "times": [{ "start_time": "22:00", "end_time": "24:00" }] }] },
            { "name": "office", "time_intervals": [{ "weekdays": ["monday:friday", "sunday"], "days_of_month": ["-3:-1"],
              "months": ["march"], "years": ["2026:2028"], "location": "Europe/Berlin" }] },
        ],
        "receivers": [webhook("chat"), webhook("oncall"), webhook("dba")],
    });
    let parts = json!({ "sources": { "internal/own": {} }, "sinks": { "blackhole/out": { "inputs": ["alerting.metrics"] } },
        "alerting": alerting });
    let agent = Agent::start(&setup.configure(RULES, parts));
    until("it fires", || async { alerts(&setup).1.contains("1 firing") }).await;
    let shown = amtool(&setup, &["config", "show"]);
    assert!(shown.contains("resolve_timeout") && !shown.contains("hush"), "{shown}");
    let tree = amtool(&setup, &["config", "routes", "show"]);
    for part in ["default-route  receiver: chat", "continue: true  receiver: oncall", "receiver: dba"] {
        assert!(tree.contains(part), "{part} in {tree}");
    }
    for (labels, receivers) in [
        (&["severity=info"][..], "chat"),
        (&["severity=page"], "oncall"),
        (&["severity=page", r#"team="d\"b""#], "dba"),
        (&["severity=ticket"], "oncall,chat"),
    ] {
        let asked = [&["config", "routes", "test"], labels].concat();
        assert_eq!(amtool(&setup, &asked).trim(), receivers, "{labels:?}");
    }
    agent.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_says_where_no_rules_are_evaluated() {
    let setup = Setup::new();
    let parts =
        json!({ "sources": { "internal/own": {} }, "sinks": { "blackhole/out": { "inputs": ["internal/own"] } } });
    let agent = Agent::start(&setup.configure(RULES, parts));
    until("it says so", || async {
        let (code, told) = alerts(&setup);
        assert_eq!(code, Some(1), "{told}");
        told.contains("its configuration has no `alerting`")
    })
    .await;
    agent.kill();
}
