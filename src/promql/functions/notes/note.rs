//! What there is to say, one note each, in Prometheus's words (`util/annotations` of Prometheus 3).

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use crate::formats::go::{Quoted, Shortest};

/// What was done to histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `+`, and what adds on the way.
    Addition,
    /// `-`, and what subtracts on the way.
    Subtraction,
    /// Sums and averages.
    Aggregation,
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        })
    }
}

/// One thing to say. Names of metrics may be empty where they are dropped or unknown.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each says in `Display` what it is")]
pub enum Note<'a> {
    InvalidIntegralStrategy(f64),
    InvalidRatio { ratio: f64, to: f64 },
    InvalidQuantile(f64),
    BadBucketLabel { metric: Cow<'a, str>, label: Cow<'a, str> },
    MixedFloatsHistograms(Cow<'a, str>),
    MixedFloatsHistogramsAggregation,
    MixedClassicNative(Cow<'a, str>),
    NativeNotCounter(Cow<'a, str>),
    NativeNotGauge(Cow<'a, str>),
    MixedExponentialCustom(Cow<'a, str>),
    IncompatibleLayout(&'static str),
    SortInRange,
    ResetCollision(Operation),
    StartOverlap(Cow<'a, str>),
    PossibleNonCounter(Cow<'a, str>),
    ForcedMonotonicity { metric: Cow<'a, str>, time: i64, forced: Forced },
    IncompatibleTypes { left: &'static str, operator: &'static str, right: &'static str },
    IgnoredInAggregation(&'static str),
    IgnoredInMixedRange(Cow<'a, str>),
    QuantileIsNan(Cow<'a, str>),
    QuantileIsSkewed(Cow<'a, str>),
    FractionLeavesNanOut(Cow<'a, str>),
    MismatchedBounds(Operation),
}

/// Where the counts of a classic histogram went down, and were mended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forced {
    /// Lowest upper bound of a bucket that was mended.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
    /// The most that one was raised by.
    pub most: f64,
}

impl Note<'_> {
    /// Whether the result may not be what is meant; else it is only worth knowing.
    pub fn is_warning(&self) -> bool {
        !matches!(
            self,
            Self::PossibleNonCounter(_)
                | Self::ForcedMonotonicity { .. }
                | Self::IncompatibleTypes { .. }
                | Self::IgnoredInAggregation(_)
                | Self::IgnoredInMixedRange(_)
                | Self::QuantileIsNan(_)
                | Self::QuantileIsSkewed(_)
                | Self::FractionLeavesNanOut(_)
                | Self::MismatchedBounds(_)
        )
    }
}

impl Display for Note<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_warning() { "PromQL warning: " } else { "PromQL info: " })?;
        match self {
            Self::InvalidIntegralStrategy(strategy) => {
                write!(f, "strategy should be 0, 1, or 2 (default), using 2, got {}", Shortest(*strategy))
            }
            Self::InvalidRatio { ratio, to } => {
                write!(
                    f,
                    "ratio value should be between -1 and 1, got {}, capping to {}",
                    Shortest(*ratio),
                    Shortest(*to)
                )
            }
            Self::InvalidQuantile(quantile) => {
                write!(f, "quantile value should be between 0 and 1, got {}", Shortest(*quantile))
            }
            Self::BadBucketLabel { metric, label } => {
                write!(f, "bucket label \"le\" is missing or has a malformed value of {}", Quoted(label))?;
                for_metric(f, metric)
            }
            Self::MixedFloatsHistograms(metric) => {
                write!(f, "encountered a mix of histograms and floats for metric name {}", Quoted(metric))
            }
            Self::MixedFloatsHistogramsAggregation => {
                f.write_str("encountered a mix of histograms and floats for aggregation")
            }
            Self::MixedClassicNative(metric) => {
                f.write_str("vector contains a mix of classic and native histograms")?;
                for_metric(f, metric)
            }
            Self::NativeNotCounter(metric) => {
                write!(f, "this native histogram metric is not a counter: {}", Quoted(metric))
            }
            Self::NativeNotGauge(metric) => {
                write!(f, "this native histogram metric is not a gauge: {}", Quoted(metric))
            }
            Self::MixedExponentialCustom(metric) => write!(
                f,
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                Quoted(metric)
            ),
            Self::IncompatibleLayout(operator) => {
                write!(f, "incompatible bucket layout encountered for binary operator {operator}")
            }
            Self::SortInRange => {
                f.write_str("sort is ineffective for range queries since results are always ordered by labels")
            }
            Self::ResetCollision(operation) => {
                write!(f, "conflicting counter resets during histogram {operation}")
            }
            Self::StartOverlap(metric) => write!(
                f,
                "sample has start time that overlaps with previous sample timestamp for metric {}",
                Quoted(metric)
            ),
            Self::PossibleNonCounter(metric) => write!(
                f,
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                Quoted(metric)
            ),
            Self::ForcedMonotonicity { metric, .. } => {
                f.write_str(
                    "input to histogram_quantile needed to be fixed for monotonicity (see \
                     https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
                )?;
                for_metric(f, metric)
            }
            Self::IncompatibleTypes { left, operator, right } => write!(
                f,
                "incompatible sample types encountered for binary operator {}: {left} {operator} {right}",
                Quoted(operator)
            ),
            Self::IgnoredInAggregation(aggregation) => write!(f, "ignored histogram in {aggregation} aggregation"),
            Self::IgnoredInMixedRange(metric) => write!(
                f,
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                Quoted(metric)
            ),
            Self::QuantileIsNan(metric) => {
                f.write_str("input to histogram_quantile has NaN observations, result is NaN")?;
                for_metric(f, metric)
            }
            Self::QuantileIsSkewed(metric) => {
                f.write_str("input to histogram_quantile has NaN observations, result is skewed higher")?;
                for_metric(f, metric)
            }
            Self::FractionLeavesNanOut(metric) => {
                f.write_str("input to histogram_fraction has NaN observations, which are excluded from all fractions")?;
                for_metric(f, metric)
            }
            Self::MismatchedBounds(operation) => {
                write!(f, "mismatched custom buckets were reconciled during {operation}")
            }
        }
    }
}

fn for_metric(f: &mut Formatter<'_>, metric: &str) -> fmt::Result {
    if metric.is_empty() { Ok(()) } else { write!(f, " for metric name {}", Quoted(metric)) }
}
