//! What an evaluator asks of whoever has samples: the series that some matchers select, and their samples of a span of
//! time as columns. Matchers mean what Prometheus's mean: a label that is absent has the empty value, and patterns are
//! anchored at both ends.

use std::sync::Arc;

use regex::Regex;

use crate::data::histogram::Histogram;
use crate::data::labels::{LabelSet, Labels};
use crate::data::metrics::Family;

/// How a matcher compares.
#[derive(Clone, Debug)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`; the pattern, anchored.
    Matches(Regex),
    /// `!~`; the pattern, anchored.
    MatchesNot(Regex),
}

/// One condition on a label.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Name of the label.
    pub name: Box<str>,
    /// How its value is compared.
    pub op: MatchOp,
    /// With what: the value, or the pattern as it was written.
    pub value: Box<str>,
}

impl Matcher {
    /// Whether a label of this value, empty where there is none, fits.
    pub fn matches(&self, value: &str) -> bool {
        match &self.op {
            MatchOp::Equal => value == &*self.value,
            MatchOp::NotEqual => value != &*self.value,
            MatchOp::Matches(pattern) => pattern.is_match(value),
            MatchOp::MatchesNot(pattern) => !pattern.is_match(value),
        }
    }
}

/// Which samples are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// Conditions that a series must all fulfil.
    pub matchers: &'a [Matcher],
    /// Only samples later than this: milliseconds since 1970. The span is open on the left, as Prometheus's ranges are.
    pub after: i64,
    /// No sample later than this.
    pub until: i64,
}

/// Samples of one series as columns, in the order of their times, each time once. Staleness markers are among them.
/// Whoever has the samples fills and reuses it; whoever reads them copies what it keeps.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// When: milliseconds since 1970.
    pub times: Vec<i64>,
    /// Values; where a sample is a native histogram its value here means nothing.
    pub values: Vec<f64>,
    /// Native histograms, each with the place of its sample, ascending.
    pub histograms: Vec<(u32, Arc<Histogram>)>,
    /// When the counters of the samples began, 0 where that is not known; empty where it is known of none.
    pub starts: Vec<i64>,
}

impl Columns {
    /// Forgets the samples and keeps the memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.histograms.clear();
        self.starts.clear();
    }
}

/// Why samples could not be had, in words; or why the visitor wanted no more of them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SelectError(pub String);

/// Whoever has samples.
pub trait Samples: Sync {
    /// Shows each series that fits and has samples in the span to `visit`, in any order. What is shown is only there during
    /// the call.
    ///
    /// # Errors
    /// The visitor's own, or where the samples cannot be had.
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError>;
}

/// Which series a listing is about.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// A series that fits one of them is meant; without any, every series is.
    pub selectors: &'a [Vec<Matcher>],
    /// Only those that have a sample at this time or later: milliseconds since 1970.
    pub from: i64,
    /// Only those that have a sample at this time or earlier.
    pub until: i64,
    /// Most that is listed.
    pub limit: usize,
}

/// What was listed, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The first ones.
    pub items: Vec<T>,
    /// Whether there are more than the limit allowed.
    pub more: bool,
}

/// Exemplars of one series, in the order of their times.
#[derive(Clone, Debug)]
pub struct SeriesExemplars {
    /// Labels of the series.
    pub labels: LabelSet,
    /// Its exemplars.
    pub exemplars: Vec<ExemplarPoint>,
}

/// An example of what a sample counted.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarPoint {
    /// Its own labels, such as `trace_id`.
    pub labels: LabelSet,
    /// The log record that was counted, as text, for alerts of this process alone; empty for none.
    pub line: String,
    /// What was observed.
    pub value: f64,
    /// When: milliseconds since 1970.
    pub time: i64,
}

/// Whoever has samples and can say which: what a query API asks beside queries.
pub trait Queryable: Samples {
    /// Labels of series.
    ///
    /// # Errors
    /// Where the series cannot be had; so it is with the others too.
    fn series(&self, which: Listing<'_>) -> Result<Listed<LabelSet>, SelectError>;

    /// Names of the labels of series.
    ///
    /// # Errors
    /// Where the series cannot be had.
    fn label_names(&self, which: Listing<'_>) -> Result<Listed<Box<str>>, SelectError>;

    /// Values that a label of series has; the empty one, which means that it is absent, is not among them.
    ///
    /// # Errors
    /// Where the series cannot be had.
    fn label_values(&self, name: &str, which: Listing<'_>) -> Result<Listed<Box<str>>, SelectError>;

    /// What expositions say of metrics, or of this one alone, in the order of their names; several of one name where
    /// expositions differ.
    ///
    /// # Errors
    /// Where it cannot be had.
    fn metadata(&self, metric: Option<&str>) -> Result<Vec<Family>, SelectError>;

    /// Exemplars of series with a time in the span, in the order of the series' labels; the limit leaves out the oldest of
    /// all of them.
    ///
    /// # Errors
    /// Where they cannot be had.
    fn exemplars(&self, which: Listing<'_>) -> Result<Listed<SeriesExemplars>, SelectError>;
}
