//! Segments that are damaged behind the queue's back: what stands before it arrives, the rest is counted.

use super::*;
use crate::delivery::simulated_disk::SimulatedDisk;
use crate::formats::segment::{Frames, HEADER_LEN, Header};

const MESSAGES: u64 = 30;

/// A queue that an earlier process has left with messages from 1 on, and where each record begins.
async fn left_behind(folder: &Path) -> (SimulatedDisk, PathBuf, Vec<usize>) {
    let disk = SimulatedDisk::default();
    let rig = Rig::start(disk.clone(), settings(folder));
    for number in 1..=MESSAGES {
        rig.send(number).await;
    }
    wait("the disk", || (1..=MESSAGES).all(|number| rig.told.has(number, Outcome::Delivered))).await;
    rig.stop().await;
    let path = folder.join("00000000000000000001.segment");
    let bytes = disk.get(&path);
    let mut begin = vec![HEADER_LEN];
    for frame in Frames::new(&bytes).expect("a segment") {
        begin.push(begin[begin.len() - 1] + frame.len());
    }
    assert_eq!(begin.pop(), Some(bytes.len()));
    assert_eq!(begin.len() as u64, MESSAGES);
    (disk, path, begin)
}

/// Delivers what there is and says how many messages were, and how many records and bytes were lost.
async fn after(disk: SimulatedDisk, folder: &Path) -> (u64, u64, u64) {
    let rig = Rig::start(disk, settings(folder));
    // What comes behind everything that was left.
    let last = MESSAGES + 1;
    wait("the folder", || rig.queue.lock().opened).await;
    rig.send(last).await;
    let mut before = 0;
    while rig.deliver().await != last {
        before += 1;
    }
    wait("the gauge", || rig.metrics.disk_queue().records.get() == 0).await;
    let lost = (before, rig.metrics.records_lost.get(), rig.metrics.bytes_lost.get());
    rig.stop().await;
    lost
}

#[tokio::test]
async fn records_behind_damage_are_counted_as_far_as_heads_tell() {
    let folder = Path::new("/queue/file/damage");
    let tenth = 9;
    for (what, at, length, readable) in
        [("a payload", 45, 1, true), ("a count", 12, 1, false), ("a length", 6, 1, true), ("a head", 0, 40, true)]
    {
        for newest in [true, false] {
            let (disk, path, begin) = left_behind(folder).await;
            let mut bytes = disk.get(&path);
            let size = bytes.len();
            bytes[begin[tenth] + at..][..length].iter_mut().for_each(|byte| *byte ^= 0xff);
            disk.put(path, bytes);
            if !newest {
                // A newer one that has nothing yet.
                let mut header = Vec::new();
                Header::new(MESSAGES + 1, crate::data::UnixNanos(1)).write(&mut header);
                disk.put(folder.join(format!("{:020}.segment", MESSAGES + 1)), header);
            }
            let (delivered, records, lost) = after(disk, folder).await;
            let case = format!("{what}, newest: {newest}");
            assert_eq!((delivered, lost), (9, (size - begin[tenth]) as u64), "{case}");
            // A head that is not readable hides the records of its own message alone.
            let own = if what == "a payload" { 1 } else { 0 };
            if readable {
                assert_eq!(records, MESSAGES - 10 + own, "{case}");
            } else {
                assert!(records >= MESSAGES - 10, "{case}: {records}");
            }
        }
    }
}

#[tokio::test]
async fn a_torn_tail_is_no_loss() {
    let folder = Path::new("/queue/file/torn");
    let (disk, path, begin) = left_behind(folder).await;
    let mut bytes = disk.get(&path);
    bytes.truncate(begin[29] + 50);
    disk.put(path, bytes);
    assert_eq!(after(disk, folder).await, (29, 0, 0));
}
