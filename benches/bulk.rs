//! Encoding records into the body of a bulk request.

#[path = "stages/mod.rs"]
mod stages;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use stages::{Log, Steps, corpus, encode, reads};
use tailwater::data::Chunk;
use tailwater::formats::compression::{BodyWriter, Compression};
use tailwater::formats::document::{DocumentEncoder, Layout};

fn bulk(c: &mut Criterion) {
    let text = corpus(4 << 20);
    let mut group = c.benchmark_group("bulk body");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let edited = json!([{ "parse_json": {} }, { "set": "attributes[\"env\"] = \"prod\"" }]);
    let cases = [
        ("ecs", Layout::Ecs, json!([{ "parse_json": {} }])),
        ("otel", Layout::Otel, json!([{ "parse_json": {} }])),
        ("ecs with an attribute set", Layout::Ecs, edited),
        ("ecs, lines as text", Layout::Ecs, json!([{ "delete": "attributes[\"none\"]" }])),
    ];
    for (name, layout, steps) in cases {
        let (mut log, mut steps) = (Log::new(), Steps::new(steps, &DocumentEncoder::interest(layout)));
        let batches: Vec<_> = reads(&text, 256 * 1024)
            .into_iter()
            .filter_map(|read| steps.run(log.batch_of(Chunk::from_vec(read.to_vec()))))
            .map(stages::settle)
            .collect();
        let mut encoder = DocumentEncoder::new(layout);
        let mut body = Vec::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                body.clear();
                batches.iter().map(|batch| encode(&mut encoder, batch, &mut body)).sum::<usize>()
            });
        });
        if name == "ecs" {
            group.bench_function("ecs, gzip 1", |b| {
                b.iter(|| {
                    let mut writer = BodyWriter::new(Compression::Gzip(1), Vec::with_capacity(text.len() / 2));
                    for batch in &batches {
                        encode(&mut encoder, batch, writer.text());
                        writer.written();
                    }
                    writer.finish().len()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bulk);
criterion_main!(benches);
