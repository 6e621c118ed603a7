//! A store in memory that keeps everything, and refuses what the agent's refuses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::results::{Row, Store, Wanted};
use crate::data::UnixMillis;
use crate::data::labels::Labels;
use crate::promql::{EvalError, Evaluation, Limits, Point, Query, When};
use crate::series::{Columns, Matcher, Refusal, Samples, Select, SelectError, SeriesExemplars};

#[derive(Debug, Default)]
pub struct MemoryStore(
    Mutex<BTreeMap<Arc<[u8]>, Columns>>,
    Mutex<Vec<SeriesExemplars>>,
    AtomicUsize,
    AtomicUsize,
    Mutex<Option<&'static str>>,
);

impl MemoryStore {
    /// Times and values of a series.
    pub fn samples(&self, labels: &[u8]) -> Vec<(i64, f64)> {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let columns = series.get(labels).cloned().unwrap_or_default();
        columns.times.into_iter().zip(columns.values).collect()
    }

    /// How many series were read since the last call.
    pub fn read_since(&self) -> usize {
        self.2.swap(0, Ordering::Relaxed)
    }

    /// How often exemplars were asked for since the last call.
    pub fn exemplars_since(&self) -> usize {
        self.3.swap(0, Ordering::Relaxed)
    }

    /// Has exemplars of a series from now on.
    pub fn exemplify(&self, series: SeriesExemplars) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(series);
    }

    /// Has a bug from now on, which this query meets, or no more.
    pub fn panic_at(&self, query: Option<&'static str>) {
        *self.4.lock().unwrap_or_else(PoisonError::into_inner) = query;
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Samples that are ahead of the clock by more were written before it was set back.
const MOST_AHEAD: i64 = 600_000;

impl Samples for MemoryStore {
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, columns) in series.iter() {
            let labels = Labels::of_encoded(labels);
            if !what.matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or(""))) {
                continue;
            }
            let from = columns.times.partition_point(|at| *at <= what.after);
            let to = columns.times.partition_point(|at| *at <= what.until);
            if from < to {
                self.2.fetch_add(1, Ordering::Relaxed);
                let (times, values) = (columns.times[from..to].to_vec(), columns.values[from..to].to_vec());
                visit(labels, &Columns { times, values, ..Columns::default() })?;
            }
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn evaluate(&self, query: &Query, at: UnixMillis, limits: &Limits) -> Result<Evaluation, EvalError> {
        let bug = *self.4.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(bug != Some(query.text()), "a bug for a test");
        query.evaluate(self, When::Instant(at.0), limits)
    }

    /// What reads back further than a day.
    fn is_elsewhere(&self, query: &Query) -> bool {
        query.selectors().any(|selector| selector.back > Duration::from_hours(24))
    }

    fn append(&self, time: UnixMillis, rows: &[Row], now: UnixMillis) -> Vec<(Refusal, u64)> {
        let mut series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = Vec::new();
        for row in rows {
            let columns = series.entry(row.labels.clone()).or_default();
            let Point::Float(value) = row.point else { panic!("tests have no histograms") };
            if columns.times.last().is_some_and(|last| *last > now.0 + MOST_AHEAD) {
                let keep = columns.times.partition_point(|at| *at < time.0);
                columns.times.truncate(keep);
                columns.values.truncate(keep);
            }
            match columns.times.last() {
                Some(last) if *last >= time.0 && row.is_marker() => {}
                Some(last) if *last > time.0 => refused.push((Refusal::OutOfOrder, 1)),
                Some(last) if *last == time.0 => {
                    if columns.values.last().is_some_and(|known| known.to_bits() != value.to_bits()) {
                        refused.push((Refusal::Duplicate, 1));
                    }
                }
                _ => {
                    columns.times.push(time.0);
                    columns.values.push(value);
                }
            }
        }
        refused
    }

    fn exemplars(&self, wanted: Wanted<'_>, from: i64, until: i64, limit: usize) -> Vec<SeriesExemplars> {
        self.3.fetch_add(1, Ordering::Relaxed);
        let all = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |series: &&SeriesExemplars| {
            let mut labels = Vec::new();
            series.labels.encode(&mut labels);
            let fits = |matcher: &Matcher| matcher.matches(series.labels.get(&matcher.name));
            wanted.matchers.iter().all(fits) && (wanted.predicate)(Labels::of_encoded(&labels))
        };
        let within = |series: &SeriesExemplars| {
            let mut series = series.clone();
            series.exemplars.retain(|exemplar| (from..=until).contains(&exemplar.time));
            series
        };
        all.iter().filter(fits).map(within).take(limit).collect()
    }
}
