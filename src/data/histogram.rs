//! Native histograms, as Prometheus defines them (remote write 2.0, `message Histogram`; schemas -4 to 8 are
//! exponential, -53 has custom bounds).

/// The schema of histograms whose bucket bounds are given one by one.
pub const CUSTOM_BOUNDS: i32 = -53;

/// Buckets in a row, some way after those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSpan {
    /// Empty buckets between the last span and this one; for the first, the index of its first bucket.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// Whether a counter was reset between a histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetHint {
    /// Unknown: whoever needs it compares.
    #[default]
    Unknown = 0,
    /// It was reset.
    Yes = 1,
    /// It was not reset.
    No = 2,
    /// It is a gauge histogram, which can go down.
    Gauge = 3,
}

/// Counts of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum Counts {
    /// Whole observations. Buckets are differences: each to the one before it, the first to zero.
    Integer {
        /// All observations.
        count: u64,
        /// Those in the zero bucket.
        zero: u64,
        /// Buckets of positive observations.
        positive: Vec<i64>,
        /// Buckets of negative observations.
        negative: Vec<i64>,
    },
    /// Fractions of observations. Buckets are absolute.
    Float {
        /// All observations.
        count: f64,
        /// Those in the zero bucket.
        zero: f64,
        /// Buckets of positive observations.
        positive: Vec<f64>,
        /// Buckets of negative observations.
        negative: Vec<f64>,
    },
}

/// A native histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Resolution, or [`CUSTOM_BOUNDS`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Sum of all observations; a staleness marker is the NaN of that meaning.
    pub sum: f64,
    /// What was counted.
    pub counts: Counts,
    /// Where the positive buckets are.
    pub positive_spans: Vec<BucketSpan>,
    /// Where the negative buckets are.
    pub negative_spans: Vec<BucketSpan>,
    /// Upper bounds of the buckets under [`CUSTOM_BOUNDS`], ascending, without +Inf.
    pub custom_bounds: Vec<f64>,
    /// Whether a counter was reset.
    pub reset_hint: ResetHint,
}

impl Histogram {
    /// Bytes of memory that the histogram holds.
    pub fn bytes(&self) -> usize {
        let buckets = self.buckets();
        let spans = self.positive_spans.len() + self.negative_spans.len();
        size_of::<Self>() + 8 * (buckets + spans + self.custom_bounds.len())
    }

    /// Number of buckets, those of zero and of infinity left out.
    pub fn buckets(&self) -> usize {
        match &self.counts {
            Counts::Integer { positive, negative, .. } => positive.len() + negative.len(),
            Counts::Float { positive, negative, .. } => positive.len() + negative.len(),
        }
    }

    /// Makes the histogram as coarse as `schema`, which is an exponential one and not finer than its own:
    /// buckets are merged, and no observation is lost.
    pub fn coarsen(&mut self, schema: i32) {
        let by = self.schema - schema;
        if by <= 0 || self.schema == CUSTOM_BOUNDS {
            return;
        }
        match &mut self.counts {
            Counts::Integer { positive, negative, .. } => {
                for (spans, buckets) in [(&mut self.positive_spans, positive), (&mut self.negative_spans, negative)] {
                    // Differences become counts, and differences again.
                    let mut sum = 0i64;
                    buckets.iter_mut().for_each(|bucket| {
                        sum = sum.wrapping_add(*bucket);
                        *bucket = sum;
                    });
                    merge(spans, buckets, by, i64::wrapping_add);
                    let mut before = 0i64;
                    buckets.iter_mut().for_each(|bucket| {
                        before = std::mem::replace(bucket, bucket.wrapping_sub(before));
                    });
                }
            }
            Counts::Float { positive, negative, .. } => {
                merge(&mut self.positive_spans, positive, by, |a, b| a + b);
                merge(&mut self.negative_spans, negative, by, |a, b| a + b);
            }
        }
        self.schema = schema;
    }

    /// Whether buckets and spans fit together: as many buckets as the spans hold, bounds only under
    /// [`CUSTOM_BOUNDS`] and ascending, a schema that exists.
    pub fn is_valid(&self) -> bool {
        let (positive, negative) = match &self.counts {
            Counts::Integer { positive, negative, .. } => (positive.len(), negative.len()),
            Counts::Float { positive, negative, .. } => (positive.len(), negative.len()),
        };
        let fits = |spans: &[BucketSpan], buckets: usize| {
            spans.iter().map(|span| u64::from(span.length)).sum::<u64>() == buckets as u64
                && spans.iter().skip(1).all(|span| span.offset >= 0)
        };
        let bounds = if self.schema == CUSTOM_BOUNDS {
            self.custom_bounds.is_sorted_by(|a, b| a < b) && negative == 0
        } else {
            self.custom_bounds.is_empty() && (-4..=8).contains(&self.schema)
        };
        bounds && fits(&self.positive_spans, positive) && fits(&self.negative_spans, negative)
    }
}

/// Merges the buckets that are one bucket when the resolution is halved `by` times.
fn merge<T: Copy>(spans: &mut Vec<BucketSpan>, buckets: &mut Vec<T>, by: i32, add: impl Fn(T, T) -> T) {
    let (mut merged, mut merged_spans): (Vec<T>, Vec<BucketSpan>) = (Vec::new(), Vec::new());
    let (mut index, mut last) = (0i32, None);
    let mut counts = buckets.iter();
    for span in spans.iter() {
        index = index.wrapping_add(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            let place = ((index - 1) >> by) + 1;
            index += 1;
            match (last, merged.last_mut()) {
                (Some(last), Some(sum)) if last == place => *sum = add(*sum, *count),
                _ => {
                    merged.push(*count);
                    let offset = last.map_or(place, |last: i32| place - last - 1);
                    match merged_spans.last_mut() {
                        Some(span) if offset == 0 => span.length += 1,
                        _ => merged_spans.push(BucketSpan { offset, length: 1 }),
                    }
                    last = Some(place);
                }
            }
        }
    }
    (*spans, *buckets) = (merged_spans, merged);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i32, spans: &[(i32, u32)], positive: Vec<i64>) -> Histogram {
        Histogram {
            schema,
            zero_threshold: 0.0,
            sum: 1.0,
            counts: Counts::Integer { count: 10, zero: 0, positive, negative: Vec::new() },
            positive_spans: spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect(),
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: ResetHint::Unknown,
        }
    }

    #[test]
    fn coarser_buckets_hold_what_finer_ones_held() {
        // Counts 1, 2, 3 in the buckets 1, 2, 3; 4 in bucket 6.
        let mut fine = histogram(1, &[(1, 3), (2, 1)], vec![1, 1, 1, 1]);
        fine.coarsen(0);
        // 1 and 2 become bucket 1, 3 becomes bucket 2, 6 becomes bucket 3.
        assert_eq!(fine, histogram(0, &[(1, 3)], vec![3, 0, 1]));
        assert!(fine.is_valid());
        fine.coarsen(-1);
        assert_eq!(fine, histogram(-1, &[(1, 2)], vec![6, -2]));
        let mut floats = histogram(2, &[(-3, 2)], Vec::new());
        floats.counts = Counts::Float { count: 3.0, zero: 0.0, positive: vec![1.0, 2.0], negative: Vec::new() };
        floats.coarsen(0);
        assert_eq!(floats.positive_spans, [BucketSpan { offset: 0, length: 1 }]);
        assert_eq!(floats.buckets(), 1);
    }
}
