//! Groups with which something is wrong, and evaluations that end otherwise than behind the last rule.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::super::alert::Alert;
use super::super::super::moment::{Clock, Moment};
use super::super::super::rule::Settings;
use super::super::super::testing::{World, rule_file};
use super::super::{Begun, Evaluation};
use crate::promql::Stop;

const RULES: &str = "groups:
- name: g
  interval: 15s
  rules:
  - {alert: First, expr: vector(1)}
  - {alert: Second, expr: vector(1)}
";

/// Does something when it is asked for the nth time.
struct At<F>(Moment, usize, AtomicUsize, F);

impl<F: Fn() + Send + Sync> Clock for At<F> {
    fn now(&self) -> Moment {
        if self.2.fetch_add(1, Ordering::Relaxed) + 1 == self.1 {
            self.3();
        }
        self.0
    }
}

/// Asked for this time, the clock is asked for behind what the first rule of a group has found.
const BEHIND_THE_FIRST: usize = 3;

/// Lets the time pass at which the group is due next, and begins its evaluation.
fn begin(world: &mut World) -> Evaluation {
    let due = world.rules.next_due().expect("a group");
    let wait = due.saturating_sub(world.clock.0.running);
    (world.clock.0.running, world.clock.0.wall.0) = (due, world.clock.0.wall.0 + wait.as_nanos() as u64);
    match world.rules.begin(&world.clock, &world.store) {
        Some(Begun::Evaluation(evaluation)) => evaluation,
        other => panic!("{other:?}"),
    }
}

fn world() -> World {
    World::new(Settings::default(), RULES)
}

#[test]
fn an_evaluation_that_panics_is_told_and_hides_nothing_that_it_handed_on() {
    let mut world = world();
    let evaluation = begin(&mut world);
    let group = evaluation.group().expect("a group");
    let clock = At(world.clock.0, BEHIND_THE_FIRST, AtomicUsize::new(0), || panic!("a bug"));
    let evaluate = || world.rules.evaluate(evaluation, &clock, &world.store, &Stop::default());
    assert!(catch_unwind(AssertUnwindSafe(evaluate)).is_err());
    world.rules.panicked(group);
    assert!(world.rules.trouble().is_some_and(|trouble| trouble.contains("`g`")));
    assert_eq!(world.alerts(), ["First{} firing"], "nobody has heard of it");
    // The next evaluation.
    let evaluation = begin(&mut world);
    let evaluated = world.rules.evaluate(evaluation, &world.clock, &world.store, &Stop::default());
    assert_eq!(world.rules.trouble(), None);
    assert_eq!(evaluated.alerts.iter().map(Alert::name).collect::<Vec<_>>(), ["First", "Second"]);
}

#[test]
fn what_nobody_hears_of_is_handed_on_once_by_the_evaluation_that_makes_up_for_it() {
    let mut world = world();
    let evaluation = begin(&mut world);
    let load = || world.rules.load(world.settings.clone(), &[rule_file(RULES)], world.clock.0);
    let clock = At(world.clock.0, BEHIND_THE_FIRST, AtomicUsize::new(0), load);
    let evaluated = world.rules.evaluate(evaluation, &clock, &world.store, &Stop::default());
    assert!(evaluated.alerts.is_empty() && evaluated.group.is_none(), "{evaluated:?}");
    drop(evaluated);
    world.evaluate();
    let said = world.said();
    assert!(matches!(&said[..], [first, second] if first.contains("First") && second.contains("Second")), "{said:?}");
}

#[test]
fn what_is_wrong_with_a_group_is_told_while_somebody_has_hold_of_it() {
    let world = world();
    let group = world.rules.shared()[0].clone();
    let _held = group.hold();
    assert_eq!(world.rules.trouble(), None);
}

#[test]
fn a_group_that_goes_has_no_trouble_any_more() {
    let mut world = world();
    world.rules.panicked(("rules.yml".into(), "g".into()));
    assert!(world.rules.trouble().is_some());
    world.reload("groups: []");
    assert_eq!(world.rules.trouble(), None);
}
