//! Disks that are full, read-only, slow to answer or gone, and what the policies make of them.

use std::io::ErrorKind;

use super::*;
use crate::delivery::simulated_disk::{SimulatedDisk, Stop};

#[tokio::test]
async fn a_source_is_told_once_its_message_is_on_the_disk() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), settings(Path::new("/queue/file/told")));
    for number in 1..=5 {
        rig.send(number).await;
    }
    wait("the disk", || (1..=5).all(|number| rig.told.has(number, Outcome::Delivered))).await;
    assert_eq!(rig.path.outstanding(), 0);
    wait("the gauges", || rig.metrics.disk_queue().records.get() == 5).await;
    assert!(rig.metrics.disk_queue().bytes.get() > 5 * 100);
    for number in 1..=5 {
        let message = rig.receive().await;
        assert_eq!((super::number(&message), message.is_replayed()), (number, false));
        message.ack.settle(Outcome::Delivered, 1);
    }
    wait("the gauges", || rig.metrics.disk_queue().records.get() == 0).await;
    rig.stop().await;
    assert_eq!(disk.names(), ["cursor"], "nothing is kept of what is settled");
}

#[tokio::test]
async fn what_memory_cannot_hold_comes_back_in_its_order() {
    let rig =
        Rig::start(SimulatedDisk::default(), Settings { memory: 2000, ..settings(Path::new("/queue/file/order")) });
    for number in 1..=500 {
        rig.send(number).await;
    }
    assert!(rig.queue.lock().ready_bytes <= 2500, "but for the last");
    for number in 1..=300 {
        assert_eq!(rig.deliver().await, number);
    }
    for number in 501..=520 {
        rig.send(number).await;
    }
    for number in 301..=520 {
        assert_eq!(rig.deliver().await, number);
    }
    wait("the direct way", || rig.queue.lock().direct).await;
    rig.send(521).await;
    assert_eq!(rig.queue.lock().ready.len(), 1, "once all is read back, nothing goes over the disk");
    rig.stop().await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_done_without_and_told() {
    for (kind, advice) in [
        (ErrorKind::StorageFull, "free some room"),
        (ErrorKind::ReadOnlyFilesystem, "give another `data_dir`"),
        (ErrorKind::PermissionDenied, "let the agent's user write there"),
    ] {
        let disk = SimulatedDisk::default();
        disk.fail(Some(kind));
        let rig = Rig::start(disk.clone(), settings(Path::new("/queue/file/without")));
        rig.send(1).await;
        rig.send(2).await;
        let message = rig.receive().await;
        assert!(!rig.told.is_told(1), "nobody has it yet");
        message.ack.settle(Outcome::Delivered, 1);
        assert!(rig.told.has(1, Outcome::Delivered), "the sink says so");
        wait("the words", || rig.metrics.health.status().unhealthy.is_some()).await;
        let words = rig.metrics.health.status().unhealthy.expect("unhealthy");
        assert!(words.contains("cannot be used") && words.contains(advice), "{words}");
        disk.fail(None);
        wait("the disk", || rig.told.has(2, Outcome::Delivered)).await;
        wait("health", || rig.metrics.health.status().unhealthy.is_none()).await;
        assert_eq!(rig.deliver().await, 2);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_on_the_way_tears_nothing() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), settings(Path::new("/queue/file/fills")));
    rig.send(1).await;
    wait("the disk", || rig.told.has(1, Outcome::Delivered)).await;
    disk.set_room(Some(disk.bytes() + 50));
    for number in 2..=4 {
        rig.send(number).await;
    }
    wait("the words", || rig.metrics.health.status().unhealthy.is_some_and(|words| words.contains("memory alone")))
        .await;
    assert!(!rig.told.is_told(2));
    disk.set_room(None);
    wait("the disk", || (2..=4).all(|number| rig.told.has(number, Outcome::Delivered))).await;
    drop(rig.receive().await);
    rig.stop().await;
    disk.restart(Stop::PowerCut);
    let rig = Rig::start(disk, settings(Path::new("/queue/file/fills")));
    for number in 1..=4 {
        let message = rig.receive().await;
        assert_eq!((super::number(&message), message.is_replayed()), (number, true));
        message.ack.settle(Outcome::Delivered, 1);
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_may_not_have_been_forced_is_settled_by_the_sink() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), settings(Path::new("/queue/file/unforced")));
    disk.fail_syncs(true);
    rig.send(1).await;
    wait("the words", || rig.metrics.health.status().unhealthy.is_some()).await;
    disk.fail_syncs(false);
    rig.send(2).await;
    wait("the disk", || rig.told.has(2, Outcome::Delivered)).await;
    assert!(!rig.told.is_told(1), "a later success says nothing about it");
    assert_eq!(rig.deliver().await, 1);
    assert!(rig.told.has(1, Outcome::Delivered));
    rig.stop().await;
}

#[tokio::test]
async fn what_is_offered_is_forced_as_everything_else_though_the_sink_was_faster() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), settings(Path::new("/queue/file/forced")));
    assert!(rig.queue.put(rig.message(1), true).is_ok());
    wait("the disk", || rig.queue.lock().written == 1).await;
    assert_eq!(rig.deliver().await, 1);
    wait("the force", || disk.unforced_segments() == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn the_cursor_is_written_over_and_made_again_where_it_is_gone() {
    let disk = SimulatedDisk::default();
    let folder = Path::new("/queue/file/cursor");
    let rig = Rig::start(disk.clone(), settings(folder));
    let path = folder.join("cursor");
    let says = |settled| Files::exists(&disk, &path) && cursor::decode(&disk.get(&path)) == Ok(settled);
    for number in 1..=3 {
        rig.send(number).await;
        assert_eq!(rig.deliver().await, number);
        wait("the cursor", || says(number)).await;
        if number == 2 {
            Files::remove(&disk, &path).expect("removed");
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_folder_that_vanishes_is_made_again() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), Settings { memory: 400, ..settings(Path::new("/queue/file/vanishes")) });
    for number in 1..=20 {
        rig.send(number).await;
    }
    wait("the disk", || (1..=20).all(|number| rig.told.has(number, Outcome::Delivered))).await;
    disk.vanish();
    rig.send(21).await;
    wait("the loss", || rig.metrics.health.status().unhealthy.is_some()).await;
    wait("the disk", || {
        rig.try_send(22);
        rig.told.has(22, Outcome::Delivered)
    })
    .await;
    let mut last = 0;
    while last != 22 {
        let number = rig.deliver().await;
        assert!(number >= last);
        last = number;
    }
    assert!(rig.metrics.bytes_lost.get() > 0, "what is gone is counted");
    rig.stop().await;
}

#[tokio::test]
async fn a_full_queue_holds_the_sender_or_drops_the_oldest_as_told() {
    for when_full in [WhenFull::Block, WhenFull::DropOldest] {
        let disk = SimulatedDisk::default();
        let mut settings = Settings { memory: 1000, when_full, ..settings(Path::new("/queue/file/policy")) };
        settings.disk.size = 200 << 10;
        let rig = Rig::start(disk.clone(), settings);
        let mut sent = 0;
        if when_full == WhenFull::Block {
            let begun = std::time::Instant::now();
            // Room comes and goes while the disk is written; a second without any is a full queue.
            let mut taken = begun;
            while taken.elapsed() < Duration::from_secs(1) {
                match rig.try_send(sent + 1) {
                    true => (sent, taken) = (sent + 1, std::time::Instant::now()),
                    false => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
            wait("the words", || rig.metrics.health.status().unhealthy.is_some_and(|w| w.contains("full"))).await;
            assert_eq!(rig.metrics.records_dropped.get(), 0);
            let mut next = 1;
            while next <= sent {
                assert_eq!(rig.deliver().await, next);
                next += 1;
            }
            wait("room", || rig.try_send(sent + 1)).await;
        } else {
            while sent < 6000 {
                sent += 1;
                rig.send(sent).await;
                if sent % 50 == 0 {
                    wait("the disk", || rig.queue.lock().unwritten_bytes == 0).await;
                }
            }
            assert!(disk.bytes() <= 200 << 10, "{} bytes", disk.bytes());
            let (mut received, mut last) = (0, 0);
            while last != sent {
                let number = rig.deliver().await;
                assert!(number > last);
                (received, last) = (received + 1, number);
            }
            assert_eq!(received + rig.metrics.records_dropped.get(), sent, "what is dropped is counted");
            assert!(rig.metrics.records_dropped.get() > 0);
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn an_offer_takes_the_place_of_the_oldest_in_a_queue_that_blocks() {
    let mut settings = Settings { memory: 2000, ..settings(Path::new("/queue/file/offers")) };
    settings.disk.size = 200 << 10;
    let rig = Rig::start(SimulatedDisk::default(), settings);
    for number in 1..=6000 {
        let offered = rig.queue.put(rig.message(number), true);
        assert!(offered.is_ok(), "{number} was not taken");
        if number % 10 == 0 {
            wait("the disk", || rig.queue.lock().unwritten_bytes == 0).await;
        }
    }
    let (mut received, mut last) = (0, 0);
    while last != 6000 {
        (received, last) = (received + 1, rig.deliver().await);
    }
    assert_eq!(received + rig.metrics.records_dropped.get(), 6000);
    rig.stop().await;
}

#[tokio::test]
async fn a_crowded_disk_counts_as_full_and_memory_goes_on() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), settings(Path::new("/queue/file/crowded")));
    disk.set_crowded(true);
    rig.send(1).await;
    wait("the words", || rig.metrics.health.status().unhealthy.is_some_and(|words| words.contains("min_free"))).await;
    assert!(!rig.told.is_told(1));
    assert_eq!(rig.deliver().await, 1);
    assert!(rig.told.has(1, Outcome::Delivered));
    rig.stop().await;
}

#[tokio::test]
async fn what_the_sink_lets_go_is_given_to_it_again() {
    let rig = Rig::start(SimulatedDisk::default(), settings(Path::new("/queue/file/again")));
    for number in 1..=6 {
        rig.send(number).await;
    }
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(rig.receive().await);
    }
    taken.remove(3).ack.settle(Outcome::Delivered, 1);
    drop(taken.remove(1));
    let kept = taken;
    wait("the second", || rig.queue.lock().next_ready == 7 && rig.queue.lock().ready.len() == 3).await;
    for (number, replayed) in [(2, true), (5, false), (6, false)] {
        let message = rig.receive().await;
        assert_eq!((super::number(&message), message.is_replayed()), (number, replayed));
        message.ack.settle(Outcome::Delivered, 1);
    }
    assert_eq!(rig.queue.lock().settled(), 0, "the first is still out");
    kept.into_iter().for_each(|message| message.ack.settle(Outcome::Delivered, 1));
    assert_eq!(rig.queue.lock().settled(), 6);
    rig.stop().await;
}

#[tokio::test]
async fn unknown_files_are_set_aside_and_reported() {
    let disk = SimulatedDisk::default();
    let folder = Path::new("/queue/file/unknown");
    let mut of_tomorrow = Vec::new();
    let created = crate::data::UnixNanos(1);
    crate::formats::segment::Header::new(5, created).write(&mut of_tomorrow);
    of_tomorrow[8] = 9;
    of_tomorrow.extend([0; 100]);
    disk.put(folder.join("00000000000000000005.segment"), of_tomorrow);
    disk.put(folder.join("cursor"), b"something else".to_vec());
    let rig = Rig::start(disk.clone(), settings(folder));
    rig.send(1).await;
    assert_eq!(rig.deliver().await, 1);
    assert!(rig.metrics.errors.get() >= 2, "both are told");
    rig.stop().await;
    let aside: Vec<_> = disk.names().into_iter().filter(|name| name.contains(".unreadable-")).collect();
    assert_eq!(aside.len(), 2, "{aside:?}");
}

#[tokio::test]
async fn a_message_too_large_for_the_disk_keeps_nothing_out_once_the_sink_has_it() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk, settings(Path::new("/queue/file/too-large")));
    let large = {
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        builder.source().records.push(LogRecord::of_body(Slice::EMPTY));
        builder.add_payload_bytes(129 << 20);
        Message::new(Batch::Logs(builder.build()), Ack::new(rig.told.clone(), 1, rig.path.clone(), false))
    };
    assert!(rig.queue.put(large, false).is_ok());
    assert!(!rig.try_send(2), "until then it is what memory has room for");
    let held = rig.receive().await;
    assert!(rig.try_send(2), "the sink has it");
    wait("the disk", || rig.told.has(2, Outcome::Delivered)).await;
    assert!(!rig.told.is_told(1), "nobody but the sink can say what became of it");
    drop(held);
    assert!(!rig.try_send(3), "the sink has let it go");
    wait("the first", || rig.queue.lock().ready.front().is_some_and(|ready| ready.sequence == 1)).await;
    let held = rig.receive().await;
    assert!(held.is_replayed() && held.batch.bytes() > 128 << 20);
    assert!(rig.try_send(3));
    held.ack.settle(Outcome::Delivered, 1);
    assert!(rig.told.has(1, Outcome::Delivered));
    assert_eq!((rig.deliver().await, rig.deliver().await), (2, 3));
    assert_eq!(rig.queue.lock().settled(), 3);
    wait("the disk", || rig.queue.lock().unwritten_bytes == 0).await;
    rig.stop().await;
}
