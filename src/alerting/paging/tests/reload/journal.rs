//! Journals of before, which named integrations by their places.

use super::*;
use crate::alerting::outbox::LaneName;
use crate::alerting::record::Writer;

/// Names a lane as journals of before did.
fn by_place(place: u8) -> LaneName {
    LaneName { receiver: "r".into(), integration: format!("pagerduty/{place}").into() }
}

#[test]
fn a_journal_that_names_integrations_by_place_is_read_where_that_is_clear() {
    for (keys, places, ends) in [(&["a"][..], 1, 1), (&["a", "b"], 1, 0), (&["a"], 2, 0)] {
        let mut world = World::new("r", &[]);
        let records = (0..places).map(|place| {
            // A trigger that was attempted, as the version before kept it: nothing behind the ids.
            let (lane, at) = (by_place(place), UnixMillis(world.now));
            let id = u64::from(place) + 1;
            let page = Writer::new(17).text(&lane.receiver).text(&lane.integration).number(id).number(id).text("0");
            let page = page.number(2).number(0).text("group").time(at).bytes(b"page").number(0).finish();
            [page, Writer::new(18).number(id).time(at).finish()]
        });
        let records = records.flatten().collect();
        world.keeper.keep(Work::Records { records, is_durable: true }).expect("a disk");
        world.restart("r", keys);
        let target = Target::of("pagerduty", ["a"]).to_string();
        world.triggered.insert((target.clone(), "0".into()));
        world.open.entry(target).or_default().insert("0".into());
        world.send(&mut || false);
        assert_eq!(world.resolves, ends, "{keys:?} and {places} of before");
        assert_eq!(world.left_open().is_empty(), ends == 1);
    }
}
