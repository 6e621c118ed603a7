//! The samples of one series as functions over ranges are shown them: floats apart from histograms, and what marks the end of a
//! series left out.

use std::sync::Arc;

use super::super::histogram::{FloatHistogram, Summaries};
use super::super::value::Point;
use super::Steps;
use super::rows::{Rows, is_absent};
use crate::data::histogram::{Histogram, ResetHint};
use crate::data::metrics::is_stale;
use crate::series::Columns;

/// Samples of one series, floats apart from histograms, staleness markers left out.
#[derive(Default)]
pub(super) struct Split {
    times: Vec<i64>,
    values: Vec<f64>,
    starts: Vec<i64>,
    histogram_times: Vec<i64>,
    histograms: Vec<Arc<FloatHistogram>>,
    histogram_starts: Vec<i64>,
}

/// The same, wherever they are.
#[derive(Clone, Copy)]
pub(super) struct Series<'a> {
    pub times: &'a [i64],
    pub values: &'a [f64],
    pub starts: &'a [i64],
    pub histogram_times: &'a [i64],
    pub histograms: &'a [Arc<FloatHistogram>],
    pub histogram_starts: &'a [i64],
}

impl Split {
    /// The samples of columns; they are copied only where some must be left out.
    pub fn of<'a>(&'a mut self, columns: &'a Columns, with_starts: bool, summarise: bool) -> Series<'a> {
        let starts: &[i64] = if with_starts { &columns.starts } else { &[] };
        if columns.histograms.is_empty() && !columns.values.iter().any(|value| is_stale(*value)) {
            return Series {
                times: &columns.times,
                values: &columns.values,
                starts,
                histogram_times: &[],
                histograms: &[],
                histogram_starts: &[],
            };
        }
        self.clear();
        let mut summaries = summarise.then(Summaries::default);
        let mut histograms = columns.histograms.iter().peekable();
        for (place, (time, value)) in columns.times.iter().zip(&columns.values).enumerate() {
            let start = starts.get(place);
            if let Some((_, histogram)) = histograms.next_if(|(known, _)| *known as usize == place) {
                if !is_stale(histogram.sum) {
                    self.histogram_times.push(*time);
                    let summary = summaries.as_mut().map(|summaries| summaries.next(histogram));
                    self.histograms.push(Arc::new(summary.unwrap_or_else(|| FloatHistogram::from(&**histogram))));
                    self.histogram_starts.extend(start);
                }
            } else if !is_stale(*value) {
                self.times.push(*time);
                self.values.push(*value);
                self.starts.extend(start);
            }
        }
        self.series()
    }

    /// The samples of a subquery's row.
    pub(super) fn of_row(&mut self, rows: &Rows, row: usize, steps: Steps) -> Series<'_> {
        self.clear();
        for (step, value) in rows.values(row).iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            self.times.push(steps.time(step));
            self.values.push(*value);
        }
        for (step, histogram) in rows.cells(row) {
            self.histogram_times.push(steps.time(*step as usize));
            // What a subquery leaves out may have been a reset.
            let mut histogram = Arc::clone(histogram);
            if matches!(histogram.reset_hint, ResetHint::Yes | ResetHint::No) {
                Arc::make_mut(&mut histogram).reset_hint = ResetHint::Unknown;
            }
            self.histograms.push(histogram);
        }
        self.series()
    }

    fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.starts.clear();
        self.histogram_times.clear();
        self.histograms.clear();
        self.histogram_starts.clear();
    }

    fn series(&self) -> Series<'_> {
        Series {
            times: &self.times,
            values: &self.values,
            starts: &self.starts,
            histogram_times: &self.histogram_times,
            histograms: &self.histograms,
            histogram_starts: &self.histogram_starts,
        }
    }
}

impl<'a> Series<'a> {
    pub(super) fn points(self) -> Vec<(i64, Point)> {
        let floats = self.times.iter().zip(self.values).map(|(time, value)| (*time, Point::Float(*value)));
        let histograms = self.histogram_times.iter().zip(self.histograms);
        let histograms =
            histograms.map(|(time, histogram)| (*time, Point::Histogram(Arc::new(Histogram::from(&**histogram)))));
        let mut points: Vec<_> = floats.chain(histograms).collect();
        points.sort_by_key(|(time, _)| *time);
        points
    }
}
