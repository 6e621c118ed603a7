//! Prometheus's semantics, on a group that is evaluated every 15 seconds.

use std::time::Duration;

use super::super::super::missing_input::MissingInput;
use super::super::super::results::{Row, Store};
use super::super::super::rule::Settings;
use super::super::super::testing::{Answer, Remote, START, World, encoded, series};
use crate::data::UnixMillis;
use crate::data::metrics::is_stale;
use crate::promql::Point;
use crate::series::{ExemplarPoint, SeriesExemplars};

fn prometheus() -> Settings {
    Settings { missing_input: MissingInput::Prometheus, ..Settings::default() }
}

fn world(rules: &str) -> World {
    World::new(prometheus(), &format!("groups:\n- name: g\n  interval: 15s\n  rules:\n{rules}"))
}

/// The seconds between the first and the later ones of what was said.
fn pauses(said: &[String]) -> Vec<u64> {
    let seconds = |line: &String| line.split(' ').next().and_then(|at| at.parse::<u64>().ok()).expect("seconds");
    said.iter().map(|line| seconds(line) - seconds(&said[0])).collect()
}

#[test]
fn an_alert_is_pending_for_its_for_then_fires_and_resolves() {
    let mut world = world("  - {alert: High, expr: x > 5, for: 30s}\n");
    world.run(60);
    assert!(world.alerts().is_empty());
    world.targets[0].x = 9.0;
    world.run(30);
    assert_eq!(world.alerts(), ["High{a} pending"]);
    assert!(world.said().is_empty());
    world.run(30);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    let alert = world.sent.last().expect("handed on").alert.clone();
    assert_eq!((alert.value, alert.labels.get("job")), (9.0, "job"));
    assert_eq!(alert.ends_at.0 - alert.starts_at.0, 240_000);
    assert_eq!(alert.generator_url, "/graph?g0.expr=x+%3E+5&g0.tab=1");
    world.targets[0].x = 1.0;
    world.run(30);
    assert!(world.alerts().is_empty());
    let last = world.sent.last().expect("handed on");
    let alert = last.alert.clone();
    assert!(!last.fires);
    assert_eq!((alert.ends_at.0 - alert.starts_at.0) % 15_000, 0);
}

#[test]
fn a_firing_alert_is_said_again_each_minute_and_a_resolved_one_for_a_quarter_of_an_hour() {
    let mut world = world("  - {alert: High, expr: x > 5}\n");
    world.targets[0].x = 9.0;
    world.run(200);
    // Later than a minute after the last time, at a time of evaluation.
    assert_eq!(pauses(&world.said()), [0, 75, 150]);
    world.targets[0].x = 0.0;
    world.run(1200);
    let said = world.said();
    assert!(said.iter().all(|line| line.ends_with("resolved")), "{said:?}");
    assert_eq!(pauses(&said), (0..=12).map(|times| times * 75).collect::<Vec<_>>());
}

#[test]
fn an_alert_keeps_firing_for_as_long_as_it_is_told_to() {
    let mut world = world("  - {alert: High, expr: x > 5, keep_firing_for: 1m}\n");
    world.targets[0].x = 9.0;
    world.run(60);
    world.targets[0].x = 0.0;
    world.run(60);
    let alerts = world.rules.alerts();
    assert_eq!(alerts[0].state, "firing");
    assert!(alerts[0].keep_firing_since.is_some());
    world.targets[0].x = 9.0;
    world.run(30);
    assert!(world.rules.alerts()[0].keep_firing_since.is_none());
    world.targets[0].x = 0.0;
    world.run(105);
    assert!(world.alerts().is_empty());
}

#[test]
fn alerts_are_series_too_and_end() {
    let mut world = world("  - {alert: High, expr: x > 5, for: 30s, labels: {severity: page}}\n");
    world.targets[0].x = 9.0;
    world.run(75);
    world.targets[0].x = 0.0;
    world.run(60);
    let labels = |name, extra: &[(&'static str, &'static str)]| {
        let mut all =
            vec![("__name__", name), ("alertname", "High"), ("instance", "a"), ("job", "job"), ("severity", "page")];
        all.extend(extra);
        encoded(&all)
    };
    let of = |state: &'static str| world.store.samples(&labels("ALERTS", &[("alertstate", state)]));
    let (pending, firing) = (of("pending"), of("firing"));
    let values = |samples: &[(i64, f64)]| -> Vec<bool> { samples.iter().map(|(_, value)| is_stale(*value)).collect() };
    assert_eq!(values(&pending), [false, false, true]);
    assert!(values(&firing).ends_with(&[true]));
    assert_eq!(pending[2].0, firing[0].0);
    let since = world.store.samples(&labels("ALERTS_FOR_STATE", &[]));
    assert_eq!(since[0].1, (pending[0].0 / 1000) as f64);
    assert!(is_stale(since.last().expect("ended").1));
}

#[test]
fn a_rule_reads_what_the_one_before_it_has_written() {
    let mut world =
        world("  - {record: 'twice:x', expr: 2 * x, labels: {unit: s}}\n  - {alert: High, expr: 'twice:x > 5'}\n");
    world.targets[0].x = 3.0;
    world.run(40);
    assert_eq!(world.alerts(), ["High{a} firing"]);
    let recorded = encoded(&[("__name__", "twice:x"), ("instance", "a"), ("job", "job"), ("unit", "s")]);
    assert_eq!(world.store.samples(&recorded)[0].1, 6.0);
    world.targets[0].answer = Answer::Empty;
    world.run(30);
    assert!(is_stale(world.store.samples(&recorded).last().expect("there").1));
    assert!(world.alerts().is_empty());
}

#[test]
fn queries_look_back_by_the_offset_and_their_results_are_as_old() {
    let mut world = World::new(
        prometheus(),
        "groups:\n- name: g\n  interval: 15s\n  query_offset: 1m\n  rules:\n  - {record: y, expr: x}\n",
    );
    world.run(120);
    let y = world.store.samples(&series("y", "a"));
    let x = world.store.samples(&series("x", "a"));
    assert!(y[0].0 >= x[0].0 && y[0].0 < x[0].0 + 15_000);
    assert!(y.len() >= 3 && y.len() <= 5, "{y:?}");
}

#[test]
fn results_that_would_be_the_same_series_are_an_error() {
    let mut world = world(
        "  - {record: y, expr: '{__name__=~\"x|up\"}'}\n  - {alert: A, expr: 'label_replace(up, \"job\", \"\", \"\", \"\") or x', labels: {job: one}}\n",
    );
    world.run(30);
    let groups = serde_json::to_value(world.rules.groups()).expect("JSON");
    let rules = &groups[0]["rules"];
    assert_eq!(rules[0]["health"], "err");
    assert_eq!(rules[0]["lastError"], "vector contains metrics with the same labelset after applying rule labels");
    assert_eq!(rules[1]["lastError"], "vector contains metrics with the same labelset after applying alert labels");
}

#[test]
fn more_alerts_than_the_limit_are_no_alerts() {
    let mut world = World::new(
        prometheus(),
        "groups:\n- name: g\n  interval: 15s\n  limit: 1\n  rules:\n  - {alert: A, expr: '{__name__=~\"x|up\"} >= 0', labels: {n: '{{ $labels.__name__ }}'}}\n  - {alert: B, expr: up}\n  - {record: y, expr: 'label_replace(x, \"n\", \"$1\", \"__name__\", \"(.*)\") or label_replace(up, \"n\", \"$1\", \"__name__\", \"(.*)\")'}\n",
    );
    world.run(30);
    assert_eq!(world.alerts(), ["B{a} firing"]);
    let groups = serde_json::to_value(world.rules.groups()).expect("JSON");
    assert_eq!(groups[0]["rules"][0]["lastError"], "exceeded limit of 1 with 2 alerts");
    assert_eq!(groups[0]["rules"][2]["lastError"], "exceeded limit of 1 with 2 series");
}

#[test]
fn labels_and_annotations_are_expanded() {
    let settings = Settings {
        external_labels: [("cluster", "c"), ("job", "other")].into_iter().collect(),
        external_url: "https://node".into(),
        ..prometheus()
    };
    let rules = "groups:\n- name: g\n  interval: 15s\n  rules:\n  - alert: A\n    expr: x > 5\n    labels: {at: '{{ $labels.instance }}-{{ $externalLabels.cluster }}', none: '{{ \"\" }}'}\n    annotations: {value: 'x is {{ $value }}', up: '{{ with query \"up\" }}{{ . | first | value }}{{ end }}', bad: '{{ template \"nope\" }}'}\n";
    let mut world = World::new(settings, rules);
    world.targets[0].x = 7.0;
    world.run(30);
    let alert = &world.sent[0].alert;
    let labels: Vec<_> = alert.labels.iter().collect();
    assert_eq!(labels, [("alertname", "A"), ("at", "a-c"), ("cluster", "c"), ("instance", "a"), ("job", "job")],);
    assert_eq!((alert.annotations.get("value"), alert.annotations.get("up")), ("x is 7", "1"));
    let bad = alert.annotations.get("bad");
    assert!(bad.starts_with("<error expanding template: "), "{bad}");
    assert!(alert.generator_url.starts_with("https://node/graph?g0.expr="));
}

#[test]
fn a_value_that_is_no_vector_is_a_vector_of_one() {
    let mut world = world("  - {record: y, expr: '7'}\n  - {record: z, expr: '\"text\"'}\n");
    world.run(30);
    assert_eq!(world.store.samples(&encoded(&[("__name__", "y")]))[0].1, 7.0);
    let groups = serde_json::to_value(world.rules.groups()).expect("JSON");
    assert_eq!(groups[0]["rules"][1]["lastError"], "rule result is not a vector or scalar");
}

#[test]
fn times_at_which_nobody_had_time_are_missed_and_counted() {
    let mut world = world("  - {record: y, expr: x}\n");
    world.run(60);
    let before = world.rules.groups()[0].iterations;
    let late = Duration::from_secs(100);
    world.clock.0.running += late;
    world.clock.0.wall.0 += late.as_nanos() as u64;
    world.evaluate();
    let group = &world.rules.groups()[0];
    assert!((6..=7).contains(&group.missed), "{}", group.missed);
    assert_eq!(group.iterations, before + group.missed + 1);
    assert_eq!(group.evaluations, before + 1);
    assert!(world.rules.next_due().expect("due") > world.clock.0.running);
}

#[test]
fn evaluations_are_at_the_slots_of_the_group() {
    let mut world = world("  - {record: y, expr: x}\n");
    world.run(60);
    let offset = world.store.samples(&series("y", "a")).iter().map(|(at, _)| at % 15_000).collect::<Vec<_>>();
    assert!(offset.windows(2).all(|pair| pair[0] == pair[1]) && !offset.is_empty());
    let other = World::new(prometheus(), "groups:\n- name: other\n  interval: 15s\n  rules: []\n");
    assert_ne!(other.rules.next_due(), world.rules.next_due());
}

#[test]
fn traces_of_what_was_counted_ride_along() {
    let mut world = world("  - {alert: High, expr: sum by (job) (x) > 5}\n");
    world.targets[0].x = 9.0;
    let exemplar = |job: &str, time: u64, trace: &str| SeriesExemplars {
        labels: [("__name__", "x"), ("job", job), ("instance", "a")].into_iter().collect(),
        exemplars: vec![ExemplarPoint {
            labels: [("trace_id", trace), ("span_id", "s"), ("line", "of whoever is scraped")].into_iter().collect(),
            line: if trace == "two" { "it is high".into() } else { String::new() },
            value: 1.0,
            time: ((START + time) * 1000) as i64,
        }],
    };
    for series in [
        exemplar("job", 1, "one"),
        exemplar("job", 2, "two"),
        SeriesExemplars {
            exemplars: vec![ExemplarPoint { line: String::new(), ..exemplar("job", 2, "two").exemplars.remove(0) }],
            ..exemplar("job", 2, "two")
        },
        exemplar("other", 2, "three"),
        exemplar("job", 900, "later"),
    ] {
        world.store.exemplify(series);
    }
    world.run(30);
    let seen = world.sent[0].alert.occurrences.iter();
    let seen: Vec<_> = seen.map(|seen| (seen.time.0 / 1000 - START as i64, &*seen.trace_id, &*seen.line)).collect();
    // Of one that two series have the page shows one, that which has a line.
    assert_eq!(seen, [(2, "two", "it is high"), (1, "one", "")]);
}

#[test]
fn what_many_alerts_counted_is_asked_for_once_and_each_has_its_own() {
    const MANY: usize = 50;
    let mut world = world("  - {alert: Each, expr: y > 5}\n");
    let mut rows = Vec::new();
    for number in 0..MANY {
        let number = number.to_string();
        let labels = [("__name__", "y"), ("job", "job"), ("n", &number)];
        rows.push(Row { labels: encoded(&labels), point: Point::Float(9.0) });
        let exemplar = ExemplarPoint {
            labels: [("trace_id", &number)].into_iter().collect(),
            line: String::new(),
            value: 1.0,
            time: (START * 1000) as i64,
        };
        world.store.exemplify(SeriesExemplars { labels: labels.into_iter().collect(), exemplars: vec![exemplar] });
    }
    let now = UnixMillis::from(world.clock.0.wall);
    assert!(world.store.append(now, &rows, now).is_empty());
    world.run(20);
    assert_eq!(world.sent.len(), MANY);
    for sent in &world.sent {
        let traces: Vec<&str> = sent.alert.occurrences.iter().map(|seen| &*seen.trace_id).collect();
        assert_eq!(traces, [sent.alert.labels.get("n")]);
    }
    assert_eq!(world.store.exemplars_since(), 1);
}

#[test]
fn rules_that_fail_again_and_again_are_in_trouble_until_they_do_not() {
    let rules = "groups:\n- name: g\n  interval: 15s\n  rules:\n  - {record: a, expr: 'avg_over_time(x[30d])'}\n  - {record: b, expr: x}\n";
    let mut world = World::new(Settings::default(), rules);
    world.remote = Remote::Fails;
    world.run(30);
    assert_eq!(world.rules.trouble(), None);
    world.run(30);
    assert_eq!(world.rules.trouble().as_deref(), Some("the rule `a` fails: the remote fails"));
    world.remote = Remote::Has(Some("a"));
    world.run(15);
    assert_eq!(world.rules.trouble(), None);
}

#[test]
fn a_rule_that_takes_too_much_fails_and_the_next_one_is_evaluated() {
    let mut settings = prometheus();
    settings.limits.bytes = 100_000;
    let rules = "  - {record: much, expr: 'max_over_time(vector(1)[1d:1s])'}\n  - {record: little, expr: vector(1)}\n";
    let mut world = World::new(settings, &format!("groups:\n- name: g\n  interval: 15s\n  rules:\n{rules}"));
    world.run(30);
    let groups = serde_json::to_value(world.rules.groups()).expect("JSON");
    let told = "query needs more than 100000 bytes of memory; ask for fewer series, a shorter range or a longer step";
    assert_eq!(groups[0]["rules"][0]["lastError"], told);
    assert!(!world.store.samples(&encoded(&[("__name__", "little")])).is_empty());
}
