//! Faults: the process is killed at any moment, also within a write, with requests that nobody answered; power fails;
//! receivers refuse, hang and forget to answer. Time is virtual. The receiver keeps incidents as PagerDuty does: a trigger
//! opens one unless one of its key is open, a resolve closes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::paging;
use crate::alerting::dispatch::testing::alert;
use crate::alerting::dispatch::{Fingerprint, Kept};
use crate::alerting::outbox::Attempt;
use crate::alerting::paging::core::{Core, Step};
use crate::alerting::paging::keeper::{KIND, Keeper, Work};
use crate::alerting::paging::{Paging, Receivers};
use crate::alerting::sending::Target;
use crate::alerting::silence::Silences;
use crate::alerting::{Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::data::UnixMillis;
use crate::delivery::journal::Place;
use crate::delivery::simulated_disk::{SimulatedDisk, Stop};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// How often rules are evaluated.
const EVERY: i64 = 30 * SECOND;

/// How long rules speak of what is over.
const SPEAK_OF_OVER: i64 = 15 * MINUTE;

const ALERTS: usize = 8;

/// Writes a page an alert; its body is a number of its own.
#[derive(Default)]
struct Pager {
    written: Mutex<Vec<(String, PageKind)>>,
}

impl Notifier for Pager {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn target(&self) -> Target {
        Target::of("pagerduty", [])
    }

    fn send_resolved(&self) -> bool {
        true
    }

    fn keeps_open(&self) -> bool {
        true
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        let mut written = self.written.lock().expect("whole");
        let pages = notification.alerts.iter().map(|alert| {
            let kind = if alert.is_resolved(notification.now) { PageKind::Resolve } else { PageKind::Trigger };
            let key = Fingerprint::of(&alert.labels).to_string();
            written.push((key.clone(), kind));
            Page { key, kind, about: String::new(), body: Bytes::from(format!("{:08}", written.len() - 1)) }
        });
        Ok(pages.collect())
    }

    fn send<'a>(&'a self, _: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
        unreachable!("the test sends")
    }
}

/// The receiver, as it is without us.
#[derive(Default)]
struct Receiver {
    open: BTreeMap<String, u64>,
    /// How often an incident was opened, by key and by the time since which its alert fires.
    opened: HashMap<(String, i64), u32>,
}

/// What is true of an alert: since when it fires, or since when it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Fires(i64),
    Over(i64, i64),
}

/// A request under way.
struct Request {
    attempt: Attempt,
    /// When the receiver acts on it, if it does.
    acts: Option<i64>,
    /// When the answer is there, or the time is up.
    answered: i64,
    answer: Result<(), Refusal>,
}

struct World {
    seed: u64,
    random: fastrand::Rng,
    disk: SimulatedDisk,
    pager: Arc<Pager>,
    receiver: Receiver,
    truth: [Truth; ALERTS],
    now: i64,
    /// Whether everything works from now on.
    is_calm: bool,
    hangs_until: i64,
    /// First attempts of pages, by body.
    first: HashMap<Bytes, i64>,
    /// The number of the resolve of a key that was kept last.
    kept_resolves: HashMap<String, usize>,
    began: i64,
    attempts: usize,
}

fn key(index: usize) -> String {
    Fingerprint::of(&labels(index).iter().map(|(name, value)| (*name, value.as_str())).collect()).to_string()
}

fn labels(index: usize) -> [(&'static str, String); 2] {
    [("g", (index % 3).to_string()), ("i", index.to_string())]
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            random: fastrand::Rng::with_seed(seed),
            disk: SimulatedDisk::default(),
            pager: Arc::default(),
            receiver: Receiver::default(),
            truth: [Truth::Over(0, -2 * SPEAK_OF_OVER); ALERTS],
            now: HOUR,
            is_calm: false,
            hangs_until: 0,
            first: HashMap::new(),
            kept_resolves: HashMap::new(),
            began: 0,
            attempts: 0,
        }
    }

    fn place(&self) -> Place {
        let files = Arc::new(self.disk.clone());
        Place { files, folder: PathBuf::from("/alerting"), name: "pages".into(), kind: KIND }
    }

    /// What rules say of the alerts.
    fn evaluate(&mut self) -> Vec<Kept> {
        for truth in &mut self.truth {
            let changes = !self.is_calm && self.random.u8(..40) == 0;
            *truth = match *truth {
                Truth::Fires(since) if changes => Truth::Over(since, self.now),
                Truth::Over(..) if changes => Truth::Fires(self.now),
                same => same,
            };
        }
        let said = self.truth.iter().enumerate().filter_map(|(index, truth)| {
            let (starts, ends) = match *truth {
                Truth::Fires(since) => (since, self.now + 4 * EVERY),
                Truth::Over(since, at) if at + SPEAK_OF_OVER > self.now => (since, at),
                Truth::Over(..) => return None,
            };
            let labels = labels(index);
            let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Some(Kept::new(alert(&labels, starts, ends), false, UnixMillis(self.now)))
        });
        said.collect()
    }

    fn request(&mut self, attempt: Attempt) -> Request {
        let (page, at) = (&attempt.page, self.now);
        self.attempts += 1;
        let number: usize = std::str::from_utf8(&page.body).expect("text").parse().expect("a number");
        let seed = self.seed;
        if page.kind == PageKind::Trigger {
            let first = *self.first.entry(page.body.clone()).or_insert(at);
            assert!(
                first >= self.began || at - first < HOUR,
                "seed {seed}: an unanswered trigger was sent again after {} ms",
                at - first
            );
            let over = self.kept_resolves.get(&page.key);
            assert!(over.is_none_or(|resolve| *resolve < number), "seed {seed}: a trigger behind its kept resolve");
        }
        let slow = self.random.i64(0..5 * SECOND);
        let unanswered = |why: &str| Err(Refusal::ForNow { why: why.into(), after: None });
        let deadline = at + 30 * SECOND;
        let (acts, answered, answer) = match self.random.u8(..10) {
            _ if self.is_calm => (Some(at + slow), at + slow, Ok(())),
            _ if at < self.hangs_until && self.random.bool() => (None, deadline, unanswered("hangs")),
            _ if at < self.hangs_until => (Some(at + slow), deadline, unanswered("hangs")),
            0 => (None, at + slow, Err(Refusal::ForNow { why: "429".into(), after: Some(Duration::from_secs(40)) })),
            1 => (None, at + slow, unanswered("503")),
            2 => (Some(at + slow), deadline, unanswered("the answer was lost")),
            _ => (Some(at + slow), at + slow + self.random.i64(0..SECOND), Ok(())),
        };
        Request { attempt, acts, answered, answer }
    }

    /// The receiver acts on a page.
    fn act(&mut self, page: &Page) {
        match page.kind {
            PageKind::Trigger if !self.receiver.open.contains_key(&page.key) => {
                self.receiver.open.insert(page.key.clone(), 1);
                let index = (0..ALERTS).find(|index| key(*index) == page.key).expect("an alert");
                let (Truth::Fires(since) | Truth::Over(since, _)) = self.truth[index];
                let times = self.receiver.opened.entry((page.key.clone(), since)).or_default();
                *times += 1;
                assert!(*times == 1, "seed {}: the incident of alert {index} was opened twice", self.seed);
            }
            PageKind::Trigger | PageKind::Acknowledge => {}
            PageKind::Resolve => drop(self.receiver.open.remove(&page.key)),
        }
    }

    /// A life of the process; it ends when the disk is stopped or the time is up.
    fn live(&mut self, paging: &Paging, until: i64) {
        self.began = self.now;
        let receivers: Receivers = [("r".into(), vec![self.pager.clone() as Arc<dyn Notifier>])].into();
        let random = fastrand::Rng::with_seed(self.random.u64(..));
        let opened = Core::open(paging, receivers, &self.place(), random, UnixMillis(self.now));
        let Ok((mut core, mut keeper, complaints)) = opened else { return };
        assert!(complaints.len() < 2, "seed {}: {complaints:?}", self.seed);
        let (mut requests, mut evaluation) = (Vec::<Request>::new(), self.now);
        while self.now < until && !self.disk.is_stopped() {
            if evaluation <= self.now {
                let said = self.evaluate();
                core.put(said, UnixMillis(self.now));
                evaluation = self.now + EVERY;
            }
            let written = self.pager.written.lock().expect("whole").len();
            let step = core.step(&Silences::default(), UnixMillis(self.now));
            if !self.keep(&mut core, &mut keeper, &step) {
                break;
            }
            let pages = self.pager.written.lock().expect("whole").clone();
            for (number, (key, kind)) in pages.iter().enumerate().skip(written) {
                if *kind == PageKind::Resolve {
                    self.kept_resolves.insert(key.clone(), number);
                }
            }
            for attempt in step.attempts {
                let same = requests.iter().filter(|other| other.attempt.page.key == attempt.page.key).count();
                assert_eq!(same, 0, "seed {}: two pages of a key at once", self.seed);
                requests.push(self.request(attempt));
            }
            let mut next = core.next_due().0.min(evaluation).min(until);
            for request in &requests {
                next = next.min(request.acts.unwrap_or(i64::MAX)).min(request.answered);
            }
            self.now = next.max(self.now);
            self.pass(&mut core, &mut requests);
            if !self.is_calm && self.random.u16(..2000) == 0 {
                self.hangs_until = self.now + self.random.i64(0..2 * HOUR);
            }
        }
        // What is under way when the process ends arrives, or not.
        for request in requests {
            if request.acts.is_some() && (self.is_calm || self.random.bool()) {
                self.act(&request.attempt.page);
            }
        }
    }

    fn keep(&mut self, core: &mut Core, keeper: &mut Keeper, step: &Step) -> bool {
        let work = if keeper.wants_state() {
            Work::State(core.state())
        } else if step.records.is_empty() {
            return true;
        } else {
            Work::Records { records: step.records.clone(), is_durable: step.is_durable }
        };
        keeper.keep(work).is_ok()
    }

    /// Requests whose time has come are acted on and answered.
    fn pass(&mut self, core: &mut Core, requests: &mut Vec<Request>) {
        let now = self.now;
        for at in (0..requests.len()).rev() {
            if requests[at].acts.is_some_and(|acts| acts <= now) {
                requests[at].acts = None;
                let page = requests[at].attempt.page.clone();
                self.act(&page);
            }
            if requests[at].answered <= now {
                let request = requests.swap_remove(at);
                core.done(&request.attempt, request.answer, UnixMillis(now));
            }
        }
    }

    fn should_be_open(&self) -> BTreeSet<String> {
        let fires = |index: &usize| matches!(self.truth[*index], Truth::Fires(_));
        (0..ALERTS).filter(fires).map(key).collect()
    }
}

#[test]
fn no_incident_is_lost_opened_twice_or_left_open() {
    let mut attempts = 0;
    for seed in 0..120u64 {
        let mut world = World::new(seed);
        let mut paging = paging("30s", "1m");
        paging.outbox.concurrency = 2;
        for _ in 0..world.random.u8(2..8) {
            if world.random.u8(..4) > 0 {
                let random = fastrand::Rng::with_seed(world.random.u64(..));
                world.disk.stop_after(world.random.u64(2..200), random);
            }
            let until = world.now + world.random.i64(MINUTE..3 * HOUR);
            world.live(&paging, until);
            world.disk.restart(if world.random.u8(..4) > 0 { Stop::Kill } else { Stop::PowerCut });
            // Most processes come back at once, some are away for long.
            let away = if world.random.u8(..5) == 0 { 3 * HOUR } else { MINUTE };
            world.now += world.random.i64(0..away);
        }
        world.is_calm = true;
        world.live(&paging, world.now + 6 * HOUR);
        let open: BTreeSet<String> = world.receiver.open.keys().cloned().collect();
        assert_eq!(open, world.should_be_open(), "seed {seed}");
        attempts += world.attempts;
    }
    assert!(attempts > 5000, "{attempts}: the test has to do something");
}
