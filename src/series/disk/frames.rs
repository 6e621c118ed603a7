//! Headers and frames of the store's files.

use std::io;
use std::ops::Range;

use crate::delivery::files::Readable;

const MAGIC: &[u8; 8] = b"TWSERIES";
const VERSION: u16 = 1;

/// Bytes of a header.
pub const HEADER: usize = 32;

/// Bytes before the payload of a frame.
pub const HEAD: usize = 8;

/// Longest payload.
pub const MOST_PAYLOAD: usize = 16 << 20;

/// Bytes that are read at once.
const WINDOW: usize = 256 << 10;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// All that came before a generation.
    Snapshot = 1,
    /// What came since.
    Journal = 2,
}

impl FileKind {
    /// The end of its file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Journal => "journal",
        }
    }
}

/// A header.
pub fn header(kind: FileKind, generation: u64, begun: i64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[10] = kind as u8;
    header[16..24].copy_from_slice(&generation.to_le_bytes());
    header[24..].copy_from_slice(&begun.to_le_bytes());
    let crc = header_crc(&header);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    header
}

fn header_crc(header: &[u8; HEADER]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..])
}

/// Begins a frame; [`end_frame`] wants what this returns.
pub fn begin_frame(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; HEAD]);
    at
}

/// Ends a frame: what was appended since it was begun is its payload.
pub fn end_frame(out: &mut [u8], at: usize) {
    let length = (out.len() - at - HEAD) as u32;
    out[at + 4..at + HEAD].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c(&out[at + 4..]);
    out[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Its header was never written whole.
    #[error("has no whole header")]
    Torn,
    /// It is another file.
    #[error("is not a file of this store")]
    Foreign,
    /// A later release wrote it.
    #[error("is of a version that this release cannot read")]
    Version,
}

/// The frames of a file, read a window at a time.
#[derive(Debug)]
pub struct Frames<'a> {
    file: &'a dyn Readable,
    buffer: Vec<u8>,
    /// What of the buffer was not shown yet.
    rest: Range<usize>,
    /// Where the buffer's end stands in the file.
    read: u64,
    /// Bytes of frames that were passed over.
    pub lost: u64,
}

impl<'a> Frames<'a> {
    /// The frames of a file of this kind.
    ///
    /// # Errors
    /// Where it cannot be read; inside, what is wrong with its header.
    pub fn of(file: &'a dyn Readable, kind: FileKind) -> io::Result<Result<Self, Damage>> {
        let mut frames = Self { file, buffer: Vec::new(), rest: 0..0, read: 0, lost: 0 };
        if !frames.fill(HEADER)? {
            return Ok(Err(Damage::Torn));
        }
        let Some(header) = frames.buffer.first_chunk::<HEADER>() else { return Ok(Err(Damage::Torn)) };
        let checked = if header[12..16] != header_crc(header).to_le_bytes() {
            Err(Damage::Torn)
        } else if header[..8] != *MAGIC || header[10] != kind as u8 {
            Err(Damage::Foreign)
        } else if header[8..10] != VERSION.to_le_bytes() {
            Err(Damage::Version)
        } else {
            Ok(())
        };
        frames.rest.start = HEADER;
        Ok(checked.map(|()| frames))
    }

    /// Reads on until `bytes` are there; says whether they are.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        if self.rest.len() >= bytes {
            return Ok(true);
        }
        self.buffer.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        self.buffer.resize(bytes.max(WINDOW), 0);
        let read = self.file.read_at(&mut self.buffer[self.rest.end..], self.read)?;
        self.read += read as u64;
        self.rest.end += read;
        Ok(self.rest.len() >= bytes)
    }

    /// The payload of the next frame that is whole; none at the end of the file. With `pass`, frames whose checksum does
    /// not fit are passed over; else the first of them is the end.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn next(&mut self, pass: bool) -> io::Result<Option<&[u8]>> {
        loop {
            if !self.fill(HEAD)? {
                return self.end();
            }
            let head = self.rest.start;
            let length = u32::from_le_bytes([
                self.buffer[head + 4],
                self.buffer[head + 5],
                self.buffer[head + 6],
                self.buffer[head + 7],
            ]) as usize;
            if length > MOST_PAYLOAD || !self.fill(HEAD + length)? {
                return self.end();
            }
            let (from, to) = (self.rest.start, self.rest.start + HEAD + length);
            let fits = self.buffer[from..from + 4] == crc32c::crc32c(&self.buffer[from + 4..to]).to_le_bytes();
            if fits {
                self.rest.start = to;
                return Ok(Some(&self.buffer[from + HEAD..to]));
            }
            if !pass {
                return self.end();
            }
            self.rest.start = to;
            self.lost += (HEAD + length) as u64;
        }
    }

    /// What is left is no frame.
    fn end(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            self.lost += self.rest.len() as u64;
            self.rest.start = self.rest.end;
            if !self.fill(1)? {
                return Ok(None);
            }
        }
    }
}
