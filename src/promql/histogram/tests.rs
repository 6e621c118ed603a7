//! Tests of native histograms: hand-computed values.

use proptest::prelude::*;

use super::*;

fn exponential(schema: i32, first: i32, counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        count: counts.iter().sum(),
        positive: Buckets::run(first, counts.to_vec()),
        ..FloatHistogram::empty(schema, Arc::new([]))
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
    FloatHistogram { custom_bounds: bounds.into(), ..exponential(CUSTOM_BOUNDS, 0, counts) }
}

#[test]
fn integers_become_floats_and_floats_become_spans() {
    let integers = Histogram {
        schema: 0,
        zero_threshold: 0.001,
        sum: 18.5,
        counts: Counts::Integer { count: 10, zero: 1, positive: vec![1, 1, -1], negative: vec![4] },
        positive_spans: vec![BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 3, length: 1 }],
        negative_spans: vec![BucketSpan { offset: 2, length: 1 }],
        custom_bounds: Vec::new(),
        reset_hint: ResetHint::No,
    };
    let floats = FloatHistogram::from(&integers);
    assert_eq!(floats.positive.iter().collect::<Vec<_>>(), [(-1, 1.0), (0, 2.0), (4, 1.0)]);
    assert_eq!(floats.negative.iter().collect::<Vec<_>>(), [(2, 4.0)]);
    let back = Histogram::from(&floats);
    assert_eq!((&back.positive_spans, &back.negative_spans), (&integers.positive_spans, &integers.negative_spans));
    assert_eq!((back.zero_threshold, back.reset_hint), (0.001, ResetHint::No));
    assert!(back.is_valid());
}

#[test]
fn spans_without_counts_are_left_out() {
    let huge = [BucketSpan { offset: i32::MAX, length: u32::MAX }];
    assert_eq!(Buckets::of_spans(&huge, vec![1.0, 2.0]).len(), 2);
    assert_eq!(Buckets::of_spans(&[], vec![1.0]).len(), 0);
}

#[test]
fn layouts_are_merged() {
    let mut sum = exponential(0, 0, &[1.0, 2.0]);
    assert_eq!(sum.add(&exponential(0, 3, &[4.0])), Ok(Combined::default()));
    assert_eq!(sum.positive.iter().collect::<Vec<_>>(), [(0, 1.0), (1, 2.0), (3, 4.0)]);
    // Finer buckets become as coarse: 1 and 2 are bucket 1, 3 and 4 are bucket 2.
    sum.add(&exponential(1, 1, &[1.0, 1.0, 1.0, 1.0])).expect("compatible");
    assert_eq!(sum.positive.iter().collect::<Vec<_>>(), [(0, 1.0), (1, 4.0), (2, 2.0), (3, 4.0)]);
    assert_eq!((sum.schema, sum.count), (0, 11.0));
    sum.subtract(&exponential(-1, 1, &[4.0])).expect("compatible");
    assert_eq!((sum.schema, sum.positive.iter().collect::<Vec<_>>()), (-1, vec![(0, 1.0), (1, 2.0), (2, 4.0)]));
}

#[test]
fn zero_buckets_become_wide_enough_for_both() {
    // Buckets (0.25, 0.5], (0.5, 1], (1, 2].
    let mut narrow = exponential(0, -1, &[1.0, 2.0, 4.0]);
    narrow.negative = Buckets::run(-1, vec![8.0]);
    (narrow.zero_count, narrow.zero_threshold) = (16.0, 0.1);
    let mut wide = exponential(0, 1, &[1.0]);
    (wide.zero_count, wide.zero_threshold) = (32.0, 0.75);
    let mut sum = narrow.clone();
    sum.add(&wide).expect("compatible");
    // 0.75 cuts (0.5, 1], so that it ends at 1.
    assert_eq!((sum.zero_threshold, sum.zero_count), (1.0, 16.0 + 1.0 + 2.0 + 8.0 + 32.0));
    assert_eq!(sum.positive.iter().collect::<Vec<_>>(), [(1, 5.0)]);
    assert!(sum.negative.is_empty());
    let mut other = wide.clone();
    other.add(&narrow).expect("compatible");
    assert_eq!((other.zero_threshold, other.zero_count), (1.0, 59.0));
    assert_eq!(other.positive.iter().collect::<Vec<_>>(), [(1, 5.0)]);
    let mut compensated = Sum::new(&narrow);
    compensated.add(&wide).expect("compatible");
    assert!(compensated.sum().same(&sum));
}

#[test]
fn custom_bounds_are_brought_to_what_both_have() {
    let mut sum = custom(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0, 4.0]);
    let combined = sum.add(&custom(&[2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 40.0])).expect("compatible");
    assert!(combined.bounds_reconciled);
    assert_eq!((&*sum.custom_bounds, sum.positive.counts()), (&[2.0, 4.0][..], &[13.0, 53.0, 44.0][..]));
    assert_eq!(sum.add(&exponential(0, 0, &[1.0])), Err(Incompatible));
    assert_eq!(Sum::new(&sum).add(&exponential(0, 0, &[1.0])), Err(Incompatible));
}

#[test]
fn hints_that_contradict_each_other_are_told() {
    let hinted = |reset_hint| FloatHistogram { reset_hint, ..exponential(0, 0, &[1.0]) };
    for (mine, theirs, hint, collision) in [
        (ResetHint::Yes, ResetHint::No, ResetHint::Unknown, true),
        (ResetHint::Yes, ResetHint::Yes, ResetHint::Yes, false),
        (ResetHint::Gauge, ResetHint::No, ResetHint::Gauge, false),
        (ResetHint::No, ResetHint::Unknown, ResetHint::Unknown, false),
    ] {
        let mut sum = hinted(mine);
        let combined = sum.add(&hinted(theirs)).expect("compatible");
        assert_eq!((sum.reset_hint, combined.reset_collision), (hint, collision));
    }
    let mut negative = hinted(ResetHint::No);
    negative.multiply(-1.0);
    assert_eq!((negative.reset_hint, negative.count), (ResetHint::Gauge, -1.0));
    let mut infinite = hinted(ResetHint::No);
    infinite.divide(0.0);
    assert_eq!((infinite.count, infinite.positive.len()), (f64::INFINITY, 0));
}

#[test]
fn sums_keep_what_is_small_and_means_stay_finite() {
    let one = |count| exponential(0, 0, &[count]);
    let mut sum = Sum::new(&one(1.0));
    for count in [1e100, 1.0, -1e100] {
        sum.add(&one(count)).expect("compatible");
    }
    assert_eq!(sum.clone().sum().positive.counts(), [2.0]);
    assert_eq!(sum.mean().positive.counts(), [0.5]);
    let mut mean = Sum::new(&one(f64::MAX));
    for _ in 0..3 {
        mean.add_for_mean(&one(f64::MAX)).expect("compatible");
    }
    let mean = mean.mean();
    assert!(mean.count.is_finite() && (mean.count / f64::MAX - 1.0).abs() < 1e-15, "{mean}");
}

#[test]
fn resets_are_seen_in_any_bucket() {
    let before = exponential(1, 0, &[1.0, 2.0, 3.0]);
    assert!(!exponential(1, 0, &[1.0, 2.0, 4.0]).is_reset_since(&before));
    assert!(exponential(1, 0, &[1.0, 1.0, 9.0]).is_reset_since(&before));
    assert!(exponential(1, 1, &[2.0, 9.0]).is_reset_since(&before));
    assert!(exponential(2, 0, &[9.0, 9.0, 9.0]).is_reset_since(&before), "a finer resolution");
    // Merged, the first is 1 and the others 5.
    assert!(!exponential(0, 0, &[1.0, 5.0]).is_reset_since(&before));
    assert!(exponential(0, 0, &[2.0, 4.0]).is_reset_since(&before));
    let hinted = |reset_hint| FloatHistogram { reset_hint, ..before.clone() };
    assert!(hinted(ResetHint::Yes).is_reset_since(&before));
    let lower = exponential(1, 0, &[0.0]);
    assert!(!FloatHistogram { reset_hint: ResetHint::No, ..lower }.is_reset_since(&before));
}

#[test]
fn a_wider_zero_bucket_is_no_reset() {
    let before = exponential(0, -1, &[1.0, 2.0]);
    let now = |threshold, zero, counts: &[f64]| FloatHistogram {
        zero_threshold: threshold,
        zero_count: zero,
        count: 3.0,
        ..exponential(0, 0, counts)
    };
    assert!(!now(0.5, 1.0, &[2.0]).is_reset_since(&before));
    assert!(now(0.5, 0.5, &[2.5]).is_reset_since(&before));
    assert!(now(0.4, 1.0, &[2.0]).is_reset_since(&before), "it cuts a populated bucket");
    assert!(before.is_reset_since(&now(0.5, 1.0, &[2.0])), "it became narrower");
}

#[test]
fn resets_under_other_custom_bounds_are_seen_under_common_ones() {
    let before = custom(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0, 4.0]);
    assert!(!custom(&[2.0, 3.0, 4.0], &[3.0, 3.0, 0.0, 4.0]).is_reset_since(&before));
    assert!(custom(&[2.0, 3.0, 4.0], &[2.0, 9.0, 0.0, 4.0]).is_reset_since(&before));
    assert!(exponential(0, 0, &[99.0]).is_reset_since(&before), "another kind of bounds");
    assert!(custom(&[5.0], &[99.0, 0.0]).is_reset_since(&exponential(0, 0, &[1.0])));
}

#[test]
fn quantiles_are_interpolated_by_the_kind_of_bounds() {
    // (1, 2] holds 4, (2, 4] holds 4.
    let exponential = exponential(0, 1, &[4.0, 4.0]);
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    near(exponential.quantile(0.25).0, 2f64.sqrt());
    near(exponential.quantile(0.5).0, 2.0);
    near(exponential.quantile(0.75).0, 2f64.powf(1.5));
    near(exponential.quantile(1.0).0, 4.0);
    near(exponential.fraction(2f64.sqrt(), 2f64.powf(1.5)).0, 0.5);
    let custom = custom(&[1.0, 3.0], &[2.0, 4.0, 2.0]);
    near(custom.quantile(0.125).0, 0.5);
    near(custom.quantile(0.5).0, 2.0);
    near(custom.quantile(0.99).0, 3.0);
    near(custom.fraction(0.5, 2.0).0, 0.375);
    assert_eq!((custom.quantile(-1.0).0, custom.quantile(2.0).0), (f64::NEG_INFINITY, f64::INFINITY));
    assert!(custom.quantile(f64::NAN).0.is_nan() && FloatHistogram::empty(0, Arc::new([])).quantile(0.5).0.is_nan());
    let mut mirrored = exponential.clone();
    std::mem::swap(&mut mirrored.positive, &mut mirrored.negative);
    near(mirrored.quantile(0.25).0, -(2f64.powf(1.5)));
}

#[test]
fn the_zero_bucket_ends_at_zero_where_nothing_is_beyond() {
    let mut histogram = exponential(0, 1, &[2.0]);
    (histogram.zero_count, histogram.zero_threshold, histogram.count) = (2.0, 0.5, 4.0);
    assert_eq!(histogram.quantile(0.25).0, 0.25);
    assert_eq!(histogram.fraction(f64::NEG_INFINITY, 0.25).0, 0.25);
    histogram.negative = Buckets::run(1, vec![4.0]);
    histogram.count = 8.0;
    assert_eq!(histogram.quantile(0.625).0, 0.0);
}

#[test]
fn observations_that_are_not_numbers_are_in_no_bucket() {
    let mut histogram = exponential(0, 1, &[4.0, 4.0]);
    (histogram.count, histogram.sum) = (10.0, f64::NAN);
    let (quantile, note) = histogram.quantile(0.95);
    assert!(quantile.is_nan() && note == Some(QuantileNote::IsNan));
    assert_eq!(histogram.quantile(0.8), (4.0, Some(QuantileNote::IsSkewed)));
    let (fraction, note) = histogram.fraction(f64::NEG_INFINITY, f64::INFINITY);
    assert_eq!((fraction, note), (0.8, Some(FractionNote::LeavesNanOut)));
}

#[test]
fn moments_are_those_of_the_middles() {
    let histogram = FloatHistogram { sum: 4.0, ..custom(&[0.0, 2.0, 4.0], &[0.0, 2.0, 0.0]) };
    // Both observations in (0, 2] are taken as 1, and their mean is 2.
    assert_eq!((histogram.average(), histogram.variance()), (2.0, 1.0));
}

#[test]
fn trimming_keeps_one_side() {
    let mut below = custom(&[1.0, 3.0], &[2.0, 4.0, 2.0]);
    below.trim_above(2.0);
    assert_eq!((below.positive.counts(), below.count, below.sum), (&[2.0, 2.0][..], 4.0, 2.0 * 0.5 + 2.0 * 1.5));
    let mut above = custom(&[1.0, 3.0], &[2.0, 4.0, 2.0]);
    above.trim_below(2.0);
    assert_eq!((above.count, above.sum), (4.0, 2.0 * 2.5 + 2.0 * 3.0));
    let mut exponential = exponential(0, 1, &[4.0, 4.0]);
    exponential.sum = 18.0;
    let all = exponential.clone();
    exponential.trim_above(100.0);
    assert!(exponential.same(&all), "nothing is above");
    exponential.trim_above(8f64.sqrt());
    assert!((exponential.count - 6.0).abs() < 1e-12);
}

#[test]
fn texts_are_those_of_results_and_of_scripts() {
    let mut histogram = exponential(0, 0, &[1.0, 0.0, 3.0]);
    histogram.negative = Buckets::run(1, vec![0.5]);
    (histogram.zero_count, histogram.zero_threshold, histogram.count, histogram.sum) = (2.0, 0.001, 6.5, -1.5);
    histogram.reset_hint = ResetHint::Gauge;
    assert_eq!(histogram.to_string(), "{count:6.5, sum:-1.5, [-2,-1):0.5, [-0.001,0.001]:2, (0.5,1]:1, (2,4]:3}");
    assert_eq!(
        TestForm(&histogram).to_string(),
        "{{count:6.5 sum:-1.5 z_bucket:2 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[1 0 3] n_offset:1 n_buckets:[0.5]}}"
    );
    let custom = custom(&[5.0, 10.0], &[0.0, 1.0, 2.0]);
    assert_eq!(custom.to_string(), "{count:3, sum:0, (5,10]:1, (10,+Inf]:2}");
    assert_eq!(TestForm(&custom).to_string(), "{{schema:-53 count:3 custom_values:[5 10] offset:1 buckets:[1 2]}}");
    assert_eq!(TestForm(&FloatHistogram::empty(0, Arc::new([]))).to_string(), "{{}}");
}

/// A histogram of what was observed.
fn observed(schema: i32, threshold: f64, observations: &[f64]) -> FloatHistogram {
    let mut histogram = FloatHistogram { zero_threshold: threshold, ..exponential(schema, 0, &[]) };
    let side = |sign: f64| {
        let outside = observations.iter().map(|value| value * sign).filter(|value| *value > threshold);
        let mut indexes: Vec<i32> = outside.map(|value| (value.log2() * 2f64.powi(schema)).ceil() as i32).collect();
        indexes.sort_unstable();
        let mut side = Buckets::default();
        for same in indexes.chunk_by(|a, b| a == b) {
            side.push(same[0], same.len() as f64);
        }
        side
    };
    (histogram.positive, histogram.negative) = (side(1.0), side(-1.0));
    histogram.zero_count = observations.iter().filter(|value| value.abs() <= threshold).count() as f64;
    histogram.count = observations.len() as f64;
    histogram.sum = observations.iter().sum();
    histogram
}

/// Counts alone: sums are rounded in the order of their addition.
fn counted(histogram: &FloatHistogram) -> String {
    FloatHistogram { sum: 0.0, ..histogram.clone() }.to_string()
}

fn observations() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-1000i32..1000).prop_map(|value| f64::from(value) / 7.0 + 0.03), 0..40)
}

proptest! {
    /// Whatever layouts two histograms have, together they have counted what each has counted.
    #[test]
    fn together_they_count_what_each_has_counted(
        (a, b) in (observations(), observations()),
        (fine, coarse) in (-2..6i32, -2..6i32),
        (narrow, wide) in (prop::sample::select(vec![0.0, 0.25, 1.0]), prop::sample::select(vec![0.0, 0.5, 4.0])),
    ) {
        let (left, right) = (observed(fine, narrow, &a), observed(coarse, wide, &b));
        let both = [a.clone(), b].concat();
        let mut sum = left.clone();
        sum.add(&right).expect("compatible");
        sum.compact();
        let mut expected = observed(fine.min(coarse), sum.zero_threshold, &both);
        expected.compact();
        prop_assert!(sum.zero_threshold >= narrow.max(wide));
        prop_assert_eq!(counted(&sum), counted(&expected));
        let mut compensated = Sum::new(&left);
        compensated.add(&right).expect("compatible");
        let mut compensated = compensated.sum();
        compensated.compact();
        prop_assert_eq!(counted(&compensated), counted(&sum));
        // Taken away again, what is left is the first, as coarse as the sum.
        sum.subtract(&right).expect("compatible");
        sum.compact();
        prop_assert_eq!(counted(&sum), counted(&observed(fine.min(coarse), sum.zero_threshold, &a)));
    }

    /// A counter that only counts on is not reset, however coarse it becomes; one that lost something is.
    #[test]
    fn counting_on_is_no_reset(
        (a, more) in (observations(), observations()),
        (fine, by) in (-1..6i32, 0..3i32),
        (narrow, wide) in prop::sample::select(vec![(0.0f64, 0.0f64), (0.0, 0.5), (0.25, 1.0)]),
    ) {
        let both = [a.clone(), more.clone()].concat();
        let before = observed(fine, narrow, &a);
        prop_assert!(!observed(fine, narrow, &both).is_reset_since(&before));
        prop_assert!(!observed(fine - by, wide.max(narrow), &both).is_reset_since(&before) || cuts(&before, wide));
        if !more.is_empty() {
            prop_assert!(before.is_reset_since(&observed(fine, narrow, &both)));
        }
    }

    /// Quantiles rise, and the fraction below a quantile is the quantile's.
    #[test]
    fn fractions_are_the_inverse_of_quantiles(a in observations(), schema in -2..6i32, q in 0.01..0.99f64) {
        let histogram = observed(schema, 0.25, &a);
        if !a.is_empty() {
            let (quantile, _) = histogram.quantile(q);
            prop_assert!(histogram.quantile(q / 2.0).0 <= quantile);
            let (fraction, _) = histogram.fraction(f64::NEG_INFINITY, quantile);
            prop_assert!((fraction - q).abs() < 1e-9, "{fraction} is not {q}");
        }
    }

    /// Both forms of text hold every count, and nothing panics whatever the layout.
    #[test]
    fn any_layout_can_be_written_and_trimmed(
        schema in -4..9i32,
        spans in prop::collection::vec((-5000i32..5000, 0u32..4), 0..4),
        value in prop::num::f64::ANY,
    ) {
        let spans: Vec<_> = spans.into_iter().map(|(offset, length)| BucketSpan { offset: offset.abs(), length }).collect();
        let counts = vec![1.5; spans.iter().map(|span| span.length as usize).sum()];
        let mut histogram = exponential(schema, 0, &[]);
        histogram.positive = Buckets::of_spans(&spans, counts.clone());
        histogram.negative = Buckets::of_spans(&spans, counts);
        histogram.count = 20.0;
        let (text, script) = (histogram.to_string(), TestForm(&histogram).to_string());
        let begin_so = text.starts_with("{count:20") && script.starts_with("{{");
        prop_assert!(begin_so, "{} and {}", text, script);
        let back = Histogram::from(&histogram);
        prop_assert!(FloatHistogram::from(&back).same(&histogram));
        histogram.quantile(value);
        histogram.fraction(value, -value);
        histogram.trim_above(value);
        histogram.trim_below(-value);
    }
}

/// Whether a threshold lies within a bucket that is not empty.
fn cuts(histogram: &FloatHistogram, threshold: f64) -> bool {
    let within = |lower: f64, upper: f64| lower < threshold && threshold < upper;
    histogram.buckets().any(|bucket| within(bucket.lower, bucket.upper) || within(-bucket.upper, -bucket.lower))
}
