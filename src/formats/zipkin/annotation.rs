//! Texts that hold more than a text: annotations with attributes, and links.
//!
//! The specification writes an event with attributes as `"name": {"key": "value"}`, of which OpenTelemetry's SDK for
//! Python makes an object; the Collector writes `name|{"key":"value"}|0` and a link as
//! `trace|span|state|{"key":"value"}|0`, the last being the number of dropped attributes. A text that is not quite one
//! of them is a text.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::decode::Text;
use super::names;
use crate::formats::json::text;
use crate::formats::protobuf::{push_bytes, push_double, push_message, push_uint};

/// Longer texts are not looked into: what is read of them takes several times their length of memory.
const MOST_BYTES: usize = 64 << 10;
/// Values within values that are taken; OTLP's receivers take no more than about thirty.
const MOST_DEPTH: usize = 24;

/// Attributes that were read from a text.
pub(super) struct Attributes {
    members: Map<String, Value>,
    dropped: u32,
}

/// An event with attributes.
pub(super) fn read_event(text: &str) -> Option<(Cow<'_, str>, Attributes)> {
    if text.len() > MOST_BYTES {
        return None;
    }
    if text.starts_with('"') {
        let mut names = serde_json::Deserializer::from_str(text).into_iter::<Text<'_>>();
        let Text(name) = names.next()?.ok()?;
        let members = text[names.byte_offset()..].trim_start().strip_prefix(':')?;
        return Some((name, read_members(members, None)?));
    }
    if text.starts_with("{\"") {
        let event: Map<String, Value> = serde_json::from_str(text).ok()?;
        let mut members = event.into_iter();
        return match (members.next(), members.next()) {
            (Some((name, Value::Object(members))), None) => Some((Cow::Owned(name), checked(members, None)?)),
            _ => None,
        };
    }
    let (rest, dropped) = text.rsplit_once('|')?;
    let (name, members) = rest.split_at(rest.find("|{")?);
    Some((Cow::Borrowed(name), read_members(&members[1..], Some(dropped))?))
}

/// A link of the Collector's form.
pub(super) struct Link<'a> {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    state: &'a str,
    attributes: Attributes,
}

impl<'a> Link<'a> {
    pub(super) fn read(text: &'a str) -> Option<Self> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let (trace_id, rest) = text.split_once('|')?;
        let (span_id, rest) = rest.split_once('|')?;
        let (rest, dropped) = rest.rsplit_once('|')?;
        let (state, members) = rest.split_at(rest.find("|{")?);
        Some(Self {
            trace_id: hex(trace_id)?,
            span_id: hex(span_id)?,
            state,
            attributes: read_members(&members[1..], Some(dropped))?,
        })
    }

    /// Appends it as a `Span.Link`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        push_bytes(1, &self.trace_id, out);
        push_bytes(2, &self.span_id, out);
        if !self.state.is_empty() {
            push_bytes(3, self.state.as_bytes(), out);
        }
        self.attributes.write(4, out);
    }
}

/// Exactly `N` bytes in hexadecimal that are not all 0.
fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    super::decode::read_id(digits).ok()
}

fn read_members(object: &str, dropped: Option<&str>) -> Option<Attributes> {
    checked(serde_json::from_str(object).ok()?, dropped)
}

fn checked(mut members: Map<String, Value>, dropped: Option<&str>) -> Option<Attributes> {
    if members.values().any(|value| depth(value) > MOST_DEPTH) {
        return None;
    }
    let dropped = match dropped {
        Some(dropped) => take_dropped(&mut members).max(dropped.parse().ok()?),
        None => take_dropped(&mut members),
    };
    if dropped > 0 {
        members.remove(names::DROPPED_ATTRIBUTES);
    }
    Some(Attributes { members, dropped })
}

/// The specification has the number of dropped attributes among them.
fn take_dropped(members: &mut Map<String, Value>) -> u32 {
    let count = members.get(names::DROPPED_ATTRIBUTES).and_then(|count| match count {
        Value::Number(number) => u32::try_from(number.as_u64()?).ok(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    });
    if count.is_some() {
        members.remove(names::DROPPED_ATTRIBUTES);
    }
    count.unwrap_or_default()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

impl Attributes {
    /// Appends them as fields `number`, and in the next one the number of those dropped.
    pub(super) fn write(&self, number: u32, out: &mut Vec<u8>) {
        for member in &self.members {
            push_message(number, out, |out| write_member(member, out));
        }
        if self.dropped > 0 {
            push_uint(number + 1, u64::from(self.dropped), out);
        }
    }
}

/// Appends a `KeyValue`.
fn write_member((key, value): (&String, &Value), out: &mut Vec<u8>) {
    if !key.is_empty() {
        push_bytes(1, key.as_bytes(), out);
    }
    push_message(2, out, |out| write_any(value, out));
}

/// Appends an `AnyValue`.
fn write_any(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(value) => push_uint(2, u64::from(*value), out),
        Value::Number(number) => match number.as_i64() {
            Some(int) => push_uint(3, int as u64, out),
            None => push_double(4, number.as_f64().unwrap_or(f64::NAN), out),
        },
        Value::String(text) => push_bytes(1, text.as_bytes(), out),
        Value::Array(values) => push_message(5, out, |out| {
            values.iter().for_each(|value| push_message(1, out, |out| write_any(value, out)));
        }),
        Value::Object(members) => push_message(6, out, |out| {
            members.iter().for_each(|member| push_message(1, out, |out| write_member(member, out)));
        }),
    }
}

/// Appends the text of an event: `attributes` is the content of a JSON object, empty where it has none. A name that
/// would be read as more than a name is written as one that has no attributes.
pub(super) fn write_event(name: &[u8], attributes: &[u8], out: &mut Vec<u8>) {
    let more = || std::str::from_utf8(name).is_ok_and(|name| read_event(name).is_some());
    if attributes.is_empty() && !more() {
        out.extend_from_slice(name);
        return;
    }
    text::write_string(name, out);
    out.extend_from_slice(b": {");
    out.extend_from_slice(attributes);
    out.push(b'}');
}

/// Which link's tag has this name.
pub(super) fn link_index(name: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(name.strip_prefix(names::LINK.as_bytes())?).ok()?;
    // A name that would not be written so is that of no link.
    let canonical = digits.len() == 1 || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| canonical)
}

/// The name of the tag of a link.
pub(super) fn link_name(index: usize, name: &mut String) {
    name.clear();
    name.push_str(names::LINK);
    // Writing into a string cannot fail.
    let _ = write!(name, "{index}");
}
