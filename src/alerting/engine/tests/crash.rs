//! Kills at any moment, compared with a run that nobody disturbs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::super::rule::Settings;
use super::super::super::testing::{Sent, World, rule_file};
use super::super::Rules;
use crate::data::SeriesTable;
use crate::delivery::files::RealFiles;
use crate::delivery::journal::Place;
use crate::delivery::simulated_disk::Stop;

const RULES: &str = "groups:\n- name: g\n  interval: 15s\n  rules:\n  - {alert: Quick, expr: x > 5}\n  - {alert: Slow, expr: x > 5, for: 5m}\n  - {alert: Kept, expr: x > 7, for: 1m, keep_firing_for: 2m}\n- name: h\n  interval: 20s\n  rules:\n  - {alert: Other, expr: x > 3, for: 3m}\n";

/// What `x` of a target is, from which second on.
type Course = Vec<(u64, f64)>;

fn course(random: &mut fastrand::Rng) -> Course {
    let mut at = 0;
    let mut course = Vec::new();
    while at < 3600 {
        at += random.u64(60..700);
        course.push((at, f64::from(random.u8(0..11))));
    }
    course
}

/// When each alert of each episode began to fire: `name{instance}@since` to the second.
#[derive(Debug, Default, PartialEq, Eq)]
struct Story {
    /// By alert: when episodes began, as the alert says it, and when it was said first.
    fired: BTreeMap<String, Vec<i64>>,
    /// By alert: when episodes ended.
    resolved: BTreeMap<String, Vec<i64>>,
}

/// Lives through the course, second by second.
fn live(seed: u64, course: &Course, kills: bool) -> Story {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new(Settings::default(), RULES);
    let mut story = Story::default();
    let mut steps = course.iter().peekable();
    let mut next_kill = if kills { random.u64(20..400) } else { u64::MAX };
    while world.seconds() < 4200 {
        while let Some((_, x)) = steps.next_if(|(at, _)| *at <= world.seconds()) {
            world.targets[0].x = *x;
        }
        if world.seconds() == next_kill {
            next_kill += random.u64(20..400);
            if random.bool() {
                // Within an evaluation: at some write of the journal.
                world.disk.stop_after(random.u64(1..12), fastrand::Rng::with_seed(random.u64(..)));
            } else {
                begin_again(&mut world, &mut random);
            }
        }
        world.run(1);
        if world.disk.is_stopped() {
            // What this evaluation made was handed to nobody.
            world.sent.clear();
            begin_again(&mut world, &mut random);
        }
        hear(&mut world, &mut story);
    }
    story
}

/// Another process begins at once, and now and then is killed while it does; whoever was away for longer has not seen what
/// the other one saw.
fn begin_again(world: &mut World, random: &mut fastrand::Rng) {
    world.disk.restart(Stop::Kill);
    if random.u8(..4) == 0 {
        world.disk.stop_after(random.u64(1..4), fastrand::Rng::with_seed(random.u64(..)));
        world.start();
        world.disk.restart(Stop::Kill);
    }
    world.start();
}

fn hear(world: &mut World, story: &mut Story) {
    for Sent { fires, alert, .. } in std::mem::take(&mut world.sent) {
        let key = format!("{}{{{}}}", alert.name(), alert.labels.get("instance"));
        let (times, time) =
            if fires { (&mut story.fired, alert.starts_at.0) } else { (&mut story.resolved, alert.ends_at.0) };
        let times = times.entry(key).or_default();
        if times.last() != Some(&time) {
            times.push(time);
        }
    }
}

#[test]
fn kills_restart_no_for_lose_no_alert_and_double_none() {
    for seed in 0..100 {
        let course = course(&mut fastrand::Rng::with_seed(seed));
        let (whole, killed) = (live(seed, &course, false), live(seed, &course, true));
        assert!(!whole.fired.is_empty(), "seed {seed}: nothing happened");
        assert_eq!(killed, whole, "seed {seed}");
    }
}

#[test]
fn a_power_cut_costs_a_for_little_more_than_a_minute() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new(Settings::default(), RULES);
        world.targets[0].x = 6.0;
        world.run(30 + random.u64(0..290));
        let before = world.alerts();
        // The next write is the last one of this process.
        world.disk.stop_after(1, fastrand::Rng::with_seed(seed));
        while !world.disk.is_stopped() {
            world.run(1);
        }
        world.disk.restart(Stop::PowerCut);
        world.start();
        let names = |alerts: Vec<String>| alerts.into_iter().map(|alert| alert.trim_end_matches(" held").to_owned());
        assert!(names(world.alerts()).eq(names(before)), "seed {seed}: {:?}", world.alerts());
        while !world.alerts().contains(&"Slow{a} firing".to_owned()) {
            world.run(1);
        }
        // It is there after one scrape and one evaluation, and pending for five minutes then.
        assert!(world.seconds() <= 31 + 300 + 60 + 2 * 15, "seed {seed}: {}", world.seconds());
    }
}

/// A folder for data that is read-only, full or a file.
#[test]
fn alerts_are_evaluated_without_a_journal_and_written_down_as_soon_as_there_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    std::fs::write(&data_dir, "a file").expect("written");
    let place = || Place {
        files: Arc::new(RealFiles),
        folder: data_dir.join("alerting"),
        name: "rules".into(),
        kind: crate::alerting::KIND,
    };
    let rules = "groups:\n- {name: g, interval: 15s, rules: [{alert: High, expr: x > 5}]}\n";
    let mut world = World::new(Settings::default(), rules);
    world.targets[0].x = 9.0;
    world.rules = Rules::new(SeriesTable::new(1000), Arc::default()).expect("metrics");
    assert!(world.rules.restore(place()).is_empty());
    world.reload(rules);
    world.run(60);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    let trouble = world.rules.trouble().expect("no journal");
    assert!(trouble.contains("cannot be written"), "{trouble}");
    std::fs::remove_file(&data_dir).expect("removed");
    world.run(30);
    assert_eq!(world.rules.trouble(), None);
    let later = Rules::new(SeriesTable::new(1000), Arc::default()).expect("metrics");
    assert!(later.restore(place()).is_empty());
    later.load(Settings::default(), &[rule_file(rules)], world.clock.0);
    assert_eq!(later.alerts().len(), 1);
}
