//! Remote write 2.0. A series is the numbers of its pairs of name and value; a sample copies what the request
//! calls them. See [`symbols`](super::symbols).

use super::body::Body;
use super::column::{Arena, Column};
use super::histogram;
use super::out::{SAMPLE_ROOM, SampleField, VARINT, put_varint, varint_len};
use super::symbols::{CALLED, Local, METADATA, Symbols};
use super::{EncodeOptions, Extra, Point, WritePoint};
use crate::data::series_table::Series;
use crate::data::{LabelSet, MetricBatch, SeriesRef, UnixMillis};
use crate::formats::protobuf::{push_double, push_message, push_uint, push_varint};

/// Writes `io.prometheus.write.v2.Request`.
#[derive(Debug)]
pub struct EncoderV2 {
    options: EncodeOptions,
    /// What becomes of each series: [`DROPPED`], or the place of its pairs, plus [`FIRST_PLACE`].
    column: Column,
    /// The number of pairs, and their numbers.
    pairs: Arena<u32>,
    symbols: Symbols,
    sample: SampleField,
    set: LabelSet,
    scratch: Vec<u8>,
    numbers: Vec<u32>,
}

/// The series is not sent.
const DROPPED: u32 = 1;
const FIRST_PLACE: u32 = 2;

/// Bytes of a series beside pairs, sample and metadata: two tags and the lengths behind them.
const FRAME: usize = 2 + 2 * VARINT;

impl EncoderV2 {
    /// An encoder that knows no series yet.
    pub fn new(options: EncodeOptions) -> Self {
        Self {
            options,
            column: Column::default(),
            pairs: Arena::new(),
            symbols: Symbols::default(),
            sample: SampleField::new(),
            set: LabelSet::new(),
            scratch: Vec::new(),
            numbers: Vec::new(),
        }
    }

    pub(super) fn is_worn(&self) -> bool {
        self.column.is_worn() || self.pairs.is_full() || self.symbols.is_full()
    }

    pub(super) fn renew(&mut self) {
        self.column.clear();
        self.pairs.clear();
        self.symbols = Symbols::default();
    }

    pub(super) fn bytes(&self) -> usize {
        self.column.bytes() + self.pairs.bytes() + self.symbols.bytes()
    }

    /// Works out what becomes of a series.
    #[cold]
    fn resolve(&mut self, of: SeriesRef, series: &Series<'_>) -> u32 {
        self.set.clear();
        self.set.extend(series.labels(of).iter());
        let place = if self.options.apply(&mut self.set) {
            self.numbers.clear();
            self.numbers.push(self.set.len() as u32);
            for (name, value) in self.set.iter() {
                self.numbers.push(self.symbols.pair(name, value));
            }
            self.pairs.keep(self.numbers.iter().copied()).map_or(DROPPED, |place| place + FIRST_PLACE)
        } else {
            DROPPED
        };
        self.column.set(of, place, series.slots());
        place
    }
}

impl WritePoint for EncoderV2 {
    #[inline]
    fn write(&mut self, point: &Point<'_>, body: &mut Body) -> bool {
        let Point { batch, series, of, time, value, extra } = *point;
        let place = match self.column.get(of) {
            0 => self.resolve(of, series),
            known => known,
        };
        if place == DROPPED {
            return false;
        }
        let [count, pairs @ ..] = self.pairs.from(place - FIRST_PLACE) else { return false };
        let pairs = &pairs[..*count as usize];
        let sample = match extra {
            None => self.sample.prepare(time.0),
            Some(extra) => {
                self.scratch.clear();
                let (local, head) = (&mut body.local, &mut body.head);
                let out = &mut self.scratch;
                body.counts.exemplars +=
                    rest(batch, &self.options, &extra, time, value, local, &self.symbols, head, out);
                self.scratch.len()
            }
        };
        let room = body.series.room(FRAME + pairs.len() * CALLED + sample.max(SAMPLE_ROOM) + METADATA);
        // Both lengths are most often below 128; where one is not, what follows moves on.
        room[0] = 0x2a;
        room[2] = 0x0a;
        let mut at = 4;
        for pair in pairs {
            at += body.local.put_pair(*pair, &self.symbols, &mut body.head, &mut room[at..at + CALLED]);
        }
        let references = at - 4;
        match extra {
            None => self.sample.write(value, &mut room[at..at + SAMPLE_ROOM]),
            Some(_) => room[at..at + sample].copy_from_slice(&self.scratch),
        }
        at += sample;
        if self.options.metadata {
            let id = series.family_id(of);
            let family = series.family_of(id);
            let to = &mut room[at..at + METADATA];
            at += body.local.put_family(id.index(), family, &mut self.symbols, &mut body.head, to);
        }
        let content = at - 2;
        if content < 0x80 {
            room[1] = content as u8;
            room[3] = references as u8;
        } else {
            at = widen(room, references, at);
        }
        body.series.advance(at);
        true
    }
}

/// Makes room for lengths of more than one byte; returns where the series ends now.
#[cold]
fn widen(room: &mut [u8], references: usize, end: usize) -> usize {
    let inner = varint_len(references as u64);
    let content = end - 4 + 1 + inner;
    let outer = varint_len(content as u64);
    let begin = 2 + outer + inner;
    room.copy_within(4..end, begin);
    let mut at = 1;
    put_varint(content as u64, room, &mut at);
    room[at] = 0x0a;
    at += 1;
    put_varint(references as u64, room, &mut at);
    begin + end - 4
}

/// Appends a sample that has more than a number: samples, histograms and exemplars of `TimeSeries`. Returns how many exemplars
/// it has.
#[expect(clippy::too_many_arguments, reason = "the parts of a body and of an encoder that are free meanwhile")]
fn rest(
    batch: &MetricBatch,
    options: &EncodeOptions,
    extra: &Extra<'_>,
    time: UnixMillis,
    value: f64,
    local: &mut Local,
    symbols: &Symbols,
    head: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> u64 {
    match extra.histogram {
        None => push_message(2, out, |out| {
            push_double(1, value, out);
            push_uint(2, time.0 as u64, out);
            if let Some(start) = extra.created {
                push_uint(3, start.0 as u64, out);
            }
        }),
        Some(histogram) => push_message(3, out, |out| histogram::write(histogram, time, extra.created, out)),
    }
    if !options.exemplars {
        return 0;
    }
    let mut written = 0;
    for exemplar in extra.exemplars.iter().filter(|exemplar| exemplar.leaves()) {
        written += 1;
        push_message(4, out, |out| {
            push_message(1, out, |out| {
                for (name, label) in batch.exemplar_labels(exemplar).iter() {
                    for text in [name, label] {
                        push_varint(u64::from(local.text(text.as_bytes(), symbols, head)), out);
                    }
                }
            });
            push_double(2, exemplar.value, out);
            push_uint(3, exemplar.time.unwrap_or(time).0 as u64, out);
        });
    }
    written
}
