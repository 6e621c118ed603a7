//! Errors of predictions as an adaptive Rice code, of which the module above tells the format.

use super::super::bits::{BitReader, BitWriter};

/// So many ones begin what does not fit a Rice code.
pub(super) const LONG: u32 = 6;

/// How long the errors have been lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths(
    /// Sixteen times the smoothed length in bits.
    i16,
);

impl Lengths {
    #[inline]
    fn low_bits(self) -> u32 {
        ((i32::from(self.0) + 8) / 16 - 1).max(0).cast_unsigned()
    }

    #[inline]
    fn learn(&mut self, folded: u64) {
        let length = (64 - folded.leading_zeros()) as i16;
        self.0 += (length * 16 - self.0) / 4;
    }
}

#[inline]
pub(super) fn fold(error: i64) -> u64 {
    (error << 1 ^ error >> 63).cast_unsigned()
}

#[inline]
pub(super) fn unfold(folded: u64) -> i64 {
    (folded >> 1 ^ (folded & 1).wrapping_neg()).cast_signed()
}

#[inline]
pub(super) fn put_error(bits: &mut BitWriter, lengths: &mut Lengths, error: i64, of_value: bool) {
    let folded = fold(error);
    let low = lengths.low_bits();
    lengths.learn(folded);
    let high = folded >> low;
    if high < u64::from(LONG) {
        let high = high as u32;
        bits.put((1 << (high + 1)) - 2, high + 1);
        bits.put(folded & ((1 << low) - 1), low);
        return;
    }
    bits.put_ones(LONG);
    let length = 64 - folded.leading_zeros();
    bits.put(u64::from(length - 1), if of_value { 7 } else { 6 });
    bits.put(folded, length);
}

/// What was written for an error.
pub(super) enum Written {
    Error(i64),
    Long,
}

#[inline]
pub(super) fn get_error(bits: &mut BitReader<'_>, lengths: &mut Lengths) -> Option<Written> {
    let low = lengths.low_bits();
    let high = bits.ones(LONG)?;
    if high == LONG {
        return Some(Written::Long);
    }
    let folded = u64::from(high) << low | bits.get(low)?;
    lengths.learn(folded);
    Some(Written::Error(unfold(folded)))
}

pub(super) fn get_long(bits: &mut BitReader<'_>, lengths: &mut Lengths) -> Option<i64> {
    let length = bits.get(6)? as u32 + 1;
    let folded = bits.get(length)?;
    lengths.learn(folded);
    Some(unfold(folded))
}
