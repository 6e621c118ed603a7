//! What damaged files and a disk that fails cost: what is damaged, and for as long as it fails.

use super::*;

#[test]
fn damage_costs_what_is_damaged() {
    let table = SeriesTable::new(1000);
    let all = list(&table, 0..600);
    let disk = SimulatedDisk::default();
    let first = store(&table);
    let (mut keeper, _) = open(&first, &disk, 0);
    for at in 1..10 {
        scrape(&first, &all, 0, at * 1000);
        keeper.commit(UnixMillis(at * 1000)).expect("committed");
    }
    let journal = PathBuf::from("/series").join(&disk.names()[0]);
    // The last bytes of a journal.
    let mut bytes = disk.get(&journal);
    bytes.truncate(bytes.len() - 7);
    disk.put(journal, bytes);
    drop(keeper);
    let second = store(&SeriesTable::new(1000));
    let (keeper, restored) = open(&second, &disk, 10_000);
    assert!(restored.lost > 100 && restored.complaints[0].contains("not whole"), "{restored:?}");
    assert_eq!((restored.samples, second.series_count()), (600 * 8, 600));
    // A byte in the midst of a snapshot.
    keeper.finish(UnixMillis(10_000)).expect("written");
    let snapshot = disk.names().into_iter().find(|name| name.ends_with("snapshot")).expect("a snapshot");
    let snapshot = PathBuf::from("/series").join(snapshot);
    let mut bytes = disk.get(&snapshot);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    disk.put(snapshot.clone(), bytes.clone());
    let third = store(&SeriesTable::new(1000));
    let (_, restored) = open(&third, &disk, 10_000);
    assert!(restored.lost > 100, "{restored:?}");
    assert!((300..600).contains(&third.series_count()), "{}", third.series_count());
    // A file of a later release.
    bytes[8] = 9;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..32]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    disk.put(snapshot, bytes);
    let fourth = store(&SeriesTable::new(1000));
    let (_, restored) = open(&fourth, &disk, 10_000);
    assert!(restored.complaints[0].contains("later") || restored.complaints[0].contains("version"), "{restored:?}");
    assert!(disk.names().iter().any(|name| name.ends_with("unreadable")));
}

#[test]
fn a_disk_that_fails_for_a_while_costs_nothing_but_the_time() {
    let table = SeriesTable::new(1000);
    let all = list(&table, 0..SERIES);
    let disk = SimulatedDisk::default();
    let first = store(&table);
    let (mut keeper, _) = open(&first, &disk, 0);
    keeper.least = 2000;
    let mut failures = 0;
    for at in 1..400i64 {
        disk.fail((100..200).contains(&at).then_some(std::io::ErrorKind::StorageFull));
        disk.set_room((200..300).contains(&at).then(|| disk.bytes() + 10));
        scrape(&first, &all, 0, at * 1000);
        failures += usize::from(keeper.commit(UnixMillis(at * 1000)).is_err());
    }
    assert!((10..40).contains(&failures), "{failures}: it is tried every ten seconds");
    assert_eq!(first.counters().journal_errors.get(), failures as u64);
    let second = store(&SeriesTable::new(1000));
    let (_, restored) = open(&second, &disk, 400_000);
    assert_eq!(everything(&second), everything(&first));
    assert!(restored.complaints.is_empty(), "{restored:?}");
    assert!(disk.names().len() < 6, "{:?}", disk.names());
}

#[test]
fn a_journal_that_failed_takes_nothing_from_the_last_snapshot() {
    let disk = SimulatedDisk::default();
    let table = SeriesTable::new(1000);
    let all = list(&table, 0..SERIES);
    let first = store(&table);
    let (mut keeper, _) = open(&first, &disk, 1000);
    scrape(&first, &all, 0, 1000);
    keeper.commit(UnixMillis(1000)).expect("committed");
    // So much that the journal forgot some of it.
    first.write().ahead.as_mut().expect("a journal").tear();
    scrape(&first, &all, 0, 2000);
    keeper.finish(UnixMillis(2000)).expect("written");
    let second = store(&SeriesTable::new(1000));
    open(&second, &disk, 2000);
    assert_eq!(everything(&second), everything(&first));
    // Where the disk fails for the snapshot too, what failed first is told.
    let (mut keeper, _) = open(&second, &disk, 3000);
    keeper.commit(UnixMillis(3000)).expect("committed");
    second.write().ahead.as_mut().expect("a journal").tear();
    disk.fail(Some(std::io::ErrorKind::StorageFull));
    let error = keeper.finish(UnixMillis(3000)).expect_err("it fails");
    assert!(error.to_string().contains("forgotten"), "{error}");
}

/// A disk that is read-only, or full, at the start.
#[test]
fn what_cannot_be_written_at_the_start_is_read_all_the_same_and_written_as_soon_as_that_is_possible() {
    let disk = SimulatedDisk::default();
    let table = SeriesTable::new(1000);
    let list = list(&table, 0..SERIES);
    let first = store(&table);
    let (mut keeper, _) = open(&first, &disk, 1000);
    scrape(&first, &list, 0, 1000);
    keeper.commit(UnixMillis(1000)).expect("committed");
    drop(keeper);
    disk.fail(Some(std::io::ErrorKind::ReadOnlyFilesystem));
    let second = store(&table);
    let (mut keeper, restored) = Keeper::open_when_possible(second.clone(), place(&disk), UnixMillis(2000));
    assert_eq!((restored.expect("read").samples, keeper.is_behind()), (SERIES as u64, true));
    scrape(&second, &list, 0, 2000);
    assert!(keeper.is_pending(UnixMillis(2000)));
    keeper.commit(UnixMillis(2000)).expect_err("it is read-only");
    disk.fail(None);
    assert!(!keeper.is_pending(UnixMillis(3000)) && keeper.is_pending(UnixMillis(20_000)));
    keeper.commit(UnixMillis(20_000)).expect("committed");
    assert!(!keeper.is_behind());
    let third = store(&SeriesTable::new(1000));
    open(&third, &disk, 20_000);
    assert_eq!(everything(&third), everything(&second));
}

#[test]
fn a_folder_that_cannot_be_made_is_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    std::fs::write(&data_dir, "a file").expect("written");
    let place = || Place { files: Arc::new(crate::delivery::files::RealFiles), folder: data_dir.join("series") };
    let table = SeriesTable::new(1000);
    let list = list(&table, 0..SERIES);
    let first = store(&table);
    let (mut keeper, restored) = Keeper::open_when_possible(first.clone(), place(), UnixMillis(1000));
    assert_eq!(restored.expect("nothing is there").samples, 0);
    scrape(&first, &list, 0, 1000);
    keeper.commit(UnixMillis(1000)).expect_err("it is a file");
    std::fs::remove_file(&data_dir).expect("removed");
    keeper.commit(UnixMillis(20_000)).expect("committed");
    let second = store(&SeriesTable::new(1000));
    Keeper::open(second.clone(), place(), UnixMillis(20_000)).expect("opened");
    assert_eq!(everything(&second), everything(&first));
}
