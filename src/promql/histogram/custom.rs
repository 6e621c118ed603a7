//! Histograms whose bounds are given one by one, and differ: what they have in common are the bounds that both have.

use std::sync::Arc;

use super::super::neumaier;
use super::Buckets;

/// The bounds that both have.
pub(super) fn common(left: &[f64], right: &[f64]) -> Arc<[f64]> {
    let mut rest = right.iter().copied().peekable();
    let has = |bound: &f64| {
        while rest.next_if(|other| other < bound).is_some() {}
        rest.next_if(|other| other == bound).is_some()
    };
    left.iter().copied().filter(has).collect()
}

/// Counts under bounds that are a part of those that they were made with, the last up to infinity.
pub(super) struct Mapped {
    counts: Vec<f64>,
    compensation: Vec<f64>,
}

impl Mapped {
    pub fn new(bounds: usize) -> Self {
        Self { counts: vec![0.0; bounds + 1], compensation: vec![0.0; bounds + 1] }
    }

    /// Adds buckets that have `from` as bounds, each times `sign`, to those under `to`.
    pub fn add(&mut self, buckets: &Buckets, from: &[f64], to: &[f64], sign: f64) {
        self.each(buckets, from, to, |_, at, count, mapped| mapped.put(at, sign * count));
    }

    /// As [`add`](Self::add), with a compensation for each bucket.
    pub fn add_compensated(&mut self, buckets: &Buckets, compensation: &[f64], from: &[f64], to: &[f64]) {
        self.each(buckets, from, to, |place, at, count, mapped| {
            mapped.put(at, count);
            mapped.put(at, compensation[place]);
        });
    }

    fn each(&mut self, buckets: &Buckets, from: &[f64], to: &[f64], put: impl Fn(usize, usize, f64, &mut Self)) {
        let mut at = 0;
        for (place, (index, count)) in buckets.iter().enumerate() {
            let bound = usize::try_from(index).ok().and_then(|index| from.get(index));
            match bound {
                Some(bound) => at += to[at..].partition_point(|common| common < bound),
                None => at = to.len(),
            }
            put(place, at, count, self);
        }
    }

    fn put(&mut self, at: usize, count: f64) {
        (self.counts[at], self.compensation[at]) = neumaier::add(count, self.counts[at], self.compensation[at]);
    }

    /// The counts alone, uncompensated.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// The buckets that are not empty, and what compensates them.
    pub fn into_buckets(self) -> (Buckets, Vec<f64>) {
        let mut buckets = Buckets::default();
        let mut kept = Vec::new();
        for ((index, count), compensation) in (0..).zip(self.counts).zip(self.compensation) {
            if count != 0.0 || compensation != 0.0 {
                buckets.push(index, count);
                kept.push(compensation);
            }
        }
        (buckets, kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_put_under_the_bounds_that_both_have() {
        let bounds = common(&[1.0, 2.0, 3.0, 5.0], &[2.0, 4.0, 5.0, 6.0]);
        assert_eq!(*bounds, [2.0, 5.0]);
        let mut mapped = Mapped::new(bounds.len());
        mapped.add(&Buckets::run(0, vec![1.0, 2.0, 4.0, 8.0, 16.0]), &[1.0, 2.0, 3.0, 5.0], &bounds, 1.0);
        mapped.add(&Buckets::run(1, vec![1.0]), &[2.0, 4.0, 5.0, 6.0], &bounds, -1.0);
        assert_eq!(mapped.counts(), [3.0, 11.0, 16.0]);
    }
}
