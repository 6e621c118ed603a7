//! What an evaluation has to tell the author of its query, in Prometheus's words. A note is said once, however many
//! samples gave cause for it; what happened again and again is summed up in it.

mod note;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write as _};

pub use note::{Forced, Note, Operation};

use super::super::value::Annotations;
use crate::formats::go::{Shortest, Style, float};

/// Where in a query an expression begins: its byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(pub u32);

/// What functions work with beside their arguments: what there is to say, and memory that is used again and again.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// What there is to say.
    pub notes: Notes,
    /// Numbers that a function sorts or collects.
    pub(super) numbers: Vec<f64>,
}

/// What there is to say about an evaluation so far.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    said: BTreeMap<Box<str>, Said>,
    failure: Option<String>,
    text: String,
}

#[derive(Clone, Debug)]
struct Said {
    warning: bool,
    place: Place,
    more: More,
}

/// What is summed up over all causes of one note.
#[derive(Clone, Debug)]
enum More {
    Nothing,
    Forced { forced: Forced, from: i64, to: i64, samples: u64 },
    Overlaps(u64),
}

impl Notes {
    /// Whether nothing was said, and nothing failed.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.failure.is_none()
    }

    /// Says something about the expression that begins at `place`.
    pub fn add(&mut self, place: Place, note: Note<'_>) {
        self.text.clear();
        // A text takes whatever is written.
        let _ = write!(self.text, "{note}");
        let more = match note {
            Note::ForcedMonotonicity { time, forced, .. } => More::Forced { forced, from: time, to: time, samples: 1 },
            Note::StartOverlap(_) => More::Overlaps(1),
            _ => More::Nothing,
        };
        match self.said.get_mut(self.text.as_str()) {
            Some(said) => said.again(place, more),
            None => {
                let said = Said { warning: note.is_warning(), place, more };
                self.said.insert(self.text.as_str().into(), said);
            }
        }
    }

    /// Says that the query cannot be answered; the first reason counts.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.failure.get_or_insert_with(|| why.into());
    }

    /// Why the query cannot be answered, if it cannot.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What was said, with its places in the query's text; `(line:column)`, both from one.
    pub fn finish(&self, query: &str) -> Annotations {
        let mut all = Annotations::default();
        for (text, said) in &self.said {
            let to = if said.warning { &mut all.warnings } else { &mut all.infos };
            to.insert(format!("{text}{} ({})", said.more, At(said.place, query)));
        }
        all
    }
}

impl Said {
    fn again(&mut self, place: Place, more: More) {
        self.place = place;
        match (&mut self.more, more) {
            (
                More::Forced { forced, from, to, samples },
                More::Forced { forced: new, from: first, to: last, samples: n },
            ) => {
                forced.lowest = forced.lowest.min(new.lowest);
                forced.highest = forced.highest.max(new.highest);
                forced.most = forced.most.max(new.most);
                *from = first.min(*from);
                *to = last.max(*to);
                *samples += n;
            }
            (More::Overlaps(count), More::Overlaps(n)) => *count += n,
            _ => {}
        }
    }
}

impl Display for More {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing | Self::Overlaps(0 | 1) => Ok(()),
            Self::Overlaps(count) => write!(f, " ({count} occurrences)"),
            Self::Forced { forced, from, to, samples } => write!(
                f,
                ", from buckets {} to {}, with a max diff of {}, over {samples} samples from {} to {}",
                Shortest(forced.lowest),
                Shortest(forced.highest),
                float(forced.most, Style::Shorter, Some(2), false),
                Second(*from),
                Second(*to),
            ),
        }
    }
}

/// A time in milliseconds as RFC 3339 writes it in whole seconds.
struct Second(i64);

impl Display for Second {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0 / 1000) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}", self.0 / 1000),
        }
    }
}

struct At<'a>(Place, &'a str);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(Place(at), query) = self;
        let at = *at as usize;
        if query.is_empty() {
            return f.write_str("unknown position");
        }
        let Some(before) = query.as_bytes().get(..at) else { return f.write_str("invalid position") };
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
        write!(f, "{line}:{column}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_said_once_with_its_place() {
        let mut notes = Notes::default();
        notes.add(Place(0), Note::PossibleNonCounter("up".into()));
        notes.add(Place(12), Note::PossibleNonCounter("up".into()));
        notes.add(Place(3), Note::InvalidQuantile(f64::INFINITY));
        let said = notes.finish("rate(up[1m])\n+ rate(up[1m])");
        assert_eq!(
            said.infos.into_iter().collect::<Vec<_>>(),
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\" (1:13)"
            ]
        );
        assert_eq!(
            said.warnings.into_iter().collect::<Vec<_>>(),
            ["PromQL warning: quantile value should be between 0 and 1, got +Inf (1:4)"]
        );
        let mut below = Notes::default();
        below.add(Place(13), Note::SortInRange);
        assert!(below.finish("rate(up[1m])\n+ 1").warnings.iter().all(|text| text.ends_with("(2:1)")));
    }

    #[test]
    fn what_happened_again_is_summed_up() {
        let forced = |lowest, highest, most| Forced { lowest, highest, most };
        let mut notes = Notes::default();
        let note = |time, forced| Note::ForcedMonotonicity { metric: "".into(), time, forced };
        notes.add(Place(0), note(60_000, forced(0.5, 5.0, 123.0)));
        notes.add(Place(0), note(0, forced(1.0, f64::INFINITY, 0.25)));
        let infos: Vec<_> = notes.finish("x").infos.into_iter().collect();
        assert!(
            infos[0].ends_with(
                ", from buckets 0.5 to +Inf, with a max diff of 1.2e+02, over 2 samples from 1970-01-01T00:00:00Z to \
                 1970-01-01T00:01:00Z (1:1)"
            ),
            "{infos:?}"
        );
        notes.fail("first");
        notes.fail("second");
        assert_eq!(notes.failure(), Some("first"));
    }
}
