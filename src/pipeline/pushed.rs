//! Input that is pushed: a request is answered by what becomes of it, within a time that its sender can wait.
//!
//! Once any destination has it the agent owns the rest, and the answer is a success. What no destination has in time
//! is withdrawn as far as it is unsent, and the sender is asked to bring it again. What every destination refuses
//! is told with count and reason.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::outlet::Outlet;
use crate::data::Batch;
use crate::delivery::{Ack, Message, Outcome, Path, Settle, Verdict};

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

    /// What a verdict about `records` records means for whoever sent them.
    fn of(verdict: &Verdict, records: u64) -> Self {
        let delivered = verdict.count(Outcome::Delivered);
        let dropped = verdict.count(Outcome::Dropped);
        if delivered == 0 && (verdict.abandoned || dropped > 0) {
            return Self::Later("no destination has taken it".into());
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

/// Tells a request's handler the verdict.
struct Waiter(Mutex<Option<oneshot::Sender<Verdict>>>);

impl Settle for Waiter {
    fn settled(&self, _: u64, verdict: Verdict) {
        if let Some(handler) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A handler that is gone has answered, or its client has.
            let _ = handler.send(verdict);
        }
    }
}

/// Holds a reload up until the request is answered.
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

/// Hands the batches of one request on and waits until `until` for what becomes of them. Dropping the future withdraws what
/// is unsent.
pub async fn hand_on(outlet: &mut Outlet, batches: Vec<Batch>, until: Instant) -> Became {
    let late = || Became::Later("no destination has taken it in time".into());
    let records = batches.iter().map(|batch| batch.count() as u64).sum();
    // The request has a path of its own, so that it alone can be withdrawn; the source's path waits for it.
    let Ok(held) = timeout_at(until, outlet.ack(Arc::new(Unheard), 0, true)).await else { return late() };
    let Ok(held) = held else { return Became::Later("the agent stops".into()) };
    let path = Path::new();
    let mut withdraw = Withdraw(Some(path.clone()));
    let (sender, verdict) = oneshot::channel();
    let ack = Ack::new(Arc::new(Waiter(Mutex::new(Some(sender)))), 0, path, true);
    let watch = ack.watch();
    let source = held.path().clone();
    let sent = async {
        for batch in batches {
            outlet.send(Message::new(batch, ack.fork())).await.ok()?;
        }
        ack.done();
        verdict.await.ok()
    };
    let verdict = tokio::select! {
        verdict = timeout_at(until, sent) => verdict,
        // A reload that cannot wait any longer: the sender brings it again.
        () = source.revoked() => Ok(None),
    };
    let became = match verdict {
        Ok(Some(verdict)) => Became::of(&verdict, records),
        Ok(None) => Became::Later("it was withdrawn".into()),
        Err(_) if watch.count(Outcome::Delivered) > Some(0) => {
            // One destination has it: the agent sees to the others.
            withdraw.0 = None;
            Became::TAKEN
        }
        Err(_) => late(),
    };
    held.done();
    became
}
