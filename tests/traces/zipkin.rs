//! Zipkin's API at both ends: py_zipkin into the source, and the sink into the receiver that Jaeger has for Zipkin.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::jaeger_server::JaegerServer;
use crate::server_process::{free_ports, new_folder, script};

const SPAN: &str = r#"[{"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"a2fb4a1d1a96d312","name":"get"}]"#;

fn agent(components: &str) -> Agent {
    let folder = new_folder("zipkin");
    let config = folder.join("tailwater.yaml");
    let head = format!("data_dir: {}/data\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\n", folder.display());
    std::fs::write(&config, format!("{head}{components}")).expect("a configuration");
    Agent::start(&config)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Sends a request until the agent listens.
async fn send(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Message {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request = Message { first_line: format!("POST {path} HTTP/1.1"), headers, body: body.to_vec() };
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

async fn post(to: SocketAddr, path: &str, kind: &str, body: &str) -> (u16, String) {
    let answer = send(to, path, &[("content-type", kind)], body.as_bytes()).await;
    (answer.status(), String::from_utf8_lossy(&answer.body).into_owned())
}

/// Values by their keys.
fn attributes(list: &Value) -> BTreeMap<String, Value> {
    let pairs = list.as_array().into_iter().flatten();
    pairs.map(|pair| (pair["key"].as_str().expect("a key").to_owned(), pair["value"].clone())).collect()
}

fn kind(span: &Value) -> Value {
    let names = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    let place = |name: &str| names.iter().position(|known| name.ends_with(known)).map(|place| json!(place));
    span["kind"].as_str().and_then(place).unwrap_or_else(|| span["kind"].clone())
}

fn status(span: &Value) -> Value {
    let code = match &span["status"]["code"] {
        Value::String(name) if name == "STATUS_CODE_ERROR" => json!(2),
        Value::Null => json!(0),
        code => code.clone(),
    };
    json!([code, span["status"]["message"].as_str().unwrap_or_default()])
}

fn events(span: &Value) -> Value {
    span["events"].as_array().into_iter().flatten().map(|event| json!([event["name"], event["timeUnixNano"]])).collect()
}

#[tokio::test]
async fn what_py_zipkin_sends_is_what_jaeger_returns() {
    let jaeger = JaegerServer::start().await;
    let [port] = free_ports();
    let _agent = agent(&format!(
        "sources:\n  zipkin/in: {{ listen: \"127.0.0.1:{port}\" }}\nidentity: {{ cluster: prod, external_labels: \
         {{ region: eu }} }}\nsinks:\n  jaeger/out: {{ inputs: [zipkin/in], endpoint: \"http://{}\" }}\n",
        jaeger.grpc
    ));
    assert_eq!(post(local(port), "/api/v2/spans", "application/json", "[]").await, (202, String::new()));
    for encoding in ["v1_json", "v2_json", "v2_proto3"] {
        let run = move || {
            Command::new(script("opentelemetry")).args(["zipkin", encoding, &port.to_string(), "shop"]).output()
        };
        let output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("the sender runs");
        assert!(output.status.success(), "{encoding}: {}", String::from_utf8_lossy(&output.stderr));
        let sent = String::from_utf8(output.stdout).expect("UTF-8");
        let sent: Vec<Value> = sent.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(sent.len(), 4, "two traces of two spans");
        for span in &sent {
            let found = jaeger.spans(span["traceId"].as_str().expect("an id"), 2).await;
            let (found, resource, _) =
                found.iter().find(|(found, ..)| found["spanId"] == span["spanId"]).expect("there");
            let parent = found["parentSpanId"].as_str().unwrap_or_default();
            assert_eq!((&found["traceId"], &json!(parent)), (&span["traceId"], &span["parentSpanId"]), "{encoding}");
            assert_eq!((&found["name"], &kind(found)), (&span["name"], &span["kind"]), "{encoding}");
            let expected: BTreeMap<String, Value> =
                serde_json::from_value(span["attributes"].clone()).expect("an object");
            let mut said = attributes(&found["attributes"]);
            // Jaeger's own: clocks of tests and of the sender differ.
            said.remove("@jaeger@warnings");
            assert_eq!(said, expected, "{encoding}");
            assert_eq!((events(found), status(found)), (span["events"].clone(), span["status"].clone()), "{encoding}");
            if span["times"].is_array() {
                assert_eq!(json!([found["startTimeUnixNano"], found["endTimeUnixNano"]]), span["times"], "{encoding}");
            }
            let text = |text: &Value| json!({ "stringValue": text });
            let origin = [("k8s.cluster.name", json!("prod")), ("region", json!("eu"))];
            let origin = origin.into_iter().chain([("service.name", span["service"].clone())]);
            let origin: BTreeMap<String, Value> = origin.map(|(key, value)| (key.into(), text(&value))).collect();
            assert_eq!(attributes(&resource["attributes"]), origin, "{encoding}");
        }
    }
}

/// Two spans as OTLP/JSON, with what Zipkin has a place for and what it has not.
fn otlp(trace_id: &str) -> Value {
    let attribute = |key: &str, value: Value| json!({ "key": key, "value": value });
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            attribute("service.name", json!({ "stringValue": "shop" })),
            attribute("k8s.pod.name", json!({ "stringValue": "shop-1" })),
        ] },
        "scopeSpans": [{ "scope": { "name": "checkout", "version": "1.2" }, "spans": [
            {
                "traceId": trace_id, "spanId": "00f067aa0ba902b7", "name": "GET /cart", "kind": 2,
                "startTimeUnixNano": "1764380000000001000", "endTimeUnixNano": "1764380000123456000",
                "attributes": [
                    attribute("text", json!({ "stringValue": "naïve \"quoted\" \n line" })),
                    attribute("yes", json!({ "boolValue": true })),
                    attribute("int", json!({ "intValue": "-9007199254740993" })),
                    attribute("list", json!({ "arrayValue": { "values": [{ "stringValue": "a" }, { "intValue": "1" }] } })),
                ],
                "events": [{ "timeUnixNano": "1764380000000500000", "name": "began" }],
                "status": { "code": 2, "message": "it failed" },
            },
            {
                "traceId": trace_id, "spanId": "10f067aa0ba902b7", "parentSpanId": "00f067aa0ba902b7", "name": "query",
                "kind": 3, "startTimeUnixNano": "1764380000000002000", "endTimeUnixNano": "1764380000023456000",
                "attributes": [
                    attribute("peer.service", json!({ "stringValue": "orders-db" })),
                    attribute("network.peer.address", json!({ "stringValue": "10.1.2.9" })),
                    attribute("network.peer.port", json!({ "intValue": "5432" })),
                ],
            },
        ] }],
    }] })
}

#[tokio::test]
async fn the_sink_sends_what_jaegers_receiver_for_zipkin_understands() {
    let jaeger = JaegerServer::start().await;
    let free: [u16; 2] = free_ports();
    let (mut sources, mut sinks) = (String::new(), String::new());
    for (port, compression) in free.iter().zip(["gzip", "none"]) {
        sources +=
            &format!("  otlp/{compression}: {{ grpc: {{ listen: off }}, http: {{ listen: \"127.0.0.1:{port}\" }} }}\n");
        sinks += &format!(
            "  zipkin/{compression}: {{ inputs: [otlp/{compression}.traces], compression: {compression}, endpoint: \
             \"http://{}/api/v2/spans\" }}\n",
            jaeger.zipkin
        );
    }
    let _agent = agent(&format!("sources:\n{sources}sinks:\n{sinks}"));
    for (port, trace_id) in
        free.into_iter().zip(["4bf92f3577b34da6a3ce929d0e0e4736", "0000000000000000a3ce929d0e0e4736"])
    {
        let sent = post(local(port), "/v1/traces", "application/json", &otlp(trace_id).to_string()).await;
        assert_eq!(sent.0, 200, "{}", sent.1);
        let found = jaeger.spans(trace_id, 2).await;
        let [(root, origin, scope), (child, ..)] = &found[..] else { panic!("two spans: {found:?}") };
        assert_eq!((&root["name"], kind(root)), (&json!("GET /cart"), json!(2)));
        assert_eq!((&child["name"], kind(child)), (&json!("query"), json!(3)));
        assert_eq!((&root["traceId"], &child["parentSpanId"]), (&json!(trace_id), &root["spanId"]));
        assert_eq!(root["startTimeUnixNano"], "1764380000000001000");
        assert_eq!(root["endTimeUnixNano"], "1764380000123456000");
        assert_eq!((events(root), status(root)), (json!([["began", "1764380000000500000"]]), json!([2, ""])));
        assert_eq!((&scope["name"], &scope["version"]), (&json!("checkout"), &json!("1.2")));
        let text = |text: &str| json!({ "stringValue": text });
        let origin = attributes(&origin["attributes"]);
        // The receiver knows the names of resources' attributes.
        assert_eq!((&origin["service.name"], &origin["k8s.pod.name"]), (&text("shop"), &text("shop-1")));
        let said = attributes(&root["attributes"]);
        for (key, value) in [
            ("text", "naïve \"quoted\" \n line"),
            ("yes", "true"),
            ("int", "-9007199254740993"),
            ("list", r#"["a",1]"#),
            // Where OpenTelemetry's specification has the status's description.
            ("error", "it failed"),
        ] {
            assert_eq!(said.get(key), Some(&text(value)), "{key} of {said:?}");
        }
        assert_eq!(attributes(&child["attributes"]).get("peer.service"), Some(&text("orders-db")), "{child}");
    }
}

#[tokio::test]
async fn tracers_are_told_what_became_of_their_spans() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let token = new_folder("token").join("token");
    std::fs::write(&token, "secret").expect("it can be written");
    let [port] = free_ports();
    let agent = agent(&format!(
        "sources:\n  zipkin/late: {{ listen: \"{}\" }}\n  zipkin/in: {{ listen: \"127.0.0.1:{port}\", max_inflated: 64KiB, \
         login: {{ bearer_token: \"${{file:{}}}\" }} }}\nsinks:\n  blackhole/b: {{ inputs: [zipkin/in, zipkin/late] }}\n",
        taken.local_addr().expect("bound"),
        token.display()
    ));
    let post = |path: &'static str, kind: &'static str, body: String| async move {
        let headers = [("content-type", kind), ("authorization", "Bearer secret")];
        let answer = send(local(port), path, &headers, body.as_bytes()).await;
        (answer.status(), String::from_utf8_lossy(&answer.body).into_owned())
    };
    let (v1, v2, json_type) = ("/api/v1/spans", "/api/v2/spans", "application/json");
    let bad = r#"{"traceId":"463ac35c9f6413ad","id":"not hexadecimal"}"#;
    let some = format!("{},{bad}]", &SPAN[..SPAN.len() - 1]);
    for (path, kind, body, status, words) in [
        (v2, json_type, SPAN.to_owned(), 202, ""),
        (v1, json_type, SPAN.to_owned(), 202, ""),
        (v2, json_type, some, 202, "1 of 2 spans were refused: span 1: `id`"),
        (v2, json_type, format!("[{bad}]"), 400, "1 of 1 spans were refused: span 0: `id`"),
        (v2, json_type, "{}".into(), 400, "not a JSON array of spans"),
        (v2, "application/x-protobuf", "[]".into(), 400, "not a zipkin.proto3.ListOfSpans"),
        (v1, "application/x-thrift", "x".into(), 415, "Thrift is not understood"),
        (v2, json_type, " ".repeat(70_000), 413, "larger than 65536 bytes"),
        ("/spans", json_type, SPAN.to_owned(), 404, "/api/v2/spans"),
    ] {
        let answer = post(path, kind, body).await;
        assert_eq!(answer.0, status, "{path} {kind}: {}", answer.1);
        assert!(answer.1.contains(words) && answer.1.is_empty() == words.is_empty(), "{path} {kind}: {}", answer.1);
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(SPAN.as_bytes()).expect("into memory");
    let headers = [("content-type", json_type), ("content-encoding", "gzip"), ("authorization", "Bearer secret")];
    assert_eq!(send(local(port), v2, &headers, &gzip.finish().expect("into memory")).await.status(), 202);
    assert_eq!(send(local(port), v2, &[("content-type", json_type)], SPAN.as_bytes()).await.status(), 401);
    // The source whose port is taken fails alone, by name.
    let address = taken.local_addr().expect("bound").to_string();
    let told = || agent.log().lines().any(|line| line.contains("zipkin/late") && line.contains(&address));
    let wait = async {
        while !told() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it is told");
}

#[tokio::test]
async fn a_hung_destination_makes_the_tracer_come_again() {
    // It takes connections and never answers.
    let hung = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = hung.local_addr().expect("bound");
    let [port] = free_ports();
    let _agent = agent(&format!(
        "sources:\n  zipkin/in: {{ listen: \"127.0.0.1:{port}\", answer_within: 300ms }}\nsinks:\n  zipkin/hung: {{ inputs: \
         [zipkin/in], endpoint: \"http://{to}/api/v2/spans\" }}\n"
    ));
    let answer = send(local(port), "/api/v2/spans", &[("content-type", "application/json")], SPAN.as_bytes()).await;
    assert_eq!(answer.status(), 503, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.headers.get("retry-after").map(String::as_str), Some("5"));
    assert!(String::from_utf8_lossy(&answer.body).contains("in time"));
}
