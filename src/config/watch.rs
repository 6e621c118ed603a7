//! Notices that a file of the configuration changed, or a file that one of its values comes from.
//!
//! What counts is content: a ConfigMap's `..data` link that swings to a new folder, an editor that writes
//! beside and renames, a file that is added to the folder. Events of the file system only say when to look;
//! where there are none, looking every few seconds is enough. A change is told once it has settled.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::document;
use crate::options::whole_file;

/// How often files are looked at without any event.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A change is told once nothing has changed for this long.
const SETTLED_AFTER: Duration = Duration::from_millis(300);

/// Watches until it, and the receiver of its changes, are dropped.
#[derive(Clone)]
pub struct Watch {
    values: Arc<Mutex<BTreeMap<PathBuf, Seen>>>,
    hint: Arc<Notify>,
}

/// A file as it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Device, inode, length and times; `None` where it cannot be read.
    meta: Option<[i64; 7]>,
    hash: u64,
}

/// Watches the files and folders of a configuration from now on. Each item of the receiver says that
/// something changed since the item before. Must be called within a Tokio runtime.
pub fn watch(paths: Vec<PathBuf>) -> (Watch, mpsc::Receiver<()>) {
    let watch = Watch { values: Arc::default(), hint: Arc::default() };
    let (changes, changed) = mpsc::channel(1);
    let known = look(&files(&paths), &BTreeMap::new());
    tokio::spawn(Look { paths, known, watch: watch.clone(), events: None, watched: BTreeSet::new() }.run(changes));
    (watch, changed)
}

impl Watch {
    /// From now on, also watches these files, which values of the configuration come from, and no others
    /// that it was told of before.
    pub fn values(&self, files: &[PathBuf]) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        *values = look(files, &values);
        // Their folders are not listened to yet.
        self.hint.notify_one();
    }

    fn known_values(&self) -> BTreeMap<PathBuf, Seen> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts down how the values were seen, as far as they are still watched; returns whether one changed.
    fn settle_values(&self, seen: BTreeMap<PathBuf, Seen>) -> bool {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for (path, seen) in seen {
            if let Some(known) = values.get_mut(&path) {
                changed |= known.hash != seen.hash;
                *known = seen;
            }
        }
        changed
    }
}

/// The task that looks.
struct Look {
    paths: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Seen>,
    watch: Watch,
    events: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

/// What one look saw: the configuration's files, and those of its values.
type Sight = (BTreeMap<PathBuf, Seen>, BTreeMap<PathBuf, Seen>);

impl Look {
    async fn run(mut self, changes: mpsc::Sender<()>) {
        let hint = self.watch.hint.clone();
        let hinted = hint.clone();
        let events = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change: else every look would bring about the next.
            let read =
                |kind: &EventKind| kind.is_access() && *kind != EventKind::Access(AccessKind::Close(AccessMode::Write));
            if event.is_ok_and(|event| !read(&event.kind)) {
                hinted.notify_one();
            }
        });
        match events {
            Ok(events) => self.events = Some(events),
            Err(error) => {
                tracing::warn!(%error, "no events of the file system: the configuration is looked at every {LOOK_EVERY:?}");
            }
        }
        loop {
            self.listen();
            tokio::select! {
                () = changes.closed() => return,
                () = hint.notified() => tokio::time::sleep(SETTLED_AFTER).await,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let mut sight = self.look().await;
            while self.differs(&sight) {
                tokio::time::sleep(SETTLED_AFTER).await;
                let again = self.look().await;
                if same(&again.0, &sight.0) && same(&again.1, &sight.1) {
                    break;
                }
                sight = again;
            }
            let changed = !same(&self.known, &sight.0);
            self.known = sight.0;
            if (self.watch.settle_values(sight.1) | changed) && changes.send(()).await.is_err() {
                return;
            }
        }
    }

    /// Listens to every folder that a watched file is in, as far as the system lets it.
    fn listen(&mut self) {
        let Some(events) = &mut self.events else { return };
        let values = self.watch.known_values();
        let folders = self.paths.iter().map(|path| if path.is_dir() { path.as_path() } else { folder_of(path) });
        for folder in folders.chain(values.keys().map(|path| folder_of(path))) {
            if !self.watched.contains(folder) && events.watch(folder, RecursiveMode::NonRecursive).is_ok() {
                self.watched.insert(folder.to_owned());
            }
        }
    }

    fn differs(&self, (files, values): &Sight) -> bool {
        !same(&self.known, files) || !same(&self.watch.known_values(), values)
    }

    async fn look(&self) -> Sight {
        let (paths, known, values) = (self.paths.clone(), self.known.clone(), self.watch.known_values());
        let looked = tokio::task::spawn_blocking(move || {
            let of_values: Vec<PathBuf> = values.keys().cloned().collect();
            (look(&files(&paths), &known), look(&of_values, &values))
        });
        // A look that did not end has seen nothing new.
        looked.await.unwrap_or_else(|_| (self.known.clone(), self.watch.known_values()))
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The files that `paths` stand for now, as the loader finds them.
fn files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let files = paths.iter().flat_map(|path| match document::in_folder(path) {
        Ok(files) => files,
        Err(_) => vec![path.clone()],
    });
    files.collect()
}

fn same(a: &BTreeMap<PathBuf, Seen>, b: &BTreeMap<PathBuf, Seen>) -> bool {
    a.len() == b.len() && a.iter().all(|(path, seen)| b.get(path).is_some_and(|other| other.hash == seen.hash))
}

/// Largest file whose text tells a change: no configuration is made of a larger one.
const MOST: u64 = 64 << 20;

/// Looks at files; one that looks as before is not read again.
fn look(files: &[PathBuf], before: &BTreeMap<PathBuf, Seen>) -> BTreeMap<PathBuf, Seen> {
    let one = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok().map(|meta| {
            let of = [meta.dev(), meta.ino(), meta.len()].map(u64::cast_signed);
            [of[0], of[1], of[2], meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()]
        });
        let known = before.get(path).copied().filter(|seen| seen.meta.is_some() && seen.meta == meta);
        // Of a folder only what is in it matters; what the files say is looked at one by one.
        let read = || Seen {
            meta,
            hash: whole_file::bytes(path, MOST).map_or_else(|_| names_in(path), |bytes| xxh3_64(&bytes)),
        };
        (path.clone(), known.unwrap_or_else(read))
    };
    files.iter().map(one).collect()
}

/// A hash of the names in a folder; 0 for what is none.
fn names_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    names.iter().fold(1, |hash, name| xxh3_64_with_seed(name.as_encoded_bytes(), hash))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    async fn told(changed: &mut mpsc::Receiver<()>) {
        tokio::time::timeout(LIMIT, changed.recv()).await.expect("the change is told").expect("the watch lives");
    }

    #[tokio::test]
    async fn a_config_map_that_swings_is_one_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..v1", "a: 1"), ("..v2", "a: 2")] {
            fs::create_dir(at(version)).expect("created");
            fs::write(at(version).join("tailwater.yaml"), text).expect("written");
        }
        symlink("..v1", at("..data")).expect("linked");
        symlink("..data/tailwater.yaml", at("tailwater.yaml")).expect("linked");
        let (_watch, mut changed) = watch(vec![folder.path().to_owned()]);
        symlink("..v2", at("..data_tmp")).expect("linked");
        fs::rename(at("..data_tmp"), at("..data")).expect("swung");
        fs::remove_dir_all(at("..v1")).expect("removed");
        told(&mut changed).await;
        assert!(changed.try_recv().is_err(), "told once");
    }

    #[tokio::test]
    async fn a_file_that_comes_into_a_folder_of_a_value_is_a_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = tempfile::tempdir().expect("a folder");
        let (watch, mut changed) = watch(vec![folder.path().to_owned()]);
        watch.values(&[rules.path().to_owned()]);
        fs::write(rules.path().join("more.yaml"), "groups: []").expect("written");
        told(&mut changed).await;
    }

    #[tokio::test]
    async fn added_files_and_files_of_values_count_and_the_rest_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let elsewhere = tempfile::tempdir().expect("a folder");
        let (config, value) = (folder.path().join("a.yaml"), elsewhere.path().join("port"));
        fs::write(&config, "a: 1").expect("written");
        fs::write(&value, "1").expect("written");
        let (watch, mut changed) = watch(vec![folder.path().to_owned()]);
        watch.values(std::slice::from_ref(&value));
        fs::write(folder.path().join("notes.txt"), "no configuration").expect("written");
        fs::write(&config, "a: 1").expect("written again as it was");
        fs::write(folder.path().join("b.yaml"), "b: 1").expect("written");
        told(&mut changed).await;
        fs::write(&value, "2").expect("written");
        told(&mut changed).await;
        watch.values(&[]);
        fs::write(&value, "3").expect("written");
        fs::remove_file(&config).expect("removed");
        told(&mut changed).await;
        assert!(changed.try_recv().is_err(), "the value is watched no more");
    }
}
