//! Calls of functions. The table of functions says of each how it is computed; here is who shows it what it computes on.

use super::super::functions::{
    self, Extension, Function, Join, Kind, LabelFunction, Note, Order, Place, Replace, Special, TABLE, by_labels,
    by_value,
};
use super::super::histogram::FloatHistogram;
use super::super::query::{EvalError, ValueType};
use super::super::tree::{Call, Expr, Node};
use super::rows::{ABSENT, Metric, Rows, is_absent, is_metadata};
use super::select::Reading;
use super::{Evaluator, Steps};
use crate::data::labels::{LabelSet, METRIC_NAME};
use crate::series::{MatchOp, Matcher};

impl Evaluator<'_> {
    /// Evaluates a call that gives a vector.
    pub(super) fn call(&mut self, call: &Call, place: Place, steps: Steps) -> Result<Rows, EvalError> {
        let first = || call.arguments.first();
        check_extension(call)?;
        match call.function.kind {
            Kind::Range(function) => {
                let rows = self.range_call(call, &function, steps)?;
                if self.delayed_names { Ok(rows) } else { rows.unite() }
            }
            Kind::Floats(compute) => {
                let rows = self.argument(first(), call, steps)?;
                self.floats(rows, compute)
            }
            Kind::WithScalars(compute) => self.with_scalars(call, compute, steps),
            Kind::Date(compute) => self.date(call, compute, steps),
            Kind::Histogram(compute) => {
                let rows = self.argument(first(), call, steps)?;
                self.histograms(rows, compute)
            }
            Kind::Buckets(function) => self.buckets(call, function, steps),
            Kind::Labels(function) => self.relabel(call, function, steps),
            Kind::Order(order) => self.sort(call, order, place, steps),
            Kind::Evaluation(special) => self.special(call, special, steps),
            Kind::Scalars(_) => Err(EvalError::Query(format!("{} gives no vector", call.function.name))),
        }
    }

    /// Evaluates a call that gives a number.
    pub(super) fn scalar_call(&mut self, call: &Call, steps: Steps) -> Result<Vec<f64>, EvalError> {
        let seconds = |time: i64| time as f64 / 1000.0;
        let all = |value| Ok(vec![value; steps.count]);
        match call.function.kind {
            Kind::Scalars(compute) => {
                let arguments = call.arguments.iter().map(|argument| self.scalar(argument, steps));
                let arguments: Vec<Vec<f64>> = arguments.collect::<Result<_, _>>()?;
                let mut scalars = vec![0.0; arguments.len()];
                Ok((0..steps.count)
                    .map(|step| {
                        scalars.iter_mut().zip(&arguments).for_each(|(scalar, values)| *scalar = values[step]);
                        compute(&scalars)
                    })
                    .collect())
            }
            Kind::Evaluation(Special::Scalar) => {
                let rows = self.argument(call.arguments.first(), call, steps)?;
                Ok((0..steps.count).map(|step| only(&rows, step)).collect())
            }
            Kind::Evaluation(Special::Time) => Ok((0..steps.count).map(|step| seconds(steps.time(step))).collect()),
            Kind::Evaluation(Special::Start) => all(seconds(self.start)),
            Kind::Evaluation(Special::End) => all(seconds(self.end)),
            Kind::Evaluation(Special::Range) => all(seconds(self.clock.range)),
            Kind::Evaluation(Special::Step) => all(if self.start == self.end { 0.0 } else { seconds(self.clock.step) }),
            _ => Err(EvalError::Query(format!("{} gives no number", call.function.name))),
        }
    }

    /// Evaluates an argument that is a vector.
    pub(super) fn argument(&mut self, argument: Option<&Expr>, call: &Call, steps: Steps) -> Result<Rows, EvalError> {
        match argument {
            Some(argument) => self.vector(argument, steps),
            None => Err(EvalError::Query(format!("{} lacks an argument", call.function.name))),
        }
    }

    /// Evaluates the call's scalars.
    fn scalars(&mut self, call: &Call, steps: Steps) -> Result<Vec<Vec<f64>>, EvalError> {
        let scalars = call.arguments.iter().filter(|argument| argument.value_type == ValueType::Scalar);
        scalars.map(|scalar| self.scalar(scalar, steps)).collect()
    }

    fn floats(&mut self, mut rows: Rows, compute: fn(&mut [f64])) -> Result<Rows, EvalError> {
        let mut gaps = Vec::new();
        for row in 0..rows.len() {
            let values = rows.values_mut(row);
            gaps.clear();
            gaps.extend((0..values.len()).filter(|step| is_absent(values[*step])));
            compute(values);
            gaps.iter().for_each(|step| values[*step] = ABSENT);
        }
        self.without_histograms(rows)
    }

    /// The result of a function that has none for histograms.
    fn without_histograms(&mut self, mut rows: Rows) -> Result<Rows, EvalError> {
        if rows.has_histograms() {
            let mut rest = rows.like();
            for row in 0..rows.len() {
                rest.open()?.copy_from_slice(rows.values(row));
                rest.finish(|| rows.metric(row).clone(), true, Vec::new())?;
            }
            rows = rest;
        }
        rows.mark_names();
        self.settle(rows)
    }

    fn with_scalars(
        &mut self,
        call: &Call,
        compute: fn(f64, &[f64]) -> Option<f64>,
        steps: Steps,
    ) -> Result<Rows, EvalError> {
        let mut rows = self.argument(call.arguments.first(), call, steps)?;
        let scalars = self.scalars(call, steps)?;
        // One step after the other lie together.
        let width = scalars.len();
        let mut turned = vec![0.0; width * steps.count];
        for (place, values) in scalars.iter().enumerate() {
            values.iter().enumerate().for_each(|(step, value)| turned[step * width + place] = *value);
        }
        for row in 0..rows.len() {
            for (step, value) in rows.values_mut(row).iter_mut().enumerate() {
                if !is_absent(*value) {
                    *value = compute(*value, &turned[step * width..][..width]).unwrap_or(ABSENT);
                }
            }
        }
        self.without_histograms(rows)
    }

    fn date(&mut self, call: &Call, compute: fn(f64) -> f64, steps: Steps) -> Result<Rows, EvalError> {
        if call.arguments.is_empty() {
            let mut rows = Rows::new(&self.budget, steps.count);
            let values = rows.open()?.iter_mut().enumerate();
            values.for_each(|(step, value)| *value = compute(steps.time(step) as f64 / 1000.0));
            rows.close(Metric::new(&[]), false, Vec::new())?;
            return Ok(rows);
        }
        let mut rows = self.argument(call.arguments.first(), call, steps)?;
        for row in 0..rows.len() {
            let values = rows.values_mut(row).iter_mut().filter(|value| !is_absent(**value));
            values.for_each(|value| *value = compute(*value));
        }
        self.without_histograms(rows)
    }

    fn histograms(&mut self, rows: Rows, compute: fn(&FloatHistogram) -> f64) -> Result<Rows, EvalError> {
        let mut numbers = rows.like();
        for row in 0..rows.len() {
            let out = numbers.open()?;
            rows.cells(row).iter().for_each(|(step, histogram)| out[*step as usize] = compute(histogram));
            numbers.finish(|| rows.metric(row).clone(), true, Vec::new())?;
        }
        self.settle(numbers)
    }

    fn relabel(&mut self, call: &Call, function: LabelFunction, steps: Steps) -> Result<Rows, EvalError> {
        let texts = call.arguments.iter().skip(1).map(|argument| self.text(argument));
        let texts: Vec<&str> = texts.collect::<Result<_, _>>()?;
        let mut rows = self.argument(call.arguments.first(), call, steps)?;
        let mut labels = LabelSet::new();
        let mut encoded = Vec::new();
        let mut change = match (function, &texts[..]) {
            (LabelFunction::Replace, [destination, replacement, source, pattern]) => {
                Change::Replace(Replace::new(destination, replacement, source, pattern).map_err(EvalError::Query)?)
            }
            (LabelFunction::Join, [destination, separator, sources @ ..]) => {
                Change::Join(Join::new(destination, separator, sources).map_err(EvalError::Query)?)
            }
            _ => return Err(EvalError::Query(format!("{} lacks an argument", call.function.name))),
        };
        for row in 0..rows.len() {
            labels.clear();
            labels.extend(rows.metric(row).labels().iter());
            let Some(names) = change.apply(&mut labels).map_err(EvalError::Query)? else { continue };
            // Held twice while they become a metric.
            let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
            let _room = self.budget.room(bytes.saturating_mul(2))?;
            encoded.clear();
            labels.encode(&mut encoded);
            // A name that was set stays.
            let drop_name = rows.drops_name(row) && !names;
            rows.set_metric(row, Metric::new(&encoded), drop_name)?;
        }
        rows.merge()
    }

    fn sort(&mut self, call: &Call, order: Order, place: Place, steps: Steps) -> Result<Rows, EvalError> {
        let texts = call.arguments.iter().skip(1).map(|argument| self.text(argument));
        let texts: Vec<&str> = texts.collect::<Result<_, _>>()?;
        let mut rows = self.argument(call.arguments.first(), call, steps)?;
        if steps.start != steps.end {
            self.notes().add(place, Note::SortInRange);
        }
        if !order.by_label {
            for row in 0..rows.len() {
                rows.cells_mut(row).into_iter().for_each(Vec::clear);
            }
            rows = rows.compact()?;
        }
        let mut places: Vec<usize> = (0..rows.len()).collect();
        if order.by_label {
            let sets: Vec<LabelSet> = (0..rows.len()).map(|row| rows.metric(row).labels().to_set()).collect();
            places.sort_by(|a, b| {
                let ordering = by_labels(&sets[*a], &sets[*b], texts.iter().copied());
                if order.descending { ordering.reverse() } else { ordering }
            });
        } else {
            places.retain(|row| !is_absent(rows.values(*row)[0]));
            places.sort_by(|a, b| by_value(rows.values(*a)[0], rows.values(*b)[0], order.descending));
        }
        // Only at one step is there an order.
        if steps.count > 1 {
            places = (0..rows.len()).collect();
        }
        let mut sorted = rows.select(&places)?;
        sorted.ordered = true;
        Ok(sorted)
    }

    fn special(&mut self, call: &Call, special: Special, steps: Steps) -> Result<Rows, EvalError> {
        let first = call.arguments.first();
        match special {
            Special::Vector => {
                let values = match first {
                    Some(scalar) => self.scalar(scalar, steps)?,
                    None => vec![f64::NAN; steps.count],
                };
                let mut rows = Rows::new(&self.budget, steps.count);
                rows.push(Metric::new(&[]), false, &values, Vec::new())?;
                Ok(rows)
            }
            Special::Timestamp | Special::StartTimestamp => self.timestamp(call, special, steps),
            Special::Absent => {
                let rows = self.argument(first, call, steps)?;
                self.absent(&rows, first, steps, false)
            }
            Special::AbsentOverTime => {
                let rows = match functions::find("present_over_time").map(|function| function.kind) {
                    Some(Kind::Range(function)) => self.range_call(call, &function, steps)?,
                    _ => Rows::new(&self.budget, steps.count),
                };
                self.absent(&rows, first, steps, true)
            }
            Special::Info => self.info(call, steps),
            _ => Err(EvalError::Query(format!("{} gives no vector", call.function.name))),
        }
    }

    fn timestamp(&mut self, call: &Call, special: Special, steps: Steps) -> Result<Rows, EvalError> {
        let reading = if special == Special::Timestamp { Reading::Time } else { Reading::Start };
        let Some(argument) = call.arguments.first() else { return self.argument(None, call, steps) };
        // The samples of a selector have times of their own.
        if let Node::Select(selected) = &argument.bare().node {
            if reading == Reading::Start && !self.uses_starts {
                return Ok(Rows::new(&self.budget, steps.count));
            }
            let rows = self.read(&selected.matchers, &selected.shift, steps, reading)?;
            return self.settle(rows);
        }
        if reading == Reading::Start {
            return Ok(Rows::new(&self.budget, steps.count));
        }
        let rows = self.vector(argument, steps)?;
        let mut times = rows.like();
        for row in 0..rows.len() {
            for (step, out) in times.open()?.iter_mut().enumerate() {
                if rows.is_present(row, step) {
                    *out = steps.time(step) as f64 / 1000.0;
                }
            }
            times.finish(|| rows.metric(row).clone(), true, Vec::new())?;
        }
        self.settle(times)
    }

    /// 1 where no series has anything.
    fn absent(&mut self, rows: &Rows, of: Option<&Expr>, steps: Steps, drop: bool) -> Result<Rows, EvalError> {
        let mut present = vec![false; steps.count];
        for row in 0..rows.len() {
            present.iter_mut().zip(rows.values(row)).for_each(|(present, value)| *present |= !is_absent(*value));
            rows.cells(row).iter().for_each(|(step, _)| present[*step as usize] = true);
        }
        let mut absent = Rows::new(&self.budget, steps.count);
        for (out, present) in absent.open()?.iter_mut().zip(present) {
            if !present {
                *out = 1.0;
            }
        }
        let labels = of.map(|of| expected_labels(&of.bare().node)).unwrap_or_default();
        let mut encoded = Vec::new();
        labels.encode(&mut encoded);
        absent.finish(|| Metric::new(&encoded), drop, Vec::new())?;
        Ok(absent)
    }
}

/// Only some functions know what to do with samples around a range.
fn check_extension(call: &Call) -> Result<(), EvalError> {
    for argument in &call.arguments {
        let Node::Range(selected, _) = &argument.bare().node else { continue };
        let allows = |function: &Function| match (function.kind, selected.extension) {
            (_, Extension::None) => true,
            (Kind::Range(function), Extension::Anchored) => function.anchored,
            (Kind::Range(function), Extension::Smoothed) => function.smoothed,
            _ => false,
        };
        if !allows(call.function) {
            let word = if selected.extension == Extension::Anchored { "anchored" } else { "smoothed" };
            let allowed = TABLE.iter().filter(|function| allows(function)).map(|function| function.name);
            let allowed = allowed.collect::<Vec<_>>().join(", ");
            let name = call.function.name;
            let message = format!("{word} modifier can only be used with: {allowed} - not with {name}");
            return Err(EvalError::Query(message));
        }
    }
    Ok(())
}

/// A function that changes labels.
enum Change {
    Replace(Replace),
    Join(Join),
}

impl Change {
    /// Changes labels; whether the metric's name was set, or nothing where nothing was.
    fn apply(&mut self, labels: &mut LabelSet) -> Result<Option<bool>, String> {
        match self {
            Self::Replace(replace) => Ok(replace.apply(labels)?.then(|| replace.destination() == METRIC_NAME)),
            Self::Join(join) => {
                join.apply(labels)?;
                Ok(Some(join.destination() == METRIC_NAME))
            }
        }
    }
}

/// The one number at a step, if it is the only one.
fn only(rows: &Rows, step: usize) -> f64 {
    let mut numbers = (0..rows.len()).map(|row| rows.values(row)[step]).filter(|value| !is_absent(*value));
    match (numbers.next(), numbers.next()) {
        (Some(number), None) => number,
        _ => f64::NAN,
    }
}

/// The labels that a selector's series would have: those that it wants to be equal to something, once.
fn expected_labels(node: &Node) -> LabelSet {
    let matchers: &[Matcher] = match node {
        Node::Select(selected) | Node::Range(selected, _) => &selected.matchers,
        _ => &[],
    };
    let mut labels = LabelSet::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| !is_metadata(&matcher.name)) {
        if matches!(matcher.op, MatchOp::Equal) && !seen.contains(&&*matcher.name) {
            labels.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels
}
