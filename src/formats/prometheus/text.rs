//! Prometheus's text formats 0.0.4 and 1.0.0, as leniently as Prometheus 3 scrapes them:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>. Both versions are one grammar here, since
//! the quoted names of 1.0.0 mean nothing else in 0.0.4.

use super::cursor::Cursor;
use super::error::{Fault, ParseError};
use super::series::{self, Syntax};
use super::{Entry, Exposition, Point, RawExemplar, Series, number};
use crate::data::{LabelSet, MetricKind, UnixMillis};

/// Reads an exposition in text format.
#[derive(Clone, Debug)]
pub struct TextParser<'a> {
    cursor: Cursor<'a>,
    /// Where the entry that came last begins.
    start: usize,
    kind: MetricKind,
}

impl<'a> TextParser<'a> {
    /// Reads `body`, to its end.
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
        while let Some(b' ' | b'\t' | b'\n') = cursor.peek() {
            cursor.at += 1;
        }
        match cursor.peek() {
            None => Ok(None),
            Some(b'#') => self.comment().map(Some),
            Some(_) => {
                let series = series::pass(cursor, Syntax::Text)?;
                Ok(Some(Entry::Series(Series { raw: series, point: point(cursor)?, created: None })))
            }
        }
    }

    fn comment(&mut self) -> Result<Entry<'a>, Fault> {
        let cursor = &mut self.cursor;
        let mut words = *cursor;
        words.at += 1;
        let spaced = matches!(words.peek(), Some(b' ' | b'\t'));
        words.skip_blanks();
        let word = words.until(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
        let followed = matches!(words.peek(), Some(b' ' | b'\t'));
        if !(spaced && followed && matches!(word, b"HELP" | b"TYPE")) {
            return Ok(Entry::Comment(cursor.line()));
        }
        *cursor = words;
        cursor.skip_blanks();
        let name = if cursor.peek() == Some(b'"') { cursor.quoted(true)? } else { cursor.metric_name() };
        if name.is_empty() {
            return Err(Fault::MetaName);
        }
        let at = cursor.at;
        // The byte behind the name is passed whatever it is; the text begins behind it.
        let text = cursor.line().get(1..).unwrap_or_default();
        if word == b"HELP" {
            return if std::str::from_utf8(text).is_ok() { Ok(Entry::Help { name, text }) } else { Err(Fault::Utf8) };
        }
        let kind = match text {
            b"counter" => MetricKind::Counter,
            b"gauge" => MetricKind::Gauge,
            b"histogram" => MetricKind::Histogram,
            b"summary" => MetricKind::Summary,
            b"untyped" => MetricKind::Unknown,
            _ => {
                cursor.at = at;
                return Err(Fault::Kind);
            }
        };
        self.kind = kind;
        Ok(Entry::Type { name, kind })
    }
}

impl Exposition for TextParser<'_> {
    fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError> {
        self.entry()
    }

    #[inline]
    fn predicted(&mut self, series: &[u8]) -> Option<Point<'_>> {
        let value = self.cursor.rest().strip_prefix(series)?.strip_prefix(b" ")?;
        let mut cursor = Cursor { body: self.cursor.body, at: self.cursor.body.len() - value.len() };
        let point = match number::short(value) {
            Some((number, length)) if matches!(value.get(length), None | Some(b'\n')) => {
                cursor.at = (cursor.at + length + 1).min(cursor.body.len());
                Point { value: number, timestamp: None, exemplar: None }
            }
            _ => point(&mut cursor).ok()?,
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
        series::read_series(series, Syntax::Text, kind, into)
    }

    /// The text formats have no exemplars.
    fn read_exemplar(_: RawExemplar<'_>, into: &mut LabelSet) -> Result<(), Fault> {
        into.clear();
        Ok(())
    }
}

/// Value, timestamp and the end of the line.
fn point<'a>(cursor: &mut Cursor<'a>) -> Result<Point<'a>, Fault> {
    cursor.skip_blanks();
    let at = cursor.at;
    let text = cursor.until(|byte| matches!(byte, b'{' | b' ' | b'\t' | b'\n'));
    if text.is_empty() {
        return Err(Fault::NoValue);
    }
    let Some(value) = number::parse(text) else {
        cursor.at = at;
        return Err(Fault::Number);
    };
    cursor.skip_blanks();
    let at = cursor.at;
    let digits = cursor.until(|byte| !byte.is_ascii_digit());
    let timestamp = match digits {
        b"" => None,
        digits => match number::parse_millis(digits) {
            Some(millis) => Some(UnixMillis(millis)),
            None => {
                cursor.at = at;
                return Err(Fault::Timestamp);
            }
        },
    };
    cursor.skip_blanks();
    match cursor.peek() {
        None => {}
        Some(b'\n') => cursor.at += 1,
        Some(_) => return Err(Fault::LineEnd),
    }
    Ok(Point { value, timestamp, exemplar: None })
}
