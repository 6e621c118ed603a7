//! The evaluator. It goes through the tree once, whatever the number of steps: each expression becomes [`Rows`], series over
//! all steps at once. A selector reads each series once and has it evaluated there and then; labels are looked at once a
//! series; what is the same at every step is evaluated at one.

mod aggregate;
mod binary;
mod buckets;
mod budget;
mod call;
mod count_values;
mod info;
mod join;
mod pick;
mod range;
mod rows;
mod select;
mod smoothed;

use std::rc::Rc;
use std::sync::Arc;

use budget::Budget;
use rows::{Rows, is_absent};

use super::functions::{Notes, Work};
use super::query::{EvalError, Limits, ValueType, When};
use super::syntax::Clock;
use super::tree::{At, Expr, Node, Shift};
use super::value::{Evaluation, Point, SeriesPoints, Value, VectorSample};
use crate::data::histogram::Histogram;
use crate::series::Samples;

/// Most steps of an evaluation, or of a subquery within one.
const STEPS: i64 = 10_000_000;

/// Evaluates a query whose text is that.
pub(super) fn evaluate(
    root: &Expr,
    text: &str,
    samples: &dyn Samples,
    when: When,
    limits: &Limits,
) -> Result<Evaluation, EvalError> {
    let (steps, clock, is_range) = match when {
        When::Instant(time) => (Steps { start: time, step: 1, count: 1 }, Clock { step: 0, range: 0 }, false),
        When::Range { start, end, step } => {
            let clock = Clock { step, range: end.saturating_sub(start) };
            (Steps::between(start, end, step)?, clock, true)
        }
    };
    let mut evaluator = Evaluator {
        samples,
        lookback: i64::try_from(limits.lookback.as_millis()).unwrap_or(i64::MAX),
        interval: i64::try_from(limits.interval.as_millis()).unwrap_or(i64::MAX).max(1),
        delayed_names: limits.delayed_name_removal,
        uses_starts: limits.start_timestamps,
        clock,
        start: steps.start,
        end: match when {
            When::Instant(time) => time,
            When::Range { end, .. } => end,
        },
        budget: Rc::new(Budget::new(limits)),
        work: Work::default(),
    };
    let value = match root.value_type {
        ValueType::Scalar => evaluator.scalar(root, steps).map(|values| scalar_value(&values, steps, is_range)),
        ValueType::String if !is_range => evaluator.text(root).map(|text| Value::String(text.to_owned())),
        ValueType::Vector => evaluator
            .vector(root, steps)
            .and_then(Rows::drop_names)
            .map(|rows| if is_range { matrix_value(&rows, steps) } else { vector_value(&rows, steps) }),
        ValueType::Matrix if !is_range => evaluator.matrix(root, steps),
        other => Err(EvalError::Query(other.not_over_a_range())),
    }?;
    if let Some(failure) = evaluator.work.notes.failure() {
        return Err(EvalError::Query(failure.to_owned()));
    }
    Ok(Evaluation { value, annotations: evaluator.work.notes.finish(text) })
}

/// Times at which something is evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Steps {
    start: i64,
    step: i64,
    count: usize,
}

impl Steps {
    fn between(start: i64, end: i64, step: i64) -> Result<Self, EvalError> {
        if step <= 0 {
            return Err(EvalError::Query("zero or negative query resolution step widths are not accepted".to_owned()));
        }
        let count = if end < start { 0 } else { (end.saturating_sub(start) / step).saturating_add(1) };
        if count > STEPS {
            return Err(EvalError::Query(format!("exceeded maximum resolution of {STEPS} points per timeseries")));
        }
        Ok(Self { start, step, count: count as usize })
    }

    fn time(self, step: usize) -> i64 {
        self.start + self.step * step as i64
    }

    /// The first alone.
    fn first(self) -> Self {
        Self { count: self.count.min(1), ..self }
    }
}

struct Evaluator<'a> {
    samples: &'a dyn Samples,
    /// Milliseconds, as all times here.
    lookback: i64,
    interval: i64,
    /// Whether names go only when the whole query is evaluated.
    delayed_names: bool,
    uses_starts: bool,
    clock: Clock,
    /// The first step of the query and its end.
    start: i64,
    end: i64,
    budget: Rc<Budget>,
    work: Work,
}

impl<'a> Evaluator<'a> {
    fn notes(&mut self) -> &mut Notes {
        &mut self.work.notes
    }

    /// Evaluates an expression that is a vector.
    fn vector(&mut self, expr: &Expr, steps: Steps) -> Result<Rows, EvalError> {
        self.budget.check()?;
        if steps.count == 0 {
            return Ok(Rows::new(&self.budget, 0));
        }
        if expr.constant && steps.count > 1 {
            return self.vector(expr, steps.first())?.broadcast(steps.count);
        }
        match &expr.node {
            Node::Select(selected) => self.instant(selected, expr.place, steps),
            Node::Call(call) => self.call(call, expr.place, steps),
            Node::Aggregate(aggregate) => self.aggregate(aggregate, expr.place, steps),
            Node::Binary(_) => self.binary(expr, steps),
            Node::Negate(inner) => self.negate(inner, steps),
            Node::Paren(inner) => self.vector(inner, steps),
            _ => Err(unexpected(expr)),
        }
    }

    /// Evaluates an expression that is a number, at each step.
    fn scalar(&mut self, expr: &Expr, steps: Steps) -> Result<Vec<f64>, EvalError> {
        self.budget.check()?;
        if expr.constant && steps.count > 1 {
            let first = self.scalar(expr, steps.first())?;
            return Ok(vec![first[0]; steps.count]);
        }
        match &expr.node {
            Node::Number { value, .. } => Ok(vec![*value; steps.count]),
            Node::Call(call) => self.scalar_call(call, steps),
            Node::Binary(_) => self.scalar_binary(expr, steps),
            Node::Negate(inner) => {
                let mut values = self.scalar(inner, steps)?;
                values.iter_mut().for_each(|value| *value = -*value);
                Ok(values)
            }
            Node::Paren(inner) => self.scalar(inner, steps),
            _ => Err(unexpected(expr)),
        }
    }

    /// The text that an expression is.
    fn text<'e>(&self, expr: &'e Expr) -> Result<&'e str, EvalError> {
        match &expr.bare().node {
            Node::Text(text) => Ok(text),
            // Only names of labels can be wrong in this way.
            Node::Bytes(written) => Err(EvalError::Query(format!("invalid label name {written}"))),
            _ => Err(unexpected(expr)),
        }
    }

    fn negate(&mut self, inner: &Expr, steps: Steps) -> Result<Rows, EvalError> {
        let mut rows = self.vector(inner, steps)?;
        for row in 0..rows.len() {
            rows.values_mut(row).iter_mut().filter(|value| !is_absent(**value)).for_each(|value| *value = -*value);
            if let Some(cells) = rows.cells_mut(row) {
                for (_, histogram) in cells {
                    Arc::make_mut(histogram).multiply(-1.0);
                }
            }
        }
        rows.mark_names();
        self.settle(rows)
    }

    /// Takes names away now, unless that is left to the end.
    fn settle(&self, rows: Rows) -> Result<Rows, EvalError> {
        if self.delayed_names { Ok(rows) } else { rows.drop_names() }
    }

    /// Which times a selector or a subquery reads at the steps.
    fn times(&self, shift: &Shift, steps: Steps) -> Result<Times, EvalError> {
        let offset = match &shift.offset {
            Some(offset) => offset.signed(self.clock).map_err(EvalError::Query)?,
            None => 0,
        };
        let (first, step) = match shift.at {
            None => (steps.start, steps.step),
            Some(At::Time(time)) => (time, 0),
            Some(At::Start) => (self.start, 0),
            Some(At::End) => (self.end, 0),
        };
        Ok(Times { first: first.saturating_sub(offset), step, count: steps.count })
    }
}

/// Times that are read at the steps: the same one each time where `@` says so.
#[derive(Clone, Copy, Debug)]
struct Times {
    first: i64,
    step: i64,
    count: usize,
}

impl Times {
    fn at(self, step: usize) -> i64 {
        self.first.saturating_add(self.step * step as i64)
    }

    fn last(self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }
}

/// The type check lets no such expression through.
fn unexpected(expr: &Expr) -> EvalError {
    EvalError::Query(format!("unexpected expression of type {} at {}", expr.value_type, expr.place.0))
}

fn scalar_value(values: &[f64], steps: Steps, is_range: bool) -> Value {
    if !is_range {
        return Value::Scalar(values.first().copied().unwrap_or(f64::NAN));
    }
    let points = values.iter().enumerate().map(|(step, value)| (steps.time(step), Point::Float(*value))).collect();
    Value::Matrix(vec![SeriesPoints { labels: Default::default(), points }])
}

fn point(rows: &Rows, row: usize, step: usize) -> Option<Point> {
    let value = rows.values(row)[step];
    if !is_absent(value) {
        return Some(Point::Float(value));
    }
    rows.cell(row, step).map(|histogram| Point::Histogram(Arc::new(Histogram::from(&**histogram))))
}

fn vector_value(rows: &Rows, steps: Steps) -> Value {
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

fn matrix_value(rows: &Rows, steps: Steps) -> Value {
    let series = (0..rows.len()).filter_map(|row| {
        let mut points = Vec::with_capacity(rows.steps());
        points.extend((0..rows.steps()).filter_map(|step| Some((steps.time(step), point(rows, row, step)?))));
        (!points.is_empty()).then(|| SeriesPoints { labels: rows.metric(row).labels().to_set(), points })
    });
    let mut series: Vec<_> = series.collect();
    // Labels that are decoded already are compared much faster than encoded ones.
    series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Value::Matrix(series)
}

#[cfg(test)]
mod tests;
