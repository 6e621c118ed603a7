//! Writing samples of known series into the bodies of remote write requests.

#![expect(clippy::print_stdout, reason = "a bench that reports to the terminal")]

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tailwater::data::metrics::Family;
use tailwater::data::series_table::ListBuilder;
use tailwater::data::{LabelSet, MetricBatch, MetricBuilder, MetricKind, SeriesTable, UnixMillis};
use tailwater::formats::prometheus::remote_write::{Body, Compressor, EncodeOptions, Encoder, Part, Version};

const TARGETS: usize = 20;
const SERIES: usize = 5_000;

/// Scrapes of targets that expose the same metrics: seven labels, 134 bytes of exposition a sample, values moving.
fn scrapes(table: &Arc<SeriesTable>) -> Vec<MetricBatch> {
    let mut random = fastrand::Rng::with_seed(7);
    let scrape = |target: usize| {
        let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
        builder.samples().time = UnixMillis(1_700_000_000_000 + target as i64);
        for index in 0..SERIES {
            let name = format!("http_server_requests_{}_total", index / 25);
            let labels: LabelSet = [
                ("__name__", name.as_str()),
                ("code", ["200", "302", "404", "500", "503"][index % 5]),
                ("handler", &format!("/api/v1/resource/{}", index / 5 % 40)),
                ("instance", &format!("10.0.{target}.1:9090")),
                ("job", "kubernetes-pods"),
                ("method", ["GET", "POST", "PUT", "DELETE"][index / 7 % 4]),
                ("pod", &format!("checkout-6d4cf56db6-{target:05}")),
            ]
            .into_iter()
            .collect();
            let family = Family {
                name: name.as_str().into(),
                kind: MetricKind::Counter,
                help: "Requests that this handler has answered.".into(),
                unit: "".into(),
            };
            list.labels(&labels, table.family(&family));
            builder.samples().values.push(random.u32(..1_000_000).into());
        }
        builder.build(Arc::default(), table.list_with_repeats(&list).list)
    };
    (0..TARGETS).map(scrape).collect()
}

fn remote_write(c: &mut Criterion) {
    let table = SeriesTable::new(1_000_000);
    let batches = scrapes(&table);
    let mut group = c.benchmark_group("remote write");
    group.throughput(Throughput::Elements((TARGETS * SERIES) as u64));
    group.measurement_time(Duration::from_secs(5));
    let external = vec![("cluster".to_owned(), "prod-eu-1".to_owned()), ("region".to_owned(), "eu".to_owned())];
    for (name, version, external) in [
        ("1.0", Version::V1, vec![]),
        ("1.0, two external labels", Version::V1, external.clone()),
        ("2.0", Version::V2, vec![]),
        ("2.0, two external labels", Version::V2, external),
    ] {
        for compressed in [false, true] {
            let options = EncodeOptions { external: external.clone(), exemplars: true, metadata: true, relabel: None };
            let mut encoder = Encoder::new(version, options);
            let mut compressor = Compressor::default();
            let mut bodies = [if compressed { Body::new() } else { Body::uncompressed() }];
            let (mut memory, mut uncompressed, mut bytes) = (Vec::new(), 0, 0);
            let mut pass = || {
                (uncompressed, bytes) = (0, 0);
                for batch in &batches {
                    let mut part = Part::whole(batch, 1, 1 << 20);
                    while part.from < part.to {
                        let series = table.read();
                        part.from = encoder.encode(batch, &series, &part, &mut compressor, &mut bodies).next;
                        if bodies[0].len() < part.full {
                            continue;
                        }
                        uncompressed += bodies[0].len();
                        if compressed {
                            let request = bodies[0].finish(&mut compressor, std::mem::take(&mut memory));
                            bytes += request.as_ref().len();
                            memory = request.into_memory();
                        } else {
                            bodies[0].clear();
                        }
                    }
                }
                (uncompressed, bytes)
            };
            let (uncompressed, bytes) = pass();
            let name = format!("{name}{}", if compressed { ", snappy" } else { "" });
            let samples = (TARGETS * SERIES) as f64;
            println!(
                "{name}: {:.1} bytes a sample, {:.1} compressed",
                uncompressed as f64 / samples,
                bytes as f64 / samples
            );
            group.bench_function(name, |b| b.iter(&mut pass));
        }
    }
    group.finish();
}

criterion_group!(benches, remote_write);
criterion_main!(benches);
