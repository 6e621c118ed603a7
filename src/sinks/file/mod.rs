//! The sink `file`: newline-delimited JSON on disk, rotated by size. A record, a sample or a span is acknowledged once its
//! line is written and, unless told otherwise, on stable storage; a disk that is full or failing is
//! waited for, so nothing is lost while the sources' own files last.
//!
//! Delivery is *at least once*: what was written but not yet acknowledged at a crash is written again.

mod rotated;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;

use crate::data::names::Interest;
use crate::data::{Batch, Names, Signal};
use crate::delivery::{Message, Outcome};
use crate::formats::ndjson::LineWriter;
use crate::formats::{sample_lines, span_lines};
use crate::options::{ByteSize, Code, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task, TaskError};
use crate::telemetry::ComponentMetrics;
use rotated::{Appended, Limits, Rotated, WriteError};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SinkPlan> = Descriptor {
    name: "file",
    summary: "Writes records, samples or spans to a file as newline-delimited JSON, rotated by size.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Options of the sink `file`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The file to write; its folder is made if it is missing. Rotated files stand beside it, the newest as
    /// `PATH.1`. Two sinks cannot write one file: the second waits until the first is gone.
    path: Spanned<PathBuf>,
    /// Size at which the file is rotated. No line is split; a line longer than this has a file of its own.
    /// Default: `100MiB`.
    #[serde(default = "max_size")]
    max_size: Spanned<ByteSize>,
    /// Most files kept, the one being written included; beyond, the oldest is deleted. Default: `10`.
    #[serde(default = "max_files")]
    max_files: Spanned<u32>,
    /// When lines are forced to stable storage. Default: `group`.
    #[serde(default)]
    fsync: Fsync,
}

fn max_size() -> Spanned<ByteSize> {
    Spanned::unknown(ByteSize(100 << 20))
}

fn max_files() -> Spanned<u32> {
    Spanned::unknown(10)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Fsync {
    /// What arrives within 100 ms, or 1 MiB of it, is forced and acknowledged together.
    #[default]
    Group,
    /// Every batch on its own, as soon as it arrives.
    Always,
    /// Never: acknowledged once the operating system has it. A power cut then loses acknowledged lines; a
    /// crash of the agent does not.
    Off,
}

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.path.as_os_str().is_empty() {
            let problem = Problem::new(Code("TW0601"), self.path.span, "`path` is empty");
            problems.push(problem.help("name a file, such as /var/log/tailwater/out.ndjson"));
        }
        if self.max_size.0 < 4096 {
            let problem = Problem::new(Code("TW0602"), self.max_size.span, "`max_size` is below 4KiB");
            problems.push(problem.help("write a size that holds many lines, such as 100MiB"));
        }
        if self.max_files.value == 0 {
            let problem = Problem::new(Code("TW0603"), self.max_files.span, "`max_files` is 0");
            problems.push(problem.help("write 1 to keep only the file being written, or more"));
        }
        problems
    }
}

impl SinkPlan for Options {
    fn accepts(&self, _signal: Signal) -> bool {
        true
    }

    fn interest(&self, _names: &Names) -> Result<Interest, PrepareError> {
        Ok(LineWriter::interest())
    }

    fn prepare(&self, _cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        let limits = Limits { max_size: self.max_size.0, max_files: self.max_files.value };
        let file = Rotated::new(self.path.value.clone(), limits, self.fsync != Fsync::Off);
        Ok(Box::new(FileSink { file: Arc::new(Mutex::new(file)), fsync: self.fsync, lines: LineWriter::new() }))
    }
}

/// Most bytes written and forced as one group.
const GROUP_BYTES: usize = 1 << 20;

/// How long a group waits for more.
const GROUP_WAIT: Duration = Duration::from_millis(100);

/// Pause after a first failed write; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

struct FileSink {
    file: Arc<Mutex<Rotated>>,
    fsync: Fsync,
    lines: LineWriter,
}

impl Sink for FileSink {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(self.run(cx))
    }
}

/// Lines to be written together, and the messages that they stand for.
#[derive(Default)]
struct Group {
    text: Vec<u8>,
    messages: Vec<Message>,
}

impl FileSink {
    async fn run(mut self: Box<Self>, mut cx: SinkContext) -> Result<(), TaskError> {
        loop {
            let shutdown = cx.shutdown.clone();
            let group = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                group = self.gather(&mut cx) => group,
            };
            let Some(Group { text, messages }) = group else { return Ok(()) };
            let written = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                written = self.write(text, &messages, &cx.metrics) => written,
            };
            for message in messages.into_iter().filter(|_| written) {
                let records = message.batch.count() as u64;
                cx.metrics.records_out.inc_by(records);
                message.ack.settle(Outcome::Delivered, records);
            }
        }
    }

    /// The next group; nothing when the input has ended.
    async fn gather(&mut self, cx: &mut SinkContext) -> Option<Group> {
        let mut group = Group::default();
        let first = cx.input.recv().await?;
        let mut linger = self.fsync == Fsync::Group && !first.ack.waited_for();
        self.add(first, &mut group, &cx.metrics);
        let deadline = tokio::time::Instant::now() + GROUP_WAIT;
        while self.fsync != Fsync::Always && group.text.len() < GROUP_BYTES {
            let next = match cx.input.try_recv() {
                Some(next) => next,
                None if !linger => break,
                None => match tokio::time::timeout_at(deadline, cx.input.recv()).await {
                    Ok(Some(next)) => next,
                    Ok(None) | Err(_) => break,
                },
            };
            linger &= !next.ack.waited_for();
            self.add(next, &mut group, &cx.metrics);
        }
        Some(group)
    }

    /// Adds a message to the group; one that was withdrawn is forgotten.
    fn add(&mut self, message: Message, group: &mut Group, metrics: &ComponentMetrics) {
        if message.ack.is_revoked() {
            return;
        }
        metrics.count_in(&message.batch);
        match &message.batch {
            Batch::Logs(logs) => self.lines.json(logs, &mut group.text),
            Batch::Metrics(metrics) => sample_lines::json(metrics, &mut group.text),
            Batch::Traces(spans) => {
                if let Err(error) = span_lines::json(spans, &mut group.text) {
                    return message.refuse(&error.to_string(), metrics);
                }
            }
        }
        group.messages.push(message);
    }

    /// Writes until it has worked; false where all messages were withdrawn before that.
    async fn write(&self, text: Vec<u8>, messages: &[Message], metrics: &ComponentMetrics) -> bool {
        let mut rest = bytes::Bytes::from(text);
        let mut pause = FIRST_PAUSE;
        while !rest.is_empty() {
            let (file, part) = (self.file.clone(), rest.clone());
            let append = move || file.lock().unwrap_or_else(PoisonError::into_inner).append(&part);
            let Appended { written, failed } = match tokio::task::spawn_blocking(append).await {
                Ok(appended) => appended,
                Err(gone) => Appended { written: 0, failed: Some(WriteError::panicked(&gone)) },
            };
            metrics.bytes_out.inc_by(written as u64);
            let _ = rest.split_to(written);
            let Some(error) = failed else { break };
            metrics.errors.inc();
            metrics.retries.inc();
            if metrics.health.unhealthy(error.to_string()) {
                tracing::warn!(component = &*metrics.name, "{error}");
            }
            if messages.iter().all(|message| message.ack.is_revoked()) {
                return false;
            }
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if metrics.health.healthy() {
            tracing::info!(component = &*metrics.name, "the file can be written again");
        }
        true
    }
}

#[cfg(test)]
mod tests;
