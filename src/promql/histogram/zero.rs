//! The zero bucket, which becomes wider when histograms are combined, and swallows whole buckets then.

use super::super::neumaier;
use super::sum::Compensation;
use super::{Buckets, FloatHistogram};

/// The zero bucket as it would be with a larger threshold.
pub(super) struct Zero {
    pub count: f64,
    pub threshold: f64,
    pub compensation: f64,
}

impl FloatHistogram {
    /// Widens the zero bucket, with what compensates it, until it holds the other one and cuts no populated bucket of either;
    /// gives what the other one's would be.
    pub(super) fn share_zero(&mut self, other: &Self, mut compensation: Option<&mut Compensation>) -> Zero {
        let mut zero = Zero { count: other.zero_count, threshold: other.zero_threshold, compensation: 0.0 };
        while zero.threshold != self.zero_threshold {
            if self.zero_threshold > zero.threshold {
                zero = other.zero_under(self.zero_threshold, None);
            }
            if zero.threshold > self.zero_threshold {
                let mine = self.zero_under(zero.threshold, compensation.as_deref());
                (self.zero_count, self.zero_threshold) = (mine.count, mine.threshold);
                let (positive, negative) = (self.cut_by_zero(&self.positive), self.cut_by_zero(&self.negative));
                let (mut rest, mut none) = (compensation.as_deref_mut(), Vec::new());
                if let Some(compensation) = rest.as_deref_mut() {
                    compensation.zero = mine.compensation;
                }
                for (buckets, cut, side) in [(&mut self.positive, positive, 0), (&mut self.negative, negative, 1)] {
                    let compensation = match rest.as_deref_mut() {
                        Some(compensation) if side == 0 => &mut compensation.positive,
                        Some(compensation) => &mut compensation.negative,
                        None => &mut none,
                    };
                    *buckets = remainder(buckets, cut, compensation);
                }
            }
            // Thresholds that are not numbers are never the same.
            if zero.threshold.is_nan() || self.zero_threshold.is_nan() {
                break;
            }
        }
        zero
    }

    /// Number of buckets that begin within the zero bucket.
    fn cut_by_zero(&self, buckets: &Buckets) -> usize {
        buckets.indexes().partition_point(|index| self.bound(index.wrapping_sub(1)) < self.zero_threshold)
    }

    /// The zero bucket if its threshold were `larger`, or as much larger as it takes not to cut a populated bucket.
    pub(super) fn zero_under(&self, larger: f64, compensation: Option<&Compensation>) -> Zero {
        let own = compensation.map_or(0.0, |compensation| compensation.zero);
        let mut zero = Zero { count: self.zero_count, threshold: larger, compensation: own };
        if larger == self.zero_threshold {
            return zero;
        }
        let sides = [
            (&self.positive, compensation.map(|compensation| &compensation.positive)),
            (&self.negative, compensation.map(|compensation| &compensation.negative)),
        ];
        // Whatever widens the threshold may let it cut buckets that were looked at already.
        loop {
            let threshold = zero.threshold;
            (zero.count, zero.compensation) = (self.zero_count, own);
            for (buckets, compensation) in sides {
                for (place, (index, count)) in buckets.iter().enumerate() {
                    if self.bound(index.wrapping_sub(1)) >= zero.threshold {
                        break;
                    }
                    (zero.count, zero.compensation) = neumaier::add(count, zero.count, zero.compensation);
                    if let Some(compensation) = compensation {
                        (zero.count, zero.compensation) =
                            neumaier::add(compensation[place], zero.count, zero.compensation);
                    }
                    let upper = self.bound(index);
                    if upper > zero.threshold {
                        if count != 0.0 {
                            zero.threshold = upper;
                        }
                        break;
                    }
                }
            }
            if zero.threshold == threshold {
                return zero;
            }
        }
    }
}

/// What is left of buckets without the first `cut`, and of what compensates them; empty ones go, too.
fn remainder(buckets: &Buckets, cut: usize, compensation: &mut Vec<f64>) -> Buckets {
    let mut rest = Buckets::default();
    let mut kept = Vec::new();
    for (place, (index, count)) in buckets.iter().enumerate().skip(cut) {
        let rests = compensation.get(place).copied();
        if count != 0.0 || rests.is_some_and(|rests| rests != 0.0) {
            rest.push(index, count);
            kept.extend(rests);
        }
    }
    *compensation = kept;
    rest
}
