//! What becomes of an alert whose series is gone from the result of its rule.
//!
//! Prometheus takes that as the end of the alert, whatever the cause: when the scrape of a target fails, the alerts on what
//! it measured resolve. Under `hold` the cause is looked for. *Evidence of absence* ends the alert as in Prometheus:
//!
//! - the series that it read are there, so its condition does not hold any more;
//! - a successful scrape of their target does not have them any more;
//! - discovery has dropped their target, or whoever pushed them has ended them.
//!
//! *Lost evidence* says nothing about the condition, so the alert is *held*, in the state that it has, for `hold_for` at
//! most; if it is pending, that time is not part of its `for`. Evidence is lost where
//!
//! - the last scrape of the target failed (its `up` is 0), or is not told yet;
//! - the series, or the target's `up`, have had no sample for longer than a query looks back, and no staleness marker has
//!   ended them: nobody has scraped, since this agent or whoever pushes was away;
//! - nothing is known of them at all, after a restart;
//! - they were lost before, and a range has only one sample since: no rate can be computed from it yet;
//! - a range was read, and the scrapes behind its last sample failed, or none came since the agent was away;
//! - the wall clock was set back just now, and what the store has is of the time that it tells once more;
//! - the wall clock was set, and ranges that the rule reads reach back to before that;
//! - the rule could not be evaluated.
//!
//! How it is told: the selectors of the rule, narrowed to those labels of the alert that surely are their series' too, name
//! its inputs: both sides of a join, the other one by the labels by which it is found. Those whose loss can only begin an
//! alert, as behind `unless`, are not asked. In this agent a failed scrape ends the series of its target with staleness markers and says `up` 0 at the same time; a target
//! that discovery has dropped has its `up` ended with all others; a series that a successful scrape lacks ends while its
//! target's `up` is 1. So of an input that has ended or gone silent, the `up` of the same `job` and `instance` tells the
//! cause. Where an input is what a recording rule recorded, the inputs of that rule are asked instead. Where somebody else
//! evaluates the query, because it reads further back than the store goes, his answer is the evidence, and only that there
//! was none is a loss.
//!
//! The other way round, after a restart or a step of the clock an alert begins only if something was seen since: that
//! nothing is there yet is no `absent`. That lasts until a scrape has come, two intervals of the group and a minute at least.
//! After a step a rule that reads ranges begins none before they lie behind it, for an hour at most: what they count is not
//! all that was.

mod inputs;
mod targets;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

pub(super) use self::inputs::Inputs;
use self::inputs::{Answered, Question};
use self::targets::{Target, Up};
use super::results::Store;
use crate::data::UnixMillis;
use crate::data::labels::{LabelSet, Labels, METRIC_NAME};
use crate::data::metrics::is_stale;
use crate::promql::{Query, Selector};
use crate::series::{Columns, MatchOp, Matcher, Select, SelectError};

/// What becomes of an alert whose series is gone from the result of its rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingInput {
    /// It is held, for `hold_for` at most, where that says nothing of its condition: a scrape failed, the agent was away.
    /// Where the series is known to be gone, the alert ends.
    #[default]
    Hold,
    /// It ends, as in Prometheus.
    Prometheus,
}

/// Why an alert is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The last scrape of this job and instance failed.
    ScrapeFailed(Box<str>, Box<str>),
    /// This job and instance ended a series and has not told why yet.
    ScrapeNotTold(Box<str>, Box<str>),
    /// This series is silent.
    Silent(Box<str>),
    /// A range that was lost is not filled yet.
    Refilling(Box<str>),
    /// There is nothing of what the rule reads.
    Nothing,
    /// The agent was away.
    Away,
    /// The wall clock was set back.
    ClockSetBack,
    /// The wall clock was set, and ranges reach back to before that.
    ClockStepped,
    /// The rule could not be evaluated.
    Evaluation,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScrapeFailed(job, instance) => {
                write!(f, "the last scrape of instance {instance:?} of job {job:?} failed")
            }
            Self::ScrapeNotTold(job, instance) => {
                write!(f, "it is not told yet how the last scrape of instance {instance:?} of job {job:?} went")
            }
            Self::Silent(series) => write!(f, "{series} has no new samples, and nobody said that it ended"),
            Self::Refilling(series) => write!(f, "{series} has had only one sample since its samples were missing"),
            Self::Nothing => f.write_str("nothing of what the rule reads was seen since the agent started"),
            Self::Away => f.write_str("the agent was away"),
            Self::ClockSetBack => f.write_str("the clock was set back"),
            Self::ClockStepped => {
                f.write_str("the clock was set, and ranges that the rule reads reach back to before that")
            }
            Self::Evaluation => f.write_str("the rule could not be evaluated"),
        }
    }
}

/// Where evidence is looked for.
pub(super) struct Inquiry<'a> {
    /// The samples that rules read.
    pub store: &'a dyn Store,
    /// The time of the queries.
    pub at: UnixMillis,
    /// How far back a query looks for a sample.
    pub lookback: Duration,
    /// For how long an alert is held.
    pub hold_for: Duration,
    /// What recording rules record, by the metric's name.
    pub recorded: &'a HashMap<Box<str>, Vec<Query>>,
    /// While the agent settles: what is not later was seen before it was away.
    pub since: Option<UnixMillis>,
    /// What was read so far.
    pub read: Read,
}

/// What was read for one alert is known for all others of the target.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// What the inputs look like.
    inputs: Answered<Inputs<Input>>,
    /// Whether they have a sample at all.
    samples: Answered<Inputs<()>>,
    /// What the `up`s say where there are no inputs: whether there are any, and what is lost.
    targets: Answered<(bool, Option<Lost>)>,
    /// The last sample of a target's `up` at a time.
    ups: RefCell<HashMap<(Target, i64), LastUp>>,
}

/// The time of a sample and what it says, if there is one.
type LastUp = Option<(i64, Up)>;

/// Recording rules that read recording rules are followed this far.
const MOST_DEPTH: u8 = 8;

/// What an input looks like at the time of the queries.
#[derive(Clone, Copy, Debug)]
enum Input {
    /// It has a sample that a query finds, of this time, and one before that, if nothing ended it in between and no query
    /// would have missed it.
    There { at: i64, before: Option<i64> },
    /// A staleness marker ended it at this time.
    Ended(i64),
    /// Its last sample, of this time, is too old to be found.
    Silent(i64),
}

impl Inquiry<'_> {
    /// Why the absence of an alert's series says nothing of its condition; `None` where it does. `element` are the labels of
    /// the series, and `was_lost` says whether its evidence was lost before.
    pub fn lost(&self, query: &Query, element: &LabelSet, was_lost: bool) -> Result<Option<Lost>, SelectError> {
        self.lost_of(query, element, was_lost, self.at.0, 0)
    }

    /// Whether something that the query reads of an alert's series has a sample that is later than `since`.
    pub fn has_since(&self, query: &Query, element: &LabelSet, since: UnixMillis) -> Result<bool, SelectError> {
        for (number, evidence) in query.evidence().iter().enumerate() {
            let own = evidence.own(element);
            let question = Question::new(query, number, &own, since.0);
            let samples = self.read.samples.get_or_read(question, || {
                let matchers = narrowed(evidence.selector.matchers, &own);
                let select = Select { matchers: &matchers, after: since.0, until: self.at.0 };
                self.inputs(select, |columns| columns.values.iter().any(|value| !is_stale(*value)).then_some(()))
            })?;
            if samples.of(&own).next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The series of a question of which something is known.
    fn inputs<T>(&self, select: Select<'_>, know: impl Fn(&Columns) -> Option<T>) -> Result<Inputs<T>, SelectError> {
        let mut all = Vec::new();
        self.store.select(select, &mut |labels, columns| {
            all.extend(know(columns).map(|known| (labels.encoded().into(), known)));
            Ok(())
        })?;
        Ok(Inputs::new(all))
    }

    fn lost_of(
        &self,
        query: &Query,
        element: &LabelSet,
        was_lost: bool,
        at: i64,
        depth: u8,
    ) -> Result<Option<Lost>, SelectError> {
        let mut inputs = Inspected::default();
        let evidence = query.evidence();
        for (number, evidence) in evidence.iter().enumerate().filter(|(_, one)| one.selector.pinned.is_none()) {
            for of in evidence.ending(element) {
                self.inspect(
                    Asked { query, number, selector: evidence.selector, of: &of, at, was_lost, depth },
                    &mut inputs,
                )?;
            }
        }
        if inputs.lost.is_some() || !inputs.any_selector {
            return Ok(inputs.lost);
        }
        if !inputs.any {
            return self.lost_without_inputs(query, element, at);
        }
        for ((job, instance, at), (time, ending)) in inputs.targets.into_iter().chain(inputs.ranges) {
            let lost = self.lost_of_target(job, instance, at, (time, ending))?;
            if lost.is_some() {
                return Ok(lost);
            }
        }
        for (series, at) in inputs.recordings {
            let queries = self.recorded.get(series.get(METRIC_NAME)).map_or(&[][..], Vec::as_slice);
            for query in queries {
                let lost = self.lost_of(query, &series, was_lost, at, depth + 1)?;
                if lost.is_some() {
                    return Ok(lost);
                }
            }
        }
        Ok(None)
    }

    /// Looks at the inputs that a selector has.
    fn inspect(&self, asked: Asked<'_>, found: &mut Inspected) -> Result<(), SelectError> {
        let Asked { query, number, selector, of, at, was_lost, depth } = asked;
        found.any_selector = true;
        // What an offset hides is not lost yet, and what was lost before that is missing only now.
        let until = at.saturating_sub(millis(selector.offset));
        let back = selector.back.max(selector.offset.saturating_add(self.lookback));
        let after = at.saturating_sub(millis(back.saturating_add(self.hold_for)));
        let inputs = self.read.inputs.get_or_read(Question::new(query, number, of, after), || {
            let matchers = narrowed(selector.matchers, of);
            self.inputs(Select { matchers: &matchers, after, until }, |columns| self.input(columns, until))
        })?;
        // Where the range begins.
        let begin = at.saturating_sub(millis(selector.back));
        for (labels, input) in inputs.of(of) {
            found.any = true;
            let name = || labels.to_string().into();
            if let Some(queries) = self.recorded.get(labels.metric_name()) {
                // What somebody else answers ends with the answer, and no target of this agent is asked why.
                if queries.iter().any(|query| self.store.is_elsewhere(query)) {
                    if let Input::Silent(_) = input {
                        found.lost.get_or_insert_with(|| Lost::Silent(name()));
                    }
                    continue;
                }
                if depth < MOST_DEPTH {
                    found.recordings.insert((labels.to_set(), until));
                    continue;
                }
            }
            let (time, ending) = match *input {
                // A range may be empty although a query of an instant finds the series.
                Input::There { at: time, .. } if selector.is_range && time <= begin => (time, Ending::Silent(name())),
                Input::There { before, .. }
                    if was_lost && selector.is_range && before.is_none_or(|before| before <= begin) =>
                {
                    found.lost.get_or_insert_with(|| Lost::Refilling(name()));
                    continue;
                }
                Input::There { at: time, .. } if selector.is_range => (time, Ending::Within),
                Input::There { .. } => continue,
                Input::Ended(time) => (time, Ending::Marked),
                Input::Silent(time) => (time, Ending::Silent(name())),
            };
            let target = (labels.get("job").unwrap_or("").into(), labels.get("instance").unwrap_or("").into(), until);
            let endings = if matches!(ending, Ending::Within) { &mut found.ranges } else { &mut found.targets };
            let known = endings.entry(target).or_insert_with(|| (time, ending.clone()));
            if known.0 < time {
                *known = (time, ending);
            }
        }
        Ok(())
    }

    fn input(&self, columns: &Columns, until: i64) -> Option<Input> {
        let (&time, &value) = (columns.times.last()?, columns.values.last()?);
        let is_marker = |place: usize| {
            is_stale(columns.values[place])
                || columns
                    .histograms
                    .binary_search_by_key(&(place as u32), |(at, _)| *at)
                    .is_ok_and(|found| is_stale(columns.histograms[found].1.sum))
        };
        let last = columns.times.len() - 1;
        if is_stale(value) || is_marker(last) {
            return Some(Input::Ended(time));
        }
        let lookback = millis(self.lookback);
        if time <= until - lookback {
            return Some(Input::Silent(time));
        }
        let before = last.checked_sub(1).filter(|before| !is_marker(*before)).map(|before| columns.times[before]);
        Some(Input::There { at: time, before: before.filter(|before| before + lookback >= time) })
    }
}

/// A selector whose inputs are looked at.
struct Asked<'a> {
    query: &'a Query,
    number: usize,
    selector: Selector<'a>,
    /// What the alert's labels say of its series.
    of: &'a LabelSet,
    at: i64,
    was_lost: bool,
    depth: u8,
}

/// What the inputs of a query look like.
#[derive(Default)]
struct Inspected {
    any_selector: bool,
    any: bool,
    lost: Option<Lost>,
    /// Targets whose `up` is to be asked at a time, each with the time from which it must speak.
    targets: Endings,
    /// The same of those whose series are there, where ranges of them are read.
    ranges: Endings,
    /// Series that recording rules have recorded, and the time at which those are asked.
    recordings: BTreeSet<(LabelSet, i64)>,
}

type Endings = HashMap<(Box<str>, Box<str>, i64), (i64, Ending)>;

/// How an input is gone.
#[derive(Clone)]
enum Ending {
    Marked,
    /// With its name.
    Silent(Box<str>),
    /// It is not: a range of it lacks the samples behind the last one.
    Within,
}

/// The matchers of a selector, and that the target is the alert's where the alert says which.
fn narrowed(matchers: &[Matcher], element: &LabelSet) -> Vec<Matcher> {
    let target = element.iter().filter(|(name, _)| matches!(*name, "job" | "instance"));
    matchers.iter().cloned().chain(target.map(|(name, value)| equal(name, value))).collect()
}

/// Whether a series may be part of an element of the result: no label says otherwise. An aggregation has fewer labels than
/// what it reads.
pub(super) fn agrees(labels: Labels<'_>, element: &LabelSet) -> bool {
    labels.iter().filter(|(name, _)| *name != METRIC_NAME).all(|(name, value)| {
        let of_element = element.get(name);
        of_element.is_empty() || of_element == value
    })
}

fn equal(name: &str, value: &str) -> Matcher {
    Matcher { name: name.into(), op: MatchOp::Equal, value: value.into() }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
