//! A span as it stands encoded (opentelemetry.proto.trace.v1.Span), read where it lies: each question is one walk
//! over its fields, and what nobody asks for is not looked at. Of what stands twice the last counts.
//!
//! The index has proven the message well-formed; what is not would read as what stands before the error.

use super::value::{AnyValue, key_value};
use crate::formats::protobuf::{Fields, Value};

/// Number of the field `attributes` of a `Span`.
pub const ATTRIBUTES: u32 = 9;
/// Number of the field `attributes` of a `Resource`.
pub const RESOURCE_ATTRIBUTES: u32 = 1;
/// Number of the field `name`.
pub const NAME: u32 = 5;
/// Number of the field `trace_state`.
pub const TRACE_STATE: u32 = 3;
/// Number of the field `status`.
pub const STATUS: u32 = 15;
/// Number of the field `message` of a `Status`.
pub const STATUS_MESSAGE: u32 = 2;
/// Number of the field `code` of a `Status`.
pub const STATUS_CODE: u32 = 3;

/// The message of a span.
#[derive(Clone, Copy, Debug)]
pub struct SpanMessage<'a>(pub &'a [u8]);

impl<'a> SpanMessage<'a> {
    /// Its name.
    pub fn name(self) -> &'a [u8] {
        last(self.0, NAME)
    }

    /// Its W3C `tracestate`.
    pub fn trace_state(self) -> &'a [u8] {
        last(self.0, TRACE_STATE)
    }

    /// The id of its parent; empty for a root.
    pub fn parent_span_id(self) -> &'a [u8] {
        last(self.0, 4)
    }

    /// What is told beside the status.
    pub fn status_message(self) -> &'a [u8] {
        last(last(self.0, STATUS), STATUS_MESSAGE)
    }

    /// The encoded value of an attribute, at the keys of maps in each other.
    pub fn attribute(self, keys: &[Box<str>]) -> Option<&'a [u8]> {
        attribute(self.0, ATTRIBUTES, keys)
    }

    /// The first event of this name.
    pub fn event(self, name: &[u8]) -> Option<EventMessage<'a>> {
        let mut events = each(self.0, 11).map(EventMessage);
        events.find(|event| event.name() == name)
    }
}

/// The message of an event of a span.
#[derive(Clone, Copy, Debug)]
pub struct EventMessage<'a>(&'a [u8]);

impl<'a> EventMessage<'a> {
    /// Its name.
    pub fn name(self) -> &'a [u8] {
        last(self.0, 2)
    }

    /// When it happened, in nanoseconds since the epoch.
    pub fn time(self) -> u64 {
        let times = Fields::of(self.0).flatten().filter(|(number, _)| *number == 1);
        times.last().map_or(0, |(_, time)| if let Value::Fixed64(time) = time { time } else { 0 })
    }

    /// The encoded value of an attribute, at the keys of maps in each other.
    pub fn attribute(self, keys: &[Box<str>]) -> Option<&'a [u8]> {
        attribute(self.0, 3, keys)
    }
}

/// The name of an `InstrumentationScope`.
pub fn scope_name(scope: &[u8]) -> &[u8] {
    last(scope, 1)
}

/// The version of an `InstrumentationScope`.
pub fn scope_version(scope: &[u8]) -> &[u8] {
    last(scope, 2)
}

/// The attributes of a message whose field `number` they are: key, and encoded `AnyValue`.
pub fn attributes(message: &[u8], number: u32) -> impl Iterator<Item = (&[u8], &[u8])> {
    each(message, number).filter_map(|pair| key_value(pair).ok())
}

/// The encoded value of an attribute of a message whose attributes have this number, at the keys of maps in each
/// other.
pub fn attribute<'a>(message: &'a [u8], number: u32, keys: &[Box<str>]) -> Option<&'a [u8]> {
    let (first, rest) = keys.split_first()?;
    let mut found = member(message, number, first.as_bytes())?;
    for key in rest {
        let Ok(AnyValue::Map(list)) = AnyValue::read(found) else { return None };
        found = member(list, 1, key.as_bytes())?;
    }
    Some(found)
}

/// The last of several counts.
fn member<'a>(message: &'a [u8], number: u32, key: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    let mut fields = Fields::of(message);
    while let Ok(Some((at, value))) = fields.field() {
        if at == number
            && let Value::Bytes(pair) = value
            && let Ok((known, value)) = key_value(pair)
            && known == key
        {
            found = Some(value);
        }
    }
    found
}

/// The messages of a repeated field.
fn each(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(message).flatten().filter_map(move |(found, value)| match value {
        Value::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    })
}

fn last(message: &[u8], number: u32) -> &[u8] {
    let mut last: &[u8] = &[];
    let mut fields = Fields::of(message);
    while let Ok(Some((at, value))) = fields.field() {
        if at == number
            && let Value::Bytes(bytes) = value
        {
            last = bytes;
        }
    }
    last
}
