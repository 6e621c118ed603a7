//! Reading: series go into the table, whatever its limit says, and lists come back as they were.

use std::sync::Arc;

use super::super::Damaged;
use super::super::definitions::read_resource;
use super::super::numbers::{Input, defined};
use super::histogram::read_histogram;
use crate::data::labels::Labels;
use crate::data::metrics::{Exemplar, Family, Samples};
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList, SeriesRef, SeriesTable};
use crate::data::{MetricBatch, MetricBuilder, MetricKind, Resource, Selection, UnixMillis};

/// More series than a list can have.
const MOST_SERIES: usize = 8 << 20;

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
