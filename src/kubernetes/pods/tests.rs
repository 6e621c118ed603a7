//! What pods say, and what senders may say and are found by.

mod model;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::table::{BELIEVED, ByIp, LATE};
use super::*;
use crate::formats::otlp::resource::ResourceAttributes;
use crate::formats::otlp::span::{RESOURCE_ATTRIBUTES, attributes};
use crate::formats::otlp::value::AnyValue;
use crate::kubernetes::watch::Key;

fn keep(pod: Value) -> Pod {
    Pod::keep(&serde_json::from_value(pod).expect("a pod"), &["team".into(), "absent".into()])
}

fn key(name: &str) -> Key {
    ("shop".into(), name.into())
}

/// The attributes in fields of a `Resource`.
fn told(fields: &[u8]) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let pair = |(key, any): (&[u8], &[u8])| match AnyValue::read(any) {
        Ok(AnyValue::Text(value)) => (text(key), text(value)),
        other => panic!("{} is {other:?}", text(key)),
    };
    attributes(fields, RESOURCE_ATTRIBUTES).map(pair).collect()
}

fn resource(attributes: &[(&str, &str)]) -> Vec<u8> {
    let mut message = Vec::new();
    ResourceAttributes::new(attributes.iter().copied()).missing(b"", &mut message);
    message
}

#[test]
fn those_who_are_gone_make_room_for_those_who_are_there() {
    let pod = |name: &str| keep(json!({ "metadata": { "name": name, "namespace": "shop", "uid": name } }));
    let (now, room) = (Instant::now(), pod("a").bytes() * 2);
    let mut table = Table::new(room);
    for name in ["a", "b"] {
        table.take(Event::Set(key(name), pod(name)), now);
    }
    table.take(Event::Set(key("c"), pod("c")), now);
    assert_eq!((table.len(), table.refused()), (2, 1));
    table.take(Event::Gone(key("a")), now);
    assert!(table.by_uid("a").is_some(), "what it sent last arrives after it");
    table.take(Event::Set(key("c"), pod("c")), now);
    assert_eq!((table.len(), table.refused()), (2, 1));
    assert!(table.by_uid("a").is_none() && table.by_uid("c").is_some());
}

/// A pod of a Deployment with two containers, of which one was restarted.
fn web() -> Value {
    let status = |name: &str, id: &str, last: Value| {
        json!({
            "name": name, "ready": true, "restartCount": 1, "image": "", "imageID": "",
            "containerID": format!("containerd://{id}"), "lastState": last,
        })
    };
    let last = json!({ "terminated": { "exitCode": 1, "containerID": "containerd://app-0" } });
    json!({
        "metadata": {
            "name": "web-5d4f-x", "namespace": "shop", "uid": "u-web",
            "labels": { "team": "blue", "secret": "s", "pod-template-hash": "5d4f" },
            "ownerReferences": [
                { "apiVersion": "example.com/v1", "kind": "ReplicaSet", "name": "no", "uid": "1" },
                { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "2", "controller": true },
            ],
        },
        "spec": { "nodeName": "n1", "containers": [{ "name": "app" }, { "name": "side" }] },
        "status": {
            "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }],
            "startTime": "2026-11-23T01:02:03Z",
            "containerStatuses": [status("app", "app-1", last), status("side", "side-0", json!({}))],
        },
    })
}

fn cluster() -> (Table, Instant) {
    let (mut table, now) = (Table::new(MOST_BYTES), Instant::now());
    let mut host = web();
    host["metadata"]["name"] = json!("host");
    host["metadata"]["uid"] = json!("u-host");
    host["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "u-static" });
    host["spec"]["hostNetwork"] = json!(true);
    host["status"]["podIPs"] = json!([{ "ip": "10.1.0.1" }]);
    host["status"]["podIP"] = json!("10.1.0.1");
    host["status"]["containerStatuses"] = json!([]);
    for pod in [web(), host] {
        let name = pod["metadata"]["name"].as_str().expect("a name").to_owned();
        table.take(Event::Set(key(&name), keep(pod)), now);
    }
    (table, now)
}

#[test]
fn a_pod_says_what_is_certain_and_no_more() {
    let (table, now) = cluster();
    let all = |attributes: &[(&str, &str)]| {
        let message = resource(attributes);
        let said = Said::of(&message);
        let (_, pod) = said.find(&table, None, now).expect("found");
        let mut more = Vec::new();
        said.complete(pod, &table, &message, &mut more);
        told(&more)
    };
    let expected = [
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "web-5d4f-x"),
        ("k8s.pod.uid", "u-web"),
        ("k8s.node.name", "n1"),
        ("k8s.pod.start_time", "2026-11-23T01:02:03Z"),
        ("k8s.replicaset.name", "web-5d4f"),
        ("k8s.deployment.name", "web"),
        ("k8s.pod.label.team", "blue"),
        ("k8s.container.name", "app"),
    ];
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    for id in ["app-1", "app-0", "containerd://app-1"] {
        assert_eq!(all(&[("container.id", id)]), expected, "{id}");
    }
    // What the sender says stays, and what it says is not said again.
    let mut less = expected;
    for key in ["k8s.pod.uid", "k8s.pod.name", "k8s.container.name", "k8s.deployment.name"] {
        less.remove(key);
    }
    assert_eq!(all(&[("k8s.pod.uid", "u-web"), ("k8s.pod.name", "web-5d4f-x"), ("k8s.deployment.name", "mine")]), less);
}

#[test]
fn a_deployment_is_known_by_the_hash_of_its_template_alone() {
    let owner = |version: &str, kind: &str, name: &str, labels: Value| {
        let owner = json!({ "apiVersion": version, "kind": kind, "name": name, "uid": "1", "controller": true });
        let pod = json!({ "metadata": { "name": "p", "uid": "u", "labels": labels, "ownerReferences": [owner] } });
        let mut more = Vec::new();
        keep(pod).attributes.missing(b"", &mut more);
        let mut told = told(&more);
        told.retain(|key, _| key.ends_with(".name") && key != "k8s.pod.name");
        told.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    let hash = |hash: &str| json!({ "pod-template-hash": hash });
    let both = ["k8s.deployment.name=web-1", "k8s.replicaset.name=web-1-5d4f"];
    assert_eq!(owner("apps/v1", "ReplicaSet", "web-1-5d4f", hash("5d4f")), both);
    for labels in [json!({}), hash("other"), hash(""), hash("web-1-5d4f")] {
        assert_eq!(owner("apps/v1", "ReplicaSet", "web-1-5d4f", labels), both[1..]);
    }
    assert_eq!(owner("batch/v1", "Job", "report-289", hash("289")), ["k8s.job.name=report-289"]);
    assert_eq!(owner("apps/v1", "DaemonSet", "agent", json!({})), ["k8s.daemonset.name=agent"]);
    assert_eq!(owner("apps/v1", "StatefulSet", "db", json!({})), ["k8s.statefulset.name=db"]);
    assert_eq!(owner("v1", "ReplicationController", "rc", json!({})), ["k8s.replicationcontroller.name=rc"]);
    assert!(owner("argoproj.io/v1alpha1", "Rollout", "r", json!({})).is_empty());
    assert!(owner("other/v1", "ReplicaSet", "web-5d4f", hash("5d4f")).is_empty());
}

#[test]
fn a_sender_is_found_by_what_it_says_and_then_by_where_it_is() {
    let (mut table, now) = cluster();
    let find = |table: &Table, said: &[(&str, &str)], from: Option<&str>| {
        let message = resource(said);
        let from = from.map(|ip| ip.parse().expect("an address"));
        let found = Said::of(&message).find(table, from, now).map(|(how, pod)| (how, pod.uids[0].to_string()));
        found.map(|(how, uid)| format!("{uid} by {}", how.name())).unwrap_or_else(|how| how.name().to_owned())
    };
    let (web_ip, host_ip) = (Some("10.0.0.1"), Some("10.1.0.1"));
    for (said, from, expected) in [
        (&[("k8s.pod.uid", "u-web")][..], None, "u-web by k8s.pod.uid"),
        // The kubelet gives a static pod another UID than its mirror has.
        (&[("k8s.pod.uid", "u-static")], None, "u-host by k8s.pod.uid"),
        (&[("k8s.pod.ip", "10.0.0.1")], None, "u-web by k8s.pod.ip"),
        (&[("k8s.pod.ip", "::ffff:10.0.0.1")], None, "u-web by k8s.pod.ip"),
        (&[("k8s.pod.ip", "fd00:0::1")], None, "u-web by k8s.pod.ip"),
        (&[("container.id", "side-0")], None, "u-web by container.id"),
        (&[("service.name", "x")], web_ip, "u-web by connection"),
        (&[], Some("fd00::1"), "u-web by connection"),
        (&[], None, "unknown"),
        // A pod that has the node's address is found by what is its own alone.
        (&[], host_ip, "unknown"),
        (&[("k8s.pod.ip", "10.1.0.1")], None, "unknown"),
        (&[("k8s.pod.uid", "u-host")], host_ip, "u-host by k8s.pod.uid"),
        // The first that is known counts.
        (&[("k8s.pod.uid", "u-host"), ("k8s.pod.ip", "10.1.0.1")], web_ip, "u-host by k8s.pod.uid"),
        (&[("k8s.pod.ip", "10.9.9.9"), ("container.id", "app-1")], None, "u-web by container.id"),
        // Whoever names a pod is not the one that passes it on.
        (&[("k8s.pod.uid", "elsewhere")], web_ip, "unknown"),
        (&[("k8s.pod.ip", "10.9.9.9")], web_ip, "unknown"),
        (&[("container.id", "elsewhere")], web_ip, "unknown"),
        (&[("k8s.pod.name", "elsewhere")], web_ip, "unfit"),
        (&[("k8s.namespace.name", "bank")], web_ip, "unfit"),
        (&[("k8s.node.name", "n2")], web_ip, "unfit"),
        (&[("k8s.pod.name", "web-5d4f-x"), ("k8s.namespace.name", "shop")], web_ip, "u-web by connection"),
        // What does not fit together is of nobody.
        (&[("k8s.pod.uid", "elsewhere"), ("k8s.pod.ip", "10.0.0.1")], None, "unfit"),
        (&[("k8s.pod.uid", "u-host"), ("container.id", "app-1")], None, "unfit"),
        (&[("k8s.pod.uid", "u-web"), ("container.id", "not-yet-known")], None, "u-web by k8s.pod.uid"),
        // What is no address, or empty, says nothing that could be found.
        (&[("k8s.pod.ip", "web")], web_ip, "unknown"),
        (&[("k8s.pod.uid", ""), ("container.id", "")], web_ip, "u-web by connection"),
    ] {
        assert_eq!(find(&table, said, from), expected, "{said:?} from {from:?}");
    }
    // Two that have one address are nobody; once one has ended it is the other's.
    let mut other = web();
    other["metadata"]["name"] = json!("other");
    other["metadata"]["uid"] = json!("u-other");
    other["status"]["containerStatuses"] = json!([]);
    table.take(Event::Set(key("other"), keep(other.clone())), now);
    assert_eq!(find(&table, &[], web_ip), "unsure");
    assert_eq!(find(&table, &[("k8s.pod.ip", "10.0.0.1"), ("container.id", "app-1")], None), "u-web by container.id");
    let mut ended = web();
    ended["status"]["phase"] = json!("Failed");
    table.take(Event::Set(key("web-5d4f-x"), keep(ended)), now);
    assert_eq!(find(&table, &[], web_ip), "u-other by connection");
    assert_eq!(find(&table, &[("container.id", "app-1")], web_ip), "u-web by container.id");
    other["status"]["podIPs"] = json!([]);
    other["status"]["podIP"] = json!(null);
    table.take(Event::Set(key("other"), keep(other)), now);
    assert_eq!(find(&table, &[], web_ip), "unknown");
}

#[tokio::test(start_paused = true)]
async fn what_is_received_waits_for_the_first_list_for_a_moment_and_the_watch_ends_when_nobody_asks() {
    let pods = Arc::new(Pods::default());
    let began = Instant::now();
    pods.ready().await;
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody has asked");
    let options = Options { kubeconfig_file: Some("/there/is/none".into()), pod_labels: Vec::new() };
    pods.configure(Settings::new(&options, &Identity::default()));
    assert!(pods.can_be_asked());
    let (one, other) = (pods.follow(), pods.follow());
    pods.ready().await;
    assert_eq!(began.elapsed(), FIRST_LIST);
    pods.ready().await;
    assert_eq!(began.elapsed(), FIRST_LIST, "once and no more");
    let trouble = pods.trouble().borrow().clone();
    assert!(trouble.is_some_and(|words| words.contains("/there/is/none")), "it says what is wrong");
    let task = || pods.task.lock().expect("no panic").is_some();
    drop(one);
    sleep(2 * UNASKED).await;
    assert!(task(), "one is left");
    drop(other);
    sleep(UNASKED / 2).await;
    let again = pods.follow();
    sleep(2 * UNASKED).await;
    assert!(task(), "a successor came in time");
    drop(again);
    sleep(2 * UNASKED).await;
    assert!(!task());
    assert_eq!(*pods.first.borrow(), First::Idle);
}
