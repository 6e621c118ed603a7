//! A log and its generations, as the catalog knows them.

use std::fs::{self, File, Metadata};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::data::{Generation, UnixNanos};
use crate::tail::discover::Found;
use crate::tail::fingerprint::{BYTES, Fingerprint};
use crate::tail::generation::{FileId, GenerationFile, open_regular};
use crate::tail::origin::Progress;
use crate::tail::siblings::Sibling;
use crate::telemetry::FileLag;

/// Finished generations that are remembered although their file is gone: a compressed one may still turn up.
const REMEMBERED: usize = 8;

/// A log.
pub struct Log {
    /// Its number, and the worker that owns it.
    pub number: u32,
    pub worker: usize,
    pub progress: Arc<Progress>,
    pub found: Found,
    /// Its generations in the order of the chain.
    pub members: Vec<Member>,
    pub next_seq: u32,
    /// Whether this look found it.
    pub seen: bool,
    /// Since when it was not found.
    pub missing_since: Option<Instant>,
    /// Whether its worker was told that nothing follows.
    pub ended: bool,
    /// Compressed rotations written up to then are accounted for.
    pub compressed: UnixNanos,
    folder: Option<SystemTime>,
}

/// One generation.
pub struct Member {
    pub seq: u32,
    pub generation: Generation,
    pub id: FileId,
    /// The open file while it is being read; `None` once it is finished.
    pub file: Option<Arc<GenerationFile>>,
    pub prefix: Fingerprint,
    /// The bytes before the safe offset when it was last saved, and that offset.
    pub before: (u64, Fingerprint),
    /// Length when it was finished.
    pub length: u64,
    /// Whether it was left out on purpose when the log was first seen.
    pub skipped: bool,
    /// Since when records at the safe offset may have been handed on, as an earlier run wrote it.
    pub reached: UnixNanos,
    /// Whether a file of that name was there when the folder was last listed.
    pub linked: bool,
}

impl Log {
    pub fn new(number: u32, worker: usize, progress: Arc<Progress>, found: Found) -> Self {
        Self {
            number,
            worker,
            progress,
            found,
            members: Vec::new(),
            next_seq: 0,
            seen: true,
            missing_since: None,
            ended: false,
            compressed: UnixNanos::NONE,
            folder: None,
        }
    }

    /// Whether the folder's entries may have changed since the last look.
    pub fn folder_changed(&mut self) -> bool {
        let folder = self.found.target.parent().and_then(|folder| fs::metadata(folder).ok());
        let modified = folder.and_then(|metadata| metadata.modified().ok());
        // Two changes within one tick of the file system's clock look like one.
        let recent = modified.is_none_or(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 3) || at.elapsed().is_err());
        let changed = modified != self.folder || recent;
        self.folder = modified;
        changed
    }

    /// Notes which generations still have a name.
    pub fn mark_seen(&mut self, listed: bool, siblings: &[Sibling], current: Option<FileId>) {
        if !listed {
            return;
        }
        for member in &mut self.members {
            member.linked = current.is_some_and(|current| member.id.is(&current))
                || siblings.iter().any(|sibling| member.id.is(&sibling.id));
        }
    }

    /// Whether the file of a generation, now at `path`, was started anew.
    pub fn was_truncated(&self, index: usize, metadata: &Metadata, path: &Path) -> bool {
        let member = &self.members[index];
        let Some(file) = &member.file else {
            let differs = |open| member.prefix.begins(&open).is_ok_and(|begins| !begins);
            return metadata.len() < member.length
                || metadata.len() > member.length && open_regular(path).is_ok_and(|(open, _)| differs(open));
        };
        // The worker reads on meanwhile: the length must be asked for after how far it is, not before.
        let (read, size) = (file.read(), file.size());
        let Some(open) = file.file() else { return false };
        let Ok(length) = open.metadata().map(|now| now.len()) else { return false };
        if length < read || length < u64::from(member.prefix.len) {
            return true;
        }
        // Unchanged files need no second look.
        length != size && member.prefix.begins(&open).is_ok_and(|begins| !begins)
    }

    /// Looks at the first bytes of what is being read, so that a copy is told from something else.
    pub fn learn(&mut self) {
        self.members.iter_mut().for_each(Member::learn);
    }

    /// Whether a rotated file is one of the generations, or a copy of one.
    pub fn knows(&self, sibling: &Sibling) -> bool {
        self.members.iter().any(|member| member.id.is(&sibling.id) || member.copy_at(&sibling.path).is_some())
    }

    /// Closes generations that are settled to their end, and forgets those whose files are long gone.
    pub fn finish_members(&mut self) {
        let safe = self.progress.safe();
        for member in &mut self.members {
            if member.seq < safe.seq {
                if let Some(file) = member.file.take() {
                    member.length = file.read();
                }
            } else {
                member.learn();
            }
        }
        let gone = |member: &Member| member.file.is_none() && !member.linked;
        let mut excess = self.members.iter().filter(|member| gone(member)).count().saturating_sub(REMEMBERED);
        self.members.retain(|member| {
            let forget = excess > 0 && gone(member);
            excess -= usize::from(forget);
            !forget
        });
    }

    /// Whether it has ended and everything of it is settled, also what its worker was not told of yet.
    pub fn is_done(&self) -> bool {
        self.ended && self.progress.done() && self.progress.safe().seq >= self.next_seq
    }

    /// How far behind reading is, for the status page.
    pub fn lag(&self) -> Option<FileLag> {
        let unread: u64 = self.members.iter().filter_map(|member| Some(member.file.as_ref()?.unread())).sum();
        let current = self.members.iter().rev().find_map(|member| member.file.as_ref())?;
        Some(FileLag {
            path: self.progress.path.clone(),
            generations: self.members.iter().filter(|member| member.file.is_some()).count(),
            read_bytes: current.read(),
            size_bytes: current.size(),
            lag_bytes: unread,
        })
    }
}

impl Member {
    /// A generation to be read from `start`; `replay` as [`GenerationFile::replay`] has it.
    pub fn new(
        seq: u32,
        generation: Generation,
        id: FileId,
        file: File,
        start: u64,
        replay: Option<(u64, UnixNanos)>,
    ) -> Self {
        let prefix = Fingerprint::of_prefix(&file).unwrap_or_default();
        let before = Fingerprint::before(&file, start).unwrap_or_default();
        let file = Arc::new(GenerationFile::new(generation, Arc::new(file), start, replay));
        Self {
            seq,
            generation,
            id,
            file: Some(file),
            prefix,
            before: (start, before),
            length: 0,
            skipped: false,
            reached: generation.birth,
            linked: true,
        }
    }

    /// A rotated file that is not read.
    pub fn skipped(seq: u32, sibling: &Sibling) -> Option<Self> {
        let (file, _) = open_regular(&sibling.path).ok()?;
        let generation = crate::tail::generation::fresh_generation();
        let mut member = Self::new(seq, generation, sibling.id, file, 0, None);
        (member.file, member.length, member.skipped) = (None, sibling.size, true);
        Some(member)
    }

    /// Notes a new length.
    pub fn grew_to(&self, size: u64) {
        if let Some(file) = &self.file {
            file.set_size(size);
        }
    }

    /// Completes the prefix while it is shorter than it may become.
    fn learn(&mut self) {
        if usize::from(self.prefix.len) < BYTES
            && let Some(file) = &self.file
            && file.size() > u64::from(self.prefix.len)
            && let Some(open) = file.file()
            // A file that begins differently was truncated; the next look tells.
            && self.prefix.begins(&open).unwrap_or(false)
        {
            self.prefix = Fingerprint::of_prefix(&open).unwrap_or(self.prefix);
        }
    }

    /// Opens the file at `path` if it is a copy of this generation, with everything up to what was saved.
    pub fn copy_at(&self, path: &Path) -> Option<File> {
        if self.prefix.len == 0 {
            return None;
        }
        let (file, metadata) = open_regular(path).ok()?;
        let (offset, before) = self.before;
        let same = metadata.len() >= offset
            && self.prefix.begins(&file).unwrap_or(false)
            && before.ends(&file, offset).unwrap_or(false);
        same.then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::tail::origin::Position;

    #[test]
    fn a_worker_that_read_on_since_the_look_began_is_no_truncation() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"first\n").expect("writes");
        let before = file.as_file().metadata().expect("is there");
        let path = file.path().to_owned();
        let found = Found { path: path.clone(), target: path.clone(), ended: false };
        let progress = Arc::new(Progress::new("a.log".into(), Position::default()));
        let mut log = Log::new(0, 0, progress, found);
        let (open, metadata) = open_regular(&path).expect("opens");
        let generation = crate::tail::generation::fresh_generation();
        log.members.push(Member::new(0, generation, FileId::of(&metadata), open, 0, None));
        file.write_all(b"second\n").expect("writes");
        log.members[0].file.as_ref().expect("is read").set_read(13);
        assert!(!log.was_truncated(0, &before, &path));
        file.as_file().set_len(0).expect("truncates");
        let after = file.as_file().metadata().expect("is there");
        assert!(log.was_truncated(0, &after, &path));
    }
}
