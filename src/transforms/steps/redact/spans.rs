//! Redacting spans: names, messages, keys and values, of the span, its events and its links.

use super::json::{Replacement, write_text};
use super::search::{Finder, Scratch};
use crate::formats::json::text::write_uint;
use crate::formats::otlp::texts::{TextEdit, TextKind};

/// What one worker searches in spans.
#[derive(Clone)]
pub struct Redactor {
    finder: Finder,
    with: Vec<Replacement>,
    scratch: Scratch,
    /// Keys of the span that were replaced.
    keys: u64,
}

impl Redactor {
    /// Replaces what the finder finds.
    pub fn new(finder: Finder, with: Vec<Replacement>) -> Self {
        Self { finder, with, scratch: Scratch::default(), keys: 0 }
    }
}

impl TextEdit for Redactor {
    fn begin(&mut self) {
        self.keys = 0;
    }

    fn changes(&mut self, _: TextKind, text: &[u8]) -> bool {
        self.finder.suspects(text) && !self.finder.search(text, false, &mut self.scratch).is_empty()
    }

    fn write(&mut self, kind: TextKind, text: &[u8], out: &mut Vec<u8>) {
        let spans = self.finder.search(text, false, &mut self.scratch);
        match (kind, spans) {
            // A number is replaced whole, as it is in JSON.
            (TextKind::Number, [first, ..]) => out.extend_from_slice(&self.with[usize::from(first.by)].text),
            _ => write_text(text, spans, &self.with, out),
        }
        if kind == TextKind::Key {
            self.keys += 1;
            if self.keys > 1 {
                out.push(b'-');
                write_uint(self.keys, out);
            }
        }
    }
}
