//! Classic histograms as native ones with custom bounds: what `load_with_nhcb` loads beside the series that were written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::series_notation::Item;
use super::text::Load;
use crate::data::histogram::{BucketSpan, CUSTOM_BOUNDS, Counts, Histogram, ResetHint};
use crate::data::labels::{LabelSet, METRIC_NAME};

/// The label with the upper bound of a bucket.
const BOUND: &str = "le";

/// What was counted at one time.
#[derive(Default)]
struct Counted {
    /// Upper bounds and what was counted up to them, ascending.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

enum Part {
    Bucket(f64),
    Sum,
    Count,
}

/// A histogram of a series at a time.
pub(super) type Made = (LabelSet, i64, Item);

/// Native histograms of the classic ones of a load, with their times, in the order of their labels.
///
/// # Errors
/// The line of a series whose counts make no histogram, and why.
pub(super) fn native(load: &Load) -> Result<Vec<Made>, (usize, String)> {
    let mut all: BTreeMap<LabelSet, (usize, BTreeMap<i64, Counted>)> = BTreeMap::new();
    for loaded in &load.series {
        let Some((labels, part)) = part(&loaded.series.labels) else { continue };
        let (_, times) = all.entry(labels).or_insert_with(|| (loaded.line, BTreeMap::new()));
        for (place, item) in (0i64..).zip(&loaded.series.values) {
            let Item::Float(value) = item else { continue };
            let counted = times.entry(place.saturating_mul(load.step)).or_default();
            match part {
                Part::Bucket(bound) => counted.bucket(bound, *value),
                Part::Sum => counted.sum = *value,
                Part::Count => counted.count = Some(*value),
            }
        }
    }
    let mut made = Vec::new();
    for (labels, (line, times)) in all {
        for (time, counted) in times {
            let histogram = Arc::new(counted.histogram().map_err(|why| (line, why))?);
            made.push((labels.clone(), time, Item::Histogram { histogram, hint_given: false }));
        }
    }
    Ok(made)
}

/// What a series is of which histogram.
fn part(labels: &LabelSet) -> Option<(LabelSet, Part)> {
    let name = labels.get(METRIC_NAME);
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound = crate::formats::prometheus::number::parse(labels.get(BOUND).as_bytes())?;
        (base, Some(Part::Bucket(bound)).filter(|_| !bound.is_nan())?)
    } else if let Some(base) = name.strip_suffix("_sum") {
        (base, Part::Sum)
    } else {
        (name.strip_suffix("_count")?, Part::Count)
    };
    let mut of = labels.clone();
    of.set(METRIC_NAME, base);
    of.remove(BOUND);
    Some((of, part))
}

impl Counted {
    fn bucket(&mut self, bound: f64, count: f64) {
        let place = self.buckets.partition_point(|(known, _)| *known < bound);
        // The same bound under another spelling changes nothing.
        if self.buckets.get(place).is_none_or(|(known, _)| *known != bound) {
            self.buckets.insert(place, (bound, count));
        }
    }

    fn histogram(mut self) -> Result<Histogram, String> {
        let Some(count) = self.count.or(self.buckets.last().map(|(_, count)| *count)) else {
            return Err("the classic histogram has neither buckets nor a count".into());
        };
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let (mut before, mut positive) = (0.0, Vec::with_capacity(self.buckets.len()));
        for (bound, up_to) in &self.buckets {
            if *up_to < before || up_to.is_nan() {
                return Err(format!("the classic histogram counts {up_to} up to {bound}, and {before} below it"));
            }
            positive.push(up_to - before);
            before = *up_to;
        }
        if before != count {
            return Err(format!("the classic histogram counts {count}, and {before} in its buckets"));
        }
        let bounds = self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| *bound != f64::INFINITY);
        Ok(Histogram {
            schema: CUSTOM_BOUNDS,
            zero_threshold: 0.0,
            sum: self.sum,
            custom_bounds: bounds.collect(),
            positive_spans: vec![BucketSpan { offset: 0, length: u32::try_from(positive.len()).unwrap_or(u32::MAX) }],
            negative_spans: Vec::new(),
            counts: Counts::Float { count, zero: 0.0, positive, negative: Vec::new() },
            reset_hint: ResetHint::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{Command, Script};
    use super::*;

    fn made(text: &str) -> Result<Vec<String>, (usize, String)> {
        let script = Script::parse(&format!("load_with_nhcb 1s\n{text}")).expect("read");
        let [Command::Load(load)] = script.commands.as_slice() else { panic!() };
        let shown = |(labels, time, item): (LabelSet, i64, Item)| {
            let Item::Histogram { histogram, .. } = item else { panic!() };
            format!("{labels:?} {time} {}", super::super::histogram_notation::text(&histogram))
        };
        native(load).map(|all| all.into_iter().map(shown).collect())
    }

    #[test]
    fn buckets_become_one_histogram_a_time() {
        let text = "a_bucket{le=\"1\",b=\"c\"} 1 2\na_bucket{b=\"c\",le=\"1.0\"} 7 7\na_bucket{b=\"c\",le=\"+Inf\"} 3 4\n\
                    a_bucket{b=\"c\",le=\"0.5\"} 1 1\na_sum{b=\"c\"} 9 _\nother 1\na_bucket{b=\"c\",le=\"x\"} 1";
        let expected = [
            "{\"__name__\": \"a\", \"b\": \"c\"} 0 {{schema:-53 count:3 sum:9 custom_values:[0.5 1] buckets:[1 0 2]}}",
            "{\"__name__\": \"a\", \"b\": \"c\"} 1000 {{schema:-53 count:4 custom_values:[0.5 1] buckets:[1 1 2]}}",
        ];
        assert_eq!(made(text).expect("read"), expected);
        assert_eq!(
            made("a_count 2").expect("read"),
            ["{\"__name__\": \"a\"} 0 {{schema:-53 count:2 custom_values:[] buckets:[2]}}"]
        );
    }

    #[test]
    fn counts_that_make_no_histogram_are_told() {
        for (text, problem) in [
            ("a_sum 1", "the classic histogram has neither buckets nor a count"),
            ("a_bucket{le=\"1\"} 3\na_bucket{le=\"2\"} 2", "the classic histogram counts 2 up to 2, and 3 below it"),
            ("a_bucket{le=\"1\"} NaN", "the classic histogram counts NaN up to 1, and 0 below it"),
            ("a_bucket{le=\"+Inf\"} 3\na_count 4", "the classic histogram counts 4, and 3 in its buckets"),
        ] {
            assert_eq!(made(text).expect_err("refused"), (2, problem.to_owned()), "{text}");
        }
    }
}
