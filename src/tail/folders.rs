//! Names in folders, read again only when a folder changed: a look a second at thousands of folders must
//! cost next to nothing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A change this young may be followed by another that the file system stamps with the same time.
const YOUNG: Duration = Duration::from_secs(3);

/// Looks after which a link is followed anew although it did not change: one behind it may have.
const TRUSTED: u64 = 10;

/// Remembers the names in folders, and where links lead.
#[derive(Debug, Default)]
pub struct Folders {
    known: HashMap<PathBuf, Known>,
    links: HashMap<PathBuf, Link>,
    look: u64,
}

#[derive(Debug)]
struct Link {
    /// Inode and time of the last change, by which another link in its place is told.
    which: (u64, i64, i64),
    target: PathBuf,
    followed: u64,
    used: u64,
}

#[derive(Debug)]
struct Known {
    modified: SystemTime,
    names: Arc<[OsString]>,
    used: u64,
}

impl Folders {
    /// The names in a folder, sorted; empty where it does not exist.
    ///
    /// # Errors
    /// Where it exists but cannot be read.
    pub fn names(&mut self, folder: &Path) -> io::Result<Arc<[OsString]>> {
        let modified = match fs::metadata(folder).and_then(|metadata| metadata.modified()) {
            Ok(modified) => modified,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Arc::default());
            }
            Err(error) => return Err(error),
        };
        let settled = modified.elapsed().is_ok_and(|age| age > YOUNG);
        if let Some(known) = self.known.get_mut(folder)
            && settled
            && known.modified == modified
        {
            known.used = self.look;
            return Ok(known.names.clone());
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Arc::default());
            }
            Err(error) => return Err(error),
        };
        let mut names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        let names: Arc<[OsString]> = names.into();
        let known = Known { modified, names: names.clone(), used: self.look };
        self.known.insert(folder.to_owned(), known);
        Ok(names)
    }

    /// The path of a file with links followed; `None` where nothing is there.
    pub fn target(&mut self, path: &Path) -> Option<PathBuf> {
        let metadata = fs::symlink_metadata(path).ok()?;
        let which = (metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
        if let Some(link) = self.links.get_mut(path)
            && link.which == which
            && self.look < link.followed + TRUSTED
        {
            link.used = self.look;
            return Some(link.target.clone());
        }
        let target = path.canonicalize().ok()?;
        // A file that is written to changes all the time, and has nowhere to lead to.
        if metadata.is_symlink() {
            let link = Link { which, target: target.clone(), followed: self.look, used: self.look };
            self.links.insert(path.to_owned(), link);
        }
        Some(target)
    }

    /// Forgets what was not asked for since the last call.
    pub fn end_look(&mut self) {
        let look = self.look;
        self.known.retain(|_, known| known.used == look);
        self.links.retain(|_, link| link.used == look);
        self.look += 1;
    }
}
