//! One generation of a log: an open file, how far it was read and settled. Shared by the catalog, which
//! opens and identifies it, and the worker that reads it.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::time::Instant;

use crate::data::{Generation, UnixNanos};

/// What the file system says about which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// When the inode was made, in nanoseconds; 0 where the file system does not tell. It tells a file from
    /// an earlier one whose inode it got.
    pub born: u64,
}

impl FileId {
    /// The id in a file's metadata.
    pub fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().map_or(0, |time| UnixNanos::from(time).0);
        Self { device: metadata.dev(), inode: metadata.ino(), born }
    }

    /// Whether both may be one file: the same place and, where both tell, the same birth.
    pub fn is(&self, other: &Self) -> bool {
        let births = self.born == 0 || other.born == 0 || self.born == other.born;
        self.device == other.device && self.inode == other.inode && births
    }
}

/// A generation that is read.
#[derive(Debug)]
pub struct GenerationFile {
    /// Its number and birth.
    pub generation: Generation,
    /// Where reading it began.
    pub start: u64,
    /// Records before this offset may have been handed on by an earlier run of the agent, at the earliest
    /// at that time.
    pub replay: Option<(u64, UnixNanos)>,
    /// `None` once it was given up.
    file: Mutex<Option<Arc<File>>>,
    /// Next byte to be read.
    read: AtomicU64,
    /// Length when last looked at.
    size: AtomicU64,
    /// What lies behind this offset was counted as lost.
    lost_from: AtomicU64,
    /// Its length when its successor was first seen, and when that was.
    followed: OnceLock<(u64, Instant)>,
}

impl GenerationFile {
    /// A generation to be read from `start`.
    pub fn new(generation: Generation, file: Arc<File>, start: u64, replay: Option<(u64, UnixNanos)>) -> Self {
        let size = file.metadata().map_or(start, |metadata| metadata.len());
        Self {
            generation,
            start,
            replay,
            file: Mutex::new(Some(file)),
            read: AtomicU64::new(start),
            size: AtomicU64::new(size),
            lost_from: AtomicU64::new(u64::MAX),
            followed: OnceLock::new(),
        }
    }

    /// The open file; `None` once it was given up.
    pub fn file(&self) -> Option<Arc<File>> {
        self.lock().clone()
    }

    /// Goes on in another file with the same content: a copy that was made before a truncation.
    pub fn move_to(&self, file: Arc<File>) {
        *self.lock() = Some(file);
    }

    /// Lets go of the file. Returns how many bytes that were not read are lost by it.
    pub fn give_up(&self) -> u64 {
        *self.lock() = None;
        self.count_lost(self.read())
    }

    /// Counts everything from `offset` on as lost; returns how many bytes were not counted before.
    pub fn count_lost(&self, offset: u64) -> u64 {
        let end = self.lost_from.fetch_min(offset, Ordering::AcqRel).min(self.size());
        end.saturating_sub(offset)
    }

    /// Next byte to be read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Acquire)
    }

    /// Notes how far it was read.
    pub fn set_read(&self, offset: u64) {
        self.read.store(offset, Ordering::Release);
    }

    /// Length when last looked at.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Notes its length.
    pub fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// Notes that a successor was seen.
    pub fn follow(&self, now: Instant) {
        if let Some(metadata) = self.file().and_then(|file| file.metadata().ok()) {
            self.set_size(metadata.len());
            // Only the first successor says when the writer went on elsewhere.
            let _ = self.followed.set((metadata.len(), now));
        }
    }

    /// Its length when its successor was first seen, and when that was.
    pub fn followed(&self) -> Option<(u64, Instant)> {
        self.followed.get().copied()
    }

    /// Bytes that are there and were not read.
    pub fn unread(&self) -> u64 {
        self.size().saturating_sub(self.read())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<File>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a regular file for reading, without waiting where the path is a pipe and without becoming owner of
/// a terminal.
///
/// # Errors
/// As `open` has them; [`io::ErrorKind::InvalidInput`] where it is no regular file.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok((file, metadata))
}

/// A number for a generation: random, never 0, never used again.
pub fn fresh_generation() -> Generation {
    Generation { id: fastrand::u64(1..), birth: UnixNanos::now() }
}
