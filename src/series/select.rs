//! What an evaluator asks of whoever has samples: the series that some matchers select, and their samples of a span of
//! time as columns. Matchers mean what Prometheus's mean: a label that is absent has the empty value, and patterns are
//! anchored at both ends.

use std::sync::Arc;

use regex::Regex;

use crate::data::histogram::Histogram;
use crate::data::labels::Labels;

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
