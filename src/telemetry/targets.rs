//! The targets of a source that scrapes, for people and their tools: what was found, what relabelling made
//! of it, how the last scrape went. The scrape loop writes, `/api/v1/targets` and the status page read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::data::{LabelSet, UnixMillis};

/// Most dropped targets whose labels a pool keeps, whatever its `keep_dropped_targets` says.
pub const MOST_DROPPED_KEPT: usize = 1000;

/// What the last scrape of a target says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetHealth {
    /// It was not scraped yet.
    #[default]
    Unknown,
    /// The last scrape succeeded.
    Up,
    /// The last scrape failed.
    Down,
}

impl TargetHealth {
    /// Whether the target was up before a scrape that changes that; `None` where it changes nothing, or the
    /// first scrape succeeded. A target whose first scrape fails counts as one that was up.
    pub const fn changed(self, up: bool) -> Option<bool> {
        match (self, up) {
            (Self::Up | Self::Unknown, false) => Some(true),
            (Self::Down, true) => Some(false),
            _ => None,
        }
    }

    /// Prometheus's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A target that is scraped. All but its state stays as it is for as long as it lives.
#[derive(Debug, Default)]
pub struct Target {
    /// The scrape pool: the name of the job.
    pub pool: Box<str>,
    /// Labels as service discovery found them.
    pub discovered: LabelSet,
    /// Labels that its series carry, after relabelling; none that begin with `__`.
    pub labels: LabelSet,
    /// What is asked, parameters included.
    pub url: Box<str>,
    /// Time between two scrapes.
    pub interval: Duration,
    /// Longest time that a scrape may take.
    pub timeout: Duration,
    state: Mutex<TargetState>,
}

/// How a target does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetState {
    /// What the last scrape says.
    pub health: TargetHealth,
    /// Why the last scrape failed; empty where it did not.
    pub last_error: String,
    /// When the last scrape began; `None` before the first.
    pub last_scrape: Option<UnixMillis>,
    /// How long it took.
    pub last_duration: Duration,
    /// Samples that it brought, before metric relabelling.
    pub samples: u64,
    /// Series of the target that are in the series table.
    pub series: u64,
}

impl Target {
    /// Changes the state. A scrape calls this once, which allocates nothing where the error stays empty.
    pub fn update(&self, change: impl FnOnce(&mut TargetState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A copy of the state.
    pub fn state(&self) -> TargetState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Targets that relabelling dropped: all are counted, the labels of the first are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DroppedTargets {
    count: usize,
    kept: Vec<LabelSet>,
    limit: usize,
}

impl DroppedTargets {
    /// None yet. `keep` is the job's `keep_dropped_targets`; 0 sets no limit there, here
    /// [`MOST_DROPPED_KEPT`].
    pub fn keeping(keep: usize) -> Self {
        let limit = if keep == 0 { MOST_DROPPED_KEPT } else { keep.min(MOST_DROPPED_KEPT) };
        Self { count: 0, kept: Vec::new(), limit }
    }

    /// Counts a target, and keeps its labels as they were discovered while there is room.
    pub fn push(&mut self, discovered: &LabelSet) {
        self.count += 1;
        if self.kept.len() < self.limit {
            self.kept.push(discovered.clone());
        }
    }

    /// How many were dropped.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Discovered labels of the first of them.
    pub fn kept(&self) -> &[LabelSet] {
        &self.kept
    }
}

/// The targets of one pool.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Those that are scraped.
    pub active: Vec<Arc<Target>>,
    /// Those that relabelling dropped.
    pub dropped: DroppedTargets,
}

/// All targets of a source, by pool.
#[derive(Debug, Default)]
pub struct Targets(Mutex<BTreeMap<Box<str>, Pool>>);

/// How many targets do how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TargetCounts {
    /// Whose last scrape succeeded.
    pub up: usize,
    /// Whose last scrape failed.
    pub down: usize,
    /// That were not scraped yet.
    pub unknown: usize,
    /// That relabelling dropped.
    pub dropped: usize,
}

impl Targets {
    /// Replaces the targets of a pool.
    pub fn set(&self, name: &str, pool: Pool) {
        self.lock().insert(name.into(), pool);
    }

    /// Keeps the pools for which `wanted` says so: the others' jobs are gone.
    pub fn retain(&self, mut wanted: impl FnMut(&str) -> bool) {
        self.lock().retain(|name, _| wanted(name));
    }

    /// All pools in the order of their names; the targets are shared.
    pub fn pools(&self) -> BTreeMap<Box<str>, Pool> {
        self.lock().clone()
    }

    /// How many targets do how; `None` where the component never had a pool.
    pub fn counts(&self) -> Option<TargetCounts> {
        let pools = self.lock();
        let mut counts = TargetCounts::default();
        for pool in pools.values() {
            counts.dropped += pool.dropped.count();
            for target in &pool.active {
                let state = target.state.lock().unwrap_or_else(PoisonError::into_inner);
                match state.health {
                    TargetHealth::Up => counts.up += 1,
                    TargetHealth::Down => counts.down += 1,
                    TargetHealth::Unknown => counts.unknown += 1,
                }
            }
        }
        (!pools.is_empty()).then_some(counts)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Pool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_counted_by_health_and_dropped_ones_beyond_what_is_kept() {
        let targets = Targets::default();
        assert_eq!(targets.counts(), None);
        let active: Vec<_> = (0..3).map(|_| Arc::new(Target { pool: "node".into(), ..Target::default() })).collect();
        let mut dropped = DroppedTargets::keeping(2);
        for name in ["a", "b", "c"] {
            dropped.push(&[("__address__", name)].into_iter().collect());
        }
        targets.set("node", Pool { active: active.clone(), dropped });
        active[0].update(|state| state.health = TargetHealth::Up);
        active[1].update(|state| {
            state.health = TargetHealth::Down;
            state.last_error.push_str("connection refused");
        });
        assert_eq!(targets.counts(), Some(TargetCounts { up: 1, down: 1, unknown: 1, dropped: 3 }));
        let pool = targets.pools().remove("node").expect("set");
        assert_eq!(pool.dropped.kept().len(), 2);
        assert_eq!(pool.active[1].state().last_error, "connection refused");
        targets.retain(|name| name != "node");
        assert_eq!(targets.counts(), None);
        assert_eq!(DroppedTargets::keeping(0).limit, MOST_DROPPED_KEPT);
    }
}
