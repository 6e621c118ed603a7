//! The rotated files beside a log: `0.log.20261123-010203` (kubelet), `app.log.1`, `app.log-20261123`
//! (logrotate), and the compressed ones among them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::generation::FileId;

/// A rotated file.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// Its path.
    pub path: PathBuf,
    /// Which file it is.
    pub id: FileId,
    /// Its length.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
    /// Whether it is compressed.
    pub compressed: bool,
}

/// The files into which the log at `path` was rotated, the oldest first. Anything that is no regular file
/// or vanishes meanwhile is left out.
pub fn rotated(path: &Path) -> io::Result<Vec<Sibling>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(compressed) = rotation(name, &entry.file_name()) else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            found.push(Sibling {
                path: entry.path(),
                id: FileId::of(&metadata),
                size: metadata.len(),
                modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                compressed,
            });
        }
    }
    found.sort_by(|a, b| a.modified.cmp(&b.modified).then_with(|| by_name(&a.path, &b.path)));
    Ok(found)
}

/// Files of one moment: `.2` is older than `.1`; a later stamp is newer.
fn by_name(a: &Path, b: &Path) -> std::cmp::Ordering {
    let number = |path: &Path| path.extension().and_then(OsStr::to_str).and_then(|text| text.parse::<u32>().ok());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        _ => a.cmp(b),
    }
}

/// Whether `candidate` is a rotation of `name`, and if so whether it is compressed.
fn rotation(name: &OsStr, candidate: &OsStr) -> Option<bool> {
    let rest = candidate.as_bytes().strip_prefix(name.as_bytes())?;
    let (mark, rest) = rest.split_first()?;
    if !matches!(mark, b'.' | b'-') {
        return None;
    }
    let plain = [&b".gz"[..], b".zst", b".bz2", b".xz"].iter().find_map(|suffix| rest.strip_suffix(*suffix));
    let stamp = plain.unwrap_or(rest);
    let stamped = stamp.first().is_some_and(u8::is_ascii_digit)
        && stamp.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':' | b'_' | b'T' | b'Z' | b'+'));
    stamped.then_some(plain.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rotations_of_the_log_itself_count() {
        let of = |candidate: &str| rotation(OsStr::new("0.log"), OsStr::new(candidate));
        assert_eq!(of("0.log.20261123-010203"), Some(false));
        assert_eq!(of("0.log.20261123-010203.gz"), Some(true));
        assert_eq!(of("0.log.1"), Some(false));
        assert_eq!(of("0.log-20261123"), Some(false));
        for other in ["0.log", "1.log", "0.log.bak", "0.log.20261123-010203.tmp", "0.log.gz", "0.log.", "00.log.1"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn the_oldest_comes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.log");
        let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        for name in ["app.log.1", "app.log.2", "app.log.3", "app.log"] {
            let file = fs::File::create(folder.path().join(name)).expect("creates");
            file.set_modified(modified).expect("sets");
        }
        let found = rotated(&path).expect("lists");
        let names: Vec<_> = found.iter().map(|s| s.path.extension().expect("has one").to_owned()).collect();
        assert_eq!(names, ["3", "2", "1"]);
    }
}
