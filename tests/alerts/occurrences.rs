//! What an alert counted is in its page: the traces of log records and, where they are asked for, their lines as they are after
//! the last `redact`; the traces of spans in a webhook's message and in what a template makes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::pagerduty_server::PagerDutyServer;
use crate::server_process::free_ports;
use crate::setup::Setup;
use crate::until;

const RULES: &str = r#"
groups:
  - name: shop
    interval: 1s
    rules:
      - { alert: Errors, expr: "errors_total > 0", labels: { severity: critical } }
      - { alert: Slow, expr: "sum without (le) (traces_span_metrics_duration_seconds_bucket) > 0" }
"#;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// The details of the first page about these lines of a log.
async fn details(lines: &str, exemplars: Value) -> Value {
    let pagerduty = PagerDutyServer::start().await;
    let setup = Setup::new();
    std::fs::write(setup.path("app.log"), lines).expect("a log");
    let mut alerting = setup.pages(&pagerduty.url());
    alerting["inputs"] = json!(["log_metrics/errors"]);
    alerting["rule_files"] = json!([setup.path("rules.yaml")]);
    let config = setup.configure(
        RULES,
        json!({
            "sources": { "file/app": { "include": [setup.path("app.log")], "format": "text", "start_at": "beginning" } },
            "transforms": {
                "steps/clean": {
                    "inputs": ["file/app"],
                    "steps": [{ "parse_json": {} }, { "redact": { "patterns": ["email"] } }],
                },
                "log_metrics/errors": {
                    "inputs": ["steps/clean"],
                    "interval": "1s",
                    "exemplars": exemplars,
                    "metrics": [{
                        "name": "errors_total", "type": "counter", "if": "attributes[\"level\"] == \"error\"",
                        "labels": { "app": "\"shop\"" },
                    }],
                },
            },
            "sinks": { "file/samples": { "inputs": ["log_metrics/errors"], "path": setup.path("samples.ndjson") } },
            "alerting": alerting,
        }),
    );
    let agent = Agent::start(&config);
    pagerduty.wait("the page", |incidents| !incidents.is_empty()).await;
    let event = pagerduty.incidents()[0].events[0].clone();
    let samples = || std::fs::read_to_string(setup.path("samples.ndjson")).unwrap_or_default();
    until("the samples are written", || async { samples().contains(TRACE) }).await;
    assert!(!samples().contains("payment"), "no sink has lines: {}", samples());
    agent.kill();
    event["payload"]["custom_details"].clone()
}

fn lines() -> String {
    let line = |level: &str, trace: &str| {
        let msg = "payment of a@example.com \"failed\" <now>";
        json!({ "level": level, "msg": msg, "trace_id": trace, "span_id": SPAN }).to_string() + "\n"
    };
    line("info", "11111111111111111111111111111111") + &line("error", TRACE)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_and_the_redacted_line_of_a_record_are_in_its_page() {
    let opted_in = json!({ "enabled": true, "log_line": "attributes[\"msg\"]" });
    let details = details(&lines(), opted_in).await;
    assert_eq!(details["trace_ids"], json!([TRACE]), "{details}");
    assert_eq!(details["log_lines"], json!(["payment of [REDACTED:email] \"failed\" <now>"]), "{details}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_asked_a_page_shows_no_line() {
    let details = details(&lines(), json!({ "enabled": true })).await;
    assert_eq!(details["trace_ids"], json!([TRACE]), "{details}");
    assert!(!details.to_string().contains("payment"), "{details}");
}

type Posted = Arc<Mutex<BTreeMap<String, String>>>;

/// An endpoint that keeps the last body of each path.
async fn hooks() -> (Posted, String) {
    let posted = Posted::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let take = |State(posted): State<Posted>, uri: Uri, body: String| async move {
        posted.lock().expect("no panic").insert(uri.path().to_owned(), body);
    };
    let routes = Router::new().fallback(take).with_state(posted.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (posted, format!("http://{address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_span_is_in_a_webhooks_message_and_in_what_a_template_makes_of_it() {
    let (posted, url) = hooks().await;
    let setup = Setup::new();
    let [port] = free_ports();
    let link = "{{ range .Alerts }}{{ range .Occurrences }}https://jaeger.example/trace/{{ .TraceID }} {{ .SpanID }} \
                {{ .Value }};{{ end }}{{ end }}";
    let config = setup.configure(
        RULES,
        json!({
            "sources": { "otlp/in": {
                "grpc": { "listen": "off" }, "http": { "listen": format!("127.0.0.1:{port}") },
            } },
            "transforms": { "span_metrics/calls": {
                "inputs": ["otlp/in.traces"], "interval": "1s", "exemplars": { "enabled": true },
            } },
            "alerting": {
                "inputs": ["span_metrics/calls"],
                "rule_files": [setup.path("rules.yaml")],
                "route": { "receiver": "hooks", "group_wait": "0s", "group_interval": "1s" },
                "receivers": [{ "name": "hooks", "webhook_configs": [
                    { "url": format!("{url}/message") },
                    { "url": format!("{url}/template"), "body": link },
                ] }],
            },
        }),
    );
    let agent = Agent::start(&config);
    let span = json!({ "traceId": TRACE, "spanId": SPAN, "name": "pay", "kind": 2,
        "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1250000000" });
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string();
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    let request = Message { first_line: "POST /v1/traces HTTP/1.1".into(), headers, body: body.into() };
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    until("the span is taken", || async {
        exchange(to, request.clone()).await.is_some_and(|answer| answer.status() == 200)
    })
    .await;
    let got = |path: &str| posted.lock().expect("no panic").get(path).cloned();
    until("both are told", || async { got("/message").is_some() && got("/template").is_some() }).await;
    let message: Value = serde_json::from_str(&got("/message").expect("told")).expect("JSON");
    let seen = &message["alerts"][0]["occurrences"][0];
    assert_eq!(
        (&seen["traceID"], &seen["spanID"], &seen["value"]),
        (&json!(TRACE), &json!(SPAN), &json!(0.25)),
        "{message}"
    );
    assert!(seen["time"].as_str().is_some_and(|time| time.ends_with('Z')) && seen.get("line").is_none(), "{message}");
    let template = got("/template").expect("told");
    assert_eq!(template, format!("https://jaeger.example/trace/{TRACE} {SPAN} 0.25;"));
    agent.kill();
}
