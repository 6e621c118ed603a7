//! The way of alerts to people as it runs: [`Dispatch`] takes alerts and never waits, and a thread of its own does the rest.
//! What else the agent does, and how its destinations are doing, is nothing to it: it has its own timers and its own
//! connections, and waits for nobody but its disk, and for that not long.

mod clock;
mod core;
mod door;
mod inbox;
mod keeper;
mod metrics;
mod run;
mod succession;
#[cfg(test)]
mod tests;
mod ways;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Notify, oneshot};

pub use door::Door;
pub use inbox::PostError;
pub use keeper::KIND;
pub use metrics::{RegisterError, described};

use self::core::Core;
use super::alert::Alert;
use super::dispatch::{self, AlertView, GroupView, Kept, Limits};
use super::notifier::Notifier;
use super::outbox::{self, LaneStatus};
use super::route::{Routing, Written};
use super::silence::{self, SilenceBook};
use crate::data::UnixMillis;
use crate::delivery::files::Files;
use crate::delivery::journal::Place;
use crate::telemetry::Telemetry;
use clock::Clock;
use inbox::{Inbox, Post};
use metrics::Metrics;

/// What alerts are told by.
#[derive(Clone, Debug)]
pub struct Paging {
    /// The ways of alerts.
    pub routing: Arc<Routing>,
    /// How much is kept at most.
    pub limits: Limits,
    /// How pages are sent.
    pub outbox: outbox::Settings,
}

/// Receivers by their names, each with what sends to it, in the order of the configuration.
pub type Receivers = BTreeMap<Arc<str>, Vec<Arc<dyn Notifier>>>;

/// Where journals are kept.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The disk.
    pub files: Arc<dyn Files>,
    /// The folder; made where it is not there.
    pub folder: PathBuf,
}

/// The way of alerts to people, running.
pub struct Dispatch {
    shared: Arc<Shared>,
    thread: Mutex<Option<(JoinHandle<()>, oneshot::Sender<()>)>>,
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A journal cannot be read or written.
    #[error("the journal of alerts in {0} cannot be opened: {1}")]
    Journal(PathBuf, io::Error),
    /// There are no threads left.
    #[error("cannot start the thread that sends pages: {0}")]
    Thread(io::Error),
    /// Its metrics are registered already.
    #[error(transparent)]
    Metrics(#[from] RegisterError),
}

/// How it is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// Alerts that are kept.
    pub alerts: usize,
    /// Groups of them.
    pub groups: usize,
    /// What happened so far.
    pub counts: dispatch::Counts,
    /// The integrations.
    pub lanes: Vec<LaneStatus>,
    /// What is wrong, in words.
    pub complaints: Vec<String>,
}

struct Shared {
    core: Mutex<Core>,
    inbox: Mutex<Inbox>,
    /// Rings where the thread has something to do.
    bell: Notify,
    silences: SilenceBook,
    clock: Clock,
    metrics: Metrics,
    /// What is wrong with the journal, in words.
    journal_complaint: Mutex<Option<String>>,
    /// What is wrong with the rest, as it was when the thread looked last: whoever asks does not wait for pages being
    /// written.
    complaints: Mutex<Vec<String>>,
    /// What is not told yet, likewise.
    held_back: Mutex<Vec<String>>,
    /// After how many milliseconds an alert without an end is over.
    resolve_timeout: AtomicI64,
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_resolve_timeout(&self, paging: &Paging) {
        let timeout = i64::try_from(paging.routing.resolve_timeout.as_millis()).unwrap_or(i64::MAX);
        self.resolve_timeout.store(timeout, Ordering::Relaxed);
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatch {
    /// Goes on where the journals in `disk` ended, and begins to send. Blocks while it reads them.
    ///
    /// # Errors
    /// Where a journal cannot be opened: going on as if there were none would repeat pages and leave others open.
    pub fn start(
        paging: &Paging,
        receivers: Receivers,
        disk: &Disk,
        telemetry: &Telemetry,
    ) -> Result<Self, StartError> {
        let metrics = Metrics::register(telemetry)?;
        let clock = Clock::start();
        let now = clock.now();
        let place = |name: &str, kind| Place {
            files: disk.files.clone(),
            folder: disk.folder.clone(),
            name: name.into(),
            kind,
        };
        let failed = |error| StartError::Journal(disk.folder.clone(), error);
        let (silences, mut complaints) = SilenceBook::open(&place("silences", silence::KIND), now).map_err(failed)?;
        let (core, keeper, more) =
            Core::open(paging, receivers, &place("pages", KIND), fastrand::Rng::new(), now).map_err(failed)?;
        complaints.extend(more);
        complaints.iter().for_each(|complaint| tracing::warn!("{complaint}"));
        let shared = Arc::new(Shared {
            inbox: Mutex::new(Inbox::new(paging.limits.alerts, paging.limits.bytes)),
            core: Mutex::new(core),
            bell: Notify::new(),
            silences,
            clock,
            metrics,
            journal_complaint: Mutex::default(),
            complaints: Mutex::default(),
            held_back: Mutex::default(),
            resolve_timeout: AtomicI64::default(),
        });
        shared.set_resolve_timeout(paging);
        let (stop, stopped) = oneshot::channel();
        let thread = run::spawn(shared.clone(), keeper, stopped).map_err(StartError::Thread)?;
        Ok(Self { shared, thread: Mutex::new(Some((thread, stop))) })
    }

    /// Hears of alerts that rules speak of: those that fire with the time by which they count as over if nobody speaks of
    /// them again. Returns at once.
    pub fn put(&self, alerts: impl IntoIterator<Item = Alert>) {
        let now = self.now();
        let mut inbox = self.shared.inbox();
        for alert in alerts {
            inbox.put(Kept::new(alert, false, now), now);
        }
        drop(inbox);
        self.shared.bell.notify_one();
    }

    /// Hears of alerts that others speak of. `None` for the end of one that has none: it then ends behind
    /// `resolve_timeout`. Returns when they are on disk.
    ///
    /// # Errors
    /// Where they do not count as taken. Those that found a place are told all the same.
    pub async fn post(&self, alerts: impl IntoIterator<Item = (Alert, Option<UnixMillis>)>) -> Result<(), PostError> {
        let (answer, answered) = oneshot::channel();
        {
            let now = self.now();
            let timeout = self.shared.resolve_timeout.load(Ordering::Relaxed);
            let by_timeout = UnixMillis(now.0.saturating_add(timeout));
            let mut inbox = self.shared.inbox();
            let (mut posted, mut refused) = (Vec::new(), 0);
            for (mut alert, ends_at) in alerts {
                alert.ends_at = ends_at.unwrap_or(by_timeout);
                let kept = Kept::new(alert, ends_at.is_none(), now).posted();
                let alert = kept.fingerprint;
                if inbox.put(kept, now) {
                    posted.push(alert);
                } else {
                    refused += 1;
                }
            }
            inbox.wait(Post { alerts: posted, refused, answer });
        }
        self.shared.bell.notify_one();
        answered.await.unwrap_or(Err(PostError::Ended))
    }

    fn let_in(&self, alerts: Vec<Kept>, refused: u64) {
        let now = self.now();
        let mut inbox = self.shared.inbox();
        for kept in alerts {
            inbox.put(kept, now);
        }
        inbox.refuse(refused);
        drop(inbox);
        self.shared.bell.notify_one();
    }

    /// The silences, to be read and changed.
    pub fn silences(&self) -> &SilenceBook {
        &self.shared.silences
    }

    /// What time it is here.
    pub fn now(&self) -> UnixMillis {
        self.shared.clock.now()
    }

    /// Alerts that have not ended.
    pub fn alerts(&self) -> Vec<AlertView> {
        let now = self.now();
        let silences = self.shared.silences.read().but_for_old(now);
        self.shared.core().dispatcher.alerts(&silences, now)
    }

    /// Groups that have alerts that have not ended.
    pub fn groups(&self) -> Vec<GroupView> {
        let now = self.now();
        let silences = self.shared.silences.read().but_for_old(now);
        self.shared.core().dispatcher.groups(&silences, now)
    }

    /// Names of the receivers.
    pub fn receivers(&self) -> Vec<Arc<str>> {
        self.shared.core().receivers.keys().cloned().collect()
    }

    /// The ways of alerts, as an Alertmanager's configuration has them.
    pub fn configuration(&self) -> String {
        let core = self.shared.core();
        let (routing, receivers) =
            (core.dispatcher.routing().clone(), core.receivers.keys().cloned().collect::<Vec<_>>());
        drop(core);
        Written { routing: &routing, receivers: &receivers }.to_string()
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let core = self.shared.core();
        let (alerts, _, groups) = core.dispatcher.size();
        let (counts, lanes) = (core.dispatcher.counts(), core.outbox.status());
        drop(core);
        Status { alerts, groups, counts, lanes, complaints: self.complaints() }
    }

    /// What is wrong, in words, as it was a moment ago. Returns at once.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.shared.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let journal = self.shared.journal_complaint.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.extend(journal.clone());
        complaints
    }

    /// What is not told yet that people may wait for, in words, as it was a moment ago. Returns at once.
    pub fn held_back(&self) -> Vec<String> {
        self.shared.held_back.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other routes, receivers and limits from now on. What is known and what is under way stays.
    pub fn reload(&self, paging: &Paging, receivers: Receivers) {
        self.shared.core().reload(paging, receivers, self.now());
        self.shared.set_resolve_timeout(paging);
        self.shared.inbox().set_limits(paging.limits.alerts, paging.limits.bytes);
        self.shared.bell.notify_one();
    }

    /// Whether its thread is there: one that panicked tells nobody of anything.
    pub fn is_running(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|(thread, _)| !thread.is_finished())
    }

    /// Ends: requests under way have a moment to be answered, and what is known is kept. Blocks until then.
    pub fn stop(&self) {
        let running = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((thread, stop)) = running {
            drop(stop);
            if thread.join().is_err() {
                tracing::error!("the thread that sends pages panicked");
            }
        }
    }
}

impl Drop for Dispatch {
    fn drop(&mut self) {
        self.stop();
    }
}
