//! What was sent is what Jaeger's query API returns, attribute by attribute, through every path in and out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::jaeger_server::JaegerServer;
use crate::server_process::{free_ports, new_folder, script};

/// The ways from the source to Jaeger: options of the sinks.
const WAYS: [(&str, &str); 4] = [
    ("jaeger/grpc_gzip", "protocol: grpc, compression: gzip"),
    ("otlp/grpc_plain", "protocol: grpc, compression: none"),
    ("otlp/grpc_zstd", "protocol: grpc, compression: zstd"),
    ("otlp/http_gzip", "protocol: http, compression: gzip"),
];

/// An agent with a source for each way.
struct Relay {
    jaeger: JaegerServer,
    /// Ports of gRPC and of HTTP of each way.
    ports: [(SocketAddr, SocketAddr); WAYS.len()],
    _agent: Agent,
}

impl Relay {
    async fn start() -> Self {
        let jaeger = JaegerServer::start().await;
        let free: [u16; 2 * WAYS.len()] = free_ports();
        let (mut sources, mut sinks) = (String::new(), String::new());
        for (way, (name, options)) in WAYS.iter().enumerate() {
            let (grpc, http) = (free[2 * way], free[2 * way + 1]);
            sources += &format!(
                "  otlp/{way}: {{ grpc: {{ listen: \"127.0.0.1:{grpc}\" }}, http: {{ listen: \"127.0.0.1:{http}\" }} }}\n"
            );
            let to = if options.contains("http") { jaeger.http } else { jaeger.grpc };
            sinks += &format!("  {name}: {{ inputs: [otlp/{way}.traces], endpoint: \"http://{to}\", {options} }}\n");
        }
        let folder = new_folder("traces");
        let config = folder.join("tailwater.yaml");
        let head =
            format!("data_dir: {}/data\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\n", folder.display());
        std::fs::write(&config, format!("{head}sources:\n{sources}sinks:\n{sinks}")).expect("a configuration");
        let agent = Agent::start(&config);
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ports = std::array::from_fn(|way| (local(free[2 * way]), local(free[2 * way + 1])));
        Self { jaeger, ports, _agent: agent }
    }
}

/// Sends a request until the agent listens.
async fn post(to: SocketAddr, kind: &str, body: Vec<u8>) -> Message {
    let headers = BTreeMap::from([("content-type".to_owned(), kind.to_owned())]);
    let request = Message { first_line: "POST /v1/traces HTTP/1.1".into(), headers, body };
    let sent = async {
        loop {
            if let Some(answer) = exchange(to, request.clone()).await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), sent).await.expect("an answer")
}

fn attribute(key: &str, value: Value) -> Value {
    json!({ "key": key, "value": value })
}

/// A request with everything that a span can have.
fn rich(trace_id: &str) -> Value {
    let attributes = json!([
        attribute("text", json!({ "stringValue": "naïve \"quoted\" \n line" })),
        attribute("yes", json!({ "boolValue": true })),
        attribute("int", json!({ "intValue": "-9007199254740993" })),
        attribute("double", json!({ "doubleValue": 0.1 })),
        attribute("bytes", json!({ "bytesValue": "AAEC/w==" })),
        attribute("list", json!({ "arrayValue": { "values": [{ "stringValue": "a" }, { "stringValue": "b" }] } })),
    ]);
    let root = json!({
        "traceId": trace_id, "spanId": "00f067aa0ba902b7", "traceState": "vendor=1", "name": "GET /cart", "kind": 2,
        "startTimeUnixNano": "1764380000000000001", "endTimeUnixNano": "1764380000123456789",
        "attributes": attributes,
        "events": [{ "timeUnixNano": "1764380000000000500", "name": "exception",
                     "attributes": [attribute("exception.type", json!({ "stringValue": "io" }))] }],
        "links": [{ "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
                    "attributes": [attribute("why", json!({ "stringValue": "follows" }))] }],
        "status": { "code": 2, "message": "it failed" },
    });
    let child = json!({
        "traceId": trace_id, "spanId": "10f067aa0ba902b7", "parentSpanId": "00f067aa0ba902b7", "name": "query", "kind": 3,
        "startTimeUnixNano": "1764380000000000002", "endTimeUnixNano": "1764380000023456789",
    });
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            attribute("service.name", json!({ "stringValue": "shop" })),
            attribute("k8s.pod.name", json!({ "stringValue": "shop-1" })),
        ] },
        "scopeSpans": [{ "scope": { "name": "checkout", "version": "1.2" }, "spans": [root, child] }],
    }] })
}

/// What two tellings of a span must agree in.
fn comparable(span: &Value, resource: &Value, scope: &Value) -> Value {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let sorted = |list: &Value| {
        let mut list: Vec<Value> = list.as_array().cloned().unwrap_or_default();
        list.sort_by_key(|one| text(&one["key"]));
        list
    };
    let each = |list: &Value, of: &dyn Fn(&Value) -> Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(of).collect()
    };
    let kind = match &span["kind"] {
        Value::String(name) => ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
            .iter()
            .position(|kind| name.ends_with(kind))
            .map_or(json!(name), |kind| json!(kind)),
        other => other.clone(),
    };
    let code = match &span["status"]["code"] {
        Value::String(name) if name == "STATUS_CODE_ERROR" => json!(2),
        Value::Null => json!(0),
        other => other.clone(),
    };
    json!({
        "ids": [text(&span["traceId"]), text(&span["spanId"]), text(&span["parentSpanId"])],
        "name": span["name"], "kind": kind, "state": text(&span["traceState"]),
        "times": [text(&span["startTimeUnixNano"]), text(&span["endTimeUnixNano"])],
        "attributes": sorted(&span["attributes"]),
        "events": each(&span["events"], &|event| json!([event["name"], text(&event["timeUnixNano"]), sorted(&event["attributes"])])),
        "links": each(&span["links"], &|link| json!([link["traceId"], link["spanId"], sorted(&link["attributes"])])),
        "status": [code, text(&span["status"]["message"])],
        "resource": sorted(&resource["attributes"]),
        "scope": [text(&scope["name"]), text(&scope["version"])],
    })
}

fn expected(request: &Value) -> Vec<Value> {
    let resource = &request["resourceSpans"][0];
    let scope = &resource["scopeSpans"][0];
    let spans = scope["spans"].as_array().expect("spans");
    spans.iter().map(|span| comparable(span, &resource["resource"], &scope["scope"])).collect()
}

#[tokio::test]
async fn what_was_sent_is_what_jaeger_returns_by_every_way() {
    let relay = Relay::start().await;
    for (way, (name, _)) in WAYS.iter().enumerate() {
        for (form, kind) in ["application/json", "application/x-protobuf"].into_iter().enumerate() {
            let trace_id = format!("4bf92f3577b34da6a3ce929d0e0e4{way}{form}a");
            let request = rich(&trace_id);
            let text = request.to_string().into_bytes();
            let body = if form == 0 { text } else { protobuf(&request) };
            let answer = post(relay.ports[way].1, kind, body).await;
            assert_eq!(answer.status(), 200, "{name}: {}", String::from_utf8_lossy(&answer.body));
            let found = relay.jaeger.spans(&trace_id, 2).await;
            let found: Vec<_> = found.iter().map(|(span, resource, scope)| comparable(span, resource, scope)).collect();
            assert_eq!(found, expected(&request), "{name} from {kind}");
        }
    }
}

/// The request as protobuf, by the types of OpenTelemetry's own crate.
fn protobuf(request: &Value) -> Vec<u8> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;
    let request: ExportTraceServiceRequest = serde_json::from_value(request.clone()).expect("the crate reads its own");
    request.encode_to_vec()
}

#[tokio::test]
async fn telemetrygen_reaches_jaeger_with_every_span() {
    let relay = Relay::start().await;
    // The agent listens once this is answered.
    post(relay.ports[0].1, "application/json", b"{}".to_vec()).await;
    for (way, over_http) in [(0, false), (1, true), (2, false), (3, true)] {
        let service = format!("gen-{way}");
        let to = if over_http { relay.ports[way].1 } else { relay.ports[way].0 };
        let mut arguments = vec!["traces", "--otlp-insecure", "--traces", "50", "--child-spans", "3", "--rate", "0"];
        let (to, name) = (to.to_string(), service.clone());
        arguments.extend(["--otlp-endpoint", &to, "--service", &name]);
        if over_http {
            arguments.push("--otlp-http");
        }
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let run = move || Command::new(script("telemetrygen")).args(arguments).output();
        let output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("telemetrygen runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        relay.jaeger.wait_for_spans(&service, 200).await;
    }
}

#[tokio::test]
async fn the_sdk_for_python_is_answered_and_its_spans_arrive() {
    let relay = Relay::start().await;
    post(relay.ports[0].1, "application/json", b"{}".to_vec()).await;
    for (way, protocol) in [(0, "grpc"), (3, "http")] {
        let (to, service) = match protocol {
            "grpc" => (format!("http://{}", relay.ports[way].0), "python-grpc"),
            _ => (format!("http://{}", relay.ports[way].1), "python-http"),
        };
        let run = move || Command::new(script("opentelemetry")).args([protocol, &to, service, "20"]).output();
        let output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("the sender runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let sent = String::from_utf8(output.stdout).expect("UTF-8");
        let sent: Vec<Value> = sent.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(sent.len(), 40);
        for span in &sent {
            let trace_id = span["traceId"].as_str().expect("an id");
            let found = relay.jaeger.spans(trace_id, 2).await;
            let (found, resource, scope) =
                found.iter().find(|(found, ..)| found["spanId"] == span["spanId"]).expect("the span");
            let found = comparable(found, resource, scope);
            let count = |list: &Value| list.as_array().map_or(0, Vec::len);
            assert_eq!(found["ids"], json!([span["traceId"], span["spanId"], span["parentSpanId"]]));
            assert_eq!((&found["name"], &found["times"]), (&span["name"], &json!([span["start"], span["end"]])));
            for list in ["attributes", "events", "links"] {
                assert_eq!(json!(count(&found[list])), span[list], "{list} of {span}");
            }
        }
    }
}
