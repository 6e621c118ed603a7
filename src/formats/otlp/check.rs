//! Proves that what rides along unread is well-formed, so that one sender's broken attribute never makes a receiver
//! refuse what others sent in the same request. Fields that are not known are passed over.

use super::MessageError;
use super::value::plain_key_value;
use crate::formats::protobuf::{Fields, Value, WireError};

/// Values within values that are read. A message of this depth is one that receivers built on prost still take,
/// whose limit is a hundred messages.
pub const MOST_DEPTH: u32 = 30;

type Checked = Result<(), MessageError>;

/// A `KeyValue`.
#[inline(always)]
pub fn key_value(message: &[u8], depth: u32) -> Checked {
    match plain_key_value(message) {
        Some((_, value)) => any_value(value, depth),
        None => any_key_value(message, depth),
    }
}

fn any_key_value(message: &[u8], depth: u32) -> Checked {
    let mut fields = Fields::of(message);
    let (mut has_key, mut has_value) = (false, false);
    while let Some((number, value)) = fields.field()? {
        match number {
            1 => {
                once(&mut has_key, "key")?;
                value.bytes()?;
            }
            2 => {
                once(&mut has_value, "value")?;
                any_value(value.bytes()?, depth)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Of two values some readers see the last, and others both in one: what one of them redacts, another would show.
fn once(is_there: &mut bool, name: &'static str) -> Checked {
    if std::mem::replace(is_there, true) { Err(MessageError::Repeated(name)) } else { Ok(()) }
}

/// An `AnyValue` that `depth` further values may be nested in.
#[inline(always)]
pub fn any_value(message: &[u8], depth: u32) -> Checked {
    match message {
        // Nearly all of them: a short text, a small number, a boolean.
        [0x0a, length @ ..0x80, text @ ..] if usize::from(*length) == text.len() => Ok(()),
        [0x10 | 0x18, ..0x80] => Ok(()),
        _ => any_other_value(message, depth),
    }
}

fn any_other_value(message: &[u8], depth: u32) -> Checked {
    let mut fields = Fields::of(message);
    let mut is_there = false;
    while let Some((number, value)) = fields.field()? {
        if number <= 8 {
            once(&mut is_there, "value")?;
        }
        match (number, value) {
            (1 | 7, Value::Bytes(_)) | (2 | 3 | 8, Value::Varint(_)) | (4, Value::Fixed64(_)) => {}
            (5, Value::Bytes(array)) => nested(array, depth, any_value)?,
            (6, Value::Bytes(list)) => nested(list, depth, key_value)?,
            (1..=8, _) => return Err(WireError::Type.into()),
            _ => {}
        }
    }
    Ok(())
}

#[cold]
fn nested(list: &[u8], depth: u32, each: fn(&[u8], u32) -> Checked) -> Checked {
    let depth = depth.checked_sub(1).ok_or(MessageError::Depth)?;
    let mut fields = Fields::of(list);
    while let Some((number, value)) = fields.field()? {
        if number == 1 {
            each(value.bytes()?, depth)?;
        }
    }
    Ok(())
}

/// A `Resource`.
pub fn resource(message: &[u8]) -> Checked {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match (number, value) {
            (1, Value::Bytes(attribute)) => key_value(attribute, MOST_DEPTH)?,
            (2, Value::Varint(_)) | (3, Value::Bytes(_)) => {}
            (1..=3, _) => return Err(WireError::Type.into()),
            _ => {}
        }
    }
    Ok(())
}

/// An `InstrumentationScope`.
pub fn scope(message: &[u8]) -> Checked {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match (number, value) {
            (1 | 2, Value::Bytes(_)) | (4, Value::Varint(_)) => {}
            (3, Value::Bytes(attribute)) => key_value(attribute, MOST_DEPTH)?,
            (1..=4, _) => return Err(WireError::Type.into()),
            _ => {}
        }
    }
    Ok(())
}

/// A `Span.Event`.
pub fn event(message: &[u8]) -> Checked {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match (number, value) {
            (1, Value::Fixed64(_)) | (2, Value::Bytes(_)) | (4, Value::Varint(_)) => {}
            (3, Value::Bytes(attribute)) => key_value(attribute, MOST_DEPTH)?,
            (1..=4, _) => return Err(WireError::Type.into()),
            _ => {}
        }
    }
    Ok(())
}

/// A `Span.Link`. Returns whether its ids are as long as ids are, or left out.
pub fn link(message: &[u8]) -> Result<bool, MessageError> {
    let mut fields = Fields::of(message);
    let mut is_sound = true;
    while let Some((number, value)) = fields.field()? {
        match (number, value) {
            (1, Value::Bytes(trace_id)) => is_sound &= matches!(trace_id.len(), 0 | 16),
            (2, Value::Bytes(span_id)) => is_sound &= matches!(span_id.len(), 0 | 8),
            (3, Value::Bytes(_)) | (5, Value::Varint(_)) | (6, Value::Fixed32(_)) => {}
            (4, Value::Bytes(attribute)) => key_value(attribute, MOST_DEPTH)?,
            (1..=6, _) => return Err(WireError::Type.into()),
            _ => {}
        }
    }
    Ok(is_sound)
}
