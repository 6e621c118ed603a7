//! Receivers against whom they speak to: PagerDuty's published API on loopback, the real Alertmanager, a mail server with and
//! without TLS, and endpoints that hold webhooks and Slack's messages to their documented shape.

#[path = "../support/alertmanager_server.rs"]
mod alertmanager_server;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/pagerduty_server.rs"]
mod pagerduty_server;
#[path = "../support/server_process.rs"]
mod server_process;
#[path = "../support/smtp_server.rs"]
mod smtp_server;

mod alertmanager;
mod email;
mod hooks;
mod pagerduty;

use std::sync::Arc;

use serde_json::Value as Json;
use tailwater::alerting::sending::{Global, REPLICA_LABELS, Speaker, default_templates};
use tailwater::alerting::{Alert, Notification, Notifier, Page, Refusal};
use tailwater::data::UnixMillis;
use tailwater::notifiers::Receiver;

/// An alert that has no end yet.
pub const NO_END: UnixMillis = UnixMillis(i64::MAX);

/// The one notifier of a receiver, as a configuration writes it.
pub fn notifier(kind: &str, options: Json) -> Arc<dyn Notifier> {
    let receiver = serde_json::json!({ "name": "page", format!("{kind}_configs"): [options] });
    let receiver: Receiver = serde_json::from_value(receiver).expect("options");
    let (global, speaker) = (Global::default(), speaker());
    let problems = receiver.problems(&global, &speaker);
    assert!(problems.is_empty(), "{problems:#?}");
    receiver.notifiers(&global, &speaker).expect("a receiver").remove(0)
}

/// An agent of the cluster `one`.
pub fn speaker() -> Speaker {
    Speaker {
        cluster: Some("one".into()),
        replica_labels: REPLICA_LABELS.map(str::to_owned).into(),
        external_url: "http://tailwater.example".into(),
        templates: default_templates(),
    }
}

/// An alert `Down` of a pod, since a minute.
pub fn down(pod: &str, ends_at: UnixMillis) -> Alert {
    Alert {
        labels: [("alertname", "Down"), ("pod", pod), ("severity", "critical")].into_iter().collect(),
        annotations: [("summary", "it is down")].into_iter().collect(),
        starts_at: UnixMillis(UnixMillis::now().0 - 60_000),
        ends_at,
        generator_url: "http://tailwater.example/graph?g0.expr=up".into(),
        value: 1.0,
        occurrences: Vec::new(),
    }
}

/// What a receiver is told of alerts now.
pub fn notification(alerts: Vec<Alert>) -> Notification {
    Notification {
        receiver: "page".into(),
        group_key: "{}:{alertname=\"Down\"}".into(),
        group_labels: [("alertname", "Down")].into_iter().collect(),
        now: UnixMillis::now(),
        alerts,
    }
}

/// The only page of a notification.
pub fn page(notifier: &dyn Notifier, notification: &Notification) -> Page {
    let mut pages = notifier.write(notification).expect("pages");
    assert_eq!(pages.len(), 1);
    pages.remove(0)
}

/// Why a page was refused for good.
pub fn for_good(sent: Result<(), Refusal>) -> String {
    match sent {
        Err(Refusal::ForGood(why)) => why,
        other => panic!("not refused for good: {other:?}"),
    }
}

/// Why a page was refused for now.
pub fn for_now(sent: Result<(), Refusal>) -> String {
    match sent {
        Err(Refusal::ForNow { why, .. } | Refusal::OfKey(why)) => why,
        other => panic!("not refused for now: {other:?}"),
    }
}
