//! One thing that happens to log files, a test.

use std::os::unix::fs::symlink;

use super::*;

#[tokio::test(start_paused = true)]
async fn several_rotations_between_two_looks() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..100));
    node.start();
    node.run(1).await;
    node.append("a.log", lines(100..150));
    for (n, stamp) in ["20261123-010203", "20261123-010204", "20261123-010205"].iter().enumerate() {
        node.rename("a.log", &format!("a.log.{stamp}"));
        node.append("a.log", lines(150 + n * 10..160 + n * 10));
    }
    node.run(10).await;
    assert_eq!(node.bodies(), expected(0..180));
    assert_eq!(node.lost(), 0);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rotations_are_found_beside_the_target_of_a_link() {
    let mut node = Node::new(Format::Text);
    let pod = node.root.path().join("pod");
    fs::create_dir(&pod).expect("creates");
    let write = |name: &str, text: String| fs::write(pod.join(name), text).expect("writes");
    write("0.log", lines(0..10));
    symlink(pod.join("0.log"), node.path("web.log")).expect("links");
    node.start();
    node.run(1).await;
    for (n, stamp) in ["20261123-010203", "20261123-010204"].iter().enumerate() {
        fs::rename(pod.join("0.log"), pod.join(format!("0.log.{stamp}"))).expect("renames");
        write("0.log", lines(10 + n * 10..20 + n * 10));
    }
    node.run(6).await;
    assert_eq!(node.bodies(), expected(0..30));
    // The container starts again: the link moves to its next log.
    write("1.log", lines(30..40));
    fs::remove_file(node.path("web.log")).expect("removes");
    symlink(pod.join("1.log"), node.path("web.log")).expect("links");
    node.run(6).await;
    assert_eq!(node.bodies(), expected(0..40));
    assert!(node.to.seen.lock().expect("not poisoned").iter().all(|seen| seen.log == "web.log"));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_several_logs_are_handed_on_ends_with_every_batch_settled() {
    let mut node = Node::new(Format::Text);
    node.edge = 1;
    const LOGS: usize = 300;
    let names: Vec<_> = (0..LOGS).map(|n| format!("{n}.log")).collect();
    names.iter().for_each(|name| node.append(name, "before\n"));
    node.start();
    node.run(4).await;
    assert_eq!(node.bodies().len(), LOGS);
    names.iter().for_each(|name| node.append(name, "behind\n"));
    // One sweep finds them all, and the edge takes one batch after the other.
    tokio::time::advance(super::worker::SWEEP).await;
    while node.bodies().len() == LOGS {
        tokio::task::yield_now().await;
    }
    assert!(node.bodies().len() < 2 * LOGS, "the stop comes too late to matter");
    node.stop().await;
    node.start();
    node.run(4).await;
    assert_eq!(node.bodies().len(), 2 * LOGS, "what was not handed on is read after the start, and nothing twice");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_file_is_read_to_its_end() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..10));
    node.start();
    node.look();
    node.append("a.log", "line 10\nno line feed");
    fs::remove_file(node.path("a.log")).expect("removes");
    node.run(12).await;
    let mut all = expected(0..11);
    all.push("no line feed".into());
    assert_eq!(node.bodies(), all);
    node.stop().await;
    assert_eq!(node.lost(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_truncated_file_begins_anew_and_a_copy_has_the_rest() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..10));
    node.start();
    node.run(2).await;
    // logrotate's copytruncate, with lines that were not read before it.
    node.append("a.log", lines(10..15));
    fs::copy(node.path("a.log"), node.path("a.log.1")).expect("copies");
    fs::File::options().write(true).open(node.path("a.log")).expect("opens").set_len(0).expect("truncates");
    node.append("a.log", lines(15..17));
    node.run(6).await;
    assert_eq!(node.bodies(), expected(0..17));
    assert_eq!(node.lost(), 0);
    let seen = node.to.seen.lock().expect("not poisoned").clone();
    assert_ne!(seen[0].start.0, seen[16].start.0, "a truncation begins a generation");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_exists_only_compressed_is_counted_as_lost() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..10));
    node.start();
    node.run(2).await;
    node.rename("a.log", "a.log.20261123-010203");
    node.append("a.log", lines(10..20));
    node.rename("a.log", "a.log.20261123-010204");
    compress(&node.path("a.log.20261123-010203"));
    compress(&node.path("a.log.20261123-010204"));
    node.append("a.log", lines(20..30));
    node.run(6).await;
    assert_eq!(node.bodies(), [expected(0..10), expected(20..30)].concat());
    assert_eq!(node.lost(), lines(10..20).len() as u64);
    // A restart does not count it again.
    node.stop().await;
    node.start();
    node.run(8).await;
    assert_eq!(node.lost(), lines(10..20).len() as u64);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn parts_are_joined_across_a_rotation() {
    let mut node = Node::new(Format::Container);
    node.append("a.log", [cri("F", "first"), cri("P", "left ")].concat());
    node.start();
    node.run(2).await;
    node.rename("a.log", "a.log.20261123-010203");
    node.append("a.log", [cri("P", "middle "), cri("F", "right"), cri("F", "last")].concat());
    node.run(5).await;
    assert_eq!(node.bodies(), ["first", "left middle right", "last"]);
    let seen = node.to.seen.lock().expect("not poisoned").clone();
    assert_ne!(seen[1].start.0, seen[1].end.0);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_at_the_oldest_open_record() {
    let mut node = Node::new(Format::Container);
    node.append("a.log", [cri("F", "first"), cri("P", "left "), cri("F", "x")].concat());
    node.append("a.log", cri("P", "open "));
    node.start();
    node.run(3).await;
    node.kill().await;
    node.append("a.log", cri("F", "closed"));
    node.start();
    node.run(3).await;
    assert_eq!(node.bodies(), ["first", "left x", "open closed"]);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rotations_while_the_agent_is_down_are_caught_up() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..100));
    node.start();
    node.run(3).await;
    node.kill().await;
    node.append("a.log", lines(100..110));
    node.rename("a.log", "a.log.20261123-010203");
    node.append("a.log", lines(110..120));
    node.rename("a.log", "a.log.20261123-010204");
    node.append("a.log", lines(120..130));
    node.append("new.log", "new\n");
    node.start();
    node.run(8).await;
    assert_eq!(node.bodies().into_iter().filter(|body| body != "new").collect::<Vec<_>>(), expected(0..130));
    assert!(node.bodies().contains(&"new".to_owned()));
    assert_eq!(node.lost(), 0);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_vanished_while_the_agent_was_down_is_counted() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..100));
    node.start();
    node.to.set(Mode::Hold);
    node.run(3).await;
    node.kill().await;
    fs::remove_file(node.path("a.log")).expect("removes");
    node.start();
    node.run(8).await;
    assert_eq!(node.lost(), lines(0..100).len() as u64);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn abandoned_batches_are_read_again_under_the_same_positions() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..50));
    node.start();
    node.to.set(Mode::Abandon);
    node.run(3).await;
    assert!(node.bodies().is_empty());
    node.append("a.log", lines(50..60));
    node.to.set(Mode::Deliver);
    node.run(8).await;
    assert_eq!(node.bodies(), expected(0..60));
    assert!(node.to.seen.lock().expect("not poisoned")[0].again, "it says that it may have been sent before");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_with_batches_in_flight_repeats_them_with_the_same_positions() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..50));
    node.start();
    node.to.set(Mode::Hold);
    node.run(2).await;
    let first = node.to.seen.lock().expect("not poisoned").clone();
    node.kill().await;
    node.to.seen.lock().expect("not poisoned").clear();
    node.to.set(Mode::Deliver);
    node.start();
    node.run(2).await;
    let second = node.to.seen.lock().expect("not poisoned").clone();
    assert_eq!(first.len(), 50);
    let places = |seen: &[Seen]| seen.iter().map(|s| (s.start, s.end)).collect::<Vec<_>>();
    assert_eq!(places(&first), places(&second));
    assert!(second.iter().all(|seen| seen.again));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn held_files_beyond_the_limit_are_given_up_and_counted() {
    let mut node = Node::new(Format::Text);
    node.settings.held_files = 40_000;
    node.append("a.log", "x".repeat(9_999) + "\n");
    node.start();
    node.to.set(Mode::Hold);
    node.run(2).await;
    // The memory that may be in flight is spent by a first, huge log; everything behind it waits.
    let running = node.running.as_ref().expect("runs");
    let _all = running.memory.share(Signal::Logs).try_acquire(36 << 20).expect("room");
    for n in 0..10 {
        node.rename("a.log", "old");
        fs::remove_file(node.path("old")).expect("removes");
        node.append("a.log", format!("{n}").repeat(9_999) + "\n");
        node.look();
    }
    node.run(2).await;
    assert!((40_000..=70_000).contains(&node.lost()), "lost {}", node.lost());
    assert!(node.lost().is_multiple_of(10_000));
    node.kill().await;
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_bounded_and_stops_nobody() {
    let mut node = Node::new(Format::Text);
    let mut huge = vec![b'x'; 64 << 20];
    huge.push(b'\n');
    fs::write(node.path("huge.log"), &huge).expect("writes");
    node.append("bytes.log", b"\xff\xfe\0\x01\nnext\n");
    fs::create_dir(node.path("folder.log")).expect("creates");
    node.append("good.log", lines(0..10));
    node.start();
    node.run(5).await;
    let seen = node.to.seen.lock().expect("not poisoned").clone();
    let of = |log: &str| seen.iter().filter(|seen| seen.log == log).collect::<Vec<_>>();
    assert_eq!(of("good.log").len(), 10);
    assert_eq!(of("bytes.log").len(), 2);
    assert!(of("huge.log").iter().all(|seen| seen.body.len() <= 1 << 20));
    assert_eq!(of("huge.log").iter().map(|seen| seen.body.len()).sum::<usize>(), 64 << 20);
    // A log becomes a folder while it is read.
    fs::remove_file(node.path("good.log")).expect("removes");
    fs::create_dir(node.path("good.log")).expect("creates");
    node.append("other.log", "other\n");
    node.run(3).await;
    assert!(node.bodies().contains(&"other".to_owned()));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn patterns_that_match_rotations_read_them_once() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..10));
    node.start();
    node.run(1).await;
    // The test's own folder lists `*.log` alone; a rotation named so is matched as well.
    node.rename("a.log", "a.log.1.log");
    node.append("a.log", lines(10..20));
    node.run(5).await;
    let mut bodies = node.bodies();
    bodies.sort_by_key(|body| body[5..].parse::<u32>().expect("a number"));
    assert_eq!(bodies, expected(0..20));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_without_positions_begins_some_minutes_back() {
    use crate::data::UnixNanos;
    let mut node = Node::new(Format::Container);
    node.settings.start = Start::Back(Duration::from_secs(600));
    let line = |ago: u64, text: &str| {
        let mut time = Vec::new();
        UnixNanos::now().minus(Duration::from_secs(ago)).write_rfc3339(&mut time);
        format!("{} stdout F {text}\n", String::from_utf8_lossy(&time))
    };
    node.append("a.log", [line(3600, "old"), line(900, "older"), line(300, "recent"), line(1, "now")].concat());
    node.start();
    node.run(2).await;
    assert_eq!(node.bodies(), ["recent", "now"]);
    // What appears later is read from its beginning, however old it says it is.
    node.append("b.log", line(3600, "late"));
    node.run(2).await;
    assert_eq!(node.bodies(), ["recent", "now", "late"]);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn positions_that_cannot_be_saved_are_told_and_reading_goes_on() {
    let mut node = Node::new(Format::Text);
    // A file where the folder of positions should be.
    fs::write(node.root.path().join("data"), "").expect("writes");
    node.append("a.log", lines(0..10));
    node.start();
    node.run(3).await;
    assert_eq!(node.bodies(), expected(0..10));
    assert!(node.metrics.health.status().unhealthy.is_some_and(|words| words.contains("data_dir")));
    fs::remove_file(node.root.path().join("data")).expect("removes");
    node.run(2).await;
    assert_eq!(node.metrics.health.status().unhealthy, None);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_came_and_was_rotated_away_between_two_looks_is_read() {
    let mut node = Node::new(Format::Text);
    node.append("a.log", lines(0..10));
    node.start();
    node.run(2).await;
    node.rename("a.log", "a.log.20261123-010203");
    node.append("a.log", lines(10..20));
    node.rename("a.log", "a.log.20261123-010204");
    // Nothing stands at the path for a long time.
    node.run(12).await;
    assert_eq!(node.bodies(), expected(0..20));
    node.append("a.log", lines(20..30));
    node.run(3).await;
    assert_eq!(node.bodies(), expected(0..30));
    node.stop().await;
}

/// A link that is gone for longer than a log may be missing, and what happens to its target meanwhile.
async fn unlisted_for_a_while(restart: bool, meanwhile: &str, expected: Vec<String>) {
    let mut node = Node::new(Format::Text);
    let target = node.root.path().join("0.log");
    fs::write(&target, lines(0..10)).expect("writes");
    symlink(&target, node.path("web.log")).expect("links");
    node.start();
    node.run(3).await;
    fs::remove_file(node.path("web.log")).expect("removes");
    node.run(30).await;
    fs::write(&target, meanwhile).expect("writes");
    if restart {
        node.stop().await;
        node.start();
    }
    symlink(&target, node.path("web.log")).expect("links");
    node.run(5).await;
    let mut file = fs::OpenOptions::new().append(true).open(&target).expect("opens");
    file.write_all(b"later\n").expect("writes");
    node.run(5).await;
    assert_eq!(node.bodies(), expected, "restart: {restart}");
    assert_eq!(node.lost(), 0);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_not_listed_for_a_while_goes_on_where_it_was() {
    let first = expected(0..10);
    let then = |more: &[&str]| [&first[..], &more.iter().map(|&line| line.to_owned()).collect::<Vec<_>>()].concat();
    for restart in [false, true] {
        unlisted_for_a_while(restart, &lines(0..10), then(&["later"])).await;
        unlisted_for_a_while(restart, &(lines(0..10) + "grown\n"), then(&["grown", "later"])).await;
    }
    unlisted_for_a_while(false, "shorter\n", then(&["shorter", "later"])).await;
    let other = "other ".repeat(20);
    unlisted_for_a_while(false, &format!("{other}\n"), then(&[&other, "later"])).await;
}
