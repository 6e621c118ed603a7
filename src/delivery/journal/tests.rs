//! What was durable is there again after any crash, and damage is told.

use super::*;
use crate::delivery::simulated_disk::{SimulatedDisk, Stop};

fn place(disk: &SimulatedDisk) -> Place {
    Place {
        files: Arc::new(disk.clone()),
        folder: PathBuf::from("/alerts"),
        name: "states".into(),
        kind: Kind(*b"TESTING\0"),
    }
}

fn restored(place: &Place) -> (Vec<Vec<u8>>, Restored) {
    let mut records = Vec::new();
    let restored = place.restore(|record| records.push(record.to_vec())).expect("restored");
    (records, restored)
}

#[test]
fn the_state_and_what_came_behind_it_are_read_in_order() {
    let place = place(&SimulatedDisk::default());
    let (records, found) = restored(&place);
    assert!(records.is_empty() && !found.found);
    let mut journal = place.begin(&found, [b"one".as_slice(), b""]).expect("begun");
    journal.append(b"two");
    journal.append(b"three");
    journal.commit(true).expect("written");
    let (records, found) = restored(&place);
    assert_eq!(records, [b"one".as_slice(), b"", b"two", b"three"]);
    assert!(found.found && found.complaints.is_empty());
    journal.replace([b"all".as_slice()]).expect("replaced");
    assert_eq!(restored(&place).0, [b"all"]);
}

#[test]
fn a_file_of_another_kind_is_set_aside_and_told() {
    let disk = SimulatedDisk::default();
    let other = Place { kind: Kind(*b"OTHERS\0\0"), ..place(&disk) };
    other.begin(&Restored::default(), []).expect("begun");
    let (_, found) = restored(&place(&disk));
    assert!(!found.found && found.complaints[0].contains("set aside"), "{:?}", found.complaints);
    assert!(disk.names()[0].ends_with("unreadable"));
}

#[test]
fn a_journal_that_failed_writes_nothing_until_it_is_begun_again() {
    let disk = SimulatedDisk::default();
    let place = place(&disk);
    let mut journal = place.begin(&Restored::default(), []).expect("begun");
    disk.fail_syncs(true);
    journal.append(b"lost?");
    journal.commit(true).expect_err("not durable");
    disk.fail_syncs(false);
    journal.append(b"never");
    journal.commit(true).expect_err("broken");
    assert!(journal.is_long());
    journal.replace([b"state".as_slice()]).expect("replaced");
    journal.append(b"more");
    journal.commit(true).expect("written");
    assert_eq!(restored(&place).0, [b"state".as_slice(), b"more"]);
}

/// Numbers are journalled in their order and now and then the journal is begun again with all of them; after any
/// crash, what was durable is there, and nothing that was never written.
#[test]
fn what_was_durable_survives_every_crash() {
    for seed in 0..400u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = SimulatedDisk::default();
        let place = place(&disk);
        // What was appended; what a kill leaves; what a power cut leaves.
        let (mut appended, mut written, mut forced) = (0u32, 0u32, 0u32);
        let mut last = Stop::Kill;
        for life in 0..4 {
            let (records, found) = restored(&place);
            let numbers: Vec<u32> =
                records.iter().map(|record| u32::from_le_bytes(record[..4].try_into().expect("four"))).collect();
            let kept = numbers.last().map_or(0, |last| last + 1);
            assert_eq!(numbers, (0..kept).collect::<Vec<_>>(), "seed {seed}, life {life}");
            let least = if last == Stop::Kill { written } else { forced };
            assert!((least..=appended).contains(&kept), "seed {seed}, life {life}: {least} {kept} {appended}");
            (appended, written, forced) = (kept, kept, forced.min(kept));
            let how = if random.bool() { Stop::Kill } else { Stop::PowerCut };
            disk.stop_after(random.u64(1..25), fastrand::Rng::with_seed(random.u64(..)));
            let state = |up_to: u32| (0..up_to).map(u32::to_le_bytes).collect::<Vec<_>>();
            if let Ok(mut journal) = place.begin(&found, state(kept).iter().map(<[u8; 4]>::as_slice)) {
                forced = kept;
                while !disk.is_stopped() {
                    if random.u8(..8) == 0 {
                        if journal.replace(state(appended).iter().map(<[u8; 4]>::as_slice)).is_ok() {
                            (written, forced) = (appended, appended);
                        }
                        continue;
                    }
                    let force = random.bool();
                    for _ in 0..random.u8(1..4) {
                        journal.append(&appended.to_le_bytes());
                        appended += 1;
                    }
                    if journal.commit(force).is_ok() {
                        written = appended;
                        forced = if force { appended } else { forced };
                    }
                }
            }
            last = how;
            disk.restart(how);
        }
    }
}
