//! Which records of a batch are still in it: a filter clears bits and moves nothing.

use std::ops::Range;

/// A bitmap over the records of a batch, or *all of them* without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// One bit a record, set while it is selected; empty means that nothing was filtered yet.
    words: Vec<u64>,
    len: usize,
}

impl Selection {
    /// Every one of `len` records.
    pub fn all(len: usize) -> Self {
        Self { words: Vec::new(), len }
    }

    /// None of `len` records.
    pub fn none(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// Number of records, selected or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no records at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of selected records.
    pub fn count(&self) -> usize {
        if self.words.is_empty() { self.len } else { self.words.iter().map(|w| w.count_ones() as usize).sum() }
    }

    /// Whether record `index` is selected.
    pub fn contains(&self, index: usize) -> bool {
        index < self.len && (self.words.is_empty() || self.words[index / 64] >> (index % 64) & 1 == 1)
    }

    /// Takes record `index` out.
    pub fn remove(&mut self, index: usize) {
        if index >= self.len {
            return;
        }
        if self.words.is_empty() {
            self.words.resize(self.len.div_ceil(64), u64::MAX);
            let used = self.len % 64;
            if used != 0
                && let Some(last) = self.words.last_mut()
            {
                *last = (1 << used) - 1;
            }
        }
        self.words[index / 64] &= !(1 << (index % 64));
    }

    /// Puts record `index` back in.
    pub fn insert(&mut self, index: usize) {
        if index < self.len && !self.words.is_empty() {
            self.words[index / 64] |= 1 << (index % 64);
        }
    }

    /// Keeps only the records of `from` to `to` (exclusive).
    pub fn restrict(&mut self, from: usize, to: usize) {
        for index in (0..from.min(self.len)).chain(to..self.len) {
            self.remove(index);
        }
    }

    /// Takes out the records that `other`, over as many records, does not have.
    pub fn intersect(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len, "over the same records");
        match (self.words.is_empty(), other.words.is_empty()) {
            (_, true) => {}
            (true, false) => self.words.clone_from(&other.words),
            (false, false) => self.words.iter_mut().zip(&other.words).for_each(|(word, kept)| *word &= kept),
        }
    }

    /// Indices of the selected records, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.iter_range(0..self.len)
    }

    /// Those of a range of indices.
    pub fn iter_range(&self, range: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let (first, end) = (range.start, range.end.min(self.len));
        (first / 64..end.div_ceil(64)).flat_map(move |w| {
            let in_word = (self.len - w * 64).min(64);
            let full = if in_word == 64 { u64::MAX } else { (1 << in_word) - 1 };
            let mut bits = self.words.get(w).copied().unwrap_or(full);
            if w == first / 64 {
                bits &= u64::MAX << (first % 64);
            }
            if end - w * 64 < 64 {
                bits &= (1 << (end - w * 64)) - 1;
            }
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(w * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn behaves_like_a_set(len in 0usize..200, removed in proptest::collection::vec(0usize..220, 0..50)) {
            let mut selection = Selection::all(len);
            let mut expected: std::collections::BTreeSet<_> = (0..len).collect();
            for index in removed {
                selection.remove(index);
                expected.remove(&index);
            }
            let mut again = Selection::none(len);
            expected.iter().for_each(|&index| again.insert(index));
            again.insert(len);
            proptest::prop_assert_eq!(again.iter().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
            for mut both in [Selection::all(len), again.clone()] {
                both.intersect(&selection);
                both.intersect(&Selection::all(len));
                proptest::prop_assert_eq!(both.iter().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
            }
            proptest::prop_assert_eq!(selection.count(), expected.len());
            proptest::prop_assert!((0..len + 3).all(|i| selection.contains(i) == expected.contains(&i)));
            for first in 0..=len {
                for range in [first..len + 9, first..(first + 70).min(len), 0..first, first..first] {
                    let of: Vec<_> = expected.iter().copied().filter(|index| range.contains(index)).collect();
                    proptest::prop_assert_eq!(selection.iter_range(range).collect::<Vec<_>>(), of);
                }
            }
            proptest::prop_assert_eq!(selection.iter().collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
        }
    }
}
