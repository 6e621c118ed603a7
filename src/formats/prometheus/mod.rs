//! What Prometheus and its exporters say to each other: expositions in the text formats 0.0.4 and 1.0.0,
//! in OpenMetrics 0.0.1 and 1.0.0, and as protobuf messages.
//!
//! A scrape is like the one before it: the same series in the same order, other values. So a parser hands out
//! the *series part* of a line as raw bytes, reads labels only when asked ([`Exposition::read_labels`]), and has
//! a way for whoever knows what comes next ([`Exposition::predicted`], [`Exposition::skip`]): one comparison of
//! memory and the value, nothing else. Nothing is allocated for a line.

mod cursor;
mod error;
pub mod expose;
mod lines;
pub mod names;
pub mod negotiate;
pub mod number;
pub mod openmetrics;
pub mod proto;
pub mod remote_write;
pub mod series;
pub mod text;

#[cfg(test)]
mod tests;

pub use error::{Fault, ParseError, Place};
pub use lines::LineParser;
pub use names::{Escaping, NameValidation};
pub use negotiate::{Format, ScrapeProtocol};
pub use openmetrics::OpenMetricsParser;
pub use proto::{Histograms, ProtobufParser};
pub use text::TextParser;

use crate::data::{Histogram, LabelSet, MetricKind, UnixMillis};

/// What an exposition says next. Names and texts are escaped as they stand in the text formats and in
/// OpenMetrics, where [`series::unescape`] reads them; in protobuf they are plain.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// A sample of a series.
    Series(Series<'a>),
    /// A native histogram of a series.
    Histogram(HistogramSeries<'a>),
    /// The kind of the metrics of a family.
    Type {
        /// The family.
        name: &'a [u8],
        /// Their kind.
        kind: MetricKind,
    },
    /// What a family is, in words.
    Help {
        /// The family.
        name: &'a [u8],
        /// The words; in the text formats for [`series::unescape_help`], else for [`series::unescape`].
        text: &'a [u8],
    },
    /// The unit of a family; may be empty.
    Unit {
        /// The family.
        name: &'a [u8],
        /// The unit.
        unit: &'a [u8],
    },
    /// A line that means nothing.
    Comment(&'a [u8]),
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series<'a> {
    /// The series, as exposed and without blanks around it: [`Exposition::read_labels`] reads its labels. Equal
    /// bytes under an equal [`Exposition::kind`] are equal labels.
    pub raw: &'a [u8],
    /// What was sampled.
    pub point: Point<'a>,
    /// When the counter began, where the format says so with the sample. (OpenMetrics says it in a series of its
    /// own: [`series::is_created`].)
    pub created: Option<UnixMillis>,
}

/// One native histogram; only in protobuf messages.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSeries<'a> {
    /// The series, as [`Series::raw`].
    pub raw: &'a [u8],
    /// What was sampled.
    pub histogram: Histogram,
    /// When it was taken, if the exposition says so.
    pub timestamp: Option<UnixMillis>,
    /// When counting began.
    pub created: Option<UnixMillis>,
    /// Examples of what was counted, all with a time.
    pub exemplars: &'a [RawExemplar<'a>],
}

/// The value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// The number. Any NaN is [`number::NORMAL_NAN`].
    pub value: f64,
    /// When it was taken, if the exposition says so.
    pub timestamp: Option<UnixMillis>,
    /// An example of what was counted.
    pub exemplar: Option<RawExemplar<'a>>,
}

/// An exemplar as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawExemplar<'a> {
    /// Its labels, for [`Exposition::read_exemplar`] of the same format.
    pub labels: &'a [u8],
    /// What was observed.
    pub value: f64,
    /// When.
    pub timestamp: Option<UnixMillis>,
}

/// A parser of one format.
pub trait Exposition {
    /// What comes next; `None` at the end. After an error nothing more can be read, and what was read before is
    /// half of an exposition.
    fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError>;

    /// The sample that comes next, if it is one of `series` (as [`Series::raw`] had it) and written as usual.
    /// `None` otherwise: nothing was passed, and [`Exposition::next`] looks again.
    fn predicted(&mut self, series: &[u8]) -> Option<Point<'_>>;

    /// Passes `bytes` that [`Exposition::consumed`] gave in an earlier exposition for one entry other than a
    /// sample, if they come next; `kind` is what [`Exposition::kind`] was after them.
    fn skip(&mut self, bytes: &[u8], kind: MetricKind) -> bool;

    /// The kind of the family whose samples come next, as the last type that was read says.
    fn kind(&self) -> MetricKind;

    /// The bytes of the entry that came last, with what divides it from the one before.
    fn consumed(&self) -> &[u8];

    /// Reads the labels of a series into `into`, which is cleared first; the metric's name becomes `__name__`.
    fn read_labels(series: &[u8], kind: MetricKind, into: &mut LabelSet) -> Result<(), Fault>;

    /// Reads the labels of an exemplar into `into`, which is cleared first.
    fn read_exemplar(exemplar: RawExemplar<'_>, into: &mut LabelSet) -> Result<(), Fault>;
}

/// Whether the bytes of an entry are a type, which is all that changes the kind of what follows.
fn is_type(entry: &[u8]) -> bool {
    let words = entry.trim_ascii_start().strip_prefix(b"#").unwrap_or_default();
    let word = words.trim_ascii_start();
    word.len() < words.len() && matches!(word.strip_prefix(b"TYPE"), Some([b' ' | b'\t', ..]))
}
