//! Samples in a segment. Label sets stand in it once: a series is defined by the first list that has it, a list
//! by the first record that has it, and a record of a list that is known is little more than its values.
//!
//! ```text
//! resource    as in `logs`
//! list        varint 0: it follows and gets the next number; else a number
//! selected    u8 0: all; 1: a bit a series of the list follows, the first in the lowest bit of the first byte
//! time        difference to 0, in milliseconds
//! times       u8 0: none; 1: for each selected sample its difference to `time`
//! values      for each selected sample half a byte, how many bytes of it follow (first sample in the low half);
//!             then those bytes of each, the highest of the 64 bits first: the rest is zeros
//! histograms  varint count × { sample, histogram }
//! exemplars   varint count × { sample, labels text, value u64, u8 0 or 1 and the time's difference to `time` }; no lines,
//!             which are for alerts of this process and go through no disk queue
//! created     varint count × { sample, difference to `time` }
//!
//! sample      varint, its place in the list
//! list        varint count × run
//! run         varint length × 2 + 1: series with numbers in a row, the difference of the first to the end of the
//!             run before; length × 2: so many new series, which get the next numbers
//! series      labels text (as `data::labels` encodes them), family
//! family      varint 0: nothing is known; 1: name text, kind u8, help text, unit text, which gets the next number;
//!             else number + 1
//! histogram   schema difference, zero threshold u64, sum u64, reset hint u8, spans × 2, custom bounds (varint count
//!             × u64), u8 0: integers: count varint, zero varint, buckets × 2 (varint count × difference to 0);
//!             1: doubles: count u64, zero u64, buckets × 2 (varint count × u64)
//! spans       varint count × { offset difference, length varint }
//! ```
//!
//! What was defined lately may be named, and nothing else, so that memory does not grow with the segment. A list
//! counts 128 bytes and 8 for each series of it; of lists the newest are remembered that count 16 MiB together. Series
//! are forgotten as they were defined, all new ones of a list at once; each counts 48 bytes and its labels, and the
//! newest are remembered that count 64 MiB together. What was defined last is remembered in any case. What is forgotten
//! is defined again, under another number, where it is needed. (In a segment of version 1 everything that
//! it has defined may be named.)

mod decode;
mod encode;
mod histogram;

pub use decode::Decoder;
pub use encode::Encoder;
pub use histogram::{put_histogram, read_histogram};

use super::window::Window;

/// What a remembered list counts, beside its series.
const LIST: usize = 128;

/// What a remembered series counts, beside its labels.
const SERIES: usize = 48;

/// How much a segment's writer and reader remember.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    lists: usize,
    series: usize,
}

impl Limits {
    /// Those of a version of the format.
    pub const fn of(version: u16) -> Self {
        if version < 2 {
            return Self { lists: usize::MAX, series: usize::MAX };
        }
        Self { lists: 16 << 20, series: 64 << 20 }
    }
}

/// Remembers a list of so many series.
fn push_list<T>(lists: &mut Window<T>, list: T, length: usize, forget: impl FnMut(T)) -> u64 {
    lists.push(list, LIST + length * 8, forget)
}

#[cfg(test)]
mod tests;
