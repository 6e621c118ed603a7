//! The source `stdin`: what is piped into the agent, line by line. When the pipe ends and everything that
//! came through it is settled, the source ends, and with its last source the agent.
//!
//! A pipe cannot be read twice: what a destination abandons is counted as lost, and a kill loses what is in
//! memory. Whoever needs more gives the agent a file.

mod cut;
mod input;

use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use tokio::sync::Notify;

use self::cut::{Counts, Cutter};
use self::input::{Input, Read};
use crate::data::{Batch, LogBuilder, Resource, Signal, SlabPool};
use crate::delivery::{Message, Settle, Verdict};
use crate::options::{ByteSize, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareContext, Source};
use crate::pipeline::{Descriptor, Outputs, PrepareError, SourceContext, SourcePlan, Task, TaskError};
use crate::tail::Format;
use crate::tail::run::record_size_problem;
use crate::telemetry::ComponentMetrics;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SourcePlan> = Descriptor {
    name: "stdin",
    summary: "Reads lines from standard input; when it ends, and nothing else is left to read, the agent ends.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Options of the source `stdin`. A configuration has at most one: a second would wait for the first.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// `text`: a record a line. `container`: lines of a container runtime, CRI or Docker, found out from the
    /// first; lines that it split are joined. Default: `text`.
    format: Format,
    /// Longest record; a longer one is cut into several and counted. Raise it for programs that write very
    /// long lines: up to three records of this size are held in memory. Between `1KiB` and `16MiB`. Default: `1MiB`.
    max_record_size: Spanned<ByteSize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { format: Format::Text, max_record_size: Spanned::unknown(ByteSize(1 << 20)) }
    }
}

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        record_size_problem(&self.max_record_size).into_iter().collect()
    }
}

impl SourcePlan for Options {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(self.source(cx, input::of_process())))
    }
}

impl Options {
    fn source(&self, cx: &PrepareContext, input: Arc<tokio::sync::Mutex<Input>>) -> Stdin {
        Stdin {
            input,
            slabs: SlabPool::new(cx.memory.share(Signal::Logs), 2),
            cutter: Cutter::new(self.format, self.max_record_size.0 as usize),
            resource: Arc::new(cx.identify(&Resource::default())),
        }
    }
}

/// The source, ready to read.
struct Stdin {
    input: Arc<tokio::sync::Mutex<Input>>,
    slabs: SlabPool,
    cutter: Cutter,
    resource: Arc<Resource>,
}

impl Source for Stdin {
    fn start(self: Box<Self>, cx: SourceContext) -> Task {
        Box::pin(self.run(cx))
    }
}

impl Stdin {
    async fn run(mut self: Box<Self>, mut cx: SourceContext) -> Result<(), TaskError> {
        let unsettled =
            Arc::new(Unsettled { count: Mutex::default(), none: Notify::new(), metrics: cx.metrics.clone() });
        let input = self.input.clone();
        let result = match input.try_lock() {
            Ok(mut input) => self.read(&mut input, &mut cx, &unsettled).await,
            Err(_) => {
                cx.metrics.health.unhealthy("another source reads standard input; remove one of the two");
                let Some(mut input) = cx.shutdown.clone().run_until_cancelled(input.lock()).await else {
                    return Ok(());
                };
                cx.metrics.health.healthy();
                self.read(&mut input, &mut cx, &unsettled).await
            }
        };
        unsettled.wait().await;
        result
    }

    /// Reads until the input ends or the source is told to stop.
    async fn read(
        &mut self,
        input: &mut Input,
        cx: &mut SourceContext,
        unsettled: &Arc<Unsettled>,
    ) -> Result<(), TaskError> {
        self.cutter.begin_with(std::mem::take(&mut input.unfinished));
        loop {
            let read = tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => {
                    // Whoever reads on, after a reload, finds the line that has begun.
                    input.unfinished = self.cutter.unfinished();
                    return self.hand_on(LogBuilder::new(self.resource.clone(), Arc::default()), 0, Last::Yes, cx, unsettled).await;
                }
                read = input.read(&self.slabs) => read,
            };
            match read {
                Ok(Read::Bytes(chunk)) => {
                    let mut builder = LogBuilder::new(self.resource.clone(), Arc::default());
                    let counts = self.cutter.cut(&chunk, &mut builder);
                    tell(&counts, &cx.metrics);
                    self.hand_on(builder, chunk.len(), Last::No, cx, unsettled).await?;
                }
                Ok(Read::End) => {
                    let builder = LogBuilder::new(self.resource.clone(), Arc::default());
                    return self.hand_on(builder, 0, Last::Yes, cx, unsettled).await;
                }
                Err(error) => {
                    let words = format!("cannot read standard input: {error}");
                    return Err(TaskError(words));
                }
            }
        }
    }

    /// Hands a batch on; the last one with everything that is still open.
    async fn hand_on(
        &mut self,
        mut builder: LogBuilder,
        bytes: usize,
        last: Last,
        cx: &mut SourceContext,
        unsettled: &Arc<Unsettled>,
    ) -> Result<(), TaskError> {
        if last == Last::Yes {
            tell(&self.cutter.flush(&mut builder), &cx.metrics);
        }
        cx.metrics.bytes_in.inc_by(bytes as u64);
        if builder.is_empty() {
            return Ok(());
        }
        let batch = builder.build();
        let records = batch.records().len() as u64;
        cx.metrics.records_in.inc_by(records);
        let gone = |_| TaskError("the pipeline behind standard input is gone".to_owned());
        let outlet = &mut cx.outlets[0];
        unsettled.add();
        // The token is the number of records: all that is known of a batch once it is gone.
        let ack = outlet.ack(unsettled.clone(), records, false).await.map_err(|error| {
            unsettled.remove();
            gone(error)
        })?;
        outlet.send(Message::new(Batch::Logs(batch), ack)).await.map_err(gone)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    Yes,
}

fn tell(counts: &Counts, metrics: &ComponentMetrics) {
    let error = |count: u64, words: &str| {
        if count > 0 {
            metrics.errors.inc_by(count - 1);
            metrics.error(format!("standard input: {count} {words}"));
        }
    };
    error(counts.broken, "lines have no runtime's header");
    error(counts.cut, "records were longer than `max_record_size` and were cut");
}

/// Counts batches that are handed on and not settled.
struct Unsettled {
    count: Mutex<u64>,
    none: Notify,
    metrics: Arc<ComponentMetrics>,
}

impl Unsettled {
    fn add(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn remove(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count -= 1;
        if *count == 0 {
            self.none.notify_waiters();
        }
    }

    async fn wait(&self) {
        loop {
            let none = self.none.notified();
            tokio::pin!(none);
            none.as_mut().enable();
            if *self.count.lock().unwrap_or_else(PoisonError::into_inner) == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Settle for Unsettled {
    fn settled(&self, records: u64, verdict: Verdict) {
        if verdict.abandoned {
            self.metrics.records_lost.inc_by(records);
            self.metrics.error(format!("{records} records of standard input were abandoned and cannot be read again"));
        }
        self.remove();
    }
}

#[cfg(test)]
mod tests;
