//! OpenTelemetry's layout, with the field names of Elastic's `otel` mode: `attributes` and
//! `resource.attributes` hold flat keys with dots, as the semantic conventions write them.

use super::super::json::{Emit, text};
use super::{DocumentEncoder, Form, ORIGINAL, has_members, ids_of, reserved, write_attribute};
use crate::data::logs::RareFields;
use crate::data::resource::ResourceValue;
use crate::data::{LogView, Resource, Scope};
use crate::formats::trace_ids::TraceIds;

impl DocumentEncoder {
    pub(super) fn write_otel(&mut self, view: &LogView<'_>, form: Form, out: &mut Vec<u8>) -> u32 {
        let mut renamed = 0;
        self.write_time(Self::time_of(view), out);
        out.extend_from_slice(&self.data_stream);
        out.extend_from_slice(&self.resource);
        write_scope(view, out);
        let (severity, severity_text) = (view.severity(), view.severity_text());
        if !severity_text.is_empty() {
            out.extend_from_slice(b",\"severity_text\":");
            text::write_string(severity_text, out);
        }
        if severity.is_some() {
            out.extend_from_slice(b",\"severity_number\":");
            text::write_uint(u64::from(severity.0), out);
        }
        let ids = ids_of(view);
        let rare = view.batch.rare(view.record);
        write_times_and_ids(rare, &ids, out);
        if let Some(name) = rare.and_then(|rare| rare.event_name) {
            out.extend_from_slice(b",\"event_name\":");
            text::write_string(view.bytes(name), out);
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
                if ids.are_of(key) {
                    return Emit::Skip;
                }
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
    if write_attributes(resource.attributes(), out) {
        out.push(b'}');
        write_schema_url(resource.schema_url(), out);
        out.push(b'}');
    } else {
        out.truncate(before);
    }
}

fn write_scope(view: &LogView<'_>, out: &mut Vec<u8>) {
    let Scope { name, version, attributes, schema_url } = &*view.batch.scope;
    if name.is_empty() && version.is_empty() && attributes.is_empty() && schema_url.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"scope\":{\"name\":");
    text::write_string(name.as_bytes(), out);
    if !version.is_empty() {
        out.extend_from_slice(b",\"version\":");
        text::write_string(version.as_bytes(), out);
    }
    if !attributes.is_empty() {
        out.extend_from_slice(b",\"attributes\":{");
        write_attributes(attributes.iter().map(|(key, value)| (&**key, value)), out);
        out.push(b'}');
    }
    write_schema_url(schema_url, out);
    out.push(b'}');
}

fn write_schema_url(schema_url: &str, out: &mut Vec<u8>) {
    if !schema_url.is_empty() {
        out.extend_from_slice(b",\"schema_url\":");
        text::write_string(schema_url.as_bytes(), out);
    }
}

/// Appends `"key":value` for attributes of a resource or a scope; returns whether there are any.
fn write_attributes<'a>(attributes: impl Iterator<Item = (&'a str, &'a ResourceValue)>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for (key, value) in attributes {
        if out.len() > start {
            out.push(b',');
        }
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
    out.len() > start
}

fn write_times_and_ids(rare: Option<&RareFields>, ids: &TraceIds, out: &mut Vec<u8>) {
    if let Some(rare) = rare.filter(|rare| rare.observed.is_some()) {
        out.extend_from_slice(b",\"observed_timestamp\":\"");
        rare.observed.write_rfc3339(out);
        out.push(b'"');
    }
    if ids.trace_id != [0; 16] {
        out.extend_from_slice(b",\"trace_id\":\"");
        text::write_hex(&ids.trace_id, out);
        out.push(b'"');
    }
    if ids.span_id != [0; 8] {
        out.extend_from_slice(b",\"span_id\":\"");
        text::write_hex(&ids.span_id, out);
        out.push(b'"');
    }
}
