//! The dead letter: what a destination refused for good, kept on disk with the reason.
//!
//! A folder of NDJSON files, one entry a line. A file is never written to by two agents or by two versions
//! of a sink: each writer begins its own, named by time and a random number, so that names sort by age.
//! An entry is on stable storage before its record is acknowledged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::complaints::Complaints;
use crate::data::UnixNanos;
use crate::options::{ByteSize, Percent};
use crate::telemetry::ComponentMetrics;

/// Where refused records go: `dead_letter: { max_size, when_full, min_free }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLetterOptions {
    /// Most bytes kept on disk; a single entry may be larger. Default: `256MiB`.
    pub max_size: ByteSize,
    /// What happens when that is reached: `drop` gives up the oldest entries, `block` holds the sink until
    /// there is room. Default: `drop`, so that bad input does not stop others.
    pub when_full: WhenDeadLetterFull,
    /// The share of the disk that stays free for others: below it the dead letter counts as full. Default:
    /// `10%`.
    pub min_free: Percent,
}

/// What a full dead letter does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenDeadLetterFull {
    /// The oldest entries are deleted and counted as dropped.
    #[default]
    Drop,
    /// The sink waits.
    Block,
}

impl Default for DeadLetterOptions {
    fn default() -> Self {
        Self { max_size: ByteSize(256 << 20), when_full: WhenDeadLetterFull::Drop, min_free: Percent(10) }
    }
}

/// What became of entries that were to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They are on stable storage.
    Durable,
    /// They cannot be kept, and the options say to go on without them.
    Lost(String),
    /// They cannot be kept now, and the options say to wait.
    Full(String),
}

/// A sink's dead letter.
#[derive(Debug)]
pub struct DeadLetter {
    folder: PathBuf,
    options: DeadLetterOptions,
    metrics: Arc<ComponentMetrics>,
    complaints: Arc<Complaints>,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    bytes: u64,
}

/// The complaint of a dead letter that gives up entries or cannot be written.
const TOPIC: &str = "dead letter";

/// A dead letter is kept in about this many files, so that giving up the oldest gives up a small part.
const FILES: u64 = 8;

impl DeadLetter {
    /// The dead letter of the component called `type/name`. Nothing is touched before the first entry.
    pub fn new(
        data_dir: &Path,
        name: &str,
        options: DeadLetterOptions,
        metrics: Arc<ComponentMetrics>,
        complaints: Arc<Complaints>,
    ) -> Self {
        let folder = data_dir.join("dead_letter").join(name);
        Self { folder, options, metrics, complaints, current: Mutex::default() }
    }

    /// About how many bytes of entries to keep at once: a small part of the whole, and little memory.
    pub fn portion(&self) -> usize {
        usize::try_from(self.options.max_size.0 / FILES).unwrap_or(usize::MAX).clamp(1, 256 << 10)
    }

    /// Keeps entries, each a line of JSON with its terminator. Does I/O: call it where blocking is allowed.
    pub fn keep(&self, entries: &[u8]) -> Kept {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match self.write(&mut current, entries) {
            Ok(()) => Kept::Durable,
            Err(error) => {
                *current = None;
                let words = format!("the dead letter {} cannot be written: {error}", self.folder.display());
                self.complaints.raise(TOPIC, words.clone());
                match self.options.when_full {
                    WhenDeadLetterFull::Drop => Kept::Lost(words),
                    WhenDeadLetterFull::Block => Kept::Full(words),
                }
            }
        }
    }

    fn write(&self, current: &mut Option<Current>, entries: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.make_room(current, entries.len() as u64)?;
        let each = self.options.max_size.0 / FILES;
        if current.as_ref().is_some_and(|file| file.bytes + entries.len() as u64 > each) {
            *current = None;
        }
        let file = match current {
            Some(file) => file,
            None => current.insert(self.begin()?),
        };
        file.file.write_all(entries).and_then(|()| file.file.sync_data())?;
        file.bytes += entries.len() as u64;
        Ok(())
    }

    fn begin(&self) -> io::Result<Current> {
        let name = format!("{:020}-{:08x}.ndjson", UnixNanos::now().0, fastrand::u32(..));
        let path = self.folder.join(name);
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(Current { file, path, bytes: 0 })
    }

    /// Gives up the oldest files until `more` bytes fit, or says that they do not.
    fn make_room(&self, current: &mut Option<Current>, more: u64) -> io::Result<()> {
        let mut files = self.files()?;
        let mut used: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let crowded = self.disk_crowded()?;
        let mut freed = 0;
        loop {
            // One entry that is larger than everything allowed would otherwise never find room.
            let full = used > 0 && used + more > self.options.max_size.0;
            // On a crowded disk an entry takes the place of older ones and no more.
            if !full && (!crowded || freed >= more) {
                break;
            }
            if self.options.when_full == WhenDeadLetterFull::Block || files.is_empty() {
                let why = if full {
                    "`dead_letter.max_size` is reached"
                } else {
                    "less of the disk is free than `dead_letter.min_free`"
                };
                return Err(io::Error::new(io::ErrorKind::StorageFull, why));
            }
            let (oldest, bytes) = files.remove(0);
            let lines = fs::read(&oldest).map(|text| memchr::memchr_iter(b'\n', &text).count() as u64)?;
            if current.as_ref().is_some_and(|file| file.path == oldest) {
                *current = None;
            }
            fs::remove_file(&oldest)?;
            self.metrics.records_dropped.inc_by(lines);
            used -= bytes;
            freed += bytes;
        }
        if freed > 0 {
            let words = format!("the dead letter {} is full: its oldest entries are dropped", self.folder.display());
            self.complaints.raise(TOPIC, words);
        } else if used + more < self.options.max_size.0 / 2 {
            self.complaints.over(TOPIC);
        }
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<(PathBuf, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "ndjson") {
                files.push((entry.path(), entry.metadata()?.len()));
            }
        }
        files.sort();
        Ok(files)
    }

    fn disk_crowded(&self) -> io::Result<bool> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        Ok(disk.f_bavail * 100 < disk.f_blocks * u64::from(self.options.min_free.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    fn dead_letter(folder: &Path, max_size: u64, when_full: WhenDeadLetterFull) -> DeadLetter {
        let metrics = Telemetry::new().component("sink", "elasticsearch/logs");
        let complaints = Arc::new(Complaints::new(metrics.clone()));
        // However full this machine's disk is.
        let options = DeadLetterOptions { max_size: ByteSize(max_size), when_full, min_free: Percent(0) };
        DeadLetter::new(folder, "elasticsearch/logs", options, metrics, complaints)
    }

    fn content(folder: &Path) -> String {
        let folder = folder.join("dead_letter/elasticsearch/logs");
        let mut files: Vec<_> = fs::read_dir(folder).expect("exists").map(|e| e.expect("readable").path()).collect();
        files.sort();
        files.iter().map(|path| fs::read_to_string(path).expect("text")).collect()
    }

    #[test]
    fn the_oldest_entries_make_room_and_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let letters = dead_letter(folder.path(), 800, WhenDeadLetterFull::Drop);
        for number in 0..40 {
            let entry = format!("{{\"n\":{number},\"text\":\"{}\"}}\n", "x".repeat(30));
            assert_eq!(letters.keep(entry.as_bytes()), Kept::Durable);
        }
        let kept = content(folder.path());
        assert!(kept.len() <= 800);
        assert!(kept.ends_with(&format!("{{\"n\":39,\"text\":\"{}\"}}\n", "x".repeat(30))));
        assert_eq!(letters.metrics.records_dropped.get() + kept.lines().count() as u64, 40);
        assert!(letters.metrics.health.status().unhealthy.is_some_and(|words| words.contains("full")));
    }

    #[test]
    fn one_entry_larger_than_the_whole_is_kept_alone() {
        for when_full in [WhenDeadLetterFull::Drop, WhenDeadLetterFull::Block] {
            let folder = tempfile::tempdir().expect("a folder");
            let letters = dead_letter(folder.path(), 10, when_full);
            assert_eq!(letters.keep(b"{\"n\":1111111}\n"), Kept::Durable);
            let second = letters.keep(b"{\"n\":2222222}\n");
            let expected = match when_full {
                WhenDeadLetterFull::Drop => {
                    assert_eq!(second, Kept::Durable);
                    "{\"n\":2222222}\n"
                }
                WhenDeadLetterFull::Block => {
                    assert!(matches!(second, Kept::Full(_)));
                    "{\"n\":1111111}\n"
                }
            };
            assert_eq!(content(folder.path()), expected);
        }
    }

    #[test]
    fn a_full_one_that_blocks_gives_up_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let letters = dead_letter(folder.path(), 20, WhenDeadLetterFull::Block);
        assert_eq!(letters.keep(b"{\"n\":1}\n"), Kept::Durable);
        assert!(matches!(letters.keep(b"{\"n\":22222222222}\n"), Kept::Full(_)));
        assert_eq!(content(folder.path()), "{\"n\":1}\n");
    }
}
