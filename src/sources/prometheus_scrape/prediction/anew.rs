//! Reading an exposition that is not as predicted: a series that was there before is found by its place or by a
//! hash of its text, what is new is resolved at the end, at once, and what is missing has ended.

use std::collections::HashSet;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::super::differences::Differences;
use super::super::family::FamilyContext;
use super::super::gathered::{Gathered, ScrapeError};
use super::super::series_rules::{SeriesRules, Work};
use super::Prediction;
use super::line::{Class, Line};
use super::several::Several;
use crate::data::MetricKind;
use crate::data::labels::METRIC_NAME;
use crate::data::series_table::{ListBuilder, Resolved, SeriesRef};
use crate::formats::prometheus::{Entry, Exposition};
use crate::relabel::Verdict;

/// Bytes of memory that are kept from one exposition to the next.
const KEPT: usize = 1 << 20;

/// Memory for reading an exposition anew. Keep one and use it for all targets.
#[derive(Debug, Default)]
pub(in super::super) struct Anew {
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
    /// Columns of the new list whose samples have a time of their own: their series may stand again.
    timed: Vec<usize>,
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
    /// Reads an exposition without relying on the last one. What is new is resolved at the end, at once.
    pub(super) fn anew<E: Exposition>(
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
            if timed && rules.honor_timestamps && class != Class::Dropped {
                anew.timed.push(anew.builder.len() - 1);
            }
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
        let resolved = rules.table.list_with_repeats_at(&anew.builder, &anew.timed);
        let Resolved { list, mut refused, repeated, again } = resolved;
        // A series that stands twice is one.
        let twice = repeated.iter().chain(&again).filter(|column| anew.new.binary_search(column).is_ok()).count();
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
        self.text = Differences::new(&anew.text, anew.lines.iter().map(|line| line.length()));
        self.lines.clone_from(&anew.lines);
        self.lines.shrink_to_fit();
        self.several = if again.is_empty() { Several::default() } else { Several::of(&list, &self.several) };
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
        if self.bytes() > KEPT {
            *self = Self::default();
        }
    }

    /// Bytes of memory that it holds.
    fn bytes(&self) -> usize {
        self.old.capacity()
            + self.text.capacity()
            + self.lines.capacity() * size_of::<Line>()
            + self.builder.bytes()
            + self.index.capacity() * size_of::<Known>()
            + self.again.capacity()
            + (self.new.capacity() + self.timed.capacity()) * size_of::<usize>()
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
        self.timed.clear();
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
