//! What a restart and a reload leave as it was, and what is told because of them.

use super::*;

#[test]
fn a_restart_neither_repeats_nor_forgets() {
    for later in [2 * MINUTE, 50 * MINUTE] {
        let mut world = world(&[PAGER]);
        world.fires("x", "a");
        world.fires("y", "b");
        world.until(MINUTE);
        world.restart(later, &[PAGER], ROUTE);
        // The one is spoken of, the other never again.
        world.put(&[("g", "x"), ("i", "a")], 0, i64::MAX);
        let told = world.until(HOUR);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].ends_with("pager AllResolved + -b"), "{told:?}");
        assert_eq!(world.until(2 * HOUR), ["3930s pager Repeat +a -"]);
    }
}

#[test]
fn what_is_only_remembered_is_told_to_nobody_as_firing() {
    let mut world = world(&[PAGER]);
    world.fires("x", "a");
    world.fires("x", "b");
    world.until(MINUTE);
    world.restart(50 * MINUTE, &[PAGER], ROUTE);
    world.fires("x", "c");
    world.put(&[("g", "x"), ("i", "b")], 0, i64::MAX);
    assert_eq!(world.until(51 * MINUTE), ["3030s pager NewAlerts +c -"]);
    assert_eq!(world.until(HOUR), ["3330s pager SomeResolved + -a"]);
}

#[test]
fn what_others_posted_goes_on_after_a_restart_as_it_was_said() {
    let mut world = world(&[PAGER]);
    // Two with an end, and one that ends because nobody speaks of it again.
    for (name, ends, ends_by_timeout) in [("said", 2, false), ("long", 90, false), ("timeout", 5, true)] {
        let labels = [("g", "x"), ("i", name)];
        let kept = Kept::new(alert(&labels, 0, ends * MINUTE), ends_by_timeout, UnixMillis(0)).posted();
        world.dispatcher.put([kept], UnixMillis(0));
    }
    world.dispatcher.tick(UnixMillis(0), &world.silences, &mut world.desk);
    world.restart(HOUR, &[PAGER], ROUTE);
    assert_eq!(world.until(61 * MINUTE), ["3600s pager First +long,timeout -said"]);
    assert_eq!(world.until(70 * MINUTE), ["3900s pager SomeResolved + -timeout"]);
    world.restart(71 * MINUTE, &[PAGER], ROUTE);
    assert_eq!(world.until(80 * MINUTE), Vec::<String>::new(), "nothing is told twice");
    assert_eq!(world.until(96 * MINUTE), ["5400s pager AllResolved + -long"]);

    let mut world = self::world(&[PAGER]);
    let kept = Kept::new(alert(&[("g", "y"), ("i", "over")], 0, MINUTE), true, UnixMillis(0)).posted();
    world.dispatcher.put([kept], UnixMillis(0));
    assert_eq!(world.until(330 * SECOND), ["30s pager First +over -", "330s pager AllResolved + -over"]);
    world.restart(331 * SECOND, &[PAGER], ROUTE);
    assert_eq!(world.until(HOUR), Vec::<String>::new(), "what was told to be over does not fire again");
}

#[test]
fn an_end_that_came_while_nobody_looked_is_told() {
    let mut world = world(&[CHAT]);
    world.fires("x", "a");
    world.until(MINUTE);
    world.restart(3 * MINUTE, &[CHAT], ROUTE);
    world.ends("x", "a");
    assert_eq!(world.until(6 * MINUTE), ["330s chat AllResolved + -a"]);
}

#[test]
fn the_state_is_as_good_as_the_records() {
    let mut world = world(&[PAGER, CHAT]);
    world.fires("x", "a");
    world.fires("x", "b");
    world.until(MINUTE);
    world.ends("x", "b");
    world.until(6 * MINUTE);
    let by_records = world.desk.records.clone();
    let by_state = world.dispatcher.state();
    assert!(by_state.len() < by_records.len());
    let mut lives = [by_records, by_state].map(|records| {
        world.desk.records = records;
        world.restart(7 * MINUTE, &[PAGER, CHAT], ROUTE);
        let mut state = world.dispatcher.state();
        state.sort();
        (state, world.until(HOUR))
    });
    let [(state, told), (other_state, other_told)] = &mut lives;
    assert_eq!((&*told, state.len()), (&*other_told, other_state.len()));
    assert_eq!(*told, ["930s pager AllResolved + -a", "930s chat AllResolved + -a"]);
}

#[test]
fn what_was_never_heard_is_told_once_more() {
    let mut world = world(&[PAGER]);
    world.fires("x", "a");
    world.until(MINUTE);
    let key = "{}:{g=\"x\"}";
    assert!(world.dispatcher.retract(key, "r", "pager").is_some());
    assert!(world.dispatcher.retract(key, "r", "pager").is_none(), "once");
    assert_eq!(world.until(6 * MINUTE), ["330s pager First +a -"]);
    assert!(world.dispatcher.retract(key, "r", "pager").is_some());
    world.ends("x", "a");
    assert_eq!(world.until(11 * MINUTE), ["630s pager AllResolved + -a"], "it may be open all the same");
}

#[test]
fn a_reload_keeps_the_pace_and_closes_what_it_takes_away() {
    let mut world = world(&[PAGER]);
    world.fires("x", "a");
    world.until(MINUTE);
    world.dispatcher.reload(routing(ROUTE), integrations(&[PAGER]), UnixMillis(world.now));
    assert_eq!(world.until(4 * MINUTE), Vec::<String>::new());
    world.fires("x", "b");
    assert_eq!(world.until(6 * MINUTE), ["330s pager NewAlerts +b -"]);
    let elsewhere = routing(r#"{ "route": { "receiver": "s" } }"#);
    world.dispatcher.reload(elsewhere, integrations(&[PAGER]), UnixMillis(world.now));
    assert_eq!(world.until(5 * HOUR), Vec::<String>::new());
    world.ends("x", "a");
    assert_eq!(world.until(5 * HOUR + 6 * MINUTE), ["18060s pager AllResolved + -a"]);
}

#[test]
fn who_must_hear_again_hears_again_in_time() {
    let mut world = world(&[("next", true, false), CHAT]);
    world.fires("x", "a");
    world.until(MINUTE);
    world.fires("x", "b");
    assert_eq!(world.until(2 * MINUTE + 30 * SECOND), ["120s next Repeat +a -"]);
    world.restart(2 * MINUTE + 30 * SECOND, &[("next", true, false)], ROUTE);
    world.put(&[("g", "x"), ("i", "a")], 0, i64::MAX);
    assert_eq!(world.until(6 * MINUTE), ["210s next Repeat +a -", "270s next Repeat +a -", "330s next Repeat +a -"]);
    world.ends("x", "a");
    assert_eq!(world.until(HOUR), ["630s next AllResolved + -a"]);
}

#[test]
fn a_reload_in_between_delays_nobody_who_must_hear_again() {
    let mut world = world(&[("next", true, false)]);
    world.fires("x", "a");
    world.until(MINUTE);
    let mut said = Vec::new();
    for half_minute in 3..=8 {
        world.dispatcher.reload(routing(ROUTE), integrations(&[("next", true, false)]), UnixMillis(world.now));
        said.extend(world.until(half_minute * 30 * SECOND));
    }
    assert_eq!(said, ["120s next Repeat +a -", "180s next Repeat +a -", "240s next Repeat +a -"]);
}
