//! The sink, driven with batches of the test's own into a temporary folder.

use std::path::Path;

use super::*;
use crate::pipeline::testing::Driven;

fn options(path: &Path, fsync: Fsync) -> Options {
    Options { path: Spanned::unknown(path.to_owned()), max_size: max_size(), max_files: max_files(), fsync }
}

fn sink(options: &Options) -> Box<FileSink> {
    let limits = Limits { max_size: options.max_size.0, max_files: options.max_files.value };
    let file = Rotated::new(options.path.value.clone(), limits, options.fsync != Fsync::Off);
    Box::new(FileSink { file: Arc::new(Mutex::new(file)), fsync: options.fsync, lines: LineWriter::new() })
}

fn bodies(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("reads");
    let body = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["body"]["text"].clone();
    text.lines().map(|line| body(line).as_str().expect("text").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_is_in_the_file_by_any_policy() {
    for fsync in [Fsync::Group, Fsync::Always, Fsync::Off] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.ndjson");
        let mut driven = Driven::start(sink(&options(&path, fsync)));
        driven.send(&["one", "two"]).await;
        driven.send(&["three"]).await;
        let delivered =
            driven.verdict().await.count(Outcome::Delivered) + driven.verdict().await.count(Outcome::Delivered);
        assert_eq!(delivered, 3);
        assert_eq!(bodies(&path), ["one", "two", "three"]);
        assert_eq!(driven.metrics.records_out.get(), 3);
        driven.finish().await.expect("ends");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_written_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.ndjson");
    let mut driven = Driven::start(sink(&options(&path, Fsync::Group)));
    let begun = tokio::time::Instant::now();
    for n in 0..20 {
        driven.send(&[&n.to_string()]).await;
    }
    for _ in 0..20 {
        assert_eq!(driven.verdict().await.count(Outcome::Delivered), 1);
    }
    // Groups of their own would have waited twenty times.
    assert!(begun.elapsed() < GROUP_WAIT * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_path_that_cannot_be_written_is_told_and_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.ndjson");
    std::fs::create_dir(&path).expect("stands in the way");
    let mut driven = Driven::start(sink(&options(&path, Fsync::Always)));
    driven.send(&["one"]).await;
    while driven.metrics.health.status().unhealthy.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let why = driven.metrics.health.status().unhealthy.expect("seen above");
    assert!(why.contains("not a regular file"), "{why}");
    assert!(driven.verdicts.try_recv().is_err(), "nothing is acknowledged");
    std::fs::remove_dir(&path).expect("out of the way");
    assert_eq!(driven.verdict().await.count(Outcome::Delivered), 1);
    assert_eq!(bodies(&path), ["one"]);
    assert!(driven.metrics.health.status().unhealthy.is_none());
    assert!(driven.metrics.retries.get() >= 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_withdrawn_while_the_disk_fails_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.ndjson");
    std::fs::create_dir(&path).expect("stands in the way");
    let mut driven = Driven::start(sink(&options(&path, Fsync::Always)));
    driven.send(&["one"]).await;
    while driven.metrics.health.status().unhealthy.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    driven.path.revoke();
    assert!(driven.verdict().await.abandoned);
    driven.finish().await.expect("ends");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_failing_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.ndjson");
    std::fs::create_dir(&path).expect("stands in the way");
    let mut driven = Driven::start(sink(&options(&path, Fsync::Group)));
    driven.send(&["one"]).await;
    driven.shutdown.cancel();
    assert!(driven.verdict().await.abandoned);
    driven.finish().await.expect("ends");
}

#[test]
fn options_that_cannot_work_are_problems_at_their_place() {
    let options = Options {
        path: Spanned::unknown(PathBuf::new()),
        max_size: Spanned::unknown(ByteSize(10)),
        max_files: Spanned::unknown(0),
        fsync: Fsync::default(),
    };
    let codes: Vec<_> = options.problems().iter().map(|problem| problem.code.0).collect();
    assert_eq!(codes, ["TW0601", "TW0602", "TW0603"]);
    assert!(self::options(Path::new("/x"), Fsync::Group).problems().is_empty());
}
