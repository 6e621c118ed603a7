//! One log in the hands of its worker: the chain of its generations, where it is read, and where it would
//! have to be read again.
//!
//! The safe position is the start of the oldest record that is open or unsettled. It moves as batches are
//! settled; when one is abandoned, reading goes back to it, and what is then read again says since when it
//! may have been handed on before.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::generation::GenerationFile;
use super::lines::{LineCutter, Segment};
use crate::data::{Resource, Scope, UnixNanos};
use crate::delivery::{Cursor, Settle};

/// A place in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the generation in the log's chain.
    pub seq: u32,
    /// Offset in its file.
    pub offset: u64,
    /// When reading came here: nothing at or behind this place was handed on earlier.
    pub reached: UnixNanos,
}

/// What the catalog may look at.
#[derive(Debug)]
pub struct Progress {
    /// The log's path as it is shown.
    pub path: Box<str>,
    safe: Mutex<Position>,
    done: AtomicBool,
}

impl Progress {
    /// A log that is to be read from `safe`.
    pub fn new(path: Box<str>, safe: Position) -> Self {
        Self { path, safe: Mutex::new(safe), done: AtomicBool::new(false) }
    }

    /// From where it would be read again.
    pub fn safe(&self) -> Position {
        *self.safe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ended, and everything of it is settled.
    pub fn done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// How long a rotated or ended file must not grow before it counts as finished.
const QUIET: Duration = Duration::from_secs(1);

/// Pauses before an abandoned log is read again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// A log that a worker owns.
pub struct Origin {
    /// Its number, given by the catalog.
    pub number: u32,
    /// What the catalog may look at.
    pub progress: Arc<Progress>,
    /// What its records are about.
    pub resource: Arc<Resource>,
    /// The instrumentation scope: none.
    pub scope: Arc<Scope>,
    /// Cuts its lines.
    pub cutter: LineCutter,
    /// Gets its verdicts.
    pub mailbox: Arc<dyn Settle>,
    /// Counts rewinds: what was read before one is not handed on after it.
    pub epoch: u32,
    chain: VecDeque<(u32, Arc<GenerationFile>)>,
    next_seq: u32,
    /// The generation being read, and the next byte.
    seq: u32,
    offset: u64,
    cursor: Cursor<Position>,
    ended: bool,
    quiet: Option<(u64, Instant)>,
    /// After a rewind: what lies before this place may have been handed on since that time.
    replay: Option<(Position, UnixNanos)>,
    failures: u32,
    paused_until: Option<Instant>,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").field("path", &self.progress.path).field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// What the end of a generation's bytes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// More may come.
    Wait,
    /// The generation is finished: another follows, or the log has ended.
    Finished,
}

impl Origin {
    /// A log with its first generations, read from the start of the first.
    pub fn new(
        number: u32,
        progress: Arc<Progress>,
        resource: Arc<Resource>,
        cutter: LineCutter,
        mailbox: Arc<dyn Settle>,
        files: impl IntoIterator<Item = Arc<GenerationFile>>,
    ) -> Self {
        let safe = progress.safe();
        let mut origin = Self {
            number,
            progress,
            resource,
            scope: Arc::default(),
            cutter,
            mailbox,
            epoch: 0,
            chain: VecDeque::new(),
            next_seq: safe.seq,
            seq: safe.seq,
            offset: safe.offset,
            cursor: Cursor::new(safe),
            ended: false,
            quiet: None,
            replay: None,
            failures: 0,
            paused_until: None,
        };
        files.into_iter().for_each(|file| origin.extend(file));
        origin
    }

    /// The next generation has appeared.
    pub fn extend(&mut self, file: Arc<GenerationFile>) {
        if self.seq == self.next_seq {
            // Everything before it was finished.
            self.offset = file.start;
            self.quiet = None;
        }
        self.chain.push_back((self.next_seq, file));
        self.next_seq += 1;
        self.ended = false;
        self.progress.done.store(false, Ordering::Release);
    }

    /// No generation will follow.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The generation to read and the next byte in it; `None` behind the last one.
    pub fn reading(&self) -> Option<(u32, Arc<GenerationFile>, u64)> {
        let first = self.chain.front()?.0;
        let (seq, file) = self.chain.get((self.seq - first) as usize)?;
        Some((*seq, file.clone(), self.offset))
    }

    /// Whether it waits after an abandoned batch.
    pub fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// Notes that everything before `offset` of the generation being read was read.
    pub fn advance(&mut self, file: &GenerationFile, offset: u64) {
        self.offset = offset;
        self.quiet = None;
        file.set_read(offset);
    }

    /// What to do where a read of `file` found nothing complete. `seen` is its length as read.
    pub fn at_end(&mut self, file: &GenerationFile, seen: u64, now: Instant) -> AtEnd {
        let last = self.seq + 1 == self.next_seq;
        if last && !self.ended {
            self.quiet = None;
            return AtEnd::Wait;
        }
        // The catalog's look at it, when the successor appeared, may be the first of the two.
        match file.followed().or(self.quiet) {
            Some((length, since)) if length == seen && now.duration_since(since) >= QUIET => return AtEnd::Finished,
            _ => {}
        }
        match self.quiet {
            Some((length, since)) if length == seen => {
                if now.duration_since(since) >= QUIET {
                    AtEnd::Finished
                } else {
                    AtEnd::Wait
                }
            }
            _ => {
                self.quiet = Some((seen, now));
                AtEnd::Wait
            }
        }
    }

    /// Goes to the next generation. Returns the place where reading goes on.
    pub fn next_generation(&mut self, reached: UnixNanos) -> Position {
        self.seq += 1;
        self.quiet = None;
        self.offset = self.reading().map_or(0, |(_, file, _)| file.start);
        self.position(reached)
    }

    /// Whether reading is behind the last generation of a log that has ended.
    pub fn is_finished(&self) -> bool {
        self.ended && self.seq == self.next_seq
    }

    /// Where reading is.
    pub fn position(&self, reached: UnixNanos) -> Position {
        Position { seq: self.seq, offset: self.offset, reached: self.reached(self.seq, self.offset, reached) }
    }

    /// Since when what stands at a place may have been handed on: `now` unless that happened before.
    pub fn reached(&self, seq: u32, offset: u64, now: UnixNanos) -> UnixNanos {
        self.first_attempt(seq, offset).map_or(now, |earlier| earlier.min(now))
    }

    /// If what stands at a place may have been handed on before: since when that is possible.
    pub fn first_attempt(&self, seq: u32, offset: u64) -> Option<UnixNanos> {
        let again = self.replay.filter(|(until, _)| (seq, offset) < (until.seq, until.offset)).map(|(_, since)| since);
        let first = self.chain.front().map_or(0, |link| link.0);
        let file = seq.checked_sub(first).and_then(|index| self.chain.get(index as usize));
        let restart =
            file.and_then(|(_, file)| file.replay).filter(|(until, _)| offset < *until).map(|(_, since)| since);
        again.into_iter().chain(restart).min()
    }

    /// A batch that ends at `end` is about to be handed on; the token to settle it by.
    pub fn push(&mut self, end: Position) -> u64 {
        self.cursor.push(self.cutter.oldest_open().unwrap_or(end))
    }

    /// Nothing was handed on up to `end`.
    pub fn skip(&mut self, end: Position) {
        self.cursor.skip_to(self.cutter.oldest_open().unwrap_or(end));
        self.publish();
    }

    /// A batch was settled, or abandoned.
    pub fn settle(&mut self, token: u64, abandoned: bool, now: Instant) {
        if abandoned {
            if self.cursor.is_pending(token) {
                self.rewind(now);
            }
            return;
        }
        self.failures = 0;
        if self.cursor.settle(token).is_some() {
            self.publish();
        }
    }

    /// A batch was abandoned: back to the safe position.
    fn rewind(&mut self, now: Instant) {
        let high = Position { seq: self.seq, offset: self.offset, reached: UnixNanos::NONE };
        let safe = *self.cursor.rewind();
        self.replay = Some(match self.replay {
            Some((until, since)) => (until.max(high), since.min(safe.reached)),
            None => (high, safe.reached),
        });
        self.epoch += 1;
        (self.seq, self.offset) = (safe.seq, safe.offset);
        self.quiet = None;
        self.cutter.reset();
        let first = self.chain.front().map_or(self.next_seq, |link| link.0);
        for (seq, file) in &self.chain {
            if *seq == self.seq {
                file.set_read(self.offset);
            } else if *seq > self.seq.max(first) {
                file.set_read(file.start);
            }
        }
        let pause = PAUSES.0.saturating_mul(1 << self.failures.min(8)).min(PAUSES.1);
        self.failures += 1;
        self.paused_until = Some(now + pause);
    }

    /// Number of batches that are not settled.
    pub fn pending(&self) -> usize {
        self.cursor.pending()
    }

    fn publish(&mut self) {
        let safe = *self.cursor.safe();
        *self.progress.safe.lock().unwrap_or_else(PoisonError::into_inner) = safe;
        while self.chain.front().is_some_and(|(seq, _)| *seq < safe.seq) {
            self.chain.pop_front();
        }
        if self.replay.is_some_and(|(until, _)| (safe.seq, safe.offset) >= (until.seq, until.offset)) {
            self.replay = None;
        }
        if self.is_finished() && safe.seq == self.next_seq && self.cursor.pending() == 0 {
            self.progress.done.store(true, Ordering::Release);
        }
    }

    /// Marks the log as done where everything of it is settled.
    pub fn finish(&mut self) {
        self.publish();
    }
}

/// A part of a log that one turn read.
#[derive(Debug)]
pub struct Piece {
    /// The log's number.
    pub origin: u32,
    /// Its epoch at the time.
    pub epoch: u32,
    /// The generation.
    pub file: Arc<GenerationFile>,
    /// Its number in the chain.
    pub seq: u32,
    /// Offset of the first byte in the file.
    pub offset: u64,
    /// Where the bytes begin in the turn's chunk.
    pub from: usize,
    /// Number of bytes.
    pub len: usize,
    /// When reading came here.
    pub reached: UnixNanos,
    /// Where reading goes on behind it.
    pub end: Position,
    /// Whether the log ends behind it.
    pub last: bool,
}

impl Piece {
    /// The bytes, in the turn's chunk.
    pub fn segment<'a>(&'a self, chunk: &'a crate::data::Chunk) -> Segment<'a> {
        Segment {
            chunk,
            from: self.from,
            len: self.len,
            file: &self.file,
            seq: self.seq,
            offset: self.offset,
            reached: self.reached,
        }
    }
}
