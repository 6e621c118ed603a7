//! Samples on their way: every answer, in every version, with all that changes series.

use super::*;
use crate::delivery::Path;

#[tokio::test]
async fn samples_are_delivered_with_external_labels_and_told_by_the_receivers_headers() {
    let receiver = Receiver::start(Kind::Partial).await;
    let mut driven = start(&receiver, json!({ "headers": { "X-Scope-OrgID": "me" } }));
    let table = SeriesTable::new(1000);
    for time in 1..=3 {
        driven.send_batch(Batch::Metrics(scrape(&table, 100, time)), None).await;
    }
    for _ in 0..3 {
        assert_eq!(delivered(&driven.verdict().await), (100, 0));
    }
    receiver.with(|store| {
        assert_eq!(once(&store.taken), keys(100, 1..=3));
        assert!(store.requests.iter().all(|request| *request == (Version::V2, 204)));
        assert!(store.headers.iter().all(|headers| headers["x-scope-orgid"] == "me"));
        assert!(store.headers[0]["user-agent"].to_str().expect("text").starts_with("tailwater/"));
    });
    assert_eq!(driven.metrics.records_out.get(), 300);
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn a_receiver_of_1_0_is_sent_1_0_for_good() {
    for kind in [Kind::Atomic, Kind::Blind] {
        let receiver = Receiver::start(kind).await;
        let mut driven = start(&receiver, json!({}));
        let table = SeriesTable::new(1000);
        for time in 1..=2 {
            driven.send_batch(Batch::Metrics(scrape(&table, 10, time)), None).await;
            assert_eq!(delivered(&driven.verdict().await), (10, 0));
        }
        receiver.with(|store| {
            let versions: Vec<_> = store.requests.iter().map(|(version, _)| *version).collect();
            assert_eq!(versions, [Version::V2, Version::V1, Version::V1]);
            assert_eq!(once(&store.taken), keys(10, 1..=2));
        });
        driven.finish().await.expect("ends");
    }
}

/// Of a series with two samples the first is out of order once both are stored.
#[tokio::test]
async fn what_a_receiver_took_of_2_0_without_saying_so_is_not_refused_in_1_0() {
    let receiver = Receiver::start(Kind::Stripped).await;
    let mut driven = start(&receiver, json!({}));
    let table = SeriesTable::new(100);
    driven.send_batch(Batch::Metrics(samples(&table, [(0, 1), (0, 2), (1, 1)])), None).await;
    assert_eq!(delivered(&driven.verdict().await), (3, 0));
    receiver.with(|store| {
        assert_eq!(store.requests[..2], [(Version::V2, 204), (Version::V1, 400)]);
        let taken: BTreeSet<_> = store.taken.iter().map(|(_, time)| *time).collect();
        assert_eq!(taken, [1, 2].into());
    });
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn what_cannot_be_taken_now_is_sent_again_and_what_blocks_is_told() {
    let receiver = Receiver::start(Kind::Partial).await;
    receiver.with(|store| store.script = vec![(429, "slow down"), (503, "busy"), (401, "who are you")]);
    let mut driven = start(&receiver, json!({}));
    let table = SeriesTable::new(1000);
    driven.send_batch(Batch::Metrics(scrape(&table, 10, 1)), None).await;
    assert_eq!(delivered(&driven.verdict().await), (10, 0));
    assert_eq!(receiver.statuses(), [429, 503, 401, 204]);
    assert_eq!(receiver.with(|store| once(&store.taken)), keys(10, 1..=1));
    let (_, words) = driven.metrics.health.status().last_error.expect("an error was told");
    assert!(words.contains("401: who are you; check the credentials"), "{words}");
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn each_series_stays_in_order_over_shards_and_small_requests() {
    let receiver = Receiver::start(Kind::Partial).await;
    receiver.with(|store| store.script = vec![(500, ""), (500, ""), (500, "")]);
    let options = json!({ "shards": { "min": 4, "max": 4 }, "batch": { "max_bytes": "16KiB", "linger": "1ms" } });
    let mut driven = start(&receiver, options);
    let table = SeriesTable::new(10_000);
    for time in 1..=20 {
        driven.send_batch(Batch::Metrics(scrape(&table, 1000, time)), None).await;
    }
    for _ in 1..=20 {
        assert_eq!(delivered(&driven.verdict().await), (1000, 0));
    }
    receiver.with(|store| {
        assert_eq!(once(&store.taken), keys(1000, 1..=20));
        assert!(store.requests.iter().all(|(_, status)| matches!(status, 204 | 500)), "nothing was out of order");
        assert!(store.requests.len() > 40);
    });
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn relabelling_drops_and_renames_on_the_way_out() {
    let receiver = Receiver::start(Kind::Partial).await;
    let rules = json!([
        { "source_labels": ["instance"], "regex": "[0-4].*", "action": "drop" },
        { "source_labels": ["region"], "target_label": "zone" },
        { "regex": "region", "action": "labeldrop" },
    ]);
    let mut driven = start(&receiver, json!({ "write_relabel_configs": rules }));
    let table = SeriesTable::new(100);
    driven.send_batch(Batch::Metrics(scrape(&table, 6, 1)), None).await;
    let verdict = driven.verdict().await;
    assert_eq!((verdict.count(Outcome::Delivered), verdict.count(Outcome::Filtered)), (1, 5));
    receiver.with(|store| assert_eq!(store.taken, [("up{instance=\"5\", zone=\"eu\"}".to_owned(), 1)]));
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn the_end_of_the_input_sends_what_lingers_and_a_withdrawal_lets_it_go() {
    let receiver = Receiver::start(Kind::Partial).await;
    let mut driven = start(&receiver, json!({ "batch": { "linger": "1h" } }));
    let table = SeriesTable::new(100);
    driven.send_batch(Batch::Metrics(scrape(&table, 5, 1)), None).await;
    drop(driven.input.take());
    assert_eq!(delivered(&driven.verdict().await), (5, 0));
    driven.finish().await.expect("ends");

    receiver.with(|store| store.script = vec![(503, ""); 1000]);
    let mut driven = start(&receiver, json!({}));
    driven.send_batch(Batch::Metrics(scrape(&table, 5, 2)), None).await;
    while receiver.with(|store| store.script.len()) > 998 {
        tokio::task::yield_now().await;
    }
    driven.path.revoke();
    assert!(driven.verdict().await.abandoned);
    driven.finish().await.expect("ends");
}

/// Whoever withdrew it sends it again by itself: sent from here too it would come twice.
#[tokio::test]
async fn what_is_withdrawn_while_its_request_is_answered_is_not_sent_again() {
    for (status, words) in [(503, "busy"), (400, "no")] {
        let receiver = Receiver::start(Kind::Partial).await;
        let answer = Arc::new(Notify::new());
        receiver.with(|store| (store.hold, store.script) = (Some(answer.clone()), vec![(status, words)]));
        let mut driven = start(&receiver, json!({ "shards": { "min": 1, "max": 1 }, "batch": { "linger": "100ms" } }));
        let table = SeriesTable::new(100);
        let (stays, goes) = (samples(&table, [(0, 1), (1, 1)]), samples(&table, [(2, 1), (3, 1)]));
        let expected: BTreeSet<_> = keys_of(&table, &stays).into_iter().collect();
        driven.send_batch(Batch::Metrics(stays), None).await;
        let withdrawn = Path::new();
        driven.path = withdrawn.clone();
        driven.send_batch(Batch::Metrics(goes), None).await;
        while receiver.with(|store| store.hold.is_some()) {
            tokio::task::yield_now().await;
        }
        withdrawn.revoke();
        assert!(driven.verdict().await.abandoned, "it is let go before the answer");
        answer.notify_one();
        assert_eq!(delivered(&driven.verdict().await), (2, 0));
        assert_eq!(receiver.with(|store| once(&store.taken)), expected, "{status}");
        driven.finish().await.expect("ends");
    }
}
