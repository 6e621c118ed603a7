//! Native histograms as PromQL computes with them: counts are floats, and each side's buckets are two columns, indexes and
//! counts, so that merging layouts is merging ascending indexes.

mod arithmetic;
mod bounds;
mod buckets;
mod custom;
mod moments;
mod quantile;
mod reset;
mod sum;
mod summary;
mod text;
mod trim;
mod walk;
mod zero;

use std::sync::Arc;

pub use arithmetic::{Combined, Incompatible};
pub use buckets::Buckets;
pub use quantile::{FractionNote, QuantileNote};
pub use sum::Sum;
pub use summary::Summaries;
pub use text::TestForm;
pub use walk::Bucket;

use crate::data::histogram::{BucketSpan, CUSTOM_BOUNDS, Counts, Histogram, ResetHint};
use crate::data::metrics::is_stale;

/// A native histogram whose counts are floats.
#[derive(Clone, Debug)]
pub struct FloatHistogram {
    /// Resolution, or [`CUSTOM_BOUNDS`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Buckets of positive observations.
    pub positive: Buckets,
    /// Buckets of negative observations; their indexes ascend away from zero.
    pub negative: Buckets,
    /// Upper bounds of the buckets under [`CUSTOM_BOUNDS`], without +Inf.
    pub custom_bounds: Arc<[f64]>,
    /// Whether a counter was reset.
    pub reset_hint: ResetHint,
}

impl FloatHistogram {
    /// A histogram without observations.
    pub fn empty(schema: i32, custom_bounds: Arc<[f64]>) -> Self {
        Self {
            schema,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive: Buckets::default(),
            negative: Buckets::default(),
            custom_bounds,
            reset_hint: ResetHint::Unknown,
        }
    }

    /// Whether its bounds are given one by one.
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_BOUNDS
    }

    /// Whether it says that the series has ended.
    pub fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + 12 * (self.positive.len() + self.negative.len()) + 8 * self.custom_bounds.len()
    }

    /// Removes buckets without observations.
    pub fn compact(&mut self) {
        self.positive.compact();
        self.negative.compact();
    }

    /// Whether data and layout are the same, numbers bit by bit; hints are not compared.
    pub fn same(&self, other: &Self) -> bool {
        let bits = |a: f64, b: f64| a.to_bits() == b.to_bits();
        self.schema == other.schema
            && bits(self.count, other.count)
            && bits(self.sum, other.sum)
            && bits(self.zero_count, other.zero_count)
            && self.zero_threshold == other.zero_threshold
            && (!self.is_custom() || self.custom_bounds == other.custom_bounds)
            && self.negative.same(&other.negative)
            && self.positive.same(&other.positive)
    }
}

impl From<&Histogram> for FloatHistogram {
    fn from(from: &Histogram) -> Self {
        let (count, zero_count, positive, negative) = match &from.counts {
            Counts::Integer { count, zero, positive, negative } => {
                (*count as f64, *zero as f64, absolute(positive), absolute(negative))
            }
            Counts::Float { count, zero, positive, negative } => (*count, *zero, positive.clone(), negative.clone()),
        };
        Self {
            schema: from.schema,
            zero_threshold: from.zero_threshold,
            zero_count,
            count,
            sum: from.sum,
            positive: Buckets::of_spans(&from.positive_spans, positive),
            negative: Buckets::of_spans(&from.negative_spans, negative),
            custom_bounds: from.custom_bounds.as_slice().into(),
            reset_hint: from.reset_hint,
        }
    }
}

impl From<&FloatHistogram> for Histogram {
    fn from(from: &FloatHistogram) -> Self {
        Self {
            schema: from.schema,
            zero_threshold: from.zero_threshold,
            sum: from.sum,
            counts: Counts::Float {
                count: from.count,
                zero: from.zero_count,
                positive: from.positive.counts().to_vec(),
                negative: from.negative.counts().to_vec(),
            },
            positive_spans: from.positive.spans(),
            negative_spans: from.negative.spans(),
            custom_bounds: from.custom_bounds.to_vec(),
            reset_hint: from.reset_hint,
        }
    }
}

fn absolute(deltas: &[i64]) -> Vec<f64> {
    let mut count = 0i64;
    deltas
        .iter()
        .map(|delta| {
            count = count.wrapping_add(*delta);
            count as f64
        })
        .collect()
}

#[cfg(test)]
mod tests;
