//! Events to the published API of PagerDuty: taken, refused, limited, answered late.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tailwater::alerting::{Notifier, Occurrence, Page, Refusal};
use tailwater::data::UnixMillis;

use crate::pagerduty_server::{Fault, PagerDutyServer, Status};
use crate::{NO_END, down, for_good, for_now, notification, notifier, page};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn receiver(server: &PagerDutyServer) -> Arc<dyn Notifier> {
    notifier(
        "pagerduty",
        json!({
            "routing_key": KEY, "url": server.url(), "severity": "{{ .CommonLabels.severity }}", "timeout": "30s",
            "component": "{{ .CommonLabels.pod }}", "group": "shop", "class": "{{ .CommonLabels.alertname }}",
            "links": [{ "href": "https://runbooks.example/down", "text": "runbook" }],
            "images": [{ "src": "https://graphs.example/down.png", "alt": "graph" }, { "src": "http://plain.example/a.png" }]
        }),
    )
}

#[tokio::test]
async fn an_alert_is_one_incident_from_its_trigger_to_its_resolve() {
    let server = PagerDutyServer::start().await;
    let receiver = receiver(&server);
    for page in receiver.write(&notification(vec![down("a", NO_END), down("b", NO_END)])).expect("pages") {
        receiver.send(&page).await.expect("taken");
    }
    // Sent again after a crash, or said again later: the incident stays the same.
    let again = page(&*receiver, &notification(vec![down("a", NO_END)]));
    receiver.send(&again).await.expect("taken");
    let incidents = server.incidents();
    assert_eq!(incidents.iter().map(|of| of.events.len()).collect::<Vec<_>>(), [2, 1]);
    let event = &incidents[0].events[0];
    assert_eq!(event["routing_key"], KEY);
    let payload = &event["payload"];
    assert_eq!(
        (&payload["component"], &payload["group"], &payload["class"]),
        (&json!("a"), &json!("shop"), &json!("Down"))
    );
    assert_eq!(event["images"], json!([{ "src": "https://graphs.example/down.png", "alt": "graph" }]));

    let acknowledge = receiver.acknowledge(&down("a", NO_END)).expect("PagerDuty can");
    receiver.send(&acknowledge).await.expect("taken");
    assert_eq!(server.incidents()[0].status, Status::Acknowledged);
    let over = page(&*receiver, &notification(vec![down("a", UnixMillis(1))]));
    receiver.send(&over).await.expect("taken");
    receiver.send(&over).await.expect("taken, and dropped: nothing is open");
    let incidents = server.incidents();
    assert_eq!((incidents[0].status, incidents[1].status), (Status::Resolved, Status::Triggered));
    assert_eq!(server.dropped().len(), 1);
    receiver.send(&again).await.expect("taken");
    assert_eq!(server.incidents().len(), 3, "what was resolved is another incident");
    assert!(server.refused().is_empty(), "{:?}", server.refused());
}

#[tokio::test]
async fn the_largest_page_is_taken_whatever_it_holds() {
    let server = PagerDutyServer::start().await;
    let receiver = receiver(&server);
    let mut alert = down("a", NO_END);
    alert.annotations.set("summary", &"\u{7}€".repeat(2_000));
    alert.annotations.set("description", &"<\u{1}>".repeat(400_000));
    let line = |at: usize| Occurrence {
        line: format!("{at} {}", "x".repeat(9_000)),
        trace_id: format!("{at:032x}"),
        ..Default::default()
    };
    alert.occurrences = (0..100).map(line).collect();
    receiver.send(&page(&*receiver, &notification(vec![alert]))).await.expect("taken");
    let incidents = server.incidents();
    let payload = &incidents[0].events[0]["payload"];
    assert_eq!(payload["summary"].as_str().map(|summary| summary.chars().count()), Some(1024));
    assert!(
        payload["custom_details"]["cut"].as_str().is_some_and(|note| note.contains("PagerDuty takes 512000")),
        "{payload}"
    );
    assert!(payload["custom_details"]["trace_ids"].is_array(), "{payload}");
}

#[tokio::test]
async fn what_pagerduty_calls_invalid_is_never_sent_again_and_what_it_cannot_take_now_is() {
    let server = PagerDutyServer::start().await;
    let receiver = receiver(&server);
    let fires = notification(vec![down("a", NO_END)]);
    let page = page(&*receiver, &fires);
    let event = String::from_utf8(page.body.to_vec()).expect("text").replace("trigger", "tigger");
    let why = for_good(receiver.send(&Page { body: event.into(), ..page.clone() }).await);
    assert!(why.starts_with("pagerduty at http://127.0.0.1:") && why.contains("answered 400"), "{why}");
    assert!(why.contains("'event_action' is missing or unknown"), "{why}");

    server.fail_next([Fault::Answer(429, 120), Fault::Answer(500, 0), Fault::Answer(503, 7), Fault::Answer(408, 0)]);
    for expected in [Some(120), None, Some(7), None] {
        match receiver.send(&page).await {
            Err(Refusal::ForNow { after, .. }) => assert_eq!(after, expected.map(Duration::from_secs)),
            other => panic!("not refused for now: {other:?}"),
        }
    }
    // What is at fault is what stands in front of it, and may come right while it is away.
    server.fail_next([401, 403, 404, 405, 410, 413, 422].map(|status| Fault::Answer(status, 0)));
    for status in [401, 403, 404, 405, 410] {
        let why = for_now(receiver.send(&page).await);
        assert!(why.contains(&format!("answered {status}: ")) && why.contains("; check the "), "{why}");
    }
    for status in [413, 422] {
        let why = for_good(receiver.send(&page).await);
        assert!(why.contains(&format!("answered {status}: ")), "{why}");
    }
    receiver.send(&page).await.expect("taken");
    assert_eq!(server.incidents().len(), 1);
}

#[tokio::test]
async fn a_page_waits_for_a_key_that_is_right_and_does_not_ask_with_one_that_is_known_to_be_wrong() {
    let server = PagerDutyServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "not-thirty-two-characters\n").expect("written");
    let receiver = notifier("pagerduty", json!({ "routing_key_file": file, "url": server.url() }));
    let page = page(&*receiver, &notification(vec![down("a", NO_END)]));
    for _ in 0..10 {
        let refused = receiver.send(&page).await;
        let Err(Refusal::OfKey(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("answered 400: ") && why.ends_with("; check `routing_key` of the receiver"), "{why}");
        assert!(why.contains("Length of 'routing_key' is incorrect (should be 32 characters)"), "{why}");
        assert!(!why.contains("not-thirty-two-characters"), "{why}");
    }
    assert_eq!(server.requests(), 1, "one asks for all");
    std::fs::write(&file, KEY).expect("written");
    receiver.send(&page).await.expect("taken");
    assert_eq!((server.requests(), server.incidents().len()), (2, 1));
}

#[tokio::test]
async fn an_event_whose_answer_never_came_may_be_sent_again() {
    let server = PagerDutyServer::start().await;
    let hasty = notifier("pagerduty", json!({ "routing_key": KEY, "url": server.url(), "timeout": "300ms" }));
    let page = page(&*hasty, &notification(vec![down("a", NO_END)]));
    server.fail_next([Fault::TakeAndHang, Fault::Hang]);
    for _ in 0..2 {
        let why = for_now(hasty.send(&page).await);
        assert!(why.contains("no answer within 300ms"), "{why}");
    }
    receiver(&server).send(&page).await.expect("taken");
    let incidents = server.incidents();
    assert_eq!((incidents.len(), incidents[0].events.len()), (1, 2), "one incident, told twice");
}

#[tokio::test]
async fn nobody_there_and_no_key_yet_are_refusals_for_now() {
    let server = PagerDutyServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    let receiver = notifier("pagerduty", json!({ "routing_key_file": file, "url": server.url() }));
    let page = page(&*receiver, &notification(vec![down("a", NO_END)]));
    let why = for_now(receiver.send(&page).await);
    assert!(why.contains(&format!("cannot read {}", file.display())), "{why}");
    std::fs::write(&file, format!("{KEY}\n")).expect("written");
    receiver.send(&page).await.expect("taken");
    let [port] = crate::server_process::free_ports();
    let nobody = notifier("pagerduty", json!({ "routing_key": KEY, "url": format!("http://127.0.0.1:{port}") }));
    let why = for_now(nobody.send(&page).await);
    assert!(why.contains("cannot connect"), "{why}");
}
