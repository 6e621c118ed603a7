//! What a journal says of the samples that the store accepts, put together under the store's lock and written elsewhere.

use std::sync::Arc;

use super::frames::{MOST_PAYLOAD, begin_frame, end_frame};
use super::snapshot::put_series;
use crate::data::histogram::Histogram;
use crate::data::metrics::SampleValue;
use crate::data::recycle::clear_bounded;
use crate::data::series_table::{Series as Look, SeriesTable};
use crate::formats::segment::numbers::{put, put_difference};
use crate::formats::segment::put_histogram;
use crate::series::lists::List;
use crate::series::stored::Places;

pub const SERIES: u8 = 1;
pub const LIST: u8 = 2;
pub const OF_LIST: u8 = 3;
pub const OF_OTHERS: u8 = 4;

/// Samples that were accepted and not written yet, in columns.
#[derive(Debug, Default)]
pub struct Accepted {
    places: Vec<u32>,
    times: Vec<i64>,
    values: Vec<u64>,
    histograms: Vec<(u32, Arc<Histogram>)>,
    starts: Vec<(u32, i64)>,
}

impl Accepted {
    /// A sample of the series at a place.
    #[inline]
    pub fn push(&mut self, place: u32, time: i64, value: SampleValue<'_>, start: i64) {
        let at = self.places.len() as u32;
        self.places.push(place);
        self.times.push(time);
        match value {
            SampleValue::Float(value) => self.values.push(value.to_bits()),
            SampleValue::Histogram(histogram) => {
                self.values.push(0);
                self.histograms.push((at, histogram.clone()));
            }
        }
        if start != 0 {
            self.starts.push((at, start));
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Forgets them and keeps some memory, about so many bytes at the most.
    pub fn clear(&mut self, bytes: usize) {
        let most = (bytes / (size_of::<u32>() + 2 * size_of::<u64>()) / 2).min(65_536);
        clear_bounded(&mut self.places, most);
        clear_bounded(&mut self.times, most);
        clear_bounded(&mut self.values, most);
        clear_bounded(&mut self.histograms, most / 16);
        clear_bounded(&mut self.starts, most / 4);
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.places.capacity() * 4
            + (self.times.capacity() + self.values.capacity()) * 8
            + (self.histograms.capacity() + self.starts.capacity()) * 16
    }
}

/// Frames that were not written to the journal yet.
#[derive(Debug)]
pub struct WriteAhead {
    /// The generation, a small number: what was said under another one is said again.
    generation: u32,
    lists: u32,
    frames: Vec<u8>,
    /// Frames were forgotten since nobody wrote them down.
    is_torn: bool,
    /// Samples went that it has.
    is_over: bool,
}

impl WriteAhead {
    /// The beginning of a generation; it is not 0.
    pub fn new(generation: u32) -> Self {
        Self { generation, lists: 0, frames: Vec::new(), is_torn: false, is_over: false }
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.frames.capacity()
    }

    /// Whether there is something to be written.
    pub fn is_pending(&self) -> bool {
        self.is_torn || !self.frames.is_empty()
    }

    /// Samples that it has are no more: whoever reads it would put them before those that took their place, and refuse these.
    /// A generation that begins with a snapshot has to follow.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// Whether the next generation has to follow.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Exchanges the frames for an empty buffer; none where some were forgotten, and the generation is over.
    pub fn take(&mut self, buffer: &mut Vec<u8>) -> Option<()> {
        buffer.clear();
        std::mem::swap(&mut self.frames, buffer);
        (!self.is_torn).then_some(())
    }

    /// Writes samples as one frame, and before them what was not said yet of their series.
    pub fn write(&mut self, accepted: &Accepted, list: Option<&mut List>, places: &mut Places, table: &SeriesTable) {
        if self.is_torn {
            return;
        }
        let at = begin_frame(&mut self.frames);
        let mut look: Option<Look<'_>> = None;
        for place in &accepted.places {
            let series = places.get_mut(*place);
            if series.told != self.generation {
                series.told = self.generation;
                self.frames.push(SERIES);
                put(&mut self.frames, u64::from(*place));
                put_series(series, look.get_or_insert_with(|| table.read()), &mut self.frames);
            }
        }
        match list {
            Some(list) => {
                self.say_list(list, places, &mut look, table);
                self.frames.push(OF_LIST);
                put(&mut self.frames, u64::from(list.told.1));
                self.put_present(accepted, list);
            }
            None => {
                self.frames.push(OF_OTHERS);
                self.put_places(accepted.places.iter().copied());
            }
        }
        self.put_samples(accepted);
        if self.frames.len() > MOST_PAYLOAD {
            // Nobody writes, or more than ever fits into a frame came at once.
            self.tear();
            return;
        }
        end_frame(&mut self.frames, at);
    }

    /// Forgets what is not written.
    pub(super) fn tear(&mut self) {
        (self.frames, self.is_torn) = (Vec::new(), true);
    }

    /// Says which series a list has; all of them are said before.
    fn say_list<'t>(
        &mut self,
        list: &mut List,
        places: &mut Places,
        look: &mut Option<Look<'t>>,
        table: &'t SeriesTable,
    ) {
        if list.told.0 == self.generation {
            return;
        }
        list.told = (self.generation, self.lists);
        self.lists += 1;
        for mapped in &*list.series {
            let series = places.get_mut(mapped.place);
            if series.told != self.generation {
                series.told = self.generation;
                self.frames.push(SERIES);
                put(&mut self.frames, u64::from(mapped.place));
                put_series(series, look.get_or_insert_with(|| table.read()), &mut self.frames);
            }
        }
        self.frames.push(LIST);
        self.put_places(list.series.iter().map(|mapped| mapped.place));
    }

    fn put_places(&mut self, places: impl ExactSizeIterator<Item = u32>) {
        put(&mut self.frames, places.len() as u64);
        let mut before = 0;
        for place in places {
            put_difference(&mut self.frames, u64::from(before), u64::from(place));
            before = place;
        }
    }

    /// Says which series of the list have a sample.
    fn put_present(&mut self, accepted: &Accepted, list: &List) {
        let is_whole = accepted.places.len() == list.series.len();
        self.frames.push(u8::from(!is_whole));
        if is_whole {
            return;
        }
        let start = self.frames.len();
        self.frames.resize(start + list.series.len().div_ceil(8), 0);
        // Both in the order of the list, in which a series may stand more than once.
        let mut left = accepted.places.iter().peekable();
        for (at, mapped) in list.series.iter().enumerate() {
            if left.next_if_eq(&&mapped.place).is_some() {
                self.frames[start + at / 8] |= 1 << (at % 8);
            }
        }
    }

    fn put_samples(&mut self, accepted: &Accepted) {
        let out = &mut self.frames;
        let first = accepted.times.first().copied().unwrap_or_default().cast_unsigned();
        put_difference(out, 0, first);
        let is_one = accepted.times.iter().all(|time| time.cast_unsigned() == first);
        out.push(u8::from(!is_one));
        if !is_one {
            accepted.times.iter().for_each(|time| put_difference(out, first, time.cast_unsigned()));
        }
        let lengths = out.len();
        out.resize(lengths + accepted.values.len().div_ceil(2), 0);
        for (at, bits) in accepted.values.iter().enumerate() {
            let length = 8 - bits.trailing_zeros() as usize / 8;
            out[lengths + at / 2] |= (length as u8) << (at % 2 * 4);
            out.extend_from_slice(&bits.to_be_bytes()[..length]);
        }
        put(out, accepted.histograms.len() as u64);
        for (at, histogram) in &accepted.histograms {
            put(out, u64::from(*at));
            put_histogram(histogram, out);
        }
        put(out, accepted.starts.len() as u64);
        for (at, start) in &accepted.starts {
            put(out, u64::from(*at));
            put_difference(out, first, start.cast_unsigned());
        }
    }
}
