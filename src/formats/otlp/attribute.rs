//! Attributes of a message, read where they stand.

use crate::formats::protobuf::{Fields, Value};

/// The value of an attribute that is not a list, a map or bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text, as it was sent: its UTF-8 is not proven.
    Text(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
}

/// The attributes of a message whose field `number` they are: key, and the encoded `AnyValue`. The message has been
/// read once, so what is wrong with it ends the walk.
pub fn attributes(message: &[u8], number: u32) -> impl Iterator<Item = (&[u8], &[u8])> {
    Fields::of(message).flatten().filter_map(move |(found, value)| {
        let pair = if found == number { value.bytes().ok()? } else { return None };
        Some(attribute(pair))
    })
}

/// Key and encoded `AnyValue` of a `KeyValue`.
pub fn attribute(pair: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut any): (&[u8], &[u8]) = (b"", b"");
    for (number, value) in Fields::of(pair).flatten() {
        match (number, value) {
            (1, Value::Bytes(bytes)) => key = bytes,
            (2, Value::Bytes(bytes)) => any = bytes,
            _ => {}
        }
    }
    (key, any)
}

/// Number of the attributes' field in a `Resource`.
pub const OF_RESOURCE: u32 = 1;

/// Number of the attributes' field in a `Span`.
pub const OF_SPAN: u32 = 9;

/// An encoded `AnyValue` that is a scalar.
pub fn scalar(any: &[u8]) -> Option<Scalar<'_>> {
    let (number, value) = Fields::of(any).flatten().last()?;
    Some(match (number, value) {
        (1, Value::Bytes(text)) => Scalar::Text(text),
        (2, Value::Varint(value)) => Scalar::Bool(value != 0),
        (3, Value::Varint(value)) => Scalar::Int(value.cast_signed()),
        (4, Value::Fixed64(bits)) => Scalar::Double(f64::from_bits(bits)),
        _ => return None,
    })
}

/// The text of a field of a message.
pub fn text(message: &[u8], number: u32) -> &[u8] {
    let found = Fields::of(message).flatten().filter(|(found, _)| *found == number).last();
    found.and_then(|(_, value)| value.bytes().ok()).unwrap_or_default()
}
