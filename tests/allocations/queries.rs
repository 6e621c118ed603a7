//! Queries and rules allocate for the series that they read, and nothing for a step, a sample or an evaluation that finds what
//! the last one found.

use allocation_counter::measure;
use tailwater::promql::Query;

#[path = "../../benches/promql/world.rs"]
mod world;

use world::{Ruled, World};

const SERIES: usize = 200;

/// Allocations that a query makes once its buffers have grown.
fn allocations(world: &World, text: &str, steps: u64) -> u64 {
    let query = Query::parse(text).expect("a query");
    let found = world.ask(&query, steps);
    assert!(!found.is_empty(), "{text}");
    drop(found);
    measure(|| drop(world.ask(&query, steps))).count_total
}

#[test]
fn a_range_query_allocates_nothing_a_step() {
    let world = World::new(SERIES, 500);
    for (text, a_series) in [
        ("b", 2),
        ("rate(a_total[5m])", 3),
        ("avg_over_time(b[2m])", 3),
        ("quantile_over_time(0.9, b[5m])", 3),
        ("abs(b - 500)", 3),
        ("b > 100", 3),
        ("sum by (group) (rate(a_total[5m]))", 3),
        ("topk(5, b)", 4),
        ("b + c", 9),
        ("histogram_quantile(0.9, rate(h_bucket[5m]))", 5),
    ] {
        let (few, many) = (allocations(&world, text, 40), allocations(&world, text, 400));
        println!("{text}: {few} allocations at 40 steps, {many} at 400");
        // Buffers of all series double until they are large enough.
        assert!(many <= few + 40, "{text}: {few} allocations at 40 steps, {many} at 400");
        assert!(many < (a_series * SERIES + 100) as u64, "{text}: {many} allocations for {SERIES} series");
    }
}

#[test]
fn rules_that_find_the_same_allocate_a_little_a_series() {
    let rules = r#"
groups:
- name: all
  rules:
  - { record: "l:a:rate5m", expr: "rate(a_total[5m])" }
  - { alert: Quiet, expr: "b > 1000" }
  - { alert: Loud, expr: "c >= 0", for: 1m, labels: { severity: page } }
"#;
    let mut ruled = Ruled::new(World::new(SERIES, 40), rules);
    for _ in 0..10 {
        ruled.turn();
    }
    assert_eq!(ruled.alerts(), SERIES);
    ruled.world.scrape();
    let allocations = measure(|| drop(ruled.evaluate())).count_total as usize;
    println!("{allocations} allocations for {SERIES} series of each of three rules");
    assert!(allocations < 10 * SERIES, "{allocations} allocations for {SERIES} series of each of three rules");
}

#[test]
fn an_evaluation_that_changes_nothing_hands_on_nothing_and_allocates_nothing_an_alert() {
    let mut ruled = Ruled::new(
        World::new(SERIES, 40),
        "groups: [ { name: all, rules: [ { alert: Loud, expr: c >= 0, labels: { severity: page } } ] } ]",
    );
    // What fires is said again each minute.
    while ruled.turn().alerts.is_empty() {}
    assert_eq!(ruled.alerts(), SERIES);
    ruled.turn();
    ruled.world.scrape();
    let query = Query::parse("c >= 0").expect("a query");
    let of_query = measure(|| drop(ruled.world.at(&query))).count_total;
    let mut handed_on = 0;
    let allocations = measure(|| handed_on = ruled.evaluate().alerts.len()).count_total;
    println!("{allocations} allocations for {SERIES} alerts, {of_query} of them for the query");
    assert_eq!(handed_on, 0);
    assert!(
        allocations < of_query + SERIES as u64 / 4,
        "{allocations} allocations, of which the query makes {of_query}"
    );
}
