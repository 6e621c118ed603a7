//! A journal: what must be known again after a crash and changes one record at a time — the states of alerts, pages
//! that are under way, silences.
//!
//! # Format, version 1
//!
//! A journal `NAME` in a folder is one file, `NAME.GENERATION.journal` with the generation in 20 digits; while the next
//! generation is written there are two. All numbers are little endian.
//!
//! ```text
//! header    32 bytes
//!   magic       8 bytes  "TWJOURNL"
//!   version     u16      1
//!   reserved    u16      0
//!   crc32c      u32      of the 24 other bytes of the header, in their order
//!   kind        8 bytes  what the records are, as ASCII padded with zeros
//!   generation  u64
//! records, one behind the other, each
//!   crc32c      u32      of everything behind it
//!   length      u32      bytes of payload; the highest bit: this is the mark at the end of the state, without payload
//!   payload     length bytes
//! ```
//!
//! A generation begins with the whole state as its owner has it and the mark behind it; what stands behind the mark are
//! changes. Records are opaque here and begin with a version of their own.
//!
//! Invariants: a generation counts only once its mark is there, whole, and the one before it is removed only once the mark
//! is durable; so one of the two is always whole. A file is written by the process that made it alone: whoever restores a
//! journal begins a new generation. A writer that fails never writes behind what it may have left: its owner begins a new
//! generation from its own state. So damage ends a file, and everything before it is read. A file of another kind or of an
//! unknown version is set aside under another name and reported, never deleted. Version N reads N − 1.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Appended, Files};

const MAGIC: &[u8; 8] = b"TWJOURNL";
const VERSION: u16 = 1;
const HEADER: usize = 32;
const HEAD: usize = 8;

/// In the length of a record: the state ends here.
const MARK: u32 = 1 << 31;

/// Longest record.
pub const MOST_RECORD: usize = 16 << 20;

/// What the records of a journal are, as eight ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub [u8; 8]);

/// Where a journal is kept.
#[derive(Clone, Debug)]
pub struct Place {
    /// The disk.
    pub files: Arc<dyn Files>,
    /// The folder; made where it is not there.
    pub folder: PathBuf,
    /// The first part of the name of its files: letters, digits, `-` and `_`.
    pub name: Box<str>,
    /// What its records are.
    pub kind: Kind,
}

/// What was found when a journal was restored.
#[derive(Debug, Default)]
pub struct Restored {
    /// The generation that was read; the next one is begun above it.
    pub generation: u64,
    /// Whether there was anything to read.
    pub found: bool,
    /// What was damaged or set aside, in words.
    pub complaints: Vec<String>,
}

/// The open generation of a journal. Does I/O: use it where blocking is allowed.
#[derive(Debug)]
pub struct Journal {
    place: Place,
    generation: u64,
    file: Box<dyn Appended>,
    pending: Vec<u8>,
    bytes: u64,
    state_bytes: u64,
    broken: bool,
}

impl Place {
    /// Reads what is there: first the records of the state, then those behind it, in the order they were written.
    ///
    /// # Errors
    /// Where a file is there but cannot be read: going on as if there were none would forget what it says.
    pub fn restore(&self, mut record: impl FnMut(&[u8])) -> io::Result<Restored> {
        self.files.make_folder(&self.folder)?;
        let (mut restored, mut unfinished) = (Restored::default(), Vec::new());
        for generation in self.generations()? {
            restored.generation = restored.generation.max(generation);
            let path = self.path(generation);
            let bytes = self.read(&path)?;
            match check_header(&bytes, self.kind) {
                Ok(()) => {}
                Err(Header::Torn) => {
                    unfinished.push(path);
                    continue;
                }
                Err(Header::Foreign(why)) => {
                    let aside = path.with_extension("unreadable");
                    self.files.rename(&path, &aside)?;
                    restored.complaints.push(format!(
                        "{} {why}; it was set aside as {}",
                        path.display(),
                        aside.display()
                    ));
                    continue;
                }
            }
            let mut at = HEADER;
            let marked = std::iter::from_fn(|| next(&bytes, &mut at)).any(|found| found.is_none());
            if !marked {
                unfinished.push(path);
                continue;
            }
            at = HEADER;
            std::iter::from_fn(|| next(&bytes, &mut at)).flatten().for_each(&mut record);
            restored.found = true;
            if at < bytes.len() {
                let lost = bytes.len() - at;
                let path = path.display();
                restored.complaints.push(format!("the last {lost} bytes of {path} are not whole and were left out"));
            }
            break;
        }
        // Beside a whole generation that is what a crash leaves; alone, something was there once.
        for path in unfinished.iter().filter(|_| !restored.found && restored.generation > 1) {
            let aside = path.with_extension("unreadable");
            self.files.rename(path, &aside)?;
            let (path, aside) = (path.display(), aside.display());
            restored.complaints.push(format!("{path} is damaged at its beginning; it was set aside as {aside}"));
        }
        Ok(restored)
    }

    /// Begins the generation behind `restored`, with the whole state; when this returns it is durable, and what was there
    /// before is gone.
    ///
    /// # Errors
    /// What was there before is then still there.
    pub fn begin<'a>(&self, restored: &Restored, state: impl IntoIterator<Item = &'a [u8]>) -> io::Result<Journal> {
        self.begin_after(restored.generation, &mut state.into_iter())
    }

    fn begin_after(&self, before: u64, state: &mut dyn Iterator<Item = &[u8]>) -> io::Result<Journal> {
        self.files.make_folder(&self.folder)?;
        // A generation that was begun and not finished may be in the way.
        let before = self.generations()?.first().copied().unwrap_or(0).max(before);
        let generation = before + 1;
        let mut file = self.files.create(&self.path(generation))?;
        let mut bytes = header(self.kind, generation).to_vec();
        state.for_each(|record| put(&mut bytes, record));
        put_mark(&mut bytes);
        file.append(&bytes)?;
        file.sync()?;
        for old in self.generations()?.into_iter().filter(|old| *old < generation) {
            self.files.remove(&self.path(old))?;
        }
        let written = bytes.len() as u64;
        Ok(Journal {
            place: self.clone(),
            generation,
            file,
            pending: Vec::new(),
            bytes: written,
            state_bytes: written,
            broken: false,
        })
    }

    fn path(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("{}.{generation:020}.journal", self.name))
    }

    /// Generations that are there, the newest first.
    fn generations(&self) -> io::Result<Vec<u64>> {
        let mut generations: Vec<u64> = self
            .files
            .list(&self.folder)?
            .iter()
            .filter_map(|(file, _)| {
                file.strip_prefix(&*self.name)?.strip_prefix('.')?.strip_suffix(".journal")?.parse().ok()
            })
            .collect();
        generations.sort_unstable_by(|a, b| b.cmp(a));
        Ok(generations)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.files.open(path)?;
        let (mut bytes, mut filled) = (vec![0; 64 << 10], 0);
        loop {
            let read = file.read_at(&mut bytes[filled..], filled as u64)?;
            filled += read;
            if filled < bytes.len() {
                bytes.truncate(filled);
                return Ok(bytes);
            }
            bytes.resize(bytes.len() * 2, 0);
        }
    }
}

impl Journal {
    /// Adds a record to what [`Self::commit`] writes. At most [`MOST_RECORD`] bytes.
    pub fn append(&mut self, record: &[u8]) {
        put(&mut self.pending, record);
    }

    /// Writes what was appended since the last time; with `durable` it is on stable storage when this returns, else it
    /// survives a crash of the process alone.
    ///
    /// # Errors
    /// From then on nothing is written until a new generation is begun by [`Self::replace`]: what was appended may be there,
    /// in part, or not.
    pub fn commit(&mut self, durable: bool) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the journal could not be written before and must be begun again"));
        }
        let written = (|| {
            if !self.pending.is_empty() {
                self.file.append(&self.pending)?;
            }
            if durable { self.file.sync() } else { Ok(()) }
        })();
        self.broken = written.is_err();
        self.bytes += self.pending.len() as u64;
        self.pending.clear();
        written
    }

    /// Begins the next generation with the whole state, durably. What was appended and not committed is forgotten: the
    /// state has it.
    ///
    /// # Errors
    /// The generation before it is then still there, and this can be tried again.
    pub fn replace<'a>(&mut self, state: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
        *self = self.place.begin_after(self.generation, &mut state.into_iter())?;
        Ok(())
    }

    /// Whether changes have outgrown the state so far that a new generation is worth its writing.
    pub fn is_long(&self) -> bool {
        self.broken || self.bytes > (64 << 10) + 4 * self.state_bytes
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

enum Header {
    /// It was never written whole.
    Torn,
    /// It is none that this journal can read.
    Foreign(&'static str),
}

fn header(kind: Kind, generation: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&kind.0);
    header[24..].copy_from_slice(&generation.to_le_bytes());
    let crc = header_crc(&header);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    header
}

fn header_crc(header: &[u8; HEADER]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..])
}

fn check_header(bytes: &[u8], kind: Kind) -> Result<(), Header> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Err(Header::Torn) };
    if header[12..16] != header_crc(header).to_le_bytes() {
        return Err(Header::Torn);
    }
    if header[..8] != *MAGIC || header[16..24] != kind.0 {
        return Err(Header::Foreign("is not a journal of this kind"));
    }
    if header[8..10] != VERSION.to_le_bytes() {
        return Err(Header::Foreign("is of a version that this release cannot read"));
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, record: &[u8]) {
    assert!(record.len() <= MOST_RECORD, "records of a journal are bounded by whoever makes them");
    seal(out, record.len() as u32, record);
}

fn put_mark(out: &mut Vec<u8>) {
    seal(out, MARK, &[]);
}

fn seal(out: &mut Vec<u8>, length: u32, payload: &[u8]) {
    let length = length.to_le_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&length), payload);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&length);
    out.extend_from_slice(payload);
}

/// The record at `at`, which moves behind it; `Some(None)` for the mark, `None` where no whole record follows.
fn next<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let head = bytes.get(*at..*at + HEAD)?;
    let length = u32::from_le_bytes(head[4..].try_into().ok()?);
    let payload = match length {
        MARK => 0,
        length if length as usize <= MOST_RECORD => length as usize,
        _ => return None,
    };
    let payload = bytes.get(*at + HEAD..*at + HEAD + payload)?;
    if head[..4] != crc32c::crc32c_append(crc32c::crc32c(&head[4..]), payload).to_le_bytes() {
        return None;
    }
    *at += HEAD + payload.len();
    Some((length != MARK).then_some(payload))
}

#[cfg(test)]
mod tests;
