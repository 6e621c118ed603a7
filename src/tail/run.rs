//! Runs the tail of one source: its catalog and its workers.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::catalog::{Catalog, Parts};
use super::discover::Discover;
use super::hint::Hints;
use super::inbox::Inbox;
use super::lines::Format;
use super::worker::{Lost, Worker};
use crate::data::{Signal, SlabPool};
use crate::delivery::checkpoint::Checkpoint;
use crate::options::problem::Code;
use crate::options::{ByteSize, Problem, Spanned};
use crate::pipeline::component::{PrepareContext, Source};
use crate::pipeline::{SourceContext, Task, TaskError};

/// How often the file system is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How soon after a hint.
const SOON: Duration = Duration::from_millis(100);

/// A size of records that no destination would take, or that makes no sense.
const RECORD_SIZE: Code = Code("TW0501");

/// Unused slabs that are kept for each worker.
const KEPT_SLABS: usize = 16;

/// Where a log begins that is older than the agent and has no position yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its first line.
    Beginning,
    /// Behind its last line.
    End,
    /// At the first line that is not older than this.
    Back(Duration),
}

/// What the source's options say.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What lines look like.
    pub format: Format,
    /// Most bytes of a record; a longer one is cut.
    pub most_record: usize,
    /// Most bytes of deleted files that are held open until they are read.
    pub held_files: u64,
    /// Where logs begin that are older than the agent.
    pub start: Start,
}

/// A source of log files, ready to run.
pub struct Tail {
    /// Lists the logs.
    pub discover: Box<dyn Discover>,
    /// What the source's options say.
    pub settings: Settings,
    /// What the source was prepared with.
    pub prepared: PrepareContext,
}

impl Source for Tail {
    fn start(self: Box<Self>, cx: SourceContext) -> Task {
        Box::pin(self.run(cx))
    }
}

impl Tail {
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), TaskError> {
        let Self { discover, settings, prepared } = *self;
        let pool = SlabPool::new(prepared.memory.share(Signal::Logs), prepared.workers * KEPT_SLABS);
        let lost = lost(&prepared);
        let outlet = cx.outlets.into_iter().next().expect("a source of logs has one output");
        let mut workers = JoinSet::new();
        let inboxes: Vec<Arc<Inbox>> = (0..prepared.workers.max(1)).map(|_| Arc::default()).collect();
        for inbox in &inboxes {
            let (outlet, pool, metrics) = (outlet.clone(), pool.clone(), cx.metrics.clone());
            let worker = Worker::new(inbox.clone(), outlet, pool, metrics, lost.clone(), cx.shutdown.clone());
            workers.spawn(worker.run());
        }
        drop(outlet);
        let identify = prepared.clone();
        let parts = Parts {
            discover,
            identify: Box::new(move |resource| identify.identify(resource)),
            settings,
            checkpoint: Checkpoint::new(&prepared.data_dir, &cx.id.0),
            metrics: cx.metrics.clone(),
            lost,
            workers: inboxes,
        };
        let mut catalog = blocking(|| Catalog::restore(parts)).await?.map_err(|error| {
            TaskError(format!("the positions of {} cannot be read: {error}; check `data_dir`", cx.id))
        })?;
        let (mut hints, mut refused) = Hints::new();
        while !cx.shutdown.is_cancelled() {
            (catalog, hints, refused) = blocking(move || {
                catalog.look();
                let now = hints.watch(catalog.folders());
                if refused.is_none()
                    && let Some(words) = &now
                {
                    catalog.not_watched(words);
                }
                (catalog, hints, refused.or(now))
            })
            .await?;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = hints.appeared() => tokio::time::sleep(SOON).await,
                () = cx.shutdown.cancelled() => {}
                Some(ended) = workers.join_next() => joined(ended)?,
            }
        }
        while let Some(ended) = workers.join_next().await {
            joined(ended)?;
        }
        blocking(move || catalog.close()).await
    }
}

fn joined(ended: Result<Result<(), TaskError>, tokio::task::JoinError>) -> Result<(), TaskError> {
    ended.map_err(|error| TaskError(format!("a worker failed: {error}")))?
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TaskError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| TaskError(format!("looking for files failed: {error}")))
}

/// Counts lost bytes by log and reason.
fn lost(prepared: &PrepareContext) -> Lost {
    let (telemetry, metrics) = (prepared.telemetry.clone(), prepared.metrics.clone());
    Arc::new(move |log, reason, bytes| {
        metrics.bytes_lost.inc_by(bytes);
        telemetry.count_lost_log_bytes(&metrics.name, log, reason, bytes);
        metrics.error(format!("{bytes} bytes of {log} are lost: {reason}"));
    })
}

/// What is wrong with the option `max_record_size`, if anything is.
pub fn record_size_problem(size: &Spanned<ByteSize>) -> Option<Problem> {
    let fine = (1 << 10..=16 << 20).contains(&size.0);
    let words = format!("`max_record_size` is {}", size.value);
    (!fine).then(|| Problem::new(RECORD_SIZE, size.span, words).help("write a size between `1KiB` and `16MiB`"))
}
