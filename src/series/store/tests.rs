//! What the store keeps, and what it does at its bounds.

mod model;

use std::collections::BTreeMap;

use regex::Regex;

use super::*;
use crate::data::labels::{LabelSet, Labels};
use crate::data::metrics::{Exemplar, Family, MetricKind, STALE};
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList};
use crate::data::{MetricBuilder, Resource};
use crate::options::{ByteSize, Duration as Span};
use crate::series::chunk::Chunk;
use crate::series::select::{Columns, Listing, MatchOp, Queryable, Samples, Select};
use crate::series::{Refusal, Taken};

pub fn equal(name: &str, value: &str) -> Matcher {
    Matcher { name: name.into(), op: MatchOp::Equal, value: value.into() }
}

pub fn like(name: &str, pattern: &str) -> Matcher {
    let regex = Regex::new(&format!("^(?s:{pattern})$")).expect("a pattern");
    Matcher { name: name.into(), op: MatchOp::Matches(regex), value: pattern.into() }
}

fn options(window: u64) -> StoreOptions {
    StoreOptions { out_of_order_window: Span(Duration::from_secs(window)), ..StoreOptions::default() }
}

/// A store that keeps everything for an hour.
fn store(options: &StoreOptions, table: &Arc<SeriesTable>) -> Store {
    let store = Store::new(options, table.clone()).expect("a store");
    store.set_selection(&[Vec::new()], Duration::from_secs(3600));
    store
}

fn labels(number: usize) -> LabelSet {
    let (name, instance) = (format!("metric_{}", number % 7), format!("node-{number}"));
    [("__name__", &*name), ("instance", &*instance), ("job", "node")].into_iter().collect()
}

pub fn list(table: &Arc<SeriesTable>, series: impl IntoIterator<Item = usize>) -> Arc<SeriesList> {
    let mut builder = ListBuilder::default();
    series.into_iter().for_each(|number| builder.labels(&labels(number), FamilyId::default()));
    table.list(&builder).list
}

pub fn batch(list: &Arc<SeriesList>, time: i64, values: impl IntoIterator<Item = f64>) -> MetricBatch {
    let mut builder = MetricBuilder::new();
    builder.samples().time = UnixMillis(time);
    builder.samples().values.extend(values);
    builder.build(Arc::new(Resource::default()), list.clone())
}

type Everything = BTreeMap<String, BTreeMap<i64, u64>>;

pub fn everything(store: &Store) -> Everything {
    read(store, &[], i64::MIN, i64::MAX)
}

fn read(store: &Store, matchers: &[Matcher], after: i64, until: i64) -> Everything {
    let mut all = Everything::new();
    store
        .select(Select { matchers, after, until }, &mut |labels, columns: &Columns| {
            assert!(columns.times.is_sorted_by(|a, b| a < b), "{:?}", columns.times);
            let samples = columns.times.iter().copied().zip(columns.values.iter().map(|value| value.to_bits()));
            assert!(all.insert(labels.to_string(), samples.collect()).is_none());
            Ok(())
        })
        .expect("the store has its samples");
    all
}

#[test]
fn only_what_somebody_reads_is_kept_and_what_nobody_reads_any_more_goes() {
    let table = SeriesTable::new(1000);
    let store = Store::new(&StoreOptions::default(), table.clone()).expect("a store");
    let all = list(&table, 0..70);
    let scrape = |time| store.append(&batch(&all, time, (0..70).map(f64::from)), UnixMillis(time));
    assert_eq!((scrape(1).kept, store.series_count()), (0, 0), "nothing is selected yet");
    store
        .set_selection(&[vec![equal("__name__", "metric_3")], vec![like("instance", "node-1|node-2")]], Duration::ZERO);
    let taken = scrape(2);
    assert_eq!((taken.kept, taken.unselected), (12, 58));
    store.set_selection(&[vec![like("instance", "node-(2|4)"), equal("job", "node")]], Duration::from_secs(60));
    assert_eq!(store.series_count(), 1);
    assert_eq!(scrape(3).kept, 2);
    let kept: Vec<_> = everything(&store).into_values().map(|samples| samples.len()).collect();
    assert_eq!(kept, [2, 1], "node-2 was selected all the time");
}

#[test]
fn results_of_rules_are_kept_without_a_selector_until_they_are_old() {
    let table = SeriesTable::new(10);
    let store = Store::new(&StoreOptions::default(), table).expect("a store");
    store.set_selection(&[], Duration::from_secs(60));
    let alerts: LabelSet = [("__name__", "ALERTS"), ("alertname", "Down")].into_iter().collect();
    let mut encoded = Vec::new();
    alerts.encode(&mut encoded);
    let labels = Labels::of_encoded(&encoded);
    let result = |time| store.append_results([(labels, UnixMillis(time), SampleValue::Float(1.0))], UnixMillis(time));
    assert_eq!((result(1000).kept, result(1000).known, result(2000).kept), (1, 1, 1));
    store.set_selection(&[], Duration::from_secs(60));
    assert_eq!(read(&store, &[equal("__name__", "ALERTS")], 0, 5000).len(), 1);
    store.maintain(UnixMillis(62_001));
    assert_eq!(store.series_count(), 0);
}

#[test]
fn what_is_said_of_refused_results_leaves_out_markers() {
    let store = Store::new(&StoreOptions::default(), SeriesTable::new(10)).expect("a store");
    let encoded = ["pending", "firing"].map(|state| {
        let mut encoded = Vec::new();
        [("__name__", "ALERTS"), ("alertstate", state)].into_iter().collect::<LabelSet>().encode(&mut encoded);
        encoded
    });
    let append = |time, values: [f64; 2]| {
        let all = encoded.iter().zip(values);
        let results =
            all.map(|(labels, value)| (Labels::of_encoded(labels), UnixMillis(time), SampleValue::Float(value)));
        store.append_results(results, UnixMillis(time))
    };
    assert_eq!(append(1000, [1.0, 1.0]).kept, 2);
    assert_eq!(append(2000, [STALE, 1.0]).kept, 2);
    let again = append(1000, [STALE, 2.0]);
    assert_eq!(again.refused, [(Refusal::OutOfOrder, 1)], "of the one that fires");
    assert_eq!(store.counters().refused(Refusal::OutOfOrder), 2);
}

#[test]
fn the_limit_of_bytes_holds_and_history_is_not_driven_out_by_new_series() {
    let table = SeriesTable::new(100_000);
    let most = 4 << 20;
    let store = store(&StoreOptions { max_bytes: ByteSize(most), ..StoreOptions::default() }, &table);
    let old = list(&table, 0..1000);
    let mut random = fastrand::Rng::with_seed(1);
    let mut at = 0;
    let mut kept = 0;
    for _ in 0..1500 {
        at += 1000;
        kept += store.append(&batch(&old, at, (0..1000).map(|_| random.f64())), UnixMillis(at)).kept;
        assert!(store.bytes() as u64 <= most, "{}", store.bytes());
    }
    assert_eq!(kept, 1_500_000, "the oldest go, the newest are kept");
    store.maintain(UnixMillis(at));
    assert!(store.counters().evicted.get() > 1000);
    let newest = read(&store, &[], at - 100_000, at);
    assert!(newest.len() == 1000 && newest.values().all(|samples| samples.len() == 100));
    // Then the number of series explodes.
    let many = list(&table, 0..50_000);
    let mut refused = 0;
    for _ in 0..20 {
        at += 1000;
        refused =
            refused.max(store.append(&batch(&many, at, (0..50_000).map(f64::from)), UnixMillis(at)).refused_series);
        assert!(store.bytes() as u64 <= most, "{}", store.bytes());
    }
    assert!(refused > 40_000, "{refused}");
    let still = read(&store, &[like("instance", "node-[0-9]{1,3}")], at - 100_000, at);
    assert!(still.values().all(|samples| samples.len() == 100), "those of before are all there");
    store.maintain(UnixMillis(at));
    assert_eq!(store.counters().refused_series.get(), refused);
}

#[test]
fn what_makes_room_is_the_oldest_and_not_much_more_also_where_one_chunk_is_far_older() {
    let table = SeriesTable::new(1000);
    let most = 4 << 20;
    let store = store(&StoreOptions { max_bytes: ByteSize(most), ..StoreOptions::default() }, &table);
    let (old, one) = (list(&table, 0..100), list(&table, 100..101));
    let mut random = fastrand::Rng::with_seed(1);
    (1..1000).for_each(|at| drop(store.append(&batch(&one, at, [random.f64()]), UnixMillis(at))));
    let begun = 1_800_000_000_000;
    let mut at = begun;
    while store.bytes() < most as usize - 200_000 {
        at += 1000;
        store.append(&batch(&old, at, (0..100).map(|_| random.f64())), UnixMillis(at));
    }
    let mut inner = store.write();
    let oldest = |inner: &Inner| {
        let chunks = inner.places.iter().filter_map(|(_, series)| series.chunks.first());
        chunks.map(|chunk| chunk.outline.last()).min().expect("a chunk")
    };
    assert!(oldest(&inner) < begun);
    let needed = 300_000;
    assert!(inner.evict(needed));
    let free = most as usize - inner.used();
    let wished = most as usize / 16 + needed;
    assert!((wished..wished + most as usize / 32).contains(&free), "{free} {wished}");
    assert!(oldest(&inner) > begun);
    let gone = oldest(&inner);
    let is_older = |chunk: &Chunk| chunk.outline.last() < gone;
    assert!(inner.places.iter().all(|(_, series)| !series.chunks.iter().any(is_older)));
    assert!(!inner.evict(most as usize), "there is not so much");
    assert_eq!(inner.chunks, 0);
    assert_eq!(inner.counted(), inner.used());
}

#[test]
fn a_clock_that_was_set_back_goes_on() {
    let table = SeriesTable::new(10);
    let store = store(&options(0), &table);
    let list = list(&table, 0..1);
    let hour = 3_600_000;
    for minute in 0..120 {
        let time = hour + minute * 60_000;
        assert_eq!(store.append(&batch(&list, time, [minute as f64]), UnixMillis(time)).kept, 1);
    }
    // An hour back, and not on the same second.
    let time = 2 * hour - 30_000;
    assert_eq!(store.append(&batch(&list, time, [7.5]), UnixMillis(time)).kept, 1);
    let kept = everything(&store).into_values().next().expect("a series");
    assert_eq!((kept.len(), kept.keys().next_back()), (61, Some(&time)));
    let ahead = time + 601_000;
    let refused = store.append(&batch(&list, ahead, [1.0]), UnixMillis(time)).refused;
    assert_eq!(refused, [(Refusal::Ahead, 1)]);
    assert_eq!(store.counters().refused(Refusal::Ahead), 1);
}

#[test]
fn a_clock_that_was_set_back_takes_the_starts_of_counters_with_it() {
    let table = SeriesTable::new(10);
    let store = store(&options(0), &table);
    let list = list(&table, 0..1);
    let hour = 3_600_000;
    let scrape = |time: i64, start: i64| {
        let mut builder = MetricBuilder::new();
        let samples = builder.samples();
        samples.time = UnixMillis(time);
        samples.values.push(1.0);
        samples.created.push((0, UnixMillis(start)));
        store.append(&builder.build(Arc::default(), list.clone()), UnixMillis(time)).kept
    };
    assert_eq!([scrape(hour, 5), scrape(2 * hour, 6), scrape(hour + 1000, 7), scrape(hour + 2000, 8)], [1; 4]);
    let mut starts = Vec::new();
    store
        .select(Select { matchers: &[], after: 0, until: i64::MAX }, &mut |_, columns| {
            starts.extend_from_slice(&columns.starts);
            Ok(())
        })
        .expect("samples");
    assert_eq!(starts, [5, 7, 8]);
    let used = store.bytes();
    assert_eq!(used, store.write().counted());
}

#[test]
fn starts_exemplars_and_staleness_are_there() {
    let table = SeriesTable::new(10);
    let store = store(&options(0), &table);
    let list = list(&table, 0..2);
    let scrape = |time: i64, value: f64, start: Option<i64>, exemplar: f64| {
        let mut builder = MetricBuilder::new();
        let samples = builder.samples();
        samples.time = UnixMillis(time);
        samples.values.extend([1.0, value]);
        samples.created.extend(start.map(|start| (1, UnixMillis(start))));
        let mut text = Vec::new();
        [("trace_id", "abc")].into_iter().collect::<LabelSet>().encode(&mut text);
        samples.exemplars.push(Exemplar {
            sample: 1,
            labels: 0..text.len() as u32,
            line: 0..0,
            value: exemplar,
            time: None,
        });
        samples.text = text;
        store.append(&builder.build(Arc::default(), list.clone()), UnixMillis(time));
    };
    scrape(10, 1.0, Some(5), 0.1);
    scrape(20, 2.0, Some(5), 0.1);
    scrape(30, 1.0, Some(25), 0.2);
    scrape(40, STALE, None, 0.2);
    let mut seen = Vec::new();
    store
        .select(Select { matchers: &[], after: 10, until: 40 }, &mut |_, columns| {
            seen.push(columns.clone());
            Ok(())
        })
        .expect("samples");
    assert_eq!((seen[1].starts.as_slice(), seen[0].starts.len()), ([5, 25, 0].as_slice(), 0));
    assert!(crate::data::metrics::is_stale(seen[1].values[2]));
    // Also of what lies between them.
    let starts = |after, until| {
        let mut starts = Vec::new();
        let mut visit = |_: Labels<'_>, columns: &Columns| {
            starts.extend_from_slice(&columns.starts);
            Ok(())
        };
        store.select(Select { matchers: &[], after, until }, &mut visit).expect("samples");
        starts
    };
    assert_eq!((starts(0, 20), starts(19, 30), starts(30, 40)), (vec![5, 5], vec![5, 25], vec![0]));
    let which = Listing { selectors: &[], from: 0, until: 100, limit: 10 };
    let found = store.exemplars(which).expect("exemplars");
    let values: Vec<_> = found.items[0].exemplars.iter().map(|exemplar| (exemplar.time, exemplar.value)).collect();
    assert_eq!((found.items.len(), values), (1, vec![(10, 0.1), (20, 0.1), (30, 0.2), (40, 0.2)]));
    assert_eq!(found.items[0].exemplars[0].labels.get("trace_id"), "abc");
    // What is too much is the oldest.
    let last = store.exemplars(Listing { limit: 1, ..which }).expect("exemplars");
    assert!(last.more);
    assert_eq!(last.items[0].exemplars.iter().map(|exemplar| exemplar.time).collect::<Vec<_>>(), [40]);
    let of = |wanted: bool| store.latest_exemplars(Listing { limit: 1, ..which }, &|_| wanted).expect("exemplars");
    assert_eq!((of(true).items.len(), of(false).items.len(), of(false).more), (1, 0, false));
}

#[test]
fn listings_name_what_has_samples_in_their_span() {
    let table = SeriesTable::new(100);
    let store = store(&options(0), &table);
    let family = Family { name: "m".into(), kind: MetricKind::Counter, help: "Some.".into(), unit: "".into() };
    let id = table.family(&family);
    let mut builder = ListBuilder::default();
    builder.labels(&[("__name__", "m"), ("a", "2")].into_iter().collect(), id);
    builder.labels(&[("__name__", "m"), ("a", "1"), ("b", "x")].into_iter().collect(), id);
    let early = table.list(&builder).list;
    let late = list(&table, 0..3);
    store.append(&batch(&early, 1000, [1.0, 2.0]), UnixMillis(1000));
    store.append(&batch(&late, 9000, [1.0, 2.0, 3.0]), UnixMillis(9000));
    let which = Listing { selectors: &[], from: 0, until: 5000, limit: 10 };
    let shown =
        |listed: crate::series::Listed<LabelSet>| listed.items.iter().map(|set| format!("{set:?}")).collect::<Vec<_>>();
    let expected = [r#"{"__name__": "m", "a": "1", "b": "x"}"#, r#"{"__name__": "m", "a": "2"}"#];
    assert_eq!(shown(store.series(which).expect("series")), expected);
    let first = store.series(Listing { limit: 1, ..which }).expect("series");
    assert!(first.more && first.items.len() == 1);
    let names = |which| store.label_names(which).expect("names").items.join(",");
    assert_eq!(names(which), "__name__,a,b");
    assert_eq!(names(Listing { until: 9000, ..which }), "__name__,a,b,instance,job");
    let values = |name, which| store.label_values(name, which).expect("values").items.join(",");
    assert_eq!((values("a", which), values("job", which)), ("1,2".to_owned(), String::new()));
    let selectors = [vec![equal("b", "")], vec![equal("b", "x")]];
    let both = Listing { selectors: &selectors, until: 9000, ..which };
    assert_eq!((values("a", both), store.series(both).expect("series").items.len()), ("1,2".to_owned(), 5));
    assert_eq!(values("a", Listing { selectors: &selectors[1..], ..which }), "1");
    assert_eq!(store.metadata(None).expect("metadata"), [family]);
    assert_eq!(store.metadata(Some("other")).expect("metadata"), []);
}

/// A reader sees whole scrapes, whoever writes meanwhile.
#[test]
fn a_reader_sees_all_of_a_scrape_or_nothing() {
    let table = SeriesTable::new(1000);
    let store = store(&options(0), &table);
    let list = list(&table, 0..200);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (1..400).for_each(|at| {
                drop(store.append(&batch(&list, at * 1000, (0..200).map(|_| at as f64)), UnixMillis(at * 1000)))
            })
        });
        for _ in 0..50 {
            let seen = everything(&store);
            let lengths: std::collections::BTreeSet<_> = seen.values().map(BTreeMap::len).collect();
            assert!(lengths.len() <= 1 && (seen.is_empty() || seen.len() == 200), "{lengths:?}");
        }
    });
}

#[test]
fn lists_that_come_once_take_no_room_from_samples() {
    let table = SeriesTable::new(1000);
    let store = store(&StoreOptions { max_bytes: ByteSize(4 << 20), ..StoreOptions::default() }, &table);
    let (mut at, mut kept) = (0, 0);
    for _ in 0..2000 {
        at += 1000;
        // Whoever pushes brings a list of its own with every request.
        let pushed = list(&table, 0..500);
        kept += store.append(&batch(&pushed, at, (0..500).map(f64::from)), UnixMillis(at)).kept;
    }
    store.maintain(UnixMillis(at));
    assert_eq!((kept, store.counters().evicted.get()), (1_000_000, 0));
    assert_eq!(store.trouble(), None);
}

#[test]
fn a_result_that_finds_no_room_is_told_once() {
    let table = SeriesTable::new(100_000);
    let store = store(&StoreOptions { max_bytes: ByteSize(1 << 20), ..StoreOptions::default() }, &table);
    let many = list(&table, 0..20_000);
    let of_batch = store.append(&batch(&many, 1000, (0..20_000).map(f64::from)), UnixMillis(1000)).refused_series;
    assert_eq!((of_batch > 0, store.without_room()), (true, of_batch));
    let encoded = |number: usize| {
        let mut encoded = Vec::new();
        [("__name__", format!("result_{number}").as_str())].into_iter().collect::<LabelSet>().encode(&mut encoded);
        encoded
    };
    let names: Vec<Vec<u8>> = (0..20_000).map(encoded).collect();
    let results = names.iter().map(|name| (Labels::of_encoded(name), UnixMillis(1000), SampleValue::Float(1.0)));
    let taken = store.append_results(results, UnixMillis(1000));
    assert!(taken.refused_series > 0, "{taken:?}");
    assert_eq!(store.without_room(), of_batch + taken.refused_series);
}

#[test]
fn want_of_room_is_told_until_it_is_over() {
    let table = SeriesTable::new(100_000);
    let store = store(&StoreOptions { max_bytes: ByteSize(1 << 20), ..StoreOptions::default() }, &table);
    let many = list(&table, 0..20_000);
    let taken = store.append(&batch(&many, 1000, (0..20_000).map(f64::from)), UnixMillis(1000));
    assert!(taken.refused_series > 0, "{taken:?}");
    store.maintain(UnixMillis(1000));
    assert!(store.trouble().is_some_and(|trouble| trouble.contains("max_bytes")), "{:?}", store.trouble());
    store.maintain(UnixMillis(31_000));
    assert!(store.trouble().is_some());
    store.maintain(UnixMillis(62_000));
    assert_eq!(store.trouble(), None);
}
