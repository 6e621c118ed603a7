//! Remote write 1.0. A series' labels stand in the series table as they stand in a request: a sample is one
//! copy of them and a number.
//!
//! External labels are spliced in: where, is worked out once a series and kept as two bytes a label. Labels
//! that relabelling changed are kept whole.

use super::body::Body;
use super::column::{Arena, Column};
use super::histogram;
use super::out::{SAMPLE_ROOM, SampleField, VARINT, put_varint, varint_len};
use super::{EncodeOptions, Extra, Point, WritePoint};
use crate::data::labels::encode_label;
use crate::data::metrics::Exemplar;
use crate::data::series_table::Series;
use crate::data::{LabelSet, Labels, MetricBatch, SeriesRef, UnixMillis};
use crate::formats::protobuf::{push_bytes, push_double, push_message, push_uint};

/// Writes `prometheus.WriteRequest`.
#[derive(Debug)]
pub struct EncoderV1 {
    options: EncodeOptions,
    /// What becomes of each series: one of the constants below, or the place of what is kept for it.
    column: Column,
    /// Length and bytes of labels that were changed.
    changed: Arena<u8>,
    /// Where external labels go: for each its distance from the beginning of the labels.
    places: Arena<u16>,
    /// The external labels, encoded, and where each begins.
    external: Vec<u8>,
    starts: Vec<usize>,
    /// By family: the period in which its metadata was sent last.
    told: Vec<u32>,
    period: u32,
    sample: SampleField,
    set: LabelSet,
    scratch: Vec<u8>,
}

/// The series is not sent.
const DROPPED: u32 = 1;
/// The labels are sent as they are.
const AS_IS: u32 = 2;
/// A place of changed labels is doubled and one more than this, one of external labels two more.
const FIRST_PLACE: u32 = 2;

/// An external label that the series has itself.
const HAS_IT: u16 = u16::MAX;

/// What becomes of a series.
enum Sent<'a> {
    AsIs(&'a [u8]),
    Spliced(&'a [u8], &'a [u16]),
}

impl EncoderV1 {
    /// An encoder that knows no series yet.
    pub fn new(options: EncodeOptions) -> Self {
        let (mut external, mut starts) = (Vec::new(), Vec::new());
        for (name, value) in &options.external {
            starts.push(external.len());
            encode_label(name.as_bytes(), value.as_bytes(), &mut external);
        }
        starts.push(external.len());
        Self {
            options,
            column: Column::default(),
            changed: Arena::new(),
            places: Arena::new(),
            external,
            starts,
            told: Vec::new(),
            period: 1,
            sample: SampleField::new(),
            set: LabelSet::new(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn is_worn(&self) -> bool {
        self.column.is_worn() || self.changed.is_full() || self.places.is_full()
    }

    pub(super) fn renew(&mut self) {
        self.column.clear();
        self.changed.clear();
        self.places.clear();
    }

    pub(super) fn repeat_metadata(&mut self) {
        self.period += 1;
    }

    pub(super) fn bytes(&self) -> usize {
        self.column.bytes() + self.changed.bytes() + self.places.bytes() + 4 * self.told.capacity()
    }

    fn state(&mut self, of: SeriesRef, own: Labels<'_>, series: &Series<'_>) -> u32 {
        match self.column.get(of) {
            0 => self.resolve(of, own, series),
            known => known,
        }
    }

    /// Works out what becomes of a series.
    #[cold]
    fn resolve(&mut self, of: SeriesRef, own: Labels<'_>, series: &Series<'_>) -> u32 {
        self.set.clear();
        self.set.extend(own.iter());
        let relabelled = self.options.relabel.is_some();
        let state = if !self.options.apply(&mut self.set) {
            DROPPED
        } else {
            self.scratch.clear();
            self.set.encode(&mut self.scratch);
            let places = self.places_in(own);
            let same = !relabelled || {
                let mut spliced =
                    vec![0; own.encoded().len() + places.as_deref().map_or(0, |places| self.added(places))];
                if let Some(places) = &places {
                    splice(own.encoded(), places, &self.external, &self.starts, &mut spliced);
                }
                places.is_some() && spliced == self.scratch
            };
            match places {
                Some(places) if same && places.iter().all(|place| *place == HAS_IT) => AS_IS,
                Some(places) if same => {
                    self.places.keep(places.into_iter()).map_or(DROPPED, |place| FIRST_PLACE + 2 * place + 2)
                }
                _ => {
                    let length = (self.scratch.len() as u32).to_le_bytes();
                    let kept: Vec<u8> = length.into_iter().chain(self.scratch.iter().copied()).collect();
                    self.changed.keep(kept.into_iter()).map_or(DROPPED, |place| FIRST_PLACE + 2 * place + 1)
                }
            }
        };
        self.column.set(of, state, series.slots());
        state
    }

    /// Where external labels go; `None` where the labels are too long to say it in two bytes.
    fn places_in(&self, own: Labels<'_>) -> Option<Vec<u16>> {
        let whole = own.encoded().len();
        let place = |(name, _): &(String, String)| {
            let mut labels = own.iter();
            loop {
                let at = whole - labels.rest().len();
                match labels.next() {
                    Some((known, _)) if known < name.as_str() => {}
                    Some((known, _)) if known == name => return Some(HAS_IT),
                    _ => return u16::try_from(at).ok().filter(|at| *at != HAS_IT),
                }
            }
        };
        self.options.external.iter().map(place).collect()
    }

    fn added(&self, places: &[u16]) -> usize {
        let lengths = self.starts.windows(2).map(|pair| pair[1] - pair[0]);
        places.iter().zip(lengths).filter(|(place, _)| **place != HAS_IT).map(|(_, length)| length).sum()
    }

    /// Appends the metadata of a family.
    #[cold]
    fn tell(&mut self, index: usize, series: &Series<'_>, of: SeriesRef, head: &mut Vec<u8>) {
        if self.told.len() <= index {
            self.told.resize(index + 1, 0);
        }
        self.told[index] = self.period;
        let family = series.family(of);
        if family.name.is_empty() {
            return;
        }
        push_message(3, head, |head| {
            push_uint(1, family.kind as u64, head);
            push_bytes(2, family.name.as_bytes(), head);
            push_bytes(4, family.help.as_bytes(), head);
            push_bytes(5, family.unit.as_bytes(), head);
        });
    }
}

impl WritePoint for EncoderV1 {
    #[inline]
    fn write(&mut self, point: &Point<'_>, body: &mut Body) -> bool {
        let Point { batch, series, of, time, value, extra } = *point;
        let own = series.labels(of);
        let plain = self.external.is_empty() && self.options.relabel.is_none();
        let state = if plain { AS_IS } else { self.state(of, own, series) };
        if state == DROPPED {
            return false;
        }
        let sent = match state {
            AS_IS => Sent::AsIs(own.encoded()),
            place if (place - FIRST_PLACE) % 2 == 1 => {
                let kept = self.changed.from((place - FIRST_PLACE) / 2);
                let length = u32::from_le_bytes([kept[0], kept[1], kept[2], kept[3]]) as usize;
                Sent::AsIs(&kept[4..4 + length])
            }
            place => {
                let kept = self.places.from((place - FIRST_PLACE) / 2 - 1);
                Sent::Spliced(own.encoded(), &kept[..self.starts.len() - 1])
            }
        };
        let extra = extra.filter(Extra::is_more_than_a_number);
        let field = match extra {
            None => self.sample.prepare(time.0),
            Some(extra) => {
                let (scratch, exemplars) = (&mut self.scratch, &mut body.counts.exemplars);
                scratch.clear();
                rest(batch, &self.options, &extra, time, value, scratch, exemplars);
                scratch.len()
            }
        };
        let labels = match &sent {
            Sent::AsIs(labels) => labels.len(),
            Sent::Spliced(labels, places) => labels.len() + self.added(places),
        };
        let content = labels + field;
        let whole = 1 + varint_len(content as u64) + content;
        // What is written of a sample may be longer than what counts.
        let room = body.series.room(whole + SAMPLE_ROOM + VARINT);
        room[0] = 0x0a;
        let mut at = 1;
        put_varint(content as u64, room, &mut at);
        match sent {
            Sent::AsIs(labels) => {
                room[at..at + labels.len()].copy_from_slice(labels);
            }
            Sent::Spliced(labels, places) => splice(labels, places, &self.external, &self.starts, &mut room[at..]),
        }
        at += labels;
        match extra {
            None => self.sample.write(value, &mut room[at..at + SAMPLE_ROOM]),
            Some(_) => room[at..at + field].copy_from_slice(&self.scratch),
        }
        body.series.advance(whole);
        if self.options.metadata {
            let family = series.family_id(of).index();
            if self.told.get(family) != Some(&self.period) {
                self.tell(family, series, of, &mut body.head);
            }
        }
        true
    }
}

/// Copies labels with the external ones in their places.
fn splice(labels: &[u8], places: &[u16], external: &[u8], starts: &[usize], room: &mut [u8]) {
    let (mut from, mut at) = (0, 0);
    let mut put = |bytes: &[u8]| {
        room[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    for (place, label) in places.iter().zip(starts.windows(2)) {
        if *place == HAS_IT {
            continue;
        }
        let place = usize::from(*place);
        put(&labels[from..place]);
        put(&external[label[0]..label[1]]);
        from = place;
    }
    put(&labels[from..]);
}

/// Appends a sample that has more than a number: what follows the labels in `TimeSeries`.
fn rest(
    batch: &MetricBatch,
    options: &EncodeOptions,
    extra: &Extra<'_>,
    time: UnixMillis,
    value: f64,
    out: &mut Vec<u8>,
    exemplars: &mut u64,
) {
    if extra.histogram.is_none() {
        push_message(2, out, |out| {
            push_double(1, value, out);
            push_uint(2, time.0 as u64, out);
        });
    }
    if options.exemplars {
        for exemplar in extra.exemplars.iter().filter(|exemplar| exemplar.leaves()) {
            push_message(3, out, |out| write_exemplar(batch, exemplar, time, out));
            *exemplars += 1;
        }
    }
    if let Some(histogram) = extra.histogram {
        push_message(4, out, |out| histogram::write(histogram, time, None, out));
    }
}

fn write_exemplar(batch: &MetricBatch, exemplar: &Exemplar, time: UnixMillis, out: &mut Vec<u8>) {
    out.extend_from_slice(batch.exemplar_labels(exemplar).encoded());
    push_double(2, exemplar.value, out);
    push_uint(3, exemplar.time.unwrap_or(time).0 as u64, out);
}
