//! Targets from a cluster, beside the real API server and the real Prometheus: every label of every target of every
//! role is compared with what Prometheus finds in the same cluster, while objects come, change and go. And senders, which
//! are known by their pods.

#![expect(clippy::print_stderr, reason = "what is shown with a test that fails")]

mod access;
mod cluster;
mod roles;
mod senders;

#[path = "../end_to_end/agent.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod agent;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/kubernetes_server.rs"]
mod kubernetes_server;
#[path = "../support/prometheus_server.rs"]
mod prometheus_server;
#[path = "../support/server_process.rs"]
mod server_process;
#[path = "../support/until.rs"]
mod until;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tailwater::data::LabelSet;
use tailwater::sources::prometheus_scrape::discovery::kubernetes::{Kubernetes, KubernetesSdConfig, problems};
use tailwater::sources::prometheus_scrape::discovery::{Found, Pace, start};
use tailwater::telemetry::Telemetry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use until::until;

/// The labels of a target, those of its group among them.
type Target = BTreeMap<String, String>;

/// A discovery that runs.
struct Discovery {
    found: watch::Receiver<Found>,
    _shutdown: tokio_util::sync::DropGuard,
}

impl Discovery {
    /// Starts one with these options; with a node, for that node alone.
    fn start(options: &Value, node: Option<&str>) -> Self {
        let config: KubernetesSdConfig = serde_json::from_value(options.clone()).expect("the shape is right");
        let mut wrong = Vec::new();
        problems(&config, &mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");
        let discovery = Kubernetes::new(&config, node).expect("prepared");
        let metrics = Telemetry::new().component("source", "prometheus_scrape/test");
        let shutdown = CancellationToken::new();
        let pace = Pace { gather: Duration::from_millis(1), between: Duration::from_millis(1) };
        let found = start("job", vec![("sd".into(), Box::new(discovery))], pace, &metrics, &shutdown);
        Self { found, _shutdown: shutdown.drop_guard() }
    }

    /// All targets, sorted.
    fn targets(&self) -> Vec<Target> {
        let found = self.found.borrow();
        let mut targets = Vec::new();
        for group in &*found.groups {
            for target in &group.targets {
                let mut labels = owned(&group.labels);
                labels.extend(owned(target));
                targets.push(labels);
            }
        }
        targets.sort();
        targets
    }

    /// Waits until what is found is as wanted; fails after two minutes.
    async fn until(&mut self, what: &str, wanted: impl FnMut(&Found) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(120), self.found.wait_for(wanted)).await.is_ok();
        assert!(waited, "not within two minutes: {what}: {:?}", *self.found.borrow());
    }
}

fn owned(labels: &LabelSet) -> Target {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The addresses of all targets.
fn addresses(found: &Found) -> Vec<String> {
    let mut all: Vec<String> = found
        .groups
        .iter()
        .flat_map(|group| &group.targets)
        .map(|target| target.get("__address__").to_owned())
        .collect();
    all.sort();
    all
}
