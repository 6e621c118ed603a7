//! Records as lines: newline-delimited JSON (<https://github.com/ndjson/ndjson-spec>), each line the
//! document that `mapping: otel` would send to Elasticsearch, or text for people. What the sinks `file`
//! and `console` write.

use std::io::Write;

use serde::de::IgnoredAny;

use super::document::{DocumentEncoder, Form, Layout};
use super::json::MemberWriter;
use crate::data::names::Interest;
use crate::data::resource::ResourceValue;
use crate::data::{LogBatch, LogView, UnixNanos};

/// Writes records as lines; one for each task.
#[derive(Clone, Debug)]
pub struct LineWriter {
    documents: DocumentEncoder,
    members: MemberWriter,
}

impl Default for LineWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl LineWriter {
    /// A writer.
    pub fn new() -> Self {
        Self { documents: DocumentEncoder::new(Layout::Otel), members: MemberWriter::default() }
    }

    /// What must be located in objects for the lines to be right.
    pub fn interest() -> Interest {
        DocumentEncoder::interest(Layout::Otel)
    }

    /// Appends a line of JSON for each selected record of `batch`. Every line is a valid JSON document:
    /// an object with a value that is none (a `NaN`, a bad number) is written as one escaped text.
    pub fn json(&mut self, batch: &LogBatch, out: &mut Vec<u8>) {
        self.documents.begin(batch, UnixNanos::now());
        for view in batch.iter() {
            let start = out.len();
            self.documents.write(&view, Form::Spliced, out);
            // The scan that let the object be spliced does not look at values, and no server will.
            if !view.object().is_empty() && serde_json::from_slice::<IgnoredAny>(&out[start..]).is_err() {
                out.truncate(start);
                self.documents.write(&view, Form::Text, out);
            }
            out.push(b'\n');
        }
    }

    /// Appends a line for people for each selected record of `batch`: time, severity, origin, then the
    /// body or the object. Nothing in a record can end its line or reach the terminal as a command.
    pub fn text(&mut self, batch: &LogBatch, out: &mut Vec<u8>) {
        let origin = origin(batch);
        for view in batch.iter() {
            if view.time().is_some() {
                view.time().write_rfc3339(out);
                out.push(b' ');
            }
            if view.severity().is_some() {
                out.extend_from_slice(view.severity().text().as_bytes());
                out.push(b' ');
            }
            printable(origin.as_bytes(), out);
            self.payload(&view, out);
            out.push(b'\n');
        }
    }

    fn payload(&mut self, view: &LogView<'_>, out: &mut Vec<u8>) {
        printable(view.body(), out);
        if view.object().is_empty() && view.fields().is_empty() {
            return;
        }
        let mut object = Vec::new();
        self.members.write_object(view, &mut object);
        if !view.body().is_empty() && object.len() > 2 {
            out.push(b' ');
        }
        if view.body().is_empty() || object.len() > 2 {
            printable(&object, out);
        }
    }
}

/// Where records come from, in a few words and a space: the container, else the file.
fn origin(batch: &LogBatch) -> String {
    let text = |key| match batch.resource.get(key) {
        Some(ResourceValue::Text(text)) => Some(&**text),
        _ => None,
    };
    let container = ["k8s.namespace.name", "k8s.pod.name", "k8s.container.name"].into_iter().filter_map(text);
    let mut origin = container.collect::<Vec<_>>().join("/");
    if origin.is_empty() {
        origin.push_str(text("log.file.path").unwrap_or_default());
    }
    if !origin.is_empty() {
        origin.push(' ');
    }
    origin
}

/// Appends text with its control characters escaped, tabs apart, and invalid UTF-8 replaced.
pub(super) fn printable(bytes: &[u8], out: &mut Vec<u8>) {
    const INTO_MEMORY: &str = "writing into memory does not fail";
    for character in bytes.utf8_chunks().flat_map(|chunk| {
        chunk.valid().chars().chain((!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER))
    }) {
        if character.is_control() && character != '\t' {
            write!(out, "{}", character.escape_default()).expect(INTO_MEMORY);
        } else {
            write!(out, "{character}").expect(INTO_MEMORY);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{Chunk, LogBuilder, LogRecord, Names, Resource, Slice};
    use crate::formats::json::Scanner;

    /// A batch of one record whose object, if it is one, has become its attributes.
    fn batch(line: &str) -> LogBatch {
        let resource = Resource::new([
            ("k8s.namespace.name".into(), "shop".into()),
            ("k8s.pod.name".into(), "web-1".into()),
            ("k8s.container.name".into(), "app".into()),
        ]);
        let mut builder = LogBuilder::new(Arc::new(resource), Arc::default());
        let chunk = builder.add_chunk(Chunk::from_vec(line.as_bytes().to_vec()));
        let slice = Slice::new(chunk, 0, line.len() as u32);
        builder.source().records.push(LogRecord { time: UnixNanos(1), ..LogRecord::of_body(slice) });
        let mut batch = builder.build();
        if Scanner::new(&Names::default(), &LineWriter::interest()).scan(line.as_bytes()).is_ok() {
            let state = &mut batch.edit().0.states[0];
            state.body = Slice::EMPTY;
            state.reset_object(slice);
        }
        batch
    }

    fn json(line: &str) -> serde_json::Value {
        let mut out = Vec::new();
        LineWriter::new().json(&batch(line), &mut out);
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
    }

    #[test]
    fn every_line_is_valid_json_whatever_the_record_holds() {
        assert_eq!(json(r#"{"a":1}"#)["attributes"]["a"], 1);
        assert_eq!(json("plain \u{1} \"text\"\n")["body"]["text"], "plain \u{1} \"text\"\n");
        for bad in [r#"{"a":NaN}"#, r#"{"a":01}"#, r#"{"a":truth}"#, r#"{"a":"\q"}"#] {
            assert_eq!(json(bad)["body"]["text"], bad, "an object that is none stays a text");
        }
        assert_eq!(json("x")["resource"]["attributes"]["k8s.pod.name"], "web-1");
    }

    #[test]
    fn a_terminal_sees_no_control_characters() {
        let text = |line| {
            let mut out = Vec::new();
            LineWriter::new().text(&batch(line), &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(text("a\u{1b}[2Jb\nc"), "1970-01-01T00:00:00.000000001Z shop/web-1/app a\\u{1b}[2Jb\\nc\n");
        assert_eq!(text(r#"{"a":1}"#), "1970-01-01T00:00:00.000000001Z shop/web-1/app {\"a\":1}\n");
    }
}
