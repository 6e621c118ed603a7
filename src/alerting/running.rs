//! What runs of rules and alerts in a process. It outlives the configuration: a reload gives it other rules, routes and
//! receivers, and takes nothing from it that goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::moment::SystemClock;
use super::paging::{Dispatch, StartError};
use super::status::{AlertStatus, GroupStatus};
use super::{Clock, Rules, Settings};
use crate::data::{Resource, SeriesTable, UnixMillis};
use crate::series::{self, Keeper, Store, StoreOptions};
use crate::telemetry::Telemetry;

/// Samples, rules, and the way of alerts to people.
pub struct Running {
    store: Arc<Store>,
    rules: Rules,
    dispatch: Mutex<Option<Arc<Dispatch>>>,
    /// Why alerts wait for one.
    alerts_wait: Mutex<Option<String>>,
    evaluation: Mutex<Evaluation>,
    clock: Box<dyn Clock>,
    keeping: Mutex<Option<Keeping>>,
    /// Held by the one component that drives it.
    turn: Arc<tokio::sync::Mutex<Turn>>,
}

/// The task that looks after the samples.
#[derive(Debug)]
struct Keeping {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

/// An attempt to open the journals of pages.
pub type Opening = JoinHandle<Result<Dispatch, StartError>>;

/// What the component that drives it finds.
#[derive(Default)]
pub struct Turn {
    /// How the samples are kept.
    pub kept: Kept,
    /// Whether the alerts that an earlier process left were taken over.
    pub is_restored: bool,
    /// An attempt that the one before it did not wait for. Only one at a time has the journals.
    pub opening: Option<Opening>,
}

/// Whether rules are evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Evaluation {
    /// What is on disk of before is read, or somebody else ends.
    #[default]
    Begins,
    /// It is tried again.
    Failed(String),
    /// They are.
    Runs,
}

/// How the samples are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Nobody looks after them yet; what an earlier process left is still on disk alone.
    #[default]
    NotYet,
    /// In memory.
    InMemory,
    /// On disk too.
    OnDisk,
}

impl Running {
    /// No samples and no rules yet.
    ///
    /// # Errors
    /// Where the process exposes the metrics of such a thing already.
    pub fn new(
        options: &StoreOptions,
        table: &Arc<SeriesTable>,
        resource: Arc<Resource>,
        telemetry: &Telemetry,
    ) -> Result<Self, prometheus::Error> {
        let clock = SystemClock { start: Instant::now() };
        Self::with_clock(options, table, resource, telemetry, Box::new(clock))
    }

    /// The same with a clock of its own for the rules.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clock(
        options: &StoreOptions,
        table: &Arc<SeriesTable>,
        resource: Arc<Resource>,
        telemetry: &Telemetry,
        clock: Box<dyn Clock>,
    ) -> Result<Self, prometheus::Error> {
        let store = Store::new(options, table.clone())?;
        store.counters().register(telemetry)?;
        let rules = Rules::new(table.clone(), resource)?;
        rules.metrics().register(telemetry)?;
        Ok(Self {
            store: Arc::new(store),
            rules,
            dispatch: Mutex::default(),
            alerts_wait: Mutex::default(),
            evaluation: Mutex::default(),
            clock,
            keeping: Mutex::default(),
            turn: Arc::default(),
        })
    }

    /// Looks after the samples from now on, and keeps them on disk where there is a keeper. Call it within a runtime, and where
    /// somebody looks after them already, behind [`Self::let_go`].
    pub fn keep(&self, keeper: Option<Keeper>) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(series::keep(self.store.clone(), keeper, UnixMillis::now, stop.clone()));
        *self.keeping.lock().unwrap_or_else(PoisonError::into_inner) = Some(Keeping { task, stop });
    }

    /// Nobody looks after the samples any more. Those that are kept on disk are written down.
    pub async fn let_go(&self) {
        let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Keeping { task, stop }) = keeping else { return };
        stop.cancel();
        if let Err(error) = task.await {
            tracing::error!(%error, "the samples for rules could not be written down");
        }
    }

    /// Ends what goes on beside the graph: pages under way have a moment to arrive, and the samples are written down.
    pub async fn finish(&self) {
        let dispatch = self.dispatch();
        let stopped = tokio::task::spawn_blocking(move || {
            if let Some(dispatch) = dispatch {
                dispatch.stop();
            }
        });
        self.let_go().await;
        if let Err(error) = stopped.await {
            tracing::error!(%error, "the way of alerts to people did not end by itself");
        }
    }

    /// The samples.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The clock of the rules.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The way of alerts to people, where there are receivers.
    pub fn dispatch(&self) -> Option<Arc<Dispatch>> {
        self.dispatch.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on alerts go this way, or none.
    pub fn set_dispatch(&self, dispatch: Option<Arc<Dispatch>>) {
        *self.dispatch.lock().unwrap_or_else(PoisonError::into_inner) = dispatch;
    }

    /// Why alerts wait, where there is no way for them yet though there are receivers.
    pub fn alerts_wait(&self) -> Option<String> {
        self.alerts_wait.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on alerts wait for that, or for nothing.
    pub fn set_alerts_wait(&self, why: Option<String>) {
        *self.alerts_wait.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Whether rules are evaluated.
    pub fn evaluation(&self) -> Evaluation {
        self.evaluation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// See [`Self::evaluation`].
    pub fn set_evaluation(&self, evaluation: Evaluation) {
        *self.evaluation.lock().unwrap_or_else(PoisonError::into_inner) = evaluation;
    }

    /// Waits for the component that drives it to end.
    pub async fn turn(&self) -> tokio::sync::OwnedMutexGuard<Turn> {
        self.turn.clone().lock_owned().await
    }

    /// The groups of rules, by file and name.
    pub fn groups(&self) -> Vec<GroupStatus> {
        self.rules.groups()
    }

    /// The alerts that are pending or fire.
    pub fn alerts(&self) -> Vec<AlertStatus> {
        self.rules.alerts()
    }

    /// The configuration has no rules any more: they are forgotten, and alerts have no way to people. What is open at a
    /// receiver stays so until there are rules again.
    pub async fn retire(self: Arc<Self>) {
        // The component that drove it ends first.
        let mut turn = self.turn().await;
        // Where there are rules again, they are not evaluated before another component has its turn.
        self.set_evaluation(Evaluation::Begins);
        if let Some(opening) = turn.opening.take() {
            // What it opens is not to be used any more.
            let opened = opening.await;
            let _ = tokio::task::spawn_blocking(move || drop(opened)).await;
        }
        let retired = tokio::task::spawn_blocking(move || {
            let now = self.clock.now();
            self.rules().load(Settings::default(), &[], now);
            self.store.set_selection(&[], Duration::ZERO);
            self.set_alerts_wait(None);
            if let Some(dispatch) = self.dispatch() {
                self.set_dispatch(None);
                dispatch.stop();
            }
            drop(turn);
        });
        if let Err(error) = retired.await {
            tracing::error!(%error, "rules that are no more could not be forgotten");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rules_that_are_taken_away_are_not_said_to_be_evaluated_when_there_are_some_again() {
        let (table, resource) = (SeriesTable::new(10), Arc::new(Resource::default()));
        let running = Running::new(&StoreOptions::default(), &table, resource, &Telemetry::new()).expect("metrics");
        let running = Arc::new(running);
        running.set_evaluation(Evaluation::Runs);
        running.clone().retire().await;
        assert_eq!(running.evaluation(), Evaluation::Begins);
    }
}
