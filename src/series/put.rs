//! Where a sample goes: behind the newest one of its series, between older ones, or nowhere.

use std::sync::Arc;

use super::chunk::{Chunk, Head, MOST_BYTES};
use super::counters::Refusal;
use super::inner::{Inner, Limits};
use super::stored::{START, Series, Starts};
use crate::data::histogram::Histogram;
use crate::data::metrics::SampleValue;

/// A clock that is ahead of ours by more is wrong, as in Prometheus.
const MOST_AHEAD: i64 = 10 * 60_000;

/// Who brings a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was measured, and this is now: milliseconds since 1970.
    Live(i64),
    /// It is read back. What is there already is no news then.
    Replay,
}

/// A value that is read back.
#[derive(Clone, Debug)]
pub enum Replayed {
    /// A number.
    Number(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

impl Inner {
    /// Puts a sample; returns whether it was not there before.
    #[inline]
    pub fn put(
        &mut self,
        place: u32,
        time: i64,
        value: SampleValue<'_>,
        start: i64,
        origin: Origin,
    ) -> Result<bool, Refusal> {
        if let Origin::Live(now) = origin
            && time > now.saturating_add(MOST_AHEAD)
        {
            return Err(Refusal::Ahead);
        }
        let series = self.places.get_mut(place);
        match series.head.last() {
            Some(last) if time <= last => {
                if !self.put_older(place, time, value, start, origin)? {
                    return Ok(false);
                }
            }
            _ => {
                let mut needed = series.head.growth(value);
                let is_full = series.head.is_full_for(time, value);
                if is_full {
                    let outline = series.head.outline().map_or(0, |_| series.head.memory());
                    needed += outline + 2 * size_of::<Chunk>() + Chunk::memory_of(16);
                }
                if needed > 0 && !self.memory.has(needed) && !self.evict(needed) {
                    return Err(Refusal::Full);
                }
                let series = self.places.get_mut(place);
                if is_full {
                    let before = series.memory();
                    if let Some(chunk) = series.head.cut(time, value) {
                        series.push_chunk(chunk);
                        self.chunks += 1;
                    }
                    self.memory.samples = self.memory.samples + series.memory() - before;
                } else {
                    let before = series.head.memory();
                    series.head.put(time, value);
                    self.memory.samples = self.memory.samples + series.head.memory() - before;
                }
            }
        }
        if start != 0 || self.places.get(place).starts.is_some() {
            self.put_start(place, time, start);
        }
        Ok(true)
    }

    /// Puts a sample that is not later than the newest of its series.
    #[cold]
    fn put_older(
        &mut self,
        place: u32,
        time: i64,
        value: SampleValue<'_>,
        start: i64,
        origin: Origin,
    ) -> Result<bool, Refusal> {
        let Limits { window, retention, .. } = self.limits;
        let series = self.places.get_mut(place);
        let Some(last) = series.head.last() else { return Ok(false) };
        if time == last {
            let is_known = series.head.ends_with(value) || origin == Origin::Replay;
            return if is_known { Ok(false) } else { Err(Refusal::Duplicate) };
        }
        let counted = |inner: &mut Self, before: usize, chunks: usize| {
            let series = inner.places.get(place);
            inner.memory.samples = inner.memory.samples + series.memory() - before;
            inner.chunks = inner.chunks + series.chunks.len() - chunks;
        };
        // What is told once more, or too late, is no news.
        let is_late = time < last.saturating_sub(window);
        match origin {
            Origin::Replay if is_late => return Ok(false),
            Origin::Replay => {}
            Origin::Live(now) if last > now.saturating_add(MOST_AHEAD) => {
                // The clock was set back: what it will say again is no past.
                let (before, chunks) = (series.memory(), series.chunks.len());
                series.drop_after(time.saturating_sub(1));
                counted(self, before, chunks);
                if let Some(ahead) = &mut self.ahead {
                    ahead.end();
                }
                return self.put(place, time, value, start, origin);
            }
            Origin::Live(_) if is_late => {
                return Err(if window == 0 { Refusal::OutOfOrder } else { Refusal::TooOld });
            }
            Origin::Live(now) if time < now.saturating_sub(retention) => return Err(Refusal::TooOld),
            Origin::Live(_) => {}
        }
        // A chunk becomes two at the most.
        let needed = 4 * MOST_BYTES;
        if !self.memory.has(needed) && !self.evict(needed) {
            return Err(Refusal::Full);
        }
        let series = self.places.get_mut(place);
        let (before, chunks) = (series.memory(), series.chunks.len());
        let inserted = series.insert(time, value);
        counted(self, before, chunks);
        match inserted {
            Ok(()) => Ok(true),
            Err(true) => Ok(false),
            Err(false) if origin == Origin::Replay => Ok(false),
            Err(false) => Err(Refusal::Duplicate),
        }
    }

    fn put_start(&mut self, place: u32, time: i64, start: i64) {
        let series = self.places.get_mut(place);
        let last = series.starts.as_ref().and_then(|starts| starts.0.last().copied());
        if last.is_some_and(|(from, last)| last == start || from >= time) || (last.is_none() && start == 0) {
            return;
        }
        let before = series.memory_of_starts();
        if self.memory.has(4 * START) {
            let Starts(starts) = &mut **series.starts.get_or_insert_default();
            if starts.len() == starts.capacity() {
                starts.reserve_exact(2);
            }
            starts.push((time, start));
            self.memory.samples = self.memory.samples + series.memory_of_starts() - before;
        }
    }

    /// Puts a sample that is read back.
    pub fn replay(&mut self, place: u32, time: i64, value: &Replayed, start: i64) -> Result<bool, Refusal> {
        let value = match value {
            Replayed::Number(value) => SampleValue::Float(*value),
            Replayed::Histogram(histogram) => SampleValue::Histogram(histogram),
        };
        self.put(place, time, value, start, Origin::Replay)
    }

    /// Puts samples that are read back into a series that has none. Returns whether there was room.
    pub fn restore_samples(&mut self, place: u32, chunks: Vec<Chunk>, head: Head, starts: Vec<(i64, i64)>) -> bool {
        let starts = (!starts.is_empty()).then(|| Box::new(Starts(starts)));
        let restored = Series { chunks, head, starts, ..Series::default() };
        let needed = restored.memory();
        if !self.memory.has(needed) && !self.evict(needed) {
            return false;
        }
        let series = self.places.get_mut(place);
        let before = series.memory();
        (series.chunks, series.head, series.starts) = (restored.chunks, restored.head, restored.starts);
        self.chunks += series.chunks.len();
        self.memory.samples = self.memory.samples + series.memory() - before;
        true
    }
}
