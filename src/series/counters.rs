//! What the store counts.

use prometheus::core::{Collector, Desc};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

use crate::telemetry::Telemetry;

/// Why a sample was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It is older than the newest sample of its series, and no window allows that.
    OutOfOrder,
    /// It is older than the window or the retention allows.
    TooOld,
    /// There is a sample of the same time with another value.
    Duplicate,
    /// It is more than ten minutes ahead of the clock.
    Ahead,
    /// The store has all the memory that it may have.
    Full,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::OutOfOrder, Self::TooOld, Self::Duplicate, Self::Ahead, Self::Full];

    /// A word for it, as its counter has it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::TooOld => "too_old",
            Self::Duplicate => "duplicate",
            Self::Ahead => "ahead",
            Self::Full => "full",
        }
    }
}

/// The store's metrics.
#[derive(Debug)]
pub struct Counters {
    /// Samples that were kept.
    pub samples: IntCounter,
    /// Samples that were not, by reason.
    refused: IntCounterVec,
    /// New series that found no room, each time they were brought.
    pub refused_series: IntCounter,
    /// Samples that were read back at the start.
    pub replayed: IntCounter,
    /// Chunks that went before their time, for memory.
    pub evicted: IntCounter,
    /// Times at which the journal could not be written.
    pub journal_errors: IntCounter,
    /// Bytes of the journal and snapshots.
    pub journal_bytes: IntGauge,
    /// Series.
    pub series: IntGauge,
    /// Chunks that are whole.
    pub chunks: IntGauge,
    /// Bytes of memory.
    pub bytes: IntGauge,
    /// Most bytes of memory.
    pub limit: IntGauge,
}

impl Counters {
    /// Counters of their own, not exposed yet.
    ///
    /// # Errors
    /// Never: the names are constants that a test registers.
    pub fn new() -> Result<Self, prometheus::Error> {
        let counter = IntCounter::new;
        let gauge = IntGauge::new;
        let refused = Opts::new(
            "tailwater_store_samples_refused_total",
            "Samples that the store for rules and queries refused, by reason.",
        );
        Ok(Self {
            samples: counter("tailwater_store_samples_total", "Samples that the store for rules and queries kept.")?,
            refused: IntCounterVec::new(refused, &["reason"])?,
            refused_series: counter(
                "tailwater_store_series_refused_total",
                "New series that found the store full, each time they were brought.",
            )?,
            replayed: counter("tailwater_store_replayed_samples_total", "Samples read back from disk at the start.")?,
            evicted: counter(
                "tailwater_store_evicted_chunks_total",
                "Chunks of samples that went before their time to make room.",
            )?,
            journal_errors: counter(
                "tailwater_store_journal_errors_total",
                "Times at which the store's journal or snapshot could not be written.",
            )?,
            journal_bytes: gauge("tailwater_store_journal_bytes", "Bytes of the store's journal and snapshots.")?,
            series: gauge("tailwater_store_series", "Series in the store.")?,
            chunks: gauge("tailwater_store_chunks", "Chunks of samples in the store that are whole.")?,
            bytes: gauge("tailwater_store_bytes", "Memory that the store holds.")?,
            limit: gauge("tailwater_store_limit_bytes", "Most memory that the store may hold.")?,
        })
    }

    /// Exposes them.
    ///
    /// # Errors
    /// Where the process exposes those of another store already.
    pub fn register(&self, telemetry: &Telemetry) -> Result<(), prometheus::Error> {
        let registry = telemetry.registry();
        for counter in [&self.samples, &self.refused_series, &self.replayed, &self.evicted, &self.journal_errors] {
            registry.register(Box::new(counter.clone()))?;
        }
        for gauge in [&self.journal_bytes, &self.series, &self.chunks, &self.bytes, &self.limit] {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(self.refused.clone()))
    }

    /// What has no value until something is refused.
    pub fn described(&self) -> Vec<Desc> {
        self.refused.desc().into_iter().cloned().collect()
    }

    /// Counts samples that were refused.
    pub fn refuse(&self, refusal: Refusal, samples: u64) {
        self.refused.with_label_values(&[refusal.reason()]).inc_by(samples);
    }

    /// Samples that were refused so far for this reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.with_label_values(&[refusal.reason()]).get()
    }
}
