//! The edge into a sink or a task: a queue of messages bounded in bytes.
//!
//! The lock is taken once a batch. A queue is closed for good when its senders or its receiver are gone;
//! messages left in it are abandoned, so that their sources read them again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Message, Outcome, Path};
use crate::telemetry::ComponentMetrics;

/// What a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The sender waits.
    #[default]
    Block,
    /// The oldest messages are dropped and counted.
    DropOldest,
}

/// Sends messages into an edge.
#[derive(Clone, Debug)]
pub struct EdgeSender(Arc<Entrance>);

/// Receives the messages of an edge, in order.
#[derive(Debug)]
pub struct EdgeReceiver(Arc<Edge>);

/// The other side of the edge is gone; the message comes back.
#[derive(Debug)]
pub struct Closed(pub Message);

/// What the senders of an edge share: when the last of them goes, it closes.
#[derive(Debug)]
struct Entrance(Arc<Edge>);

#[derive(Debug)]
struct Edge {
    limit: u64,
    when_full: WhenFull,
    metrics: Arc<ComponentMetrics>,
    state: Mutex<State>,
    room: Notify,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    bytes: u64,
    closed: bool,
}

/// An edge that holds at most `limit` bytes, or one message that is larger.
pub fn edge(limit: u64, when_full: WhenFull, metrics: Arc<ComponentMetrics>) -> (EdgeSender, EdgeReceiver) {
    metrics.queue_limit_bytes.set(i64::try_from(limit).unwrap_or(i64::MAX));
    let (room, filled) = (Notify::new(), Notify::new());
    let edge = Arc::new(Edge { limit, when_full, metrics, state: Mutex::default(), room, filled });
    (EdgeSender(Arc::new(Entrance(edge.clone()))), EdgeReceiver(edge))
}

impl Edge {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    fn take_front(&self, state: &mut State) -> Option<Message> {
        let message = state.messages.pop_front()?;
        state.bytes -= message.batch.bytes();
        self.metrics.queue_bytes.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
        Some(message)
    }
}

impl EdgeSender {
    /// Puts a message into the queue; where it is full, waits or drops the oldest.
    pub async fn send(&self, message: Message) -> Result<(), Closed> {
        let mut message = message;
        loop {
            let room = self.0.0.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySend::Closed(message)) => return Err(Closed(message)),
                Err(TrySend::Full(back)) => message = back,
            }
            room.await;
        }
    }

    /// Puts a message into the queue if that needs no waiting.
    #[expect(clippy::result_large_err, reason = "the message comes back to its sender, which moves it on")]
    pub fn try_send(&self, message: Message) -> Result<(), TrySend> {
        let edge = &*self.0.0;
        let bytes = message.batch.bytes();
        let mut shed = Vec::new();
        {
            let mut state = edge.lock();
            if state.closed {
                return Err(TrySend::Closed(message));
            }
            while !state.messages.is_empty() && state.bytes + bytes > edge.limit {
                match edge.when_full {
                    WhenFull::Block => return Err(TrySend::Full(message)),
                    WhenFull::DropOldest => shed.extend(edge.take_front(&mut state)),
                }
            }
            state.bytes += bytes;
            state.messages.push_back(message);
            edge.metrics.queue_bytes.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
        }
        edge.filled.notify_one();
        for message in shed {
            let records = message.batch.count() as u64;
            edge.metrics.records_dropped.inc_by(records);
            message.ack.settle(Outcome::Dropped, records);
        }
        Ok(())
    }

    /// Takes no more messages from anyone; the receiver ends once it has what is in the queue.
    pub fn close(&self) {
        self.0.0.close();
    }

    /// Takes the waiting messages of one path out of the queue again.
    pub fn withdraw(&self, path: &Arc<Path>) -> Vec<Message> {
        let edge = &*self.0.0;
        let mut withdrawn = Vec::new();
        {
            let mut state = edge.lock();
            for _ in 0..state.messages.len() {
                let Some(message) = edge.take_front(&mut state) else { break };
                if Arc::ptr_eq(message.ack.path(), path) {
                    withdrawn.push(message);
                } else {
                    state.bytes += message.batch.bytes();
                    state.messages.push_back(message);
                }
            }
        }
        edge.room.notify_waiters();
        withdrawn
    }
}

/// Why [`EdgeSender::try_send`] did not take a message; it comes back.
#[derive(Debug)]
pub enum TrySend {
    /// The queue is full and its policy is to wait.
    Full(Message),
    /// The receiver is gone.
    Closed(Message),
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl EdgeReceiver {
    /// The next message; `None` when all senders are gone and the queue is empty. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Message> {
        loop {
            let filled = self.0.filled.notified();
            tokio::pin!(filled);
            filled.as_mut().enable();
            {
                let mut state = self.0.lock();
                if let Some(message) = self.0.take_front(&mut state) {
                    drop(state);
                    self.0.room.notify_waiters();
                    return Some(message);
                }
                if state.closed {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// The next message if one is waiting.
    pub fn try_recv(&mut self) -> Option<Message> {
        let message = self.0.take_front(&mut self.0.lock())?;
        self.0.room.notify_waiters();
        Some(message)
    }

    /// The component's metrics.
    pub fn metrics(&self) -> &Arc<ComponentMetrics> {
        &self.0.metrics
    }
}

impl Drop for EdgeReceiver {
    fn drop(&mut self) {
        let abandoned = {
            let mut state = self.0.lock();
            state.closed = true;
            state.bytes = 0;
            self.0.metrics.queue_bytes.set(0);
            std::mem::take(&mut state.messages)
        };
        drop(abandoned);
        self.0.room.notify_waiters();
    }
}
