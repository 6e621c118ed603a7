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
    messages: VecDeque<Waiting>,
    bytes: u64,
    closed: bool,
}

/// A message in the queue.
#[derive(Debug)]
struct Waiting {
    message: Message,
    /// Whether it came by [`EdgeSender::offer`]: its source never waits, so it may be shed.
    offered: bool,
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

    fn take_front(&self, state: &mut State) -> Option<Waiting> {
        let waiting = state.messages.pop_front()?;
        state.bytes -= waiting.message.batch.bytes();
        self.show(state);
        Some(waiting)
    }

    /// Takes out the oldest message that was offered.
    fn take_offered(&self, state: &mut State) -> Option<Waiting> {
        let oldest = state.messages.iter().position(|waiting| waiting.offered)?;
        let waiting = state.messages.remove(oldest)?;
        state.bytes -= waiting.message.batch.bytes();
        self.show(state);
        Some(waiting)
    }

    fn put(&self, state: &mut State, waiting: Waiting) {
        state.bytes += waiting.message.batch.bytes();
        state.messages.push_back(waiting);
        self.show(state);
    }

    fn show(&self, state: &State) {
        self.metrics.queue_bytes.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
    }

    /// Counts a message that the queue's limit cost.
    fn shed(&self, message: Message) {
        let records = message.batch.count() as u64;
        self.metrics.records_dropped.inc_by(records);
        message.ack.settle(Outcome::Dropped, records);
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
        self.put(message, false)
    }

    /// Puts a message into the queue without ever waiting, for sources that are driven by time. Where the
    /// queue is full and its policy is to wait, the oldest of the messages that came this way are dropped and
    /// counted until this one fits: those of sources that do wait are left alone. Where that is not enough,
    /// it is this message that is dropped and counted.
    #[expect(clippy::result_large_err, reason = "the message comes back to its sender, which moves it on")]
    pub fn offer(&self, message: Message) -> Result<(), Closed> {
        match self.put(message, true) {
            Ok(()) => Ok(()),
            Err(TrySend::Closed(message)) => Err(Closed(message)),
            Err(TrySend::Full(message)) => {
                self.0.0.shed(message);
                Ok(())
            }
        }
    }

    #[expect(clippy::result_large_err, reason = "the message comes back to its sender, which moves it on")]
    fn put(&self, message: Message, offered: bool) -> Result<(), TrySend> {
        let edge = &*self.0.0;
        let bytes = message.batch.bytes();
        let mut shed = Vec::new();
        let result = {
            let mut state = edge.lock();
            if state.closed {
                return Err(TrySend::Closed(message));
            }
            loop {
                if state.messages.is_empty() || state.bytes + bytes <= edge.limit {
                    edge.put(&mut state, Waiting { message, offered });
                    break Ok(());
                }
                let room = match edge.when_full {
                    WhenFull::DropOldest => edge.take_front(&mut state),
                    WhenFull::Block if offered => edge.take_offered(&mut state),
                    WhenFull::Block => None,
                };
                match room {
                    Some(waiting) => shed.push(waiting.message),
                    None => break Err(TrySend::Full(message)),
                }
            }
        };
        if result.is_ok() {
            edge.filled.notify_one();
        }
        shed.into_iter().for_each(|message| edge.shed(message));
        result
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
                let Some(waiting) = edge.take_front(&mut state) else { break };
                if Arc::ptr_eq(waiting.message.ack.path(), path) {
                    withdrawn.push(waiting.message);
                } else {
                    edge.put(&mut state, waiting);
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
                if let Some(Waiting { message, .. }) = self.0.take_front(&mut state) {
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
        let Waiting { message, .. } = self.0.take_front(&mut self.0.lock())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Batch, Chunk, LogBuilder, LogRecord, Slice};
    use crate::delivery::{Ack, Settle, Verdict};
    use crate::telemetry::Telemetry;

    /// Notes which messages were dropped, by their tokens.
    #[derive(Default)]
    struct Dropped(Mutex<Vec<u64>>);

    impl Settle for Dropped {
        fn settled(&self, token: u64, verdict: Verdict) {
            if verdict.count(Outcome::Dropped) > 0 {
                self.0.lock().expect("not poisoned").push(token);
            }
        }
    }

    fn message(told: &Arc<Dropped>, token: u64) -> Message {
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        let chunk = builder.add_chunk(Chunk::from_static(b"a line"));
        builder.source().records.push(LogRecord::of_body(Slice::new(chunk, 0, 6)));
        Message::new(Batch::Logs(builder.build()), Ack::new(told.clone(), token, Path::new(), false))
    }

    #[tokio::test]
    async fn an_offer_takes_the_place_of_offers_alone() {
        let told = Arc::new(Dropped::default());
        let metrics = Telemetry::new().component("sink", "x");
        let each = message(&told, 0).batch.bytes();
        let (sender, mut receiver) = edge(3 * each, WhenFull::Block, metrics.clone());
        let dropped = || told.0.lock().expect("not poisoned").clone();
        sender.try_send(message(&told, 1)).expect("room");
        for token in [2, 3, 4] {
            sender.offer(message(&told, token)).expect("open");
        }
        assert_eq!(dropped(), [2], "the oldest offer makes room");
        let Err(TrySend::Full(refused)) = sender.try_send(message(&told, 5)) else { panic!("who waits sheds nobody") };
        refused.ack.done();
        for _ in [1, 3, 4] {
            receiver.recv().await.expect("there").ack.done();
        }
        for token in [6, 7, 8] {
            sender.try_send(message(&told, token)).expect("room");
        }
        sender.offer(message(&told, 9)).expect("open");
        assert_eq!(dropped(), [2, 9], "those that wait are left alone");
        assert_eq!(metrics.records_dropped.get(), 2);
    }
}
