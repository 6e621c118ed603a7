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
#[path = "../support/server_process.rs"]
mod server_process;

use std::time::Duration;

/// The seed of a test: that of `TAILWATER_TEST_SEED` or a new one, printed either way.
fn seed() -> u64 {
    let given = std::env::var("TAILWATER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("TAILWATER_TEST_SEED={seed}");
    seed
}

/// Waits until a condition holds; fails after two minutes in these words.
async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(120), wait).await.is_ok(), "not within two minutes: {what}");
}
