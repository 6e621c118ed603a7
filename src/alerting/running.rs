//! What runs of rules and alerts in a process. It outlives the configuration: a reload gives it other rules, routes and
//! receivers, and takes nothing from it that goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Rules;
use super::moment::SystemClock;
use super::paging::Dispatch;
use super::status::{AlertStatus, GroupStatus};
use crate::data::{Resource, SeriesTable, UnixMillis};
use crate::series::{self, Keeper, Store, StoreOptions};
use crate::telemetry::Telemetry;

/// Samples, rules, and the way of alerts to people.
pub struct Running {
    store: Arc<Store>,
    rules: Mutex<Rules>,
    dispatch: Mutex<Option<Arc<Dispatch>>>,
    clock: SystemClock,
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

/// What the component that drives it finds.
#[derive(Debug, Default)]
pub struct Turn {
    /// Whether what an earlier process left was taken over.
    pub is_restored: bool,
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
        let store = Store::new(options, table.clone())?;
        store.counters().register(telemetry)?;
        let rules = Rules::new(table.clone(), resource)?;
        rules.metrics().register(telemetry)?;
        Ok(Self {
            store: Arc::new(store),
            rules: Mutex::new(rules),
            dispatch: Mutex::default(),
            clock: SystemClock { start: Instant::now() },
            keeping: Mutex::default(),
            turn: Arc::default(),
        })
    }

    /// Looks after the samples from now on, and keeps them on disk where there is a keeper. Call it once, within a runtime.
    pub fn keep(&self, keeper: Option<Keeper>) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(series::keep(self.store.clone(), keeper, UnixMillis::now, stop.clone()));
        *self.keeping.lock().unwrap_or_else(PoisonError::into_inner) = Some(Keeping { task, stop });
    }

    /// Ends what goes on beside the graph: pages under way have a moment to arrive, and the samples are written down.
    pub async fn finish(&self) {
        let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner).take();
        let dispatch = self.dispatch();
        let stopped = tokio::task::spawn_blocking(move || {
            if let Some(dispatch) = dispatch {
                dispatch.stop();
            }
        });
        if let Some(Keeping { task, stop }) = keeping {
            stop.cancel();
            if let Err(error) = task.await {
                tracing::error!(%error, "the samples for rules could not be written down");
            }
        }
        if let Err(error) = stopped.await {
            tracing::error!(%error, "the way of alerts to people did not end by itself");
        }
    }

    /// The samples.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The rules, for whoever drives them. An evaluation of a group holds them.
    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock of the rules.
    pub fn clock(&self) -> &SystemClock {
        &self.clock
    }

    /// The way of alerts to people, where there are receivers.
    pub fn dispatch(&self) -> Option<Arc<Dispatch>> {
        self.dispatch.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on alerts go this way, or none.
    pub fn set_dispatch(&self, dispatch: Option<Arc<Dispatch>>) {
        *self.dispatch.lock().unwrap_or_else(PoisonError::into_inner) = dispatch;
    }

    /// Waits for the component that drives it to end.
    pub async fn turn(&self) -> tokio::sync::OwnedMutexGuard<Turn> {
        self.turn.clone().lock_owned().await
    }

    /// The groups of rules, by file and name.
    pub fn groups(&self) -> Vec<GroupStatus> {
        self.rules().groups()
    }

    /// The alerts that are pending or fire.
    pub fn alerts(&self) -> Vec<AlertStatus> {
        self.rules().alerts()
    }
}
