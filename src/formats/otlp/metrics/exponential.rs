//! Exponential histograms: dense buckets, as OpenTelemetry sends them, and native histograms of Prometheus, whose
//! buckets are spans with gaps between them.
//!
//! Bucket `i` of scale `s` holds what is above `base^i` and at most `base^(i+1)` with `base = 2^(2^-s)` (OpenTelemetry's
//! metrics data model); Prometheus numbers the same bucket by its upper bound, `i + 1`
//! (<https://prometheus.io/docs/specs/native_histograms/>).

use super::point;
use super::refused::{Fault, Reason};
use crate::data::Histogram;
use crate::data::histogram::{BucketSpan, Counts, ResetHint};
use crate::data::metrics::STALE;

/// The finest and the coarsest schema of Prometheus.
const FINEST: i32 = 8;
const COARSEST: i32 = -4;

/// Buckets of one side that a sum of deltas keeps at the most: beyond, it is made coarser. SDKs send 160.
const MOST_SUMMED: usize = 1280;

/// The width of the zero bucket where the sender does not say: the specification's default.
const ZERO_THRESHOLD: f64 = 1e-128;

/// Buckets in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dense {
    /// Index of the first.
    pub offset: i32,
    pub counts: Vec<u64>,
}

/// A histogram that can be added to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exponential {
    pub scale: i32,
    pub zero_threshold: f64,
    pub zero: u64,
    pub count: u64,
    pub sum: f64,
    pub positive: Dense,
    pub negative: Dense,
}

impl Dense {
    /// Takes the empty buckets from both ends.
    fn trim(&mut self) {
        let end = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        self.counts.truncate(end);
        let empty = self.counts.iter().take_while(|count| **count == 0).count();
        self.counts.drain(..empty);
        self.offset = if self.counts.is_empty() { 0 } else { self.offset.saturating_add(empty as i32) };
    }

    /// Halves the resolution `by` times.
    fn coarsen(&mut self, by: u32) {
        let by = by.min(31);
        if by == 0 || self.counts.is_empty() {
            return;
        }
        let first = self.offset >> by;
        for index in 0..self.counts.len() {
            let place = ((i64::from(self.offset) + index as i64) >> by) - i64::from(first);
            // What is written has been read before.
            let count = std::mem::take(&mut self.counts[index]);
            let sum = &mut self.counts[place as usize];
            *sum = sum.saturating_add(count);
        }
        self.offset = first;
        self.trim();
    }

    fn end(&self) -> i64 {
        i64::from(self.offset) + self.counts.len() as i64
    }

    fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Buckets from the first to the last of both.
    fn width_with(&self, other: &Self) -> usize {
        match (self.counts.is_empty(), other.counts.is_empty()) {
            (true, _) => other.counts.len(),
            (_, true) => self.counts.len(),
            _ => (self.end().max(other.end()) - i64::from(self.offset.min(other.offset))) as usize,
        }
    }

    /// Adds buckets of the same resolution.
    fn add(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        let width = self.width_with(other);
        let before = (i64::from(self.offset) - i64::from(self.offset.min(other.offset))) as usize;
        self.counts.splice(0..0, std::iter::repeat_n(0, before));
        self.counts.resize(width, 0);
        self.offset = self.offset.min(other.offset);
        let at = (i64::from(other.offset) - i64::from(self.offset)) as usize;
        for (sum, count) in self.counts[at..].iter_mut().zip(&other.counts) {
            *sum = sum.saturating_add(*count);
        }
    }

    /// Takes the buckets out whose upper bound is at most `bound`; what they counted.
    fn take_below(&mut self, bound: f64, scale: i32) -> u64 {
        let upper = |index: i64| ((index + 1) as f64 * 2f64.powi(-scale)).exp2();
        let mut taken = 0_u64;
        for index in 0..self.counts.len() {
            if upper(i64::from(self.offset) + index as i64) > bound {
                break;
            }
            taken = taken.saturating_add(std::mem::take(&mut self.counts[index]));
        }
        self.trim();
        taken
    }
}

impl Exponential {
    /// A point as its sender counted it, at a scale that Prometheus has. `room` is how many buckets there may be.
    pub fn read(point: &point::Exponential<'_>, room: usize) -> Result<Self, Fault> {
        let mut sides = [Dense::default(), Dense::default()];
        for (side, message) in sides.iter_mut().zip([point.positive, point.negative]) {
            side.offset = point::buckets(message, &mut side.counts)?;
        }
        let [positive, negative] = sides;
        let zero_threshold = if point.zero_threshold == 0.0 { ZERO_THRESHOLD } else { point.zero_threshold };
        let (count, zero, sum) = (point.count, point.zero, point.sum.unwrap_or_default());
        let mut read = Self { scale: point.scale, zero_threshold, zero, count, sum, positive, negative };
        read.check(room)?;
        Ok(read)
    }

    /// What a series ends with.
    pub fn stale() -> Self {
        let none = Dense::default();
        let (positive, negative) = (none.clone(), none);
        Self { scale: 0, zero_threshold: ZERO_THRESHOLD, zero: 0, count: 0, sum: STALE, positive, negative }
    }

    fn check(&mut self, room: usize) -> Result<(), Reason> {
        if self.scale < COARSEST {
            return Err(Reason::Scale);
        }
        if self.zero_threshold < 0.0 || !self.zero_threshold.is_finite() {
            return Err(Reason::ZeroThreshold);
        }
        for side in [&mut self.positive, &mut self.negative] {
            if side.counts.len() > room {
                return Err(Reason::TooMuch);
            }
            if side.offset.checked_add(side.counts.len() as i32).is_none() {
                return Err(Reason::BucketIndex);
            }
            side.trim();
        }
        self.coarsen(self.scale.min(FINEST));
        // Buckets that hold no double: nobody counted there. 2^-1074 is the smallest, 2^1024 above the greatest.
        let of = |exponent: i64| if self.scale < 0 { exponent >> -self.scale } else { exponent << self.scale };
        let (first, end) = (of(-1075) - 1, of(1024) + 1);
        if [&self.positive, &self.negative].iter().any(|side| i64::from(side.offset) < first || side.end() > end) {
            return Err(Reason::BucketIndex);
        }
        let counted = self.zero.saturating_add(self.positive.total()).saturating_add(self.negative.total());
        // Who observed NaN counted it in no bucket.
        if counted > self.count || counted < self.count && !self.sum.is_nan() {
            return Err(Reason::BucketCounts);
        }
        Ok(())
    }

    fn coarsen(&mut self, scale: i32) {
        let by = self.scale.abs_diff(scale);
        if self.scale <= scale {
            return;
        }
        self.positive.coarsen(by);
        self.negative.coarsen(by);
        self.scale = scale;
    }

    /// Adds what `other` counted, at the coarser of both scales, or coarser still where it would have too many buckets.
    pub fn add(&mut self, mut other: Self) {
        let scale = self.scale.min(other.scale);
        self.coarsen(scale);
        other.coarsen(scale);
        let threshold = self.zero_threshold.max(other.zero_threshold);
        for part in [&mut *self, &mut other] {
            if part.zero_threshold < threshold {
                let below = part.positive.take_below(threshold, scale);
                part.zero = part.zero.saturating_add(below).saturating_add(part.negative.take_below(threshold, scale));
                part.zero_threshold = threshold;
            }
        }
        while self.scale > COARSEST
            && (self.positive.width_with(&other.positive) > MOST_SUMMED
                || self.negative.width_with(&other.negative) > MOST_SUMMED)
        {
            self.coarsen(self.scale - 1);
            other.coarsen(other.scale - 1);
        }
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
        self.zero = self.zero.saturating_add(other.zero);
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
    }

    /// Buckets of both sides.
    pub fn buckets(&self) -> usize {
        self.positive.counts.len() + self.negative.counts.len()
    }

    /// The same for Prometheus.
    pub fn to_native(&self) -> Histogram {
        let (positive_spans, positive) = sparse(&self.positive);
        let (negative_spans, negative) = sparse(&self.negative);
        Histogram {
            schema: self.scale,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            counts: Counts::Integer { count: self.count, zero: self.zero, positive, negative },
            positive_spans,
            negative_spans,
            custom_bounds: Vec::new(),
            reset_hint: ResetHint::Unknown,
        }
    }
}

/// Gaps of so many buckets are cheaper as buckets than as the begin of another span; as in Prometheus's libraries.
const SMALL_GAP: usize = 2;

/// Spans, and each bucket as a difference to the one before.
fn sparse(dense: &Dense) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<BucketSpan>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut gap, mut before) = (0, 0_i64);
    for (index, count) in dense.counts.iter().enumerate() {
        if *count == 0 {
            gap += 1;
            continue;
        }
        match spans.last_mut() {
            Some(span) if gap <= SMALL_GAP => {
                for _ in 0..gap {
                    span.length += 1;
                    deltas.push(0_i64.wrapping_sub(std::mem::take(&mut before)));
                }
                span.length += 1;
            }
            Some(_) => spans.push(BucketSpan { offset: gap as i32, length: 1 }),
            None => spans.push(BucketSpan { offset: dense.offset + index as i32 + 1, length: 1 }),
        }
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        deltas.push(count.wrapping_sub(before));
        (gap, before) = (0, count);
    }
    (spans, deltas)
}

/// Buckets of a native histogram in a row, from the first to the last; `None` where they are more than `most` or a count
/// is negative.
pub(super) fn dense(spans: &[BucketSpan], deltas: &[i64], most: usize) -> Option<Dense> {
    let mut dense = Dense::default();
    let (mut index, mut count) = (0_i64, 0_i64);
    let mut deltas = deltas.iter();
    for span in spans {
        index += i64::from(span.offset);
        for delta in deltas.by_ref().take(span.length as usize) {
            count = count.checked_add(*delta)?;
            if dense.counts.is_empty() {
                dense.offset = i32::try_from(index - 1).ok()?;
            }
            let place = usize::try_from(index - 1 - i64::from(dense.offset)).ok()?;
            if place >= most {
                return None;
            }
            dense.counts.resize(place, 0);
            dense.counts.push(u64::try_from(count).ok()?);
            index += 1;
        }
    }
    Some(dense)
}

#[cfg(test)]
mod tests;
