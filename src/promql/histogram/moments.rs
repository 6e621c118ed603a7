//! Mean and variance of what a histogram observed.

use super::super::neumaier;
use super::FloatHistogram;

impl FloatHistogram {
    /// The mean of all observations.
    pub fn average(&self) -> f64 {
        self.sum / self.count
    }

    /// The variance, as if all observations of a bucket were in its middle: the geometric one under exponential bounds, the
    /// arithmetic one under custom bounds, zero in the zero bucket.
    pub fn variance(&self) -> f64 {
        let mean = self.average();
        let (mut variance, mut rest) = (0.0, 0.0);
        for bucket in self.buckets().filter(|bucket| bucket.count != 0.0) {
            let middle = if self.is_custom() {
                (bucket.upper + bucket.lower) / 2.0
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            let off = middle - mean;
            (variance, rest) = neumaier::add(bucket.count * off * off, variance, rest);
        }
        (variance + rest) / self.count
    }
}
