//! What is wrong with an exposition, and where. One fault makes the whole exposition unusable: half of one
//! would look like series that have ended.

use std::fmt;

use memchr::memchr_iter;

/// An exposition that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct ParseError {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub fault: Fault,
}

impl ParseError {
    #[cold]
    pub(super) fn in_text(body: &[u8], at: usize, fault: Fault) -> Self {
        Self { place: Place::of(body, at), fault }
    }
}

/// A place in an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a text: line and column from 1 on, the column in bytes.
    Line(usize, usize),
    /// In a protobuf: bytes from the start.
    Byte(usize),
}

impl Place {
    /// Line and column of a byte of a text.
    pub fn of(body: &[u8], at: usize) -> Self {
        let before = &body[..at.min(body.len())];
        let line = memchr_iter(b'\n', before).count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        Self::Line(line, before.len() - start + 1)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line, column) => write!(f, "{line}:{column}"),
            Self::Byte(at) => write!(f, "byte {at}"),
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line that is neither a sample nor metadata.
    #[error("a line must begin with a metric's name, `{{` or `#`")]
    Start,
    /// A series without a name.
    #[error("the series has no metric name")]
    NoName,
    /// A series with a name before and a name between the braces.
    #[error("the metric's name is given twice")]
    TwoNames,
    /// Something else than a label between braces.
    #[error("a label's name or `}}` is expected")]
    Label,
    /// No `=` behind a label's name.
    #[error("`=` is expected behind a label's name")]
    Equals,
    /// No quote where one must be.
    #[error("a value in double quotes is expected")]
    Quote,
    /// A quote that is not closed in time.
    #[error("the double quote is not closed")]
    Unclosed,
    /// Neither comma nor brace behind a label.
    #[error("`,` or `}}` is expected behind a label")]
    Comma,
    /// More labels than are read.
    #[error("the series has more than {max} labels", max = super::series::MAX_LABELS)]
    TooManyLabels,
    /// One label twice.
    #[error("the label `{0}` is given twice")]
    Twice(Box<str>),
    /// Bytes that are no text.
    #[error("not valid UTF-8")]
    Utf8,
    /// No value.
    #[error("a value is expected behind the series")]
    NoValue,
    /// A value that is no number.
    #[error("not a number")]
    Number,
    /// A timestamp that is no number, or not a finite one.
    #[error("not a timestamp")]
    Timestamp,
    /// More behind value and timestamp.
    #[error("the line must end here")]
    LineEnd,
    /// A metadata line without a name.
    #[error("a metric's name is expected")]
    MetaName,
    /// A metadata line without a text.
    #[error("a text is expected behind the metric's name")]
    MetaText,
    /// A kind that the format does not know.
    #[error("unknown metric type")]
    Kind,
    /// A unit that the name does not end in.
    #[error("the unit is not a suffix of the metric's name")]
    Unit,
    /// The end came before `# EOF`.
    #[error("the exposition does not end with `# EOF`")]
    NoEof,
    /// Something stands behind `# EOF`.
    #[error("there is more behind `# EOF`")]
    AfterEof,
    /// Bytes that are no protobuf message, or not the one expected.
    #[error("not a MetricFamily message: {0}")]
    Message(#[from] crate::formats::protobuf::WireError),
    /// A native histogram whose parts do not fit together.
    #[error("the buckets and spans of a native histogram do not fit together")]
    Histogram,
}
