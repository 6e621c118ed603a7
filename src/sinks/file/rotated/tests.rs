//! Rotation and torn lines, on a disk that can be told to fail.

use std::cell::Cell;

use super::*;

const SMALL: Limits = Limits { max_size: 20, max_files: 3 };

fn names(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("reads")
        .map(|entry| entry.expect("reads").path())
        .map(|path| {
            let name = path.file_name().expect("named").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("reads"))
        })
        .collect();
    files.sort();
    files
}

fn text(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn rotates_between_lines_and_keeps_the_newest() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = Rotated::new(folder.path().join("new/out"), SMALL, true);
    let lines: String = (0..10).map(|n| format!("line {n}\n")).collect();
    let appended = file.append(lines.as_bytes());
    assert!(appended.failed.is_none(), "{appended:?}");
    assert_eq!(appended.written, lines.len());
    let expected = [("out", "line 8\nline 9\n"), ("out.1", "line 6\nline 7\n"), ("out.2", "line 4\nline 5\n")];
    assert_eq!(names(&folder.path().join("new")), text(&expected));
}

#[test]
fn a_line_longer_than_a_file_has_one_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = Rotated::new(folder.path().join("out"), SMALL, true);
    let long = "x".repeat(50) + "\n";
    assert!(file.append(format!("a\n{long}b\n").as_bytes()).failed.is_none());
    assert_eq!(names(folder.path()), text(&[("out", "b\n"), ("out.1", &long), ("out.2", "a\n")]));
}

#[test]
fn only_the_current_file_is_kept_where_one_is_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = Rotated::new(folder.path().join("out"), Limits { max_files: 1, ..SMALL }, true);
    assert!(file.append(b"first line\nsecond line\n").failed.is_none());
    assert_eq!(names(folder.path()), text(&[("out", "second line\n")]));
}

#[test]
fn appends_after_a_restart_and_cuts_the_torn_last_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    let torn = "whole\n".to_owned() + &"y".repeat(200_000);
    std::fs::write(&path, torn).expect("writes");
    let mut file = Rotated::new(path.clone(), Limits { max_size: 1 << 20, max_files: 3 }, true);
    assert!(file.append(b"next\n").failed.is_none());
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "whole\nnext\n");
}

#[test]
fn a_file_moved_away_by_somebody_else_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    let mut file = Rotated::new(path.clone(), SMALL, true);
    assert!(file.append(b"one\n").failed.is_none());
    std::fs::rename(&path, folder.path().join("moved")).expect("moves");
    assert!(file.append(b"two\n").failed.is_none());
    assert_eq!(names(folder.path()), text(&[("moved", "one\n"), ("out", "two\n")]));
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    let (mut first, mut second) = (Rotated::new(path.clone(), SMALL, true), Rotated::new(path, SMALL, true));
    assert!(first.append(b"one\n").failed.is_none());
    assert!(matches!(second.append(b"two\n"), Appended { written: 0, failed: Some(WriteError::Locked(_)) }));
    drop(first);
    assert!(second.append(b"two\n").failed.is_none());
}

#[test]
fn a_folder_or_a_device_is_refused_in_words() {
    for path in ["/dev/null", "/"] {
        let failed = Rotated::new(path.into(), SMALL, true).append(b"line\n").failed.expect("fails");
        assert!(matches!(failed, WriteError::NotAFile(_)), "{failed}");
    }
}

/// A disk with room for some bytes, on which forcing can fail.
struct Failing {
    room: Cell<usize>,
    syncs: Cell<bool>,
}

impl Device for &Failing {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let fits = bytes.len().min(self.room.get());
        file.write_all(&bytes[..fits])?;
        self.room.set(self.room.get() - fits);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self, _file: &File) -> io::Result<()> {
        if self.syncs.get() { Ok(()) } else { Err(io::Error::other("the device is gone")) }
    }
}

#[test]
fn a_full_disk_tears_no_line_and_doubles_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    let disk = Failing { room: Cell::new(9), syncs: Cell::new(true) };
    let mut file = Rotated::on(&disk, path.clone(), Limits { max_size: 100, max_files: 2 });
    assert!(file.append(b"one\n").failed.is_none());
    // The first line of the two fits, but they are one write: nothing of it counts.
    let Appended { written: 0, failed: Some(failed) } = file.append(b"two\nthree\n") else { panic!("must fail") };
    assert!(failed.to_string().contains("free some"), "says what to do: {failed}");
    disk.room.set(100);
    assert!(file.append(b"two\nthree\n").failed.is_none());
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "one\ntwo\nthree\n");
}

#[test]
fn what_could_not_be_forced_is_cut_and_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    let disk = Failing { room: Cell::new(100), syncs: Cell::new(false) };
    let mut file = Rotated::on(&disk, path.clone(), Limits { max_size: 100, max_files: 2 });
    assert!(matches!(file.append(b"one\n"), Appended { written: 0, failed: Some(_) }));
    disk.syncs.set(true);
    assert!(file.append(b"one\n").failed.is_none());
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "one\n");
}
