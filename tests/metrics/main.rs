//! Metrics against the real things: targets of the real Python client, the real Prometheus as scraper, sender and
//! receiver, with and without faults on the way. Every sample is compared.

#![expect(clippy::print_stderr, reason = "seeds, and what is shown with a test that fails")]

mod forwarded;
mod instruments;
mod kill;
mod otlp;
mod same_as_prometheus;
mod setup;
mod shop;
mod stored;

#[allow(dead_code, reason = "the tests of logs use the rest")]
#[path = "../end_to_end/agent.rs"]
mod agent;

#[path = "../support/exposition_target.rs"]
mod exposition_target;
#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/kubernetes_server.rs"]
mod kubernetes_server;
#[path = "../support/metric_family_proto.rs"]
mod metric_family_proto;
#[path = "../support/prometheus_server.rs"]
mod prometheus_server;
#[path = "../support/python_target.rs"]
mod python_target;
#[path = "../support/remote_write_proto.rs"]
mod remote_write_proto;
#[path = "../support/seed.rs"]
mod seed;
#[path = "../support/server_process.rs"]
mod server_process;
#[path = "../support/until.rs"]
mod until;

use seed::seed;
use until::until;
