//! What panics while rules are evaluated: it costs the rule that evaluation, and ends no alert.

use super::super::super::missing_input::MissingInput;
use super::super::super::rule::Settings;
use super::super::super::testing::World;

const BUG: &str = "a bug of Tailwater, please report it: ";

fn world(missing_input: MissingInput, rules: &str) -> World {
    let mut world = World::new(
        Settings { missing_input, ..Settings::default() },
        &format!("groups:\n- name: g\n  interval: 15s\n  rules:\n{rules}"),
    );
    world.targets[0].x = 9.0;
    world
}

/// Health and last error of each rule.
fn health(world: &World) -> Vec<(String, String)> {
    let groups = world.rules.groups();
    let rules = groups.iter().flat_map(|group| &group.rules);
    rules
        .map(|rule| serde_json::to_value(rule).expect("JSON"))
        .map(|rule| {
            let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
            (text("health"), text("lastError"))
        })
        .collect()
}

#[test]
fn a_query_that_panics_fails_its_rule_alone_and_resolves_nothing() {
    let rules = "  - {alert: High, expr: x > 5}\n  - {alert: Other, expr: x > 6}\n  - {record: y, expr: x}\n";
    for (missing_input, high) in
        [(MissingInput::Hold, "High{a} firing held"), (MissingInput::Prometheus, "High{a} firing")]
    {
        let mut world = world(missing_input, rules);
        world.run(60);
        world.said();
        world.store.panic_at(Some("x > 5"));
        world.run(300);
        assert_eq!(world.alerts(), [high, "Other{a} firing"]);
        let [first, second, third] = &*health(&world) else { panic!("three rules") };
        assert_eq!((&*first.0, &*second.0, &*third.0), ("err", "ok", "ok"));
        assert!(first.1.starts_with(BUG), "{first:?}");
        assert!(world.rules.trouble().is_some_and(|told| told.contains(BUG) && told.contains("`High`")));
        assert_eq!(world.rules.groups()[0].failures, 20);
        assert!(world.said().iter().all(|line| line.ends_with("firing")));
        world.store.panic_at(None);
        world.run(60);
        assert_eq!(world.alerts(), ["High{a} firing", "Other{a} firing"]);
        assert_eq!(world.rules.trouble(), None);
    }
}

#[test]
fn an_annotation_that_panics_costs_no_alert_and_is_told() {
    let mut world = world(
        MissingInput::Hold,
        "  - {alert: High, expr: x > 5, annotations: {bad: '{{ query \"up\" }}', good: 'x is {{ $value }}'}}\n",
    );
    world.store.panic_at(Some("up"));
    world.run(60);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    let alert = &world.sent.last().expect("handed on").alert;
    assert_eq!(alert.annotations.get("good"), "x is 9");
    assert!(alert.annotations.get("bad").contains(BUG), "{alert:?}");
    let told = health(&world);
    assert!(told[0].0 == "err" && told[0].1.starts_with(BUG), "{told:?}");
    assert!(world.rules.trouble().is_some_and(|told| told.contains(BUG)));
}

#[test]
fn a_label_that_panics_makes_no_other_alert_of_one() {
    let mut world =
        world(MissingInput::Hold, "  - {alert: High, expr: x > 5, labels: {n: '{{ query \"up\" | len }}'}}\n");
    world.run(60);
    world.said();
    world.store.panic_at(Some("up"));
    world.run(300);
    assert_eq!(world.alerts(), ["High{a} firing held"]);
    assert!(health(&world)[0].1.starts_with(BUG));
    assert!(world.said().iter().all(|line| line.ends_with("firing")));
}
