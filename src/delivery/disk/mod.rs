//! The disk queue before a sink: what a destination does not take yet survives the process.
//!
//! # On disk
//!
//! ```text
//! data_dir/queue/<type>/<name>/
//!   00000000000000000001.segment   messages; named by the lowest sequence number that it may hold
//!   00000000000000004711.segment   the format of segments is that of `formats::segment`
//!   cursor                         how far the destination has settled them
//! ```
//!
//! The cursor, version 1, integers little endian:
//!
//! ```text
//! magic    8 bytes  "TWQCURSR"
//! version  u16      1
//! reserved u16      0
//! crc32c   u32      of magic, version, reserved and settled
//! settled  u64      every message up to this number is settled
//! ```
//!
//! Invariants:
//!
//! - A message is settled towards its source once its record is written and forced to stable storage (within
//!   `fsync`, many at once), or once the sink has settled it, whichever comes first. What the sink has settled is forced all the same:
//!   after a power cut it is the cursor that may be older, and what is torn behind it counts as lost.
//! - What its source withdraws before it is settled, the sink does not get unless it has it: a record of it is gone
//!   over. Only after a restart, where the cursor is before it, it is sent, marked as any other.
//! - Messages reach the sink in the order in which they were accepted. Those in memory are not read back: the
//!   disk is read only for what did not fit into `memory`, and at the start.
//! - The cursor is never ahead of the sink. It is written over in its place: it lies within a sector, and its checksum
//!   tells of a torn one. A lost or older one means that messages are sent again, never that one is lost. What was written by an earlier process is marked with the time at which
//!   it may have been sent first ([`Message::first_attempt`](super::Message::first_attempt)).
//! - A segment is deleted when everything in it is settled, or when the policy drops it; never otherwise. A file
//!   that this version does not know is renamed to `*.unreadable-<seconds>` and reported.
//! - A torn tail is cut off at the start; damage ends its segment, is counted in bytes and in as many records as
//!   heads behind it still tell, and the next one is read.
//! - Two processes are kept apart by the lock on `data_dir`, two graphs of one process by a lease (`lease::Lease`)
//!   of the folder: the successor waits until its predecessor has written everything down.
//!
//! While the folder cannot be written (full, read-only, gone) messages flow on through memory and their sources
//! wait for the sink, as without a disk queue; the component says why it is unhealthy.

mod cursor;

mod lease;
mod leftovers;
pub mod queue;
mod reader;
mod recovery;
mod segment;
mod state;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::queue::WhenFull;
use crate::data::{Names, SeriesTable};

pub use leftovers::{Leftover, leftovers};

/// `buffer: { disk, fsync, min_free }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskBuffer {
    /// Most bytes of segments; a single message may be larger.
    pub size: u64,
    /// When records are forced to stable storage.
    pub fsync: Fsync,
    /// Share of the disk that stays free for others, in percent: below it the queue counts as full.
    pub min_free: u8,
}

impl Default for DiskBuffer {
    fn default() -> Self {
        Self { size: 1 << 30, fsync: Fsync::Every(Duration::from_millis(100)), min_free: 10 }
    }
}

/// When records are forced to stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// After every write; what waits is written together.
    Always,
    /// So long after the first record that is not; sooner where a sender waits for the answer.
    Every(Duration),
}

impl Fsync {
    /// How long a record may wait.
    pub const fn wait(self) -> Duration {
        match self {
            Self::Always => Duration::ZERO,
            Self::Every(wait) => wait,
        }
    }
}

/// Everything that a queue is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its files are.
    pub folder: PathBuf,
    /// Most bytes of messages in memory for the sink.
    pub memory: u64,
    /// What happens when memory and disk are full.
    pub when_full: WhenFull,
    /// The disk's part.
    pub disk: DiskBuffer,
    /// The paths of fields that records name.
    pub names: Arc<Names>,
    /// The table of the series that records name.
    pub series: Arc<SeriesTable>,
}

/// The folder of all queues.
const QUEUES: &str = "queue";

/// The folder of the queue before the component called `type/name`.
pub fn folder(data_dir: &Path, name: &str) -> PathBuf {
    data_dir.join(QUEUES).join(name)
}

#[cfg(test)]
mod tests;
