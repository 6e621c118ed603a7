//! An edge in memory alone. Messages left in it when it goes are abandoned, so that their sources read them
//! again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{TrySend, WhenFull, shed};
use crate::delivery::{Message, Path};
use crate::telemetry::ComponentMetrics;

/// A queue of messages, bounded in bytes.
#[derive(Debug)]
pub(super) struct MemoryQueue {
    limit: u64,
    when_full: WhenFull,
    pub metrics: Arc<ComponentMetrics>,
    state: Mutex<State>,
    pub room: Notify,
    pub filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Waiting>,
    bytes: u64,
    closed: bool,
}

/// A message in the queue.
#[derive(Debug)]
struct Waiting {
    message: Message,
    /// Whether its source never waits, so that it may be shed.
    offered: bool,
}

impl MemoryQueue {
    pub fn new(limit: u64, when_full: WhenFull, metrics: Arc<ComponentMetrics>) -> Self {
        metrics.queue_limit_bytes.set(i64::try_from(limit).unwrap_or(i64::MAX));
        Self { limit, when_full, metrics, state: Mutex::default(), room: Notify::new(), filled: Notify::new() }
    }

    /// Takes a message if that needs no waiting, making room by the policy; for one that is `offered`, among
    /// those that were.
    #[expect(clippy::result_large_err, reason = "the message comes back to its sender, which moves it on")]
    pub fn put(&self, message: Message, offered: bool) -> Result<(), TrySend> {
        let bytes = message.batch.bytes();
        let mut dropped = Vec::new();
        let result = {
            let mut state = self.lock();
            if state.closed {
                return Err(TrySend::Closed(message));
            }
            loop {
                if state.messages.is_empty() || state.bytes + bytes <= self.limit {
                    self.push(&mut state, Waiting { message, offered });
                    break Ok(());
                }
                let room = match self.when_full {
                    WhenFull::DropOldest => self.take_front(&mut state),
                    WhenFull::Block if offered => self.take_offered(&mut state),
                    WhenFull::Block => None,
                };
                match room {
                    Some(waiting) => dropped.push(waiting.message),
                    None => break Err(TrySend::Full(message)),
                }
            }
        };
        if result.is_ok() {
            self.filled.notify_one();
        }
        dropped.into_iter().for_each(|message| shed(&self.metrics, message));
        result
    }

    /// The next message, if there is one.
    pub fn take(&self) -> Option<Message> {
        let waiting = self.take_front(&mut self.lock())?;
        self.room.notify_waiters();
        Some(waiting.message)
    }

    /// Whether there will be no more messages.
    pub fn is_over(&self) -> bool {
        let state = self.lock();
        state.closed && state.messages.is_empty()
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    /// The receiver is gone.
    pub fn abandon(&self) {
        let abandoned = {
            let mut state = self.lock();
            state.closed = true;
            state.bytes = 0;
            self.show(&state);
            std::mem::take(&mut state.messages)
        };
        drop(abandoned);
        self.room.notify_waiters();
    }

    /// Takes the messages of one path out again.
    pub fn withdraw(&self, path: &Arc<Path>) -> Vec<Message> {
        let mut withdrawn = Vec::new();
        let mut state = self.lock();
        for _ in 0..state.messages.len() {
            let Some(waiting) = self.take_front(&mut state) else { break };
            if waiting.message.ack.path().is_of(path) {
                withdrawn.push(waiting.message);
            } else {
                self.push(&mut state, waiting);
            }
        }
        drop(state);
        self.room.notify_waiters();
        withdrawn
    }

    fn take_front(&self, state: &mut State) -> Option<Waiting> {
        self.remove(state, 0)
    }

    /// Takes out the oldest message that was offered.
    fn take_offered(&self, state: &mut State) -> Option<Waiting> {
        let oldest = state.messages.iter().position(|waiting| waiting.offered)?;
        self.remove(state, oldest)
    }

    fn remove(&self, state: &mut State, index: usize) -> Option<Waiting> {
        let waiting = state.messages.remove(index)?;
        state.bytes -= waiting.message.batch.bytes();
        self.show(state);
        Some(waiting)
    }

    fn push(&self, state: &mut State, waiting: Waiting) {
        state.bytes += waiting.message.batch.bytes();
        state.messages.push_back(waiting);
        self.show(state);
    }

    fn show(&self, state: &State) {
        self.metrics.queue_bytes.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
