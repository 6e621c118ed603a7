//! Random lives of log files and of the agent: whatever happens, every line arrives, and always under the
//! same position.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Generation and offset of a record's start and of its end.
type Place = ((u64, u64), (u64, u64));

/// One life, from a seed.
async fn live(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut node = Node::new(Format::Text);
    let mut next = 0usize;
    let mut rotations = 0;
    // A log that no look found at its path is known to nobody: its rotations match no pattern.
    let mut known = BTreeSet::new();
    node.start();
    for _ in 0..60 {
        match random.u32(..100) {
            0..45 => {
                let log = format!("{}.log", random.usize(..3));
                for _ in 0..random.usize(1..200) {
                    node.append(&log, format!("line {next}\n"));
                    next += 1;
                }
            }
            45..48 => {
                // logrotate's copytruncate: what was not read yet is in the copy.
                let log = format!("{}.log", random.usize(..3));
                if known.contains(&log) && node.path(&log).exists() {
                    rotations += 1;
                    let copy = node.path(&format!("{log}.20261123-{rotations:06}"));
                    fs::copy(node.path(&log), &copy).expect("copies");
                    let stamp = std::time::SystemTime::now() + Duration::from_millis(rotations);
                    fs::File::options().write(true).open(&copy).and_then(|f| f.set_modified(stamp)).expect("sets");
                    let file = fs::File::options().write(true).open(node.path(&log)).expect("opens");
                    file.set_len(0).expect("truncates");
                }
            }
            48..60 => {
                let log = format!("{}.log", random.usize(..3));
                if known.contains(&log) && node.path(&log).exists() {
                    rotations += 1;
                    // Later rotations have later times, as on a real node.
                    let file = fs::File::open(node.path(&log)).expect("opens");
                    let stamp = std::time::SystemTime::now() + Duration::from_millis(rotations);
                    file.set_modified(stamp).expect("sets");
                    node.rename(&log, &format!("{log}.20261123-{:06}", rotations));
                }
            }
            60..80 => {
                known.extend((0..3).map(|n| format!("{n}.log")).filter(|log| node.path(log).exists()));
                let seconds = random.u32(1..4);
                node.run(seconds).await;
            }
            80..87 => {
                node.kill().await;
                node.start();
            }
            87..90 => {
                node.to.set(Mode::Deliver);
                node.run(1).await;
                node.stop().await;
                node.start();
            }
            90..95 => node.to.set(Mode::Abandon),
            _ => node.to.set(Mode::Deliver),
        }
    }
    node.to.set(Mode::Deliver);
    node.run(40).await;
    let mut places: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for seen in node.to.seen.lock().expect("not poisoned").iter() {
        places.entry(seen.body.clone()).or_default().push((seen.start, seen.end));
    }
    for n in 0..next {
        let places = places.get(&format!("line {n}"));
        let places = places.unwrap_or_else(|| panic!("seed {seed}: line {n} of {next} is lost"));
        assert!(places.iter().all(|place| *place == places[0]), "seed {seed}: line {n} has two positions: {places:?}");
    }
    assert_eq!(node.lost(), 0, "seed {seed}");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_line_arrives_under_one_position() {
    let first = std::env::var("TAILWATER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    for _ in 0..if first.is_some() { 1 } else { 12 } {
        let seed = first.unwrap_or_else(|| fastrand::u64(..));
        println!("seed {seed}");
        live(seed).await;
    }
}
