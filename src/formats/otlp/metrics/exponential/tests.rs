//! How exponential histograms become native ones.

use proptest::prelude::*;

use super::*;

fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Exponential {
    let positive = Dense { offset, counts: counts.to_vec() };
    let count = positive.total();
    Exponential {
        scale,
        zero_threshold: ZERO_THRESHOLD,
        zero: 0,
        count,
        sum: 1.0,
        positive,
        negative: Dense::default(),
    }
}

#[test]
fn a_native_bucket_is_numbered_by_its_upper_bound() {
    // Above 1 and at most 2 is bucket 0 here and bucket 1 there.
    let native = exponential(0, 0, &[3, 0, 0, 1, 0, 0, 0, 2]).to_native();
    let spans = [BucketSpan { offset: 1, length: 4 }, BucketSpan { offset: 3, length: 1 }];
    assert_eq!(native.positive_spans, spans);
    let Counts::Integer { positive, .. } = &native.counts else { panic!("integers") };
    assert_eq!(*positive, [3, -3, 0, 1, 1]);
    assert!(native.is_valid());
}

#[test]
fn scales_beyond_those_of_prometheus_are_made_coarser_or_refused() {
    let check = |scale, offset, counts: &[u64]| {
        let mut read = exponential(scale, offset, counts);
        read.check(1000).map(|()| (read.scale, read.positive))
    };
    let dense = |offset, counts: &[u64]| Dense { offset, counts: counts.to_vec() };
    assert_eq!(check(10, -5, &[1, 2, 4, 8, 16, 32]), Ok((8, dense(-2, &[1, 30, 32]))));
    assert_eq!(check(8, 7, &[0, 1, 0]), Ok((8, dense(8, &[1]))));
    assert_eq!(check(i32::MAX, i32::MIN, &[1]), Ok((8, dense(-1, &[1]))));
    assert_eq!(check(-4, 0, &[1]), Ok((-4, dense(0, &[1]))));
    assert_eq!(check(-5, 0, &[1]), Err(Reason::Scale));
    assert_eq!(check(0, 1025, &[1]), Err(Reason::BucketIndex));
    assert_eq!(check(0, -1077, &[1]), Err(Reason::BucketIndex));
    assert_eq!(check(8, i32::MAX, &[1, 1]), Err(Reason::BucketIndex));
    assert_eq!(check(0, 0, &[1; 1001]), Err(Reason::TooMuch));
    let mut wrong = exponential(0, 0, &[1]);
    wrong.count = 3;
    assert_eq!(wrong.check(10), Err(Reason::BucketCounts));
}

#[test]
fn sums_stay_narrow() {
    let mut sum = exponential(8, -200_000, &[1]);
    sum.add(exponential(8, 200_000, &[1]));
    assert!(sum.buckets() <= MOST_SUMMED, "{}", sum.buckets());
    assert_eq!((sum.count, sum.positive.total()), (2, 2));
}

#[test]
fn a_wider_zero_bucket_takes_what_is_in_it() {
    let mut sum = exponential(0, -2, &[1, 2, 4]);
    let mut other = exponential(0, 1, &[8]);
    other.zero_threshold = 0.5;
    sum.add(other);
    // At most 0.5: the bucket from a quarter on.
    assert_eq!((sum.zero, sum.zero_threshold), (1, 0.5));
    assert_eq!(sum.positive, Dense { offset: -1, counts: vec![2, 4, 8] });
}

proptest! {
    #[test]
    fn native_buckets_are_the_dense_ones(
        scale in -4..=8i32,
        offset in -500..500i32,
        counts in proptest::collection::vec(prop_oneof![3 => Just(0_u64), 2 => 0..5_u64, 1 => 0..1_000_000_u64], 0..60),
    ) {
        let mut side = Dense { offset, counts };
        side.trim();
        let native = Exponential { positive: side.clone(), ..exponential(scale, 0, &[]) }.to_native();
        prop_assert!(native.is_valid());
        let Counts::Integer { positive, .. } = &native.counts else { panic!("integers") };
        prop_assert_eq!(dense(&native.positive_spans, positive, 1000), Some(side));
    }

    #[test]
    fn adding_keeps_every_observation_where_it_was(
        first in (-4..=8i32, -40..40i32, proptest::collection::vec(0..9_u64, 0..40)),
        second in (-4..=8i32, -40..40i32, proptest::collection::vec(0..9_u64, 0..40)),
    ) {
        let sides: Vec<_> = [&first, &second].map(|(scale, offset, counts)| {
            let mut one = exponential(*scale, *offset, counts);
            one.positive.trim();
            one
        }).into_iter().collect();
        let mut sum = sides[0].clone();
        sum.add(sides[1].clone());
        // Where each observation is at the coarser scale, counted one by one.
        let mut expected = std::collections::BTreeMap::new();
        for one in &sides {
            for (index, count) in one.positive.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let place = (one.positive.offset + index as i32) >> (one.scale - sum.scale);
                *expected.entry(place).or_insert(0) += *count;
            }
        }
        let found = sum.positive.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let found: std::collections::BTreeMap<_, _> =
            found.map(|(index, count)| (sum.positive.offset + index as i32, *count)).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(sum.scale, first.0.min(second.0));
    }
}
