//! All rules of the agent: when which group is due, what its evaluation makes, and what of it survives a restart.
//!
//! Whoever drives it sleeps until [`Rules::next_due`] and calls [`Rules::evaluate`] until nothing is due; both take the time
//! as it is told. Evaluating reads the journal's disk and computes: it belongs where blocking is allowed.

mod metrics;
mod reload;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::elsewhere::{Answers, Ticket};
use super::group::{self, Evaluated, Group, Settling, Surroundings};
use super::missing_input::MissingInput;
use super::moment::{Clock, Moment, Timeline};
use super::results::{Batches, Store};
use super::rule::{Failing, News, Rule, Settings, Sight};
use super::rule_file::Kind;
use super::state::{self, Found};
use super::status::{self, AlertStatus, GroupStatus};
use crate::data::{MetricBatch, Resource, SeriesTable, UnixMillis};
use crate::delivery::journal::{Journal, Place, Restored};
use crate::promql::Query;
pub use metrics::RuleMetrics;

/// A rule that has failed so often in a row is in trouble.
const FAILS: u64 = 3;

/// A step of the wall clock by less than this hides nothing from a query.
const STEP: i64 = 60 * 1_000_000_000;

/// The rules.
#[derive(Debug)]
pub struct Rules {
    settings: Settings,
    batches: Batches,
    groups: Vec<Group>,
    recorded: HashMap<Box<str>, Vec<Query>>,
    /// There once rules were loaded.
    timeline: Option<Timeline>,
    settling: Option<Settling>,
    /// How often a group has asked somebody else.
    asked: u64,
    /// Groups that are no more.
    leaving: Vec<Leaving>,
    memory: Memory,
    /// How writing the journal goes.
    journalling: Failing,
    metrics: RuleMetrics,
}

/// What survives a restart.
#[derive(Debug)]
enum Memory {
    /// Nothing.
    None,
    /// What an earlier process left, until rules are loaded.
    Left(Place, Found),
    /// What an earlier process left could not be read, if it left something: it is given up as soon as it can be.
    Unread(Place),
    /// A generation is to be begun behind another one.
    Closed(Place, Restored),
    /// The journal; with `is_current`, it knows the rules as they are loaded.
    Open { journal: Journal, is_current: bool },
}

/// A group that is no more: its series end once whoever has them under another name has had the time to write them.
#[derive(Debug)]
struct Leaving {
    due: Duration,
    at: UnixMillis,
    series: Vec<Box<[u8]>>,
}

impl Rules {
    /// No rules yet. Batches name their series in `table`.
    ///
    /// # Errors
    /// Never: the names of its metrics are constants that a test registers.
    pub fn new(table: Arc<SeriesTable>, resource: Arc<Resource>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            settings: Settings::default(),
            batches: Batches { table, resource },
            groups: Vec::new(),
            recorded: HashMap::new(),
            timeline: None,
            settling: None,
            asked: 0,
            leaving: Vec::new(),
            memory: Memory::None,
            journalling: Failing::default(),
            metrics: RuleMetrics::new()?,
        })
    }

    /// Their metrics.
    pub fn metrics(&self) -> &RuleMetrics {
        &self.metrics
    }

    /// Reads what an earlier process left, and keeps the state of alerts there from the first load on. Returns what is to be
    /// told. Where the disk does not have it alerts begin without, and are written down with the first evaluation that can.
    pub fn restore(&mut self, place: Place) -> Vec<String> {
        match state::restore(&place) {
            Ok(mut found) => {
                let complaints = std::mem::take(&mut found.complaints);
                self.memory = Memory::Left(place, found);
                complaints
            }
            Err(error) => {
                self.memory = Memory::Unread(place);
                self.follow_journal(Err(error));
                Vec::new()
            }
        }
    }

    /// What the monotonic clock says when something is to be done next; `None` where nothing is.
    pub fn next_due(&self) -> Option<Duration> {
        let timeline = self.timeline.as_ref()?;
        let groups = self.groups.iter().filter_map(Group::due).map(|due| timeline.running(due));
        groups.chain(self.leaving.iter().map(|leaving| leaving.due)).min()
    }

    /// Groups by file and name, each with when it is due; one that waits for an answer is not.
    pub fn due(&self) -> impl Iterator<Item = (&str, &str, Option<Duration>)> {
        let running = |at| self.timeline.as_ref().map(|timeline| timeline.running(at));
        self.groups.iter().map(move |group| (&*group.file, &*group.name, group.due().and_then(running)))
    }

    /// Evaluates the group that has been due for the longest; `None` where nothing is due. What it says is journalled when
    /// this returns. A group that has to know first what somebody else answers asks for that, and waits.
    pub fn evaluate(&mut self, clock: &dyn Clock, store: &dyn Store) -> Option<Evaluated> {
        let now = clock.now();
        self.follow_clock(now);
        if let Some(leaving) = self.leaving.iter().position(|leaving| leaving.due <= now.running) {
            let Leaving { at, series, .. } = self.leaving.swap_remove(leaving);
            let metrics = self.end(series, at, now, store);
            return Some(Evaluated { metrics: metrics.into_iter().collect(), ..Evaluated::default() });
        }
        let timeline = self.timeline?;
        let due = self.groups.iter().enumerate().filter_map(|(number, group)| Some((group.due()?, number))).min();
        let number = due.filter(|(due, _)| timeline.running(*due) <= now.running)?.1;
        self.asked += 1;
        let ticket = Ticket(self.asked);
        let around = Surroundings {
            clock,
            store,
            settings: &self.settings,
            batches: &self.batches,
            recorded: &self.recorded,
            settling: self.settling,
        };
        let group = &mut self.groups[number];
        let before = group.tally;
        let mut evaluated = group.evaluate(now, ticket, &timeline, &around);
        self.metrics.evaluated(group, before);
        if evaluated.asks.is_some() {
            return Some(evaluated);
        }
        evaluated.group = Some((group.file.clone(), group.name.clone()));
        if !group.retired.is_empty() {
            let retired = std::mem::take(&mut group.retired);
            let at = group.evaluated().map_or(now.wall, |at| at.wall);
            let at = group.query_at(at, &self.settings);
            evaluated.metrics.extend(self.end(retired, at, now, store));
        }
        self.journal(Some(number));
        self.metrics.count(&mut self.groups[number]);
        Some(evaluated)
    }

    /// What somebody else has answered: the group that asked is due. Where it does not wait for that any more, it is
    /// forgotten.
    pub fn answer(&mut self, ticket: Ticket, answers: Answers) {
        let asked = self.groups.iter_mut().filter_map(|group| group.asked.as_mut());
        if let Some(asked) = asked.into_iter().find(|asked| asked.ticket == ticket) {
            asked.answers = Some(answers);
        }
    }

    /// What is wrong with the rules, in words: those that fail again and again, and a journal that cannot be written.
    pub fn trouble(&self) -> Option<String> {
        let journal = (self.journalling.times > 0).then(|| {
            "the journal of alerts cannot be written, for a reason that the log tells; a restart would forget what changed"
                .to_owned()
        });
        let all: Vec<String> = self.failing().into_iter().chain(journal).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    fn failing(&self) -> Option<String> {
        let mut failing = self.rules().filter(|rule| rule.failing.times >= FAILS);
        let first = failing.next()?;
        let (name, error) = (first.name(), first.outcome.error.as_deref().unwrap_or_default());
        Some(match failing.count() {
            0 => format!("the rule `{name}` fails: {error}"),
            others => format!("{} rules fail; the first, `{name}`: {error}", others + 1),
        })
    }

    /// The groups, by file and name.
    pub fn groups(&self) -> Vec<GroupStatus> {
        let mut groups: Vec<_> = self.groups.iter().map(status::group).collect();
        groups.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        groups
    }

    /// The alerts that are pending or fire.
    pub fn alerts(&self) -> Vec<AlertStatus> {
        self.rules().flat_map(status::alerts).collect()
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }

    fn follow_clock(&mut self, now: Moment) {
        let Some(timeline) = &mut self.timeline else { return };
        let Some(step) = timeline.look(now) else { return };
        self.groups.iter_mut().for_each(|group| group.follow_step(now.wall));
        if step.abs() >= STEP {
            tracing::warn!("the wall clock was stepped by {} seconds", step / 1_000_000_000);
            self.settle(if step > 0 { Sight::After(now.wall) } else { Sight::Nothing }, now);
        }
    }

    /// For a while from now on, that nothing is seen says nothing.
    fn settle(&mut self, sight: Sight, now: Moment) {
        let Some(timeline) = &self.timeline else { return };
        if self.settings.missing_input == MissingInput::Hold {
            self.settling = Some(Settling { sight, from: timeline.steady(now.wall) });
        }
    }

    /// Ends series that no rule writes.
    fn end(&self, mut series: Vec<Box<[u8]>>, at: UnixMillis, now: Moment, store: &dyn Store) -> Option<MetricBatch> {
        series.retain(|series| !self.rules().any(|rule| rule.series.series.contains(series)));
        group::end(series, at, now.wall.into(), store, &self.batches)
    }

    /// Journals what the evaluation of a group has changed; without a group, that others are loaded.
    fn journal(&mut self, evaluated: Option<usize>) {
        if let Memory::Unread(place) = &self.memory {
            match state::restore(place) {
                Ok(Found { restored, .. }) => self.memory = Memory::Closed(place.clone(), restored),
                Err(error) => return self.follow_journal(Err(error)),
            }
        }
        let groups = &mut self.groups;
        let written = match (&mut self.memory, evaluated) {
            (Memory::None | Memory::Left(..) | Memory::Unread(_), _) => return,
            (Memory::Open { journal, is_current: true }, Some(number)) if !journal.is_long() => {
                state::follow(journal, number, &mut groups[number])
            }
            (Memory::Open { journal, is_current }, _) => {
                *is_current = false;
                let written = state::replace(journal, groups);
                *is_current = written.is_ok();
                written
            }
            (Memory::Closed(place, restored), _) => state::begin(place, restored, groups)
                .map(|journal| self.memory = Memory::Open { journal, is_current: true }),
        };
        self.follow_journal(written);
    }

    fn follow_journal(&mut self, written: io::Result<()>) {
        // Alerts go on. What was not written is written with the next generation, which is tried each time.
        self.metrics.journal_errors.inc_by(u64::from(written.is_err()));
        let error = written.err().map(|error| error.to_string());
        match (self.journalling.follow(error.as_deref()), error) {
            (Some(News::Over(times)), _) => tracing::info!(times, "the journal of alerts is written again"),
            (Some(News::Fails), Some(error)) => {
                tracing::error!(
                    "the journal of alerts cannot be written, so a restart would forget what changed: {error}"
                );
            }
            _ => {}
        }
    }

    /// Recording rules by what they record.
    fn learn_recorded(&mut self) {
        self.recorded.clear();
        for rule in self.groups.iter().flat_map(|group| &group.rules) {
            if let Kind::Record { name } = &rule.written.kind {
                self.recorded.entry(name.clone()).or_default().push(rule.written.query.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
