//! How the samples of a chunk of numbers become bits.
//!
//! # Format
//!
//! Times are milliseconds. The first stands outside; each other one is predicted by when it is due ([`times`]), and the error
//! is written. Values are written in the first of these ways that fits all of a chunk:
//!
//! - as **decimals**: each value is a whole number of at most 53 bits, divided by 10, 100, … or 1, as expositions write
//!   them. The number's distance to the one before it (the first: to 0) is predicted by a trend, or as 0 while that has
//!   been the better guess, and the error is written. What is no such number (a staleness marker, an infinity) is
//!   written as it is, in between.
//! - as **bits**: the bits that differ from the value before, as Gorilla does (T. Pelkonen et al., "Gorilla: A Fast,
//!   Scalable, In-Memory Time Series Database", VLDB 2015): `0` for none; `10` and as many bits as the last time,
//!   in the same place; `11`, five bits with the number of zeros before them, six with their number less one, and them.
//!
//! Errors are folded to numbers without a sign and written as an adaptive Rice code: `n >> k` ones, a zero, and the lowest
//! `k` bits of `n`, where `k` follows the lengths of the last errors. Six ones begin what is longer: of a time, six bits
//! with its length less one, and it; of a value, a bit that says whether that follows (0), or 64 bits as they are (1).

mod rice;
mod times;

use super::bits::{BitReader, BitWriter};
use rice::{LONG, Lengths, Written, fold, get_error, get_long, put_error};
use times::Times;

/// How the values of a chunk are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As whole numbers, divided by this power of ten.
    Decimals(u8),
    /// As bits that differ.
    Bits,
}

/// Highest power of ten.
pub const MOST_DIGITS: u8 = 12;

const POWERS: [f64; MOST_DIGITS as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// Whole numbers up to here are the same as a double.
const MOST_WHOLE: f64 = (1u64 << 53) as f64;

impl Form {
    /// The first form, with at least so many digits, in which a value can be written.
    pub fn of(value: f64, digits: u8) -> Self {
        if !is_number(value) {
            return Self::Decimals(digits);
        }
        (digits..=MOST_DIGITS).find(|digits| whole(value, *digits).is_some()).map_or(Self::Bits, Self::Decimals)
    }
}

/// Whether it can be a decimal at all; what cannot does not make its chunk one of bits.
fn is_number(value: f64) -> bool {
    value.is_finite() && !(value == 0.0 && value.is_sign_negative())
}

/// The number that, divided by the power of ten, is the value bit by bit.
#[inline]
fn whole(value: f64, digits: u8) -> Option<i64> {
    let power = POWERS[usize::from(digits)];
    let scaled = (value * power).round_ties_even();
    if !(-MOST_WHOLE..=MOST_WHOLE).contains(&scaled) {
        return None;
    }
    let whole = scaled as i64;
    ((whole as f64 / power).to_bits() == value.to_bits()).then_some(whole)
}

/// The distance of a number to the one before it, as it has been lately. Reader and writer keep the same one.
#[derive(Clone, Copy, Debug, Default)]
struct Trend {
    /// Sixteen times the smoothed distance.
    smoothed: i64,
    /// Whether the last distance was quite another one: alone it changes nothing.
    strange: bool,
    began: bool,
}

impl Trend {
    #[inline]
    fn predicted(self) -> i64 {
        self.smoothed.wrapping_add(8) >> 4
    }

    #[inline]
    fn learn(&mut self, distance: i64) {
        let scaled = distance.wrapping_mul(16);
        let error = scaled.wrapping_sub(self.smoothed);
        let strange = error.unsigned_abs() > self.smoothed.unsigned_abs() >> 2;
        if !strange {
            self.smoothed = self.smoothed.wrapping_add(error / 4);
        } else if self.strange || !self.began {
            self.smoothed = scaled;
        }
        self.began = true;
        self.strange = strange;
    }
}

/// What decimals are predicted by.
#[derive(Clone, Copy, Debug, Default)]
struct Decimals {
    last: i64,
    trend: Trend,
    lengths: Lengths,
    /// Above zero while the trend has been the better guess than 0.
    trust: i16,
}

impl Decimals {
    #[inline]
    fn predicted(&self) -> i64 {
        if self.trust > 0 { self.trend.predicted() } else { 0 }
    }

    #[inline]
    fn learn(&mut self, distance: i64) {
        let length = |error: i64| (64 - fold(error).leading_zeros()) as i16;
        let better = length(distance) - length(distance.wrapping_sub(self.trend.predicted()));
        self.trust += better - self.trust / 8;
        self.trend.learn(distance);
    }

    #[inline]
    fn put(&mut self, bits: &mut BitWriter, number: Option<i64>, value: f64) {
        let Some(number) = number else {
            bits.put_ones(LONG + 1);
            bits.put(value.to_bits(), 64);
            return;
        };
        let distance = number.wrapping_sub(self.last);
        let error = distance.wrapping_sub(self.predicted());
        put_error(bits, &mut self.lengths, error, true);
        self.learn(distance);
        self.last = number;
    }

    #[inline]
    fn get(&mut self, bits: &mut BitReader<'_>, power: f64) -> Option<f64> {
        let error = match get_error(bits, &mut self.lengths)? {
            Written::Error(error) => error,
            Written::Long if bits.get(1)? == 1 => return bits.get(64).map(f64::from_bits),
            Written::Long => get_long(bits, &mut self.lengths)?,
        };
        let distance = error.wrapping_add(self.predicted());
        self.learn(distance);
        self.last = self.last.wrapping_add(distance);
        Some(self.last as f64 / power)
    }
}

/// What bits are compared with.
#[derive(Clone, Copy, Debug, Default)]
struct Differing {
    last: u64,
    leading: u8,
    /// Number of bits of the last difference that was written; 0 before the first.
    length: u8,
}

impl Differing {
    #[inline]
    fn put(&mut self, bits: &mut BitWriter, value: f64) {
        let difference = value.to_bits() ^ std::mem::replace(&mut self.last, value.to_bits());
        if difference == 0 {
            return bits.put(0, 1);
        }
        let (leading, trailing) = (difference.leading_zeros().min(31), difference.trailing_zeros());
        let behind = 64 - u32::from(self.leading) - u32::from(self.length);
        if self.length > 0 && leading >= u32::from(self.leading) && trailing >= behind {
            bits.put(0b10, 2);
            return bits.put(difference >> behind, u32::from(self.length));
        }
        let length = 64 - leading - trailing;
        (self.leading, self.length) = (leading as u8, length as u8);
        bits.put(0b11 << 11 | u64::from(leading) << 6 | u64::from(length - 1), 13);
        bits.put(difference >> trailing, length);
    }

    #[inline]
    fn get(&mut self, bits: &mut BitReader<'_>) -> Option<f64> {
        match bits.ones(2)? {
            0 => return Some(f64::from_bits(self.last)),
            1 if self.length == 0 => return None,
            1 => {}
            _ => {
                self.leading = bits.get(5)? as u8;
                self.length = bits.get(6)? as u8 + 1;
            }
        }
        let behind = 64u32.checked_sub(u32::from(self.leading) + u32::from(self.length))?;
        self.last ^= bits.get(u32::from(self.length))? << behind;
        Some(f64::from_bits(self.last))
    }
}

#[derive(Clone, Copy, Debug)]
enum Values {
    Decimals(Decimals),
    Bits(Differing),
}

impl Values {
    fn new(form: Form) -> Self {
        match form {
            Form::Decimals(_) => Self::Decimals(Decimals::default()),
            Form::Bits => Self::Bits(Differing::default()),
        }
    }
}

/// What is known behind the last sample of a chunk: where a writer goes on, and a reader.
#[derive(Clone, Copy, Debug)]
pub struct State {
    form: Form,
    count: u16,
    times: Times,
    values: Values,
}

impl State {
    /// Before the first sample of a chunk, which is of this time.
    pub fn new(form: Form, first: i64) -> Self {
        Self { form, count: 0, times: Times::new(first), values: Values::new(form) }
    }

    /// How values are written.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Number of samples so far.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Time of the last sample.
    pub fn last(&self) -> i64 {
        self.times.last
    }

    /// Writes a sample, later than the last one; or does nothing and says no where the form does not suit its value.
    #[inline]
    pub fn put(&mut self, bits: &mut BitWriter, time: i64, value: f64) -> bool {
        let number = match self.form {
            Form::Decimals(digits) => whole(value, digits),
            Form::Bits => None,
        };
        if number.is_none() && self.form != Form::Bits && is_number(value) {
            return false;
        }
        if self.count > 0 {
            self.times.put(bits, time);
        }
        self.count += 1;
        match &mut self.values {
            Values::Decimals(decimals) => decimals.put(bits, number, value),
            Values::Bits(differing) => differing.put(bits, value),
        }
        true
    }

    /// Reads `count` samples and shows them for as long as `show` wants; none where the bytes end before them.
    #[inline]
    pub fn read(&mut self, bits: &mut BitReader<'_>, count: u16, mut show: impl FnMut(i64, f64) -> bool) -> Option<()> {
        let power = match self.form {
            Form::Decimals(digits) => *POWERS.get(usize::from(digits))?,
            Form::Bits => 1.0,
        };
        for _ in 0..count {
            let time = if self.count == 0 { self.times.last } else { self.times.get(bits)? };
            self.count += 1;
            let value = match &mut self.values {
                Values::Decimals(decimals) => decimals.get(bits, power)?,
                Values::Bits(differing) => differing.get(bits)?,
            };
            if !show(time, value) {
                break;
            }
        }
        Some(())
    }
}
