//! Trees of routes as they are written, which routes alerts take, and everything that can be wrong with them.

use super::*;
use crate::alerting::mute::TimeIntervalOptions;
use crate::options::Spanned;

const RECEIVERS: [&str; 4] = ["all", "pager", "chat", "mail"];

fn read(json: &str) -> Result<Routing, Vec<String>> {
    let options: RoutingOptions = serde_json::from_str(json).expect("its shape");
    let told = |problems: Vec<crate::options::Problem>| {
        problems.into_iter().map(|problem| format!("{}: {}", problem.code.0, problem.message)).collect()
    };
    options.read(&RECEIVERS, Duration::from_secs(300)).map_err(told)
}

fn routing(json: &str) -> Routing {
    read(json).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn labels(pairs: &[(&str, &str)]) -> LabelSet {
    pairs.iter().copied().collect()
}

const TREE: &str = r#"{ "route": { "receiver": "all", "group_by": ["alertname"], "group_wait": "10s", "routes": [
    { "matchers": ["severity=~\"page|ticket\"", "{env=\"prod\"}"], "receiver": "pager", "group_interval": "1m", "routes": [
        { "match": { "team": "db" }, "receiver": "mail", "group_by": ["..."], "continue": true, "labels": { "a": "1" } },
        { "match_re": { "team": "db|web" }, "group_by": [], "repeat_interval": "1h", "labels": { "a": "2" } }
    ] },
    { "matchers": ["severity=info"], "receiver": "chat" }
] } }"#;

#[test]
fn the_deepest_route_takes_an_alert_and_continue_goes_on() {
    let routing = routing(TREE);
    let receivers = |pairs: &[(&str, &str)]| -> Vec<String> {
        let found = routing.routes_of(&labels(pairs));
        found.into_iter().map(|id| format!("{} {}", routing.route(id).receiver, routing.route(id).key)).collect()
    };
    let prod = r#"{}/{env="prod",severity=~"page|ticket"}"#;
    assert_eq!(receivers(&[]), ["all {}"]);
    assert_eq!(receivers(&[("severity", "info")]), [r#"chat {}/{severity="info"}"#]);
    assert_eq!(receivers(&[("severity", "page")]), ["all {}"]);
    assert_eq!(receivers(&[("severity", "page"), ("env", "prod")]), [format!("pager {prod}")]);
    assert_eq!(
        receivers(&[("severity", "page"), ("env", "prod"), ("team", "db")]),
        [format!(r#"mail {prod}/{{team="db"}}"#), format!(r#"pager {prod}/{{team=~"db|web"}}"#)]
    );
}

#[test]
fn a_route_takes_over_what_it_does_not_say() {
    let routing = routing(TREE);
    let of = |receiver: &str| {
        routing.routes().map(|(_, route)| route).filter(|route| *route.receiver == *receiver).collect::<Vec<_>>()
    };
    let seconds = |route: &Route| {
        [route.group_wait, route.group_interval, route.repeat_interval].map(|duration| duration.as_secs())
    };
    assert_eq!(seconds(of("all")[0]), [10, 300, 14_400]);
    assert_eq!(seconds(of("mail")[0]), [10, 60, 14_400]);
    assert_eq!(of("mail")[0].group_by, GroupBy::Everything);
    assert_eq!(seconds(of("pager")[1]), [10, 60, 3600]);
    assert_eq!(of("pager")[1].group_by, GroupBy::Labels(Box::default()));
    assert_eq!(of("pager")[1].labels["a"], "2");
    assert_eq!(of("chat")[0].group_by, GroupBy::Labels(["alertname".into()].into()));
}

#[test]
fn a_group_is_called_as_alertmanager_calls_it() {
    let routing = routing(TREE);
    let alert = labels(&[("alertname", "Down"), ("severity", "info"), ("job", "a\"b\\\n")]);
    let id = routing.routes_of(&alert)[0];
    let group = routing.route(id).group_labels(&alert);
    assert_eq!(routing.route(id).group_key(&group), r#"{}/{severity="info"}:{alertname="Down"}"#);
    assert_eq!(
        routing.route(id).group_key(&alert),
        r#"{}/{severity="info"}:{alertname="Down", job="a\"b\\\n", severity="info"}"#
    );
    assert_eq!(routing.route(id).group_key(&LabelSet::new()), r#"{}/{severity="info"}:{}"#);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = read(
        r#"{ "route": { "continue": true, "matchers": ["a=b"], "mute_time_intervals": ["night"], "routes": [
            { "receiver": "pagr", "matchers": ["a=~(", "é="], "group_by": ["a", "a", ""], "match": { "a b": "c" } },
            { "group_by": ["...", "a"], "group_interval": "0s", "repeat_interval": 0, "active_time_intervals": ["noon"] }
        ] },
        "inhibit_rules": [ { "source_matchers": ["{a=b"], "target_match_re": { "a": "(" }, "equal": [""] } ],
        "time_intervals": [ { "name": "night" } ], "mute_time_intervals": [ { "name": "night" } ] }"#,
    )
    .expect_err("wrong");
    let count = |code: &str| wrong.iter().filter(|told| told.starts_with(code)).count();
    let counts: Vec<usize> = (1..=11).map(|number| count(&format!("TW10{number:02}"))).collect();
    assert_eq!(counts, [1, 3, 1, 3, 3, 2, 1, 1, 0, 0, 2], "{wrong:#?}");
    assert_eq!(read("{}").expect_err("no root"), ["TW1001: there is no `route`, so that no receiver is told"]);
}

#[test]
fn a_repetition_that_comes_late_is_warned_of() {
    let options: RoutingOptions = serde_json::from_str(
        r#"{ "route": { "receiver": "all", "routes": [ { "repeat_interval": "1m" }, { "group_interval": "5h" } ] } }"#,
    )
    .expect("its shape");
    let warnings = options.warnings();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].message.ends_with("groups are repeated every 5m"), "{warnings:?}");
}

#[test]
fn intervals_mute_a_route_or_leave_it_active() {
    let routing = routing(
        r#"{ "route": { "receiver": "all", "routes": [
            { "mute_time_intervals": ["may", "2026"] }, { "active_time_intervals": ["may", "june"] }
        ] },
        "time_intervals": [ { "name": "may", "time_intervals": [ { "months": ["5"] } ] },
            { "name": "june", "time_intervals": [ { "months": ["june"] } ] },
            { "name": "2026", "time_intervals": [ { "years": [2026] } ] } ] }"#,
    );
    let at = |text: &str| UnixMillis(text.parse::<jiff::Timestamp>().expect("a time").as_millisecond());
    let muted = |route, time| routing.muted_by(RouteId(route), at(time));
    assert_eq!(muted(0, "2026-05-01T00:00:00Z"), Vec::<&str>::new());
    assert_eq!(muted(1, "2026-05-01T00:00:00Z"), ["may", "2026"]);
    assert_eq!(muted(1, "2026-06-01T00:00:00Z"), ["2026"]);
    assert_eq!(muted(1, "2027-06-01T00:00:00Z"), Vec::<&str>::new());
    assert_eq!(muted(2, "2027-06-01T00:00:00Z"), Vec::<&str>::new());
    assert_eq!(muted(2, "2027-07-01T00:00:00Z"), ["may", "june"]);
}

#[test]
fn the_older_name_of_intervals_is_read_too() {
    let options: Vec<Spanned<TimeIntervalOptions>> = serde_json::from_str(r#"[{ "name": "old" }]"#).expect("its shape");
    assert_eq!(&*options[0].value.name, "old");
    let read = read(
        r#"{ "route": { "receiver": "all", "routes": [ { "mute_time_intervals": ["old"] } ] },
        "mute_time_intervals": [ { "name": "old" } ] }"#,
    );
    assert!(read.is_ok(), "{read:?}");
}
