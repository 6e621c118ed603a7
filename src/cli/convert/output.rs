//! Files that a conversion writes: for their owner alone, and never over another file unless that was asked for.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Refuses what could not be written or would overwrite a file. Asked before anything is written, so that there
/// is never half of a result.
pub(super) fn check(output: &Path, secrets: &[PathBuf], force: bool) -> Result<(), String> {
    let folder = output.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(format!(
            "cannot write {}: there is no folder {}; make it first",
            output.display(),
            folder.display()
        ));
    }
    let there = |path: &&Path| std::fs::symlink_metadata(path).is_ok();
    let mut paths = std::iter::once(output).chain(secrets.iter().map(PathBuf::as_path));
    match paths.find(there).filter(|_| !force) {
        None => Ok(()),
        Some(path) => {
            let path = path.display();
            Err(format!("{path} is there already: give --force to overwrite it, or another file with -o"))
        }
    }
}

/// Writes a file for its owner alone, in place of one that is there.
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    // A file that is there may be readable to others, and would stay so.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
}
