//! OpenMetrics 0.0.1 and 1.0.0 in text form, as leniently as Prometheus 3 scrapes them: single spaces, no
//! other comments than metadata, `# EOF` at the end, and no look at what a family may hold.
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>

pub mod strict;

use super::cursor::Cursor;
use super::error::{Fault, ParseError};
use super::series::{self, Syntax};
use super::{Entry, Exposition, Point, RawExemplar, Series, number};
use crate::data::{LabelSet, MetricKind, UnixMillis};

/// Reads an exposition in OpenMetrics text format.
#[derive(Clone, Debug)]
pub struct OpenMetricsParser<'a> {
    cursor: Cursor<'a>,
    /// Where the entry that came last begins.
    start: usize,
    kind: MetricKind,
}

impl<'a> OpenMetricsParser<'a> {
    /// Reads `body`, to its `# EOF`.
    pub fn new(body: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(body), start: 0, kind: MetricKind::Unknown }
    }

    /// As [`Exposition::next`], borrowed from the body.
    pub fn entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        self.start = self.cursor.at;
        self.read().map_err(|fault| ParseError::in_text(self.cursor.body, self.cursor.at, fault))
    }

    fn read(&mut self) -> Result<Option<Entry<'a>>, Fault> {
        let cursor = &mut self.cursor;
        match cursor.peek() {
            None => Err(Fault::NoEof),
            Some(b'#') => self.metadata(),
            Some(_) => {
                let series = series::pass(cursor, Syntax::OpenMetrics)?;
                Ok(Some(Entry::Series(Series { raw: series, point: point(cursor)?, created: None })))
            }
        }
    }

    fn metadata(&mut self) -> Result<Option<Entry<'a>>, Fault> {
        let cursor = &mut self.cursor;
        if cursor.eat_all(b"# EOF") {
            cursor.eat(b'\n');
            if !cursor.rest().is_empty() {
                return Err(Fault::AfterEof);
            }
            // Whoever asks again gets the same answer.
            cursor.at = self.start;
            return Ok(None);
        }
        let word = match cursor.rest() {
            [b'#', b' ', word @ ..] if word.starts_with(b"HELP ") => Word::Help,
            [b'#', b' ', word @ ..] if word.starts_with(b"TYPE ") => Word::Type,
            [b'#', b' ', word @ ..] if word.starts_with(b"UNIT ") => Word::Unit,
            _ => return Err(Fault::Start),
        };
        cursor.at += b"# HELP ".len();
        let name_at = cursor.at;
        let name = if cursor.peek() == Some(b'"') { cursor.quoted(true)? } else { cursor.metric_name() };
        if name.is_empty() {
            return Err(Fault::MetaName);
        }
        if !cursor.eat(b' ') {
            return Err(Fault::MetaText);
        }
        let text_at = cursor.at;
        let text = cursor.line();
        if cursor.body[..cursor.at].last() != Some(&b'\n') {
            return Err(Fault::NoEof);
        }
        match word {
            Word::Help if std::str::from_utf8(text).is_err() => Err(Fault::Utf8),
            Word::Help => Ok(Some(Entry::Help { name, text })),
            Word::Type => match kind(text) {
                Some(kind) => {
                    self.kind = kind;
                    Ok(Some(Entry::Type { name, kind }))
                }
                None => {
                    cursor.at = text_at;
                    Err(Fault::Kind)
                }
            },
            Word::Unit => {
                let fits = name.strip_suffix(text).is_some_and(|stem| text.is_empty() || stem.ends_with(b"_"));
                if fits {
                    return Ok(Some(Entry::Unit { name, unit: text }));
                }
                cursor.at = name_at;
                Err(Fault::Unit)
            }
        }
    }
}

enum Word {
    Help,
    Type,
    Unit,
}

/// The kind that a word of OpenMetrics stands for.
pub(super) fn kind(word: &[u8]) -> Option<MetricKind> {
    Some(match word {
        b"counter" => MetricKind::Counter,
        b"gauge" => MetricKind::Gauge,
        b"histogram" => MetricKind::Histogram,
        b"gaugehistogram" => MetricKind::GaugeHistogram,
        b"summary" => MetricKind::Summary,
        b"info" => MetricKind::Info,
        b"stateset" => MetricKind::StateSet,
        b"unknown" => MetricKind::Unknown,
        _ => return None,
    })
}

impl Exposition for OpenMetricsParser<'_> {
    fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError> {
        self.entry()
    }

    #[inline]
    fn predicted(&mut self, series: &[u8]) -> Option<Point<'_>> {
        let value = self.cursor.rest().strip_prefix(series)?.strip_prefix(b" ")?;
        let mut cursor = Cursor { body: self.cursor.body, at: self.cursor.body.len() - value.len() };
        let point = match number::short(value) {
            Some((number, length)) if value.get(length) == Some(&b'\n') => {
                cursor.at += length + 1;
                Point { value: number, timestamp: None, exemplar: None }
            }
            _ => {
                cursor.at -= 1;
                point(&mut cursor).ok()?
            }
        };
        self.start = self.cursor.at;
        self.cursor = cursor;
        Some(point)
    }

    #[inline]
    fn skip(&mut self, bytes: &[u8], kind: MetricKind) -> bool {
        let same = self.cursor.eat_all(bytes);
        if same && super::is_type(bytes) {
            self.kind = kind;
        }
        same
    }

    fn kind(&self) -> MetricKind {
        self.kind
    }

    fn consumed(&self) -> &[u8] {
        &self.cursor.body[self.start..self.cursor.at]
    }

    fn read_labels(series: &[u8], kind: MetricKind, into: &mut LabelSet) -> Result<(), Fault> {
        series::read_series(series, Syntax::OpenMetrics, kind, into)
    }

    fn read_exemplar(exemplar: RawExemplar<'_>, into: &mut LabelSet) -> Result<(), Fault> {
        series::read_exemplar(exemplar.labels, into)
    }
}

/// Value, timestamp, exemplar and the end of the line.
fn point<'a>(cursor: &mut Cursor<'a>) -> Result<Point<'a>, Fault> {
    let value = value(cursor)?;
    let mut point = Point { value, timestamp: None, exemplar: None };
    if !cursor.rest().starts_with(b" # {") && cursor.peek() == Some(b' ') {
        point.timestamp = Some(timestamp(cursor)?);
    }
    if cursor.rest().starts_with(b" # {") {
        cursor.at += b" # ".len();
        let labels = series::pass_exemplar(cursor)?;
        let value = self::value(cursor)?;
        let timestamp = if cursor.peek() == Some(b' ') { Some(timestamp(cursor)?) } else { None };
        point.exemplar = Some(RawExemplar { labels, value, timestamp });
    }
    match cursor.peek() {
        Some(b'\n') => cursor.at += 1,
        Some(_) => return Err(Fault::LineEnd),
        None => return Err(Fault::NoEof),
    }
    Ok(point)
}

fn value(cursor: &mut Cursor<'_>) -> Result<f64, Fault> {
    let text = word(cursor).ok_or(Fault::NoValue)?;
    number::parse(text).ok_or_else(|| {
        cursor.at -= text.len();
        Fault::Number
    })
}

/// Seconds, with a fraction; what is below a millisecond is cut off, as Prometheus does.
fn timestamp(cursor: &mut Cursor<'_>) -> Result<UnixMillis, Fault> {
    let text = word(cursor).ok_or(Fault::LineEnd)?;
    let seconds = number::parse(text).filter(|seconds| seconds.is_finite());
    let seconds = seconds.ok_or_else(|| {
        cursor.at -= text.len();
        Fault::Timestamp
    })?;
    Ok(UnixMillis((seconds * 1000.0) as i64))
}

/// What stands behind one space, up to the next one or the line's end.
fn word<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if !cursor.eat(b' ') {
        return None;
    }
    Some(cursor.until(|byte| matches!(byte, b' ' | b'\n'))).filter(|word| !word.is_empty())
}
