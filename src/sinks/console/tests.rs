//! The sink, driven with batches of the test's own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::pipeline::testing::Driven;

/// What the console writes to: it keeps everything, or blocks, or fails.
#[derive(Clone, Default)]
struct Screen {
    shown: Arc<Mutex<Vec<u8>>>,
    held: Arc<AtomicBool>,
    broken: bool,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while self.held.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.shown.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn console(format: Format, screen: &Screen) -> Box<Console> {
    Box::new(Console { format, lines: LineWriter::new(), out: Box::new(screen.clone()) })
}

#[tokio::test]
async fn prints_a_record_a_line_and_settles_it() {
    let screen = Screen::default();
    let mut sink = Driven::start(console(Format::Text, &screen));
    sink.send(&["first", "sec\nond"]).await;
    assert_eq!(sink.verdict().await.count(Outcome::Delivered), 2);
    let metrics = sink.metrics.clone();
    sink.finish().await.expect("ends");
    assert_eq!(*screen.shown.lock().expect("not poisoned"), b"first\nsec\\nond\n");
    assert_eq!((metrics.records_in.get(), metrics.records_out.get(), metrics.bytes_out.get()), (2, 2, 15));
}

#[tokio::test(start_paused = true)]
async fn an_unread_screen_holds_nobody_up() {
    let screen = Screen::default();
    let held = screen.held.clone();
    let mut sink = Driven::start(console(Format::Json, &screen));
    held.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        sink.send(&["a", "b"]).await;
        assert_eq!(sink.verdict().await.count(Outcome::Dropped), 2);
    }
    assert_eq!(sink.metrics.records_dropped.get(), 6);
    assert!(sink.metrics.health.status().unhealthy.is_some_and(|why| why.contains("nobody reads")));
    held.store(false, Ordering::Relaxed);
    // Real time passes until the thread has come round.
    while sink.metrics.health.status().unhealthy.is_some() {
        sink.send(&["c"]).await;
        sink.verdict().await;
        std::thread::yield_now();
    }
    assert_eq!(sink.metrics.records_out.get(), 1);
}

#[tokio::test]
async fn a_closed_pipe_is_told_and_what_cannot_be_shown_is_counted() {
    let mut sink = Driven::start(console(Format::Json, &Screen { broken: true, ..Screen::default() }));
    sink.send(&["a"]).await;
    assert_eq!(sink.verdict().await.count(Outcome::Dropped), 1);
    assert!(sink.metrics.health.status().unhealthy.is_some_and(|why| why.contains("cannot be written")));
    sink.finish().await.expect("ends");
}
