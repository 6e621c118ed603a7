//! Prometheus's text formats 0.0.4 and 1.0.0, as leniently as Prometheus 3 scrapes them:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>. Both versions are one grammar here, since
//! the quoted names of 1.0.0 mean nothing else in 0.0.4.

use super::cursor::Cursor;
use super::error::Fault;
use super::lines::{Grammar, LineParser};
use super::series::Syntax;
use super::{Entry, Point, number};
use crate::data::{LabelSet, MetricKind, UnixMillis};

/// Reads an exposition in text format.
pub type TextParser<'a> = LineParser<'a, Text>;

/// The grammar.
#[derive(Clone, Copy, Debug)]
pub struct Text;

impl Grammar for Text {
    const SYNTAX: Syntax = Syntax::Text;

    fn before(cursor: &mut Cursor<'_>) {
        while let Some(b' ' | b'\t' | b'\n') = cursor.peek() {
            cursor.at += 1;
        }
    }

    fn end() -> Result<(), Fault> {
        Ok(())
    }

    fn metadata<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Entry<'a>>, Fault> {
        let mut words = *cursor;
        words.at += 1;
        let spaced = matches!(words.peek(), Some(b' ' | b'\t'));
        words.skip_blanks();
        let word = words.until(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
        let followed = matches!(words.peek(), Some(b' ' | b'\t'));
        if !(spaced && followed && matches!(word, b"HELP" | b"TYPE")) {
            return Ok(Some(Entry::Comment(cursor.line())));
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
            return if std::str::from_utf8(text).is_ok() {
                Ok(Some(Entry::Help { name, text }))
            } else {
                Err(Fault::Utf8)
            };
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
        Ok(Some(Entry::Type { name, kind }))
    }

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

    /// The text formats have no exemplars.
    fn exemplar(_: &[u8], into: &mut LabelSet) -> Result<(), Fault> {
        into.clear();
        Ok(())
    }
}
