//! What of a request is not taken and why, as `partial_success` of `ExportMetricsServiceResponse` tells it: a number of
//! data points and words.

use std::fmt;

use crate::formats::otlp::MessageError;
use crate::formats::protobuf::WireError;

/// Why a data point is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No letter or digit is left of the metric's name.
    #[error("its name has no letter or digit")]
    Name,
    /// An attribute's key leaves no name for a label.
    #[error("the key of an attribute has no letter or digit")]
    LabelName,
    /// More labels than the limit.
    #[error("it has too many attributes")]
    Labels,
    /// A point without a time.
    #[error("a point has no time")]
    Time,
    /// A point without a value.
    #[error("a point has no value")]
    Value,
    /// Neither delta nor cumulative.
    #[error("its temporality is not given")]
    Temporality,
    /// What may go down can only be sent cumulative.
    #[error("it has delta temporality and is not monotonic: send it cumulative")]
    NotMonotonic,
    /// Bounds of buckets that do not ascend, or not as many as there are buckets less one.
    #[error("its bounds do not fit its buckets")]
    Bounds,
    /// The buckets hold more or less than was counted.
    #[error("its buckets do not sum up to its count")]
    BucketCounts,
    /// A scale below that of any native histogram.
    #[error("its scale is below -4")]
    Scale,
    /// A bucket that no number falls into.
    #[error("a bucket is beyond all numbers")]
    BucketIndex,
    /// A zero threshold below zero or not finite.
    #[error("its zero threshold is no width")]
    ZeroThreshold,
    /// More than one request may have.
    #[error("the request has more samples or longer labels than the agent takes at once: send fewer at once")]
    TooMuch,
    /// A delta whose end is not later than that of the one before.
    #[error("a delta is older than the one before")]
    Late,
    /// A delta that begins before the one before ended.
    #[error("a delta overlaps the one before")]
    Overlap,
    /// The agent sums up as many deltas as it may.
    #[error("the agent keeps the sums of as many delta series as it may")]
    DeltasFull,
    /// The agent keeps as many series as it may.
    #[error("the agent keeps as many series as it may")]
    SeriesFull,
}

/// Points of a request that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedFor {
    /// Why.
    pub reason: Reason,
    /// How many points.
    pub points: u64,
    /// The first metric.
    pub metric: String,
}

/// What of a request was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Data points.
    pub points: u64,
    /// The same by reason, in the order in which they came up.
    pub reasons: Vec<RefusedFor>,
}

/// Bytes of a metric's name that are quoted.
const QUOTED: usize = 100;

impl Refused {
    pub(super) fn add(&mut self, reason: Reason, points: u64, metric: &str) {
        if points == 0 {
            return;
        }
        self.points += points;
        if let Some(known) = self.reasons.iter_mut().find(|known| known.reason == reason) {
            known.points += points;
            return;
        }
        let end = metric.char_indices().map(|(at, _)| at).find(|at| *at >= QUOTED).unwrap_or(metric.len());
        self.reasons.push(RefusedFor { reason, points, metric: metric[..end].into() });
    }
}

/// As the answer tells it.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, RefusedFor { reason, points, metric }) in self.reasons.iter().enumerate() {
            let (divider, s) = (if index == 0 { "" } else { "; " }, if *points == 1 { "" } else { "s" });
            write!(f, "{divider}{points} point{s}, first of metric {metric:?}: {reason}")?;
        }
        Ok(())
    }
}

/// What ends the reading of a point: the whole request is broken, or the point alone is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Broken(MessageError),
    Refused(Reason),
}

impl From<MessageError> for Fault {
    fn from(error: MessageError) -> Self {
        Self::Broken(error)
    }
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_by_reason() {
        let mut refused = Refused::default();
        refused.add(Reason::Time, 2, "a");
        refused.add(Reason::Late, 1, &"é".repeat(200));
        refused.add(Reason::Time, 3, "b");
        refused.add(Reason::Scale, 0, "c");
        assert_eq!(refused.points, 6);
        let quoted = "é".repeat(50);
        let words = format!(
            "5 points, first of metric \"a\": a point has no time; \
             1 point, first of metric {quoted:?}: a delta is older than the one before"
        );
        assert_eq!(refused.to_string(), words);
    }
}
