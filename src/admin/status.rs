//! What `/api/v1/status` says. Fields are only ever added.

use std::sync::Arc;

use serde::Serialize;

use super::Handles;
use crate::data::UnixNanos;
use crate::pipeline::Graph;
use crate::telemetry::{ComponentMetrics, FileLag, Flow, SeriesStatus, TargetCounts, Telemetry};

/// A component of the running graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name in the configuration: `type/name`.
    pub name: String,
    /// `source`, `transform` or `sink`.
    pub kind: &'static str,
    /// The outputs that feed it.
    pub inputs: Vec<String>,
    /// Its outputs.
    pub outputs: Vec<String>,
}

impl Node {
    /// The components of a graph, in its order.
    pub fn of(graph: &Graph) -> Arc<[Self]> {
        let nodes = graph.components.iter().map(|component| Self {
            name: component.id.to_string(),
            kind: component.role.kind(),
            inputs: component
                .inputs
                .iter()
                .map(|input| graph.components[input.component].output_name(input.output))
                .collect(),
            outputs: (0..component.outputs.len()).map(|output| component.output_name(output)).collect(),
        });
        nodes.collect()
    }
}

/// The agent at one moment.
#[derive(Debug, Serialize)]
pub struct Status {
    pub(super) version: &'static str,
    pub(super) phase: &'static str,
    pub(super) started: String,
    pub(super) uptime_seconds: u64,
    pub(super) config: Config,
    pub(super) memory: Memory,
    pub(super) series: SeriesStatus,
    pub(super) components: Vec<Component>,
    /// Missing where the configuration has no `alerting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alerting: Option<Alerting>,
}

/// How rules and the way of alerts to people do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Alerting {
    /// Whether rules are evaluated.
    pub evaluates: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What is not told yet that people may wait for, each in words.
    pub held_back: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Config {
    pub(super) hash: Box<str>,
    pub(super) last_reload: Option<Reload>,
}

#[derive(Debug, Serialize)]
pub(super) struct Reload {
    pub(super) time: String,
    pub(super) accepted: bool,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) used_bytes: u64,
    pub(super) limit_bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Component {
    #[serde(flatten)]
    pub(super) node: Node,
    pub(super) healthy: bool,
    pub(super) unhealthy: Option<String>,
    pub(super) last_error: Option<LastError>,
    /// Per second, over the last ten.
    pub(super) rates: Flow<f64>,
    pub(super) totals: Totals,
    pub(super) queue: Option<Queue>,
    pub(super) lag: Lag,
    /// The files that a source reads, the one with most to read first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FileLag>,
    /// How the targets of a source that scrapes do; which they are is at `/api/v1/targets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) targets: Option<TargetCounts>,
}

#[derive(Debug, Serialize)]
pub(super) struct LastError {
    pub(super) time: String,
    pub(super) message: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Totals {
    #[serde(flatten)]
    pub(super) flow: Flow<u64>,
    pub(super) records_filtered: u64,
    pub(super) records_refused: u64,
    pub(super) records_dead_lettered: u64,
    pub(super) records_dropped: u64,
    pub(super) records_lost: u64,
    pub(super) bytes_lost: u64,
    pub(super) retries: u64,
    pub(super) errors: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Queue {
    pub(super) bytes: i64,
    pub(super) limit_bytes: i64,
    /// From 0, empty, to 1.
    pub(super) fill: f64,
    /// The queue on disk behind it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disk: Option<DiskQueue>,
}

#[derive(Debug, Serialize)]
pub(super) struct DiskQueue {
    pub(super) bytes: i64,
    pub(super) limit_bytes: i64,
    /// Those in memory included.
    pub(super) records: i64,
    pub(super) oldest_seconds: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Lag {
    pub(super) bytes: i64,
    pub(super) milliseconds: i64,
}

impl Status {
    /// How the agent is doing now.
    pub fn of(handles: &Handles) -> Self {
        let Handles { telemetry, agent, memory, .. } = handles;
        let reload = agent.last_reload().map(|reload| Reload {
            time: rfc3339(reload.time),
            accepted: reload.rejected.is_none(),
            reason: reload.rejected,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            phase: agent.phase().name(),
            started: rfc3339(agent.started_at()),
            uptime_seconds: agent.uptime().as_secs(),
            config: Config { hash: agent.config_hash(), last_reload: reload },
            memory: Memory { used_bytes: memory.used(), limit_bytes: memory.limit() },
            series: handles.series.status(),
            alerting: handles.control.alerting(),
            components: handles.control.graph().iter().map(|node| Component::of(node, telemetry, handles)).collect(),
        }
    }
}

impl Component {
    fn of(node: &Node, telemetry: &Telemetry, handles: &Handles) -> Self {
        let metrics = telemetry.component(node.kind, &node.name);
        let health = metrics.health.status();
        let limit = metrics.queue_limit_bytes.get();
        let queue = (limit > 0).then(|| {
            let bytes = metrics.queue_bytes.get();
            let disk = metrics.disk_queue_if_any().map(|gauges| DiskQueue {
                bytes: gauges.bytes.get(),
                limit_bytes: gauges.limit_bytes.get(),
                records: gauges.records.get(),
                oldest_seconds: gauges.oldest_seconds.get(),
            });
            Queue { bytes, limit_bytes: limit, fill: bytes as f64 / limit as f64, disk }
        });
        Self {
            node: node.clone(),
            healthy: health.unhealthy.is_none(),
            unhealthy: health.unhealthy,
            last_error: health.last_error.map(|(time, message)| LastError { time: rfc3339(time), message }),
            rates: handles.rates.of(&metrics),
            totals: Totals::of(&metrics),
            queue,
            files: metrics.files.list(),
            targets: metrics.targets.counts(),
            lag: Lag { bytes: metrics.lag_bytes.get(), milliseconds: metrics.lag_milliseconds.get() },
        }
    }
}

impl Totals {
    fn of(metrics: &ComponentMetrics) -> Self {
        Self {
            flow: Flow::total(metrics),
            records_filtered: metrics.records_filtered.get(),
            records_refused: metrics.records_refused.get(),
            records_dead_lettered: metrics.records_dead_lettered.get(),
            records_dropped: metrics.records_dropped.get(),
            records_lost: metrics.records_lost.get(),
            bytes_lost: metrics.bytes_lost.get(),
            retries: metrics.retries.get(),
            errors: metrics.errors.get(),
        }
    }
}

fn rfc3339(time: UnixNanos) -> String {
    let mut text = Vec::new();
    time.write_rfc3339(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
