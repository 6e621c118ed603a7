//! What an encoder knows of each series: a column beside the series table, by slot and epoch, and an arena for
//! what does not fit into it.

use crate::data::SeriesRef;

/// What is known of the series of one slot.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    epoch: u32,
    /// 0 where nothing is known.
    value: u32,
}

/// A number for each series; 0 says that there is none yet.
#[derive(Debug, Default)]
pub(super) struct Column {
    entries: Vec<Entry>,
    known: usize,
    /// Series that were known and whose slot has another now.
    gone: usize,
}

/// Series that may have gone at the least before forgetting is worth it.
const GONE: usize = 4096;

impl Column {
    /// The number of a series, 0 where there is none.
    #[inline]
    pub fn get(&self, series: SeriesRef) -> u32 {
        match self.entries.get(series.slot as usize) {
            Some(entry) if entry.epoch == series.epoch => entry.value,
            _ => 0,
        }
    }

    /// Keeps a number; `slots` is how many there are.
    pub fn set(&mut self, series: SeriesRef, value: u32, slots: usize) {
        if self.entries.len() < slots {
            // Less at a time than doubling would take.
            self.entries.reserve_exact((slots + slots / 4).saturating_sub(self.entries.len()));
            self.entries.resize(slots, Entry::default());
        }
        let entry = &mut self.entries[series.slot as usize];
        if entry.value == 0 {
            self.known += 1
        } else {
            self.gone += 1
        }
        *entry = Entry { epoch: series.epoch, value };
    }

    /// Whether much of what is kept beside the column belongs to series that are gone.
    pub fn is_worn(&self) -> bool {
        self.gone > GONE.max(self.known / 2)
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        (self.known, self.gone) = (0, 0);
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

/// Runs of numbers or bytes that never move, each by its place. Nothing is freed but everything.
#[derive(Debug)]
pub(super) struct Arena<T> {
    pages: Vec<Vec<T>>,
}

/// Items of a page; a longer run has a page of its own.
const PAGE: usize = 1 << 16;

const MOST_PAGES: usize = PAGE / 2 - 1;

impl<T: Copy> Arena<T> {
    pub const fn new() -> Self {
        Self { pages: Vec::new() }
    }

    /// Keeps a run; its place, or `None` where all places are used up. A place is below 2^31.
    pub fn keep(&mut self, run: impl ExactSizeIterator<Item = T>) -> Option<u32> {
        if self.pages.len() >= MOST_PAGES {
            return None;
        }
        if self.pages.last().is_none_or(|page| page.len() + run.len() > PAGE) {
            self.pages.push(Vec::with_capacity(run.len().max(PAGE)));
        }
        let page = self.pages.len() - 1;
        let at = self.pages[page].len();
        self.pages[page].extend(run);
        Some((page * PAGE + at) as u32)
    }

    /// What stands from a place on, to the end of its page.
    #[inline]
    pub fn from(&self, place: u32) -> &[T] {
        &self.pages[place as usize / PAGE][place as usize % PAGE..]
    }

    /// Whether places will soon be used up.
    pub fn is_full(&self) -> bool {
        self.pages.len() > MOST_PAGES * 3 / 4
    }

    pub fn clear(&mut self) {
        self.pages.clear();
    }

    pub fn bytes(&self) -> usize {
        self.pages.iter().map(Vec::capacity).sum::<usize>() * size_of::<T>()
    }
}
