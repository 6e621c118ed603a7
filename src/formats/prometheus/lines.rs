//! What Prometheus's text formats and OpenMetrics have in common: a body is read line by line, and a line that is
//! known is compared instead of read. What a line may look like is the [`Grammar`]'s.

use std::marker::PhantomData;

use super::cursor::Cursor;
use super::error::{Fault, ParseError};
use super::series::{self, Syntax};
use super::{Entry, Exposition, Point, RawExemplar, Series, number};
use crate::data::{LabelSet, MetricKind};

/// How one of the formats writes a line.
pub trait Grammar {
    /// How it writes series.
    const SYNTAX: Syntax;

    /// Passes what may stand before a line.
    fn before(cursor: &mut Cursor<'_>);

    /// Whether a body may end without more words.
    fn end() -> Result<(), Fault>;

    /// Reads a line that begins with `#`; `None` where it says that the body ends.
    fn metadata<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Entry<'a>>, Fault>;

    /// Reads what stands behind a series: value, timestamp, exemplar and the end of the line.
    fn point<'a>(cursor: &mut Cursor<'a>) -> Result<Point<'a>, Fault>;

    /// Reads the labels of an exemplar into `into`, which is cleared first.
    fn exemplar(labels: &[u8], into: &mut LabelSet) -> Result<(), Fault>;
}

/// Reads an exposition line by line.
#[derive(Clone, Debug)]
pub struct LineParser<'a, G> {
    cursor: Cursor<'a>,
    /// Where the entry that came last begins.
    start: usize,
    kind: MetricKind,
    grammar: PhantomData<G>,
}

impl<'a, G: Grammar> LineParser<'a, G> {
    /// Reads `body`, to its end.
    pub fn new(body: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(body), start: 0, kind: MetricKind::Unknown, grammar: PhantomData }
    }

    /// As [`Exposition::next`], borrowed from the body.
    pub fn entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        self.start = self.cursor.at;
        self.read().map_err(|fault| ParseError::in_text(self.cursor.body, self.cursor.at, fault))
    }

    fn read(&mut self) -> Result<Option<Entry<'a>>, Fault> {
        let cursor = &mut self.cursor;
        G::before(cursor);
        match cursor.peek() {
            None => G::end().map(|()| None),
            Some(b'#') => {
                let entry = G::metadata(cursor)?;
                if let Some(Entry::Type { kind, .. }) = &entry {
                    self.kind = *kind;
                }
                Ok(entry)
            }
            Some(_) => {
                let series = series::pass(cursor, G::SYNTAX)?;
                Ok(Some(Entry::Series(Series { raw: series, point: G::point(cursor)?, created: None })))
            }
        }
    }
}

impl<G: Grammar> Exposition for LineParser<'_, G> {
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
                // A point begins with the blank before the value.
                cursor.at -= 1;
                G::point(&mut cursor).ok()?
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
        series::read_series(series, G::SYNTAX, kind, into)
    }

    fn read_exemplar(exemplar: RawExemplar<'_>, into: &mut LabelSet) -> Result<(), Fault> {
        G::exemplar(exemplar.labels, into)
    }
}
