//! The agent's own metrics: one Prometheus registry a process, one set of counters a component.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use super::component::ComponentMetrics;
use super::own_traces::OwnTraces;

/// Registers every metric of the process and hands each component its own set.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    vectors: Vectors,
    lost_log_bytes: IntCounterVec,
    components: Mutex<BTreeMap<Box<str>, Arc<ComponentMetrics>>>,
    own_traces: Arc<OwnTraces>,
}

/// The metric families that every component has a child of.
#[derive(Debug)]
pub(super) struct Vectors {
    pub counters: [IntCounterVec; COUNTERS.len()],
    pub gauges: [IntGaugeVec; GAUGES.len()],
    /// Of those components that have a disk queue.
    pub disk_queue: [IntGaugeVec; DISK_QUEUE.len()],
}

/// Labels of every component metric: the component's name in the configuration and its kind.
const LABELS: [&str; 2] = ["component", "kind"];

pub(super) const COUNTERS: [(&str, &str); 12] = [
    ("tailwater_records_in_total", "Records, samples or spans that entered the component."),
    ("tailwater_bytes_in_total", "Bytes that entered the component."),
    ("tailwater_records_out_total", "Records, samples or spans that left the component; for a sink, those delivered."),
    ("tailwater_bytes_out_total", "Bytes that left the component; for a sink, bytes of the bodies sent."),
    ("tailwater_records_filtered_total", "Records that the configuration said to drop."),
    ("tailwater_records_refused_total", "Records that were refused for good."),
    ("tailwater_records_dead_lettered_total", "Refused records that were written to the dead letter."),
    ("tailwater_records_dropped_total", "Records that a full buffer shed by its policy."),
    ("tailwater_records_lost_total", "Records lost outside any policy."),
    ("tailwater_bytes_lost_total", "Bytes lost where records cannot be told: of files that vanished unread."),
    ("tailwater_retries_total", "Requests that were sent again."),
    ("tailwater_errors_total", "Errors of the component."),
];

pub(super) const GAUGES: [(&str, &str); 4] = [
    ("tailwater_queue_bytes", "Bytes waiting in the component's buffer."),
    ("tailwater_queue_limit_bytes", "Limit of the component's buffer."),
    ("tailwater_lag_bytes", "Bytes that exist at the source and were not read yet."),
    ("tailwater_lag_milliseconds", "Age of the record handled last."),
];

const DISK_QUEUE: [(&str, &str); 4] = [
    ("tailwater_disk_queue_bytes", "Bytes of the files of the component's disk queue."),
    ("tailwater_disk_queue_limit_bytes", "Limit of the component's disk queue."),
    ("tailwater_disk_queue_records", "Records, samples or spans that wait in the component's disk queue."),
    ("tailwater_disk_queue_oldest_seconds", "Age of the oldest of them."),
];

impl Telemetry {
    /// An empty registry with the component families registered.
    ///
    /// # Panics
    /// Never: the families' names are constants, checked by a test.
    pub fn new() -> Self {
        const VALID: &str = "the metric families are constants that a test registers";
        let registry = Registry::new();
        let counters = COUNTERS.map(|(name, help)| IntCounterVec::new(Opts::new(name, help), &LABELS).expect(VALID));
        let gauges = GAUGES.map(|(name, help)| IntGaugeVec::new(Opts::new(name, help), &LABELS).expect(VALID));
        for family in &counters {
            registry.register(Box::new(family.clone())).expect(VALID);
        }
        let disk_queue = DISK_QUEUE.map(|(name, help)| IntGaugeVec::new(Opts::new(name, help), &LABELS).expect(VALID));
        for family in gauges.iter().chain(&disk_queue) {
            registry.register(Box::new(family.clone())).expect(VALID);
        }
        let lost = Opts::new("tailwater_log_bytes_lost_total", "Bytes of a log that were lost, by log and reason.");
        let lost_log_bytes = IntCounterVec::new(lost, &["component", "log", "reason"]).expect(VALID);
        registry.register(Box::new(lost_log_bytes.clone())).expect(VALID);
        Self {
            registry,
            vectors: Vectors { counters, gauges, disk_queue },
            lost_log_bytes,
            components: Mutex::default(),
            own_traces: Arc::default(),
        }
    }

    /// What is counted of logs that were lost, which has no value until one is.
    pub fn described(&self) -> Vec<Desc> {
        self.lost_log_bytes.desc().into_iter().cloned().collect()
    }

    /// The registry, for metrics that belong to one part alone.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Which batches the agent's own traces follow.
    pub fn own_traces(&self) -> &OwnTraces {
        &self.own_traces
    }

    /// The metrics of one component, the same set for the same name as long as the process runs.
    pub fn component(&self, kind: &'static str, name: &str) -> Arc<ComponentMetrics> {
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        let known = components.entry(name.into());
        known
            .or_insert_with(|| Arc::new(ComponentMetrics::new(kind, name, &self.vectors, self.own_traces.clone())))
            .clone()
    }

    /// Counts bytes of a log that its source lost.
    pub fn count_lost_log_bytes(&self, component: &str, log: &str, reason: &str, bytes: u64) {
        self.lost_log_bytes.with_label_values(&[component, log, reason]).inc_by(bytes);
    }

    /// All components that were ever asked for, by name.
    pub fn components(&self) -> Vec<Arc<ComponentMetrics>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Forgets a component that a reload removed.
    pub fn remove(&self, name: &str) {
        let Some(gone) = self.components.lock().unwrap_or_else(PoisonError::into_inner).remove(name) else { return };
        let labels = [name, gone.kind];
        for family in &self.vectors.counters {
            // A child that was never touched does not exist; nothing is lost by failing to remove it.
            let _ = family.remove_label_values(&labels);
        }
        for family in self.vectors.gauges.iter().chain(&self.vectors.disk_queue) {
            let _ = family.remove_label_values(&labels);
        }
    }

    /// All metrics in the Prometheus text format 0.0.4.
    pub fn expose(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_exposed_by_its_configured_name_until_removed() {
        let telemetry = Telemetry::new();
        telemetry.component("sink", "elasticsearch/logs").records_out.inc_by(3);
        let line = "tailwater_records_out_total{component=\"elasticsearch/logs\",kind=\"sink\"} 3";
        assert!(telemetry.expose().expect("encodes").contains(line));
        telemetry.remove("elasticsearch/logs");
        assert!(!telemetry.expose().expect("encodes").contains("elasticsearch/logs"));
    }
}
