//! Sixty-four bytes at once as bit masks: bit `n` of a mask speaks of byte `n`. All that the structural
//! scan knows of a text it learns here.
//!
//! What a processor can do is asked once, while the agent runs: with AVX2 (nearly every server since 2015)
//! a block is two registers and the masks cost half. Elsewhere [`Portable`] takes what the build allows.

use wide::{i8x32, u8x32};

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// What is done to thirty-two bytes at once.
pub(super) trait Lanes: Copy {
    /// Thirty-two bytes.
    type Bytes: Copy;

    fn load(self, bytes: &[u8; 32]) -> Self::Bytes;
    fn all(self, byte: u8) -> Self::Bytes;
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    fn and(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Sums that wrap.
    fn add(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The lesser of each two.
    fn min(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// All ones where bytes are equal.
    fn equal(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// All ones where the first, taken as a number with sign, is greater.
    fn greater(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The highest bit of each byte.
    fn mask(self, bytes: Self::Bytes) -> u32;
}

/// The instructions that the build allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Lanes for Portable {
    type Bytes = u8x32;

    #[inline(always)]
    fn load(self, bytes: &[u8; 32]) -> u8x32 {
        u8x32::new(*bytes)
    }

    #[inline(always)]
    fn all(self, byte: u8) -> u8x32 {
        u8x32::splat(byte)
    }

    #[inline(always)]
    fn or(self, a: u8x32, b: u8x32) -> u8x32 {
        a | b
    }

    #[inline(always)]
    fn and(self, a: u8x32, b: u8x32) -> u8x32 {
        a & b
    }

    #[inline(always)]
    fn add(self, a: u8x32, b: u8x32) -> u8x32 {
        a + b
    }

    #[inline(always)]
    fn min(self, a: u8x32, b: u8x32) -> u8x32 {
        a.min(b)
    }

    #[inline(always)]
    fn equal(self, a: u8x32, b: u8x32) -> u8x32 {
        a.simd_eq(b)
    }

    #[inline(always)]
    fn greater(self, a: u8x32, b: u8x32) -> u8x32 {
        let (a, b): (i8x32, i8x32) = (a.cast_signed(), b.cast_signed());
        a.simd_gt(b).cast_unsigned()
    }

    #[inline(always)]
    fn mask(self, bytes: u8x32) -> u32 {
        bytes.to_bitmask()
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::__m256i;

    use super::Lanes;

    impl Lanes for pulp::x86::V3 {
        type Bytes = __m256i;

        #[inline(always)]
        fn load(self, bytes: &[u8; 32]) -> __m256i {
            pulp::cast(*bytes)
        }

        #[inline(always)]
        fn all(self, byte: u8) -> __m256i {
            self.avx._mm256_set1_epi8(byte.cast_signed())
        }

        #[inline(always)]
        fn or(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_or_si256(a, b)
        }

        #[inline(always)]
        fn and(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_and_si256(a, b)
        }

        #[inline(always)]
        fn add(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_add_epi8(a, b)
        }

        #[inline(always)]
        fn min(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_min_epu8(a, b)
        }

        #[inline(always)]
        fn equal(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_cmpeq_epi8(a, b)
        }

        #[inline(always)]
        fn greater(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_cmpgt_epi8(a, b)
        }

        #[inline(always)]
        fn mask(self, bytes: __m256i) -> u32 {
            self.avx2._mm256_movemask_epi8(bytes).cast_unsigned()
        }
    }
}

/// What the blocks of a text have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<L: Lanes> {
    lanes: L,
    least: L::Bytes,
    union: L::Bytes,
}

impl<L: Lanes> Seen<L> {
    /// Of no text.
    #[inline(always)]
    pub(super) fn new(lanes: L) -> Self {
        Self { lanes, least: lanes.all(0xff), union: lanes.all(0) }
    }

    /// Whether any byte was below 0x20.
    #[inline(always)]
    pub(super) fn has_control(&self) -> bool {
        let least = self.lanes.min(self.least, self.lanes.all(0x1f));
        self.lanes.mask(self.lanes.equal(least, self.least)) != 0
    }

    /// Whether any byte was 0x80 or above.
    #[inline(always)]
    pub(super) fn has_high(&self) -> bool {
        self.lanes.mask(self.union) != 0
    }
}

/// A block of text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<L: Lanes> {
    lanes: L,
    low: L::Bytes,
    high: L::Bytes,
    before: u32,
}

impl<L: Lanes> Block<L> {
    /// A block, whose bytes are also added to `seen`. Its first `before` bytes, fewer than 64, stand before
    /// what it is to tell of: masks begin behind them.
    #[inline(always)]
    pub(super) fn new(block: &[u8; BLOCK], before: u32, seen: &mut Seen<L>) -> Self {
        let lanes = seen.lanes;
        let (halves, _) = block.as_chunks::<32>();
        let (low, high) = (lanes.load(&halves[0]), lanes.load(&halves[1]));
        seen.least = lanes.min(seen.least, lanes.min(low, high));
        seen.union = lanes.or(seen.union, lanes.or(low, high));
        Self { lanes, low, high, before }
    }

    #[inline(always)]
    fn mask(&self, of: impl Fn(L::Bytes) -> L::Bytes) -> u64 {
        let (low, high) = (self.lanes.mask(of(self.low)), self.lanes.mask(of(self.high)));
        (u64::from(low) | u64::from(high) << 32) >> self.before
    }

    /// Where `byte` stands.
    #[inline(always)]
    pub(super) fn is(&self, byte: u8) -> u64 {
        let byte = self.lanes.all(byte);
        self.mask(|half| self.lanes.equal(half, byte))
    }

    /// Where `0` to `9`, the point and the minus stand.
    #[inline(always)]
    pub(super) fn of_numbers(&self) -> u64 {
        self.mask(|half| self.lanes.or(self.between(half, b'0', b'9'), self.between(half, b'-', b'.')))
    }

    /// Whether it may have brackets or backslashes: all of them and `|` lie in one row once bit 5 is set,
    /// which is all that tells brackets from braces.
    #[inline(always)]
    pub(super) fn has_rare(&self) -> bool {
        let bit = self.lanes.all(0x20);
        let rare = |half| self.between(self.lanes.or(half, bit), b'{', b'}');
        self.lanes.mask(self.lanes.or(rare(self.low), rare(self.high))) != 0
    }

    /// Where `{` and `[` stand, where `}` and `]` stand, and which of them are braces.
    #[inline(always)]
    pub(super) fn brackets(&self) -> (u64, u64, u64) {
        let bit = self.lanes.all(0x20);
        let folded = |byte| {
            let byte = self.lanes.all(byte);
            self.mask(|half| self.lanes.equal(self.lanes.or(half, bit), byte))
        };
        let brace = self.mask(|half| self.lanes.equal(self.lanes.and(half, bit), bit));
        (folded(b'{'), folded(b'}'), brace)
    }

    /// Places behind the end of the block.
    #[inline(always)]
    pub(super) fn beyond(&self) -> u64 {
        if self.before == 0 { 0 } else { !0 << (BLOCK as u32 - self.before) }
    }

    /// Which bytes lie between `from` and `to`, both ASCII: moved up until `to` is the greatest there is,
    /// they are greater than what was below `from`, and whatever was above `to` has become negative.
    #[inline(always)]
    fn between(&self, bytes: L::Bytes, from: u8, to: u8) -> L::Bytes {
        let up = 0x7f - to;
        let below = self.lanes.all(from + up - 1);
        self.lanes.greater(self.lanes.add(bytes, self.lanes.all(up)), below)
    }
}
