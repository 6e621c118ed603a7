//! Queues on a disk that does what disks do, and on a real one.

mod crashes;
mod damage;
mod gone;
mod real;
mod troubles;
mod withdrawn;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::queue::DiskQueue;
use super::*;
use crate::data::{Batch, Chunk, LogBuilder, LogRecord, Slice};
use crate::delivery::files::Files;
use crate::delivery::queue::TrySend;
use crate::delivery::{Ack, Message, Outcome, Settle, Verdict};
use crate::telemetry::{ComponentMetrics, Telemetry};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the source was told, by number.
#[derive(Default)]
struct Told(Mutex<BTreeMap<u64, Verdict>>);

impl Settle for Told {
    fn settled(&self, number: u64, verdict: Verdict) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, verdict);
    }
}

impl Told {
    fn has(&self, number: u64, outcome: Outcome) -> bool {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(&number).is_some_and(|verdict| !verdict.abandoned && verdict.count(outcome) > 0)
    }

    fn is_told(&self, number: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&number)
    }
}

/// A source and a sink with a queue between them.
struct Rig {
    queue: Arc<DiskQueue>,
    metrics: Arc<ComponentMetrics>,
    told: Arc<Told>,
    path: Arc<crate::delivery::Path>,
}

fn settings(folder: &Path) -> Settings {
    let disk = DiskBuffer { size: 1 << 30, fsync: Fsync::Every(Duration::from_millis(2)), min_free: 0 };
    let series = crate::data::SeriesTable::new(1000);
    Settings {
        folder: folder.to_owned(),
        memory: 1 << 20,
        when_full: WhenFull::Block,
        disk,
        names: Arc::default(),
        series,
    }
}

impl Rig {
    fn start(files: impl Files, settings: Settings) -> Self {
        let metrics = Telemetry::new().component("sink", "file/x");
        let queue = DiskQueue::start_on(Arc::new(files), settings, metrics.clone()).expect("a thread");
        Self { queue, metrics, told: Arc::default(), path: crate::delivery::Path::new() }
    }

    fn message(&self, number: u64) -> Message {
        self.message_of(number, Ack::new(self.told.clone(), number, self.path.clone(), false))
    }

    fn message_of(&self, number: u64, ack: Ack) -> Message {
        // Of different lengths, so that damage falls everywhere.
        let text = format!("{number} {}", "x".repeat((number * 37 % 211) as usize));
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        let chunk = builder.add_chunk(Chunk::from_vec(text.clone().into_bytes()));
        builder.source().records.push(LogRecord::of_body(Slice::new(chunk, 0, text.len() as u32)));
        builder.add_payload_bytes(text.len() as u64);
        Message::new(Batch::Logs(builder.build()), ack)
    }

    fn try_send(&self, number: u64) -> bool {
        match self.queue.put(self.message(number), false) {
            Ok(()) => true,
            Err(TrySend::Full(message) | TrySend::Closed(message)) => {
                message.ack.done();
                self.told.0.lock().expect("not poisoned").remove(&number);
                false
            }
        }
    }

    /// Sends, waiting for room.
    async fn send(&self, number: u64) {
        wait(&format!("room for {number}"), || self.try_send(number)).await;
    }

    /// The next message for the sink.
    async fn receive(&self) -> Message {
        let mut taken = None;
        wait("a message", || {
            taken = self.queue.take();
            taken.is_some()
        })
        .await;
        taken.expect("waited for")
    }

    /// The next number for the sink, delivered.
    async fn deliver(&self) -> u64 {
        let message = self.receive().await;
        let number = number(&message);
        message.ack.settle(Outcome::Delivered, 1);
        number
    }

    async fn stop(self) {
        self.queue.abandon();
        tokio::time::timeout(PATIENCE, self.queue.ended()).await.expect("the worker ends");
    }
}

fn number(message: &Message) -> u64 {
    let Batch::Logs(logs) = &message.batch else { panic!("logs went in") };
    let text = std::str::from_utf8(logs.view(0).body()).expect("text");
    let number: u64 = text.split(' ').next().expect("a number").parse().expect("a number");
    assert_eq!(text.len(), format!("{number} ").len() + (number * 37 % 211) as usize, "the text is whole");
    number
}

async fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
