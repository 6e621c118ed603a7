//! Reading an exposition: anew with its labels, and as the one before it predicts it.

#![expect(clippy::print_stdout, reason = "a bench that reports to the terminal")]

#[path = "end_to_end/metrics/targets.rs"]
#[allow(dead_code, reason = "the bench of the whole path uses the rest")]
mod targets;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tailwater::data::{LabelSet, MetricKind};
use tailwater::formats::prometheus::{Entry, Exposition, TextParser};

const SERIES: usize = 5_000;

/// What stands before a value, or all of an entry that is no sample.
enum Known {
    Series(Vec<u8>),
    Other(Vec<u8>, MetricKind),
}

fn exposition(c: &mut Criterion) {
    let mut target = targets::Target::new(0, SERIES, 7);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    target.expose(&mut first);
    target.expose(&mut second);
    println!("{:.1} bytes a sample", second.len() as f64 / SERIES as f64);
    let mut known = Vec::new();
    let mut parser = TextParser::new(&first);
    loop {
        let series = match parser.next().expect("a good exposition") {
            None => break,
            Some(Entry::Series(series)) => Some(series.raw.to_vec()),
            Some(_) => None,
        };
        known.push(series.map_or_else(|| Known::Other(parser.consumed().to_vec(), parser.kind()), Known::Series));
    }

    let mut group = c.benchmark_group("exposition");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.measurement_time(Duration::from_secs(3));
    group.bench_function("predicted", |b| {
        b.iter(|| {
            let mut parser = TextParser::new(&second);
            let mut sum = 0.0;
            for known in &known {
                match known {
                    Known::Series(series) => sum += parser.predicted(series).expect("the same series").value,
                    Known::Other(bytes, kind) => assert!(parser.skip(bytes, *kind), "the same comment"),
                }
            }
            sum
        });
    });
    group.bench_function("read anew, with labels", |b| {
        let mut labels = LabelSet::default();
        b.iter(|| {
            let mut parser = TextParser::new(&second);
            while let Some(entry) = parser.entry().expect("a good exposition") {
                if let Entry::Series(series) = entry {
                    TextParser::read_labels(series.raw, parser.kind(), &mut labels).expect("good labels");
                    black_box((&labels, series.point.value));
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, exposition);
criterion_main!(benches);
