//! Finding the lines of a read, and making records of them.

#[path = "stages/mod.rs"]
mod stages;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stages::{Log, corpus, reads};
use tailwater::data::Chunk;

fn lines(c: &mut Criterion) {
    let text = corpus(8 << 20);
    let chunks: Vec<_> = reads(&text, 256 * 1024).into_iter().map(|read| Chunk::from_vec(read.to_vec())).collect();
    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let mut group = c.benchmark_group("lines");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("line feeds", |b| {
        b.iter(|| chunks.iter().map(|chunk| memchr::memchr_iter(b'\n', chunk.as_slice()).count()).sum::<usize>());
    });
    let mut log = Log::new();
    group.bench_function("records", |b| {
        b.iter(|| chunks.iter().map(|chunk| log.batch_of(chunk.clone()).records().len()).sum::<usize>());
    });
    group.finish();
}

criterion_group!(benches, lines);
criterion_main!(benches);
