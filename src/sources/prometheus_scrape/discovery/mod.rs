//! Service discovery: which targets a job has, in Prometheus's words and with its labels.
//!
//! Every entry of a job's `*_sd_configs` is a task that reports groups of targets by their source. [`start`]
//! runs the tasks of one job and keeps what they reported last, so that a discovery that fails costs no
//! target; whoever scrapes watches the whole of it, which changes at most once in [`Pace::between`].

pub mod dns;
mod document;
pub mod file;
pub mod http;
pub mod kubernetes;
mod refresh;
pub mod static_config;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::pauses::Pauses;
pub use crate::data::TargetGroup;
pub use crate::data::target_group::ADDRESS;
use crate::pipeline::caught;
use crate::telemetry::ComponentMetrics;

/// A configured discovery, ready to run.
pub trait Discover: Send + Sync {
    /// Reports through `found` until `shutdown` is cancelled. One that has nothing to watch may return once it
    /// has reported: what it reported stays. One that panics is told and run again after a pause.
    fn run(&self, found: Publisher, shutdown: CancellationToken) -> BoxFuture<'_, ()>;
}

/// How often a job's targets change at most.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After a report, how long to wait for more of the same burst.
    pub gather: Duration,
    /// Least time between two changes, and most time that the first one waits for slow discoveries.
    pub between: Duration,
}

impl Default for Pace {
    /// As Prometheus: prompt after a quiet time, else once in 5 s.
    fn default() -> Self {
        Self { gather: Duration::from_millis(100), between: Duration::from_secs(5) }
    }
}

/// What is known of a job's targets.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// All groups, by discovery and source. One that did not change is the same `Arc` as before.
    pub groups: Arc<[Arc<TargetGroup>]>,
    /// Whether every discovery has reported. Before, a target that is missing may still be reported.
    pub complete: bool,
    /// Discoveries that do not work now; their groups are those that they reported last.
    pub troubles: Arc<[Trouble]>,
}

/// A discovery that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its name in the job: `kubernetes_sd_configs[0]`.
    pub discovery: Arc<str>,
    /// What is wrong and what to do.
    pub words: Arc<str>,
}

/// Runs the discoveries of one job, each with its name in the job, until `shutdown` is cancelled or nobody
/// watches. Errors are counted and told under the component of `metrics`; its health is left to the caller.
/// Must be called within a Tokio runtime.
pub fn start(
    job: &str,
    discoveries: Vec<(String, Box<dyn Discover>)>,
    pace: Pace,
    metrics: &Arc<ComponentMetrics>,
    shutdown: &CancellationToken,
) -> watch::Receiver<Found> {
    let shared = Arc::new(Shared {
        discoveries: Mutex::new(discoveries.iter().map(|(name, _)| Reported::new(name)).collect()),
        changed: Notify::new(),
        unseen: AtomicBool::new(true),
    });
    let shutdown = shutdown.child_token();
    let mut tasks = JoinSet::new();
    for (index, (name, discovery)) in discoveries.into_iter().enumerate() {
        let found =
            Publisher { shared: shared.clone(), index, job: job.into(), name: name.into(), metrics: metrics.clone() };
        tasks.spawn(keep_running(discovery, found, shutdown.clone()));
    }
    let (sender, receiver) = watch::channel(Found::default());
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sender.closed() => shutdown.cancel(),
            () = publish(&shared, pace, &sender) => {}
        }
        // They end by the token; a task that does not would be ended with the set.
        while tasks.join_next().await.is_some() {}
    });
    receiver
}

/// Runs a discovery, again where it panics.
async fn keep_running(discovery: Box<dyn Discover>, found: Publisher, shutdown: CancellationToken) {
    let mut pauses = Pauses::default();
    while let Err(words) = caught(discovery.run(found.clone(), shutdown.clone())).await {
        let pause = pauses.after_failure();
        found.failed(&format!("it {words}, which is a bug; the targets stay as they were, and it is started again"));
        if shutdown.run_until_cancelled(sleep(pause)).await.is_none() {
            break;
        }
    }
}

/// Passes on what changed, at the job's pace.
async fn publish(shared: &Shared, pace: Pace, sender: &watch::Sender<Found>) {
    let patience = sleep_until(Instant::now() + pace.between);
    tokio::pin!(patience);
    while !shared.complete() {
        tokio::select! {
            () = shared.changed.notified() => {}
            () = &mut patience => break,
        }
    }
    let mut next = Instant::now();
    loop {
        if shared.unseen.swap(false, Ordering::AcqRel) {
            sender.send_replace(shared.found());
            next = Instant::now() + pace.between;
        }
        shared.changed.notified().await;
        sleep_until(next.max(Instant::now() + pace.gather)).await;
    }
}

/// Where a discovery reports.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
    index: usize,
    job: Arc<str>,
    name: Arc<str>,
    metrics: Arc<ComponentMetrics>,
}

impl Publisher {
    /// These are all the groups; those of other sources are gone.
    pub fn replace(&self, groups: impl IntoIterator<Item = TargetGroup>) {
        self.edit(|own| {
            let mut before = std::mem::take(&mut own.groups);
            let mut changed = !own.complete;
            own.complete = true;
            for group in groups.into_iter().filter(|group| !group.targets.is_empty()) {
                let known = before.remove(&group.source).filter(|known| **known == group);
                changed |= known.is_none();
                own.groups.insert(group.source.clone(), known.unwrap_or_else(|| Arc::new(group)));
            }
            changed | !before.is_empty()
        });
    }

    /// This group is new or replaces the one of its source; without targets, that one is gone.
    pub fn set(&self, group: TargetGroup) {
        self.edit(|own| match own.groups.get(&group.source) {
            Some(known) if **known == group => false,
            known if group.targets.is_empty() => {
                let changed = known.is_some();
                own.groups.remove(&group.source);
                changed
            }
            _ => {
                own.groups.insert(group.source.clone(), Arc::new(group));
                true
            }
        });
    }

    /// The group of this source is gone.
    pub fn remove(&self, source: &str) {
        self.edit(|own| own.groups.remove(source).is_some());
    }

    /// Everything that was there at the start is reported.
    pub fn complete(&self) {
        self.edit(|own| !std::mem::replace(&mut own.complete, true));
    }

    /// The discovery does not work now. Its groups stay. Say in words what is wrong and what to do.
    pub fn failed(&self, words: &str) {
        self.metrics.error(format!("job {}, {}: {words}", self.job, self.name));
        let mut news = false;
        self.edit(|own| {
            news = own.trouble.as_deref() != Some(words);
            if news {
                own.trouble = Some(words.into());
            }
            // Whoever waits for the first report must not wait for one that fails.
            !std::mem::replace(&mut own.attempted, true) || news
        });
        if news {
            tracing::warn!(component = &*self.metrics.name, job = &*self.job, discovery = &*self.name, "{words}");
        }
    }

    /// The discovery works.
    pub fn works(&self) {
        let mut news = false;
        self.edit(|own| {
            news = own.trouble.take().is_some();
            news
        });
        if news {
            tracing::info!(component = &*self.metrics.name, job = &*self.job, discovery = &*self.name, "works again");
        }
    }

    fn edit(&self, edit: impl FnOnce(&mut Reported) -> bool) {
        let changed = edit(&mut self.shared.lock()[self.index]);
        if changed {
            self.shared.unseen.store(true, Ordering::Release);
            self.shared.changed.notify_one();
        }
    }
}

struct Shared {
    discoveries: Mutex<Vec<Reported>>,
    changed: Notify,
    /// Whether something changed that was not passed on.
    unseen: AtomicBool,
}

/// What one discovery reported.
struct Reported {
    name: Arc<str>,
    groups: BTreeMap<Box<str>, Arc<TargetGroup>>,
    complete: bool,
    /// Whether it has failed before it reported anything.
    attempted: bool,
    trouble: Option<Arc<str>>,
}

impl Reported {
    fn new(name: &str) -> Self {
        Self { name: name.into(), groups: BTreeMap::new(), complete: false, attempted: false, trouble: None }
    }
}

impl Shared {
    /// Whether no discovery is worth waiting for.
    fn complete(&self) -> bool {
        self.lock().iter().all(|own| own.complete || own.attempted)
    }

    fn found(&self) -> Found {
        let discoveries = self.lock();
        let trouble = |own: &Reported| Some(Trouble { discovery: own.name.clone(), words: own.trouble.clone()? });
        Found {
            groups: discoveries.iter().flat_map(|own| own.groups.values().cloned()).collect(),
            complete: discoveries.iter().all(|own| own.complete),
            troubles: discoveries.iter().filter_map(trouble).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reported>> {
        self.discoveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
