//! Queues of sinks that are not configured any more: kept, and told.

use std::fs;
use std::path::Path;

use super::QUEUES;

/// What a sink that is gone has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The sink's name: `type/name`.
    pub name: String,
    /// Bytes of its files.
    pub bytes: u64,
}

/// The queues below `data_dir` that hold something and belong to none of the sinks that `has_queue` knows.
/// Does I/O; what cannot be read counts as not there.
pub fn leftovers(data_dir: &Path, has_queue: impl Fn(&str) -> bool) -> Vec<Leftover> {
    let mut found = Vec::new();
    for kind in entries(&data_dir.join(QUEUES)) {
        for queue in entries(&kind.path()) {
            let name = format!("{}/{}", kind.file_name().to_string_lossy(), queue.file_name().to_string_lossy());
            let files = entries(&queue.path()).filter(|file| file.file_name() != super::cursor::NAME);
            let bytes = files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
            if bytes > 0 && !has_queue(&name) {
                found.push(Leftover { name, bytes });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_removed_sink_has_left_is_found() {
        let data = tempfile::tempdir().expect("a folder");
        for (name, bytes) in [("file/gone", 70), ("file/here", 9), ("file/empty", 0)] {
            let folder = super::super::folder(data.path(), name);
            fs::create_dir_all(&folder).expect("made");
            fs::write(folder.join("00000000000000000001.segment"), vec![0; bytes]).expect("written");
            fs::write(folder.join("cursor"), b"something").expect("written");
        }
        let found = leftovers(data.path(), |name| name == "file/here");
        assert_eq!(found, [Leftover { name: "file/gone".into(), bytes: 70 }]);
    }
}
