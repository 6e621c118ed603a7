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
    /// What was observed.
    pub value: f64,
    /// When, milliseconds since 1970.
    pub time: i64,
    place: u32,
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

    /// Keeps an exemplar of the series at a place, unless it is the last one once more.
    pub fn push(&mut self, place: u32, series: &Arc<[u8]>, labels: Labels<'_>, value: f64, time: i64) {
        let entry = ENTRY + labels.encoded().len();
        if entry > self.most_bytes || self.last.insert(place, (time, value.to_bits())) == Some((time, value.to_bits()))
        {
            return;
        }
        while self.held.len() >= MOST || self.bytes + entry > self.most_bytes {
            let Some(oldest) = self.held.pop_front() else { break };
            self.forgot(&oldest);
        }
        self.bytes += entry;
        self.held.push_back(Held { series: series.clone(), labels: labels.encoded().into(), value, time, place });
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
        self.bytes = self.held.iter().map(|held| ENTRY + held.labels.len()).sum();
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.iter()
    }

    fn forgot(&mut self, oldest: &Held) {
        self.bytes -= ENTRY + oldest.labels.len();
        if self.last.get(&oldest.place) == Some(&(oldest.time, oldest.value.to_bits())) {
            self.last.remove(&oldest.place);
        }
    }
}
