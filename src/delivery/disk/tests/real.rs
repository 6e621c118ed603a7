//! The same on the machine's own disk.

use std::fs;

use super::*;
use crate::delivery::files::RealFiles;

#[tokio::test]
async fn a_queue_outlives_its_process_and_its_torn_tail() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = folder(data.path(), "file/x");
    let rig = Rig::start(RealFiles, settings(&folder));
    for number in 1..=20 {
        rig.send(number).await;
    }
    wait("the disk", || rig.told.has(20, Outcome::Delivered)).await;
    for number in 1..=5 {
        assert_eq!(rig.deliver().await, number);
    }
    rig.stop().await;
    let segment = folder.join("00000000000000000001.segment");
    let whole = fs::read(&segment).expect("there");
    // As if the process had died while it wrote one more.
    fs::write(&segment, [&whole[..], &whole[32..90]].concat()).expect("written");
    let rig = Rig::start(RealFiles, settings(&folder));
    for number in 6..=20 {
        let message = rig.receive().await;
        assert_eq!((super::number(&message), message.is_replayed()), (number, true));
        assert_eq!(&*message.input, "");
        if number == 6 {
            // Once everything is settled it is deleted.
            let cut = fs::metadata(&segment).expect("there").len();
            assert_eq!(cut, whole.len() as u64, "the torn tail is cut off");
        }
        message.ack.settle(Outcome::Delivered, 1);
    }
    assert_eq!(rig.metrics.errors.get(), 1, "and told");
    rig.stop().await;
    assert!(!segment.exists());
}

#[tokio::test]
async fn a_successor_waits_until_its_predecessor_has_written_everything() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = folder(data.path(), "file/x");
    let old = Rig::start(RealFiles, settings(&folder));
    wait("the lease", || old.queue.lock().opened).await;
    let new = Rig::start(RealFiles, settings(&folder));
    for number in 1..=50 {
        old.send(number).await;
        new.send(number + 50).await;
    }
    assert!(new.queue.take().is_none(), "the folder is the predecessor's");
    old.stop().await;
    for number in 1..=100 {
        assert_eq!(new.deliver().await, number);
    }
    new.stop().await;
}

#[tokio::test]
async fn a_folder_nobody_may_write_is_survived() {
    let data = tempfile::NamedTempFile::new().expect("a file");
    // A folder below a file can be made by nobody, whoever runs this.
    let rig = Rig::start(RealFiles, settings(&folder(data.path(), "file/x")));
    rig.send(1).await;
    assert_eq!(rig.deliver().await, 1);
    assert!(rig.told.has(1, Outcome::Delivered));
    wait("the words", || rig.metrics.health.status().unhealthy.is_some()).await;
    rig.stop().await;
}
