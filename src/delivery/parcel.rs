//! Messages whose records share requests, each settled as the receiver's answers say.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::journey::Leg;
use super::{Ack, Outcome, Path};
use crate::telemetry::ComponentMetrics;

/// Messages whose records share requests, by the order in which they came. One leaves when all its records are
/// settled, or when it is withdrawn.
#[derive(Debug)]
pub struct Parcel<B>(Vec<Option<Held<B>>>);

#[derive(Debug)]
struct Held<B> {
    batch: B,
    ack: Ack,
    /// Records that are not settled.
    open: u64,
}

impl<B> Default for Parcel<B> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<B> Parcel<B> {
    /// Batches, their acks and how many records each has.
    pub fn new(messages: impl IntoIterator<Item = (B, Ack, u64)>) -> Self {
        let held = messages.into_iter().map(|(batch, ack, open)| Some(Held { batch, ack, open }));
        Self(held.collect())
    }

    /// Adds a batch, its ack and how many records it has; returns its place in the order.
    pub fn push(&mut self, batch: B, ack: Ack, records: u64) -> usize {
        self.0.push(Some(Held { batch, ack, open: records }));
        self.0.len() - 1
    }

    /// A message's batch; `None` once it left.
    pub fn batch(&self, message: usize) -> Option<&B> {
        self.0[message].as_ref().map(|held| &held.batch)
    }

    /// The same, to change it.
    pub fn batch_mut(&mut self, message: usize) -> Option<&mut B> {
        self.0[message].as_mut().map(|held| &mut held.batch)
    }

    /// Whether nothing is left in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether somebody waits for a verdict.
    pub fn waited_for(&self) -> bool {
        self.0.iter().flatten().any(|held| held.ack.waited_for())
    }

    /// Takes a message out that is not settled: its batch, and the duty to say what becomes of the records that are left.
    pub fn take(&mut self, message: usize) -> Option<(B, Ack)> {
        self.0[message].take().map(|held| (held.batch, held.ack))
    }

    /// Settles `records` of one message, or as many as are open; returns how many that were: none if it was withdrawn.
    pub fn settle(&mut self, message: usize, outcome: Outcome, records: u64, reason: Option<&str>) -> u64 {
        let slot = &mut self.0[message];
        let Some(held) = slot else { return 0 };
        let records = records.min(held.open);
        match reason {
            Some(reason) => held.ack.refuse(outcome, records, reason),
            None => held.ack.count(outcome, records),
        }
        held.open -= records;
        if held.open == 0
            && let Some(held) = slot.take()
        {
            held.ack.done();
        }
        records
    }

    /// Requests that begin now, of those batches that are followed.
    pub fn legs(&self, metrics: &ComponentMetrics) -> Vec<Leg> {
        self.0.iter().flatten().filter_map(|held| held.ack.request(metrics)).collect()
    }

    /// Forgets messages that were withdrawn, which abandons them. Returns whether there were any.
    pub fn forget_withdrawn(&mut self) -> bool {
        let mut any = false;
        for slot in &mut self.0 {
            if slot.as_ref().is_some_and(|held| held.ack.is_revoked()) {
                *slot = None;
                any = true;
            }
        }
        any
    }

    /// Waits for `work`, unless everything in the parcel is withdrawn meanwhile: then there is none of it. Forgets what
    /// is withdrawn at once, so that nobody waits for it, and tells whether anything was.
    pub async fn unless_withdrawn<T>(&mut self, work: impl Future<Output = T>) -> (Option<T>, bool) {
        tokio::pin!(work);
        let mut forgot = false;
        loop {
            tokio::select! {
                done = &mut work => return (Some(done), forgot),
                () = self.withdrawn() => {}
            }
            forgot |= self.forget_withdrawn();
            if self.is_empty() {
                return (None, forgot);
            }
        }
    }

    /// Waits until a message in the parcel is withdrawn.
    pub fn withdrawn(&self) -> impl Future<Output = ()> + Send + use<B> {
        let mut paths: Vec<Arc<Path>> = Vec::new();
        for held in self.0.iter().flatten() {
            if !paths.iter().any(|path| Arc::ptr_eq(path, held.ack.path())) {
                paths.push(held.ack.path().clone());
            }
        }
        async move {
            let mut revoked: FuturesUnordered<_> = paths.iter().map(|path| path.revoked()).collect();
            if revoked.next().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }
}
