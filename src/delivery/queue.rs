//! The edge into a sink or a task: a queue of messages bounded in bytes, in memory alone or with a
//! [disk queue](super::disk) behind it.
//!
//! The lock is taken once a batch. A queue is closed for good when its senders or its receiver are gone.

mod memory;

use std::sync::Arc;

use tokio::sync::Notify;

use super::disk::queue::DiskQueue;
use super::{Message, Outcome, Path, disk, journey};
use crate::telemetry::ComponentMetrics;
use memory::MemoryQueue;

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
pub struct EdgeReceiver(Edge);

/// The other side of the edge is gone; the message comes back.
#[derive(Debug)]
pub struct Closed(pub Message);

/// Why [`EdgeSender::try_send`] did not take a message; it comes back.
#[derive(Debug)]
pub enum TrySend {
    /// The queue is full and its policy is to wait.
    Full(Message),
    /// The receiver is gone.
    Closed(Message),
}

/// What the senders of an edge share: when the last of them goes, it closes.
#[derive(Debug)]
struct Entrance(Edge);

/// Where an edge keeps what waits.
#[derive(Clone, Debug)]
enum Edge {
    Memory(Arc<MemoryQueue>),
    Disk(Arc<DiskQueue>),
}

/// An edge that holds at most `limit` bytes, or one message that is larger.
pub fn edge(limit: u64, when_full: WhenFull, metrics: Arc<ComponentMetrics>) -> (EdgeSender, EdgeReceiver) {
    Edge::Memory(Arc::new(MemoryQueue::new(limit, when_full, metrics))).ends()
}

/// An edge with a disk queue. Where that cannot be started the edge is one in memory, and says so.
pub fn disk_edge(settings: disk::Settings, metrics: Arc<ComponentMetrics>) -> (EdgeSender, EdgeReceiver) {
    let (memory, when_full) = (settings.memory, settings.when_full);
    match DiskQueue::start(settings, metrics.clone()) {
        Ok(queue) => Edge::Disk(queue).ends(),
        Err(error) => {
            let words = format!("the disk queue cannot be started: {error}; records wait in memory alone");
            tracing::error!(component = %metrics.name, "{words}");
            metrics.health.buffer(Some(words));
            edge(memory, when_full, metrics)
        }
    }
}

impl Edge {
    fn ends(self) -> (EdgeSender, EdgeReceiver) {
        (EdgeSender(Arc::new(Entrance(self.clone()))), EdgeReceiver(self))
    }

    #[expect(clippy::result_large_err, reason = "the message comes back to its sender, which moves it on")]
    fn put(&self, mut message: Message, offered: bool) -> Result<(), TrySend> {
        // One that found no room waits already.
        if !message.ack.on_leg() {
            message.ack.go_on("wait for", self.metrics(), &message.batch);
        }
        match self {
            Self::Memory(queue) => queue.put(message, offered),
            Self::Disk(queue) => queue.put(message, offered),
        }
    }

    fn take(&self) -> Option<Message> {
        let mut message = match self {
            Self::Memory(queue) => queue.take(),
            Self::Disk(queue) => queue.take().inspect(|message| self.set_out(message)),
        }?;
        let verb = if self.metrics().kind == "sink" { "deliver" } else { "process" };
        message.ack.go_on(verb, self.metrics(), &message.batch);
        Some(message)
    }

    /// What comes from the disk was settled where it came from, and may be followed anew.
    fn set_out(&self, message: &Message) {
        if message.ack.way().is_none()
            && let Some(way) = journey::begin("dequeue", self.metrics(), &message.batch)
        {
            message.ack.follow(way);
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Memory(queue) => queue.is_over(),
            Self::Disk(queue) => queue.is_over(),
        }
    }

    fn room(&self) -> &Notify {
        match self {
            Self::Memory(queue) => &queue.room,
            Self::Disk(queue) => queue.room(),
        }
    }

    fn filled(&self) -> &Notify {
        match self {
            Self::Memory(queue) => &queue.filled,
            Self::Disk(queue) => queue.filled(),
        }
    }

    fn metrics(&self) -> &Arc<ComponentMetrics> {
        match self {
            Self::Memory(queue) => &queue.metrics,
            Self::Disk(queue) => queue.metrics(),
        }
    }

    fn close(&self) {
        match self {
            Self::Memory(queue) => queue.close(),
            Self::Disk(queue) => queue.close(),
        }
    }
}

impl EdgeSender {
    /// Puts a message into the queue; where it is full, waits or drops the oldest.
    pub async fn send(&self, message: Message) -> Result<(), Closed> {
        let mut message = message;
        loop {
            let room = self.edge().room().notified();
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
        self.edge().put(message, false)
    }

    /// Puts a message into the queue without ever waiting, for sources that are driven by time. Where the
    /// queue is full and its policy is to wait, the oldest of the messages that came this way are dropped and
    /// counted until this one fits: those of sources that do wait are left alone. Where that is not enough,
    /// it is this message that is dropped and counted. In a full disk queue it takes the place of the oldest.
    #[expect(clippy::result_large_err, reason = "the message comes back to its sender, which moves it on")]
    pub fn offer(&self, message: Message) -> Result<(), Closed> {
        match self.edge().put(message, true) {
            Ok(()) => Ok(()),
            Err(TrySend::Closed(message)) => Err(Closed(message)),
            Err(TrySend::Full(message)) => {
                shed(self.edge().metrics(), message);
                Ok(())
            }
        }
    }

    /// Takes no more messages from anyone; the receiver ends once it has what is in the queue.
    pub fn close(&self) {
        self.edge().close();
    }

    /// Takes no more messages from anyone; where what waits is kept on disk, the receiver ends at once.
    pub fn finish(&self) {
        match self.edge() {
            Edge::Memory(queue) => queue.close(),
            Edge::Disk(queue) => queue.finish(),
        }
    }

    /// Takes back what the receiver works on, where that is kept on disk.
    pub fn withdraw_handed(&self) {
        if let Edge::Disk(queue) = self.edge() {
            queue.withdraw_handed();
        }
    }

    /// Whether messages are settled towards their sources once they are on disk.
    pub fn is_durable(&self) -> bool {
        matches!(self.edge(), Edge::Disk(_))
    }

    /// Waits until everything is written down; both ends must be closed.
    pub async fn ended(&self) {
        if let Edge::Disk(queue) = self.edge() {
            queue.ended().await;
        }
    }

    /// Takes the waiting messages of one path out of the queue again; what is on disk stays there.
    pub fn withdraw(&self, path: &Arc<Path>) -> Vec<Message> {
        match self.edge() {
            Edge::Memory(queue) => queue.withdraw(path),
            Edge::Disk(queue) => queue.withdraw(path),
        }
    }

    fn edge(&self) -> &Edge {
        &self.0.0
    }
}

/// Counts a message that a queue's limit cost.
fn shed(metrics: &ComponentMetrics, message: Message) {
    let records = message.batch.count() as u64;
    metrics.records_dropped.inc_by(records);
    message.ack.settle(Outcome::Dropped, records);
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
            let filled = self.0.filled().notified();
            tokio::pin!(filled);
            filled.as_mut().enable();
            if let Some(message) = self.0.take() {
                return Some(message);
            }
            if self.0.is_over() {
                return None;
            }
            filled.await;
        }
    }

    /// The next message if one is waiting.
    pub fn try_recv(&mut self) -> Option<Message> {
        self.0.take()
    }

    /// Whether what was received and is not settled stays on disk.
    pub fn is_durable(&self) -> bool {
        matches!(self.0, Edge::Disk(_))
    }

    /// The component's metrics.
    pub fn metrics(&self) -> &Arc<ComponentMetrics> {
        self.0.metrics()
    }
}

impl Drop for EdgeReceiver {
    fn drop(&mut self) {
        match &self.0 {
            Edge::Memory(queue) => queue.abandon(),
            Edge::Disk(queue) => queue.abandon(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

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
