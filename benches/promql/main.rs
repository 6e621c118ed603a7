//! Queries and rules without the listeners around them: a range query of each shape, and an evaluation of alerting and
//! recording rules.

mod world;

use std::fmt::Write;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tailwater::promql::Query;
use world::{Ruled, World};

/// Series of a metric.
const SERIES: usize = 1_000;
/// Steps of a range.
const STEPS: u64 = 100;
/// Scrapes of the history: the steps, and five minutes before them.
const SCRAPES: usize = 120;

fn queries(c: &mut Criterion) {
    let world = World::new(SERIES, SCRAPES);
    let mut group = c.benchmark_group("range");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    group.throughput(Throughput::Elements(SERIES as u64 * STEPS));
    for text in [
        "b",
        "rate(a_total[5m])",
        "sum by (group) (rate(a_total[5m]))",
        "quantile_over_time(0.9, b[5m])",
        "histogram_quantile(0.9, rate(h_bucket[5m]))",
        "topk(5, b)",
        "b + c",
        "b * on (group) group_left () sum by (group) (c)",
        "b > 900",
    ] {
        let query = Query::parse(text).expect("a query");
        group.bench_function(text, |bench| bench.iter(|| world.ask(&query, STEPS)));
    }
    group.finish();
}

fn rules(c: &mut Criterion) {
    let mut text = String::from("groups:\n- name: bench\n  rules:\n");
    for group in 0..10 {
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "  - {{ record: 'group:a:rate5m', expr: 'sum by (group) (rate(a_total{{group=\"{group}\"}}[5m]))' }}\n  - {{ alert: \
             Quiet, expr: 'b{{group=\"{group}\"}} > 1000', labels: {{ of: '{group}' }} }}\n  - {{ alert: Loud, expr: \
             'c{{group=\"{group}\"}} >= 0', for: 1m, labels: {{ of: '{group}' }}, annotations: {{ summary: '{{{{ $labels.l }}}} \
             is at {{{{ $value }}}}' }} }}\n"
        );
    }
    let mut group = c.benchmark_group("rules");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    group.throughput(Throughput::Elements(3 * SERIES as u64));
    let mut ruled = Ruled::new(World::new(SERIES, SCRAPES), &text);
    group.bench_function("30 rules over 3,000 series, of which 1,000 alert", |bench| {
        // Only the evaluation is timed: a scrape makes it due.
        bench.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    ruled.world.scrape();
                    let from = std::time::Instant::now();
                    let evaluated = ruled.evaluate();
                    let took = from.elapsed();
                    drop(evaluated);
                    took
                })
                .sum()
        });
    });
    assert_eq!(ruled.alerts(), SERIES);
    group.finish();
}

criterion_group!(benches, queries, rules);
criterion_main!(benches);
