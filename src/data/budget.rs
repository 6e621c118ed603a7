//! The process-wide memory budget, split into shares that each signal is sure of. Scrapes in flight have one of
//! their own: what waits for a sink cannot keep them from reading.
//!
//! Only sources wait for it; whatever drains data never does. A permit is released when the bytes it
//! pays for are dropped, so the budget measures what is really held.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Signal;

/// The whole budget. A part of it is guaranteed to each signal, the rest is lent to whoever asks first.
#[derive(Debug)]
pub struct MemoryBudget {
    shares: [Arc<Budget>; 3],
    scrapes: Arc<Budget>,
}

/// One signal's share of the memory budget.
#[derive(Debug)]
pub struct Budget {
    guaranteed: u64,
    used: Mutex<u64>,
    common: Arc<Common>,
}

#[derive(Debug)]
struct Common {
    limit: u64,
    used: Mutex<u64>,
    freed: Notify,
}

/// Bytes taken from a [`Budget`], given back on drop.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of `total` bytes: a sixth is guaranteed to each of logs, metrics and traces, a sixteenth to scrapes in
    /// flight, and the rest is lent.
    pub fn new(total: u64) -> Self {
        let (signal, scrapes) = (total / 6, total / 16);
        let limit = total - 3 * signal - scrapes;
        let common = Arc::new(Common { limit, used: Mutex::new(0), freed: Notify::new() });
        let share = |guaranteed| Arc::new(Budget { guaranteed, used: Mutex::new(0), common: common.clone() });
        Self { shares: [share(signal), share(signal), share(signal)], scrapes: share(scrapes) }
    }

    /// The share of one signal.
    pub fn share(&self, signal: Signal) -> Arc<Budget> {
        self.shares[signal as usize].clone()
    }

    /// The share of bodies that are being scraped. Whoever holds some of it waits for nothing but its target, for as
    /// long as a scrape may take, so that others get it in the end.
    pub fn scrapes(&self) -> Arc<Budget> {
        self.scrapes.clone()
    }

    /// Bytes that may be held by all shares together.
    pub fn limit(&self) -> u64 {
        self.all().map(|share| share.guaranteed).sum::<u64>() + self.scrapes.common.limit
    }

    /// Bytes held by all shares together.
    pub fn used(&self) -> u64 {
        self.all().map(|share| share.used()).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Budget>> {
        self.shares.iter().chain([&self.scrapes])
    }
}

impl Budget {
    /// Takes `bytes` if there is room. A request larger than the share could ever hold is granted when
    /// the share is empty: one oversized item must not wait for ever.
    pub fn try_acquire(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let borrow = self.borrowed(*used + bytes) - self.borrowed(*used);
        if borrow > 0 {
            let mut common = self.common.used.lock().unwrap_or_else(PoisonError::into_inner);
            if *common + borrow > self.common.limit && *used > 0 {
                return None;
            }
            *common += borrow;
        }
        *used += bytes;
        Some(Permit { budget: self.clone(), bytes })
    }

    /// Takes `bytes`, waiting for room.
    pub async fn acquire(self: &Arc<Self>, bytes: u64) -> Permit {
        loop {
            let freed = self.common.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(permit) = self.try_acquire(bytes) {
                return permit;
            }
            freed.await;
        }
    }

    /// Bytes held by this share.
    pub fn used(&self) -> u64 {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `bytes`, whether there is room or not.
    fn take(&self, bytes: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let borrow = self.borrowed(*used + bytes) - self.borrowed(*used);
        *self.common.used.lock().unwrap_or_else(PoisonError::into_inner) += borrow;
        *used += bytes;
    }

    fn borrowed(&self, used: u64) -> u64 {
        used.saturating_sub(self.guaranteed)
    }

    fn release(&self, bytes: u64) {
        {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            let repay = self.borrowed(*used) - self.borrowed(*used - bytes);
            *used -= bytes;
            if repay > 0 {
                *self.common.used.lock().unwrap_or_else(PoisonError::into_inner) -= repay;
            }
        }
        self.common.freed.notify_waiters();
    }
}

impl Permit {
    /// Keeps `bytes` of the permit and gives the rest back at once.
    pub fn shrink(mut self, bytes: u64) -> Self {
        if bytes < self.bytes {
            self.budget.release(self.bytes - bytes);
            self.bytes = bytes;
        }
        self
    }

    /// Bytes that it pays for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Pays for `bytes` from now on, whether there is room for more or not: what turned out larger is there already,
    /// and whoever comes next waits longer.
    pub fn resize(&mut self, bytes: u64) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.budget.take(more),
            None => self.budget.release(self.bytes - bytes),
        }
        self.bytes = bytes;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_signal_cannot_take_what_another_is_sure_of() {
        let memory = MemoryBudget::new(600);
        let logs = memory.share(Signal::Logs);
        let held: Vec<_> = std::iter::from_fn(|| logs.try_acquire(10)).collect();
        assert_eq!(held.len(), 36, "its own sixth and what is lent");
        assert!(memory.share(Signal::Traces).try_acquire(100).is_some());
        drop(held);
        assert_eq!(memory.used(), 0);
        assert!(logs.try_acquire(10).is_some());
    }

    #[test]
    fn an_oversized_item_is_granted_to_an_empty_share() {
        let memory = MemoryBudget::new(600);
        let permit = memory.share(Signal::Logs).try_acquire(10_000).expect("granted");
        assert_eq!(memory.used(), 10_000);
        drop(permit.shrink(5));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_permit_pays_for_what_turns_out_larger() {
        let memory = MemoryBudget::new(1600);
        let scrapes = memory.scrapes();
        let everything = memory.share(Signal::Metrics).try_acquire(5000).expect("an empty share");
        let mut permit = scrapes.try_acquire(60).expect("its own share");
        permit.resize(300);
        assert_eq!((scrapes.used(), memory.used()), (300, 5300));
        assert!(scrapes.try_acquire(1).is_none());
        permit.resize(20);
        assert!(scrapes.try_acquire(80).is_some());
        drop((permit, everything));
        assert_eq!((memory.used(), memory.limit()), (0, 1600));
        assert_eq!(*scrapes.common.used.lock().expect("whole"), 0);
    }

    #[tokio::test]
    async fn a_waiter_is_woken_by_a_release() {
        let memory = MemoryBudget::new(60);
        let logs = memory.share(Signal::Logs);
        let held = logs.try_acquire(40).expect("room");
        let waiter = tokio::spawn({
            let logs = logs.clone();
            async move { logs.acquire(30).await }
        });
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(waiter.await.expect("no panic").bytes, 30);
    }
}
