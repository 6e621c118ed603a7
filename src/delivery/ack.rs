//! Acknowledgements: how a source learns what became of a batch.
//!
//! An [`Ack`] is forked for every further destination, and split by a sink that sends a batch in parts.
//! When the last holder is done the source is told, once, with everything that was counted. A holder that
//! is dropped without a word (a panic, an aborted task) makes the verdict *abandoned*, which never moves a
//! cursor.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use opentelemetry::trace::SpanKind;

use super::journey::{ABANDONED, Leg};
use super::path::Path;
use crate::data::Batch;
use crate::telemetry::ComponentMetrics;

/// What became of a record at one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Delivered = 0,
    /// The configuration said to drop it.
    Filtered = 1,
    /// It was refused for good and is in the dead letter.
    DeadLettered = 2,
    /// A full buffer shed it by its policy.
    Dropped = 3,
    /// It was refused for good.
    Refused = 4,
}

/// Everything that became of a batch, over all destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    counts: [u64; 5],
    /// Why the first record was refused.
    pub reason: Option<Box<str>>,
    /// Whether a holder vanished without a word, or the path was withdrawn: nothing may be concluded.
    pub abandoned: bool,
}

impl Verdict {
    /// Records, each counted once a destination, that had this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }
}

/// Whoever waits for verdicts: a source's cursor, the handler of a request.
pub trait Settle: Send + Sync + 'static {
    /// Called once for each [`Ack::new`], from the task that was done last; must not block.
    fn settled(&self, token: u64, verdict: Verdict);
}

/// One holder's duty to say what became of a batch.
pub struct Ack {
    /// Taken out only when it is done or dropped.
    shared: Option<Arc<Shared>>,
    /// Which part of its way the batch is on, if it is followed; holders of parts of the batch share it.
    leg: Option<Arc<Leg>>,
    /// Whether what it counts is not told.
    is_silent: bool,
}

struct Shared {
    settle: Arc<dyn Settle>,
    token: u64,
    path: Arc<Path>,
    waited_for: bool,
    counts: [AtomicU64; 5],
    reason: Mutex<Option<Box<str>>>,
    abandoned: AtomicBool,
    /// The whole way of the batch, if it is followed.
    way: OnceLock<Box<Leg>>,
}

const HELD: &str = "an ack is taken out only when it is done or dropped";

impl Ack {
    /// An ack that tells `settle` about `token` when all its holders are done. `waited_for` says that
    /// somebody waits for the verdict, so that no batcher should linger.
    pub fn new(settle: Arc<dyn Settle>, token: u64, path: Arc<Path>, waited_for: bool) -> Self {
        path.enter();
        let shared = Shared {
            settle,
            token,
            path,
            waited_for,
            counts: Default::default(),
            reason: Mutex::default(),
            abandoned: AtomicBool::new(false),
            way: OnceLock::new(),
        };
        Self { shared: Some(Arc::new(shared)), leg: None, is_silent: false }
    }

    /// An ack that nobody waits for.
    pub fn detached() -> Self {
        struct Nobody;
        impl Settle for Nobody {
            fn settled(&self, _: u64, _: Verdict) {}
        }
        Self::new(Arc::new(Nobody), 0, Path::new(), false)
    }

    /// One more holder, for another destination or for a part of the batch.
    pub fn fork(&self) -> Self {
        Self { shared: self.shared.clone(), leg: self.leg.clone(), is_silent: self.is_silent }
    }

    /// From now on this holder and its forks only look on: they hold the verdict up like any other, and what they
    /// count is not told.
    pub fn look_on(&mut self) {
        self.is_silent = true;
    }

    /// Whether somebody waits for the verdict.
    pub fn waited_for(&self) -> bool {
        self.shared().waited_for
    }

    /// The path that the batch is on.
    pub fn path(&self) -> &Arc<Path> {
        &self.shared().path
    }

    /// Whether the batch was withdrawn: forget it unsent.
    pub fn is_revoked(&self) -> bool {
        self.path().is_revoked()
    }

    /// Counts records without being done.
    pub fn count(&self, outcome: Outcome, records: u64) {
        if !self.is_silent {
            self.shared().counts[outcome as usize].fetch_add(records, Ordering::Relaxed);
        }
        if let Some(leg) = &self.leg {
            leg.count(outcome, records);
        }
    }

    /// Counts refused records and keeps the first reason.
    pub fn refuse(&self, outcome: Outcome, records: u64, reason: &str) {
        self.count(outcome, records);
        if let Some(leg) = &self.leg {
            leg.fail(reason);
        }
        if self.is_silent {
            return;
        }
        let mut first = self.shared().reason.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| reason.into());
    }

    /// A look at what is counted so far, which holds nothing up.
    pub fn watch(&self) -> AckWatch {
        AckWatch(self.shared.as_ref().map(Arc::downgrade).unwrap_or_default())
    }

    /// This holder has said all it had to say.
    pub fn done(mut self) {
        // A part of the way ends before the whole.
        drop(self.leg.take());
        drop(self.shared.take());
    }

    /// Counts and is done.
    pub fn settle(self, outcome: Outcome, records: u64) {
        self.count(outcome, records);
        self.done();
    }

    fn shared(&self) -> &Shared {
        self.shared.as_ref().expect(HELD)
    }

    /// Follows the batch on this way from now on, unless it is followed already.
    pub fn follow(&self, way: Box<Leg>) {
        // One that comes second is told as a way on which nothing happened, which is true.
        let _ = self.shared().way.set(way);
    }

    /// The whole way of the batch, if it is followed.
    #[inline]
    pub fn way(&self) -> Option<&Leg> {
        self.shared().way.get().map(|way| &**way)
    }

    /// Whether the holder is on a part of a followed batch's way.
    #[inline]
    pub fn on_leg(&self) -> bool {
        self.leg.is_some()
    }

    /// The holder goes on to another part of the batch's way, if that is followed.
    #[inline]
    pub fn go_on(&mut self, verb: &'static str, metrics: &ComponentMetrics, batch: &Batch) {
        if let Some(way) = self.way() {
            self.leg = Some(Arc::new(way.part(verb, metrics, SpanKind::Internal).with(batch)));
        }
    }

    /// A request to a destination that begins now, if the batch is followed.
    pub fn request(&self, metrics: &ComponentMetrics) -> Option<Leg> {
        let around = self.leg.as_deref().or(self.way())?;
        Some(around.part("send", metrics, SpanKind::Client))
    }
}

/// What is counted on an [`Ack`] before its last holder is done.
pub struct AckWatch(Weak<Shared>);

impl AckWatch {
    /// Records, each counted once a destination, that had this outcome so far; `None` once all holders are done
    /// and the verdict was told.
    pub fn count(&self, outcome: Outcome) -> Option<u64> {
        self.0.upgrade().map(|shared| shared.counts[outcome as usize].load(Ordering::Relaxed))
    }

    /// The same of all outcomes together.
    pub fn settled(&self) -> Option<u64> {
        self.0.upgrade().map(|shared| shared.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum())
    }
}

impl std::fmt::Debug for Ack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ack").field("token", &self.shared().token).finish_non_exhaustive()
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            if let Some(leg) = self.leg.take() {
                leg.fail(ABANDONED);
            }
            shared.abandoned.store(true, Ordering::Release);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let verdict = Verdict {
            counts: std::array::from_fn(|i| *self.counts[i].get_mut()),
            reason: self.reason.get_mut().unwrap_or_else(PoisonError::into_inner).take(),
            abandoned: *self.abandoned.get_mut() || self.path.is_revoked(),
        };
        if let Some(way) = self.way.get() {
            way.settled(&verdict);
        }
        self.settle.settled(self.token, verdict);
        self.path.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<(u64, Verdict)>>);

    impl Settle for Kept {
        fn settled(&self, token: u64, verdict: Verdict) {
            self.0.lock().expect("not poisoned").push((token, verdict));
        }
    }

    #[test]
    fn the_source_is_told_once_when_the_last_holder_is_done() {
        let (kept, path) = (Arc::new(Kept::default()), Path::new());
        let ack = Ack::new(kept.clone(), 7, path.clone(), false);
        let other = ack.fork();
        ack.settle(Outcome::Delivered, 3);
        assert_eq!(path.outstanding(), 1);
        other.refuse(Outcome::Refused, 1, "too long");
        other.refuse(Outcome::DeadLettered, 2, "a later reason");
        other.done();
        let told = kept.0.lock().expect("not poisoned");
        let [(7, verdict)] = told.as_slice() else { panic!("told once: {told:?}") };
        assert_eq!((verdict.count(Outcome::Delivered), verdict.count(Outcome::DeadLettered)), (3, 2));
        assert_eq!(verdict.reason.as_deref(), Some("too long"));
        assert!(!verdict.abandoned);
        assert_eq!(path.outstanding(), 0);
    }

    #[test]
    fn who_looks_on_holds_the_verdict_up_and_counts_nothing() {
        let (kept, path) = (Arc::new(Kept::default()), Path::new());
        let ack = Ack::new(kept.clone(), 7, path.clone(), false);
        let mut silent = ack.fork();
        silent.look_on();
        ack.settle(Outcome::Refused, 3);
        let part = silent.fork();
        silent.settle(Outcome::Delivered, 3);
        assert_eq!(path.outstanding(), 1);
        part.refuse(Outcome::DeadLettered, 1, "unheard");
        part.done();
        let told = kept.0.lock().expect("not poisoned");
        let verdict = &told[0].1;
        assert_eq!(
            [Outcome::Delivered, Outcome::DeadLettered, Outcome::Refused].map(|of| verdict.count(of)),
            [0, 0, 3]
        );
        assert_eq!(verdict.reason, None);
    }

    #[test]
    fn a_holder_that_vanishes_abandons_the_batch() {
        let kept = Arc::new(Kept::default());
        let ack = Ack::new(kept.clone(), 1, Path::new(), false);
        let lost = ack.fork();
        ack.settle(Outcome::Delivered, 1);
        drop(lost);
        assert!(kept.0.lock().expect("not poisoned")[0].1.abandoned);
    }

    #[test]
    fn what_is_settled_on_a_revoked_path_counts_as_abandoned() {
        let (kept, path) = (Arc::new(Kept::default()), Path::new());
        let ack = Ack::new(kept.clone(), 1, path.clone(), false);
        path.revoke();
        ack.settle(Outcome::Delivered, 1);
        assert!(kept.0.lock().expect("not poisoned")[0].1.abandoned);
    }
}
