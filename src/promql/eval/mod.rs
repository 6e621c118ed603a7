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
mod metric;
mod pick;
mod range;
mod result;
mod rows;
mod select;
mod smoothed;
mod split;

use std::rc::Rc;
use std::sync::Arc;

use budget::Budget;
pub use result::{Matrix, MatrixSeries};
use rows::{Metric, Rows, is_absent};

use super::functions::{Notes, Work};
use super::histogram::FloatHistogram;
use super::query::{EvalError, Limits, ValueType, When};
use super::syntax::Clock;
use super::tree::{At, Expr, Node, Shift};
use super::value::{Annotations, Evaluation, Value};
use crate::data::time::millis;
use crate::formats::go;
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
    let time = match when {
        When::Instant(time) => time,
        When::Range { start, end, step } => {
            let (matrix, annotations) = over_range(root, text, samples, (start, end, step), limits)?;
            return Ok(Evaluation { value: matrix.value(), annotations });
        }
    };
    let steps = Steps { start: time, end: time, step: 1, count: 1 };
    let clock = Clock { step: 0, range: 0 };
    let mut evaluator = Evaluator::new(samples, limits, clock, (time, time));
    let value = match root.value_type {
        ValueType::Scalar => evaluator.scalar(root, steps).map(|values| Value::Scalar(values[0])),
        ValueType::String => whole_text(root).map(Value::String),
        ValueType::Vector => {
            evaluator.vector(root, steps).and_then(Rows::drop_names).map(|rows| result::vector(&rows, steps))
        }
        ValueType::Matrix => evaluator.matrix(root, steps),
    }?;
    Ok(Evaluation { value, annotations: evaluator.notes_of(text)? })
}

/// Evaluates a query whose text is that from a time to another one, every so many milliseconds.
pub(super) fn over_range(
    root: &Expr,
    text: &str,
    samples: &dyn Samples,
    (start, end, step): (i64, i64, i64),
    limits: &Limits,
) -> Result<(Matrix, Annotations), EvalError> {
    let steps = Steps::between(start, end, step)?;
    let clock = Clock { step, range: end.saturating_sub(start) };
    let mut evaluator = Evaluator::new(samples, limits, clock, (start, end));
    let rows = match root.value_type {
        ValueType::Scalar => {
            let values = evaluator.scalar(root, steps)?;
            let mut rows = Rows::new(&evaluator.budget, steps.count);
            rows.push(Metric::new(&[]), false, &values, Vec::new())?;
            rows
        }
        ValueType::Vector => evaluator.vector(root, steps)?.drop_names()?,
        other => return Err(EvalError::Query(other.not_over_a_range())),
    };
    let annotations = evaluator.notes_of(text)?;
    Ok((Matrix::new(rows, steps), annotations))
}

/// Times at which something is evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Steps {
    start: i64,
    /// Of the range, at or after the last step.
    end: i64,
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
        Ok(Self { start, end, step, count: count as usize })
    }

    fn time(self, step: usize) -> i64 {
        self.start + self.step * step as i64
    }

    /// The first alone.
    fn first(self) -> Self {
        Self { end: self.start, count: self.count.min(1), ..self }
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
    fn new(samples: &'a dyn Samples, limits: &Limits, clock: Clock, (start, end): (i64, i64)) -> Self {
        Self {
            samples,
            lookback: millis(limits.lookback),
            interval: millis(limits.interval).max(1),
            delayed_names: limits.delayed_name_removal,
            uses_starts: limits.start_timestamps,
            clock,
            start,
            end,
            budget: Rc::new(Budget::new(limits)),
            work: Work::default(),
        }
    }

    /// What is to be said of the query, once it is evaluated.
    fn notes_of(self, text: &str) -> Result<Annotations, EvalError> {
        match self.work.notes.failure() {
            Some(failure) => Err(EvalError::Query(failure.to_owned())),
            None => Ok(self.work.notes.finish(text)),
        }
    }

    fn notes(&mut self) -> &mut Notes {
        &mut self.work.notes
    }

    /// Evaluates an expression that is a vector.
    fn vector(&mut self, expr: &Expr, steps: Steps) -> Result<Rows, EvalError> {
        self.budget.check()?;
        if steps.count == 0 {
            return Ok(Rows::new(&self.budget, 0));
        }
        if expr.constant && steps.start != steps.end {
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
        // Held while its parts are evaluated, as one of them waits for the other.
        let _room = self.budget.room(8 * steps.count)?;
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

    /// The text that an argument is.
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
                // A histogram that stands at several steps stays one.
                let mut last: Option<(Arc<FloatHistogram>, Arc<FloatHistogram>)> = None;
                for (_, histogram) in cells {
                    let negative = match &last {
                        Some((positive, negative)) if Arc::ptr_eq(positive, histogram) => Arc::clone(negative),
                        _ => {
                            let mut negative = FloatHistogram::clone(histogram);
                            negative.multiply(-1.0);
                            Arc::new(negative)
                        }
                    };
                    let positive = std::mem::replace(histogram, Arc::clone(&negative));
                    last = Some((positive, negative));
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
            Some(offset) => offset.signed(self.clock).map_err(EvalError::Duration)?,
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

/// The text that a query is. Bytes that are no UTF-8 are shown as what stands for them, as an answer in JSON has to.
fn whole_text(expr: &Expr) -> Result<String, EvalError> {
    match &expr.bare().node {
        Node::Text(text) => Ok(text.as_ref().to_owned()),
        Node::Bytes(written) => {
            let quote = written.chars().next().unwrap_or('"');
            let bytes = go::unquote(written.trim_matches(quote), quote).unwrap_or_default();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => Err(unexpected(expr)),
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

#[cfg(test)]
mod tests;
