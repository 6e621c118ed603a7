//! The store of samples takes a scrape whose series it knows without an allocation a sample, and little memory.

use std::time::Duration;

use allocation_counter::measure;
use tailwater::data::{MetricBatch, SeriesTable};
use tailwater::series::{Store, StoreOptions};

#[path = "../../benches/series/node.rs"]
mod node;

use node::{Late, Node};

/// Scrapes of two hours.
const SCRAPES: usize = 480;

fn store(table: &std::sync::Arc<SeriesTable>) -> Store {
    let store = Store::new(&StoreOptions::default(), table.clone()).expect("a store");
    store.set_selection(&[Vec::new()], Duration::from_secs(7200));
    store
}

fn append(store: &Store, batch: &MetricBatch) {
    let taken = store.append(batch, batch.columns().time);
    assert_eq!((taken.kept + taken.known) as usize, batch.series().len());
}

#[test]
fn a_scrape_of_known_series_allocates_only_where_a_chunk_ends() {
    let table = SeriesTable::new(10_000);
    let store = store(&table);
    let mut node = Node::new(&table, 1, Late::Sometimes);
    // Of every series one chunk is whole, and the next has begun.
    for _ in 0..130 {
        append(&store, &node.scrape());
    }
    let batches: Vec<_> = (0..120).map(|_| node.scrape()).collect();
    let allocations = measure(|| batches.iter().for_each(|batch| append(&store, batch))).count_total;
    let samples = (batches.len() * node.len()) as u64;
    println!("{allocations} allocations for {samples} samples");
    // A chunk that ends costs one, its place another, and its bytes a few while they grow.
    assert!(allocations < samples / 20, "{allocations} allocations for {samples} samples");
    store.maintain(batches[0].columns().time);
    let none = measure(|| append(&store, &batches[119])).count_total;
    assert!(none < 5, "{none} allocations for samples that are known");
}

/// With all that chunks and buffers take: what the store holds more than after the first scrape.
#[test]
fn a_sample_takes_at_most_a_byte_and_a_half_beside_labels() {
    for (late, most) in [(Late::Never, 1.5), (Late::Sometimes, 1.5), (Late::Always(5), 1.8)] {
        let table = SeriesTable::new(10_000);
        let store = store(&table);
        let mut nodes: Vec<_> = (0..5).map(|number| Node::new(&table, number, late)).collect();
        let mut empty = 0;
        for scrape in 0..SCRAPES {
            for node in &mut nodes {
                append(&store, &node.scrape());
            }
            if scrape == 0 {
                empty = store.bytes();
            }
        }
        let samples = nodes.iter().map(Node::len).sum::<usize>() * (SCRAPES - 1);
        let bytes = (store.bytes() - empty) as f64 / samples as f64;
        println!("late {late:?}: {bytes:.2} bytes a sample");
        assert!(bytes < most, "late {late:?}: {bytes:.2} bytes a sample");
    }
}
