//! Segments that are not there any more when something of them is wanted again.

use super::*;
use crate::delivery::simulated_disk::SimulatedDisk;

const FIRST: &str = "00000000000000000001.segment";

#[tokio::test]
async fn what_was_let_go_and_has_vanished_is_lost_and_holds_nothing_up() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), settings(Path::new("/queue/file/let-go")));
    for number in 1..=4 {
        rig.send(number).await;
    }
    wait("the disk", || (1..=4).all(|number| rig.told.has(number, Outcome::Delivered))).await;
    let first = rig.receive().await;
    assert_eq!(rig.deliver().await, 2);
    disk.vanish();
    drop(first);
    for number in 3..=4 {
        assert_eq!(rig.deliver().await, number, "memory has it");
    }
    wait("the loss", || rig.metrics.records_lost.get() == 1).await;
    wait("the end", || rig.queue.lock().settled() == 4).await;
    wait("the direct way", || rig.queue.lock().direct).await;
    rig.send(5).await;
    assert_eq!(rig.deliver().await, 5);
    wait("the gauge", || rig.metrics.disk_queue().records.get() == 0).await;
    assert_eq!(rig.metrics.records_lost.get(), 1);
    rig.stop().await;
    assert_eq!(disk.names(), ["cursor"], "the cursor has moved on");
}

#[tokio::test]
async fn what_its_source_waits_for_and_has_vanished_is_asked_of_it_again() {
    let disk = SimulatedDisk::default();
    let mut settings = settings(Path::new("/queue/file/asked"));
    settings.disk.fsync = Fsync::Every(Duration::from_secs(10));
    let rig = Rig::start(disk.clone(), settings);
    assert!(rig.queue.put(rig.message(1), true).is_ok());
    rig.send(2).await;
    wait("the disk", || rig.queue.lock().written == 2).await;
    let out = [rig.receive().await, rig.receive().await];
    disk.vanish();
    drop(out);
    wait("the end", || rig.queue.lock().settled() == 2).await;
    wait("the sources", || rig.told.is_told(1) && rig.told.is_told(2)).await;
    assert!(!rig.told.has(2, Outcome::Delivered));
    wait("the loss", || rig.metrics.records_lost.get() == 1).await;
    rig.stop().await;
}

#[tokio::test]
async fn what_was_let_go_and_was_dropped_is_lost_and_memory_keeps_the_rest() {
    let disk = SimulatedDisk::default();
    let when_full = WhenFull::DropOldest;
    let mut settings = Settings { memory: 8 << 20, when_full, ..settings(Path::new("/queue/file/dropped")) };
    settings.disk.size = 200 << 10;
    let rig = Rig::start(disk.clone(), settings);
    let last = 4000;
    rig.send(1).await;
    let first = rig.receive().await;
    for number in 2..=last {
        rig.send(number).await;
        if number % 50 == 0 {
            wait("the disk", || rig.queue.lock().unwritten_bytes == 0).await;
        }
    }
    wait("room", || !disk.names().iter().any(|name| name == FIRST)).await;
    drop(first);
    wait("the loss", || rig.metrics.records_lost.get() == 1).await;
    for number in 2..=last {
        assert_eq!(rig.deliver().await, number);
    }
    assert_eq!(rig.queue.lock().settled(), last);
    assert_eq!((rig.metrics.records_lost.get(), rig.metrics.records_dropped.get()), (1, 0));
    rig.stop().await;
}

#[tokio::test]
async fn what_was_let_go_comes_before_what_is_ready_though_memory_is_full() {
    let settings = Settings { memory: 1000, ..settings(Path::new("/queue/file/before")) };
    let rig = Rig::start(SimulatedDisk::default(), settings);
    for number in 1..=60 {
        rig.send(number).await;
    }
    wait("the disk", || (1..=60).all(|number| rig.told.has(number, Outcome::Delivered))).await;
    let out = [rig.receive().await, rig.receive().await, rig.receive().await];
    wait("a full memory", || rig.queue.lock().ready_bytes > 500).await;
    drop(out);
    wait("the worker", || !rig.queue.lock().rewind).await;
    for number in 1..=60 {
        assert_eq!(rig.deliver().await, number);
    }
    assert_eq!(rig.queue.lock().settled(), 60);
    rig.stop().await;
}
