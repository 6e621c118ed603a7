//! A batch becomes the bytes of a record.

use super::super::definitions::{Remembered, put_attributes, put_number, put_resource};
use super::super::numbers::{Slices, put, put_difference, put_text};
use super::{Before, edit_number, kind_number};
use crate::data::logs::RareFields;
use crate::data::{Attribute, Chunk, LogBatch, LogRecord, LogView, NameId, Names, Resource, Scope, Slice, Value};

/// What the segment being written has defined, found by address: whoever is remembered is held.
#[derive(Debug, Default)]
pub struct Encoder {
    resources: Remembered<Resource>,
    scopes: Remembered<Scope>,
    paths: Vec<NameId>,
}

impl Encoder {
    /// Forgets everything: a new segment.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Appends the selected records of a batch, `detailed` as `is_detailed` says; returns whether that defined something.
    pub fn encode(&mut self, batch: &LogBatch, names: &Names, detailed: bool, out: &mut Vec<u8>) -> bool {
        let defined = self.defined();
        // In a copy of their own the records name bytes of one chunk alone.
        let batch = batch.detached();
        put_resource(&batch.resource, &mut self.resources, detailed, out);
        if !self.scopes.put(&batch.scope, out) {
            let Scope { name, version, attributes, schema_url } = &*batch.scope;
            put_text(out, name.as_bytes());
            put_text(out, version.as_bytes());
            if detailed {
                put_text(out, schema_url.as_bytes());
                put_attributes(attributes.iter().map(|(key, value)| (&**key, value)), out);
            }
        }
        let source = batch.source();
        put_text(out, batch.chunks().first().map_or(&[], Chunk::as_slice));
        put(out, source.generations.len() as u64);
        for generation in &source.generations {
            out.extend_from_slice(&generation.id.to_le_bytes());
            out.extend_from_slice(&generation.birth.0.to_le_bytes());
        }
        let mut slices = Slices::default();
        put(out, source.attributes.len() as u64);
        source.attributes.iter().for_each(|attribute| put_attribute(attribute, &mut slices, out));
        put(out, source.rare.len() as u64);
        source.rare.iter().for_each(|rare| put_rare(rare, detailed, &mut slices, out));
        out.push(u8::from(batch.overlay().is_some()));
        put(out, source.records.len() as u64);
        let mut before = Before::default();
        for view in batch.iter() {
            before.put(view.record, &mut slices, out);
            if view.state.is_some() {
                self.put_state(&view, names, &mut slices, out);
            }
        }
        self.defined() > defined
    }

    fn defined(&self) -> u64 {
        self.resources.defined + self.scopes.defined + self.paths.len() as u64
    }

    fn put_state(&mut self, view: &LogView<'_>, names: &Names, slices: &mut Slices, out: &mut Vec<u8>) {
        put_difference(out, view.record.time.0, view.time().0);
        out.push(view.severity().0);
        let Some(state) = view.state else { return };
        slices.put(out, state.body);
        slices.put(out, state.object);
        put(out, view.fields().len() as u64);
        for field in view.fields() {
            self.put_name(field.name, names, out);
            out.push(kind_number(field.kind) | edit_number(field.edit) << 3 | u8::from(field.nested) << 6);
            slices.put(out, field.key);
            slices.put(out, field.value);
            put(out, u64::from(field.member.0));
            put_difference(out, u64::from(field.member.0), u64::from(field.member.1));
        }
        put(out, view.cuts().len() as u64);
        for cut in view.cuts() {
            put(out, u64::from(cut.from));
            put_difference(out, u64::from(cut.from), u64::from(cut.to));
            slices.put(out, cut.with);
        }
        match view.batch.overlay().and_then(|overlay| overlay.attributes(state)) {
            None => put(out, 0),
            Some(attributes) => {
                put(out, attributes.len() as u64 + 1);
                attributes.iter().for_each(|attribute| put_attribute(attribute, slices, out));
            }
        }
    }

    fn put_name(&mut self, name: Option<NameId>, names: &Names, out: &mut Vec<u8>) {
        let Some(name) = name else { return put(out, 0) };
        if let Some(index) = self.paths.iter().position(|known| *known == name) {
            return put(out, index as u64 + 2);
        }
        self.paths.push(name);
        put(out, 1);
        let path = names.path(name);
        put(out, path.len() as u64);
        path.iter().for_each(|segment| put_text(out, segment.as_bytes()));
    }
}

impl Before {
    fn put(&mut self, record: &LogRecord, slices: &mut Slices, out: &mut Vec<u8>) {
        put_difference(out, self.time, record.time.0);
        slices.put(out, record.body);
        put(out, u64::from(record.attributes_start));
        put(out, u64::from(record.attributes_len));
        put(out, u64::from(record.start_generation));
        put(out, u64::from(record.end_generation));
        out.push(record.severity.0);
        put_difference(out, self.end, record.start);
        put_difference(out, record.start, record.end);
        put(out, record.rare.wrapping_add(1).into());
        (self.time, self.end) = (record.time.0, record.end);
    }
}

fn put_attribute(attribute: &Attribute, slices: &mut Slices, out: &mut Vec<u8>) {
    slices.put(out, attribute.key);
    let (kind, slice) = match attribute.value {
        Value::Text(slice) => (0, slice),
        Value::Json(slice) => (1, slice),
        Value::Bytes(slice) => (2, slice),
        Value::Int(number) => return put_number(3, number.cast_unsigned(), out),
        Value::Double(number) => return put_number(4, number.to_bits(), out),
        Value::Bool(yes) => return out.push(5 + u8::from(yes)),
    };
    out.push(kind);
    slices.put(out, slice);
}

fn put_rare(rare: &RareFields, detailed: bool, slices: &mut Slices, out: &mut Vec<u8>) {
    out.extend_from_slice(&rare.trace_id);
    out.extend_from_slice(&rare.span_id);
    put(out, u64::from(rare.flags));
    out.extend_from_slice(&rare.observed.0.to_le_bytes());
    let mut put_slice = |slice: Option<Slice>, out: &mut Vec<u8>| {
        out.push(u8::from(slice.is_some()));
        if let Some(slice) = slice {
            slices.put(out, slice);
        }
    };
    put_slice(rare.event_name, out);
    put_slice(rare.uid, out);
    if detailed {
        put_slice(rare.severity_text, out);
        put_slice(rare.typed_body, out);
        put(out, rare.dropped_attributes.into());
    }
}
