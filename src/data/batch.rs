//! One batch of any signal: what flows through the graph.

use super::{LogBatch, MetricBatch, Selection, TraceBatch};

/// The signals of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Log records.
    Logs = 0,
    /// Samples of metric series.
    Metrics = 1,
    /// Spans.
    Traces = 2,
}

impl Signal {
    /// The word used in configuration and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }
}

/// Records, samples or spans of one origin. Cloning shares payload and records.
#[derive(Clone, Debug)]
pub enum Batch {
    /// Log records.
    Logs(LogBatch),
    /// Metric samples.
    Metrics(MetricBatch),
    /// Spans.
    Traces(TraceBatch),
}

impl Batch {
    /// Which signal the batch carries.
    pub fn signal(&self) -> Signal {
        match self {
            Self::Logs(_) => Signal::Logs,
            Self::Metrics(_) => Signal::Metrics,
            Self::Traces(_) => Signal::Traces,
        }
    }

    /// Which records, samples or spans are still in it.
    pub fn selection(&self) -> &Selection {
        match self {
            Self::Logs(batch) => &batch.selection,
            Self::Metrics(batch) => &batch.selection,
            Self::Traces(batch) => &batch.selection,
        }
    }

    /// Number of selected records, samples or spans.
    pub fn count(&self) -> usize {
        self.selection().count()
    }

    /// Bytes of memory that the batch's payload stands for in a queue's limit.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Logs(batch) => batch.payload_bytes(),
            Self::Metrics(batch) => batch.payload_bytes(),
            Self::Traces(batch) => batch.payload_bytes(),
        }
    }
}
