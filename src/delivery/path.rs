//! The way of a source's messages through one version of the graph. A reload drains the old path, or
//! withdraws what is left on it, before the source may use the new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the unsettled messages of one source on one version of the graph.
#[derive(Debug, Default)]
pub struct Path {
    outstanding: AtomicUsize,
    revoked: AtomicBool,
    withdrawn: Notify,
}

impl Path {
    /// A path that nothing is on.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Whether messages on the path were withdrawn: a sink forgets them unsent, and whatever becomes of
    /// them counts as abandoned.
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Withdraws every message on the path.
    pub fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
        self.withdrawn.notify_waiters();
    }

    /// Number of unsettled messages.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Acquire)
    }

    /// Waits until the path is revoked; for work in flight that must then stop.
    pub async fn revoked(&self) {
        loop {
            let withdrawn = self.withdrawn.notified();
            tokio::pin!(withdrawn);
            withdrawn.as_mut().enable();
            if self.is_revoked() {
                return;
            }
            withdrawn.await;
        }
    }

    pub(super) fn enter(&self) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn leave(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
    }
}
