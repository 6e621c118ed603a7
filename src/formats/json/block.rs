//! Sixty-four bytes at once as bit masks: bit `n` of a mask speaks of byte `n`. All that the structural
//! scan knows of a text it learns here.

use wide::u8x32;

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// Where a block has the bytes that JSON's structure is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Masks {
    /// `"`
    pub quote: u64,
    /// `\`
    pub backslash: u64,
    /// `{` and `[`
    pub open: u64,
    /// `}` and `]`
    pub close: u64,
    /// Bytes with bit 5 set: it tells braces from brackets.
    pub brace: u64,
    /// `:`
    pub colon: u64,
    /// `,`
    pub comma: u64,
    /// The space.
    pub space: u64,
    /// `0` to `9`
    pub digit: u64,
    /// Places behind the end of the text.
    pub beyond: u64,
}

/// What the blocks of a text have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    least: u8x32,
    union: u8x32,
}

impl Bytes {
    /// Of no text.
    #[inline]
    pub(super) fn new() -> Self {
        Self { least: u8x32::splat(0xff), union: u8x32::splat(0) }
    }

    /// Whether any byte was below 0x20.
    #[inline]
    pub(super) fn has_control(&self) -> bool {
        self.least.min(u8x32::splat(0x1f)).simd_eq(self.least).to_bitmask() != 0
    }

    /// Whether any byte was 0x80 or above.
    #[inline]
    pub(super) fn has_high(&self) -> bool {
        self.union.to_bitmask() != 0
    }
}

impl Masks {
    /// The masks of a block, whose bytes are also added to `bytes`.
    #[inline(always)]
    pub(super) fn of(block: &[u8; BLOCK], bytes: &mut Bytes) -> Self {
        let half = |at: usize| u8x32::new(std::array::from_fn(|n| block[at + n]));
        let (low, high) = (half(0), half(32));
        bytes.least = bytes.least.min(low.min(high));
        bytes.union = bytes.union | low | high;
        let mask = |low: u8x32, high: u8x32| u64::from(low.to_bitmask()) | u64::from(high.to_bitmask()) << 32;
        let is = |byte: u8| {
            let byte = u8x32::splat(byte);
            mask(low.simd_eq(byte), high.simd_eq(byte))
        };
        // Bit 5 is all that tells `{` from `[` and `}` from `]`.
        let bit = u8x32::splat(0x20);
        let (folded_low, folded_high) = (low | bit, high | bit);
        let folded = |byte: u8| {
            let byte = u8x32::splat(byte);
            mask(folded_low.simd_eq(byte), folded_high.simd_eq(byte))
        };
        let ten = u8x32::splat(9);
        let zero = u8x32::splat(b'0');
        let (digit_low, digit_high) = (low ^ zero, high ^ zero);
        let backslash = u8x32::splat(b'\\');
        let (backslash_low, backslash_high) = (low.simd_eq(backslash), high.simd_eq(backslash));
        let any_backslash = (backslash_low | backslash_high).to_bitmask() != 0;
        let (open, close) = (folded(b'{'), folded(b'}'));
        Self {
            quote: is(b'"'),
            backslash: if any_backslash { mask(backslash_low, backslash_high) } else { 0 },
            open,
            close,
            brace: if open | close != 0 { mask((low & bit).simd_eq(bit), (high & bit).simd_eq(bit)) } else { 0 },
            colon: is(b':'),
            comma: is(b','),
            space: is(b' '),
            digit: mask(digit_low.min(ten).simd_eq(digit_low), digit_high.min(ten).simd_eq(digit_high)),
            beyond: 0,
        }
    }

    /// The masks without their first `places`, for a block that begins before the bytes it is to tell of.
    #[inline]
    pub(super) fn without_first(self, places: u32) -> Self {
        if places == 0 {
            return self;
        }
        Self {
            quote: self.quote >> places,
            backslash: self.backslash >> places,
            open: self.open >> places,
            close: self.close >> places,
            brace: self.brace >> places,
            colon: self.colon >> places,
            comma: self.comma >> places,
            space: self.space >> places,
            digit: self.digit >> places,
            beyond: !0 << (64 - places),
        }
    }
}
