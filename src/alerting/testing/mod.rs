//! A world for rules to live in: clocks that a test sets, targets that are scraped every 15 seconds as the agent scrapes
//! them, a store in memory and a disk that can be stopped.

mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::alert::Alert;
use super::elsewhere::{Answers, Questions};
use super::engine::{Begun, Rules};
use super::moment::{Clock, Moment};
use super::results::{Row, Store};
use super::rule::Settings;
use super::rule_file::{Reading, RuleFile};
use super::status::AlertStatus;
use crate::data::labels::METRIC_NAME;
use crate::data::metrics::STALE;
use crate::data::{LabelSet, SeriesTable, UnixMillis, UnixNanos};
use crate::delivery::journal::Place;
use crate::delivery::simulated_disk::SimulatedDisk;
use crate::promql::{Annotations, EvalError, Evaluation, Point, Stop, Value, VectorSample};
pub use store::MemoryStore;

/// Where tests begin: 2026-11-23T00:00:00Z.
pub const START: u64 = 1_795_392_000;

/// Pause between two scrapes of a target.
const SCRAPE: u64 = 15;

const SECOND: u64 = 1_000_000_000;

/// How a target answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With its series.
    Whole,
    /// With nothing in it.
    Empty,
    /// Not at all.
    Fails,
}

/// A target.
#[derive(Clone, Debug)]
pub struct Target {
    pub instance: &'static str,
    pub answer: Answer,
    /// Its job.
    pub job: &'static str,
    /// The name of its series.
    pub name: &'static str,
    /// What other labels that has.
    pub labels: Vec<(&'static str, &'static str)>,
    /// The value of its series.
    pub x: f64,
    /// Whether the agent knows its series from the scrape before.
    shown: bool,
}

impl Target {
    fn series(&self, name: &str) -> Arc<[u8]> {
        let labels = self.labels.iter().copied().filter(|_| name == self.name);
        let all: Vec<_> = labels.chain([(METRIC_NAME, name), ("instance", self.instance), ("job", self.job)]).collect();
        encoded(&all)
    }
}

/// The world.
pub struct World {
    pub clock: TestClock,
    pub store: MemoryStore,
    pub rules: Rules,
    pub disk: SimulatedDisk,
    pub settings: Settings,
    pub targets: Vec<Target>,
    /// What was handed on, in its order.
    pub sent: Vec<Sent>,
    /// The start of the next round of scrapes on the monotonic clock; `None` while nobody scrapes.
    next_scrape: Option<u64>,
    /// How somebody else answers what reads back further than a day.
    pub remote: Remote,
    /// What he was asked and has not answered yet.
    pub open: Vec<Questions>,
    text: String,
}

/// Somebody else.
#[derive(Clone, Copy, Debug)]
pub enum Remote {
    /// He answers with a series of this instance, or none.
    Has(Option<&'static str>),
    /// He says that he cannot.
    Fails,
    /// He says nothing.
    Hangs,
}

impl Remote {
    fn answer(self, questions: &Questions) -> Option<Answers> {
        let of_instance = |instance: &str| VectorSample {
            labels: [("job", "job"), ("instance", instance)].into_iter().collect(),
            time: questions.at.0,
            point: Point::Float(1.0),
        };
        let answer = match self {
            Self::Hangs => return None,
            Self::Fails => Err(EvalError::Query("the remote fails".into())),
            Self::Has(instance) => Ok(Evaluation {
                value: Value::Vector(instance.map(of_instance).into_iter().collect()),
                annotations: Annotations::default(),
            }),
        };
        Some(questions.queries.iter().map(|query| (query.text().into(), answer.clone())).collect())
    }
}

/// An alert that was handed on.
pub struct Sent {
    /// Seconds since the start.
    pub at: u64,
    /// Whether it fired then.
    pub fires: bool,
    pub alert: Alert,
}

/// Clocks that stand until they are moved.
#[derive(Clone, Copy, Debug)]
pub struct TestClock(pub Moment);

impl Clock for TestClock {
    fn now(&self) -> Moment {
        self.0
    }
}

/// A series of a job `job`.
pub fn series(name: &str, instance: &str) -> Arc<[u8]> {
    encoded(&[(METRIC_NAME, name), ("instance", instance), ("job", "job")])
}

/// Labels as a store has them.
pub fn encoded(labels: &[(&str, &str)]) -> Arc<[u8]> {
    let mut encoded = Vec::new();
    labels.iter().copied().collect::<LabelSet>().encode(&mut encoded);
    encoded.into()
}

/// Rules of a file.
pub fn rule_file(text: &str) -> RuleFile {
    RuleFile::parse(Path::new("rules.yml"), text, Reading::default()).expect("a rule file")
}

impl World {
    /// One target `a`, whose `x` is 0, and rules, with an agent that has never run before.
    pub fn new(settings: Settings, rules: &str) -> Self {
        let start = Moment { wall: UnixNanos(START * SECOND), running: Duration::from_secs(1000) };
        let target = Target {
            instance: "a",
            answer: Answer::Whole,
            job: "job",
            name: "x",
            labels: Vec::new(),
            x: 0.0,
            shown: false,
        };
        let mut world = Self {
            clock: TestClock(start),
            store: MemoryStore::default(),
            rules: Rules::new(SeriesTable::new(10_000), Arc::default()).expect("metrics"),
            disk: SimulatedDisk::default(),
            settings,
            targets: vec![target],
            sent: Vec::new(),
            next_scrape: Some(start.running.as_secs() + 1),
            remote: Remote::Hangs,
            open: Vec::new(),
            text: rules.to_owned(),
        };
        world.start();
        world
    }

    /// Another process begins with what the journal has.
    pub fn start(&mut self) {
        self.rules = Rules::new(SeriesTable::new(10_000), Arc::default()).expect("metrics");
        let complaints = self.rules.restore(self.place());
        assert!(complaints.iter().all(|complaint| complaint.contains("not whole")), "{complaints:?}");
        self.load();
    }

    pub fn place(&self) -> Place {
        Place {
            files: Arc::new(self.disk.clone()),
            folder: PathBuf::from("/alerting"),
            name: "alerts".into(),
            kind: super::state::KIND,
        }
    }

    /// Loads other rules.
    pub fn reload(&mut self, text: &str) {
        self.text = text.to_owned();
        self.load();
    }

    fn load(&mut self) {
        self.rules.load(self.settings.clone(), &[rule_file(&self.text)], self.clock.0);
    }

    /// Nobody evaluates or scrapes for some time, as while the agent is away.
    pub fn away(&mut self, seconds: u64) {
        self.pass(seconds * SECOND);
        self.next_scrape = Some(self.clock.0.running.as_secs() + 3);
        self.targets.iter_mut().for_each(|target| target.shown = false);
        self.start();
    }

    /// Discovery drops a target.
    pub fn remove(&mut self, instance: &str) {
        let Some(found) = self.targets.iter().position(|target| target.instance == instance) else { return };
        let target = self.targets.remove(found);
        let mut ended = vec![Row::stale(target.series("up"))];
        if target.shown {
            ended.push(Row::stale(target.series(target.name)));
        }
        self.append(&ended);
    }

    /// Somebody sets the wall clock.
    pub fn step(&mut self, seconds: i64) {
        self.clock.0.wall = UnixNanos(self.clock.0.wall.0.wrapping_add_signed(seconds * SECOND as i64));
    }

    /// Nobody scrapes from now on.
    pub fn stop_scraping(&mut self) {
        self.next_scrape = None;
    }

    /// Lets time pass.
    pub fn run(&mut self, seconds: u64) {
        let end = self.clock.0.running + Duration::from_secs(seconds);
        loop {
            let scrape = self.next_scrape.map(Duration::from_secs);
            let next = scrape.into_iter().chain(self.rules.next_due()).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.pass(next.saturating_sub(self.clock.0.running).as_nanos() as u64);
            if scrape == Some(next) {
                self.scrape();
            }
            self.evaluate();
        }
        self.pass(end.saturating_sub(self.clock.0.running).as_nanos() as u64);
    }

    /// Evaluates what is due.
    pub fn evaluate(&mut self) {
        while let Some(begun) = self.rules.begin(&self.clock, &self.store) {
            let evaluated = match begun {
                Begun::Asks(questions) => {
                    self.open.push(questions);
                    self.answer();
                    continue;
                }
                Begun::Evaluation(evaluation) => {
                    self.rules.evaluate(evaluation, &self.clock, &self.store, &Stop::default())
                }
            };
            let (at, now) = (self.seconds(), UnixMillis::from(self.clock.0.wall));
            let sent = |alert: Alert| Sent { at, fires: !alert.is_resolved(now), alert };
            self.sent.extend(evaluated.alerts.into_iter().map(sent));
            self.answer();
        }
        let alerts = self.rules.alerts();
        let count = |is: &dyn Fn(&AlertStatus) -> bool| alerts.iter().filter(|alert| is(alert)).count() as i64;
        let firing = count(&|alert| alert.state == "firing");
        let counted = [alerts.len() as i64 - firing, firing, count(&|alert| alert.held_because.is_some())];
        assert_eq!(self.rules.metrics().alerts(), counted, "pending, firing and held");
    }

    /// Somebody else answers what he was asked, if he does.
    pub fn answer(&mut self) {
        let (remote, rules) = (self.remote, &self.rules);
        self.open.retain(|questions| match remote.answer(questions) {
            None => true,
            Some(answers) => {
                rules.answer(questions.ticket, answers);
                false
            }
        });
    }

    /// Seconds on the monotonic clock since the world began.
    pub fn seconds(&self) -> u64 {
        self.clock.0.running.as_secs() - 1000
    }

    /// Time passes, and nothing happens.
    pub fn pass(&mut self, nanos: u64) {
        self.clock.0.wall.0 += nanos;
        self.clock.0.running += Duration::from_nanos(nanos);
    }

    fn append(&self, rows: &[Row]) {
        let now = UnixMillis::from(self.clock.0.wall);
        self.store.append(now, rows, now);
    }

    /// A round of scrapes, as the source does it.
    fn scrape(&mut self) {
        let mut rows = Vec::new();
        for target in &mut self.targets {
            let up = if target.answer == Answer::Fails { 0.0 } else { 1.0 };
            let x = target.series(target.name);
            if target.answer == Answer::Whole {
                rows.push(Row { labels: x, point: Point::Float(target.x) });
            } else if target.shown {
                rows.push(Row { labels: x, point: Point::Float(STALE) });
            }
            target.shown = target.answer == Answer::Whole;
            rows.push(Row { labels: target.series("up"), point: Point::Float(up) });
        }
        self.append(&rows);
        self.next_scrape = self.next_scrape.map(|next| next + SCRAPE);
    }

    /// The alerts that are pending or fire, as `name{instance} state`, with ` held` behind those that are held.
    pub fn alerts(&self) -> Vec<String> {
        let mut alerts: Vec<String> = self.rules.alerts().iter().map(shown).collect();
        alerts.sort();
        alerts
    }

    /// What was handed on since the last call: seconds, name, instance, and whether it fires.
    pub fn said(&mut self) -> Vec<String> {
        let said = |Sent { at, fires, alert }: Sent| {
            let state = if fires { "firing" } else { "resolved" };
            format!("{at} {}{{{}}} {state}", alert.name(), alert.labels.get("instance"))
        };
        std::mem::take(&mut self.sent).into_iter().map(said).collect()
    }
}

fn shown(alert: &AlertStatus) -> String {
    let held = if alert.held_since.is_some() { " held" } else { "" };
    let labels = &alert.labels.0;
    format!("{}{{{}}} {}{held}", labels.get("alertname"), labels.get("instance"), alert.state)
}
