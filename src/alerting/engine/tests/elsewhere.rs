//! Rules whose queries somebody else answers.

use std::time::Duration;

use super::super::super::missing_input::MissingInput;
use super::super::super::rule::Settings;
use super::super::super::testing::{Answer, Remote, World};

const RULES: &str = "groups:
- name: far
  interval: 15s
  rules:
  - {alert: Far, expr: 'x > 5 and avg_over_time(x[30d]) > 5'}
  - {record: far, expr: 'avg_over_time(x[30d]) > 5'}
- name: near
  interval: 15s
  rules:
  - {alert: Near, expr: x > 5}
";

fn world(settings: Settings) -> World {
    let mut world = World::new(settings, RULES);
    world.targets[0].x = 9.0;
    world
}

fn evaluations(world: &World, group: &str) -> u64 {
    world.rules.groups().iter().find(|status| &*status.name == group).expect("the group").evaluations
}

#[test]
fn a_group_waits_for_answers_and_no_other_group_does() {
    let mut world = world(Settings::default());
    world.run(300);
    assert_eq!((evaluations(&world, "far"), evaluations(&world, "near")), (0, 20));
    assert_eq!(world.open.len(), 1, "it asks once");
    assert_eq!(world.open[0].queries.len(), 2);
    assert_eq!(world.alerts(), ["Near{a} firing"]);
    // It is evaluated at the time for which it asked, and the times that went by meanwhile are missed.
    world.remote = Remote::Has(Some("a"));
    let asked = world.open[0].at;
    world.answer();
    world.evaluate();
    assert_eq!(world.alerts(), ["Far{a} firing", "Near{a} firing"]);
    let active_at = world.sent.iter().find(|sent| sent.alert.name() == "Far").expect("it fires").alert.starts_at;
    assert_eq!(active_at, asked);
    world.run(60);
    let far = world.rules.groups().into_iter().find(|group| &*group.name == "far").expect("the group");
    assert!(far.missed >= 18 && far.iterations >= far.missed + 4, "{far:?}");
}

#[test]
fn a_reload_has_the_group_ask_again_and_an_answer_to_the_old_question_is_forgotten() {
    let mut world = world(Settings::default());
    world.run(30);
    let before = world.open.pop().expect("it asked");
    world.reload(RULES);
    world.rules.answer(before.ticket, [].into_iter().collect());
    world.evaluate();
    assert_eq!(evaluations(&world, "far"), 0);
    world.remote = Remote::Has(Some("a"));
    world.run(30);
    assert!(evaluations(&world, "far") > 0);
    assert_eq!(world.alerts(), ["Far{a} firing", "Near{a} firing"]);
}

#[test]
fn a_clock_that_is_set_back_has_the_group_ask_again() {
    let mut world = world(Settings::default());
    world.run(30);
    assert_eq!(world.open.len(), 1);
    world.step(-7200);
    world.remote = Remote::Has(Some("a"));
    world.run(30);
    assert!(world.alerts().contains(&"Far{a} firing".to_owned()), "{:?}", world.alerts());
}

#[test]
fn an_answer_ends_an_alert_whatever_this_agent_sees() {
    let mut world = world(Settings::default());
    world.remote = Remote::Has(Some("a"));
    world.run(60);
    world.targets[0].answer = Answer::Fails;
    world.remote = Remote::Has(None);
    world.run(30);
    // That of the agent's own samples is held.
    assert_eq!(world.alerts(), ["Near{a} firing held"]);
}

#[test]
fn where_somebody_else_fails_the_alert_is_held() {
    for (missing_input, expected) in
        [(MissingInput::Hold, "Far{a} firing held"), (MissingInput::Prometheus, "Far{a} firing")]
    {
        let mut world = world(Settings { missing_input, ..Settings::default() });
        world.remote = Remote::Has(Some("a"));
        world.run(60);
        world.remote = Remote::Fails;
        world.run(60);
        assert_eq!(world.alerts(), [expected, "Near{a} firing"]);
        world.remote = Remote::Has(Some("a"));
        world.run(30);
        assert_eq!(world.alerts(), ["Far{a} firing", "Near{a} firing"]);
    }
}

#[test]
fn where_somebody_else_fails_for_too_long_the_alert_ends_for_all() {
    let mut world = world(Settings { hold_for: Duration::from_mins(10), ..Settings::default() });
    world.remote = Remote::Has(Some("a"));
    world.run(60);
    world.remote = Remote::Fails;
    world.run(540);
    let said = |world: &mut World, what: &str| world.said().iter().filter(|line| line.contains(what)).count();
    assert!(said(&mut world, "Far{a} firing") >= 8);
    world.run(90);
    assert_eq!(world.alerts(), ["Near{a} firing"]);
    assert!(said(&mut world, "Far{a} resolved") > 0);
}

#[test]
fn what_a_rule_records_of_an_answer_ends_with_it_for_others_too() {
    let rules = format!("{RULES}- name: on top\n  interval: 15s\n  rules:\n  - {{alert: Top, expr: far == 1}}\n");
    let mut world = World::new(Settings::default(), &rules);
    world.remote = Remote::Has(Some("a"));
    world.run(60);
    assert!(world.alerts().contains(&"Top{a} firing".to_owned()));
    world.targets[0].answer = Answer::Fails;
    world.remote = Remote::Has(None);
    world.run(60);
    assert!(!world.alerts().iter().any(|alert| alert.starts_with("Top")), "{:?}", world.alerts());
}
