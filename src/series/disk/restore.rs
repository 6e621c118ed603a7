//! Putting into the store what its files say.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::snapshot::{END, KEPT, Known, read_kept, read_series};
use super::write_ahead::{LIST, OF_LIST, OF_OTHERS, SERIES};
use crate::formats::segment::numbers::Input;
use crate::formats::segment::{Damaged, read_histogram};
use crate::series::chunk::Head;
use crate::series::inner::Inner;
use crate::series::put::Replayed;

/// A series of a journal that is not kept.
const NOT_KEPT: u32 = u32::MAX;

/// Numbers of series of a journal: more than memory could hold are damage.
const MOST_NUMBER: usize = 16 << 20;

/// Puts frames into a store.
#[derive(Debug, Default)]
pub struct Restorer {
    /// Where the series of the journal are in the store, by their numbers.
    places: Vec<u32>,
    /// The same of the series of its lists.
    lists: Vec<Box<[u32]>>,
    some: Vec<u32>,
    times: Vec<i64>,
    values: Vec<Replayed>,
    starts: Vec<i64>,
    /// Samples that were put.
    pub samples: u64,
    /// Series that found no room, or samples.
    pub refused: u64,
}

impl Restorer {
    /// Another file begins.
    pub fn begin_file(&mut self) {
        self.places.clear();
        self.lists.clear();
    }

    /// Puts what a frame says.
    ///
    /// # Errors
    /// What cannot be read although the checksum fits; what stands before it was put.
    pub fn frame(&mut self, payload: &[u8], inner: &mut Inner) -> Result<(), Damaged> {
        let mut input = Input::new(payload);
        while !input.is_empty() {
            match input.byte()? {
                SERIES => {
                    let number: usize = input.small()?;
                    let table = inner.table.clone();
                    let known = read_series(&mut input, &table)?;
                    if number >= MOST_NUMBER {
                        return Err(Damaged("a series has too high a number"));
                    }
                    if self.places.len() <= number {
                        self.places.resize(number + 1, NOT_KEPT);
                    }
                    self.places[number] = self.place(&known, inner);
                }
                LIST => {
                    let mut list = std::mem::take(&mut self.some);
                    self.read_places(&mut input, &mut list)?;
                    self.lists.push((&*list).into());
                    self.some = list;
                }
                OF_LIST => {
                    let number: usize = input.small()?;
                    let list = self.lists.get(number).ok_or(Damaged("a list was not said before"))?;
                    let mut some = std::mem::take(&mut self.some);
                    some.clear();
                    if input.byte()? == 0 {
                        some.extend_from_slice(list);
                    } else {
                        let bits = input.take(list.len().div_ceil(8))?;
                        let present = list.iter().enumerate().filter(|(at, _)| bits[at / 8] >> (at % 8) & 1 == 1);
                        some.extend(present.map(|(_, place)| *place));
                    }
                    self.samples(&mut input, &some, inner)?;
                    self.some = some;
                }
                OF_OTHERS => {
                    let mut some = std::mem::take(&mut self.some);
                    self.read_places(&mut input, &mut some)?;
                    self.samples(&mut input, &some, inner)?;
                    self.some = some;
                }
                KEPT => self.kept(&mut input, inner)?,
                END => {
                    input.u64()?;
                }
                _ => return Err(Damaged("an item is of an unknown kind")),
            }
        }
        Ok(())
    }

    fn place(&mut self, known: &Known<'_>, inner: &mut Inner) -> u32 {
        let Known { labels, is_result, family } = known;
        if !inner.is_wanted(*labels, *is_result) {
            return NOT_KEPT;
        }
        let hash = xxh3_64(labels.encoded());
        let found = inner.find(hash, labels.encoded());
        let Some(place) = found.or_else(|| inner.create(Arc::from(labels.encoded()), hash, *family)) else {
            self.refused += 1;
            return NOT_KEPT;
        };
        inner.places.get_mut(place).is_result |= is_result;
        place
    }

    fn read_places(&self, input: &mut Input<'_>, out: &mut Vec<u32>) -> Result<(), Damaged> {
        out.clear();
        let mut before = 0;
        for _ in 0..input.count()? {
            before = input.difference(before)?;
            let place = usize::try_from(before).ok().and_then(|number| self.places.get(number));
            out.push(*place.ok_or(Damaged("a series was not said before"))?);
        }
        Ok(())
    }

    fn samples(&mut self, input: &mut Input<'_>, places: &[u32], inner: &mut Inner) -> Result<(), Damaged> {
        let first = input.difference(0)?;
        self.times.clear();
        match input.byte()? {
            0 => self.times.resize(places.len(), first.cast_signed()),
            _ => {
                for _ in places {
                    self.times.push(input.difference(first)?.cast_signed());
                }
            }
        }
        self.values.clear();
        let lengths = input.take(places.len().div_ceil(2))?;
        for at in 0..places.len() {
            let length = usize::from(lengths[at / 2] >> (at % 2 * 4) & 0xF);
            if length > 8 {
                return Err(Damaged("a value is too long"));
            }
            let mut bits = [0; 8];
            bits[..length].copy_from_slice(input.take(length)?);
            self.values.push(Replayed::Number(f64::from_bits(u64::from_be_bytes(bits))));
        }
        for _ in 0..input.count()? {
            let at: usize = input.small()?;
            let value = self.values.get_mut(at).ok_or(Damaged("a histogram is of no sample"))?;
            *value = Replayed::Histogram(Arc::new(read_histogram(input)?));
        }
        self.starts.clear();
        let starts = input.count()?;
        if starts > 0 {
            self.starts.resize(places.len(), 0);
        }
        for _ in 0..starts {
            let at: usize = input.small()?;
            let start = self.starts.get_mut(at).ok_or(Damaged("a start is of no sample"))?;
            *start = input.difference(first)?.cast_signed();
        }
        for (at, place) in places.iter().enumerate().filter(|(_, place)| **place != NOT_KEPT) {
            let start = self.starts.get(at).copied().unwrap_or(0);
            match inner.replay(*place, self.times[at], &self.values[at], start) {
                Ok(is_new) => self.samples += u64::from(is_new),
                Err(_) => self.refused += 1,
            }
        }
        Ok(())
    }

    fn kept(&mut self, input: &mut Input<'_>, inner: &mut Inner) -> Result<(), Damaged> {
        let table = inner.table.clone();
        let known = read_series(input, &table)?;
        let mut kept = read_kept(input)?;
        let place = self.place(&known, inner);
        if place == NOT_KEPT || inner.places.get(place).head.last().is_some() {
            return Ok(());
        }
        let mut head = Head::Empty;
        while let Some(last) = kept.chunks.pop() {
            if let Some(resumed) = Head::resume(last.outline, &last.bytes) {
                head = resumed;
                break;
            }
        }
        let samples = kept.chunks.iter().map(|chunk| u64::from(chunk.outline.count)).sum::<u64>()
            + head.outline().map_or(0, |outline| u64::from(outline.count));
        if inner.restore_samples(place, kept.chunks, head, kept.starts) {
            self.samples += samples;
        } else {
            self.refused += 1;
        }
        Ok(())
    }
}
