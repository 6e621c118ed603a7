//! Metric batches: samples that name series of the series table.

use std::sync::Arc;

use super::resource::Resource;
use super::selection::Selection;
use super::time::UnixNanos;

/// What kind of metric a series belongs to: OpenMetrics 1.0, and Prometheus's names for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Nothing is known.
    #[default]
    Unknown = 0,
    /// Goes up, from zero at its start.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Counts observations in buckets.
    Histogram = 3,
    /// Counts what is now, in buckets.
    GaugeHistogram = 4,
    /// Quantiles of observations.
    Summary = 5,
    /// Facts as labels.
    Info = 6,
    /// One of several states.
    StateSet = 7,
}

impl MetricKind {
    /// The word of OpenMetrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// A series of the series table: its slot, and the epoch in which the slot belongs to it. A slot is used
/// again only under a new epoch, so a stale reference never names another series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef {
    /// Place in the table.
    pub slot: u32,
    /// Epoch of the slot.
    pub epoch: u32,
}

/// One value of one series at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The series.
    pub series: SeriesRef,
    /// When it was taken.
    pub time: UnixNanos,
    /// The value; the bit pattern matters, since a staleness marker is a NaN of its own.
    pub value: f64,
}

/// Samples of one origin. Cloning shares them.
#[derive(Clone, Debug)]
pub struct MetricBatch {
    /// What the samples are about.
    pub resource: Arc<Resource>,
    /// Which samples are still in the batch.
    pub selection: Selection,
    samples: Arc<[Sample]>,
}

impl MetricBatch {
    /// A batch of `samples`, all selected.
    pub fn new(resource: Arc<Resource>, samples: Arc<[Sample]>) -> Self {
        Self { resource, selection: Selection::all(samples.len()), samples }
    }

    /// The samples, selected or not.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Bytes that the batch counts for in a queue.
    pub fn payload_bytes(&self) -> u64 {
        size_of_val::<[Sample]>(&self.samples) as u64
    }
}
