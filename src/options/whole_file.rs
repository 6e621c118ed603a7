//! Small files that are read whole: configurations, rules, templates, secrets. What is no file never ends, or never
//! begins: a named pipe without a writer, `/dev/zero`. And a file may grow while it is read. So only so much is read, and only
//! of files; of pipes and devices only where a shell puts them, as `/dev/stdin` and `/dev/fd/63`.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The system says why.
    #[error("{0}")]
    Failed(#[from] io::Error),
    /// It is something else.
    #[error("it is {0}, not a file")]
    NotAFile(&'static str),
    /// It is larger than so many bytes.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The byte at this place is part of no text.
    #[error("byte {0} is not UTF-8")]
    NotUtf8(usize),
}

impl From<Unread> for io::Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Failed(error) => error,
            other => Self::other(other.to_string()),
        }
    }
}

/// All bytes of a file, `most` of them.
///
/// # Errors
/// Where it cannot be read, is no file, or has more.
pub fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    // Looked at before it is opened: opening a pipe waits for whoever writes it.
    let kind = std::fs::metadata(path)?.file_type();
    let of_shell = path.starts_with("/dev") || path.starts_with("/proc/self/fd");
    let what = match () {
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_file() || of_shell => None,
        () if kind.is_fifo() => Some("a named pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    };
    if let Some(what) = what {
        return Err(Unread::NotAFile(what));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(Unread::TooLarge(most)) } else { Ok(bytes) }
}

/// The same, as text.
///
/// # Errors
/// Where it is none, too.
pub fn text(path: &Path, most: u64) -> Result<String, Unread> {
    String::from_utf8(bytes(path, most)?).map_err(|error| Unread::NotUtf8(error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(path: &Path) -> String {
        text(path, 10).map(|text| format!("read {text:?}")).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn only_files_are_read_and_only_so_much_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "0123456789").expect("written");
        assert_eq!(why(&file), "read \"0123456789\"");
        std::fs::write(&file, "0123456789a").expect("written");
        assert_eq!(why(&file), "it is larger than 10 bytes");
        std::fs::write(&file, b"01\xff").expect("written");
        assert_eq!(why(&file), "byte 2 is not UTF-8");
        assert_eq!(why(folder.path()), "it is a folder, not a file");
        assert!(why(&folder.path().join("none")).starts_with("No such file"));
    }

    /// Each of these would never return, or fill the memory.
    #[test]
    fn pipes_sockets_and_devices_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let [pipe, socket, zero] = ["pipe", "socket", "zero"].map(|name| folder.path().join(name));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let _listens = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        std::os::unix::fs::symlink("/dev/zero", &zero).expect("a link");
        assert_eq!(why(&pipe), "it is a named pipe, not a file");
        assert_eq!(why(&socket), "it is a socket, not a file");
        assert_eq!(why(&zero), "it is a device, not a file");
        assert_eq!(why(Path::new("/dev/zero")), "it is larger than 10 bytes");
        assert_eq!(why(Path::new("/dev/null")), "read \"\"");
    }
}
