//! Metrics made of records: what the transforms have in common that absorb records and send metrics.
//!
//! Several workers take batches from one edge and count into [`Counters`]; one task emits. Whoever counts writes a
//! [`key`] for a record and hands in what the record says; expiry, the limit, where series begin and end, and the list
//! that emissions share are the same for all.
//!
//! Input is absorbed: a record is settled once it is counted, so what was counted since the last emission is lost at a
//! kill, and a record that is read again after one is counted again. Counters begin at zero when the process does;
//! `created` says when.

mod emit;
pub mod key;
mod native;
pub mod options;
mod series;
pub mod spans;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::emit::Emitter;
use self::options::Pace;
pub use self::series::{Counters, Kind, Limits, Metric, Observation, Touch};
use super::component::PrepareContext;
use super::{TaskContext, TaskError};
use crate::data::Batch;
use crate::delivery::Outcome;
use crate::delivery::queue::EdgeReceiver;
use crate::telemetry::ComponentMetrics;

/// What a worker does with batches.
pub trait Count: Send + 'static {
    /// Counts the selected records of a batch.
    fn count(&mut self, batch: &Batch, counters: &Counters);

    /// When something that it waits for is over, if it waits.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Counts what is due.
    fn elapse(&mut self, _counters: &Counters) {}

    /// Counts what it still waits for: the input has ended.
    fn end(&mut self, _counters: &Counters) {}
}

/// Metrics ready to be counted.
pub struct Aggregation {
    counters: Arc<Counters>,
    emitter: Emitter,
}

impl Aggregation {
    /// Nothing counted yet. Keys name metrics by their places.
    pub fn new(metrics: &[Metric], limits: Limits, pace: Pace, cx: &PrepareContext) -> Self {
        let counters = Arc::new(Counters::new(metrics, limits));
        Self { emitter: Emitter::new(pace, metrics, counters.clone(), cx), counters }
    }

    /// Counts with these workers and emits, until the input has ended and all of it is emitted.
    pub async fn run(self, workers: Vec<impl Count>, cx: TaskContext) -> Result<(), TaskError> {
        let Self { counters, emitter } = self;
        let input = Arc::new(Mutex::new(cx.input));
        let mut outlets = cx.outlets.into_iter();
        let outlet = outlets.next().ok_or_else(|| TaskError("it has no output".into()))?;
        let counted = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        for worker in workers {
            tasks.spawn(work(worker, input.clone(), counters.clone(), cx.metrics.clone(), cx.shutdown.clone()));
        }
        let emitting = emitter.run(outlet, cx.metrics.clone(), counted.clone(), cx.shutdown.clone());
        let counting = async {
            let mut failed = None;
            while let Some(ended) = tasks.join_next().await {
                failed = failed.or(ended.err());
            }
            counted.cancel();
            failed
        };
        let (failed, ()) = tokio::join!(counting, emitting);
        failed.map_or(Ok(()), |error| Err(TaskError(format!("a worker that counts failed: {error}"))))
    }
}

/// One worker: counts batches until the input ends.
async fn work(
    mut worker: impl Count,
    input: Arc<Mutex<EdgeReceiver>>,
    counters: Arc<Counters>,
    metrics: Arc<ComponentMetrics>,
    shutdown: CancellationToken,
) {
    loop {
        let due = worker.due();
        let next = async {
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
                message = async { input.lock().await.recv().await } => Some(message),
            }
        };
        match shutdown.run_until_cancelled(next).await {
            None => return,
            Some(None) => worker.elapse(&counters),
            Some(Some(None)) => return worker.end(&counters),
            Some(Some(Some(message))) => {
                metrics.count_in(&message.batch);
                worker.count(&message.batch, &counters);
                let records = message.batch.count() as u64;
                message.ack.settle(Outcome::Filtered, records);
            }
        }
    }
}
