//! The process is stopped at any operation, again and again: what the queue has taken over arrives all the same.

use std::collections::BTreeSet;

use super::*;
use crate::delivery::simulated_disk::{SimulatedDisk, Stop};

/// One life of the process: sends and delivers until the disk stops it, or, at the last, until all is delivered.
struct Life {
    /// What a source was told to be safe or delivered.
    safe: BTreeSet<u64>,
    /// What the sink has settled.
    delivered: Vec<u64>,
    /// What the sink was given, in order, and whether it was marked as given before.
    given: Vec<(u64, bool)>,
}

async fn live(disk: &SimulatedDisk, mut next: u64, random: &mut fastrand::Rng, last: bool) -> (Life, u64) {
    let folder = Path::new("/queue/file/crashes");
    let fsync = if random.bool() { Fsync::Always } else { Fsync::Every(Duration::from_millis(1)) };
    let size = 64 << 10;
    let memory = random.u64(400..4000);
    let mut settings = Settings { memory, ..settings(folder) };
    settings.disk = DiskBuffer { size, fsync, min_free: 0 };
    let rig = Rig::start(disk.clone(), settings);
    let (mut given, mut delivered, mut held) = (Vec::new(), Vec::new(), Vec::new());
    let begun = std::time::Instant::now();
    // What a stopped process is told does not count; nor does what it does.
    let mut stopped_at = None;
    while stopped_at.is_none() {
        assert!(begun.elapsed() < PATIENCE, "a life does not end");
        if disk.is_stopped() {
            stopped_at = Some(rig.told.0.lock().expect("not poisoned").clone());
            break;
        }
        if !last && random.u8(..3) > 0 && rig.try_send(next) {
            next += 1;
        }
        if last || random.u8(..3) == 0 {
            let taken = rig.queue.take();
            given.extend(taken.iter().map(|message| (number(message), message.is_replayed())));
            held.extend(taken);
        }
        if (last || random.u8(..4) == 0) && !held.is_empty() {
            let message: Message = held.remove(random.usize(..held.len()));
            let number = number(&message);
            // Before it is told, so that whoever sees it told sees it delivered.
            delivered.push(number);
            message.ack.settle(Outcome::Delivered, 1);
        }
        if last && held.is_empty() && rig.queue.lock().opened {
            let state = rig.queue.lock();
            if state.direct && state.ready.is_empty() {
                drop(state);
                stopped_at = Some(rig.told.0.lock().expect("not poisoned").clone());
                break;
            }
        }
        if random.u8(..8) == 0 {
            tokio::time::sleep(Duration::from_micros(random.u64(..400))).await;
        }
    }
    let told = stopped_at.expect("the loop ends so");
    let good = |verdict: &Verdict| !verdict.abandoned && verdict.count(Outcome::Delivered) > 0;
    let safe: BTreeSet<u64> = told.iter().filter(|(_, verdict)| good(verdict)).map(|(number, _)| *number).collect();
    drop(held);
    rig.stop().await;
    (Life { safe, delivered, given }, next)
}

async fn crashes(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let disk = SimulatedDisk::default();
    let (mut safe, mut delivered, mut next) = (BTreeSet::new(), BTreeSet::new(), 1);
    for life in 0..=random.u32(2..6) {
        let last = life > 1 && random.bool();
        if !last {
            disk.stop_after(random.u64(1..60), random.fork());
        }
        let before = next;
        let (lived, then) = live(&disk, next, &mut random, last).await;
        next = then;
        for pair in lived.given.windows(2) {
            assert!(pair[0].0 < pair[1].0, "seed {seed}, life {life}: {} came after {}", pair[1].0, pair[0].0);
        }
        for (number, replayed) in &lived.given {
            assert!(*number < next, "seed {seed}: {number} was never sent");
            assert_eq!(*replayed, *number < before, "seed {seed}, life {life}: {number} is marked");
        }
        safe.extend(lived.safe);
        delivered.extend(lived.delivered);
        if last {
            let lost: Vec<_> = safe.difference(&delivered).collect();
            assert!(lost.is_empty(), "seed {seed}, life {life}: {lost:?} were safe and never came");
        }
        disk.restart(if random.bool() { Stop::Kill } else { Stop::PowerCut });
    }
    let (lived, _) = live(&disk, next, &mut random, true).await;
    delivered.extend(lived.delivered);
    let lost: Vec<_> = safe.difference(&delivered).collect();
    assert!(lost.is_empty(), "seed {seed}: {lost:?} were safe and never came");
    assert_eq!(disk.names().iter().filter(|name| name.ends_with(".segment")).count(), 0, "seed {seed}: all is settled");
}

#[tokio::test]
async fn nothing_that_was_taken_over_is_lost_at_a_crash() {
    let first = fastrand::u64(..);
    for seed in first..first + 60 {
        crashes(seed).await;
    }
}
