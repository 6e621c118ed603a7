//! Where sources keep their positions: one small file a component, replaced as a whole.
//!
//! The rows are opaque here: whoever stores one knows what it means. Format, version 1, integers little
//! endian:
//!
//! ```text
//! magic    8 bytes  "TWCHECKP"
//! version  u16      1
//! count    u32      number of rows
//! rows     count ×  { key: u16 length + bytes, value: u32 length + bytes }
//! crc32c   u32      of everything before it
//! ```
//!
//! Invariants: a file is written beside the old one, synced, renamed over it and made durable by a sync of
//! its folder, so that after a crash one of the two is there, whole. Version N reads N − 1. A file with
//! another magic, an unknown version or a wrong checksum is set aside under another name and reported, never
//! deleted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::data::UnixNanos;

const MAGIC: &[u8; 8] = b"TWCHECKP";
const VERSION: u16 = 1;

/// More than any node has logs to keep positions of; a larger file is not one of ours.
const MOST_BYTES: u64 = 256 << 20;

/// The rows of one component.
pub type Rows = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// The checkpoint file of one component. Does I/O: use it where blocking is allowed.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Restored {
    /// The rows; empty where there was no file.
    pub rows: Rows,
    /// When the file was written; `None` where there was none.
    pub saved: Option<UnixNanos>,
    /// What had to be set aside, in words.
    pub complaint: Option<String>,
}

impl Checkpoint {
    /// The checkpoint of the component called `type/name`. Nothing is touched yet.
    pub fn new(data_dir: &Path, name: &str) -> Self {
        Self { path: data_dir.join("checkpoints").join(format!("{name}.checkpoint")) }
    }

    /// Where the rows are kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the rows. A file that cannot be understood is set aside.
    ///
    /// # Errors
    /// Where the file is there but cannot be read: starting as if there were none would read everything
    /// again.
    pub fn restore(&self) -> io::Result<Restored> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Restored::default());
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let bytes = match metadata.len() {
            0..=MOST_BYTES => fs::read(&self.path)?,
            _ => Vec::new(),
        };
        let saved = metadata.modified().ok().map(UnixNanos::from);
        match decode(&bytes) {
            Ok(rows) => Ok(Restored { rows, saved, complaint: None }),
            Err(why) => {
                let aside = self.path.with_extension(format!("unreadable-{}", UnixNanos::now().seconds()));
                fs::rename(&self.path, &aside)?;
                let complaint = format!(
                    "the checkpoint {} {why}; it was set aside as {} and reading starts without it",
                    self.path.display(),
                    aside.display()
                );
                Ok(Restored { rows: Rows::default(), saved: None, complaint: Some(complaint) })
            }
        }
    }

    /// Replaces the rows; they are durable when this returns.
    ///
    /// # Errors
    /// The old rows are then still in place.
    pub fn save(&self, rows: &Rows) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            // The new folder's own entry must survive as well.
            sync_folders(folder)?;
        }
        let fresh = self.path.with_extension("checkpoint.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&encode(rows))?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        File::open(folder)?.sync_all()
    }
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    folder.ancestors().take(3).filter(|path| path.is_dir()).try_for_each(|path| File::open(path)?.sync_all())
}

fn encode(rows: &Rows) -> Vec<u8> {
    let size: usize = rows.iter().map(|(key, value)| key.len() + value.len() + 6).sum();
    let mut out = Vec::with_capacity(size + 18);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    for (key, value) in rows {
        out.extend_from_slice(&(key.len() as u16).to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value);
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Result<Rows, &'static str> {
    let Some((content, crc)) = bytes.split_last_chunk::<4>() else { return Err("is too short or too long") };
    let Some(rest) = content.strip_prefix(MAGIC) else { return Err("is not a checkpoint") };
    let Some((version, mut rest)) = rest.split_first_chunk::<2>() else { return Err("is too short") };
    if u16::from_le_bytes(*version) != VERSION {
        return Err("has a version that this agent does not know");
    }
    if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
        return Err("is damaged: its checksum does not fit");
    }
    let count = number::<4>(&mut rest).ok_or("ends early")?;
    let mut rows = Rows::new();
    for _ in 0..count {
        let key = field::<2>(&mut rest).ok_or("ends early")?;
        let value = field::<4>(&mut rest).ok_or("ends early")?;
        rows.insert(key, value);
    }
    if rest.is_empty() { Ok(rows) } else { Err("has bytes behind its last row") }
}

fn number<const N: usize>(rest: &mut &[u8]) -> Option<usize> {
    let (bytes, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

fn field<const N: usize>(rest: &mut &[u8]) -> Option<Box<[u8]>> {
    let len = number::<N>(rest)?;
    let (bytes, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(&str, &str)]) -> Rows {
        of.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect()
    }

    #[test]
    fn rows_come_back_and_replace_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let checkpoint = Checkpoint::new(folder.path(), "file/containers");
        assert!(checkpoint.restore().expect("readable").saved.is_none());
        checkpoint.save(&rows(&[("a", "1"), ("b", "")])).expect("saves");
        checkpoint.save(&rows(&[("b", "2")])).expect("saves");
        let restored = checkpoint.restore().expect("readable");
        assert_eq!(restored.rows, rows(&[("b", "2")]));
        assert!(restored.saved.is_some());
    }

    #[test]
    fn what_cannot_be_understood_is_set_aside_and_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let checkpoint = Checkpoint::new(folder.path(), "file/containers");
        checkpoint.save(&rows(&[("a", "1")])).expect("saves");
        let mut bytes = fs::read(checkpoint.path()).expect("reads");
        bytes[15] ^= 1;
        fs::write(checkpoint.path(), &bytes).expect("writes");
        let restored = checkpoint.restore().expect("readable");
        assert!(restored.rows.is_empty());
        assert!(restored.complaint.expect("told").contains("checksum"));
        let kept = fs::read_dir(checkpoint.path().parent().expect("a folder")).expect("lists").count();
        assert_eq!(kept, 1, "set aside, not deleted");
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_torn_file_is_not_taken_for_whole(cut in 0usize..60) {
            let whole = encode(&rows(&[("key", "value"), ("other", "0123456789")]));
            let torn = &whole[..cut.min(whole.len() - 1)];
            proptest::prop_assert!(decode(torn).is_err());
        }
    }
}
