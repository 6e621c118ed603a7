//! What is written of alerts, and what is said of options; `tests/notifiers` sends it.

use serde_json::{Value as Json, json};

use super::*;
use crate::alerting::Occurrence;
use crate::alerting::sending::tests::{NOW, alert, notification, speaker};
use crate::options::Span;

fn receiver(more: Json) -> PagerDuty {
    let mut options = json!({ "routing_key": "0123456789abcdef0123456789abcdef" });
    options.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let options: Options = serde_json::from_value(options).expect("options");
    PagerDuty::new(&options, &Global::default(), &speaker()).expect("a receiver")
}

fn events(receiver: &PagerDuty, alerts: Vec<Alert>) -> Vec<Json> {
    let pages = receiver.write(&notification(alerts)).expect("pages");
    pages.iter().map(|page| serde_json::from_slice(&page.body).expect("JSON")).collect()
}

fn down() -> Alert {
    alert(&[("alertname", "Down"), ("severity", "critical"), ("pod", "a-1")], NOW.0 - 90_500, i64::MAX)
}

#[test]
fn every_alert_is_an_event_of_its_own() {
    let mut other = down();
    other.labels.set("pod", "a-2");
    let mut over = down();
    over.labels.set("pod", "a-3");
    over.ends_at = NOW;
    let receiver =
        receiver(json!({ "severity": "{{ .CommonLabels.severity }}", "component": "{{ .CommonLabels.pod }}" }));
    let pages = receiver.write(&notification(vec![down(), other, over.clone()])).expect("pages");
    let kinds: Vec<_> = pages.iter().map(|page| page.kind).collect();
    assert_eq!(kinds, [PageKind::Trigger, PageKind::Trigger, PageKind::Resolve]);
    assert!(pages[0].key != pages[1].key && pages[1].key != pages[2].key);
    let event: Json = serde_json::from_slice(&pages[1].body).expect("JSON");
    assert_eq!(event["dedup_key"], pages[1].key.as_str());
    assert_eq!(event["event_action"], "trigger");
    assert_eq!(event["payload"]["summary"], "Down: it is down (pod=a-2, severity=critical)");
    assert_eq!(event["payload"]["severity"], "critical");
    assert_eq!(event["payload"]["component"], "a-2");
    assert_eq!(event["payload"]["source"], "Tailwater");
    assert_eq!(event["payload"]["timestamp"], "2026-11-29T07:58:29.5Z");
    assert_eq!(event["client_url"], "http://tailwater.example/alerts?receiver=page");
    let details = &event["payload"]["custom_details"];
    assert_eq!((&details["num_firing"], &details["num_resolved"]), (&json!(1), &json!(0)));
    assert_eq!(details["firing"][0]["labels"]["pod"], "a-2");
    let resolve: Json = serde_json::from_slice(&pages[2].body).expect("JSON");
    assert_eq!(resolve, json!({ "dedup_key": pages[2].key, "event_action": "resolve" }), "nothing but the key");
    let acknowledge = receiver.acknowledge(&over).expect("PagerDuty can");
    assert_eq!((acknowledge.kind, &acknowledge.key), (PageKind::Acknowledge, &pages[2].key));
}

#[test]
fn the_routing_key_is_in_a_request_and_in_no_page() {
    let receiver = receiver(json!({}));
    let pages = receiver.write(&notification(vec![down()])).expect("pages");
    let key = "0123456789abcdef0123456789abcdef";
    assert!(!String::from_utf8_lossy(&pages[0].body).contains(key));
    assert!(!format!("{receiver:?}").contains(key));
    let sent = with_routing_key(&pages[0].body, key).expect("an event");
    let sent: Json = serde_json::from_slice(&sent.pieces().concat()).expect("JSON");
    assert_eq!((&sent["routing_key"], &sent["event_action"]), (&json!(key), &json!("trigger")));
    assert!(with_routing_key(&Bytes::from_static(b"no event"), key).is_err());
}

#[test]
fn what_would_be_refused_is_set_right() {
    let receiver = receiver(json!({ "severity": "{{ .CommonLabels.severity }}", "description": "", "source": " " }));
    let mut page = down();
    page.labels.set("severity", "page");
    let event = &events(&receiver, vec![page])[0];
    assert_eq!(event["payload"]["severity"], "error");
    assert_eq!(
        event["payload"]["custom_details"]["unknown_severity"],
        "\"page\" is none of PagerDuty's; sent as error"
    );
    assert_eq!((&event["payload"]["summary"], &event["payload"]["source"]), (&json!("Down"), &json!("one")));
    let mut shout = down();
    shout.labels.set("severity", "WARNING");
    assert_eq!(events(&receiver, vec![shout])[0]["payload"]["severity"], "warning");
}

#[test]
fn traces_and_lines_ride_along() {
    let receiver = receiver(json!({
        "trace_url": "https://jaeger.example/trace/{trace_id}",
        "links": [{ "href": "{{ .CommonAnnotations.runbook }}", "text": "runbook" }],
        "details": { "of": { "pod {{ .CommonLabels.pod }}": ["{{ .Status }}", 7] } }
    }));
    let mut page = down();
    page.annotations.set("runbook", "https://runbooks.example/down");
    page.occurrences = ["a1", "b2", "a1", ""]
        .map(|trace| Occurrence { trace_id: trace.into(), line: format!("line of {trace}"), ..Occurrence::default() })
        .into();
    let event = &events(&receiver, vec![page, down()])[0];
    assert_eq!(
        event["links"],
        json!([
            { "href": "https://runbooks.example/down", "text": "runbook" },
            { "href": "https://jaeger.example/trace/a1", "text": "trace a1" },
            { "href": "https://jaeger.example/trace/b2", "text": "trace b2" }
        ])
    );
    let details = &event["payload"]["custom_details"];
    assert_eq!(details["trace_ids"], json!(["a1", "b2"]));
    assert_eq!(details["log_lines"], json!(["line of a1", "line of b2", "line of a1", "line of "]));
    assert_eq!(details["of"], json!({ "pod a-1": ["firing", 7] }));
}

#[test]
fn a_template_that_fails_costs_its_text_and_no_page() {
    let receiver = receiver(json!({
        "description": "{{ index .Alerts 7 }}", "details": { "a": "{{ .Nosuch }}", "b": "{{ .Status }}" },
        "links": [{ "href": "{{ .Nosuch }}", "text": "x" }]
    }));
    let event = &events(&receiver, vec![down()])[0];
    assert_eq!((&event["payload"]["summary"], event.get("links")), (&json!("Down"), None));
    let details = &event["payload"]["custom_details"];
    assert_eq!((&details["b"], details.get("a")), (&json!("firing"), None));
    let failed: Vec<_> = details["templates_failed"].as_object().expect("errors").keys().collect();
    assert_eq!(failed, ["description", "details.a", "links"]);
}

#[test]
fn without_send_resolved_nothing_is_said_of_what_resolved() {
    let receiver = receiver(json!({ "send_resolved": false }));
    let mut over = down();
    over.ends_at = NOW;
    assert_eq!(events(&receiver, vec![over, down()]).len(), 1);
    assert!(!receiver.send_resolved());
}

#[test]
fn options_that_make_no_event_are_told() {
    let codes = |options: Json| {
        let options: Options = serde_json::from_value(options).expect("the shape is right");
        let problems = options.problems(Span::UNKNOWN, &speaker());
        problems.into_iter().map(|problem| problem.code.0).collect::<Vec<_>>()
    };
    let key = "0123456789abcdef0123456789abcdef";
    assert!(codes(json!({ "routing_key": key })).is_empty());
    assert!(codes(json!({ "routing_key_file": "/key", "severity": "{{ .CommonLabels.severity }}" })).is_empty());
    for (code, bad) in [
        ("TW1041", json!({})),
        ("TW0705", json!({ "routing_key": key, "routing_key_file": "/key" })),
        ("TW1042", json!({ "service_key": key })),
        ("TW1042", json!({ "service_key_file": "/key" })),
        ("TW1044", json!({ "routing_key": "{{ .CommonLabels.key }}" })),
        ("TW1043", json!({ "routing_key": key, "url": "events.pagerduty.com" })),
        ("TW1044", json!({ "routing_key": key, "description": "{{ .Status" })),
        ("TW1044", json!({ "routing_key": key, "details": { "a": ["{{ end }}"] } })),
        ("TW1044", json!({ "routing_key": key, "links": [{ "href": "{{ nosuch }}" }] })),
        ("TW1045", json!({ "routing_key": key, "trace_url": "https://jaeger.example/trace/" })),
        ("TW1045", json!({ "routing_key": key, "timeout": "11m" })),
        ("TW0705", json!({ "routing_key": key, "http_config": { "tls_config": { "ca": "x", "ca_file": "/x" } } })),
    ] {
        assert_eq!(codes(bad.clone()), [code], "{bad}");
    }
}

#[test]
fn a_text_that_panics_costs_itself_and_no_page() {
    let receiver = receiver(json!({ "description": "{{ bug_for_a_test }}", "class": "fine" }));
    let events = events(&receiver, vec![down()]);
    let payload = &events[0]["payload"];
    assert_eq!((&payload["summary"], &payload["class"]), (&json!("Down"), &json!("fine")));
    let why = payload["custom_details"]["templates_failed"]["description"].as_str().expect("why");
    assert_eq!(why, "a bug of Tailwater, please report it: a bug for a test");
}
