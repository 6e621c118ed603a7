//! The memory of a disk queue: what senders, the sink and the worker that does I/O share.
//!
//! A message is in up to two places: in `accepted` until it is settled towards its source, and in `ready` until
//! the sink takes it. While the sink keeps up (`direct`), a message goes into both at once and is never read
//! back. When `ready` is full, messages go to the disk alone, and the worker brings them back in their order;
//! nothing overtakes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::Settings;
use super::state::{Accepted, Given, Handed, Ready, State};
use super::worker::Worker;
use crate::data::UnixNanos;
use crate::delivery::files::{Files, RealFiles};
use crate::delivery::queue::{TrySend, WhenFull};
use crate::delivery::{Ack, Message, Outcome, Path, Settle, Verdict};
use crate::formats::segment::Encoder;
use crate::telemetry::ComponentMetrics;

/// A queue before a sink, in memory and on disk.
#[derive(Debug)]
pub struct DiskQueue {
    pub(super) settings: Settings,
    pub(super) metrics: Arc<ComponentMetrics>,
    /// The path of messages between the queue and the sink.
    path: Arc<Path>,
    state: Mutex<State>,
    /// Wakes the worker.
    work: Condvar,
    room: Notify,
    filled: Notify,
    pub(super) ended: watch::Sender<bool>,
}

impl DiskQueue {
    /// Starts a queue and the thread that does its I/O, which takes the folder over from a predecessor.
    ///
    /// # Errors
    /// Where the system starts no thread.
    pub fn start(settings: Settings, metrics: Arc<ComponentMetrics>) -> std::io::Result<Arc<Self>> {
        Self::start_on(Arc::new(RealFiles), settings, metrics)
    }

    /// The same on any disk.
    pub(super) fn start_on(
        files: Arc<dyn Files>,
        settings: Settings,
        metrics: Arc<ComponentMetrics>,
    ) -> std::io::Result<Arc<Self>> {
        metrics.queue_limit_bytes.set(i64::try_from(settings.memory).unwrap_or(i64::MAX));
        let queue = Arc::new(Self {
            settings,
            metrics,
            path: Path::new(),
            state: Mutex::default(),
            work: Condvar::new(),
            room: Notify::new(),
            filled: Notify::new(),
            ended: watch::Sender::new(false),
        });
        let worker = Worker::new(files, queue.clone());
        std::thread::Builder::new().name("disk-queue".into()).spawn(move || worker.run())?;
        Ok(queue)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when there may be room.
    pub fn room(&self) -> &Notify {
        &self.room
    }

    /// Told when a message is ready, or none will be.
    pub fn filled(&self) -> &Notify {
        &self.filled
    }

    /// The metrics of the component behind the queue.
    pub fn metrics(&self) -> &Arc<ComponentMetrics> {
        &self.metrics
    }

    /// Takes a message if that needs no waiting. With `offered` it always does, or is dropped and comes back.
    #[expect(clippy::result_large_err, reason = "the message comes back to its sender, which moves it on")]
    pub fn put(&self, message: Message, offered: bool) -> Result<(), TrySend> {
        let bytes = message.batch.bytes();
        let drops = self.settings.when_full == WhenFull::DropOldest;
        let mut shed = Vec::new();
        let result = {
            let mut state = self.lock();
            if state.closed {
                return Err(TrySend::Closed(message));
            }
            loop {
                if state.unwritten_bytes == 0 || state.unwritten_bytes + bytes <= self.settings.memory {
                    self.accept(&mut state, message, offered, bytes);
                    self.wake(state);
                    break Ok(());
                }
                match (drops || offered).then(|| state.shed(!drops)).flatten() {
                    Some(accepted) => shed.push(accepted),
                    None => break Err(TrySend::Full(message)),
                }
            }
        };
        for accepted in shed {
            self.metrics.records_dropped.inc_by(accepted.records);
            accepted.ack.settle(Outcome::Dropped, accepted.records);
        }
        result
    }

    fn accept(&self, state: &mut State, message: Message, offered: bool, bytes: u64) {
        let Message { batch, ack, first_attempt, input } = message;
        let unstorable = Encoder::storable(&batch);
        if let Err(why) = unstorable
            && !std::mem::replace(&mut state.told_unstorable, true)
        {
            tracing::warn!(component = %self.metrics.name, "{why}: it waits in memory");
        }
        let (sequence, at, records) = (state.next, UnixNanos::now(), batch.count() as u64);
        state.next += 1;
        state.records += records;
        state.unwritten_bytes += bytes;
        state.direct &= state.has_room(self.settings.memory, bytes);
        if state.direct {
            let (batch, input) = (batch.clone(), input.clone());
            state.make_ready(Ready { sequence, batch, input, accepted: at, first_attempt });
            self.show_memory(state);
            self.filled.notify_one();
        }
        state.accepted.push_back(Accepted {
            sequence,
            at,
            batch: Some(batch),
            input,
            first_attempt,
            records,
            bytes,
            ack,
            offered,
            only_in_memory: unstorable.is_err(),
            lent: false,
        });
    }

    /// The next message for the sink, if one is ready.
    pub fn take(self: &Arc<Self>) -> Option<Message> {
        let (mut withdrawn, mut roomier) = (Vec::new(), false);
        let mut state = self.lock();
        let message = loop {
            if state.finished {
                break None;
            }
            if !state.can_hand() {
                break None;
            }
            let Some(ready) = state.ready.pop_front() else { break None };
            let bytes = ready.batch.bytes();
            state.ready_bytes -= bytes;
            if let Some(index) = state.accepted_at(ready.sequence)
                && state.accepted[index].ack.is_revoked()
            {
                withdrawn.extend(state.revoke(index));
                continue;
            }
            roomier = state.lend(ready.sequence, true);
            break Some(self.hand(&mut state, ready));
        };
        self.show_memory(&state);
        if !state.direct && (state.ready_bytes <= self.settings.memory / 2 || !state.can_hand()) {
            self.wake(state);
        } else {
            drop(state);
        }
        if roomier || !withdrawn.is_empty() {
            self.room.notify_waiters();
        }
        drop(withdrawn);
        message
    }

    fn hand(self: &Arc<Self>, state: &mut State, ready: Ready) -> Message {
        let Ready { sequence, batch, input, accepted, first_attempt } = ready;
        let handed = Handed { sequence, records: batch.count() as u64, accepted, state: Given::Out };
        match state.handed_at(sequence) {
            Ok(index) => state.handed[index] = handed,
            Err(index) => state.handed.insert(index, handed),
        }
        state.passed = state.passed.max(sequence);
        let ack = Ack::new(self.clone(), sequence, self.path.clone(), false);
        Message { batch, ack, first_attempt, input }
    }

    /// Whether nothing more will be ready.
    pub fn is_over(&self) -> bool {
        let state = self.lock();
        state.finished || (state.closed && state.direct && state.ready.is_empty() && !state.rewind)
    }

    /// Takes no more messages; the sink gets what is in the queue.
    pub fn close(&self) {
        self.lock_and_wake(|state| state.closed = true);
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    /// Takes no more messages and hands none out: what the sink has not got stays on disk.
    pub fn finish(&self) {
        self.lock_and_wake(|state| (state.closed, state.finished) = (true, true));
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    /// Withdraws what the sink has: it stays on disk.
    pub fn withdraw_handed(&self) {
        self.path.revoke();
    }

    /// The sink is gone.
    pub fn abandon(&self) {
        self.lock_and_wake(|state| (state.closed, state.finished, state.gone) = (true, true, true));
        self.metrics.queue_bytes.set(0);
        self.room.notify_waiters();
    }

    /// Takes the messages of one path out again that neither disk nor sink have.
    pub fn withdraw(&self, path: &Arc<Path>) -> Vec<Message> {
        let mut state = self.lock();
        let mut withdrawn = Vec::new();
        let mut index = 0;
        while let Some(accepted) = state.accepted.get(index) {
            let its = accepted.ack.path().is_of(path) && accepted.batch.is_some();
            if !its || accepted.sequence <= state.passed.max(state.writing) {
                index += 1;
                continue;
            }
            let Some(accepted) = state.take_accepted(index) else { break };
            state.forget_ready(accepted.sequence);
            state.records -= accepted.records;
            let Accepted { batch: Some(batch), ack, first_attempt, input, .. } = accepted else { continue };
            withdrawn.push(Message { batch, ack, first_attempt, input });
        }
        drop(state);
        self.room.notify_waiters();
        withdrawn
    }

    /// Waits until the worker has written everything down and ended.
    pub async fn ended(&self) {
        // The sender is in the queue itself.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Waits, as the worker, for something to do: until `deadline`, or without a limit.
    pub(super) fn sleep(&self, deadline: Option<Instant>) {
        let mut state = self.lock();
        while !state.changed {
            state.asleep = true;
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        (state.changed, state.asleep) = (false, false);
    }

    fn lock_and_wake(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        self.wake(state);
    }

    /// Tells the worker that something changed: once while it sleeps, and behind the lock, which it takes first.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        state.changed = true;
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.work.notify_one();
        }
    }

    pub(super) fn show_memory(&self, state: &State) {
        self.metrics.queue_bytes.set(i64::try_from(state.ready_bytes).unwrap_or(i64::MAX));
    }
}

/// The sink's side of a message: what it settles moves the cursor.
impl Settle for DiskQueue {
    fn settled(&self, sequence: u64, verdict: Verdict) {
        let mut state = self.lock();
        let Ok(index) = state.handed_at(sequence) else { return };
        if state.handed[index].state != Given::Out {
            return;
        }
        if verdict.abandoned {
            state.handed[index].state = Given::Abandoned;
            state.lend(sequence, false);
            // A sink that ends leaves what it has to its successor.
            state.rewind |= !state.finished;
            self.wake(state);
            return;
        }
        state.handed[index].state = Given::Settled;
        state.records = state.records.saturating_sub(state.handed[index].records);
        state.forget_settled();
        let accepted = state.accepted_at(sequence).and_then(|index| state.take_accepted(index));
        self.wake(state);
        if let Some(accepted) = accepted {
            self.room.notify_waiters();
            pass_on(accepted.ack, &verdict);
        }
    }
}

/// Tells a source what the sink has said.
fn pass_on(ack: Ack, verdict: &Verdict) {
    let outcomes = [Outcome::Delivered, Outcome::Filtered, Outcome::DeadLettered, Outcome::Dropped, Outcome::Refused];
    for outcome in outcomes {
        let count = verdict.count(outcome);
        if count > 0 {
            ack.count(outcome, count);
        }
    }
    if let Some(reason) = &verdict.reason {
        ack.refuse(Outcome::Refused, 0, reason);
    }
    ack.done();
}
