//! A log that is seen for the first time in this run: continued where an earlier run was, or begun as the
//! source's options say.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::compressed::{Compressed, written};
use super::log::{Log, Member};
use super::{Catalog, GONE_AFTER};
use crate::data::UnixNanos;
use crate::tail::discover::Found;
use crate::tail::generation::{FileId, GenerationFile, fresh_generation, open_regular};
use crate::tail::inbox::{Command, Mailbox};
use crate::tail::lines::LineCutter;
use crate::tail::origin::{Origin, Position, Progress};
use crate::tail::row::Row;
use crate::tail::run::Start;
use crate::tail::seek;
use crate::tail::siblings::Sibling;

/// A file that a log has now.
struct Candidate {
    path: PathBuf,
    id: FileId,
    size: u64,
    /// `None` for the file at the log's own path.
    sibling: Option<Sibling>,
    taken: bool,
}

impl Catalog {
    /// Begins or continues a log.
    pub(super) fn first_sight(&mut self, found: &Found, id: FileId) -> Option<Log> {
        let siblings = self.siblings(found);
        let size = match open_regular(&found.target) {
            Ok((_, metadata)) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.cannot(&found.target, &error);
                return None;
            }
        };
        let rows = self.claim_rows(found, id);
        let mut files = candidates(&siblings);
        files.push(Candidate { path: found.target.clone(), id, size, sibling: None, taken: false });

        let mut log = self.number(found);
        if rows.is_empty() {
            let start = self.start(id);
            log.compressed = match (self.first_look, self.saved_before) {
                (true, Some(saved)) if start == Start::Beginning => saved,
                (true, _) => siblings.iter().filter(|s| s.compressed).map(written).max().unwrap_or_default(),
                (false, _) => UnixNanos::NONE,
            };
            for file in &files {
                self.begin(&mut log, file, start);
            }
        } else {
            log.compressed = rows.iter().map(|row| row.compressed).max().unwrap_or_default();
            self.resume(&mut log, rows, &mut files, &siblings);
        }
        self.account_compressed(&mut log, &siblings);
        self.introduce(&mut log);
        if found.ended {
            log.ended = true;
            self.commands.push((log.worker, Command::End { origin: log.number }));
        }
        Some(log)
    }

    /// Rows of the log, or of the log that its file was before it got another path.
    fn claim_rows(&mut self, found: &Found, id: FileId) -> Vec<Row> {
        let mut path: Box<[u8]> = found.path.as_os_str().as_bytes().into();
        if !self.restored.iter().any(|row| row.path == path) {
            let listed = |row: &Row| self.found.iter().any(|found| found.path.as_os_str().as_bytes() == &*row.path);
            let moved = self.restored.iter().find(|row| !row.finished && row.id.is(&id) && !listed(row));
            if let Some(row) = moved {
                path = row.path.clone();
            }
        }
        let (mut rows, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.restored).into_iter().partition(|row| row.path == path);
        self.restored = rest;
        rows.sort_by_key(|row| row.order);
        rows
    }

    /// Where a log without rows begins.
    fn start(&self, id: FileId) -> Start {
        match (self.first_look, self.saved_before) {
            (false, _) => Start::Beginning,
            // It was made while no agent ran.
            (true, Some(saved)) if id.born > saved.0 => Start::Beginning,
            (true, _) => self.settings.start,
        }
    }

    fn begin(&mut self, log: &mut Log, file: &Candidate, start: Start) {
        let since = match start {
            Start::Beginning => return self.add_quietly(log, file, 0),
            Start::End => None,
            Start::Back(length) => Some(UnixNanos::now().minus(length)),
        };
        if let Some(sibling) = &file.sibling
            && since.is_none_or(|since| written(sibling) < since)
        {
            log.members.extend(Member::skipped(log.next_seq, sibling));
            log.next_seq += 1;
            return;
        }
        let offset = open_regular(&file.path).and_then(|(open, _)| match since {
            None => seek::last_line(&open, file.size),
            Some(since) => seek::first_since(&open, file.size, since),
        });
        match offset {
            Ok(offset) => self.add_quietly(log, file, offset),
            Err(error) => self.cannot(&file.path, &error),
        }
    }

    /// Adds a generation of a log that its worker does not know yet.
    fn add_quietly(&mut self, log: &mut Log, file: &Candidate, start: u64) {
        match open_regular(&file.path) {
            Ok((open, metadata)) => {
                let id = FileId::of(&metadata);
                log.members.push(Member::new(log.next_seq, fresh_generation(), id, open, start, None));
                log.next_seq += 1;
            }
            Err(error) => self.cannot(&file.path, &error),
        }
    }

    /// Finds the generations of an earlier run again.
    fn resume(&mut self, log: &mut Log, rows: Vec<Row>, files: &mut [Candidate], siblings: &[Sibling]) {
        let (finished, open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.finished);
        for row in finished {
            let candidate = find(&row, files);
            let grown = candidate.is_some_and(|index| files[index].size > row.offset);
            match candidate {
                Some(index) if grown => self.resume_one(log, &row, &mut files[index]),
                other => {
                    if let Some(index) = other {
                        files[index].taken = true;
                    }
                    log.members.push(remembered(&row, log.next_seq, other.is_some()));
                    log.next_seq += 1;
                }
            }
        }
        for row in open {
            match find(&row, files) {
                Some(index) => self.resume_one(log, &row, &mut files[index]),
                None => {
                    self.lose_row(&row, siblings);
                    log.members.insert(0, remembered(&row, 0, false));
                }
            }
        }
        // What no row names is newer than all of them.
        for file in files.iter() {
            let known = file.taken || file.sibling.as_ref().is_some_and(|sibling| log.knows(sibling));
            if !known {
                self.add_quietly(log, file, 0);
            }
        }
    }

    fn resume_one(&mut self, log: &mut Log, row: &Row, file: &mut Candidate) {
        match open_regular(&file.path) {
            Ok((open, metadata)) => {
                file.taken = true;
                let replay = Some((metadata.len(), row.reached));
                let id = FileId::of(&metadata);
                let mut member = Member::new(log.next_seq, row.generation, id, open, row.offset, replay);
                member.reached = row.reached;
                log.members.push(member);
                log.next_seq += 1;
            }
            Err(error) => self.cannot(&file.path, &error),
        }
    }

    /// A generation that was not read to its end is not there any more.
    fn lose_row(&self, row: &Row, siblings: &[Sibling]) {
        let compressed = siblings
            .iter()
            .filter(|sibling| sibling.compressed)
            .find_map(|sibling| Compressed::read(sibling).filter(|content| content.begins_with(&row.prefix)));
        let (end, reason) = match compressed {
            Some(content) => (content.length.max(row.size), "compressed"),
            None => (row.size, "gone"),
        };
        let lost = end.saturating_sub(row.offset);
        if lost > 0 {
            let path = String::from_utf8_lossy(&row.path);
            tracing::warn!(
                component = %self.metrics.name, path = %path, from = row.offset, to = end,
                "rotated away or deleted while no agent ran, before it was read"
            );
            (self.lost)(&path, reason, lost);
        }
    }

    /// Rows that no log has claimed: their logs are gone, but rotated files of them may be there and not
    /// be read.
    pub(super) fn take_unclaimed(&mut self) {
        if self.restored.is_empty() || self.started.elapsed() < GONE_AFTER {
            return;
        }
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let mut logs: BTreeMap<PathBuf, Vec<Row>> = BTreeMap::new();
        for row in std::mem::take(&mut self.restored) {
            logs.entry(path(&row.path)).or_default().push(row);
        }
        for (log, mut rows) in logs {
            if fs::symlink_metadata(&log).is_ok() {
                // It is there and cannot be read now.
                self.restored.append(&mut rows);
                continue;
            }
            rows.sort_by_key(|row| row.order);
            let target = rows.last().map(|row| path(&row.target)).unwrap_or_default();
            let found = Found { path: log.clone(), target, ended: true };
            let siblings = self.siblings(&found);
            let mut files = candidates(&siblings);
            if rows.iter().all(|row| find(row, &files).is_none()) {
                rows.iter().filter(|row| !row.finished).for_each(|row| self.lose_row(row, &siblings));
                continue;
            }
            let mut fresh = self.number(&found);
            fresh.compressed = rows.iter().map(|row| row.compressed).max().unwrap_or_default();
            fresh.missing_since = Some(Instant::now());
            fresh.ended = true;
            self.resume(&mut fresh, rows, &mut files, &siblings);
            self.account_compressed(&mut fresh, &siblings);
            self.introduce(&mut fresh);
            self.commands.push((fresh.worker, Command::End { origin: fresh.number }));
            self.logs.insert(log, fresh);
        }
    }

    /// A log with a number and a worker.
    fn number(&mut self, found: &Found) -> Log {
        let mut loads = vec![0usize; self.workers.len()];
        for log in self.logs.values() {
            loads[log.worker] += 1;
        }
        let worker = (0..loads.len()).min_by_key(|&worker| loads[worker]).unwrap_or(0);
        let number = self.next_number;
        self.next_number += 1;
        let path = found.path.to_string_lossy().into_owned().into_boxed_str();
        Log::new(number, worker, Arc::new(Progress::new(path, Position::default())), found.clone())
    }

    /// Hands the log to its worker.
    fn introduce(&mut self, log: &mut Log) {
        // What is finished comes before what is not, as the chain has it.
        log.members.sort_by_key(|member| (member.file.is_some(), member.seq));
        for (seq, member) in (0..).zip(&mut log.members) {
            member.seq = seq;
        }
        log.next_seq = log.members.len() as u32;
        let live = || log.members.iter().filter(|member| member.file.is_some());
        let first = live().next();
        let safe = Position {
            seq: first.map_or(log.next_seq, |member| member.seq),
            offset: first.and_then(|member| member.file.as_ref()).map_or(0, |file| file.start),
            reached: first.map_or_else(UnixNanos::now, |member| member.reached),
        };
        for member in log.members.iter().rev().skip(1) {
            if let Some(file) = &member.file {
                file.follow(Instant::now());
            }
        }
        let progress = Arc::new(Progress::new(log.progress.path.clone(), safe));
        let resource = Arc::new((self.identify)(&self.discover.resource(&log.found)));
        let shown = self.discover.shown_path(&log.found);
        let cutter = LineCutter::new(self.settings.format, self.settings.most_record, shown.as_deref());
        let mailbox = Arc::new(Mailbox { inbox: self.workers[log.worker].clone(), origin: log.number });
        let files: Vec<Arc<GenerationFile>> = live().filter_map(|member| member.file.clone()).collect();
        let origin = Origin::new(log.number, progress.clone(), resource, cutter, mailbox, files);
        log.progress = progress;
        self.commands.push((log.worker, Command::Add(Box::new(origin))));
    }
}

/// The rotated files that can be read.
fn candidates(siblings: &[Sibling]) -> Vec<Candidate> {
    let readable = siblings.iter().filter(|sibling| !sibling.compressed && sibling.size > 0);
    readable
        .map(|s| Candidate { path: s.path.clone(), id: s.id, size: s.size, sibling: Some(s.clone()), taken: false })
        .collect()
}

/// The file that a row is about: by its place and first bytes, else by its first bytes and those before the
/// offset, if exactly one file has them.
fn find(row: &Row, files: &[Candidate]) -> Option<usize> {
    let free = || files.iter().enumerate().filter(|(_, file)| !file.taken && file.size >= row.offset);
    let begins =
        |file: &Candidate| open_regular(&file.path).is_ok_and(|(open, _)| row.prefix.begins(&open).unwrap_or(false));
    if let Some((index, _)) = free().find(|(_, file)| file.id.is(&row.id) && begins(file)) {
        return Some(index);
    }
    if row.prefix.len == 0 {
        return None;
    }
    let same = |file: &Candidate| {
        let ends = |(open, _): (fs::File, fs::Metadata)| row.before.ends(&open, row.offset).unwrap_or(false);
        begins(file) && open_regular(&file.path).is_ok_and(ends)
    };
    let mut matching = free().filter(|(_, file)| same(file));
    let first = matching.next()?;
    matching.next().is_none().then_some(first.0)
}

/// A generation of which nothing is left to read.
fn remembered(row: &Row, seq: u32, linked: bool) -> Member {
    Member {
        seq,
        generation: row.generation,
        id: row.id,
        file: None,
        prefix: row.prefix,
        before: (row.offset, row.before),
        length: row.offset,
        skipped: false,
        reached: row.reached,
        linked,
    }
}
