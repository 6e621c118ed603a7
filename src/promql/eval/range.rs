//! Functions over ranges. A series' samples are columns; two cursors slide over them as the steps go on, and the function is
//! shown what is between them. A subquery's rows are such columns, too.

use std::rc::Rc;

use super::super::functions::{Datum, Extension, Note, Place, RangeFunction, Window};
use super::super::query::{EvalError, ValueType};
use super::super::tree::{Call, Expr, Node, Selected, Subquery};
use super::super::value::{Point, SeriesPoints, Value};
use super::budget::Budget;
use super::rows::{Cells, Metric, Rows, cell_bytes, is_absent};
use super::select::{Span, names_one};
use super::smoothed::extended;
use super::split::{Series, Split};
use super::{Evaluator, Steps, Times, unexpected};
use crate::data::labels::Labels;

/// A call of a function over ranges, as far as it is the same for all series.
struct Ranged<'a> {
    function: &'a RangeFunction,
    times: Times,
    steps: Steps,
    range: i64,
    extension: Extension,
    lookback: i64,
    places: &'a [Place],
    /// The call's scalars, each at all steps.
    scalars: Vec<Vec<f64>>,
}

impl Evaluator<'_> {
    /// Computes a function of each series by itself: whether they are different series without their names is left open.
    pub(super) fn range_call(
        &mut self,
        call: &Call,
        function: &RangeFunction,
        steps: Steps,
    ) -> Result<Rows, EvalError> {
        // As in Prometheus, which puts a subquery's result in its place, what is said of one points to the query's start.
        let place = |argument: &Expr| match argument.bare().node {
            Node::Subquery(_) => Place(0),
            _ => argument.place,
        };
        let places: Vec<Place> = call.arguments.iter().map(place).collect();
        let mut scalars = Vec::new();
        let mut matrix = None;
        for argument in &call.arguments {
            match argument.value_type {
                ValueType::Matrix => matrix = Some(argument),
                _ => scalars.push(self.scalar(argument, steps)?),
            }
        }
        let Some(matrix) = matrix.map(Expr::bare) else { return Ok(Rows::new(&self.budget, steps.count)) };
        let ranged = |times, range, extension| Ranged {
            function,
            times,
            steps,
            range,
            extension,
            lookback: self.lookback,
            places: &places,
            scalars: scalars.clone(),
        };
        match &matrix.node {
            Node::Range(selected, range) => {
                let times = self.times(&selected.shift, steps)?;
                let range = range.positive(self.clock).map_err(EvalError::Duration)?;
                let ranged = ranged(times, range, selected.extension);
                self.range_of_series(selected, &ranged, function.wants_counter)
            }
            Node::Subquery(subquery) => {
                let times = self.times(&subquery.shift, steps)?;
                let range = subquery.range.positive(self.clock).map_err(EvalError::Duration)?;
                let ranged = ranged(times, range, Extension::None);
                self.range_of_subquery(subquery, &ranged, function.wants_counter)
            }
            _ => Err(unexpected(matrix)),
        }
    }

    fn range_of_series(&mut self, selected: &Selected, ranged: &Ranged<'_>, counter: bool) -> Result<Rows, EvalError> {
        let mut rows = Rows::new(&self.budget, ranged.times.count);
        rows.of_one_name = names_one(&selected.matchers);
        let mut split = Split::default();
        let mut work = std::mem::take(&mut self.work);
        let span = ranged.span();
        let budget = Rc::clone(&self.budget);
        let with_starts = self.uses_starts && ranged.function.uses_starts;
        let visited = self.visit(&selected.matchers, span, |labels, columns| {
            let series = split.of(columns, with_starts, selected.summaries);
            let mut cells = Vec::new();
            ranged.slide(series, labels, rows.open()?, &mut cells, &mut work, &budget)?;
            ranged.note_counter(counter, labels, rows.opened(), &mut work);
            rows.finish(|| Metric::new(labels.encoded()), !ranged.function.keeps_name, cells)
        });
        self.work = work;
        visited?;
        Ok(rows)
    }

    fn range_of_subquery(
        &mut self,
        subquery: &Subquery,
        ranged: &Ranged<'_>,
        counter: bool,
    ) -> Result<Rows, EvalError> {
        let (inner, steps) = self.subquery(subquery, ranged.times, ranged.range)?;
        let mut rows = Rows::new(&self.budget, ranged.times.count);
        let mut split = Split::default();
        for row in 0..inner.len() {
            self.budget.check()?;
            let labels = inner.metric(row).labels();
            let series = split.of_row(&inner, row, steps);
            let mut cells = Vec::new();
            ranged.slide(series, labels, rows.open()?, &mut cells, &mut self.work, &self.budget)?;
            ranged.note_counter(counter, labels, rows.opened(), &mut self.work);
            let drop_name = !ranged.function.keeps_name || inner.drops_name(row);
            rows.finish(|| inner.metric(row).clone(), drop_name, cells)?;
        }
        Ok(rows)
    }

    /// Evaluates a subquery for all the times that it is read at. Its own steps are multiples of its resolution.
    pub(super) fn subquery(
        &mut self,
        subquery: &Subquery,
        times: Times,
        range: i64,
    ) -> Result<(Rows, Steps), EvalError> {
        let step = match &subquery.step {
            Some(step) => step.positive(self.clock).map_err(EvalError::Duration)?,
            None => self.interval,
        };
        let after = times.first.saturating_sub(range);
        // Towards zero, and on from there if that is not in the range.
        let mut start = (after / step) * step;
        if start <= after {
            start += step;
        }
        let steps = Steps::between(start, times.last(), step)?;
        Ok((self.vector(&subquery.inner, steps)?, steps))
    }

    /// Evaluates what is a range at one time: the samples themselves.
    pub(super) fn matrix(&mut self, expr: &Expr, steps: Steps) -> Result<Value, EvalError> {
        let mut all = Vec::new();
        match &expr.bare().node {
            Node::Range(selected, range) => {
                let times = self.times(&selected.shift, steps)?;
                let range = range.positive(self.clock).map_err(EvalError::Duration)?;
                let until = times.last();
                let extension = selected.extension;
                let (before, behind) = around(extension, self.lookback);
                let after = until.saturating_sub(range);
                let span = Span { after: after.saturating_sub(before), until: until.saturating_add(behind) };
                let budget = Rc::clone(&self.budget);
                let (mut split, uses_starts) = (Split::default(), self.uses_starts);
                self.visit(&selected.matchers, span, |labels, columns| {
                    let series = split.of(columns, uses_starts, false);
                    take_points(&budget, series, labels)?;
                    let points = match extension {
                        Extension::None => series.points(),
                        extension => {
                            if !series.histograms.is_empty() {
                                let word = if extension == Extension::Anchored { "anchored" } else { "smoothed" };
                                let message = format!("{word} modifier is not supported with histograms");
                                return Err(EvalError::Query(message));
                            }
                            extended(series, after, until, extension)
                        }
                    };
                    if !points.is_empty() {
                        all.push(SeriesPoints { labels: labels.to_set(), points });
                    }
                    Ok(())
                })?;
            }
            Node::Subquery(subquery) => {
                let times = self.times(&subquery.shift, steps)?;
                let range = subquery.range.positive(self.clock).map_err(EvalError::Duration)?;
                let (rows, steps) = self.subquery(subquery, times, range)?;
                let rows = rows.drop_names()?;
                let mut split = Split::default();
                for row in 0..rows.len() {
                    let (series, labels) = (split.of_row(&rows, row, steps), rows.metric(row).labels());
                    take_points(&self.budget, series, labels)?;
                    let points = series.points();
                    if !points.is_empty() {
                        all.push(SeriesPoints { labels: labels.to_set(), points });
                    }
                }
            }
            _ => return Err(unexpected(expr)),
        }
        all.sort_by(|a: &SeriesPoints, b| a.labels.cmp(&b.labels));
        Ok(Value::Matrix(all))
    }
}

/// Takes what the samples of a series are as points, until the evaluation is over.
fn take_points(budget: &Budget, series: Series<'_>, labels: Labels<'_>) -> Result<(), EvalError> {
    let points = series.times.len() + series.histograms.len();
    let histograms: usize = series.histograms.iter().map(|histogram| histogram.bytes()).sum();
    let bytes = points * size_of::<(i64, Point)>() + histograms + labels.encoded().len();
    budget.take(points as u64, bytes as u64)
}

/// How far before and behind a range samples are wanted.
fn around(extension: Extension, lookback: i64) -> (i64, i64) {
    match extension {
        Extension::None => (0, 0),
        Extension::Anchored => (lookback, 0),
        Extension::Smoothed => (lookback, lookback),
    }
}

impl Ranged<'_> {
    fn span(&self) -> Span {
        let (before, behind) = around(self.extension, self.lookback);
        Span {
            after: self.times.first.saturating_sub(self.range).saturating_sub(before),
            until: self.times.last().saturating_add(behind),
        }
    }

    /// Computes the function at each step.
    fn slide(
        &self,
        series: Series<'_>,
        labels: Labels<'_>,
        out: &mut [f64],
        cells: &mut Cells,
        work: &mut super::Work,
        budget: &Rc<Budget>,
    ) -> Result<(), EvalError> {
        // The row takes the same once it is complete.
        let mut room = budget.room(0)?;
        let (before, behind) = around(self.extension, self.lookback);
        let metric = labels.metric_name();
        let mut floats = Cursors::default();
        let mut histograms = Cursors::default();
        let mut scalars = vec![0.0; self.scalars.len()];
        for (step, out) in out.iter_mut().enumerate() {
            let end = self.times.at(step);
            let start = end.saturating_sub(self.range);
            let (after, until) = (start.saturating_sub(before), end.saturating_add(behind));
            let (from, to) = floats.slide(series.times, after, until);
            let (histograms_from, histograms_to) = histograms.slide(series.histogram_times, after, until);
            budget.work(1 + (to - from) + (histograms_to - histograms_from))?;
            if from == to && histograms_from == histograms_to {
                continue;
            }
            for (scalar, values) in scalars.iter_mut().zip(&self.scalars) {
                *scalar = values[step];
            }
            let window = Window {
                times: &series.times[from..to],
                values: &series.values[from..to],
                starts: series.starts.get(from..to).unwrap_or_default(),
                histogram_times: &series.histogram_times[histograms_from..histograms_to],
                histograms: &series.histograms[histograms_from..histograms_to],
                histogram_starts: series.histogram_starts.get(histograms_from..histograms_to).unwrap_or_default(),
                start,
                end,
                time: self.steps.time(step),
                extension: self.extension,
                lookback: self.lookback,
                metric,
                places: self.places,
            };
            match (self.function.compute)(&window, &scalars, work) {
                Some(Datum::Float(value)) => *out = if is_absent(value) { f64::NAN } else { value },
                Some(Datum::Histogram(histogram)) => {
                    room.take(cell_bytes(cells, &histogram))?;
                    cells.push((step as u32, histogram));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Says that a metric's name is not one of a counter, if the function is for counters and gave numbers.
    fn note_counter(&self, counter: bool, labels: Labels<'_>, out: &[f64], work: &mut super::Work) {
        if !counter {
            return;
        }
        let name = labels.metric_name();
        let is_counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
        if !name.is_empty() && !is_counter && out.iter().any(|value| !is_absent(*value)) {
            let place = self.places.first().copied().unwrap_or_default();
            work.notes.add(place, Note::PossibleNonCounter(name.into()));
        }
    }
}

/// The samples of a window: those from `from` until before `to`. Both only go on.
#[derive(Default)]
struct Cursors {
    from: usize,
    to: usize,
}

impl Cursors {
    fn slide(&mut self, times: &[i64], after: i64, until: i64) -> (usize, usize) {
        while times.get(self.to).is_some_and(|time| *time <= until) {
            self.to += 1;
        }
        while self.from < self.to && times[self.from] <= after {
            self.from += 1;
        }
        (self.from, self.to)
    }
}
