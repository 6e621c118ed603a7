//! What the store does under its lock: it takes samples, and series come and go. Where a sample goes is in `put`, which
//! series a list brings in `lists`, what goes when memory ends in `memory`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::chunk::Chunk;
use super::counters::Refusal;
use super::disk::write_ahead::{Accepted, WriteAhead};
use super::exemplars::{Exemplars, Seen};
use super::index::{self, Index};
use super::lists::{List, Mapped, Verdict};
use super::memory::{self, Memory};
use super::put::Origin;
use super::selection::Selection;
use super::stored::{Places, Series};
use crate::data::MetricBatch;
use crate::data::labels::Labels;
use crate::data::metrics::SampleValue;
use crate::data::series_table::{FamilyId, SeriesTable};

/// Bytes that hash tables take for an entry beside it.
pub(super) const HASHED: usize = 8;

/// Exemplars have this part of the memory.
const OF_EXEMPLARS: usize = 16;

/// What became of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Samples of series that nobody reads.
    pub unselected: u64,
    /// Samples that were kept.
    pub kept: u64,
    /// Samples that were there already.
    pub known: u64,
    /// Samples that were refused, and why.
    pub refused: Vec<(Refusal, u64)>,
    /// New series that found no room.
    pub refused_series: u64,
}

impl Taken {
    fn refuse(&mut self, refusal: Refusal) {
        match self.refused.iter_mut().find(|(other, _)| *other == refusal) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((refusal, 1)),
        }
    }
}

/// Bounds of a store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long samples are kept, in milliseconds.
    pub retention: i64,
    /// Most bytes of memory.
    pub most_bytes: usize,
    /// How much older than the newest a sample may be, in milliseconds.
    pub window: i64,
}

/// What the lock is for.
#[derive(Debug)]
pub struct Inner {
    pub(super) table: Arc<SeriesTable>,
    pub(super) limits: Limits,
    pub(super) places: Places,
    pub(super) index: Index,
    pub(super) exemplars: Exemplars,
    pub(super) lists: HashMap<u64, List>,
    /// So many, and those that are gone are forgotten.
    pub(super) most_lists: usize,
    /// What a journal is to be told; none where there is no journal.
    pub(super) ahead: Option<WriteAhead>,
    pub(super) accepted: Accepted,
    pub(super) by_labels: HashTable<u32>,
    /// None before the first is set: then nothing is kept but what an earlier life has left.
    pub(super) selection: Option<Selection>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) memory: Memory,
    /// Chunks that are whole, and those that went for memory.
    pub(super) chunks: usize,
    pub(super) evicted: u64,
}

impl Inner {
    pub fn new(table: Arc<SeriesTable>, limits: Limits) -> Self {
        Self {
            table,
            limits,
            places: Places::default(),
            index: Index::default(),
            exemplars: Exemplars::new(limits.most_bytes / OF_EXEMPLARS),
            lists: HashMap::new(),
            most_lists: 16,
            ahead: None,
            accepted: Accepted::default(),
            by_labels: HashTable::new(),
            selection: None,
            verdicts: Vec::new(),
            memory: Memory::new(limits.most_bytes),
            chunks: 0,
            evicted: 0,
        }
    }

    /// Other bounds of memory and of the window.
    pub fn bound(&mut self, most_bytes: usize, window: i64) {
        (self.limits.most_bytes, self.limits.window, self.memory.most) = (most_bytes, window, most_bytes);
        self.exemplars.bound(most_bytes / OF_EXEMPLARS);
    }

    /// What is kept from now on, and how long; series that nobody selects any more go.
    pub fn select(&mut self, selectors: &[Vec<super::Matcher>], retention: Duration) {
        let selection = Selection::new(selectors);
        self.limits.retention = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        self.forget_lists();
        let gone = self.places.iter().filter(|(_, series)| !series.is_result && !selection.has(series.labels()));
        let gone: Vec<u32> = gone.map(|(place, _)| place).collect();
        self.remove(&gone);
        self.selection = Some(selection);
    }

    /// Takes the selected samples of a batch that somebody reads. All of them are there for a reader, or none.
    pub fn append(&mut self, batch: &MetricBatch, now: i64) -> Taken {
        let mut taken = Taken::default();
        let list = batch.series();
        let own = Arc::ptr_eq(list.table(), &self.table);
        let series = if own {
            self.map(list, &mut taken)
        } else {
            // Of another table: numbers mean nothing here.
            self.resolve(list, &mut taken).0.into()
        };
        let columns = batch.columns();
        let is_whole = batch.selection.count() == batch.selection.len();
        let mut histograms = columns.histograms.iter().peekable();
        let mut created = columns.created.iter().peekable();
        let mut exemplars = columns.exemplars.iter().peekable();
        let mut seen = 0;
        for &Mapped { index, place } in &*series {
            if !is_whole && !batch.selection.contains(index as usize) {
                continue;
            }
            seen += 1;
            while histograms.next_if(|(at, _)| *at < index).is_some() {}
            let histogram = histograms.next_if(|(at, _)| *at == index).map(|(_, histogram)| histogram);
            let value = match histogram {
                Some(histogram) => SampleValue::Histogram(histogram),
                None => SampleValue::Float(columns.values[index as usize]),
            };
            while created.next_if(|(at, _)| *at < index).is_some() {}
            let start = created.next_if(|(at, _)| *at == index).map_or(0, |(_, start)| start.0);
            let time = batch.time(index as usize).0;
            if !self.count(place, time, value, start, Origin::Live(now), &mut taken) {
                continue;
            }
            while exemplars.next_if(|exemplar| exemplar.sample < index).is_some() {}
            while let Some(exemplar) = exemplars.next_if(|exemplar| exemplar.sample == index) {
                let (labels, line) = (batch.exemplar_labels(exemplar), batch.exemplar_line(exemplar));
                let when = exemplar.time.map_or(time, |time| time.0);
                let seen = Seen { labels, line, value: exemplar.value, time: when };
                self.exemplars.push(place, &self.places.get(place).labels, seen);
            }
        }
        taken.unselected += batch.selection.count() as u64 - seen;
        self.write_ahead(own.then_some(list.id()));
        taken
    }

    /// Takes a sample of a series that is kept whether somebody selects it or not.
    pub fn append_result(&mut self, labels: &[u8], time: i64, value: SampleValue<'_>, now: i64, taken: &mut Taken) {
        let hash = xxh3_64(labels);
        let found = self.find(hash, labels).or_else(|| self.create(labels.into(), hash, FamilyId::default()));
        match found {
            Some(place) => {
                self.places.get_mut(place).is_result = true;
                self.count(place, time, value, 0, Origin::Live(now), taken);
            }
            None => {
                taken.refused_series += 1;
                taken.refuse(Refusal::Full);
            }
        }
    }

    /// Tells the journal what was accepted since the last time, as one whole.
    pub fn write_ahead(&mut self, list: Option<u64>) {
        if let Some(ahead) = &mut self.ahead
            && !self.accepted.is_empty()
        {
            let list = list.and_then(|id| self.lists.get_mut(&id));
            ahead.write(&self.accepted, list, &mut self.places, &self.table);
        }
        self.accepted.clear(self.limits.most_bytes / memory::OF_BUFFERS);
    }

    /// Puts a sample and counts what became of it; returns whether it is there now and was not before.
    #[inline]
    fn count(
        &mut self,
        place: u32,
        time: i64,
        value: SampleValue<'_>,
        start: i64,
        origin: Origin,
        taken: &mut Taken,
    ) -> bool {
        match self.put(place, time, value, start, origin) {
            Ok(true) => {
                taken.kept += 1;
                if self.ahead.is_some() {
                    self.accepted.push(place, time, value, start);
                }
                return true;
            }
            Ok(false) => taken.known += 1,
            Err(refusal) => taken.refuse(refusal),
        }
        false
    }

    /// The place of a series.
    pub fn find(&self, hash: u64, labels: &[u8]) -> Option<u32> {
        self.by_labels.find(hash, |place| *self.places.get(*place).labels == *labels).copied()
    }

    /// Whether a series of an earlier life is still wanted.
    pub fn is_wanted(&self, labels: Labels<'_>, is_result: bool) -> bool {
        is_result || self.selection.as_ref().is_none_or(|selection| selection.has(labels))
    }

    /// A new series; none where there is no room. What is there is not driven out by what is new: an eighth of the memory
    /// stays for it.
    pub fn create(&mut self, labels: Arc<[u8]>, hash: u64, family: FamilyId) -> Option<u32> {
        let index = index::most_bytes(Labels::of_encoded(&labels));
        let needed = Chunk::memory_of(labels.len()) + index + self.places.growth() + 2 * HASHED;
        if self.memory.used() + needed > self.memory.most - self.memory.most / 8 {
            return None;
        }
        let series = Series { labels: labels.clone(), family, is_there: true, ..Series::default() };
        self.memory.samples += series.memory();
        let grown = self.places.bytes() + self.index.bytes();
        let place = self.places.insert(series);
        self.index.insert(place, Labels::of_encoded(&labels));
        self.memory.beside += (self.places.bytes() + self.index.bytes()).saturating_sub(grown) + 2 * HASHED;
        let places = &self.places;
        self.by_labels.insert_unique(hash, place, |place| xxh3_64(&places.get(*place).labels));
        Some(place)
    }

    /// Removes series that no list has.
    pub fn remove(&mut self, gone: &[u32]) {
        if gone.is_empty() {
            return;
        }
        let Self { index, places, by_labels, .. } = self;
        index.remove(gone.iter().map(|place| (*place, places.get(*place).labels())));
        for place in gone {
            if let Ok(found) = by_labels.find_entry(xxh3_64(&places.get(*place).labels), |other| other == place) {
                found.remove();
            }
            let series = places.remove(*place);
            self.memory.samples -= series.memory();
            self.chunks -= series.chunks.len();
        }
        let mut sorted = gone.to_vec();
        sorted.sort_unstable();
        self.exemplars.forget(|place| sorted.binary_search(&place).is_ok());
    }
}
