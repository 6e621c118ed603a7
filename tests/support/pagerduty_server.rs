//! PagerDuty on loopback, as far as its Events API v2 is published: it holds every event to the schema and the limits, answers
//! as PagerDuty does, and keeps incidents by the rules of deduplication
//! (<https://developer.pagerduty.com/docs/events-api-v2-overview>, <https://developer.pagerduty.com/docs/send-alert-event>).

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

/// "Events API payloads are limited to 512 KB."
const MOST_BYTES: usize = 512 * 1024;

/// Longest wait for an event; a loaded machine is no failure.
const LIMIT: Duration = Duration::from_secs(180);

/// What an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Somebody is called.
    Triggered,
    /// Somebody takes care of it.
    Acknowledged,
    /// It ended.
    Resolved,
}

/// An incident, which is what one alert is to PagerDuty.
#[derive(Clone, Debug)]
pub struct Incident {
    /// The service's integration.
    pub routing_key: String,
    /// The alert.
    pub dedup_key: String,
    /// What it is now.
    pub status: Status,
    /// The events that were applied to it, the one that opened it first.
    pub events: Vec<Value>,
}

/// How the server fails to do what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers with this status, and asks to wait for so many seconds where that is more than none.
    Answer(u16, u64),
    /// It takes no notice and never answers.
    Hang,
    /// It takes the event and never answers: whoever sent it cannot know.
    TakeAndHang,
}

/// A running server.
#[derive(Clone)]
pub struct PagerDutyServer {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Default)]
struct Desk {
    incidents: Vec<Incident>,
    /// Events that no open incident had: `acknowledge` and `resolve` are dropped then.
    dropped: Vec<Value>,
    /// Errors of events that were refused.
    refused: Vec<Vec<String>>,
    requests: usize,
    faults: VecDeque<Fault>,
    always: Option<Fault>,
}

impl PagerDutyServer {
    /// A server without incidents.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let desk = Arc::new(Mutex::new(Desk::default()));
        let routes = Router::new().route("/v2/enqueue", post(enqueue)).layer(DefaultBodyLimit::disable());
        let routes = routes.with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, desk }
    }

    /// Where events go: `url` of a receiver, or `global.pagerduty_url`.
    pub fn url(&self) -> String {
        format!("http://{}/v2/enqueue", self.address)
    }

    /// The next requests fail, one each.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.desk().faults.extend(faults);
    }

    /// Every request fails, once those of [`Self::fail_next`] did, until told otherwise.
    pub fn fail_always(&self, fault: Option<Fault>) {
        self.desk().always = fault;
    }

    /// All incidents, in the order in which they were opened.
    pub fn incidents(&self) -> Vec<Incident> {
        self.desk().incidents.clone()
    }

    /// Events that had no open incident.
    pub fn dropped(&self) -> Vec<Value> {
        self.desk().dropped.clone()
    }

    /// Errors of events that were refused.
    pub fn refused(&self) -> Vec<Vec<String>> {
        self.desk().refused.clone()
    }

    /// Number of requests, those that failed included.
    pub fn requests(&self) -> usize {
        self.desk().requests
    }

    /// Waits until the incidents are as wanted.
    pub async fn wait(&self, what: &str, wanted: impl Fn(&[Incident]) -> bool) -> Vec<Incident> {
        let wait = async {
            loop {
                let incidents = self.incidents();
                if wanted(&incidents) {
                    return incidents;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, wait).await;
        waited.unwrap_or_else(|_| panic!("not within three minutes: {what}: {:#?}", self.incidents()))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("no test panics while it holds this")
    }
}

async fn enqueue(State(desk): State<Arc<Mutex<Desk>>>, headers: HeaderMap, body: Bytes) -> Response {
    let fault = {
        let mut desk = desk.lock().expect("no panic");
        desk.requests += 1;
        let next = desk.faults.pop_front();
        next.or(desk.always)
    };
    match fault {
        Some(Fault::Answer(status, after)) => {
            let status = StatusCode::from_u16(status).expect("a status");
            let words = json!({ "status": "error", "message": "as the test says" }).to_string();
            let after = if after > 0 { vec![("retry-after", after.to_string())] } else { Vec::new() };
            let mut answer = (status, words).into_response();
            for (name, value) in after {
                answer.headers_mut().insert(name, value.parse().expect("a number"));
            }
            answer
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::TakeAndHang) => {
            desk.lock().expect("no panic").take(&headers, &body);
            std::future::pending().await
        }
        None => desk.lock().expect("no panic").take(&headers, &body),
    }
}

impl Desk {
    fn take(&mut self, headers: &HeaderMap, body: &[u8]) -> Response {
        if body.len() > MOST_BYTES {
            return self
                .refuse(StatusCode::PAYLOAD_TOO_LARGE, vec![format!("{} bytes are more than 512 KB", body.len())]);
        }
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/json") {
            return self.refuse(StatusCode::BAD_REQUEST, vec![format!("content type `{kind}`")]);
        }
        let Ok(event) = serde_json::from_slice::<Value>(body) else {
            return self.refuse(StatusCode::BAD_REQUEST, vec!["JSON parse error".into()]);
        };
        let wrong = errors(&event);
        if !wrong.is_empty() {
            return self.refuse(StatusCode::BAD_REQUEST, wrong);
        }
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let generated = format!("generated-{}", self.requests);
        let dedup_key = if event["dedup_key"].is_string() { text("dedup_key") } else { generated };
        self.apply(&text("routing_key"), &dedup_key, &event);
        let answer = json!({ "status": "success", "message": "Event processed", "dedup_key": dedup_key });
        (StatusCode::ACCEPTED, answer.to_string()).into_response()
    }

    fn refuse(&mut self, status: StatusCode, errors: Vec<String>) -> Response {
        let answer = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
        self.refused.push(errors);
        (status, answer.to_string()).into_response()
    }

    /// "Once the alert is resolved, any further events with the same `dedup_key` will create a new alert (for `trigger`
    /// events) or be dropped (for `acknowledge` and `resolve` events)."
    fn apply(&mut self, routing_key: &str, dedup_key: &str, event: &Value) {
        let same = |incident: &&mut Incident| incident.routing_key == routing_key && incident.dedup_key == dedup_key;
        let open = self.incidents.iter_mut().filter(same).find(|incident| incident.status != Status::Resolved);
        match (event["event_action"].as_str(), open) {
            (Some("trigger"), Some(open)) => open.events.push(event.clone()),
            (Some("trigger"), None) => self.incidents.push(Incident {
                routing_key: routing_key.into(),
                dedup_key: dedup_key.into(),
                status: Status::Triggered,
                events: vec![event.clone()],
            }),
            (Some(action), Some(open)) => {
                open.status = if action == "resolve" { Status::Resolved } else { Status::Acknowledged };
                open.events.push(event.clone());
            }
            (_, None) => self.dropped.push(event.clone()),
            (None, _) => unreachable!("the schema was checked"),
        }
    }
}

/// What is wrong with an event, as the published schema has it.
fn errors(event: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    let mut check = |holds: bool, error: &str| {
        if !holds {
            errors.push(error.to_owned());
        }
    };
    let Some(fields) = event.as_object() else { return vec!["the event is no object".into()] };
    let optional_text = |value: Option<&Value>| value.is_none_or(Value::is_string);
    let action = event["event_action"].as_str().unwrap_or_default();
    let routing_key = event["routing_key"].as_str().unwrap_or_default();
    check(routing_key.chars().count() == 32, "Length of 'routing_key' is incorrect (should be 32 characters)");
    check(["trigger", "acknowledge", "resolve"].contains(&action), "'event_action' is missing or unknown");
    check(optional_text(fields.get("dedup_key")), "'dedup_key' is no text");
    let dedup_key = event["dedup_key"].as_str().unwrap_or_default();
    check(dedup_key.chars().count() <= 255, "'dedup_key' is longer than 255 characters");
    check(action == "trigger" || !dedup_key.is_empty(), "'dedup_key' is missing or blank");
    check(optional_text(fields.get("client")), "'client' is no text");
    check(fields.get("client_url").is_none_or(is_url), "'client_url' is no URL");
    for (name, part) in [("links", "href"), ("images", "src")] {
        let Some(list) = fields.get(name) else { continue };
        check(list.is_array(), &format!("'{name}' is no list"));
        for entry in list.as_array().into_iter().flatten() {
            check(is_url(&entry[part]), &format!("'{part}' of '{name}' is missing or no URL"));
            check(optional_text(entry.get("text")) && optional_text(entry.get("alt")), &format!("words of '{name}'"));
            check(entry.get("href").is_none_or(is_url), &format!("'href' of '{name}' is no URL"));
            let https = entry["src"].as_str().is_none_or(|src| src.starts_with("https://"));
            check(https, "an image is not served via HTTPS");
        }
    }
    if action == "trigger" {
        let payload = &event["payload"];
        let text = |name: &str| payload[name].as_str().unwrap_or_default();
        check(payload.is_object(), "'payload' is missing or blank");
        check(!text("summary").is_empty(), "'payload.summary' is missing or blank");
        check(text("summary").chars().count() <= 1024, "'payload.summary' is longer than 1024 characters");
        check(!text("source").is_empty(), "'payload.source' is missing or blank");
        let severity = ["critical", "error", "warning", "info"].contains(&text("severity"));
        check(
            severity,
            "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')",
        );
        let timestamp = payload.get("timestamp");
        let parsed =
            timestamp.is_none_or(|time| time.as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()));
        check(parsed, "'payload.timestamp' is no ISO 8601 time");
        for name in ["component", "group", "class"] {
            check(optional_text(payload.get(name)), &format!("'payload.{name}' is no text"));
        }
        check(payload.get("custom_details").is_none_or(Value::is_object), "'payload.custom_details' is no object");
    }
    errors
}

fn is_url(value: &Value) -> bool {
    value.as_str().is_some_and(|text| url::Url::parse(text).is_ok_and(|url| url.has_host()))
}
