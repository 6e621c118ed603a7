//! The buckets of one side of a histogram.

use std::cmp::Ordering;

use super::BucketSpan;

/// Buckets, ascending in their indexes.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    indexes: Vec<i32>,
    counts: Vec<f64>,
}

impl Buckets {
    /// Buckets that spans place. Where there are fewer counts than places the rest is empty; counts without a place are left
    /// out.
    pub fn of_spans(spans: &[BucketSpan], mut counts: Vec<f64>) -> Self {
        let mut indexes = Vec::with_capacity(counts.len());
        let mut next = 0i32;
        for span in spans {
            next = next.wrapping_add(span.offset);
            for _ in 0..(span.length as usize).min(counts.len() - indexes.len()) {
                indexes.push(next);
                next = next.wrapping_add(1);
            }
        }
        counts.truncate(indexes.len());
        Self { indexes, counts }
    }

    /// Buckets one after the other from an index on.
    pub fn run(first: i32, counts: Vec<f64>) -> Self {
        Self { indexes: (first..).take(counts.len()).collect(), counts }
    }

    /// Number of buckets.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Their indexes.
    pub fn indexes(&self) -> &[i32] {
        &self.indexes
    }

    /// Their counts.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// Their counts, to be changed.
    pub fn counts_mut(&mut self) -> &mut [f64] {
        &mut self.counts
    }

    /// Indexes and counts.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> + ExactSizeIterator {
        self.indexes.iter().copied().zip(self.counts.iter().copied())
    }

    /// The indexes as spans.
    pub fn spans(&self) -> Vec<BucketSpan> {
        let mut spans: Vec<BucketSpan> = Vec::new();
        let mut next = 0;
        for &index in &self.indexes {
            match spans.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => spans.push(BucketSpan { offset: index.wrapping_sub(next), length: 1 }),
            }
            next = index.wrapping_add(1);
        }
        spans
    }

    /// Appends a bucket behind all others.
    pub(super) fn push(&mut self, index: i32, count: f64) {
        self.indexes.push(index);
        self.counts.push(count);
    }

    /// Removes all.
    pub(super) fn clear(&mut self) {
        self.indexes.clear();
        self.counts.clear();
    }

    /// Removes those without observations.
    pub(super) fn compact(&mut self) {
        if self.counts.contains(&0.0) {
            let mut keeps = self.counts.iter().map(|count| *count != 0.0);
            self.indexes.retain(|_| keeps.next().unwrap_or(true));
            self.counts.retain(|count| *count != 0.0);
        }
    }

    /// Whether layout and counts are the same, bit by bit.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.indexes == other.indexes
            && self.counts.iter().map(|c| c.to_bits()).eq(other.counts.iter().map(|c| c.to_bits()))
    }

    /// All but the first so many.
    pub(super) fn without_first(&self, buckets: usize) -> Self {
        let mut rest = Self::default();
        self.iter().skip(buckets).for_each(|(index, count)| rest.push(index, count));
        rest
    }

    /// Adds other buckets, each times `sign`.
    pub(super) fn add(&mut self, other: &Self, sign: f64) {
        if self.indexes == other.indexes {
            self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += sign * theirs);
            return;
        }
        let mut sum = Self { indexes: Vec::with_capacity(self.len() + other.len()), counts: Vec::new() };
        sum.counts.reserve(self.len() + other.len());
        merge(&self.indexes, &other.indexes, |index, mine, theirs| {
            let mine = mine.map(|at| self.counts[at]);
            let theirs = theirs.map(|at| sign * other.counts[at]);
            sum.push(
                index,
                mine.map_or_else(|| theirs.unwrap_or(0.0), |mine| theirs.map_or(mine, |theirs| mine + theirs)),
            );
        });
        *self = sum;
    }

    /// The same buckets in a resolution that is halved `by` times: buckets that are one then are merged.
    pub(super) fn coarser(&self, by: i32) -> Self {
        let mut merged = Self { indexes: Vec::with_capacity(self.len()), counts: Vec::with_capacity(self.len()) };
        for (index, count) in self.iter() {
            let index = coarser_index(index, by);
            match merged.counts.last_mut() {
                Some(sum) if merged.indexes.last() == Some(&index) => *sum += count,
                _ => merged.push(index, count),
            }
        }
        merged
    }
}

/// The bucket that a bucket is part of when the resolution is halved `by` times.
pub(super) fn coarser_index(index: i32, by: i32) -> i32 {
    (index.wrapping_sub(1) >> by.min(31)) + 1
}

/// Walks over two ascending columns of indexes at once: every index, and its place in either.
pub(super) fn merge(left: &[i32], right: &[i32], mut each: impl FnMut(i32, Option<usize>, Option<usize>)) {
    let (mut l, mut r) = (0, 0);
    while l < left.len() && r < right.len() {
        match left[l].cmp(&right[r]) {
            Ordering::Less => {
                each(left[l], Some(l), None);
                l += 1;
            }
            Ordering::Greater => {
                each(right[r], None, Some(r));
                r += 1;
            }
            Ordering::Equal => {
                each(left[l], Some(l), Some(r));
                l += 1;
                r += 1;
            }
        }
    }
    (l..left.len()).for_each(|l| each(left[l], Some(l), None));
    (r..right.len()).for_each(|r| each(right[r], None, Some(r)));
}
