//! For how long pages are tried, and how far from each other, also over a crash.

use super::*;

#[test]
fn a_receiver_that_asks_for_time_gets_it() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.sends();
    world.answer("x1", Err(Refusal::ForNow { why: "429".into(), after: Some(Duration::from_secs(120)) }));
    assert_eq!(world.later(119 * SECOND), Vec::<String>::new());
    assert_eq!(world.outbox.next_due().map(|due| due.0 > 120 * SECOND), Some(true));
    assert_eq!(world.later(3 * SECOND), ["x1"]);
}

#[test]
fn what_waits_for_another_key_is_tried_soon_after_it_may_be_there() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.sends();
    for _ in 0..100 {
        world.answer("x1", Err(Refusal::OfKey("no such key".into())));
        assert_eq!(world.later(5 * SECOND), ["x1"], "however long it waits already");
    }
    let events = world.outbox.take_events();
    assert!(matches!(&events[..], [Event::Waits { why, .. }] if why == "no such key"), "told once: {events:?}");
    world.delivered("x1");
    assert!(matches!(world.outbox.take_events()[..], [Event::Arrives { .. }]));
}

#[test]
fn triggers_of_one_key_keep_their_distance_and_resolves_do_not() {
    let mut world = world(Settings { key_interval: Duration::from_secs(60), ..settings() });
    world.fires("x", "x1");
    assert_eq!(world.sends(), ["x1"]);
    world.delivered("x1");
    world.ends("x", "x2");
    assert_eq!(world.later(SECOND), ["x2"]);
    world.delivered("x2");
    world.fires("x", "x3");
    assert_eq!(world.later(SECOND), Vec::<String>::new());
    world.fires("x", "x4");
    assert_eq!(world.later(58 * SECOND), ["x4"]);
    world.delivered("x4");
    world.fires("x", "x5");
    world.ends("x", "x6");
    assert_eq!(world.later(SECOND), ["x6"]);
    world.delivered("x6");
    assert_eq!(world.later(HOUR), Vec::<String>::new());
    assert_eq!(world.outbox.state().len(), 0, "nothing is left of it");
}

#[test]
fn after_a_crash_a_trigger_is_sent_again_only_for_a_while() {
    for (away, again) in [(HOUR - 1, true), (HOUR, false)] {
        let mut world = world(settings());
        world.fires("x", "x1");
        world.sends();
        world.restart(away);
        assert_eq!(world.sends(), if again { vec!["x1"] } else { Vec::new() });
        let given_up = world.outbox.take_events();
        assert_eq!(given_up.is_empty(), again);
        if !again {
            let origin: Arc<str> = "group of x".into();
            let told = Event::GivenUp {
                lane: lane("a"),
                key: "x".into(),
                about: "Down".into(),
                kind: PageKind::Trigger,
                origin,
            };
            assert_eq!(given_up, [told]);
            // It may have arrived, so its end is told.
            world.restart(1);
            world.fires("x", "x2");
            world.ends("x", "x3");
            assert_eq!(world.sends(), ["x3"]);
        }
    }
}

#[test]
fn what_a_crash_left_unanswered_is_not_tried_for_longer_in_the_next_life() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.sends();
    world.restart(HOUR - 10 * SECOND);
    assert_eq!(world.sends(), ["x1"]);
    world.answer("x1", Err(Refusal::ForNow { why: "429".into(), after: Some(Duration::from_secs(20)) }));
    assert_eq!(world.later(HOUR), Vec::<String>::new());
    assert!(matches!(world.ended()[..], [Event::GivenUp { kind: PageKind::Trigger, .. }]));
}

#[test]
fn once_a_resolve_is_kept_no_trigger_before_it_is_sent() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.sends();
    world.ends("x", "x2");
    world.restart(SECOND);
    assert_eq!(world.sends(), ["x2"]);
    world.restart(20 * HOUR);
    assert_eq!(world.sends(), ["x2"], "it may not have arrived");
    world.delivered("x2");
    world.restart(SECOND);
    assert_eq!(world.later(HOUR), Vec::<String>::new());
}

#[test]
fn a_resolve_is_tried_long_and_not_for_ever() {
    let mut world = world(settings());
    world.fires("x", "x1");
    world.sends();
    world.delivered("x1");
    world.ends("x", "x2");
    while world.now < 24 * HOUR {
        if !world.sends().is_empty() {
            world.refused("x2");
        }
        world.now = world.outbox.next_due().map_or(25 * HOUR, |due| due.0);
    }
    assert_eq!(world.sends(), Vec::<String>::new());
    assert!(matches!(world.ended()[..], [Event::GivenUp { kind: PageKind::Resolve, .. }]));
}

#[test]
fn a_trigger_is_tried_as_long_as_it_is_so() {
    let mut world = world(settings());
    world.fires("x", "x1");
    while world.now < 48 * HOUR {
        assert_eq!(world.sends(), ["x1"]);
        world.refused("x1");
        world.now = world.outbox.next_due().expect("due").0;
    }
    assert_eq!(world.ended(), []);
}
