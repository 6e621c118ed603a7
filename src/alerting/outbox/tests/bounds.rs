//! What pages may take, and what nothing is left of.

use super::*;

#[test]
fn there_is_a_limit_for_what_begins_and_none_for_what_ends() {
    let mut world = world(Settings { bytes: 1000, ..settings() });
    world.fires("x", &"x".repeat(600));
    assert_eq!(world.put_to("a", "y", PageKind::Trigger, &"y".repeat(600)), Err(Full));
    assert_eq!(world.put_to("a", "z", PageKind::Resolve, &"z".repeat(600)), Ok(()));
    assert_eq!(world.counts().full, 1);
}

#[test]
fn a_receiver_that_hangs_does_not_take_the_room_of_others() {
    let mut world = world(Settings { bytes: 60_000, ..settings() });
    let mut fill = |to: &str| {
        let fits = |at: &usize| world.put_to(to, &at.to_string(), PageKind::Trigger, &"x".repeat(700)).is_ok();
        (0..1000).take_while(fits).count()
    };
    // 60 pages in all, of which each of three has 10 of its own.
    let a = fill("a");
    assert!((36..=42).contains(&a), "{a}");
    let b = fill("b");
    assert!(b >= 10, "{b}");
    assert!(fill("quiet") >= 10);
    assert_eq!(fill("a"), 0);
    assert!(world.outbox.shared.bytes <= 60_000, "{}", world.outbox.shared.bytes);
    world.outbox.rename(&lane("b"), &lane("a"), UnixMillis(0));
    let by_lane: usize = world.outbox.lanes.values().map(Lane::bytes).sum();
    assert_eq!(by_lane, world.outbox.shared.bytes);
}

#[test]
fn nothing_is_remembered_of_whom_no_end_is_told() {
    let mut world = world(settings());
    world.put_to("quiet", "x", PageKind::Trigger, "x1").expect("room");
    world.sends();
    world.delivered("x1");
    assert_eq!(world.outbox.state().len(), 0);
    world.fires("x", "x2");
    world.sends();
    world.delivered("x2");
    assert_eq!(world.outbox.state().len(), 1, "something may be open");
}
