//! Where the store's files are: which of them there are, and how the store is filled again with what they say.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::frames::{Damage, FileKind, Frames, HEAD};
use super::restore::Restorer;
use super::snapshot::END;
use crate::delivery::files::Files;
use crate::series::store::Store;

/// Where the files are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The disk.
    pub files: Arc<dyn Files>,
    /// The folder, this store's alone; made where it is not there.
    pub folder: PathBuf,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Restored {
    /// Samples that are in the store again.
    pub samples: u64,
    /// Series and samples that found no room.
    pub refused: u64,
    /// Bytes that could not be read.
    pub lost: u64,
    /// What was damaged or set aside, in words.
    pub complaints: Vec<String>,
}

/// A file of the store.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub generation: u64,
    pub kind: FileKind,
    pub bytes: u64,
}

impl Place {
    pub(super) fn path(&self, generation: u64, kind: FileKind) -> PathBuf {
        self.folder.join(format!("{generation:020}.{}", kind.extension()))
    }

    /// The files that are there, the oldest first.
    pub(super) fn found(&self) -> io::Result<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        for (name, bytes) in self.files.list(&self.folder)? {
            let Some((generation, extension)) = name.split_once('.') else { continue };
            let kinds = [FileKind::Snapshot, FileKind::Journal];
            let kind = kinds.into_iter().find(|kind| kind.extension() == extension);
            if let (Ok(generation), Some(kind)) = (generation.parse(), kind) {
                found.push(Found { generation, kind, bytes });
            }
        }
        found.sort_by_key(|file| file.generation);
        Ok(found)
    }

    /// Fills the store with what the files say. Set what it selects before: the rest is left out.
    pub(super) fn restore(&self, store: &Store) -> io::Result<(Restored, u64)> {
        self.files.make_folder(&self.folder)?;
        self.read(store)
    }

    pub(super) fn read(&self, store: &Store) -> io::Result<(Restored, u64)> {
        let (mut restored, mut restorer) = (Restored::default(), Restorer::default());
        let found = self.found()?;
        let newest = found.last().map_or(0, |file| file.generation);
        let snapshots = || found.iter().rev().filter(|file| file.kind == FileKind::Snapshot);
        // One whose end was not written is of no use beside one that is whole; alone, something of it is.
        let whole = snapshots().find(|file| self.is_whole(file).unwrap_or(false));
        if let Some(snapshot) = whole.or_else(|| snapshots().next()) {
            self.restore_file(snapshot, store, &mut restorer, &mut restored)?;
        }
        let from = whole.map_or(0, |snapshot| snapshot.generation);
        for journal in found.iter().filter(|file| file.kind == FileKind::Journal && file.generation >= from) {
            self.restore_file(journal, store, &mut restorer, &mut restored)?;
        }
        (restored.samples, restored.refused) = (restorer.samples, restorer.refused);
        Ok((restored, newest))
    }

    /// Whether the end of a snapshot is there.
    fn is_whole(&self, file: &Found) -> io::Result<bool> {
        let mut end = [0; END_FRAME];
        let opened = self.files.open(&self.path(file.generation, file.kind))?;
        let read = opened.read_at(&mut end, file.bytes.saturating_sub(END_FRAME as u64))?;
        let fits = end[..4] == crc32c::crc32c(&end[4..]).to_le_bytes();
        Ok(read == END_FRAME && fits && end[HEAD] == END)
    }

    fn restore_file(
        &self,
        file: &Found,
        store: &Store,
        restorer: &mut Restorer,
        restored: &mut Restored,
    ) -> io::Result<()> {
        let path = self.path(file.generation, file.kind);
        let shown = path.display();
        let opened = self.files.open(&path)?;
        let mut frames = match Frames::of(&*opened, file.kind)? {
            Ok(frames) => frames,
            Err(Damage::Torn) => {
                // It was being made.
                restored.lost += file.bytes;
                return Ok(());
            }
            Err(damage) => {
                let aside = path.with_extension(format!("{}.unreadable", file.kind.extension()));
                self.files.rename(&path, &aside)?;
                restored.complaints.push(format!("{shown} {damage}; it was set aside as {}", aside.display()));
                return Ok(());
            }
        };
        restorer.begin_file();
        while let Some(payload) = frames.next(file.kind == FileKind::Snapshot)? {
            let length = payload.len() as u64;
            // A lock a frame: queries go on meanwhile. Places stay, since nobody maintains the store yet.
            if let Err(damaged) = restorer.frame(payload, &mut store.write()) {
                restored.complaints.push(format!("{shown}: {damaged}"));
                frames.lost += length;
                if file.kind == FileKind::Journal {
                    break;
                }
            }
        }
        if frames.lost > 0 {
            restored.lost += frames.lost;
            restored.complaints.push(format!("{} bytes of {shown} are not whole and were left out", frames.lost));
        }
        Ok(())
    }
}

/// Bytes of the frame that ends a snapshot.
const END_FRAME: usize = HEAD + 1 + 8;
