//! Both listeners on free ports, asked over HTTP.

use std::net::SocketAddr;
use std::sync::Mutex;

use super::*;
use crate::telemetry::Phase;

struct Owner(Mutex<Result<(), String>>);

impl Control for Owner {
    fn graph(&self) -> Arc<[Node]> {
        let node = |name: &str, kind, inputs: &[&str], outputs: &[&str]| Node {
            name: name.into(),
            kind,
            inputs: inputs.iter().map(|&name| name.into()).collect(),
            outputs: outputs.iter().map(|&name| name.into()).collect(),
        };
        [node("file/in", "source", &[], &["file/in"]), node("elasticsearch/logs", "sink", &["file/in"], &[])].into()
    }

    fn node(&self) -> String {
        "n1".into()
    }

    fn config(&self) -> String {
        "sinks: { elasticsearch/logs: { api_key: '***' } }\n".into()
    }

    fn reload(&self) -> BoxFuture<'static, Result<(), String>> {
        let answer = self.0.lock().expect("not poisoned").clone();
        Box::pin(async move { answer })
    }
}

fn handles(reload: Result<(), String>) -> Handles {
    let telemetry = Arc::new(Telemetry::new());
    let memory = Arc::new(MemoryBudget::new(600));
    Handles {
        agent: AgentStatus::register(&telemetry, memory.clone()).expect("registers once"),
        rates: Arc::new(Rates::new(telemetry.clone())),
        series: SeriesWatch::register(&telemetry, crate::data::SeriesTable::new(9)).expect("registers once"),
        control: Arc::new(Owner(Mutex::new(reload))),
        telemetry,
        memory,
    }
}

const FREE: Listen = Listen::loopback(0);

async fn start(handles: &Handles) -> (Listeners, SocketAddr, SocketAddr) {
    let admin = Options { listen: FREE, token: None, ..Options::default() };
    let listeners = Listeners::start(admin, health::Options { listen: FREE }, handles.clone()).await;
    let listeners = listeners.expect("free ports");
    let (admin, health) = (listeners.admin_address(), listeners.health_address());
    (listeners, admin.expect("on"), health.expect("on"))
}

async fn ask(method: &str, at: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(at).await.expect("connects");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

#[tokio::test]
async fn probes_follow_the_phase_and_not_the_destinations() {
    let handles = handles(Ok(()));
    let (_listeners, _, health) = start(&handles).await;
    assert_eq!(ask("GET", health, "/readyz", "").await.0, 503);
    assert_eq!(ask("GET", health, "/livez", "").await.0, 200);
    handles.agent.enter(Phase::Running);
    handles.telemetry.component("sink", "elasticsearch/logs").health.unhealthy("connection refused");
    assert_eq!(ask("GET", health, "/readyz", "").await.0, 200);
    assert_eq!(ask("GET", health, "/livez", "").await.0, 200);
    let sources = ["otlp", "zipkin"].map(|name| handles.telemetry.component("source", name));
    sources.iter().for_each(|source| source.health.set_lacks_port(true));
    let told = ask("GET", health, "/readyz", "").await;
    assert_eq!(told, (503, "not ready: no port for `otlp`, `zipkin`\n".to_owned()));
    assert_eq!(ask("GET", health, "/livez", "").await.0, 200);
    sources.iter().for_each(|source| source.health.set_lacks_port(false));
    assert_eq!(ask("GET", health, "/readyz", "").await.0, 200);
    handles.agent.enter(Phase::Draining);
    let (status, words) = ask("GET", health, "/readyz", "").await;
    assert_eq!((status, words.as_str()), (503, "not ready: the agent is stopping\n"));
    assert_eq!(ask("GET", health, "/livez", "").await.0, 200);
}

#[tokio::test]
async fn metrics_are_exposed_without_credentials() {
    let handles = handles(Ok(()));
    handles.agent.accepted("cafe");
    handles.telemetry.component("sink", "elasticsearch/logs").records_out.inc_by(3);
    let (_listeners, _, health) = start(&handles).await;
    let (status, text) = ask("GET", health, "/metrics", "").await;
    assert_eq!(status, 200);
    assert!(text.contains("tailwater_records_out_total{component=\"elasticsearch/logs\",kind=\"sink\"} 3"), "{text}");
    assert!(text.contains("tailwater_config_info{hash=\"cafe\"} 1"), "{text}");
    assert!(text.contains("# TYPE process_cpu_seconds_total counter"), "{text}");
}

#[tokio::test]
async fn the_status_tells_graph_flow_health_and_reload() {
    let handles = handles(Ok(()));
    let (_listeners, admin, _) = start(&handles).await;
    handles.agent.enter(Phase::Running);
    handles.agent.accepted("cafe");
    handles.agent.rejected("line 3: no");
    let sink = handles.telemetry.component("sink", "elasticsearch/logs");
    sink.records_in.inc_by(5);
    sink.records_refused.inc_by(2);
    sink.queue_limit_bytes.set(200);
    sink.queue_bytes.set(50);
    sink.health.unhealthy("401 Unauthorized: missing credentials");
    let (code, text) = ask("GET", admin, "/api/v1/status", "").await;
    assert_eq!(code, 200);
    let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(status["phase"], "running");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["config"]["hash"], "cafe");
    assert_eq!(status["config"]["last_reload"]["accepted"], false);
    assert_eq!(status["config"]["last_reload"]["reason"], "line 3: no");
    assert_eq!(status["memory"]["limit_bytes"], 600);
    assert_eq!((&status["series"]["limit"], &status["series"]["active"]), (&9.into(), &0.into()));
    let [source, sink] = status["components"].as_array().expect("a list").as_slice() else { panic!("two: {status}") };
    assert_eq!(source["name"], "file/in");
    assert_eq!(source["kind"], "source");
    assert_eq!(source["outputs"], serde_json::json!(["file/in"]));
    assert_eq!(source["healthy"], true);
    assert_eq!(source["queue"], serde_json::Value::Null);
    assert_eq!(sink["inputs"], serde_json::json!(["file/in"]));
    assert_eq!(sink["unhealthy"], "401 Unauthorized: missing credentials");
    assert_eq!(sink["last_error"]["message"], "401 Unauthorized: missing credentials");
    assert_eq!(sink["totals"]["records_in"], 5);
    assert_eq!(sink["totals"]["records_refused"], 2);
    assert_eq!(sink["queue"]["fill"], 0.25);
    assert!(sink["rates"]["records_in"].is_f64());
    let (_, front) = ask("GET", admin, "/", "").await;
    assert!(front.contains("unhealthy: 401") && front.contains("line 3: no"), "{front}");
    let (_, front) = ask("GET", admin, "/", "accept: text/html\r\n").await;
    assert!(front.starts_with("<!doctype html>") && front.contains("elasticsearch/logs"), "{front}");
}

#[tokio::test]
async fn a_reload_says_what_became_of_it() {
    for (outcome, code, accepted) in [(Ok(()), 200, true), (Err("line 3: no".to_owned()), 422, false)] {
        let handles = handles(outcome.clone());
        let (_listeners, admin, _) = start(&handles).await;
        let (status, text) = ask("POST", admin, "/-/reload", "").await;
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &answer["accepted"]), (code, &accepted.into()), "{text}");
        assert_eq!(answer["reason"].as_str(), outcome.err().as_deref());
        assert_eq!(ask("GET", admin, "/-/reload", "").await.0, 405);
        assert_eq!(ask("POST", admin, "/-/reload", "origin: https://evil.example\r\n").await.0, 403);
    }
}

#[tokio::test]
async fn a_reload_moves_listeners_and_leaves_them_where_the_new_place_is_taken() {
    let handles = handles(Ok(()));
    let (mut listeners, admin, health) = start(&handles).await;
    let taken = Options { listen: Listen::On(health), token: None, ..Options::default() };
    let kept = health::Options { listen: FREE };
    assert!(listeners.apply(taken, kept).await.is_err());
    assert_eq!(ask("GET", admin, "/", "").await.0, 200);
    let token = Options { listen: FREE, token: Some(Secret::from_value("open sesame")), ..Options::default() };
    listeners.apply(token, kept).await.expect("only the token changes");
    let admin = listeners.admin_address().expect("on");
    assert_eq!(ask("GET", admin, "/api/v1/config", "").await.0, 401);
    let (code, config) = ask("GET", admin, "/api/v1/config", "authorization: Bearer open sesame\r\n").await;
    assert_eq!(code, 200);
    assert!(config.contains("***"), "{config}");
    let off = Options { listen: Listen::Off, token: None, ..Options::default() };
    listeners.apply(off, kept).await.expect("nothing to take");
    assert!(listeners.admin_address().is_none());
    assert_eq!(ask("GET", health, "/livez", "").await.0, 200);
}

#[test]
fn an_open_admin_listener_needs_a_token() {
    let read = |text| serde_json::from_str::<Options>(text).map_err(|error| error.to_string());
    assert_eq!(read("{}"), Ok(Options::default()));
    let error = read(r#"{ "listen": "0.0.0.0:7780" }"#).expect_err("refused");
    assert!(error.contains("write `token:"), "{error}");
    assert!(read(r#"{ "listen": "0.0.0.0:7780", "token": "" }"#).is_err(), "an empty token is none");
    assert!(read(r#"{ "listen": "0.0.0.0:7780", "token": "x" }"#).is_ok());
    assert!(read(r#"{ "listen": "off" }"#).is_ok());
    assert!(read(r#"{ "port": 1 }"#).is_err());
}
