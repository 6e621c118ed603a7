//! Hints from the kernel that something appeared in a folder. They are only a reason to look sooner: what is
//! missed is found by the next look, and where the kernel refuses to watch, looking is all there is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Writes seen between two looks above which watching costs more than it brings: the folder's files are
/// written to at speed, and every write is an event.
const TOO_BUSY: u32 = 256;

/// Watches folders.
pub struct Hints {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    shared: Arc<Shared>,
    busy: bool,
}

#[derive(Default)]
struct Shared {
    appeared: Notify,
    writes: AtomicU32,
}

impl Hints {
    /// Watches nothing yet. Where the kernel refuses, in words why.
    pub fn new() -> (Self, Option<String>) {
        let shared = Arc::<Shared>::default();
        let told = shared.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return told.appeared.notify_one() };
            match event.kind {
                EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(notify::event::ModifyKind::Name(_)) => {
                    told.appeared.notify_one();
                }
                _ => {
                    told.writes.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let (watcher, refused) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error.to_string())),
        };
        (Self { watcher, watched: BTreeSet::new(), shared, busy: false }, refused)
    }

    /// Watches these folders and no others. Returns why one of them cannot be watched, if that is so.
    pub fn watch(&mut self, folders: Vec<PathBuf>) -> Option<String> {
        let watcher = self.watcher.as_mut()?;
        self.busy |= self.shared.writes.swap(0, Ordering::Relaxed) > TOO_BUSY;
        let wanted: BTreeSet<_> = if self.busy { BTreeSet::new() } else { folders.into_iter().collect() };
        for gone in self.watched.difference(&wanted) {
            // It may have vanished, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        self.watched.retain(|folder| wanted.contains(folder));
        let mut refused = None;
        for folder in wanted {
            if self.watched.contains(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder);
                }
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                Err(error) => refused = Some(format!("{}: {error}", folder.display())),
            }
        }
        refused
    }

    /// Waits until something appeared, was renamed or removed.
    pub async fn appeared(&self) {
        self.shared.appeared.notified().await;
    }
}
