//! Varints, texts and the reading of them from bytes that may be anything.

use super::Damaged;
use crate::data::Slice;

/// Appends a varint.
pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends the difference of two numbers, small ones of either sign in few bytes; it wraps around.
pub fn put_difference(out: &mut Vec<u8>, from: u64, to: u64) {
    let difference = to.wrapping_sub(from).cast_signed();
    put(out, (difference << 1 ^ difference >> 63).cast_unsigned());
}

/// Appends a text.
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// A name without a definition, or with one that is forgotten.
pub const UNDEFINED: Damaged = Damaged("a record names what its segment has not defined");

/// What was defined earlier in the segment under `number`, which begins at 1.
pub fn defined<T>(known: &[T], number: u64) -> Result<&T, Damaged> {
    let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    index.and_then(|index| known.get(index)).ok_or(UNDEFINED)
}

const SHORT: Damaged = Damaged("a record ends early");

/// Bytes being read.
#[derive(Debug)]
pub struct Input<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    /// Reads from the start.
    pub fn new(whole: &'a [u8]) -> Self {
        Self { whole, at: 0 }
    }

    /// Where the next byte stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.at == self.whole.len()
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        let byte = *self.whole.get(self.at).ok_or(SHORT)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let taken = self.whole.get(self.at..).and_then(|rest| rest.get(..length)).ok_or(SHORT)?;
        self.at += length;
        Ok(taken)
    }

    /// The next bytes, as many as the array holds.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let taken = self.take(N)?;
        Ok(std::array::from_fn(|index| taken[index]))
    }

    /// A fixed number.
    pub fn u64(&mut self) -> Result<u64, Damaged> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A varint.
    pub fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged("a number is too long"))
    }

    /// A varint that must fit.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        T::try_from(self.number()?).map_err(|_| Damaged("a number is too large"))
    }

    /// The number that differs from `from` as [`put_difference`] wrote it.
    pub fn difference(&mut self, from: u64) -> Result<u64, Damaged> {
        let number = self.number()?;
        Ok(from.wrapping_add(number >> 1 ^ (number & 1).wrapping_neg()))
    }

    /// A number of things of which each takes a byte at least.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let count = self.small()?;
        if count > self.whole.len() - self.at { Err(SHORT) } else { Ok(count) }
    }

    /// A text's bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let length = self.small()?;
        self.take(length)
    }

    /// A text.
    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged("a text is not UTF-8"))
    }
}

/// Slices of one run of bytes, written so that one that stands behind the last costs little.
#[derive(Debug, Default)]
pub struct Slices {
    /// Where the last slice ended.
    at: u32,
}

impl Slices {
    /// Appends a slice.
    pub fn put(&mut self, out: &mut Vec<u8>, slice: Slice) {
        put(out, u64::from(slice.len));
        if slice.len > 0 {
            put_difference(out, u64::from(self.at), u64::from(slice.start));
            self.at = slice.start + slice.len;
        }
    }

    /// A slice of the `length` bytes that stand at `base` in chunk 0.
    pub fn read(&mut self, input: &mut Input<'_>, base: u32, length: u32) -> Result<Slice, Damaged> {
        const OUTSIDE: Damaged = Damaged("a slice leads out of its record");
        let len: u32 = input.small()?;
        if len == 0 {
            return Ok(Slice::EMPTY);
        }
        let start = u32::try_from(input.difference(u64::from(self.at))?).map_err(|_| OUTSIDE)?;
        let end = start.checked_add(len).filter(|end| *end <= length).ok_or(OUTSIDE)?;
        self.at = end;
        Ok(Slice::new(0, base + start, len))
    }
}
