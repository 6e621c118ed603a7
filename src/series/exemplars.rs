//! The newest exemplars of all series, a bounded number of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::data::labels::Labels;

/// Exemplars that are kept at the most.
const MOST: usize = 10_000;

/// What an exemplar takes beside its labels.
const ENTRY: usize = size_of::<Held>() + 32;

/// An exemplar.
#[derive(Clone, Debug)]
pub struct Held {
    /// Labels of its series.
    pub series: Arc<[u8]>,
    /// Its own.
    pub labels: Box<[u8]>,
    /// The log record that was counted, as text; empty for none.
    pub line: Box<[u8]>,
    /// What was observed.
    pub value: f64,
    /// When, milliseconds since 1970.
    pub time: i64,
    place: u32,
}

impl Held {
    fn bytes(&self) -> usize {
        ENTRY + self.labels.len() + self.line.len()
    }
}

/// An exemplar that a batch brings.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its labels.
    pub labels: Labels<'a>,
    /// Its line, empty for none.
    pub line: &'a [u8],
    /// What was observed.
    pub value: f64,
    /// When, milliseconds since 1970.
    pub time: i64,
}

/// The newest exemplars.
#[derive(Debug)]
pub struct Exemplars {
    held: VecDeque<Held>,
    /// The last one of each series, as time and bits: expositions repeat it until there is another.
    last: HashMap<u32, (i64, u64)>,
    bytes: usize,
    most_bytes: usize,
}

impl Exemplars {
    /// Room for so many bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self { held: VecDeque::new(), last: HashMap::new(), bytes: 0, most_bytes }
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Room for so many bytes from now on; the oldest go where they are too many.
    pub fn bound(&mut self, most_bytes: usize) {
        self.most_bytes = most_bytes;
        self.make_room(0);
    }

    /// Keeps an exemplar of the series at a place, unless it is the last one once more.
    pub fn push(&mut self, place: u32, series: &Arc<[u8]>, one: Seen<'_>) {
        let Seen { labels, line, value, time } = one;
        let entry = ENTRY + labels.encoded().len() + line.len();
        if entry > self.most_bytes || self.last.insert(place, (time, value.to_bits())) == Some((time, value.to_bits()))
        {
            return;
        }
        while self.held.len() >= MOST
            && let Some(oldest) = self.held.pop_front()
        {
            self.forgot(&oldest);
        }
        self.make_room(entry);
        self.bytes += entry;
        let (series, labels, line) = (series.clone(), labels.encoded().into(), line.into());
        self.held.push_back(Held { series, labels, line, value, time, place });
    }

    /// Forgets what is older.
    pub fn forget_before(&mut self, time: i64) {
        while let Some(oldest) = self.held.front()
            && oldest.time < time
            && let Some(oldest) = self.held.pop_front()
        {
            self.forgot(&oldest);
        }
    }

    /// Forgets those of a series.
    pub fn forget(&mut self, gone: impl Fn(u32) -> bool) {
        self.held.retain(|held| !gone(held.place));
        self.last.retain(|place, _| !gone(*place));
        self.bytes = self.held.iter().map(Held::bytes).sum();
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Held> {
        self.held.iter()
    }

    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.most_bytes
            && let Some(oldest) = self.held.pop_front()
        {
            self.forgot(&oldest);
        }
    }

    fn forgot(&mut self, oldest: &Held) {
        self.bytes -= oldest.bytes();
        if self.last.get(&oldest.place) == Some(&(oldest.time, oldest.value.to_bits())) {
            self.last.remove(&oldest.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_bound_holds_at_once_and_from_then_on() {
        let mut exemplars = Exemplars::new(100 * ENTRY);
        let series: Arc<[u8]> = Arc::from(&b""[..]);
        let push = |exemplars: &mut Exemplars, times: std::ops::Range<i64>| {
            for time in times {
                exemplars.push(0, &series, Seen { labels: Labels::of_encoded(b""), line: b"", value: 0.5, time });
            }
        };
        let first = |exemplars: &Exemplars| exemplars.iter().next().map(|held| held.time);
        push(&mut exemplars, 0..200);
        assert_eq!((exemplars.held.len(), first(&exemplars)), (100, Some(100)));
        exemplars.bound(10 * ENTRY);
        assert_eq!((exemplars.bytes(), first(&exemplars)), (10 * ENTRY, Some(190)));
        exemplars.bound(20 * ENTRY);
        push(&mut exemplars, 200..300);
        assert_eq!((exemplars.bytes(), first(&exemplars)), (20 * ENTRY, Some(280)));
    }
}
