//! From spans of OTLP to Zipkin's v2 JSON, each from its message and those of its scope and resource.

mod endpoint;
mod tags;
mod value;

use super::{annotation, kind, names, status};
use crate::formats::json::text;
use crate::formats::protobuf::{Fields, Value, WireError};
use tags::{Origin, Tag, TagValue};

/// Why a span cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A message is not what it should be.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Zipkin has no spans without.
    #[error("its trace id is not 16 bytes other than zeros")]
    TraceId,
    /// Zipkin has no spans without.
    #[error("its span id is not 8 bytes other than zeros")]
    SpanId,
    /// Values within values beyond what is written.
    #[error("an attribute's values are nested more than {} deep", value::MOST_DEPTH)]
    Depth,
}

/// Writes spans. Its buffers are used again for the next one.
#[derive(Debug, Default)]
pub struct Encoder {
    /// Empty between two spans.
    tags: Vec<Tag<'static>>,
    scratch: Vec<u8>,
    members: Vec<u8>,
}

/// What is read of a `Span` at first.
#[derive(Default)]
struct Read<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_id: &'a [u8],
    trace_state: &'a [u8],
    name: &'a [u8],
    kind: u64,
    start: u64,
    end: u64,
    status: u64,
    message: &'a [u8],
    events: usize,
    links: usize,
}

impl Encoder {
    /// An encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a span as a JSON object: an encoded `opentelemetry.proto.trace.v1.Span` with its `Resource` and
    /// `InstrumentationScope`, which are empty where there is none. On an error `out` is as it was.
    pub fn span(&mut self, resource: &[u8], scope: &[u8], span: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let before = out.len();
        // The lifetime of what they borrow ends here; their storage, which collecting in place keeps, does not.
        let mut tags: Vec<Tag<'_>> = std::mem::take(&mut self.tags).into_iter().map(Tag::shorter).collect();
        let written = self.write(resource, scope, span, &mut tags, out);
        tags.clear();
        self.tags = tags.into_iter().map(Tag::never).collect();
        if written.is_err() {
            out.truncate(before);
        }
        written
    }

    fn write<'a>(
        &mut self,
        resource: &'a [u8],
        scope: &'a [u8],
        message: &'a [u8],
        tags: &mut Vec<Tag<'a>>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let span = Read::of(message, tags)?;
        tags::of_scope(scope, tags)?;
        let service = tags::of_resource(resource, tags)?;
        tags::settle(tags, &span);
        write_ids(&span, out);
        write_text("kind", kind_name(span.kind).as_bytes(), out);
        write_text("name", span.name, out);
        write_times(&span, out);
        self.scratch.clear();
        value::write_bare(service, &mut self.scratch)?;
        let local = endpoint::local(&self.scratch, tags);
        local.write("localEndpoint", out);
        endpoint::remote(span.kind, tags).write("remoteEndpoint", out);
        self.write_annotations(message, span.events, out)?;
        let debug = tags::take_flag(names::DEBUG, tags);
        let shared = tags::take_flag(names::SHARED, tags);
        self.write_tags(message, tags, &span, out)?;
        for (flag, name) in [(debug, "debug"), (shared, "shared")] {
            if flag {
                write_name(name, out);
                out.extend_from_slice(b"true");
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn write_annotations(&mut self, message: &[u8], events: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if events == 0 {
            return Ok(());
        }
        write_name("annotations", out);
        let mut before = b'[';
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.field()? {
            if number == 11 {
                out.push(before);
                before = b',';
                self.write_event(value.bytes()?, out)?;
            }
        }
        out.push(b']');
        Ok(())
    }

    /// Writes a `Span.Event`.
    fn write_event(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (mut time, mut name) = (0, &b""[..]);
        self.members.clear();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => time = fixed64(value)?,
                2 => name = value.bytes()?,
                3 => value::write_member(value.bytes()?, &mut self.members)?,
                4 => value::write_dropped(value.varint()?, &mut self.members),
                _ => {}
            }
        }
        self.scratch.clear();
        annotation::write_event(name, &self.members, &mut self.scratch);
        out.extend_from_slice(b"{\"timestamp\":");
        text::write_uint(time / 1000, out);
        out.extend_from_slice(b",\"value\":");
        text::write_string(&self.scratch, out);
        out.push(b'}');
        Ok(())
    }

    fn write_tags(
        &mut self,
        message: &[u8],
        tags: &[Tag<'_>],
        span: &Read<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if span.links == 0 && tags.iter().all(|tag| tag.taken) {
            return Ok(());
        }
        write_name("tags", out);
        let mut before = b'{';
        for tag in tags.iter().filter(|tag| !tag.taken) {
            out.push(before);
            before = b',';
            text::write_string(tag.name, out);
            out.push(b':');
            match tag.value {
                TagValue::Any(value) => value::write_string(value, &mut self.scratch, out)?,
                TagValue::Text(value) => text::write_string(value, out),
                TagValue::Count(count) => {
                    out.push(b'"');
                    text::write_uint(count, out);
                    out.push(b'"');
                }
            }
        }
        let mut fields = Fields::of(message);
        let mut index = 0;
        while let Some((number, value)) = fields.field()? {
            if number == 13 {
                out.push(before);
                before = b',';
                self.write_link(index, value.bytes()?, out)?;
                index += 1;
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// Writes a `Span.Link` as the Collector does: the specification has no form for it.
    fn write_link(&mut self, index: u64, message: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (mut trace_id, mut span_id, mut state, mut dropped) = (&b""[..], &b""[..], &b""[..], 0);
        self.members.clear();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => trace_id = value.bytes()?,
                2 => span_id = value.bytes()?,
                3 => state = value.bytes()?,
                4 => value::write_member(value.bytes()?, &mut self.members)?,
                5 => dropped = value.varint()?,
                _ => {}
            }
        }
        let written = &mut self.scratch;
        written.clear();
        text::write_hex(trace_id, written);
        written.push(b'|');
        text::write_hex(span_id, written);
        written.push(b'|');
        written.extend_from_slice(state);
        written.extend_from_slice(b"|{");
        written.extend_from_slice(&self.members);
        written.extend_from_slice(b"}|");
        text::write_uint(dropped, written);
        out.push(b'"');
        out.extend_from_slice(names::LINK.as_bytes());
        text::write_uint(index, out);
        out.extend_from_slice(b"\":");
        text::write_string(written, out);
        Ok(())
    }
}

impl<'a> Read<'a> {
    /// Reads a `Span`, its attributes into `tags`.
    fn of(message: &'a [u8], tags: &mut Vec<Tag<'a>>) -> Result<Self, EncodeError> {
        let mut span = Self::default();
        let mut dropped = [0; 3];
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => span.trace_id = value.bytes()?,
                2 => span.span_id = value.bytes()?,
                3 => span.trace_state = value.bytes()?,
                4 => span.parent_id = value.bytes()?,
                5 => span.name = value.bytes()?,
                6 => span.kind = value.varint()?,
                7 => span.start = fixed64(value)?,
                8 => span.end = fixed64(value)?,
                9 => tags.push(Tag::read(Origin::Span, value.bytes()?)?),
                10 => dropped[0] = value.varint()?,
                11 => span.events += 1,
                12 => dropped[1] = value.varint()?,
                13 => span.links += 1,
                14 => dropped[2] = value.varint()?,
                15 => span.read_status(value.bytes()?)?,
                _ => {}
            }
        }
        if span.trace_id.len() != 16 || is_zero(span.trace_id) {
            return Err(EncodeError::TraceId);
        }
        if span.span_id.len() != 8 || is_zero(span.span_id) {
            return Err(EncodeError::SpanId);
        }
        let counts = [names::DROPPED_ATTRIBUTES, names::DROPPED_EVENTS, names::DROPPED_LINKS];
        let counts = counts.into_iter().zip(dropped).filter(|(_, count)| *count > 0);
        tags.extend(counts.map(|(name, count)| Tag::own(name, TagValue::Count(count))));
        if !span.trace_state.is_empty() {
            tags.push(Tag::own(names::TRACE_STATE, TagValue::Text(span.trace_state)));
        }
        match span.status {
            status::OK => tags.push(Tag::own(names::STATUS_CODE, TagValue::Text(b"OK"))),
            status::ERROR => {
                tags.push(Tag::own(names::STATUS_CODE, TagValue::Text(b"ERROR")));
                tags.push(Tag::own(names::ERROR, TagValue::Text(span.message)));
            }
            _ => {}
        }
        Ok(span)
    }

    fn read_status(&mut self, message: &'a [u8]) -> Result<(), EncodeError> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                2 => self.message = value.bytes()?,
                3 => self.status = value.varint()?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_zero(id: &[u8]) -> bool {
    id.iter().all(|byte| *byte == 0)
}

fn fixed64(value: Value<'_>) -> Result<u64, WireError> {
    if let Value::Fixed64(value) = value { Ok(value) } else { Err(WireError::Type) }
}

const fn kind_name(kind: u64) -> &'static str {
    match kind {
        kind::SERVER => "SERVER",
        kind::CLIENT => "CLIENT",
        kind::PRODUCER => "PRODUCER",
        kind::CONSUMER => "CONSUMER",
        _ => "",
    }
}

/// Writes the object's beginning.
fn write_ids(span: &Read<'_>, out: &mut Vec<u8>) {
    let (high, low) = span.trace_id.split_at(8);
    out.extend_from_slice(b"{\"traceId\":\"");
    if !is_zero(high) {
        text::write_hex(high, out);
    }
    text::write_hex(low, out);
    out.push(b'"');
    if span.parent_id.len() == 8 && !is_zero(span.parent_id) {
        write_name("parentId", out);
        out.push(b'"');
        text::write_hex(span.parent_id, out);
        out.push(b'"');
    }
    write_name("id", out);
    out.push(b'"');
    text::write_hex(span.span_id, out);
    out.push(b'"');
}

/// Microseconds as whole numbers. Zipkin takes a duration of 0 for none and wants short ones rounded up.
fn write_times(span: &Read<'_>, out: &mut Vec<u8>) {
    let nanos = span.end.saturating_sub(span.start);
    let duration = if nanos > 0 { (nanos / 1000).max(1) } else { 0 };
    for (name, micros) in [("timestamp", span.start / 1000), ("duration", duration)] {
        if micros > 0 {
            write_name(name, out);
            text::write_uint(micros, out);
        }
    }
}

/// Writes a member that is not the first one, unless it is empty.
fn write_text(name: &str, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        write_name(name, out);
        text::write_string(value, out);
    }
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}
