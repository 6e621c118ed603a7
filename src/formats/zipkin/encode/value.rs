//! An encoded `AnyValue` as text: as it stands where it is one, and as JSON where it is not, following "AnyValue
//! representation for non-OTLP protocols" of <https://opentelemetry.io/docs/specs/otel/common/>.

use super::super::names;
use super::EncodeError;
use crate::formats::json::text;
use crate::formats::protobuf::{Fields, Value, WireError};

/// Values within values that are written: whatever the agent takes in has fewer.
pub(super) const MOST_DEPTH: usize = 64;

/// What an `AnyValue` holds: the number of the field and its value; `None` where it is empty.
fn held(message: &[u8]) -> Result<Option<(u32, Value<'_>)>, WireError> {
    let mut held = None;
    let mut fields = Fields::of(message);
    while let Some(field) = fields.field()? {
        if matches!(field.0, 1..=7) {
            held = Some(field);
        }
    }
    Ok(held)
}

/// The text of a string; `None` where it is something else, or nothing.
pub(super) fn as_text(message: &[u8]) -> Option<&[u8]> {
    match held(message) {
        Ok(Some((1, Value::Bytes(text)))) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// A number of a port, also where it is a string.
pub(super) fn as_port(message: &[u8]) -> Option<u16> {
    let port = match held(message).ok()?? {
        (3, value) => value.varint().ok()?.try_into().ok()?,
        (1, value) => value.text().ok()?.parse().ok()?,
        _ => return None,
    };
    Some(port).filter(|port| *port != 0)
}

/// Whether it is `true`.
pub(super) fn is_true(message: &[u8]) -> bool {
    matches!(held(message), Ok(Some((2, Value::Varint(1)) | (1, Value::Bytes(b"true")))))
}

/// Appends the text without quotes, nothing escaped.
pub(super) fn write_bare(message: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match held(message)? {
        None => {}
        Some((1, value)) => out.extend_from_slice(value.bytes()?),
        Some((4, value)) => {
            let double = value.double()?;
            let name = match double {
                f64::INFINITY => "Infinity",
                f64::NEG_INFINITY => "-Infinity",
                _ if double.is_nan() => "NaN",
                _ => "",
            };
            if name.is_empty() {
                text::write_double(double, out);
            } else {
                out.extend_from_slice(name.as_bytes());
            }
        }
        Some((7, value)) => {
            let start = out.len();
            text::write_base64(value.bytes()?, out);
            out.pop();
            out.remove(start);
        }
        Some(_) => write_json(message, 0, out)?,
    }
    Ok(())
}

/// Appends the text as a JSON string.
pub(super) fn write_string(message: &[u8], scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(content) = as_text(message) {
        text::write_string(content, out);
        return Ok(());
    }
    scratch.clear();
    write_bare(message, scratch)?;
    text::write_string(scratch, out);
    Ok(())
}

/// Appends a `KeyValue` as a member of a JSON object, with a comma where it is not the first one in `out`.
pub(super) fn write_member(message: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !out.is_empty() {
        out.push(b',');
    }
    write_key_value(message, 0, out)
}

/// Appends a number of dropped attributes as a member.
pub(super) fn write_dropped(count: u64, out: &mut Vec<u8>) {
    if count > 0 {
        if !out.is_empty() {
            out.push(b',');
        }
        text::write_string(names::DROPPED_ATTRIBUTES.as_bytes(), out);
        out.push(b':');
        text::write_uint(count, out);
    }
}

fn write_key_value(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.field()? {
        match number {
            1 => key = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    text::write_string(key, out);
    out.push(b':');
    write_json(value, depth, out)
}

fn write_json(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if depth > MOST_DEPTH {
        return Err(EncodeError::Depth);
    }
    match held(message)? {
        None => out.extend_from_slice(b"null"),
        Some((1, value)) => text::write_string(value.bytes()?, out),
        Some((2, value)) => out.extend_from_slice(if value.varint()? != 0 { b"true" } else { b"false" }),
        Some((3, value)) => text::write_int(value.varint()? as i64, out),
        Some((4, value)) => text::write_double(value.double()?, out),
        Some((5, value)) => write_list(value.bytes()?, b"[]", out, |value, out| write_json(value, depth + 1, out))?,
        Some((6, value)) => {
            write_list(value.bytes()?, b"{}", out, |value, out| write_key_value(value, depth + 1, out))?
        }
        Some((_, value)) => text::write_base64(value.bytes()?, out),
    }
    Ok(())
}

/// Appends an `ArrayValue` or a `KeyValueList`.
fn write_list(
    message: &[u8],
    brackets: &[u8; 2],
    out: &mut Vec<u8>,
    each: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    out.push(brackets[0]);
    let mut first = true;
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        if number == 1 {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            each(value.bytes()?, out)?;
        }
    }
    out.push(brackets[1]);
    Ok(())
}
