//! How much memory the store takes, and what goes when it is too much, or too old.

use super::disk::write_ahead::WriteAhead;
use super::inner::{HASHED, Inner};
use super::lists::{List, Mapped, Verdict};

/// Steps of time into which chunks are counted at once.
const STEPS: usize = 256;

/// What is on its way to a journal has this part of the memory, and takes it whether it is there or not: it comes and goes
/// with each batch, and history is not to go with it.
pub(super) const OF_BUFFERS: usize = 16;

/// How much memory is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// By samples and labels.
    pub(super) samples: usize,
    /// By everything else, as of the last look.
    pub(super) beside: usize,
    pub(super) most: usize,
    /// Nothing that could go is left, until the next look.
    is_futile: bool,
}

impl Memory {
    /// None of so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn used(&self) -> usize {
        self.samples + self.beside
    }

    pub(super) fn has(&self, bytes: usize) -> bool {
        self.used() + bytes <= self.most
    }
}

impl Inner {
    /// Bytes of memory.
    pub fn used(&mut self) -> usize {
        self.look();
        self.memory.used()
    }

    /// Bytes of memory, all of them counted anew.
    #[cfg(test)]
    pub fn counted(&mut self) -> usize {
        let samples = self.places.iter().map(|(_, series)| series.memory()).sum::<usize>();
        let chunks = self.places.iter().map(|(_, series)| series.chunks.len()).sum::<usize>();
        assert_eq!(chunks, self.chunks);
        self.look();
        samples + self.memory.beside
    }

    /// Counts what is not counted step by step.
    pub(super) fn look(&mut self) {
        let lists = self.lists.values().map(|list| list.series.len() * size_of::<Mapped>() + 64).sum::<usize>();
        let buffers = self.accepted.bytes() + self.ahead.as_ref().map_or(0, WriteAhead::bytes);
        self.memory.beside = self.places.bytes()
            + self.index.bytes()
            + self.exemplars.bytes()
            + lists
            + self.lists.capacity() * (size_of::<(u64, List)>() + 1)
            + self.verdicts.capacity() * size_of::<Verdict>()
            + self.by_labels.capacity() * HASHED
            + buffers.max(self.memory.most / OF_BUFFERS);
    }

    /// Forgets what is older than the retention, and the lists that are gone. Its owner calls it every few seconds.
    pub fn maintain(&mut self, now: i64) {
        let from = now.saturating_sub(self.limits.retention);
        self.forget_lists_that_are_gone();
        let mut gone = Vec::new();
        for (place, series) in self.places.iter_mut() {
            let is_over = series.head.last().is_none_or(|last| last < from);
            if !is_over && series.chunks.first().is_none_or(|chunk| chunk.outline.last() >= from) {
                continue;
            }
            let before = series.memory();
            if is_over {
                series.head = Default::default();
                series.starts = None;
            }
            self.chunks -= series.drop_chunks_before(from);
            series.drop_starts_before(from);
            self.memory.samples = self.memory.samples + series.memory() - before;
            if is_over && series.listed == 0 {
                gone.push(place);
            }
        }
        self.remove(&gone);
        self.exemplars.forget_before(from);
        self.look();
        self.memory.is_futile = false;
        if !self.memory.has(self.memory.most / 32) {
            self.evict(0);
        }
    }

    /// Drops the oldest chunks of all series until a sixteenth of the memory, and `needed` bytes, are free. Returns whether
    /// those bytes are.
    pub(super) fn evict(&mut self, needed: usize) -> bool {
        if self.memory.is_futile {
            return false;
        }
        let goal = self.memory.most - self.memory.most / 16;
        let mut excess = (self.memory.used() + needed).saturating_sub(goal);
        let before = self.before_which_ends(&mut excess);
        for (_, series) in self.places.iter_mut() {
            if series.chunks.first().is_some_and(|chunk| chunk.outline.last() < before) {
                let memory = series.memory();
                let gone = series.drop_chunks_before(before);
                (self.chunks, self.evicted) = (self.chunks - gone, self.evicted + gone as u64);
                self.memory.samples = self.memory.samples + series.memory() - memory;
            }
        }
        self.memory.is_futile = excess > 0;
        self.memory.has(needed)
    }

    /// The time before which so many bytes of chunks end, to a sixty-fourth of the memory; what all of them lack stays in
    /// `excess`. Memory is short when it is asked: it counts into steps of time, and again within the step that is it.
    fn before_which_ends(&self, excess: &mut usize) -> i64 {
        let ends = || self.places.iter().filter_map(|(_, series)| series.chunks.first().zip(series.chunks.last()));
        let first = ends().map(|(first, _)| first.outline.last()).min();
        let last = ends().map(|(_, last)| last.outline.last()).max();
        let (Some(mut first), Some(mut last), 1..) = (first, last, *excess) else { return i64::MIN };
        loop {
            let width = last.abs_diff(first) / STEPS as u64 + 1;
            let mut steps = [0; STEPS];
            for (_, series) in self.places.iter() {
                let from = series.chunks.partition_point(|chunk| chunk.outline.last() < first);
                let within = series.chunks[from..].iter().take_while(|chunk| chunk.outline.last() <= last);
                within.for_each(|chunk| {
                    steps[(chunk.outline.last().abs_diff(first) / width) as usize] += chunk.memory();
                });
            }
            let mut step = 0;
            while step < STEPS && *excess > steps[step] {
                *excess -= steps[step];
                step += 1;
            }
            if step == STEPS {
                return last.saturating_add(1);
            }
            let begin = first.saturating_add_unsigned(width * step as u64);
            let end = begin.saturating_add_unsigned(width - 1);
            if width == 1 || steps[step] - *excess <= self.memory.most / 64 {
                *excess = 0;
                return end.saturating_add(1);
            }
            (first, last) = (begin, end.min(last));
        }
    }
}
