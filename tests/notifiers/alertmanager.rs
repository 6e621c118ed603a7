//! Alerts to the real Alertmanager: they arrive, change and resolve; members that are down keep nobody from being told.

use serde_json::{Value, json};
use tailwater::data::UnixMillis;

use crate::alertmanager_server::AlertmanagerServer;
use crate::server_process::free_ports;
use crate::{NO_END, down, for_good, for_now, notification, notifier, page};

fn time(alert: &Value, name: &str) -> i64 {
    let text = alert[name].as_str().expect("a time");
    text.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond()
}

#[tokio::test]
async fn alerts_arrive_are_told_again_and_resolve() {
    let server = AlertmanagerServer::start().await;
    let receiver = notifier("alertmanager", json!({ "urls": [server.url()], "resend_every": "30s" }));
    assert_eq!(receiver.resend_every().map(|every| every.as_secs()), Some(30));
    let (a, b) = (down("a", NO_END), down("b", NO_END));
    let first = UnixMillis::now();
    receiver.send(&page(&*receiver, &notification(vec![a.clone(), b.clone()]))).await.expect("taken");
    let alerts = server.wait("both are there", |alerts| alerts.len() == 2).await;
    let of = |alerts: &[Value], pod: &str| alerts.iter().find(|alert| alert["labels"]["pod"] == pod).cloned();
    let told = of(&alerts, "a").expect("it is there");
    assert_eq!(told["labels"], json!({ "alertname": "Down", "pod": "a", "severity": "critical" }));
    assert_eq!(told["annotations"], json!({ "summary": "it is down" }));
    assert_eq!(told["generatorURL"], "http://tailwater.example/graph?g0.expr=up");
    assert_eq!(time(&told, "startsAt"), a.starts_at.0);
    assert!(time(&told, "endsAt") >= first.0 + 120_000, "four times the pause: {told}");

    let mut changed = a.clone();
    changed.annotations.set("summary", "it is still down");
    receiver.send(&page(&*receiver, &notification(vec![changed]))).await.expect("taken");
    let alerts = server.wait("it changed", |alerts| {
        of(alerts, "a").is_some_and(|alert| alert["annotations"]["summary"] == "it is still down")
    });
    let again = of(&alerts.await, "a").expect("it is there");
    assert_eq!(again["fingerprint"], told["fingerprint"], "the same alert");
    assert!(time(&again, "endsAt") >= time(&told, "endsAt"));

    let mut over = a.clone();
    over.ends_at = UnixMillis::now();
    receiver.send(&page(&*receiver, &notification(vec![over]))).await.expect("taken");
    let left = server.wait("one resolved", |alerts| alerts.len() == 1).await;
    assert_eq!(left[0]["labels"]["pod"], "b");
}

#[tokio::test]
async fn every_member_is_told_and_one_is_enough() {
    let (one, two) = (AlertmanagerServer::start().await, AlertmanagerServer::start().await);
    let [nobody] = free_ports();
    let nobody = format!("http://127.0.0.1:{nobody}");
    let receiver = notifier("alertmanager", json!({ "urls": [nobody, one.url(), two.url()] }));
    receiver.send(&page(&*receiver, &notification(vec![down("a", NO_END)]))).await.expect("two took it");
    for server in [&one, &two] {
        server.wait("it was told", |alerts| alerts.len() == 1).await;
    }
    let alone = notifier("alertmanager", json!({ "urls": [nobody] }));
    let why = for_now(alone.send(&page(&*alone, &notification(vec![down("a", NO_END)]))).await);
    assert!(why.contains("cannot connect"), "{why}");
}

#[tokio::test]
async fn an_alert_that_alertmanager_calls_invalid_is_refused_for_good() {
    let server = AlertmanagerServer::start().await;
    // Its version 0.25 takes no dots in names, and says so.
    let receiver = notifier("alertmanager", json!({ "urls": [server.url()] }));
    let mut alert = down("a", NO_END);
    alert.labels.set("service.name", "shop");
    let why = for_good(receiver.send(&page(&*receiver, &notification(vec![alert]))).await);
    assert!(why.contains("answered 400") && why.contains("service.name"), "{why}");
}

#[tokio::test]
async fn labels_of_replicas_and_rules_make_one_alert_of_two() {
    let server = AlertmanagerServer::start().await;
    let receiver = notifier(
        "alertmanager",
        json!({
            "urls": [server.url()],
            "alert_relabel_configs": [{ "action": "labeldrop", "regex": "agent" }]
        }),
    );
    for replica in ["0", "1"] {
        let mut alert = down("a", NO_END);
        alert.labels.set("prometheus_replica", replica);
        alert.labels.set("agent", replica);
        receiver.send(&page(&*receiver, &notification(vec![alert]))).await.expect("taken");
    }
    let alerts = server.wait("it is there", |alerts| !alerts.is_empty()).await;
    assert_eq!(alerts.len(), 1);
}
