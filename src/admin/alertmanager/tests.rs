//! The API over a running dispatcher, asked over HTTP.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use serde_json::Value;
use tower_service::Service;

use super::*;
use crate::admin::{Control, Node};
use crate::alerting::dispatch::Limits;
use crate::alerting::outbox::OutboxOptions;
use crate::alerting::paging::{Disk, Paging};
use crate::alerting::route::RoutingOptions;
use crate::data::MemoryBudget;
use crate::delivery::files::RealFiles;
use crate::delivery::simulated_disk::SimulatedDisk;
use crate::telemetry::{AgentStatus, Rates, SeriesWatch, Telemetry};

/// The way of alerts, or why they wait for one.
struct Owner(Option<Arc<Dispatch>>, Option<&'static str>);

impl Control for Owner {
    fn graph(&self) -> Arc<[Node]> {
        Vec::new().into()
    }

    fn node(&self) -> String {
        "n1".into()
    }

    fn config(&self) -> String {
        "alerting: {}\n".into()
    }

    fn dispatch(&self) -> Option<Arc<Dispatch>> {
        self.0.clone()
    }

    fn alerts_wait(&self) -> Option<String> {
        self.1.map(str::to_owned)
    }

    fn reload(&self) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

const ROUTE: &str = r#"{ "route": { "receiver": "chat", "group_by": ["team"], "group_wait": "1h", "routes": [
    { "matchers": ["team=db"], "receiver": "pager", "labels": { "owner": "dba" } } ] },
    "inhibit_rules": [ { "source_matchers": ["alertname=Cluster"], "target_matchers": ["alertname!=Cluster"], "equal": ["team"] } ] }"#;

fn start(folder: PathBuf) -> Arc<Dispatch> {
    start_on(Disk { files: Arc::new(RealFiles), folder })
}

fn start_on(disk: Disk) -> Arc<Dispatch> {
    let options: RoutingOptions = serde_json::from_str(ROUTE).expect("its shape");
    let routing = options.read(&["chat", "pager"], Duration::from_secs(300)).expect("a tree");
    let outbox = OutboxOptions::default().settings();
    let paging = Paging { routing: Arc::new(routing), limits: Limits::default(), outbox };
    let receivers = [("chat".into(), Vec::new()), ("pager".into(), Vec::new())].into();
    Arc::new(Dispatch::start(&paging, receivers, &disk, &Telemetry::new()).expect("started"))
}

struct Api(Router);

fn api(dispatch: Option<Arc<Dispatch>>) -> Api {
    api_of(Owner(dispatch, None))
}

fn api_of(owner: Owner) -> Api {
    let telemetry = Arc::new(Telemetry::new());
    let memory = Arc::new(MemoryBudget::new(600));
    let handles = Handles {
        agent: AgentStatus::register(&telemetry, memory.clone()).expect("registers once"),
        rates: Arc::new(Rates::new(telemetry.clone())),
        series: SeriesWatch::register(&telemetry, crate::data::SeriesTable::new(9)).expect("registers once"),
        control: Arc::new(owner),
        telemetry,
        memory,
    };
    Api(router().with_state(handles))
}

impl Api {
    async fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).expect("a request");
        let answer = self.0.call(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&mut self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, "").await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Names of the alerts that are listed, once there are as many.
    async fn alerts(&mut self, query: &str, count: usize) -> Vec<String> {
        for _ in 0..6000 {
            let listed = self.get(&format!("/api/v2/alerts{query}")).await;
            let name = |alert: &Value| alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned();
            let mut names: Vec<String> = listed.as_array().expect("a list").iter().map(name).collect();
            if names.len() == count {
                names.sort();
                return names;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there are never {count} alerts of {query}");
    }
}

const ALERTS: &str = r#"[
    { "labels": { "alertname": "Down", "team": "db", "i": "1" }, "annotations": { "summary": "s" }, "generatorURL": "http://g" },
    { "labels": { "alertname": "Slow", "team": "web" } },
    { "labels": { "alertname": "Lag", "team": "web" }, "endsAt": "0001-01-01T00:00:00.000Z" } ]"#;

#[tokio::test]
async fn alerts_that_others_send_are_listed_and_grouped() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut api = api(Some(start(folder.path().join("a"))));
    assert_eq!(api.ask("POST", "/api/v2/alerts", ALERTS).await, (200, Value::Null));
    assert_eq!(api.alerts("", 3).await, ["Down", "Lag", "Slow"]);
    for (query, names) in [
        ("?filter=team%3Dweb", &["Lag", "Slow"][..]),
        ("?filter=team%3Dweb&filter=alertname!%3DLag", &["Slow"]),
        ("?receiver=pag.*", &["Down"]),
        ("?receiver_matchers=name%3Dchat", &["Lag", "Slow"]),
        ("?active=false", &[]),
    ] {
        assert_eq!(api.alerts(query, names.len()).await, names, "{query}");
    }
    let down = api.get("/api/v2/alerts?receiver=pager").await[0].clone();
    assert_eq!(down["receivers"], json!([{ "name": "pager" }]));
    let status = json!({ "inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active" });
    assert_eq!((&down["status"], &down["generatorURL"]), (&status, &json!("http://g")));
    assert_eq!((&down["annotations"]["summary"], down["fingerprint"].as_str().map(str::len)), (&json!("s"), Some(16)));
    let groups = api.get("/api/v2/alerts/groups").await;
    let shown: Vec<_> = groups
        .as_array()
        .expect("a list")
        .iter()
        .map(|group| {
            (group["receiver"]["name"].clone(), group["labels"].clone(), group["alerts"].as_array().map(Vec::len))
        })
        .collect();
    assert_eq!(
        shown,
        [(json!("pager"), json!({ "team": "db" }), Some(1)), (json!("chat"), json!({ "team": "web" }), Some(2))]
    );
    assert_eq!(groups[0]["routeLabels"], json!({ "owner": "dba" }));
}

#[tokio::test]
async fn alerts_that_are_on_no_disk_are_not_answered_with_success() {
    let disk = SimulatedDisk::default();
    let dispatch = start_on(Disk { files: Arc::new(disk.clone()), folder: "/alerting".into() });
    let mut api = api(Some(dispatch.clone()));
    assert_eq!(api.ask("POST", "/api/v2/alerts", ALERTS).await.0, 200);
    disk.fail_syncs(true);
    let (status, why) = api.ask("POST", "/api/v2/alerts", ALERTS).await;
    assert!(status == 503 && why.as_str().is_some_and(|why| why.contains("post them again")), "{status} {why}");
    disk.fail_syncs(false);
    drop(api);
    tokio::task::spawn_blocking(move || dispatch.stop()).await.expect("it ends");
}

#[tokio::test]
async fn what_is_inhibited_or_silenced_is_shown_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut api = api(Some(start(folder.path().join("a"))));
    let boss = r#"[ { "labels": { "alertname": "Cluster", "team": "web" } } ]"#;
    api.ask("POST", "/api/v2/alerts", ALERTS).await;
    api.ask("POST", "/api/v2/alerts", boss).await;
    assert_eq!(api.alerts("?inhibited=false", 2).await, ["Cluster", "Down"]);
    let silence = r#"{ "matchers": [ { "name": "team", "value": "d.", "isRegex": true } ], "comment": "c", "createdBy": "me",
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z" }"#;
    let (status, made) = api.ask("POST", "/api/v2/silences", silence).await;
    assert_eq!((status, made["silenceID"].as_str().map(str::len)), (200, Some(36)));
    assert_eq!(api.alerts("?silenced=false", 3).await, ["Cluster", "Lag", "Slow"]);
    assert_eq!(api.alerts("?active=false", 3).await, ["Down", "Lag", "Slow"]);
    let down = api.get("/api/v2/alerts?filter=alertname%3DDown").await[0].clone();
    assert_eq!(down["status"]["silencedBy"][0], made["silenceID"]);
    assert_eq!(down["status"]["state"], "suppressed");
}

#[tokio::test]
async fn silences_are_made_listed_changed_and_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut api = api(Some(start(folder.path().join("a"))));
    let body = |id: &str, value: &str, end: &str| {
        json!({ "id": id, "matchers": [ { "name": "a", "value": value, "isRegex": false } ], "comment": "c", "createdBy": "me",
            "startsAt": "2099-01-01T00:00:00Z", "endsAt": end })
        .to_string()
    };
    let (status, made) = api.ask("POST", "/api/v2/silences", &body("", "b", "2100-01-01T00:00:00Z")).await;
    assert_eq!(status, 200);
    let id = made["silenceID"].as_str().expect("an id").to_owned();
    let path = format!("/api/v2/silence/{id}");
    assert_eq!(api.get(&path).await["status"]["state"], "pending");
    let (_, same) = api.ask("POST", "/api/v2/silences", &body(&id, "b", "2101-01-01T00:00:00Z")).await;
    assert_eq!(same["silenceID"], id);
    assert_eq!(api.get(&path).await["endsAt"], "2101-01-01T00:00:00.000Z");
    assert_eq!(api.get("/api/v2/silences?filter=a%3Db").await.as_array().map(Vec::len), Some(1));
    assert_eq!(api.get("/api/v2/silences?pending=false").await, json!([]));
    assert_eq!(api.ask("DELETE", &path, "").await.0, 200);
    assert_eq!(api.get(&path).await["status"]["state"], "expired");
    let nobody = "/api/v2/silence/00000000-0000-4000-8000-000000000000";
    assert_eq!((api.ask("GET", nobody, "").await.0, api.ask("DELETE", nobody, "").await.0), (404, 404));
    for (body, status, words) in [
        (body("nobody", "b", "2100-01-01T00:00:00Z"), 404, "not found"),
        (body("", "", "2100-01-01T00:00:00Z"), 400, "empty string"),
        (body("", "b", "2098-01-01T00:00:00Z"), 400, "before end"),
        ("{}".to_owned(), 400, "matchers"),
    ] {
        let (answered, why) = api.ask("POST", "/api/v2/silences", &body).await;
        assert!(answered == status && why.as_str().is_some_and(|why| why.contains(words)), "{answered} {why}");
    }
}

#[tokio::test]
async fn the_rest_is_there_as_tools_expect_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut api = api(Some(start(folder.path().join("a"))));
    let status = api.get("/api/v2/status").await;
    assert_eq!(status["cluster"]["status"], "disabled");
    let ways = [
        "global:",
        "  resolve_timeout: 5m",
        "route:",
        r#"  receiver: "chat""#,
        r#"  group_by: ["team"]"#,
        "  group_wait: 1h",
        "  group_interval: 5m",
        "  repeat_interval: 4h",
        "  routes:",
        "  -",
        r#"    receiver: "pager""#,
        r#"    group_by: ["team"]"#,
        "    group_wait: 1h",
        "    group_interval: 5m",
        "    repeat_interval: 4h",
        r#"    matchers: ["team=\"db\""]"#,
        "inhibit_rules:",
        r#"- source_matchers: ["alertname=\"Cluster\""]"#,
        r#"  target_matchers: ["alertname!=\"Cluster\""]"#,
        r#"  equal: ["team"]"#,
        "receivers:",
        r#"- name: "chat""#,
        r#"- name: "pager""#,
    ];
    assert_eq!(status["config"]["original"].as_str().map(|text| text.lines().collect()), Some(ways.to_vec()));
    assert_eq!(status["versionInfo"]["version"], env!("CARGO_PKG_VERSION"));
    let receivers = api.get("/api/v2/receivers").await;
    assert_eq!(receivers[1], json!({ "name": "pager", "labels": { "name": "pager" } }));
    for path in ["/api/v2/alerts?filter=a", "/api/v2/alerts?active=perhaps", "/api/v2/alerts?receiver=("] {
        assert_eq!(api.ask("GET", path, "").await.0, 400, "{path}");
    }
    let (code, why) =
        api.ask("POST", "/api/v2/alerts", r#"[ { "labels": {} }, { "labels": { "alertname": "Ok" } } ]"#).await;
    assert_eq!((code, why), (400, json!("at least one label pair required")));
    assert_eq!(api.alerts("", 1).await, ["Ok"], "what is right is taken");
}

#[tokio::test]
async fn without_a_section_there_is_nothing() {
    let (status, why) = api(None).ask("GET", "/api/v2/alerts", "").await;
    assert!(status == 404 && why.as_str().is_some_and(|why| why.contains("alerting")), "{status} {why}");
}

#[tokio::test]
async fn while_alerts_wait_it_says_so() {
    let (status, why) = api_of(Owner(None, Some("no disk"))).ask("GET", "/api/v2/alerts", "").await;
    assert!(status == 503 && why.as_str().is_some_and(|why| why.contains("no disk")), "{status} {why}");
}
