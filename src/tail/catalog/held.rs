//! Files that are deleted or about to be, and still open because they are not read to the end: at most so
//! many bytes and descriptors.

use std::os::unix::fs::MetadataExt;

use super::Catalog;

/// Most deleted files that are held open.
const MOST_FILES: usize = 1000;

impl Catalog {
    /// Gives up the oldest held files until the rest is within the limits.
    pub(super) fn shed(&mut self) {
        let mut held = Vec::new();
        for (path, log) in &self.logs {
            for (index, member) in log.members.iter().enumerate() {
                if member.linked && log.missing_since.is_none() {
                    continue;
                }
                let Some(file) = &member.file else { continue };
                let Some(metadata) = file.file().and_then(|open| open.metadata().ok()) else { continue };
                if metadata.nlink() == 0 {
                    let modified = (metadata.mtime(), metadata.mtime_nsec());
                    held.push((modified, metadata.len(), path.clone(), index));
                }
            }
        }
        let mut bytes: u64 = held.iter().map(|(_, len, ..)| len).sum();
        let mut files = held.len();
        held.sort();
        for (_, len, path, index) in held {
            if bytes <= self.settings.held_files && files <= MOST_FILES {
                break;
            }
            let Some(log) = self.logs.get(&path) else { continue };
            let Some(file) = &log.members[index].file else { continue };
            let from = file.read();
            let lost = file.give_up();
            bytes -= len;
            files -= 1;
            tracing::warn!(
                component = %self.metrics.name, path = %log.progress.path, from, to = from + lost,
                "a deleted file is given up: more than `held_files` wait to be read"
            );
            if lost > 0 {
                (self.lost)(&log.progress.path, "held_files", lost);
            }
        }
    }
}
