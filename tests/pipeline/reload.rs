//! Replacing a running graph: nothing lost, nothing doubled, what is unchanged goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tailwater::pipeline::graph::Buffer;
use tailwater::pipeline::pushed::Became;
use tailwater::pipeline::{ComponentId, Graph, Runner, prepare};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

use crate::components::{DropLines, Numbers, Plans, Pushed, Record, Requests, common};

const DRAIN: Duration = Duration::from_secs(20);

fn graph(numbers: &Numbers, steps: u64, sink: (u64, &Record)) -> Graph {
    Plans::default()
        .source("numbers/in", 1, numbers.clone())
        .transform("steps/a", steps, &["numbers/in"], DropLines("none"))
        .sink("record/out", sink.0, &["steps/a"], Buffer::default(), sink.1.clone())
        .build()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_changed_transform_or_sink_loses_and_doubles_nothing() {
    let (numbers, record, common) = (Numbers::default(), Record::default(), common());
    let prepared =
        |steps, sink| prepare(graph(&numbers, steps, (sink, &record)), &common).unwrap_or_else(|e| panic!("{e:?}"));
    let (mut runner, _ended) = Runner::start(prepared(0, 0), common.clone());
    for change in 1..20u64 {
        numbers.allow(usize::try_from(change).expect("small") * 50);
        tokio::task::yield_now().await;
        runner.replace(prepared(change / 2, change / 3), common.clone(), &BTreeSet::new(), DRAIN).await;
    }
    numbers.settled(19 * 50).await;
    assert_eq!(record.texts(), numbered(0..950));
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_hung_sink_holds_is_withdrawn_and_read_again_by_the_new_path() {
    let (numbers, old, new, common) = (Numbers::default(), Record::default(), Record::default(), common());
    let first = prepare(graph(&numbers, 1, (1, &old)), &common).unwrap_or_else(|e| panic!("{e:?}"));
    let (mut runner, _ended) = Runner::start(first, common.clone());
    old.hang(true);
    numbers.allow(30);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Instant::now();
    let second = prepare(graph(&numbers, 1, (2, &new)), &common).unwrap_or_else(|e| panic!("{e:?}"));
    runner.replace(second, common.clone(), &BTreeSet::new(), DRAIN).await;
    assert!(before.elapsed() >= DRAIN, "a sink that is merely slow gets the whole time");
    numbers.settled(30).await;
    assert_eq!((old.texts(), new.texts()), (vec![], numbered(0..30)));
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_gives_way_to_a_shutdown() {
    let (numbers, old, new, common) = (Numbers::default(), Record::default(), Record::default(), common());
    let first = prepare(graph(&numbers, 1, (1, &old)), &common).unwrap_or_else(|e| panic!("{e:?}"));
    let (mut runner, _ended) = Runner::start(first, common.clone());
    old.hang(true);
    numbers.allow(30);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, hurry) = (Instant::now(), runner.hurry());
    let second = prepare(graph(&numbers, 1, (2, &new)), &common).unwrap_or_else(|e| panic!("{e:?}"));
    let (none, stop) = (BTreeSet::new(), tokio::time::sleep(DRAIN / 4));
    tokio::join!(runner.replace(second, common.clone(), &none, DRAIN), async {
        stop.await;
        hurry.cancel();
    });
    assert!(before.elapsed() < DRAIN / 2, "it took {:?}", before.elapsed());
    numbers.settled(30).await;
    assert_eq!(new.texts(), numbered(0..30), "what was withdrawn took the new path");
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_destination_is_not_waited_for() {
    let (numbers, old, new, common) = (Numbers::default(), Record::default(), Record::default(), common());
    let first = prepare(graph(&numbers, 1, (1, &old)), &common).unwrap_or_else(|e| panic!("{e:?}"));
    let (mut runner, _ended) = Runner::start(first, common.clone());
    old.hang(true);
    common.telemetry.component("sink", "record/out").health.unhealthy("nobody answers");
    numbers.allow(30);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Instant::now();
    let second = prepare(graph(&numbers, 1, (2, &new)), &common).unwrap_or_else(|e| panic!("{e:?}"));
    runner.replace(second, common.clone(), &BTreeSet::new(), DRAIN).await;
    assert!(before.elapsed() < DRAIN / 2);
    numbers.settled(30).await;
    assert_eq!(new.texts(), numbered(0..30));
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn pushed_batches_that_wait_are_handed_to_the_new_sink() {
    let (push, pushes) = mpsc::channel(1);
    let pushes = Arc::new(Mutex::new(pushes));
    let (old, new, common) = (Record::default(), Record::default(), common());
    let graph = |sink: u64, record: &Record| {
        Plans::default()
            .source("pushed/in", 1, Pushed(pushes.clone()))
            .sink("record/out", sink, &["pushed/in"], Buffer::default(), record.clone())
            .build()
    };
    let (mut runner, _ended) =
        Runner::start(prepare(graph(1, &old), &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    old.hang(true);
    let mut answers = Vec::new();
    for line in ["in flight", "waiting"] {
        let (answer, answered) = oneshot::channel();
        push.send((vec![line], answer)).await.expect("the source takes pushes");
        answers.push(answered);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = prepare(graph(2, &new), &common).unwrap_or_else(|e| panic!("{e:?}"));
    runner.replace(second, common.clone(), &BTreeSet::new(), DRAIN).await;
    new.reached(1).await;
    assert_eq!(new.texts(), ["waiting"]);
    let in_flight = answers.remove(0).await.expect("answered");
    assert!(in_flight.abandoned, "what the old sink was sending has no known outcome");
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_sender_was_told_is_taken_is_handed_to_the_new_sink() {
    let (push, requests) = mpsc::channel(1);
    let requests = Arc::new(Mutex::new(requests));
    let (prompt, old, new, common) = (Record::default(), Record::default(), Record::default(), common());
    let graph = |sink: u64, record: &Record| {
        Plans::default()
            .source("requests/in", 1, Requests(requests.clone()))
            .sink("record/prompt", 1, &["requests/in"], Buffer::default(), prompt.clone())
            .sink("record/out", sink, &["requests/in"], Buffer::default(), record.clone())
            .build()
    };
    let (mut runner, _ended) =
        Runner::start(prepare(graph(1, &old), &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    old.hang(true);
    for line in ["in flight", "waiting"] {
        let (answer, answered) = oneshot::channel();
        push.send((vec![line], answer)).await.expect("the source takes requests");
        assert_eq!(answered.await.expect("answered"), Became::TAKEN);
    }
    let second = prepare(graph(2, &new), &common).unwrap_or_else(|e| panic!("{e:?}"));
    runner.replace(second, common.clone(), &BTreeSet::new(), DRAIN).await;
    new.reached(1).await;
    assert_eq!(new.texts(), ["waiting"]);
    assert_eq!(prompt.texts(), ["in flight", "waiting"]);
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_what_a_sender_was_told_is_taken() {
    let (push, requests) = mpsc::channel(1);
    let (prompt, slow, common) = (Record::default(), Record::default(), common());
    let graph = Plans::default()
        .source("requests/in", 1, Requests(Arc::new(Mutex::new(requests))))
        .sink("record/prompt", 1, &["requests/in"], Buffer::default(), prompt.clone())
        .sink("record/slow", 1, &["requests/in"], Buffer::default(), slow.clone())
        .build();
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    slow.hang(true);
    let (answer, answered) = oneshot::channel();
    push.send((vec!["a"], answer)).await.expect("the source takes requests");
    assert_eq!(answered.await.expect("answered"), Became::TAKEN);
    let recover = async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        slow.hang(false);
    };
    tokio::join!(runner.shutdown(DRAIN), recover);
    assert_eq!(slow.texts(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panicked_is_restarted_and_what_it_held_is_read_again() {
    let (numbers, record, common) = (Numbers::default(), Record::default(), common());
    let prepared = || prepare(graph(&numbers, 1, (1, &record)), &common).unwrap_or_else(|e| panic!("{e:?}"));
    let (mut runner, mut ended) = Runner::start(prepared(), common.clone());
    record.0.panics.store(true, std::sync::atomic::Ordering::SeqCst);
    numbers.allow(10);
    let end = ended.recv().await.expect("told");
    assert!(end.result.as_ref().is_err_and(|words| words.contains("the test asked for a panic")), "{end:?}");
    assert!(runner.is_current(&end));
    common.telemetry.component("sink", "record/out").health.unhealthy("panicked");
    let restart = BTreeSet::from([ComponentId("record/out".into())]);
    runner.replace(prepared(), common.clone(), &restart, DRAIN).await;
    assert!(!runner.is_current(&end));
    numbers.settled(10).await;
    assert_eq!(record.texts(), numbered(0..10));
    runner.shutdown(DRAIN).await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_component_is_forgotten_and_the_rest_goes_on() {
    let (numbers, kept, removed, common) = (Numbers::default(), Record::default(), Record::default(), common());
    let both = Plans::default()
        .source("numbers/in", 1, numbers.clone())
        .sink("record/kept", 1, &["numbers/in"], Buffer::default(), kept.clone())
        .sink("record/removed", 1, &["numbers/in"], Buffer::default(), removed.clone())
        .build();
    let one = Plans::default()
        .source("numbers/in", 1, numbers.clone())
        .sink("record/kept", 1, &["numbers/in"], Buffer::default(), kept.clone())
        .build();
    let (mut runner, _ended) =
        Runner::start(prepare(both, &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    numbers.allow(5);
    numbers.settled(5).await;
    let second = prepare(one, &common).unwrap_or_else(|e| panic!("{e:?}"));
    runner.replace(second, common.clone(), &BTreeSet::new(), DRAIN).await;
    numbers.allow(9);
    numbers.settled(9).await;
    assert_eq!((kept.texts(), removed.texts()), (numbered(0..9), numbered(0..5)));
    assert!(!common.telemetry.expose().expect("encodes").contains("record/removed"));
    runner.shutdown(DRAIN).await;
}
