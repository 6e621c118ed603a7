//! Attributes (`common/v1/common.proto` of opentelemetry-proto 1.10) as the text that labels hold, by "attribute value
//! to string" of OpenTelemetry's specification: strings as they are, numbers and booleans as JSON writes them, bytes
//! in base64, lists and maps as JSON.

use crate::formats::json::text;
use crate::formats::otlp::MessageError;
use crate::formats::otlp::check::MOST_DEPTH;
use crate::formats::protobuf::{Fields, Value};

/// A `KeyValue`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Attribute<'a> {
    pub key: &'a str,
    /// An `AnyValue`; empty where there is none.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    pub fn read(message: &'a [u8]) -> Result<Self, MessageError> {
        let (mut key, mut value) = ("", None);
        for field in Fields::of(message) {
            match field? {
                (1, found) => key = found.text()?,
                (2, found) => once(&mut value, found.bytes()?, "value")?,
                _ => {}
            }
        }
        Ok(Self { key, value: value.unwrap_or_default() })
    }
}

/// Keeps the one message of a field that is not repeated. Protobuf would have two of them merged; nobody sends two.
pub(super) fn once<'a>(slot: &mut Option<&'a [u8]>, found: &'a [u8], what: &'static str) -> Result<(), MessageError> {
    match slot.replace(found) {
        None => Ok(()),
        Some(_) => Err(MessageError::Repeated(what)),
    }
}

/// Appends an `AnyValue` as text.
pub(super) fn write_text(value: &[u8], out: &mut Vec<u8>) -> Result<(), MessageError> {
    match any(value)? {
        None => {}
        Some((1, found)) => out.extend_from_slice(found.text()?.as_bytes()),
        Some((4, found)) => double(found.double()?, out),
        Some((7, found)) => {
            // Without the quotes.
            let start = out.len();
            text::write_base64(found.bytes()?, out);
            out.pop();
            out.remove(start);
        }
        Some((number, found)) => write_json(number, found, MOST_DEPTH, out)?,
    }
    Ok(())
}

/// The one field that is set: its number and value.
fn any(message: &[u8]) -> Result<Option<(u32, Value<'_>)>, MessageError> {
    let mut set = None;
    for field in Fields::of(message) {
        let (number, value) = field?;
        if (1..=7).contains(&number) && set.replace((number, value)).is_some() {
            return Err(MessageError::Repeated("value"));
        }
    }
    Ok(set)
}

fn write_json(number: u32, value: Value<'_>, depth: u32, out: &mut Vec<u8>) -> Result<(), MessageError> {
    let Some(depth) = depth.checked_sub(1) else { return Err(MessageError::Depth) };
    match number {
        1 => text::write_string(value.text()?.as_bytes(), out),
        2 => out.extend_from_slice(if value.varint()? == 0 { b"false" } else { b"true" }),
        3 => text::write_int(value.varint()? as i64, out),
        4 => text::write_double(value.double()?, out),
        5 => {
            out.push(b'[');
            for (index, element) in repeated(value)?.enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_element(element?, depth, out)?;
            }
            out.push(b']');
        }
        6 => {
            out.push(b'{');
            for (index, member) in repeated(value)?.enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let member = Attribute::read(member?)?;
                text::write_string(member.key.as_bytes(), out);
                out.push(b':');
                write_element(member.value, depth, out)?;
            }
            out.push(b'}');
        }
        _ => text::write_base64(value.bytes()?, out),
    }
    Ok(())
}

fn write_element(element: &[u8], depth: u32, out: &mut Vec<u8>) -> Result<(), MessageError> {
    match any(element)? {
        None => out.extend_from_slice(b"null"),
        Some((number, value)) => write_json(number, value, depth, out)?,
    }
    Ok(())
}

/// The messages of field 1, of which lists and maps are made.
fn repeated<'a>(value: Value<'a>) -> Result<impl Iterator<Item = Result<&'a [u8], MessageError>>, MessageError> {
    let fields = Fields::of(value.bytes()?);
    Ok(fields.filter_map(|field| match field {
        Ok((1, element)) => Some(element.bytes().map_err(MessageError::from)),
        Ok(_) => None,
        Err(error) => Some(Err(error.into())),
    }))
}

/// A double as ECMAScript and JSON of Go write it: `1`, `0.5`, `1e+21`.
fn double(value: f64, out: &mut Vec<u8>) {
    use std::io::Write;
    let size = value.abs();
    // Writing into a vector cannot fail.
    let _ = if value.is_nan() {
        out.write_all(b"NaN")
    } else if value.is_infinite() {
        out.write_all(if value > 0.0 { b"Infinity" } else { b"-Infinity" })
    } else if size == 0.0 || (1e-6..1e21).contains(&size) {
        write!(out, "{value}")
    } else {
        let shortest = format!("{value:e}");
        out.write_all(if size >= 1.0 { shortest.replace('e', "e+") } else { shortest }.as_bytes())
    };
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Kind;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use prost::Message;

    use super::*;

    fn any_of(kind: Kind) -> AnyValue {
        AnyValue { value: Some(kind) }
    }

    fn text_of(value: &AnyValue) -> Result<String, MessageError> {
        let mut out = Vec::new();
        write_text(&value.encode_to_vec(), &mut out).map(|()| String::from_utf8(out).expect("text"))
    }

    #[test]
    fn values_become_text() {
        let list = Kind::ArrayValue(ArrayValue {
            values: vec![
                any_of(Kind::StringValue("a\"\n".into())),
                any_of(Kind::IntValue(-3)),
                AnyValue { value: None },
            ],
        });
        let map = Kind::KvlistValue(KeyValueList {
            values: vec![
                KeyValue { key: "k".into(), value: Some(any_of(list.clone())), ..Default::default() },
                KeyValue { key: "none".into(), value: None, ..Default::default() },
                KeyValue { key: "b".into(), value: Some(any_of(Kind::BytesValue(vec![1, 2]))), ..Default::default() },
            ],
        });
        let cases = [
            (Kind::StringValue("plain \"text\"".into()), "plain \"text\""),
            (Kind::BoolValue(true), "true"),
            (Kind::BoolValue(false), "false"),
            (Kind::IntValue(i64::MIN), "-9223372036854775808"),
            (Kind::DoubleValue(1.0), "1"),
            (Kind::DoubleValue(-0.25), "-0.25"),
            (Kind::DoubleValue(1e21), "1e+21"),
            (Kind::DoubleValue(1.5e-7), "1.5e-7"),
            (Kind::DoubleValue(f64::NAN), "NaN"),
            (Kind::BytesValue(b"hi?".to_vec()), "aGk/"),
            (list, r#"["a\"\n",-3,null]"#),
            (map, r#"{"k":["a\"\n",-3,null],"none":null,"b":"AQI="}"#),
        ];
        for (kind, expected) in cases {
            assert_eq!(text_of(&any_of(kind)).as_deref(), Ok(expected));
        }
        assert_eq!(text_of(&AnyValue { value: None }).as_deref(), Ok(""));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: u32| {
            (0..depth).fold(any_of(Kind::IntValue(1)), |inner, level| {
                any_of(if level % 2 == 0 {
                    Kind::ArrayValue(ArrayValue { values: vec![inner] })
                } else {
                    let member = KeyValue { key: "k".into(), value: Some(inner), ..Default::default() };
                    Kind::KvlistValue(KeyValueList { values: vec![member] })
                })
            })
        };
        assert!(text_of(&nested(MOST_DEPTH - 1)).is_ok());
        assert_eq!(text_of(&nested(MOST_DEPTH)), Err(MessageError::Depth));
    }

    #[test]
    fn a_value_that_is_there_twice_is_refused() {
        let twice = [any_of(Kind::IntValue(1)).encode_to_vec(), any_of(Kind::BoolValue(true)).encode_to_vec()].concat();
        let mut out = Vec::new();
        assert_eq!(write_text(&twice, &mut out), Err(MessageError::Repeated("value")));
        assert!(matches!(Attribute::read(b"\x12\x00\x12\x00"), Err(MessageError::Repeated(_))));
        assert!(matches!(Attribute::read(b"\x0a\x01\xff"), Err(MessageError::Wire(_))));
    }
}
