//! The layout of the Elastic Common Schema. What it has no field for goes where users of Kubernetes look
//! for it, always under one of the names that are ours.

use serde_json::{Map, Value as Json};

use super::super::json::text::{self, unescaped_eq};
use super::super::json::{Emit, walk};
use super::{DocumentEncoder, Form, ORIGINAL, has_members, ids_of, reserved, write_attribute};
use crate::data::resource::ResourceValue;
use crate::data::{Attribute, Field, FieldEdit, JsonKind, LogView, Resource, Severity, Slice, UnixNanos};
use crate::formats::trace_ids::TraceIds;

impl DocumentEncoder {
    pub(super) fn write_ecs(&mut self, view: &LogView<'_>, form: Form, out: &mut Vec<u8>) -> u32 {
        let mut renamed = 0;
        let own_time = timestamp_member(view);
        self.write_time(own_time.map_or(Self::time_of(view), |(time, _)| time), out);
        let (data_stream, resource) = (&self.data_stream, &self.resource);
        self.shared.write(view, out, |view, attributes, out| {
            out.extend_from_slice(data_stream);
            out.extend_from_slice(resource);
            write_log(view, attributes, out);
            write_other_attributes(view, attributes, out);
        });
        let ids = ids_of(view);
        let taken = write_trace(view, &ids, out);
        let members = has_members(view);
        let body = view.body();
        if form == Form::Text {
            out.extend_from_slice(b",\"message\":");
            self.write_as_text(view, out);
        } else {
            if !body.is_empty() || !members {
                out.extend_from_slice(b",\"message\":");
                text::write_string(body, out);
            }
            if members {
                out.push(b',');
                let emit = |field: &Field| {
                    let key = reserved::content(view.bytes(field.key));
                    if !reserved::is_ecs(key) {
                        return if ids.are_of(key) && !taken.has(key) { Emit::Skip } else { Emit::Keep };
                    }
                    if own_time.is_some_and(|(_, value)| value == field.value) {
                        return Emit::Skip;
                    }
                    if body.is_empty() && field.kind == JsonKind::String && unescaped_eq(key, b"message") {
                        return Emit::Keep;
                    }
                    renamed += 1;
                    Emit::Prefixed(ORIGINAL)
                };
                if !self.members.write(view, emit, out) {
                    out.pop();
                }
            }
        }
        out.push(b'}');
        renamed
    }
}

/// Appends `,"log":{…}`: level, and what the source said about the line.
fn write_log(view: &LogView<'_>, attributes: &[Attribute], out: &mut Vec<u8>) {
    let severity = view.severity();
    let before = out.len();
    out.extend_from_slice(b",\"log\":{");
    if severity.is_some() {
        out.extend_from_slice(b"\"level\":\"");
        out.extend_from_slice(level(severity).as_bytes());
        out.extend_from_slice(b"\",");
    }
    let start = out.len();
    write_log_attributes(view, attributes, out);
    if out.len() > start {
        out.push(b'}');
    } else if severity.is_some() {
        out.pop();
        out.push(b'}');
    } else {
        out.truncate(before);
    }
}

/// The record's own `@timestamp`, where its object has one that can be read, and the value's slice.
fn timestamp_member(view: &LogView<'_>) -> Option<(UnixNanos, Slice)> {
    let is_timestamp = |field: &&Field| {
        let key = reserved::content(view.bytes(field.key));
        matches!(key.first(), Some(b'@' | b'\\'))
            && !field.nested
            && field.edit != FieldEdit::Deleted
            && field.kind == JsonKind::String
            && unescaped_eq(key, b"@timestamp")
    };
    let fields = view.fields().iter().rev().filter(is_timestamp);
    fields.map(|field| (reserved::content(view.bytes(field.value)), field.value)).find_map(|(text, slice)| {
        let time = UnixNanos::parse_rfc3339(text).filter(|time| time.is_some())?;
        i64::try_from(time.0).is_ok().then_some((time, slice))
    })
}

/// Whether a name is taken by a member or an attribute, that of the trace and that of the span.
struct Taken {
    trace: bool,
    span: bool,
}

impl Taken {
    /// Whether the id of the member with this key finds its place taken.
    fn has(&self, key: &[u8]) -> bool {
        if unescaped_eq(key, b"trace_id") { self.trace } else { self.span }
    }
}

/// Appends `,"trace":{"id":…},"span":{"id":…}`. These names are not ours: where the record has a member or
/// an attribute of such a name, that one stays and ours is left out.
fn write_trace(view: &LogView<'_>, ids: &TraceIds, out: &mut Vec<u8>) -> Taken {
    let mut write = |name: &str, id: &[u8]| {
        if id.iter().all(|&byte| byte == 0) {
            return false;
        }
        if is_taken(view, name) {
            return true;
        }
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":{\"id\":\"");
        text::write_hex(id, out);
        out.extend_from_slice(b"\"}");
        false
    };
    Taken { trace: write("trace", &ids.trace_id), span: write("span", &ids.span_id) }
}

/// Whether the record has a member or an attribute of this name, or of one that begins with it and a dot.
fn is_taken(view: &LogView<'_>, name: &str) -> bool {
    let object = view.object();
    let members = walk::members(object, 0).map(|member| &object[member.key]);
    let keys = members.chain(view.fields().iter().map(|field| view.bytes(field.key)));
    let mut keys = keys.map(reserved::content).chain(view.attributes().iter().map(|a| view.bytes(a.key)));
    keys.any(|key| reserved::is_or_below(key, name))
}

fn level(severity: Severity) -> &'static str {
    match severity.0 {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        _ => "fatal",
    }
}

/// The members of `log`: `log.iostream` is `iostream`, `log.file.path` is `file.path`, an object.
fn write_log_attributes(view: &LogView<'_>, attributes: &[Attribute], out: &mut Vec<u8>) {
    let named = |prefix: &'static [u8]| {
        attributes
            .iter()
            .filter_map(move |attribute| Some((view.bytes(attribute.key).strip_prefix(prefix)?, attribute)))
    };
    let start = out.len();
    for (key, attribute) in named(b"log.").filter(|(key, _)| !key.starts_with(b"file.")) {
        if out.len() > start {
            out.push(b',');
        }
        write_attribute(view, key, attribute, out);
    }
    for (index, (key, attribute)) in named(b"log.file.").enumerate() {
        if out.len() > start {
            out.push(b',');
        }
        if index == 0 {
            out.extend_from_slice(b"\"file\":{");
        }
        write_attribute(view, key, attribute, out);
    }
    if named(b"log.file.").next().is_some() {
        out.push(b'}');
    }
}

/// Appends `,"key":value` for the attributes that are not under `log`.
fn write_other_attributes(view: &LogView<'_>, attributes: &[Attribute], out: &mut Vec<u8>) {
    for attribute in attributes {
        let key = view.bytes(attribute.key);
        if key.starts_with(b"log.") {
            continue;
        }
        out.push(b',');
        if reserved::is_ecs_raw(key) {
            let key = [ORIGINAL.as_bytes(), key].concat();
            write_attribute(view, &key, attribute, out);
        } else {
            write_attribute(view, key, attribute, out);
        }
    }
}

/// Appends `,"kubernetes":{…},"container":{…},"host":{…}`: those that the resource has anything for.
pub(super) fn write_resource(resource: &Resource, out: &mut Vec<u8>) {
    let mut root = Map::new();
    for (key, value) in resource.attributes() {
        let value = match value {
            ResourceValue::Text(text) => Json::from(text.as_ref()),
            ResourceValue::Int(number) => Json::from(*number),
            ResourceValue::Double(number) => Json::from(*number),
            ResourceValue::Bool(value) => Json::from(*value),
            ResourceValue::Json(text) => serde_json::from_str(text).unwrap_or(Json::Null),
        };
        let path = field_path(key);
        let segments: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        if !insert(&mut root, &segments, value.clone()) {
            // A name that is both a value and a group of values: the later one is kept as a label.
            insert(&mut root, &["container", "labels", &key.replace('.', "_")], value);
        }
    }
    for (key, value) in &root {
        out.push(b',');
        text::write_string(key.as_bytes(), out);
        out.push(b':');
        out.extend_from_slice(value.to_string().as_bytes());
    }
}

/// Where an attribute of OpenTelemetry's resource stands.
fn field_path(key: &str) -> Vec<String> {
    let path = |path: &[&str]| path.iter().map(|&segment| segment.to_owned()).collect();
    // A label's own dots must not make groups: one label may be the beginning of another.
    let flat = |label: &str| label.replace('.', "_");
    if let Some(label) = key.strip_prefix("k8s.pod.label.").or_else(|| key.strip_prefix("k8s.pod.labels.")) {
        return path(&["kubernetes", "labels", &flat(label)]);
    }
    if key == "k8s.namespace.name" {
        return path(&["kubernetes", "namespace"]);
    }
    if let Some(rest) = key.strip_prefix("k8s.") {
        return std::iter::once("kubernetes").chain(rest.split('.')).map(str::to_owned).collect();
    }
    if key.starts_with("container.") || key.starts_with("host.") {
        return key.split('.').map(str::to_owned).collect();
    }
    path(&["container", "labels", &flat(key)])
}

fn insert(map: &mut Map<String, Json>, path: &[&str], value: Json) -> bool {
    match path {
        [] => false,
        [last] => {
            let free = !map.contains_key(*last);
            if free {
                map.insert((*last).to_owned(), value);
            }
            free
        }
        [first, rest @ ..] => {
            let group = map.entry(*first).or_insert_with(|| Json::Object(Map::new()));
            group.as_object_mut().is_some_and(|group| insert(group, rest, value))
        }
    }
}
