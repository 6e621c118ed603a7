//! What a server does rarely, from a server on loopback that does it at once.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::kubernetes::client::{Access, connect};
use crate::net::http_server::Server;

/// Answers that are left, the next one last, and the questions so far.
type Script = Arc<Mutex<(Vec<String>, Vec<String>)>>;

async fn serve(answers: &[Value]) -> (Server, Script) {
    let answers = answers.iter().rev().map(ToString::to_string).collect();
    let script: Script = Arc::new(Mutex::new((answers, Vec::new())));
    async fn answer(State(script): State<Script>, RawQuery(query): RawQuery) -> String {
        let next = {
            let mut script = script.lock().expect("no panic");
            script.1.push(query.unwrap_or_default());
            script.0.pop()
        };
        // The last watch has nothing to tell.
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
    let router = Router::new().fallback(answer).with_state(script.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    (Server::start(listener, router).expect("starts"), script)
}

fn page(version: &str, more: &str, names: &[&str]) -> Value {
    let pod = |name: &&str| json!({ "metadata": { "name": name, "namespace": "n", "resourceVersion": "1" } });
    json!({
        "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": version, "continue": more },
        "items": names.iter().map(pod).collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn a_version_that_the_server_forgot_is_listed_anew_and_only_then_something_is_gone() {
    let forgotten = json!({
        "type": "ERROR",
        "object": { "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
                    "message": "too old resource version" },
    });
    let bookmark = json!({
        "type": "BOOKMARK",
        "object": { "kind": "Pod", "apiVersion": "v1", "metadata": { "resourceVersion": "15" } },
    });
    let answers = [page("10", "token", &["a"]), page("10", "", &["b"]), bookmark, forgotten, page("20", "", &["b"])];
    let (server, script) = serve(&answers).await;
    let url = format!("http://{}", server.address()).parse().expect("an address");
    let access = Access::Server(url, Box::default());
    let client = connect(&access).await.expect("a client");
    let (sender, mut events) = mpsc::channel(16);
    let selector = Selector { field: "spec.nodeName=x".into(), ..Selector::default() };
    let following = tokio::spawn(async move {
        let _ = follow(Api::<Pod>::all(client), &selector, |_| Some(()), &sender, 7).await;
    });
    let mut told = Vec::new();
    while told.iter().filter(|event| *event == "listed").count() < 2 {
        let event = timeout(Duration::from_secs(60), events.recv()).await.expect("in time").expect("it follows");
        assert_eq!(event.0, 7);
        told.push(match event.1 {
            Event::Listing => "listing".to_owned(),
            Event::Set((namespace, name), ()) => format!("{namespace}/{name}"),
            Event::Gone((_, name)) => format!("gone {name}"),
            Event::Listed => "listed".to_owned(),
            Event::Failed(words) => format!("failed {words}"),
            Event::Works => continue,
        });
    }
    assert_eq!(told, ["listing", "n/a", "n/b", "listed", "listing", "n/b", "listed"]);
    let asked = script.lock().expect("no panic").1.clone();
    let has = |index: usize, text: &str| asked[index].contains(text);
    assert!(asked.iter().all(|query| query.contains("fieldSelector=spec.nodeName")), "{asked:?}");
    assert!(has(0, "resourceVersion=0") && !has(0, "limit=") && !has(0, "continue="), "{asked:?}");
    assert!(has(1, "continue=token") && !has(1, "resourceVersion"), "{asked:?}");
    assert!(has(2, "watch=true") && has(2, "resourceVersion=10") && has(2, "allowWatchBookmarks=true"), "{asked:?}");
    assert!(has(3, "resourceVersion=15"), "from the bookmark on: {asked:?}");
    assert!(!has(4, "resourceVersion") && has(4, "limit=500"), "newer than what is known: {asked:?}");
    following.abort();
}

#[tokio::test]
async fn a_server_that_forgets_every_version_is_asked_less_and_less_often() {
    let forgotten = json!({
        "type": "ERROR",
        "object": { "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
                    "message": "too old resource version" },
    });
    let list = page("10", "", &["a"]);
    let (server, _script) = serve(&[list.clone(), forgotten.clone(), list.clone(), forgotten, list]).await;
    let url = format!("http://{}", server.address()).parse().expect("an address");
    let client = connect(&Access::Server(url, Box::default())).await.expect("a client");
    let (sender, mut events) = mpsc::channel(16);
    let began = Instant::now();
    let following = tokio::spawn(async move {
        let _ = follow(Api::<Pod>::all(client), &Selector::default(), |_| Some(()), &sender, 0).await;
    });
    let mut lists = 0;
    while lists < 3 {
        let (_, event) = timeout(Duration::from_secs(60), events.recv()).await.expect("in time").expect("it follows");
        lists += usize::from(matches!(event, Event::Listed));
    }
    // At least half of the first wait and half of the second, which is twice as long: no machine is too fast for that.
    assert!(began.elapsed() >= BACK_OFF.0.mul_f64(1.5), "{:?}", began.elapsed());
    following.abort();
}
