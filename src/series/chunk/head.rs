//! The last samples of a series, to which others are appended until they are a chunk.

use std::sync::Arc;

use super::bits::{BitReader, BitWriter, GROWTH};
use super::floats::Form;
use super::{Chunk, Kind, MOST_BYTES, MOST_SAMPLES, Outline, floats, histograms};
use crate::data::histogram::Histogram;
use crate::data::metrics::SampleValue;
use crate::formats::segment::numbers::Input;
use crate::series::select::Columns;

/// Samples of a chunk that has fewer than [`FEW_BYTES`]: what a chunk takes beside its bytes is shared by more of them, and
/// they are read quickly.
const MOST_SMALL_SAMPLES: u16 = 480;

const FEW_BYTES: usize = 320;

/// The last samples of a series, still being written.
#[derive(Clone, Debug, Default)]
pub enum Head {
    /// None.
    #[default]
    Empty,
    /// Numbers.
    Floats(FloatHead),
    /// Native histograms.
    Histograms(Box<HistogramHead>),
}

/// Numbers being written.
#[derive(Clone, Debug)]
pub struct FloatHead {
    first: i64,
    state: floats::State,
    value: f64,
    bits: BitWriter,
}

/// Native histograms being written.
#[derive(Clone, Debug)]
pub struct HistogramHead {
    first: i64,
    state: histograms::State,
    bytes: Vec<u8>,
}

impl Head {
    /// Time of the last sample.
    #[inline]
    pub fn last(&self) -> Option<i64> {
        match self {
            Self::Empty => None,
            Self::Floats(head) => Some(head.state.last()),
            Self::Histograms(head) => Some(head.state.last()),
        }
    }

    /// Whether the last sample is this one, bit by bit.
    pub fn ends_with(&self, value: SampleValue<'_>) -> bool {
        match (self, value) {
            (Self::Floats(head), SampleValue::Float(value)) => head.value.to_bits() == value.to_bits(),
            (Self::Histograms(head), SampleValue::Histogram(histogram)) => {
                head.state.before().is_some_and(|before| is_same(before, histogram))
            }
            _ => false,
        }
    }

    /// What is known of the samples; none where there are none.
    pub fn outline(&self) -> Option<Outline> {
        let (first, last, count, kind) = match self {
            Self::Empty => return None,
            Self::Floats(head) => (head.first, head.state.last(), head.state.count(), Kind::of(head.state.form())),
            Self::Histograms(head) => (head.first, head.state.last(), head.state.count(), Kind::HISTOGRAMS),
        };
        Some(Outline { first, span: last.wrapping_sub(first) as u32, count, kind })
    }

    /// Whether a sample of this time and value belongs into another chunk: this one is full, or of another kind.
    #[inline]
    pub fn is_full_for(&self, time: i64, value: SampleValue<'_>) -> bool {
        match (self, value) {
            (Self::Empty, _) => false,
            (Self::Floats(head), SampleValue::Float(_)) => {
                let (count, bytes) = (head.state.count(), head.bits.len());
                (count >= MOST_SAMPLES && (bytes >= FEW_BYTES || count >= MOST_SMALL_SAMPLES))
                    || bytes >= MOST_BYTES
                    || is_far(head.first, time)
            }
            (Self::Histograms(head), SampleValue::Histogram(_)) => {
                head.state.count() >= MOST_SAMPLES || head.bytes.len() >= MOST_BYTES || is_far(head.first, time)
            }
            _ => true,
        }
    }

    /// Bytes of memory by which it may grow when a sample is put.
    #[inline]
    pub fn growth(&self, value: SampleValue<'_>) -> usize {
        match (self, value) {
            (Self::Floats(head), SampleValue::Float(_)) => head.bits.growth(),
            (_, SampleValue::Float(_)) => GROWTH,
            (Self::Histograms(head), SampleValue::Histogram(histogram)) => {
                let held = head.state.before().map_or(0, |before| before.bytes());
                head.missing(histogram) + histogram.bytes().saturating_sub(held)
            }
            (_, SampleValue::Histogram(histogram)) => {
                size_of::<HistogramHead>() + histograms::most_bytes(histogram) + histogram.bytes()
            }
        }
    }

    /// Appends a sample, later than the last one, to a head that is not full for it.
    #[inline]
    pub fn put(&mut self, time: i64, value: SampleValue<'_>) {
        match (&mut *self, value) {
            (Self::Floats(head), SampleValue::Float(value)) => head.put(time, value),
            (Self::Histograms(head), SampleValue::Histogram(histogram)) => head.put(time, histogram),
            (_, SampleValue::Float(value)) => {
                *self = Self::Floats(FloatHead::new(time, value));
            }
            (_, SampleValue::Histogram(histogram)) => {
                let mut head = HistogramHead { first: time, state: histograms::State::new(time), bytes: Vec::new() };
                head.put(time, histogram);
                *self = Self::Histograms(Box::new(head));
            }
        }
    }

    /// Ends the chunk and begins another with a sample, later than the last one.
    pub fn cut(&mut self, time: i64, value: SampleValue<'_>) -> Option<Chunk> {
        let outline = self.outline()?;
        let chunk = match self {
            Self::Empty => return None,
            Self::Floats(head) => {
                let bytes = head.bits.take_shared();
                if let SampleValue::Float(value) = value {
                    *head = FloatHead::new(time, value);
                } else {
                    *self = Self::Empty;
                    self.put(time, value);
                }
                Chunk { outline, bytes }
            }
            Self::Histograms(head) => {
                let bytes = Arc::from(&*head.bytes);
                if let SampleValue::Histogram(histogram) = value {
                    head.bytes.clear();
                    (head.first, head.state) = (time, histograms::State::new(time));
                    head.put(time, histogram);
                } else {
                    *self = Self::Empty;
                    self.put(time, value);
                }
                Chunk { outline, bytes }
            }
        };
        Some(chunk)
    }

    /// Ends the chunk, if there is one, and leaves none.
    pub fn end(&mut self) -> Option<Chunk> {
        let outline = self.outline()?;
        let mut bytes = Vec::new();
        self.copy_to(&mut bytes);
        *self = Self::Empty;
        Some(Chunk { outline, bytes: bytes.into() })
    }

    /// Appends the bytes of the samples to `out`.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => {}
            Self::Floats(head) => head.bits.copy_to(out),
            Self::Histograms(head) => out.extend_from_slice(&head.bytes),
        }
    }

    /// A head that goes on behind the samples of a chunk; none where its bytes cannot be read.
    pub fn resume(outline: Outline, bytes: &[u8]) -> Option<Self> {
        let Outline { first, count, kind, .. } = outline;
        if count == 0 {
            return Some(Self::Empty);
        }
        let head = match kind.form() {
            Some(form) => {
                let (mut state, mut reader, mut last) = (floats::State::new(form, first), BitReader::new(bytes), 0.0);
                state.read(&mut reader, count, |_, value| {
                    last = value;
                    true
                })?;
                let bits = BitWriter::resume(bytes, reader.at())?;
                Self::Floats(FloatHead { first, state, value: last, bits })
            }
            None => {
                let (mut state, mut input) = (histograms::State::new(first), Input::new(bytes));
                state.read(&mut input, count, |_| false, |_, _| {}).ok()?;
                let bytes = bytes[..input.at()].to_vec();
                Self::Histograms(Box::new(HistogramHead { first, state, bytes }))
            }
        };
        (head.last() == Some(outline.last())).then_some(head)
    }

    /// Bytes of memory beside the head itself.
    pub fn memory(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Floats(head) => head.bits.capacity(),
            Self::Histograms(head) => {
                let before = head.state.before().map_or(0, |before| before.bytes());
                size_of::<HistogramHead>() + head.bytes.capacity() + before
            }
        }
    }
}

/// Chunks are at most so long that their span is a number of 32 bits.
fn is_far(first: i64, time: i64) -> bool {
    time.saturating_sub(first) > i64::from(u32::MAX)
}

/// Whether two histograms are the same, bit by bit.
pub fn is_same(a: &Histogram, b: &Histogram) -> bool {
    if a.sum.is_nan() || b.sum.is_nan() {
        return a.sum.to_bits() == b.sum.to_bits() && {
            let (mut a, mut b) = (a.clone(), b.clone());
            (a.sum, b.sum) = (0.0, 0.0);
            a == b
        };
    }
    a == b
}

impl FloatHead {
    fn new(time: i64, value: f64) -> Self {
        let state = floats::State::new(Form::of(value, 0), time);
        let mut head = Self { first: time, state, value, bits: BitWriter::with_room() };
        head.state.put(&mut head.bits, time, value);
        head
    }

    #[inline]
    fn put(&mut self, time: i64, value: f64) {
        if !self.state.put(&mut self.bits, time, value) {
            self.write_again_for(value);
            self.state.put(&mut self.bits, time, value);
        }
        self.value = value;
    }

    /// Writes all samples again in a form that suits them and one more value.
    #[cold]
    fn write_again_for(&mut self, value: f64) {
        let mut columns = Columns::default();
        let mut bytes = Vec::new();
        self.bits.copy_to(&mut bytes);
        let form = self.state.form();
        let kind = Kind::of(form);
        Outline { first: self.first, span: u32::MAX, count: self.state.count(), kind }.read(
            &bytes,
            i64::MIN,
            i64::MAX,
            &mut columns,
        );
        let digits = if let Form::Decimals(digits) = form { digits } else { 0 };
        let mut form = Form::of(value, digits);
        loop {
            self.bits.clear();
            self.state = floats::State::new(form, self.first);
            let mut all = columns.times.iter().zip(&columns.values);
            let all = all.all(|(time, value)| self.state.put(&mut self.bits, *time, *value));
            if all {
                break;
            }
            form = Form::Bits;
        }
    }
}

impl HistogramHead {
    /// Bytes that are missing for a histogram, at the most.
    fn missing(&self, histogram: &Histogram) -> usize {
        histograms::most_bytes(histogram).saturating_sub(self.bytes.capacity() - self.bytes.len())
    }

    fn put(&mut self, time: i64, histogram: &Arc<Histogram>) {
        if self.missing(histogram) > 0 {
            self.bytes.reserve_exact(histograms::most_bytes(histogram));
        }
        self.state.put(&mut self.bytes, time, histogram);
    }
}
