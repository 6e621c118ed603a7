//! Which pod sent what, through the binary beside the real API server: pods come, change and go as a kubelet would tell
//! it, and what they send leaves with what is known of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use prost::Message as _;
use serde_json::{Value, json};
use tailwater::data::{MemoryBudget, Signal};
use tailwater::net::grpc;
use tailwater::net::http_server::{BodyLimits, Server};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::access::apply;
use crate::agent::Agent;
use crate::cluster::pod;
use crate::http::{Message, exchange};
use crate::kubernetes_server::{ADMIN, KubernetesServer, VIEWER};
use crate::server_process::{free_ports, new_folder, script};

/// The attributes of a resource.
type Attributes = BTreeMap<String, String>;

/// An agent of the node `n1`, and where what leaves it arrives.
struct Node {
    agent: Agent,
    config: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
    health: SocketAddr,
    spans: mpsc::UnboundedReceiver<ExportTraceServiceRequest>,
    file: PathBuf,
    _receiver: Server,
}

/// A receiver of spans over gRPC, and what it receives.
async fn receiver() -> (Server, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    let (sender, received) = mpsc::unbounded_channel();
    let memory = MemoryBudget::new(64 << 20).share(Signal::Traces);
    let limits = BodyLimits { wire: 4 << 20, inflated: 4 << 20 };
    let export = move |request: Request| {
        let (sender, memory) = (sender.clone(), Arc::clone(&memory));
        async move {
            let read = grpc::read(&limits, &memory, request).await;
            let (message, _) = read.unwrap_or_else(|status| panic!("{status}"));
            let request = ExportTraceServiceRequest::decode(message).expect("a request");
            // The test may have ended.
            let _ = sender.send(request);
            let answer: Response = grpc::reply(Ok(Vec::new()));
            answer
        }
    };
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    (Server::start(listener, Router::new().route(path, post(export))).expect("it starts"), received)
}

impl Node {
    async fn start(kubeconfig: PathBuf, more: &str) -> Self {
        let (server, spans) = receiver().await;
        let ([grpc, http, health], folder) = (free_ports(), new_folder("senders"));
        let (config, file) = (folder.join("tailwater.yaml"), folder.join("out.ndjson"));
        let text = format!(
            "data_dir: {}\nadmin: {{ listen: off }}\nhealth: {{ listen: \"127.0.0.1:{health}\" }}\n\
             identity: {{ role: node, node: n1, cluster: test }}\n\
             kubernetes: {{ kubeconfig_file: {}, pod_labels: [app] }}\n\
             sources:\n  otlp/in:\n    grpc: {{ listen: \"127.0.0.1:{grpc}\" }}\n    \
             http: {{ listen: \"127.0.0.1:{http}\" }}\n{more}\
             sinks:\n  otlp/out: {{ inputs: [otlp/in.traces], endpoint: \"http://{}\" }}\n  \
             file/out: {{ inputs: [otlp/in.logs], path: {} }}\n  \
             file/metrics: {{ inputs: [otlp/in.metrics], path: {}.metrics }}\n",
            folder.join("data").display(),
            kubeconfig.display(),
            server.address(),
            file.display(),
            file.display(),
        );
        std::fs::write(&config, text).expect("a configuration");
        let agent = Agent::start(&config);
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let [grpc, http, health] = [grpc, http, health].map(local);
        Self { agent, config, grpc, http, health, spans, file, _receiver: server }
    }

    async fn post(&self, path: &str, body: &Value) {
        let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
        let request = Message { first_line: format!("POST {path} HTTP/1.1"), headers, body: body.to_string().into() };
        let sent = async {
            loop {
                match exchange(self.http, request.clone()).await {
                    Some(answer) if answer.status() == 200 => return,
                    // It does not listen yet.
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                    Some(answer) => panic!("{}", String::from_utf8_lossy(&answer.body)),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), sent).await.expect("an answer");
    }

    /// Sends a span of a resource; the resource as it left.
    async fn span(&mut self, resource: &[(&str, &str)]) -> Attributes {
        let span = json!({
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "a",
        });
        let body = json!({ "resourceSpans": [
            { "resource": attributes(resource), "scopeSpans": [{ "spans": [span] }] },
        ] });
        self.post("/v1/traces", &body).await;
        self.next().await
    }

    /// The resource of the next span that leaves.
    async fn next(&mut self) -> Attributes {
        let next = tokio::time::timeout(Duration::from_secs(60), self.spans.recv()).await;
        let request = next.unwrap_or_else(|_| panic!("no span leaves: {}", self.agent.log())).expect("it receives");
        let [spans] = &request.resource_spans[..] else { panic!("one resource: {request:?}") };
        let attributes = spans.resource.as_ref().map(|resource| &resource.attributes[..]).unwrap_or_default();
        let text = |any: Option<Any>| match any {
            Some(Any::StringValue(text)) => text,
            other => panic!("a text: {other:?}"),
        };
        let pairs: Vec<_> = attributes
            .iter()
            .map(|pair| (pair.key.clone(), text(pair.value.clone().and_then(|any| any.value))))
            .collect();
        let map: Attributes = pairs.iter().cloned().collect();
        assert_eq!(map.len(), pairs.len(), "nothing stands twice: {pairs:?}");
        map
    }

    /// Sends spans until what leaves is as wanted: a change reaches the agent a moment after the API server has it.
    async fn until(&mut self, resource: &[(&str, &str)], wanted: impl Fn(&Attributes) -> bool) -> Attributes {
        let mut left = Attributes::new();
        let wait = async {
            loop {
                left = self.span(resource).await;
                if wanted(&left) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(120), wait).await;
        assert!(waited.is_ok(), "not within two minutes: {resource:?}: {left:?}: {}", self.agent.log());
        left
    }

    /// A sample of the agent's own metrics.
    async fn own(&self, series: &str) -> f64 {
        let request =
            Message { first_line: "GET /metrics HTTP/1.1".into(), headers: BTreeMap::new(), body: Vec::new() };
        let text = exchange(self.health, request).await.map(|answer| answer.body).unwrap_or_default();
        let text = String::from_utf8(text).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{series} is not there: {text}"))
    }
}

fn attributes(resource: &[(&str, &str)]) -> Value {
    let attribute = |(key, value): &(&str, &str)| json!({ "key": key, "value": { "stringValue": value } });
    json!({ "attributes": resource.iter().map(attribute).collect::<Vec<_>>() })
}

fn map(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn spec(node: &str) -> Value {
    json!({ "nodeName": node, "containers": [{ "name": "app", "image": "i" }] })
}

fn status(ip: &str, container: &str) -> Value {
    json!({
        "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }], "hostIP": "10.1.0.1",
        "startTime": "2026-11-23T01:02:03Z",
        "containerStatuses": [{
            "name": "app", "ready": true, "restartCount": 0, "image": "i", "imageID": "i",
            "containerID": format!("containerd://{container}"), "state": {}, "lastState": {},
        }],
    })
}

/// The UID that the API server gave a pod.
async fn uid(server: &KubernetesServer, name: &str) -> String {
    let pod = server.must("GET", &format!("/api/v1/namespaces/default/pods/{name}"), &Value::Null).await;
    pod["metadata"]["uid"].as_str().expect("a UID").to_owned()
}

fn web() -> Value {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "uid-web", "controller": true,
    });
    json!({ "labels": { "app": "shop", "pod-template-hash": "5d4f" }, "ownerReferences": [owner] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pod_sends_leaves_with_its_name() {
    let server = KubernetesServer::start().await;
    pod(&server, "default", "web-5d4f-a", spec("n1"), web(), status("10.0.0.1", "c1")).await;
    pod(&server, "default", "elsewhere", spec("n2"), json!({}), status("10.0.9.1", "c9")).await;
    let web_uid = uid(&server, "web-5d4f-a").await;
    let mut node = Node::start(server.kubeconfig(ADMIN), "").await;

    // The very first request is not too early.
    let mut expected = map(&[
        ("container.id", "c1"),
        ("service.name", "shop"),
        ("k8s.container.name", "app"),
        ("k8s.namespace.name", "default"),
        ("k8s.pod.name", "web-5d4f-a"),
        ("k8s.pod.uid", &web_uid),
        ("k8s.node.name", "n1"),
        ("k8s.pod.start_time", "2026-11-23T01:02:03Z"),
        ("k8s.replicaset.name", "web-5d4f"),
        ("k8s.deployment.name", "web"),
        ("k8s.pod.label.app", "shop"),
        ("k8s.cluster.name", "test"),
    ]);
    assert_eq!(node.span(&[("service.name", "shop"), ("container.id", "c1")]).await, expected);
    // What is said stays.
    expected.insert("k8s.deployment.name".into(), "mine".into());
    let said = [("k8s.deployment.name", "mine"), ("service.name", "shop"), ("container.id", "c1")];
    assert_eq!(node.span(&said).await, expected);
    // A pod of another node is not known, and whoever is not known gets what is true of all.
    let unknown = map(&[("k8s.node.name", "n1"), ("k8s.cluster.name", "test"), ("container.id", "c9")]);
    assert_eq!(node.span(&[("container.id", "c9")]).await, unknown);

    // A sender that nobody here wrote, over gRPC.
    let arguments = [
        "traces",
        "--otlp-insecure",
        "--traces",
        "1",
        "--child-spans",
        "1",
        "--otlp-endpoint",
        &node.grpc.to_string(),
        "--otlp-attributes",
        &format!("k8s.pod.uid=\"{web_uid}\""),
    ]
    .map(str::to_owned);
    let run = move || Command::new(script("telemetrygen")).args(&arguments).output().expect("telemetrygen runs");
    let output = tokio::task::spawn_blocking(run).await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent = node.next().await;
    assert_eq!(sent.get("k8s.pod.name").map(String::as_str), Some("web-5d4f-a"), "{sent:?}");
    assert_eq!(sent.get("k8s.pod.uid"), Some(&web_uid), "{sent:?}");

    // A restarted container has another id, and both are known.
    let new = json!({ "status": status("10.0.0.1", "c2") });
    server.must("PATCH", "/api/v1/namespaces/default/pods/web-5d4f-a/status", &new).await;
    node.until(&[("container.id", "c2")], |left| left.contains_key("k8s.pod.name")).await;
    let late = node.span(&[("container.id", "c1")]).await;
    assert_eq!(late.get("k8s.container.name").map(String::as_str), Some("app"), "{late:?}");

    // A pod that is gone is known by what is its own, and its address is another's.
    server.must("DELETE", "/api/v1/namespaces/default/pods/web-5d4f-a", &json!({ "gracePeriodSeconds": 0 })).await;
    pod(&server, "default", "next", spec("n1"), json!({}), status("10.0.0.1", "c3")).await;
    let next = |left: &Attributes| left.get("k8s.pod.name").is_some_and(|name| name == "next");
    node.until(&[("k8s.pod.ip", "10.0.0.1")], next).await;
    assert_eq!(
        node.span(&[("k8s.pod.uid", &web_uid)]).await.get("k8s.pod.name").map(String::as_str),
        Some("web-5d4f-a")
    );

    // Two with one address are nobody, and a pod that shares its node's address is not found by it.
    pod(&server, "default", "twin", spec("n1"), json!({}), status("10.0.0.1", "c4")).await;
    node.until(&[("k8s.pod.ip", "10.0.0.1")], |left| !left.contains_key("k8s.pod.name")).await;
    let mut host = spec("n1");
    host["hostNetwork"] = json!(true);
    pod(&server, "default", "host", host, json!({}), status("10.1.0.1", "c5")).await;
    node.until(&[("container.id", "c5")], |left| left.contains_key("k8s.pod.name")).await;
    assert!(!node.span(&[("k8s.pod.ip", "10.1.0.1")]).await.contains_key("k8s.pod.name"));
    assert!(node.own("tailwater_kubernetes_senders_total{found_by=\"container.id\"}").await >= 4.0);
    assert!(node.own("tailwater_kubernetes_senders_total{found_by=\"unsure\"}").await >= 1.0);
    assert!(node.own("tailwater_kubernetes_pods").await >= 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_records_and_series_are_of_their_pods_too() {
    let server = KubernetesServer::start().await;
    pod(&server, "default", "web-5d4f-a", spec("n1"), web(), status("10.0.0.1", "c1")).await;
    let node = Node::start(server.kubeconfig(ADMIN), "").await;
    let said = [("service.name", "shop"), ("service.instance.id", "1"), ("container.id", "c1")];
    let record = json!({ "timeUnixNano": "1764000000000000000", "body": { "stringValue": "hello" } });
    let logs =
        json!({ "resourceLogs": [{ "resource": attributes(&said), "scopeLogs": [{ "logRecords": [record] }] }] });
    node.post("/v1/logs", &logs).await;
    let point = json!({ "timeUnixNano": "1764000000000000000", "asInt": "7" });
    let metric = json!({ "name": "orders", "gauge": { "dataPoints": [point] } });
    let metrics =
        json!({ "resourceMetrics": [{ "resource": attributes(&said), "scopeMetrics": [{ "metrics": [metric] }] }] });
    node.post("/v1/metrics", &metrics).await;
    let lines = async |path: PathBuf, count: usize| {
        let mut text = String::new();
        let wait = async {
            while text.lines().count() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
                text = std::fs::read_to_string(&path).unwrap_or_default();
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        assert!(waited.is_ok(), "{}: {text}: {}", path.display(), node.agent.log());
        text
    };
    let log = lines(node.file.clone(), 1).await;
    for part in [r#""k8s.pod.name":"web-5d4f-a""#, r#""k8s.container.name":"app""#, r#""k8s.deployment.name":"web""#] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let samples = lines(PathBuf::from(format!("{}.metrics", node.file.display())), 2).await;
    let target = samples.lines().find(|line| line.contains("target_info")).unwrap_or_default();
    for part in ["web-5d4f-a", "k8s_pod_name", "k8s_container_name", "k8s_deployment_name"] {
        assert!(target.contains(part), "{part}: {samples}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_stay_known_while_the_server_is_away_and_through_a_reload() {
    let mut server = KubernetesServer::start().await;
    pod(&server, "default", "web-5d4f-a", spec("n1"), web(), status("10.0.0.1", "c1")).await;
    let mut node = Node::start(server.kubeconfig(ADMIN), "").await;
    let known = |left: &Attributes| left.get("k8s.pod.name").is_some_and(|name| name == "web-5d4f-a");
    assert!(known(&node.span(&[("container.id", "c1")]).await));
    server.stop_api().await;
    assert!(known(&node.span(&[("container.id", "c1")]).await), "what is known stays");
    // The source itself is made anew, with no server to ask.
    let text = std::fs::read_to_string(&node.config).expect("it is there");
    std::fs::write(&node.config, text.replace("sinks:\n", "    answer_within: 4s\nsinks:\n")).expect("written");
    node.agent.signal("HUP");
    let reloaded = async {
        while !node.agent.log().contains("configuration reloaded") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), reloaded).await.is_ok(), "{}", node.agent.log());
    assert!(known(&node.span(&[("container.id", "c1")]).await), "{}", node.agent.log());
    server.start_api().await;
    pod(&server, "default", "late", spec("n1"), json!({}), status("10.0.0.2", "c2")).await;
    server.must("DELETE", "/api/v1/namespaces/default/pods/web-5d4f-a", &json!({ "gracePeriodSeconds": 0 })).await;
    node.until(&[("container.id", "c2")], |left| left.get("k8s.pod.name").is_some_and(|name| name == "late")).await;
    node.until(&[("k8s.pod.ip", "10.0.0.1")], |left| !left.contains_key("k8s.pod.name")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_role_is_enough_and_allows_nothing_else() {
    let server = KubernetesServer::start().await;
    pod(&server, "default", "web-5d4f-a", spec("n1"), web(), status("10.0.0.1", "c1")).await;
    let mut node = Node::start(server.kubeconfig(VIEWER), "").await;
    // Without it the agent works, and says what is missing.
    assert!(!node.span(&[("container.id", "c1")]).await.contains_key("k8s.pod.name"));
    let told = async {
        while !node.agent.log().contains("deploy/kubernetes/otlp") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), told).await.is_ok(), "{}", node.agent.log());
    let text = std::fs::read_to_string("deploy/kubernetes/otlp/rbac.yaml").expect("it is shipped");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    for object in objects {
        apply(&server, object).await;
    }
    node.until(&[("container.id", "c1")], |left| left.contains_key("k8s.pod.name")).await;
    let pod = "/api/v1/namespaces/default/pods/web-5d4f-a";
    for (method, path) in [("GET", pod), ("DELETE", pod), ("GET", "/api/v1/secrets"), ("GET", "/api/v1/nodes")] {
        let (status, _) = server.ask(VIEWER, method, path, &Value::Null).await;
        assert_eq!(status, 403, "{method} {path}");
    }
}
