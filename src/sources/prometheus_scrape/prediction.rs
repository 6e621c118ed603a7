//! What a target exposed last, as a prediction of what it exposes next.
//!
//! Scrapes of a target repeat each other: the same series in the same order, other values. So the text of the
//! last exposition is kept without its values, and beside it the list of series that it stood for. While the
//! next exposition says the same, a sample costs a comparison of memory and the reading of a number, and its
//! batch shares the list. Where it differs, the exposition is read anew: a series that was there before is
//! found by its place or by a hash of its text, and only what is new has its labels read and relabelled.

use std::collections::HashSet;
use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::family::FamilyContext;
use super::front_coded::FrontCoded;
use super::gathered::{Failed, Gathered, ScrapeError};
use super::series_rules::{SeriesRules, Work};
use crate::data::labels::METRIC_NAME;
use crate::data::series_table::{ListBuilder, Resolved, SeriesList, SeriesRef, SeriesTable};
use crate::data::{MetricKind, UnixMillis};
use crate::formats::prometheus::{Entry, Exposition};
use crate::relabel::Verdict;

/// The last exposition of a target.
#[derive(Debug)]
pub(super) struct Prediction {
    /// What each line says before its value, or all that it says where it has none.
    text: FrontCoded,
    lines: Vec<Line>,
    /// The series of the lines that have one, in their order.
    list: Arc<SeriesList>,
    /// Whether a limit refused series of it, and how many scrapes ago they were brought.
    refused: bool,
    scrapes_since_refusal: u32,
}

/// After how many scrapes series that a limit refused are brought again.
const RETRY_REFUSED: u32 = 10;

/// One entry of an exposition: the length of its text, what it is, and the kind of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Not a sample.
    Comment = 0,
    /// A sample that rules drop.
    Dropped = 1,
    /// A sample whose series ends with a staleness marker.
    Tracked = 2,
    /// A sample with a time of its own, whose series ends without one.
    Untracked = 3,
    /// A sample of a series that stands earlier in the exposition.
    Repeated = 4,
}

/// Longest text of one entry: more than any body may have.
const LONGEST: usize = (1 << 26) - 1;

impl Line {
    fn new(class: Class, kind: MetricKind, length: usize) -> Option<Self> {
        (length <= LONGEST).then_some(Self((length as u32) << 6 | (kind as u32) << 3 | class as u32))
    }

    /// The same line as one whose sample goes nowhere.
    const fn without_series(self, class: Class) -> Self {
        Self(self.0 & !7 | class as u32)
    }

    const fn length(self) -> usize {
        (self.0 >> 6) as usize
    }

    fn class(self) -> Class {
        match self.0 & 7 {
            0 => Class::Comment,
            1 => Class::Dropped,
            2 => Class::Tracked,
            3 => Class::Untracked,
            _ => Class::Repeated,
        }
    }

    fn kind(self) -> MetricKind {
        MetricKind::ALL[(self.0 >> 3 & 7) as usize]
    }

    fn has_series(self) -> bool {
        matches!(self.class(), Class::Tracked | Class::Untracked)
    }
}

/// Bytes of text of an exposition read anew that memory is kept for.
const KEPT_TEXT: usize = 256 << 10;

/// Memory for reading an exposition anew. Keep one and use it for all targets.
#[derive(Debug, Default)]
pub(super) struct Anew {
    /// The old exposition's text, whole.
    old: Vec<u8>,
    text: Vec<u8>,
    lines: Vec<Line>,
    builder: ListBuilder,
    /// Lines of the old exposition by the hash of their text and kind; filled where it is needed.
    index: HashTable<Known>,
    /// Columns of the old list whose series are there again.
    again: Vec<bool>,
    /// Columns of the new list whose series were not known.
    new: Vec<usize>,
    work: Work,
}

/// A line of the old exposition that was a sample.
#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    line: u32,
    text: u32,
    column: u32,
}

/// A place in the old exposition.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    line: usize,
    text: usize,
    column: usize,
}

impl Prediction {
    /// Nothing was exposed yet.
    pub fn none(table: &Arc<SeriesTable>) -> Self {
        Self {
            text: FrontCoded::default(),
            lines: Vec::new(),
            list: table.list(&ListBuilder::default()).list,
            refused: false,
            scrapes_since_refusal: 0,
        }
    }

    /// The series of the last exposition.
    pub fn list(&self) -> &Arc<SeriesList> {
        &self.list
    }

    /// Whether a limit refuses series of the last exposition.
    pub fn refuses(&self) -> bool {
        self.refused
    }

    /// The series that end with a staleness marker when the target does.
    pub fn tracked(&self, table: &Arc<SeriesTable>) -> Arc<SeriesList> {
        if self.lines.iter().all(|line| line.class() != Class::Untracked) {
            return self.list.clone();
        }
        let with_series = self.lines.iter().filter(|line| line.has_series());
        let mut builder = ListBuilder::default();
        for (line, series) in with_series.zip(self.list.refs()) {
            if line.class() == Class::Tracked {
                builder.known(*series);
            }
        }
        table.list(&builder).list
    }

    /// Reads an exposition that was scraped at `time`. `parser` makes a parser at its beginning. On an error
    /// nothing has changed.
    pub fn read<E: Exposition>(
        &mut self,
        parser: impl Fn() -> E,
        rules: &SeriesRules,
        time: UnixMillis,
        anew: &mut Anew,
    ) -> Result<Gathered, Failed> {
        // Where series have gone since, there may be room for those that were refused.
        let retry = self.refused
            && (self.list.len() < rules.limits.samples
                || self.scrapes_since_refusal % RETRY_REFUSED == RETRY_REFUSED - 1);
        let mut gathered = Gathered::new(time);
        if !self.lines.is_empty() && !retry && self.as_predicted(&mut parser(), rules, &mut gathered) {
            self.scrapes_since_refusal += u32::from(self.refused);
            rules.check_sample_limit(self.list.len()).map_err(|error| gathered.failed(error))?;
            gathered.of(self.list.clone());
            return Ok(gathered);
        }
        let mut gathered = Gathered::new(time);
        match self.anew(&mut parser(), rules, anew, &mut gathered, retry) {
            Ok(()) => Ok(gathered),
            Err(error) => Err(gathered.failed(error)),
        }
    }

    /// Reads an exposition as long as it is as predicted; whether it was, to its end. What is wrong with it is
    /// found by reading it anew.
    fn as_predicted<E: Exposition>(&self, body: &mut E, rules: &SeriesRules, gathered: &mut Gathered) -> bool {
        let mut text = self.text.read();
        let times_matter = rules.times_matter();
        let (mut scraped, mut kept) = (0, 0);
        let mut columns = gathered.columns();
        for line in &self.lines {
            let expected = text.next(line.length());
            let class = line.class();
            if class == Class::Comment {
                if !body.skip(expected, line.kind()) {
                    return false;
                }
                continue;
            }
            scraped += 1;
            kept += usize::from(class != Class::Dropped);
            let as_usual = |timed: bool| !line.has_series() || !times_matter || timed == (class == Class::Untracked);
            if let Some(point) = body.predicted(expected) {
                if !as_usual(point.timestamp.is_some()) {
                    return false;
                }
                if line.has_series() {
                    columns.push::<E>(&point, None, rules);
                }
                continue;
            }
            match body.next() {
                Ok(Some(Entry::Series(series)))
                    if series.raw == expected && as_usual(series.point.timestamp.is_some()) =>
                {
                    if line.has_series() {
                        columns.push::<E>(&series.point, series.created, rules);
                    }
                }
                Ok(Some(Entry::Histogram(series)))
                    if series.raw == expected && as_usual(series.timestamp.is_some()) =>
                {
                    // One that is too large is told by the second reading.
                    if line.has_series() && columns.push_histogram::<E>(series, rules).is_err() {
                        return false;
                    }
                }
                _ => return false,
            }
        }
        (gathered.scraped, gathered.kept) = (scraped, kept);
        matches!(body.next(), Ok(None))
    }

    /// Reads an exposition without relying on the last one. What is new is resolved at the end, at once.
    fn anew<E: Exposition>(
        &mut self,
        body: &mut E,
        rules: &SeriesRules,
        anew: &mut Anew,
        gathered: &mut Gathered,
        retry: bool,
    ) -> Result<(), ScrapeError> {
        anew.begin(self);
        let mut family = FamilyContext::default();
        let mut at = At::default();
        loop {
            let kind = body.kind();
            let Some(entry) = body.next().map_err(ScrapeError::Parse)? else { break };
            let (raw, timed) = match &entry {
                Entry::Series(series) => (series.raw, series.point.timestamp.is_some()),
                Entry::Histogram(series) => (series.raw, series.timestamp.is_some()),
                _ => {
                    family.read(&entry);
                    let kind = body.kind();
                    anew.keep(Class::Comment, kind, body.consumed())?;
                    at.pass_comment(self);
                    continue;
                }
            };
            gathered.scraped += 1;
            let class = match self.find(raw, kind, &mut at, &anew.old, &mut anew.index, retry) {
                Some((Class::Dropped, _)) => Class::Dropped,
                Some((_, column)) => {
                    anew.again[column] = true;
                    let known = self.list.refs()[column];
                    anew.builder.known_as(known, family.of_known(&rules.table, known));
                    Class::Tracked
                }
                None => {
                    E::read_labels(raw, kind, &mut anew.work.labels)
                        .map_err(|fault| ScrapeError::unreadable(raw, fault))?;
                    match rules.name(&mut anew.work, raw)? {
                        Verdict::Dropped => Class::Dropped,
                        Verdict::Kept if rules.refuses_new(self.list.len() + gathered.added) => {
                            gathered.refused += 1;
                            Class::Dropped
                        }
                        Verdict::Kept => {
                            gathered.added += 1;
                            let family = family.of(&rules.table, anew.work.labels.get(METRIC_NAME));
                            anew.new.push(anew.builder.len());
                            anew.builder.labels(&anew.work.labels, family);
                            Class::Tracked
                        }
                    }
                }
            };
            let class = match class {
                Class::Tracked if rules.times_matter() && timed => Class::Untracked,
                class => class,
            };
            anew.keep(class, kind, raw)?;
            gathered.kept += usize::from(class != Class::Dropped);
            match entry {
                _ if class == Class::Dropped => {}
                Entry::Series(series) => gathered.columns().push::<E>(&series.point, series.created, rules),
                Entry::Histogram(series) => gathered.columns().push_histogram::<E>(series, rules)?,
                _ => {}
            }
        }
        rules.check_sample_limit(anew.builder.len())?;
        self.settle(rules, anew, gathered, retry);
        Ok(())
    }

    /// The column of a sample's series in the old list, found by its place or by a hash of its text.
    fn find(
        &self,
        raw: &[u8],
        kind: MetricKind,
        at: &mut At,
        old: &[u8],
        index: &mut HashTable<Known>,
        retry: bool,
    ) -> Option<(Class, usize)> {
        let same = |line: Line, text: &[u8]| line.class() != Class::Repeated && line.kind() == kind && text == raw;
        let here = at.line(self, old).filter(|(line, text)| same(*line, text));
        if here.is_none() {
            if index.is_empty() {
                self.fill(old, index);
            }
            let hash = hash(raw, kind);
            let found = index.find(hash, |known| {
                let line = self.lines[known.line as usize];
                known.hash == hash && same(line, text_at(old, known.text as usize, line))
            })?;
            *at = At { line: found.line as usize, text: found.text as usize, column: found.column as usize };
        }
        let class = self.lines[at.line].class();
        let column = at.column;
        at.advance(self.lines[at.line]);
        // What was dropped is asked again from time to time where a limit may have been the reason.
        (class != Class::Dropped || !retry).then_some((class, column))
    }

    fn fill(&self, old: &[u8], index: &mut HashTable<Known>) {
        let mut at = At::default();
        for line in &self.lines {
            if !matches!(line.class(), Class::Comment | Class::Repeated) {
                let hash = hash(text_at(old, at.text, *line), line.kind());
                let known = Known { hash, line: at.line as u32, text: at.text as u32, column: at.column as u32 };
                index.insert_unique(hash, known, |known| known.hash);
            }
            at.advance(*line);
        }
    }

    /// Resolves what is new, finds what has ended, and takes the new exposition for the old one.
    fn settle(&mut self, rules: &SeriesRules, anew: &mut Anew, gathered: &mut Gathered, retry: bool) {
        let Resolved { list, mut refused, repeated } = rules.table.list(&anew.builder);
        // A series that stands twice is one.
        let twice = repeated.iter().filter(|column| anew.new.binary_search(column).is_ok()).count();
        gathered.added -= refused.len() + twice;
        gathered.kept -= refused.len();
        gathered.refused += refused.len();
        gathered.repeated = repeated.len();
        anew.without_series(&refused, &repeated);
        refused.extend(repeated);
        refused.sort_unstable();
        gathered.remove(&refused);
        let gone: Vec<SeriesRef> = {
            let tracked = self.lines.iter().filter(|line| line.has_series()).map(|line| line.class());
            let old = self.list.refs().iter().zip(tracked).zip(&anew.again);
            old.filter(|((_, class), again)| *class == Class::Tracked && !**again)
                .map(|((series, _), _)| *series)
                .collect()
        };
        if !gone.is_empty() {
            // The text of a series may have changed although it is the same series.
            let there: HashSet<SeriesRef> = list.refs().iter().copied().collect();
            let mut builder = ListBuilder::default();
            gone.into_iter().filter(|series| !there.contains(series)).for_each(|series| builder.known(series));
            gathered.ended = (!builder.is_empty()).then(|| rules.table.list(&builder).list);
        }
        self.text = FrontCoded::new(&anew.text, anew.lines.iter().map(|line| line.length()));
        self.lines.clone_from(&anew.lines);
        self.lines.shrink_to_fit();
        self.list = list.clone();
        // Those that were refused before and not asked about now stand among what is dropped.
        self.refused = gathered.refused > 0 || self.refused && !retry;
        self.scrapes_since_refusal = if retry { 0 } else { self.scrapes_since_refusal + u32::from(self.refused) };
        gathered.of(list);
    }
}

fn text_at(text: &[u8], from: usize, line: Line) -> &[u8] {
    &text[from..from + line.length()]
}

fn hash(raw: &[u8], kind: MetricKind) -> u64 {
    xxh3_64_with_seed(raw, kind as u64)
}

impl At {
    /// The line here, and its text.
    fn line<'a>(self, old: &Prediction, text: &'a [u8]) -> Option<(Line, &'a [u8])> {
        let line = *old.lines.get(self.line)?;
        Some((line, text_at(text, self.text, line)))
    }

    fn advance(&mut self, line: Line) {
        self.line += 1;
        self.text += line.length();
        self.column += usize::from(line.has_series());
    }

    /// Goes on behind the comments here.
    fn pass_comment(&mut self, old: &Prediction) {
        if let Some(line) = old.lines.get(self.line).filter(|line| line.class() == Class::Comment) {
            self.advance(*line);
        }
    }
}

impl Anew {
    /// Gives memory back that only the first scrape of a large target needs.
    pub fn forget_large(&mut self) {
        if self.text.capacity() > KEPT_TEXT {
            *self = Self::default();
        }
    }

    fn begin(&mut self, old: &Prediction) {
        self.old.clear();
        let mut text = old.text.read();
        old.lines.iter().for_each(|line| self.old.extend_from_slice(text.next(line.length())));
        self.text.clear();
        self.lines.clear();
        self.builder.clear();
        self.index.clear();
        self.again.clear();
        self.new.clear();
        self.again.resize(old.list.len(), false);
    }

    fn keep(&mut self, class: Class, kind: MetricKind, text: &[u8]) -> Result<(), ScrapeError> {
        self.lines.push(Line::new(class, kind, text.len()).ok_or(ScrapeError::LongLine)?);
        self.text.extend_from_slice(text);
        Ok(())
    }

    /// Takes the series from lines that have none after all. Columns ascending.
    fn without_series(&mut self, refused: &[usize], repeated: &[usize]) {
        if refused.is_empty() && repeated.is_empty() {
            return;
        }
        let with_series = self.lines.iter_mut().filter(|line| line.has_series());
        for (column, line) in with_series.enumerate() {
            if refused.binary_search(&column).is_ok() {
                *line = line.without_series(Class::Dropped);
            } else if repeated.binary_search(&column).is_ok() {
                *line = line.without_series(Class::Repeated);
            }
        }
    }
}

#[cfg(test)]
mod tests;
