//! The targets of one job: what discovery finds is relabelled, and each target that is left has a loop.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use super::bench::Benches;
use super::config::{Job, Scope, Shard};
use super::discovery::Found;
use super::output::Output;
use super::scrape::{End, Scraper, finish_behind};
use super::series_rules::SeriesRules;
use super::succession::{Estate, Remains};
use super::target::{Outcome, Target, targets};
use crate::data::{LabelSet, SeriesTable};
use crate::net::http_client::HttpClient;
use crate::relabel::Scratch;
use crate::telemetry::ComponentMetrics;
use crate::telemetry::targets::{self, DroppedTargets};

/// What all jobs of a source share.
#[derive(Clone)]
pub(super) struct Shared {
    pub table: Arc<SeriesTable>,
    pub benches: Arc<Benches>,
    pub outputs: Arc<[Output]>,
    pub metrics: Arc<ComponentMetrics>,
    /// Labels of every series that has none of the same name.
    pub external: Arc<LabelSet>,
    /// This agent's share of jobs that are shared.
    pub shard: Option<Shard>,
    pub troubles: Arc<Troubles>,
    /// What a predecessor left.
    pub estate: Arc<Estate>,
    /// What makes offsets of two agents differ.
    pub seed: u64,
    /// Whether the source will not come back: its series then end.
    pub gone_for_good: Arc<AtomicBool>,
}

/// What is wrong with discovery, by job. The health of the source shows one of them.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<BTreeMap<String, String>>);

impl Troubles {
    /// Notes what is wrong with a job's discovery now.
    fn set(&self, job: &str, found: &Found, metrics: &ComponentMetrics) {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match found.troubles.first() {
            Some(trouble) => {
                troubles.insert(job.into(), format!("job `{job}`, {}: {}", trouble.discovery, trouble.words));
            }
            None if troubles.remove(job).is_none() => return,
            None => {}
        }
        match troubles.values().next() {
            Some(words) => metrics.health.unhealthy(words.clone()),
            None => metrics.health.healthy(),
        };
    }
}

/// The loops of one job.
pub(super) struct Pool {
    job: Arc<Job>,
    client: HttpClient,
    shared: Shared,
    loops: HashMap<u64, Loop>,
    tasks: JoinSet<Option<Remains>>,
    scratch: Scratch,
    too_many: bool,
}

struct Loop {
    stop: CancellationToken,
    gone: Arc<AtomicBool>,
    state: Arc<targets::Target>,
}

impl Pool {
    /// A pool without targets.
    pub fn new(job: Arc<Job>, client: HttpClient, shared: Shared) -> Self {
        let (loops, tasks) = (HashMap::new(), JoinSet::new());
        Self { job, client, shared, loops, tasks, scratch: Scratch::default(), too_many: false }
    }

    /// Follows discovery until `shutdown`, then ends every loop. Returns what is left of those that may go on.
    pub async fn run(mut self, mut found: watch::Receiver<Found>, shutdown: CancellationToken) -> Vec<Remains> {
        loop {
            let now = found.borrow_and_update().clone();
            self.follow(&now);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                changed = found.changed() => {
                    if changed.is_err() {
                        // Discovery has ended; what it found last stays.
                        shutdown.cancelled().await;
                        break;
                    }
                }
                Some(_) = self.tasks.join_next() => {}
            }
        }
        let for_good = self.shared.gone_for_good.load(Ordering::Acquire);
        for each in self.loops.values() {
            each.gone.store(for_good, Ordering::Release);
            each.stop.cancel();
        }
        let mut remains = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            remains.extend(ended.ok().flatten());
        }
        remains
    }

    /// Starts what is new, ends what is gone.
    fn follow(&mut self, found: &Found) {
        self.shared.troubles.set(&self.job.name, found, &self.shared.metrics);
        let mut wanted: HashMap<u64, Target> = HashMap::new();
        let mut dropped = DroppedTargets::keeping(self.job.keep_dropped_targets);
        for group in &*found.groups {
            targets(&self.job, group, &mut self.scratch, |outcome| match outcome {
                Ok(Outcome::Target(target)) => {
                    let id = target.id();
                    if self.job.scope != Scope::Shard || self.shared.shard.is_none_or(|shard| shard.takes(id)) {
                        wanted.entry(id).or_insert(*target);
                    }
                }
                Ok(Outcome::Dropped(discovered)) => dropped.push(&discovered),
                Err(words) => {
                    tracing::warn!(component = &*self.shared.metrics.name, job = self.job.name, "{words}");
                    self.shared.metrics.error(format!("job {}: {words}", self.job.name));
                }
            });
        }
        let limit = self.job.target_limit;
        let too_many = limit > 0 && wanted.len() > limit;
        if too_many != self.too_many {
            // Every scrape of the job now fails, or works again: all loops begin anew and keep their series.
            self.too_many = too_many;
            self.end(|_| true);
        }
        self.end(|id| !wanted.contains_key(&id));
        let forbidden: Option<Arc<str>> = too_many
            .then(|| format!("target_limit exceeded (number of targets: {}, limit: {limit})", wanted.len()).into());
        for (id, target) in wanted {
            if !self.loops.contains_key(&id) {
                self.start(id, target, forbidden.clone());
            }
        }
        if found.complete {
            let gone = self.shared.estate.left_over(&self.job.name);
            gone.iter().for_each(|remains| finish_behind(remains, self.output(remains.target.1)));
        }
        let mut active: Vec<_> = self.loops.values().map(|each| each.state.clone()).collect();
        active.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.shared.metrics.targets.set(&self.job.name, targets::Pool { active, dropped });
    }

    fn end(&mut self, is_gone: impl Fn(u64) -> bool) {
        self.loops.retain(|id, each| {
            let gone = is_gone(*id);
            if gone {
                each.gone.store(true, Ordering::Release);
                each.stop.cancel();
            }
            !gone
        });
    }

    /// The output of a target, always the same one.
    fn output(&self, id: u64) -> &Output {
        output_of(&self.shared.outputs, id)
    }

    fn start(&mut self, id: u64, target: Target, forbidden: Option<Arc<str>>) {
        let mut state = targets::Target::default();
        state.pool = self.job.name.as_str().into();
        state.discovered = target.discovered.clone();
        state.labels = target.labels.clone();
        state.url = target.url.as_str().into();
        (state.interval, state.timeout) = (target.interval, target.timeout);
        let state = Arc::new(state);
        let rules = SeriesRules {
            table: self.shared.table.clone(),
            target: target.labels.clone(),
            honor_labels: self.job.honor_labels,
            honor_timestamps: self.job.honor_timestamps,
            track_timestamps_staleness: self.job.track_timestamps_staleness,
            relabel: self.job.metric_relabel.clone(),
            external: self.shared.external.clone(),
            names: self.job.names,
            limits: self.job.limits,
        };
        let scraper = Scraper {
            id,
            offset: offset(id, self.shared.seed, target.interval),
            output: self.output(id).clone(),
            target,
            job: self.job.clone(),
            rules,
            client: self.client.clone(),
            benches: self.shared.benches.clone(),
            state: state.clone(),
            forbidden,
        };
        let before = self.shared.estate.take(&self.job.name, id);
        let (stop, gone) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let (stopped, is_gone) = (stop.clone(), gone.clone());
        self.tasks.spawn(async move {
            let end = move || if is_gone.load(Ordering::Acquire) { End::Gone } else { End::Pause };
            scraper.run(stopped, end, before).await
        });
        self.loops.insert(id, Loop { stop, gone, state });
    }
}

/// The output of a target, always the same one.
pub(super) fn output_of(outputs: &[Output], id: u64) -> &Output {
    &outputs[(id % outputs.len() as u64) as usize]
}

/// Where a target's scrapes lie in its interval: by a hash, so that they spread, and stay where they are.
fn offset(id: u64, seed: u64, interval: Duration) -> Duration {
    let hash = xxh3_64(&[id.to_le_bytes(), seed.to_le_bytes()].concat());
    let length = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(hash % length)
}
