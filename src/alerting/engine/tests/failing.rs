//! Rules that cannot be evaluated for long.

use std::time::Duration;

use super::super::super::missing_input::MissingInput;
use super::super::super::rule::Settings;
use super::super::super::testing::{World, rule_file};

fn text(rule: &str) -> String {
    format!("groups:\n- name: g\n  interval: 15s\n  rules:\n  - {{alert: High, {rule}}}\n")
}

fn world(missing_input: MissingInput, rule: &str) -> World {
    let settings = Settings { missing_input, hold_for: Duration::from_mins(10), ..Settings::default() };
    let mut world = World::new(settings, &text(rule));
    world.targets[0].x = 9.0;
    world.run(60);
    world
}

fn allow(world: &mut World, rule: &str, samples: u64) {
    world.settings.limits.samples = samples;
    world.rules.load(world.settings.clone(), &[rule_file(&text(rule))], world.clock.0);
}

#[test]
fn an_alert_of_a_rule_that_fails_is_said_as_long_as_it_is_held_and_ends_then_for_all() {
    let rule = "expr: x > 5";
    let mut world = world(MissingInput::Hold, rule);
    world.said();
    allow(&mut world, rule, 0);
    world.run(570);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    let said = world.said();
    assert!(said.len() >= 7 && said.iter().all(|line| line.ends_with("firing")), "{said:?}");
    world.run(60);
    assert!(world.alerts().is_empty());
    assert!(world.said().last().expect("said").ends_with("resolved"));
    world.run(1200);
    assert!(world.said().iter().all(|line| line.ends_with("resolved")));
    allow(&mut world, rule, 1000);
    world.run(30);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    assert!(world.said().iter().all(|line| line.ends_with("firing")));
}

#[test]
fn a_pending_alert_of_a_rule_that_fails_is_forgotten_in_the_end() {
    let rule = "expr: x > 5, for: 5m";
    let mut world = world(MissingInput::Hold, rule);
    allow(&mut world, rule, 0);
    world.run(570);
    assert_eq!(world.alerts(), ["High{a} pending held"]);
    world.run(60);
    assert!(world.alerts().is_empty() && world.said().is_empty());
}

#[test]
fn what_keeps_firing_is_said_and_ends_in_its_time_although_the_rule_fails() {
    let rule = "expr: x > 5, keep_firing_for: 5m";
    let mut world = world(MissingInput::Hold, rule);
    world.targets[0].x = 1.0;
    world.run(45);
    world.said();
    allow(&mut world, rule, 0);
    world.run(210);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    assert!(world.said().len() >= 2);
    world.run(90);
    assert!(world.alerts().is_empty());
    assert!(world.said().last().expect("said").ends_with("resolved"));
}

#[test]
fn under_prometheus_an_alert_of_a_rule_that_fails_stays_and_nobody_is_told() {
    let rule = "expr: x > 5";
    let mut world = world(MissingInput::Prometheus, rule);
    world.said();
    allow(&mut world, rule, 0);
    world.run(1200);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    assert!(world.said().is_empty());
}
