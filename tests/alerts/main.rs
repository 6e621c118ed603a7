//! Rules and pages as they run: the binary between targets, the real Prometheus and a PagerDuty on loopback that holds every
//! event to the published schema.

#![expect(clippy::print_stderr, reason = "seeds, and what is shown with a test that fails")]

#[path = "../end_to_end/agent.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod agent;
#[path = "../support/exposition_target.rs"]
mod exposition_target;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/pagerduty_server.rs"]
mod pagerduty_server;
#[path = "../support/prometheus_server.rs"]
mod prometheus_server;
#[path = "../support/remote_write_proto.rs"]
mod remote_write_proto;
#[path = "../support/seed.rs"]
mod seed;
#[path = "../support/server_process.rs"]
mod server_process;
#[path = "../support/until.rs"]
mod until;

mod hung;
mod journal;
mod kills;
mod occurrences;
mod queries;
mod refused_queries;
mod same_as_prometheus;
mod setup;
mod tools;

use seed::seed;
use until::until;
