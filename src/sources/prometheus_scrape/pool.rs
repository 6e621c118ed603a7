//! The targets of one job: what discovery finds is relabelled, and each target that is left has a loop.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use super::bench::Benches;
use super::clock::Wall;
use super::config::{Job, Scope, Shard};
use super::discovery::Found;
use super::output::Output;
use super::pauses::Pauses;
use super::scrape::Scraper;
use super::series_rules::SeriesRules;
use super::succession::{Estate, Inheritance, Origin, Remains};
use super::target::{Outcome, Target, targets};
use crate::data::{LabelSet, SeriesTable};
use crate::net::http_client::HttpClient;
use crate::pipeline::caught;
use crate::relabel::Scratch;
use crate::telemetry::ComponentMetrics;
use crate::telemetry::targets::{self, DroppedTargets, TargetHealth};

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
    /// Where samples have their time from.
    pub wall: Arc<Wall>,
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
    tasks: JoinSet<Ended>,
    /// Of targets whose loop has panicked.
    failed: HashMap<u64, Failed>,
    /// Loops that were started so far.
    starts: u64,
    scratch: Scratch,
    too_many: bool,
}

/// A loop has ended.
struct Ended {
    id: u64,
    start: u64,
    /// What it leaves, or that it panicked, and with what.
    result: Result<Option<Remains>, String>,
}

/// A loop has panicked.
struct Failed {
    pauses: Pauses,
    /// How long the next one waits, and in what words the last one ended; until it is started.
    again: Option<(Duration, String)>,
}

struct Loop {
    /// Which start it was.
    start: u64,
    stop: CancellationToken,
    /// Cancelled once it sends nothing more.
    done: CancellationToken,
    labels: u64,
    inheritance: Inheritance,
    state: Arc<targets::Target>,
}

impl Pool {
    /// A pool without targets.
    pub fn new(job: Arc<Job>, client: HttpClient, shared: Shared) -> Self {
        Self {
            job,
            client,
            shared,
            loops: HashMap::new(),
            tasks: JoinSet::new(),
            failed: HashMap::new(),
            starts: 0,
            scratch: Scratch::default(),
            too_many: false,
        }
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
                Some(ended) = self.tasks.join_next() => {
                    self.on_end(ended);
                }
            }
        }
        self.loops.drain().for_each(|(_, each)| each.stop.cancel());
        let for_good = self.shared.gone_for_good.load(Ordering::Acquire);
        let mut left = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            match self.remains(ended) {
                Some(remains) if for_good => self.settle(remains),
                remains => left.extend(remains),
            }
        }
        left
    }

    /// A loop has ended. One that panicked is taken out, so that [`Pool::follow`] starts it again.
    fn on_end(&mut self, ended: Result<Ended, JoinError>) {
        if let Some(remains) = self.remains(ended) {
            self.settle(remains);
        }
    }

    /// What a loop leaves that has ended; a panic is told.
    fn remains(&mut self, ended: Result<Ended, JoinError>) -> Option<Remains> {
        // It is not aborted, and its panic is caught.
        let Ended { id, start, result } = ended.ok()?;
        let words = match result {
            Ok(remains) => return remains,
            Err(words) => words,
        };
        let panicked = self.loops.extract_if(|known, each| *known == id && each.start == start).next();
        let url = panicked.as_ref().map(|(_, each)| each.state.url.clone()).unwrap_or_default();
        let words = format!("job `{}`: the loop that scrapes {url} {words}, which is a bug", self.job.name);
        if panicked.is_some() {
            let failed = self.failed.entry(id).or_insert_with(|| Failed { pauses: Pauses::default(), again: None });
            failed.again = Some((failed.pauses.after_failure(), words.clone()));
        }
        tracing::error!(component = &*self.shared.metrics.name, "{words}; it is started again after a pause");
        self.shared.metrics.error(words);
        None
    }

    /// A loop has ended: one that has the same labels goes on with its series, else they end.
    fn settle(&self, remains: Remains) {
        match self.loops.values().find(|each| each.labels == remains.origin.labels) {
            Some(heir) => heir.inheritance.add(remains),
            None => remains.finish(&self.shared.outputs),
        }
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
        // Where every scrape of the job now fails, or works again, all loops begin anew.
        let all = std::mem::replace(&mut self.too_many, too_many) != too_many;
        let goes_on = |id: &u64, each: &Loop| {
            let same = |target: &Target| (target.interval, target.timeout) == (each.state.interval, each.state.timeout);
            !all && wanted.get(id).is_some_and(same)
        };
        let mut ending = HashMap::<u64, Vec<CancellationToken>>::new();
        for (_, each) in self.loops.extract_if(|id, each| !goes_on(id, each)) {
            each.stop.cancel();
            ending.entry(each.labels).or_default().push(each.done);
        }
        let forbidden: Option<Arc<str>> = too_many
            .then(|| format!("target_limit exceeded (number of targets: {}, limit: {limit})", wanted.len()).into());
        self.failed.retain(|id, _| wanted.contains_key(id));
        for (id, target) in wanted {
            if !self.loops.contains_key(&id) {
                let before = ending.get(&target.labels_id()).cloned().unwrap_or_default();
                self.start(id, target, forbidden.clone(), before);
            }
        }
        if found.complete {
            for remains in self.shared.estate.left_over(&self.job.name) {
                self.settle(remains);
            }
        }
        let mut active: Vec<_> = self.loops.values().map(|each| each.state.clone()).collect();
        active.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.shared.metrics.targets.set(&self.job.name, targets::Pool { active, dropped });
    }

    /// Starts the loop of a target, which scrapes once those `before` it have ended.
    fn start(&mut self, id: u64, target: Target, forbidden: Option<Arc<str>>, before: Vec<CancellationToken>) {
        let labels = target.labels_id();
        let origin = Origin { job: self.job.name.clone(), target: id, labels };
        let inheritance = Inheritance::of(self.shared.estate.take(&origin));
        let mut state = targets::Target::default();
        state.pool = self.job.name.as_str().into();
        state.discovered = target.discovered.clone();
        state.labels = target.labels.clone();
        state.url = target.url.as_str().into();
        (state.interval, state.timeout) = (target.interval, target.timeout);
        let again = self.failed.get_mut(&id).and_then(|failed| failed.again.take());
        let pause = again.as_ref().map(|(pause, _)| *pause).unwrap_or_default();
        if let Some((_, words)) = again {
            state.update(|state| (state.health, state.last_error) = (TargetHealth::Down, words));
        }
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
            origin,
            offset: offset(id, self.shared.seed, target.interval),
            output: Output::of(&self.shared.outputs, labels).clone(),
            target,
            job: self.job.clone(),
            rules,
            client: self.client.clone(),
            benches: self.shared.benches.clone(),
            state: state.clone(),
            wall: self.shared.wall.clone(),
            inheritance: inheritance.clone(),
            forbidden,
        };
        self.starts += 1;
        let start = self.starts;
        let (stop, done) = (CancellationToken::new(), CancellationToken::new());
        let (stopped, is_done) = (stop.clone(), done.clone().drop_guard());
        self.tasks.spawn(async move {
            for earlier in before {
                earlier.cancelled().await;
            }
            let result = caught(async {
                match stopped.run_until_cancelled(sleep(pause)).await {
                    Some(()) => scraper.run(stopped).await,
                    None => scraper.inheritance.take(),
                }
            });
            let result = result.await;
            drop(is_done);
            Ended { id, start, result }
        });
        self.loops.insert(id, Loop { start, stop, done, labels, inheritance, state });
    }
}

/// Where a target's scrapes lie in its interval: by a hash, so that they spread, and stay where they are.
fn offset(id: u64, seed: u64, interval: Duration) -> Duration {
    let hash = xxh3_64(&[id.to_le_bytes(), seed.to_le_bytes()].concat());
    let length = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(hash % length)
}
