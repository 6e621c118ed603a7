//! Reading the headers that container runtimes put before lines.

#[path = "stages/mod.rs"]
mod stages;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stages::corpus;
use tailwater::formats::container::HeaderReader;

fn headers(c: &mut Criterion) {
    let cri = corpus(8 << 20);
    let docker: String = String::from_utf8_lossy(&cri)
        .lines()
        .map(|line| {
            let log = serde_json::to_string(&format!("{}\n", &line[40..])).expect("a text");
            format!("{{\"log\":{log},\"stream\":\"stdout\",\"time\":\"{}\"}}\n", &line[..30])
        })
        .collect();
    let mut group = c.benchmark_group("container header");
    for (name, text) in [("CRI", cri.as_slice()), ("Docker", docker.as_bytes())] {
        let lines: Vec<_> = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            let mut reader = HeaderReader::default();
            b.iter(|| {
                lines.iter().filter_map(|line| reader.read(line).ok()).map(|line| line.content.len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, headers);
criterion_main!(benches);
