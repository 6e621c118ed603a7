//! A file of lines that grows to a size and is then renamed aside: `out.ndjson`, `out.ndjson.1` (the
//! newest of the old), `out.ndjson.2`, …
//!
//! Invariants: a file holds whole lines only (a line torn by a crash or a failed write is cut before the
//! next one is written), no line is in two files, and [`Rotated::append`] reports as written only what is
//! on stable storage where that was asked for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Size and number of files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Size at which a file is set aside.
    pub max_size: u64,
    /// Most files kept, the one being written included.
    pub max_files: u32,
}

/// A rotated file.
#[derive(Debug)]
pub(super) struct Rotated<D = Disk> {
    path: PathBuf,
    limits: Limits,
    disk: D,
    open: Option<Open>,
    /// A file that a failed write left behind: which one, and where its good bytes end.
    torn: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: u64,
    len: u64,
}

/// How far [`Rotated::append`] came.
#[derive(Debug)]
pub(super) struct Appended {
    /// Bytes, from the first on, that are written for good.
    pub written: usize,
    /// Why not all of them.
    pub failed: Option<WriteError>,
}

/// Why a file cannot be written, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The system said so.
    #[error("cannot {doing} {}: {error}{}", path.display(), advice(error))]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
    /// Something else holds the file.
    #[error("{} is being written by another sink or process: give each its own `path`", .0.display())]
    Locked(PathBuf),
    /// The path names a folder, a device or a pipe.
    #[error("{} is not a regular file: name one, or a path where none exists yet", .0.display())]
    NotAFile(PathBuf),
    /// The writing thread died.
    #[error("writing stopped unexpectedly: {0}")]
    Panicked(String),
}

impl WriteError {
    /// For a writing task that ended without an answer.
    pub fn panicked(gone: &tokio::task::JoinError) -> Self {
        Self::Panicked(gone.to_string())
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { doing, path: path.to_owned(), error }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "; records wait until there is room: free some, or lower max_size or max_files",
        io::ErrorKind::QuotaExceeded => "; records wait: raise the quota, or lower max_size or max_files",
        io::ErrorKind::PermissionDenied => "; records wait: let the agent's user write there",
        io::ErrorKind::ReadOnlyFilesystem => "; records wait: mount it writable, or name another path",
        _ => "; records wait, and the write is tried again",
    }
}

/// What reaches the device; tests put a failing one in its place.
pub(super) trait Device {
    /// Writes all of `bytes` at the file's end.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    /// Forces data and size to stable storage.
    fn sync(&self, file: &File) -> io::Result<()>;
}

/// The real one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    sync: bool,
}

impl Device for Disk {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.sync { file.sync_data() } else { Ok(()) }
    }
}

impl Rotated {
    /// Nothing is opened or made before the first append.
    pub fn new(path: PathBuf, limits: Limits, sync: bool) -> Self {
        Self::on(Disk { sync }, path, limits)
    }
}

impl<D: Device> Rotated<D> {
    fn on(disk: D, path: PathBuf, limits: Limits) -> Self {
        Self { path, limits, disk, open: None, torn: None }
    }

    /// Appends whole lines, rotating between them where the file is full.
    pub fn append(&mut self, lines: &[u8]) -> Appended {
        debug_assert!(lines.last().is_none_or(|&last| last == b'\n'), "only whole lines are appended");
        let mut written = 0;
        while written < lines.len() {
            match self.append_part(&lines[written..]) {
                Ok(part) => written += part,
                Err(error) => return Appended { written, failed: Some(error) },
            }
        }
        Appended { written, failed: None }
    }

    /// Writes as many lines as the current file has room for. Zero after a rotation.
    fn append_part(&mut self, lines: &[u8]) -> Result<usize, WriteError> {
        let max_size = self.limits.max_size;
        let open = self.opened()?;
        let room = usize::try_from(max_size.saturating_sub(open.len)).unwrap_or(usize::MAX);
        let part = match lines.get(..room).map(|fits| memchr::memrchr(b'\n', fits)) {
            None => lines,
            Some(Some(end)) => &lines[..=end],
            Some(None) if open.len > 0 => return self.rotate().map(|()| 0),
            // A line longer than a file may be has one of its own.
            Some(None) => memchr::memchr(b'\n', lines).map_or(lines, |end| &lines[..=end]),
        };
        let Self { disk, path, .. } = self;
        let open = self.open.as_mut().expect("opened above");
        let done = disk.write(&mut open.file, part).map_err(WriteError::io("write", path));
        let done = done.and_then(|()| disk.sync(&open.file).map_err(WriteError::io("force to disk", path)));
        match done {
            Ok(()) => {
                open.len += part.len() as u64;
                Ok(part.len())
            }
            Err(error) => {
                // What of the part is in the file is unknown: it is cut off before the next attempt.
                self.torn = Some((open.inode, open.len));
                self.open = None;
                Err(error)
            }
        }
    }

    /// The open file: made, or opened again where somebody moved it away.
    fn opened(&mut self) -> Result<&Open, WriteError> {
        if let Some(open) = &self.open
            && !std::fs::metadata(&self.path).is_ok_and(|there| there.ino() == open.inode)
        {
            self.open = None;
        }
        if self.open.is_none() {
            self.open = Some(self.open_now()?);
        }
        Ok(self.open.as_ref().expect("opened above"))
    }

    fn open_now(&mut self) -> Result<Open, WriteError> {
        let path = &*self.path;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(WriteError::io("make the folder of", path))?;
        }
        // Opening a pipe could block, and a device has no size to rotate at.
        match std::fs::metadata(path) {
            Ok(there) if !there.is_file() => return Err(WriteError::NotAFile(path.to_owned())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(WriteError::io("look at", path)(error)),
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = file.map_err(WriteError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(WriteError::Locked(path.to_owned())),
            // Some network file systems have no locks; they are written all the same.
            Err(std::fs::TryLockError::Error(error)) => {
                tracing::debug!("{} cannot be locked: {error}", path.display());
            }
        }
        let meta = file.metadata().map_err(WriteError::io("look at", path))?;
        let mut good = meta.len();
        if let Some((_, len)) = self.torn.filter(|&(inode, _)| inode == meta.ino()) {
            good = good.min(len);
        }
        let good = last_line_end(&mut file, good).map_err(WriteError::io("read", path))?;
        if good < meta.len() {
            file.set_len(good).map_err(WriteError::io("cut the torn last line of", path))?;
        }
        self.torn = None;
        Ok(Open { inode: meta.ino(), len: good, file })
    }

    /// Sets the current file aside; the next append makes a new one.
    fn rotate(&mut self) -> Result<(), WriteError> {
        // Moving the names from the oldest on leaves, after a crash in between, a gap and never a loss.
        let aside = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            if n > 0 {
                name.push(format!(".{n}"));
            }
            PathBuf::from(name)
        };
        let oldest = self.limits.max_files - 1;
        let gap = (1..oldest).find(|&n| !aside(n).exists()).unwrap_or(oldest);
        for n in (0..gap).rev() {
            std::fs::rename(aside(n), aside(n + 1)).map_err(WriteError::io("rotate", &aside(n)))?;
        }
        if gap == 0 {
            std::fs::remove_file(&self.path).map_err(WriteError::io("delete", &self.path))?;
        }
        self.open = None;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The names are only names: the data was forced before. A file system that cannot force a folder
        // is no reason to stop.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// Where the last whole line of the first `len` bytes ends.
fn last_line_end(file: &mut File, len: u64) -> io::Result<u64> {
    let mut block = vec![0; 64 * 1024];
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
