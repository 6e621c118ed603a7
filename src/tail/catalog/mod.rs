//! What logs there are: looks at the file system, opens every generation as it appears, and keeps the rows
//! by which they are found again after a restart.
//!
//! A look does I/O and runs where blocking is allowed. Everything it finds is written down first and handed
//! to the workers then, so that no record is handed on before the row of its generation is durable.

mod compressed;
mod first;
mod held;
mod log;
mod save;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::discover::{Discover, Found};
use super::generation::{FileId, open_regular};
use super::inbox::{Command, Inbox};
use super::row::Row;
use super::run::Settings;
use super::siblings::{self, Sibling};
use super::worker::Lost;
use crate::data::{Resource, UnixNanos};
use crate::delivery::checkpoint::{Checkpoint, Rows};
use crate::delivery::complaints::Complaints;
use crate::telemetry::ComponentMetrics;
use log::{Log, Member};

/// How long a log must be gone before it counts as ended: between a rename and the new file there is none.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// What the catalog complains about, by topic.
const LISTING: &str = "listing";
const OPENING: &str = "opening";
const SAVING: &str = "saving positions";

/// Makes the resource of a log with the agent's identity on it.
pub type Identify = Box<dyn Fn(&Resource) -> Resource + Send>;

/// Every log of one source.
pub struct Catalog {
    discover: Box<dyn Discover>,
    identify: Identify,
    settings: Settings,
    checkpoint: Checkpoint,
    metrics: Arc<ComponentMetrics>,
    complaints: Complaints,
    lost: Lost,
    workers: Vec<Arc<Inbox>>,
    logs: BTreeMap<PathBuf, Log>,
    next_number: u32,
    /// Rows of an earlier run that no log has claimed yet.
    restored: Vec<Row>,
    /// When the rows were saved by an earlier run.
    saved_before: Option<UnixNanos>,
    first_look: bool,
    /// Rows as they are on disk.
    rows: Rows,
    /// To be told to workers once the rows are durable.
    commands: Vec<(usize, Command)>,
    found: Vec<Found>,
    /// What went wrong while opening files in this look.
    trouble: Option<String>,
    started: Instant,
}

/// What a catalog is made of.
pub struct Parts {
    /// Lists the logs.
    pub discover: Box<dyn Discover>,
    /// Adds the agent's identity to a resource.
    pub identify: Identify,
    /// The source's settings.
    pub settings: Settings,
    /// Where rows are kept.
    pub checkpoint: Checkpoint,
    /// The source's metrics.
    pub metrics: Arc<ComponentMetrics>,
    /// Counts what is lost.
    pub lost: Lost,
    /// The workers' inboxes.
    pub workers: Vec<Arc<Inbox>>,
}

impl Catalog {
    /// A catalog that continues where an earlier run was.
    ///
    /// # Errors
    /// Where the rows are there but cannot be read.
    pub fn restore(parts: Parts) -> io::Result<Self> {
        let Parts { discover, identify, settings, checkpoint, metrics, lost, workers } = parts;
        let restored = checkpoint.restore()?;
        if let Some(complaint) = restored.complaint {
            tracing::error!(component = %metrics.name, "{complaint}");
            metrics.error(complaint);
        }
        let rows = restored.rows.iter().filter_map(|(key, value)| Row::decode(key, value)).collect();
        Ok(Self {
            discover,
            identify,
            settings,
            checkpoint,
            complaints: Complaints::new(metrics.clone()),
            metrics,
            lost,
            workers,
            logs: BTreeMap::new(),
            next_number: 0,
            restored: rows,
            saved_before: restored.saved,
            first_look: true,
            rows: restored.rows,
            commands: Vec::new(),
            found: Vec::new(),
            trouble: None,
            started: Instant::now(),
        })
    }

    /// Looks at everything once, saves what changed and tells the workers.
    pub fn look(&mut self) {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        match self.discover.list(&mut found) {
            Ok(()) => self.complaints.over(LISTING),
            Err(words) => self.complaints.raise(LISTING, words),
        }
        self.trouble = None;
        self.logs.values_mut().for_each(|log| log.seen = false);
        // A log comes before its rotations, which may be matched by the same pattern. Paths are compared as
        // bytes: by their names would cost more than all else here.
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_owned();
        found.sort_by_cached_key(|found| (bytes(&found.target), bytes(&found.path)));
        found.dedup_by(|later, first| later.target.as_os_str() == first.target.as_os_str());
        for one in &found {
            self.see(one);
        }
        self.found = found;
        self.miss();
        self.shed();
        self.finish_members();
        if self.complaints.is_over(LISTING) {
            self.take_unclaimed();
            self.first_look = false;
        }
        match self.trouble.take() {
            Some(words) => self.complaints.raise(OPENING, words),
            None => self.complaints.over(OPENING),
        }
        self.save();
        self.tell();
        self.measure();
    }

    /// One log that exists.
    fn see(&mut self, found: &Found) {
        let metadata = match fs::metadata(&found.target) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.cannot(&found.target, &error),
        };
        let id = FileId::of(&metadata);
        let log = match self.logs.remove(&found.path) {
            Some(log) => Some(self.look_again(log, found, id, &metadata)),
            // The same file is a part of another log: a rotation of it, say.
            None if self.is_of_another(id) => None,
            None => self.first_sight(found, id),
        };
        if let Some(log) = log {
            self.logs.insert(found.path.clone(), log);
        }
    }

    /// Whether a file belongs to any of the logs but the one that is being looked at.
    fn is_of_another(&self, id: FileId) -> bool {
        self.logs.values().any(|log| log.members.iter().any(|member| member.id.is(&id)))
    }

    /// A log that is known: has it grown, rotated, been truncated, ended?
    fn look_again(&mut self, mut log: Log, found: &Found, id: FileId, metadata: &fs::Metadata) -> Log {
        log.missing_since = None;
        log.seen = true;
        let moved = log.found.target != found.target;
        let listed = moved || log.folder_changed();
        let mut siblings = if listed { self.siblings(&log.found) } else { Vec::new() };
        if moved {
            siblings.extend(self.siblings(found));
        }
        log.found = found.clone();
        log.mark_seen(listed, &siblings, Some(id));
        self.look_for_growth(&mut log, &siblings, (&found.target, id, metadata.len()));
        self.look_for_truncation(&mut log, &siblings);
        let known = log.members.iter().position(|member| member.id.is(&id));
        match known {
            Some(index) if log.was_truncated(index, metadata, &found.target) => {
                self.truncated(&mut log, index, &siblings);
                self.add_unknown(&mut log, &siblings);
                self.add(&mut log, &found.target, 0);
            }
            Some(index) => {
                log.members[index].grew_to(metadata.len());
                // The file may have been copied and begun anew before a byte of it was seen.
                log.learn();
                self.add_unknown(&mut log, &siblings);
            }
            None if self.is_of_another(id) => {}
            None => {
                self.add_unknown(&mut log, &siblings);
                self.add(&mut log, &found.target, 0);
            }
        }
        if listed {
            self.account_compressed(&mut log, &siblings);
        }
        if found.ended && !log.ended {
            log.ended = true;
            self.commands.push((log.worker, Command::End { origin: log.number }));
        }
        log
    }

    /// The file at the path is shorter than what was read of it, or begins differently: its writer started
    /// it anew. A copy that was made before has what was not read yet.
    fn truncated(&mut self, log: &mut Log, index: usize, siblings: &[Sibling]) {
        let path = log.progress.path.clone();
        let member = &mut log.members[index];
        let copies = siblings.iter().filter(|sibling| !sibling.compressed);
        let copy = copies.filter_map(|sibling| Some((sibling, member.copy_at(&sibling.path)?))).next();
        let Some(file) = &member.file else {
            // It was read to its end before; its place belongs to the next generation.
            member.id.inode = 0;
            return;
        };
        match copy {
            Some((sibling, copy)) => {
                member.id = sibling.id;
                file.set_size(sibling.size);
                file.move_to(Arc::new(copy));
            }
            None => {
                let lost = file.give_up();
                if lost > 0 {
                    (self.lost)(&path, "truncated", lost);
                }
                member.id = FileId { inode: 0, ..member.id };
            }
        }
    }

    /// A finished generation that grew after all: what came later is read as well. `current` is the file at
    /// the log's path, finished where the log was not listed for a while.
    fn look_for_growth(&mut self, log: &mut Log, siblings: &[Sibling], current: (&Path, FileId, u64)) {
        let rotated = siblings.iter().filter(|sibling| !sibling.compressed);
        for (path, id, size) in rotated.map(|one| (one.path.as_path(), one.id, one.size)).chain([current]) {
            let grown = log.members.iter().position(|member| {
                member.id.is(&id) && member.file.is_none() && member.length < size && !member.skipped
            });
            let Some(index) = grown else { continue };
            let Ok((file, _)) = open_regular(path) else { continue };
            if !log.members[index].prefix.begins(&file).unwrap_or(false) {
                continue;
            }
            let (generation, start) = (log.members[index].generation, log.members[index].length);
            log.members.remove(index);
            let member = Member::new(log.next_seq, generation, id, file, start, None);
            self.push(log, member);
        }
    }

    /// Files that were begun anew and then rotated, between two looks.
    fn look_for_truncation(&mut self, log: &mut Log, siblings: &[Sibling]) {
        for sibling in siblings.iter().filter(|sibling| !sibling.compressed) {
            let Some(index) = log.members.iter().position(|member| member.id.is(&sibling.id)) else { continue };
            let Ok(metadata) = fs::metadata(&sibling.path) else { continue };
            if log.members[index].file.is_some() && log.was_truncated(index, &metadata, &sibling.path) {
                self.truncated(log, index, siblings);
                self.add(log, &sibling.path, 0);
            }
        }
    }

    /// Rotated files that came and went between two looks.
    fn add_unknown(&mut self, log: &mut Log, siblings: &[Sibling]) {
        for sibling in siblings.iter().filter(|sibling| !sibling.compressed && sibling.size > 0) {
            if !log.knows(sibling) && !self.is_of_another(sibling.id) {
                self.add(log, &sibling.path, 0);
            }
        }
    }

    /// Opens a file as the log's next generation.
    fn add(&mut self, log: &mut Log, path: &Path, start: u64) {
        match open_regular(path) {
            Ok((file, metadata)) => {
                let id = FileId::of(&metadata);
                let member = Member::new(log.next_seq, super::generation::fresh_generation(), id, file, start, None);
                self.push(log, member);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.cannot(path, &error),
        }
    }

    fn push(&mut self, log: &mut Log, member: Member) {
        if let Some(file) = log.members.last().and_then(|last| last.file.as_ref()) {
            file.follow(Instant::now());
        }
        log.next_seq += 1;
        log.ended = false;
        if let Some(file) = &member.file {
            self.commands.push((log.worker, Command::Extend { origin: log.number, file: file.clone() }));
        }
        log.members.push(member);
    }

    /// Logs that were not listed, or whose file is not there.
    fn miss(&mut self) {
        let missing: Vec<_> = self.logs.iter().filter(|(_, log)| !log.seen).map(|(path, _)| path.clone()).collect();
        for path in missing {
            let Some(mut log) = self.logs.remove(&path) else { continue };
            if self.miss_one(&mut log) {
                self.logs.insert(path, log);
            } else {
                self.commands.push((log.worker, Command::Remove { origin: log.number }));
            }
        }
    }

    /// A log that is missing; returns whether it may still matter.
    fn miss_one(&mut self, log: &mut Log) -> bool {
        let since = *log.missing_since.get_or_insert_with(Instant::now);
        let siblings = self.siblings(&log.found);
        let current = fs::metadata(&log.found.target).ok().map(|metadata| FileId::of(&metadata));
        log.mark_seen(true, &siblings, current);
        let known = log.members.len();
        // A file that came and was rotated away between two looks is not missed with its log.
        self.look_for_truncation(log, &siblings);
        self.add_unknown(log, &siblings);
        self.account_compressed(log, &siblings);
        if !log.ended && log.members.len() == known && since.elapsed() >= GONE_AFTER {
            log.ended = true;
            self.commands.push((log.worker, Command::End { origin: log.number }));
        }
        // Its files may be listed again, or get a successor: rows stay as long as one of them does.
        !log.is_done() || log.members.iter().any(|member| member.linked)
    }

    fn finish_members(&mut self) {
        for log in self.logs.values_mut() {
            log.finish_members();
        }
    }

    fn tell(&mut self) {
        for (worker, command) in self.commands.drain(..) {
            self.workers[worker].command(command);
        }
    }

    /// How far behind reading is.
    fn measure(&self) {
        let members = self.logs.values().flat_map(|log| &log.members);
        let unread: u64 = members.filter_map(|member| member.file.as_ref()).map(|file| file.unread()).sum();
        self.metrics.lag_bytes.set(i64::try_from(unread).unwrap_or(i64::MAX));
        self.metrics.files.set(self.logs.values().filter_map(Log::lag).collect());
    }

    /// Saves the last positions.
    pub fn close(mut self) {
        self.finish_members();
        self.save();
    }

    /// Folders to watch for new logs.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.discover.folders()
    }

    /// Says that the kernel does not watch folders for us.
    pub fn not_watched(&self, words: &str) {
        tracing::info!(component = %self.metrics.name, reason = words, "new files are found by looking alone");
    }

    fn siblings(&mut self, found: &Found) -> Vec<Sibling> {
        match siblings::rotated(&found.target) {
            Ok(siblings) => siblings,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.cannot(&found.target, &error);
                Vec::new()
            }
        }
    }

    fn cannot(&mut self, path: &Path, error: &io::Error) {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "; let the agent's user read it",
            _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
                "; raise the limit of open files (ulimit -n)"
            }
            _ => "",
        };
        let words = format!("{} cannot be read: {error}{advice}", path.display());
        self.metrics.error(words.clone());
        self.trouble.get_or_insert(words);
    }
}
