//! Bits in a row, the highest of each byte first.

use std::sync::Arc;

/// Appends bits to bytes. What does not fill eight bytes yet stands beside them.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// The bits behind `bytes`, from the highest on.
    pending: u64,
    /// How many.
    filled: u32,
}

impl BitWriter {
    /// An empty one that has room for a few samples.
    pub fn with_room() -> Self {
        Self { bytes: Vec::with_capacity(GROWTH), ..Self::default() }
    }

    /// Appends the lowest `count` bits, 64 at the most; the others must be zero.
    #[inline]
    pub fn put(&mut self, bits: u64, count: u32) {
        if count == 0 {
            return;
        }
        let free = 64 - self.filled;
        if count < free {
            self.pending |= bits << (free - count);
            self.filled += count;
            return;
        }
        let rest = count - free;
        if self.bytes.capacity() - self.bytes.len() < size_of::<u64>() {
            self.bytes.reserve_exact(GROWTH);
        }
        self.bytes.extend_from_slice(&(self.pending | bits >> rest).to_be_bytes());
        self.pending = if rest == 0 { 0 } else { bits << (64 - rest) };
        self.filled = rest;
    }

    /// Appends so many ones.
    #[inline]
    pub fn put_ones(&mut self, count: u32) {
        self.put((1 << count) - 1, count);
    }

    /// Number of bytes, the last one perhaps in part.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.filled.div_ceil(8) as usize
    }

    /// Bytes of memory beside the value itself.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes of memory that it grows by, at the most, when a sample comes.
    pub fn growth(&self) -> usize {
        let left = self.bytes.capacity() - self.bytes.len();
        if left >= ROOM { 0 } else { GROWTH }
    }

    /// Appends all of it to `out`.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(&self.pending.to_be_bytes()[..self.filled.div_ceil(8) as usize]);
    }

    /// All of it in memory of its own; none is kept here: most of it would wait long for its next use, in every series.
    pub fn take_shared(&mut self) -> Arc<[u8]> {
        self.bytes.extend_from_slice(&self.pending.to_be_bytes()[..self.filled.div_ceil(8) as usize]);
        let bytes = std::mem::take(self).bytes;
        Arc::from(bytes)
    }

    /// Forgets the bits and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.pending, self.filled) = (0, 0);
    }

    /// A writer that goes on behind the first `bits` of some bytes; none where there are fewer.
    pub fn resume(bytes: &[u8], bits: usize) -> Option<Self> {
        let bytes = bytes.get(..bits.div_ceil(8))?;
        let whole = bits / 64 * 8;
        let mut last = [0; 8];
        last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
        let filled = (bits % 64) as u32;
        let pending = if filled == 0 { 0 } else { u64::from_be_bytes(last) & !(u64::MAX >> filled) };
        Some(Self { bytes: bytes[..whole].to_vec(), pending, filled })
    }
}

/// Bytes that one sample may need: a time of 90 bits and a value of 77.
const ROOM: usize = 24;

/// Bytes that a writer grows by: few, since as much of it waits in every series.
pub const GROWTH: usize = 48;

/// Reads bits. All that it returns is none behind the end.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    rest: &'a [u8],
    pending: u64,
    /// How many bits of `pending` are there; those behind them are zero or what `rest` begins with.
    filled: u32,
    /// Number of all bits.
    all: usize,
}

impl<'a> BitReader<'a> {
    /// Reads from the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, pending: 0, filled: 0, all: bytes.len() * 8 }
    }

    /// Number of bits that were read.
    pub fn at(&self) -> usize {
        self.all - self.rest.len() * 8 - self.filled as usize
    }

    #[inline]
    fn refill(&mut self) {
        if let Some(next) = self.rest.first_chunk::<8>() {
            self.pending |= u64::from_be_bytes(*next) >> self.filled;
            let bytes = (63 - self.filled) / 8;
            self.rest = &self.rest[bytes as usize..];
            self.filled += bytes * 8;
            return;
        }
        while self.filled <= 56
            && let Some((next, rest)) = self.rest.split_first()
        {
            self.pending |= u64::from(*next) << (56 - self.filled);
            self.filled += 8;
            self.rest = rest;
        }
    }

    /// The next bits, 64 at the most.
    #[inline]
    pub fn get(&mut self, count: u32) -> Option<u64> {
        if count > 56 {
            let high = self.get(count - 32)?;
            return Some(high << 32 | self.get(32)?);
        }
        if self.filled < count {
            self.refill();
            if self.filled < count {
                return None;
            }
        }
        if count == 0 {
            return Some(0);
        }
        let bits = self.pending >> (64 - count);
        self.pending <<= count;
        self.filled -= count;
        Some(bits)
    }

    /// Takes ones, and the zero behind them unless there are `most`; returns their number. `most` is 32 at the most.
    #[inline]
    pub fn ones(&mut self, most: u32) -> Option<u32> {
        if self.filled <= most {
            self.refill();
        }
        let ones = self.pending.leading_ones().min(most);
        let taken = ones + u32::from(ones < most);
        if self.filled < taken {
            return None;
        }
        self.pending <<= taken;
        self.filled -= taken;
        Some(ones)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_come_back_as_they_were_put(puts in proptest::collection::vec((any::<u64>(), 0u32..=64, 0u32..=12), 0..60), cut in 0usize..60) {
            let mask = |bits: u64, count: u32| if count == 64 { bits } else { bits & ((1 << count) - 1) };
            let mut writer = BitWriter::default();
            for (at, (bits, count, ones)) in puts.iter().enumerate() {
                if at == cut {
                    let mut bytes = Vec::new();
                    writer.copy_to(&mut bytes);
                    let all = bytes.len() * 8 - (8 - writer.filled as usize % 8) % 8;
                    writer = BitWriter::resume(&bytes, all).expect("all of it");
                }
                writer.put(mask(*bits, *count), *count);
                writer.put_ones(*ones);
                if *ones < 12 {
                    writer.put(0, 1);
                }
            }
            let mut bytes = Vec::new();
            writer.copy_to(&mut bytes);
            prop_assert_eq!(bytes.len(), writer.len());
            let mut reader = BitReader::new(&bytes);
            let mut read = 0;
            for (bits, count, ones) in &puts {
                prop_assert_eq!(reader.get(*count), Some(mask(*bits, *count)));
                prop_assert_eq!(reader.ones(12), Some(*ones));
                read += (*count + *ones + u32::from(*ones < 12)) as usize;
                prop_assert_eq!(reader.at(), read);
            }
            prop_assert_eq!(reader.get(9), None);
        }
    }
}
