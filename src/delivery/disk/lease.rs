//! One queue a folder: a reload starts the successor of a queue while the old one still writes down what it has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

static TAKEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static RETURNED: Condvar = Condvar::new();

/// The right to use a folder; returned when it is dropped.
#[derive(Debug)]
pub struct Lease(PathBuf);

impl Lease {
    /// Waits until nobody else in the process has the folder.
    pub fn take(folder: &Path) -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        while !taken.insert(folder.to_owned()) {
            taken = RETURNED.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        Self(folder.to_owned())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        RETURNED.notify_all();
    }
}
