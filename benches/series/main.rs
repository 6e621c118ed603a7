//! The store of samples: taking scrapes, reading them back, what a sample takes, and how fast a journal is read.

#![expect(clippy::print_stdout, reason = "a bench that reports to the terminal")]

mod node;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use node::{INTERVAL, Late, Node};
use regex::Regex;
use tailwater::data::{SeriesTable, UnixMillis};
use tailwater::delivery::files::RealFiles;
use tailwater::options::ByteSize;
use tailwater::series::{Keeper, MatchOp, Matcher, Place, Samples, Select, Store, StoreOptions};

const NODES: usize = 100;

/// Scrapes of two hours.
const SCRAPES: usize = 480;

fn store(table: &Arc<SeriesTable>) -> Store {
    let options = StoreOptions { max_bytes: ByteSize(2 << 30), ..StoreOptions::default() };
    let store = Store::new(&options, table.clone()).expect("a store");
    store.set_selection(&[Vec::new()], Duration::from_secs(24 * 3600));
    store
}

fn nodes(table: &Arc<SeriesTable>, late: Late) -> Vec<Node> {
    (0..NODES).map(|number| Node::new(table, number, late)).collect()
}

fn scrape(store: &Store, nodes: &mut [Node], count: usize) {
    for _ in 0..count {
        for node in &mut *nodes {
            let batch = node.scrape();
            store.append(&batch, batch.columns().time);
        }
    }
}

fn read(store: &Store, matchers: &[Matcher], after: i64, until: i64) -> (usize, f64) {
    let (mut samples, mut sum) = (0, 0.0);
    store
        .select(Select { matchers, after, until }, &mut |_, columns| {
            samples += columns.times.len();
            sum += columns.values.iter().sum::<f64>();
            Ok(())
        })
        .expect("samples");
    (samples, sum)
}

fn sizes() {
    for late in [Late::Never, Late::Sometimes, Late::Always(5), Late::Always(50)] {
        let table = SeriesTable::new(1 << 20);
        let store = store(&table);
        let mut nodes = nodes(&table, late);
        scrape(&store, &mut nodes, 1);
        let empty = store.bytes();
        scrape(&store, &mut nodes, SCRAPES - 1);
        let samples = NODES * nodes[0].len() * SCRAPES;
        let (all, grown) = (store.bytes() as f64 / samples as f64, (store.bytes() - empty) as f64 / samples as f64);
        println!(
            "late {late:?}: {grown:.2} bytes a sample beside series and labels, {all:.2} with all ({} series, {samples} samples)",
            store.series_count()
        );
    }
}

fn journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = || Place { files: Arc::new(RealFiles), folder: folder.path().join("series") };
    let table = SeriesTable::new(1 << 20);
    let mut nodes: Vec<Node> = (0..10).map(|number| Node::new(&table, number, Late::Sometimes)).collect();
    let first = Arc::new(store(&table));
    let (mut keeper, _) = Keeper::open(first.clone(), place(), UnixMillis(0)).expect("opened");
    let mut time = UnixMillis(0);
    for _ in 0..130 {
        for node in &mut nodes {
            let batch = node.scrape();
            time = batch.columns().time;
            first.append(&batch, time);
        }
    }
    keeper.commit(time).expect("written");
    let journal = folder.path().join("series").read_dir().expect("files").filter_map(Result::ok);
    let bytes: u64 = journal.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    let begun = Instant::now();
    let (other, restored) = Keeper::open(Arc::new(store(&SeriesTable::new(1 << 20))), place(), time).expect("opened");
    let took = begun.elapsed();
    let a_sample = bytes as f64 / restored.samples as f64;
    println!("journal: {} samples of {a_sample:.2} bytes replayed in {took:?}", restored.samples);
    drop(keeper);
    other.finish(time).expect("written");
    let begun = Instant::now();
    let (_, restored) = Keeper::open(Arc::new(store(&SeriesTable::new(1 << 20))), place(), time).expect("opened");
    println!("snapshot: {} samples restored in {:?}", restored.samples, begun.elapsed());
}

fn series(c: &mut Criterion) {
    sizes();
    journal();
    let table = SeriesTable::new(1 << 20);
    let mut all = nodes(&table, Late::Sometimes);
    let filled = store(&table);
    scrape(&filled, &mut all, SCRAPES);
    let until = 1_795_392_000_000 + INTERVAL * SCRAPES as i64 + 100;

    let mut group = c.benchmark_group("series");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    group.throughput(Throughput::Elements((NODES * all[0].len()) as u64));
    group.bench_function("append a scrape of 100 nodes", |b| {
        b.iter_batched(
            || all.iter_mut().map(Node::scrape).collect::<Vec<_>>(),
            |batches| {
                for batch in &batches {
                    filled.append(batch, batch.columns().time);
                }
                batches
            },
            BatchSize::PerIteration,
        );
    });
    let filled = store(&table);
    let mut all = nodes(&table, Late::Sometimes);
    scrape(&filled, &mut all, SCRAPES);
    let cpu = Matcher { name: "__name__".into(), op: MatchOp::Equal, value: "node_network_bytes_total".into() };
    let pattern = Regex::new("^(?s:10.0.0.1.*)$").expect("a pattern");
    let some = Matcher { name: "instance".into(), op: MatchOp::Matches(pattern), value: "10.0.0.1.*".into() };
    let one = std::slice::from_ref(&cpu);
    for (name, after) in [("two hours", until - 7_200_000), ("five minutes", until - 300_000)] {
        let (samples, _) = read(&filled, one, after, until);
        group.throughput(Throughput::Elements(samples as u64));
        group.bench_function(format!("read {name} of 2,000 series"), |b| b.iter(|| read(&filled, one, after, until)));
    }
    let both = [cpu.clone(), some];
    let (samples, _) = read(&filled, &both, until - 300_000, until);
    group.throughput(Throughput::Elements(samples as u64));
    group.bench_function("read five minutes of some series by a pattern", |b| {
        b.iter(|| read(&filled, &both, until - 300_000, until));
    });
    group.finish();
}

criterion_group!(benches, series);
criterion_main!(benches);
