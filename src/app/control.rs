//! The control task: owns what runs and does one thing at a time, in the order in which it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::own_traces::OwnTraces;
use super::{Loader, Rejected, Shared, hash_text, lines, listener_options, pods_settings, series_limit};
use crate::admin::Listeners;
use crate::alerting::Running;
use crate::pipeline::graph::{Component, Role};
use crate::pipeline::{Common, ComponentId, Ended, Runner, prepare};
use crate::telemetry::Phase;
use crate::transforms;

/// Pauses before a failed component is started again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A component that ran this long is forgiven its earlier failures.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// The component that drives rules.
const RULES: &str = transforms::alerting::DESCRIPTOR.name;

pub(super) enum Command {
    Reload(oneshot::Sender<Result<(), Rejected>>),
    Shutdown,
}

pub(super) struct Control {
    pub loader: Loader,
    pub runner: Runner,
    pub listeners: Listeners,
    pub common: Common,
    pub own_traces: OwnTraces,
    pub shared: Arc<Shared>,
    pub finish: watch::Sender<bool>,
    pub failures: BTreeMap<ComponentId, Failure>,
}

/// What is remembered of a component that failed.
pub(super) struct Failure {
    pause: Duration,
    last: Instant,
    restart_at: Option<Instant>,
}

impl Control {
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>, mut ended: mpsc::UnboundedReceiver<Ended>) {
        loop {
            let next_restart = self.failures.values().filter_map(|failure| failure.restart_at).min();
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(Command::Reload(reply)) => {
                        let result = self.reload().await;
                        self.tell(&result);
                        // Whoever asked may be gone; the log has the answer too.
                        let _ = reply.send(result);
                    }
                    Some(Command::Shutdown) | None => break,
                },
                Some(end) = ended.recv() => self.on_end(end),
                () = sleep_until(next_restart.unwrap_or_else(Instant::now)), if next_restart.is_some() => {
                    self.restart_due().await;
                }
            }
        }
        self.shared.status.enter(Phase::Draining);
        self.runner.shutdown(self.shared.plan().drain_timeout).await;
        if let Some(running) = self.common.lasting.get::<Running>() {
            running.finish().await;
        }
        self.own_traces.finish().await;
        self.listeners.stop().await;
    }

    fn on_end(&mut self, end: Ended) {
        if !self.runner.is_current(&end) {
            return;
        }
        let Err(words) = end.result else {
            if self.runner.sources_ended() {
                self.finish.send_replace(true);
            }
            return;
        };
        let now = Instant::now();
        let fresh = Failure { pause: Duration::ZERO, last: now, restart_at: None };
        let failure = self.failures.entry(end.id.clone()).or_insert(fresh);
        if now.duration_since(failure.last) > FORGIVEN_AFTER + failure.pause {
            failure.pause = Duration::ZERO;
        }
        failure.pause = (failure.pause * 2).clamp(PAUSES.0, PAUSES.1);
        failure.last = now;
        failure.restart_at = Some(now + failure.pause);
        tracing::error!(component = %end.id, error = %words, again_in = ?failure.pause, "component failed");
        if let Some(index) = self.runner.graph().position(&end.id) {
            let kind = self.runner.graph().components[index].role.kind();
            let metrics = self.common.telemetry.component(kind, &end.id.0);
            metrics.error(words.clone());
            metrics.health.unhealthy(words);
        }
    }

    async fn restart_due(&mut self) {
        let now = Instant::now();
        let due: BTreeSet<_> = self
            .failures
            .iter_mut()
            .filter_map(|(id, failure)| failure.restart_at.take_if(|at| *at <= now).map(|_| id.clone()))
            .collect();
        let plan = self.shared.plan();
        match prepare(plan.graph.clone(), &self.common) {
            Ok(prepared) => self.runner.replace(prepared, self.common.clone(), &due, plan.drain_timeout).await,
            Err(errors) => {
                tracing::error!(error = %lines(&errors), "failed components cannot be prepared again; trying later");
                for (_, failure) in self.failures.iter_mut().filter(|(id, _)| due.contains(*id)) {
                    failure.restart_at = Some(now + PAUSES.1);
                }
            }
        }
    }

    async fn reload(&mut self) -> Result<(), Rejected> {
        let plan = (self.loader)().map_err(Rejected::Config)?;
        let old = self.shared.plan();
        if plan.data_dir != old.data_dir {
            return Err(Rejected::NeedsRestart(format!(
                "data_dir changed from {} to {}: positions live there, so restart the agent to change it",
                old.data_dir.display(),
                plan.data_dir.display()
            )));
        }
        let common = Common { identity: Arc::new(plan.identity.clone()), ..self.common.clone() };
        let prepared =
            prepare(plan.graph.clone(), &common).map_err(|errors| Rejected::Config(plan.refused(&errors)))?;
        let traces = self.own_traces.prepare(&plan).map_err(Rejected::Unavailable)?;
        let (admin, health) = listener_options(&plan);
        self.listeners.apply(admin, health).await.map_err(|error| Rejected::Unavailable(error.to_string()))?;
        self.own_traces.put(traces);
        self.common.pods.configure(pods_settings(&plan));
        // Sources write the agent's identity, and that of pods, into every resource.
        let identity_changed = plan.identity != old.identity || pods_settings(&plan) != pods_settings(&old);
        // So do rules, and what identifies an incident follows from it.
        let speaks = |c: &&Component| matches!(c.role, Role::Source(_)) || &*c.id.0 == RULES;
        let changed = plan.graph.components.iter().filter(speaks).filter(|_| identity_changed);
        let restart: BTreeSet<_> = changed.map(|component| component.id.clone()).collect();
        let has_rules = plan.graph.components.iter().any(|component| &*component.id.0 == RULES);
        self.runner.replace(prepared, common.clone(), &restart, plan.drain_timeout).await;
        if let Some(running) = common.lasting.get::<Running>().filter(|_| !has_rules) {
            running.retire().await;
        }
        self.common = common;
        self.common.series.set_limit(series_limit(&plan));
        self.failures.clear();
        self.shared.set_plan(plan);
        Ok(())
    }

    fn tell(&self, result: &Result<(), Rejected>) {
        match result {
            Ok(()) => {
                let hash = hash_text(&self.shared.plan());
                self.shared.status.accepted(&hash);
                tracing::info!(%hash, "configuration reloaded");
            }
            Err(reason) => {
                self.shared.status.rejected(reason.to_string());
                tracing::error!(%reason, "configuration rejected; the one before stays in force");
            }
        }
    }
}
