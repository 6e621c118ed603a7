//! The sink `console`: prints records, samples or spans to stdout, one a line. It is a display, not a store: where nobody
//! reads stdout any more it drops what it cannot show, counts it and never holds the others up.

use std::io::{self, Write};
use std::sync::mpsc;
use std::time::Duration;

use schemars::JsonSchema;
use tokio::sync::oneshot;

use crate::data::names::Interest;
use crate::data::{Batch, Names, Signal};
use crate::delivery::{Message, Outcome};
use crate::formats::ndjson::LineWriter;
use crate::formats::{sample_lines, span_lines};
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task, TaskError};
use crate::telemetry::ComponentMetrics;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SinkPlan> = Descriptor {
    name: "console",
    summary: "Prints records, samples or spans to standard output, one a line.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// How long a write to stdout may take before the console counts as unread.
const PATIENCE: Duration = Duration::from_secs(5);

/// Options of the sink `console`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// What a line looks like: `json` is the document that the sink `file` writes, `text` is for reading.
    /// Default: `json`.
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// One JSON object a line; of traces a request, as in OpenTelemetry's files.
    #[default]
    Json,
    /// Time, severity, origin and text; of samples time, series and value; of spans start, service, name and duration.
    Text,
}

impl Plan for Options {}

impl SinkPlan for Options {
    fn accepts(&self, _signal: Signal) -> bool {
        true
    }

    fn is_destination(&self) -> bool {
        false
    }

    fn interest(&self, _names: &Names) -> Result<Interest, PrepareError> {
        Ok(LineWriter::interest())
    }

    fn prepare(&self, _cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        Ok(Box::new(Console { format: self.format, lines: LineWriter::new(), out: Box::new(io::stdout()) }))
    }
}

struct Console {
    format: Format,
    lines: LineWriter,
    out: Box<dyn Write + Send>,
}

impl Sink for Console {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(self.print(cx))
    }
}

/// Text to print, and whom to tell how it went.
type Job = (Vec<u8>, oneshot::Sender<io::Result<()>>);

impl Console {
    async fn print(self: Box<Self>, mut cx: SinkContext) -> Result<(), TaskError> {
        let Self { format, mut lines, out } = *self;
        let mut printer = Printer::start(out, cx.metrics.clone())?;
        loop {
            let message = tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => return Ok(()),
                message = cx.input.recv() => message,
            };
            let Some(message) = message else { return Ok(()) };
            cx.metrics.count_in(&message.batch);
            let mut text = Vec::new();
            match (&message.batch, format) {
                (Batch::Logs(logs), Format::Json) => lines.json(logs, &mut text),
                (Batch::Logs(logs), Format::Text) => lines.text(logs, &mut text),
                (Batch::Metrics(metrics), Format::Json) => sample_lines::json(metrics, &mut text),
                (Batch::Metrics(metrics), Format::Text) => sample_lines::text(metrics, &mut text),
                (Batch::Traces(spans), Format::Json) => {
                    if let Err(error) = span_lines::json(spans, &mut text) {
                        message.refuse(&error.to_string(), &cx.metrics);
                        continue;
                    }
                }
                (Batch::Traces(spans), Format::Text) => span_lines::text(spans, &mut text),
            }
            tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => return Ok(()),
                () = printer.show(text, message) => {}
            }
        }
    }
}

/// The thread that writes. A write to a terminal or a pipe can block for ever, so neither a worker nor a
/// thread that the process waits for at its end may do it.
struct Printer {
    jobs: mpsc::SyncSender<Job>,
    stuck: Option<oneshot::Receiver<io::Result<()>>>,
    metrics: std::sync::Arc<ComponentMetrics>,
}

impl Printer {
    fn start(mut out: Box<dyn Write + Send>, metrics: std::sync::Arc<ComponentMetrics>) -> Result<Self, TaskError> {
        let (jobs, received) = mpsc::sync_channel::<Job>(1);
        let write = move || {
            for (text, told) in received {
                // Whoever waited may have given up.
                let _ = told.send(out.write_all(&text).and_then(|()| out.flush()));
            }
        };
        let thread = std::thread::Builder::new().name("console".into()).spawn(write);
        thread.map_err(|error| TaskError(format!("cannot start the thread that prints: {error}")))?;
        Ok(Self { jobs, stuck: None, metrics })
    }

    async fn show(&mut self, text: Vec<u8>, message: Message) {
        let (records, bytes) = (message.batch.count() as u64, text.len() as u64);
        let shown = match self.write(text).await {
            Ok(()) => {
                self.metrics.health.healthy();
                self.metrics.records_out.inc_by(records);
                self.metrics.bytes_out.inc_by(bytes);
                Outcome::Delivered
            }
            Err(why) => {
                self.metrics.records_dropped.inc_by(records);
                if self.metrics.health.unhealthy(&why) {
                    self.metrics.errors.inc();
                    tracing::warn!(component = &*self.metrics.name, "{why}");
                }
                Outcome::Dropped
            }
        };
        message.ack.settle(shown, records);
    }

    async fn write(&mut self, text: Vec<u8>) -> Result<(), String> {
        const UNREAD: &str = "nobody reads standard output: records are dropped until somebody does";
        if let Some(stuck) = &mut self.stuck {
            match stuck.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return Err(UNREAD.into()),
                _ => self.stuck = None,
            }
        }
        let (told, mut done) = oneshot::channel();
        // At most one job is under way, so there is room unless the thread is gone.
        self.jobs.try_send((text, told)).map_err(|_| "the thread that prints is gone".to_owned())?;
        match tokio::time::timeout(PATIENCE, &mut done).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(format!("standard output cannot be written: {error}")),
            Ok(Err(_)) => Err("the thread that prints is gone".into()),
            Err(_) => {
                self.stuck = Some(done);
                Err(UNREAD.into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
