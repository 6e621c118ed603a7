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
#[path = "../support/server_process.rs"]
mod server_process;

mod hung;
mod kills;
mod occurrences;
mod queries;
mod same_as_prometheus;
mod setup;

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
