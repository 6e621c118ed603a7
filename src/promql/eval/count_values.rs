//! `count_values`: how many series of a group have each value. The value becomes a label, so that which series there are is
//! known only from the samples.

use super::super::query::EvalError;
use super::super::tree::{Aggregate, LabelList};
use super::aggregate::group_labels;
use super::rows::{Cells, Ids, Metric, Rows, is_absent};
use super::{Evaluator, Steps};
use crate::data::labels::LabelSet;

impl Evaluator<'_> {
    pub(super) fn count_values(&mut self, aggregate: &Aggregate, steps: Steps) -> Result<Rows, EvalError> {
        let label = match &aggregate.parameter {
            Some(parameter) => self.text(parameter)?,
            None => "",
        };
        if label.is_empty() {
            return Err(EvalError::Query(format!("invalid label name {label:?}")));
        }
        let mut grouping: LabelList = aggregate.grouping.clone();
        if grouping.these {
            grouping.names.push(label.into());
        }
        let rows = self.vector(&aggregate.inner, steps)?;
        let mut counts = Counts { ids: Ids::default(), out: Rows::new(&self.budget, steps.count), known: Vec::new() };
        for row in 0..rows.len() {
            self.budget.check()?;
            counts.known.clear();
            let mut labels = rows.metric(row).labels().to_set();
            for (step, value) in rows.values(row).iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
                let group = match counts.known.iter().find(|(known, _)| known.to_bits() == value.to_bits()) {
                    Some((_, group)) => *group,
                    None => {
                        let group = counts.group(&mut labels, label, &plain(*value), &grouping)?;
                        counts.known.push((*value, group));
                        group
                    }
                };
                counts.count(group, step);
            }
            for (step, histogram) in rows.cells(row) {
                let group = counts.group(&mut labels, label, &histogram.to_string(), &grouping)?;
                counts.count(group, *step as usize);
            }
        }
        Ok(counts.out)
    }
}

struct Counts {
    ids: Ids,
    out: Rows,
    /// Values of the series at hand, each with its group.
    known: Vec<(f64, usize)>,
}

impl Counts {
    fn group(
        &mut self,
        labels: &mut LabelSet,
        label: &str,
        value: &str,
        grouping: &LabelList,
    ) -> Result<usize, EvalError> {
        labels.set(label, value);
        let mut encoded = Vec::new();
        labels.encode(&mut encoded);
        let metric = Metric::new(&encoded);
        group_labels(grouping, &metric, &mut encoded);
        let group = self.ids.of_bytes(&encoded);
        if group == self.out.len() {
            self.out.open()?;
            self.out.close(self.ids.metrics[group].clone(), false, Cells::new())?;
        }
        Ok(group)
    }

    fn count(&mut self, group: usize, step: usize) {
        let count = &mut self.out.values_mut(group)[step];
        *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
    }
}

/// A number without exponent, as the label has it.
fn plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}
