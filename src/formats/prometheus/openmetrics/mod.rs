//! OpenMetrics 0.0.1 and 1.0.0 in text form, as leniently as Prometheus 3 scrapes them: single spaces, no
//! other comments than metadata, `# EOF` at the end, and no look at what a family may hold.
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>

pub mod strict;

use super::cursor::Cursor;
use super::error::Fault;
use super::lines::{Grammar, LineParser};
use super::series::{self, Syntax};
use super::{Entry, Point, RawExemplar, number};
use crate::data::{LabelSet, MetricKind, UnixMillis};

/// Reads an exposition in OpenMetrics text format, to its `# EOF`.
pub type OpenMetricsParser<'a> = LineParser<'a, OpenMetrics>;

/// The grammar.
#[derive(Clone, Copy, Debug)]
pub struct OpenMetrics;

impl Grammar for OpenMetrics {
    const SYNTAX: Syntax = Syntax::OpenMetrics;

    fn before(_: &mut Cursor<'_>) {}

    fn end() -> Result<(), Fault> {
        Err(Fault::NoEof)
    }

    fn metadata<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Entry<'a>>, Fault> {
        let start = cursor.at;
        if cursor.eat_all(b"# EOF") {
            cursor.eat(b'\n');
            if !cursor.rest().is_empty() {
                return Err(Fault::AfterEof);
            }
            // Whoever asks again gets the same answer.
            cursor.at = start;
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
                Some(kind) => Ok(Some(Entry::Type { name, kind })),
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

    fn exemplar(labels: &[u8], into: &mut LabelSet) -> Result<(), Fault> {
        series::read_exemplar(labels, into)
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
