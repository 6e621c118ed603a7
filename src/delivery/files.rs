//! The file operations that a queue or a journal needs, so that tests can fail any of them, or the whole machine.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// A disk. All of it blocks.
pub trait Files: Send + Sync + Debug + 'static {
    /// Makes a folder and those above it; they are durable when it returns.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// Names and lengths of the files of a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>>;
    /// Makes a file that must not exist yet; its name is durable when it returns.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appended>>;
    /// Opens a file to be read.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Readable>>;
    /// Replaces a file as a whole. Without `durable`, only a crash of the process is survived.
    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()>;
    /// Writes over the beginning of a file that is there. Few enough bytes, as a sector holds, are there as a whole or
    /// not at all. Only a crash of the process is survived.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file off.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Whether less than so many percent of the disk are free.
    fn is_crowded(&self, folder: &Path, min_free: u8) -> io::Result<bool>;
    /// Whether the file is there under its name.
    fn exists(&self, path: &Path) -> bool;
}

/// A file that is appended to.
pub trait Appended: Send + Debug {
    /// Appends all of the bytes; after an error any part of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Forces everything appended to stable storage.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file off; what is appended next stands there.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A file that is read.
pub trait Readable: Send + Debug {
    /// Fills the buffer from `offset` on as far as the file goes; returns how far that is.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// What is kept is as private as what it is of: lines, annotations, values. A file is of its owner alone.
const FILE_MODE: u32 = 0o600;

/// And so is a folder.
const FOLDER_MODE: u32 = 0o700;

/// The machine's own disk. What is made here is for its owner alone; what was there stays as it was.
#[derive(Clone, Copy, Debug)]
pub struct RealFiles;

impl Files for RealFiles {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        let folders = folder.ancestors().take(4).filter(|path| path.is_dir());
        folders.into_iter().try_for_each(|path| File::open(path)?.sync_all())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                files.push((name, entry.metadata()?.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Appended>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(FILE_MODE).open(path)?;
        sync_folder_of(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Readable>> {
        Ok(Box::new(File::open(path)?))
    }

    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let fresh = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&fresh)?;
        file.write_all(bytes)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&fresh, path)?;
        if durable { sync_folder_of(path) } else { Ok(()) }
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.write_all(bytes)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn is_crowded(&self, folder: &Path, min_free: u8) -> io::Result<bool> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(disk.f_bavail * 100 < disk.f_blocks * u64::from(min_free))
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

impl Appended for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

impl Readable for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_for_its_owner_alone() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().join("alerting/pages");
        RealFiles.make_folder(&folder).expect("made");
        let [appended, replaced] = ["1.journal", "2.journal"].map(|name| folder.join(name));
        RealFiles.create(&appended).expect("made");
        RealFiles.replace(&replaced, b"0", false).expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!([&*folder, &appended, &replaced].map(mode), [0o700, 0o600, 0o600]);
    }
}
