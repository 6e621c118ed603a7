//! A series is kept once, for as long as a list has it, and no longer.

use super::super::labels::LabelSet;
use super::super::metrics::MetricKind;
use super::*;

fn set(name: &str, instance: &str) -> LabelSet {
    [("__name__", name), ("instance", instance)].into_iter().collect()
}

#[test]
fn a_series_is_kept_once_and_freed_with_its_last_list() {
    let table = SeriesTable::new(10);
    let mut builder = ListBuilder::default();
    builder.labels(&set("up", "a"), FamilyId::default());
    builder.labels(&set("up", "b"), FamilyId::default());
    let first = table.list(&builder).list;
    builder.clear();
    builder.known(first.refs()[1]);
    builder.labels(&set("up", "a"), FamilyId::default());
    builder.labels(&set("up", "c"), FamilyId::default());
    let second = table.list(&builder).list;
    assert_eq!(second.refs()[..2], [first.refs()[1], first.refs()[0]]);
    assert_eq!(table.read().len(), 3);
    let gone = second.refs()[2];
    drop(second);
    assert_eq!(table.read().len(), 2);
    assert!(!table.read().is_current(gone));
    builder.clear();
    builder.labels(&set("up", "d"), FamilyId::default());
    let third = table.list(&builder).list;
    assert_eq!(third.refs()[0].slot, gone.slot, "the slot is used again");
    assert_ne!(third.refs()[0].epoch, gone.epoch, "under a new epoch");
    assert_eq!(table.read().labels(gone).iter().count(), 0, "a stale reference names nothing");
    drop((first, third));
    assert_eq!((table.read().len(), table.read().0.label_bytes), (0, 0));
}

#[test]
fn a_full_table_refuses_what_is_new_and_a_repetition_is_told() {
    let table = SeriesTable::new(1);
    let mut builder = ListBuilder::default();
    for instance in ["a", "b", "a"] {
        builder.labels(&set("up", instance), FamilyId::default());
    }
    let resolved = table.list(&builder);
    assert_eq!((resolved.list.len(), &resolved.refused[..], &resolved.repeated[..]), (1, &[1][..], &[2][..]));
    let repeated = table.list_with_repeats(&builder);
    assert_eq!(repeated.list.len(), 2);
    assert_eq!(table.refused(), 2);
    drop((resolved, repeated));
    assert!(table.read().is_empty());
}

#[test]
fn a_list_may_be_dropped_by_whoever_looks_at_the_table() {
    let table = SeriesTable::new(10);
    let mut builder = ListBuilder::default();
    builder.labels(&set("up", "a"), FamilyId::default());
    let list = table.list(&builder).list;
    let look = table.read();
    drop(list);
    assert_eq!(look.len(), 1, "what is looked at stays");
    drop(look);
    assert!(table.read().is_empty());
}

#[test]
fn metadata_is_shared_and_can_change() {
    let table = SeriesTable::new(10);
    let family = Family { name: "up".into(), kind: MetricKind::Gauge, help: "h".into(), unit: "".into() };
    let id = table.family(&family);
    assert_eq!(table.family(&family), id);
    let mut builder = ListBuilder::default();
    builder.labels(&set("up", "a"), FamilyId::default());
    let list = table.list(&builder).list;
    builder.clear();
    builder.known_as(list.refs()[0], id);
    let _next = table.list(&builder).list;
    assert_eq!(*table.read().family(list.refs()[0]), family);
}

#[test]
fn metadata_counts_and_is_bounded() {
    let table = SeriesTable::new(10);
    let family = |name: &str, help: String| Family {
        name: name.into(),
        kind: MetricKind::Gauge,
        help: help.into(),
        unit: "".into(),
    };
    let before = table.read().bytes();
    // Cut where a character begins.
    let id = table.family(&family("long", "é".repeat(3000) + "!"));
    assert_eq!(table.family(&family("long", "é".repeat(9000))), id, "the beginning is the same");
    assert_eq!(&*table.read().family_of(id).help, "é".repeat(2048));
    assert!(table.read().bytes() >= before + 4096, "{}", table.read().bytes());
    for number in 0..10_000 {
        table.family(&family(&number.to_string(), "x".repeat(4096)));
    }
    assert!(table.read().bytes() < before + (17 << 20), "{}", table.read().bytes());
    assert_eq!(table.family(&family("new", "x".repeat(4096))), FamilyId::default(), "what comes on top is unknown");
    assert_eq!(table.family(&family("long", "é".repeat(3000))), id, "what is known stays");
}

#[test]
fn what_was_stored_tells_of_a_metric_only_where_nothing_is_known() {
    let table = SeriesTable::new(1);
    let id = |help: &str| {
        table.family(&Family { name: "up".into(), kind: MetricKind::Gauge, help: help.into(), unit: "".into() })
    };
    let (old, new) = (id("old"), id("new"));
    let builder = |family| {
        let mut builder = ListBuilder::default();
        builder.labels(&set("up", "a"), family);
        builder
    };
    let unknown = table.list(&builder(FamilyId::default())).list;
    let family = |list: &SeriesList| table.read().family_id(list.refs()[0]);
    assert_eq!(family(&table.resolve_stored(&builder(old)).list), old);
    assert_eq!(family(&table.list(&builder(new)).list), new);
    assert_eq!(family(&table.resolve_stored(&builder(old)).list), new);
    assert_eq!(family(&unknown), new);
}
