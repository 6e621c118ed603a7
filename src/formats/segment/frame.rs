//! Headers of segments and heads of records: the part of the format that is read without knowing what is
//! stored.

use super::Kind;
use crate::data::UnixNanos;

/// Length of a segment's header.
pub const HEADER_LEN: usize = 32;

/// Length of a record's head.
pub const HEAD_LEN: usize = 40;

/// Longest payload of a record, packed or not: a longer one is damage.
pub const MOST_PAYLOAD: usize = 1 << 30;

const MAGIC: &[u8; 8] = b"TWSEGMNT";
/// The version that is written. The one before is read too.
pub(super) const VERSION: u16 = 2;
const PACKED: u8 = 1;
const DEFINES: u8 = 2;
const DETAILED: u8 = 4;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The lowest sequence number that a record of it may have.
    pub first: u64,
    /// When it was begun.
    pub created: UnixNanos,
    /// The version of the format.
    pub version: u16,
}

/// Why a file is not read as a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is something else.
    #[error("is not a segment of a queue")]
    Magic,
    /// It was written by another version of the agent.
    #[error("has version {0}, which this agent does not know")]
    Version(u16),
    /// It ends within the header, or the header's checksum does not fit.
    #[error("has a damaged header")]
    Damaged,
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the record holds.
    pub kind: Kind,
    /// Whether the payload is compressed.
    pub packed: bool,
    /// Whether records behind it may name what it says in full: whoever skips it must decode it all the same.
    pub defines: bool,
    /// Whether log records are stored with what only pushed ones have.
    pub detailed: bool,
    /// Log records, samples or spans in it.
    pub count: u32,
    /// The message's number in the queue.
    pub sequence: u64,
    /// When the queue took the message.
    pub accepted: UnixNanos,
    /// When the message may have been handed on first.
    pub first_attempt: Option<UnixNanos>,
    /// Bytes of payload behind the head.
    pub length: usize,
}

/// A whole record whose checksum fits.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its head.
    pub head: Head,
    /// What it holds, as stored.
    pub payload: &'a [u8],
}

/// The whole records of a segment that is in memory, up to the first damage.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    header: Header,
    rest: &'a [u8],
    next: u64,
}

impl<'a> Frames<'a> {
    /// Reads the header; the iterator then goes through the records.
    ///
    /// # Errors
    /// Where there is no header that this version reads.
    pub fn new(segment: &'a [u8]) -> Result<Self, HeaderError> {
        let header = Header::read(segment)?;
        Ok(Self { header, rest: &segment[HEADER_LEN..], next: header.first })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes behind the last whole record that was read.
    pub fn rest(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let frame = Frame::read(self.rest).filter(|frame| frame.head.sequence >= self.next)?;
        self.rest = &self.rest[frame.len()..];
        self.next = frame.head.sequence.checked_add(1)?;
        Some(frame)
    }
}

impl Header {
    /// The header of a new segment.
    pub fn new(first: u64, created: UnixNanos) -> Self {
        Self { first, created, version: VERSION }
    }

    /// Appends the header.
    pub fn write(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.created.0.to_le_bytes());
        let crc = header_crc(&out[at..]);
        out[at + 12..at + 16].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the header at the start of a segment.
    ///
    /// # Errors
    /// Where the file is none of ours, or not whole.
    pub fn read(bytes: &[u8]) -> Result<Self, HeaderError> {
        let magic = &bytes[..bytes.len().min(MAGIC.len())];
        if *magic != MAGIC[..magic.len()] {
            return Err(HeaderError::Magic);
        }
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else { return Err(HeaderError::Damaged) };
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION && version != VERSION - 1 {
            return Err(HeaderError::Version(version));
        }
        if header_crc(header) != u32::from_le_bytes([header[12], header[13], header[14], header[15]]) {
            return Err(HeaderError::Damaged);
        }
        Ok(Self { first: u64_at(header, 16), created: UnixNanos(u64_at(header, 24)), version })
    }
}

impl Head {
    /// Writes the head in front of its payload: `record` is both.
    pub(super) fn seal(&self, record: &mut [u8]) {
        record[4..8].copy_from_slice(&(self.length as u32).to_le_bytes());
        record[8] = self.kind as u8;
        record[9] = (u8::from(self.packed) * PACKED)
            | (u8::from(self.defines) * DEFINES)
            | (u8::from(self.detailed) * DETAILED);
        record[10..12].fill(0);
        record[12..16].copy_from_slice(&self.count.to_le_bytes());
        record[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        record[24..32].copy_from_slice(&self.accepted.0.to_le_bytes());
        record[32..40].copy_from_slice(&self.first_attempt.unwrap_or_default().0.to_le_bytes());
        let crc = crc32c::crc32c(&record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads a head; `None` for one that no encoder writes. Whether it is right only the checksum of the whole
    /// record says.
    pub fn read(head: &[u8; HEAD_LEN]) -> Option<Self> {
        let kind = match head[8] {
            1 => Kind::Logs,
            2 => Kind::Metrics,
            3 => Kind::Traces,
            _ => return None,
        };
        let length = u32_at(head, 4) as usize;
        (length <= MOST_PAYLOAD && head[9] & !(PACKED | DEFINES | DETAILED) == 0 && head[10..12] == [0, 0]).then(|| {
            Self {
                kind,
                packed: head[9] & PACKED != 0,
                defines: head[9] & DEFINES != 0,
                detailed: head[9] & DETAILED != 0,
                count: u32_at(head, 12),
                sequence: u64_at(head, 16),
                accepted: UnixNanos(u64_at(head, 24)),
                first_attempt: Some(UnixNanos(u64_at(head, 32))).filter(|time| time.is_some()),
                length,
            }
        })
    }
}

impl<'a> Frame<'a> {
    /// The record at the start of `bytes`; `None` where there is no whole one whose checksum fits.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let head = Head::read(bytes.first_chunk()?)?;
        let record = bytes.get(..HEAD_LEN + head.length)?;
        let fits = crc32c::crc32c(&record[4..]) == u32_at(record, 0);
        fits.then(|| Self { head, payload: &record[HEAD_LEN..] })
    }

    /// Bytes of the record, head included.
    #[expect(clippy::len_without_is_empty, reason = "a record is never empty: it has a head")]
    pub fn len(&self) -> usize {
        HEAD_LEN + self.payload.len()
    }
}

/// The checksum of everything in a header but the checksum.
fn header_crc(header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..HEADER_LEN])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}
