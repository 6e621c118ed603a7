//! What the store has, on disk, so that a restart does not leave rules without their past.
//!
//! # On disk, version 1
//!
//! ```text
//! data_dir/series/
//!   00000000000000000007.snapshot   all that came before generation 7 began
//!   00000000000000000007.journal    what came since
//!   00000000000000000008.journal    what came since generation 8 began; its snapshot is still being written, or was not
//! ```
//!
//! Both kinds of files are a header and frames. Fixed numbers are little endian; varints, texts and differences are those of
//! [`numbers`](crate::formats::segment::numbers).
//!
//! ```text
//! header      32 bytes
//!   magic       8 bytes  "TWSERIES"
//!   version     u16      1
//!   kind        u8       1 snapshot, 2 journal
//!   reserved    u8       0
//!   crc32c      u32      of the 28 other bytes of the header, in their order
//!   generation  u64
//!   begun       i64      milliseconds since 1970
//! frames, one behind the other, each
//!   crc32c      u32      of everything behind it
//!   length      u32      bytes of payload, at most 16 MiB
//!   payload     items, one behind the other, each a byte that says what it is, and:
//!
//! 1 series      (journal) number varint, series; defines the number anew
//! 2 list        (journal) count varint, and of each of its series the number's difference to the one before; it gets the
//!               next number, from 0 on
//! 3 of a list   (journal) number varint; u8 0: of all of its series; 1: a bit a series follows, the first in the lowest
//!               bit of the first byte; samples
//! 4 of others   (journal) count varint, numbers as in a list; samples
//! 5 kept        (snapshot) series; starts: count varint × { from, start: differences to the ones before }; chunks: count
//!               varint × { first: difference to the last time of the one before, from the first to the last varint,
//!               samples varint, kind u8, bytes text }, the newest last
//! 6 end         (snapshot) u64 the number of series; nothing follows
//!
//! series        labels text (as `data::labels` encodes them), u8 whether it is the result of a rule, u8 0: nothing is known
//!               of its metric; 1: name text, kind u8, help text, unit text
//! samples       of so many series: time of the first: difference to 0; u8 0: all are of that time; 1: the difference of
//!               each to it; half a byte for each value, how many bytes of it follow (the first in the low half); those
//!               bytes of each, the highest of the 64 bits first: the rest is zeros; native histograms: count varint ×
//!               { place varint, histogram as in a segment of the disk queue }; starts: count varint × { place varint,
//!               difference to the time of the first }
//! ```
//!
//! Chunks stand in a snapshot as they are in memory (`chunk::floats`, `chunk::histograms`), so that reading one is a copy;
//! kinds are 0 to 12 for decimals of so many digits, 32 for bits, 64 for histograms.
//!
//! Invariants:
//!
//! - What one batch brought is one frame: after a crash it is there as a whole or not at all.
//! - A journal names only what it has said in full; it stands for itself.
//! - Where a clock is set back, samples go that the journal has; it does not say so, and a new generation begins with a
//!   snapshot.
//! - A snapshot counts once its end is there. Only then are the files of earlier generations removed. What it has of the
//!   generation that began before it is there once more in the journal; reading a sample twice changes nothing.
//! - A file is written by the process that made it alone: whoever restores begins a new generation. After an error nothing
//!   more is written to a journal; a new generation begins with a snapshot.
//! - Damage ends a journal; in a snapshot, where a frame is known by its length, only that frame is lost. What is lost is
//!   counted in bytes and told. A file of an unknown version is set aside under another name, never deleted.
//! - Journals are forced to stable storage when the process ends: what the page cache holds survives a kill, and a power cut
//!   may take what the system had not written yet. Version N reads N − 1.

mod frames;
mod keeper;
mod place;
mod restore;
mod snapshot;
pub(super) mod write_ahead;

pub use frames::{FileKind, HEADER, begin_frame, end_frame, header};
pub use keeper::Keeper;
pub use place::{Place, Restored};

#[cfg(test)]
mod tests;
