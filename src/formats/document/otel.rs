//! OpenTelemetry's layout, with the field names of Elastic's `otel` mode: `attributes` and
//! `resource.attributes` hold flat keys with dots, as the semantic conventions write them.

use super::super::json::{Emit, text};
use super::{DocumentEncoder, Form, ORIGINAL, has_members, reserved, write_attribute};
use crate::data::logs::RareFields;
use crate::data::resource::ResourceValue;
use crate::data::{LogView, Resource};

impl DocumentEncoder {
    pub(super) fn write_otel(&mut self, view: &LogView<'_>, form: Form, out: &mut Vec<u8>) -> u32 {
        let mut renamed = 0;
        self.write_time(view.time(), out);
        out.extend_from_slice(&self.data_stream);
        out.extend_from_slice(&self.resource);
        write_scope(view, out);
        let severity = view.severity();
        if severity.is_some() {
            out.extend_from_slice(b",\"severity_text\":\"");
            out.extend_from_slice(severity.text().as_bytes());
            out.extend_from_slice(b"\",\"severity_number\":");
            text::write_uint(u64::from(severity.0), out);
        }
        if let Some(rare) = view.batch.rare(view.record) {
            write_rare(view, rare, out);
        }
        let before = out.len();
        out.extend_from_slice(b",\"attributes\":{");
        let mut any = self.shared.write(view, out, |view, attributes, out| {
            for (index, attribute) in attributes.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_attribute(view, view.bytes(attribute.key), attribute, out);
            }
        });
        let members = has_members(view);
        if members && form == Form::Spliced {
            if any {
                out.push(b',');
            }
            let emit = |field: &crate::data::Field| {
                let key = reserved::content(view.bytes(field.key));
                if reserved::shadows_source(key, || view.bytes(field.value)) {
                    renamed += 1;
                    return Emit::Prefixed(ORIGINAL);
                }
                Emit::Keep
            };
            let wrote = self.members.write(view, emit, out);
            if !wrote && any {
                out.pop();
            }
            any |= wrote;
        }
        if any {
            out.push(b'}');
        } else {
            out.truncate(before);
        }
        if form == Form::Text {
            out.extend_from_slice(b",\"body\":{\"text\":");
            self.write_as_text(view, out);
            out.push(b'}');
        } else if !view.body().is_empty() || !members {
            out.extend_from_slice(b",\"body\":{\"text\":");
            text::write_string(view.body(), out);
            out.push(b'}');
        }
        out.push(b'}');
        renamed
    }
}

/// Appends `,"resource":{"attributes":{…}}`; nothing for a resource without attributes.
pub(super) fn write_resource(resource: &Resource, out: &mut Vec<u8>) {
    let before = out.len();
    out.extend_from_slice(b",\"resource\":{\"attributes\":{");
    let mut any = false;
    for (key, value) in resource.attributes() {
        if any {
            out.push(b',');
        }
        any = true;
        text::write_string(key.as_bytes(), out);
        out.push(b':');
        match value {
            ResourceValue::Text(value) => text::write_string(value.as_bytes(), out),
            ResourceValue::Int(value) => text::write_int(*value, out),
            ResourceValue::Double(value) => text::write_double(*value, out),
            ResourceValue::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            ResourceValue::Json(value) => out.extend_from_slice(value.as_bytes()),
        }
    }
    if any {
        out.extend_from_slice(b"}}");
    } else {
        out.truncate(before);
    }
}

fn write_scope(view: &LogView<'_>, out: &mut Vec<u8>) {
    let scope = &view.batch.scope;
    if scope.name.is_empty() && scope.version.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"scope\":{\"name\":");
    text::write_string(scope.name.as_bytes(), out);
    if !scope.version.is_empty() {
        out.extend_from_slice(b",\"version\":");
        text::write_string(scope.version.as_bytes(), out);
    }
    out.push(b'}');
}

fn write_rare(view: &LogView<'_>, rare: &RareFields, out: &mut Vec<u8>) {
    if rare.observed.is_some() {
        out.extend_from_slice(b",\"observed_timestamp\":\"");
        rare.observed.write_rfc3339(out);
        out.push(b'"');
    }
    if rare.trace_id != [0; 16] {
        out.extend_from_slice(b",\"trace_id\":\"");
        text::write_hex(&rare.trace_id, out);
        out.push(b'"');
    }
    if rare.span_id != [0; 8] {
        out.extend_from_slice(b",\"span_id\":\"");
        text::write_hex(&rare.span_id, out);
        out.push(b'"');
    }
    if let Some(name) = rare.event_name {
        out.extend_from_slice(b",\"event_name\":");
        text::write_string(view.bytes(name), out);
    }
}
