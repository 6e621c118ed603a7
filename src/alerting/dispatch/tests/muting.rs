//! What silences, inhibition and time intervals hold back, and what comes of it behind them.

use super::*;

#[test]
fn an_inhibited_alert_is_told_once_it_is_not() {
    let mut world = world(&[CHAT]);
    world.fires("x", "a");
    world.fires("x", "boss");
    world.now = SECOND;
    world.fires("y", "b");
    assert_eq!(world.until(MINUTE), ["30s chat First +boss -", "31s chat First +b -"]);
    world.ends("x", "boss");
    assert_eq!(world.until(6 * MINUTE), ["330s chat NewAlerts +a -boss"]);
    assert_eq!(world.dispatcher.counts().inhibited, 1);
}

#[test]
fn a_silenced_alert_is_told_once_it_is_not() {
    let mut world = world(&[CHAT]);
    world.silence("i=a", 4 * MINUTE);
    world.fires("x", "a");
    assert_eq!(world.until(5 * MINUTE), Vec::<String>::new());
    assert_eq!(world.until(6 * MINUTE), ["330s chat First +a -"]);
    world.silence("i=a", HOUR);
    world.ends("x", "a");
    assert_eq!(world.until(2 * HOUR), Vec::<String>::new());
}

#[test]
fn at_night_nobody_is_told() {
    let mut world = world(&[CHAT]);
    world.put(&[("g", "x"), ("i", "a"), ("night", "yes")], 0, i64::MAX);
    world.fires("x", "b");
    assert_eq!(world.until(HOUR), ["30s chat First +b -"]);
    let groups = world.dispatcher.groups(&world.silences, UnixMillis(world.now));
    assert_eq!(groups.iter().map(|group| group.muted_by.len()).sum::<usize>(), 1);
    world.ends("x", "b");
    assert_eq!(world.until(2 * HOUR + MINUTE), ["3630s chat AllResolved + -b", "7230s chat First +a -"]);
}

#[test]
fn what_a_receiver_keeps_open_is_closed_even_where_it_is_silenced() {
    let mut world = world(&[PAGER, CHAT]);
    for name in ["a", "b", "c"] {
        world.fires("x", name);
    }
    world.until(MINUTE);
    world.silence("i=~\"a|b\"", 2 * HOUR);
    world.fires("x", "d");
    assert_eq!(
        world.until(6 * MINUTE),
        ["pager acknowledge a", "pager acknowledge b", "330s pager NewAlerts +d -", "330s chat NewAlerts +c,d -"]
    );
    world.ends("x", "a");
    assert_eq!(world.until(11 * MINUTE), ["630s pager SomeResolved + -a"]);
    world.ends("x", "b");
    world.ends("x", "c");
    world.ends("x", "d");
    assert_eq!(world.until(16 * MINUTE), ["930s pager AllResolved + -b,c,d", "930s chat AllResolved + -c,d"]);
}

#[test]
fn a_silence_over_a_large_group_writes_one_record() {
    let mut world = world(&[PAGER]);
    for number in 0..100 {
        world.fires("x", &number.to_string());
    }
    world.until(MINUTE);
    let before = world.desk.records.len();
    world.silence("g=x", 2 * HOUR);
    assert_eq!(world.until(6 * MINUTE).len(), 100);
    assert_eq!(world.desk.records.len(), before + 1);
    world.restart(7 * MINUTE, &[PAGER], ROUTE);
    assert_eq!(world.until(12 * MINUTE), Vec::<String>::new(), "it knows them all");
}

#[test]
fn what_is_silenced_no_more_is_told_with_the_next_look() {
    let mut world = world(&[PAGER, CHAT]);
    for name in ["a", "b"] {
        world.fires("x", name);
    }
    world.until(MINUTE);
    world.silence("i=a", 2 * HOUR);
    assert_eq!(world.until(6 * MINUTE), ["pager acknowledge a"]);
    world.silences.expire("0", UnixMillis(world.now)).expect("there");
    // Somebody else is taken care of meanwhile, and stays so.
    world.silence("i=b", 2 * HOUR);
    assert_eq!(world.until(11 * MINUTE), ["pager acknowledge b", "630s pager Unsilenced +a -"]);
    assert_eq!(world.until(60 * MINUTE), Vec::<String>::new(), "once");
    world.restart(HOUR + MINUTE, &[PAGER, CHAT], ROUTE);
    world.fires("x", "a");
    assert_eq!(world.until(65 * MINUTE), Vec::<String>::new(), "over a restart too");
}
