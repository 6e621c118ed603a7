//! What rules write: rows for the store, which the next rule of the group reads already, and the same rows as batches
//! for whoever else wants them.

use std::collections::HashSet;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::data::labels::Labels;
use crate::data::metrics::{STALE, SampleValue, is_stale};
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList};
use crate::data::{MetricBatch, MetricBuilder, Resource, SeriesTable, UnixMillis};
use crate::promql::{EvalError, Evaluation, Limits, Point, Query, When};
use crate::series::{self, Listing, Matcher, Refusal, Samples, SeriesExemplars};

/// A sample that a rule writes.
#[derive(Clone, Debug)]
pub struct Row {
    /// Labels of the series as [`Labels`] holds them.
    pub labels: Arc<[u8]>,
    /// Its value.
    pub point: Point,
}

impl Row {
    /// A staleness marker.
    pub(super) fn stale(labels: Arc<[u8]>) -> Self {
        Self { labels, point: Point::Float(STALE) }
    }

    /// Whether it is a staleness marker.
    pub(super) fn is_marker(&self) -> bool {
        matches!(self.point, Point::Float(value) if is_stale(value))
    }

    fn value(&self) -> SampleValue<'_> {
        match &self.point {
            Point::Float(value) => SampleValue::Float(*value),
            Point::Histogram(histogram) => SampleValue::Histogram(histogram),
        }
    }
}

/// Which series exemplars are asked of.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Conditions on the labels.
    pub matchers: &'a Vec<Matcher>,
    /// What no condition says.
    pub predicate: &'a dyn Fn(Labels<'_>) -> bool,
}

/// The store that rules read and write.
pub trait Store: Samples {
    /// Evaluates a query of a rule at a time.
    ///
    /// # Errors
    /// Where it has no result.
    fn evaluate(&self, query: &Query, at: UnixMillis, limits: &Limits) -> Result<Evaluation, EvalError>;

    /// Whether somebody else answers the query, who is asked before the group of its rule is evaluated.
    fn is_elsewhere(&self, _: &Query) -> bool {
        false
    }

    /// Takes rows of a time. They are there for the next query when this returns, and whoever reads sees all of them
    /// or none. What was refused is told by reason, with how many rows it was, but for markers: a series that another rule
    /// writes as well need not be ended.
    fn append(&self, time: UnixMillis, rows: &[Row], now: UnixMillis) -> Vec<(Refusal, u64)>;

    /// Exemplars of the series that fit `wanted`, with a time from `from` to `until`: the latest, `limit` of them at most;
    /// none where the store has none.
    fn exemplars(&self, wanted: Wanted<'_>, from: i64, until: i64, limit: usize) -> Vec<SeriesExemplars>;
}

impl Store for series::Store {
    fn evaluate(&self, query: &Query, at: UnixMillis, limits: &Limits) -> Result<Evaluation, EvalError> {
        query.evaluate(self, When::Instant(at.0), limits)
    }

    fn append(&self, time: UnixMillis, rows: &[Row], now: UnixMillis) -> Vec<(Refusal, u64)> {
        let results = rows.iter().map(|row| (Labels::of_encoded(&row.labels), time, row.value()));
        self.append_results(results, now).refused
    }

    fn exemplars(&self, wanted: Wanted<'_>, from: i64, until: i64, limit: usize) -> Vec<SeriesExemplars> {
        let which = Listing { selectors: std::slice::from_ref(wanted.matchers), from, until, limit };
        let listed = self.latest_exemplars(which, wanted.predicate);
        // An alert goes out with or without them.
        listed.map(|listed| listed.items).unwrap_or_default()
    }
}

/// Prometheus's words for a refusal.
pub(super) fn words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::OutOfOrder => "out of order sample",
        Refusal::TooOld => "too old sample",
        Refusal::Duplicate => "duplicate sample for timestamp",
        Refusal::Ahead => "the sample is ahead of the clock",
        Refusal::Full => "the store has all the memory that it may have",
    }
}

/// The series of a rule: what it wrote last, and the list under which its batches name them.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What the last evaluation wrote; ends with a staleness marker once the next one does not.
    pub series: Arc<HashSet<Arc<[u8]>>>,
    laid: Option<Laid>,
}

impl Written {
    /// The last evaluation wrote these rows: the markers of what it did not write any more, sorted.
    pub fn follow(&mut self, rows: &[Row]) -> Vec<Row> {
        // Nearly always nothing has changed, and no row is in vain.
        if rows.len() == self.series.len() && rows.iter().all(|row| self.series.contains(&row.labels)) {
            return Vec::new();
        }
        let now: HashSet<Arc<[u8]>> = rows.iter().map(|row| row.labels.clone()).collect();
        let before = std::mem::replace(&mut self.series, Arc::new(now));
        let ended = before.iter().filter(|series| !self.series.contains(*series));
        let mut ended: Vec<Row> = ended.cloned().map(Row::stale).collect();
        ended.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        ended
    }
}

/// A list, for as long as the same series come in the same order.
#[derive(Debug)]
struct Laid {
    hash: u128,
    list: Arc<SeriesList>,
    /// Places that found the series table full.
    refused: Vec<usize>,
}

/// Makes batches of rows.
#[derive(Debug)]
pub(super) struct Batches {
    pub table: Arc<SeriesTable>,
    pub resource: Arc<Resource>,
}

impl Batches {
    /// The rows of one evaluation as a batch; none where there are none. Each series stands once among them.
    pub fn batch(&self, time: UnixMillis, rows: &[Row], written: &mut Written) -> Option<MetricBatch> {
        if rows.is_empty() {
            return None;
        }
        let mut hash = Xxh3::new();
        rows.iter().for_each(|row| hash.update(&row.labels));
        let hash = hash.digest128();
        if written.laid.as_ref().is_none_or(|laid| laid.hash != hash || !laid.refused.is_empty()) {
            let mut builder = ListBuilder::default();
            rows.iter().for_each(|row| builder.encoded(Labels::of_encoded(&row.labels), FamilyId::default()));
            let resolved = self.table.list_with_repeats(&builder);
            written.laid = Some(Laid { hash, list: resolved.list, refused: resolved.refused });
        }
        let laid = written.laid.as_ref()?;
        if laid.list.is_empty() {
            return None;
        }
        let mut builder = MetricBuilder::new();
        let samples = builder.samples();
        samples.time = time;
        for (place, row) in rows.iter().enumerate() {
            if laid.refused.binary_search(&place).is_ok() {
                continue;
            }
            match &row.point {
                Point::Float(value) => samples.values.push(*value),
                Point::Histogram(histogram) => {
                    samples.histograms.push((samples.values.len() as u32, histogram.clone()));
                    samples.values.push(0.0);
                }
            }
        }
        Some(builder.build(self.resource.clone(), laid.list.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::LabelSet;

    fn row(name: &str, value: f64) -> Row {
        let mut labels = Vec::new();
        [("__name__", name)].into_iter().collect::<LabelSet>().encode(&mut labels);
        Row { labels: labels.into(), point: Point::Float(value) }
    }

    #[test]
    fn the_same_series_share_their_list() {
        let batches = Batches { table: SeriesTable::new(100), resource: Arc::default() };
        let mut written = Written::default();
        let mut batch = |rows: &[Row]| batches.batch(UnixMillis(7), rows, &mut written).expect("rows");
        let first = batch(&[row("a", 1.0), row("b", 2.0)]);
        let second = batch(&[row("a", 3.0), row("b", 4.0)]);
        assert_eq!(first.series().id(), second.series().id());
        assert_eq!(second.columns().values, [3.0, 4.0]);
        let third = batch(&[row("a", 3.0), Row::stale(row("b", 0.0).labels)]);
        assert_eq!(third.series().id(), first.series().id());
        assert_ne!(batch(&[row("b", 3.0)]).series().id(), first.series().id());
    }

    #[test]
    fn series_that_find_the_table_full_are_left_out_and_tried_again() {
        let batches = Batches { table: SeriesTable::new(1), resource: Arc::default() };
        let mut written = Written::default();
        let rows = [row("a", 1.0), row("b", 2.0)];
        assert_eq!(batches.batch(UnixMillis(7), &rows, &mut written).expect("one").columns().values, [1.0]);
        batches.table.set_limit(2);
        assert_eq!(batches.batch(UnixMillis(8), &rows, &mut written).expect("both").columns().values, [1.0, 2.0]);
    }
}
