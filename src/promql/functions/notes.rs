//! What an evaluation has to tell the author of its query, in Prometheus's words. A note is said once, however many
//! samples gave cause for it; what happened again and again is summed up in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write as _};

use super::super::value::Annotations;
use crate::formats::prometheus::number;

/// Where in a query an expression begins: its byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(pub u32);

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
    PossibleNonCounterLabel { metric: Cow<'a, str>, kind: Cow<'a, str> },
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
                | Self::PossibleNonCounterLabel { .. }
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
                write!(f, "strategy should be 0, 1, or 2 (default), using 2, got {}", Go(*strategy))
            }
            Self::InvalidRatio { ratio, to } => {
                write!(f, "ratio value should be between -1 and 1, got {}, capping to {}", Go(*ratio), Go(*to))
            }
            Self::InvalidQuantile(quantile) => {
                write!(f, "quantile value should be between 0 and 1, got {}", Go(*quantile))
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
            Self::PossibleNonCounterLabel { metric, kind } => write!(
                f,
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                Quoted(kind),
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

/// A number as Go's `%g` writes it.
struct Go(f64);

impl Display for Go {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        number::push(self.0, &mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// A text as Go's `%q` writes it.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                char if char.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(char))?,
                char => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

/// What functions work with beside their arguments: what there is to say, and memory that is used again and again.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// What there is to say.
    pub notes: Notes,
    /// Numbers that a function sorts or collects.
    pub(super) numbers: Vec<f64>,
}

/// What there is to say about an evaluation so far.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    said: BTreeMap<Box<str>, Said>,
    failure: Option<String>,
    text: String,
}

#[derive(Clone, Debug)]
struct Said {
    warning: bool,
    place: Place,
    more: More,
}

/// What is summed up over all causes of one note.
#[derive(Clone, Debug)]
enum More {
    Nothing,
    Forced { forced: Forced, from: i64, to: i64, samples: u64 },
    Overlaps(u64),
}

impl Notes {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was said, and nothing failed.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.failure.is_none()
    }

    /// Says something about the expression that begins at `place`.
    pub fn add(&mut self, place: Place, note: Note<'_>) {
        self.text.clear();
        // A text takes whatever is written.
        let _ = write!(self.text, "{note}");
        let more = match note {
            Note::ForcedMonotonicity { time, forced, .. } => More::Forced { forced, from: time, to: time, samples: 1 },
            Note::StartOverlap(_) => More::Overlaps(1),
            _ => More::Nothing,
        };
        match self.said.get_mut(self.text.as_str()) {
            Some(said) => said.again(place, more),
            None => {
                let said = Said { warning: note.is_warning(), place, more };
                self.said.insert(self.text.as_str().into(), said);
            }
        }
    }

    /// Says that the query cannot be answered; the first reason counts.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.failure.get_or_insert_with(|| why.into());
    }

    /// Why the query cannot be answered, if it cannot.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Takes over what others have said.
    pub fn merge(&mut self, others: Notes) {
        for (text, other) in others.said {
            match self.said.get_mut(&text) {
                Some(said) => said.again(other.place, other.more),
                None => {
                    self.said.insert(text, other);
                }
            }
        }
        if let Some(failure) = others.failure {
            self.fail(failure);
        }
    }

    /// What was said, with its places in the query's text; `(line:column)`, both from one.
    pub fn finish(&self, query: &str) -> Annotations {
        let mut all = Annotations::default();
        for (text, said) in &self.said {
            let to = if said.warning { &mut all.warnings } else { &mut all.infos };
            to.insert(format!("{text}{} ({})", said.more, At(said.place, query)));
        }
        all
    }
}

impl Said {
    fn again(&mut self, place: Place, more: More) {
        self.place = place;
        match (&mut self.more, more) {
            (
                More::Forced { forced, from, to, samples },
                More::Forced { forced: new, from: first, to: last, samples: n },
            ) => {
                forced.lowest = forced.lowest.min(new.lowest);
                forced.highest = forced.highest.max(new.highest);
                forced.most = forced.most.max(new.most);
                *from = first.min(*from);
                *to = last.max(*to);
                *samples += n;
            }
            (More::Overlaps(count), More::Overlaps(n)) => *count += n,
            _ => {}
        }
    }
}

impl Display for More {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing | Self::Overlaps(0 | 1) => Ok(()),
            Self::Overlaps(count) => write!(f, " ({count} occurrences)"),
            Self::Forced { forced, from, to, samples } => write!(
                f,
                ", from buckets {} to {}, with a max diff of {}, over {samples} samples from {} to {}",
                Go(forced.lowest),
                Go(forced.highest),
                TwoDigits(forced.most),
                Second(*from),
                Second(*to),
            ),
        }
    }
}

/// A number as Go's `%.2g` writes it.
struct TwoDigits(f64);

impl Display for TwoDigits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.0.is_finite() {
            return Go(self.0).fmt(f);
        }
        let scientific = format!("{:.1e}", self.0);
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if !(-4..2).contains(&exponent) {
            let digits = digits.strip_suffix(".0").unwrap_or(digits);
            let sign = if exponent < 0 { '-' } else { '+' };
            return write!(f, "{digits}e{sign}{:02}", exponent.abs());
        }
        let plain: f64 = scientific.parse().unwrap_or(self.0);
        write!(f, "{plain}")
    }
}

/// A time in milliseconds as RFC 3339 writes it in whole seconds.
struct Second(i64);

impl Display for Second {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0 / 1000) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}", self.0 / 1000),
        }
    }
}

struct At<'a>(Place, &'a str);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(Place(at), query) = self;
        let at = *at as usize;
        if query.is_empty() {
            return f.write_str("unknown position");
        }
        let Some(before) = query.as_bytes().get(..at) else { return f.write_str("invalid position") };
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
        write!(f, "{line}:{column}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_said_once_with_its_place() {
        let mut notes = Notes::new();
        notes.add(Place(0), Note::PossibleNonCounter("up".into()));
        notes.add(Place(12), Note::PossibleNonCounter("up".into()));
        notes.add(Place(3), Note::InvalidQuantile(f64::INFINITY));
        let said = notes.finish("rate(up[1m])\n+ rate(up[1m])");
        assert_eq!(
            said.infos.into_iter().collect::<Vec<_>>(),
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\" (1:13)"
            ]
        );
        assert_eq!(
            said.warnings.into_iter().collect::<Vec<_>>(),
            ["PromQL warning: quantile value should be between 0 and 1, got +Inf (1:4)"]
        );
        let mut below = Notes::new();
        below.add(Place(13), Note::SortInRange);
        assert!(below.finish("rate(up[1m])\n+ 1").warnings.iter().all(|text| text.ends_with("(2:1)")));
    }

    #[test]
    fn what_happened_again_is_summed_up() {
        let forced = |lowest, highest, most| Forced { lowest, highest, most };
        let mut notes = Notes::new();
        let note = |time, forced| Note::ForcedMonotonicity { metric: "".into(), time, forced };
        notes.add(Place(0), note(60_000, forced(0.5, 5.0, 123.0)));
        let mut others = Notes::new();
        others.add(Place(0), note(0, forced(1.0, f64::INFINITY, 0.25)));
        notes.merge(others);
        let infos: Vec<_> = notes.finish("x").infos.into_iter().collect();
        assert!(
            infos[0].ends_with(
                ", from buckets 0.5 to +Inf, with a max diff of 1.2e+02, over 2 samples from 1970-01-01T00:00:00Z to \
                 1970-01-01T00:01:00Z (1:1)"
            ),
            "{infos:?}"
        );
        notes.fail("first");
        notes.fail("second");
        assert_eq!(notes.failure(), Some("first"));
    }

    #[test]
    fn two_digits_are_written_as_go_does() {
        for (value, text) in
            [(0.25, "0.25"), (1.0, "1"), (12.0, "12"), (99.6, "1e+02"), (0.00001, "1e-05"), (0.126, "0.13")]
        {
            assert_eq!(TwoDigits(value).to_string(), text);
        }
    }
}
