//! Reloads that reorder, remove, add and rename integrations while incidents are open, and journals of before that named
//! integrations by their places. Each target keeps incidents as PagerDuty does.

mod journal;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::*;
use crate::alerting::dispatch::Kept;
use crate::alerting::dispatch::testing::alert;
use crate::alerting::outbox::{Attempt, Event};
use crate::alerting::paging::Receivers;
use crate::alerting::paging::core::Core;
use crate::alerting::paging::keeper::{KIND, Keeper, Work};
use crate::alerting::sending::Target;
use crate::alerting::silence::Silences;
use crate::alerting::{Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::data::UnixMillis;
use crate::delivery::journal::Place;
use crate::delivery::simulated_disk::SimulatedDisk;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const ALERTS: usize = 4;

/// A service, by its key, which a file may change.
struct Service {
    key: Mutex<&'static str>,
}

impl Notifier for Service {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn target(&self) -> Target {
        Target::of("pagerduty", [*self.key.lock().expect("whole")])
    }

    fn send_resolved(&self) -> bool {
        true
    }

    fn keeps_open(&self) -> bool {
        true
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        let page = |alert: &crate::alerting::Alert| {
            let kind = if alert.is_resolved(notification.now) { PageKind::Resolve } else { PageKind::Trigger };
            Page {
                key: alert.labels.get("i").to_owned(),
                kind,
                about: alert.name().to_owned(),
                body: Bytes::from("page"),
            }
        };
        Ok(notification.alerts.iter().map(page).collect())
    }

    fn send<'a>(&'a self, _: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
        unreachable!("the test sends")
    }
}

/// Receivers as a configuration has them: one with these services, in this order.
fn receivers(name: &str, keys: &[&'static str]) -> Receivers {
    let service = |key: &&'static str| Arc::new(Service { key: Mutex::new(key) }) as Arc<dyn Notifier>;
    [(name.into(), keys.iter().map(service).collect())].into()
}

struct World {
    core: Core,
    keeper: Keeper,
    disk: SimulatedDisk,
    now: i64,
    /// Open incidents by target.
    open: BTreeMap<String, BTreeSet<String>>,
    /// What was triggered at a target at any time.
    triggered: BTreeSet<(String, String)>,
    events: Vec<Event>,
    /// Ends of what was open.
    resolves: usize,
    /// Ends of what a target was never told of. Only an alert that is over before its group is told makes one.
    strays: usize,
    /// Alerts that fired at any time: since when the last time, and until when.
    fired: BTreeMap<usize, (i64, Option<i64>)>,
}

fn place(disk: &SimulatedDisk) -> Place {
    Place { files: Arc::new(disk.clone()), folder: PathBuf::from("/alerting"), name: "pages".into(), kind: KIND }
}

fn open(disk: &SimulatedDisk, paging: &Paging, receivers: Receivers, now: i64) -> (Core, Keeper) {
    let random = fastrand::Rng::with_seed(3);
    let (core, keeper, complaints) =
        Core::open(paging, receivers, &place(disk), random, UnixMillis(now)).expect("a journal");
    assert_eq!(complaints, Vec::<String>::new());
    (core, keeper)
}

impl World {
    fn new(name: &str, keys: &[&'static str]) -> Self {
        let disk = SimulatedDisk::default();
        let now = 60 * MINUTE;
        let (core, keeper) = open(&disk, &paging_to(name, "0s", "30s"), receivers(name, keys), now);
        let (open, triggered) = (BTreeMap::new(), BTreeSet::new());
        Self {
            core,
            keeper,
            disk,
            now,
            open,
            triggered,
            events: Vec::new(),
            resolves: 0,
            strays: 0,
            fired: BTreeMap::new(),
        }
    }

    fn reload(&mut self, name: &str, keys: &[&'static str]) {
        self.core.reload(&paging_to(name, "0s", "30s"), receivers(name, keys), UnixMillis(self.now));
    }

    fn restart(&mut self, name: &str, keys: &[&'static str]) {
        (self.core, self.keeper) = open(&self.disk, &paging_to(name, "0s", "30s"), receivers(name, keys), self.now);
    }

    /// Rules say which alerts fire, and when those ended that do not.
    fn say(&mut self, fires: &[bool; ALERTS]) {
        let now = self.now;
        let mut said = Vec::new();
        for (index, fires) in fires.iter().enumerate() {
            let since = self.fired.get(&index).copied();
            let (starts, over) = match (since, fires) {
                (None, false) => continue,
                (None | Some((_, Some(_))), true) => (now, None),
                (Some((starts, None)), true) => (starts, None),
                (Some((starts, over)), false) => (starts, over.or(Some(now))),
            };
            self.fired.insert(index, (starts, over));
            let index = index.to_string();
            let labels = [("alertname", "Down"), ("g", "g"), ("i", index.as_str())];
            let ends = over.unwrap_or(now + 10 * MINUTE);
            said.push(Kept::new(alert(&labels, starts, ends), false, UnixMillis(now)));
        }
        self.core.put(said, UnixMillis(now));
    }

    fn step(&mut self) -> Vec<Attempt> {
        let step = self.core.step(&Silences::default(), UnixMillis(self.now));
        let work = if self.keeper.wants_state() || self.core.wants_state {
            Work::State(self.core.state())
        } else {
            Work::Records { records: step.records, is_durable: step.is_durable }
        };
        self.keeper.keep(work).expect("a disk");
        self.events.extend(step.events);
        step.attempts
    }

    fn target_of(&self, attempt: &Attempt) -> String {
        self.core.notifier(&attempt.lane).expect("a way").target().to_string()
    }

    /// A target has a page.
    fn arrive(&mut self, target: &str, page: &Page) {
        let (target, key) = (target.to_owned(), page.key.clone());
        match page.kind {
            PageKind::Trigger => {
                self.triggered.insert((target.clone(), key.clone()));
                self.open.entry(target).or_default().insert(key);
            }
            PageKind::Resolve => {
                self.strays += usize::from(!self.triggered.contains(&(target.clone(), key.clone())));
                self.resolves += usize::from(self.open.entry(target).or_default().remove(&key));
            }
            PageKind::Acknowledge => {}
        }
    }

    /// Sends what is due and has it answered; some of it is refused for now.
    fn send(&mut self, refuse: &mut dyn FnMut() -> bool) {
        for attempt in self.step() {
            if refuse() {
                let refusal = Refusal::ForNow { why: "503".into(), after: None };
                self.core.done(&attempt, Err(refusal), UnixMillis(self.now));
                continue;
            }
            let target = self.target_of(&attempt);
            self.arrive(&target, &attempt.page);
            self.core.done(&attempt, Ok(()), UnixMillis(self.now));
        }
    }

    /// Everything works for some time.
    fn calm(&mut self, fires: &[bool; ALERTS]) {
        for _ in 0..40 {
            self.say(fires);
            self.send(&mut || false);
            self.now += 15 * SECOND;
        }
    }

    fn open_at(&self, key: &str) -> BTreeSet<String> {
        self.open.get(&Target::of("pagerduty", [key]).to_string()).cloned().unwrap_or_default()
    }

    fn left_open(&self) -> Vec<String> {
        let told = |event: &Event| match event {
            Event::LeftOpen { lane, about } => Some(format!("{about} at {} by {}", lane.receiver, lane.kind())),
            _ => None,
        };
        self.events.iter().filter_map(told).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.fired.len() < 2 {
            assert_eq!(self.strays, 0, "the end of what it was never told of");
        }
    }
}

#[test]
fn rules_that_are_evaluated_rarely_have_time_to_speak_of_what_was_told_before_a_restart() {
    let mut world = World::new("r", &["a"]);
    world.calm(&FIRST);
    let mut paging = paging_to("r", "0s", "30s");
    // Four intervals of five minutes.
    paging.limits.grace = Duration::from_secs(20 * 60);
    (world.core, world.keeper) = open(&world.disk, &paging, receivers("r", &["a"]), world.now);
    let complaints =
        |world: &World, minutes: i64| world.core.complaints(UnixMillis(world.now + minutes * MINUTE)).len();
    assert_eq!([1, 6, 7].map(|minutes| complaints(&world, minutes)), [0, 0, 1]);
    world.core.shift(60 * MINUTE, UnixMillis(world.now + 60 * MINUTE));
    assert_eq!([61, 66, 67].map(|minutes| complaints(&world, minutes)), [0, 0, 1], "however the clock is set");
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

const FIRST: [bool; ALERTS] = [true, false, false, false];
const NONE: [bool; ALERTS] = [false; ALERTS];

#[test]
fn an_incident_ends_where_it_began_whatever_a_reload_does_to_the_order() {
    let mut world = World::new("r", &["a", "b"]);
    world.calm(&FIRST);
    assert_eq!((world.open_at("a"), world.open_at("b")), (set(&["0"]), set(&["0"])));
    world.reload("r", &["b", "a"]);
    world.calm(&FIRST);
    assert_eq!((world.open_at("a"), world.open_at("b"), world.resolves), (set(&["0"]), set(&["0"]), 0));
    world.calm(&NONE);
    assert_eq!((world.open_at("a"), world.open_at("b"), world.resolves), (set(&[]), set(&[]), 2));
}

#[test]
fn an_integration_that_is_removed_ends_what_it_began_and_one_that_is_added_begins_it() {
    let mut world = World::new("r", &["a", "b"]);
    world.calm(&FIRST);
    world.reload("r", &["b", "c"]);
    world.send(&mut || false);
    assert_eq!((world.open_at("a"), world.open_at("b")), (set(&[]), set(&["0"])), "at once");
    world.calm(&FIRST);
    assert_eq!((world.open_at("b"), world.open_at("c")), (set(&["0"]), set(&["0"])));
    assert!(world.core.retired.is_empty() && world.left_open().is_empty());
}

#[test]
fn what_a_removed_integration_owes_is_tried_for_a_while_and_then_told() {
    let mut world = World::new("r", &["a", "b"]);
    world.calm(&FIRST);
    world.reload("r", &["b"]);
    let to_a =
        |world: &World, attempt: &Attempt| world.target_of(attempt) == Target::of("pagerduty", ["a"]).to_string();
    let (began, mut tried) = (world.now, 0);
    while world.now < began + 25 * 60 * MINUTE {
        world.say(&FIRST);
        for attempt in world.step() {
            let refused = to_a(&world, &attempt);
            tried += usize::from(refused);
            let result = if refused { Err(Refusal::ForNow { why: "503".into(), after: None }) } else { Ok(()) };
            world.core.done(&attempt, result, UnixMillis(world.now));
        }
        world.now += MINUTE;
    }
    assert!(tried > 100, "{tried}");
    let given_up =
        |event: &Event| matches!(event, Event::GivenUp { about, kind: PageKind::Resolve, .. } if about == "Down");
    assert_eq!(world.events.iter().filter(|event| given_up(event)).count(), 1);
    assert!(world.core.retired.is_empty());
}

#[test]
fn an_acknowledgement_that_is_given_up_tells_of_nothing_anew() {
    let mut world = World::new("r", &["a"]);
    world.calm(&FIRST);
    let lane = world.core.ways.keys().next().expect("a way").clone();
    let kind = PageKind::Acknowledge;
    let page = Page { key: "0".into(), kind, about: "Down".into(), body: Bytes::from("page") };
    let origin = "{}:{g=\"g\"}".into();
    world.core.outbox.put(&lane, &origin, vec![page], false, UnixMillis(world.now)).expect("room");
    assert_eq!(world.step().len(), 1, "it is under way when the process ends");
    world.now += 61 * MINUTE;
    world.restart("r", &["a"]);
    for _ in 0..10 {
        world.say(&FIRST);
        assert_eq!(world.step().iter().map(|attempt| attempt.page.kind).collect::<Vec<_>>(), []);
        world.now += 15 * SECOND;
    }
}

#[test]
fn another_name_of_a_receiver_changes_nothing_at_its_service() {
    let mut world = World::new("r", &["a"]);
    world.calm(&FIRST);
    let before = world.triggered.len();
    world.reload("s", &["a"]);
    world.calm(&FIRST);
    assert_eq!((world.open_at("a"), world.resolves, world.triggered.len()), (set(&["0"]), 0, before));
    world.calm(&NONE);
    assert_eq!((world.open_at("a"), world.resolves), (set(&[]), 1));
}

#[test]
fn a_page_that_is_under_way_while_its_receiver_is_renamed_comes_before_its_end() {
    let mut world = World::new("r", &["a"]);
    world.say(&FIRST);
    let attempts = world.step();
    assert_eq!(attempts.len(), 1);
    world.reload("s", &["a"]);
    world.say(&NONE);
    world.now += MINUTE;
    assert_eq!(world.step().len(), 0, "its trigger is under way");
    world.core.done(&attempts[0], Ok(()), UnixMillis(world.now));
    let ends = world.step();
    assert_eq!(ends.iter().map(|end| end.page.kind).collect::<Vec<_>>(), [PageKind::Resolve]);
}

#[test]
fn what_needs_a_secret_that_is_gone_is_told_and_sent_to_nobody() {
    // Its file has another key now, which only the notifier itself knows.
    let service = Arc::new(Service { key: Mutex::new("a") });
    let mut world = World::new("r", &[]);
    let notifiers: Vec<Arc<dyn Notifier>> = vec![service.clone()];
    world.core.reload(&paging_to("r", "0s", "30s"), [("r".into(), notifiers)].into(), UnixMillis(world.now));
    world.calm(&FIRST);
    assert_eq!(world.open_at("a"), set(&["0"]));
    *service.key.lock().expect("whole") = "b";
    world.reload("r", &["b"]);
    world.calm(&NONE);
    assert_eq!((world.open_at("a"), world.resolves), (set(&["0"]), 0));
    assert_eq!(world.left_open(), ["Down at r by pagerduty"]);
    // Nor does another process know the way.
    let mut world = World::new("r", &["a"]);
    world.calm(&FIRST);
    world.restart("r", &["b"]);
    world.calm(&NONE);
    assert_eq!((world.open_at("a"), world.resolves), (set(&["0"]), 0));
    assert_eq!(world.left_open(), ["Down at r by pagerduty"]);
}

#[test]
fn what_is_held_back_is_told_in_words() {
    let disk = SimulatedDisk::default();
    let (to, now) = (paging_to("r", "0s", "30s"), UnixMillis(60 * MINUTE));
    let fires = || Kept::new(alert(&[("g", "x"), ("i", "a")], now.0, now.0 + 10 * MINUTE), false, now);
    let (mut core, mut keeper) = open(&disk, &to, receivers("r", &["one"]), now.0);
    core.put([fires()], now);
    let step = core.step(&Silences::default(), now);
    keeper.keep(Work::Records { records: step.records, is_durable: true }).expect("kept");
    let waits = "pages that wait for r (pagerduty): 1, the oldest since 1970-01-01T01:00:00.000Z";
    assert_eq!(core.held_back(now), [waits]);
    core.done(&step.attempts[0], Ok(()), now);
    let step = core.step(&Silences::default(), now);
    keeper.keep(Work::Records { records: step.records, is_durable: true }).expect("kept");
    assert_eq!((core.held_back(now), core.complaints(now)), (Vec::new(), Vec::new()));

    let (mut core, _) = open(&disk, &to, receivers("r", &["one"]), now.0);
    let told = core.held_back(now);
    assert!(told[0].starts_with("1 alert was told before the restart") && told.len() == 1, "{told:?}");
    assert_eq!(core.complaints(now), Vec::<String>::new(), "rules have a moment");
    let later = UnixMillis(now.0 + 2 * MINUTE);
    assert_eq!(core.complaints(later), told, "which is over");
    core.put([fires()], later);
    assert_eq!((core.held_back(later), core.complaints(later)), (Vec::new(), Vec::new()));
}
