//! A query: what a rule file or a client of the query API writes, parsed once, and evaluated as often as one likes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::syntax::Length;
use super::tree::{At, Expr, Node, Selected, Shift, Subquery};
use super::value::{Annotations, Evaluation};
use super::{eval, functions, syntax};
use crate::data::time::millis;
use crate::series::{Matcher, Samples, SelectError};

/// How far back an instant selector looks for a sample, unless [`Limits`] say otherwise.
pub const LOOKBACK: Duration = Duration::from_mins(5);

/// What kind of value an expression has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// A text.
    String,
    /// Series at one time each.
    Vector,
    /// Series with a range of samples each.
    Matrix,
}

/// As Prometheus's messages name them.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        })
    }
}

impl ValueType {
    /// What Prometheus says where such a value is asked for over a range.
    pub(super) fn not_over_a_range(self) -> String {
        format!("invalid expression type \"{self}\" for range query, must be Scalar or instant Vector")
    }
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong, in Prometheus's words as far as they are sensible.
    pub message: String,
    /// Where: bytes of the text, if that is known.
    pub at: Option<Range<usize>>,
}

impl ParseError {
    /// The same with its place in the text: line and column, as Prometheus tells it.
    pub fn in_text(&self, text: &str) -> String {
        let Some(at) = self.at.as_ref().filter(|_| !text.is_empty()) else {
            return format!("unknown position: parse error: {}", self.message);
        };
        let before = text.get(..at.start.min(text.len())).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
        format!("{line}:{column}: parse error: {}", self.message)
    }
}

/// When a query is evaluated: milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At one time.
    Instant(i64),
    /// At `start`, and every `step` after it that is not later than `end`.
    Range {
        /// The first time.
        start: i64,
        /// The last time, if a step falls on it.
        end: i64,
        /// Milliseconds between two times; above 0.
        step: i64,
    },
}

/// What an evaluation may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How far back an instant selector looks for a sample.
    pub lookback: Duration,
    /// Resolution of a subquery that gives none: the interval at which rules are evaluated.
    pub interval: Duration,
    /// When the evaluation is given up.
    pub deadline: Option<Instant>,
    /// By which it is given up before that.
    pub stop: Option<Stop>,
    /// Samples that may be held at one time.
    pub samples: u64,
    /// Bytes that may be held at one time, those of the store left out.
    pub bytes: u64,
    /// Whether the names of metrics go only once the whole query is evaluated, as under Prometheus's
    /// `promql-delayed-name-removal`.
    pub delayed_name_removal: bool,
    /// Whether functions of counters use when those began, as under Prometheus's `use-start-timestamps`.
    pub start_timestamps: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lookback: LOOKBACK,
            interval: Duration::from_mins(1),
            deadline: None,
            stop: None,
            samples: 50_000_000,
            bytes: 1 << 30,
            delayed_name_removal: false,
            start_timestamps: false,
        }
    }
}

/// By which whoever has asked for results ends what is evaluated for them. Copies are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// What is evaluated is given up at its next look.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether nobody wants the results any more.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a query has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EvalError {
    /// The deadline has passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// Whoever asked does not want the result any more.
    #[error("query was canceled in expression evaluation")]
    Stopped,
    /// More samples than the limit at one time.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// More memory than the limit at one time.
    #[error("query needs more than {0} bytes of memory; ask for fewer series, a shorter range or a longer step")]
    TooManyBytes(u64),
    /// The samples cannot be had.
    #[error("expanding series: {0}")]
    Samples(#[from] SelectError),
    /// A duration in the query comes to nothing that makes sense at these steps, in Prometheus's words.
    #[error("{0}")]
    Duration(String),
    /// The query cannot be evaluated on these samples, in Prometheus's words.
    #[error("{0}")]
    Query(String),
}

/// A selector of a query: which series it reads, and from when.
#[derive(Clone, Copy, Debug)]
pub struct Selector<'a> {
    /// Conditions on the labels, that on the metric's name among them.
    pub matchers: &'a [Matcher],
    /// How far before the time of the evaluation its earliest sample may be: range, offset, the subqueries around it and
    /// the lookback.
    pub back: Duration,
    /// How far before that time its latest sample may be: the offsets alone.
    pub offset: Duration,
    /// Whether it is read over a range: it is a range selector, or stands in a subquery.
    pub is_range: bool,
    /// The time that an `@` pins it to, in milliseconds since 1970, from which `back` counts then.
    pub pinned: Option<i64>,
}

/// A query that was parsed and checked. A copy is a reference.
#[derive(Clone, Debug)]
pub struct Query(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    text: Box<str>,
    root: Expr,
}

impl Query {
    /// Parses and checks a text.
    ///
    /// # Errors
    /// Where the text is no query.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self(Arc::new(Parsed { text: text.into(), root: syntax::parse(text, syntax::Names::Ascii)? })))
    }

    /// Parses a query of a script, in which names beyond ASCII may stand without quotes.
    ///
    /// # Errors
    /// Where the text is no query.
    pub(super) fn parse_scripted(text: &str) -> Result<Self, ParseError> {
        Ok(Self(Arc::new(Parsed { text: text.into(), root: syntax::parse(text, syntax::Names::Unicode)? })))
    }

    /// What kind of value the query has.
    pub fn value_type(&self) -> ValueType {
        self.0.root.value_type
    }

    /// Whether the query can be evaluated over a range.
    ///
    /// # Errors
    /// Where it is a text or a range itself; in Prometheus's words.
    pub fn check_range(&self) -> Result<(), String> {
        match self.value_type() {
            ValueType::Scalar | ValueType::Vector => Ok(()),
            other => Err(other.not_over_a_range()),
        }
    }

    pub(super) fn root(&self) -> &Expr {
        &self.0.root
    }

    /// The query as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The selectors, in the order in which they are written. A range that is computed from the evaluation's step or range
    /// counts as if both were zero.
    pub fn selectors(&self) -> impl Iterator<Item = Selector<'_>> {
        let mut found = Vec::new();
        collect(&self.0.root, Reach::default(), &mut found);
        found.into_iter()
    }

    /// The query over several lines, as Prometheus formats it.
    pub fn pretty(&self) -> String {
        syntax::pretty(&self.0.root, 0)
    }

    /// The query with all that it reads pinned to a time, milliseconds since 1970, by `@`: so it evaluates to the same at
    /// any other. `None` where a function reads the time of the evaluation itself.
    ///
    /// # Errors
    /// Where the query as it is then printed is none.
    pub fn pinned(&self, time: i64) -> Result<Option<Self>, ParseError> {
        // The text is a query already, perhaps one of a script.
        let mut root = syntax::parse(self.text(), syntax::Names::Unicode)?;
        if !syntax::pin(&mut root, time) {
            return Ok(None);
        }
        Self::parse_scripted(&root.to_string()).map(Some)
    }

    /// Evaluates the query.
    ///
    /// # Errors
    /// Where a limit is reached, the samples cannot be had, or the query cannot be evaluated on them.
    pub fn evaluate(&self, samples: &dyn Samples, when: When, limits: &Limits) -> Result<Evaluation, EvalError> {
        eval::evaluate(&self.0.root, &self.0.text, samples, when, limits)
    }

    /// Evaluates the query at `start` and every `step` after it that is not later than `end`, all in milliseconds, for
    /// somebody who reads the result once.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_range(
        &self,
        samples: &dyn Samples,
        (start, end, step): (i64, i64, i64),
        limits: &Limits,
    ) -> Result<(eval::Matrix, Annotations), EvalError> {
        eval::over_range(&self.0.root, &self.0.text, samples, (start, end, step), limits)
    }
}

/// Parses selectors alone: `up{job="node"}`, as those are given by which series are listed. What their patterns hold is bounded
/// for all of them together.
///
/// # Errors
/// Where a text is something else: that text, and why.
pub fn selectors<'t>(texts: impl Iterator<Item = &'t str>) -> Result<Vec<Vec<Matcher>>, (&'t str, ParseError)> {
    let refused = |message: &str| ParseError { message: message.to_owned(), at: None };
    let mut room = syntax::Room::default();
    let mut selector = |text| match syntax::parse_within(text, syntax::Names::Ascii, &mut room)?.node {
        Node::Select(selected) if selected.shift.at.is_none() && selected.shift.offset.is_none() => {
            Ok(selected.matchers)
        }
        _ => Err(refused("expected a selector, such as `up{job=\"node\"}`")),
    };
    texts.map(|text| selector(text).map_err(|error| (text, error))).collect()
}

/// The query in one line, as Prometheus prints it.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.root, f)
    }
}

/// How far back the subqueries around an expression reach.
#[derive(Clone, Copy, Default)]
pub(super) struct Reach {
    back: i64,
    offset: i64,
    is_range: bool,
    pinned: Option<i64>,
}

/// A range that is computed from the evaluation's step or range counts as if both were zero.
const CLOCK: syntax::Clock = syntax::Clock { step: 0, range: 0 };

impl Reach {
    fn shifted(self, shift: &Shift, range: i64) -> Self {
        let by = shift.offset.as_ref().and_then(|offset| offset.signed(CLOCK).ok()).unwrap_or(0);
        let (back, offset) = match shift.at {
            // What is pinned does not move with what is around it.
            Some(At::Time(_)) => (0, 0),
            _ => (self.back, self.offset),
        };
        let pinned = match shift.at {
            Some(At::Time(time)) => Some(time),
            _ => self.pinned,
        };
        let back = back.saturating_add(by).saturating_add(range);
        Self { back, offset: offset.saturating_add(by), is_range: self.is_range, pinned }
    }

    /// Within a subquery.
    pub(super) fn within(self, subquery: &Subquery) -> Self {
        let range = subquery.range.positive(CLOCK).unwrap_or(0);
        Self { is_range: true, ..self.shifted(&subquery.shift, range) }
    }

    /// A selector that stands there, of a range or of an instant.
    pub(super) fn selector<'a>(self, selected: &'a Selected, range: Option<&Length>) -> Selector<'a> {
        let length = range.and_then(|range| range.positive(CLOCK).ok()).unwrap_or(0);
        let looks_back = length == 0 || selected.extension != functions::Extension::None;
        let around = if looks_back { millis(LOOKBACK) } else { 0 };
        let reach = self.shifted(&selected.shift, length.saturating_add(around));
        let duration = |millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        Selector {
            matchers: &selected.matchers,
            back: duration(reach.back),
            offset: duration(reach.offset),
            is_range: reach.is_range || range.is_some(),
            pinned: reach.pinned,
        }
    }
}

fn collect<'a>(expr: &'a Expr, reach: Reach, found: &mut Vec<Selector<'a>>) {
    match &expr.node {
        Node::Number { .. } | Node::Text(_) | Node::Bytes(_) => {}
        Node::Select(selected) => found.push(reach.selector(selected, None)),
        Node::Range(selected, range) => found.push(reach.selector(selected, Some(range))),
        Node::Subquery(subquery) => collect(&subquery.inner, reach.within(subquery), found),
        Node::Call(call) => call.arguments.iter().for_each(|argument| collect(argument, reach, found)),
        Node::Aggregate(aggregate) => {
            aggregate.parameter.iter().for_each(|parameter| collect(parameter, reach, found));
            collect(&aggregate.inner, reach, found);
        }
        Node::Binary(binary) => {
            collect(&binary.left, reach, found);
            collect(&binary.right, reach, found);
        }
        Node::Negate(inner) | Node::Paren(inner) => collect(inner, reach, found),
    }
}
