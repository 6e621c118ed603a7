//! SIGKILLs while traces are undecided: no span is lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::jaeger_server::JaegerServer;
use crate::server_process::{free_ports, new_folder};

/// Sends one span of a trace and waits for the answer, again while nobody listens.
async fn send(to: SocketAddr, trace: usize, span: usize) {
    let body = json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "killed" } }] },
        "scopeSpans": [{ "spans": [{
            "traceId": format!("{:032x}", trace + 1), "spanId": format!("{:016x}", trace * 100 + span + 1),
            "parentSpanId": "00f067aa0ba902b7", "name": format!("span-{span}"),
            "startTimeUnixNano": "1764380000000000001", "endTimeUnixNano": "1764380000123456789",
        }] }],
    }] });
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    let request =
        Message { first_line: "POST /v1/traces HTTP/1.1".into(), headers, body: body.to_string().into_bytes() };
    let sent = async {
        loop {
            if exchange(to, request.clone()).await.is_some_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), sent).await.expect("it is taken");
}

#[tokio::test]
async fn kills_lose_no_undecided_span() {
    const TRACES: usize = 40;
    const SPANS: usize = 3;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let jaeger = JaegerServer::start().await;
    let ([port], folder) = (free_ports(), new_folder("kills"));
    let config = folder.join("tailwater.yaml");
    let text = format!(
        "data_dir: {}/data\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\nsources:\n  \
         otlp/in: {{ grpc: {{ listen: off }}, http: {{ listen: \"127.0.0.1:{port}\" }} }}\ntransforms:\n  \
         tail_sampling/t: {{ inputs: [otlp/in.traces], decision_wait: 2s, policies: [{{ type: always_sample }}] }}\n\
         sinks:\n  jaeger/out: {{ inputs: [tail_sampling/t], endpoint: \"http://{}\" }}\n",
        folder.display(),
        jaeger.grpc
    );
    std::fs::write(&config, text).expect("a configuration");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut agent = Some(Agent::start(&config));
    for trace in 0..TRACES {
        for span in 0..SPANS {
            send(address, trace, span).await;
        }
        if random.u8(..6) == 0 {
            agent.take().expect("it runs").kill();
            agent = Some(Agent::start(&config));
        }
    }
    for trace in 0..TRACES {
        let found = jaeger.spans(&format!("{:032x}", trace + 1), SPANS).await;
        let mut names: Vec<_> = found.iter().filter_map(|(span, ..)| span["name"].as_str()).collect();
        // A kill between the sending and the settling sends once more.
        names.dedup();
        assert_eq!(names, ["span-0", "span-1", "span-2"], "trace {trace}");
    }
    agent.expect("it runs").stop();
}
