//! What a target exposed last, as a prediction of what it exposes next.
//!
//! Scrapes of a target repeat each other: the same series in the same order, other values. So the text of the
//! last exposition is kept without its values, and beside it the list of series that it stood for. While the
//! next exposition says the same, a sample costs a comparison of memory and the reading of a number, and its
//! batch shares the list. Where it differs, the exposition is read anew: a series that was there before is
//! found by its place or by a hash of its text, and only what is new has its labels read and relabelled.

mod anew;
mod line;
mod several;

use std::sync::Arc;

use super::differences::Differences;
use super::gathered::{Failed, Gathered};
use super::series_rules::SeriesRules;
use crate::data::UnixMillis;
use crate::data::series_table::{ListBuilder, SeriesList, SeriesTable};
use crate::formats::prometheus::{Entry, Exposition};
pub(super) use anew::Anew;
use line::{Class, Line};
use several::Several;

/// The last exposition of a target.
#[derive(Debug)]
pub(super) struct Prediction {
    /// What each line says before its value, or all that it says where it has none.
    text: Differences,
    lines: Vec<Line>,
    /// The series of the lines that have one, in their order.
    list: Arc<SeriesList>,
    /// Those of them that have several samples, each with a time of its own.
    several: Several,
    /// Whether a limit refused series of it, and how many scrapes ago they were brought.
    refused: bool,
    scrapes_since_refusal: u32,
}

/// After how many scrapes series that a limit refused are brought again.
const RETRY_REFUSED: u32 = 10;

impl Prediction {
    /// Nothing was exposed yet.
    pub fn none(table: &Arc<SeriesTable>) -> Self {
        Self {
            text: Differences::default(),
            lines: Vec::new(),
            list: table.list(&ListBuilder::default()).list,
            several: Several::default(),
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
        } else {
            gathered = Gathered::new(time);
            if let Err(error) = self.anew(&mut parser(), rules, anew, &mut gathered, retry) {
                return Err(gathered.failed(error));
            }
        }
        if !self.several.is_empty() {
            let late = self.several.late(&self.list, time, gathered.times());
            gathered.leave_out(late);
        }
        Ok(gathered)
    }

    /// Reads an exposition as long as it is as predicted; whether it was, to its end. What is wrong with it is
    /// found by reading it anew.
    fn as_predicted<E: Exposition>(&self, body: &mut E, rules: &SeriesRules, gathered: &mut Gathered) -> bool {
        let mut text = self.text.read();
        let times_matter = rules.times_matter();
        let (mut scraped, mut kept, mut repeated) = (0, 0, 0);
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
            repeated += usize::from(class == Class::Repeated);
            let as_usual = |timed: bool| match class {
                Class::Tracked => !timed || !times_matter,
                Class::Untracked => timed,
                // With a time of its own it is a sample after all.
                Class::Repeated => !timed || !rules.honor_timestamps,
                Class::Dropped | Class::Comment => true,
            };
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
        (gathered.scraped, gathered.kept, gathered.repeated) = (scraped, kept, repeated);
        matches!(body.next(), Ok(None))
    }
}

#[cfg(test)]
mod tests;
