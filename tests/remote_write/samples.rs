//! Batches for tests: what was put in, so that it can be compared with what came out.

use std::collections::BTreeMap;
use std::sync::Arc;

use tailwater::data::histogram::{BucketSpan, Counts, ResetHint};
use tailwater::data::metrics::{Exemplar, Family};
use tailwater::data::series_table::ListBuilder;
use tailwater::data::{Histogram, LabelSet, MetricBatch, MetricBuilder, MetricKind, SeriesTable, UnixMillis};

pub type Labels = BTreeMap<String, String>;

/// A sample to be made.
#[derive(Clone, Debug)]
pub struct Made {
    pub labels: Labels,
    pub millis: i64,
    pub value: Value,
    pub exemplars: Vec<(Labels, f64, i64)>,
    pub created: Option<i64>,
    pub family: Family,
}

#[derive(Clone, Debug)]
pub enum Value {
    Number(f64),
    Histogram(Histogram),
}

pub fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A number without anything around it.
pub fn number(name: &str, instance: &str, millis: i64, value: f64) -> Made {
    let labels = labels([("__name__", name), ("instance", instance)]);
    Made { labels, millis, value: Value::Number(value), exemplars: vec![], created: None, family: Family::default() }
}

/// A family for tests.
pub fn family(name: &str, kind: MetricKind, help: &str, unit: &str) -> Family {
    Family { name: name.into(), kind, help: help.into(), unit: unit.into() }
}

/// An integer histogram with negative buckets.
pub fn integer_histogram() -> Histogram {
    Histogram {
        schema: -2,
        zero_threshold: 1e-128,
        sum: -3.5,
        counts: Counts::Integer { count: 13, zero: 2, positive: vec![1, 3, -2], negative: vec![4] },
        positive_spans: vec![BucketSpan { offset: -3, length: 2 }, BucketSpan { offset: 4, length: 1 }],
        negative_spans: vec![BucketSpan { offset: 0, length: 1 }],
        custom_bounds: vec![],
        reset_hint: ResetHint::No,
    }
}

/// A float histogram with bounds of its own.
pub fn custom_histogram() -> Histogram {
    Histogram {
        schema: -53,
        zero_threshold: 0.0,
        sum: 7.25,
        counts: Counts::Float { count: 3.5, zero: 0.0, positive: vec![1.0, 2.5], negative: vec![] },
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        negative_spans: vec![],
        custom_bounds: vec![0.5, 1.0, 2.5],
        reset_hint: ResetHint::Gauge,
    }
}

/// A batch of these samples, in their order; a series may stand in it more than once.
pub fn batch(table: &Arc<SeriesTable>, made: &[Made]) -> MetricBatch {
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    for (index, sample) in made.iter().enumerate() {
        let set: LabelSet = sample.labels.iter().collect();
        list.labels(&set, table.family(&sample.family));
        let columns = builder.samples();
        columns.times.push(UnixMillis(sample.millis));
        columns.values.push(match &sample.value {
            Value::Number(value) => *value,
            Value::Histogram(_) => 0.0,
        });
        if let Value::Histogram(histogram) = &sample.value {
            columns.histograms.push((index as u32, Arc::new(histogram.clone())));
        }
        for (labels, value, millis) in &sample.exemplars {
            let start = columns.text.len() as u32;
            labels.iter().collect::<LabelSet>().encode(&mut columns.text);
            let labels = start..columns.text.len() as u32;
            let (sample, time) = (index as u32, Some(UnixMillis(*millis)));
            columns.exemplars.push(Exemplar { sample, labels, line: 0..0, value: *value, time });
            // What is nothing but a line is for pages, and nobody else is told.
            let line = columns.text.len() as u32;
            columns.text.extend_from_slice(b"a line");
            let line = line..columns.text.len() as u32;
            columns.exemplars.push(Exemplar { sample, labels: 0..0, line, value: *value, time });
        }
        columns.created.extend(sample.created.map(|created| (index as u32, UnixMillis(created))));
    }
    let resolved = table.list_with_repeats(&list);
    assert!(resolved.refused.is_empty(), "the table has room");
    builder.build(Arc::default(), resolved.list)
}
