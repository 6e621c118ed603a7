//! Rotations that exist only compressed. They are not read yet: what was not read before is counted as lost.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::UNIX_EPOCH;

use flate2::read::GzDecoder;

use super::Catalog;
use super::log::Log;
use crate::data::UnixNanos;
use crate::tail::fingerprint::{BYTES, Fingerprint};
use crate::tail::siblings::Sibling;

impl Catalog {
    /// Looks at compressed rotations that appeared since the last look.
    pub(super) fn account_compressed(&mut self, log: &mut Log, siblings: &[Sibling]) {
        let before = log.compressed;
        for sibling in siblings.iter().filter(|sibling| sibling.compressed) {
            let written = written(sibling);
            log.compressed = log.compressed.max(written);
            if written <= before {
                continue;
            }
            let Some(content) = Compressed::read(sibling) else {
                // Another format, or not complete yet; its length is the best that can be told.
                self.lose(log, sibling, sibling.size);
                continue;
            };
            // A generation that is finished, or open still, loses nothing by being compressed.
            if !log.members.iter().any(|member| content.begins_with(&member.prefix)) {
                self.lose(log, sibling, content.length);
            }
        }
    }

    fn lose(&self, log: &Log, sibling: &Sibling, bytes: u64) {
        let words = "rotated and compressed before it was read; compressed files are not read yet";
        tracing::warn!(component = %self.metrics.name, path = %sibling.path.display(), bytes, "{words}");
        (self.lost)(&log.progress.path, "compressed", bytes);
    }
}

/// When the rotation was last written.
pub(super) fn written(sibling: &Sibling) -> UnixNanos {
    sibling.modified.duration_since(UNIX_EPOCH).map_or(UnixNanos::NONE, |_| sibling.modified.into())
}

/// What is known of a compressed file without reading it all.
pub(super) struct Compressed {
    prefix: Vec<u8>,
    /// Length of the content, by the trailer of RFC 1952: modulo 4 GiB.
    pub length: u64,
}

impl Compressed {
    pub fn read(sibling: &Sibling) -> Option<Self> {
        let file = File::open(&sibling.path).ok()?;
        let mut trailer = [0; 4];
        file.read_exact_at(&mut trailer, sibling.size.checked_sub(4)?).ok()?;
        let mut prefix = Vec::new();
        GzDecoder::new(file).take(BYTES as u64).read_to_end(&mut prefix).ok()?;
        Some(Self { prefix, length: u64::from(u32::from_le_bytes(trailer)) })
    }

    /// Whether the content begins with these bytes, which are some.
    pub fn begins_with(&self, prefix: &Fingerprint) -> bool {
        prefix.len > 0 && prefix.begins_bytes(&self.prefix)
    }
}
