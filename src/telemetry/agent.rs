//! How the agent as a whole is doing: its phase, its configuration, its last reload.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts};

use super::Telemetry;
use crate::data::{MemoryBudget, UnixNanos};

/// Where the agent is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The graph is being built.
    Starting,
    /// The graph runs.
    Running,
    /// The agent stops: what was read is being delivered.
    Draining,
}

impl Phase {
    /// The word used in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
        }
    }
}

/// What became of the last attempt to load a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When it ended.
    pub time: UnixNanos,
    /// Why it was rejected; `None` where it was accepted.
    pub rejected: Option<String>,
}

/// The agent as a whole. Its owner notes what happens; probes, the status page and `/metrics` read it.
#[derive(Debug)]
pub struct AgentStatus {
    started: Instant,
    started_at: UnixNanos,
    state: Mutex<State>,
    config_info: IntGaugeVec,
    reload_successful: IntGauge,
    reload_time: IntGauge,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    hash: Box<str>,
    reload: Option<Reload>,
}

impl AgentStatus {
    /// A starting agent, its metrics and those of the process and the memory budget registered.
    ///
    /// # Errors
    /// When the registry has them already.
    pub fn register(telemetry: &Telemetry, memory: Arc<MemoryBudget>) -> Result<Arc<Self>, prometheus::Error> {
        let config = Opts::new("tailwater_config_info", "Hash of the configuration in force.");
        let status = Self {
            started: Instant::now(),
            started_at: UnixNanos::now(),
            state: Mutex::new(State { phase: Phase::Starting, hash: "".into(), reload: None }),
            config_info: IntGaugeVec::new(config, &["hash"])?,
            reload_successful: IntGauge::new(
                "tailwater_config_last_reload_successful",
                "Whether the last configuration that was read is in force.",
            )?,
            reload_time: IntGauge::new(
                "tailwater_config_last_reload_timestamp_seconds",
                "When a configuration was last accepted or rejected.",
            )?,
        };
        let build = Opts::new("tailwater_build_info", "The agent's version.");
        let build = IntGaugeVec::new(build, &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let registry = telemetry.registry();
        registry.register(Box::new(build))?;
        registry.register(Box::new(status.config_info.clone()))?;
        registry.register(Box::new(status.reload_successful.clone()))?;
        registry.register(Box::new(status.reload_time.clone()))?;
        registry.register(Box::new(Memory::new(memory)?))?;
        registry.register(Box::new(super::process::Process::new()?))?;
        Ok(Arc::new(status))
    }

    /// Where the agent is in its life.
    pub fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// The agent is in another phase now.
    pub fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// A configuration, the first or a later one, is in force.
    pub fn accepted(&self, hash: &str) {
        let mut state = self.lock();
        // The old hash's child goes, so that exactly one is exposed.
        let _ = self.config_info.remove_label_values(&[&state.hash]);
        self.config_info.with_label_values(&[hash]).set(1);
        state.hash = hash.into();
        self.reloaded(&mut state, None);
    }

    /// A configuration was rejected; the one before stays in force.
    pub fn rejected(&self, reason: impl Into<String>) {
        self.reloaded(&mut self.lock(), Some(reason.into()));
    }

    /// Hash of the configuration in force; empty before the first.
    pub fn config_hash(&self) -> Box<str> {
        self.lock().hash.clone()
    }

    /// What became of the last attempt to load a configuration.
    pub fn last_reload(&self) -> Option<Reload> {
        self.lock().reload.clone()
    }

    /// How long the agent runs.
    pub fn uptime(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// When the agent was started.
    pub fn started_at(&self) -> UnixNanos {
        self.started_at
    }

    fn reloaded(&self, state: &mut State, rejected: Option<String>) {
        let time = UnixNanos::now();
        self.reload_successful.set(i64::from(rejected.is_none()));
        self.reload_time.set(i64::try_from(time.seconds()).unwrap_or(i64::MAX));
        state.reload = Some(Reload { time, rejected });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory budget, looked at when somebody asks.
struct Memory {
    budget: Arc<MemoryBudget>,
    used: IntGauge,
    limit: IntGauge,
}

impl Memory {
    fn new(budget: Arc<MemoryBudget>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            budget,
            used: IntGauge::new("tailwater_memory_budget_used_bytes", "Bytes of payload held in memory.")?,
            limit: IntGauge::new("tailwater_memory_budget_limit_bytes", "Bytes of payload that may be held.")?,
        })
    }
}

impl Collector for Memory {
    fn desc(&self) -> Vec<&Desc> {
        [self.used.desc(), self.limit.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.used.set(i64::try_from(self.budget.used()).unwrap_or(i64::MAX));
        self.limit.set(i64::try_from(self.budget.limit()).unwrap_or(i64::MAX));
        [self.used.collect(), self.limit.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hash_is_exposed_and_a_rejection_keeps_it() {
        let telemetry = Telemetry::new();
        let agent = AgentStatus::register(&telemetry, Arc::new(MemoryBudget::new(600))).expect("registers");
        agent.accepted("aaaa");
        agent.accepted("bbbb");
        agent.rejected("line 3: no");
        let text = telemetry.expose().expect("encodes");
        assert!(text.contains("tailwater_config_info{hash=\"bbbb\"} 1"), "{text}");
        assert!(!text.contains("aaaa"), "{text}");
        assert!(text.contains("tailwater_config_last_reload_successful 0"), "{text}");
        assert!(text.contains("tailwater_memory_budget_limit_bytes 600"), "{text}");
        assert!(text.contains("tailwater_build_info{version="), "{text}");
        assert_eq!(agent.last_reload().and_then(|reload| reload.rejected).as_deref(), Some("line 3: no"));
        assert_eq!(&*agent.config_hash(), "bbbb");
    }
}
