//! What every scrape says about itself: `up` and the `scrape_…` series of a target.

use std::sync::Arc;
use std::time::Duration;

use crate::data::labels::METRIC_NAME;
use crate::data::metrics::STALE;
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList, SeriesTable};
use crate::data::{LabelSet, MetricBatch, MetricBuilder, Resource, UnixMillis};

/// How many of [`NAMES`] there are without `extra_scrape_metrics`.
const USUAL: usize = 5;

/// The names, in the order of [`Report::values`].
const NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// What is told of one scrape.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Report {
    /// Whether it worked.
    pub up: bool,
    /// How long it took.
    pub duration: Duration,
    /// Samples exposed.
    pub scraped: usize,
    /// Samples that relabelling left.
    pub kept: usize,
    /// Series that were not known before.
    pub added: usize,
    /// Time that it had.
    pub timeout: Duration,
    /// The job's `sample_limit`.
    pub sample_limit: usize,
    /// Bytes of the body without compression; -1 where it was beyond its limit.
    pub body_bytes: i64,
}

impl Report {
    fn values(&self) -> [f64; NAMES.len()] {
        [
            f64::from(u8::from(self.up)),
            self.duration.as_secs_f64(),
            self.scraped as f64,
            self.kept as f64,
            self.added as f64,
            self.timeout.as_secs_f64(),
            self.sample_limit as f64,
            self.body_bytes as f64,
        ]
    }

    /// The report as a batch.
    pub fn batch(&self, series: &Reporting, time: UnixMillis) -> MetricBatch {
        series.batch(time, self.values())
    }
}

/// The series of a target's reports.
#[derive(Debug)]
pub(super) struct Reporting {
    list: Arc<SeriesList>,
    resource: Arc<Resource>,
}

impl Reporting {
    /// The series of a target with these labels, with `extra` those of `extra_scrape_metrics`; fewer where the
    /// table is full.
    pub fn new(table: &Arc<SeriesTable>, target: &LabelSet, resource: Arc<Resource>, extra: bool) -> Self {
        let mut builder = ListBuilder::default();
        for name in &NAMES[..if extra { NAMES.len() } else { USUAL }] {
            let mut labels = target.clone();
            labels.set(METRIC_NAME, name);
            builder.labels(&labels, FamilyId::default());
        }
        Self { list: table.list(&builder).list, resource }
    }

    /// The series.
    pub fn list(&self) -> &Arc<SeriesList> {
        &self.list
    }

    fn batch(&self, time: UnixMillis, values: [f64; NAMES.len()]) -> MetricBatch {
        let mut builder = MetricBuilder::new();
        let samples = builder.samples();
        samples.time = time;
        // Where the table was full the first series are there: `up` before all others.
        samples.values.extend_from_slice(&values[..self.list.len()]);
        builder.build(self.resource.clone(), self.list.clone())
    }
}

/// Staleness markers for every series of a list.
pub(super) fn ended(list: &Arc<SeriesList>, resource: &Arc<Resource>, time: UnixMillis) -> MetricBatch {
    let mut builder = MetricBuilder::new();
    let samples = builder.samples();
    samples.time = time;
    samples.values.resize(list.len(), STALE);
    builder.build(resource.clone(), list.clone())
}
