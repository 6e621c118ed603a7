//! What is exposed: the last sample of every series, until a staleness marker or silence ends it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::data::labels::METRIC_NAME;
use crate::data::metrics::{Family, SampleValue, is_stale};
use crate::data::series_table::{Series, SeriesList, SeriesRef, SeriesTable};
use crate::data::{Labels, MetricBatch, MetricKind, UnixMillis};
use crate::formats::prometheus::expose::{Exposed, Exposer};

/// All series that are exposed.
pub(super) struct Held {
    table: Arc<SeriesTable>,
    series: HashMap<SeriesRef, Last>,
    expiry: Duration,
    limit: usize,
    swept: Instant,
    /// The order of an exposition, until the set of series changes.
    order: Option<Arc<[Placed]>>,
}

/// The last sample of a series.
struct Last {
    value: f64,
    time: UnixMillis,
    seen: Instant,
    exemplar: Option<Arc<LastExemplar>>,
    /// Keeps the series.
    _list: Arc<SeriesList>,
}

/// The last exemplar of a series.
struct LastExemplar {
    labels: Box<[u8]>,
    value: f64,
    time: Option<UnixMillis>,
}

/// A series in its place in an exposition.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    series: SeriesRef,
    /// Whether a family begins here.
    begins: bool,
    /// Of whom its metadata is taken: one series for all of a family, so that it is said once.
    described_by: SeriesRef,
}

/// What became of the samples of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub held: u64,
    /// Native histograms, which no text format has a place for.
    pub native: u64,
    /// Older than what is held of their series.
    pub older: u64,
    /// Of series beyond the limit.
    pub beyond: u64,
}

/// A moment of all series, to be written without holding anybody up.
pub(super) struct Snapshot {
    table: Arc<SeriesTable>,
    samples: Vec<(Placed, f64, UnixMillis, Option<Arc<LastExemplar>>)>,
    /// Keeps the series until they are written.
    _lists: Vec<Arc<SeriesList>>,
}

/// How often series are looked through for those that are silent.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

impl Held {
    pub fn new(table: Arc<SeriesTable>, expiry: Duration, limit: usize) -> Self {
        Self { table, series: HashMap::new(), expiry, limit, swept: Instant::now(), order: None }
    }

    /// Takes the samples of a batch. One that is older than what is held changes nothing.
    pub fn take(&mut self, batch: &MetricBatch) -> Taken {
        let now = Instant::now();
        if now - self.swept >= SWEEP_EVERY {
            self.sweep();
        }
        let mut taken = Taken::default();
        for sample in batch.iter() {
            let SampleValue::Float(value) = sample.value else {
                taken.native += 1;
                continue;
            };
            taken.held += 1;
            let known = self.series.get(&sample.series);
            if known.is_some_and(|known| sample.time < known.time) {
                (taken.held, taken.older) = (taken.held - 1, taken.older + 1);
                continue;
            }
            if is_stale(value) {
                if self.series.remove(&sample.series).is_some() {
                    self.order = None;
                }
                continue;
            }
            if known.is_none() {
                if self.series.len() >= self.limit {
                    (taken.held, taken.beyond) = (taken.held - 1, taken.beyond + 1);
                    continue;
                }
                self.order = None;
            }
            let fresh = batch.exemplars(sample.index).iter().rfind(|one| one.leaves()).map(|exemplar| {
                let labels = batch.exemplar_labels(exemplar).encoded().into();
                Arc::new(LastExemplar { labels, value: exemplar.value, time: exemplar.time })
            });
            let exemplar = fresh.or_else(|| known.and_then(|known| known.exemplar.clone()));
            let last = Last { value, time: sample.time, seen: now, exemplar, _list: batch.series().clone() };
            self.series.insert(sample.series, last);
        }
        taken
    }

    /// Forgets the series that are silent for too long.
    fn sweep(&mut self) {
        self.swept = Instant::now();
        let before = self.series.len();
        let expiry = self.expiry;
        self.series.retain(|_, last| last.seen.elapsed() < expiry);
        if self.series.len() < before {
            self.order = None;
        }
    }

    /// All series as they are now, in the order of an exposition.
    pub fn snapshot(&mut self) -> Snapshot {
        self.sweep();
        let order = self.order.take().unwrap_or_else(|| {
            let table = self.table.read();
            order(&table, self.series.keys().copied())
        });
        self.order = Some(order.clone());
        let mut lists: Vec<Arc<SeriesList>> = Vec::new();
        let samples = order.iter().filter_map(|placed| {
            let last = self.series.get(&placed.series)?;
            if lists.last().is_none_or(|list| !Arc::ptr_eq(list, &last._list)) {
                lists.push(last._list.clone());
            }
            Some((*placed, last.value, last.time, last.exemplar.clone()))
        });
        Snapshot { table: self.table.clone(), samples: samples.collect(), _lists: lists }
    }

    /// Number of series.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.series.len()
    }
}

impl Snapshot {
    /// Writes the exposition.
    pub fn write(&self, mut exposer: Exposer, timestamps: bool, out: &mut Vec<u8>) {
        let table = self.table.read();
        let mut family = Family::default();
        for (placed, value, time, exemplar) in &self.samples {
            if placed.begins {
                family.clone_from(table.family(placed.described_by));
            }
            let exemplar = exemplar.as_ref().map(|last| (Labels::of_encoded(&last.labels), last.value, last.time));
            let labels = table.labels(placed.series);
            let timestamp = timestamps.then_some(*time);
            let described = (!family.name.is_empty()).then_some(&family);
            exposer.sample(described, &Exposed { labels, value: *value, timestamp, exemplar }, out);
        }
        exposer.end(out);
    }
}

/// Sorts series as an exposition has them: by family; within one by labels, so that what belongs to one
/// histogram stands together; buckets by their bounds.
fn order(table: &Series<'_>, series: impl Iterator<Item = SeriesRef>) -> Arc<[Placed]> {
    let series: Vec<SeriesRef> = series.collect();
    // Of a metric that one target describes and another does not, all series belong to the family.
    let described: HashMap<&str, &Family> = series
        .iter()
        .map(|series| (table.labels(*series).metric_name(), table.family(*series)))
        .filter(|(_, family)| !family.name.is_empty())
        .collect();
    let mut keys: Vec<_> = series
        .into_iter()
        .map(|series| {
            let labels = table.labels(series);
            let name = labels.metric_name();
            let family = described.get(name).copied().unwrap_or_else(|| table.family(series));
            let stem = if family.name.is_empty() { name } else { &*family.name };
            let of_parts =
                matches!(family.kind, MetricKind::Histogram | MetricKind::GaugeHistogram | MetricKind::Summary);
            let (mut rest, mut bound) = (Vec::new(), f64::NEG_INFINITY);
            for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
                if of_parts && matches!(label, "le" | "quantile") {
                    bound = value.parse().unwrap_or(f64::INFINITY);
                    continue;
                }
                rest.extend_from_slice(label.as_bytes());
                rest.push(0);
                rest.extend_from_slice(value.as_bytes());
                rest.push(0);
            }
            let rank = match name.strip_prefix(stem).unwrap_or_default() {
                "_sum" | "_gsum" => 2,
                "_count" | "_gcount" => 3,
                "_created" => 4,
                _ => 1,
            };
            let stem =
                if family.kind == MetricKind::Counter { stem.strip_suffix("_total").unwrap_or(stem) } else { stem };
            (stem, table.family(series).name.is_empty(), rest, rank, bound, series)
        })
        .collect();
    keys.sort_by(|a, b| {
        let by_family = a.0.cmp(b.0);
        let by_labels = || a.2.cmp(&b.2).then(a.3.cmp(&b.3)).then(a.4.total_cmp(&b.4));
        by_family.then_with(by_labels)
    });
    let mut placed: Vec<Placed> = Vec::with_capacity(keys.len());
    let mut start = 0;
    while start < keys.len() {
        let end = start + keys[start..].iter().take_while(|key| key.0 == keys[start].0).count();
        // Who is described at all describes the others: targets need not agree about a family.
        let described_by = keys[start..end].iter().find(|key| !key.1).unwrap_or(&keys[start]).5;
        placed.extend((start..end).map(|at| Placed { series: keys[at].5, begins: at == start, described_by }));
        start = end;
    }
    placed.into()
}
