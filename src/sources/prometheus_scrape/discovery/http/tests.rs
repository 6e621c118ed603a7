//! A server on loopback that lists targets, fails, and says what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode as Status};
use axum::routing::get;
use tokio::net::TcpListener;

use super::super::tests::{quick_job, targets, until};
use super::*;
use crate::net::http_server::Server;

/// Status, content type and body of the next answers, and the headers of the last question.
#[derive(Default)]
struct Said {
    answer: (u16, &'static str, &'static str),
    asked: HeaderMap,
}

type Shared = Arc<Mutex<Said>>;

async fn serve() -> (Server, Shared) {
    let said = Shared::default();
    async fn list(
        State(said): State<Shared>,
        headers: HeaderMap,
    ) -> (Status, [(&'static str, &'static str); 1], &'static str) {
        let mut said = said.lock().expect("no panic");
        said.asked = headers;
        let (status, kind, body) = said.answer;
        (Status::from_u16(status).expect("a status"), [("content-type", kind)], body)
    }
    let router = Router::new().route("/targets", get(list)).with_state(said.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    (Server::start(listener, router).expect("starts"), said)
}

fn discovery(options: serde_json::Value) -> Box<dyn Discover> {
    let config: HttpSdConfig = serde_json::from_value(options).expect("the shape is right");
    let mut found = Vec::new();
    problems(&config, &mut found);
    assert!(found.is_empty(), "{found:?}");
    Box::new(Http::new(&config).expect("prepared"))
}

#[tokio::test]
async fn lists_replace_each_other() {
    let (server, said) = serve().await;
    let says = |body| said.lock().expect("no panic").answer = (200, "application/json; charset=utf-8", body);
    says(r#"[{"targets": ["a:1", "a:2"], "labels": {"x": "y"}}, {"targets": ["b:1"]}]"#);
    let url = format!("http://{}/targets", server.address());
    let options = serde_json::json!({
        "url": url, "refresh_interval": "20ms", "basic_auth": { "username": "u", "password": "p" },
    });
    let (mut found, _, _shutdown) = quick_job(vec![discovery(options)]);
    until(&mut found, |found| targets(found) == ["a:1", "a:2", "b:1"]).await;
    let group = found.borrow().groups[0].clone();
    assert_eq!(&*group.source, format!("{url}:0"));
    assert_eq!((group.labels.get("__meta_url"), group.labels.get("x")), (&*url, "y"));
    says(r#"[{"targets": ["c:1"]}]"#);
    until(&mut found, |found| targets(found) == ["c:1"]).await;
    says("[]");
    until(&mut found, |found| targets(found).is_empty()).await;
    let asked = said.lock().expect("no panic").asked.clone();
    let header = |name: &str| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!(header("x-prometheus-refresh-interval-seconds"), "0.02");
    assert_eq!(header("accept"), "application/json");
    assert_eq!(header("authorization"), "Basic dTpw");
    assert!(header("user-agent").starts_with("tailwater/"));
}

#[tokio::test]
async fn anything_but_a_list_keeps_the_targets() {
    let (server, said) = serve().await;
    let says = |answer| said.lock().expect("no panic").answer = answer;
    let url = format!("http://{}/targets", server.address());
    let (mut found, metrics, _shutdown) =
        quick_job(vec![discovery(serde_json::json!({ "url": url, "refresh_interval": "20ms" }))]);
    let list = (200, "application/json", r#"[{"targets": ["a:1"]}]"#);
    for (answer, words) in [
        ((500, "application/json", "[]"), "the server answers 500 Internal Server Error"),
        ((401, "text/plain", ""), "the server answers 401 Unauthorized: give `basic_auth`"),
        ((204, "application/json", ""), "the server answers 204 No Content"),
        ((200, "text/plain", "[]"), "the answer's content type is `text/plain`, not application/json"),
        ((200, "application/json; charset=latin1", "[]"), "the answer's content type is"),
        ((200, "Application/JSON", "[{}"), "the answer is not a list of target groups: EOF"),
        ((200, "application/json", r#"[{"target": []}]"#), "the answer is not a list of target groups: unknown field"),
    ] {
        says(list);
        until(&mut found, |found| found.troubles.is_empty() && targets(found) == ["a:1"]).await;
        says(answer);
        until(&mut found, |found| found.troubles.first().is_some_and(|trouble| trouble.words.contains(words))).await;
        assert_eq!(targets(&found.borrow()), ["a:1"]);
    }
    assert!(metrics.errors.get() >= 7);
    server.stop().await;
    until(&mut found, |found| found.troubles.first().is_some_and(|trouble| trouble.words.contains("cannot connect")))
        .await;
    assert_eq!(targets(&found.borrow()), ["a:1"]);
}

#[test]
fn addresses_are_checked() {
    for (good, expected) in [("http://u:p@h:1/x?y=z", "http://h:1/x"), ("HTTPS://h", "https://h")] {
        assert_eq!(url(good).map(|url| shown(&url)).as_deref(), Ok(expected));
    }
    for bad in ["", "/targets", "ftp://h", "unix:/x", "http://"] {
        assert!(url(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_origin_of_targets_is_the_address_as_written_without_a_user() {
    for (written, origin) in [
        ("http://host/targets?a=b", "http://host/targets?a=b"),
        ("http://HOST", "http://HOST"),
        ("http://user:word@host/targets?a=b", "http://host/targets?a=b"),
    ] {
        let config: HttpSdConfig = serde_json::from_value(serde_json::json!({ "url": written })).expect("the shape");
        assert_eq!(Http::new(&config).expect("valid").origin, origin);
    }
}
