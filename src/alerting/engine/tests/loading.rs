//! What a reload keeps, and what it ends.

use super::super::super::missing_input::MissingInput;
use super::super::super::rule::Settings;
use super::super::super::testing::{World, encoded, series};
use super::super::Begun;
use crate::data::metrics::is_stale;
use crate::promql::Stop;

const ALERT: &str = "  - {alert: High, expr: x > 5, for: 1m}\n";

fn text(name: &str, rules: &str) -> String {
    format!("groups:\n- name: {name}\n  interval: 15s\n  rules:\n{rules}")
}

fn world(rules: &str) -> World {
    let settings = Settings { missing_input: MissingInput::Prometheus, ..Settings::default() };
    let mut world = World::new(settings, &text("g", rules));
    world.targets[0].x = 9.0;
    world
}

#[test]
fn a_rule_keeps_its_alerts_when_another_one_changes() {
    let mut world = world(ALERT);
    world.run(60);
    assert_eq!(world.alerts(), ["High{a} pending"]);
    let since = world.rules.alerts()[0].active_at;
    world.reload(&text("g", &format!("{ALERT}  - {{record: y, expr: x}}\n")));
    assert_eq!(world.rules.alerts()[0].active_at, since);
    world.run(30);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    // The same rule for Prometheus, although its query is another one.
    world.reload(&text("g", "  - {alert: High, expr: x > 8, for: 1m}\n"));
    assert_eq!(world.alerts(), ["High{a} firing"]);
    // A longer `for` makes it pending again.
    world.reload(&text("g", "  - {alert: High, expr: x > 8, for: 1h}\n"));
    world.run(15);
    assert_eq!(world.alerts(), ["High{a} pending"]);
}

#[test]
fn what_does_not_change_goes_on_as_if_nothing_was_loaded() {
    let mut world = world(ALERT);
    world.run(60);
    let (due, iterations) = (world.rules.next_due(), world.rules.groups()[0].iterations);
    world.reload(&text("g", ALERT));
    assert_eq!((world.rules.next_due(), world.rules.groups()[0].iterations), (due, iterations));
}

#[test]
fn of_two_rules_of_the_same_name_each_keeps_its_own() {
    let (low, high) = ("  - {alert: A, expr: x > 5, for: 1h}\n", "  - {alert: A, expr: x > 99, for: 1h}\n");
    let mut world = world(&format!("{low}{high}"));
    world.run(60);
    world.reload(&text("g", &format!("{high}{low}")));
    let groups = serde_json::to_value(world.rules.groups()).expect("JSON");
    assert_eq!(groups[0]["rules"][0]["alerts"].as_array().map(Vec::len), Some(0));
    assert_eq!(groups[0]["rules"][1]["alerts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn series_of_a_rule_that_is_gone_end_with_the_next_evaluation() {
    let mut world = world("  - {record: y, expr: x}\n  - {record: z, expr: x}\n");
    world.run(60);
    world.reload(&text("g", "  - {record: z, expr: x}\n"));
    world.run(15);
    assert!(is_stale(world.store.samples(&series("y", "a")).last().expect("there").1));
    assert!(!is_stale(world.store.samples(&series("z", "a")).last().expect("there").1));
}

#[test]
fn series_of_a_group_that_is_gone_end_unless_another_one_has_them() {
    let mut world = world("  - {record: y, expr: x}\n  - {record: z, expr: x}\n");
    world.run(60);
    world.reload(&text("other", "  - {record: z, expr: x}\n"));
    world.run(60);
    let ended = |name| world.store.samples(&series(name, "a")).iter().any(|(_, value)| is_stale(*value));
    assert!(ended("y") && !ended("z"));
    assert!(world.rules.next_due().is_some());
}

#[test]
fn alerts_of_a_rule_that_is_gone_are_gone_and_their_series_end() {
    let mut world = world(ALERT);
    world.run(120);
    world.said();
    world.reload(&text("g", "  - {record: y, expr: x}\n"));
    world.run(15);
    assert!(world.alerts().is_empty() && world.said().is_empty());
    let firing = encoded(&[
        ("__name__", "ALERTS"),
        ("alertname", "High"),
        ("alertstate", "firing"),
        ("instance", "a"),
        ("job", "job"),
    ]);
    assert!(is_stale(world.store.samples(&firing).last().expect("there").1));
}

#[test]
fn a_group_may_move_to_another_file_over_a_restart() {
    let mut world = world(ALERT);
    world.run(60);
    let since = world.rules.alerts()[0].active_at;
    let mut file = super::super::super::testing::rule_file(&text("g", ALERT));
    file.path = "moved/rules.yml".into();
    world.away(0);
    world.rules.load(world.settings.clone(), &[file], world.clock.0);
    assert_eq!(world.rules.alerts()[0].active_at, since);
}

#[test]
fn what_rules_count_is_exposed_while_they_are_there() {
    let mut world = world(ALERT);
    let telemetry = crate::telemetry::Telemetry::new();
    world.rules.metrics().register(&telemetry).expect("registered");
    world.run(120);
    let exposed = telemetry.expose().expect("exposed");
    assert!(exposed.contains("tailwater_alerts{state=\"firing\"} 1"), "{exposed}");
    assert!(exposed.contains("tailwater_rule_evaluations_total{rule_group=\"rules.yml;g\"} 8"), "{exposed}");
    world.reload(&text("other", ALERT));
    assert!(!telemetry.expose().expect("exposed").contains("rules.yml;g\""));
}

/// Whoever evaluated it may hang in a query for good.
#[test]
fn an_evaluation_from_before_a_load_changes_nothing_and_is_made_up_for() {
    for rules in [ALERT, "  - {alert: High, expr: x > 5, for: 1m}\n  - {record: y, expr: x}\n"] {
        let mut world = world(ALERT);
        world.run(60);
        let begin = |world: &mut World| loop {
            if let Some(Begun::Evaluation(evaluation)) = world.rules.begin(&world.clock, &world.store) {
                return evaluation;
            }
            world.pass(1_000_000_000);
        };
        let evaluation = begin(&mut world);
        assert_eq!(world.rules.next_due(), None, "a group is evaluated once at a time");
        world.reload(&text("g", rules));
        let before = world.alerts();
        let samples = world.store.samples(&series("y", "a")).len();
        let evaluated = world.rules.evaluate(evaluation, &world.clock, &world.store, &Stop::default());
        assert!(evaluated.alerts.is_empty() && evaluated.metrics.is_empty() && evaluated.group.is_none());
        drop(evaluated);
        assert_eq!((world.alerts(), world.store.samples(&series("y", "a")).len()), (before, samples));
        world.run(60);
        assert_eq!(world.alerts(), ["High{a} firing"]);
    }
}

#[test]
fn rules_that_are_loaded_while_others_are_evaluated_find_their_alerts_once() {
    let mut world = world(ALERT);
    world.run(75);
    world.said();
    let due = world.rules.next_due().expect("due");
    world.pass(due.saturating_sub(world.clock.0.running).as_nanos() as u64);
    let Some(Begun::Evaluation(evaluation)) = world.rules.begin(&world.clock, &world.store) else { panic!("due") };
    world.reload(&text("g", ALERT));
    drop(world.rules.evaluate(evaluation, &world.clock, &world.store, &Stop::default()));
    // It is due at the same time once more.
    assert_eq!(world.rules.next_due(), Some(due));
    let iterations = world.rules.groups()[0].iterations;
    world.evaluate();
    assert_eq!(world.rules.groups()[0].iterations, iterations);
    world.run(60);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    assert_eq!(world.said().len(), 1);
}
