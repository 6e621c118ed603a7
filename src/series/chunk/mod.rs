//! Samples of one series in a row, compressed: a [`Chunk`] that is whole and never changes, and the [`Head`] that is still
//! written. How samples become bytes is told in [`floats`] and [`histograms`].
//!
//! A chunk says of itself when its first and its last sample are, how many there are and how they are written; its
//! bytes are shared, so that a reader holds them without a copy. Bytes that are none of ours, such as damaged ones, are
//! read up to where they make no sense.

mod bits;
mod floats;
mod head;
mod histograms;
mod outline;

use std::sync::Arc;

pub use head::{Head, is_same};
pub use outline::{Kind, Outline};

/// Samples of a chunk, where they do not take very little.
pub const MOST_SAMPLES: u16 = 120;

/// A chunk is full once it has so many bytes.
pub const MOST_BYTES: usize = 4 << 10;

/// What allocators and counters add to the bytes of a chunk.
const SHARED: usize = 24;

/// Samples that are whole and never change.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// What is known of it.
    pub outline: Outline,
    /// Its samples.
    pub bytes: Arc<[u8]>,
}

impl Chunk {
    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + Self::memory_of(self.bytes.len())
    }

    /// What so many bytes of samples take beside the chunk itself.
    pub const fn memory_of(bytes: usize) -> usize {
        SHARED + bytes
    }
}

#[cfg(test)]
mod tests;
