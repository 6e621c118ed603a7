//! Aggregations that pick series of each group: by value (`topk`, `bottomk`), any (`limitk`), or by a hash of their labels
//! (`limit_ratio`).

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::functions::{Note, Place};
use super::super::query::EvalError;
use super::super::tree::{Aggregate, Aggregation};
use super::aggregate::Groups;
use super::budget::{Budget, Room};
use super::rows::{ABSENT, Rows, is_absent};
use super::{Evaluator, Steps};
use crate::data::label_hash::prometheus_hash;

impl Evaluator<'_> {
    pub(super) fn pick(&mut self, aggregate: &Aggregate, place: Place, steps: Steps) -> Result<Rows, EvalError> {
        let aggregation = aggregate.aggregation;
        let (at, parameters) = match &aggregate.parameter {
            Some(parameter) => (parameter.place, self.scalar(parameter, steps)?),
            None => (place, vec![0.0; steps.count]),
        };
        let mut rows = self.vector(&aggregate.inner, steps)?;
        let none = rows.like();
        if !self.check_parameters(aggregation, &parameters, at)? {
            return Ok(none);
        }
        if matches!(aggregation, Aggregation::Limitk | Aggregation::LimitRatio) {
            // Which ones are picked does not depend on how the samples are kept.
            let order = rows.by_labels();
            rows = rows.select(&order)?;
        }
        let groups = Groups::new(&aggregate.grouping, &rows);
        let picked = match aggregation {
            Aggregation::Topk | Aggregation::Bottomk => {
                self.by_value(aggregation, &rows, &groups, &parameters, place)?
            }
            Aggregation::Limitk => self.any(&rows, &groups, &parameters)?,
            _ => self.by_hash(&rows, &parameters)?,
        };
        let mut out = Rows::new(&self.budget, steps.count);
        for row in picked.order {
            let is_picked = &picked.cells[row * steps.count..][..steps.count];
            for ((to, value), is_picked) in out.open()?.iter_mut().zip(rows.values(row)).zip(is_picked) {
                *to = if *is_picked { *value } else { ABSENT };
            }
            let cells = rows.cells(row).iter().filter(|(step, _)| is_picked[*step as usize]).cloned().collect();
            out.finish(|| rows.metric(row).clone(), rows.drops_name(row), cells)?;
        }
        out.ordered = matches!(aggregation, Aggregation::Topk | Aggregation::Bottomk);
        Ok(out)
    }

    /// Whether anything is picked at all.
    fn check_parameters(&mut self, aggregation: Aggregation, all: &[f64], place: Place) -> Result<bool, EvalError> {
        let highest = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lowest = all.iter().copied().fold(f64::INFINITY, f64::min);
        let nan = all.iter().any(|value| value.is_nan());
        let fail = |message: String| Err(EvalError::Query(message));
        if aggregation == Aggregation::LimitRatio {
            if nan {
                return fail("Ratio value is NaN".to_owned());
            }
            for (ratio, to) in [(highest, 1.0), (lowest, -1.0)] {
                if if to > 0.0 { ratio > to } else { ratio < to } {
                    self.notes().add(place, Note::InvalidRatio { ratio, to });
                }
            }
            return Ok(highest != 0.0 || lowest != 0.0);
        }
        if nan {
            return fail("Parameter value is NaN".to_owned());
        }
        if highest < 1.0 {
            return Ok(false);
        }
        if lowest <= i64::MIN as f64 {
            return fail(format!("Scalar value {lowest} underflows int64"));
        }
        if highest >= i64::MAX as f64 {
            return fail(format!("Scalar value {highest} overflows int64"));
        }
        Ok(true)
    }

    fn by_value(
        &mut self,
        aggregation: Aggregation,
        rows: &Rows,
        groups: &Groups,
        parameters: &[f64],
        place: Place,
    ) -> Result<Picked, EvalError> {
        let mut picked = Picked::new(&self.budget, rows)?;
        if (0..rows.len()).any(|row| !rows.cells(row).is_empty()) {
            self.notes().add(place, Note::IgnoredInAggregation(aggregation.name()));
        }
        // What is no number comes last; what is equal stays in its order.
        let order = |a: &(f64, usize), b: &(f64, usize)| -> Ordering {
            let by_value = match (a.0.is_nan(), b.0.is_nan()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                _ if aggregation == Aggregation::Topk => b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal),
                _ => a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal),
            };
            by_value.then(a.1.cmp(&b.1))
        };
        let mut candidates = Vec::new();
        for members in groups.members() {
            self.budget.check()?;
            for (step, parameter) in parameters.iter().enumerate() {
                let most = if *parameter < 1.0 { continue } else { *parameter as usize };
                candidates.clear();
                let values = members.iter().map(|row| (rows.values(*row)[step], *row));
                candidates.extend(values.filter(|(value, _)| !is_absent(*value)));
                if candidates.len() > most {
                    candidates.select_nth_unstable_by(most - 1, order);
                    candidates.truncate(most);
                }
                candidates.sort_unstable_by(order);
                candidates.iter().for_each(|(_, row)| picked.pick(*row, step));
            }
        }
        Ok(picked)
    }

    fn any(&mut self, rows: &Rows, groups: &Groups, parameters: &[f64]) -> Result<Picked, EvalError> {
        let mut picked = Picked::new(&self.budget, rows)?;
        for members in groups.members() {
            self.budget.check()?;
            for (step, parameter) in parameters.iter().enumerate().filter(|(_, parameter)| **parameter >= 1.0) {
                let present = members.iter().filter(|row| rows.is_present(**row, step));
                present.take(*parameter as usize).for_each(|row| picked.pick(*row, step));
            }
        }
        Ok(picked)
    }

    fn by_hash(&mut self, rows: &Rows, ratios: &[f64]) -> Result<Picked, EvalError> {
        let mut picked = Picked::new(&self.budget, rows)?;
        for row in 0..rows.len() {
            self.budget.check()?;
            let offset = prometheus_hash(rows.metric(row).labels().iter()) as f64 / u64::MAX as f64;
            for (step, ratio) in ratios.iter().enumerate().filter(|(step, _)| rows.is_present(row, *step)) {
                // A negative ratio picks what its complement does not.
                if *ratio != 0.0 && (*ratio >= 0.0 && offset < *ratio || *ratio < 0.0 && offset >= 1.0 + *ratio) {
                    picked.pick(row, step);
                }
            }
        }
        Ok(picked)
    }
}

/// Which series were picked at which steps.
struct Picked {
    steps: usize,
    cells: Vec<bool>,
    /// Rows in the order in which they were picked first.
    order: Vec<usize>,
    seen: Vec<bool>,
    _room: Room,
}

impl Picked {
    fn new(budget: &Rc<Budget>, rows: &Rows) -> Result<Self, EvalError> {
        let (steps, count) = (rows.steps(), rows.len());
        let room = budget.room(count * (steps + 1 + size_of::<usize>()))?;
        Ok(Self { steps, cells: vec![false; count * steps], order: Vec::new(), seen: vec![false; count], _room: room })
    }

    fn pick(&mut self, row: usize, step: usize) {
        self.cells[row * self.steps + step] = true;
        if !std::mem::replace(&mut self.seen[row], true) {
            self.order.push(row);
        }
    }
}
