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
        let buckets = match &self.counts {
            Counts::Integer { positive, negative, .. } => positive.len() + negative.len(),
            Counts::Float { positive, negative, .. } => positive.len() + negative.len(),
        };
        let spans = self.positive_spans.len() + self.negative_spans.len();
        size_of::<Self>() + 8 * (buckets + spans + self.custom_bounds.len())
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
