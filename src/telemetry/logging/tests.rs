//! The log's lines as text and JSON, and how repetition is limited.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;

/// Collects what the subscriber prints.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn printed(format: Format, log: impl FnOnce()) -> String {
    let out = Printed::default();
    let writer = out.clone();
    let lines = Lines { format: Arc::new(Mutex::new(format)), repeats: Mutex::default() };
    let print = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .event_format(lines)
        .with_filter(targets(Level::Info));
    tracing::subscriber::with_default(Registry::default().with(print), log);
    let bytes = out.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_repeated_line_is_printed_a_few_times_and_another_component_still_speaks() {
    let text = printed(Format::Text, || {
        for n in 0..100u64 {
            tracing::warn!(component = "file/a", n, "the disk is full");
        }
        tracing::warn!(component = "file/b", "the disk is full");
    });
    assert_eq!(text.lines().filter(|line| line.contains("file/a")).count(), 3, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("file/b")).count(), 1, "{text}");
}

#[test]
fn the_next_line_after_the_interval_says_how_many_were_suppressed() {
    let (mut repeats, start) = (Repeats::default(), Instant::now());
    let admitted: Vec<_> = (0..10).map(|_| repeats.admit("event src/x.rs:7", "same", start)).collect();
    assert_eq!(admitted.iter().filter(|admitted| admitted.is_some()).count(), 3);
    assert_eq!(repeats.admit("event src/x.rs:7", "same", start + Duration::from_secs(31)), Some(7));
    // Ever new messages from one place are limited as well.
    let printed = (0..10_000).filter(|n| repeats.admit("event src/x.rs:7", &n.to_string(), start).is_some()).count();
    assert!(printed < 100, "{printed}");
}

#[test]
fn json_lines_carry_fields_with_their_types() {
    let text = printed(Format::Json, || tracing::error!(component = "file/a", bytes = 7u64, ok = false, "no\nroom"));
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).expect("one object");
    assert_eq!(line["level"], "error");
    assert_eq!(line["message"], "no\nroom");
    assert_eq!(line["component"], "file/a");
    assert_eq!(line["bytes"], 7);
    assert_eq!(line["ok"], false);
    assert!(UnixNanos::parse_rfc3339(line["time"].as_str().expect("text").as_bytes()).is_some());
}

#[test]
fn text_stays_on_one_line_and_levels_filter() {
    let text = printed(Format::Text, || {
        tracing::debug!("hidden");
        tracing::info!(target: "hyper", "hidden");
        tracing::info!(why = "two words", "a\nb");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.ends_with(" INFO a\\nb why=\"two words\"\n"), "{text}");
}

#[test]
fn a_reason_of_several_lines_is_below_the_line_and_cannot_pass_for_one() {
    let reason = "error[TW0201]: unknown key `a`\n --> t.yaml:1:1\n2026-11-23T00:00:00Z ERROR forged\x1b[0m";
    let text = printed(Format::Text, || tracing::error!(reason, component = "c", "configuration rejected"));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("ERROR configuration rejected component=c"), "{text}");
    assert_eq!(
        lines[1..],
        [
            "    error[TW0201]: unknown key `a`",
            "     --> t.yaml:1:1",
            "    2026-11-23T00:00:00Z ERROR forged\\u{1b}[0m"
        ]
    );
    let json = printed(Format::Json, || tracing::error!(reason, "configuration rejected"));
    assert_eq!(json.lines().count(), 1, "{json}");
}

#[test]
fn another_reason_is_another_line() {
    let text = printed(Format::Text, || {
        for _ in 0..5 {
            tracing::error!(reason = "line 3: no", "configuration rejected");
        }
        tracing::error!(reason = "the file is gone", "configuration rejected");
    });
    assert_eq!(text.lines().filter(|line| line.contains("line 3")).count(), 3, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("gone")).count(), 1, "{text}");
}
