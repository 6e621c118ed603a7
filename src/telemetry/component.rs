//! What every component counts, and how it feels, in words.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use super::own_traces::OwnTraces;
use super::registry::Vectors;
use super::targets::Targets;
use crate::data::{Batch, UnixNanos};

/// Counters and health of one component. Counted per batch, never per record.
#[derive(Debug)]
pub struct ComponentMetrics {
    /// The component's name in the configuration: `type/name`.
    pub name: Box<str>,
    /// `source`, `transform` or `sink`.
    pub kind: &'static str,
    /// Records that entered.
    pub records_in: IntCounter,
    /// Bytes that entered.
    pub bytes_in: IntCounter,
    /// Records that left; for a sink, those delivered.
    pub records_out: IntCounter,
    /// Bytes that left; for a sink, bytes of bodies sent.
    pub bytes_out: IntCounter,
    /// Records that the configuration said to drop.
    pub records_filtered: IntCounter,
    /// Records refused for good.
    pub records_refused: IntCounter,
    /// Refused records that the dead letter holds.
    pub records_dead_lettered: IntCounter,
    /// Records shed by a full buffer.
    pub records_dropped: IntCounter,
    /// Records lost outside any policy.
    pub records_lost: IntCounter,
    /// Bytes lost where records cannot be told: of files that vanished before they were read.
    pub bytes_lost: IntCounter,
    /// Requests sent again.
    pub retries: IntCounter,
    /// Errors.
    pub errors: IntCounter,
    /// Bytes waiting in the buffer before the component.
    pub queue_bytes: IntGauge,
    /// Limit of that buffer.
    pub queue_limit_bytes: IntGauge,
    /// Bytes that a source has not read yet.
    pub lag_bytes: IntGauge,
    /// Age of the record handled last.
    pub lag_milliseconds: IntGauge,
    /// How the component feels.
    pub health: Health,
    /// The files that it reads.
    pub files: Files,
    /// The targets that it scrapes.
    pub targets: Targets,
    /// What it leaves to its successor.
    pub legacy: Legacy,
    /// Which batches the agent's own traces follow.
    pub own_traces: Arc<OwnTraces>,
    disk_queue: OnceLock<DiskQueueGauges>,
    disk_queue_families: [IntGaugeVec; 4],
}

/// How full the disk queue before a component is.
#[derive(Debug)]
pub struct DiskQueueGauges {
    /// Bytes of its files.
    pub bytes: IntGauge,
    /// Most bytes of them.
    pub limit_bytes: IntGauge,
    /// Records, samples or spans that wait, those in memory included.
    pub records: IntGauge,
    /// Age of the oldest of them.
    pub oldest_seconds: IntGauge,
}

impl ComponentMetrics {
    pub(super) fn new(kind: &'static str, name: &str, vectors: &Vectors, own_traces: Arc<OwnTraces>) -> Self {
        let labels = [name, kind];
        let mut counters = vectors.counters.iter().map(|family| family.with_label_values(&labels));
        let mut gauges = vectors.gauges.iter().map(|family| family.with_label_values(&labels));
        let mut counter = || counters.next().expect("one family a counter");
        let mut gauge = || gauges.next().expect("one family a gauge");
        Self {
            name: name.into(),
            kind,
            records_in: counter(),
            bytes_in: counter(),
            records_out: counter(),
            bytes_out: counter(),
            records_filtered: counter(),
            records_refused: counter(),
            records_dead_lettered: counter(),
            records_dropped: counter(),
            records_lost: counter(),
            bytes_lost: counter(),
            retries: counter(),
            errors: counter(),
            queue_bytes: gauge(),
            queue_limit_bytes: gauge(),
            lag_bytes: gauge(),
            lag_milliseconds: gauge(),
            health: Health::default(),
            files: Files::default(),
            targets: Targets::default(),
            legacy: Legacy::default(),
            own_traces,
            disk_queue: OnceLock::new(),
            disk_queue_families: vectors.disk_queue.clone(),
        }
    }

    /// The gauges of its disk queue, which exist from the first call on.
    pub fn disk_queue(&self) -> &DiskQueueGauges {
        self.disk_queue.get_or_init(|| {
            let [bytes, limit_bytes, records, oldest_seconds] =
                self.disk_queue_families.each_ref().map(|family| family.with_label_values(&[&*self.name, self.kind]));
            DiskQueueGauges { bytes, limit_bytes, records, oldest_seconds }
        })
    }

    /// The same where it has a disk queue.
    pub fn disk_queue_if_any(&self) -> Option<&DiskQueueGauges> {
        self.disk_queue.get()
    }

    /// Counts a batch that entered, and how old its last record is.
    pub fn count_in(&self, batch: &Batch) {
        self.records_in.inc_by(batch.count() as u64);
        self.bytes_in.inc_by(batch.bytes());
        let Batch::Logs(logs) = batch else { return };
        if let Some(last) = logs.records().last().filter(|last| last.time.is_some()) {
            let age = UnixNanos::now().since(last.time).as_millis();
            self.lag_milliseconds.set(i64::try_from(age).unwrap_or(i64::MAX));
        }
    }

    /// Counts an error and keeps its words for the status page. Does not change the component's status.
    pub fn error(&self, words: impl Into<String>) {
        self.errors.inc();
        self.health.note(words.into());
    }
}

/// What a component that a reload replaces leaves to its successor of the same name; opaque to everyone else.
#[derive(Default)]
pub struct Legacy(Mutex<Option<Box<dyn Any + Send>>>);

impl Legacy {
    /// Leaves something, in place of what was left before.
    pub fn leave(&self, legacy: Box<dyn Any + Send>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(legacy);
    }

    /// Takes what was left.
    pub fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Legacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Legacy").finish_non_exhaustive()
    }
}

/// A log that a source reads, and how far behind it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileLag {
    /// The log's path.
    pub path: Box<str>,
    /// Files that are open for it: more than one where rotated ones wait to be read.
    pub generations: usize,
    /// How far the newest of them was read.
    pub read_bytes: u64,
    /// Its length.
    pub size_bytes: u64,
    /// Bytes of all of them that were not read yet.
    pub lag_bytes: u64,
}

/// The files of a source as it saw them last.
#[derive(Debug, Default)]
pub struct Files(Mutex<Vec<FileLag>>);

impl Files {
    /// Replaces them.
    pub fn set(&self, files: Vec<FileLag>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// A copy, the one with most to read first.
    pub fn list(&self) -> Vec<FileLag> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        files.sort_by_key(|file| std::cmp::Reverse(file.lag_bytes));
        files
    }
}

/// Status of a component and the last thing that went wrong, in words.
#[derive(Debug, Default)]
pub struct Health(Mutex<HealthState>);

#[derive(Debug, Default)]
struct HealthState {
    unhealthy: Option<String>,
    /// What is wrong with the buffer before it.
    buffer: Option<String>,
    last_error: Option<(UnixNanos, String)>,
    /// Whether it is to listen, and does not.
    lacks_port: bool,
}

/// A look at a component's health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Why the component is unhealthy; `None` while it is healthy.
    pub unhealthy: Option<String>,
    /// The last error, which may be long over.
    pub last_error: Option<(UnixNanos, String)>,
}

impl Health {
    /// The component cannot do its work, for this reason. Returns whether that is news.
    pub fn unhealthy(&self, reason: impl Into<String>) -> bool {
        let reason = reason.into();
        let mut state = self.lock();
        let news = state.unhealthy.as_ref() != Some(&reason);
        state.last_error = Some((UnixNanos::now(), reason.clone()));
        state.unhealthy = Some(reason);
        news
    }

    /// The component works. Returns whether that is news.
    pub fn healthy(&self) -> bool {
        self.lock().unhealthy.take().is_some()
    }

    /// What is wrong with the buffer before the component, if anything: a matter of its own, which neither
    /// hides what the component says of itself nor ends with it.
    pub fn buffer(&self, wrong: Option<String>) {
        let mut state = self.lock();
        if let Some(words) = &wrong {
            state.last_error = Some((UnixNanos::now(), words.clone()));
        }
        state.buffer = wrong;
    }

    /// Whether the component is to listen and does not, yet or because its port is taken: what is sent to it goes astray.
    pub fn set_lacks_port(&self, lacks: bool) {
        self.lock().lacks_port = lacks;
    }

    /// See [`Health::set_lacks_port`].
    pub fn lacks_port(&self) -> bool {
        self.lock().lacks_port
    }

    /// How the component feels now.
    pub fn status(&self) -> Status {
        let state = self.lock();
        let unhealthy = state.unhealthy.as_ref().or(state.buffer.as_ref()).cloned();
        Status { unhealthy, last_error: state.last_error.clone() }
    }

    fn note(&self, words: String) {
        self.lock().last_error = Some((UnixNanos::now(), words));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HealthState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
