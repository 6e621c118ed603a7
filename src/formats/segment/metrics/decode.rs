//! Reading: series go into the table, whatever its limit says, and lists come back as they were.

use std::sync::Arc;

use super::super::Damaged;
use super::super::definitions::{read_resource, recent};
use super::super::numbers::{Input, UNDEFINED, defined};
use super::super::window::Window;
use super::histogram::read_histogram;
use super::{Limits, SERIES, push_list};
use crate::data::labels::Labels;
use crate::data::metrics::{Exemplar, Family, Samples};
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList, SeriesRef, SeriesTable};
use crate::data::{MetricBatch, MetricBuilder, MetricKind, Resource, Selection, UnixMillis};

/// More series than a list can have.
const MOST_SERIES: usize = 8 << 20;

/// More descriptions of metrics than a table of series has.
const MOST_FAMILIES: usize = 1 << 20;

/// What the segment being read has defined.
#[derive(Debug)]
pub struct Decoder {
    table: Arc<SeriesTable>,
    resources: Window<Arc<Resource>>,
    lists: Window<Arc<SeriesList>>,
    groups: Window<Group>,
    families: Vec<FamilyId>,
    builder: ListBuilder,
}

/// The series that one list has defined. They are held here: the lists that name them may be forgotten before.
#[derive(Debug)]
struct Group {
    /// The number of the first.
    first: u64,
    series: Arc<SeriesList>,
}

impl Group {
    /// The number of the next series behind it.
    fn behind(&self) -> u64 {
        self.first + self.series.len() as u64
    }
}

impl Decoder {
    /// A decoder of a segment, whose series are in `table`.
    pub fn new(table: Arc<SeriesTable>, limits: Limits) -> Self {
        Self {
            table,
            resources: recent(),
            lists: Window::new(limits.lists),
            groups: Window::new(limits.series),
            families: Vec::new(),
            builder: ListBuilder::default(),
        }
    }

    /// Forgets everything: a new segment.
    pub fn reset(&mut self, limits: Limits) {
        *self = Self::new(self.table.clone(), limits);
    }

    /// Reads a batch.
    pub fn decode(&mut self, input: &mut Input<'_>) -> Result<MetricBatch, Damaged> {
        let resource = read_resource(input, &mut self.resources, false)?;
        let list = match input.number()? {
            0 => {
                let list = self.read_list(input)?;
                push_list(&mut self.lists, list.clone(), list.len(), drop);
                list
            }
            number => self.lists.get(number).ok_or(UNDEFINED)?.clone(),
        };
        let mut builder = MetricBuilder::new();
        let selected = read_selection(input, list.len())?;
        read_columns(input, list.len(), &selected, builder.samples())?;
        let mut batch = builder.build(resource, list);
        batch.selection = selected;
        Ok(batch)
    }

    fn read_list(&mut self, input: &mut Input<'_>) -> Result<Arc<SeriesList>, Damaged> {
        self.builder.clear();
        let first_new = self.groups.last_where(|_| true).map_or(1, Group::behind);
        // The new series of this list, which have no reference yet, and where each stands in the list.
        let (mut new, mut places, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut end = 1u64;
        for _ in 0..input.count()? {
            let head = input.number()?;
            let length = usize::try_from(head >> 1).unwrap_or(usize::MAX);
            if length > MOST_SERIES || self.builder.len() + length > MOST_SERIES {
                return Err(Damaged("a list has too many series"));
            }
            if head & 1 == 0 {
                for _ in 0..length {
                    let labels = input.bytes()?;
                    check_labels(labels)?;
                    let family = self.read_family(input)?;
                    bytes += SERIES + labels.len();
                    new.push((labels, family));
                    places.push(self.builder.len());
                    self.builder.encoded(Labels::of_encoded(labels), family);
                }
                end = first_new + new.len() as u64;
                continue;
            }
            let first = input.difference(end)?;
            let behind = first.checked_add(length as u64).filter(|behind| *behind <= first_new + new.len() as u64);
            let behind = behind.ok_or(UNDEFINED)?;
            for number in first..behind {
                match number.checked_sub(first_new) {
                    Some(index) => {
                        let (labels, family) = new[index as usize];
                        self.builder.encoded(Labels::of_encoded(labels), family);
                    }
                    None => self.builder.known(self.series(number).ok_or(UNDEFINED)?),
                }
            }
            end = behind;
        }
        let list = self.table.resolve_stored(&self.builder).list;
        if !new.is_empty() {
            let mut series = list.clone();
            if places.len() < list.len() {
                self.builder.clear();
                places.iter().for_each(|place| self.builder.known(list.refs()[*place]));
                series = self.table.resolve_stored(&self.builder).list;
            }
            self.groups.push(Group { first: first_new, series }, bytes, drop);
        }
        Ok(list)
    }

    /// The series of a number, if it is remembered.
    fn series(&self, number: u64) -> Option<SeriesRef> {
        let group = self.groups.last_where(|group| group.first <= number)?;
        group.series.refs().get(usize::try_from(number - group.first).ok()?).copied()
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
                if self.families.len() >= MOST_FAMILIES {
                    return Err(Damaged("a segment describes too many metrics"));
                }
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
    length: usize,
    selected: &Selection,
    columns: &mut Samples,
) -> Result<(), Damaged> {
    let time = UnixMillis(input.difference(0)?.cast_signed());
    columns.time = time;
    if input.byte()? != 0 {
        columns.times.resize(length, time);
        for index in selected.iter() {
            columns.times[index] = read_time(input, time)?;
        }
    }
    let lengths = input.take(selected.count().div_ceil(2))?;
    columns.values.resize(length, 0.0);
    for (at, index) in selected.iter().enumerate() {
        let length = usize::from(lengths[at / 2] >> (at % 2 * 4) & 0xF);
        if length > 8 {
            return Err(Damaged("a value is too long"));
        }
        let mut bits = [0; 8];
        bits[..length].copy_from_slice(input.take(length)?);
        columns.values[index] = f64::from_bits(u64::from_be_bytes(bits));
    }
    let mut last = None;
    for _ in 0..input.count()? {
        let sample = next_sample(input, length, &mut last, false)?;
        columns.histograms.push((sample, Arc::new(read_histogram(input)?)));
    }
    last = None;
    for _ in 0..input.count()? {
        let sample = next_sample(input, length, &mut last, true)?;
        let labels = input.bytes()?;
        check_labels(labels)?;
        let value = f64::from_bits(input.u64()?);
        let own = if input.byte()? == 0 { None } else { Some(read_time(input, time)?) };
        let start = columns.text.len() as u32;
        columns.text.extend_from_slice(labels);
        let labels = start..columns.text.len() as u32;
        columns.exemplars.push(Exemplar { sample, labels, line: 0..0, value, time: own });
    }
    last = None;
    for _ in 0..input.count()? {
        let sample = next_sample(input, length, &mut last, false)?;
        columns.created.push((sample, read_time(input, time)?));
    }
    Ok(())
}

/// The place of the next sample that something is said about: ascending, the same again only with `repeats`.
fn next_sample(input: &mut Input<'_>, length: usize, last: &mut Option<usize>, repeats: bool) -> Result<u32, Damaged> {
    let place: usize = input.small()?;
    let ascends = last.is_none_or(|last| place > last || (repeats && place == last));
    if place >= length || !ascends {
        return Err(Damaged("a batch says something about a sample that it has not"));
    }
    *last = Some(place);
    Ok(place as u32)
}

fn read_time(input: &mut Input<'_>, from: UnixMillis) -> Result<UnixMillis, Damaged> {
    Ok(UnixMillis(input.difference(from.0.cast_unsigned())?.cast_signed()))
}

fn kind_of(number: u8) -> Result<MetricKind, Damaged> {
    MetricKind::of_number(number).ok_or(Damaged("a metric is of an unknown kind"))
}
