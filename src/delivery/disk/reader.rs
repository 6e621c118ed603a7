//! Reads messages back in their order, across segments.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::segment::{Segment, Survey, Window, survey};
use crate::delivery::files::Files;
use crate::formats::segment::{Decoder, HEAD_LEN, HEADER_LEN, Head, Header, Stored};

/// Where reading stands.
#[derive(Debug)]
pub struct Reader {
    files: Arc<dyn Files>,
    folder: PathBuf,
    decoder: Decoder,
    open: Option<Open>,
    /// Segments up to this number are not gone back to.
    done: u64,
}

#[derive(Debug)]
struct Open {
    first: u64,
    window: Window,
    offset: u64,
    /// The lowest number that the record there may have.
    next: u64,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// A message.
    Message(Head, Stored),
    /// Nothing more is on disk.
    End,
    /// A segment cannot be read to its end.
    Damaged {
        /// Which, and why, in words.
        words: String,
        /// Bytes that are given up.
        bytes: u64,
        /// The highest number that a message in them has.
        last: u64,
        /// What their heads still tell.
        left: Survey,
    },
}

impl Reader {
    /// A reader at the start.
    pub fn new(files: Arc<dyn Files>, folder: &Path, decoder: Decoder) -> Self {
        Self { files, folder: folder.to_owned(), decoder, open: None, done: 0 }
    }

    /// Goes back to the start.
    pub fn rewind(&mut self) {
        self.open = None;
        self.done = 0;
    }

    /// Forgets the open segment and what it has defined: it is gone through again when something is wanted of it.
    pub fn close(&mut self) {
        self.open = None;
        self.decoder.reset();
    }

    /// The first message from number `from` on. `segments` are what there is, oldest first.
    ///
    /// # Errors
    /// Where the disk cannot be read; reading stands where it stood.
    pub fn next(&mut self, segments: &VecDeque<Segment>, from: u64) -> io::Result<Next> {
        loop {
            let at = self.open.as_ref().map(|open| open.first);
            let current = at.and_then(|first| segments.iter().find(|segment| segment.first == first));
            let Some(segment) = current else {
                // It was deleted, or none was open: on to the next that has something.
                self.done = self.done.max(at.unwrap_or(0));
                self.open = None;
                let wanted = |segment: &&Segment| segment.first > self.done && segment.last >= from;
                let Some(segment) = segments.iter().find(wanted) else { return Ok(Next::End) };
                let path = segment.path(&self.folder);
                match Window::open(&*self.files, &path) {
                    Ok(mut window) => {
                        let (first, offset) = (segment.first, HEADER_LEN as u64);
                        let Ok(header) = Header::read(window.bytes(0, HEADER_LEN, segment.bytes)?) else {
                            let left = survey(&mut window, offset, segment.bytes, first)?;
                            self.done = first;
                            let words = format!("{} has a damaged header: all of it is lost", path.display());
                            return Ok(Next::Damaged { words, bytes: segment.bytes, last: segment.last, left });
                        };
                        self.decoder.begin(&header);
                        self.open = Some(Open { first, window, offset, next: first });
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.done = segment.first;
                        let words = format!("{} has vanished with what was in it", path.display());
                        let (bytes, last) = (segment.bytes, segment.last);
                        return Ok(Next::Damaged { words, bytes, last, left: Survey::default() });
                    }
                    Err(error) => return Err(error),
                }
                continue;
            };
            if let Some(next) = self.read(segment, from)? {
                return Ok(next);
            }
            let newest = segments.back().is_some_and(|newest| newest.first == segment.first);
            if newest {
                return Ok(Next::End);
            }
            self.done = segment.first;
            self.open = None;
        }
    }

    /// Gives the segment up that is open, or that would be opened next: it cannot be read. Returns its bytes that
    /// were not read, and the highest number in it.
    pub fn give_up(&mut self, segments: &VecDeque<Segment>, from: u64) -> (u64, u64) {
        let open = self.open.take();
        let (first, offset) = match &open {
            Some(open) => (Some(open.first), open.offset),
            None => (segments.iter().find(|s| s.first > self.done && s.last >= from).map(|s| s.first), 0),
        };
        self.done = self.done.max(first.unwrap_or(0));
        let given_up = segments.iter().find(|segment| Some(segment.first) == first);
        given_up.map_or((0, 0), |segment| (segment.bytes.saturating_sub(offset), segment.last))
    }

    /// The next wanted message of the open segment; `None` at its end.
    fn read(&mut self, segment: &Segment, from: u64) -> io::Result<Option<Next>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        while open.offset < segment.bytes {
            let head = open.window.head(open.offset, segment.bytes)?;
            let behind = head.map(|head| open.offset + (HEAD_LEN + head.length) as u64);
            let (Some(head), Some(behind)) = (head, behind.filter(|behind| *behind <= segment.bytes)) else {
                return self.damaged(segment, "a record has no head");
            };
            if head.sequence < from && !head.defines {
                (open.offset, open.next) = (behind, head.sequence + 1);
                continue;
            }
            let Some(frame) = open.window.frame(open.offset, &head, segment.bytes)? else {
                return self.damaged(segment, "a checksum does not fit");
            };
            match self.decoder.decode(&frame) {
                Ok(stored) => {
                    (open.offset, open.next) = (behind, head.sequence + 1);
                    if head.sequence >= from {
                        return Ok(Some(Next::Message(head, stored)));
                    }
                }
                Err(why) => return self.damaged(segment, why.0),
            }
        }
        Ok(None)
    }

    fn damaged(&mut self, segment: &Segment, why: &str) -> io::Result<Option<Next>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let (offset, bytes) = (open.offset, segment.bytes - open.offset);
        let left = survey(&mut open.window, offset, segment.bytes, open.next)?;
        self.open = None;
        self.done = segment.first;
        let path = segment.path(&self.folder);
        let words = format!("{} is damaged at byte {offset} ({why}): {bytes} bytes are lost", path.display());
        Ok(Some(Next::Damaged { words, bytes, last: segment.last, left }))
    }
}
