//! A group as it runs: its rules, one after the other at the times of its schedule, each of which reads what those before it
//! have written.
//!
//! Its state belongs to the one evaluation that has its [`Ticket`], which takes hold of it for what a rule has found and lets
//! go for the next query: whoever wants to see it, or loads other rules, never waits for that. He does for what is read on the
//! way: the inputs of alerts that are gone, and exemplars.

mod counted;
mod schedule;
mod slot;
mod walk;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::alert::Alert;
use super::elsewhere::Ticket;
use super::moment::{Clock, Steady, nanos};
use super::results::{Batches, Row, Store};
use super::rule::{Rule, Settings, Sight, Since};
use super::rule_file;
use crate::data::{MetricBatch, UnixMillis, UnixNanos};
use crate::promql::{Query, Stop};
pub(super) use counted::Counted;
pub(super) use schedule::{Schedule, Turn};
pub(super) use slot::Slots;
pub(super) use walk::End;

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    /// The file that it was read from, as Prometheus would name it.
    pub file: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// How often it is evaluated.
    pub interval: Duration,
    /// How far before the time of the evaluation its queries look, where it says so.
    pub query_offset: Option<Duration>,
    /// Most alerts or series of one rule; 0 for no limit.
    pub limit: usize,
    /// Its rules in their order.
    pub rules: Vec<Rule>,
    /// Series of rules that it had once; they end with its next evaluation, unless another rule writes them.
    pub retired: Vec<Arc<[u8]>>,
    /// The evaluation that may change it.
    pub evaluation: Option<Ticket>,
    /// When it was evaluated last from its first rule to its last one, in this process or one before.
    pub evaluated: Option<Since>,
    /// When its alerts were forced to the disk last.
    pub forced: Option<Steady>,
    /// How its evaluations went.
    pub tally: Tally,
    /// Its alerts as the metrics have counted them.
    pub counted: Counted,
}

/// How the evaluations of a group went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// When the last one began.
    pub at: Option<UnixNanos>,
    /// How long it took.
    pub took: Duration,
    /// Times of evaluation that came, whether it was evaluated then or not.
    pub iterations: u64,
    /// Those at which it was not evaluated, because an evaluation before took too long.
    pub missed: u64,
    /// Evaluations of its rules.
    pub evaluations: u64,
    /// Those that failed.
    pub failures: u64,
    /// Rows that its last evaluation wrote.
    pub rows: usize,
}

/// What an evaluation of a group has made.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// What the rules have written, in their order.
    pub metrics: Vec<MetricBatch>,
    /// Alerts that are to be handed on.
    pub alerts: Vec<Alert>,
}

/// Queries of the recording rules by what they record.
pub(super) type Recorded = HashMap<Box<str>, Vec<Query>>;

/// What a group is evaluated with.
pub(super) struct Surroundings<'a> {
    pub clock: &'a dyn Clock,
    pub store: &'a dyn Store,
    pub settings: &'a Settings,
    pub batches: &'a Batches,
    pub recorded: &'a Recorded,
    /// By which the evaluation is ended before it is through.
    pub stop: &'a Stop,
    /// Until when the agent settles, and from when on samples are new.
    pub settling: Option<Settling>,
}

/// That the agent was away, or that the wall clock was stepped: for a while, that nothing is seen says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settling {
    /// What can be relied on until it is over.
    pub sight: Sight,
    /// The steady time at which it began.
    pub from: Steady,
    /// Whether it did so with a step of the wall clock.
    pub is_step: bool,
}

/// Every group has settled after this many of its intervals, and not sooner than a minute: a scrape has come by then.
const SETTLING_INTERVALS: u32 = 2;

impl Settling {
    pub fn at(self, now: Steady, interval: Duration) -> Option<Sight> {
        let enough = (interval * SETTLING_INTERVALS).max(Duration::from_mins(1));
        (now.since(self.from) < enough).then_some(self.sight)
    }

    /// How long ago the wall clock was stepped, if it was.
    pub fn stepped(self, now: Steady) -> Option<Duration> {
        self.is_step.then(|| now.since(self.from))
    }
}

impl Group {
    /// A group of a file.
    pub fn new(file: &str, written: &rule_file::Group, settings: &Settings) -> Self {
        Self {
            file: file.into(),
            name: written.name.clone(),
            interval: written.interval.unwrap_or(settings.interval),
            query_offset: written.query_offset,
            limit: written.limit,
            rules: written.rules.iter().map(Rule::new).collect(),
            retired: Vec::new(),
            evaluation: None,
            evaluated: None,
            forced: None,
            tally: Tally::default(),
            counted: Counted::default(),
        }
    }

    /// Its times, the next one behind now.
    pub fn schedule(&self, now: UnixNanos) -> Schedule {
        Schedule::new(Slots::new(&self.file, &self.name, self.interval), now)
    }

    /// Whether it does the same as another one.
    pub fn is_same(&self, other: &Self) -> bool {
        self.file == other.file
            && self.name == other.name
            && self.interval == other.interval
            && self.limit == other.limit
            && self.query_offset == other.query_offset
            && self.rules.len() == other.rules.len()
            && self.rules.iter().zip(&other.rules).all(|(a, b)| super::rule::is_same(&a.written, &b.written))
    }

    /// When another process evaluated it last, if its state is from there.
    pub fn resumed(&self) -> Option<UnixNanos> {
        self.rules.iter().filter_map(|rule| rule.resumed).max()
    }

    /// Queries of its rules that the store does not answer, each once.
    pub fn queries_elsewhere(&self, store: &dyn Store) -> Vec<Query> {
        let mut queries: Vec<Query> = Vec::new();
        for query in self.rules.iter().map(|rule| &rule.written.query).filter(|query| store.is_elsewhere(query)) {
            if queries.iter().all(|known| known.text() != query.text()) {
                queries.push(query.clone());
            }
        }
        queries
    }

    /// The time of the queries of an evaluation.
    pub fn query_at(&self, at: UnixNanos, settings: &Settings) -> UnixMillis {
        let offset = self.query_offset.unwrap_or(settings.query_offset);
        UnixMillis((at.0 as i64 - nanos(offset)).div_euclid(1_000_000))
    }

    /// The evaluation under way is not to change it any more, and nobody hears of what that has handed on: it is handed on
    /// once more.
    pub fn interrupt(&mut self) {
        self.evaluation = None;
        let alerts = self.rules.iter_mut().filter_map(|rule| rule.alerting.as_mut());
        alerts.flat_map(|alerting| alerting.alerts.values_mut()).for_each(|alert| alert.sent = alert.sent_journalled);
    }
}

/// A group as several have it: the evaluation under way, and whoever looks at it or loads other rules.
#[derive(Debug)]
pub(super) struct Shared(Mutex<Group>);

impl Shared {
    /// Shares a group.
    pub fn new(group: Group) -> Self {
        Self(Mutex::new(group))
    }

    /// Takes hold of it for a moment: never while the query of a rule is evaluated or a disk is waited for.
    pub fn hold(&self) -> MutexGuard<'_, Group> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes hold of it for an evaluation; `None` where that is not to change it any more.
    pub fn hold_for(&self, evaluation: Ticket) -> Option<MutexGuard<'_, Group>> {
        Some(self.hold()).filter(|group| group.evaluation == Some(evaluation))
    }

    /// Takes the state away from whoever else has it.
    pub fn take(&self) -> Group {
        let mut held = self.hold();
        let (file, name) = (held.file.clone(), held.name.clone());
        let nothing = Group {
            file,
            name,
            rules: Vec::new(),
            retired: Vec::new(),
            evaluation: None,
            counted: Counted::default(),
            ..*held
        };
        std::mem::replace(&mut *held, nothing)
    }
}

/// Ends series that no rule writes any more.
pub(super) fn end(
    series: Vec<Arc<[u8]>>,
    at: UnixMillis,
    now: UnixMillis,
    store: &dyn Store,
    batches: &Batches,
) -> Option<MetricBatch> {
    let rows: Vec<Row> = series.into_iter().map(Row::stale).collect();
    store.append(at, &rows, now);
    batches.batch(at, &rows, &mut Default::default())
}
