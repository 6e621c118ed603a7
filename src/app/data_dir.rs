//! The folder of everything that outlives the process, and the lock that keeps a second agent out of it:
//! two agents would move each other's positions and send every line twice.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

/// The folder, taken until this is dropped; the lock ends with the process in any case.
#[derive(Debug)]
pub struct DataDir {
    _lock: Option<File>,
}

/// Another agent has the folder.
#[derive(Debug, thiserror::Error)]
#[error(
    "another agent{} uses {folder}: stop it, or give this one a `data_dir` of its own; two agents would send \
     every line twice", holder.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default()
)]
pub struct Taken {
    folder: String,
    holder: Option<String>,
}

impl DataDir {
    /// Makes the folder and locks it. Where it cannot be made or written the agent runs on without it: then
    /// positions live in memory alone, which is told.
    pub fn take(folder: &Path) -> Result<Self, Taken> {
        match lock(folder) {
            Ok(lock) => Ok(Self { _lock: Some(lock) }),
            Err(Refused::Taken(taken)) => Err(taken),
            Err(Refused::Io(error)) => {
                tracing::error!(
                    data_dir = %folder.display(), %error,
                    "data_dir cannot be written: positions, dead letters and disk queues are kept in memory, so a \
                     restart may read lines again, and samples that wait for a receiver are lost with it or once \
                     memory is full; make the folder, or let this user write to it, or give another `data_dir`"
                );
                Ok(Self { _lock: None })
            }
        }
    }
}

enum Refused {
    Taken(Taken),
    Io(io::Error),
}

fn lock(folder: &Path) -> Result<File, Refused> {
    std::fs::create_dir_all(folder).map_err(Refused::Io)?;
    let path = folder.join("lock");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(Refused::Io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who it is is only told to help.
            let _ = file.take(32).read_to_string(&mut text);
            let pid = text.trim();
            let holder = pid.bytes().all(|byte| byte.is_ascii_digit()) && !pid.is_empty();
            return Err(Refused::Taken(Taken {
                folder: folder.display().to_string(),
                holder: holder.then(|| pid.to_owned()),
            }));
        }
        Err(TryLockError::Error(error)) => return Err(Refused::Io(error)),
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map(|()| file).map_err(Refused::Io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_kept_out_until_the_first_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("deep/er");
        let first = DataDir::take(&data).expect("free");
        let refused = DataDir::take(&data).expect_err("taken").to_string();
        assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
        assert!(refused.contains("a `data_dir` of its own"), "{refused}");
        drop(first);
        assert!(DataDir::take(&data).is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_is_done_without() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(DataDir::take(&file.path().join("data")).is_ok_and(|taken| taken._lock.is_none()));
    }
}
