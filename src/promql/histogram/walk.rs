//! The buckets of a histogram in the order of their bounds.

use super::FloatHistogram;

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to it.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
}

impl Bucket {
    /// Which fraction of the bucket lies below a value within it, on a linear or on a logarithmic scale; on the latter the
    /// bounds of exponential buckets are equally far from each other.
    pub(super) fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, at) = (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

impl FloatHistogram {
    /// Buckets in ascending order, that of zero only where something is in it. A bucket that overlaps the zero bucket begins,
    /// or ends, where that does.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> {
        let threshold = self.zero_threshold;
        let negative = self.negative.iter().rev().map(move |(index, count)| {
            let mut bucket = self.negative_bucket(index, count);
            if bucket.upper < 0.0 && bucket.upper > -threshold {
                bucket.upper = -threshold;
            }
            bucket
        });
        let positive = self.positive.iter().map(move |(index, count)| {
            let mut bucket = self.positive_bucket(index, count);
            if bucket.lower > 0.0 && bucket.lower < threshold {
                bucket.lower = threshold;
            }
            bucket
        });
        negative.chain((self.zero_count > 0.0).then(|| self.zero_bucket())).chain(positive)
    }

    pub(super) fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let (lower, upper) = (self.bound(index.wrapping_sub(1)), self.bound(index));
        let (lower_inclusive, upper_inclusive) =
            if self.is_custom() { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
        Bucket { lower, upper, lower_inclusive, upper_inclusive, count }
    }

    pub(super) fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        let (lower, upper) = (-self.bound(index), -self.bound(index.wrapping_sub(1)));
        Bucket { lower, upper, lower_inclusive: lower < 0.0, upper_inclusive: upper > 0.0, count }
    }

    pub(super) fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }
}
