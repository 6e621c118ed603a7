//! Instant selectors: the last sample before each step, unless it is older than the lookback or says that the series has
//! ended. Each series is read once, and a cursor goes through its samples as the steps go on.

use std::rc::Rc;
use std::sync::Arc;

use super::super::functions::{Extension, Place};
use super::super::histogram::{FloatHistogram, Summaries};
use super::super::query::EvalError;
use super::super::tree::{Selected, Shift};
use super::join::shown;
use super::rows::{Cells, Metric, Rows};
use super::{Evaluator, Steps, Times};
use crate::data::labels::{Labels, METRIC_NAME};
use crate::data::metrics::is_stale;
use crate::series::{Columns, MatchOp, Matcher, Select, SelectError};

/// What of a sample is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reading {
    /// What it is.
    Value,
    /// What it is; of histograms only counts and sums.
    Summary,
    /// When it was taken, in seconds.
    Time,
    /// When its counter began, in seconds.
    Start,
    /// When it was taken, of a number; an info metric has no histograms.
    Info,
}

impl Evaluator<'_> {
    pub(super) fn instant(&mut self, selected: &Selected, place: Place, steps: Steps) -> Result<Rows, EvalError> {
        if selected.extension == Extension::Smoothed {
            return self.smoothed(selected, place, steps);
        }
        let reading = if selected.summaries { Reading::Summary } else { Reading::Value };
        self.read(&selected.matchers, &selected.shift, steps, reading)
    }

    /// Reads the last samples of the series that fit, at each step.
    pub(super) fn read(
        &mut self,
        matchers: &[Matcher],
        shift: &Shift,
        steps: Steps,
        reading: Reading,
    ) -> Result<Rows, EvalError> {
        let times = self.times(shift, steps)?;
        self.read_at(matchers, times, reading, |_| true)
    }

    /// The same at these times, of those that are wanted.
    pub(super) fn read_at(
        &mut self,
        matchers: &[Matcher],
        times: Times,
        reading: Reading,
        is_wanted: impl Fn(Labels<'_>) -> bool,
    ) -> Result<Rows, EvalError> {
        let mut rows = Rows::new(&self.budget, times.count);
        rows.of_one_name = names_one(matchers);
        let lookback = self.lookback;
        let span = Span { after: times.first.saturating_sub(lookback), until: times.last() };
        self.visit(matchers, span, |labels, columns| {
            if !is_wanted(labels) {
                return Ok(());
            }
            let mut cells = Vec::new();
            last_samples(columns, times, lookback, reading, rows.open()?, &mut cells);
            if reading == Reading::Info && !cells.is_empty() {
                let shown = shown(&Metric::new(labels.encoded()));
                return Err(EvalError::Query(format!("this should be an info metric, with float samples: {shown}")));
            }
            let drop_name = !matches!(reading, Reading::Value | Reading::Summary);
            rows.finish(|| Metric::new(labels.encoded()), drop_name, cells)
        })?;
        Ok(rows)
    }

    /// Shows each series of a span; an error of the visitor's ends it.
    pub(super) fn visit(
        &self,
        matchers: &[Matcher],
        span: Span,
        mut visit: impl FnMut(Labels<'_>, &Columns) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let budget = Rc::clone(&self.budget);
        let mut failure = None;
        let select = Select { matchers, after: span.after, until: span.until };
        let selected = self.samples.select(select, &mut |labels, columns| {
            budget.check().and_then(|()| visit(labels, columns)).map_err(|error| {
                let told = SelectError(error.to_string());
                failure = Some(error);
                told
            })
        });
        match failure {
            Some(failure) => Err(failure),
            None => Ok(selected?),
        }
    }
}

/// Whether what these select has one metric's name, and so differs in other labels.
pub(super) fn names_one(matchers: &[Matcher]) -> bool {
    let names = |matcher: &Matcher| *matcher.name == *METRIC_NAME && matches!(matcher.op, MatchOp::Equal);
    matchers.iter().any(|matcher| names(matcher) && !matcher.value.is_empty())
}

/// A span of time, open on the left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub after: i64,
    pub until: i64,
}

/// Writes the last sample before each time.
fn last_samples(columns: &Columns, times: Times, lookback: i64, reading: Reading, out: &mut [f64], cells: &mut Cells) {
    let summaries = (reading == Reading::Summary).then(Summaries::default);
    let mut histograms = Histograms { columns, at: 0, last: None, summaries };
    let mut next = 0;
    for (step, out) in out.iter_mut().enumerate() {
        let time = times.at(step);
        if times.count == 1 {
            next = columns.times.partition_point(|sample| *sample <= time);
        } else {
            while columns.times.get(next).is_some_and(|sample| *sample <= time) {
                next += 1;
            }
        }
        let Some(at) = next.checked_sub(1) else { continue };
        if columns.times[at] <= time.saturating_sub(lookback) {
            continue;
        }
        let histogram = histograms.find(at);
        let is_stale = histogram.map_or_else(|| is_stale(columns.values[at]), |histogram| histogram.is_stale());
        if is_stale {
            continue;
        }
        match (reading, histogram) {
            (Reading::Value | Reading::Summary, None) => *out = columns.values[at],
            (Reading::Value | Reading::Summary | Reading::Info, Some(histogram)) => {
                cells.push((step as u32, Arc::clone(histogram)))
            }
            (Reading::Time, _) | (Reading::Info, None) => *out = columns.times[at] as f64 / 1000.0,
            (Reading::Start, _) => {
                if let Some(start) = columns.starts.get(at) {
                    *out = *start as f64 / 1000.0;
                }
            }
        }
    }
}

/// The histograms of a series, each made one of floats once.
struct Histograms<'a> {
    columns: &'a Columns,
    /// Place among the histograms.
    at: usize,
    last: Option<(usize, Arc<FloatHistogram>)>,
    summaries: Option<Summaries>,
}

impl Histograms<'_> {
    /// The histogram of this sample, if it is one; samples are asked for in their order.
    fn find(&mut self, sample: usize) -> Option<&Arc<FloatHistogram>> {
        let columns = self.columns;
        while let Some((known, histogram)) = columns.histograms.get(self.at) {
            let known = *known as usize;
            if known > sample {
                break;
            }
            self.at += 1;
            if let Some(summaries) = self.summaries.as_mut().filter(|_| !is_stale(histogram.sum)) {
                // Whether a counter was reset is told from all of them.
                self.last = Some((known, Arc::new(summaries.next(histogram))));
            } else if known == sample {
                self.last = Some((known, Arc::new(FloatHistogram::from(&**histogram))));
            }
        }
        self.last.as_ref().filter(|(known, _)| *known == sample).map(|(_, histogram)| histogram)
    }
}
