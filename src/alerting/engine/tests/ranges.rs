//! Rules over ranges, after a restart and after a step of the wall clock.

use super::super::super::rule::Settings;
use super::super::super::testing::{Answer, World};

const RANGES: [&str; 4] =
    ["rate(x[1m]) == 0", "sum(rate(x[1m])) == 0", "count_over_time(x[1m]) > 0", "max_over_time(x[1m:15s]) > 5"];

fn world(rules: &[(&str, &str)]) -> World {
    let rules: String = rules.iter().map(|(rule, expr)| format!("  - {{{rule}, expr: '{expr}'}}\n")).collect();
    let mut world = World::new(Settings::default(), &format!("groups:\n- name: g\n  interval: 15s\n  rules:\n{rules}"));
    world.targets[0].x = 9.0;
    world
}

#[test]
fn a_range_that_runs_empty_after_a_restart_while_the_target_fails_is_lost() {
    for expr in RANGES {
        let mut world = world(&[("alert: Range", expr)]);
        world.run(120);
        world.targets[0].answer = Answer::Fails;
        world.away(20);
        for _ in 0..40 {
            world.run(15);
            assert!(world.alerts().len() == 1 && world.alerts()[0].contains("firing"), "{expr} at {}", world.seconds());
        }
        assert!(world.alerts()[0].ends_with("held"), "{expr}: {:?}", world.alerts());
        world.targets[0].answer = Answer::Whole;
        world.run(60);
        assert!(world.alerts()[0].ends_with("firing"), "{expr}: {:?}", world.alerts());
        assert!(world.said().iter().all(|line| line.ends_with("firing")), "{expr}");
    }
}

#[test]
fn a_range_that_runs_empty_after_a_restart_since_the_series_is_gone_ends_the_alert() {
    for expr in &RANGES[..3] {
        let mut world = world(&[("alert: Range", expr)]);
        world.run(120);
        world.targets[0].answer = Answer::Empty;
        world.away(20);
        world.run(120);
        assert!(world.alerts().is_empty(), "{expr}: {:?}", world.alerts());
    }
}

#[test]
fn a_range_that_fills_again_after_a_short_gap_is_lost_until_it_has_two_samples() {
    for expr in ["rate(x[1m]) == 0", "sum(rate(x[1m])) == 0"] {
        let mut world = world(&[("alert: Range", expr)]);
        world.run(120);
        world.targets[0].answer = Answer::Fails;
        world.away(20);
        // Longer than the range, and not as long as a query looks back.
        world.run(120);
        world.targets[0].answer = Answer::Whole;
        for _ in 0..8 {
            world.run(15);
            assert!(world.alerts().len() == 1 && world.alerts()[0].contains("firing"), "{expr} at {}", world.seconds());
        }
        assert!(world.alerts()[0].ends_with("firing"), "{expr}: {:?}", world.alerts());
        assert!(world.said().iter().all(|line| line.ends_with("firing")), "{expr}");
    }
}

const COUNTS: [(&str, &str); 4] = [
    ("alert: Few", "count_over_time(x[5m]) < 10"),
    ("record: counted", "count_over_time(x[5m])"),
    ("alert: Recorded", "counted < 10"),
    ("alert: Many", "count_over_time(x[5m]) > 15"),
];

#[test]
fn ranges_that_a_step_cut_short_begin_and_end_nothing() {
    for steps in [[3600, -3600], [-3600, 3600]] {
        let mut world = world(&COUNTS);
        // What was too few at the beginning has resolved, and that is said no more.
        world.run(1500);
        world.said();
        for step in steps {
            world.step(step);
            for _ in 0..60 {
                world.run(15);
                let states: Vec<String> =
                    world.alerts().iter().map(|alert| alert.trim_end_matches(" held").to_owned()).collect();
                assert_eq!(states, ["Many{a} firing"], "{steps:?} at {}", world.seconds());
            }
            assert_eq!(world.alerts(), ["Many{a} firing"], "{steps:?}");
        }
        assert!(world.said().iter().all(|line| line.contains("Many{a} firing")), "{steps:?}");
        world.targets[0].answer = Answer::Fails;
        world.run(240);
        assert_eq!(world.alerts(), ["Few{a} firing", "Many{a} firing held", "Recorded{a} firing"], "{steps:?}");
    }
}
