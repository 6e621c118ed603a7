//! What is lost evidence and what is evidence of absence, case by case.

use std::time::Duration;

use super::super::super::missing_input::MissingInput;
use super::super::super::results::{Row, Store};
use super::super::super::rule::Settings;
use super::super::super::testing::{Answer, World, encoded};
use crate::data::UnixMillis;
use crate::data::metrics::STALE;
use crate::promql::Point;

fn text(rules: &str) -> String {
    format!("groups:\n- name: g\n  interval: 15s\n  rules:\n{rules}")
}

fn world(rules: &str) -> World {
    let mut world = World::new(Settings::default(), &text(rules));
    world.targets[0].x = 9.0;
    world
}

const FIRES: &str = "  - {alert: High, expr: x > 5}\n";

fn because(world: &World) -> String {
    world.rules.alerts().iter().filter_map(|alert| alert.held_because.clone()).collect()
}

#[test]
fn a_failed_scrape_holds_a_firing_alert_for_an_hour_at_most() {
    let mut world = world(FIRES);
    world.run(60);
    world.targets[0].answer = Answer::Fails;
    world.run(600);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    assert_eq!(because(&world), "the last scrape of instance \"a\" of job \"job\" failed");
    assert!(world.said().iter().all(|line| line.ends_with("firing")));
    world.run(2950);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    world.run(60);
    assert!(world.alerts().is_empty());
    assert!(world.said().last().expect("said").ends_with("resolved"));
    world.run(120);
    assert!(world.alerts().is_empty());
}

#[test]
fn under_prometheus_a_failed_scrape_ends_the_alert() {
    let settings = Settings { missing_input: MissingInput::Prometheus, ..Settings::default() };
    let mut world = World::new(settings, &text(FIRES));
    world.targets[0].x = 9.0;
    world.run(60);
    world.targets[0].answer = Answer::Fails;
    world.run(30);
    assert!(world.alerts().is_empty());
}

#[test]
fn a_scrape_that_succeeds_again_goes_on_with_the_alert_or_ends_it() {
    for (x, expected) in [(9.0, vec!["High{a} firing"]), (1.0, vec![])] {
        let mut world = world(FIRES);
        world.run(60);
        world.targets[0].answer = Answer::Fails;
        world.run(120);
        (world.targets[0].answer, world.targets[0].x) = (Answer::Whole, x);
        world.run(30);
        assert_eq!(world.alerts(), expected);
    }
}

#[test]
fn a_pending_alert_that_is_held_waits() {
    let mut world = world("  - {alert: High, expr: x > 5, for: 2m}\n");
    world.run(60);
    world.targets[0].answer = Answer::Fails;
    world.run(300);
    assert_eq!(world.alerts(), ["High{a} pending held"]);
    world.targets[0].answer = Answer::Whole;
    world.run(30);
    assert_eq!(world.alerts(), ["High{a} pending"]);
    world.run(75);
    assert_eq!(world.alerts(), ["High{a} firing"]);
}

#[test]
fn a_target_that_discovery_drops_ends_its_alerts() {
    let mut world = world(FIRES);
    world.run(60);
    world.remove("a");
    world.run(15);
    assert!(world.alerts().is_empty());
}

#[test]
fn a_target_that_is_dropped_while_it_fails_ends_its_alerts() {
    let mut world = world(FIRES);
    world.run(60);
    world.targets[0].answer = Answer::Fails;
    world.run(60);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    world.remove("a");
    world.run(15);
    assert!(world.alerts().is_empty());
}

#[test]
fn a_series_that_a_successful_scrape_lacks_ends_its_alert() {
    let mut world = world(FIRES);
    world.run(60);
    world.targets[0].answer = Answer::Empty;
    world.run(30);
    assert!(world.alerts().is_empty());
}

#[test]
fn a_series_that_is_lacking_after_failed_scrapes_ends_its_alert() {
    let mut world = world(FIRES);
    world.run(60);
    world.targets[0].answer = Answer::Fails;
    world.run(60);
    world.targets[0].answer = Answer::Empty;
    world.run(30);
    assert!(world.alerts().is_empty());
}

#[test]
fn silence_that_nobody_explains_is_lost_evidence() {
    let mut world = world(FIRES);
    world.run(60);
    world.stop_scraping();
    world.run(600);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    assert!(because(&world).contains("no new samples"), "{}", because(&world));
}

#[test]
fn a_marker_whose_scrape_is_not_told_yet_says_nothing() {
    let mut world = world(FIRES);
    world.run(60);
    world.stop_scraping();
    // The markers are there, `up` of the same scrape is not.
    let rows = [super::super::super::results::Row::stale(super::super::super::testing::series("x", "a"))];
    let now = world.clock.0.wall.into();
    super::super::super::results::Store::append(&world.store, now, &rows, now);
    world.run(15);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    assert!(because(&world).contains("not told yet"));
}

#[test]
fn an_aggregation_is_held_while_one_of_its_targets_fails() {
    let mut world = world("  - {alert: High, expr: sum by (job) (x) > 10}\n");
    let mut other = world.targets[0].clone();
    (other.instance, other.x) = ("b", 3.0);
    world.targets.push(other);
    world.run(60);
    assert_eq!(world.alerts(), ["High{} firing"]);
    world.targets[1].answer = Answer::Fails;
    world.run(60);
    assert_eq!(world.alerts(), ["High{} firing held"]);
    world.remove("b");
    world.run(15);
    assert!(world.alerts().is_empty());
}

#[test]
fn what_a_recording_rule_lost_is_lost_for_whoever_reads_it() {
    let rules = "  - {record: 'job:x', expr: sum by (job) (x)}\n  - {alert: High, expr: 'job:x > 5'}\n";
    let mut world = world(rules);
    world.run(60);
    assert_eq!(world.alerts(), ["High{} firing"]);
    world.targets[0].answer = Answer::Fails;
    world.run(60);
    assert_eq!(world.alerts(), ["High{} firing held"]);
    world.targets[0].answer = Answer::Empty;
    world.run(30);
    assert!(world.alerts().is_empty());
}

#[test]
fn a_rate_that_cannot_be_computed_yet_after_a_gap_is_lost_evidence() {
    let mut world = world("  - {alert: Busy, expr: 'rate(x[1m]) > 0.1'}\n");
    for _ in 0..8 {
        world.targets[0].x += 15.0;
        world.run(15);
    }
    assert_eq!(world.alerts(), ["Busy{a} firing"]);
    world.targets[0].answer = Answer::Fails;
    world.run(120);
    assert_eq!(world.alerts(), ["Busy{a} firing held"]);
    world.targets[0].answer = Answer::Whole;
    for _ in 0..4 {
        world.targets[0].x += 15.0;
        world.run(15);
        assert!(world.alerts()[0].starts_with("Busy{a} firing"), "{:?}", world.alerts());
    }
    assert_eq!(world.alerts(), ["Busy{a} firing"]);
    world.run(90);
    assert!(world.alerts().is_empty());
}

#[test]
fn an_explicit_absent_fires_and_ends_as_in_prometheus() {
    let mut world = world("  - {alert: Gone, expr: 'absent(x)'}\n");
    world.run(60);
    assert!(world.alerts().is_empty());
    world.targets[0].answer = Answer::Fails;
    world.run(30);
    assert_eq!(world.alerts(), ["Gone{} firing"]);
    world.targets[0].answer = Answer::Whole;
    world.run(30);
    assert!(world.alerts().is_empty());
}

#[test]
fn a_target_that_is_down_fires_and_ends_as_in_prometheus() {
    let mut world = world("  - {alert: Down, expr: up == 0}\n");
    world.run(30);
    world.targets[0].answer = Answer::Fails;
    world.run(30);
    assert_eq!(world.alerts(), ["Down{a} firing"]);
    world.targets[0].answer = Answer::Whole;
    world.run(30);
    assert!(world.alerts().is_empty());
    world.targets[0].answer = Answer::Fails;
    world.run(30);
    world.remove("a");
    world.run(15);
    assert!(world.alerts().is_empty());
}

#[test]
fn keep_firing_for_begins_where_absence_is_known() {
    let mut world = world("  - {alert: High, expr: x > 5, keep_firing_for: 1m}\n");
    world.run(60);
    world.targets[0].answer = Answer::Fails;
    world.run(300);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    (world.targets[0].answer, world.targets[0].x) = (Answer::Whole, 0.0);
    world.run(45);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    world.run(60);
    assert!(world.alerts().is_empty());
}

#[test]
fn a_rule_that_cannot_be_evaluated_holds_its_alerts() {
    let mut world = world(FIRES);
    world.run(60);
    world.said();
    world.settings.limits.samples = 0;
    world.rules.load(world.settings.clone(), &[super::super::super::testing::rule_file(&text(FIRES))], world.clock.0);
    world.run(180);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    assert!(!world.said().is_empty());
}

#[test]
fn a_restart_holds_until_something_was_scraped() {
    let mut world = world(FIRES);
    world.run(60);
    for clear in [false, true] {
        if clear {
            world.store.clear();
        }
        world.away(600);
        world.stop_scraping();
        world.run(300);
        assert_eq!(world.alerts(), ["High{a} firing held"]);
        world.away(5);
        world.run(60);
        assert_eq!(world.alerts(), ["High{a} firing"]);
    }
    world.said();
    world.away(7200);
    world.run(60);
    // Longer away than an alert is held: it still goes on if it is still so.
    assert_eq!(world.alerts(), ["High{a} firing"]);
    assert!(world.said().iter().all(|line| line.ends_with("firing")));
    world.away(600);
    world.targets[0].answer = Answer::Empty;
    world.run(60);
    assert!(world.alerts().is_empty());
}

#[test]
fn time_away_is_not_part_of_a_for() {
    let mut world = world("  - {alert: High, expr: x > 5, for: 2m}\n");
    world.run(60);
    let since = world.rules.alerts()[0].active_at;
    world.away(600);
    world.run(45);
    assert_eq!(world.alerts(), ["High{a} pending"]);
    assert_eq!(world.rules.alerts()[0].active_at, since);
    world.run(60);
    assert_eq!(world.alerts(), ["High{a} firing"]);
}

#[test]
fn a_short_restart_changes_nothing() {
    let seconds_until_firing = |restart: bool| {
        let mut world = world("  - {alert: High, expr: x > 5, for: 2m}\n");
        world.run(60);
        if restart {
            world.away(0);
        }
        while world.alerts() != ["High{a} firing"] {
            world.run(1);
        }
        world.seconds()
    };
    assert_eq!(seconds_until_firing(true), seconds_until_firing(false));
}

#[test]
fn an_absent_that_is_only_the_agents_own_fires_nothing() {
    let mut world = world("  - {alert: Gone, expr: 'absent(x)'}\n");
    world.run(60);
    world.away(1200);
    world.run(200);
    assert!(world.said().is_empty(), "{:?}", world.said());
    // With a target that stays away it does fire, a while later.
    world.away(1200);
    world.targets[0].answer = Answer::Fails;
    world.run(120);
    assert_eq!(world.alerts(), ["Gone{} firing"]);
}

#[test]
fn a_resolved_alert_that_nobody_heard_of_is_said_after_a_restart() {
    let mut world = world(FIRES);
    world.run(60);
    world.targets[0].x = 0.0;
    world.run(30);
    // The journal knows that it resolved, and not that it was handed on: that is written behind it.
    world.said();
    world.away(5);
    world.run(30);
    assert!(world.said().iter().any(|line| line.ends_with("resolved")) || world.settings.resend_delay > Duration::ZERO);
}

#[test]
fn what_fires_is_handed_on_at_once_after_a_restart() {
    let mut world = world(FIRES);
    world.run(60);
    assert!(!world.said().is_empty());
    // It was said again at 75 seconds, which evaluations behind it have journalled; whoever took it may have died all the
    // same. Without a restart it is due at 150.
    world.run(61);
    world.said();
    world.away(0);
    world.run(16);
    assert_eq!(world.said().len(), 1);
}

#[test]
fn what_no_sample_makes_fires_at_once_after_a_restart() {
    let (known, rules) = (FIRES, "  - {alert: Watchdog, expr: vector(1)}\n  - {alert: Gone, expr: 'absent(y)'}\n");
    let mut world = world(known);
    world.run(60);
    world.reload(&text(&format!("{known}{rules}")));
    world.away(1200);
    world.stop_scraping();
    world.run(20);
    assert_eq!(world.alerts(), ["High{a} firing held", "Watchdog{} firing"]);
}

/// With as many reads as alerts times series, a target with ten thousand series would hold up its group for minutes.
#[test]
fn what_many_alerts_have_lost_is_read_once_for_all_of_them() {
    const MANY: usize = 200;
    let mut world = world("  - {alert: Each, expr: y > 5}\n");
    let of =
        |number: usize| encoded(&[("__name__", "y"), ("instance", "a"), ("job", "job"), ("n", &number.to_string())]);
    let append = |world: &World, value: f64| {
        let rows: Vec<Row> = (0..MANY).map(|n| Row { labels: of(n), point: Point::Float(value) }).collect();
        let now = UnixMillis::from(world.clock.0.wall);
        assert!(world.store.append(now, &rows, now).is_empty());
    };
    append(&world, 9.0);
    world.run(60);
    assert_eq!(world.alerts().len(), MANY);
    append(&world, STALE);
    world.targets[0].answer = Answer::Fails;
    world.run(30);
    world.store.read_since();
    world.run(15);
    assert_eq!(world.alerts().iter().filter(|alert| alert.ends_with("firing held")).count(), MANY);
    let read = world.store.read_since();
    assert!((MANY..3 * MANY).contains(&read), "{read} series were read for {MANY} alerts");
}
