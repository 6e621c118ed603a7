//! What is known of a chunk without reading it, and by which it is read.

use super::bits::BitReader;
use super::floats::{Form, MOST_DIGITS};
use super::{floats, histograms};
use crate::formats::segment::numbers::Input;
use crate::series::select::Columns;

/// What the samples of a chunk are, as one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(u8);

impl Kind {
    pub(super) const BITS: Self = Self(32);
    pub(super) const HISTOGRAMS: Self = Self(64);

    pub(super) fn of(form: Form) -> Self {
        match form {
            Form::Decimals(digits) => Self(digits),
            Form::Bits => Self::BITS,
        }
    }

    /// The kind of a number that [`Self::number`] gave.
    pub fn of_number(number: u8) -> Option<Self> {
        let known = number <= MOST_DIGITS || number == Self::BITS.0 || number == Self::HISTOGRAMS.0;
        known.then_some(Self(number))
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    pub(super) fn form(self) -> Option<Form> {
        match self {
            Self::HISTOGRAMS => None,
            Self::BITS => Some(Form::Bits),
            Self(digits) => Some(Form::Decimals(digits)),
        }
    }
}

/// What is known of a chunk without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Time of the first sample.
    pub first: i64,
    /// From there to the last one.
    pub span: u32,
    /// Number of samples.
    pub count: u16,
    /// What they are.
    pub kind: Kind,
}

impl Outline {
    /// Time of the last sample.
    pub fn last(&self) -> i64 {
        self.first.saturating_add(i64::from(self.span))
    }

    /// Whether a sample may be later than `after` and not later than `until`.
    pub fn is_within(&self, after: i64, until: i64) -> bool {
        self.first <= until && self.last() > after
    }

    /// Appends those samples of the chunk to columns that are later than `after` and not later than `until`.
    pub fn read(&self, bytes: &[u8], after: i64, until: i64, columns: &mut Columns) {
        let Some(form) = self.kind.form() else { return self.read_histograms(bytes, after, until, columns) };
        let (times, values) = (&mut columns.times, &mut columns.values);
        // Bytes that end early are damaged ones: what stands before that is shown.
        let _ = floats::State::new(form, self.first).read(&mut BitReader::new(bytes), self.count, |time, value| {
            if time > until {
                return false;
            }
            if time > after {
                times.push(time);
                values.push(value);
            }
            true
        });
    }

    fn read_histograms(&self, bytes: &[u8], after: i64, until: i64, columns: &mut Columns) {
        let wanted = |time| time > after && time <= until;
        // So it is here.
        let _ =
            histograms::State::new(self.first).read(&mut Input::new(bytes), self.count, wanted, |time, histogram| {
                columns.histograms.push((columns.times.len() as u32, histogram.clone()));
                columns.times.push(time);
                columns.values.push(0.0);
            });
    }
}
