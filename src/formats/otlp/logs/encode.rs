//! From batches to an `ExportLogsServiceRequest`, in one pass and within a limit of bytes.

use super::super::origin::{write_resource, write_scope};
use super::super::value::{
    AnyValue, push_attribute, push_json_value, push_scalar_value, push_text, push_text_value, push_value,
};
use super::UID;
use crate::data::names::Interest;
use crate::data::{Attribute, EncodingId, FieldEdit, LogBatch, LogView, UnixNanos, Value};
use crate::formats::document::{ORIGINAL, reserved};
use crate::formats::elasticsearch::id;
use crate::formats::json::MemberWriter;
use crate::formats::json::walk::members;
use crate::formats::protobuf::{open_message, push_bytes, push_fixed32, push_fixed64, push_uint};
use crate::formats::trace_ids::TraceIds;

/// Writes requests; keeps its buffers from batch to batch. One a task.
#[derive(Clone, Debug)]
pub struct LogsEncoder {
    resources: EncodingId,
    members: MemberWriter,
    /// An object with its edits.
    object: Vec<u8>,
}

/// How far a batch was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Records that were.
    pub records: u64,
    /// The place of the first that was not, because the request would have been too long; `None` where all were.
    pub next: Option<usize>,
}

/// Bytes by which the lengths of the messages around records grow when they are closed.
const CLOSING: usize = 8;

/// A buffer that grew beyond this for one record is not kept for the next.
const KEPT_BUFFER: usize = 1 << 20;

impl Default for LogsEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl LogsEncoder {
    /// An encoder.
    pub fn new() -> Self {
        Self { resources: EncodingId::unique(), members: MemberWriter::default(), object: Vec::new() }
    }

    /// What must be located in objects for the records to be right: they are gone through as they are written, so
    /// nothing but the severity.
    pub fn interest() -> Interest {
        Interest { severity: true, ..Interest::default() }
    }

    /// Appends the selected records of `batch` from place `from` on to the request `out` as one `ResourceLogs`, as long as the
    /// request stays within `most` bytes. A request that is empty takes a record of any length: `out` is then longer than
    /// `most`, and a destination with that limit will never take the record.
    ///
    /// `input` is the name of the output that the sink reads the batch from, which ids of records depend on;
    /// `arrival` is when a record was observed that does not say so itself.
    pub fn append(
        &mut self,
        batch: &LogBatch,
        from: usize,
        input: &str,
        arrival: UnixNanos,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Appended {
        let mut appended = Appended { records: 0, next: None };
        let empty = out.is_empty();
        let resource_logs = open_message(1, out);
        out.extend_from_slice(&batch.resource.encoded(self.resources, write_resource));
        let scope_logs = open_message(2, out);
        write_scope(&batch.scope, out);
        for index in batch.selection.iter().skip_while(|index| *index < from) {
            let before = out.len();
            let record = open_message(2, out);
            self.write(&batch.view(index), input, arrival, out);
            record.close(out);
            if out.len() + CLOSING > most && (appended.records > 0 || !empty) {
                out.truncate(before);
                appended.next = Some(index);
                break;
            }
            appended.records += 1;
        }
        if appended.records == 0 {
            resource_logs.cancel(out);
        } else {
            scope_logs.close(out);
            resource_logs.close(out);
        }
        appended
    }

    fn write(&mut self, view: &LogView<'_>, input: &str, arrival: UnixNanos, out: &mut Vec<u8>) {
        if view.time().is_some() {
            push_fixed64(1, view.time().0, out);
        }
        let (severity, severity_text) = (view.severity(), view.severity_text());
        if severity.is_some() {
            push_uint(2, severity.0.into(), out);
        }
        if !severity_text.is_empty() {
            push_text(3, severity_text, out);
        }
        write_body(view, out);
        for attribute in view.attributes() {
            write_attribute(view, attribute, out);
        }
        write_uid(view, input, out);
        let own = TraceIds::of_record(view);
        let ids = self.write_members(view, own, out);
        let rare = view.batch.rare(view.record).copied().unwrap_or_default();
        if rare.dropped_attributes > 0 {
            push_uint(7, rare.dropped_attributes.into(), out);
        }
        if rare.flags > 0 {
            push_fixed32(8, rare.flags, out);
        }
        if ids.trace_id != [0; 16] {
            push_bytes(9, &ids.trace_id, out);
        }
        if ids.span_id != [0; 8] {
            push_bytes(10, &ids.span_id, out);
        }
        let observed = if rare.observed.is_some() { rare.observed } else { arrival };
        if observed.is_some() {
            push_fixed64(11, observed.0, out);
        }
        if let Some(name) = rare.event_name {
            push_text(12, view.bytes(name), out);
        }
    }

    /// Appends the members of the record's object, as edited, as attributes. Returns the ids of the record: its
    /// `own`, or those among the members.
    fn write_members(&mut self, view: &LogView<'_>, own: TraceIds, out: &mut Vec<u8>) -> TraceIds {
        let untouched = view.cuts().is_empty() && view.fields().iter().all(|field| field.edit == FieldEdit::Original);
        self.object.clear();
        let object = if untouched {
            view.object()
        } else {
            self.members.write_object(view, &mut self.object);
            self.object.as_slice()
        };
        let ids = if own.any() || !may_name_ids(object) {
            own
        } else {
            let members = members(object, 0);
            TraceIds::of_members(members.map(|member| (reserved::content(&object[member.key]), &object[member.value])))
        };
        for member in members(object, 0) {
            let (key, value) = (&object[member.key], &object[member.value]);
            if ids.are_of(reserved::content(key)) {
                continue;
            }
            if reserved::shadows_source(reserved::content(key), || value) {
                let key = [b"\"", ORIGINAL.as_bytes(), &key[1..]].concat();
                push_attribute(6, &key, value, out);
            } else {
                push_attribute(6, key, value, out);
            }
        }
        if self.object.capacity() > KEPT_BUFFER {
            self.object = Vec::new();
        }
        ids
    }
}

/// Appends the body: typed while it is as it came, else as text.
fn write_body(view: &LogView<'_>, out: &mut Vec<u8>) {
    let before = out.len();
    if let Some(typed) = view.typed_body() {
        if AnyValue::read(typed).and_then(|value| push_value(5, value, out)).is_ok() {
            return;
        }
        out.truncate(before);
    }
    if !view.body().is_empty() {
        push_text_value(5, view.body(), out);
    }
}

/// Whether an object may have a member whose key is that of a trace's id. An escape may hide any name.
fn may_name_ids(object: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(object, text).is_some();
    has(b"trace_id\"") || has(b"\\u")
}

fn write_attribute(view: &LogView<'_>, attribute: &Attribute, out: &mut Vec<u8>) {
    let open = open_message(6, out);
    push_text(1, view.bytes(attribute.key), out);
    match attribute.value {
        Value::Text(slice) => push_text_value(2, view.bytes(slice), out),
        Value::Json(slice) => push_json_value(2, view.bytes(slice), out),
        Value::Bytes(slice) => push_scalar_value(2, AnyValue::Bytes(view.bytes(slice)), out),
        Value::Int(value) => push_scalar_value(2, AnyValue::Int(value), out),
        Value::Double(value) => push_scalar_value(2, AnyValue::Double(value), out),
        Value::Bool(value) => push_scalar_value(2, AnyValue::Bool(value), out),
    }
    open.close(out);
}

/// Appends the record's id as an attribute: what its sender gave it, else the one of its position.
fn write_uid(view: &LogView<'_>, input: &str, out: &mut Vec<u8>) {
    let given = view.batch.rare(view.record).and_then(|rare| rare.uid).map(|uid| view.bytes(uid));
    let of_position = if given.is_none() { id::of_position(view, input) } else { None };
    let Some(uid) = given.or(of_position.as_ref().map(<[u8; id::ID_LEN]>::as_slice)) else { return };
    let open = open_message(6, out);
    push_bytes(1, UID, out);
    push_text_value(2, uid, out);
    open.close(out);
}
