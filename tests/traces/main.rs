//! Traces through the binary: from senders that nobody here wrote into the real Jaeger, by every way in and out.

#![expect(clippy::print_stderr, reason = "what is shown with a test that fails")]

#[path = "../end_to_end/agent.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod agent;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/jaeger_server.rs"]
mod jaeger_server;
#[path = "../support/prometheus_server.rs"]
mod prometheus_server;
#[path = "../support/server_process.rs"]
mod server_process;

mod answers;
mod jaeger;
mod logs;
mod metrics;
mod own;
mod routing;
mod tail_sampling;
mod zipkin;
