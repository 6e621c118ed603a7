//! What is told when, and to whom: alerts, time and restarts, and every notice that comes of them.

mod muting;
mod succession;

use super::testing::alert;
use super::*;
use crate::alerting::matcher;
use crate::alerting::route::RoutingOptions;
use crate::alerting::silence::SilenceRequest;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A dispatcher and everything that it told.
struct World {
    dispatcher: Dispatcher,
    silences: Silences,
    desk: Told,
    now: i64,
}

#[derive(Default)]
struct Told {
    said: Vec<String>,
    records: Vec<Vec<u8>>,
    /// The integration whose templates fail.
    fails: Option<&'static str>,
}

impl Desk for Told {
    fn tell(&mut self, notice: &Notice<'_>) -> bool {
        let told = &notice.notification;
        let names = |resolved: bool| -> String {
            let of = told.alerts.iter().filter(|alert| alert.is_resolved(told.now) == resolved);
            of.map(|alert| alert.labels.get("i")).collect::<Vec<_>>().join(",")
        };
        let fails = self.fails == Some(&*notice.integration.name);
        self.said.push(format!(
            "{}s {} {:?} +{} -{}{}",
            told.now.0 / SECOND,
            notice.integration.name,
            notice.reason,
            names(false),
            names(true),
            if fails { " fails" } else { "" }
        ));
        !fails
    }

    fn acknowledge(&mut self, whom: &Acknowledged<'_>) -> bool {
        self.said.push(format!("{} acknowledge {}", whom.integration.name, whom.alert.labels.get("i")));
        true
    }

    fn record(&mut self, record: Vec<u8>) {
        self.records.push(record);
    }
}

const ROUTE: &str = r#"{ "route": { "receiver": "r", "group_by": ["g"], "group_wait": "30s", "group_interval": "5m",
    "repeat_interval": "1h", "routes": [ { "matchers": ["night=yes"], "mute_time_intervals": ["early"] } ] },
    "inhibit_rules": [ { "source_matchers": ["i=boss"], "target_matchers": ["i!=boss"], "equal": ["g"] } ],
    "time_intervals": [ { "name": "early", "time_intervals": [ { "times": [ { "start_time": "00:00", "end_time": "02:00" } ] } ] } ] }"#;

fn routing(json: &str) -> Arc<Routing> {
    let options: RoutingOptions = serde_json::from_str(json).expect("its shape");
    Arc::new(options.read(&["r", "s"], Duration::from_secs(300)).expect("a tree"))
}

fn integrations(of: &[(&str, bool, bool)]) -> Integrations {
    let one = |(name, send_resolved, keeps_open): &(&str, bool, bool)| Integration {
        name: (*name).into(),
        send_resolved: *send_resolved,
        keeps_open: *keeps_open,
        resend_every: (*name == "next").then_some(Duration::from_secs(60)),
    };
    Integrations::from([("r".into(), of.iter().map(one).collect()), ("s".into(), Vec::new())])
}

const PAGER: (&str, bool, bool) = ("pager", true, true);
const CHAT: (&str, bool, bool) = ("chat", true, false);
const QUIET: (&str, bool, bool) = ("quiet", false, false);

fn world(of: &[(&str, bool, bool)]) -> World {
    let dispatcher = Dispatcher::new(routing(ROUTE), integrations(of), Limits::default(), UnixMillis(0));
    World { dispatcher, silences: Silences::default(), desk: Told::default(), now: 0 }
}

impl World {
    fn put(&mut self, labels: &[(&str, &str)], starts: i64, ends: i64) {
        let now = UnixMillis(self.now);
        self.dispatcher.put([Kept::new(alert(labels, starts, ends), false, now)], now);
    }

    /// One with a name in a group, from now on.
    fn fires(&mut self, group: &str, name: &str) {
        self.put(&[("g", group), ("i", name)], self.now, i64::MAX);
    }

    fn ends(&mut self, group: &str, name: &str) {
        self.put(&[("g", group), ("i", name)], 0, self.now);
    }

    /// Lets time pass, with every look at its time, and returns what was told.
    fn until(&mut self, now: i64) -> Vec<String> {
        while self.dispatcher.next_due().0 <= now {
            self.now = self.dispatcher.next_due().0.max(self.now);
            self.dispatcher.tick(UnixMillis(self.now), &self.silences, &mut self.desk);
        }
        self.now = now;
        std::mem::take(&mut self.desk.said)
    }

    fn silence(&mut self, matchers: &str, ends: i64) {
        let wanted = SilenceRequest {
            id: String::new(),
            matchers: matcher::parse(matchers).expect("matchers"),
            starts_at: UnixMillis(self.now),
            ends_at: UnixMillis(ends),
            created_by: String::new(),
            comment: String::new(),
            annotations: BTreeMap::new(),
        };
        let id = self.silences.iter().count().to_string();
        self.silences.set(wanted, || id, UnixMillis(self.now)).expect("made");
    }

    /// The process ends, and another one begins later with its records.
    fn restart(&mut self, now: i64, of: &[(&str, bool, bool)], route: &str) {
        let mut next = Dispatcher::new(routing(route), integrations(of), Limits::default(), UnixMillis(now));
        for record in &self.desk.records {
            assert!(next.replay(record));
        }
        next.resume(UnixMillis(now));
        (self.dispatcher, self.now) = (next, now);
    }
}

#[test]
fn a_group_waits_and_is_told_of_changes_and_repeats() {
    let mut world = world(&[CHAT]);
    world.fires("x", "a");
    world.until(10 * SECOND);
    world.fires("x", "b");
    world.fires("y", "c");
    assert_eq!(world.until(MINUTE), ["30s chat First +a,b -", "40s chat First +c -"]);
    world.fires("x", "d");
    assert_eq!(world.until(6 * MINUTE), ["330s chat NewAlerts +a,b,d -"]);
    world.ends("x", "b");
    assert_eq!(world.until(12 * MINUTE), ["630s chat SomeResolved +a,d -b"]);
    world.ends("y", "c");
    assert_eq!(world.until(20 * MINUTE), ["940s chat AllResolved + -c"]);
    // Behind 630s + 1h, at the next look.
    assert_eq!(world.until(2 * HOUR), ["4530s chat Repeat +a,d -"]);
}

#[test]
fn an_old_alert_does_not_wait() {
    let mut world = world(&[CHAT]);
    world.now = 10 * MINUTE;
    world.put(&[("g", "x"), ("i", "a")], 10 * MINUTE - 31 * SECOND, i64::MAX);
    assert_eq!(world.until(10 * MINUTE), ["600s chat First +a -"]);
}

#[test]
fn an_alert_ends_by_itself() {
    let mut world = world(&[CHAT]);
    world.put(&[("g", "x"), ("i", "a")], 0, 2 * MINUTE);
    assert_eq!(world.until(10 * MINUTE), ["30s chat First +a -", "330s chat AllResolved + -a"]);
    assert_eq!(world.dispatcher.size().0, 0, "it is forgotten");
}

#[test]
fn what_nobody_heard_of_needs_no_end() {
    let mut world = world(&[CHAT]);
    world.fires("x", "a");
    world.ends("x", "a");
    assert_eq!(world.until(HOUR), Vec::<String>::new());
    world.fires("y", "b");
    world.until(HOUR + MINUTE);
    world.fires("y", "c");
    world.ends("y", "c");
    assert_eq!(world.until(HOUR + 10 * MINUTE), ["3930s chat SomeResolved +b -c"]);
}

#[test]
fn what_fires_again_is_told_again_only_if_its_end_was() {
    let mut world = world(&[CHAT]);
    world.fires("x", "a");
    world.until(MINUTE);
    world.ends("x", "a");
    world.until(2 * MINUTE);
    world.fires("x", "a");
    assert_eq!(world.until(10 * MINUTE), Vec::<String>::new());
    world.ends("x", "a");
    assert_eq!(world.until(11 * MINUTE), ["630s chat AllResolved + -a"]);
    world.fires("x", "a");
    assert_eq!(world.until(12 * MINUTE), ["690s chat First +a -"]);
}

#[test]
fn who_keeps_open_hears_of_an_end_once_however_long_it_is_spoken_of() {
    let mut world = world(&[PAGER]);
    world.fires("x", "a");
    world.fires("x", "b");
    world.until(MINUTE);
    // Rules speak of it for a quarter of an hour, while others of the group begin.
    let mut told = Vec::new();
    for round in 1..=12 {
        world.put(&[("g", "x"), ("i", "a")], 0, MINUTE);
        if round % 4 == 2 {
            world.fires("x", &format!("c{round}"));
        }
        told.extend(world.until(MINUTE + round * 75 * SECOND));
    }
    let begun = ["330s pager NewAlerts +c2 -a", "630s pager NewAlerts +c6 -", "930s pager NewAlerts +c10 -"];
    assert_eq!(told, begun);
    world.fires("x", "a");
    world.put(&[("g", "x"), ("i", "unheard")], 16 * MINUTE, 16 * MINUTE);
    assert_eq!(world.until(21 * MINUTE), ["1230s pager NewAlerts +a -"]);
    world.ends("x", "a");
    assert_eq!(world.until(26 * MINUTE), ["1530s pager SomeResolved + -a"]);
}

#[test]
fn who_wants_no_end_hears_of_none_and_of_the_next_beginning() {
    let mut world = world(&[QUIET]);
    world.fires("x", "a");
    world.until(MINUTE);
    world.ends("x", "a");
    assert_eq!(world.until(6 * MINUTE), Vec::<String>::new());
    world.fires("x", "a");
    assert_eq!(world.until(7 * MINUTE), ["390s quiet First +a -"]);
    world.fires("x", "b");
    world.ends("x", "a");
    assert_eq!(world.until(12 * MINUTE), ["690s quiet NewAlerts +b -"]);
}

#[test]
fn what_cannot_be_written_is_tried_at_the_next_look_and_delays_no_other() {
    let mut world = world(&[PAGER, CHAT]);
    world.desk.fails = Some("chat");
    world.fires("x", "a");
    assert_eq!(world.until(MINUTE), ["30s pager First +a -", "30s chat First +a - fails"]);
    world.ends("x", "a");
    assert_eq!(world.until(6 * MINUTE), ["330s pager AllResolved + -a"]);
    world.desk.fails = None;
    assert_eq!(world.until(HOUR), Vec::<String>::new(), "chat never knew of it");
}

#[test]
fn what_is_known_does_not_grow_beyond_the_limit_and_is_heard_all_the_same() {
    let limits = Limits { bytes: 1000, ..Limits::default() };
    let mut dispatcher = Dispatcher::new(routing(ROUTE), integrations(&[CHAT]), limits, UnixMillis(0));
    for round in 1..=10 {
        for name in ["a", "b", "c"] {
            let mut said = alert(&[("g", "x"), ("i", name)], 0, round * HOUR);
            said.generator_url = "g".repeat(500 * round as usize);
            dispatcher.put([Kept::new(said, false, UnixMillis(0))], UnixMillis(0));
        }
    }
    assert!(dispatcher.size().1 < 2500, "{}", dispatcher.size().1);
    let ends = |held: &Held| held.kept.alert.ends_at.0;
    assert!(dispatcher.alerts.values().all(|held| ends(held) == 10 * HOUR));
    assert!(dispatcher.counts().refused > 0);
}

#[test]
fn there_is_a_limit() {
    let limits = Limits { alerts: 3, groups: 2, ..Limits::default() };
    let mut dispatcher = Dispatcher::new(routing(ROUTE), integrations(&[CHAT]), limits, UnixMillis(0));
    for (group, name) in [("x", "a"), ("y", "b"), ("z", "c"), ("x", "d"), ("x", "a")] {
        let kept = Kept::new(alert(&[("g", group), ("i", name)], 0, i64::MAX), false, UnixMillis(0));
        dispatcher.put([kept], UnixMillis(0));
    }
    let counts = dispatcher.counts();
    assert_eq!((counts.refused, counts.ungrouped, dispatcher.size().0, dispatcher.size().2), (1, 1, 3, 2));
}

#[test]
fn what_is_known_can_be_seen() {
    let mut world = world(&[CHAT]);
    world.fires("x", "a");
    world.fires("x", "boss");
    world.silence("i=boss", HOUR);
    let alerts = world.dispatcher.alerts(&world.silences, UnixMillis(0));
    let seen: Vec<_> = alerts
        .iter()
        .map(|view| (view.kept.alert.labels.get("i"), view.silenced_by.len(), view.inhibited_by.is_some()))
        .collect();
    assert!(seen.contains(&("a", 0, true)) && seen.contains(&("boss", 1, false)), "{seen:?}");
    let groups = world.dispatcher.groups(&world.silences, UnixMillis(0));
    assert_eq!((groups.len(), groups[0].alerts.len(), &*groups[0].receiver), (1, 2, "r"));
    world.ends("x", "a");
    world.ends("x", "boss");
    assert!(world.dispatcher.groups(&world.silences, UnixMillis(0)).is_empty());
}
