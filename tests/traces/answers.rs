//! What senders are told: by gRPC and by HTTP, by what becomes of what they sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tailwater::net::grpc::{Call, CallError, Code, GrpcClient};
use tailwater::options::HttpClientOptions;
use tokio::net::TcpListener;

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::server_process::{free_ports, new_folder};

const SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
    {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a"},
    {"traceId":"","spanId":"eee19b7ec3c1b175","name":"b"}]}]}]}"#;

fn agent(sinks: &str, answer_within: &str) -> (Agent, SocketAddr) {
    let [port] = free_ports();
    let folder = new_folder("answers");
    let config = folder.join("tailwater.yaml");
    let text = format!(
        "data_dir: {}/data\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\nsources:\n  otlp/in:\n    \
         grpc: {{ listen: off }}\n    http: {{ listen: \"127.0.0.1:{port}\" }}\n    \
         answer_within: {answer_within}\nsinks:\n{sinks}",
        folder.display()
    );
    std::fs::write(&config, text).expect("a configuration");
    (Agent::start(&config), SocketAddr::from(([127, 0, 0, 1], port)))
}

async fn post(to: SocketAddr, body: &str) -> Message {
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    let request = Message { first_line: "POST /v1/traces HTTP/1.1".into(), headers, body: body.into() };
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

#[tokio::test]
async fn what_is_refused_is_counted_in_a_partial_success() {
    let (_agent, address) = agent("  blackhole/b: { inputs: [otlp/in.traces] }\n", "5s");
    let answer = post(address, SPAN).await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(answer.status(), 200);
    assert_eq!(body["partialSuccess"]["rejectedSpans"], "1");
    assert!(body["partialSuccess"]["errorMessage"].as_str().is_some_and(|words| words.contains("spans[1]")), "{body}");
}

#[tokio::test]
async fn a_signal_that_nothing_reads_is_not_there() {
    let [grpc, http] = free_ports();
    let folder = new_folder("answers");
    let config = folder.join("tailwater.yaml");
    let text = format!(
        "data_dir: {}/data\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\nsources:\n  otlp/in:\n    \
         grpc: {{ listen: \"127.0.0.1:{grpc}\" }}\n    http: {{ listen: \"127.0.0.1:{http}\" }}\nsinks:\n  \
         blackhole/b: {{ inputs: [otlp/in.traces] }}\n",
        folder.display()
    );
    std::fs::write(&config, text).expect("a configuration");
    let agent = Agent::start(&config);
    let address = SocketAddr::from(([127, 0, 0, 1], http));
    assert_eq!(post(address, SPAN).await.status(), 200);
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    let first_line = "POST /v1/logs HTTP/1.1".into();
    let answer = exchange(address, Message { first_line, headers, body: "{}".into() }).await.expect("an answer");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("a Status");
    assert_eq!(answer.status(), 404);
    assert!(body["message"].as_str().is_some_and(|words| words.contains("nothing with logs")), "{body}");

    let client = GrpcClient::new(&HttpClientOptions::default()).expect("a client");
    for (method, expected) in [("metrics.v1.MetricsService", true), ("trace.v1.TraceService", false)] {
        let path = format!("http://127.0.0.1:{grpc}/opentelemetry.proto.collector.{method}/Export");
        let call = Call {
            url: path.parse().expect("an address"),
            metadata: Default::default(),
            payload: vec![bytes::Bytes::copy_from_slice(&Call::prefix(false, 0))].into(),
            encoding: None,
            timeout: Duration::from_secs(60),
        };
        let unimplemented = match client.unary(call).await {
            Ok(_) => false,
            Err(CallError::Status { status, .. }) => status.code() == Code::Unimplemented,
            Err(error) => panic!("{error}: {}", agent.log()),
        };
        assert_eq!(unimplemented, expected, "{method}");
    }
}

#[tokio::test]
async fn a_hung_destination_makes_the_sender_come_again() {
    // It takes connections and never answers.
    let hung = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = hung.local_addr().expect("bound");
    let sinks = format!("  otlp/hung: {{ inputs: [otlp/in.traces], endpoint: \"http://{to}\" }}\n");
    let (_agent, address) = agent(&sinks, "300ms");
    let answer = post(address, SPAN).await;
    assert_eq!(answer.status(), 503, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.headers.get("retry-after").map(String::as_str), Some("5"));
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("a Status");
    assert!(body["message"].as_str().is_some_and(|words| words.contains("in time")), "{body}");
}

#[tokio::test]
async fn one_destination_that_has_it_is_enough() {
    let hung = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = hung.local_addr().expect("bound");
    let folder = new_folder("out");
    // `blackhole` is no destination where another reads the same; a file is.
    let sinks = format!(
        "  otlp/hung: {{ inputs: [otlp/in.traces], endpoint: \"http://{to}\" }}\n  \
         otlp/next: {{ inputs: [otlp/in.traces], endpoint: \"http://127.0.0.1:1\", buffer: {{ disk: 16MiB }} }}\n"
    );
    drop(folder);
    let (_agent, address) = agent(&sinks, "2s");
    let answer = post(address, SPAN).await;
    assert_eq!(answer.status(), 200, "it is in the disk queue: {}", String::from_utf8_lossy(&answer.body));
}
