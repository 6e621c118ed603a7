//! A query: what a rule file or a client of the query API writes, parsed once, and evaluated as often as one likes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use promql_parser::parser as grammar;

use super::value::{Annotations, Evaluation, Value};
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

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong, in Prometheus's words as far as they are sensible.
    pub message: String,
    /// Where: bytes of the text, if that is known.
    pub at: Option<Range<usize>>,
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
    /// Samples that may be held at one time.
    pub samples: u64,
    /// Bytes that may be held at one time, those of the store left out.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lookback: LOOKBACK,
            interval: Duration::from_mins(1),
            deadline: None,
            samples: 50_000_000,
            bytes: 1 << 30,
        }
    }
}

/// Why a query has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EvalError {
    /// The deadline has passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// More samples than the limit at one time.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// More memory than the limit at one time.
    #[error("query needs more than {0} bytes of memory; ask for fewer series, a shorter range or a longer step")]
    TooManyBytes(u64),
    /// The samples cannot be had.
    #[error("expanding series: {0}")]
    Samples(#[from] SelectError),
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
    /// The time that an `@` pins it to, in milliseconds since 1970, from which `back` counts then.
    pub pinned: Option<i64>,
}

/// A query that was parsed and checked. A copy is a reference.
#[derive(Clone, Debug)]
pub struct Query(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    text: Box<str>,
    root: grammar::Expr,
}

impl Query {
    /// Parses and checks a text.
    ///
    /// # Errors
    /// Where the text is no query.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let root = grammar::parse(text).map_err(|message| ParseError { message, at: None })?;
        Ok(Self(Arc::new(Parsed { text: text.into(), root })))
    }

    /// What kind of value the query has.
    pub fn value_type(&self) -> ValueType {
        match self.0.root.value_type() {
            grammar::value::ValueType::Scalar => ValueType::Scalar,
            grammar::value::ValueType::String => ValueType::String,
            grammar::value::ValueType::Vector => ValueType::Vector,
            grammar::value::ValueType::Matrix => ValueType::Matrix,
        }
    }

    /// The query as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The selectors, in the order in which they are written.
    pub fn selectors(&self) -> impl Iterator<Item = Selector<'_>> {
        std::iter::empty()
    }

    /// Evaluates the query.
    ///
    /// # Errors
    /// Where a limit is reached, the samples cannot be had, or the query cannot be evaluated on them.
    pub fn evaluate(&self, samples: &dyn Samples, when: When, limits: &Limits) -> Result<Evaluation, EvalError> {
        let _ = (samples, when, limits);
        match &self.0.root {
            grammar::Expr::NumberLiteral(number) => {
                Ok(Evaluation { value: Value::Scalar(number.val), annotations: Annotations::default() })
            }
            _ => Err(EvalError::Query("the evaluator knows only numbers yet".to_owned())),
        }
    }
}

/// The query in one line, as Prometheus prints it.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.root, f)
    }
}
