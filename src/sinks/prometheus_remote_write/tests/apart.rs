//! Requests that a receiver refuses as a whole, taken apart: what is bad, what is stored, and what is neither.

use super::*;

#[tokio::test]
async fn one_bad_series_costs_itself_in_both_versions() {
    for kind in [Kind::Atomic, Kind::Partial] {
        let receiver = Receiver::start(kind).await;
        receiver.with(|store| store.bad = "instance=\"77\"");
        let mut driven = start(&receiver, json!({}));
        let table = SeriesTable::new(1000);
        driven.send_batch(Batch::Metrics(scrape(&table, 100, 1)), None).await;
        let verdict = driven.verdict().await;
        assert_eq!(delivered(&verdict), (99, 1));
        let reason = verdict.reason.expect("a reason");
        assert!(reason.contains("answered 400: invalid series up{instance=\"77\""), "{reason}");
        let mut expected = keys(100, 1..=1);
        expected.retain(|(series, _)| !series.contains("\"77\""));
        assert_eq!(receiver.with(|store| once(&store.taken)), expected, "{kind:?}");
        assert_eq!(driven.metrics.records_refused.get(), 1);
        driven.finish().await.expect("ends");
    }
}

#[tokio::test]
async fn good_samples_are_not_lost_behind_many_bad_ones() {
    let receiver = Receiver::start(Kind::Atomic).await;
    receiver.with(|store| store.bad = "instance=\"1");
    let mut driven = start(&receiver, json!({ "version": "1.0" }));
    let table = SeriesTable::new(1000);
    // More than half, so that the second half has both.
    let batch = samples(&table, (1000..1160).chain(2000..2096).map(|instance| (instance, 1)));
    let mut expected: BTreeSet<_> = keys_of(&table, &batch).into_iter().collect();
    expected.retain(|(series, _)| !series.contains("instance=\"1"));
    driven.send_batch(Batch::Metrics(batch), None).await;
    assert_eq!(delivered(&driven.verdict().await), (96, 160));
    assert_eq!(receiver.with(|store| once(&store.taken)), expected);
    assert!(receiver.statuses().len() < 2 * 256, "{}", receiver.statuses().len());
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn a_request_that_is_all_bad_costs_two_requests_a_sample_at_the_most() {
    let receiver = Receiver::start(Kind::Atomic).await;
    receiver.with(|store| store.bad = "up");
    let mut driven = start(&receiver, json!({ "version": "1.0" }));
    let table = SeriesTable::new(1000);
    driven.send_batch(Batch::Metrics(scrape(&table, 200, 1)), None).await;
    assert_eq!(delivered(&driven.verdict().await), (0, 200));
    assert!(receiver.statuses().len() < 2 * 200, "{}", receiver.statuses().len());
    driven.finish().await.expect("ends");
}

/// Replayed samples are refused for their order; what is refused for something else beside them is lost, and said to
/// be.
#[tokio::test]
async fn what_is_stored_does_not_hide_what_is_bad() {
    let receiver = Receiver::start(Kind::Partial).await;
    receiver.with(|store| store.bad = "instance=\"9\"");
    let mut driven = start(&receiver, json!({}));
    let table = SeriesTable::new(100);
    let later = keys_of(&table, &scrape(&table, 3, 2));
    receiver.with(|store| store.have(later));
    driven.send_batch(Batch::Metrics(scrape(&table, 10, 1)), Some(UnixNanos(1))).await;
    let verdict = driven.verdict().await;
    assert_eq!(delivered(&verdict), (9, 1));
    assert!(verdict.reason.expect("a reason").contains("invalid series"));
    driven.finish().await.expect("ends");
}

/// A sample of which the receiver says that it is too old may never have reached it.
#[tokio::test]
async fn what_is_refused_for_its_age_is_not_stored() {
    let receiver = Receiver::start(Kind::Atomic).await;
    receiver.with(|store| store.script = vec![(400, "out of bounds"); 3]);
    let mut driven = start(&receiver, json!({ "version": "1.0" }));
    let table = SeriesTable::new(100);
    driven.send_batch(Batch::Metrics(scrape(&table, 2, 1)), Some(UnixNanos(1))).await;
    assert_eq!(delivered(&driven.verdict().await), (0, 2));
    driven.finish().await.expect("ends");
}

/// A kill: of each shard the receiver has what was sent up to some place, and everything is sent again.
#[tokio::test]
async fn what_is_stored_already_is_found_and_what_is_not_is_stored() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for version in ["1.0", "2.0"] {
        for _ in 0..10 {
            let receiver = Receiver::start(if version == "1.0" { Kind::Atomic } else { Kind::Partial }).await;
            let table = SeriesTable::new(10_000);
            let times = 1..=4_i64;
            let batches: Vec<_> = times.clone().map(|time| scrape(&table, 300, time)).collect();
            let shards = 1 << random.u32(0..=3);
            receiver.with(|store| {
                let series = table.read();
                for shard in 0..shards {
                    let of = |batch: &MetricBatch| {
                        let sent = |sample| crate::formats::prometheus::remote_write::shard(sample, shards) == shard;
                        let own: Vec<_> = batch.iter().map(|sample| sent(series.hash(sample.series))).collect();
                        keys_of(&table, batch).into_iter().zip(own).filter(|(_, own)| *own).map(|(key, _)| key)
                    };
                    let mut own: Vec<Key> = batches.iter().flat_map(of).collect();
                    own.truncate(random.usize(0..=own.len()));
                    store.have(own);
                }
            });
            let mut driven = start(&receiver, json!({ "version": version }));
            for batch in &batches {
                driven.send_batch(Batch::Metrics(batch.clone()), Some(UnixNanos(1))).await;
            }
            for _ in &batches {
                assert_eq!(delivered(&driven.verdict().await), (300, 0), "seed {seed}");
            }
            receiver.with(|store| {
                // What is the latest of its series may be taken twice: it is the same sample.
                let taken: BTreeSet<_> = store.taken.iter().cloned().collect();
                assert_eq!(taken, keys(300, times), "seed {seed}, {version}, {shards} shards");
                assert!(store.requests.len() < 600, "{} requests", store.requests.len());
            });
            driven.finish().await.expect("ends");
        }
    }
}

/// The same where a batch has several samples of a series: as a sender that catches up brings them, series by series
/// or time by time, and in no such order.
#[tokio::test]
async fn earlier_samples_of_a_series_are_not_taken_for_stored() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..30 {
        let (series, times) = [(1, 12), (60, 4), (7, 7)][round % 3];
        let mut order: Vec<(usize, i64)> = (0..series).flat_map(|at| (1..=times).map(move |time| (at, time))).collect();
        match round / 3 % 3 {
            0 => {}
            1 => order.sort_by_key(|(at, time)| (*time, *at)),
            // Of each series in order.
            _ => {
                random.shuffle(&mut order);
                let mut next = vec![0; series];
                for (at, time) in &mut order {
                    next[*at] += 1;
                    *time = next[*at];
                }
            }
        }
        let table = SeriesTable::new(1000);
        let batch = samples(&table, order.iter().copied());
        let all = keys_of(&table, &batch);
        let had = random.usize(0..=all.len());
        let receiver = Receiver::start(Kind::Atomic).await;
        receiver.with(|store| store.have(all[..had].iter().cloned()));
        let mut driven = start(&receiver, json!({ "version": "1.0", "shards": { "min": 1, "max": 1 } }));
        driven.send_batch(Batch::Metrics(batch), Some(UnixNanos(1))).await;
        let case = format!("seed {seed}, round {round}, {had} of {}", all.len());
        assert_eq!(delivered(&driven.verdict().await), (all.len() as u64, 0), "{case}");
        receiver.with(|store| {
            let taken: BTreeSet<_> = store.taken.iter().cloned().collect();
            assert_eq!(taken, all.iter().cloned().collect(), "{case}");
            assert!(store.taken.len() <= all.len() + series, "only the latest of a series is taken twice; {case}");
            assert!(store.requests.len() <= 2 * all.len() + 1, "{} requests; {case}", store.requests.len());
        });
        driven.finish().await.expect("ends");
    }
}

#[tokio::test]
async fn the_search_goes_on_where_relabelling_drops_what_it_asks_about() {
    let receiver = Receiver::start(Kind::Atomic).await;
    let drop = json!([{ "source_labels": ["instance"], "regex": "[5-9]", "action": "drop" }]);
    let mut driven = start(&receiver, json!({ "version": "1.0", "write_relabel_configs": drop }));
    let table = SeriesTable::new(100);
    let (first, second) = (scrape(&table, 10, 1), scrape(&table, 10, 2));
    receiver.with(|store| {
        store.have(keys_of(&table, &first).into_iter().take(5));
        store.have(keys_of(&table, &second).into_iter().take(2));
    });
    driven.send_batch(Batch::Metrics(first), Some(UnixNanos(1))).await;
    driven.send_batch(Batch::Metrics(second), Some(UnixNanos(1))).await;
    for _ in 0..2 {
        let verdict = driven.verdict().await;
        assert_eq!((delivered(&verdict), verdict.count(Outcome::Filtered)), ((5, 0), 5));
    }
    let taken: BTreeSet<_> = receiver.with(|store| store.taken.iter().cloned().collect());
    assert_eq!(taken, keys(5, 1..=2));
    driven.finish().await.expect("ends");
}

/// Whatever the receiver says of the half behind, what stands before it is not forgotten.
#[tokio::test]
async fn the_search_goes_on_after_every_answer() {
    let older = (400, "out of order sample");
    for (bad, script, refused) in [
        ("nothing", vec![older, (413, "too much")], 0),
        ("nothing", vec![older, (503, "busy")], 0),
        ("instance=\"9\"", vec![older], 1),
        ("instance=\"9\"", vec![older, LOOK, (413, "too much")], 1),
    ] {
        let receiver = Receiver::start(Kind::Partial).await;
        receiver.with(|store| (store.bad, store.script) = (bad, script.clone()));
        let mut driven = start(&receiver, json!({ "shards": { "min": 1, "max": 1 } }));
        let table = SeriesTable::new(100);
        let batch = scrape(&table, 10, 1);
        let first = keys_of(&table, &batch).remove(0);
        receiver.with(|store| store.have([first]));
        driven.send_batch(Batch::Metrics(batch), Some(UnixNanos(1))).await;
        assert_eq!(delivered(&driven.verdict().await), (10 - refused, refused), "{script:?}");
        let mut expected = keys(10, 1..=1);
        expected.retain(|(series, _)| !series.contains(bad));
        let taken: BTreeSet<_> = receiver.with(|store| store.taken.iter().cloned().collect());
        assert_eq!(taken, expected, "{script:?}");
        driven.finish().await.expect("ends");
    }
}
