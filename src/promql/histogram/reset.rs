//! Whether a counter was reset between two histograms.

use super::custom::{Mapped, common};
use super::{Buckets, FloatHistogram, ResetHint};

impl FloatHistogram {
    /// Whether a counter was reset since `previous`: some count is less, a bucket is gone, or the layout changed as it only
    /// does with a reset. A hint decides at once; a gauge is looked at as a counter.
    pub fn is_reset_since(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Yes => return true,
            ResetHint::No => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        let other_kind = self.is_custom() != previous.is_custom();
        if self.count < previous.count || self.schema > previous.schema || other_kind {
            return true;
        }
        if self.is_custom() && self.custom_bounds != previous.custom_bounds {
            return self.is_reset_under_common_bounds(previous);
        }
        // A zero bucket becomes wider without a reset, never narrower, and swallows whole buckets.
        if self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let zero = previous.zero_under(self.zero_threshold, None);
        if zero.threshold != self.zero_threshold || self.zero_count < zero.count {
            return true;
        }
        self.lost(&self.positive, previous, &previous.positive)
            || self.lost(&self.negative, previous, &previous.negative)
    }

    /// Whether a bucket outside of the zero bucket has less than it had, when the previous ones are made as coarse.
    fn lost(&self, now: &Buckets, of: &Self, previous: &Buckets) -> bool {
        let (skip, by) = (self.zero_swallows(of, previous), of.schema - self.schema);
        if by == 0 {
            return lost(now, previous, skip);
        }
        lost(now, &previous.without_first(skip).coarser(by), 0)
    }

    /// Number of another histogram's buckets that lie within this one's zero bucket.
    pub(super) fn zero_swallows(&self, of: &Self, buckets: &Buckets) -> usize {
        if self.is_custom() || self.zero_threshold == 0.0 {
            return 0;
        }
        buckets.indexes().partition_point(|index| of.bound(*index) <= self.zero_threshold)
    }

    fn is_reset_under_common_bounds(&self, previous: &Self) -> bool {
        let bounds = common(&self.custom_bounds, &previous.custom_bounds);
        let mapped = |histogram: &Self| {
            let mut mapped = Mapped::new(bounds.len());
            mapped.add(&histogram.positive, &histogram.custom_bounds, &bounds, 1.0);
            mapped
        };
        mapped(self).counts().iter().zip(mapped(previous).counts()).any(|(now, then)| now < then)
    }
}

fn lost(now: &Buckets, previous: &Buckets, skip: usize) -> bool {
    if now.indexes() == previous.indexes() {
        return now.counts()[skip..].iter().zip(&previous.counts()[skip..]).any(|(now, then)| now < then);
    }
    let mut at = 0;
    previous.iter().skip(skip).any(|(index, then)| {
        at += now.indexes()[at..].partition_point(|mine| *mine < index);
        match now.indexes().get(at) {
            Some(mine) if *mine == index => now.counts()[at] < then,
            _ => then != 0.0,
        }
    })
}
