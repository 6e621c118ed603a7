//! The demo's book: what the shop wrote and what became of it. Every record has a nanosecond of its own,
//! stamped by the "runtime" on its line and carried by the agent into the output; that is its number. What
//! is still open at the end was lost, and nothing else counts as lost.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::data::UnixNanos;

/// What the configuration says to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It must arrive.
    Kept,
    /// It must not: the configuration drops it.
    Dropped,
}

/// A record as the shop writes it.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// Its number: the time that the runtime stamps on it, given once.
    pub number: UnixNanos,
    /// What should become of it.
    pub fate: Fate,
    /// E-mail addresses and card numbers in it.
    pub secrets: u64,
    /// What the container wrote.
    pub text: &'a str,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records written.
    pub written: u64,
    /// Of them, records that the configuration drops.
    pub dropped: u64,
    /// Records found in the output, each once.
    pub found: u64,
    /// Records not found yet.
    pub open: u64,
    /// Lines of the output that were found before, should have been dropped, or were never written.
    pub unexpected: u64,
    /// E-mail addresses and card numbers written.
    pub secrets: u64,
    /// Lines of the output with one of them in it.
    pub leaked: u64,
}

/// A record before and after the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What the container wrote.
    pub before: String,
    /// The line of the output.
    pub after: String,
}

/// The book. Shared by the shop, which writes, and the reader of the results, which strikes out.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    counts: Counts,
    open: HashSet<u64>,
    /// Number and text of the record that the next sample shows.
    awaited: Option<(u64, String)>,
    sample: Option<Sample>,
    /// Times from write to output of the last records found.
    delays: VecDeque<Duration>,
}

/// Delays that the median and the 99th percentile are taken over.
const DELAYS: usize = 2000;

/// A sample longer than this says little on a screen.
const SAMPLE: usize = 1000;

impl Ledger {
    /// Notes a record; before it is written, so that it cannot be found first.
    pub fn write(&self, record: Written<'_>) {
        let mut book = self.lock();
        book.counts.written += 1;
        book.counts.secrets += record.secrets;
        match record.fate {
            Fate::Dropped => book.counts.dropped += 1,
            Fate::Kept => {
                book.open.insert(record.number.0);
                if record.secrets > 0 && book.awaited.is_none() && record.text.len() < SAMPLE {
                    book.awaited = Some((record.number.0, record.text.to_owned()));
                }
            }
        }
    }

    /// Strikes out the record that a line of the output is, seen there at `now`.
    pub fn find(&self, number: Option<UnixNanos>, line: &str, leaks: bool, now: UnixNanos) {
        let mut book = self.lock();
        book.counts.leaked += u64::from(leaks);
        let Some(number) = number.filter(|number| book.open.remove(&number.0)) else {
            book.counts.unexpected += 1;
            return;
        };
        book.counts.found += 1;
        if book.delays.len() == DELAYS {
            book.delays.pop_front();
        }
        book.delays.push_back(now.since(number));
        if let Some((_, before)) = book.awaited.take_if(|(awaited, _)| *awaited == number.0) {
            book.sample = Some(Sample { before, after: line.to_owned() });
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let book = self.lock();
        Counts { open: book.open.len() as u64, ..book.counts }
    }

    /// The last record seen on both sides.
    pub fn sample(&self) -> Option<Sample> {
        self.lock().sample.clone()
    }

    /// Median and 99th percentile of the time from write to output, over the last records found.
    pub fn delay(&self) -> Option<(Duration, Duration)> {
        let mut delays: Vec<_> = self.lock().delays.iter().copied().collect();
        delays.sort_unstable();
        let last = delays.len().checked_sub(1)?;
        Some((delays[last / 2], delays[last * 99 / 100]))
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, fate: Fate) -> Written<'static> {
        Written { number: UnixNanos(number), fate, secrets: 1, text: "pays with 4111" }
    }

    #[test]
    fn what_is_not_found_is_lost_and_what_is_found_twice_is_told() {
        let ledger = Ledger::default();
        for number in 1..=4 {
            ledger.write(record(number, if number == 4 { Fate::Dropped } else { Fate::Kept }));
        }
        for (number, leaks) in [(1, false), (3, true), (1, false), (4, false)] {
            ledger.find(Some(UnixNanos(number)), "{}", leaks, UnixNanos(10));
        }
        ledger.find(None, "not an object", false, UnixNanos(10));
        let counts = Counts { written: 4, dropped: 1, found: 2, open: 1, unexpected: 3, secrets: 4, leaked: 1 };
        assert_eq!(ledger.counts(), counts);
        assert_eq!(ledger.delay(), Some((Duration::from_nanos(7), Duration::from_nanos(7))));
    }

    #[test]
    fn a_sample_is_one_record_on_both_sides() {
        let ledger = Ledger::default();
        ledger.write(record(1, Fate::Kept));
        ledger.write(record(2, Fate::Kept));
        ledger.find(Some(UnixNanos(2)), "two", false, UnixNanos(3));
        assert_eq!(ledger.sample(), None);
        ledger.find(Some(UnixNanos(1)), "one", false, UnixNanos(3));
        assert_eq!(ledger.sample(), Some(Sample { before: "pays with 4111".into(), after: "one".into() }));
    }
}
