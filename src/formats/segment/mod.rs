//! Segments of the disk queue: what a queue file says, as bytes. Reading and writing files is the business
//! of `delivery/disk`; nothing here does I/O.
//!
//! # Format, version 2
//!
//! All fixed numbers are little endian; a *varint* is LEB128 of at most ten bytes, a *text* is a varint
//! length and bytes.
//!
//! ```text
//! header    32 bytes
//!   magic     8 bytes  "TWSEGMNT"
//!   version   u16      2
//!   reserved  u16      0
//!   crc32c    u32      of the 24 other bytes of the header, in their order
//!   first     u64      the lowest sequence number that a record of the segment may have
//!   created   u64      nanoseconds since 1970
//! records, one behind the other, each
//!   crc32c    u32      of everything behind it, payload included
//!   length    u32      bytes of payload behind the 40 bytes of this head
//!   kind      u8       1 logs, 2 metrics, 3 traces
//!   flags     u8       1: the payload is a u32, its length unpacked, and an LZ4 block; else it is plain
//!                      2: it says something in full that records behind it may name
//!                      4: logs, with what only pushed records have
//!   reserved  u16      0
//!   count     u32      log records, samples or spans in it
//!   sequence  u64      of the message; grows from record to record and from segment to segment
//!   accepted  u64      when the queue took the message, nanoseconds since 1970
//!   first     u64      when the message may have been handed on first, 0 for never
//!   payload   length bytes
//! payload
//!   input     varint   0: a text follows, which gets the next number; else the number of such a text
//!   batch     by kind: `logs`, `metrics`, `traces`
//! ```
//!
//! A record may name what an earlier record **of the same segment** has said in full: an input, a resource,
//! a series. So a segment stands for itself, a record alone does not, and a reader goes through a segment from
//! its start; of records that it does not want it reads those that say something in full. Numbers of things begin
//! at 1 in every segment.
//!
//! Writer and reader remember only the newest of what was said in full: the last 4096 resources and as many scopes,
//! and of samples what `metrics` counts. What is forgotten is said again. That is the one thing in which version 1 differs: it named
//! whatever its segment had said, and of samples nothing may be forgotten while such a segment is read.
//!
//! Invariants: a record is written behind whole records only; a writer that fails never writes behind what it
//! may have left, but begins another segment. So damage ends a segment: what stands before it is whole and is
//! read, what stands behind it cannot be told from garbage and is given up, and sequence numbers tell whether
//! a record was read before. Version N reads N − 1.

mod definitions;
mod frame;
mod logs;
mod metrics;
pub mod numbers;
mod traces;
mod window;

use std::sync::Arc;

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

pub use frame::{Frame, Frames, HEAD_LEN, HEADER_LEN, Head, Header, HeaderError, MOST_PAYLOAD};
pub use metrics::{put_histogram, read_histogram};

use crate::data::{Batch, Chunk, Names, SeriesTable, UnixNanos};
use frame::VERSION;
use metrics::Limits;
use numbers::Input;

/// What a record says that cannot be read, although its checksum fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(pub &'static str);

/// A batch that segments have no form for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unstorable {
    /// Encoded it is longer than a record may be.
    #[error("a batch of more than {} MiB cannot be kept on disk", MOST_BATCH >> 20)]
    TooLarge,
}

/// One message, to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its number in the queue.
    pub sequence: u64,
    /// When the queue took it.
    pub accepted: UnixNanos,
    /// When it may have been handed on first.
    pub first_attempt: Option<UnixNanos>,
    /// The component output it came by.
    pub input: &'a Arc<str>,
    /// Its records; only the selected ones are stored.
    pub batch: &'a Batch,
}

/// One message, as it was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The component output it came by.
    pub input: Arc<str>,
    /// Its records, all selected, in memory of their own.
    pub batch: Batch,
}

/// Writes the records of one segment after the other. Keeps its buffers, and what the segment has defined.
pub struct Encoder {
    names: Arc<Names>,
    inputs: Vec<Arc<str>>,
    logs: logs::Encoder,
    metrics: metrics::Encoder,
    plain: Vec<u8>,
    table: CompressTable,
    packing: [Packing; 3],
}

/// Reads the records of one segment after the other, each segment from its start.
#[derive(Debug)]
pub struct Decoder {
    names: Arc<Names>,
    inputs: Vec<Arc<str>>,
    logs: logs::Decoder,
    metrics: metrics::Decoder,
}

/// Whether compressing is worth it for one kind of record.
#[derive(Clone, Copy, Debug, Default)]
struct Packing {
    /// Records to go before it is tried again.
    pause: u8,
}

/// Records left plain after one that did not shrink by an eighth.
const PAUSE: u8 = 31;

/// Batches of more bytes are not stored. No edge lets one through; what it is written as stays well below
/// [`MOST_PAYLOAD`].
const MOST_BATCH: u64 = 128 << 20;

/// Payloads shorter than this are not worth compressing.
const WORTH_PACKING: usize = 128;

/// A buffer that grew beyond this for one record is not kept for the next.
const KEPT_BUFFER: usize = 1 << 20;

impl Encoder {
    /// An encoder that writes the paths of fields in the words of `names`.
    pub fn new(names: Arc<Names>) -> Self {
        Self {
            names,
            inputs: Vec::new(),
            logs: logs::Encoder::default(),
            metrics: metrics::Encoder::new(Limits::of(VERSION)),
            plain: Vec::new(),
            table: CompressTable::large(),
            packing: Default::default(),
        }
    }

    /// Whether segments have a form for a batch.
    ///
    /// # Errors
    /// Where they have none, with the reason.
    pub fn storable(batch: &Batch) -> Result<(), Unstorable> {
        match batch {
            _ if batch.bytes() > MOST_BATCH => Err(Unstorable::TooLarge),
            _ => Ok(()),
        }
    }

    /// Begins a segment: appends its header, and forgets what the one before has defined.
    pub fn begin(&mut self, header: Header, out: &mut Vec<u8>) {
        self.inputs.clear();
        self.logs.reset();
        self.metrics.reset(Limits::of(header.version));
        header.write(out);
    }

    /// Appends one record. If its bytes do not reach the segment, another segment must be begun: records behind
    /// it may name what it has defined.
    ///
    /// # Errors
    /// Where the batch has no form on disk; `out` and the segment are then as they were.
    pub fn append(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) -> Result<(), Unstorable> {
        Self::storable(entry.batch)?;
        self.plain.clear();
        let known = self.inputs.iter().position(|input| **input == **entry.input);
        match known {
            Some(index) => numbers::put(&mut self.plain, index as u64 + 1),
            None => {
                numbers::put(&mut self.plain, 0);
                numbers::put_text(&mut self.plain, entry.input.as_bytes());
                self.inputs.push(entry.input.clone());
            }
        }
        let detailed = matches!(entry.batch, Batch::Logs(batch) if logs::is_detailed(batch));
        let (kind, defines) = match entry.batch {
            Batch::Logs(batch) => (Kind::Logs, self.logs.encode(batch, &self.names, detailed, &mut self.plain)),
            Batch::Traces(batch) => {
                traces::encode(batch, &mut self.plain);
                (Kind::Traces, false)
            }
            Batch::Metrics(batch) => (Kind::Metrics, self.metrics.encode(batch, &mut self.plain)),
        };
        let head = Head {
            kind,
            packed: false,
            defines: defines || known.is_none(),
            detailed,
            count: u32::try_from(entry.batch.count()).unwrap_or(u32::MAX),
            sequence: entry.sequence,
            accepted: entry.accepted,
            first_attempt: entry.first_attempt,
            length: 0,
        };
        let at = out.len();
        out.resize(at + HEAD_LEN, 0);
        let packed = self.pack(kind, out);
        if !packed {
            out.extend_from_slice(&self.plain);
        }
        let length = out.len() - at - HEAD_LEN;
        Head { packed, length, ..head }.seal(&mut out[at..]);
        if self.plain.capacity() > KEPT_BUFFER {
            self.plain = Vec::new();
        }
        Ok(())
    }

    /// Appends the payload compressed; false, and nothing appended, where that is not worth it.
    fn pack(&mut self, kind: Kind, out: &mut Vec<u8>) -> bool {
        let packing = &mut self.packing[kind as usize - 1];
        if self.plain.len() < WORTH_PACKING {
            return false;
        }
        if packing.pause > 0 {
            packing.pause -= 1;
            return false;
        }
        let at = out.len();
        out.extend_from_slice(&(self.plain.len() as u32).to_le_bytes());
        let from = out.len();
        out.resize(from + get_maximum_output_size(self.plain.len()), 0);
        let written = compress_into_with_table(&self.plain, &mut out[from..], &mut self.table);
        match written {
            Ok(bytes) if bytes + 4 < self.plain.len() - self.plain.len() / 8 => {
                out.truncate(from + bytes);
                true
            }
            _ => {
                packing.pause = PAUSE;
                out.truncate(at);
                false
            }
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder that finds the paths of fields in `names` and puts series into `series`.
    pub fn new(names: Arc<Names>, series: Arc<SeriesTable>) -> Self {
        let metrics = metrics::Decoder::new(series, Limits::of(VERSION));
        Self { names, inputs: Vec::new(), logs: logs::Decoder::new(), metrics }
    }

    /// Begins a segment: forgets what the one before has defined.
    pub fn begin(&mut self, header: &Header) {
        self.inputs.clear();
        self.logs.reset();
        self.metrics.reset(Limits::of(header.version));
    }

    /// Forgets everything: nothing of the segment is read any more.
    pub fn reset(&mut self) {
        self.begin(&Header::new(0, UnixNanos::NONE));
    }

    /// The message of a record. Those before it that define something must have been decoded, wanted or not.
    ///
    /// # Errors
    /// Where it says what no encoder says; nothing behind it in the segment can then be read.
    pub fn decode(&mut self, frame: &Frame<'_>) -> Result<Stored, Damaged> {
        let plain = match frame.head.packed {
            true => unpack(frame.payload)?,
            false => frame.payload.to_vec(),
        };
        let chunk = Chunk::from_vec(plain);
        let mut input = Input::new(chunk.as_slice());
        let name = match input.number()? {
            0 => {
                let name: Arc<str> = Arc::from(input.text()?);
                self.inputs.push(name.clone());
                name
            }
            number => numbers::defined(&self.inputs, number)?.clone(),
        };
        let batch = match frame.head.kind {
            Kind::Logs => Batch::Logs(self.logs.decode(&mut input, &chunk, &self.names, frame.head.detailed)?),
            Kind::Traces => Batch::Traces(traces::decode(&mut input)?),
            Kind::Metrics => Batch::Metrics(self.metrics.decode(&mut input)?),
        };
        if !input.is_empty() {
            return Err(Damaged("a record has bytes behind its batch"));
        }
        if batch.count() as u64 != u64::from(frame.head.count) {
            return Err(Damaged("a record holds another number of records than it says"));
        }
        Ok(Stored { input: name, batch })
    }
}

fn unpack(payload: &[u8]) -> Result<Vec<u8>, Damaged> {
    let (length, block) = payload.split_first_chunk::<4>().ok_or(Damaged("a packed record is too short"))?;
    let length = u32::from_le_bytes(*length) as usize;
    // LZ4 packs no better than one byte for 255.
    if length > MOST_PAYLOAD || length > block.len().saturating_mul(255) {
        return Err(Damaged("a packed record says an impossible length"));
    }
    let mut plain = vec![0; length];
    match lz4_flex::block::decompress_into(block, &mut plain) {
        Ok(written) if written == length => Ok(plain),
        _ => Err(Damaged("a packed record cannot be unpacked")),
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Log records.
    Logs = 1,
    /// Samples.
    Metrics = 2,
    /// Spans.
    Traces = 3,
}

#[cfg(test)]
mod tests;
