//! Messages of three signals through carrying, absorbing and holding transforms to several sinks.

use std::sync::Arc;
use std::time::Duration;

use tailwater::delivery::Outcome;
use tailwater::delivery::queue::WhenFull;
use tailwater::pipeline::graph::Buffer;
use tailwater::pipeline::{Runner, prepare};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};

use crate::components::{CountLines, DropLines, HoldLines, Numbers, Plans, Pushed, Record, Ticks, common};

const DRAIN: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn a_pushed_batch_is_answered_when_every_destination_has_settled_it() {
    let (push, pushes) = mpsc::channel(1);
    let (one, other) = (Record::default(), Record::default());
    let graph = Plans::default()
        .source("pushed/in", 1, Pushed(Arc::new(Mutex::new(pushes))))
        .transform("steps/a", 1, &["pushed/in"], DropLines("debug"))
        .sink("record/one", 1, &["steps/a"], Buffer::default(), one.clone())
        .sink("record/other", 1, &["pushed/in"], Buffer::default(), other.clone())
        .build();
    let common = common();
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());

    other.hang(true);
    let (answer, mut answered) = oneshot::channel();
    push.send((vec!["info", "debug"], answer)).await.expect("the source takes pushes");
    one.reached(1).await;
    assert!(answered.try_recv().is_err(), "answered before the hung sink had it");
    other.hang(false);
    let verdict = answered.await.expect("answered");
    assert_eq!((verdict.count(Outcome::Delivered), verdict.count(Outcome::Filtered)), (3, 1));
    assert_eq!(one.texts(), ["info"]);
    assert_eq!(other.texts(), ["info", "debug"]);
    assert_eq!(common.telemetry.component("transform", "steps/a").records_filtered.get(), 1);
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn an_output_nobody_reads_counts_as_filtered() {
    let (push, pushes) = mpsc::channel(1);
    let graph = Plans::default().source("pushed/in", 1, Pushed(Arc::new(Mutex::new(pushes)))).build();
    let common = common();
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common);
    let (answer, answered) = oneshot::channel();
    push.send((vec!["a", "b"], answer)).await.expect("the source takes pushes");
    assert_eq!(answered.await.expect("answered").count(Outcome::Filtered), 2);
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn an_absorbing_transform_settles_logs_and_emits_metrics_on_a_timer() {
    let (numbers, counts, ticks) = (Numbers::default(), Record::default(), Record::default());
    let graph = Plans::default()
        .source("numbers/in", 1, numbers.clone())
        .source("ticks/in", 1, Ticks)
        .transform("count/lines", 1, &["numbers/in"], CountLines)
        .sink("record/counts", 1, &["count/lines"], Buffer::default(), counts.clone())
        .sink("record/ticks", 1, &["ticks/in"], Buffer::default(), ticks.clone())
        .build();
    let common = common();
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common);
    numbers.allow(5);
    numbers.settled(5).await;
    counts.reached(1).await;
    assert_eq!(counts.texts(), ["5"]);
    ticks.reached(3).await;
    assert_eq!(ticks.texts()[..3], ["0", "1", "2"]);
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn a_holding_transform_keeps_the_position_back_until_it_lets_go() {
    let (numbers, kept, release) = (Numbers::default(), Record::default(), Arc::new(Notify::new()));
    let graph = Plans::default()
        .source("numbers/in", 1, numbers.clone())
        .transform("hold/a", 1, &["numbers/in"], HoldLines(release.clone()))
        .sink("record/out", 1, &["hold/a"], Buffer::default(), kept.clone())
        .build();
    let common = common();
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    numbers.allow(3);
    let held = common.telemetry.component("source", "numbers/in");
    while held.records_out.get() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(numbers.0.safe.load(std::sync::atomic::Ordering::SeqCst), 0);
    release.notify_one();
    numbers.settled(3).await;
    assert_eq!(kept.texts(), ["0", "1", "2"]);
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_sink_whose_edge_drops_does_not_delay_the_other() {
    let (numbers, hung, prompt) = (Numbers::default(), Record::default(), Record::default());
    let buffer = Buffer { memory: 500, when_full: WhenFull::DropOldest, disk: None };
    let graph = Plans::default()
        .source("numbers/in", 1, numbers.clone())
        .sink("record/hung", 1, &["numbers/in"], buffer, hung.clone())
        .sink("record/prompt", 1, &["numbers/in"], Buffer::default(), prompt.clone())
        .build();
    let common = common();
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    hung.hang(true);
    numbers.allow(100);
    prompt.reached(100).await;
    hung.hang(false);
    numbers.settled(100).await;
    let dropped = common.telemetry.component("sink", "record/hung").records_dropped.get();
    assert_eq!(hung.texts().len() as u64 + dropped, 100);
    assert!(dropped > 80, "the edge holds only a few batches: {dropped}");
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_sink_whose_edge_blocks_holds_both_back_and_loses_nothing() {
    let (numbers, hung, prompt) = (Numbers::default(), Record::default(), Record::default());
    let buffer = Buffer { memory: 500, when_full: WhenFull::Block, disk: None };
    let graph = Plans::default()
        .source("numbers/in", 1, numbers.clone())
        .sink("record/hung", 1, &["numbers/in"], buffer, hung.clone())
        .sink("record/prompt", 1, &["numbers/in"], Buffer::default(), prompt.clone())
        .build();
    let common = common();
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common);
    hung.hang(true);
    numbers.allow(100);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(prompt.texts().len() < 20, "the source waits for the hung sink");
    hung.hang(false);
    numbers.settled(100).await;
    assert_eq!(hung.texts(), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(prompt.texts(), hung.texts());
    runner.shutdown(DRAIN).await;
}

/// Sends lines through a route with the outputs `a`, `b`, `c` and `unmatched`, of which nothing reads `c`.
async fn routed(matching: &str) -> [Vec<String>; 3] {
    let (push, pushes) = mpsc::channel(1);
    let sinks: [Record; 3] = Default::default();
    let route: tailwater::transforms::route::Options = serde_json::from_value(serde_json::json!({
        "match": matching,
        "routes": [
            { "name": "a", "if": "body contains \"a\"" },
            { "name": "b", "if": "body contains \"b\" and resource[\"none\"] == nil" },
            { "name": "c", "if": "body contains \"c\"" }
        ]
    }))
    .expect("valid");
    let [a, b, unmatched] = sinks.clone();
    let graph = Plans::default()
        .source("pushed/in", 1, Pushed(Arc::new(Mutex::new(pushes))))
        .transform("route/r", 1, &["pushed/in"], route)
        .sink("record/a", 1, &["route/r.a"], Buffer::default(), a)
        .sink("record/b", 1, &["route/r.b"], Buffer::default(), b)
        .sink("record/unmatched", 1, &["route/r.unmatched"], Buffer::default(), unmatched)
        .build();
    let common = common();
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    let mut counted = (0, 0);
    for lines in [vec!["a", "ab", "b", "c", "x", "abc"], vec!["a"], vec!["x", "y"], vec!["c"]] {
        let (answer, answered) = oneshot::channel();
        push.send((lines, answer)).await.expect("the source takes pushes");
        let verdict = answered.await.expect("answered");
        assert!(!verdict.abandoned);
        counted.0 += verdict.count(Outcome::Delivered);
        counted.1 += verdict.count(Outcome::Filtered);
    }
    let texts = sinks.map(|sink| sink.texts());
    let metrics = common.telemetry.component("transform", "route/r");
    assert_eq!(counted, (texts.iter().map(Vec::len).sum::<usize>() as u64, metrics.records_filtered.get()));
    assert_eq!((metrics.records_in.get(), metrics.records_out.get()), (10, counted.0));
    runner.shutdown(DRAIN).await;
    texts
}

#[tokio::test(start_paused = true)]
async fn a_record_goes_out_by_the_first_route_that_matches() {
    assert_eq!(routed("first").await, [vec!["a", "ab", "abc", "a"], vec!["b"], vec!["x", "x", "y"]]);
}

#[tokio::test(start_paused = true)]
async fn a_record_goes_out_by_all_routes_that_match() {
    assert_eq!(routed("all").await, [vec!["a", "ab", "abc", "a"], vec!["ab", "b", "abc"], vec!["x", "x", "y"]]);
}
