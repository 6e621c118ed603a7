//! From the bytes of a message to JSON.

use std::borrow::Cow;

use super::schema::{Field, Kind, Message};
use super::{Unwritable, any};
use crate::formats::json::text;
use crate::formats::protobuf::{Fields, Value, WireError, take_varint, zigzag};

pub(super) fn write(message: &Message, bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let depth = depth.checked_sub(1).ok_or(Unwritable::Depth)?;
    out.push(b'{');
    let start = out.len();
    // Occurrences of a repeated field may stand apart, so each field looks for its own.
    for field in message.fields {
        let before = out.len();
        if out.len() > start {
            out.push(b',');
        }
        text::write_string(field.name.as_bytes(), out);
        out.push(b':');
        let wrote = if field.repeated { list(field, bytes, depth, out)? } else { single(field, bytes, depth, out)? };
        // The crate opentelemetry-proto, which receivers are built on, refuses an array without `values`.
        let is_a_list = matches!(message.fields, [only] if only.repeated);
        if !wrote && !is_a_list {
            out.truncate(before);
        }
    }
    // The rest is proven too, fields that are not known included.
    Fields::of(bytes).try_for_each(|field| field.map(drop))?;
    out.push(b'}');
    Ok(())
}

fn occurrences(bytes: &[u8], number: u32) -> impl Iterator<Item = Result<Value<'_>, WireError>> {
    Fields::of(bytes).filter_map(move |field| match field {
        Ok((found, value)) => (found == number).then_some(Ok(value)),
        Err(error) => Some(Err(error)),
    })
}

/// Appends a field that is one value: the last of several, or all messages as one, which is how Protocol Buffers
/// merge them.
fn single(field: &Field, bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<bool, Unwritable> {
    let mut found: Option<Value<'_>> = None;
    let mut merged: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    for value in occurrences(bytes, field.number) {
        let value = value?;
        if let (Kind::Message(_), Value::Bytes(part)) = (field.kind, value) {
            if found.is_none() {
                merged = Cow::Borrowed(part);
            } else {
                merged.to_mut().extend_from_slice(part);
            }
        }
        found = Some(value);
    }
    match (field.kind, found) {
        (_, None) => return Ok(false),
        (Kind::Message(message), Some(Value::Bytes(_))) => write(message, &merged, depth, out)?,
        (_, Some(value)) => one(field.kind, value, depth, out)?,
    }
    Ok(true)
}

fn list(field: &Field, bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<bool, Unwritable> {
    out.push(b'[');
    let start = out.len();
    let separate = |out: &mut Vec<u8>| {
        if out.len() > start {
            out.push(b',');
        }
    };
    for value in occurrences(bytes, field.number) {
        match value? {
            Value::Bytes(mut packed) if field.kind.is_packed() => {
                while !packed.is_empty() {
                    separate(out);
                    let value = take(field.kind, &mut packed)?;
                    one(field.kind, value, depth, out)?;
                }
            }
            value => {
                separate(out);
                one(field.kind, value, depth, out)?;
            }
        }
    }
    let any = out.len() > start;
    out.push(b']');
    Ok(any)
}

/// Takes one value of a packed run.
fn take<'a>(kind: Kind, packed: &mut &'a [u8]) -> Result<Value<'a>, WireError> {
    if !matches!(kind, Kind::Fixed64 | Kind::Sfixed64 | Kind::Double) {
        return take_varint(packed).map(Value::Varint);
    }
    let (taken, rest) = packed.split_first_chunk().ok_or(WireError::Short)?;
    *packed = rest;
    Ok(Value::Fixed64(u64::from_le_bytes(*taken)))
}

fn one(kind: Kind, value: Value<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let quoted = matches!(kind, Kind::Id | Kind::Int64 | Kind::Uint64 | Kind::Fixed64 | Kind::Sfixed64);
    if quoted {
        out.push(b'"');
    }
    match (kind, value) {
        (Kind::Text, Value::Bytes(bytes)) => text::write_string(bytes, out),
        (Kind::Bytes, Value::Bytes(bytes)) => text::write_base64(bytes, out),
        (Kind::Id, Value::Bytes(bytes)) => text::write_hex(bytes, out),
        (Kind::Bool, Value::Varint(value)) => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        // What is longer than 32 bits is cut to them, as every reader does.
        (Kind::Int32 | Kind::Enum(..), Value::Varint(value)) => text::write_int((value as i32).into(), out),
        (Kind::Sint32, Value::Varint(value)) => text::write_int((zigzag(value) as i32).into(), out),
        (Kind::Uint32, Value::Varint(value)) => text::write_uint((value as u32).into(), out),
        (Kind::Fixed32, Value::Fixed32(value)) => text::write_uint(value.into(), out),
        (Kind::Int64, Value::Varint(value)) | (Kind::Sfixed64, Value::Fixed64(value)) => {
            text::write_int(value.cast_signed(), out);
        }
        (Kind::Uint64, Value::Varint(value)) | (Kind::Fixed64, Value::Fixed64(value)) => text::write_uint(value, out),
        (Kind::Double, Value::Fixed64(bits)) => text::write_double(f64::from_bits(bits), out),
        (Kind::Message(message), Value::Bytes(bytes)) => write(message, bytes, depth, out)?,
        (Kind::Any, Value::Bytes(bytes)) => any::write(bytes, out)?,
        _ => return Err(WireError::Type.into()),
    }
    if quoted {
        out.push(b'"');
    }
    Ok(())
}
