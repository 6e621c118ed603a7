//! Operators between two vectors. What decides which series find each other, and what their result is called, is worked out
//! once a series; at the steps there are columns only. Where several series of one side may match, each step is looked at.

use std::rc::Rc;

use super::super::functions::{Notes, Place};
use super::super::query::EvalError;
use super::super::tree::{Binary, Group, LabelList, Matching, Operator};
use super::Evaluator;
use super::binary::{Computed, Operand, Outcome, changes_meaning, columns, elements};
use super::budget::Budget;
use super::rows::{ABSENT, Cells, Ids, Metric, Rows, cell_bytes, is_absent, is_metadata};
use crate::data::labels::LabelSet;

/// Rows of both sides by what they match on.
struct Matched {
    /// For each signature the rows on the side where several may match.
    many: Vec<Vec<usize>>,
    /// For each signature the rows on the side where one may.
    one: Vec<Vec<usize>>,
    signatures: Ids,
}

impl Evaluator<'_> {
    pub(super) fn join(&mut self, binary: &Binary, left: Rows, right: Rows, place: Place) -> Result<Rows, EvalError> {
        if binary.operator.is_set() {
            return self.set(binary, left, right);
        }
        // The side where several series may match is called the many.
        let swapped = matches!(binary.matching.group, Group::Right(_));
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let matched = matched(&binary.matching, &many, &one);
        let join = Join {
            binary,
            swapped,
            many: &many,
            one: &one,
            matched: &matched,
            place,
            delays_names: self.delayed_names,
        };
        let mut out = many.like();
        join.check_one()?;
        for signature in 0..matched.signatures.len() {
            self.budget.check()?;
            join.check_many(signature, &self.budget)?;
            join.write(signature, &mut out, self)?;
        }
        let out = out.merge()?;
        if binary.operator.compares() && !binary.returns_bool { out.compact() } else { Ok(out) }
    }

    /// `and`, `or` and `unless`.
    fn set(&mut self, binary: &Binary, left: Rows, right: Rows) -> Result<Rows, EvalError> {
        let steps = left.steps();
        let mut ids = Ids::default();
        let signatures = |rows: &Rows, ids: &mut Ids| -> Vec<usize> {
            let mut encoded = Vec::new();
            (0..rows.len())
                .map(|row| {
                    signature(&binary.matching.on, rows.metric(row), &mut encoded);
                    ids.of_bytes(&encoded)
                })
                .collect()
        };
        let (of_left, of_right) = (signatures(&left, &mut ids), signatures(&right, &mut ids));
        // Which signatures the other side has at which steps.
        let (other, of_other) = if binary.operator == Operator::Or { (&left, &of_left) } else { (&right, &of_right) };
        let mut present = vec![false; ids.len() * steps];
        for row in 0..other.len() {
            let present = &mut present[of_other[row] * steps..][..steps];
            present.iter_mut().zip(other.values(row)).for_each(|(present, value)| *present |= !is_absent(*value));
            other.cells(row).iter().for_each(|(step, _)| present[*step as usize] = true);
        }
        let mut out = left.like();
        out.ordered = left.ordered || right.ordered;
        let mut filter = |rows: &Rows, of: &[usize], wanted: Option<bool>| -> Result<(), EvalError> {
            for row in 0..rows.len() {
                let present = &present[of[row] * steps..][..steps];
                let is_wanted = |step: usize| wanted.is_none_or(|wanted| present[step] == wanted);
                for (step, (out, value)) in out.open()?.iter_mut().zip(rows.values(row)).enumerate() {
                    *out = if is_wanted(step) { *value } else { ABSENT };
                }
                let cells = rows.cells(row).iter().filter(|(step, _)| is_wanted(*step as usize)).cloned().collect();
                out.finish(|| rows.metric(row).clone(), rows.drops_name(row), cells)?;
            }
            Ok(())
        };
        match binary.operator {
            Operator::And => filter(&left, &of_left, Some(true))?,
            Operator::Unless => filter(&left, &of_left, Some(false))?,
            _ => {
                filter(&left, &of_left, None)?;
                filter(&right, &of_right, Some(false))?;
            }
        }
        out.merge()
    }
}

/// Writes what a series matches on.
fn signature(on: &LabelList, metric: &Metric, encoded: &mut Vec<u8>) {
    encoded.clear();
    let listed = |name: &str| on.names.iter().any(|listed| **listed == *name);
    if on.these {
        metric.subset(listed, encoded);
    } else {
        metric.subset(|name| !is_metadata(name) && !listed(name), encoded);
    }
}

fn matched(matching: &Matching, many: &Rows, one: &Rows) -> Matched {
    let mut matched = Matched { many: Vec::new(), one: Vec::new(), signatures: Ids::default() };
    let mut encoded = Vec::new();
    // A signature that one side alone has matters only if the other side is filled in.
    let mut add = |rows: &Rows, is_many: bool| {
        for row in 0..rows.len() {
            signature(&matching.on, rows.metric(row), &mut encoded);
            let id = matched.signatures.of_bytes(&encoded);
            if id == matched.many.len() {
                matched.many.push(Vec::new());
                matched.one.push(Vec::new());
            }
            if is_many { &mut matched.many[id] } else { &mut matched.one[id] }.push(row);
        }
    };
    add(many, true);
    add(one, false);
    matched
}

struct Join<'a> {
    binary: &'a Binary,
    swapped: bool,
    many: &'a Rows,
    one: &'a Rows,
    matched: &'a Matched,
    place: Place,
    delays_names: bool,
}

impl Join<'_> {
    /// Where both sides have anything at all, a signature is allowed once on the side of the one.
    fn check_one(&self) -> Result<(), EvalError> {
        if self.matched.one.iter().all(|rows| rows.len() < 2) {
            return Ok(());
        }
        let steps = self.one.steps();
        let fills = self.binary.matching.fill_left.is_some() || self.binary.matching.fill_right.is_some();
        let mut many_has = vec![fills; steps];
        for row in 0..self.many.len() {
            (0..steps).for_each(|step| many_has[step] |= self.many.is_present(row, step));
        }
        for (signature, rows) in self.matched.one.iter().enumerate().filter(|(_, rows)| rows.len() > 1) {
            let mut known: Vec<Option<usize>> = vec![None; steps];
            for row in rows {
                for step in (0..steps).filter(|step| many_has[*step] && self.one.is_present(*row, *step)) {
                    if let Some(other) = known[step].replace(*row) {
                        return Err(self.duplicate(signature, other, *row));
                    }
                }
            }
        }
        Ok(())
    }

    fn duplicate(&self, signature: usize, first: usize, second: usize) -> EvalError {
        let side = if self.swapped { "left" } else { "right" };
        let group = shown(&self.matched.signatures.metrics[signature]);
        let mut series = [shown(self.one.metric(first)), shown(self.one.metric(second))];
        series.sort();
        EvalError::Query(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{}, {}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            series[0], series[1]
        ))
    }

    /// Several series of the many may match one only if that was said, and only if their results differ in labels. A match
    /// counts even where a comparison then leaves it out.
    fn check_many(&self, signature: usize, budget: &Rc<Budget>) -> Result<(), EvalError> {
        let many = &self.matched.many[signature];
        if many.len() < 2 {
            return Ok(());
        }
        let message = match self.binary.matching.group {
            Group::None => {
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            }
            _ => "multiple matches for labels: grouping labels must ensure unique matches",
        };
        let fills = self.fill_one().is_some();
        let one = &self.matched.one[signature];
        let mut results = Ids::default();
        // For each result the steps at which it has a match already.
        let mut seen: Vec<Vec<bool>> = Vec::new();
        let mut room = budget.room(0)?;
        let mut notes = Notes::default();
        for row in many {
            let ones = one.iter().map(Some).chain(fills.then_some(None));
            for matching in ones {
                let id = match self.binary.matching.group {
                    Group::None => 0,
                    _ => results.of(&self.result(self.many.metric(*row), matching.map(|row| self.one.metric(*row)))),
                };
                if id == seen.len() {
                    room.take(self.many.steps())?;
                    seen.push(vec![false; self.many.steps()]);
                }
                for (step, seen) in seen[id].iter_mut().enumerate() {
                    let other = match matching {
                        Some(matching) => Side::Row(self.one, *matching).at(step),
                        None if one.iter().any(|row| self.one.is_present(*row, step)) => None,
                        None => self.fill_one().map(Operand::Float),
                    };
                    let (Some(this), Some(other)) = (Side::Row(self.many, *row).at(step), other) else { continue };
                    if self.is_defined(this, other, &mut notes) && std::mem::replace(seen, true) {
                        return Err(EvalError::Query(message.to_owned()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether anything comes of a sample of the many and one of the one; else they are no match.
    fn is_defined(&self, many: Operand<'_>, one: Operand<'_>, notes: &mut Notes) -> bool {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        !matches!(elements(self.binary.operator, left, right, self.place, notes), Outcome::None)
    }

    /// What stands for the one where it is missing.
    fn fill_one(&self) -> Option<f64> {
        let Matching { fill_left, fill_right, .. } = &self.binary.matching;
        if self.swapped { *fill_left } else { *fill_right }
    }

    /// What stands for the many where they are missing.
    fn fill_many(&self) -> Option<f64> {
        let Matching { fill_left, fill_right, .. } = &self.binary.matching;
        if self.swapped { *fill_right } else { *fill_left }
    }

    /// Writes what comes of the series of one signature.
    fn write(&self, signature: usize, out: &mut Rows, evaluator: &mut Evaluator<'_>) -> Result<(), EvalError> {
        let (many, one) = (&self.matched.many[signature], &self.matched.one[signature]);
        let steps = self.many.steps();
        let mut cells = Cells::new();
        for row in many {
            for matching in one {
                let sides = Sides { many: Side::Row(self.many, *row), one: Side::Row(self.one, *matching) };
                self.apply(sides, out, &mut cells, evaluator)?;
                let metric = || self.result(self.many.metric(*row), Some(self.one.metric(*matching)));
                out.finish(metric, self.binary.returns_bool, std::mem::take(&mut cells))?;
            }
            if let Some(fill) = self.fill_one() {
                let mut filled = vec![fill; steps];
                blank(&mut filled, self.one, one);
                let sides = Sides { many: Side::Row(self.many, *row), one: Side::Column(&filled) };
                self.apply(sides, out, &mut cells, evaluator)?;
                let metric = || self.result(self.many.metric(*row), Some(&self.matched.signatures.metrics[signature]));
                out.finish(metric, self.binary.returns_bool, std::mem::take(&mut cells))?;
            }
        }
        if let Some(fill) = self.fill_many() {
            let mut filled = vec![fill; steps];
            blank(&mut filled, self.many, many);
            for row in one {
                let sides = Sides { many: Side::Column(&filled), one: Side::Row(self.one, *row) };
                self.apply(sides, out, &mut cells, evaluator)?;
                let metric = || self.result(&self.matched.signatures.metrics[signature], Some(self.one.metric(*row)));
                out.finish(metric, self.binary.returns_bool, std::mem::take(&mut cells))?;
            }
        }
        Ok(())
    }

    /// Opens a row and computes it.
    fn apply(
        &self,
        sides: Sides<'_>,
        out: &mut Rows,
        cells: &mut Cells,
        evaluator: &mut Evaluator<'_>,
    ) -> Result<(), EvalError> {
        let Binary { operator, returns_bool, .. } = self.binary;
        let (left, right) = if self.swapped { (sides.one, sides.many) } else { (sides.many, sides.one) };
        // The row takes the same once it is complete.
        let mut room = evaluator.budget.room(0)?;
        let out = out.open()?;
        let trims = matches!(operator, Operator::TrimUpper | Operator::TrimLower);
        if !left.has_histograms() && !right.has_histograms() && !trims {
            columns(*operator, *returns_bool, left.values(), right.values(), out);
            return Ok(());
        }
        for step in 0..out.len() {
            let (Some(left), Some(right)) = (left.at(step), right.at(step)) else { continue };
            let computed = match elements(*operator, left, right, self.place, evaluator.notes()) {
                Outcome::None => continue,
                Outcome::Compared(_, holds) if *returns_bool => Computed::Float(f64::from(u8::from(holds))),
                Outcome::Compared(_, false) => continue,
                Outcome::Compared(kept, true) | Outcome::Computed(kept) => kept,
            };
            let before = cells.len();
            computed.put(step, out, cells);
            if let Some((_, histogram)) = cells.get(before) {
                room.take(cell_bytes(&cells[..before], histogram))?;
            }
        }
        Ok(())
    }

    /// The labels of what comes of two series.
    fn result(&self, many: &Metric, one: Option<&Metric>) -> Metric {
        let Binary { operator, returns_bool, matching, .. } = self.binary;
        let drops_name = changes_meaning(*operator) || *returns_bool && !self.delays_names;
        let on = &matching.on;
        let listed = |name: &str| on.names.iter().any(|listed| **listed == *name);
        let included = match &matching.group {
            Group::None => {
                let mut encoded = Vec::new();
                many.subset(|name| !(drops_name && is_metadata(name)) && on.these == listed(name), &mut encoded);
                return Metric::new(&encoded);
            }
            Group::Left(included) | Group::Right(included) => included,
        };
        if included.is_empty() {
            return if drops_name { many.without_name() } else { many.clone() };
        }
        let mut labels: LabelSet =
            many.labels().iter().filter(|(name, _)| !(drops_name && is_metadata(name))).collect();
        for name in included {
            labels.set(name, one.and_then(|one| one.labels().get(name)).unwrap_or(""));
        }
        let mut encoded = Vec::new();
        labels.encode(&mut encoded);
        Metric::new(&encoded)
    }
}

/// Leaves a column out where one of the rows has something.
fn blank(column: &mut [f64], rows: &Rows, of: &[usize]) {
    for row in of {
        for (step, value) in column.iter_mut().enumerate() {
            if rows.is_present(*row, step) {
                *value = ABSENT;
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Sides<'a> {
    many: Side<'a>,
    one: Side<'a>,
}

/// A series, or what is filled in for it.
#[derive(Clone, Copy)]
enum Side<'a> {
    Row(&'a Rows, usize),
    Column(&'a [f64]),
}

impl<'a> Side<'a> {
    fn values(self) -> &'a [f64] {
        match self {
            Self::Row(rows, row) => rows.values(row),
            Self::Column(values) => values,
        }
    }

    fn has_histograms(self) -> bool {
        matches!(self, Self::Row(rows, row) if !rows.cells(row).is_empty())
    }

    fn at(self, step: usize) -> Option<Operand<'a>> {
        match self {
            Self::Row(rows, row) => Operand::of(rows.values(row)[step], rows.cell(row, step)),
            Self::Column(values) => Operand::of(values[step], None),
        }
    }
}

/// Labels as Prometheus's messages show them.
pub(super) fn shown(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", labels.join(", "))
}
