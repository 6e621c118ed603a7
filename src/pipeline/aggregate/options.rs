//! What the options of transforms that make metrics have in common: when series are emitted and when they end, how many
//! there may be, and which names they may have.

use std::time::Duration as StdDuration;

use schemars::JsonSchema;

use crate::options::{Code, Duration, Problem, Spanned};

/// What becomes of a record that would make a series beyond the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// It counts for one series a metric that has the label `overflow="true"` alone.
    #[default]
    Overflow,
    /// It is not counted, which is counted as refused.
    Refuse,
}

/// When series are emitted and when they end.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time between emissions.
    pub interval: StdDuration,
    /// A series that nothing touched for this long ends.
    pub expiry: StdDuration,
}

/// The interval where none is written.
pub fn default_interval() -> Spanned<Duration> {
    Spanned::unknown(Duration(StdDuration::from_secs(30)))
}

/// The expiry where none is written.
pub fn default_expiry() -> Spanned<Duration> {
    Spanned::unknown(Duration(StdDuration::from_secs(3600)))
}

/// The limit where none is written.
pub fn default_limit() -> Spanned<usize> {
    Spanned::unknown(10_000)
}

/// What is wrong with a pace and a limit.
pub fn pace_problems(
    code: Code,
    interval: &Spanned<Duration>,
    expiry: &Spanned<Duration>,
    limit: &Spanned<usize>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |span, words: &str, help: &str| problems.push(Problem::new(code, span, words).help(help));
    if interval.0 < StdDuration::from_secs(1) {
        problem(interval.span, "`interval` is below 1s", "write `interval: 30s`");
    } else if expiry.0 < interval.0 {
        let words = "`expiry` is below `interval`: series would end before they are emitted";
        problem(expiry.span, words, "write a time of several intervals, such as 1h");
    }
    if limit.value == 0 {
        problem(limit.span, "`limit` is 0: nothing would be counted", "write a number above 0");
    }
    problems
}

/// Most exemplars of a series between two emissions where none are written.
pub fn default_exemplars() -> Spanned<usize> {
    Spanned::unknown(5)
}

/// What is wrong with a number of exemplars.
pub fn exemplars_problem(code: Code, most: &Spanned<usize>) -> Option<Problem> {
    let words = format!("`max_per_data_point` is {}", most.value);
    let wrong = !(1..=100).contains(&most.value);
    wrong.then(|| Problem::new(code, most.span, words).help("write a number from 1 to 100"))
}

/// Most buckets of a histogram.
pub const MOST_BUCKETS: usize = 200;

/// Whether these are upper bounds of a histogram's buckets: 1 to [`MOST_BUCKETS`], ascending, without +Inf.
pub fn are_bounds(bounds: &[f64]) -> bool {
    let finite = bounds.iter().all(|bound| bound.is_finite());
    finite && (1..=MOST_BUCKETS).contains(&bounds.len()) && bounds.is_sorted_by(|a, b| a < b)
}

/// Whether a name is one of Prometheus's older rule, which every store and language of queries takes. Metrics may have
/// colons.
pub fn is_name(name: &str, colons: bool) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':');
    !name.is_empty() && name.bytes().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit())
}
