//! Where the buckets of a native histogram are.

use crate::data::histogram::BucketSpan;

/// Counts with the indexes of their buckets, ascending.
pub(super) fn placed<'a>(spans: &'a [BucketSpan], counts: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0;
    let indexes = spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    });
    indexes.zip(counts.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_begins_some_way_after_the_one_before() {
        let spans = [BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 3, length: 1 }];
        assert_eq!(placed(&spans, &[1.0, 2.0, 3.0]).collect::<Vec<_>>(), [(-2, 1.0), (-1, 2.0), (3, 3.0)]);
    }
}
