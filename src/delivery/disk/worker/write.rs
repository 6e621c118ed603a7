//! Writing: groups of messages into the newest segment, room for them by the policy, and the sync that settles
//! them towards their sources.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::segment::{Segment, Window, walk};
use super::super::state::Accepted;
use super::{PAUSE, Trouble, Worker, Writer};
use crate::data::{Batch, UnixNanos};
use crate::delivery::Outcome;
use crate::delivery::queue::WhenFull;
use crate::formats::segment::{Entry, HEAD_LEN, HEADER_LEN, Head, Header};
use crate::options::ByteSize;

/// A segment is closed when it has this size, or an eighth of the queue's.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Smallest size at which a segment is closed.
const LEAST_SEGMENT_BYTES: u64 = 64 << 10;

/// Bytes of messages that are written at once.
const GROUP_BYTES: u64 = 1 << 20;

/// Where somebody waits for the answer a record is forced after this at the latest, whatever `fsync` says: whoever
/// pushes gives up after a few seconds, sends again, and would wait as long for the next.
const MOST_WAITED_FOR: Duration = Duration::from_secs(1);

/// Why a group of messages was not written.
enum NotWritten {
    /// The queue is full, and its policy is to wait.
    Full(String),
    Failed(io::Error),
}

impl From<io::Error> for NotWritten {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A message to be written.
struct Unwritten {
    sequence: u64,
    at: UnixNanos,
    first_attempt: Option<UnixNanos>,
    offered: bool,
    waited_for: bool,
    batch: Batch,
    input: Arc<str>,
}

impl Worker {
    /// Writes what was accepted; returns whether more waits.
    pub(super) fn write(&mut self, now: Instant) -> bool {
        if !self.recovered || self.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        self.retry_at = None;
        let group = self.gather();
        if group.is_empty() {
            return false;
        }
        let written = self.write_group(group);
        self.queue.lock().writing = 0;
        match written {
            Ok(()) => {
                self.full = false;
                self.works(Trouble::Writing);
                self.queue.room().notify_waiters();
                true
            }
            Err(NotWritten::Full(words)) => {
                self.full = true;
                self.retry_at = Some(Instant::now() + PAUSE);
                self.complain(Trouble::Writing, words);
                false
            }
            Err(NotWritten::Failed(error)) => {
                self.retry_at = Some(Instant::now() + PAUSE);
                self.close_segment();
                self.complain(Trouble::Writing, self.in_memory_alone("cannot be written", &error));
                false
            }
        }
    }

    /// The next messages to be written: their numbers, and what records are made of.
    fn gather(&self) -> Vec<Unwritten> {
        let mut state = self.queue.lock();
        let (mut group, mut bytes) = (Vec::new(), 0);
        for accepted in state.accepted.iter().filter(|accepted| accepted.sequence > state.written) {
            if accepted.only_in_memory {
                // Nothing that comes behind it may overtake it on the disk.
                if accepted.sequence >= state.next_ready {
                    break;
                }
                continue;
            }
            let Some(batch) = &accepted.batch else { continue };
            let Accepted { sequence, at, first_attempt, offered, .. } = *accepted;
            group.push(Unwritten {
                sequence,
                at,
                first_attempt,
                offered,
                waited_for: accepted.ack.waited_for(),
                batch: batch.clone(),
                input: accepted.input.clone(),
            });
            bytes += accepted.bytes;
            if bytes >= GROUP_BYTES {
                break;
            }
        }
        state.writing = group.last().map_or(0, |message| message.sequence);
        group
    }

    fn write_group(&mut self, group: Vec<Unwritten>) -> Result<(), NotWritten> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let (first_sequence, written, droppable) = (first.sequence, last.sequence, first.offered);
        let estimate = group.iter().map(|message| message.batch.bytes()).sum();
        self.make_room(estimate, droppable)?;
        let most = (self.queue.settings.disk.size / 8).clamp(LEAST_SEGMENT_BYTES, SEGMENT_BYTES);
        if self.writer.is_some() && self.segments.back().is_some_and(|segment| segment.bytes >= most) {
            self.close_segment();
        }
        self.group.clear();
        if self.writer.is_none() {
            self.begin(first_sequence)?;
        }
        for message in &group {
            let Unwritten { sequence, at: accepted, first_attempt, batch, input, .. } = message;
            let entry = Entry { sequence: *sequence, accepted: *accepted, first_attempt: *first_attempt, input, batch };
            self.encoder.append(&entry, &mut self.group).map_err(io::Error::other)?;
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.file.append(&self.group)?;
        let mut wait = self.queue.settings.disk.fsync.wait();
        if group.iter().any(|message| message.waited_for) {
            wait = wait.min(MOST_WAITED_FOR);
        }
        let due = Instant::now() + wait;
        writer.unsynced = Some(writer.unsynced.map_or(due, |earlier| earlier.min(due)));
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes += self.group.len() as u64;
            segment.last = written;
        }
        if self.group.capacity() as u64 > 4 * GROUP_BYTES {
            self.group = Vec::new();
        }
        let mut state = self.queue.lock();
        state.written = written;
        let mut freed = 0;
        let range = state.accepted.partition_point(|accepted| accepted.sequence < first_sequence);
        for accepted in state.accepted.range_mut(range..).take_while(|accepted| accepted.sequence <= written) {
            if !accepted.only_in_memory && accepted.batch.take().is_some() {
                freed += accepted.bytes;
            }
        }
        state.unwritten_bytes -= freed;
        Ok(())
    }

    /// Begins a segment whose first record has this number.
    fn begin(&mut self, first: u64) -> io::Result<()> {
        self.files.make_folder(&self.folder)?;
        let created = UnixNanos::now();
        let mut segment = Segment::new(first, created);
        let path = segment.path(&self.folder);
        if let Some(known) = self.segments.iter().position(|known| known.first >= first) {
            // It was left empty by a failure: nothing in it was ever written down.
            self.segments.remove(known);
            self.remove(&path)?;
        }
        let mut file = match self.files.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.files.remove(&path)?;
                self.files.create(&path)?
            }
            created => created?,
        };
        let mut header = Vec::new();
        self.encoder.begin(Header::new(first, created), &mut header);
        segment.bytes = header.len() as u64;
        file.append(&header)?;
        self.segments.push_back(segment);
        self.writer = Some(Writer { file, unsynced: None });
        Ok(())
    }

    /// Makes room for so many bytes by the policy.
    fn make_room(&mut self, bytes: u64, droppable: bool) -> Result<(), NotWritten> {
        let settings = self.queue.settings.disk;
        let drops = self.queue.settings.when_full == WhenFull::DropOldest || droppable;
        let mut freed = 0;
        loop {
            self.delete_settled();
            let used: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
            let full = used > 0 && used + bytes > settings.size;
            // On a crowded disk a message takes the place of older ones and no more.
            let crowded = !full && freed < bytes && self.is_crowded()?;
            if !full && !crowded {
                return Ok(());
            }
            let settled = self.queue.lock().settled();
            if self.segments.back().is_some_and(|newest| newest.last <= settled) && self.writer.is_some() {
                // It is in the way, and nobody needs it.
                self.close_segment();
                continue;
            }
            if drops && !self.segments.is_empty() && (full || used > bytes) {
                freed += self.drop_oldest()?;
                continue;
            }
            let size = ByteSize(settings.size);
            return Err(NotWritten::Full(match full {
                true => format!("the disk queue is full ({size}): what comes now waits at its sources"),
                false => format!(
                    "less than {}% of the disk is free (`buffer.min_free`): records wait in memory alone",
                    settings.min_free
                ),
            }));
        }
    }

    fn is_crowded(&self) -> io::Result<bool> {
        match self.files.is_crowded(&self.folder, self.queue.settings.disk.min_free) {
            // A folder that has vanished is made again by whoever writes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            crowded => crowded,
        }
    }

    /// Gives up the oldest segment with everything in it that was not made ready. Returns its bytes.
    fn drop_oldest(&mut self) -> io::Result<u64> {
        if self.segments.len() == 1 {
            self.close_segment();
        }
        let Some(segment) = self.segments.front().cloned() else { return Ok(0) };
        let path = segment.path(&self.folder);
        let (from, known) = {
            let state = self.queue.lock();
            (state.next_ready, state.known_from(state.next_ready))
        };
        // What only the disk knows of, and how many bytes of it can be read.
        let (mut on_disk, mut walked) = (0, segment.bytes);
        if segment.last >= from {
            walked = HEADER_LEN as u64;
            let count = |head: &Head| {
                walked += (HEAD_LEN + head.length) as u64;
                if head.sequence >= from && known.binary_search(&head.sequence).is_err() {
                    on_disk += u64::from(head.count);
                }
            };
            let read = Window::open(&*self.files, &path)
                .and_then(|mut window| walk(&mut window, segment.first, segment.bytes, false, count));
            if let Err(error) = read {
                self.queue.metrics.error(format!("{} cannot be read and is dropped: {error}", path.display()));
            }
        }
        self.remove(&path)?;
        self.segments.pop_front();
        self.queue.metrics.bytes_lost.inc_by(segment.bytes.saturating_sub(walked));
        let mut state = self.queue.lock();
        state.records = state.records.saturating_sub(on_disk);
        let gone = state.pass(segment.last + 1);
        let dropped = on_disk + gone.records();
        for accepted in state.accepted.iter_mut().take_while(|accepted| accepted.sequence < from.min(segment.last + 1))
        {
            // The sink has it, or is about to; what was written of it is gone.
            accepted.only_in_memory = true;
        }
        drop(state);
        // The sink may have waited for what was passed.
        self.queue.filled().notify_one();
        if dropped > 0 {
            let words = format!("the disk queue is full: {dropped} of its oldest records are dropped");
            self.queue.metrics.records_dropped.inc_by(dropped);
            tracing::warn!(component = %self.queue.metrics.name, "{words}");
            self.queue.metrics.error(words);
        }
        for accepted in gone.unsettled {
            accepted.ack.settle(Outcome::Dropped, accepted.records);
        }
        Ok(segment.bytes)
    }

    pub(super) fn sync_if_due(&mut self, now: Instant) {
        let due = self.writer.as_ref().and_then(|writer| writer.unsynced);
        if due.is_none_or(|due| now < due) {
            return;
        }
        if let Err(error) = self.sync() {
            self.retry_at = Some(Instant::now() + PAUSE);
            self.close_segment();
            self.complain(Trouble::Writing, self.in_memory_alone("cannot be forced to the disk", &error));
        }
    }

    /// Forces what was written to the disk, and settles it towards its sources.
    fn sync(&mut self) -> io::Result<()> {
        let (Some(writer), Some(segment)) = (&mut self.writer, self.segments.back()) else { return Ok(()) };
        if writer.unsynced.is_none() {
            return Ok(());
        }
        let path = segment.path(&self.folder);
        let synced = writer.file.sync().and_then(|()| match self.files.exists(&path) {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::NotFound, "its file was removed by somebody")),
        });
        writer.unsynced = None;
        let mut state = self.queue.lock();
        // What was withdrawn meanwhile has been, or will be, sent again by its source.
        let withdrawn = state.take_revoked();
        let written = state.written;
        let mut safe = Vec::new();
        let mut unsafe_still = Vec::new();
        let behind = state.accepted.partition_point(|accepted| accepted.sequence <= written);
        for mut accepted in state.accepted.drain(..behind) {
            if accepted.only_in_memory || accepted.batch.is_some() {
                unsafe_still.push(accepted);
            } else if synced.is_err() {
                // What was written may or may not be there after a crash, whatever a later attempt says: it is
                // the sink that settles it.
                accepted.only_in_memory = true;
                unsafe_still.push(accepted);
            } else {
                safe.push(accepted);
            }
        }
        unsafe_still.into_iter().rev().for_each(|accepted| state.accepted.push_front(accepted));
        drop(state);
        drop(withdrawn);
        for accepted in safe {
            accepted.ack.settle(Outcome::Delivered, accepted.records);
        }
        synced
    }

    /// Nothing more is written into the newest segment. What is in it is forced to the disk before, or marked as
    /// unsafe: a later segment's sync says nothing about it.
    pub(super) fn close_segment(&mut self) {
        if let (Some(writer), Some(segment)) = (&mut self.writer, self.segments.back()) {
            // What a failed write has left behind the last whole record; where that stays, damage ends there.
            let _ = writer.file.truncate(segment.bytes);
        }
        if let Err(error) = self.sync() {
            self.queue.metrics.error(format!("a segment of the disk queue cannot be forced to the disk: {error}"));
        }
        self.writer = None;
    }
}
