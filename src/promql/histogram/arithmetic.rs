//! Sums, differences and multiples of histograms. Operands are first brought to one layout: the coarser of two
//! resolutions, a zero bucket that holds both and cuts no populated bucket, the bounds that both have.

use std::borrow::Cow;

use super::custom::{Mapped, common};
use super::{Buckets, FloatHistogram, ResetHint};

/// Exponential buckets and custom bounds have no layout in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("histograms with exponential buckets and with custom bounds cannot be combined")]
pub struct Incompatible;

/// What happened when two histograms were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One says that its counter was reset, the other that it was not.
    pub reset_collision: bool,
    /// Their custom bounds differed.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Adds another histogram.
    ///
    /// # Errors
    /// If only one of them has custom bounds; nothing is changed then.
    pub fn add(&mut self, other: &Self) -> Result<Combined, Incompatible> {
        self.combine(other, 1.0)
    }

    /// Subtracts another histogram. What is left is a counter's only if `other` is an earlier state of it.
    ///
    /// # Errors
    /// As [`FloatHistogram::add`].
    pub fn subtract(&mut self, other: &Self) -> Result<Combined, Incompatible> {
        self.combine(other, -1.0)
    }

    /// Multiplies all counts and the sum. A negative factor makes it a gauge.
    pub fn multiply(&mut self, factor: f64) {
        self.scale(|number| *number *= factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. Division by zero leaves no buckets; a negative divisor makes it a gauge.
    pub fn divide(&mut self, by: f64) {
        self.scale(|number| *number /= by);
        if by == 0.0 {
            self.positive.clear();
            self.negative.clear();
        } else if by < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// A copy in a resolution that is not finer; the same where bounds are custom.
    pub fn in_schema(&self, schema: i32) -> Self {
        let mut copy = self.clone();
        if !copy.is_custom() && schema < copy.schema {
            copy.coarsen(schema);
        }
        copy
    }

    fn scale(&mut self, mut change: impl FnMut(&mut f64)) {
        change(&mut self.zero_count);
        change(&mut self.count);
        change(&mut self.sum);
        self.positive.counts_mut().iter_mut().for_each(&mut change);
        self.negative.counts_mut().iter_mut().for_each(&mut change);
    }

    fn coarsen(&mut self, schema: i32) {
        let by = self.schema - schema;
        self.positive = self.positive.coarser(by);
        self.negative = self.negative.coarser(by);
        self.schema = schema;
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Combined, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let reset_collision = self.adjust_hint(other.reset_hint);
        let mut bounds_reconciled = false;
        if self.is_custom() {
            if self.custom_bounds == other.custom_bounds {
                self.positive.add(&other.positive, sign);
            } else {
                bounds_reconciled = true;
                let bounds = common(&self.custom_bounds, &other.custom_bounds);
                let mut mapped = Mapped::new(bounds.len());
                mapped.add(&self.positive, &self.custom_bounds, &bounds, 1.0);
                mapped.add(&other.positive, &other.custom_bounds, &bounds, sign);
                self.positive = mapped.into_buckets().0;
                self.custom_bounds = bounds;
            }
        } else {
            self.zero_count += sign * self.share_zero(other, None).count;
            if other.schema < self.schema {
                self.coarsen(other.schema);
            }
            let (positive, negative) = (self.addend(&other.positive, other), self.addend(&other.negative, other));
            self.positive.add(&positive, sign);
            self.negative.add(&negative, sign);
        }
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        Ok(Combined { reset_collision, bounds_reconciled })
    }

    /// Buckets of another histogram in this one's resolution, without those in this one's zero bucket.
    pub(super) fn addend<'a>(&self, buckets: &'a Buckets, of: &Self) -> Cow<'a, Buckets> {
        // Which buckets the zero bucket has swallowed is told in their own resolution: a coarser one may reach beyond it.
        let within = self.zero_swallows(of, buckets);
        let rest = if within > 0 { Cow::Owned(buckets.without_first(within)) } else { Cow::Borrowed(buckets) };
        let by = of.schema - self.schema;
        if by > 0 { Cow::Owned(rest.coarser(by)) } else { rest }
    }

    /// What a combination has as hint; whether the two contradict each other.
    pub(super) fn adjust_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        let (hint, collision) = match (self.reset_hint, other) {
            (mine, theirs) if mine == theirs => (mine, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.reset_hint = hint;
        collision
    }

    /// The largest number in it, whatever its sign.
    pub(super) fn largest(&self) -> f64 {
        let numbers = [self.zero_count, self.count, self.sum].into_iter();
        let buckets = self.positive.counts().iter().chain(self.negative.counts()).copied();
        numbers.chain(buckets).fold(0.0, |largest: f64, number| largest.max(number.abs()))
    }

    pub(super) fn has_overflow(&self) -> bool {
        self.largest().is_infinite()
    }
}
