//! What the store does under its lock: which series a list brings, where a sample goes, what goes when memory ends.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::chunk::Chunk;
use super::counters::Refusal;
use super::disk::write_ahead::{Accepted, WriteAhead};
use super::exemplars::{Exemplars, Seen};
use super::index::{self, Index};
use super::put::Origin;
use super::selection::Selection;
use super::stored::{Places, Series};
use crate::data::MetricBatch;
use crate::data::labels::Labels;
use crate::data::metrics::SampleValue;
use crate::data::series_table::{FamilyId, SeriesList, SeriesRef, SeriesTable};

/// Bytes that hash tables take for an entry beside it.
const HASHED: usize = 8;

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

/// Place of a series of a list that is kept, and that of its sample in a batch.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    /// In the list.
    pub index: u32,
    /// In the store.
    pub place: u32,
}

/// What became of a list.
#[derive(Debug)]
pub struct List {
    /// Its series that are kept.
    pub series: Arc<[Mapped]>,
    list: Weak<SeriesList>,
    /// Series of it that found no room.
    refused: usize,
    /// The generation of the journal that last said it, as a small number, and its own number there.
    pub told: (u32, u32),
}

/// What was decided about a series of the table: valid for one epoch of its slot.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    epoch: u32,
    place: u32,
}

/// Steps of time into which chunks are counted at once.
const STEPS: usize = 256;

/// It was not decided yet.
const UNDECIDED: u32 = u32::MAX;

/// Nobody reads it.
const UNREAD: u32 = u32::MAX - 1;

/// How much memory is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// By samples and labels.
    pub(super) samples: usize,
    /// By everything else, as of the last look.
    beside: usize,
    most: usize,
    /// Nothing that could go is left, until the next look.
    is_futile: bool,
}

impl Memory {
    fn used(&self) -> usize {
        self.samples + self.beside
    }

    pub(super) fn has(&self, bytes: usize) -> bool {
        self.used() + bytes <= self.most
    }
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
    /// What a journal is to be told; none where there is no journal.
    pub(super) ahead: Option<WriteAhead>,
    accepted: Accepted,
    by_labels: HashTable<u32>,
    /// None before the first is set: then nothing is kept but what an earlier life has left.
    selection: Option<Selection>,
    verdicts: Vec<Verdict>,
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
            ahead: None,
            accepted: Accepted::default(),
            by_labels: HashTable::new(),
            selection: None,
            verdicts: Vec::new(),
            memory: Memory { most: limits.most_bytes, ..Memory::default() },
            chunks: 0,
            evicted: 0,
        }
    }

    /// Other bounds of memory and of the window.
    pub fn bound(&mut self, most_bytes: usize, window: i64) {
        (self.limits.most_bytes, self.limits.window, self.memory.most) = (most_bytes, window, most_bytes);
        self.exemplars.bound(most_bytes / OF_EXEMPLARS);
    }

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
    fn look(&mut self) {
        let lists = self.lists.values().map(|list| list.series.len() * size_of::<Mapped>() + 64).sum::<usize>();
        self.memory.beside = self.places.bytes()
            + self.index.bytes()
            + self.exemplars.bytes()
            + lists
            + self.lists.capacity() * (size_of::<(u64, List)>() + 1)
            + self.verdicts.capacity() * size_of::<Verdict>()
            + self.by_labels.capacity() * HASHED
            + self.accepted.bytes()
            + self.ahead.as_ref().map_or(0, WriteAhead::bytes);
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

    /// What was decided is decided again.
    fn forget_lists(&mut self) {
        self.lists.clear();
        self.verdicts.clear();
        self.places.iter_mut().for_each(|(_, series)| series.listed = 0);
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
        self.accepted.clear();
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

    /// Which series of a list are kept, and where.
    fn map(&mut self, list: &Arc<SeriesList>, taken: &mut Taken) -> Arc<[Mapped]> {
        if let Some(known) = self.lists.get(&list.id()) {
            return known.series.clone();
        }
        let (series, refused) = self.resolve(list, taken);
        let series: Arc<[Mapped]> = series.into();
        series.iter().for_each(|mapped| self.places.get_mut(mapped.place).listed += 1);
        let entry = List { series: series.clone(), list: Arc::downgrade(list), refused, told: (0, 0) };
        self.lists.insert(list.id(), entry);
        self.look();
        if !self.memory.has(0) {
            self.evict(0);
        }
        series
    }

    fn resolve(&mut self, list: &Arc<SeriesList>, taken: &mut Taken) -> (Vec<Mapped>, usize) {
        let own = Arc::ptr_eq(list.table(), &self.table);
        let table_of_list = list.table().clone();
        let table = table_of_list.read();
        if own && self.verdicts.len() < table.slots() {
            self.verdicts.reserve_exact(table.slots() - self.verdicts.len());
            self.verdicts.resize(table.slots(), Verdict { epoch: 0, place: UNDECIDED });
        }
        self.look();
        let (mut mapped, mut refused) = (Vec::new(), 0);
        for (index, series) in list.refs().iter().enumerate() {
            let labels = table.labels(*series);
            let place = match self.verdict(own, *series) {
                UNREAD => continue,
                known if known != UNDECIDED && self.is_at(known, labels) => Some(known),
                _ if !self.selection.as_ref().is_some_and(|selection| selection.has(labels)) => {
                    self.decide(own, *series, UNREAD);
                    continue;
                }
                _ => {
                    let hash = table.hash(*series);
                    let family = if own { table.family_id(*series) } else { FamilyId::default() };
                    let found = self.find(hash, labels.encoded());
                    if let Some(place) = found
                        && family != FamilyId::default()
                    {
                        self.places.get_mut(place).family = family;
                    }
                    found.or_else(|| self.create(labels.encoded().into(), hash, family))
                }
            };
            match place {
                Some(place) => {
                    self.decide(own, *series, place);
                    mapped.push(Mapped { index: index as u32, place });
                }
                None => refused += 1,
            }
        }
        taken.refused_series += refused as u64;
        (mapped, refused)
    }

    fn verdict(&self, own: bool, series: SeriesRef) -> u32 {
        let known = self.verdicts.get(series.slot as usize).filter(|known| own && known.epoch == series.epoch);
        known.map_or(UNDECIDED, |known| known.place)
    }

    fn decide(&mut self, own: bool, series: SeriesRef, place: u32) {
        if own && let Some(verdict) = self.verdicts.get_mut(series.slot as usize) {
            *verdict = Verdict { epoch: series.epoch, place };
        }
    }

    fn is_at(&self, place: u32, labels: Labels<'_>) -> bool {
        place < self.places.len() && {
            let series = self.places.get(place);
            series.is_there && *series.labels == *labels.encoded()
        }
    }

    /// The place of a series.
    pub fn find(&self, hash: u64, labels: &[u8]) -> Option<u32> {
        let is_it = |place: &u32| {
            let series = self.places.get(*place);
            series.hash == hash && *series.labels == *labels
        };
        self.by_labels.find(hash, is_it).copied()
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
        let series = Series { labels: labels.clone(), hash, family, is_there: true, ..Series::default() };
        self.memory.samples += series.memory();
        let grown = self.places.bytes() + self.index.bytes();
        let place = self.places.insert(series);
        self.index.insert(place, Labels::of_encoded(&labels));
        self.memory.beside += (self.places.bytes() + self.index.bytes()).saturating_sub(grown) + 2 * HASHED;
        let places = &self.places;
        self.by_labels.insert_unique(hash, place, |place| places.get(*place).hash);
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
            if let Ok(found) = by_labels.find_entry(places.get(*place).hash, |other| other == place) {
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

    /// Forgets what is older than the retention, and the lists that are gone. Its owner calls it every few seconds.
    pub fn maintain(&mut self, now: i64) {
        let from = now.saturating_sub(self.limits.retention);
        let Self { lists, places, .. } = self;
        let mut refused = 0;
        lists.retain(|_, list| {
            // What found no room may find some now.
            let stays = list.list.strong_count() > 0 && list.refused == 0;
            refused += list.refused;
            if !stays {
                list.series.iter().for_each(|mapped| places.get_mut(mapped.place).listed -= 1);
            }
            stays
        });
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
