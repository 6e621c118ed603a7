//! What sources withdraw: they send it again, so the sink must not get it as well.

use std::io::ErrorKind;

use super::*;
use crate::delivery::simulated_disk::SimulatedDisk;

#[tokio::test]
async fn what_its_source_withdraws_before_it_is_written_is_forgotten() {
    let disk = SimulatedDisk::default();
    disk.fail(Some(ErrorKind::StorageFull));
    let rig = Rig::start(disk.clone(), Settings { memory: 1 << 20, ..settings(Path::new("/queue/file/withdrawn")) });
    rig.send(1).await;
    rig.path.revoke();
    wait("the withdrawal", || rig.told.is_told(1)).await;
    assert!(rig.queue.take().is_none());
    rig.stop().await;
}

#[tokio::test]
async fn what_its_source_withdraws_before_it_is_forced_is_forgotten() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), settings(Path::new("/queue/file/unforced")));
    disk.stall_syncs(true);
    rig.send(1).await;
    wait("the disk", || rig.queue.lock().written == 1).await;
    rig.path.revoke();
    disk.stall_syncs(false);
    wait("the withdrawal", || rig.told.is_told(1)).await;
    assert!(rig.queue.take().is_none(), "its source sends it again");
    assert_eq!(rig.queue.lock().settled(), 1);
    wait("the gauges", || rig.metrics.disk_queue().records.get() == 0).await;
    rig.stop().await;
    assert_eq!(disk.names(), ["cursor"], "nothing is kept of it");
}

#[tokio::test]
async fn what_is_withdrawn_behind_others_is_not_read_back() {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), Settings { memory: 2000, ..settings(Path::new("/queue/file/behind")) });
    for number in 1..=60 {
        rig.send(number).await;
    }
    wait("the disk", || rig.told.has(60, Outcome::Delivered)).await;
    disk.stall_syncs(true);
    let path = crate::delivery::Path::new();
    let message = rig.message_of(61, Ack::new(rig.told.clone(), 61, path.clone(), false));
    assert!(rig.queue.put(message, false).is_ok());
    wait("the disk", || rig.queue.lock().written == 61).await;
    assert!(rig.queue.lock().next_ready < 61, "memory has no room for it");
    path.revoke();
    disk.stall_syncs(false);
    wait("the withdrawal", || rig.told.is_told(61)).await;
    rig.send(62).await;
    for number in 1..60 {
        assert_eq!(rig.deliver().await, number);
    }
    // What the sink lets go is read once more, and all that comes behind it.
    drop(rig.receive().await);
    wait("the last but two", || rig.queue.lock().ready.front().is_some_and(|ready| ready.sequence == 60)).await;
    assert_eq!((rig.deliver().await, rig.deliver().await), (60, 62));
    assert_eq!(rig.queue.lock().settled(), 62);
    assert!(rig.queue.lock().handed.is_empty());
    wait("the gauges", || rig.metrics.disk_queue().records.get() == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn who_waits_for_the_answer_waits_for_no_long_fsync() {
    let mut settings = settings(Path::new("/queue/file/waited-for"));
    settings.disk.fsync = Fsync::Every(Duration::from_secs(3600));
    let rig = Rig::start(SimulatedDisk::default(), settings);
    rig.send(1).await;
    wait("the disk", || rig.queue.lock().written == 1).await;
    let message = rig.message_of(2, Ack::new(rig.told.clone(), 2, rig.path.clone(), true));
    assert!(rig.queue.put(message, false).is_ok());
    wait("the disk", || rig.told.has(2, Outcome::Delivered)).await;
    assert!(rig.told.has(1, Outcome::Delivered), "it was forced along");
    rig.stop().await;
}
