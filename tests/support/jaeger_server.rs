//! The real Jaeger on free loopback ports, with its memory as the store: what was sent is what its query API returns.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::http::{self, Message};
use crate::server_process::{ServerProcess, free_ports, new_folder};

/// Longest wait for what was sent to be found.
const LIMIT: Duration = Duration::from_secs(60);

/// A running server.
pub struct JaegerServer {
    /// OTLP over gRPC.
    pub grpc: SocketAddr,
    /// OTLP over HTTP.
    pub http: SocketAddr,
    /// Zipkin's API.
    pub zipkin: SocketAddr,
    query: SocketAddr,
    process: ServerProcess,
}

impl JaegerServer {
    /// An empty server.
    pub async fn start() -> Self {
        let ports: [u16; 5] = free_ports();
        let folder = new_folder("jaeger");
        let log = folder.with_extension("log");
        let mut arguments = vec![folder.display().to_string()];
        arguments.extend(ports.iter().map(u16::to_string));
        let mut process = ServerProcess::start("jaeger", &arguments, &log);
        let [grpc, http, zipkin, query, health] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        process
            .wait_ready(|| async move { get(health, "/status").await.is_some_and(|(status, _)| status == 200) })
            .await;
        Self { grpc, http, zipkin, query, process }
    }

    /// What it said.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The spans of a trace as OTLP/JSON, by their ids, each with its resource and scope; waits until there are `count`.
    pub async fn spans(&self, trace_id: &str, count: usize) -> Vec<(Value, Value, Value)> {
        let path = format!("/api/v3/traces/{trace_id}");
        let mut last = Vec::new();
        let wait = async {
            loop {
                last = spans(get(self.query, &path).await);
                if last.len() >= count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, wait).await;
        assert!(waited.is_ok(), "{} of {count} spans of {trace_id}: {}", last.len(), self.log());
        last
    }

    /// The ids of all traces of a service, sorted.
    pub async fn traces(&self, service: &str) -> Vec<String> {
        let path = format!("/api/traces?service={service}&limit=100000&lookback=100h");
        let Some((200, body)) = get(self.query, &path).await else { return Vec::new() };
        let found: Value = serde_json::from_slice(&body).expect("JSON");
        let ids = found["data"].as_array().into_iter().flatten();
        let mut ids: Vec<_> = ids.filter_map(|trace| trace["traceID"].as_str().map(str::to_owned)).collect();
        ids.sort();
        ids
    }

    /// Number of spans of a service, over all its traces; waits until there are as many.
    pub async fn wait_for_spans(&self, service: &str, count: usize) {
        let path = format!("/api/traces?service={service}&limit=100000&lookback=100h");
        let mut found = 0;
        let wait = async {
            loop {
                if let Some((200, body)) = get(self.query, &path).await {
                    let answer: Value = serde_json::from_slice(&body).expect("JSON");
                    let traces = answer["data"].as_array().into_iter().flatten();
                    found = traces.filter_map(|trace| trace["spans"].as_array().map(Vec::len)).sum();
                }
                if found >= count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, wait).await;
        assert!(waited.is_ok(), "{found} of {count} spans of {service}: {}", self.log());
        assert_eq!(found, count, "spans of {service}");
    }
}

fn spans(answer: Option<(u16, Vec<u8>)>) -> Vec<(Value, Value, Value)> {
    let Some((200, body)) = answer else { return Vec::new() };
    let found: Value = serde_json::from_slice(&body).expect("JSON");
    let mut spans = Vec::new();
    for resource in found["result"]["resourceSpans"].as_array().into_iter().flatten() {
        for scope in resource["scopeSpans"].as_array().into_iter().flatten() {
            for span in scope["spans"].as_array().into_iter().flatten() {
                spans.push((span.clone(), resource["resource"].clone(), scope["scope"].clone()));
            }
        }
    }
    spans.sort_by_key(|(span, ..)| span["spanId"].as_str().unwrap_or_default().to_owned());
    spans
}

async fn get(address: SocketAddr, path: &str) -> Option<(u16, Vec<u8>)> {
    let request = Message { first_line: format!("GET {path} HTTP/1.1"), ..Message::default() };
    let answer = http::exchange(address, request).await?;
    Some((answer.status(), answer.body))
}
