//! What the queue knows of a segment file, and the walk over its records.

use std::io;
use std::path::{Path, PathBuf};

use crate::data::UnixNanos;
use crate::delivery::files::{Files, Readable};
use crate::formats::segment::{Frame, HEAD_LEN, HEADER_LEN, Head};

/// A segment file.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its name as a number: the lowest sequence number that it may hold.
    pub first: u64,
    /// The highest sequence number in it, less than `first` where it holds nothing.
    pub last: u64,
    /// Where its last whole record ends.
    pub bytes: u64,
    /// When it was begun.
    pub created: UnixNanos,
}

const EXTENSION: &str = ".segment";

impl Segment {
    /// An empty one.
    pub fn new(first: u64, created: UnixNanos) -> Self {
        Self { first, last: first - 1, bytes: 0, created }
    }

    /// Where it is.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}{EXTENSION}", self.first))
    }

    /// The number in a file's name, if that is the name of a segment.
    pub fn number(name: &str) -> Option<u64> {
        let digits = name.strip_suffix(EXTENSION)?;
        let number = (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)?;
        number.parse().ok().filter(|number| *number > 0)
    }
}

/// Bytes read ahead of small records.
const AHEAD: usize = 64 << 10;

/// A file that is read a window at a time.
#[derive(Debug)]
pub struct Window {
    file: Box<dyn Readable>,
    at: u64,
    buffer: Vec<u8>,
}

impl Window {
    /// Opens a file.
    pub fn open(files: &dyn Files, path: &Path) -> io::Result<Self> {
        Ok(Self { file: files.open(path)?, at: 0, buffer: Vec::new() })
    }

    /// The `length` bytes at `offset`, or fewer where the file or `end` comes before.
    pub fn bytes(&mut self, offset: u64, length: usize, end: u64) -> io::Result<&[u8]> {
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX).min(length);
        let inside = |window: &Self| {
            let from = usize::try_from(offset.checked_sub(window.at)?).ok()?;
            (from + length <= window.buffer.len()).then_some(from)
        };
        let from = match inside(self) {
            Some(from) => from,
            None => {
                let ahead = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX).min(AHEAD);
                self.buffer.clear();
                self.buffer.resize(length.max(ahead), 0);
                self.at = offset;
                let read = self.file.read_at(&mut self.buffer, offset);
                self.buffer.truncate(*read.as_ref().unwrap_or(&0));
                read?;
                0
            }
        };
        Ok(&self.buffer[from..self.buffer.len().min(from + length)])
    }

    /// The head at `offset`; `None` where there is none before `end`.
    pub fn head(&mut self, offset: u64, end: u64) -> io::Result<Option<Head>> {
        Ok(self.bytes(offset, HEAD_LEN, end)?.first_chunk().and_then(Head::read))
    }

    /// The record at `offset` that has this head; `None` where it is not whole.
    pub fn frame(&mut self, offset: u64, head: &Head, end: u64) -> io::Result<Option<Frame<'_>>> {
        Ok(Frame::read(self.bytes(offset, HEAD_LEN + head.length, end)?))
    }
}

/// Goes over the records of a segment up to the first damage; returns where that is, or the end. Whether payloads
/// are whole is looked at only with `check`, or where a number is not the next.
pub fn walk(window: &mut Window, first: u64, end: u64, check: bool, mut each: impl FnMut(&Head)) -> io::Result<u64> {
    let (mut offset, mut next) = (HEADER_LEN as u64, first);
    while let Some(head) = window.head(offset, end)? {
        let behind = offset + (HEAD_LEN + head.length) as u64;
        let plain = !check && head.sequence == next;
        let whole = behind <= end && (plain || window.frame(offset, &head, end)?.is_some());
        let (true, true, Some(later)) = (whole, head.sequence >= next, head.sequence.checked_add(1)) else { break };
        each(&head);
        (offset, next) = (behind, later);
    }
    Ok(offset)
}

/// What is left to be told of messages behind damage, which cannot be read any more.
#[derive(Debug, Default)]
pub struct Survey {
    /// The number and the records of each message whose head was found.
    pub messages: Vec<(u64, u32)>,
    /// Whether a whole record is among them: a torn tail has none.
    pub whole: bool,
}

impl Survey {
    /// Records of messages that `lost` picks by their numbers.
    pub fn records(&self, lost: impl Fn(u64) -> bool) -> u64 {
        self.messages.iter().filter(|(sequence, _)| lost(*sequence)).map(|(_, count)| u64::from(*count)).sum()
    }
}

/// Looks for heads of messages from `next` on behind damage at `offset`. One counts if its record is whole, or the
/// next head, or the end, stands where it says; where none counts, the next whole record is looked for byte by byte.
///
/// # Errors
/// Where the disk cannot be read.
pub fn survey(window: &mut Window, offset: u64, end: u64, next: u64) -> io::Result<Survey> {
    let (mut offset, mut next, mut found) = (offset, next, Survey::default());
    while offset < end {
        let head = window.head(offset, end)?.filter(|head| head.sequence >= next);
        let behind = head.map(|head| offset + (HEAD_LEN + head.length) as u64).filter(|behind| *behind <= end);
        if let (Some(head), Some(behind)) = (head, behind) {
            let whole = window.frame(offset, &head, end)?.is_some();
            let follows =
                behind == end || window.head(behind, end)?.is_some_and(|later| later.sequence > head.sequence);
            if (whole || follows)
                && let Some(later) = head.sequence.checked_add(1)
            {
                // A count that may be damaged itself is believed as far as the record is long.
                let most = if whole { u32::MAX } else { u32::try_from(head.length).unwrap_or(u32::MAX) };
                found.messages.push((head.sequence, head.count.min(most)));
                found.whole |= whole;
                (offset, next) = (behind, later);
                continue;
            }
        }
        offset += 1;
    }
    Ok(found)
}
