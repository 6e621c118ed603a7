//! Drives one sink in unit tests: lines in, verdicts out.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::component::Sink;
use super::{SinkContext, TaskError};
use crate::data::{Batch, Chunk, LogBatch, LogBuilder, LogRecord, Slice, UnixNanos};
use crate::delivery::queue::{EdgeSender, WhenFull, edge};
use crate::delivery::{Ack, Message, Path, Settle, Verdict};
use crate::telemetry::{ComponentMetrics, Telemetry};

/// A running sink.
pub(crate) struct Driven {
    /// Into the sink. Dropping it ends the sink's input.
    pub input: Option<EdgeSender>,
    /// Verdicts in the order in which they came.
    pub verdicts: mpsc::UnboundedReceiver<Verdict>,
    /// The sink's metrics.
    pub metrics: Arc<ComponentMetrics>,
    /// Stops the sink at once.
    pub shutdown: CancellationToken,
    /// The path that messages are on.
    pub path: Arc<Path>,
    task: tokio::task::JoinHandle<Result<(), TaskError>>,
    told: Arc<Told>,
}

struct Told(mpsc::UnboundedSender<Verdict>);

impl Settle for Told {
    fn settled(&self, _token: u64, verdict: Verdict) {
        // A test that no longer listens has seen what it wanted.
        let _ = self.0.send(verdict);
    }
}

impl Driven {
    /// Starts a sink.
    pub fn start(sink: Box<dyn Sink>) -> Self {
        let metrics = Telemetry::new().component("sink", "under/test");
        let (sender, input) = edge(16 << 20, WhenFull::Block, metrics.clone());
        let (told, verdicts) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let task = sink.start(SinkContext { input, metrics: metrics.clone(), shutdown: shutdown.clone() });
        Self {
            input: Some(sender),
            verdicts,
            metrics,
            shutdown,
            path: Path::new(),
            task: tokio::spawn(task),
            told: Arc::new(Told(told)),
        }
    }

    /// Sends one batch of these lines.
    pub async fn send(&self, lines: &[&str]) {
        let ack = Ack::new(self.told.clone(), 0, self.path.clone(), false);
        let input = self.input.as_ref().expect("the input has not ended");
        let sent = input.send(Message::new(Batch::Logs(batch(lines)), ack)).await;
        assert!(sent.is_ok(), "the sink takes input");
    }

    /// Sends a message with this batch; `first_attempt` says that it may have been sent before.
    pub async fn send_batch(&self, batch: Batch, first_attempt: Option<UnixNanos>) {
        let ack = Ack::new(self.told.clone(), 0, self.path.clone(), false);
        let input = self.input.as_ref().expect("the input has not ended");
        let sent = input.send(Message { first_attempt, ..Message::new(batch, ack) }).await;
        assert!(sent.is_ok(), "the sink takes input");
    }

    /// The next verdict.
    pub async fn verdict(&mut self) -> Verdict {
        self.verdicts.recv().await.expect("the driver holds a sender")
    }

    /// Ends the input and waits for the sink's end.
    pub async fn finish(mut self) -> Result<(), TaskError> {
        drop(self.input.take());
        self.task.await.expect("no panic")
    }
}

/// A batch of records that are only a body each.
pub(crate) fn batch(lines: &[&str]) -> LogBatch {
    let mut builder = LogBuilder::new(Arc::default(), Arc::default());
    for line in lines {
        let chunk = builder.add_chunk(Chunk::from_vec(line.as_bytes().to_vec()));
        let len = u32::try_from(line.len()).expect("short");
        builder.source().records.push(LogRecord::of_body(Slice::new(chunk, 0, len)));
    }
    builder.build()
}
