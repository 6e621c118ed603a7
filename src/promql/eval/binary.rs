//! Operators between two numbers or histograms, a column at a time; between numbers, and between a vector and a number.
//! Those between two vectors are in [`join`](super::join).

use std::sync::Arc;

use super::super::functions::{Note, Notes, Operation, Place};
use super::super::histogram::{Combined, FloatHistogram};
use super::super::query::{EvalError, ValueType};
use super::super::tree::{Binary, Expr, Node, Operator};
use super::rows::{ABSENT, Cells, Rows, is_absent};
use super::{Evaluator, Steps, unexpected};
use crate::data::histogram::ResetHint;

impl Evaluator<'_> {
    /// Evaluates an operation that gives a vector. A chain of operators is as deep on its left as it is long, and so is gone
    /// through without recursion.
    pub(super) fn binary(&mut self, expr: &Expr, steps: Steps) -> Result<Rows, EvalError> {
        let mut chain = Vec::new();
        let mut at = expr;
        let mut left = None;
        while let Node::Binary(binary) = &at.node {
            chain.push((binary, at.place));
            at = &binary.left;
            if at.value_type != ValueType::Vector {
                break;
            }
            if !matches!(at.node, Node::Binary(_)) || at.constant && steps.count > 1 {
                left = Some(self.vector(at, steps)?);
                break;
            }
        }
        while let Some((binary, place)) = chain.pop() {
            left = Some(self.operate(binary, place, left, steps)?);
        }
        left.ok_or_else(|| unexpected(expr))
    }

    /// Evaluates one operation whose left side, if it is a vector, was evaluated.
    fn operate(&mut self, binary: &Binary, place: Place, left: Option<Rows>, steps: Steps) -> Result<Rows, EvalError> {
        match (left, binary.right.value_type) {
            (Some(left), ValueType::Vector) => {
                let right = self.vector(&binary.right, steps)?;
                self.join(binary, left, right, place)
            }
            (Some(rows), _) => {
                let scalars = self.scalar(&binary.right, steps)?;
                self.with_scalar(binary, rows, &scalars, false, place)
            }
            (None, _) => {
                let scalars = self.scalar(&binary.left, steps)?;
                let rows = self.vector(&binary.right, steps)?;
                self.with_scalar(binary, rows, &scalars, true, place)
            }
        }
    }

    /// Evaluates an operation between numbers, a chain of them without recursion too.
    pub(super) fn scalar_binary(&mut self, expr: &Expr, steps: Steps) -> Result<Vec<f64>, EvalError> {
        let mut chain = Vec::new();
        let mut at = expr;
        while let Node::Binary(binary) = &at.node {
            chain.push(binary);
            at = &binary.left;
        }
        let mut left = self.scalar(at, steps)?;
        let mut out = vec![0.0; steps.count];
        for binary in chain.into_iter().rev() {
            let right = self.scalar(&binary.right, steps)?;
            // Between numbers a comparison always gives 0 or 1.
            columns(binary.operator, binary.operator.compares(), &left, &right, &mut out);
            left.copy_from_slice(&out);
        }
        Ok(left)
    }

    /// An operator between a vector and a number, which may stand on the left.
    fn with_scalar(
        &mut self,
        binary: &Binary,
        mut rows: Rows,
        scalars: &[f64],
        scalar_left: bool,
        place: Place,
    ) -> Result<Rows, EvalError> {
        let Binary { operator, returns_bool, .. } = binary;
        let (operator, returns_bool) = (*operator, *returns_bool);
        let trims = matches!(operator, Operator::TrimUpper | Operator::TrimLower);
        if !rows.has_histograms() && !trims {
            let mut out = vec![ABSENT; rows.steps()];
            for row in 0..rows.len() {
                let values = rows.values(row);
                if scalar_left {
                    columns(operator, returns_bool, scalars, values, &mut out);
                    if operator.compares() && !returns_bool {
                        // What is kept is the vector's value, on whichever side it stands.
                        let kept = out.iter_mut().zip(values).filter(|(out, _)| !is_absent(**out));
                        kept.for_each(|(out, value)| *out = *value);
                    }
                } else {
                    columns(operator, returns_bool, values, scalars, &mut out);
                }
                rows.values_mut(row).copy_from_slice(&out);
            }
        } else {
            rows = self.with_scalar_mixed(binary, &rows, scalars, scalar_left, place)?;
        }
        if changes_meaning(operator) || returns_bool {
            rows.mark_names();
            rows = self.settle(rows)?;
        }
        if operator.compares() && !returns_bool { rows.compact() } else { Ok(rows) }
    }

    fn with_scalar_mixed(
        &mut self,
        binary: &Binary,
        rows: &Rows,
        scalars: &[f64],
        scalar_left: bool,
        place: Place,
    ) -> Result<Rows, EvalError> {
        let mut mixed = rows.like();
        for row in 0..rows.len() {
            let out = mixed.open()?;
            let mut cells = Cells::new();
            let mut given = rows.cells(row).iter().peekable();
            for (step, value) in rows.values(row).iter().enumerate() {
                let histogram = given.next_if(|(known, _)| *known as usize == step).map(|(_, histogram)| histogram);
                let Some(operand) = Operand::of(*value, histogram) else { continue };
                let scalar = Operand::Float(scalars[step]);
                let (left, right) = if scalar_left { (scalar, operand) } else { (operand, scalar) };
                let result = elements(binary.operator, left, right, place, self.notes());
                let result = match result {
                    Outcome::None => continue,
                    Outcome::Compared(_, kept) if binary.returns_bool => Computed::Float(f64::from(u8::from(kept))),
                    Outcome::Compared(_, false) => continue,
                    Outcome::Compared(..) => operand.to_result(),
                    Outcome::Computed(result) => result,
                };
                result.put(step, out, &mut cells);
            }
            mixed.finish(|| rows.metric(row).clone(), rows.drops_name(row), cells)?;
        }
        Ok(mixed)
    }
}

/// Whether what an operator gives is another metric than what it is given.
pub(super) fn changes_meaning(operator: Operator) -> bool {
    use Operator::{Add, Atan2, Div, Mod, Mul, Pow, Sub};
    matches!(operator, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

/// Applies an operator to two columns. A comparison keeps the left value, or gives 0 or 1.
pub(super) fn columns(operator: Operator, returns_bool: bool, left: &[f64], right: &[f64], out: &mut [f64]) {
    fn each(left: &[f64], right: &[f64], out: &mut [f64], compute: impl Fn(f64, f64) -> f64) {
        for ((left, right), out) in left.iter().zip(right).zip(out) {
            let computed = compute(*left, *right);
            *out = if is_absent(*left) || is_absent(*right) { ABSENT } else { computed };
        }
    }
    let flag = |holds: bool| f64::from(u8::from(holds));
    let keep = |left: f64, holds: bool| if holds { left } else { ABSENT };
    match (operator, returns_bool) {
        (Operator::Add, _) => each(left, right, out, |left, right| left + right),
        (Operator::Sub, _) => each(left, right, out, |left, right| left - right),
        (Operator::Mul, _) => each(left, right, out, |left, right| left * right),
        (Operator::Div, _) => each(left, right, out, |left, right| left / right),
        (Operator::Mod, _) => each(left, right, out, |left, right| left % right),
        (Operator::Pow, _) => each(left, right, out, f64::powf),
        (Operator::Atan2, _) => each(left, right, out, f64::atan2),
        (Operator::Equal, true) => each(left, right, out, |left, right| flag(left == right)),
        (Operator::NotEqual, true) => each(left, right, out, |left, right| flag(left != right)),
        (Operator::Greater, true) => each(left, right, out, |left, right| flag(left > right)),
        (Operator::Less, true) => each(left, right, out, |left, right| flag(left < right)),
        (Operator::GreaterOrEqual, true) => each(left, right, out, |left, right| flag(left >= right)),
        (Operator::LessOrEqual, true) => each(left, right, out, |left, right| flag(left <= right)),
        (Operator::Equal, false) => each(left, right, out, |left, right| keep(left, left == right)),
        (Operator::NotEqual, false) => each(left, right, out, |left, right| keep(left, left != right)),
        (Operator::Greater, false) => each(left, right, out, |left, right| keep(left, left > right)),
        (Operator::Less, false) => each(left, right, out, |left, right| keep(left, left < right)),
        (Operator::GreaterOrEqual, false) => each(left, right, out, |left, right| keep(left, left >= right)),
        (Operator::LessOrEqual, false) => each(left, right, out, |left, right| keep(left, left <= right)),
        (Operator::TrimUpper | Operator::TrimLower | Operator::And | Operator::Or | Operator::Unless, _) => {
            out.fill(ABSENT);
        }
    }
}

/// One side of an operator at one step.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

impl<'a> Operand<'a> {
    pub fn of(value: f64, histogram: Option<&'a Arc<FloatHistogram>>) -> Option<Self> {
        match histogram {
            Some(histogram) => Some(Self::Histogram(histogram)),
            None if is_absent(value) => None,
            None => Some(Self::Float(value)),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }

    pub fn to_result(self) -> Computed {
        match self {
            Self::Float(value) => Computed::Float(value),
            Self::Histogram(histogram) => Computed::Histogram(Arc::clone(histogram)),
        }
    }
}

/// What an operator gives at one step.
pub(super) enum Computed {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Computed {
    pub fn put(self, step: usize, out: &mut [f64], cells: &mut Cells) {
        match self {
            Self::Float(value) => out[step] = value,
            Self::Histogram(histogram) => cells.push((step as u32, histogram)),
        }
    }
}

/// What came of an operator at one step.
pub(super) enum Outcome {
    /// Nothing: the operator is not defined between the two.
    None,
    Computed(Computed),
    /// The left side, and whether the comparison holds.
    Compared(Computed, bool),
}

/// Applies an operator to what may be histograms, and says what there is to say about it.
pub(super) fn elements(
    operator: Operator,
    left: Operand<'_>,
    right: Operand<'_>,
    place: Place,
    notes: &mut Notes,
) -> Outcome {
    use Operand::{Float, Histogram};
    let changed = |histogram: &FloatHistogram, change: &dyn Fn(&mut FloatHistogram)| {
        let mut histogram = histogram.clone();
        change(&mut histogram);
        Outcome::Computed(Computed::Histogram(Arc::new(histogram)))
    };
    match (operator, left, right) {
        (Operator::TrimUpper | Operator::TrimLower, Float(_), _) => {}
        (operator, Float(a), Float(b)) if operator.compares() => {
            let mut holds = [0.0];
            columns(operator, true, &[a], &[b], &mut holds);
            return Outcome::Compared(Computed::Float(a), holds[0] != 0.0);
        }
        (operator, Float(a), Float(b)) => {
            let mut computed = [0.0];
            columns(operator, false, &[a], &[b], &mut computed);
            return Outcome::Computed(Computed::Float(computed[0]));
        }
        (Operator::Mul, Float(factor), Histogram(histogram)) | (Operator::Mul, Histogram(histogram), Float(factor)) => {
            return changed(histogram, &|histogram| {
                histogram.multiply(factor);
                histogram.compact();
            });
        }
        (Operator::Div, Histogram(histogram), Float(by)) => {
            return changed(histogram, &|histogram| {
                histogram.divide(by);
                histogram.compact();
            });
        }
        (Operator::TrimUpper, Histogram(histogram), Float(value)) => {
            return changed(histogram, &|histogram| histogram.trim_above(value));
        }
        (Operator::TrimLower, Histogram(histogram), Float(value)) => {
            return changed(histogram, &|histogram| histogram.trim_below(value));
        }
        (Operator::Equal, Histogram(a), Histogram(b)) => {
            return Outcome::Compared(Computed::Histogram(Arc::clone(a)), a.same(b));
        }
        (Operator::NotEqual, Histogram(a), Histogram(b)) => {
            return Outcome::Compared(Computed::Histogram(Arc::clone(a)), !a.same(b));
        }
        (Operator::Add | Operator::Sub, Histogram(a), Histogram(b)) => return combine(operator, a, b, place, notes),
        _ => {}
    }
    let note = Note::IncompatibleTypes { left: left.kind(), operator: operator.sign(), right: right.kind() };
    notes.add(place, note);
    Outcome::None
}

fn combine(operator: Operator, a: &FloatHistogram, b: &FloatHistogram, place: Place, notes: &mut Notes) -> Outcome {
    let mut histogram = a.clone();
    let (combined, operation) = if operator == Operator::Add {
        (histogram.add(b), Operation::Addition)
    } else {
        (histogram.subtract(b), Operation::Subtraction)
    };
    let Ok(Combined { reset_collision, bounds_reconciled }) = combined else {
        notes.add(place, Note::IncompatibleLayout(operator.sign()));
        return Outcome::None;
    };
    if reset_collision {
        notes.add(place, Note::ResetCollision(operation));
        return Outcome::None;
    }
    if operator == Operator::Sub {
        histogram.reset_hint = ResetHint::Gauge;
    }
    if bounds_reconciled {
        notes.add(place, Note::MismatchedBounds(operation));
    }
    histogram.compact();
    Outcome::Computed(Computed::Histogram(Arc::new(histogram)))
}
