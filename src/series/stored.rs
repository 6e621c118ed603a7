//! A series as the store has it, and the places that series have.

use std::sync::Arc;

use super::chunk::{Chunk, Head, MOST_SAMPLES};
use super::select::Columns;
use crate::data::labels::Labels;
use crate::data::metrics::SampleValue;
use crate::data::series_table::FamilyId;

/// A series: its samples are those of its chunks in their order, and then those of its head. Where there are samples, the
/// head has the newest.
#[derive(Debug, Default)]
pub struct Series {
    /// Labels, encoded; empty where the place is free.
    pub labels: Arc<[u8]>,
    /// Metadata of its metric.
    pub family: FamilyId,
    /// Lists that have it.
    pub listed: u32,
    /// The generation of the journal that last said its labels, as a small number; 0 for none.
    pub told: u32,
    /// Whether it is kept without a selector: the result of a rule.
    pub is_result: bool,
    /// Whether the place is taken.
    pub is_there: bool,
    /// Samples, the oldest first.
    pub chunks: Vec<Chunk>,
    /// The newest samples.
    pub head: Head,
    /// From when on its counter began when, where that is known of any sample.
    pub starts: Option<Box<Starts>>,
}

/// From when on the counter of a series began when; each other than the one before.
#[derive(Clone, Debug, Default)]
pub struct Starts(pub Vec<(i64, i64)>);

/// Bytes of one of them.
pub const START: usize = size_of::<(i64, i64)>();

impl Series {
    /// Labels.
    pub fn labels(&self) -> Labels<'_> {
        Labels::of_encoded(&self.labels)
    }

    /// Time of the oldest sample.
    pub fn oldest(&self) -> Option<i64> {
        let first = self.chunks.first().map(|chunk| chunk.outline.first);
        first.or_else(|| self.head.outline().map(|outline| outline.first))
    }

    /// Bytes of memory of its samples and labels, beside the series itself.
    pub fn memory(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| Chunk::memory_of(chunk.bytes.len())).sum::<usize>();
        let labels = Chunk::memory_of(self.labels.len());
        chunks + self.chunks.capacity() * size_of::<Chunk>() + self.head.memory() + self.memory_of_starts() + labels
    }

    /// Bytes of memory of what is known of its counter.
    pub fn memory_of_starts(&self) -> usize {
        self.starts.as_ref().map_or(0, |starts| size_of::<Starts>() + starts.0.capacity() * START)
    }

    /// What has to be known of its counter for samples later than `after` and not later than `until`.
    pub fn starts_within(&self, after: i64, until: i64) -> &[(i64, i64)] {
        let starts = self.starts.as_ref().map_or(&[][..], |starts| &starts.0);
        let from = starts.partition_point(|(from, _)| *from <= after).saturating_sub(1);
        let to = starts.partition_point(|(from, _)| *from <= until);
        starts.get(from..to).unwrap_or_default()
    }

    /// Adds a chunk behind the others.
    pub fn push_chunk(&mut self, chunk: Chunk) {
        if self.chunks.len() == self.chunks.capacity() {
            // Chunks come rarely, and series are many.
            self.chunks.reserve_exact(1);
        }
        self.chunks.push(chunk);
    }

    /// Drops the chunks that end before a time; returns how many.
    pub fn drop_chunks_before(&mut self, time: i64) -> usize {
        let gone = self.chunks.partition_point(|chunk| chunk.outline.last() < time);
        self.chunks.drain(..gone);
        if self.chunks.capacity() > 2 * self.chunks.len() + 4 {
            self.chunks.shrink_to_fit();
        }
        gone
    }

    /// Drops the starts of counters that nothing from `time` on needs.
    pub fn drop_starts_before(&mut self, time: i64) {
        if let Some(starts) = &mut self.starts {
            let needed = starts.0.partition_point(|(from, _)| *from <= time).saturating_sub(1);
            starts.0.drain(..needed);
        }
    }

    /// Puts a sample where it belongs that is not later than the newest one. An error where there is one of that time:
    /// whether it has the same value.
    pub fn insert(&mut self, time: i64, value: SampleValue<'_>) -> Result<(), bool> {
        let is_in_head = self.head.outline().is_none_or(|head| head.first <= time);
        // Behind the chunk that begins before it, also where it falls between that and the next one.
        let at = self.chunks.partition_point(|chunk| chunk.outline.first <= time).saturating_sub(1);
        let mut columns = Columns::default();
        if is_in_head || self.chunks.is_empty() {
            self.read_head(i64::MAX, &mut columns);
            insert(&mut columns, time, value)?;
            let (mut chunks, head) = encode(&columns);
            self.head = head;
            self.chunks.append(&mut chunks);
        } else {
            let chunk = &self.chunks[at];
            chunk.outline.read(&chunk.bytes, i64::MIN, i64::MAX, &mut columns);
            insert(&mut columns, time, value)?;
            let (mut chunks, mut head) = encode(&columns);
            chunks.extend(head.end());
            self.chunks.splice(at..=at, chunks);
        }
        Ok(())
    }

    /// Drops all samples that are later than `time`, and what is known of counters from then on.
    pub fn drop_after(&mut self, time: i64) {
        if let Some(Starts(starts)) = self.starts.as_deref_mut() {
            starts.truncate(starts.partition_point(|(from, _)| *from <= time));
        }
        while self.head.outline().is_some_and(|head| head.last() > time) {
            let mut columns = Columns::default();
            self.read_head(time, &mut columns);
            if columns.times.is_empty() {
                self.head =
                    self.chunks.pop().and_then(|chunk| Head::resume(chunk.outline, &chunk.bytes)).unwrap_or_default();
            } else {
                let (mut chunks, head) = encode(&columns);
                self.head = head;
                self.chunks.append(&mut chunks);
            }
        }
    }

    fn read_head(&self, until: i64, columns: &mut Columns) {
        if let Some(outline) = self.head.outline() {
            let mut bytes = Vec::new();
            self.head.copy_to(&mut bytes);
            outline.read(&bytes, i64::MIN, until, columns);
        }
    }
}

fn insert(columns: &mut Columns, time: i64, value: SampleValue<'_>) -> Result<(), bool> {
    let at = columns.times.partition_point(|other| *other < time);
    let is_histogram = columns.histograms.partition_point(|(place, _)| (*place as usize) < at);
    if columns.times.get(at) == Some(&time) {
        let there = columns.histograms.get(is_histogram).filter(|(place, _)| *place as usize == at);
        return Err(match (there, value) {
            (None, SampleValue::Float(value)) => columns.values[at].to_bits() == value.to_bits(),
            (Some((_, there)), SampleValue::Histogram(histogram)) => super::chunk::is_same(there, histogram),
            _ => false,
        });
    }
    columns.times.insert(at, time);
    columns.histograms[is_histogram..].iter_mut().for_each(|(place, _)| *place += 1);
    match value {
        SampleValue::Float(value) => columns.values.insert(at, value),
        SampleValue::Histogram(histogram) => {
            columns.values.insert(at, 0.0);
            columns.histograms.insert(is_histogram, (at as u32, histogram.clone()));
        }
    }
    Ok(())
}

/// Chunks of about the same number of samples, and the last ones as a head.
fn encode(columns: &Columns) -> (Vec<Chunk>, Head) {
    let (mut chunks, mut head, mut in_head) = (Vec::new(), Head::Empty, 0);
    let count = columns.times.len();
    let most = count.div_ceil(count.div_ceil(usize::from(MOST_SAMPLES)).max(1));
    let mut histograms = columns.histograms.iter().peekable();
    for (at, (time, value)) in columns.times.iter().zip(&columns.values).enumerate() {
        let value = match histograms.next_if(|(place, _)| *place as usize == at) {
            Some((_, histogram)) => SampleValue::Histogram(histogram),
            None => SampleValue::Float(*value),
        };
        if in_head >= most || head.is_full_for(*time, value) {
            chunks.extend(head.cut(*time, value));
            in_head = 0;
        } else {
            head.put(*time, value);
        }
        in_head += 1;
    }
    (chunks, head)
}

/// Series are allocated this many at a time, so that growing moves none: 12 KiB, which is what an allocator takes for it.
const PAGE: usize = 64;

/// Series by their places.
#[derive(Debug, Default)]
pub struct Places {
    pages: Vec<Vec<Series>>,
    free: Vec<u32>,
}

impl Places {
    /// The series at a place that is taken.
    #[inline]
    pub fn get(&self, place: u32) -> &Series {
        &self.pages[place as usize / PAGE][place as usize % PAGE]
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, place: u32) -> &mut Series {
        &mut self.pages[place as usize / PAGE][place as usize % PAGE]
    }

    /// Bytes by which the next series makes it grow.
    pub fn growth(&self) -> usize {
        let has_room = !self.free.is_empty() || self.pages.last().is_some_and(|page| page.len() < PAGE);
        if has_room { 0 } else { PAGE * size_of::<Series>() + size_of::<Vec<()>>() }
    }

    /// Takes a place.
    pub fn insert(&mut self, series: Series) -> u32 {
        if let Some(place) = self.free.pop() {
            *self.get_mut(place) = series;
            return place;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        let page = self.pages.len() - 1;
        self.pages[page].push(series);
        (page * PAGE + self.pages[page].len() - 1) as u32
    }

    /// Frees a place.
    pub fn remove(&mut self, place: u32) -> Series {
        self.free.push(place);
        std::mem::take(self.get_mut(place))
    }

    /// All series, with their places.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Series)> {
        self.pages
            .iter()
            .flatten()
            .enumerate()
            .map(|(place, series)| (place as u32, series))
            .filter(|(_, s)| s.is_there)
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Series)> {
        let all = self.pages.iter_mut().flatten().enumerate();
        all.map(|(place, series)| (place as u32, series)).filter(|(_, series)| series.is_there)
    }

    /// Places, taken or free.
    pub fn len(&self) -> u32 {
        self.pages.last().map_or(0, |last| ((self.pages.len() - 1) * PAGE + last.len()) as u32)
    }

    /// Number of series.
    pub fn taken(&self) -> usize {
        self.len() as usize - self.free.len()
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.pages.len() * (PAGE * size_of::<Series>() + size_of::<Vec<()>>()) + self.free.capacity() * size_of::<u32>()
    }
}
