//! The shop under a clock of the test's own: what it notes is what its files hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::*;
use crate::formats::container::HeaderReader;

const START: UnixNanos = UnixNanos(1_795_392_123_000_000_000);

fn run(root: &Path, seed: u64, seconds: u64, rate: f64) -> (Shop, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::default());
    let books = Books { ledger: ledger.clone(), till: Arc::default(), tracer: Box::new(|_, _, _| {}) };
    let mut shop = Shop::open(root, rate, seed, books, START).expect("opens");
    for tick in 0..=seconds * 20 {
        shop.advance(plus(START, Duration::from_millis(tick * 50))).expect("writes");
    }
    (shop, ledger)
}

/// Every whole record on disk by its number, and the names of the files that hold them.
fn on_disk(root: &Path) -> (BTreeMap<u64, Vec<u8>>, BTreeSet<String>) {
    let (mut records, mut names) = (BTreeMap::new(), BTreeSet::new());
    for pod in fs::read_dir(root.join("var/log/pods")).expect("a folder") {
        for container in fs::read_dir(pod.expect("an entry").path()).expect("a folder") {
            let mut files: Vec<_> = fs::read_dir(container.expect("an entry").path())
                .expect("a folder")
                .map(|file| file.expect("an entry").path())
                .collect();
            // The one being written comes last.
            files.sort_by_key(|path| (path.ends_with("0.log"), path.clone()));
            let (mut reader, mut open) = (HeaderReader::default(), Vec::new());
            for path in files {
                names.insert(path.file_name().expect("a name").to_string_lossy().into_owned());
                for line in fs::read(&path).expect("reads").split_inclusive(|&b| b == b'\n') {
                    let line = line.strip_suffix(b"\n").expect("whole lines");
                    let header = reader.read(line).expect("a header");
                    open.extend_from_slice(&line[header.content]);
                    if !header.partial {
                        let twice = records.insert(header.time.0, std::mem::take(&mut open));
                        assert!(twice.is_none(), "a number is given once");
                    }
                }
            }
            assert!(open.is_empty(), "a split line ends");
        }
    }
    (records, names)
}

#[test]
fn what_it_notes_is_what_its_files_hold() {
    let seed = fastrand::u64(..);
    let root = tempfile::tempdir().expect("a folder");
    let (shop, ledger) = run(root.path(), seed, 4, 500.0);
    let (records, names) = on_disk(root.path());
    let counts = ledger.counts();
    assert_eq!(records.len() as u64, counts.written, "seed {seed}");
    assert!((2000..2100).contains(&counts.written), "seed {seed}: {counts:?}");
    assert_eq!(counts.open, counts.written - counts.dropped);
    for number in records.keys() {
        ledger.find(Some(UnixNanos(*number)), "", false, START);
    }
    assert_eq!(ledger.counts().open, 0, "seed {seed}");
    assert_eq!(shop.deeds().rotations, 2);
    assert!(names.iter().any(|name| name.starts_with("0.log.2026")), "{names:?}");
    let debug = |text: &&Vec<u8>| {
        let text = String::from_utf8_lossy(text);
        text.contains(r#""level":"debug""#) || text.contains(r#""level":20"#)
    };
    assert_eq!(records.values().filter(debug).count() as u64, counts.dropped, "seed {seed}");
}

#[test]
fn the_first_rotation_falls_into_a_split_line() {
    let root = tempfile::tempdir().expect("a folder");
    let (shop, _) = run(root.path(), 1, 1, 0.0);
    assert_eq!(shop.deeds(), Deeds { rotations: 1, split: 1, short_lived: 1 });
    let folder = shop.staff[0].log.folder();
    let tags = |name: &str| -> Vec<bool> {
        let text = fs::read(folder.join(name)).expect("reads");
        let mut reader = HeaderReader::default();
        text.split(|&b| b == b'\n').filter_map(|line| Some(reader.read(line).ok()?.partial)).collect()
    };
    assert_eq!(tags("0.log.20261123-000204"), [true]);
    assert_eq!(tags("0.log"), [true, false]);
}

#[test]
fn a_migration_lives_a_second_and_is_deleted_later() {
    let root = tempfile::tempdir().expect("a folder");
    let pods = |root: &Path| {
        let names = fs::read_dir(root.join("var/log/pods")).expect("a folder");
        names.filter(|name| name.as_ref().expect("an entry").file_name().to_string_lossy().contains("migrate")).count()
    };
    let (mut shop, ledger) = run(root.path(), 1, 2, 0.0);
    assert_eq!(pods(root.path()), 1);
    // Besides the migration's lines there is the one amid which the log was rotated.
    assert_eq!(ledger.counts().written, LAST_OF_MIGRATION + 1 + 1);
    shop.advance(plus(START, Duration::from_millis(6500))).expect("writes");
    assert_eq!(shop.deeds().short_lived, 2);
    assert_eq!(pods(root.path()), 1, "the first is gone, the second is there");
}

#[test]
fn every_request_of_the_logs_is_traced() {
    let root = tempfile::tempdir().expect("a folder");
    let (till, traced) = (Arc::new(Till::default()), Arc::new(std::sync::Mutex::new(Vec::new())));
    let keep = traced.clone();
    let tracer = Box::new(move |container: &Container, request: &Request, end: UnixNanos| {
        keep.lock().expect("not poisoned").push((container.name, request.clone(), end));
    });
    let books = Books { ledger: Arc::default(), till: till.clone(), tracer };
    let mut shop = Shop::open(root.path(), 500.0, fastrand::u64(..), books, START).expect("opens");
    for tick in 0..=40 {
        shop.advance(plus(START, Duration::from_millis(tick * 50))).expect("writes");
    }
    let (records, _) = on_disk(root.path());
    let traced = traced.lock().expect("not poisoned");
    let (accepted, declined) = till.orders();
    let of = |name: &str| traced.iter().filter(|(container, ..)| *container == name).count() as u64;
    assert_eq!(of("checkout"), accepted + declined);
    assert!(of("web") > 0);
    for (_, request, end) in traced.iter() {
        let line = String::from_utf8_lossy(&records[&end.0]);
        assert!(line.contains(&format!("{}", request.trace)), "{line}");
    }
}
