//! Sums of deltas: Prometheus knows counters from their start alone, so what a sender counts anew each time is added up
//! (OpenTelemetry's metrics data model, "Sums: Delta-to-Cumulative").
//!
//! A point that begins where the last one ended, or later, is added; the time between them is no reason to begin anew,
//! since what was counted then never arrived. A point that has the times and the value of the last one is that one, sent
//! again: the sum is told once more and nothing added. What else ends no later, or begins too early, is refused.
//!
//! The sums are bounded in number and in bytes, and one whose series was silent for a while is forgotten: its next
//! point begins anew, at its own start. So does every sum after a restart of the agent.

use std::collections::HashMap;
use std::time::Duration;

use super::exponential::Exponential;
use super::refused::Reason;
use crate::data::UnixNanos;

/// Bounds of [`DeltaToCumulative`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaLimits {
    /// Series of senders (a histogram is one) that are summed up at the most.
    pub series: usize,
    /// Bytes of memory that the sums take at the most.
    pub bytes: usize,
    /// How long a series may be silent before its sum is forgotten.
    pub expiry: Duration,
}

impl Default for DeltaLimits {
    fn default() -> Self {
        Self { series: 100_000, bytes: 32 << 20, expiry: Duration::from_secs(3600) }
    }
}

/// The sums of all delta series of a source. Whoever decodes its requests shares one.
#[derive(Debug)]
pub struct DeltaToCumulative {
    limits: DeltaLimits,
    sums: HashMap<u128, Sum>,
    bytes: usize,
    /// When silent series are looked for again.
    next_sweep: UnixNanos,
}

#[derive(Debug)]
struct Sum {
    /// When it began, and between when the last point counted.
    start: u64,
    last: (u64, u64),
    /// When the last point came, by the agent's clock.
    seen: UnixNanos,
    /// Says which buckets there are.
    layout: u64,
    /// What the last point said, so that it is known again.
    said: u64,
    total: Total,
}

#[derive(Debug)]
enum Total {
    /// A counter.
    One(f64),
    /// Buckets, count and sum of a histogram.
    Many(Box<[f64]>),
    Native(Box<Exponential>),
}

/// A point as the sums see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delta {
    /// Which series.
    pub identity: u128,
    pub start: u64,
    pub time: u64,
    /// Two points of one layout can be added.
    pub layout: u64,
}

/// What a state takes beside what its total holds: the entry, and the room that tables leave.
const ENTRY: usize = 2 * size_of::<(u128, Sum)>();

impl Total {
    fn bytes(&self) -> usize {
        ENTRY
            + match self {
                Self::One(_) => 0,
                Self::Many(values) => 8 * values.len(),
                Self::Native(histogram) => size_of::<Exponential>() + 8 * histogram.buckets(),
            }
    }
}

impl DeltaToCumulative {
    /// No sums yet.
    pub fn new(limits: DeltaLimits) -> Self {
        Self { limits, sums: HashMap::new(), bytes: 0, next_sweep: UnixNanos::NONE }
    }

    /// Number of series that are summed up.
    pub fn series(&self) -> usize {
        self.sums.len()
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets series that were silent for too long; looks seldom. `now` is the agent's clock.
    pub fn sweep(&mut self, now: UnixNanos) {
        if now < self.next_sweep {
            return;
        }
        let expiry = self.limits.expiry;
        self.sums.retain(|_, sum| now.since(sum.seen) < expiry);
        self.bytes = self.sums.values().map(|sum| sum.total.bytes()).sum();
        let pause = u64::try_from(expiry.as_nanos() / 8).unwrap_or(u64::MAX);
        self.next_sweep = UnixNanos(now.0.saturating_add(pause.max(1_000_000_000)));
    }

    /// Forgets a series whose sender says that it has ended.
    pub(super) fn end(&mut self, identity: u128) {
        if let Some(sum) = self.sums.remove(&identity) {
            self.bytes -= sum.total.bytes();
        }
    }

    /// Adds a point and replaces its values by the sums. When these began, 0 where nobody said.
    pub(super) fn add(&mut self, delta: &Delta, values: &mut [f64], now: UnixNanos) -> Result<u64, Reason> {
        let said = values.iter().fold(0, |hash: u64, value| hash.rotate_left(7) ^ value.to_bits());
        if let Some(sum) = self.sums.get_mut(&delta.identity) {
            let fits = sum.layout == delta.layout;
            match &mut sum.total {
                Total::One(total) if fits && values.len() == 1 => {
                    if sum.last.follows(delta, sum.said == said)? {
                        *total += values[0];
                    }
                    values[0] = *total;
                    return Ok(sum.counted(delta, said, now));
                }
                Total::Many(totals) if fits && values.len() == totals.len() => {
                    let adds = sum.last.follows(delta, sum.said == said)?;
                    for (total, value) in totals.iter_mut().zip(values) {
                        if adds {
                            *total += *value;
                        }
                        *value = *total;
                    }
                    return Ok(sum.counted(delta, said, now));
                }
                // Other buckets than before: the sum begins anew, but not in the past.
                _ => {
                    sum.last.follows(delta, false)?;
                }
            }
            self.end(delta.identity);
        }
        let total = if values.len() == 1 { Total::One(values[0]) } else { Total::Many(values.into()) };
        self.begin(delta, said, total, now)
    }

    /// The same for an exponential histogram, which becomes the sum.
    pub(super) fn add_native(
        &mut self,
        delta: &Delta,
        histogram: &mut Exponential,
        now: UnixNanos,
    ) -> Result<u64, Reason> {
        let said = histogram.count ^ histogram.sum.to_bits().rotate_left(7) ^ histogram.zero.rotate_left(14);
        if let Some(sum) = self.sums.get_mut(&delta.identity) {
            let before = sum.total.bytes();
            if let Total::Native(total) = &mut sum.total {
                if sum.last.follows(delta, sum.said == said)? {
                    total.add(histogram.clone());
                }
                histogram.clone_from(total);
                let start = sum.counted(delta, said, now);
                self.bytes = self.bytes + sum.total.bytes() - before;
                return Ok(start);
            }
            sum.last.follows(delta, false)?;
            self.end(delta.identity);
        }
        self.begin(delta, said, Total::Native(Box::new(histogram.clone())), now)
    }

    fn begin(&mut self, delta: &Delta, said: u64, total: Total, now: UnixNanos) -> Result<u64, Reason> {
        let bytes = total.bytes();
        if self.sums.len() >= self.limits.series || self.bytes + bytes > self.limits.bytes {
            return Err(Reason::DeltasFull);
        }
        self.bytes += bytes;
        let start = delta.start;
        let last = (delta.start, delta.time);
        let sum = Sum { start, last, seen: now, layout: delta.layout, said, total };
        self.sums.insert(delta.identity, sum);
        Ok(start)
    }
}

impl Sum {
    /// Remembers a point that was taken.
    fn counted(&mut self, delta: &Delta, said: u64, now: UnixNanos) -> u64 {
        (self.last, self.said, self.seen) = ((delta.start, delta.time), said, now);
        self.start
    }
}

/// Between when the last point counted.
trait Interval {
    fn follows(&self, delta: &Delta, same: bool) -> Result<bool, Reason>;
}

impl Interval for (u64, u64) {
    /// Whether the point is to be added: false where it is the last one once more, `same` being whether it says the same.
    fn follows(&self, delta: &Delta, same: bool) -> Result<bool, Reason> {
        let (start, time) = *self;
        if delta.time == time && delta.start == start && same {
            return Ok(false);
        }
        if delta.time <= time {
            return Err(Reason::Late);
        }
        if delta.start != 0 && delta.start < time {
            return Err(Reason::Overlap);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::exponential::Dense;
    use super::*;

    fn limits(series: usize, expiry: u64) -> DeltaLimits {
        DeltaLimits { series, expiry: Duration::from_secs(expiry), ..DeltaLimits::default() }
    }

    fn delta(start: u64, time: u64) -> Delta {
        Delta { identity: 7, start, time, layout: 0 }
    }

    const SECOND: u64 = 1_000_000_000;

    fn one(sums: &mut DeltaToCumulative, delta: Delta, value: f64) -> Result<(u64, f64), Reason> {
        let mut values = [value];
        sums.add(&delta, &mut values, UnixNanos(1)).map(|start| (start, values[0]))
    }

    #[test]
    fn points_are_added_in_their_order_and_nothing_twice() {
        let mut sums = DeltaToCumulative::new(limits(10, 60));
        assert_eq!(one(&mut sums, delta(10, 20), 5.0), Ok((10, 5.0)));
        assert_eq!(one(&mut sums, delta(20, 30), 2.0), Ok((10, 7.0)));
        assert_eq!(one(&mut sums, delta(20, 30), 2.0), Ok((10, 7.0)), "sent again");
        assert_eq!(one(&mut sums, delta(20, 30), 3.0), Err(Reason::Late), "another with the same times");
        assert_eq!(one(&mut sums, delta(10, 20), 5.0), Err(Reason::Late));
        assert_eq!(one(&mut sums, delta(29, 40), 1.0), Err(Reason::Overlap));
        assert_eq!(one(&mut sums, delta(50, 60), 1.0), Ok((10, 8.0)), "what lies between never came");
        assert_eq!(one(&mut sums, delta(0, 70), 1.0), Ok((10, 9.0)), "no start: where the last one ended");
    }

    #[test]
    fn other_buckets_begin_anew() {
        let mut sums = DeltaToCumulative::new(limits(10, 60));
        let mut values = [1.0, 2.0, 2.0];
        assert_eq!(sums.add(&delta(10, 20), &mut values, UnixNanos(1)), Ok(10));
        let mut values = [1.0, 1.0, 1.0];
        assert_eq!(sums.add(&delta(20, 30), &mut values, UnixNanos(1)), Ok(10));
        assert_eq!(values, [2.0, 3.0, 3.0]);
        let mut other = [1.0, 1.0, 4.0];
        let changed = Delta { layout: 1, ..delta(30, 40) };
        assert_eq!(sums.add(&changed, &mut other, UnixNanos(1)), Ok(30));
        assert_eq!(other, [1.0, 1.0, 4.0]);
        let past = Delta { layout: 2, ..delta(30, 40) };
        assert_eq!(sums.add(&past, &mut other, UnixNanos(1)), Err(Reason::Late));
    }

    #[test]
    fn series_are_bounded_and_forgotten_when_silent() {
        let mut sums = DeltaToCumulative::new(limits(2, 60));
        let of = |identity| Delta { identity, ..delta(10, 20) };
        let add = |sums: &mut DeltaToCumulative, identity, now| sums.add(&of(identity), &mut [1.0], UnixNanos(now));
        assert_eq!(add(&mut sums, 1, SECOND), Ok(10));
        assert_eq!(add(&mut sums, 2, 50 * SECOND), Ok(10));
        assert_eq!(add(&mut sums, 3, 50 * SECOND), Err(Reason::DeltasFull));
        sums.sweep(UnixNanos(70 * SECOND));
        assert_eq!(sums.series(), 1);
        assert_eq!(add(&mut sums, 3, 70 * SECOND), Ok(10));
        sums.end(3);
        sums.end(2);
        assert_eq!((sums.series(), sums.bytes()), (0, 0));
        let mut small = DeltaToCumulative::new(DeltaLimits { bytes: ENTRY + 8, ..limits(10, 60) });
        assert_eq!(small.add(&of(1), &mut [1.0; 3], UnixNanos(1)), Err(Reason::DeltasFull));
        assert_eq!(small.add(&of(1), &mut [1.0], UnixNanos(1)), Ok(10));
    }

    #[test]
    fn native_histograms_are_added_too() {
        let histogram = |count: u64| Exponential {
            scale: 3,
            zero_threshold: 1e-128,
            zero: 0,
            count,
            sum: 2.0,
            positive: Dense { offset: 4, counts: vec![count] },
            negative: Dense::default(),
        };
        let mut sums = DeltaToCumulative::new(limits(10, 60));
        let mut point = histogram(3);
        assert_eq!(sums.add_native(&delta(10, 20), &mut point, UnixNanos(1)), Ok(10));
        let mut point = histogram(4);
        assert_eq!(sums.add_native(&delta(20, 30), &mut point, UnixNanos(1)), Ok(10));
        assert_eq!((point.count, point.sum, &point.positive.counts[..]), (7, 4.0, &[7][..]));
        let mut again = histogram(4);
        assert_eq!(sums.add_native(&delta(20, 30), &mut again, UnixNanos(1)), Ok(10));
        assert_eq!(again, point);
        assert_eq!(sums.add_native(&delta(10, 20), &mut again, UnixNanos(1)), Err(Reason::Late));
    }

    proptest! {
        /// Whatever comes, the sum is that of the points that were taken, each once, and never goes down.
        #[test]
        fn the_sum_is_that_of_what_was_taken(points in proptest::collection::vec((0..20_u64, 1..5_u64, 0..9_u32), 1..40)) {
            let mut sums = DeltaToCumulative::new(limits(10, 60));
            let (mut expected, mut end, mut last) = (0.0, 0, None);
            for (start, length, value) in points {
                let (point, value) = (delta(start, start + length), f64::from(value));
                let repeats = last == Some((point.start, point.time, value));
                match one(&mut sums, point, value) {
                    Ok((_, sum)) => {
                        if !repeats {
                            prop_assert!(point.time > end && (point.start == 0 || point.start >= end));
                            expected += value;
                        }
                        prop_assert_eq!(sum, expected);
                        (end, last) = (point.time, Some((point.start, point.time, value)));
                    }
                    Err(_) => prop_assert!(point.time <= end || point.start < end),
                }
            }
            let bytes: usize = sums.sums.values().map(|sum| sum.total.bytes()).sum();
            prop_assert_eq!(sums.bytes(), bytes);
        }
    }
}
