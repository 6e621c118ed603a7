//! Samples in a segment. Label sets stand in it once: a series is defined by the first list that has it, a list
//! by the first record that has it, and a record of a list that is known is little more than its values.
//!
//! ```text
//! resource    as in `logs`
//! list        varint 0: it follows and gets the next number; else a number
//! selected    u8 0: all; 1: a bit a series of the list follows, the first in the lowest bit of the first byte
//! time        difference to 0, in milliseconds
//! times       u8 0: none; 1: for each selected sample its difference to `time`
//! values      for each selected sample half a byte, how many bytes of it follow (first sample in the low half);
//!             then those bytes of each, the highest of the 64 bits first: the rest is zeros
//! histograms  varint count × { sample, histogram }
//! exemplars   varint count × { sample, labels text, value u64, u8 0 or 1 and the time's difference to `time` }
//! created     varint count × { sample, difference to `time` }
//!
//! sample      varint, its place in the list
//! list        varint count × run
//! run         varint length × 2 + 1: series with numbers in a row, the difference of the first to the end of the
//!             run before; length × 2: so many new series, which get the next numbers
//! series      labels text (as `data::labels` encodes them), family
//! family      varint 0: nothing is known; 1: name text, kind u8, help text, unit text, which gets the next number;
//!             else number + 1
//! histogram   schema difference, zero threshold u64, sum u64, reset hint u8, spans × 2, custom bounds (varint count
//!             × u64), u8 0: integers: count varint, zero varint, buckets × 2 (varint count × difference to 0);
//!             1: doubles: count u64, zero u64, buckets × 2 (varint count × u64)
//! spans       varint count × { offset difference, length varint }
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use super::Damaged;
use super::definitions::{Remembered, put_resource, read_resource};
use super::numbers::{Input, defined, put, put_difference, put_text};
use crate::data::histogram::{BucketSpan, Counts, Histogram, ResetHint};
use crate::data::labels::Labels;
use crate::data::metrics::{Exemplar, Family, Samples};
use crate::data::series_table::{FamilyId, ListBuilder, Series, SeriesList, SeriesRef, SeriesTable};
use crate::data::{MetricBatch, MetricBuilder, MetricKind, Resource, Selection, UnixMillis};

/// More series than a list can have.
const MOST_SERIES: usize = 8 << 20;

/// What the segment being written has defined.
#[derive(Debug, Default)]
pub struct Encoder {
    resources: Remembered<Resource>,
    /// Numbers of lists, by their ids, which no two lists share.
    lists: HashMap<u64, u64>,
    /// By slot: the epoch under which the series was defined, and its number; 0 for none.
    series: Vec<(u32, u32)>,
    defined_series: u32,
    families: HashMap<FamilyId, u64>,
    scratch: Vec<u8>,
}

impl Encoder {
    /// Forgets everything: a new segment.
    pub fn reset(&mut self) {
        let Self { mut series, mut scratch, .. } = std::mem::take(self);
        series.fill((0, 0));
        scratch.clear();
        (self.series, self.scratch) = (series, scratch);
    }

    /// Appends the selected samples of a batch; returns whether that defined something.
    pub fn encode(&mut self, batch: &MetricBatch, out: &mut Vec<u8>) -> bool {
        let before = self.resources.defined + self.lists.len() as u64;
        put_resource(&batch.resource, &mut self.resources, out);
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
        let exemplars = || columns.exemplars.iter().filter(|exemplar| selected(exemplar.sample));
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
        self.resources.defined + self.lists.len() as u64 > before
    }

    fn put_list(&mut self, list: &Arc<SeriesList>, out: &mut Vec<u8>) {
        if let Some(number) = self.lists.get(&list.id()) {
            return put(out, *number);
        }
        self.lists.insert(list.id(), self.lists.len() as u64 + 1);
        put(out, 0);
        let table = list.table().read();
        if self.series.len() < table.slots() {
            self.series.resize(table.slots(), (0, 0));
        }
        let (mut rest, mut runs, mut end) = (list.refs(), 0u64, 1u64);
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
                        put_text(&mut encoded, table.labels(*series).encoded());
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
    }

    fn number(&self, series: SeriesRef) -> Option<u32> {
        let (epoch, number) = *self.series.get(series.slot as usize)?;
        (number > 0 && epoch == series.epoch).then_some(number)
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

fn put_signed(number: i64, out: &mut Vec<u8>) {
    put_difference(out, 0, number.cast_unsigned());
}

fn put_double(number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_bits().to_le_bytes());
}

fn put_histogram(histogram: &Histogram, out: &mut Vec<u8>) {
    put_signed(i64::from(histogram.schema), out);
    put_double(histogram.zero_threshold, out);
    put_double(histogram.sum, out);
    out.push(histogram.reset_hint as u8);
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put(out, spans.len() as u64);
        for BucketSpan { offset, length } in spans {
            put_signed(i64::from(*offset), out);
            put(out, u64::from(*length));
        }
    }
    put(out, histogram.custom_bounds.len() as u64);
    histogram.custom_bounds.iter().for_each(|bound| put_double(*bound, out));
    match &histogram.counts {
        Counts::Integer { count, zero, positive, negative } => {
            out.push(0);
            put(out, *count);
            put(out, *zero);
            for buckets in [positive, negative] {
                put(out, buckets.len() as u64);
                buckets.iter().for_each(|bucket| put_signed(*bucket, out));
            }
        }
        Counts::Float { count, zero, positive, negative } => {
            out.push(1);
            put_double(*count, out);
            put_double(*zero, out);
            for buckets in [positive, negative] {
                put(out, buckets.len() as u64);
                buckets.iter().for_each(|bucket| put_double(*bucket, out));
            }
        }
    }
}

/// What the segment being read has defined.
#[derive(Debug)]
pub struct Decoder {
    table: Arc<SeriesTable>,
    resources: Vec<Arc<Resource>>,
    lists: Vec<Listed>,
    /// Held by the lists; `None` for those that the table had no room for.
    series: Vec<Option<SeriesRef>>,
    families: Vec<FamilyId>,
    builder: ListBuilder,
}

/// A list of a segment.
#[derive(Clone, Debug)]
struct Listed {
    list: Arc<SeriesList>,
    /// Series of the list as it was written.
    length: usize,
    /// The places of those that are in `list`, where some found the table full.
    kept: Option<Arc<[u32]>>,
}

impl Listed {
    /// Where the sample of a place stands now.
    fn place(&self, place: usize) -> Option<usize> {
        match &self.kept {
            None => Some(place),
            Some(kept) => kept.binary_search(&u32::try_from(place).ok()?).ok(),
        }
    }
}

impl Decoder {
    /// A decoder whose series are in `table`.
    pub fn new(table: Arc<SeriesTable>) -> Self {
        Self {
            table,
            resources: Vec::new(),
            lists: Vec::new(),
            series: Vec::new(),
            families: Vec::new(),
            builder: ListBuilder::default(),
        }
    }

    /// Forgets everything: a new segment.
    pub fn reset(&mut self) {
        *self = Self::new(self.table.clone());
    }

    /// Reads a batch. Samples whose series the table has no room for are left out.
    pub fn decode(&mut self, input: &mut Input<'_>) -> Result<MetricBatch, Damaged> {
        let resource = read_resource(input, &mut self.resources)?;
        let listed = match input.number()? {
            0 => {
                let listed = self.read_list(input)?;
                self.lists.push(listed.clone());
                listed
            }
            number => defined(&self.lists, number)?.clone(),
        };
        let mut builder = MetricBuilder::new();
        let selected = read_selection(input, listed.length)?;
        read_columns(input, &listed, &selected, builder.samples())?;
        let mut batch = builder.build(resource, listed.list.clone());
        for place in (0..listed.length).filter(|place| !selected.contains(*place)) {
            if let Some(index) = listed.place(place) {
                batch.selection.remove(index);
            }
        }
        Ok(batch)
    }

    fn read_list(&mut self, input: &mut Input<'_>) -> Result<Listed, Damaged> {
        self.builder.clear();
        let known = self.series.len();
        // New series of this list, which have no reference yet, and the number of each item of the builder.
        let (mut fresh, mut numbers, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let (mut place, mut end) = (0u32, 1u64);
        for _ in 0..input.count()? {
            let head = input.number()?;
            let length = usize::try_from(head >> 1).unwrap_or(usize::MAX);
            if length > MOST_SERIES || place as usize + length > MOST_SERIES {
                return Err(Damaged("a list has too many series"));
            }
            if head & 1 == 0 {
                for _ in 0..length {
                    let labels = input.bytes()?;
                    check_labels(labels)?;
                    let family = self.read_family(input)?;
                    fresh.push((labels, family));
                    numbers.push(known + fresh.len());
                    places.push(place);
                    self.builder.encoded(Labels::of_encoded(labels), family);
                    place += 1;
                }
                end = (known + fresh.len()) as u64 + 1;
                continue;
            }
            let first = input.difference(end)?;
            let behind = first.checked_add(length as u64);
            let total = (known + fresh.len()) as u64;
            let Some(behind) = behind.filter(|behind| first >= 1 && *behind <= total + 1) else {
                return Err(Damaged("a list names series that its segment has not defined"));
            };
            for number in first as usize..behind as usize {
                match number.checked_sub(known + 1) {
                    Some(index) => {
                        let (labels, family) = fresh[index];
                        self.builder.encoded(Labels::of_encoded(labels), family);
                    }
                    None => match self.series[number - 1] {
                        Some(series) => self.builder.known(series),
                        None => {
                            place += 1;
                            continue;
                        }
                    },
                }
                numbers.push(number);
                places.push(place);
                place += 1;
            }
            end = behind;
        }
        let resolved = self.table.resolve_stored(&self.builder);
        let mut refused = resolved.refused.iter().peekable();
        let mut kept = Vec::with_capacity(places.len());
        self.series.resize(known + fresh.len(), None);
        for (item, (number, place)) in numbers.into_iter().zip(places).enumerate() {
            if refused.next_if(|refused| **refused == item).is_none() {
                self.series[number - 1] = Some(resolved.list.refs()[kept.len()]);
                kept.push(place);
            }
        }
        let kept = (kept.len() < place as usize).then(|| kept.into());
        Ok(Listed { list: resolved.list, length: place as usize, kept })
    }

    fn read_family(&mut self, input: &mut Input<'_>) -> Result<FamilyId, Damaged> {
        match input.number()? {
            0 => Ok(FamilyId::default()),
            1 => {
                let family = Family {
                    name: input.text()?.into(),
                    kind: kind_of(input.byte()?)?,
                    help: input.text()?.into(),
                    unit: input.text()?.into(),
                };
                let id = self.table.family(&family);
                self.families.push(id);
                Ok(id)
            }
            number => defined(&self.families, number - 1).copied(),
        }
    }
}

/// Labels are spliced into requests as they are, so they must be what encoders of labels write.
fn check_labels(encoded: &[u8]) -> Result<(), Damaged> {
    let mut labels = Labels::of_encoded(encoded).iter();
    while labels.next().is_some() {}
    if labels.rest().is_empty() { Ok(()) } else { Err(Damaged("a series has labels that cannot be read")) }
}

fn read_selection(input: &mut Input<'_>, length: usize) -> Result<Selection, Damaged> {
    if input.byte()? == 0 {
        return Ok(Selection::all(length));
    }
    let bits = input.take(length.div_ceil(8))?;
    let mut selection = Selection::none(length);
    (0..length).filter(|index| bits[index / 8] >> (index % 8) & 1 == 1).for_each(|index| selection.insert(index));
    Ok(selection)
}

fn read_columns(
    input: &mut Input<'_>,
    listed: &Listed,
    selected: &Selection,
    columns: &mut Samples,
) -> Result<(), Damaged> {
    let time = UnixMillis(input.difference(0)?.cast_signed());
    columns.time = time;
    if input.byte()? != 0 {
        columns.times.resize(listed.list.len(), time);
        for place in selected.iter() {
            let own = read_time(input, time)?;
            if let Some(index) = listed.place(place) {
                columns.times[index] = own;
            }
        }
    }
    let lengths = input.take(selected.count().div_ceil(2))?;
    columns.values.resize(listed.list.len(), 0.0);
    for (at, place) in selected.iter().enumerate() {
        let length = usize::from(lengths[at / 2] >> (at % 2 * 4) & 0xF);
        if length > 8 {
            return Err(Damaged("a value is too long"));
        }
        let mut bits = [0; 8];
        bits[..length].copy_from_slice(input.take(length)?);
        if let Some(index) = listed.place(place) {
            columns.values[index] = f64::from_bits(u64::from_be_bytes(bits));
        }
    }
    let mut last = None;
    for _ in 0..input.count()? {
        let place = next_place(input, listed, &mut last, false)?;
        let histogram = read_histogram(input)?;
        if let Some(index) = listed.place(place) {
            columns.histograms.push((index as u32, Arc::new(histogram)));
        }
    }
    last = None;
    for _ in 0..input.count()? {
        let place = next_place(input, listed, &mut last, true)?;
        let labels = input.bytes()?;
        check_labels(labels)?;
        let value = f64::from_bits(input.u64()?);
        let own = if input.byte()? == 0 { None } else { Some(read_time(input, time)?) };
        if let Some(index) = listed.place(place) {
            let start = columns.text.len() as u32;
            columns.text.extend_from_slice(labels);
            let labels = start..columns.text.len() as u32;
            columns.exemplars.push(Exemplar { sample: index as u32, labels, value, time: own });
        }
    }
    last = None;
    for _ in 0..input.count()? {
        let place = next_place(input, listed, &mut last, false)?;
        let created = read_time(input, time)?;
        if let Some(index) = listed.place(place) {
            columns.created.push((index as u32, created));
        }
    }
    Ok(())
}

/// The place of the next sample that something is said about: ascending, the same again only with `repeats`.
fn next_place(
    input: &mut Input<'_>,
    listed: &Listed,
    last: &mut Option<usize>,
    repeats: bool,
) -> Result<usize, Damaged> {
    let place: usize = input.small()?;
    let ascends = last.is_none_or(|last| place > last || (repeats && place == last));
    if place >= listed.length || !ascends {
        return Err(Damaged("a batch says something about a sample that it has not"));
    }
    *last = Some(place);
    Ok(place)
}

fn read_time(input: &mut Input<'_>, from: UnixMillis) -> Result<UnixMillis, Damaged> {
    Ok(UnixMillis(input.difference(from.0.cast_unsigned())?.cast_signed()))
}

fn read_signed(input: &mut Input<'_>) -> Result<i64, Damaged> {
    Ok(input.difference(0)?.cast_signed())
}

fn read_small(input: &mut Input<'_>) -> Result<i32, Damaged> {
    i32::try_from(read_signed(input)?).map_err(|_| Damaged("a number is too large"))
}

fn read_double(input: &mut Input<'_>) -> Result<f64, Damaged> {
    Ok(f64::from_bits(input.u64()?))
}

fn read_all<T>(input: &mut Input<'_>, one: impl Fn(&mut Input<'_>) -> Result<T, Damaged>) -> Result<Vec<T>, Damaged> {
    (0..input.count()?).map(|_| one(input)).collect()
}

fn read_histogram(input: &mut Input<'_>) -> Result<Histogram, Damaged> {
    let span = |input: &mut Input<'_>| Ok(BucketSpan { offset: read_small(input)?, length: input.small()? });
    let schema = read_small(input)?;
    let (zero_threshold, sum) = (read_double(input)?, read_double(input)?);
    let reset_hint = match input.byte()? {
        0 => ResetHint::Unknown,
        1 => ResetHint::Yes,
        2 => ResetHint::No,
        3 => ResetHint::Gauge,
        _ => return Err(Damaged("a histogram has an unknown hint")),
    };
    let (positive_spans, negative_spans) = (read_all(input, span)?, read_all(input, span)?);
    let custom_bounds = read_all(input, read_double)?;
    let counts = match input.byte()? {
        0 => Counts::Integer {
            count: input.number()?,
            zero: input.number()?,
            positive: read_all(input, read_signed)?,
            negative: read_all(input, read_signed)?,
        },
        1 => Counts::Float {
            count: read_double(input)?,
            zero: read_double(input)?,
            positive: read_all(input, read_double)?,
            negative: read_all(input, read_double)?,
        },
        _ => return Err(Damaged("a histogram counts in an unknown way")),
    };
    Ok(Histogram { schema, zero_threshold, sum, counts, positive_spans, negative_spans, custom_bounds, reset_hint })
}

fn kind_of(number: u8) -> Result<MetricKind, Damaged> {
    const KINDS: [MetricKind; 8] = [
        MetricKind::Unknown,
        MetricKind::Counter,
        MetricKind::Gauge,
        MetricKind::Histogram,
        MetricKind::GaugeHistogram,
        MetricKind::Summary,
        MetricKind::Info,
        MetricKind::StateSet,
    ];
    KINDS.get(usize::from(number)).copied().ok_or(Damaged("a metric is of an unknown kind"))
}
