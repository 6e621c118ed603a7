//! What a start does: takes over what an earlier process or configuration left, and puts rules, routes and receivers in force.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;

use super::super::files;
use super::super::options::Options;
use super::super::reader::Reader;
use super::Alerting;
use super::waiting::Waiting;
use crate::alerting::dead_mans_switch::Pulses;
use crate::alerting::dispatch::Limits as DispatchLimits;
use crate::alerting::paging::{Disk, Door, Paging, Receivers};
use crate::alerting::route::Routing;
use crate::alerting::rule_file::{Group, RuleFile};
use crate::alerting::running::{Kept, Opening, Turn};
use crate::alerting::{Running, Settings};
use crate::data::UnixMillis;
use crate::delivery::files::RealFiles;
use crate::delivery::journal::Place;
use crate::notifiers::heartbeat::Heartbeat;
use crate::pipeline::TaskError;
use crate::series::{Keeper, Place as SeriesPlace, Restored, Store};
use crate::telemetry::Telemetry;

/// What the loops need of what was put in force.
pub(super) struct Begun {
    pub reader: Arc<Reader>,
    pub switch: Option<(Heartbeat, PulsesOf)>,
    pub door: Option<Waiting>,
}

/// Makes the pulses by which the evaluation of rules reports.
pub(super) type PulsesOf = Box<dyn Fn() -> Pulses + Send>;

impl Alerting {
    /// Takes over what an earlier process left, and puts rules, routes and receivers in force. Reads and writes files.
    pub(super) fn begin(self, mut turn: OwnedMutexGuard<Turn>) -> (Result<Begun, TaskError>, OwnedMutexGuard<Turn>) {
        let begun = self.put_in_force(&mut turn);
        (begun, turn)
    }

    fn put_in_force(self, turn: &mut Turn) -> Result<Begun, TaskError> {
        let Self {
            running, read, routing, receivers, settings, selectors, options, telemetry, data_dir, remote, ..
        } = self;
        let failed = |error: String| TaskError(error);
        let files = &read.files;
        let folder = data_dir.join("alerting");
        let store = running.store();
        let retention = options.store.retention_for(files::reach(files));
        store.set_limits(&options.store);
        store.set_selection(&files::selection(files, &selectors), retention);
        let place =
            |name: &str, kind| Place { files: Arc::new(RealFiles), folder: folder.clone(), name: name.into(), kind };
        // Rules go on where the disk does not: that it is full, or broken, is what they may have to say.
        keep(&running, &mut turn.kept, options.store.journal, &data_dir);
        if !turn.is_restored {
            let complaints = running.rules().restore(place("rules", crate::alerting::KIND));
            complaints.iter().for_each(|complaint| tracing::warn!("{complaint}"));
            turn.is_restored = true;
        }
        for warning in files.iter().flat_map(|file| &file.warnings) {
            tracing::warn!("{warning}");
        }
        let every = interval(files, &settings);
        let watched = options.dead_mans_switch.as_ref().map(|switch| (switch, Arc::new(switch.switch())));
        let heartbeat = match watched {
            None => None,
            Some((written, switch)) => {
                let told = written.receiver.as_ref().and_then(|name| receivers.get(name.as_str()).cloned());
                let global = &options.telling().global;
                let heartbeat =
                    Heartbeat::new(written, global, switch.clone(), told.unwrap_or_default(), UnixMillis::now());
                let intervals = intervals(files, &settings);
                let pulses_of: PulsesOf = Box::new(move || Pulses::new(&switch, &intervals, every));
                Some((heartbeat.map_err(failed)?, pulses_of))
            }
        };
        let reader = Reader::new(store.clone(), remote, retention);
        let now = running.clock().now();
        running.rules().load(settings, files, now);
        let opening = turn.opening.take();
        let door = dispatch(&running, opening, routing, receivers, &options, &folder, every, &telemetry);
        Ok(Begun { reader: Arc::new(reader), switch: heartbeat, door })
    }
}

/// Has the samples looked after, on disk or in memory alone. The first time the store is filled with what an earlier process
/// left; later it has the samples itself. Blocks.
fn keep(running: &Running, kept: &mut Kept, on_disk: bool, data_dir: &Path) {
    let wanted = if on_disk { Kept::OnDisk } else { Kept::InMemory };
    if *kept == wanted {
        return;
    }
    let place = SeriesPlace { files: Arc::new(RealFiles), folder: data_dir.join("series") };
    let store = running.store();
    let keeper = match (&*kept, on_disk) {
        (_, false) => None,
        (Kept::NotYet, true) => Some(series_on_disk(store, place)),
        (_, true) => Some(Keeper::later(store.clone(), place)),
    };
    // Who looked after them so far writes down what he has to.
    Handle::current().block_on(running.let_go());
    running.keep(keeper);
    *kept = wanted;
}

/// Fills the store with what an earlier process left on disk.
fn series_on_disk(store: &Arc<Store>, place: SeriesPlace) -> Keeper {
    let (keeper, restored) = Keeper::open_when_possible(store.clone(), place, UnixMillis::now());
    let restored = restored.unwrap_or_else(|error| {
        tracing::error!(%error, "samples for rules that are on disk cannot be read; rules begin without them");
        Restored::default()
    });
    restored.complaints.iter().for_each(|complaint| tracing::warn!("{complaint}"));
    if restored.samples > 0 {
        tracing::info!(samples = restored.samples, "samples for rules were there from before");
    }
    keeper
}

/// Gives alerts their way to people, or takes it. Returns where they wait, if that cannot be.
#[expect(clippy::too_many_arguments, reason = "each is given once")]
fn dispatch(
    running: &Running,
    opening: Option<Opening>,
    routing: Option<Routing>,
    receivers: Receivers,
    options: &Options,
    folder: &Path,
    every: Duration,
    telemetry: &Arc<Telemetry>,
) -> Option<Waiting> {
    let Some(routing) = routing else {
        if let Some(opening) = opening {
            // It would go on with receivers that are no more, and another one beside it.
            drop(Handle::current().block_on(opening));
        }
        if let Some(dispatch) = running.dispatch() {
            running.set_dispatch(None);
            dispatch.stop();
        }
        return None;
    };
    // Four times the longest pause between evaluations, as alerts themselves have it.
    let limits = DispatchLimits::default();
    let limits = DispatchLimits { grace: (every * 4).max(limits.grace), ..limits };
    let paging = Paging { routing: Arc::new(routing), limits, outbox: options.outbox.settings() };
    if let Some(dispatch) = running.dispatch() {
        dispatch.reload(&paging, receivers);
        return None;
    }
    let disk = Disk { files: Arc::new(RealFiles), folder: folder.to_owned() };
    let door = Door::new(paging, receivers, disk, telemetry.clone());
    if let Some(opening) = opening {
        return Some(Waiting::for_one(door, opening));
    }
    match door.open() {
        Ok(dispatch) => {
            running.set_dispatch(Some(Arc::new(dispatch)));
            None
        }
        Err(error) => Some(Waiting::new(door, &error)),
    }
}

/// Groups by file and name, each with how often it is evaluated.
fn intervals(files: &[RuleFile], settings: &Settings) -> Vec<(String, String, Duration)> {
    let of = |file: &RuleFile| {
        let path = file.path.display().to_string();
        let one = |group: &Group| (path.clone(), group.name.to_string(), group.interval.unwrap_or(settings.interval));
        file.groups.iter().map(one).collect::<Vec<_>>()
    };
    files.iter().flat_map(of).collect()
}

/// The longest time between two evaluations of a group.
fn interval(files: &[RuleFile], settings: &Settings) -> Duration {
    let groups = files.iter().flat_map(|file| &file.groups);
    groups.map(|group| group.interval.unwrap_or(settings.interval)).max().unwrap_or(settings.interval)
}
