//! The component as it runs: one loop takes samples into the store, another evaluates the groups of rules that are due.
//! Neither waits for a destination: what rules write is offered, and what a full edge has no room for is counted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::files::{self, Read};
use super::options::Options;
use super::reader::Reader;
use crate::alerting::dead_mans_switch::Pulses;
use crate::alerting::dispatch::Limits as DispatchLimits;
use crate::alerting::paging::{Disk, Dispatch, Door, Paging, Receivers, StartError};
use crate::alerting::remote::Remote;
use crate::alerting::route::Routing;
use crate::alerting::rule_file::{Group, RuleFile};
use crate::alerting::running::{Kept, Opening, Turn};
use crate::alerting::{Clock, Evaluated, Running, Settings};
use crate::data::{Batch, UnixMillis};
use crate::delivery::files::RealFiles;
use crate::delivery::journal::Place;
use crate::delivery::lost::CountLost;
use crate::delivery::{Message, Outcome};
use crate::notifiers::heartbeat::Heartbeat;
use crate::pipeline::component::TransformTask;
use crate::pipeline::outlet::{NotNow, Outlet};
use crate::pipeline::{Task, TaskContext, TaskError};
use crate::series::{Keeper, Matcher, Place as SeriesPlace, Restored, Store};
use crate::telemetry::{ComponentMetrics, Telemetry};

/// Longest sleep between two looks at what is due: the wall clock may be set meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is tried again to dispatch alerts where their journals could not be opened.
const DOOR_AGAIN: Duration = Duration::from_secs(5);

/// The component, ready to run.
pub(super) struct Alerting {
    pub running: Arc<Running>,
    pub read: Arc<Read>,
    pub routing: Option<Routing>,
    pub receivers: Receivers,
    pub settings: Settings,
    pub selectors: Vec<Vec<Matcher>>,
    pub options: Options,
    pub remote: Option<Remote>,
    pub telemetry: Arc<Telemetry>,
    pub data_dir: Arc<Path>,
}

impl TransformTask for Alerting {
    fn absorbs(&self) -> bool {
        true
    }

    fn start(self: Box<Self>, cx: TaskContext) -> Task {
        Box::pin(self.run(cx))
    }
}

/// What the loop of the rules needs.
struct Evaluating {
    running: Arc<Running>,
    reader: Arc<Reader>,
    outlet: Outlet,
    metrics: Arc<ComponentMetrics>,
    pulses: Option<Arc<Pulses>>,
    /// Where alerts wait as long as nobody dispatches them.
    door: Option<Waiting>,
    /// When health was looked at last.
    looked: Option<Instant>,
    is_unwell: bool,
    /// What was wrong with the rules when one was evaluated last.
    trouble: Option<String>,
    stop: CancellationToken,
}

/// Alerts that wait for somebody who dispatches them.
struct Waiting {
    door: Arc<Door>,
    /// Why they do.
    why: String,
    again: Instant,
    /// An attempt that is under way. Rules do not wait for it: a disk that hangs may keep it for long.
    opening: Option<Opening>,
    /// Whether that one began before a reload, with what the configuration said then.
    is_earlier: bool,
}

impl Waiting {
    fn new(door: Door, error: &StartError) -> Self {
        tracing::error!(%error, "alerts wait: rules are evaluated, and nobody is told until this is over");
        Self {
            door: Arc::new(door),
            why: error.to_string(),
            again: Instant::now() + DOOR_AGAIN,
            opening: None,
            is_earlier: false,
        }
    }

    /// Waits for an attempt that began before a reload: two at once would have the same journals.
    fn for_one(door: Door, opening: Opening) -> Self {
        let why = "the disk with their journals does not answer".into();
        Self { door: Arc::new(door), why, again: Instant::now(), opening: Some(opening), is_earlier: true }
    }

    /// Begins an attempt, if it is time for one.
    fn try_again(&mut self) {
        if self.opening.is_none() && self.again <= Instant::now() {
            let door = self.door.clone();
            self.opening = Some(tokio::task::spawn_blocking(move || door.open()));
        }
    }

    /// What became of the attempt; never, where none is under way.
    async fn opened(&mut self) -> Option<Dispatch> {
        let Some(opening) = &mut self.opening else { return std::future::pending().await };
        let opened = opening.await;
        self.opening = None;
        match opened {
            Ok(Ok(dispatch)) => return Some(dispatch),
            Ok(Err(error)) => self.why = error.to_string(),
            Err(error) => self.why = error.to_string(),
        }
        (self.again, self.is_earlier) = (Instant::now() + DOOR_AGAIN, false);
        None
    }
}

/// What becomes of an attempt; never, where nobody waits.
async fn opened(door: &mut Option<Waiting>) -> Option<Dispatch> {
    match door {
        Some(waiting) => waiting.opened().await,
        None => std::future::pending().await,
    }
}

impl Alerting {
    async fn run(self: Box<Self>, cx: TaskContext) -> Result<(), TaskError> {
        let TaskContext { mut input, outlets, metrics, shutdown } = cx;
        let outlet = outlets.into_iter().next().ok_or_else(|| TaskError("it has no output".into()))?;
        // The one before it, of a configuration that is no more, ends first.
        let turn = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            turn = self.running.turn() => turn,
        };
        let running = self.running.clone();
        // Whoever hands on alerts meanwhile is to try again.
        running.set_alerts_wait(self.routing.as_ref().map(|_| "`alerting` begins".into()));
        let failed = |error: &TaskError| running.set_alerts_wait(Some(format!("`alerting` failed: {}", error.0)));
        let (begun, mut turn) = blocking(move || self.begin(turn)).await.inspect_err(failed)?;
        let Begun { reader, switch, door } = begun.inspect_err(failed)?;
        let stop = CancellationToken::new();
        // Held here too: where the loop of the rules is gone, its silence has to be noticed.
        let pulses = switch.as_ref().map(|(_, pulses_of)| Arc::new(pulses_of()));
        let heartbeat = switch.map(|(heartbeat, _)| tokio::spawn(heartbeat.run(UnixMillis::now, stop.clone())));
        let evaluating = Evaluating {
            running: running.clone(),
            reader,
            outlet,
            metrics: metrics.clone(),
            pulses: pulses.clone(),
            door,
            looked: None,
            // What the one before it said is no more.
            is_unwell: true,
            trouble: None,
            stop: stop.clone(),
        };
        let mut evaluating = tokio::spawn(evaluating.run());
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                ended = &mut evaluating => {
                    stop.cancel();
                    let why = ended.err().map_or_else(String::new, |error| format!(": {error}"));
                    return Err(TaskError(format!("the evaluation of rules ended by itself{why}")));
                }
                message = input.recv() => match message {
                    Some(message) => take(&running, message, &metrics),
                    None => break,
                },
            }
        }
        stop.cancel();
        let evaluated = evaluating.await;
        if let Some(heartbeat) = heartbeat {
            // It was told to stop, and has nothing that would have to be kept.
            let _ = heartbeat.await;
        }
        turn.opening = evaluated.map_err(|error| TaskError(format!("the evaluation of rules failed: {error}")))?;
        drop(turn);
        Ok(())
    }

    /// Takes over what an earlier process left, and puts rules, routes and receivers in force. Reads and writes files.
    fn begin(self, mut turn: OwnedMutexGuard<Turn>) -> (Result<Begun, TaskError>, OwnedMutexGuard<Turn>) {
        let begun = self.put_in_force(&mut turn);
        (begun, turn)
    }

    fn put_in_force(self, turn: &mut Turn) -> Result<Begun, TaskError> {
        let Self { running, read, routing, receivers, settings, selectors, options, telemetry, data_dir, remote } =
            self;
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

/// Makes the pulses by which the evaluation of rules reports.
type PulsesOf = Box<dyn Fn() -> Pulses + Send>;

/// What the loops need of what was put in force.
struct Begun {
    reader: Arc<Reader>,
    switch: Option<(Heartbeat, PulsesOf)>,
    door: Option<Waiting>,
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

/// Takes samples into the store.
fn take(running: &Running, message: Message, metrics: &ComponentMetrics) {
    metrics.count_in(&message.batch);
    let samples = message.batch.count() as u64;
    if let Batch::Metrics(batch) = &message.batch {
        running.store().append(batch, UnixMillis::now());
    }
    message.ack.settle(Outcome::Filtered, samples);
}

impl Evaluating {
    /// Ends when it is told to, with the attempt to open the journals that is under way then.
    async fn run(mut self) -> Option<Opening> {
        let lost = Arc::new(CountLost(self.metrics.clone()));
        // What groups wait for. A group asks once at a time, so that there are no more of them than groups.
        let mut asking = FuturesUnordered::new();
        loop {
            while let Some(Some((ticket, answers))) = asking.next().now_or_never() {
                self.running.rules().answer(ticket, answers);
            }
            let (clock, next) = (*self.running.clock(), self.running.rules().next_due());
            let wait = next.map_or(LOOK, |due| due.saturating_sub(clock.now().running)).min(LOOK);
            self.try_door();
            self.look_around();
            if !wait.is_zero() {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return self.door.and_then(|waiting| waiting.opening),
                    opened = opened(&mut self.door) => self.begin_to_dispatch(opened),
                    Some((ticket, answers)) = asking.next() => self.running.rules().answer(ticket, answers),
                    () = tokio::time::sleep(wait) => {}
                }
                continue;
            }
            if self.stop.is_cancelled() {
                return self.door.and_then(|waiting| waiting.opening);
            }
            let (running, reader) = (self.running.clone(), self.reader.clone());
            let evaluated = blocking(move || {
                let mut rules = running.rules();
                (rules.evaluate(running.clock(), &*reader), rules.trouble())
            });
            match evaluated.await {
                Ok((Some(Evaluated { metrics, alerts, group, asks }), trouble)) => {
                    self.trouble = trouble;
                    asking.extend(asks.map(|questions| self.reader.clone().answer(questions)));
                    if let Some(dispatch) = self.running.dispatch() {
                        dispatch.put(alerts);
                    } else if let Some(waiting) = &self.door {
                        waiting.door.put(alerts);
                    }
                    for batch in metrics {
                        self.offer(Batch::Metrics(batch), &lost);
                    }
                    if let (Some((file, name)), Some(pulses)) = (group, self.pulses()) {
                        pulses.evaluated((&file, &name), Instant::now());
                    }
                }
                Ok((None, _)) => {}
                Err(error) => {
                    tracing::error!("a group of rules could not be evaluated: {error}");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Once in a while: says which groups are evaluated in time, if alerts have somebody who dispatches them, and whether
    /// people can be told.
    fn look_around(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        self.look_after_health();
        self.beat();
    }

    fn beat(&self) {
        if let Some(pulses) = self.pulses() {
            let (rules, now) = (self.running.rules(), self.running.clock().now().running);
            pulses.beat(rules.due(), now, Instant::now());
        }
    }

    /// By what work is reported, as long as alerts have somebody who dispatches them.
    fn pulses(&self) -> Option<&Pulses> {
        let dispatched = self.door.is_none() && self.running.dispatch().is_none_or(|dispatch| dispatch.is_running());
        self.pulses.as_deref().filter(|_| dispatched)
    }

    /// Tries again to give alerts their way to people.
    fn try_door(&mut self) {
        if let Some(opened) = opened(&mut self.door).now_or_never() {
            self.begin_to_dispatch(opened);
        }
        if let Some(waiting) = &mut self.door {
            waiting.try_again();
        }
    }

    fn begin_to_dispatch(&mut self, opened: Option<Dispatch>) {
        let Some(dispatch) = opened else { return };
        if let Some(waiting) = self.door.take() {
            waiting.door.pass_on(&dispatch, waiting.is_earlier);
        }
        self.running.set_dispatch(Some(Arc::new(dispatch)));
        tracing::info!("alerts are dispatched now");
    }

    /// Says whether people can be told of alerts.
    fn look_after_health(&mut self) {
        let mut complaints = self.running.dispatch().map(|dispatch| dispatch.complaints()).unwrap_or_default();
        complaints.extend(self.trouble.clone());
        complaints.extend(self.running.store().trouble().map(str::to_owned));
        let wait = self.door.as_ref().map(|waiting| waiting.why.clone());
        complaints.extend(wait.as_ref().map(|why| format!("alerts wait: {why}")));
        self.running.set_alerts_wait(wait);
        if !complaints.is_empty() {
            self.metrics.health.unhealthy(complaints.join("; "));
        } else if self.is_unwell {
            self.metrics.health.healthy();
        }
        self.is_unwell = !complaints.is_empty();
    }

    /// Hands on what rules wrote. It is there for queries already, so that nothing waits for who else wants it.
    fn offer(&mut self, batch: Batch, lost: &Arc<CountLost>) {
        let Ok(ack) = self.outlet.try_ack(lost.clone(), batch.count() as u64, false) else { return };
        match self.outlet.offer(Message::new(batch, ack)) {
            Ok(()) | Err(NotNow::Closed | NotNow::Gone(_)) => {}
        }
    }
}

/// Does what blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TaskError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| TaskError(error.to_string()))
}

#[cfg(test)]
mod tests;
