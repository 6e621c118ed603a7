//! Steps of the wall clock by an hour.

use super::super::super::rule::Settings;
use super::super::super::testing::{Answer, World};

const RULES: &str = "groups:\n- name: g\n  interval: 15s\n  rules:\n  - {alert: Slow, expr: x > 5, for: 30m}\n  - {alert: Fires, expr: x > 7}\n  - {alert: Gone, expr: 'absent(x)'}\n  - {alert: Down, expr: up == 0}\n";

#[test]
fn a_step_fires_nothing_and_ends_nothing() {
    for seconds in [3600, -3600] {
        let mut world = World::new(Settings::default(), RULES);
        world.targets[0].x = 9.0;
        world.run(600);
        assert_eq!(world.alerts(), ["Fires{a} firing", "Slow{a} pending"]);
        world.said();
        world.step(seconds);
        for _ in 0..40 {
            world.run(15);
            let states: Vec<String> =
                world.alerts().iter().map(|alert| alert.trim_end_matches(" held").to_owned()).collect();
            assert_eq!(states, ["Fires{a} firing", "Slow{a} pending"], "{seconds}");
        }
        assert_eq!(world.alerts(), ["Fires{a} firing", "Slow{a} pending"]);
        assert!(world.said().iter().all(|line| line.contains("Fires{a} firing")));
        // Ten minutes before and ten after: another ten are left, less what was not known.
        world.run(650);
        assert_eq!(world.alerts(), ["Fires{a} firing", "Slow{a} firing"], "{seconds}");
    }
}

#[test]
fn a_healthy_node_says_nothing_at_a_step() {
    for seconds in [3600, -3600] {
        let mut world = World::new(Settings::default(), RULES);
        world.run(600);
        world.step(seconds);
        world.run(900);
        assert!(world.said().is_empty(), "{seconds}: {:?}", world.said());
        assert!(world.alerts().is_empty());
    }
}

#[test]
fn the_times_of_evaluation_follow_the_new_time_without_a_pause() {
    for seconds in [3600, -3600, 7, -7] {
        let mut world = World::new(Settings::default(), RULES);
        world.run(600);
        let before = world.rules.groups()[0].iterations;
        world.step(seconds);
        world.run(60);
        let group = &world.rules.groups()[0];
        assert!((3..=5).contains(&(group.iterations - before)), "{seconds}: {}", group.iterations - before);
        assert_eq!(group.missed, 0, "{seconds}");
    }
}

#[test]
fn a_step_while_the_agent_is_away_makes_no_time_of_it() {
    for seconds in [3600, -3600] {
        let mut world = World::new(Settings::default(), RULES);
        world.targets[0].x = 9.0;
        world.run(600);
        world.said();
        world.step(seconds);
        world.away(20);
        world.run(600);
        assert_eq!(world.alerts(), ["Fires{a} firing", "Slow{a} pending"], "{seconds}");
        assert!(world.said().iter().all(|line| line.contains("Fires{a} firing")), "{seconds}");
    }
}

#[test]
fn what_was_an_hour_ago_is_not_so_again() {
    let mut world = World::new(Settings::default(), RULES);
    // High and down in the hour that comes once more, and neither when the clock is set back.
    for (x, answer, seconds) in
        [(1.0, Answer::Whole, 1800), (9.0, Answer::Whole, 2400), (1.0, Answer::Fails, 600), (1.0, Answer::Whole, 1200)]
    {
        (world.targets[0].x, world.targets[0].answer) = (x, answer);
        world.run(seconds);
    }
    world.said();
    world.step(-3600);
    world.run(3600);
    assert!(world.said().iter().all(|line| line.ends_with("resolved")), "{:?}", world.said());
    assert!(world.alerts().is_empty());
}

#[test]
fn what_fires_goes_on_although_it_did_not_an_hour_ago() {
    let mut world = World::new(Settings::default(), RULES);
    world.run(3600);
    world.targets[0].x = 9.0;
    world.run(600);
    world.step(-3600);
    world.said();
    world.run(600);
    assert!(world.said().iter().all(|line| line.contains("Fires{a} firing")));
    assert_eq!(world.alerts(), ["Fires{a} firing", "Slow{a} pending"]);
}
