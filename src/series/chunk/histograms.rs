//! How the native histograms of a chunk become bytes.
//!
//! # Format
//!
//! One behind the other; varints and folded differences are those of [`numbers`](crate::formats::segment::numbers):
//!
//! ```text
//! time     folded difference: from the distance of the two times before it; the first stands outside
//! kind     u8     0: a whole histogram follows, as segments of the disk queue hold it
//!                 1: what differs from the histogram before it, which has the same buckets in the same places:
//! sum      varint the bits that differ, their bytes turned round
//! count    integers: folded differences; floats: as the sum
//! zero     so too
//! buckets  so too, positive ones first
//! ```

use std::sync::Arc;

use crate::data::histogram::{Counts, Histogram};
use crate::formats::segment::numbers::{Input, put, put_difference};
use crate::formats::segment::{Damaged, put_histogram, read_histogram};

const WHOLE: u8 = 0;
const DIFFERENT: u8 = 1;

/// Longest encoded histogram. A histogram has 8 bytes a bucket and bound at the most, and varints up to ten.
pub fn most_bytes(histogram: &Histogram) -> usize {
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    128 + 10 * histogram.buckets() + 8 * histogram.custom_bounds.len() + 15 * spans
}

/// What is known behind the last histogram of a chunk.
#[derive(Clone, Debug)]
pub struct State {
    last: i64,
    distance: i64,
    count: u16,
    before: Option<Arc<Histogram>>,
}

impl State {
    /// Before the first histogram, which is of this time.
    pub fn new(first: i64) -> Self {
        Self { last: first, distance: 0, count: 0, before: None }
    }

    /// Number of histograms so far.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Time of the last one.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// The last one.
    pub fn before(&self) -> Option<&Arc<Histogram>> {
        self.before.as_ref()
    }

    /// Writes a histogram, later than the last one.
    pub fn put(&mut self, out: &mut Vec<u8>, time: i64, histogram: &Arc<Histogram>) {
        if self.count > 0 {
            let distance = time.wrapping_sub(self.last);
            put_difference(out, self.distance.cast_unsigned(), distance.cast_unsigned());
            (self.last, self.distance) = (time, distance);
        }
        self.count += 1;
        match &self.before {
            Some(before) if is_alike(before, histogram) => {
                out.push(DIFFERENT);
                put_differences(before, histogram, out);
            }
            _ => {
                out.push(WHOLE);
                put_histogram(histogram, out);
            }
        }
        self.before = Some(histogram.clone());
    }

    /// Reads `count` histograms; `show` gets those whose time is `wanted`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(
        &mut self,
        input: &mut Input<'_>,
        count: u16,
        wanted: impl Fn(i64) -> bool,
        mut show: impl FnMut(i64, &Arc<Histogram>),
    ) -> Result<(), Damaged> {
        let mut held = self.before.take();
        for _ in 0..count {
            if self.count > 0 {
                self.distance = input.difference(self.distance.cast_unsigned())?.cast_signed();
                self.last = self.last.wrapping_add(self.distance);
            }
            self.count += 1;
            match (input.byte()?, &mut held) {
                (WHOLE, held) => *held = Some(Arc::new(read_histogram(input)?)),
                // Copied where somebody was shown it.
                (DIFFERENT, Some(before)) => read_differences(Arc::make_mut(before), input)?,
                _ => return Err(Damaged("a histogram differs from none")),
            }
            if wanted(self.last)
                && let Some(histogram) = &held
            {
                show(self.last, histogram);
            }
        }
        self.before = held;
        Ok(())
    }
}

/// Whether two histograms have the same buckets in the same places, so that their counts can be compared one by one.
fn is_alike(a: &Histogram, b: &Histogram) -> bool {
    let counts = match (&a.counts, &b.counts) {
        (Counts::Integer { positive, negative, .. }, Counts::Integer { positive: p, negative: n, .. }) => {
            positive.len() == p.len() && negative.len() == n.len()
        }
        (Counts::Float { positive, negative, .. }, Counts::Float { positive: p, negative: n, .. }) => {
            positive.len() == p.len() && negative.len() == n.len()
        }
        _ => false,
    };
    let same_bits = |a: &[f64], b: &[f64]| a.iter().map(|bound| bound.to_bits()).eq(b.iter().map(|b| b.to_bits()));
    counts
        && a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.reset_hint == b.reset_hint
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && same_bits(&a.custom_bounds, &b.custom_bounds)
}

fn put_bits(from: f64, to: f64, out: &mut Vec<u8>) {
    put(out, (from.to_bits() ^ to.to_bits()).swap_bytes());
}

fn read_bits(value: &mut f64, input: &mut Input<'_>) -> Result<(), Damaged> {
    *value = f64::from_bits(value.to_bits() ^ input.number()?.swap_bytes());
    Ok(())
}

fn read_signed(value: &mut i64, input: &mut Input<'_>) -> Result<(), Damaged> {
    *value = input.difference(value.cast_unsigned())?.cast_signed();
    Ok(())
}

fn put_differences(from: &Histogram, to: &Histogram, out: &mut Vec<u8>) {
    put_bits(from.sum, to.sum, out);
    match (&from.counts, &to.counts) {
        (
            Counts::Integer { count: c, zero: z, positive: p, negative: n },
            Counts::Integer { count, zero, positive, negative },
        ) => {
            put_difference(out, *c, *count);
            put_difference(out, *z, *zero);
            for (from, to) in p.iter().zip(positive).chain(n.iter().zip(negative)) {
                put_difference(out, from.cast_unsigned(), to.cast_unsigned());
            }
        }
        (
            Counts::Float { count: c, zero: z, positive: p, negative: n },
            Counts::Float { count, zero, positive, negative },
        ) => {
            put_bits(*c, *count, out);
            put_bits(*z, *zero, out);
            p.iter().zip(positive).chain(n.iter().zip(negative)).for_each(|(from, to)| put_bits(*from, *to, out));
        }
        // Unalike.
        _ => {}
    }
}

fn read_differences(histogram: &mut Histogram, input: &mut Input<'_>) -> Result<(), Damaged> {
    read_bits(&mut histogram.sum, input)?;
    match &mut histogram.counts {
        Counts::Integer { count, zero, positive, negative } => {
            *count = input.difference(*count)?;
            *zero = input.difference(*zero)?;
            positive.iter_mut().chain(negative).try_for_each(|bucket| read_signed(bucket, input))
        }
        Counts::Float { count, zero, positive, negative } => {
            read_bits(count, input)?;
            read_bits(zero, input)?;
            positive.iter_mut().chain(negative).try_for_each(|bucket| read_bits(bucket, input))
        }
    }
}
