//! Evidence of both sides of a join, and of what is made of many series.

use super::super::super::rule::Settings;
use super::super::super::testing::{Answer, Target, World};

/// A target `a` with `x`, and one of another job with `y`, both about the same node.
fn world(expr: &str) -> World {
    let rules = format!("groups:\n- name: g\n  interval: 15s\n  rules:\n  - {{alert: Both, expr: '{expr}'}}\n");
    let mut world = World::new(Settings::default(), &rules);
    (world.targets[0].x, world.targets[0].labels) = (9.0, vec![("node", "n1")]);
    let other = about(&world, "b", "n1");
    world.targets.push(other);
    world.run(120);
    assert_eq!(world.alerts().len(), 1, "{expr}");
    assert!(world.alerts()[0].ends_with(" firing"), "{expr}: {:?}", world.alerts());
    world.said();
    world
}

fn about(world: &World, instance: &'static str, node: &'static str) -> Target {
    let mut target = world.targets[0].clone();
    (target.instance, target.job, target.name) = (instance, "ksm", "y");
    (target.labels, target.x) = (vec![("node", node)], 1.0);
    target
}

const JOINS: [&str; 16] = [
    "x > 5 and on(node) y",
    "x and ignoring(job, instance) y",
    "x > on(node) y",
    "x * on(node) group_left y > 1",
    "y * on(node) group_right x > 1",
    "x > on(node) group_left max by (node) (y)",
    "x > scalar(y)",
    "x > scalar(sum(y))",
    "x and on(node) (y offset 30s)",
    "x and on(node) max_over_time(y[1m:15s])",
    "x and on(node) (rate(y[1m]) == 0)",
    "x and on(node) label_replace(y, \"b\", \"$1\", \"node\", \"(.*)\")",
    "x unless on() absent(y)",
    "(x > 100 or x > 5) and on(node) y",
    "sum by (node) (x) > 5 and on(node) y",
    "topk(1, x) and on(node) y",
];

#[test]
fn what_the_other_side_of_a_join_lost_is_lost() {
    for expr in JOINS {
        let mut world = world(expr);
        world.targets[1].answer = Answer::Fails;
        world.run(300);
        assert!(
            world.alerts().len() == 1 && world.alerts()[0].ends_with("firing held"),
            "{expr}: {:?}",
            world.alerts()
        );
        assert!(world.said().iter().all(|line| line.ends_with("firing")), "{expr}");
        world.targets[1].answer = Answer::Whole;
        world.run(90);
        assert!(world.alerts().len() == 1 && world.alerts()[0].ends_with("firing"), "{expr}: {:?}", world.alerts());
        assert!(world.said().iter().all(|line| line.ends_with("firing")), "{expr}");
    }
}

#[test]
fn what_the_other_side_of_a_join_has_no_more_ends_the_alert() {
    for expr in JOINS {
        let mut lacking = world(expr);
        lacking.targets[1].answer = Answer::Empty;
        lacking.run(150);
        assert!(lacking.alerts().is_empty(), "{expr}: {:?}", lacking.alerts());
        let mut dropped = world(expr);
        dropped.remove("b");
        dropped.run(150);
        assert!(dropped.alerts().is_empty(), "{expr}: {:?}", dropped.alerts());
    }
}

#[test]
fn what_another_element_lost_is_no_evidence() {
    for expr in ["x > 5 and on(node) y", "x > on(node) group_left max by (node) (y) * 5", "topk(1, x) > 5"] {
        let mut world = world(expr);
        let other = about(&world, "c", "n2");
        world.targets.push(other);
        world.run(60);
        world.targets[2].answer = Answer::Fails;
        world.targets[0].x = 1.0;
        world.run(30);
        assert!(world.alerts().is_empty(), "{expr}: {:?}", world.alerts());
    }
}

#[test]
fn what_could_only_keep_an_alert_away_does_not_hold_it() {
    let mut world = world("x unless on(node) (y > 5)");
    let other = about(&world, "c", "n1");
    world.targets.push(other);
    world.run(30);
    world.targets[2].answer = Answer::Fails;
    world.targets[1].x = 9.0;
    world.run(30);
    assert!(world.alerts().is_empty(), "{:?}", world.alerts());
}

#[test]
fn a_label_that_the_rule_sets_names_no_target() {
    let expr = "label_replace(x, \"instance\", \"other\", \"\", \"\") > 5";
    let mut world = world(expr);
    world.targets[0].answer = Answer::Fails;
    world.run(60);
    assert_eq!(world.alerts(), ["Both{other} firing held"]);
    world.targets[0].answer = Answer::Empty;
    world.run(30);
    assert!(world.alerts().is_empty(), "{:?}", world.alerts());
}

#[test]
fn what_was_lost_before_an_offset_is_lost_when_it_comes_by() {
    let mut world = world("x > 5 or x offset 5m > 5");
    world.run(600);
    // Lost for a minute, below the threshold since: the offset ends with a gap five minutes later.
    world.targets[0].answer = Answer::Fails;
    world.run(60);
    (world.targets[0].answer, world.targets[0].x) = (Answer::Whole, 1.0);
    world.run(270);
    assert_eq!(world.alerts(), ["Both{a} firing held"]);
    world.run(75);
    assert!(world.alerts().is_empty(), "{:?}", world.alerts());
}
