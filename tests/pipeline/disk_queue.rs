//! Sinks with a disk queue, through reloads, shutdowns and restarts. On the real clock: disks know no other.

use std::path::Path;
use std::time::Duration;

use tailwater::pipeline::graph::{Buffer, Graph};
use tailwater::pipeline::{Common, Runner, prepare};

use crate::components::{Numbers, Plans, Record, common};

const PATIENCE: Duration = Duration::from_secs(60);

fn on(data_dir: &Path) -> Common {
    Common { data_dir: data_dir.into(), ..common() }
}

fn graph(numbers: &Numbers, late: (u64, &Record), prompt: &Record) -> Graph {
    let mut buffer = Buffer::on_disk(64 << 20);
    buffer.memory = 2000;
    if let Some(disk) = &mut buffer.disk {
        // However full this machine's disk is.
        disk.min_free = 0;
    }
    Plans::default()
        .source("numbers/in", 1, numbers.clone())
        .sink("record/late", late.0, &["numbers/in"], buffer, late.1.clone())
        .sink("record/prompt", 1, &["numbers/in"], Buffer::default(), prompt.clone())
        .build()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

#[tokio::test]
async fn a_hung_sink_holds_nothing_back_and_gets_everything_after_a_reload_and_a_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let (numbers, late, prompt) = (Numbers::default(), Record::default(), Record::default());
    let common = on(data.path());
    let plan =
        |version| prepare(graph(&numbers, (version, &late), &prompt), &common).unwrap_or_else(|e| panic!("{e:?}"));
    let (mut runner, _ended) = Runner::start(plan(1), common.clone());
    late.hang(true);
    numbers.allow(500);
    within("the disk", numbers.settled(500)).await;
    assert_eq!(prompt.texts(), numbered(0..500), "the other sink is on time");
    assert!(late.texts().is_empty());

    let limit = Duration::from_secs(20);
    within("a reload", runner.replace(plan(2), common.clone(), &Default::default(), limit)).await;
    late.hang(false);
    within("what was queued", late.reached(500)).await;
    assert_eq!(late.texts(), numbered(0..500), "the successor takes the queue over");

    late.hang(true);
    numbers.allow(900);
    within("the disk", numbers.settled(900)).await;
    // Whoever waited for what is on disk would wait for ever.
    within("the end", runner.shutdown(Duration::from_millis(300))).await;

    late.hang(false);
    let (runner, _ended) = Runner::start(plan(2), common.clone());
    within("what was queued", late.reached(900)).await;
    assert_eq!(late.texts(), numbered(0..900), "after the restart, each once and in order");
    within("the end", runner.shutdown(limit)).await;
    let left = std::fs::read_dir(data.path().join("queue/record/late")).expect("the queue's folder");
    let left: Vec<_> = left.map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(left, ["cursor"], "what is delivered is not kept");
}

#[tokio::test]
async fn a_healthy_sink_gets_its_queue_before_the_end() {
    let data = tempfile::tempdir().expect("a folder");
    let (numbers, late, prompt) = (Numbers::default(), Record::default(), Record::default());
    let common = on(data.path());
    let prepared = prepare(graph(&numbers, (1, &late), &prompt), &common).unwrap_or_else(|e| panic!("{e:?}"));
    let (runner, _ended) = Runner::start(prepared, common.clone());
    late.hang(true);
    numbers.allow(300);
    within("the disk", numbers.settled(300)).await;
    let end = tokio::spawn(runner.shutdown(Duration::from_secs(20)));
    late.hang(false);
    within("the end", end).await.expect("no panic");
    assert_eq!(late.texts(), numbered(0..300));
}
