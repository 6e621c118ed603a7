//! A span as one JSON document, with the field names of Elastic's `otel` mode of the Collector's exporter. What is there
//! a document of its own in the logs' stream, an event of the span, stands in the span's document under `events`.

#[cfg(test)]
mod tests;

use super::super::json::text;
use crate::data::time::TimeText;
use crate::data::{Slice, TraceBatch, UnixNanos};
use crate::formats::otlp::value::{AnyValue, key_value};
use crate::formats::protobuf::Fields;

/// `SpanKind`, as OpenTelemetry's libraries call them.
const KINDS: [&[u8]; 6] = [b"Unspecified", b"Internal", b"Server", b"Client", b"Producer", b"Consumer"];

/// `StatusCode`.
const CODES: [&[u8]; 3] = [b"Unset", b"Ok", b"Error"];

/// Writes documents. Keeps its buffers from span to span; clone one for each task.
#[derive(Clone, Debug, Default)]
pub struct SpanEncoder {
    /// What every document says about its data stream: `,"data_stream":{…}`, or nothing.
    data_stream: Vec<u8>,
    arrival: UnixNanos,
    time: TimeText,
    /// What the spans of a scope share: its resource and itself.
    origin: Vec<u8>,
    /// The scope of the batch that `origin` is of.
    scope: Option<u32>,
}

impl SpanEncoder {
    /// An encoder for documents that go to no data stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every document says that it belongs to the data stream `traces-<dataset>-<namespace>`.
    #[must_use]
    pub fn with_data_stream(mut self, dataset: &str, namespace: &str) -> Self {
        self.data_stream = super::data_stream("traces", dataset, namespace);
        self
    }

    /// Prepares for the spans of another batch; a span without a start gets `arrival`.
    pub fn begin(&mut self, arrival: UnixNanos) {
        self.arrival = arrival;
        self.scope = None;
    }

    /// Appends the document of a span of the batch that was begun, without a line terminator. The index has read its
    /// message: what is no message in it is left out.
    pub fn write(&mut self, batch: &TraceBatch, index: usize, out: &mut Vec<u8>) {
        let entry = &batch.spans()[index];
        if self.scope != Some(entry.scope) {
            self.origin.clear();
            write_origin(batch, entry.scope, &mut self.origin);
            self.scope = Some(entry.scope);
        }
        let span = Read::of(batch.span(index));
        out.extend_from_slice(b"{\"@timestamp\":\"");
        let start = if is_sane(entry.start) { entry.start } else { self.arrival };
        out.extend_from_slice(self.time.of(start));
        out.push(b'"');
        out.extend_from_slice(&self.data_stream);
        out.extend_from_slice(&self.origin);
        write_hex("trace_id", &entry.trace_id, out);
        write_hex("span_id", &entry.span_id, out);
        write_hex("parent_span_id", span.parent_id, out);
        write_text("trace_state", span.trace_state, out);
        write_text("name", span.name, out);
        write_text("kind", KINDS.get(usize::from(entry.kind)).unwrap_or(&KINDS[0]), out);
        let duration = if entry.start.is_some() { entry.end.0.saturating_sub(entry.start.0) } else { 0 };
        write_key("duration", out);
        // A number beyond what Elasticsearch has for one is a broken clock's.
        text::write_uint(duration.min(i64::MAX as u64), out);
        write_key("status", out);
        out.extend_from_slice(b"{\"code\":");
        text::write_string(CODES.get(usize::from(entry.status)).unwrap_or(&CODES[0]), out);
        write_text("message", span.status_message, out);
        out.push(b'}');
        write_attributes(span.message, 9, out);
        self.write_events(&span, out);
        write_links(&span, out);
        write_count("dropped_attributes_count", span.dropped_attributes, out);
        write_count("dropped_events_count", span.dropped_events, out);
        write_count("dropped_links_count", span.dropped_links, out);
        out.push(b'}');
    }

    fn write_events(&mut self, span: &Read<'_>, out: &mut Vec<u8>) {
        if !span.events {
            return;
        }
        write_key("events", out);
        let mut before = b'[';
        for event in messages(span.message, 11) {
            out.push(before);
            before = b',';
            let (mut time, mut name, mut dropped) = (UnixNanos::NONE, &b""[..], 0);
            for (number, value) in Fields::of(event).flatten() {
                match number {
                    1 => time = UnixNanos(value.fixed64().unwrap_or_default()),
                    2 => name = value.bytes().unwrap_or_default(),
                    4 => dropped = value.varint().unwrap_or_default(),
                    _ => {}
                }
            }
            out.extend_from_slice(b"{\"name\":");
            text::write_string(name, out);
            if is_sane(time) {
                out.extend_from_slice(b",\"timestamp\":\"");
                out.extend_from_slice(self.time.of(time));
                out.push(b'"');
            }
            write_attributes(event, 3, out);
            write_count("dropped_attributes_count", dropped, out);
            out.push(b'}');
        }
        out.push(b']');
    }
}

/// Whether there is a time, and Elasticsearch's signed nanoseconds have it.
fn is_sane(time: UnixNanos) -> bool {
    time.is_some() && i64::try_from(time.0).is_ok()
}

/// What is read of a `Span`'s message at first.
#[derive(Default)]
struct Read<'a> {
    message: &'a [u8],
    trace_state: &'a [u8],
    parent_id: &'a [u8],
    name: &'a [u8],
    status_message: &'a [u8],
    events: bool,
    links: bool,
    dropped_attributes: u64,
    dropped_events: u64,
    dropped_links: u64,
}

impl<'a> Read<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut span = Self { message, ..Self::default() };
        for (number, value) in Fields::of(message).flatten() {
            match number {
                3 => span.trace_state = value.bytes().unwrap_or_default(),
                4 => span.parent_id = value.bytes().unwrap_or_default(),
                5 => span.name = value.bytes().unwrap_or_default(),
                10 => span.dropped_attributes = value.varint().unwrap_or_default(),
                11 => span.events = true,
                12 => span.dropped_events = value.varint().unwrap_or_default(),
                13 => span.links = true,
                14 => span.dropped_links = value.varint().unwrap_or_default(),
                15 => {
                    let status = Fields::of(value.bytes().unwrap_or_default()).flatten();
                    for (_, value) in status.filter(|(number, _)| *number == 2) {
                        span.status_message = value.bytes().unwrap_or_default();
                    }
                }
                _ => {}
            }
        }
        span
    }
}

/// The messages of a field.
fn messages(message: &[u8], field: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(message)
        .flatten()
        .filter(move |(number, _)| *number == field)
        .filter_map(|(_, value)| value.bytes().ok())
}

fn write_links(span: &Read<'_>, out: &mut Vec<u8>) {
    if !span.links {
        return;
    }
    write_key("links", out);
    let mut before = b'[';
    for link in messages(span.message, 13) {
        out.push(before);
        before = b',';
        let (mut trace_id, mut span_id, mut state, mut dropped) = (&b""[..], &b""[..], &b""[..], 0);
        for (number, value) in Fields::of(link).flatten() {
            match number {
                1 => trace_id = value.bytes().unwrap_or_default(),
                2 => span_id = value.bytes().unwrap_or_default(),
                3 => state = value.bytes().unwrap_or_default(),
                5 => dropped = value.varint().unwrap_or_default(),
                _ => {}
            }
        }
        out.extend_from_slice(b"{\"trace_id\":\"");
        text::write_hex(trace_id, out);
        out.push(b'"');
        write_hex("span_id", span_id, out);
        write_text("trace_state", state, out);
        write_attributes(link, 4, out);
        write_count("dropped_attributes_count", dropped, out);
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends `,"resource":{…},"scope":{…}` as far as there is anything to say.
fn write_origin(batch: &TraceBatch, scope: u32, out: &mut Vec<u8>) {
    let index = batch.index();
    let scope = &index.scopes[scope as usize];
    let resource = &index.resources[scope.resource as usize];
    let message = batch.bytes(resource.resource);
    let url = schema_url(batch, resource.head, resource.tail);
    write_object("resource", out, |out| {
        write_attributes(message, 1, out);
        write_count("dropped_attributes_count", varint(message, 2), out);
        write_text("schema_url", url, out);
    });
    let message = batch.bytes(scope.scope);
    let url = schema_url(batch, scope.head, scope.tail);
    write_object("scope", out, |out| {
        write_text("name", bytes(message, 1), out);
        write_text("version", bytes(message, 2), out);
        write_attributes(message, 3, out);
        write_count("dropped_attributes_count", varint(message, 4), out);
        write_text("schema_url", url, out);
    });
}

/// What `ResourceSpans` and `ScopeSpans` say beside their spans.
fn schema_url(batch: &TraceBatch, head: Slice, tail: Slice) -> &[u8] {
    let (head, tail) = (bytes(batch.bytes(head), 3), bytes(batch.bytes(tail), 3));
    if tail.is_empty() { head } else { tail }
}

/// The bytes of a field, the last where there are several.
fn bytes(message: &[u8], field: u32) -> &[u8] {
    messages(message, field).last().unwrap_or_default()
}

fn varint(message: &[u8], field: u32) -> u64 {
    let found = Fields::of(message).flatten().filter(|(number, _)| *number == field).last();
    found.and_then(|(_, value)| value.varint().ok()).unwrap_or_default()
}

/// Appends a member that is an object, unless `write` says nothing. What `write` appends begins with a comma.
fn write_object(name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    write_key(name, out);
    let start = out.len();
    write(out);
    if out.len() == start {
        out.truncate(before);
    } else {
        out[start] = b'{';
        out.push(b'}');
    }
}

/// Appends `,"attributes":{…}` of the `KeyValue`s in a field; nothing where there are none.
fn write_attributes(message: &[u8], field: u32, out: &mut Vec<u8>) {
    write_object("attributes", out, |out| {
        for pair in messages(message, field) {
            let Ok((key, value)) = key_value(pair) else { continue };
            out.push(b',');
            text::write_string(key, out);
            out.push(b':');
            let before = out.len();
            let value = AnyValue::read(value).unwrap_or(AnyValue::Empty);
            if value.write_json(out).is_err() {
                out.truncate(before);
                out.extend_from_slice(b"null");
            }
        }
    });
}

fn write_key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_text(name: &str, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        write_key(name, out);
        text::write_string(value, out);
    }
}

/// Appends an id; nothing where there is none.
fn write_hex(name: &str, id: &[u8], out: &mut Vec<u8>) {
    if id.iter().any(|byte| *byte != 0) {
        write_key(name, out);
        out.push(b'"');
        text::write_hex(id, out);
        out.push(b'"');
    }
}

fn write_count(name: &str, count: u64, out: &mut Vec<u8>) {
    if count > 0 {
        write_key(name, out);
        text::write_uint(count, out);
    }
}
