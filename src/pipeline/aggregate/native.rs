//! A native histogram as it is counted: buckets that widen by themselves, and halve their resolution when they would be
//! too many (Prometheus: native histograms, schemas 8 to -4).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::histogram::{BucketSpan, Counts, Histogram, ResetHint};

/// Resolutions: the finest, with which counting begins, and the coarsest.
const FINEST: i32 = 8;
const COARSEST: i32 = -4;

/// The width of the zero bucket, 2^-128: that of Prometheus's own clients.
const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// Counts of observations that are not negative.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    schema: i32,
    most: usize,
    zero: f64,
    sum: f64,
    count: f64,
    /// Index of the first bucket.
    first: i32,
    buckets: VecDeque<f64>,
}

impl Native {
    /// Nothing counted yet; `most` buckets at most, at least two.
    pub fn new(most: usize) -> Self {
        Self { schema: FINEST, most: most.max(2), zero: 0.0, sum: 0.0, count: 0.0, first: 0, buckets: VecDeque::new() }
    }

    /// Counts an observation `count` times.
    pub fn add(&mut self, value: f64, count: f64) {
        self.sum += value * count;
        self.count += count;
        if value <= ZERO_THRESHOLD {
            self.zero += count;
            return;
        }
        let mut at = bucket(value, self.schema);
        if self.buckets.is_empty() {
            self.first = at;
        }
        while self.schema > COARSEST && self.width_with(at) > self.most {
            self.halve();
            at = bucket(value, self.schema);
        }
        while at < self.first {
            self.buckets.push_front(0.0);
            self.first -= 1;
        }
        let place = (at - self.first) as usize;
        if place >= self.buckets.len() {
            self.buckets.resize(place + 1, 0.0);
        }
        self.buckets[place] += count;
    }

    /// As it is sent.
    pub fn histogram(&self) -> Arc<Histogram> {
        let mut spans: Vec<BucketSpan> = Vec::new();
        let mut positive = Vec::with_capacity(self.buckets.len());
        let mut gap = 0;
        for (place, count) in self.buckets.iter().enumerate() {
            match spans.last_mut() {
                _ if *count == 0.0 => {
                    gap += 1;
                    continue;
                }
                None => spans.push(BucketSpan { offset: self.first + place as i32, length: 1 }),
                Some(span) if gap == 0 => span.length += 1,
                Some(_) => spans.push(BucketSpan { offset: gap, length: 1 }),
            }
            gap = 0;
            positive.push(*count);
        }
        Arc::new(Histogram {
            schema: self.schema,
            zero_threshold: ZERO_THRESHOLD,
            sum: self.sum,
            counts: Counts::Float { count: self.count, zero: self.zero, positive, negative: Vec::new() },
            positive_spans: spans,
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: ResetHint::Unknown,
        })
    }

    /// How many buckets there are once bucket `at` is one of them.
    fn width_with(&self, at: i32) -> usize {
        let last = self.first + self.buckets.len().max(1) as i32 - 1;
        (last.max(at) - self.first.min(at)) as usize + 1
    }

    /// Makes one bucket of two.
    fn halve(&mut self) {
        self.schema -= 1;
        let coarse = |index: i32| ((index - 1) >> 1) + 1;
        let first = coarse(self.first);
        let length = self.buckets.len();
        let mut kept = 0;
        for place in 0..length {
            let to = (coarse(self.first + place as i32) - first) as usize;
            let count = std::mem::replace(&mut self.buckets[place], 0.0);
            self.buckets[to] += count;
            kept = to + 1;
        }
        self.buckets.truncate(kept);
        self.first = first;
    }
}

/// The bucket of a value: bucket `i` ends at 2^(i / 2^schema), which belongs to it.
fn bucket(value: f64, schema: i32) -> i32 {
    (value.log2() * f64::from(schema).exp2()).ceil() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn powers_of_two_end_buckets() {
        for schema in COARSEST..=FINEST {
            assert_eq!(bucket(1.0, schema), 0);
        }
        assert_eq!((bucket(2.0, 0), bucket(2.1, 0), bucket(0.5, 0), bucket(4.0, 1), bucket(4.0, -1)), (1, 2, -1, 4, 1));
        assert_eq!((bucket(2.0, 8), bucket(1.5, -4)), (256, 1));
    }

    proptest! {
        #[test]
        fn every_observation_is_in_a_bucket_that_holds_it(
            values in proptest::collection::vec(prop_oneof![Just(0.0), 1e-9..1e-3f64, 0.001..10f64, 10.0..1e6f64], 1..60),
            most in 2usize..40,
        ) {
            let mut native = Native::new(most);
            values.iter().for_each(|value| native.add(*value, 1.0));
            let histogram = native.histogram();
            prop_assert!(histogram.is_valid());
            let Counts::Float { count, zero, positive, .. } = &histogram.counts else { panic!("floats") };
            prop_assert_eq!(*count, values.len() as f64);
            prop_assert_eq!(zero + positive.iter().sum::<f64>(), *count);
            prop_assert!(native.buckets.len() <= most || native.schema == COARSEST);
            // Counting again at the resolution that it ended with gives the same buckets.
            let mut expected = std::collections::BTreeMap::new();
            for value in values.iter().filter(|value| **value > 0.0) {
                *expected.entry(bucket(*value, native.schema)).or_insert(0.0) += 1.0;
            }
            let (mut found, mut index, mut counts) = (std::collections::BTreeMap::new(), 0, positive.iter());
            for span in &histogram.positive_spans {
                index += span.offset;
                for _ in 0..span.length {
                    found.insert(index, *counts.next().expect("as many as the spans hold"));
                    index += 1;
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
