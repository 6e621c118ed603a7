//! `AnyValue` (opentelemetry-proto 1.11, `common/v1/common.proto`) as JSON and JSON as `AnyValue`: lists and maps
//! travel through the agent as JSON text, and leave it as what they were.
//!
//! Lists and maps in each other are read and written up to [`MOST_DEPTH`]; JSON that is deeper is written as its text.
//! What JSON has no form for is shown as OTLP/JSON shows it: bytes in base64, a double that is not finite as
//! `"NaN"`, `"Infinity"`, `"-Infinity"`.

use std::borrow::Cow;

use super::MessageError;
use super::check::MOST_DEPTH;
use crate::formats::json::text;
use crate::formats::json::walk::{members, skip_blank, value_end};
use crate::formats::json::{strict::is_number, text::unescape};
use crate::formats::protobuf::{
    Fields, Value, WireError, open_message, push_bytes, push_double, push_uint, push_varint,
};

/// A value, with lists and maps unread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyValue<'a> {
    /// None is set, or one that is not known.
    Empty,
    /// `string_value`, not proven to be UTF-8.
    Text(&'a [u8]),
    /// `bool_value`
    Bool(bool),
    /// `int_value`
    Int(i64),
    /// `double_value`
    Double(f64),
    /// `array_value`, an `ArrayValue`.
    Array(&'a [u8]),
    /// `kvlist_value`, a `KeyValueList`.
    Map(&'a [u8]),
    /// `bytes_value`
    Bytes(&'a [u8]),
}

impl<'a> AnyValue<'a> {
    /// Reads a value; of several the last counts.
    #[inline]
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut value = Self::Empty;
        for field in Fields::of(message) {
            value = match field? {
                (1, found) => Self::Text(found.bytes()?),
                (2, found) => Self::Bool(found.varint()? != 0),
                (3, found) => Self::Int(found.varint()?.cast_signed()),
                (4, found) => Self::Double(found.double()?),
                (5, found) => Self::Array(found.bytes()?),
                (6, found) => Self::Map(found.bytes()?),
                (7, found) => Self::Bytes(found.bytes()?),
                _ => value,
            };
        }
        Ok(value)
    }

    /// Appends the value as JSON.
    pub fn write_json(self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        self.write_nested(MOST_DEPTH, out)
    }

    fn write_nested(self, depth: u32, out: &mut Vec<u8>) -> Result<(), MessageError> {
        match self {
            Self::Empty => out.extend_from_slice(b"null"),
            Self::Text(text) => text::write_string(text, out),
            Self::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Self::Int(value) => text::write_int(value, out),
            Self::Double(value) => text::write_double(value, out),
            Self::Bytes(bytes) => text::write_base64(bytes, out),
            Self::Array(list) => {
                let depth = depth.checked_sub(1).ok_or(MessageError::Depth)?;
                each(list, b'[', b']', out, |element, out| AnyValue::read(element)?.write_nested(depth, out))?;
            }
            Self::Map(list) => {
                let depth = depth.checked_sub(1).ok_or(MessageError::Depth)?;
                each(list, b'{', b'}', out, |member, out| {
                    let (key, value) = key_value(member)?;
                    text::write_string(key, out);
                    out.push(b':');
                    AnyValue::read(value)?.write_nested(depth, out)
                })?;
            }
        }
        Ok(())
    }
}

/// Appends what `write` makes of the messages of field 1, between brackets and with commas.
fn each(
    list: &[u8],
    open: u8,
    close: u8,
    out: &mut Vec<u8>,
    write: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), MessageError>,
) -> Result<(), MessageError> {
    out.push(open);
    let start = out.len();
    for field in Fields::of(list) {
        let (1, element) = field.map_err(MessageError::Wire)? else { continue };
        if out.len() > start {
            out.push(b',');
        }
        write(element.bytes()?, out)?;
    }
    out.push(close);
    Ok(())
}

/// A `KeyValue` as nearly all are written: a key and a value behind it, each shorter than 128 bytes; nothing else.
#[inline(always)]
pub(super) fn plain_key_value(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, length @ ..0x80, rest @ ..] = message else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let [0x12, length @ ..0x80, value @ ..] = rest else { return None };
    (usize::from(*length) == value.len()).then_some((key, value))
}

/// Reads a `KeyValue`: its key, not proven to be UTF-8, and its `AnyValue`, empty where there is none.
#[inline(always)]
pub fn key_value(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    plain_key_value(message).map_or_else(|| any_key_value(message), Ok)
}

fn any_key_value(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::of(message) {
        match field? {
            (1, Value::Bytes(found)) => key = found,
            (2, Value::Bytes(found)) => value = found,
            (1 | 2, _) => return Err(WireError::Type),
            _ => {}
        }
    }
    Ok((key, value))
}

/// Appends a field of text; what is not UTF-8 has U+FFFD in its place.
#[inline]
pub fn push_text(number: u32, text: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(text).is_ok() {
        push_bytes(number, text, out);
    } else {
        push_bytes(number, String::from_utf8_lossy(text).as_bytes(), out);
    }
}

/// Appends the field `number`, an `AnyValue` that is this text. Its length is told before the text is copied.
#[inline]
pub fn push_text_value(number: u32, text: &[u8], out: &mut Vec<u8>) {
    let lossy = match std::str::from_utf8(text) {
        Ok(_) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(String::from_utf8_lossy(text).into_owned().into_bytes()),
    };
    let length = lossy.len() as u64;
    let length_bytes = u64::from((64 - (length | 1).leading_zeros()).div_ceil(7));
    push_varint(u64::from(number) << 3 | 2, out);
    push_varint(1 + length_bytes + length, out);
    push_bytes(1, &lossy, out);
}

/// Appends the field `number`, an `AnyValue`, for a scalar.
pub fn push_scalar_value(number: u32, value: AnyValue<'_>, out: &mut Vec<u8>) {
    let open = open_message(number, out);
    match value {
        AnyValue::Bool(value) => push_uint(2, value.into(), out),
        AnyValue::Int(value) => push_uint(3, value.cast_unsigned(), out),
        AnyValue::Double(value) => push_double(4, value, out),
        AnyValue::Bytes(bytes) => push_bytes(7, bytes, out),
        AnyValue::Text(text) => push_text(1, text, out),
        AnyValue::Array(list) => push_bytes(5, list, out),
        AnyValue::Map(list) => push_bytes(6, list, out),
        AnyValue::Empty => {}
    }
    open.close(out);
}

/// Appends the field `number`, an `AnyValue`, for one that was read: without fields that are not known, and with
/// U+FFFD for what is not UTF-8, as a receiver refuses a whole request for one such text.
///
/// # Errors
/// Where it is not well-formed; part of it is then in `out`.
pub fn push_value(number: u32, value: AnyValue<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let (kind, list) = match value {
        AnyValue::Array(list) => (5, list),
        AnyValue::Map(list) => (6, list),
        AnyValue::Text(text) => {
            push_text_value(number, text, out);
            return Ok(());
        }
        scalar => {
            push_scalar_value(number, scalar, out);
            return Ok(());
        }
    };
    let value = open_message(number, out);
    let elements = open_message(kind, out);
    for field in Fields::of(list) {
        let (1, element) = field? else { continue };
        if kind == 5 {
            push_value(1, AnyValue::read(element.bytes()?)?, out)?;
        } else {
            let (key, value) = key_value(element.bytes()?)?;
            let member = open_message(1, out);
            push_text(1, key, out);
            push_value(2, AnyValue::read(value)?, out)?;
            member.close(out);
        }
    }
    elements.close(out);
    value.close(out);
    Ok(())
}

/// Appends the field `number`, an `AnyValue`, for a JSON value: text that the scan has proven or that the agent
/// has written. A number that is none, which the scan does not see, is written as its text.
pub fn push_json_value(number: u32, json: &[u8], out: &mut Vec<u8>) {
    push_nested(number, json, MOST_DEPTH, out);
}

fn push_nested(number: u32, json: &[u8], depth: u32, out: &mut Vec<u8>) {
    match (json.first(), depth.checked_sub(1)) {
        (Some(b'"'), _) => {
            let content = json.get(1..json.len() - 1).unwrap_or_default();
            if memchr::memchr(b'\\', content).is_none() {
                push_text_value(number, content, out);
            } else {
                let value = open_message(number, out);
                push_content(1, content, out);
                value.close(out);
            }
        }
        (Some(b'{'), Some(depth)) => {
            let value = open_message(number, out);
            let list = open_message(6, out);
            for member in members(json, 0) {
                push_member(1, &json[member.key], &json[member.value], depth, out);
            }
            list.close(out);
            value.close(out);
        }
        (Some(b'['), Some(depth)) => {
            let value = open_message(number, out);
            let list = open_message(5, out);
            for element in elements(json) {
                push_nested(1, element, depth, out);
            }
            list.close(out);
            value.close(out);
        }
        _ => match scalar(json) {
            Some(value) => push_scalar_value(number, value, out),
            None => push_text_value(number, json, out),
        },
    }
}

/// Appends the field `number`, a `KeyValue`, for a member of an object; its key is JSON text with quotes.
pub fn push_attribute(number: u32, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    push_member(number, key, value, MOST_DEPTH, out);
}

fn push_member(number: u32, key: &[u8], value: &[u8], depth: u32, out: &mut Vec<u8>) {
    let open = open_message(number, out);
    push_content(1, key.get(1..key.len() - 1).unwrap_or_default(), out);
    push_nested(2, value, depth, out);
    open.close(out);
}

/// Appends a field of text, given as the content of a JSON string.
fn push_content(number: u32, content: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr(b'\\', content).is_none() {
        return push_text(number, content, out);
    }
    let open = open_message(number, out);
    match std::str::from_utf8(content) {
        Ok(_) => unescape(content, out),
        Err(_) => unescape(String::from_utf8_lossy(content).as_bytes(), out),
    }
    open.close(out);
}

/// The elements of an array.
fn elements(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 1;
    std::iter::from_fn(move || {
        at = skip_blank(json, at);
        if json.get(at) == Some(&b',') {
            at = skip_blank(json, at + 1);
        }
        let start = at;
        at = value_end(json, start).filter(|end| *end > start)?;
        Some(&json[start..at])
    })
}

fn scalar(json: &[u8]) -> Option<AnyValue<'static>> {
    match json {
        b"true" => return Some(AnyValue::Bool(true)),
        b"false" => return Some(AnyValue::Bool(false)),
        b"null" => return Some(AnyValue::Empty),
        _ => {}
    }
    let text = std::str::from_utf8(json).ok().filter(|_| is_number(json))?;
    let whole = text.parse().ok().map(AnyValue::Int);
    whole.or_else(|| text.parse().ok().filter(|double: &f64| double.is_finite()).map(AnyValue::Double))
}

#[cfg(test)]
mod tests;
