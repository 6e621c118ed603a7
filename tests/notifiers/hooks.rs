//! Webhooks and Slack's incoming webhooks, held to their documented shape.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value as Json, json};
use tailwater::alerting::{Notifier, Refusal};
use tailwater::data::UnixMillis;

use crate::{NO_END, down, for_good, for_now, notification, notifier, page};

/// A request that came.
#[derive(Clone, Debug)]
struct Hook {
    path: String,
    headers: HeaderMap,
    body: String,
}

/// An endpoint that keeps what comes, and answers as a test says; else with `ok`.
#[derive(Clone, Default)]
struct Endpoint {
    hooks: Arc<Mutex<Vec<Hook>>>,
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
}

impl Endpoint {
    async fn start() -> (Self, String) {
        let endpoint = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let routes = Router::new().fallback(take).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (endpoint, format!("http://{address}"))
    }

    fn answer(&self, answers: impl IntoIterator<Item = (u16, &'static str)>) {
        self.answers.lock().expect("no panic").extend(answers);
    }

    fn hooks(&self) -> Vec<Hook> {
        self.hooks.lock().expect("no panic").clone()
    }
}

async fn take(
    State(endpoint): State<Endpoint>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, &'static str) {
    let body = String::from_utf8(body.to_vec()).expect("text");
    endpoint.hooks.lock().expect("no panic").push(Hook { path: uri.to_string(), headers, body });
    let (status, words) = endpoint.answers.lock().expect("no panic").pop_front().unwrap_or((200, "ok"));
    let mut headers = HeaderMap::new();
    if status == 429 {
        headers.insert("retry-after", "30".parse().expect("a number"));
    }
    (StatusCode::from_u16(status).expect("a status"), headers, words)
}

async fn sent(receiver: &Arc<dyn Notifier>) -> Result<(), Refusal> {
    receiver.send(&page(&**receiver, &notification(vec![down("a", NO_END)]))).await
}

#[tokio::test]
async fn a_webhook_gets_version_4_and_an_id_that_is_the_same_when_it_is_sent_again() {
    let (endpoint, url) = Endpoint::start().await;
    let receiver = notifier("webhook", json!({ "url": format!("{url}/hook?token=secret-token"), "max_alerts": 2 }));
    let mut alerts: Vec<_> = ["a", "b", "c"].map(|pod| down(pod, NO_END)).into();
    alerts[1].ends_at = UnixMillis(1_000);
    let notification = notification(alerts);
    let page = page(&*receiver, &notification);
    assert!(!String::from_utf8_lossy(&page.body).contains("secret-token"));
    endpoint.answer([(503, "busy with secret-token"), (200, "anything")]);
    let why = for_now(receiver.send(&page).await);
    assert!(why.ends_with("answered 503: busy with ***"), "{why}");
    receiver.send(&page).await.expect("taken");
    let [first, second] = &endpoint.hooks()[..] else { panic!("two requests") };
    assert_eq!(first.path, "/hook?token=secret-token");
    assert_eq!(first.headers["content-type"], "application/json");
    assert_eq!((&first.body, &first.headers["idempotency-key"]), (&second.body, &second.headers["idempotency-key"]));
    let message: Json = serde_json::from_str(&first.body).expect("JSON");
    let names: Vec<_> = message.as_object().expect("an object").keys().map(String::as_str).collect();
    let documented = [
        "alerts",
        "commonAnnotations",
        "commonLabels",
        "externalURL",
        "groupKey",
        "groupLabels",
        "receiver",
        "status",
        "truncatedAlerts",
        "version",
    ];
    assert_eq!(names, documented);
    assert_eq!((&message["version"], &message["status"]), (&json!("4"), &json!("firing")));
    assert_eq!((&message["truncatedAlerts"], &message["groupKey"]), (&json!(1), &json!("{}:{alertname=\"Down\"}")));
    assert_eq!(message["alerts"].as_array().map(Vec::len), Some(2));
    assert_eq!(message["alerts"][1]["status"], "resolved");
    assert_eq!(message["alerts"][1]["endsAt"], "1970-01-01T00:00:01Z");
    assert_eq!(message["alerts"][0]["fingerprint"].as_str().map(str::len), Some(16));
    // Said again later, it is another notification.
    let mut later = notification.clone();
    later.now.0 += 1;
    receiver.send(&crate::page(&*receiver, &later)).await.expect("taken");
    assert_ne!(endpoint.hooks()[2].headers["idempotency-key"], first.headers["idempotency-key"]);
}

#[tokio::test]
async fn a_webhook_takes_what_a_template_makes_and_a_file_for_its_address() {
    let (endpoint, url) = Endpoint::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("url");
    std::fs::write(&file, format!("{url}/from-file\n")).expect("written");
    let payload =
        json!({ "text": "{{ .Status }} {{ .CommonLabels.pod }}", "alerts": "{{ .Alerts | toJson }}", "level": 7 });
    let shaped = notifier("webhook", json!({ "url_file": file, "payload": payload }));
    sent(&shaped).await.expect("taken");
    let login = json!({ "authorization": { "credentials": "hush-hush" } });
    let body = json!({ "url": url, "body": "{{ .Status }}={{ len .Alerts }}", "content_type": "text/plain", "http_config": login });
    sent(&notifier("webhook", body)).await.expect("taken");
    let [first, second] = &endpoint.hooks()[..] else { panic!("two requests") };
    assert_eq!(first.path, "/from-file");
    let message: Json = serde_json::from_str(&first.body).expect("JSON");
    assert_eq!((&message["text"], &message["level"]), (&json!("firing a"), &json!(7)));
    assert_eq!(message["alerts"][0]["labels"]["pod"], "a", "a list, not the text of one");
    assert_eq!(
        (second.body.as_str(), &second.headers["content-type"]),
        ("firing=1", &"text/plain".parse().expect("a type"))
    );
    assert_eq!(second.headers["authorization"], "Bearer hush-hush");
    std::fs::remove_file(&file).expect("removed");
    assert!(for_now(sent(&shaped).await).contains("cannot read"));
}

#[tokio::test]
async fn a_webhook_that_is_away_is_told_later() {
    let (endpoint, url) = Endpoint::start().await;
    let receiver = notifier("webhook", json!({ "url": format!("{url}/secret-part") }));
    endpoint.answer([(404, "nothing at /secret-part"), (429, ""), (422, "")]);
    let why = for_now(sent(&receiver).await);
    assert!(why.contains("answered 404: nothing at /***") && !why.contains("secret-part"), "{why}");
    let Err(Refusal::ForNow { after, .. }) = sent(&receiver).await else { panic!("for now") };
    assert_eq!(after, Some(Duration::from_secs(30)));
    for_good(sent(&receiver).await);
}

#[tokio::test]
async fn slack_answers_in_its_own_words() {
    let (endpoint, url) = Endpoint::start().await;
    let url = format!("{url}/services/T00000000/B00000000/XXXXXXXXXXXX");
    let receiver = notifier("slack", json!({ "api_url": url, "channel": "#alerts" }));
    sent(&receiver).await.expect("taken");
    let message: Json = serde_json::from_str(&endpoint.hooks()[0].body).expect("JSON");
    assert_eq!(message["channel"], "#alerts");
    let attachment = &message["attachments"][0];
    assert_eq!(attachment["title"], "[FIRING:1] Down (a critical)");
    assert!(attachment["fallback"].as_str().is_some_and(|fallback| !fallback.is_empty()), "{attachment}");
    endpoint.answer([
        (400, "invalid_payload"),
        (403, "action_prohibited"),
        (404, "channel_not_found"),
        (410, "channel_is_archived"),
    ]);
    assert!(for_good(sent(&receiver).await).contains("answered 400: invalid_payload"));
    for words in ["action_prohibited", "channel_not_found", "channel_is_archived"] {
        let why = for_now(sent(&receiver).await);
        assert!(why.contains(words) && !why.contains("XXXXXXXXXXXX"), "{why}");
    }
    endpoint.answer([(200, "no_team"), (500, "rollup_error"), (429, "rate_limited")]);
    assert!(for_now(sent(&receiver).await).contains("answered 200: no_team; the answer is none of Slack's"));
    assert!(for_now(sent(&receiver).await).contains("rollup_error"));
    let Err(Refusal::ForNow { after, .. }) = sent(&receiver).await else { panic!("for now") };
    assert_eq!(after, Some(Duration::from_secs(30)));
}
