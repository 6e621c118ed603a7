//! Quantiles of a native histogram, and the fraction of its observations between two values. Within a bucket observations are
//! taken to be spread evenly: on a logarithmic scale under exponential bounds, on a linear one under custom bounds and in the
//! zero bucket. That one ends at zero on the side where there are no buckets.

use super::FloatHistogram;
use super::walk::Bucket;

/// What there is to say about a quantile. Observations that are not numbers are in no bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantileNote {
    /// The quantile is among observations that are not numbers.
    IsNan,
    /// Observations that are not numbers make the quantile higher than it is among the others.
    IsSkewed,
}

/// What there is to say about a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FractionNote {
    /// Observations that are not numbers are in no fraction.
    LeavesNanOut,
}

impl FloatHistogram {
    /// The quantile `q`; infinite where `q` is below 0 or above 1.
    pub fn quantile(&self, q: f64) -> (f64, Option<QuantileNote>) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, None);
        }
        if q > 1.0 {
            return (f64::INFINITY, None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, None);
        }
        let has_nan = self.sum.is_nan();
        // From the nearer end, unless observations that are not numbers count as being at the upper one.
        let upwards = has_nan || q < 0.5;
        let rank = if upwards { q * self.count } else { (1.0 - q) * self.count };
        let reached =
            if upwards { Reached::find(self.buckets(), rank) } else { Reached::find(self.buckets().rev(), rank) };
        let Reached { mut bucket, mut count } = reached;
        if self.is_custom() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return (bucket.upper, None);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return (bucket.lower, None);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.end_at_zero(&mut bucket);
        }
        // Rounding may have made the buckets' sum larger than the count.
        count = count.min(self.count);
        if count < rank {
            return if has_nan { (f64::NAN, Some(QuantileNote::IsNan)) } else { (bucket.upper, None) };
        }
        let rank = if upwards { rank - (count - bucket.count) } else { count - rank };
        let in_buckets = || self.buckets().map(|bucket| bucket.count).sum::<f64>();
        let note = (has_nan && in_buckets() < self.count).then_some(QuantileNote::IsSkewed);
        (bucket.at(rank / bucket.count, self.is_custom()), note)
    }

    /// The fraction of all observations between two values.
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, Option<FractionNote>) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, None);
        }
        if lower >= upper {
            return (0.0, None);
        }
        let (mut lower_rank, mut upper_rank) = (None, None);
        let mut rank = 0.0;
        for mut bucket in self.buckets() {
            let is_zero = !self.is_custom() && bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if is_zero {
                self.end_at_zero(&mut bucket);
            } else if self.is_custom() && bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
                bucket.lower = 0.0;
            }
            for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
                if found.is_some() {
                    continue;
                }
                if bucket.lower >= value {
                    *found = Some(rank);
                } else if bucket.upper > value {
                    let linear = self.is_custom() || is_zero;
                    *found = Some(if linear && bucket.lower == f64::NEG_INFINITY {
                        // What has no beginning has no middle.
                        bucket.count
                    } else {
                        rank + bucket.count * bucket.fraction_below(value, linear)
                    });
                }
            }
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            rank += bucket.count;
        }
        let (mut numbers, mut note) = (self.count, None);
        if self.sum.is_nan() {
            numbers = self.buckets().map(|bucket| bucket.count).sum();
            note = (numbers < self.count).then_some(FractionNote::LeavesNanOut);
        }
        let at = |rank: Option<f64>| rank.filter(|rank| *rank <= numbers).unwrap_or(numbers);
        ((at(upper_rank) - at(lower_rank)) / self.count, note)
    }

    /// Lets the zero bucket end at zero where there are buckets on the other side alone.
    fn end_at_zero(&self, bucket: &mut Bucket) {
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }
}

/// Where a rank was reached.
struct Reached {
    bucket: Bucket,
    /// Observations up to and in the bucket.
    count: f64,
}

impl Reached {
    fn find(buckets: impl Iterator<Item = Bucket>, rank: f64) -> Self {
        let nowhere = Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
        let mut reached = Self { bucket: nowhere, count: 0.0 };
        for bucket in buckets {
            reached.bucket = bucket;
            if bucket.count == 0.0 {
                continue;
            }
            reached.count += bucket.count;
            if reached.count >= rank {
                break;
            }
        }
        reached
    }
}

impl Bucket {
    /// The value at a fraction of the bucket's observations.
    fn at(&self, fraction: f64, custom: bool) -> f64 {
        if custom || (self.lower <= 0.0 && self.upper >= 0.0) {
            return self.lower + (self.upper - self.lower) * fraction;
        }
        let (lower, upper) = (self.lower.abs().log2(), self.upper.abs().log2());
        if self.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    }
}
