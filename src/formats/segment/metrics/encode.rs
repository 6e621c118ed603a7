//! Writing: what the segment has defined is named, everything else is said in full.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::definitions::{Remembered, put_resource};
use super::super::numbers::{put, put_difference, put_text};
use super::super::window::Window;
use super::histogram::put_histogram;
use super::{Limits, SERIES, push_list};
use crate::data::metrics::{Exemplar, Family};
use crate::data::series_table::{FamilyId, Series, SeriesList, SeriesRef};
use crate::data::{MetricBatch, Resource, UnixMillis};

/// What the segment being written has defined.
#[derive(Debug)]
pub struct Encoder {
    resources: Remembered<Resource>,
    /// Numbers of the remembered lists, by their ids, which no two lists share.
    numbers: HashMap<u64, u64>,
    lists: Window<u64>,
    /// By slot: the epoch under which the series was defined last, and its number; 0 for none.
    series: Vec<(u32, u32)>,
    defined_series: u32,
    /// The first number of the series that each list has defined.
    groups: Window<u32>,
    families: HashMap<FamilyId, u64>,
    scratch: Vec<u8>,
}

impl Encoder {
    /// An encoder of a new segment.
    pub fn new(limits: Limits) -> Self {
        Self {
            resources: Remembered::default(),
            numbers: HashMap::new(),
            lists: Window::new(limits.lists),
            series: Vec::new(),
            defined_series: 0,
            groups: Window::new(limits.series),
            families: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    /// Forgets everything: a new segment.
    pub fn reset(&mut self, limits: Limits) {
        let Self { mut series, mut scratch, .. } = std::mem::replace(self, Self::new(limits));
        series.fill((0, 0));
        scratch.clear();
        (self.series, self.scratch) = (series, scratch);
    }

    /// Appends the selected samples of a batch; returns whether that defined something.
    pub fn encode(&mut self, batch: &MetricBatch, out: &mut Vec<u8>) -> bool {
        let before = self.resources.defined + self.lists.defined();
        put_resource(&batch.resource, &mut self.resources, false, out);
        self.put_list(batch.series(), out);
        let columns = batch.columns();
        put_selection(batch, out);
        put_difference(out, 0, columns.time.0.cast_unsigned());
        out.push(u8::from(!columns.times.is_empty()));
        if !columns.times.is_empty() {
            batch.selection.iter().for_each(|index| put_time(columns.times[index], columns.time, out));
        }
        put_values(batch, out);
        let selected = |index: u32| batch.selection.contains(index as usize);
        let histograms = || columns.histograms.iter().filter(|(sample, _)| selected(*sample));
        put(out, histograms().count() as u64);
        for (sample, histogram) in histograms() {
            put(out, u64::from(*sample));
            put_histogram(histogram, out);
        }
        let leaves = |exemplar: &&Exemplar| selected(exemplar.sample) && exemplar.leaves();
        let exemplars = || columns.exemplars.iter().filter(leaves);
        put(out, exemplars().count() as u64);
        for exemplar in exemplars() {
            put(out, u64::from(exemplar.sample));
            put_text(out, batch.exemplar_labels(exemplar).encoded());
            out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
            out.push(u8::from(exemplar.time.is_some()));
            if let Some(time) = exemplar.time {
                put_time(time, columns.time, out);
            }
        }
        let created = || columns.created.iter().filter(|(sample, _)| selected(*sample));
        put(out, created().count() as u64);
        for (sample, time) in created() {
            put(out, u64::from(*sample));
            put_time(*time, columns.time, out);
        }
        self.resources.defined + self.lists.defined() > before
    }

    fn put_list(&mut self, list: &Arc<SeriesList>, out: &mut Vec<u8>) {
        if let Some(number) = self.numbers.get(&list.id()) {
            return put(out, *number);
        }
        put(out, 0);
        let table = list.table().read();
        if self.series.len() < table.slots() {
            self.series.resize(table.slots(), (0, 0));
        }
        let (mut rest, mut runs, mut end) = (list.refs(), 0u64, 1u64);
        let (first_new, mut bytes) = (self.defined_series + 1, 0);
        let mut encoded = std::mem::take(&mut self.scratch);
        encoded.clear();
        while let Some(first) = rest.first() {
            runs += 1;
            match self.number(*first) {
                Some(number) => {
                    let in_a_row =
                        |(at, series): &(usize, &SeriesRef)| self.number(**series) == Some(number + *at as u32);
                    let length = rest.iter().enumerate().take_while(in_a_row).count();
                    put(&mut encoded, (length as u64) << 1 | 1);
                    put_difference(&mut encoded, end, u64::from(number));
                    end = u64::from(number) + length as u64;
                    rest = &rest[length..];
                }
                None => {
                    let mut length = 0;
                    for series in rest.iter() {
                        if self.number(*series).is_some() {
                            break;
                        }
                        self.defined_series += 1;
                        self.series[series.slot as usize] = (series.epoch, self.defined_series);
                        length += 1;
                    }
                    put(&mut encoded, (length as u64) << 1);
                    for series in &rest[..length] {
                        let labels = table.labels(*series).encoded();
                        bytes += SERIES + labels.len();
                        put_text(&mut encoded, labels);
                        self.put_family(&table, *series, &mut encoded);
                    }
                    end = u64::from(self.defined_series) + 1;
                    rest = &rest[length..];
                }
            }
        }
        put(out, runs);
        out.extend_from_slice(&encoded);
        self.scratch = encoded;
        if self.defined_series >= first_new {
            self.groups.push(first_new, bytes, |_| {});
        }
        let numbers = &mut self.numbers;
        let number = push_list(&mut self.lists, list.id(), list.len(), |id| {
            numbers.remove(&id);
        });
        numbers.insert(list.id(), number);
    }

    fn number(&self, series: SeriesRef) -> Option<u32> {
        let (epoch, number) = *self.series.get(series.slot as usize)?;
        let remembered = self.groups.oldest().copied().unwrap_or(1);
        (number >= remembered && epoch == series.epoch).then_some(number)
    }

    fn put_family(&mut self, table: &Series<'_>, series: SeriesRef, out: &mut Vec<u8>) {
        let id = table.family_id(series);
        if id == FamilyId::default() {
            return put(out, 0);
        }
        if let Some(number) = self.families.get(&id) {
            return put(out, number + 1);
        }
        self.families.insert(id, self.families.len() as u64 + 1);
        let Family { name, kind, help, unit } = table.family_of(id);
        put(out, 1);
        put_text(out, name.as_bytes());
        out.push(*kind as u8);
        put_text(out, help.as_bytes());
        put_text(out, unit.as_bytes());
    }
}

fn put_selection(batch: &MetricBatch, out: &mut Vec<u8>) {
    let length = batch.selection.len();
    let all = batch.selection.count() == length;
    out.push(u8::from(!all));
    if !all {
        let start = out.len();
        out.resize(start + length.div_ceil(8), 0);
        batch.selection.iter().for_each(|index| out[start + index / 8] |= 1 << (index % 8));
    }
}

fn put_values(batch: &MetricBatch, out: &mut Vec<u8>) {
    let values = &batch.columns().values;
    let lengths = out.len();
    out.resize(lengths + batch.selection.count().div_ceil(2), 0);
    for (at, index) in batch.selection.iter().enumerate() {
        let bits = values[index].to_bits();
        let length = 8 - bits.trailing_zeros() as usize / 8;
        out[lengths + at / 2] |= (length as u8) << (at % 2 * 4);
        out.extend_from_slice(&bits.to_be_bytes()[..length]);
    }
}

fn put_time(time: UnixMillis, from: UnixMillis, out: &mut Vec<u8>) {
    put_difference(out, from.0.cast_unsigned(), time.0.cast_unsigned());
}
