//! Prometheus remote write: the messages as others read and write them, and the binary between a sender and the
//! real Prometheus.

#![expect(clippy::print_stderr, reason = "what is shown with a test that fails")]

#[path = "../end_to_end/agent.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod agent;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/prometheus_server.rs"]
mod prometheus_server;
#[path = "../support/remote_write_proto.rs"]
mod remote_write_proto;
#[path = "../support/server_process.rs"]
mod server_process;

mod messages;
mod relay;
mod samples;
