//! What an evaluation ends with. The result of a range stays the evaluator's columns, so that whoever writes it out reads them
//! once and no point is made in between.

use std::sync::Arc;

use super::super::histogram::FloatHistogram;
use super::super::value::{Point, SeriesPoints, Value, VectorSample};
use super::Steps;
use super::rows::{Rows, is_absent};
use crate::data::histogram::Histogram;
use crate::data::labels::Labels;

/// The result of a query over a range: series over its steps, in the order of their labels.
#[derive(Debug)]
pub struct Matrix {
    rows: Rows,
    order: Vec<usize>,
    steps: Steps,
}

/// A series of a [`Matrix`]: it has something at one step at least.
#[derive(Clone, Copy, Debug)]
pub struct MatrixSeries<'a> {
    /// Labels, the metric's name among them where it was kept.
    pub labels: Labels<'a>,
    /// Its number at each step, or [`crate::data::metrics::STALE`], which no result is, where it has none.
    pub values: &'a [f64],
    /// Its native histograms, each with its step, ascending.
    pub histograms: &'a [(u32, Arc<FloatHistogram>)],
}

impl Matrix {
    pub(super) fn new(rows: Rows, steps: Steps) -> Self {
        let mut order = rows.by_labels();
        order.retain(|row| !rows.cells(*row).is_empty() || rows.values(*row).iter().any(|value| !is_absent(*value)));
        Self { rows, order, steps }
    }

    /// Number of its series.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Keeps the first series, so many at most.
    pub fn truncate(&mut self, most: usize) {
        self.order.truncate(most);
    }

    /// The times of its steps, in milliseconds since 1970.
    pub fn times(&self) -> impl Iterator<Item = i64> {
        (0..self.steps.count).map(|step| self.steps.time(step))
    }

    /// Its series.
    pub fn series(&self) -> impl Iterator<Item = MatrixSeries<'_>> {
        let series = |row: &usize| MatrixSeries {
            labels: self.rows.metric(*row).labels(),
            values: self.rows.values(*row),
            histograms: self.rows.cells(*row),
        };
        self.order.iter().map(series)
    }

    /// The same as points.
    pub(super) fn value(&self) -> Value {
        let series = self.order.iter().map(|row| {
            let mut points = Vec::with_capacity(self.steps.count);
            let of_row = |step| Some((self.steps.time(step), point(&self.rows, *row, step)?));
            points.extend((0..self.steps.count).filter_map(of_row));
            SeriesPoints { labels: self.rows.metric(*row).labels().to_set(), points }
        });
        Value::Matrix(series.collect())
    }
}

/// The result at one time.
pub(super) fn vector(rows: &Rows, steps: Steps) -> Value {
    let samples = (0..rows.len()).filter_map(|row| {
        let point = point(rows, row, 0)?;
        Some(VectorSample { labels: rows.metric(row).labels().to_set(), time: steps.start, point })
    });
    let mut samples: Vec<_> = samples.collect();
    if !rows.ordered {
        samples.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    }
    Value::Vector(samples)
}

fn point(rows: &Rows, row: usize, step: usize) -> Option<Point> {
    let value = rows.values(row)[step];
    if !is_absent(value) {
        return Some(Point::Float(value));
    }
    rows.cell(row, step).map(|histogram| Point::Histogram(Arc::new(Histogram::from(&**histogram))))
}
