//! Sums and means of histograms that do not lose what is small: every number has what compensates its rounding beside it,
//! as [`neumaier`] says.

use std::borrow::Cow;

use super::super::neumaier;
use super::buckets::{coarser_index, merge};
use super::custom::{Mapped, common};
use super::{Buckets, Combined, FloatHistogram, Incompatible};

/// What was lost when numbers of a histogram were rounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Compensation {
    pub zero: f64,
    pub count: f64,
    pub sum: f64,
    pub positive: Vec<f64>,
    pub negative: Vec<f64>,
}

impl Compensation {
    fn scale(&mut self, mut change: impl FnMut(&mut f64)) {
        [&mut self.zero, &mut self.count, &mut self.sum].into_iter().for_each(&mut change);
        self.positive.iter_mut().for_each(&mut change);
        self.negative.iter_mut().for_each(&mut change);
    }
}

/// A sum, or a mean, in the making.
#[derive(Clone, Debug)]
pub struct Sum {
    total: FloatHistogram,
    compensation: Compensation,
    count: f64,
    /// The total is a mean already, since the sum would be infinite.
    is_mean: bool,
}

impl Sum {
    /// The sum of one.
    pub fn new(first: &FloatHistogram) -> Self {
        let compensation = Compensation {
            positive: vec![0.0; first.positive.len()],
            negative: vec![0.0; first.negative.len()],
            ..Compensation::default()
        };
        Self { total: first.clone(), compensation, count: 1.0, is_mean: false }
    }

    /// Adds one.
    ///
    /// # Errors
    /// If only one of them has custom bounds; nothing is changed then.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Combined, Incompatible> {
        let combined = self.put(other)?;
        self.count += 1.0;
        Ok(combined)
    }

    /// Adds one for the [`mean`](Self::mean). Where the sum would become infinite it goes on with the mean of those so far.
    ///
    /// # Errors
    /// As [`Sum::add`].
    pub fn add_for_mean(&mut self, other: &FloatHistogram) -> Result<Combined, Incompatible> {
        let count = self.count + 1.0;
        if !self.is_mean {
            // Far below the largest double nothing can overflow, and nothing needs to be taken back.
            if self.total.largest() < f64::MAX / 4.0 && other.largest() < f64::MAX / 4.0 {
                return self.add(other);
            }
            let mut attempt = self.clone();
            let combined = attempt.add(other)?;
            if !attempt.total.has_overflow() {
                *self = attempt;
                return Ok(combined);
            }
            self.is_mean = true;
            let so_far = self.count;
            self.total.divide(so_far);
            self.compensation.scale(|number| *number /= so_far);
        }
        if self.total.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let share = (count - 1.0) / count;
        self.total.multiply(share);
        self.compensation.scale(|number| *number *= share);
        let mut part = other.clone();
        part.divide(count);
        self.add(&part)
    }

    /// The sum.
    pub fn sum(self) -> FloatHistogram {
        let Self { mut total, compensation, .. } = self;
        total.zero_count += compensation.zero;
        total.count += compensation.count;
        total.sum += compensation.sum;
        total.positive.counts_mut().iter_mut().zip(&compensation.positive).for_each(|(count, rest)| *count += rest);
        total.negative.counts_mut().iter_mut().zip(&compensation.negative).for_each(|(count, rest)| *count += rest);
        total
    }

    /// The mean.
    pub fn mean(mut self) -> FloatHistogram {
        if !self.is_mean {
            let count = self.count;
            self.total.divide(count);
            self.compensation.scale(|number| *number /= count);
        }
        self.sum()
    }

    fn put(&mut self, other: &FloatHistogram) -> Result<Combined, Incompatible> {
        let Self { total, compensation, .. } = self;
        if total.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let reset_collision = total.adjust_hint(other.reset_hint);
        let mut bounds_reconciled = false;
        if total.is_custom() {
            if total.custom_bounds == other.custom_bounds {
                add_compensated(&mut total.positive, &mut compensation.positive, &other.positive, None);
            } else {
                bounds_reconciled = true;
                let bounds = common(&total.custom_bounds, &other.custom_bounds);
                let mut mapped = Mapped::new(bounds.len());
                mapped.add_compensated(&total.positive, &compensation.positive, &total.custom_bounds, &bounds);
                mapped.add(&other.positive, &other.custom_bounds, &bounds, 1.0);
                (total.positive, compensation.positive) = mapped.into_buckets();
                total.custom_bounds = bounds;
            }
        } else {
            let zero = total.share_zero(other, Some(compensation));
            for part in [zero.count, zero.compensation] {
                (total.zero_count, compensation.zero) = neumaier::add(part, total.zero_count, compensation.zero);
            }
            if other.schema < total.schema {
                let by = total.schema - other.schema;
                (total.positive, compensation.positive) = coarser(&total.positive, Some(&compensation.positive), by);
                (total.negative, compensation.negative) = coarser(&total.negative, Some(&compensation.negative), by);
                total.schema = other.schema;
            }
            let by = other.schema - total.schema;
            for positive in [true, false] {
                let theirs = if positive { &other.positive } else { &other.negative };
                let within = total.zero_swallows(other, theirs);
                let theirs = if within > 0 { Cow::Owned(theirs.without_first(within)) } else { Cow::Borrowed(theirs) };
                let (theirs, rest) = if by > 0 {
                    let (buckets, rest) = coarser(&theirs, None, by);
                    (Cow::Owned(buckets), Some(rest))
                } else {
                    (theirs, None)
                };
                let (mine, compensation) = if positive {
                    (&mut total.positive, &mut compensation.positive)
                } else {
                    (&mut total.negative, &mut compensation.negative)
                };
                add_compensated(mine, compensation, &theirs, rest.as_deref());
            }
        }
        (total.count, compensation.count) = neumaier::add(other.count, total.count, compensation.count);
        (total.sum, compensation.sum) = neumaier::add(other.sum, total.sum, compensation.sum);
        Ok(Combined { reset_collision, bounds_reconciled })
    }
}

/// Buckets in a resolution that is halved `by` times, and what compensates them.
fn coarser(buckets: &Buckets, compensation: Option<&[f64]>, by: i32) -> (Buckets, Vec<f64>) {
    let (mut merged, mut rests) = (Buckets::default(), Vec::<f64>::new());
    let mut last = None;
    for (place, (index, count)) in buckets.iter().enumerate() {
        let index = coarser_index(index, by);
        let rest = compensation.map_or(0.0, |compensation| compensation[place]);
        match (merged.counts_mut().last_mut(), rests.last_mut()) {
            (Some(sum), Some(lost)) if last == Some(index) => {
                (*sum, *lost) = neumaier::add(count, *sum, *lost);
                (*sum, *lost) = neumaier::add(rest, *sum, *lost);
            }
            _ => {
                merged.push(index, count);
                rests.push(rest);
            }
        }
        last = Some(index);
    }
    (merged, rests)
}

/// Adds buckets, with what compensates them, to buckets and what compensates those.
fn add_compensated(mine: &mut Buckets, lost: &mut Vec<f64>, theirs: &Buckets, rest: Option<&[f64]>) {
    let put = |sum: &mut f64, lost: &mut f64, at: usize| {
        (*sum, *lost) = neumaier::add(theirs.counts()[at], *sum, *lost);
        if let Some(rest) = rest {
            (*sum, *lost) = neumaier::add(rest[at], *sum, *lost);
        }
    };
    if mine.indexes() == theirs.indexes() {
        mine.counts_mut().iter_mut().zip(lost.iter_mut()).enumerate().for_each(|(at, (sum, lost))| put(sum, lost, at));
        return;
    }
    let (mut all, mut kept) = (Buckets::default(), Vec::with_capacity(lost.len() + theirs.len()));
    merge(mine.indexes(), theirs.indexes(), |index, left, right| {
        let (mut sum, mut rests) = match (left, right) {
            (Some(at), _) => (mine.counts()[at], lost[at]),
            (None, Some(at)) => (theirs.counts()[at], rest.map_or(0.0, |rest| rest[at])),
            (None, None) => (0.0, 0.0),
        };
        if let (Some(_), Some(at)) = (left, right) {
            put(&mut sum, &mut rests, at);
        }
        all.push(index, sum);
        kept.push(rests);
    });
    (*mine, *lost) = (all, kept);
}
