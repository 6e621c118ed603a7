//! A log record as one JSON document, in either of two field layouts, and a span as one. Sinks that write documents share
//! this: a line of NDJSON has the same fields as a document in Elasticsearch.
//!
//! A document is spliced: fixed text, the time, the resource's fragment (made once per container), then
//! the bytes of the record's object with its edits. No member of an object can take the place of a field
//! that is ours: where it would, it is written with `original.` before its key.

mod ecs;
mod otel;
pub(super) mod reserved;
mod span;

pub use span::SpanEncoder;

use bytes::Bytes;

use super::json::{MemberWriter, text};
use super::trace_ids::{self, TraceIds};
use crate::data::names::Interest;
use crate::data::time::TimeText;
use crate::data::{Attribute, EncodingId, FieldEdit, LogBatch, LogView, Severity, UnixNanos, Value};

/// Where the fields of a record stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// OpenTelemetry's: the object under `attributes`, the origin under `resource.attributes`, text in
    /// `body.text`.
    #[default]
    Otel,
    /// Elastic Common Schema: the object at the top level, the origin under `kubernetes`, `container` and
    /// `host`, text in `message`.
    Ecs,
}

/// How a record's object is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Its members are spliced.
    #[default]
    Spliced,
    /// The whole object, as edited, is one escaped text: for a destination that refused its members.
    Text,
}

/// Before the key of a member that would stand in the place of a field of ours.
pub(super) const ORIGINAL: &str = "original.";

/// Writes documents. Keeps its buffers from record to record; clone one for each task.
#[derive(Clone, Debug)]
pub struct DocumentEncoder {
    layout: Layout,
    resources: EncodingId,
    /// What every document says about its data stream: `,"data_stream":{…}`, or nothing.
    data_stream: Bytes,
    members: MemberWriter,
    /// The resource's fragment of the batch that was begun.
    resource: Bytes,
    arrival: UnixNanos,
    time: TimeText,
    /// What records share: under `otel` their attributes, under `ecs` everything between time and members.
    shared: SharedCache,
    scratch: Vec<u8>,
}

impl DocumentEncoder {
    /// An encoder for documents that go to no data stream.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            resources: EncodingId::unique(),
            data_stream: Bytes::new(),
            members: MemberWriter::default(),
            resource: Bytes::new(),
            arrival: UnixNanos::NONE,
            time: TimeText::default(),
            shared: SharedCache::default(),
            scratch: Vec::new(),
        }
    }

    /// Every document says that it belongs to the data stream `logs-<dataset>-<namespace>`.
    #[must_use]
    pub fn with_data_stream(mut self, dataset: &str, namespace: &str) -> Self {
        self.data_stream = data_stream("logs", dataset, namespace).into();
        self
    }

    /// What must be located in objects for this layout to keep its own fields apart.
    pub fn interest(layout: Layout) -> Interest {
        let reserved = match layout {
            Layout::Otel => reserved::OTEL,
            Layout::Ecs => reserved::ECS,
        };
        Interest { paths: Vec::new(), reserved: [reserved, &trace_ids::KEYS].concat(), severity: true }
    }

    /// Prepares for the records of `batch`; a record without time gets `arrival`.
    pub fn begin(&mut self, batch: &LogBatch, arrival: UnixNanos) {
        let layout = self.layout;
        self.resource = batch.resource.encoded(self.resources, |resource, out| match layout {
            Layout::Otel => otel::write_resource(resource, out),
            Layout::Ecs => ecs::write_resource(resource, out),
        });
        self.arrival = arrival;
        self.shared.clear();
    }

    /// Appends the document of a record of the batch that was begun, without a line terminator. Returns
    /// how many members of its object were renamed.
    pub fn write(&mut self, view: &LogView<'_>, form: Form, out: &mut Vec<u8>) -> u32 {
        match self.layout {
            Layout::Otel => self.write_otel(view, form, out),
            Layout::Ecs => self.write_ecs(view, form, out),
        }
    }

    /// The record's time or, where nothing told it, when a collector saw the record first.
    fn time_of(view: &LogView<'_>) -> UnixNanos {
        let observed = || view.batch.rare(view.record).map(|rare| rare.observed).unwrap_or_default();
        if view.time().is_some() { view.time() } else { observed() }
    }

    fn write_time(&mut self, time: UnixNanos, out: &mut Vec<u8>) {
        // Elasticsearch's nanoseconds are signed; a time beyond them (the year 2262) is a broken clock's.
        let sane = time.is_some() && i64::try_from(time.0).is_ok();
        out.extend_from_slice(b"{\"@timestamp\":\"");
        out.extend_from_slice(self.time.of(if sane { time } else { self.arrival }));
        out.push(b'"');
    }

    /// Appends what the record says as one JSON string: the body, then the object as edited.
    fn write_as_text(&mut self, view: &LogView<'_>, out: &mut Vec<u8>) {
        self.scratch.clear();
        self.scratch.extend_from_slice(view.body());
        if has_members(view) {
            if !self.scratch.is_empty() {
                self.scratch.push(b' ');
            }
            self.members.write_object(view, &mut self.scratch);
        }
        text::write_string(&self.scratch, out);
        // A huge record's text is not kept for the small ones that follow.
        if self.scratch.capacity() > 1 << 20 {
            self.scratch = Vec::new();
        }
    }
}

/// What every document says about its data stream: `,"data_stream":{…}`.
fn data_stream(kind: &str, dataset: &str, namespace: &str) -> Vec<u8> {
    let mut fragment = Vec::new();
    for (before, text) in
        [(&b",\"data_stream\":{\"type\":"[..], kind), (b",\"dataset\":", dataset), (b",\"namespace\":", namespace)]
    {
        fragment.extend_from_slice(before);
        text::write_string(text.as_bytes(), &mut fragment);
    }
    fragment.push(b'}');
    fragment
}

/// The ids of a record's span: its own, else those that its object names.
fn ids_of(view: &LogView<'_>) -> TraceIds {
    let own = TraceIds::of_record(view);
    if own.any() {
        return own;
    }
    let there = view.fields().iter().filter(|field| !field.nested && field.edit != FieldEdit::Deleted);
    TraceIds::of_members(there.map(|field| (reserved::content(view.bytes(field.key)), view.bytes(field.value))))
}

/// Whether the record has an object, or attributes that a step added to none.
fn has_members(view: &LogView<'_>) -> bool {
    !view.object().is_empty() || !view.fields().is_empty()
}

/// Appends `"key":value` for one attribute of a source, its key as given.
fn write_attribute(view: &LogView<'_>, key: &[u8], attribute: &Attribute, out: &mut Vec<u8>) {
    text::write_string(key, out);
    out.push(b':');
    match attribute.value {
        Value::Text(slice) => text::write_string(view.bytes(slice), out),
        Value::Json(slice) => out.extend_from_slice(view.bytes(slice)),
        Value::Bytes(slice) => text::write_base64(view.bytes(slice), out),
        Value::Int(number) => text::write_int(number, out),
        Value::Double(number) => text::write_double(number, out),
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
    }
}

/// Encoded runs that depend on nothing but a record's attributes as its source gave them and on its
/// severity: the records of one stream of a container share them, so they are written once a batch.
#[derive(Clone, Debug, Default)]
struct SharedCache {
    entries: Vec<Cached>,
    text: Vec<u8>,
}

/// Attributes are recognised by where they lie: they do not move while their batch is being written.
#[derive(Clone, Copy, Debug)]
struct Cached {
    key: (usize, usize, Severity),
    from: usize,
    to: usize,
}

/// A container has two streams and a handful of severities; beyond this many, runs are written anew.
const MOST_CACHED: usize = 16;

impl SharedCache {
    fn clear(&mut self) {
        self.entries.clear();
        self.text.clear();
    }

    /// Appends what `encode` writes for the record; returns whether that is anything.
    fn write(
        &mut self,
        view: &LogView<'_>,
        out: &mut Vec<u8>,
        encode: impl Fn(&LogView<'_>, &[Attribute], &mut Vec<u8>),
    ) -> bool {
        let attributes = view.attributes();
        let key = (attributes.as_ptr().addr(), attributes.len(), view.severity());
        if let Some(known) = self.entries.iter().find(|entry| entry.key == key) {
            out.extend_from_slice(&self.text[known.from..known.to]);
            return known.to > known.from;
        }
        let before = out.len();
        encode(view, attributes, out);
        if self.entries.len() < MOST_CACHED {
            let from = self.text.len();
            self.text.extend_from_slice(&out[before..]);
            self.entries.push(Cached { key, from, to: self.text.len() });
        }
        out.len() > before
    }
}
