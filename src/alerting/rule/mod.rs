//! A rule as it runs: what it is, how its last evaluation went, and the alerts that it has.
//!
//! The semantics are those of Prometheus 3.16 (`rules/recording.go`, `rules/alerting.go`).

mod alerting;
mod expand;
mod found;
mod hold;
mod instance;
mod occurrences;
mod recording;
mod writes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bug::Bug;
use super::missing_input::MissingInput;
use super::moment::Steady;
use super::results::{Row, Store, Written};
use super::rule_file::{self, Kind, Label};
use super::template::{Template, TemplateError};
use crate::data::{LabelSet, UnixMillis, UnixNanos};
use crate::promql::{Limits, Query, Stop, Value, VectorSample};

use found::Elements;
pub(super) use instance::{Held, Instance, Phase, Since};

/// What all rules share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often groups are evaluated that do not say it themselves.
    pub interval: Duration,
    /// How far before the time of an evaluation queries look, in groups that do not say it themselves.
    pub query_offset: Duration,
    /// Labels that are added to alerts as they are handed on, and that templates know.
    pub external_labels: LabelSet,
    /// Where this agent's pages can be looked at; templates know it, and links of alerts begin with it.
    pub external_url: String,
    /// How long a firing alert is not handed on again.
    pub resend_delay: Duration,
    /// What becomes of an alert whose series is gone.
    pub missing_input: MissingInput,
    /// For how long an alert is held at most.
    pub hold_for: Duration,
    /// What a query may take.
    pub limits: Limits,
}

impl Default for Settings {
    /// Prometheus's defaults, and the alerts are held for an hour.
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            query_offset: Duration::ZERO,
            external_labels: LabelSet::new(),
            external_url: String::new(),
            resend_delay: Duration::from_mins(1),
            missing_input: MissingInput::default(),
            hold_for: Duration::from_hours(1),
            limits: Limits::default(),
        }
    }
}

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// What its file says.
    pub written: Arc<rule_file::Rule>,
    /// What an alerting rule has besides.
    pub alerting: Option<Alerting>,
    /// The series that it writes.
    pub series: Written,
    /// How the last evaluation went.
    pub outcome: Outcome,
    /// How often in a row it has failed, and with what that was told.
    pub failing: Failing,
    /// The last time at which it was evaluated, in this process or one before.
    pub evaluated: Option<Since>,
    /// Whether its state is that of another process and was not looked at yet.
    pub restored: bool,
    /// When another process evaluated it last, if its state is from there.
    pub resumed: Option<UnixNanos>,
}

/// What an alerting rule has besides its query.
#[derive(Debug)]
pub(super) struct Alerting {
    /// What its alerts say.
    pub texts: Arc<Texts>,
    /// Its alerts by their labels as [`crate::data::labels::Labels`] holds them.
    pub alerts: BTreeMap<Box<[u8]>, Instance>,
    /// Alerts that are gone, and that the journal still has.
    pub forgotten: Vec<Box<[u8]>>,
    /// Where the query can be looked at, behind the external URL.
    pub link: String,
}

/// Texts of an alerting rule, from which those of its alerts are made.
#[derive(Debug)]
pub(super) struct Texts {
    /// Of its labels.
    pub labels: Vec<(Box<str>, Text)>,
    /// Of its annotations.
    pub annotations: Vec<(Box<str>, Text)>,
}

/// A text with or without templates.
#[derive(Debug)]
pub(super) enum Text {
    /// There is nothing to expand.
    Plain(Box<str>),
    /// Expanded for each alert.
    Template(Result<Template, TemplateError>),
}

/// How the last evaluation of a rule went.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// When it was; `None` where there was none yet.
    pub at: Option<UnixNanos>,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// How many rows it wrote.
    pub rows: usize,
}

/// Evaluations in a row that failed. A rule that fails does so at every evaluation: only changes are told.
#[derive(Clone, Debug, Default)]
pub(super) struct Failing {
    /// How many.
    pub times: u64,
    told: Option<String>,
}

/// What is news of a rule that fails.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It fails, or with another error than before.
    Fails,
    /// It does not any more, after so many times.
    Over(u64),
}

impl Failing {
    /// An evaluation went so. Returns what is to be told.
    pub fn follow(&mut self, error: Option<&str>) -> Option<News> {
        let Some(error) = error else {
            let over = (self.times > 0).then_some(News::Over(self.times));
            *self = Self::default();
            return over;
        };
        self.times += 1;
        let is_news = self.told.as_deref() != Some(error);
        is_news.then(|| {
            self.told = Some(error.to_owned());
            News::Fails
        })
    }
}

/// Why an evaluation of a rule failed, in Prometheus's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum RuleError {
    #[error("{0}")]
    Query(#[from] crate::promql::EvalError),
    #[error("{0}")]
    Bug(#[from] Bug),
    #[error("rule result is not a vector or scalar")]
    NotAVector,
    #[error("vector contains metrics with the same labelset after applying rule labels")]
    SameRecording,
    #[error("vector contains metrics with the same labelset after applying alert labels")]
    SameAlert,
    #[error("exceeded limit of {limit} with {found} {what}")]
    Limit { limit: usize, found: usize, what: &'static str },
}

/// What an evaluation has to do with.
pub(super) struct Evaluating<'a> {
    /// The time of the evaluation.
    pub at: UnixNanos,
    /// The same as time is counted.
    pub steady: Steady,
    /// The time of the queries.
    pub query_at: UnixMillis,
    /// How often the group is evaluated.
    pub interval: Duration,
    /// Most alerts or series; 0 for no limit.
    pub limit: usize,
    /// The store.
    pub store: &'a dyn Store,
    /// What all rules share.
    pub settings: &'a Settings,
    /// Queries of the recording rules by what they record.
    pub recorded: &'a HashMap<Box<str>, Vec<Query>>,
    /// By which a query is given up.
    pub stop: &'a Stop,
    /// While the agent settles after it was away or the wall clock was stepped: what can be relied on.
    pub settling: Option<Sight>,
    /// How long ago the wall clock was stepped, if it was.
    pub stepped: Option<Duration>,
}

/// What can be relied on of what is seen, under `hold`, while the agent settles.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sight {
    /// Samples later than this.
    After(UnixNanos),
    /// Nothing: the clock was set back, and what the store has is of the time that it tells once more.
    Nothing,
}

impl Evaluating<'_> {
    /// The result of a rule's query.
    fn vector(&self, query: &Query) -> Result<Vec<VectorSample>, RuleError> {
        self.vector_at(query, self.query_at)
    }

    /// The result of a query as a vector.
    fn vector_at(&self, query: &Query, at: UnixMillis) -> Result<Vec<VectorSample>, RuleError> {
        let limits = limits(&self.settings.limits, self.interval, Instant::now());
        let limits = Limits { stop: Some(self.stop.clone()), ..limits };
        let result = self.store.evaluate(query, at, &limits)?;
        match result.value {
            Value::Vector(vector) => Ok(vector),
            Value::Scalar(value) => Ok(vec![VectorSample {
                labels: LabelSet::new(),
                time: at.0,
                point: crate::promql::Point::Float(value),
            }]),
            Value::String(_) | Value::Matrix(_) => Err(RuleError::NotAVector),
        }
    }
}

/// Longest time that a query of a rule may take, as in Prometheus.
const LONGEST: Duration = Duration::from_mins(2);

/// Time that every query of a rule may take, however often its group is evaluated.
const SHORTEST: Duration = Duration::from_secs(10);

/// What a query of a rule may take that begins now: the rules of its group wait for it, so it has the interval of that.
fn limits(shared: &Limits, interval: Duration, now: Instant) -> Limits {
    let deadline = now + interval.clamp(SHORTEST, LONGEST);
    let deadline = shared.deadline.map_or(deadline, |known| known.min(deadline));
    Limits { deadline: Some(deadline), ..shared.clone() }
}

impl Rule {
    /// A rule of a file.
    pub fn new(written: &rule_file::Rule) -> Self {
        let alerting = match &written.kind {
            Kind::Record { .. } => None,
            Kind::Alert(alert) => Some(Alerting::new(&written.labels, alert, &written.query)),
        };
        Self {
            written: Arc::new(written.clone()),
            alerting,
            series: Written::default(),
            outcome: Outcome::default(),
            failing: Failing::default(),
            evaluated: None,
            restored: false,
            resumed: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.written.name()
    }

    /// What looks for what it finds.
    pub fn look(&self) -> Look {
        let texts = self.alerting.as_ref().map(|alerting| alerting.texts.clone());
        Look { written: self.written.clone(), texts, known: self.series.series.clone() }
    }

    /// Follows what was found. Returns what it writes; nothing where it fails.
    pub fn follow(&mut self, cx: &Evaluating<'_>, looked: Result<Looked, RuleError>) -> Result<Vec<Row>, RuleError> {
        let followed = match looked {
            Ok(Looked::Series(rows)) => Ok(rows),
            Ok(Looked::Alerts(found)) => self.alert(cx, Ok(found)),
            Err(error) => self.alert(cx, Err(error)),
        };
        self.evaluated = Some(Since { wall: cx.at, steady: cx.steady });
        self.restored = false;
        followed
    }
}

/// Looks for what a rule finds, without its state.
#[derive(Debug)]
pub(super) struct Look {
    written: Arc<rule_file::Rule>,
    /// Those of an alerting rule.
    texts: Option<Arc<Texts>>,
    /// The series that it wrote last.
    known: Arc<HashSet<Arc<[u8]>>>,
}

/// What a rule has found.
#[derive(Debug)]
pub(super) enum Looked {
    /// What it records.
    Series(Vec<Row>),
    /// What its alerts are.
    Alerts(Elements),
}

impl Looked {
    /// The bug that cost something of it, and not all.
    pub fn bug(&self) -> Option<&Bug> {
        match self {
            Self::Series(_) => None,
            Self::Alerts(found) => found.bug.as_ref(),
        }
    }
}

impl Look {
    /// Evaluates the query and expands the texts for each element of its result.
    pub fn look(&self, cx: &Evaluating<'_>) -> Result<Looked, RuleError> {
        let vector = cx.vector(&self.written.query)?;
        match &self.texts {
            None => recording::rows(&self.written, vector, &self.known, cx).map(Looked::Series),
            Some(texts) => texts.found(self.written.name(), vector, cx).map(Looked::Alerts),
        }
    }
}

/// Whether two rules do the same.
pub(super) fn is_same(a: &rule_file::Rule, b: &rule_file::Rule) -> bool {
    let kinds = match (&a.kind, &b.kind) {
        (Kind::Record { name: a }, Kind::Record { name: b }) => a == b,
        (Kind::Alert(a), Kind::Alert(b)) => {
            (&a.name, a.for_, a.keep_firing_for, &a.annotations) == (&b.name, b.for_, b.keep_firing_for, &b.annotations)
        }
        _ => false,
    };
    kinds && a.query.text() == b.query.text() && a.labels == b.labels
}

/// The labels of a rule, as they were written.
pub(super) fn label_set(labels: &[Label]) -> LabelSet {
    labels.iter().map(|label| (&label.name, &label.value)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Failing, News, limits};
    use crate::promql::Limits;

    #[test]
    fn a_query_of_a_rule_ends_with_the_interval_of_its_group() {
        let now = Instant::now();
        let within = |limits: &Limits, seconds| {
            super::limits(limits, Duration::from_secs(seconds), now).deadline.map(|deadline| deadline - now)
        };
        let all = [1, 15, 60, 3600].map(|seconds| within(&Limits::default(), seconds));
        assert_eq!(all, [10, 15, 60, 120].map(|seconds| Some(Duration::from_secs(seconds))));
        let soon = Limits { deadline: Some(now), ..Limits::default() };
        assert_eq!(limits(&soon, Duration::from_secs(15), now).deadline, Some(now));
    }

    #[test]
    fn a_rule_that_fails_is_told_once_a_change_and_at_the_end() {
        let mut failing = Failing::default();
        let errors = [None, Some("a"), Some("a"), Some("a"), Some("b"), Some("b"), None, None, Some("b")];
        let told: Vec<_> = errors.into_iter().map(|error| (failing.follow(error), failing.times)).collect();
        let expected = [
            (None, 0),
            (Some(News::Fails), 1),
            (None, 2),
            (None, 3),
            (Some(News::Fails), 4),
            (None, 5),
            (Some(News::Over(5)), 0),
            (None, 0),
            (Some(News::Fails), 1),
        ];
        assert_eq!(told, expected);
    }
}
