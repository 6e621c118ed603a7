//! Histograms without their buckets, for who asks for counts and sums alone. Whether a counter was reset could no longer be
//! told from them, so that it is told before.

use std::sync::Arc;

use super::FloatHistogram;
use crate::data::histogram::{Counts, Histogram, ResetHint};
use crate::data::metrics::is_stale;

/// Takes the buckets from the histograms of one series, in the order of their times.
#[derive(Clone, Debug, Default)]
pub struct Summaries {
    last: Option<Arc<Histogram>>,
}

impl Summaries {
    /// A histogram without its buckets, and with a hint unless it is the first and has none.
    pub fn next(&mut self, histogram: &Arc<Histogram>) -> FloatHistogram {
        let count = match histogram.counts {
            Counts::Integer { count, .. } => count as f64,
            Counts::Float { count, .. } => count,
        };
        // A marker is no state of the counter.
        let last = if is_stale(histogram.sum) { None } else { self.last.replace(Arc::clone(histogram)) };
        let reset_hint = match (histogram.reset_hint, last) {
            (ResetHint::Unknown, Some(last)) => {
                let reset = FloatHistogram::from(&**histogram).is_reset_since(&FloatHistogram::from(&*last));
                if reset { ResetHint::Yes } else { ResetHint::No }
            }
            (hint, _) => hint,
        };
        let none = FloatHistogram::empty(histogram.schema, Arc::new([]));
        FloatHistogram { count, sum: histogram.sum, reset_hint, ..none }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_told_before_the_buckets_are_gone() {
        let histogram = |count, bucket| {
            Arc::new(Histogram {
                schema: 0,
                zero_threshold: 0.0,
                sum: 2.5,
                counts: Counts::Float { count, zero: 0.0, positive: vec![bucket], negative: Vec::new() },
                positive_spans: vec![crate::data::histogram::BucketSpan { offset: 0, length: 1 }],
                negative_spans: Vec::new(),
                custom_bounds: Vec::new(),
                reset_hint: ResetHint::Unknown,
            })
        };
        let mut summaries = Summaries::default();
        let hints = [(1.0, 1.0), (2.0, 2.0), (3.0, 1.0)].map(|(count, bucket)| {
            let summary = summaries.next(&histogram(count, bucket));
            assert_eq!((summary.count, summary.sum, summary.positive.len()), (count, 2.5, 0));
            summary.reset_hint
        });
        assert_eq!(hints, [ResetHint::Unknown, ResetHint::No, ResetHint::Yes]);
    }
}
