//! Files that come, change, break and go.

use std::fs;

use tokio::sync::watch;

use super::super::Found;
use super::super::tests::{quick_job, targets, until};
use super::*;

fn start(folder: &Path, pattern: &str, every: &str) -> (watch::Receiver<Found>, CancellationToken) {
    let config = format!(r#"{{"files": ["{}/{pattern}"], "refresh_interval": "{every}"}}"#, folder.display());
    let config: FileSdConfig = serde_json::from_str(&config).expect("valid");
    let (found, _, shutdown) = quick_job(vec![Box::new(File::new(&config).expect("a pattern"))]);
    (found, shutdown)
}

#[tokio::test]
async fn files_are_followed_as_they_come_and_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("tg_a.json"), r#"[{"targets": ["a:1"], "labels": {"x": "y"}}, {"targets": ["a:2"]}]"#)
        .expect("written");
    fs::write(at("other.json"), r#"[{"targets": ["no:1"]}]"#).expect("written");
    let (mut found, _shutdown) = start(folder.path(), "tg_*.json", "1h");
    until(&mut found, |found| targets(found) == ["a:1", "a:2"]).await;
    let first = found.borrow().groups[0].clone();
    assert_eq!(&*first.source, format!("{}:0", at("tg_a.json").display()));
    assert_eq!(first.labels.get("__meta_filepath"), at("tg_a.json").to_string_lossy());
    assert_eq!(first.labels.get("x"), "y");
    // A new file, by renaming.
    fs::write(at("tmp"), r#"[{"targets": ["b:1"]}]"#).expect("written");
    fs::rename(at("tmp"), at("tg_b.json")).expect("renamed");
    until(&mut found, |found| targets(found) == ["a:1", "a:2", "b:1"]).await;
    // One group less, and a change in place.
    fs::write(at("tg_a.json"), r#"[{"targets": ["a:3"]}]"#).expect("written");
    until(&mut found, |found| targets(found) == ["a:3", "b:1"]).await;
    fs::remove_file(at("tg_b.json")).expect("removed");
    until(&mut found, |found| targets(found) == ["a:3"]).await;
}

#[tokio::test]
async fn a_broken_file_keeps_its_targets_until_it_is_right_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.yaml");
    fs::write(&path, "- targets: [a:1]").expect("written");
    let (mut found, _shutdown) = start(folder.path(), "t.yaml", "1h");
    until(&mut found, |found| targets(found) == ["a:1"]).await;
    fs::write(&path, "- targets: {").expect("written");
    until(&mut found, |found| !found.troubles.is_empty()).await;
    assert_eq!(targets(&found.borrow()), ["a:1"]);
    let words = found.borrow().troubles[0].words.to_string();
    assert!(words.starts_with(&format!("{}: is not a list of target groups: ", path.display())), "{words}");
    assert!(words.ends_with("; its targets stay as they were"), "{words}");
    fs::write(&path, "- targets: [a:2]").expect("written");
    until(&mut found, |found| found.troubles.is_empty() && targets(found) == ["a:2"]).await;
}

#[tokio::test]
async fn a_config_map_that_swings_is_seen() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for (version, target) in [("..v1", "a:1"), ("..v2", "a:2")] {
        fs::create_dir(at(version)).expect("created");
        fs::write(at(version).join("t.yml"), format!("- targets: ['{target}']")).expect("written");
    }
    symlink("..v1", at("..data")).expect("linked");
    symlink("..data/t.yml", at("t.yml")).expect("linked");
    let (mut found, _shutdown) = start(folder.path(), "*.yml", "1h");
    until(&mut found, |found| targets(found) == ["a:1"]).await;
    symlink("..v2", at("..data_tmp")).expect("linked");
    fs::rename(at("..data_tmp"), at("..data")).expect("swung");
    until(&mut found, |found| targets(found) == ["a:2"]).await;
}

#[tokio::test]
async fn what_no_event_tells_is_found_by_reading_again() {
    let folder = tempfile::tempdir().expect("a folder");
    // The folder does not exist, so that nothing can be watched.
    let (mut found, _shutdown) = start(&folder.path().join("later"), "*.json", "50ms");
    until(&mut found, |found| found.complete).await;
    assert!(found.borrow().troubles.is_empty());
    fs::create_dir(folder.path().join("later")).expect("created");
    fs::write(folder.path().join("later/t.json"), r#"[{"targets": ["a:1"]}]"#).expect("written");
    until(&mut found, |found| targets(found) == ["a:1"]).await;
}

#[test]
fn only_the_last_name_has_wildcards() {
    for good in ["a.json", "/x/y.yml", "/x/tg_*.json", "tg_?.YAML", "/x/*.yaml", "x/[ab].json", "/{x}/{a}*.json"] {
        assert!(Pattern::new(good).is_ok(), "{good}");
    }
    for bad in ["", "/x", "/x.txt", "/*/a.json", "/x/a.Json", "/x/[a.json", "/x/.json"] {
        assert!(Pattern::new(bad).is_err(), "{bad}");
    }
    let config: FileSdConfig =
        serde_json::from_str(r#"{"files": ["a.txt", "b.json"], "refresh_interval": "0s"}"#).expect("valid");
    let mut problems = Vec::new();
    config.problems(&mut problems);
    assert_eq!(problems.iter().map(|problem| problem.code.0).collect::<Vec<_>>(), ["TW0752", "TW0753"]);
}
