//! Keeps the rows of all generations durable.

use super::log::{Log, Member};
use super::{Catalog, SAVING};
use crate::data::UnixNanos;
use crate::delivery::checkpoint::Rows;
use crate::tail::fingerprint::Fingerprint;
use crate::tail::row::Row;
use std::os::unix::ffi::OsStrExt;

impl Catalog {
    /// Saves the rows if they changed. While that fails, positions are kept in memory alone, and reading
    /// goes on.
    pub(super) fn save(&mut self) {
        let mut rows = Rows::new();
        for log in self.logs.values_mut() {
            for index in 0..log.members.len() {
                let row = row(log, index);
                rows.insert(row.key(), row.encode());
            }
        }
        for row in &self.restored {
            rows.insert(row.key(), row.encode());
        }
        // The file's own time says until when the agent ran: a first, empty one matters as well.
        if rows == self.rows && self.saved_before.is_some() {
            return;
        }
        match self.checkpoint.save(&rows) {
            Ok(()) => {
                self.rows = rows;
                self.saved_before.get_or_insert(UnixNanos::now());
                self.complaints.over(SAVING);
            }
            Err(error) => {
                let path = self.checkpoint.path().display();
                let words = format!(
                    "positions cannot be saved in {path}: {error}; reading goes on, but after a kill lines would be \
                     read twice: check that `data_dir` is writable and has room"
                );
                self.complaints.raise(SAVING, words);
            }
        }
    }
}

fn row(log: &mut Log, index: usize) -> Row {
    let safe = log.progress.safe();
    let member = &mut log.members[index];
    let finished = member.file.is_none() || member.seq < safe.seq;
    let (offset, reached) = match &member.file {
        _ if finished => (member.file.as_ref().map_or(member.length, |file| file.read()), member.reached),
        Some(_) if member.seq == safe.seq => (safe.offset, safe.reached),
        Some(file) => (file.start, member.reached),
        None => (member.length, member.reached),
    };
    let size = member.file.as_ref().map_or(member.length, |file| file.size().max(file.read()));
    remember(member, offset);
    Row {
        generation: member.generation,
        finished,
        order: member.seq,
        id: member.id,
        prefix: member.prefix,
        before: member.before.1,
        offset,
        size,
        reached,
        compressed: log.compressed,
        path: log.found.path.as_os_str().as_bytes().into(),
        target: log.found.target.as_os_str().as_bytes().into(),
    }
}

/// Hashes the bytes before a new safe offset, as long as the file is open.
fn remember(member: &mut Member, offset: u64) {
    if member.before.0 == offset {
        return;
    }
    if let Some(open) = member.file.as_ref().and_then(|file| file.file())
        && let Ok(before) = Fingerprint::before(&open, offset)
    {
        member.before = (offset, before);
    }
}
