//! The thread that does a queue's I/O: writes what was accepted, forces it to the disk, reads back what did not
//! fit into memory, moves the cursor, deletes what is settled. Nothing else of the agent waits for a disk.

mod read;
mod write;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cursor;
use super::lease::Lease;
use super::queue::DiskQueue;
use super::reader::Reader;
use super::recovery::{Recovered, recover};
use super::segment::Segment;
use super::state::State;
use crate::data::UnixNanos;
use crate::delivery::files::{Appended, Files};
use crate::formats::segment::{Decoder, Encoder};

/// The pause after a failure, and between looks at an unchanging queue.
const PAUSE: Duration = Duration::from_secs(1);

/// The cursor lags the sink by this at most.
const CURSOR_LAG: Duration = Duration::from_millis(100);

/// The worker of one queue.
pub(super) struct Worker {
    files: Arc<dyn Files>,
    queue: Arc<DiskQueue>,
    folder: PathBuf,
    encoder: Encoder,
    reader: Reader,
    segments: VecDeque<Segment>,
    /// The file of the newest segment, while it may be appended to.
    writer: Option<Writer>,
    /// Whether the folder was read; until then nothing is written.
    recovered: bool,
    saved: u64,
    /// Whether the cursor's file is one that may be written over.
    cursor_written: bool,
    cursor_due: Option<Instant>,
    /// When writing, or opening the folder, is tried again.
    retry_at: Option<Instant>,
    /// Whether that waits for room in the queue.
    full: bool,
    read_again_at: Option<Instant>,
    read_failures: u32,
    /// What is wrong, by what was tried.
    wrong: [Option<String>; 3],
    group: Vec<u8>,
}

#[derive(Debug)]
struct Writer {
    file: Box<dyn Appended>,
    /// When what is not forced to the disk has to be.
    unsynced: Option<Instant>,
}

/// What can be wrong, each until it works.
#[derive(Clone, Copy)]
enum Trouble {
    Folder = 0,
    Writing = 1,
    Reading = 2,
}

impl Worker {
    pub fn new(files: Arc<dyn Files>, queue: Arc<DiskQueue>) -> Self {
        let settings = &queue.settings;
        let folder = settings.folder.clone();
        Self {
            encoder: Encoder::new(settings.names.clone()),
            reader: Reader::new(files.clone(), &folder, Decoder::new(settings.names.clone(), settings.series.clone())),
            files,
            folder,
            queue,
            segments: VecDeque::new(),
            writer: None,
            recovered: false,
            saved: 0,
            cursor_written: false,
            cursor_due: None,
            retry_at: None,
            full: false,
            read_again_at: None,
            read_failures: 0,
            wrong: Default::default(),
            group: Vec::new(),
        }
    }

    /// Runs until the queue is closed and its sink is gone.
    pub fn run(mut self) {
        let lease = Lease::take(&self.folder);
        loop {
            let now = Instant::now();
            if !self.recovered && self.retry_at.is_none_or(|at| at <= now) {
                self.recover();
            }
            self.withdraw_revoked();
            let more = self.write(now);
            self.sync_if_due(Instant::now());
            self.fill();
            self.delete_settled();
            self.save_cursor_if_due(now);
            self.show();
            let state = self.queue.lock();
            if state.closed && state.gone {
                break;
            }
            drop(state);
            if !more {
                self.queue.sleep(self.deadline());
            }
        }
        self.end();
        drop(lease);
        self.queue.ended.send_replace(true);
    }

    /// When there is something to do even if nothing changes.
    fn deadline(&self) -> Option<Instant> {
        let sync = self.writer.as_ref().and_then(|writer| writer.unsynced);
        let idle = self.queue.lock().records == 0 && self.recovered;
        let look = (!idle).then(|| Instant::now() + PAUSE);
        [sync, self.cursor_due, self.retry_at, self.read_again_at, look].into_iter().flatten().min()
    }

    fn recover(&mut self) {
        match recover(&*self.files, &self.folder) {
            Ok(found) => self.open(found),
            Err(error) => {
                self.complain(Trouble::Folder, self.in_memory_alone("cannot be used", &error));
                self.retry_at = Some(Instant::now() + PAUSE);
                let mut state = self.queue.lock();
                if !state.opened {
                    // Numbers beyond any in the folder: what is there is older, whenever it can be read.
                    state.open(UnixNanos::now().0);
                }
            }
        }
    }

    fn open(&mut self, found: Recovered) {
        let name = &*self.queue.metrics.name;
        for words in &found.complaints {
            tracing::warn!(component = name, "{words}");
            self.queue.metrics.error(words.clone());
        }
        self.queue.metrics.bytes_lost.inc_by(found.lost_bytes);
        self.queue.metrics.records_lost.inc_by(found.lost_records);
        if found.records > 0 {
            tracing::info!(component = name, records = found.records, "the disk queue holds records of an earlier run");
        }
        self.recovered = true;
        self.retry_at = None;
        self.works(Trouble::Folder);
        self.saved = found.settled;
        let unread = found.segments.iter().any(|segment| segment.last > found.settled);
        self.segments = found.segments;
        let mut state = self.queue.lock();
        state.records += found.records;
        if !state.opened {
            state.open(found.last + 1);
            state.next_ready = found.settled + 1;
            state.written = found.last;
        } else if unread {
            // What waited in memory meanwhile is newer, and some of it the sink has.
            state.go_back();
            state.next_ready = found.settled + 1;
        }
    }

    /// Forgets messages whose source has withdrawn them.
    fn withdraw_revoked(&self) {
        let withdrawn = self.queue.lock().take_revoked();
        if !withdrawn.is_empty() {
            self.queue.room().notify_waiters();
        }
    }

    /// Deletes the segments in which everything is settled, but for the one that is written.
    fn delete_settled(&mut self) {
        let settled = self.queue.lock().settled();
        while let Some(oldest) = self.segments.front() {
            let written = self.segments.len() == 1 && self.writer.is_some();
            if oldest.last > settled || written || !self.recovered {
                return;
            }
            // One that cannot be deleted now is deleted at the next start, by its number.
            if let Err(error) = self.remove(&oldest.path(&self.folder)) {
                self.queue.metrics.error(format!("a settled segment cannot be deleted: {error}"));
            }
            self.segments.pop_front();
            if std::mem::take(&mut self.full) {
                self.retry_at = None;
            }
        }
    }

    /// Removes a file that somebody may have removed already.
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
    }

    fn save_cursor_if_due(&mut self, now: Instant) {
        let settled = self.queue.lock().settled();
        if settled <= self.saved || !self.recovered {
            return;
        }
        let due = *self.cursor_due.get_or_insert(now + CURSOR_LAG);
        if due <= now {
            self.save_cursor(settled, false);
        }
    }

    fn save_cursor(&mut self, settled: u64, durable: bool) {
        self.cursor_due = None;
        let (path, bytes) = (self.folder.join(cursor::NAME), cursor::encode(settled));
        // To replace a file costs a file system some twenty times what writing over it does.
        let written = match self.cursor_written && !durable {
            true => self.files.overwrite(&path, &bytes),
            false => Err(io::ErrorKind::NotFound.into()),
        };
        let written = written.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => self.files.replace(&path, &bytes, durable),
            _ => Err(error),
        });
        match written {
            Ok(()) => (self.saved, self.cursor_written) = (settled, true),
            Err(error) => {
                self.cursor_due = Some(Instant::now() + PAUSE);
                self.queue.metrics.error(format!("the cursor of the disk queue cannot be written: {error}"));
            }
        }
    }

    fn show(&self) {
        let gauges = self.queue.metrics.disk_queue();
        let mut state = self.queue.lock();
        if state.direct && state.settled() + 1 >= state.next {
            // Damage may have cost records that nobody could count.
            state.records = 0;
        }
        let unread = self.segments.front().filter(|_| !state.direct).map(|segment| segment.created);
        let oldest = state.oldest().or(unread).filter(|_| state.records > 0);
        let age = oldest.map_or(Duration::ZERO, |oldest| UnixNanos::now().since(oldest));
        let bytes: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        gauges.bytes.set(gauge(bytes));
        gauges.limit_bytes.set(gauge(self.queue.settings.disk.size));
        gauges.records.set(gauge(state.records));
        gauges.oldest_seconds.set(gauge(age.as_secs()));
    }

    /// What is wrong with the folder, and what to do about it.
    fn in_memory_alone(&self, what: &str, error: &io::Error) -> String {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull => ": free some room",
            io::ErrorKind::QuotaExceeded => ": raise the quota",
            io::ErrorKind::PermissionDenied => ": let the agent's user write there, or give another `data_dir`",
            io::ErrorKind::ReadOnlyFilesystem => ": mount it writable, or give another `data_dir`",
            _ => "",
        };
        let folder = self.folder.display();
        format!("the disk queue {folder} {what}: {error}; records wait in memory alone{advice}")
    }

    fn complain(&mut self, trouble: Trouble, words: String) {
        let known = &mut self.wrong[trouble as usize];
        if known.as_ref() != Some(&words) {
            tracing::warn!(component = %self.queue.metrics.name, "{words}");
            self.queue.metrics.error(words.clone());
            *known = Some(words);
        }
        self.show_trouble();
    }

    fn works(&mut self, trouble: Trouble) {
        if self.wrong[trouble as usize].take().is_some() {
            tracing::info!(component = %self.queue.metrics.name, "the disk queue works again");
            self.show_trouble();
        }
    }

    fn show_trouble(&self) {
        self.queue.metrics.health.buffer(self.wrong.iter().flatten().next().cloned());
    }

    /// Writes down what can be, and tells what cannot.
    fn end(&mut self) {
        self.retry_at = None;
        while self.write(Instant::now()) {}
        self.close_segment();
        let mut state = self.queue.lock();
        let left: Vec<_> = std::mem::take(&mut state.accepted).into();
        state.unwritten_bytes = 0;
        let settled = state.settled();
        drop(state);
        // Their sources are told that nobody has them.
        drop(left);
        if !self.recovered {
            return;
        }
        if settled > self.saved {
            self.save_cursor(settled, true);
        }
        self.delete_settled();
        self.show();
        self.queue.metrics.health.buffer(None);
    }
}

impl State {
    /// Gives numbers, from `next` on, to what was accepted before they were known.
    fn open(&mut self, next: u64) {
        let mut number = next;
        for accepted in &mut self.accepted {
            accepted.sequence = number;
            number += 1;
        }
        self.opened = true;
        self.own_from = next;
        self.next = number;
        self.next_ready = next;
        self.written = next - 1;
    }
}
