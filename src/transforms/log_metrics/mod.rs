//! The transform `log_metrics`: counters, gauges and histograms made of log records.
//!
//! It absorbs its input: a record is settled once it is counted, so what was counted since the last emission
//! is lost at a kill, and a record that is read again after one is counted again. Counters begin at zero when the
//! process does; `created` says when.
//!
//! Several workers take batches from one edge and count into shards by the hash of a series, so that two of
//! them meet only where they count for the same shard at the same moment. One task emits.

mod count;
mod emit;
mod options;

use std::sync::Arc;

use schemars::JsonSchema;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use self::count::{Counters, Counting};
use self::emit::Emitter;
use self::options::Options;
use crate::data::names::Interest;
use crate::data::{Batch, Names, Signal};
use crate::delivery::Outcome;
use crate::delivery::queue::EdgeReceiver;
use crate::options::Problem;
use crate::pipeline::component::{Plan, PrepareTransform, TransformTask};
use crate::pipeline::{
    Descriptor, Outputs, PrepareError, PreparedTransform, Task, TaskContext, TaskError, TransformPlan,
};
use crate::telemetry::ComponentMetrics;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "log_metrics",
    summary: "Counts log records: counters, gauges and histograms, emitted at a steady pace.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        self.all_problems()
    }
}

impl TransformPlan for Options {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        match signal {
            Signal::Logs => Ok(Outputs::One(Signal::Metrics)),
            other => Err(format!("`log_metrics` counts logs, not {}", other.name())),
        }
    }

    fn interest(&self, _: Signal, names: &Names, _: &Interest) -> Result<Interest, PrepareError> {
        Ok(self.compile(names).map_err(|error| PrepareError(error.to_string()))?.interest())
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let common = cx.common;
        let counting = self.compile(&common.names).map_err(|error| PrepareError(error.to_string()))?;
        let counters = Arc::new(Counters::new(&counting, self.limits()));
        let emitter = Emitter::new(self.pace(), &counting, counters.clone(), common);
        Ok(PreparedTransform::Task(Box::new(LogMetrics { counting, counters, emitter, workers: common.workers })))
    }
}

struct LogMetrics {
    counting: Counting,
    counters: Arc<Counters>,
    emitter: Emitter,
    workers: usize,
}

impl TransformTask for LogMetrics {
    fn absorbs(&self) -> bool {
        true
    }

    fn start(self: Box<Self>, cx: TaskContext) -> Task {
        Box::pin(self.run(cx))
    }
}

impl LogMetrics {
    async fn run(self: Box<Self>, cx: TaskContext) -> Result<(), TaskError> {
        let Self { counting, counters, emitter, workers } = *self;
        let input = Arc::new(Mutex::new(cx.input));
        let mut outlets = cx.outlets.into_iter();
        let outlet = outlets.next().ok_or_else(|| TaskError("it has no output".into()))?;
        let counted = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..workers.max(1) {
            let (counting, counters) = (counting.clone(), counters.clone());
            tasks.spawn(count(input.clone(), counting, counters, cx.metrics.clone(), cx.shutdown.clone()));
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
async fn count(
    input: Arc<Mutex<EdgeReceiver>>,
    mut counting: Counting,
    counters: Arc<Counters>,
    metrics: Arc<ComponentMetrics>,
    shutdown: CancellationToken,
) {
    loop {
        let next = async { input.lock().await.recv().await };
        let Some(Some(message)) = shutdown.run_until_cancelled(next).await else { return };
        metrics.count_in(&message.batch);
        if let Batch::Logs(batch) = &message.batch {
            counting.count(batch, &counters);
        }
        let records = message.batch.count() as u64;
        message.ack.settle(Outcome::Filtered, records);
    }
}

#[cfg(test)]
mod tests;
