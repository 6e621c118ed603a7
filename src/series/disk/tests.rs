//! What was written is there again: after an orderly end and after any crash.

mod failures;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::store::Store;
use super::super::store::tests::{batch, everything, like, list};
use super::frames::HEADER;
use super::*;
use crate::data::histogram::{Counts, Histogram};
use crate::data::labels::{LabelSet, Labels};
use crate::data::metrics::{Family, MetricKind, SampleValue};
use crate::data::series_table::{ListBuilder, SeriesList, SeriesTable};
use crate::data::{MetricBuilder, UnixMillis};
use crate::delivery::simulated_disk::{SimulatedDisk, Stop};
use crate::options::{ByteSize, Duration as Span};
use crate::series::select::Queryable;
use crate::series::{Columns, Samples, Select, StoreOptions};

fn place(disk: &SimulatedDisk) -> Place {
    Place { files: Arc::new(disk.clone()), folder: PathBuf::from("/series") }
}

fn store(table: &Arc<SeriesTable>) -> Arc<Store> {
    let options = StoreOptions { out_of_order_window: Span(Duration::from_secs(60)), ..StoreOptions::default() };
    let store = Store::new(&options, table.clone()).expect("a store");
    store.set_selection(&[Vec::new()], Duration::from_secs(3600));
    Arc::new(store)
}

fn open(store: &Arc<Store>, disk: &SimulatedDisk, now: i64) -> (Keeper, Restored) {
    Keeper::open(store.clone(), place(disk), UnixMillis(now)).expect("opened")
}

#[test]
fn what_was_committed_is_there_again_and_so_is_all_after_an_orderly_end() {
    let disk = SimulatedDisk::default();
    let table = SeriesTable::new(1000);
    let first = store(&table);
    let (mut keeper, restored) = open(&first, &disk, 1000);
    assert_eq!((restored.samples, restored.complaints.len()), (0, 0));
    let family = Family { name: "m".into(), kind: MetricKind::Counter, help: "Some.".into(), unit: "s".into() };
    let mut builder = ListBuilder::default();
    builder.labels(&[("__name__", "m"), ("a", "1")].into_iter().collect(), table.family(&family));
    builder.labels(&[("__name__", "h")].into_iter().collect(), table.family(&family));
    let some = table.list(&builder).list;
    let all = list(&table, 0..20);
    let histogram = Arc::new(Histogram {
        schema: 3,
        zero_threshold: 0.0,
        sum: 4.5,
        counts: Counts::Integer { count: 3, zero: 3, positive: Vec::new(), negative: Vec::new() },
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        reset_hint: Default::default(),
    });
    let mut alert = Vec::new();
    [("__name__", "ALERTS")].into_iter().collect::<LabelSet>().encode(&mut alert);
    for at in 1..300 {
        let time = at * 1000;
        first.append(&batch(&all, time, (0..20).map(|series| (series * at) as f64 / 10.0)), UnixMillis(time));
        let mut builder = MetricBuilder::new();
        let samples = builder.samples();
        samples.times = vec![UnixMillis(time), UnixMillis(time + 1)];
        samples.values = vec![f64::NAN, 0.0];
        samples.histograms.push((1, histogram.clone()));
        samples.created.push((1, UnixMillis(at / 100)));
        let mut some = builder.build(Arc::default(), some.clone());
        if at % 3 == 0 {
            some.selection.remove(0);
        }
        first.append(&some, UnixMillis(time));
        first.append_results(
            [(Labels::of_encoded(&alert), UnixMillis(time), SampleValue::Float(1.0))],
            UnixMillis(time),
        );
        keeper.commit(UnixMillis(time)).expect("committed");
    }
    // Killed.
    let second = store(&SeriesTable::new(1000));
    let (_, restored) = open(&second, &disk, 300_000);
    assert_eq!((restored.refused, restored.lost, restored.complaints.len()), (0, 0, 0));
    assert_eq!(everything(&second), everything(&first));
    assert_eq!(histograms(&second), histograms(&first));
    assert_eq!(histograms(&second)[0].0.len(), 299);
    assert_eq!(second.metadata(None).expect("metadata"), [family]);
    // Results of rules stay without a selector.
    second.set_selection(&[], Duration::from_secs(3600));
    assert_eq!(second.series_count(), 1);
    // Ended.
    drop(keeper);
    let (keeper, _) = open(&store(&SeriesTable::new(1000)), &disk, 300_000);
    keeper.finish(UnixMillis(300_000)).expect("written");
    assert!(
        disk.names().iter().any(|name| name.ends_with("snapshot")) && disk.names().len() == 2,
        "{:?}",
        disk.names()
    );
    let third = store(&SeriesTable::new(1000));
    let (mut keeper, restored) = open(&third, &disk, 300_000);
    assert_eq!((restored.refused, restored.lost, restored.complaints.len()), (0, 0, 0));
    assert_eq!(everything(&third), everything(&first));
    assert_eq!(histograms(&third), histograms(&first));
    // And it goes on, also with series of another table.
    third.append(&batch(&list(&SeriesTable::new(10), 0..2), 301_000, [1.0, 2.0]), UnixMillis(301_000));
    keeper.commit(UnixMillis(301_000)).expect("committed");
    let fourth = store(&SeriesTable::new(1000));
    open(&fourth, &disk, 301_000);
    assert_eq!(everything(&fourth), everything(&third));
    // What nobody selects is left where it is.
    let fifth = Arc::new(Store::new(&StoreOptions::default(), SeriesTable::new(1000)).expect("a store"));
    fifth.set_selection(&[vec![like("instance", "node-1")]], Duration::from_secs(3600));
    open(&fifth, &disk, 301_000);
    assert_eq!(fifth.series_count(), 2, "the one, and the result of a rule");
}

type Histograms = Vec<(Vec<(u32, Arc<Histogram>)>, Vec<i64>)>;

fn histograms(store: &Store) -> Histograms {
    let mut all = Vec::new();
    let what = Select { matchers: &[like("__name__", "h")], after: 0, until: i64::MAX };
    store
        .select(what, &mut |_, columns: &Columns| {
            all.push((columns.histograms.clone(), columns.starts.clone()));
            Ok(())
        })
        .expect("samples");
    all
}

/// What a series has at a time, so that nothing can be there that was never appended.
fn value(series: usize, time: i64) -> f64 {
    (time / 1000 * (series as i64 + 1)) as f64 / 4.0
}

/// Appends a scrape of a list; its first series is the list's number.
fn scrape(store: &Store, list: &Arc<SeriesList>, of: usize, time: i64) {
    store.append(&batch(list, time, (0..list.len()).map(|at| value(of + at, time))), UnixMillis(time));
}

/// Times of the scrapes of each list. Each must be whole, and as it was appended.
fn scrapes(store: &Store, lists: usize, seed: u64) -> BTreeSet<(usize, i64)> {
    let all = everything(store);
    let mut found = BTreeSet::new();
    for of in 0..lists {
        for at in 0..SERIES {
            let name = format!("node-{}\"", of * SERIES + at);
            let times: BTreeSet<_> = all
                .iter()
                .filter(|(labels, _)| labels.contains(&name))
                .flat_map(|(_, samples)| samples)
                .map(|(time, bits)| {
                    assert_eq!(*bits, value(of * SERIES + at, *time).to_bits(), "seed {seed}");
                    (of, *time)
                })
                .collect();
            let before: BTreeSet<_> = found.iter().copied().filter(|(other, _)| *other == of).collect();
            assert!(at == 0 || before == times, "seed {seed}: a scrape is there in part");
            found.extend(times);
        }
    }
    found
}

/// Series of a list.
const SERIES: usize = 3;

/// Scrapes come, are committed, and now and then a snapshot is written, until the process is stopped anywhere. What was
/// committed survives a kill; what is there is whole and was appended.
#[test]
fn what_was_committed_survives_every_crash() {
    for seed in 0..300u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = SimulatedDisk::default();
        let (mut appended, mut committed, mut forced) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut last, mut now) = (Stop::Kill, 1_000_000);
        for life in 0..5 {
            let table = SeriesTable::new(1000);
            let store = store(&table);
            let restored = Keeper::open(store.clone(), place(&disk), UnixMillis(now));
            let Ok((mut keeper, restored)) = restored else {
                panic!("seed {seed}, life {life}: {restored:?}");
            };
            let found = scrapes(&store, 3, seed);
            let least = if last == Stop::Kill { &committed } else { &forced };
            let lost: Vec<_> = least.difference(&found).collect();
            assert!(lost.is_empty(), "seed {seed}, life {life}: {lost:?} are lost after a {last:?}: {restored:?}");
            assert!(found.is_subset(&appended), "seed {seed}, life {life}");
            (appended, committed) = (found.clone(), found);
            forced = forced.intersection(&appended).copied().collect();
            keeper.least = 1000;
            let how = if random.bool() { Stop::Kill } else { Stop::PowerCut };
            disk.stop_after(random.u64(1..60), fastrand::Rng::with_seed(random.u64(..)));
            let lists: Vec<_> = (0..3).map(|of| list(&table, of * SERIES..(of + 1) * SERIES)).collect();
            while !disk.is_stopped() {
                now += 1000;
                let of = random.usize(..3);
                // Sometimes a little too late.
                let time = now - if random.u8(..6) == 0 { 5000 } else { 0 };
                if appended.insert((of, time)) {
                    scrape(&store, &lists[of], of * SERIES, time);
                }
                if random.u8(..3) == 0 && keeper.commit(UnixMillis(now)).is_ok() {
                    committed = appended.clone();
                    if !keeper.wants_snapshot
                        && disk.names().iter().any(|name| name.ends_with("snapshot"))
                        && keeper.journal_bytes == HEADER as u64
                    {
                        forced = appended.clone();
                    }
                }
                if random.u8(..40) == 0 {
                    let ended = keeper.finish(UnixMillis(now));
                    if ended.is_ok() {
                        (committed, forced) = (appended.clone(), appended.clone());
                    }
                    break;
                }
            }
            if !disk.is_stopped() {
                disk.stop_after(0, fastrand::Rng::with_seed(0));
            }
            last = how;
            disk.restart(how);
        }
    }
}

/// However long it runs, the files stay in proportion to the store.
#[test]
fn files_are_bounded() {
    let table = SeriesTable::new(1000);
    let all = list(&table, 0..100);
    let disk = SimulatedDisk::default();
    let first = store(&table);
    first.set_selection(&[Vec::new()], Duration::from_secs(600));
    let (mut keeper, _) = open(&first, &disk, 0);
    keeper.least = 10_000;
    let mut most = 0;
    for at in 1..3000i64 {
        scrape(&first, &all, 0, at * 1000);
        keeper.commit(UnixMillis(at * 1000)).expect("committed");
        first.maintain(UnixMillis(at * 1000));
        most = most.max(disk.bytes());
    }
    assert!(most < 5 * first.bytes() && disk.names().len() <= 4, "{most} {}", first.bytes());
    let small = StoreOptions { max_bytes: ByteSize(300_000), ..StoreOptions::default() };
    let second = Arc::new(Store::new(&small, SeriesTable::new(1000)).expect("a store"));
    second.set_selection(&[Vec::new()], Duration::from_secs(600));
    let (_, restored) = open(&second, &disk, 3_000_000);
    assert!(second.bytes() <= 300_000 && restored.samples > 10_000, "{} {restored:?}", second.bytes());
}

/// Scrapes come while generations begin and snapshots are written; none falls between two journals.
#[test]
fn what_comes_while_a_generation_begins_is_in_one_of_the_two() {
    let table = SeriesTable::new(1000);
    let disk = SimulatedDisk::default();
    let first = store(&table);
    let (mut keeper, _) = open(&first, &disk, 0);
    keeper.least = 100;
    let writer = {
        let (first, all) = (first.clone(), list(&table, 0..SERIES));
        std::thread::spawn(move || (1..3000i64).for_each(|at| scrape(&first, &all, 0, at * 1000)))
    };
    let mut commits = 0;
    while !writer.is_finished() {
        keeper.commit(UnixMillis(0)).expect("committed");
        commits += 1;
    }
    writer.join().expect("it wrote");
    // Killed after the next one began, and before its snapshot: what was not written yet stands in the journal before it.
    scrape(&first, &list(&table, 0..SERIES), 0, 3_000_000);
    keeper.begin(UnixMillis(0)).expect("begun");
    drop(keeper);
    let second = store(&SeriesTable::new(1000));
    let (_, restored) = open(&second, &disk, 0);
    assert!(commits > 1 && restored.complaints.is_empty(), "{commits} {restored:?}");
    assert_eq!(everything(&second), everything(&first));
}

#[test]
fn a_store_that_has_samples_is_kept_on_disk_from_now_on_and_not_any_more_later() {
    let disk = SimulatedDisk::default();
    let table = SeriesTable::new(1000);
    let list = list(&table, 0..SERIES);
    // Somebody had a store here once.
    let earlier = store(&table);
    let (mut keeper, _) = open(&earlier, &disk, 1000);
    scrape(&earlier, &list, 0, 1000);
    keeper.commit(UnixMillis(1000)).expect("committed");
    drop(keeper);
    // What is in memory goes to disk, and nothing of that is read.
    let store_now = store(&table);
    scrape(&store_now, &list, 0, 5000);
    let mut keeper = Keeper::take_over(store_now.clone(), place(&disk), UnixMillis(5000)).expect("taken over");
    // Killed before the first snapshot is there.
    let between = store(&SeriesTable::new(1000));
    let aside = SimulatedDisk::default();
    disk.names()
        .iter()
        .map(|name| PathBuf::from("/series").join(name))
        .for_each(|path| aside.put(path.clone(), disk.get(&path)));
    open(&between, &aside, 5000);
    assert!(everything(&between).is_empty(), "of another past");
    assert!(keeper.is_pending(UnixMillis(5000)));
    scrape(&store_now, &list, 0, 6000);
    keeper.commit(UnixMillis(6000)).expect("committed");
    scrape(&store_now, &list, 0, 7000);
    keeper.commit(UnixMillis(7000)).expect("committed");
    let restored = store(&SeriesTable::new(1000));
    open(&restored, &disk, 7000);
    assert_eq!(everything(&restored), everything(&store_now));
    assert_eq!(scrapes(&restored, 1, 0), BTreeSet::from([(0, 5000), (0, 6000), (0, 7000)]));
    // In memory alone again: nothing waits for somebody who writes it down.
    let keeper = Keeper::take_over(store_now.clone(), place(&disk), UnixMillis(7000)).expect("taken over");
    keeper.finish(UnixMillis(8000)).expect("written");
    scrape(&store_now, &list, 0, 9000);
    assert!(store_now.read().ahead.is_none());
    let restored = store(&SeriesTable::new(1000));
    open(&restored, &disk, 9000);
    assert_eq!(scrapes(&restored, 1, 0), BTreeSet::from([(0, 5000), (0, 6000), (0, 7000)]));
}

/// The journal has the samples of the future first, and behind them no other would be put.
#[test]
fn what_comes_after_a_clock_was_set_back_is_there_after_a_restart() {
    let disk = SimulatedDisk::default();
    let without_window = |table: &Arc<SeriesTable>| {
        let store = Store::new(&StoreOptions::default(), table.clone()).expect("a store");
        store.set_selection(&[Vec::new()], Duration::from_secs(3600));
        Arc::new(store)
    };
    let table = SeriesTable::new(1000);
    let (one, other) = (list(&table, 0..SERIES), list(&table, SERIES..2 * SERIES));
    let first = without_window(&table);
    let hour = 3_600_000;
    let (mut keeper, _) = open(&first, &disk, hour);
    let mut step = |now: i64| {
        scrape(&first, &one, 0, now);
        keeper.commit(UnixMillis(now)).expect("committed");
    };
    [hour, hour + 1000, 3 * hour, 3 * hour + 1000].into_iter().for_each(&mut step);
    scrape(&first, &other, SERIES, 3 * hour + 1000);
    // Two hours back; the other list comes to it later.
    (2..5).for_each(|at| step(hour + at * 1000));
    scrape(&first, &other, SERIES, hour + 4000);
    (5..30).for_each(|at| step(hour + at * 1000));
    let second = without_window(&SeriesTable::new(1000));
    let (_, restored) = open(&second, &disk, hour + 30_000);
    assert!(restored.complaints.is_empty(), "{restored:?}");
    assert_eq!(everything(&second), everything(&first));
    assert_eq!(scrapes(&second, 2, 0).len(), 31);
}
