//! Input that is pushed: a request is answered by what becomes of it, within a time that its sender can wait.
//!
//! Once any destination has it the agent owns the rest, and the answer is a success. What no destination has in time
//! is withdrawn as far as it is unsent, and the sender is asked to bring it again. What every destination refuses
//! is told with count and reason.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::outlet::{Gone, Outlet};
use crate::data::{Batch, Permit};
use crate::delivery::{Ack, Message, Outcome, Path, Settle, Verdict};
use crate::telemetry::ComponentMetrics;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// Some destination has it, or the configuration said to drop it, but for what was refused.
    Taken {
        /// Records that no destination takes.
        refused: u64,
        /// Why; empty where there are none.
        reason: String,
    },
    /// No destination has it: once more, later.
    Later(String),
}

impl Became {
    /// All of it was taken.
    pub const TAKEN: Self = Self::Taken { refused: 0, reason: String::new() };

    fn late() -> Self {
        Self::Later("no destination has taken it in time".into())
    }

    /// What a verdict about `records` records means for whoever sent them.
    fn of(verdict: &Verdict, records: u64) -> Self {
        let delivered = verdict.count(Outcome::Delivered);
        let dropped = verdict.count(Outcome::Dropped);
        // What a destination let go of without a word is brought again, and another may then have it twice.
        if verdict.abandoned || (delivered == 0 && dropped > 0) {
            return Self::Later("no destination has taken all of it".into());
        }
        let refused = verdict.count(Outcome::Refused) + verdict.count(Outcome::DeadLettered);
        // With several destinations every record is counted several times: what one of them has is not refused.
        let settled = delivered + dropped + verdict.count(Outcome::Filtered);
        let refused = refused.min(records.saturating_sub(settled));
        if refused == 0 {
            return Self::TAKEN;
        }
        Self::Taken { refused, reason: verdict.reason.as_deref().unwrap_or("no reason given").into() }
    }
}

/// Tells a request's handler the verdict, and counts what is lost once that is answered.
struct Waiter {
    handler: Mutex<Option<oneshot::Sender<Verdict>>>,
    /// Whether the sender was told that the agent has it.
    owned: AtomicBool,
    records: u64,
    metrics: Arc<ComponentMetrics>,
    /// Pays for the request until nobody holds any of it, whatever its sender was told by then.
    _paid: Permit,
}

impl Waiter {
    fn count_lost(&self, verdict: &Verdict) {
        if verdict.abandoned && self.owned.load(Ordering::Acquire) {
            self.metrics.records_lost.inc_by(self.records);
            self.metrics.error("a destination let go of what its sender was told is taken");
        }
    }
}

impl Settle for Waiter {
    fn settled(&self, _: u64, verdict: Verdict) {
        let handler = self.handler.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A handler that is gone has answered, or its client has.
        if let Some(Err(verdict)) = handler.map(|handler| handler.send(verdict)) {
            self.count_lost(&verdict);
        }
    }
}

/// Holds a reload up until the request is on its path.
struct Unheard;

impl Settle for Unheard {
    fn settled(&self, _: u64, _: Verdict) {}
}

/// Withdraws what is unsent of a request once its handler is gone, unless the agent owns it by then.
struct Withdraw(Option<Arc<Path>>);

impl Drop for Withdraw {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            path.revoke();
        }
    }
}

/// Outlets that wait for the next request.
const MOST_IDLE: usize = 16;

/// Where the requests of one output are handed on. Cloning it shares the outlets.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    first: Mutex<Outlet>,
    /// Outlets with the instances of the transforms behind them, which know what they have seen.
    idle: Mutex<Vec<Outlet>>,
    metrics: Arc<ComponentMetrics>,
}

impl Intake {
    /// Hands on through `outlet`; `metrics` are the source's.
    pub fn new(outlet: Outlet, metrics: Arc<ComponentMetrics>) -> Self {
        Self(Arc::new(Inner { first: Mutex::new(outlet), idle: Mutex::default(), metrics }))
    }

    /// Whether anything reads what is handed on here.
    pub fn is_read(&self) -> bool {
        self.0.first.lock().unwrap_or_else(PoisonError::into_inner).is_read()
    }

    fn lend(&self) -> Outlet {
        let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| self.0.first.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn give_back(&self, outlet: Outlet) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(outlet);
        }
    }

    /// Hands the batches of one request on, which `paid` pays for, and waits until `until` for what becomes of them.
    /// Dropping the future withdraws what is unsent.
    pub async fn hand_on(&self, batches: Vec<Batch>, paid: Permit, until: Instant) -> Became {
        let became = self.hand(batches, paid, until).await;
        if let Became::Later(words) = &became {
            self.0.metrics.error(format!("a sender is told to come again: {words}"));
            tracing::warn!(component = &*self.0.metrics.name, "a sender is told to come again: {words}");
        }
        became
    }

    async fn hand(&self, batches: Vec<Batch>, paid: Permit, until: Instant) -> Became {
        let mut outlet = self.lend();
        // The request has a path of its own within the source's, so that it alone can be withdrawn.
        let Ok(held) = timeout_at(until, outlet.ack(Arc::new(Unheard), 0, true)).await else { return Became::late() };
        let Ok(held) = held else { return Became::Later("the agent stops".into()) };
        let path = Path::child(held.path());
        let mut withdraw = Withdraw(Some(path.clone()));
        let records = batches.iter().map(|batch| batch.count() as u64).sum();
        let (handler, mut verdict) = oneshot::channel();
        let (handler, owned) = (Mutex::new(Some(handler)), AtomicBool::new(false));
        let waiter = Arc::new(Waiter { handler, owned, records, metrics: self.0.metrics.clone(), _paid: paid });
        let ack = Ack::new(waiter.clone(), 0, path.clone(), true);
        held.done();
        let watch = ack.watch();
        // A task of its own: what waits at a full edge is sent on also once the request is answered.
        tokio::spawn(self.clone().send(outlet, batches, ack));
        tokio::select! {
            told = &mut verdict => match told {
                Ok(verdict) => Became::of(&verdict, records),
                Err(_) => Became::Later("it was withdrawn".into()),
            },
            // A reload that cannot wait any longer: the sender brings it again.
            () = path.revoked() => Became::Later("it was withdrawn".into()),
            () = sleep_until(until) => {
                if watch.count(Outcome::Delivered) > Some(0) && watch.settled() >= Some(records) {
                    // One destination has all of it, as far as can be told: the agent sees to the others.
                    withdraw.0 = None;
                    waiter.owned.store(true, Ordering::Release);
                    if let Ok(verdict) = verdict.try_recv() {
                        waiter.count_lost(&verdict);
                    }
                    return Became::TAKEN;
                }
                // It may have been told in this moment.
                verdict.try_recv().map_or_else(|_| Became::late(), |verdict| Became::of(&verdict, records))
            }
        }
    }

    /// Sends the batches unless they are withdrawn.
    async fn send(self, mut outlet: Outlet, batches: Vec<Batch>, ack: Ack) {
        let path = ack.path().clone();
        let sending = async {
            for batch in batches {
                outlet.send(Message::new(batch, ack.fork())).await?;
            }
            Ok::<_, Gone>(())
        };
        let sent = tokio::select! {
            biased;
            () = path.revoked() => false,
            sent = sending => sent.is_ok(),
        };
        if sent {
            ack.done();
            self.give_back(outlet);
        }
        // Else the ack is dropped, which abandons what was not sent.
    }
}

#[cfg(test)]
mod tests;
