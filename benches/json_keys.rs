//! Proving objects and locating their members; and the steps that live from it.

#[path = "stages/mod.rs"]
mod stages;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use stages::{Log, Steps, corpus, reads};
use tailwater::data::names::Interest;
use tailwater::data::{Chunk, Names};
use tailwater::formats::document::{DocumentEncoder, Layout};
use tailwater::formats::json::Scanner;

fn keys(c: &mut Criterion) {
    let text = corpus(8 << 20);
    let objects: Vec<_> = text.split(|&byte| byte == b'\n').filter_map(|line| line.get(40..)).collect();
    let names = Names::default();
    let level = names.intern(&["level"]).expect("room");
    let email = names.intern(&["user_email"]).expect("room");
    let mut elasticsearch = DocumentEncoder::interest(Layout::Ecs);
    elasticsearch.paths.extend([level, email]);
    let interests = [
        ("prove", Interest::default()),
        ("locate level", Interest { paths: vec![level], ..Interest::default() }),
        ("locate what elasticsearch needs", elasticsearch),
    ];
    let mut group = c.benchmark_group("JSON");
    group.throughput(Throughput::Bytes(objects.iter().map(|object| object.len() as u64).sum()));
    for (name, interest) in interests {
        let mut scanner = Scanner::new(&names, &interest);
        group.bench_function(name, |b| b.iter(|| objects.iter().filter(|object| scanner.scan(object).is_ok()).count()));
    }
    // Of the whole line from here on.
    let chunks: Vec<_> = reads(&text, 256 * 1024).into_iter().map(|read| Chunk::from_vec(read.to_vec())).collect();
    group.throughput(Throughput::Bytes(text.len() as u64));
    let list = json!([{ "parse_json": {} }, { "drop": "attributes[\"level\"] == \"debug\"" }]);
    let (mut log, mut steps) = (Log::new(), Steps::new(list, &Interest::default()));
    group.bench_function("line to records, parse_json, drop by level", |b| {
        b.iter(|| {
            let left = chunks.iter().filter_map(|chunk| steps.run(log.batch_of(chunk.clone())));
            left.map(|message| stages::settle(message).selection.count()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, keys);
criterion_main!(benches);
