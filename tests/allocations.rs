//! A log line costs no heap allocation on its way from a read to the body of a bulk request, in the steady
//! state: what is allocated is allocated for batches, and mostly used again.

#[path = "../benches/stages/mod.rs"]
mod stages;

use std::sync::Arc;

use allocation_counter::measure;
use serde_json::json;
use stages::{Log, Steps, corpus, encode, reads, settle};
use tailwater::data::{MemoryBudget, Signal, SlabPool};
use tailwater::formats::document::{DocumentEncoder, Layout};

/// Allocations a record that are still called none.
const MOST: f64 = 0.01;

fn allocations_a_record(steps: serde_json::Value, layout: Layout) -> f64 {
    let text = corpus(8 << 20);
    let reads = reads(&text, 250 * 1024);
    let budget = MemoryBudget::new(64 << 20).share(Signal::Logs);
    let pool = SlabPool::new(budget, 4);
    let mut log = Log::new();
    let mut steps = Steps::new(steps, &DocumentEncoder::interest(layout));
    let mut encoder = DocumentEncoder::new(layout);
    let mut body = Vec::with_capacity(1 << 20);
    let mut records = 0;
    let mut pass = |records: &mut usize| {
        for read in &reads {
            let mut slab = pool.try_take().expect("every earlier batch has gone, and its slab came back");
            assert!(slab.push(read), "a read fits a slab");
            let batch = log.batch(slab);
            *records += batch.records().len();
            body.clear();
            if let Some(message) = steps.run(batch) {
                assert!(encode(&mut encoder, &settle(message), &mut body) > 0);
            }
        }
    };
    // Buffers grow to what these lines need.
    pass(&mut 0);
    let info = measure(|| pass(&mut records));
    assert!(records > 20_000);
    info.count_total as f64 / records as f64
}

#[test]
fn dropping_debug_lines_on_the_way_to_elasticsearch_allocates_nothing_a_record() {
    for layout in [Layout::Ecs, Layout::Otel] {
        let steps = json!([{ "parse_json": { "on_error": "keep" } }, { "drop": "attributes[\"level\"] == \"debug\"" }]);
        let rate = allocations_a_record(steps, layout);
        println!("{layout:?}: {rate:.5} allocations a record");
        assert!(rate < MOST, "{layout:?}: {rate:.5} allocations a record");
    }
}

#[test]
fn setting_an_attribute_allocates_nothing_a_record() {
    let steps = json!([{ "parse_json": {} }, { "set": "attributes[\"env\"] = \"prod\"" }]);
    let rate = allocations_a_record(steps, Layout::Ecs);
    println!("{rate:.5} allocations a record");
    assert!(rate < MOST, "{rate:.5} allocations a record");
}

#[test]
fn the_counter_counts() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let info = measure(|| (0..100).for_each(|n| kept.lock().expect("one thread").push(Box::new(n))));
    assert!(info.count_total >= 100);
}
