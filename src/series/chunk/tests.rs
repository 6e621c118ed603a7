//! What goes into a chunk comes out of it, bit by bit, whatever it is.

use proptest::prelude::*;

use super::*;
use crate::data::histogram::{BucketSpan, Counts, Histogram, ResetHint};
use crate::data::metrics::{STALE, SampleValue};
use crate::series::Columns;

/// What a series could be: any bits, or decimals as they are exposed, or the like.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let any_bits = any::<u64>().prop_map(f64::from_bits);
    let special =
        prop::sample::select(vec![STALE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1e300, 5e-324]);
    let decimal = (-1_000_000_000i64..1_000_000_000, 0u8..13)
        .prop_map(|(number, digits)| format!("{number}e-{digits}").parse().expect("a number"));
    let whole = any::<i64>().prop_map(|number| number as f64);
    let mixed = prop_oneof![any_bits, special, decimal.clone(), whole];
    prop_oneof![
        proptest::collection::vec(mixed, 1..300),
        proptest::collection::vec(decimal, 1..300),
        proptest::collection::vec(0u32..50_000, 1..300).prop_map(|steps| {
            let mut sum = 0.0;
            steps
                .iter()
                .map(|step| {
                    sum += f64::from(*step);
                    sum
                })
                .collect()
        }),
    ]
}

fn times(count: usize) -> impl Strategy<Value = Vec<i64>> {
    let steps = prop_oneof![
        proptest::collection::vec(Just(15_000i64), count),
        proptest::collection::vec(14_990i64..15_010, count),
        proptest::collection::vec(prop_oneof![9 => 14_000i64..16_000, 1 => 1i64..1 << 40], count),
    ];
    (any::<i32>(), steps).prop_map(|(first, steps)| {
        let mut time = i64::from(first) * 1000;
        steps
            .iter()
            .map(|step| {
                time += step;
                time
            })
            .collect()
    })
}

fn samples() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
    values().prop_flat_map(|values| (times(values.len()), Just(values)))
}

/// Chunks of all samples, and what is behind them.
fn written(times: &[i64], values: &[f64]) -> (Vec<Chunk>, Head) {
    let (mut chunks, mut head) = (Vec::new(), Head::Empty);
    for (time, value) in times.iter().zip(values) {
        let value = SampleValue::Float(*value);
        if head.is_full_for(*time, value) {
            chunks.push(head.cut(*time, value).expect("there was something"));
        } else {
            let (before, growth) = (head.memory(), head.growth(value));
            head.put(*time, value);
            assert!(head.memory() <= before + growth || head.memory() <= before + 4096);
        }
    }
    (chunks, head)
}

fn read(chunks: &[Chunk], head: &Head, after: i64, until: i64) -> Columns {
    let mut columns = Columns::default();
    chunks.iter().for_each(|chunk| chunk.outline.read(&chunk.bytes, after, until, &mut columns));
    let mut bytes = Vec::new();
    head.copy_to(&mut bytes);
    head.outline().expect("there is a sample").read(&bytes, after, until, &mut columns);
    columns
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #[test]
    fn numbers_come_back_bit_by_bit((times, values) in samples(), from in 0usize..300, to in 0usize..300) {
        let (chunks, head) = written(&times, &values);
        let columns = read(&chunks, &head, i64::MIN, i64::MAX);
        prop_assert_eq!(&columns.times, &times);
        prop_assert_eq!(bits(&columns.values), bits(&values));
        let (after, until) = (times[from.min(times.len() - 1)], times[to.min(times.len() - 1)]);
        let part = read(&chunks, &head, after, until);
        let expected: Vec<_> = times.iter().copied().filter(|time| *time > after && *time <= until).collect();
        prop_assert_eq!(part.times, expected);
    }

    /// A head is continued from its bytes as if it had never been away.
    #[test]
    fn a_head_is_resumed((times, values) in samples(), cut in 0usize..120) {
        let most = times.len().min(usize::from(MOST_SAMPLES));
        let cut = cut.min(most - 1).max(1);
        let (_, whole) = written(&times[..most], &values[..most]);
        let (chunks, head) = written(&times[..cut], &values[..cut]);
        prop_assume!(chunks.is_empty());
        let (mut bytes, outline) = (Vec::new(), head.outline().expect("a sample"));
        head.copy_to(&mut bytes);
        let mut again = Head::resume(outline, &bytes).expect("whole");
        prop_assert!(again.ends_with(SampleValue::Float(values[cut - 1])));
        for (time, value) in times[cut..most].iter().zip(&values[cut..most]) {
            let value = SampleValue::Float(*value);
            prop_assume!(!again.is_full_for(*time, value));
            again.put(*time, value);
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        whole.copy_to(&mut one);
        again.copy_to(&mut other);
        prop_assert_eq!(one, other);
    }

    /// Bytes that are anything are read up to where they make no sense.
    #[test]
    fn damage_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in any::<u8>(), count in any::<u16>(), first in any::<i64>(), span in any::<u32>()) {
        let Some(kind) = Kind::of_number([kind % 13, 32, 64, kind][usize::from(kind) % 4]) else { return Ok(()) };
        let outline = Outline { first, span, count, kind };
        outline.read(&bytes, i64::MIN, i64::MAX, &mut Columns::default());
        let _ = Head::resume(outline, &bytes);
    }

    #[test]
    fn histograms_come_back((times, histograms) in proptest::collection::vec(histogram(), 1..200).prop_flat_map(|all| (times(all.len()), Just(all))), after in 0usize..200) {
        let (mut chunks, mut head) = (Vec::new(), Head::Empty);
        for (time, histogram) in times.iter().zip(&histograms) {
            let value = SampleValue::Histogram(histogram);
            if head.is_full_for(*time, value) {
                chunks.push(head.cut(*time, value).expect("there was something"));
                continue;
            }
            let (before, growth) = (head.memory(), head.growth(value));
            head.put(*time, value);
            prop_assert!(head.memory() <= before + growth, "{} {} {}", head.memory(), before, growth);
        }
        let columns = read(&chunks, &head, i64::MIN, i64::MAX);
        prop_assert_eq!(&columns.times, &times);
        let read_back: Vec<_> = columns.histograms.iter().map(|(_, histogram)| histogram.clone()).collect();
        prop_assert_eq!(&read_back, &histograms);
        let after = times[after.min(times.len() - 1)];
        let part = read(&chunks, &head, after, i64::MAX);
        let from = times.partition_point(|time| *time <= after);
        prop_assert_eq!(&part.times, &times[from..]);
        let read_back: Vec<_> = part.histograms.iter().map(|(_, histogram)| histogram.clone()).collect();
        prop_assert_eq!(&read_back, &histograms[from..]);
        let (mut bytes, outline) = (Vec::new(), head.outline().expect("a sample"));
        head.copy_to(&mut bytes);
        let again = Head::resume(outline, &bytes).expect("whole");
        prop_assert!(again.ends_with(SampleValue::Histogram(&histograms[histograms.len() - 1])));
    }
}

/// Histograms with one of few layouts, so that many follow one of the same.
fn histogram() -> impl Strategy<Value = Arc<Histogram>> {
    (0u32..3, any::<bool>(), proptest::collection::vec(-5i64..1000, 3), -10.0f64..1e6).prop_map(
        |(layout, floats, counts, sum)| {
            let buckets = layout as usize;
            let doubles = || counts[..buckets].iter().map(|count| *count as f64).collect();
            Arc::new(Histogram {
                schema: 3,
                zero_threshold: 1e-128,
                sum,
                counts: if floats {
                    Counts::Float { count: counts[2] as f64, zero: 0.5, positive: doubles(), negative: Vec::new() }
                } else {
                    Counts::Integer { count: 77, zero: 3, positive: Vec::new(), negative: counts[..buckets].to_vec() }
                },
                positive_spans: if floats { vec![BucketSpan { offset: -3, length: layout }] } else { Vec::new() },
                negative_spans: if floats { Vec::new() } else { vec![BucketSpan { offset: 7, length: layout }] },
                custom_bounds: Vec::new(),
                reset_hint: ResetHint::Unknown,
            })
        },
    )
}

#[test]
fn a_series_that_changes_its_kind_changes_its_chunk() {
    let mut head = Head::Empty;
    head.put(1, SampleValue::Float(1.0));
    let histogram = Arc::new(Histogram {
        schema: 0,
        zero_threshold: 0.0,
        sum: STALE,
        counts: Counts::Integer { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() },
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        reset_hint: ResetHint::Unknown,
    });
    let value = SampleValue::Histogram(&histogram);
    assert!(head.is_full_for(2, value));
    let floats = head.cut(2, value).expect("one sample");
    assert!(head.ends_with(value) && !head.ends_with(SampleValue::Float(STALE)));
    assert!(head.is_full_for(3, SampleValue::Float(2.0)));
    let histograms = head.cut(3, SampleValue::Float(2.0)).expect("one sample");
    let columns = read(&[floats, histograms], &head, 0, 9);
    assert_eq!((columns.times, columns.histograms.len(), columns.values[2]), (vec![1, 2, 3], 1, 2.0));
}

/// Bytes a sample of a series, whole chunks with what they take in memory.
fn bytes_a_sample(mut value: impl FnMut(usize) -> f64, jitter: u32) -> f64 {
    let mut random = fastrand::Rng::with_seed(7);
    let count = 480 * 20;
    let times: Vec<_> = (0..count).map(|at| at as i64 * 15_000 + i64::from(random.u32(0..=jitter))).collect();
    let values: Vec<_> = (0..count).map(&mut value).collect();
    let (chunks, _) = written(&times, &values);
    let bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    bytes as f64 / chunks.iter().map(|chunk| f64::from(chunk.outline.count)).sum::<f64>()
}

/// What the codec makes of the kinds of series that a node has; the numbers are what it does today, rounded up.
#[test]
fn series_of_a_node_are_small() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut sum = 0.0;
    let constant = bytes_a_sample(|_| 42.0, 0);
    let steady = bytes_a_sample(|at| 1e9 + at as f64 * 4096.0, 0);
    let seconds = bytes_a_sample(
        |_| {
            sum += f64::from(random.u32(1480..1500));
            (sum / 100.0 * 100.0).round() / 100.0
        },
        0,
    );
    let mut sum = 1e10;
    let bytes = bytes_a_sample(
        |_| {
            sum += f64::from(random.u32(100_000..200_000));
            sum
        },
        0,
    );
    let load = bytes_a_sample(|_| f64::from(random.u32(150..250)) / 100.0, 0);
    let memory = bytes_a_sample(|_| f64::from(random.u32(1_000_000..1_010_000)) * 4096.0, 0);
    let noise = bytes_a_sample(|_| random.f64(), 0);
    println!(
        "constant {constant:.2}, steady {steady:.2}, seconds {seconds:.2}, bytes {bytes:.2}, load {load:.2}, memory {memory:.2}, noise {noise:.2}"
    );
    let jitter = |most| bytes_a_sample(|_| 42.0, most) - constant;
    println!("jitter of 1 ms {:.2}, 5 ms {:.2}, 50 ms {:.2}", jitter(1), jitter(5), jitter(50));
    assert!(
        constant < 0.35 && steady < 0.55 && seconds < 1.1 && bytes < 2.6 && load < 1.3 && memory < 3.8 && noise < 8.0
    );
    assert!(jitter(1) < 0.4 && jitter(5) < 0.7 && jitter(50) < 1.1);
}
