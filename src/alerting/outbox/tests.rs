//! Each promise of the outbox, and that its records say what its state says.

mod bounds;
mod time;

use bytes::Bytes;

use super::*;

const SECOND: i64 = 1000;
const HOUR: i64 = 3_600_000;

fn lane(name: &str) -> LaneName {
    LaneName { receiver: "r".into(), integration: name.into() }
}

fn settings() -> Settings {
    OutboxOptions::default().settings()
}

/// An outbox, its journal, and what is under way.
struct World {
    outbox: Outbox,
    journal: Vec<Vec<u8>>,
    under_way: Vec<Attempt>,
    settings: Settings,
    now: i64,
}

fn world(settings: Settings) -> World {
    let mut world = World { outbox: empty(settings), journal: Vec::new(), under_way: Vec::new(), settings, now: 0 };
    world.outbox.configure(settings, [(lane("a"), true), (lane("b"), true), (lane("quiet"), false)]);
    world
}

fn empty(settings: Settings) -> Outbox {
    Outbox::new(settings, fastrand::Rng::with_seed(7))
}

impl World {
    fn put_to(&mut self, to: &str, key: &str, kind: PageKind, body: &str) -> Result<(), Full> {
        let page = Page { key: key.into(), kind, about: "Down".into(), body: Bytes::copy_from_slice(body.as_bytes()) };
        let origin = format!("group of {key}").into();
        let put = self.outbox.put(&lane(to), &origin, vec![page], false, UnixMillis(self.now));
        self.journal.extend(self.outbox.take_records());
        put
    }

    fn fires(&mut self, key: &str, body: &str) {
        self.put_to("a", key, PageKind::Trigger, body).expect("room");
    }

    fn ends(&mut self, key: &str, body: &str) {
        self.put_to("a", key, PageKind::Resolve, body).expect("room");
    }

    /// Bodies of the pages that are sent now.
    fn sends(&mut self) -> Vec<String> {
        let attempts = self.outbox.next(UnixMillis(self.now));
        self.journal.extend(self.outbox.take_records());
        let mut bodies: Vec<String> =
            attempts.iter().map(|attempt| String::from_utf8_lossy(&attempt.page.body).into_owned()).collect();
        bodies.sort();
        self.under_way.extend(attempts);
        bodies
    }

    fn answer(&mut self, body: &str, result: Result<(), Refusal>) {
        let at = self.under_way.iter().position(|attempt| *attempt.page.body == *body.as_bytes());
        let attempt = self.under_way.remove(at.unwrap_or_else(|| panic!("{body} is not under way")));
        self.outbox.done(&attempt, result, UnixMillis(self.now));
        self.journal.extend(self.outbox.take_records());
    }

    fn delivered(&mut self, body: &str) {
        self.answer(body, Ok(()));
    }

    fn refused(&mut self, body: &str) {
        self.answer(body, Err(Refusal::ForNow { why: "busy".into(), after: None }));
    }

    fn later(&mut self, by: i64) -> Vec<String> {
        self.now += by;
        self.sends()
    }

    fn restart(&mut self, by: i64) {
        self.now += by;
        self.under_way.clear();
        let mut next = empty(self.settings);
        next.configure(self.settings, [(lane("a"), true), (lane("b"), true), (lane("quiet"), false)]);
        for record in &self.journal {
            assert!(next.replay(record));
        }
        next.resume(true, UnixMillis(self.now));
        self.outbox = next;
        self.journal.extend(self.outbox.take_records());
    }

    /// What was told of pages that wait no more.
    fn ended(&mut self) -> Vec<Event> {
        let mut events = self.outbox.take_events();
        events.retain(|event| !matches!(event, Event::Waits { .. } | Event::Arrives { .. }));
        events
    }

    fn counts(&self) -> Counts {
        self.outbox.status().into_iter().find(|status| status.lane == lane("a")).expect("there").counts
    }
}

#[test]
fn pages_of_one_key_go_out_one_after_the_other_and_keys_beside_each_other() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.fires("y", "y1");
    assert_eq!(world.sends(), ["x1", "y1"]);
    world.ends("x", "x2");
    assert_eq!(world.sends(), Vec::<String>::new(), "a resolve does not overtake its trigger");
    world.delivered("x1");
    assert_eq!(world.sends(), ["x2"]);
    world.delivered("x2");
    world.delivered("y1");
    assert_eq!(world.later(HOUR), Vec::<String>::new());
    assert_eq!((world.counts().delivered, world.outbox.shared.bytes), (3, 0));
}

#[test]
fn of_triggers_that_wait_the_newest_goes_out() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.fires("x", "x2");
    assert_eq!(world.sends(), ["x2"]);
    world.fires("x", "x3");
    world.fires("x", "x4");
    world.refused("x2");
    assert_eq!(world.sends(), Vec::<String>::new(), "the pause is kept");
    assert_eq!(world.later(SECOND), ["x4"]);
    assert_eq!(world.counts().superseded, 3);
}

#[test]
fn what_was_over_before_the_first_attempt_is_not_told() {
    let mut world = world(Settings { concurrency: 1, ..settings() });
    world.fires("x", "x1");
    assert_eq!(world.sends(), ["x1"]);
    world.fires("y", "y1");
    world.fires("y", "y2");
    world.ends("y", "y3");
    world.delivered("x1");
    assert_eq!(world.later(HOUR), Vec::<String>::new());
    assert_eq!(
        world.outbox.take_events(),
        [Event::OverUnsent { lane: lane("a"), key: "y".into(), about: "Down".into() }]
    );
    // What may be known is closed: an earlier trigger arrived.
    world.fires("x", "x2");
    world.ends("x", "x3");
    assert_eq!(world.sends(), ["x3"]);
    // And what this outbox knows nothing of.
    world.ends("z", "z1");
    world.delivered("x3");
    assert_eq!(world.sends(), ["z1"]);
}

#[test]
fn a_resolve_ends_the_attempts_of_its_trigger() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.sends();
    world.ends("x", "x2");
    world.refused("x1");
    assert_eq!(world.later(SECOND), ["x2"]);
    // Another episode waits for the resolve, and is over before it was told.
    world.fires("x", "x3");
    world.ends("x", "x4");
    world.refused("x2");
    assert_eq!(world.later(2 * SECOND), ["x2"]);
    world.delivered("x2");
    assert_eq!(world.later(HOUR), Vec::<String>::new());
}

impl World {
    /// Pages of a whole group, of which the first also tell of ends.
    fn writes(&mut self, bodies: &[&str], tell_of_ends: bool) {
        let kind = |body: &str| if body.starts_with("end") { PageKind::Resolve } else { PageKind::Trigger };
        let page = |body: &&str| Page {
            key: "g".into(),
            kind: kind(body),
            about: "Down".into(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        let pages = bodies.iter().map(page).collect();
        self.outbox.put(&lane("a"), &"g".into(), pages, tell_of_ends, UnixMillis(self.now)).expect("room");
        self.journal.extend(self.outbox.take_records());
    }

    /// Delivers everything in its order.
    fn all(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let sent = self.later(HOUR / 100);
            if sent.is_empty() {
                return all;
            }
            sent.iter().for_each(|body| self.delivered(body));
            all.extend(sent);
        }
    }
}

#[test]
fn what_was_written_at_once_stays_together() {
    let mut world = world(settings());
    world.writes(&["a1", "a2"], false);
    world.restart(SECOND);
    assert_eq!(world.all(), ["a1", "a2"]);
    world.writes(&["b1", "b2"], false);
    world.writes(&["c1", "c2"], false);
    assert_eq!(world.all(), ["c1", "c2"]);
    world.writes(&["d1"], false);
    world.writes(&["end1", "end2"], false);
    assert_eq!(world.all(), ["end1", "end2"]);
}

#[test]
fn what_also_tells_of_ends_waits_its_turn() {
    let mut world = world(settings());
    world.writes(&["a1"], false);
    world.writes(&["b1", "b2"], true);
    world.writes(&["c1"], false);
    world.writes(&["d1"], false);
    assert_eq!(world.sends(), ["b1"]);
    world.restart(2 * HOUR);
    world.fires("g", "e1");
    assert_eq!(world.all(), ["b1", "b2", "e1"]);
    world.writes(&["f1"], true);
    world.writes(&["end"], false);
    assert_eq!(world.all(), ["f1", "end"]);
}

#[test]
fn a_page_that_waits_is_told_once_and_so_is_its_arrival() {
    let mut world = world(settings());
    let waits =
        |why: &str, next: UnixMillis| Event::Waits { lane: lane("a"), about: "Down".into(), why: why.into(), next };
    let is_wait = |events: &[Event], of: &str| matches!(events, [Event::Waits { why, about, .. }] if why == of && about == "Down");
    world.fires("x", "x1");
    world.fires("y", "y1");
    world.sends();
    world.refused("x1");
    let events = world.outbox.take_events();
    let next = world.outbox.next_due().expect("another attempt");
    assert_eq!(events, [waits("busy", next)]);
    world.refused("y1");
    assert_eq!(world.outbox.take_events(), [], "it is known");
    world.now += HOUR;
    world.sends();
    world.answer("x1", Err(Refusal::ForNow { why: "429".into(), after: None }));
    assert!(is_wait(&world.outbox.take_events(), "429"), "another reason is news");
    assert!(world.outbox.complaints().any(|told| told == "r (a) was not told of Down: 429; pages that wait: 2"));
    world.delivered("y1");
    assert_eq!(world.outbox.take_events(), [], "one still waits");
    world.now += HOUR;
    world.sends();
    world.delivered("x1");
    assert_eq!(world.outbox.take_events(), [Event::Arrives { lane: lane("a"), about: "Down".into() }]);
    assert_eq!(world.outbox.complaints().count(), 0);
}

#[test]
fn what_is_refused_for_good_is_never_tried_again() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.sends();
    world.answer("x1", Err(Refusal::ForGood("no such key".into())));
    assert_eq!(world.later(HOUR), Vec::<String>::new());
    let told = Event::Refused { lane: lane("a"), key: "x".into(), about: "Down".into(), why: "no such key".into() };
    assert_eq!(world.outbox.take_events(), [told]);
    world.restart(1);
    assert_eq!(world.later(HOUR), Vec::<String>::new());
}

#[test]
fn what_cannot_be_sent_counts_as_refused_and_is_told() {
    let mut world = world(settings());
    let page = Page { key: "x".into(), kind: PageKind::Trigger, about: "Down".into(), body: Bytes::new() };
    world.outbox.refuse(&lane("a"), page, "too long");
    assert_eq!(world.later(HOUR), Vec::<String>::new());
    let told = Event::Refused { lane: lane("a"), key: "x".into(), about: "Down".into(), why: "too long".into() };
    assert_eq!(world.outbox.take_events(), [told]);
    assert_eq!((world.counts().put, world.counts().refused), (1, 1));
    assert!(world.outbox.complaints().any(|told| told == "r (a) was not told of Down: too long"));
    world.fires("y", "y1");
    world.sends();
    world.delivered("y1");
    assert_eq!(world.outbox.complaints().count(), 0);
}

#[test]
fn a_stuck_key_or_receiver_delays_no_other() {
    let mut world = world(Settings { concurrency: 2, ..settings() });
    for key in ["x", "y", "z"] {
        world.fires(key, key);
    }
    world.put_to("b", "x", PageKind::Trigger, "other").expect("room");
    assert_eq!(world.sends(), ["other", "x", "y"]);
    world.delivered("y");
    assert_eq!(world.sends(), ["z"]);
    assert_eq!(world.outbox.next_due(), None);
}

#[test]
fn what_waits_for_a_receiver_that_is_gone_waits_for_its_return() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.outbox.configure(world.settings, [(lane("b"), true)]);
    assert_eq!(world.later(HOUR / 2), Vec::<String>::new());
    world.outbox.configure(world.settings, [(lane("a"), true)]);
    assert_eq!(world.later(HOUR), ["x1"]);
    world.refused("x1");
    world.outbox.configure(world.settings, [(lane("b"), true)]);
    assert_eq!(world.later(HOUR), Vec::<String>::new());
    assert!(matches!(world.ended()[..], [Event::GivenUp { kind: PageKind::Trigger, .. }]));
}

/// Whatever happens, the records say the same as the state they are of.
#[test]
fn the_journal_says_what_is_so() {
    for seed in 0..200u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = world(Settings { concurrency: 3, ..settings() });
        for step in 0..60 {
            world.now += random.i64(0..20 * SECOND);
            let key = ["x", "y", "z"][random.usize(..3)];
            match random.u8(..6) {
                0 | 1 => world.fires(key, &step.to_string()),
                2 => world.ends(key, &step.to_string()),
                3 | 4 => drop(world.sends()),
                _ => {}
            }
            if !world.under_way.is_empty() && random.bool() {
                let at = random.usize(..world.under_way.len());
                let body = String::from_utf8_lossy(&world.under_way[at].page.body).into_owned();
                if random.bool() { world.delivered(&body) } else { world.refused(&body) }
            }
        }
        let shown = |records: &[Vec<u8>]| {
            let mut outbox = empty(world.settings);
            outbox.configure(world.settings, [(lane("a"), true)]);
            records.iter().for_each(|record| assert!(outbox.replay(record)));
            let mut state = outbox.state();
            state.sort();
            state
        };
        let state = world.outbox.state();
        assert_eq!(shown(&world.journal), shown(&state), "seed {seed}");
    }
}
