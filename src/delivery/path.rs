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
    /// The path that it is a part of.
    parent: Option<Arc<Path>>,
}

impl Path {
    /// A path that nothing is on.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A path of its own within another one: what is on it is on both, and each can be withdrawn.
    pub fn child(parent: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { parent: Some(parent.clone()), ..Self::default() })
    }

    /// Whether it is this path, or within it.
    pub fn is_of(self: &Arc<Self>, path: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, path) || self.parent.as_ref().is_some_and(|parent| parent.is_of(path))
    }

    /// Whether messages on the path were withdrawn: a sink forgets them unsent, and whatever becomes of
    /// them counts as abandoned.
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire) || self.parent.as_ref().is_some_and(|parent| parent.is_revoked())
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
        match &self.parent {
            None => self.revoked_itself().await,
            Some(parent) => tokio::select! {
                () = self.revoked_itself() => {}
                () = Box::pin(parent.revoked()) => {}
            },
        }
    }

    async fn revoked_itself(&self) {
        loop {
            let withdrawn = self.withdrawn.notified();
            tokio::pin!(withdrawn);
            withdrawn.as_mut().enable();
            if self.revoked.load(Ordering::Acquire) {
                return;
            }
            withdrawn.await;
        }
    }

    pub(super) fn enter(&self) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        self.parent.iter().for_each(|parent| parent.enter());
    }

    pub(super) fn leave(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
        self.parent.iter().for_each(|parent| parent.leave());
    }
}
