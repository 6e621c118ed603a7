//! Aggregations that make new series. A series' group is found once; its column is then added to the group's column, so
//! that what is summed lies together in memory.

use std::collections::BTreeMap;

use super::super::functions::{Note, Operation, Place, quantile};
use super::super::histogram::{FloatHistogram, Sum};
use super::super::neumaier;
use super::super::query::EvalError;
use super::super::tree::{Aggregate, Aggregation, LabelList};
use super::budget::Room;
use super::rows::{ABSENT, Cells, Ids, Metric, Rows, is_absent, is_metadata};
use super::{Evaluator, Steps};
use crate::data::histogram::ResetHint;

/// Which group each series belongs to.
pub(super) struct Groups {
    pub of: Vec<usize>,
    pub ids: Ids,
    /// Whether a series of the group loses its name.
    pub drop_name: Vec<bool>,
}

impl Groups {
    pub fn new(grouping: &LabelList, rows: &Rows) -> Self {
        let mut groups = Self { of: Vec::with_capacity(rows.len()), ids: Ids::default(), drop_name: Vec::new() };
        let mut encoded = Vec::new();
        for row in 0..rows.len() {
            group_labels(grouping, rows.metric(row), &mut encoded);
            let group = groups.ids.of_bytes(&encoded);
            groups.of.push(group);
            groups.drop_name.resize(groups.ids.len(), false);
            groups.drop_name[group] |= rows.drops_name(row);
        }
        groups
    }

    /// The rows of each group, in their order.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.ids.len()];
        self.of.iter().enumerate().for_each(|(row, group)| members[*group].push(row));
        members
    }
}

/// Writes the labels of a series' group.
pub(super) fn group_labels(grouping: &LabelList, metric: &Metric, encoded: &mut Vec<u8>) {
    encoded.clear();
    let listed = |name: &str| grouping.names.iter().any(|listed| **listed == *name);
    match (grouping.these, grouping.names.is_empty()) {
        (true, true) => {}
        (true, false) => metric.subset(listed, encoded),
        (false, _) => metric.subset(|name| !is_metadata(name) && !listed(name), encoded),
    }
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, place: Place, steps: Steps) -> Result<Rows, EvalError> {
        match aggregate.aggregation {
            Aggregation::CountValues => return self.count_values(aggregate, steps),
            aggregation if aggregation.picks() => return self.pick(aggregate, place, steps),
            _ => {}
        }
        let parameter = match &aggregate.parameter {
            Some(parameter) => Some((parameter.place, self.scalar(parameter, steps)?)),
            None => None,
        };
        let rows = self.vector(&aggregate.inner, steps)?;
        let groups = Groups::new(&aggregate.grouping, &rows);
        let place = aggregate.inner.place;
        match aggregate.aggregation {
            Aggregation::Sum | Aggregation::Avg => self.add_up(aggregate.aggregation, &rows, &groups, place),
            Aggregation::Quantile => self.quantile(parameter, &rows, &groups, place),
            aggregation => self.fold(aggregation, &rows, &groups, place),
        }
    }

    /// Aggregations that keep a number or three of each group at each step.
    fn fold(
        &mut self,
        aggregation: Aggregation,
        rows: &Rows,
        groups: &Groups,
        place: Place,
    ) -> Result<Rows, EvalError> {
        let mut out = open_all(groups, rows)?;
        let steps = rows.steps();
        let spread = matches!(aggregation, Aggregation::Stddev | Aggregation::Stdvar);
        let cells = if spread { groups.ids.len() * steps } else { 0 };
        let _room = self.budget.room(cells * size_of::<Moments>())?;
        let mut moments = vec![Moments::default(); cells];
        for row in 0..rows.len() {
            self.budget.check()?;
            let group = groups.of[row];
            let values = rows.values(row);
            let to = out.values_mut(group);
            let present = values.iter().zip(&mut *to).filter(|(value, _)| !is_absent(**value));
            match aggregation {
                Aggregation::Min => present.for_each(|(value, to)| {
                    if is_absent(*to) || *to > *value || to.is_nan() {
                        *to = *value;
                    }
                }),
                Aggregation::Max => present.for_each(|(value, to)| {
                    if is_absent(*to) || *to < *value || to.is_nan() {
                        *to = *value;
                    }
                }),
                Aggregation::Count => present.for_each(|(_, to)| *to = if is_absent(*to) { 1.0 } else { *to + 1.0 }),
                Aggregation::Group => present.for_each(|(_, to)| *to = 1.0),
                _ => {
                    let moments = moments[group * steps..][..steps].iter_mut().zip(values);
                    moments.filter(|(_, value)| !is_absent(**value)).for_each(|(moments, value)| moments.add(*value));
                }
            }
            for (step, _) in rows.cells(row) {
                let to = &mut to[*step as usize];
                match aggregation {
                    Aggregation::Count => *to = if is_absent(*to) { 1.0 } else { *to + 1.0 },
                    Aggregation::Group => *to = 1.0,
                    _ => self.work.notes.add(place, Note::IgnoredInAggregation(aggregation.name())),
                }
            }
        }
        for (place, moments) in moments.iter().enumerate().filter(|(_, moments)| moments.count > 0.0) {
            let variance = moments.squares / moments.count;
            let value = if aggregation == Aggregation::Stddev { variance.sqrt() } else { variance };
            out.values_mut(place / steps)[place % steps] = value;
        }
        out.compact()
    }

    fn quantile(
        &mut self,
        parameter: Option<(Place, Vec<f64>)>,
        rows: &Rows,
        groups: &Groups,
        place: Place,
    ) -> Result<Rows, EvalError> {
        let (at, quantiles) = parameter.unwrap_or_else(|| (place, vec![f64::NAN; rows.steps()]));
        let mut out = open_all(groups, rows)?;
        for q in invalid(&quantiles) {
            self.notes().add(at, Note::InvalidQuantile(q));
        }
        if (0..rows.len()).any(|row| !rows.cells(row).is_empty()) {
            self.notes().add(place, Note::IgnoredInAggregation("quantile"));
        }
        let mut numbers = Vec::new();
        for (group, members) in groups.members().into_iter().enumerate() {
            self.budget.check()?;
            for (step, q) in quantiles.iter().enumerate() {
                numbers.clear();
                numbers.extend(members.iter().map(|row| rows.values(*row)[step]).filter(|value| !is_absent(*value)));
                if !numbers.is_empty() {
                    out.values_mut(group)[step] = quantile(*q, &mut numbers);
                }
            }
        }
        out.compact()
    }

    /// `sum` and `avg`.
    fn add_up(
        &mut self,
        aggregation: Aggregation,
        rows: &Rows,
        groups: &Groups,
        place: Place,
    ) -> Result<Rows, EvalError> {
        let mut out = open_all(groups, rows)?;
        let steps = rows.steps();
        let cells = groups.ids.len() * steps;
        let is_mean = aggregation == Aggregation::Avg;
        let _room = self.budget.room(cells * if is_mean { 2 * size_of::<f64>() + 1 } else { size_of::<f64>() })?;
        let mut lost = vec![0.0; cells];
        let mut counts = vec![0.0; if is_mean { cells } else { 0 }];
        // Groups and steps at which the sum would be infinite: what is kept is the mean then.
        let mut means = vec![false; if is_mean { cells } else { 0 }];
        for row in 0..rows.len() {
            self.budget.check()?;
            let group = groups.of[row];
            let range = group * steps..(group + 1) * steps;
            let (to, lost) = (out.values_mut(group), &mut lost[range.clone()]);
            if is_mean {
                let (counts, means) = (&mut counts[range.clone()], &mut means[range]);
                for (step, value) in rows.values(row).iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
                    let mut mean =
                        Mean { value: to[step], lost: lost[step], count: counts[step], is_mean: means[step] };
                    mean.add(*value);
                    (to[step], lost[step], counts[step], means[step]) =
                        (mean.value, mean.lost, mean.count, mean.is_mean);
                }
            } else {
                for ((to, lost), value) in to.iter_mut().zip(lost).zip(rows.values(row)) {
                    if !is_absent(*value) {
                        (*to, *lost) = if is_absent(*to) { (*value, 0.0) } else { neumaier::add(*value, *to, *lost) };
                    }
                }
            }
        }
        let (histograms, _sums) = self.add_histograms(is_mean, rows, groups, place)?;
        for group in 0..groups.ids.len() {
            for (step, to) in out.values_mut(group).iter_mut().enumerate().filter(|(_, to)| !is_absent(**to)) {
                let cell = group * steps + step;
                *to = match is_mean {
                    true if !means[cell] => *to / counts[cell] + lost[cell] / counts[cell],
                    _ => *to + lost[cell],
                };
                if is_absent(*to) {
                    *to = f64::NAN;
                }
            }
        }
        let mut of_group: Vec<Cells> = vec![Cells::new(); groups.ids.len()];
        for ((group, step), sum) in histograms {
            let to = &mut out.values_mut(group)[step];
            if !is_absent(*to) {
                *to = ABSENT;
                self.notes().add(place, Note::MixedFloatsHistogramsAggregation);
            } else if let Some(histogram) = self.histogram(sum, is_mean, place) {
                of_group[group].push((step as u32, histogram.into()));
            }
        }
        let mut all = out.like();
        for (group, cells) in of_group.into_iter().enumerate() {
            all.open()?.copy_from_slice(out.values(group));
            all.finish(|| groups.ids.metrics[group].clone(), groups.drop_name[group], cells)?;
        }
        Ok(all)
    }

    /// Adds up the histograms of each group at each step.
    fn add_histograms(
        &mut self,
        is_mean: bool,
        rows: &Rows,
        groups: &Groups,
        place: Place,
    ) -> Result<(Sums, Room), EvalError> {
        let mut room = self.budget.room(0)?;
        let mut sums = Sums::new();
        for row in 0..rows.len() {
            for (step, histogram) in rows.cells(row) {
                let key = (groups.of[row], *step as usize);
                let Some(sums) = sums.get_mut(&key) else {
                    // Each number has beside it what was lost.
                    room.take(size_of::<Histograms>() + 2 * histogram.bytes())?;
                    sums.insert(key, Histograms::new(histogram));
                    continue;
                };
                let Some(sum) = &mut sums.sum else { continue };
                sums.hints.see(histogram.reset_hint);
                let added = if is_mean { sum.add_for_mean(histogram) } else { sum.add(histogram) };
                match added {
                    Ok(combined) if combined.bounds_reconciled => {
                        self.work.notes.add(place, Note::MismatchedBounds(Operation::Aggregation));
                    }
                    Ok(_) => {}
                    Err(_) => {
                        let name = rows.metric(row).labels().metric_name();
                        self.work.notes.add(place, Note::MixedExponentialCustom(name.into()));
                        sums.sum = None;
                    }
                }
            }
        }
        Ok((sums, room))
    }

    fn histogram(&mut self, sums: Histograms, is_mean: bool, place: Place) -> Option<FloatHistogram> {
        let sum = sums.sum?;
        if sums.hints.resets && sums.hints.continues {
            self.notes().add(place, Note::ResetCollision(Operation::Aggregation));
        }
        let mut histogram = if is_mean { sum.mean() } else { sum.sum() };
        histogram.compact();
        Some(histogram)
    }
}

/// A row for each group.
fn open_all(groups: &Groups, rows: &Rows) -> Result<Rows, EvalError> {
    let mut out = rows.like();
    out.ordered = false;
    for (metric, drop_name) in groups.ids.metrics.iter().zip(&groups.drop_name) {
        out.open()?;
        out.close(metric.clone(), *drop_name, Cells::new())?;
    }
    Ok(out)
}

/// The quantiles that a note is for: not a number, the highest above 1, the lowest below 0.
fn invalid(quantiles: &[f64]) -> impl Iterator<Item = f64> {
    let nan = quantiles.iter().any(|q| q.is_nan()).then_some(f64::NAN);
    let highest = quantiles.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = quantiles.iter().copied().fold(f64::INFINITY, f64::min);
    [nan, (highest > 1.0).then_some(highest), (lowest < 0.0).then_some(lowest)].into_iter().flatten()
}

/// Sums of histograms by group and step.
type Sums = BTreeMap<(usize, usize), Histograms>;

/// Histograms of one group at one step.
struct Histograms {
    /// Nothing once they could not be added.
    sum: Option<Sum>,
    hints: Hints,
}

/// What histograms said of resets.
#[derive(Default)]
struct Hints {
    resets: bool,
    continues: bool,
}

impl Hints {
    fn see(&mut self, hint: ResetHint) {
        self.resets |= hint == ResetHint::Yes;
        self.continues |= hint == ResetHint::No;
    }
}

impl Histograms {
    fn new(first: &FloatHistogram) -> Self {
        let mut hints = Hints::default();
        hints.see(first.reset_hint);
        Self { sum: Some(Sum::new(first)), hints }
    }
}

/// A mean in the making: a sum with what its rounding lost, or the mean so far where the sum would be infinite.
struct Mean {
    value: f64,
    lost: f64,
    count: f64,
    is_mean: bool,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if is_absent(self.value) {
            self.value = value;
            return;
        }
        if !self.is_mean {
            let (sum, lost) = neumaier::add(value, self.value, self.lost);
            if !sum.is_infinite() {
                (self.value, self.lost) = (sum, lost);
                return;
            }
            self.is_mean = true;
            self.value /= self.count - 1.0;
            self.lost /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        (self.value, self.lost) = neumaier::add(value / self.count, share * self.value, share * self.lost);
    }
}

/// Welford's running mean and sum of squared differences from it.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let difference = value - self.mean;
        self.mean += difference / self.count;
        self.squares += difference * (value - self.mean);
    }
}
