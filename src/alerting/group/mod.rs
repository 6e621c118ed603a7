//! A group as it runs: its rules, one after the other at the times of its slots, each of which reads what those before it
//! have written.

mod counted;
mod slot;

use std::collections::HashMap;
use std::time::Duration;

use super::alert::Alert;
use super::elsewhere::{Answered, Asked, Questions, Ticket};
use super::moment::{Clock, Moment, Steady, Timeline, nanos};
use super::results::{self, Batches, Row, Store};
use super::rule::{Evaluating, News, Rule, Settings, Sight, Since};
use super::rule_file;
use crate::data::{MetricBatch, UnixMillis, UnixNanos};
use crate::promql::Query;
pub(super) use counted::Counted;
pub(super) use slot::Slots;

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
    pub retired: Vec<Box<[u8]>>,
    /// When it is evaluated.
    pub slots: Slots,
    /// The next time.
    pub next: UnixNanos,
    /// What it has asked somebody else, until it is evaluated with the answers.
    pub asked: Option<Asked>,
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
pub struct Evaluated {
    /// What the rules have written, in their order: for `alerting.metrics`. The store has it already.
    pub metrics: Vec<MetricBatch>,
    /// Alerts that are to be handed on.
    pub alerts: Vec<Alert>,
    /// The group whose rules were evaluated, by its file and its name.
    pub group: Option<(Box<str>, Box<str>)>,
    /// What the group has to know first: nothing was evaluated, and it waits for [`super::Rules::answer`].
    pub asks: Option<Questions>,
}

/// What a group is evaluated with.
pub(super) struct Surroundings<'a> {
    pub clock: &'a dyn Clock,
    pub store: &'a dyn Store,
    pub settings: &'a Settings,
    pub batches: &'a Batches,
    pub recorded: &'a HashMap<Box<str>, Vec<Query>>,
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
}

/// Every group has settled after this many of its intervals, and not sooner than a minute: a scrape has come by then.
const SETTLING_INTERVALS: u32 = 2;

impl Settling {
    fn at(self, now: Steady, interval: Duration) -> Option<Sight> {
        let enough = (interval * SETTLING_INTERVALS).max(Duration::from_mins(1));
        (now.since(self.from) < enough).then_some(self.sight)
    }
}

impl Group {
    /// A group of a file, evaluated from its next slot on.
    pub fn new(file: &str, written: &rule_file::Group, settings: &Settings, now: UnixNanos) -> Self {
        let interval = written.interval.unwrap_or(settings.interval);
        let slots = Slots::new(file, &written.name, interval);
        Self {
            file: file.into(),
            name: written.name.clone(),
            interval,
            query_offset: written.query_offset,
            limit: written.limit,
            rules: written.rules.iter().map(Rule::new).collect(),
            retired: Vec::new(),
            slots,
            next: slots.after(slots.before(now)),
            asked: None,
            forced: None,
            tally: Tally::default(),
            counted: Counted::default(),
        }
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

    /// The wall clock was stepped: the next slot is the next one of the new time.
    pub fn follow_step(&mut self, now: UnixNanos) {
        // An answer is of a time that may be ahead now.
        self.asked = None;
        let next = self.slots.after(self.slots.before(now));
        if self.next > next || self.slots.between(self.next, now) > 0 {
            self.next = next;
        }
        self.rules.iter_mut().for_each(|rule| rule.resumed = None);
    }

    /// Its state is that of another process, which may have ended within the evaluation of the last slot: nobody heard of
    /// that one, so it is made up for.
    pub fn resume(&mut self, now: UnixNanos) {
        let last = self.slots.before(now);
        let before = self.rules.iter().filter_map(|rule| rule.resumed).max();
        if before.is_some_and(|before| before < last && last.since(before) <= self.interval) {
            self.next = last;
        }
    }

    /// When something is to be done with it; `None` while it waits for answers.
    pub fn due(&self) -> Option<UnixNanos> {
        match &self.asked {
            None => Some(self.next),
            Some(Asked { answers: None, .. }) => None,
            Some(Asked { at, .. }) => Some(*at),
        }
    }

    /// Evaluates the group at its last slot that is not later than now, or has it ask under `ticket` first what it has to
    /// know for that; where it has the answers, evaluates it at the slot for which it asked.
    pub fn evaluate(
        &mut self,
        now: Moment,
        ticket: Ticket,
        timeline: &Timeline,
        around: &Surroundings<'_>,
    ) -> Evaluated {
        let asked = self.asked.take().or_else(|| {
            let at = self.take_slot(now);
            Some(Asked { ticket, at, began: now, answers: None })
        });
        let Some(Asked { at, began, answers, .. }) = asked else { return Evaluated::default() };
        let queries = self.queries_elsewhere(around.store);
        let evaluated = match answers {
            None if !queries.is_empty() => {
                self.asked = Some(Asked { ticket, at, began, answers: None });
                let (at, limits) = (self.query_at(at, around.settings), around.settings.limits.clone());
                return Evaluated { asks: Some(Questions { ticket, at, queries, limits }), ..Evaluated::default() };
            }
            None => self.evaluate_at(at, timeline.steady(at), around),
            Some(answers) => {
                let store = Answered { store: around.store, answers: &answers };
                self.evaluate_at(at, timeline.steady(at), &Surroundings { store: &store, ..*around })
            }
        };
        self.tally.at = Some(began.wall);
        self.tally.took = around.clock.now().running.saturating_sub(began.running);
        evaluated
    }

    /// The last slot that is not later than now. Slots before it are missed.
    fn take_slot(&mut self, now: Moment) -> UnixNanos {
        // A clock that is slewed may be a bit behind the one that said that it is time.
        let missed = self.slots.between(self.next, now.wall);
        let at = UnixNanos(self.next.0 + missed * nanos(self.interval) as u64);
        self.tally.missed += missed;
        self.tally.iterations += missed + 1;
        self.next = self.slots.after(at);
        at
    }

    /// Queries of its rules that the store does not answer, each once.
    fn queries_elsewhere(&self, store: &dyn Store) -> Vec<Query> {
        let mut queries: Vec<Query> = Vec::new();
        for query in self.rules.iter().map(|rule| &rule.written.query).filter(|query| store.is_elsewhere(query)) {
            if queries.iter().all(|known| known.text() != query.text()) {
                queries.push(query.clone());
            }
        }
        queries
    }

    /// When it was evaluated last, in this process or one before.
    pub fn evaluated(&self) -> Option<Since> {
        self.rules.iter().filter_map(|rule| rule.evaluated).max_by_key(|at| at.steady)
    }

    /// The time of the queries of an evaluation.
    pub fn query_at(&self, at: UnixNanos, settings: &Settings) -> UnixMillis {
        let offset = self.query_offset.unwrap_or(settings.query_offset);
        UnixMillis((at.0 as i64 - nanos(offset)).div_euclid(1_000_000))
    }

    /// Evaluates the group at a time.
    pub fn evaluate_at(&mut self, at: UnixNanos, steady: Steady, around: &Surroundings<'_>) -> Evaluated {
        let cx = Evaluating {
            at,
            steady,
            query_at: self.query_at(at, around.settings),
            interval: self.interval,
            limit: self.limit,
            store: around.store,
            settings: around.settings,
            recorded: around.recorded,
            settling: around.settling.and_then(|settling| settling.at(steady, self.interval)),
        };
        let mut evaluated = Evaluated::default();
        self.tally.rows = 0;
        for rule in &mut self.rules {
            let began = around.clock.now();
            let failed = rule.run(&cx, began.wall.into(), around.batches, &mut evaluated);
            self.tally.evaluations += 1;
            self.tally.failures += u64::from(failed);
            self.tally.rows += rule.outcome.rows;
            rule.outcome.at = Some(began.wall);
            rule.outcome.took = around.clock.now().running.saturating_sub(began.running);
        }
        evaluated
    }
}

impl Rule {
    /// Evaluates the rule, hands on what it makes and ends what it does not write any more. Returns whether it failed.
    fn run(&mut self, cx: &Evaluating<'_>, began: UnixMillis, batches: &Batches, out: &mut Evaluated) -> bool {
        let mut rows = Vec::new();
        let result = self.evaluate(cx, &mut rows);
        self.due(cx, result.is_err(), &mut out.alerts);
        self.outcome.error = result.err().map(|error| error.to_string());
        self.outcome.rows = rows.len();
        if self.outcome.error.is_some() {
            self.tell();
            return true;
        }
        // As one, so that nobody sees an alert in two states.
        rows.extend(self.series.follow(&rows));
        let refused = cx.store.append(cx.query_at, &rows, began);
        out.metrics.extend(batches.batch(cx.query_at, &rows, &mut self.series));
        self.outcome.error = refused.first().map(|(why, _)| results::words(*why).to_owned());
        self.tell();
        // Prometheus tells the rule's health by it, and does not count it as a failure.
        false
    }
}

impl Rule {
    /// Tells in the log what is news of a rule that fails.
    fn tell(&mut self) {
        let (name, error) = (self.written.name(), self.outcome.error.as_deref());
        match self.failing.follow(error) {
            Some(News::Fails) => {
                let (times, error) = (self.failing.times, error.unwrap_or_default());
                tracing::warn!(times, "the rule `{name}` fails: {error}");
            }
            Some(News::Over(times)) => tracing::info!(times, "the rule `{name}` does not fail any more"),
            None => {}
        }
    }
}

/// Ends series that no rule writes any more.
pub(super) fn end(
    series: Vec<Box<[u8]>>,
    at: UnixMillis,
    now: UnixMillis,
    store: &dyn Store,
    batches: &Batches,
) -> Option<MetricBatch> {
    let rows: Vec<Row> = series.into_iter().map(Row::stale).collect();
    store.append(at, &rows, now);
    batches.batch(at, &rows, &mut Default::default())
}
