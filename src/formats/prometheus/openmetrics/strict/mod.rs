//! Whether a text is a valid OpenMetrics 1.0 exposition: everything that the specification says MUST hold and
//! that one exposition can show. <https://prometheus.io/docs/specs/om/open_metrics_spec/>
//!
//! Scraping is lenient ([`super::OpenMetricsParser`]); this is for whoever writes an exporter. Where the
//! grammar and the specification's published tests differ, the tests win: a help may end in a backslash and
//! may hold double quotes.

mod family;
mod line;
mod point;
mod rule;
mod time;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;

use memchr::memchr;

use super::super::Place;
use super::super::error::Fault;
use family::Family;
use line::Line;
pub use rule::Rule;

/// What a valid exposition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of metric families.
    pub families: usize,
    /// Number of samples.
    pub samples: usize,
}

/// The first thing that makes an exposition invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: for what is missing, the line in which the metric or the family begins.
    pub place: Place,
    /// What the specification says.
    pub rule: Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)
    }
}

impl std::error::Error for Violation {}

/// A rule that is broken at a byte of a line or of the whole body.
type Broken = (usize, Rule);

/// Checks a whole exposition.
pub fn check(body: &[u8]) -> Result<Summary, Violation> {
    let mut checker = Checker { body, family: None, names: HashSet::new(), summary: Summary::default() };
    checker.check().map_err(|(at, rule)| Violation { place: Place::of(body, at), rule })?;
    Ok(checker.summary)
}

struct Checker<'a> {
    body: &'a [u8],
    family: Option<Family<'a>>,
    /// Names of families that have ended, and of the samples that they can have.
    names: HashSet<String>,
    summary: Summary,
}

impl<'a> Checker<'a> {
    fn check(&mut self) -> Result<(), Broken> {
        if self.body.starts_with(b"\xef\xbb\xbf") {
            return Err((0, Rule::ByteOrderMark));
        }
        let text = std::str::from_utf8(self.body).map_err(|error| (error.valid_up_to(), Rule::Utf8))?;
        let mut start = 0;
        while start < text.len() {
            let end = memchr(b'\n', &self.body[start..]).map_or(text.len(), |length| start + length);
            let in_line = |(at, rule): Broken| (start + at, rule);
            match line::read(&text[start..end]).map_err(in_line)? {
                Line::Eof => {
                    self.end_family()?;
                    let rest = (end + 1).min(text.len());
                    return if rest == text.len() { Ok(()) } else { Err((rest, Rule::AfterEof)) };
                }
                // The grammar wants a newline behind every line but the last.
                _ if end == text.len() => return Err((end, Rule::NoEof)),
                Line::Metadata(metadata) => self.family(metadata.name, start)?.metadata(&metadata).map_err(in_line)?,
                Line::Sample(sample) => {
                    let current = self.family.as_ref().filter(|family| family.may_hold(sample.name));
                    let name = current.map_or(sample.name, |family| family.name);
                    self.family(name, start)?.sample(sample, start)?;
                    self.summary.samples += 1;
                }
            }
            start = end + 1;
        }
        Err((text.len(), Rule::NoEof))
    }

    /// The family of this name: the current one, or one that begins.
    fn family(&mut self, name: &'a str, at: usize) -> Result<&mut Family<'a>, Broken> {
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.end_family()?;
            self.summary.families += 1;
        }
        Ok(self.family.get_or_insert_with(|| Family::new(name, at)))
    }

    fn end_family(&mut self) -> Result<(), Broken> {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        family.end()?;
        for name in family.names() {
            if !self.names.insert(name.clone()) {
                return Err((family.at, Rule::Clash(name)));
            }
        }
        Ok(())
    }
}
