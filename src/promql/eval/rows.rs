//! What an expression evaluates to inside the evaluator: series as rows of one matrix, a column a step. Labels are kept
//! once a row ([`Metric`]), so that grouping and matching never happen once a step.

use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::super::histogram::FloatHistogram;
use super::super::query::EvalError;
use super::budget::Budget;
pub(super) use super::metric::{Metric, is_metadata};
use crate::data::metrics::{STALE, is_stale};

/// Stands where a series has no number at a step. No sample has this value: it is that of the staleness marker, which is
/// left out when series are read, and no computation gives it, as it is a signalling NaN.
pub(super) const ABSENT: f64 = STALE;

/// Whether there is no number.
pub(super) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// The native histograms of a row, each with its step, ascending.
pub(super) type Cells = Vec<(u32, Arc<FloatHistogram>)>;

/// Bytes that a cell takes which is put behind these: a histogram that stands at several steps in a row is there once.
pub(super) fn cell_bytes(before: &[(u32, Arc<FloatHistogram>)], histogram: &Arc<FloatHistogram>) -> usize {
    let again = before.last().is_some_and(|(_, last)| Arc::ptr_eq(last, histogram));
    size_of::<(u32, Arc<FloatHistogram>)>() + if again { 0 } else { histogram.bytes() }
}

fn cells_bytes(cells: &[(u32, Arc<FloatHistogram>)]) -> usize {
    cells.iter().enumerate().map(|(place, (_, histogram))| cell_bytes(&cells[..place], histogram)).sum()
}

/// Series over the steps of an evaluation.
#[derive(Debug)]
pub(super) struct Rows {
    steps: usize,
    metrics: Vec<Metric>,
    /// Whether the name goes when the query is evaluated.
    drop_name: Vec<bool>,
    /// Numbers, row by row; [`ABSENT`] where there is none.
    values: Vec<f64>,
    /// Histograms, row by row; empty while there are none at all.
    histograms: Vec<Cells>,
    /// Whether the order of the rows is meant.
    pub ordered: bool,
    /// Whether they are different series of one name, so that they differ without it too.
    pub of_one_name: bool,
    budget: Rc<Budget>,
    taken: (u64, u64),
}

impl Rows {
    pub fn new(budget: &Rc<Budget>, steps: usize) -> Self {
        Self {
            steps,
            metrics: Vec::new(),
            drop_name: Vec::new(),
            values: Vec::new(),
            histograms: Vec::new(),
            ordered: false,
            of_one_name: false,
            budget: Rc::clone(budget),
            taken: (0, 0),
        }
    }

    /// No series, for as many steps.
    pub fn like(&self) -> Self {
        let mut rows = Self::new(&self.budget, self.steps);
        rows.ordered = self.ordered;
        rows
    }

    pub fn len(&self) -> usize {
        self.metrics.len()
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    pub fn metric(&self, row: usize) -> &Metric {
        &self.metrics[row]
    }

    pub fn drops_name(&self, row: usize) -> bool {
        self.drop_name[row]
    }

    pub fn values(&self, row: usize) -> &[f64] {
        &self.values[row * self.steps..][..self.steps]
    }

    pub fn values_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.steps..][..self.steps]
    }

    pub fn cells(&self, row: usize) -> &[(u32, Arc<FloatHistogram>)] {
        self.histograms.get(row).map_or(&[], Vec::as_slice)
    }

    pub fn cells_mut(&mut self, row: usize) -> Option<&mut Cells> {
        self.histograms.get_mut(row)
    }

    pub fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// The histogram of a row at a step.
    pub fn cell(&self, row: usize, step: usize) -> Option<&Arc<FloatHistogram>> {
        let cells = self.cells(row);
        cells.binary_search_by_key(&(step as u32), |(step, _)| *step).ok().map(|place| &cells[place].1)
    }

    /// Whether a row has anything at a step.
    pub fn is_present(&self, row: usize, step: usize) -> bool {
        !is_absent(self.values(row)[step]) || self.cell(row, step).is_some()
    }

    /// Begins a row that has nothing; [`Rows::close`] or [`Rows::cancel`] ends it.
    pub fn open(&mut self) -> Result<&mut [f64], EvalError> {
        self.hold(self.steps as u64, self.empty_row())?;
        let start = self.values.len();
        self.values.resize(start + self.steps, ABSENT);
        Ok(&mut self.values[start..])
    }

    /// The row that was begun.
    pub fn opened(&self) -> &[f64] {
        &self.values[self.metrics.len() * self.steps..]
    }

    /// Bytes of a row without its labels and histograms.
    fn empty_row(&self) -> u64 {
        (8 * self.steps + size_of::<Metric>() + size_of::<Cells>()) as u64
    }

    fn hold(&mut self, samples: u64, bytes: u64) -> Result<(), EvalError> {
        self.budget.take(samples, bytes)?;
        self.taken = (self.taken.0 + samples, self.taken.1 + bytes);
        Ok(())
    }

    /// Ends a row.
    pub fn close(&mut self, metric: Metric, drop_name: bool, cells: Cells) -> Result<(), EvalError> {
        self.hold(0, (metric.encoded().len() + cells_bytes(&cells)) as u64)?;
        let row = self.metrics.len();
        self.metrics.push(metric);
        self.drop_name.push(drop_name);
        if !self.histograms.is_empty() || !cells.is_empty() {
            self.histograms.resize_with(row, Vec::new);
            self.histograms.push(cells);
        }
        Ok(())
    }

    /// Gives a row up, and what it took.
    pub fn cancel(&mut self) {
        self.values.truncate(self.values.len() - self.steps);
        let (samples, bytes) = (self.steps as u64, self.empty_row());
        self.budget.give_back(samples, bytes);
        self.taken = (self.taken.0 - samples, self.taken.1 - bytes);
    }

    /// Ends a row, or gives it up if it has nothing.
    pub fn finish(&mut self, metric: impl FnOnce() -> Metric, drop_name: bool, cells: Cells) -> Result<(), EvalError> {
        let start = self.metrics.len() * self.steps;
        if cells.is_empty() && self.values[start..].iter().all(|value| is_absent(*value)) {
            self.cancel();
            Ok(())
        } else {
            self.close(metric(), drop_name, cells)
        }
    }

    pub fn push(&mut self, metric: Metric, drop_name: bool, values: &[f64], cells: Cells) -> Result<(), EvalError> {
        self.open()?.copy_from_slice(values);
        self.close(metric, drop_name, cells)?;
        self.of_one_name = false;
        Ok(())
    }

    /// The same at every step.
    pub fn broadcast(&self, steps: usize) -> Result<Self, EvalError> {
        let mut rows = Self::new(&self.budget, steps);
        rows.ordered = self.ordered;
        for row in 0..self.len() {
            let value = self.values(row)[0];
            rows.open()?.fill(value);
            let cells = match self.cells(row) {
                [] => Vec::new(),
                [(_, histogram), ..] => (0..steps as u32).map(|step| (step, Arc::clone(histogram))).collect(),
            };
            rows.close(self.metric(row).clone(), self.drop_name[row], cells)?;
        }
        Ok(rows)
    }

    pub fn set_metric(&mut self, row: usize, metric: Metric, drop_name: bool) -> Result<(), EvalError> {
        self.hold(0, metric.encoded().len() as u64)?;
        self.metrics[row] = metric;
        self.drop_name[row] = drop_name;
        self.of_one_name = false;
        Ok(())
    }

    /// The metric becomes another one: every name goes, now or at the end.
    pub fn mark_names(&mut self) {
        self.drop_name.fill(true);
    }

    /// Takes the names away that go, and makes one series of those that differed in nothing else.
    pub fn drop_names(mut self) -> Result<Self, EvalError> {
        if !self.drop_name.contains(&true) {
            return Ok(self);
        }
        let mut differ = self.of_one_name;
        for row in 0..self.len() {
            let (drops, mut is_name) = (std::mem::take(&mut self.drop_name[row]), false);
            if drops {
                (self.metrics[row], is_name) = self.metrics[row].stripped();
            }
            differ &= is_name;
        }
        self.of_one_name = false;
        if differ { Ok(self) } else { self.merge() }
    }

    /// The same, and makes one series also of those that had the same labels before.
    pub fn unite(self) -> Result<Self, EvalError> {
        if self.drop_name.contains(&true) { self.drop_names() } else { self.merge() }
    }

    /// Makes one series of those that have the same labels.
    ///
    /// # Errors
    /// Where two of them have something at the same step.
    pub fn merge(self) -> Result<Self, EvalError> {
        let mut ids = Ids::default();
        let first: Vec<usize> = self.metrics.iter().map(|metric| ids.of(metric)).collect();
        if ids.len() == self.len() {
            return Ok(self);
        }
        let mut merged = self.like();
        for id in 0..ids.len() {
            merged.open()?;
            merged.close(ids.metrics[id].clone(), false, Vec::new())?;
        }
        let mut seen = vec![false; ids.len()];
        for (row, id) in first.into_iter().enumerate() {
            if !std::mem::replace(&mut seen[id], true) {
                merged.drop_name[id] = self.drop_name[row];
            }
            for (step, value) in self.values(row).iter().enumerate() {
                if !is_absent(*value) {
                    if merged.is_present(id, step) {
                        return Err(duplicate());
                    }
                    merged.values_mut(id)[step] = *value;
                }
            }
            for (step, histogram) in self.cells(row) {
                if merged.is_present(id, *step as usize) {
                    return Err(duplicate());
                }
                merged.histograms.resize_with(ids.len(), Vec::new);
                let cells = &mut merged.histograms[id];
                let place = cells.partition_point(|(known, _)| known < step);
                cells.insert(place, (*step, Arc::clone(histogram)));
            }
            merged.hold(0, cells_bytes(self.cells(row)) as u64)?;
        }
        Ok(merged)
    }

    /// Only the rows that have something.
    pub fn compact(self) -> Result<Self, EvalError> {
        let has =
            |row: &usize| !self.cells(*row).is_empty() || self.values(*row).iter().any(|value| !is_absent(*value));
        let kept: Vec<usize> = (0..self.len()).filter(has).collect();
        if kept.len() == self.len() { Ok(self) } else { self.select(&kept) }
    }

    /// Rows in another order, or some of them.
    pub fn select(self, order: &[usize]) -> Result<Self, EvalError> {
        let mut selected = self.like();
        for row in order {
            let cells = self.cells(*row).to_vec();
            selected.push(self.metric(*row).clone(), self.drop_name[*row], self.values(*row), cells)?;
        }
        Ok(selected)
    }

    /// Places of the rows in the order of their labels.
    pub fn by_labels(&self) -> Vec<usize> {
        let (mut keys, mut ends) = (Vec::new(), Vec::with_capacity(self.len()));
        for metric in &self.metrics {
            metric.push_key(&mut keys);
            ends.push(keys.len());
        }
        let key = |row: usize| &keys[row.checked_sub(1).map_or(0, |before| ends[before])..ends[row]];
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by(|a, b| key(*a).cmp(key(*b)));
        order
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.budget.give_back(self.taken.0, self.taken.1);
    }
}

/// What Prometheus says where two series became one.
pub(super) fn duplicate() -> EvalError {
    EvalError::Query("vector cannot contain metrics with the same labelset".to_owned())
}

/// Numbers labels, or parts of them, in the order in which they come.
#[derive(Default)]
pub(super) struct Ids {
    table: HashTable<(u64, u32)>,
    pub metrics: Vec<Metric>,
}

impl Ids {
    pub fn len(&self) -> usize {
        self.metrics.len()
    }

    pub fn of(&mut self, metric: &Metric) -> usize {
        self.number(metric.encoded(), || metric.clone())
    }

    pub fn of_bytes(&mut self, encoded: &[u8]) -> usize {
        self.number(encoded, || Metric::new(encoded))
    }

    pub fn find(&self, encoded: &[u8]) -> Option<usize> {
        let metrics = &self.metrics;
        let found = self.table.find(xxh3_64(encoded), |(_, id)| metrics[*id as usize].encoded() == encoded);
        found.map(|(_, id)| *id as usize)
    }

    fn number(&mut self, encoded: &[u8], metric: impl FnOnce() -> Metric) -> usize {
        let hash = xxh3_64(encoded);
        let metrics = &mut self.metrics;
        let found = self.table.find(hash, |(known, id)| *known == hash && metrics[*id as usize].encoded() == encoded);
        if let Some((_, id)) = found {
            return *id as usize;
        }
        let id = metrics.len();
        metrics.push(metric());
        self.table.insert_unique(hash, (hash, id as u32), |(hash, _)| *hash);
        id
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::LabelSet;
    use crate::promql::Limits;

    #[test]
    fn a_row_that_is_given_up_gives_its_memory_back() {
        let budget = Rc::new(Budget::new(&Limits { samples: 10, ..Limits::default() }));
        let mut rows = Rows::new(&budget, 10);
        for _ in 0..3 {
            rows.open().expect("room");
            rows.finish(|| Metric::new(&[]), false, Vec::new()).expect("room");
        }
        rows.open().expect("room");
        assert!(rows.open().is_err());
    }

    proptest! {
        #[test]
        fn rows_are_in_the_order_of_their_labels(all in proptest::collection::vec(proptest::collection::vec(("[ab]{1,2}", "[\0\u{1}xy]{1,3}"), 0..3), 0..12)) {
            let budget = Rc::new(Budget::new(&Limits::default()));
            let mut rows = Rows::new(&budget, 1);
            let sets: Vec<LabelSet> = all.iter().map(|labels| labels.iter().map(|(n, v)| (n, v)).collect()).collect();
            for labels in &sets {
                let mut encoded = Vec::new();
                labels.encode(&mut encoded);
                rows.push(Metric::new(&encoded), false, &[1.0], Vec::new()).expect("room");
            }
            let mut expected: Vec<usize> = (0..sets.len()).collect();
            expected.sort_by(|a, b| sets[*a].cmp(&sets[*b]));
            prop_assert_eq!(rows.by_labels(), expected);
        }
    }
}
