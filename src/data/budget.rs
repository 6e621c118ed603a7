//! The process-wide memory budget, split into shares that each signal is sure of.
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
    /// A budget of `total` bytes: a sixth is guaranteed to each of logs, metrics and traces, half is lent.
    pub fn new(total: u64) -> Self {
        let guaranteed = total / 6;
        let common = Arc::new(Common { limit: total - 3 * guaranteed, used: Mutex::new(0), freed: Notify::new() });
        let share = || Arc::new(Budget { guaranteed, used: Mutex::new(0), common: common.clone() });
        Self { shares: [share(), share(), share()] }
    }

    /// The share of one signal.
    pub fn share(&self, signal: Signal) -> Arc<Budget> {
        self.shares[signal as usize].clone()
    }

    /// Bytes that may be held by all shares together.
    pub fn limit(&self) -> u64 {
        let [logs, metrics, traces] = &self.shares;
        logs.guaranteed + metrics.guaranteed + traces.guaranteed + logs.common.limit
    }

    /// Bytes held by all shares together.
    pub fn used(&self) -> u64 {
        self.shares.iter().map(|share| share.used()).sum()
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
        assert_eq!(held.len(), 40, "its own sixth and the lent half");
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
