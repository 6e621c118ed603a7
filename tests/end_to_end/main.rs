//! The binary as it is run on a node: container logs on one side, the real Elasticsearch behind a
//! fault-injecting proxy on the other, and whatever can happen between.

#![expect(clippy::print_stderr, reason = "seeds, and what is shown with a test that fails")]

mod agent;
mod hung;
mod kill;
mod node;
mod queue;
mod reload;
mod zero_copy;

#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/seed.rs"]
mod seed;
#[path = "../support/elasticsearch_server.rs"]
mod server;

use seed::seed;
