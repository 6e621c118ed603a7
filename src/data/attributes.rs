//! Attributes as sources give them: a key and a typed value, both naming bytes of the batch.

use super::chunk::Slice;

/// One attribute of a record, outside any JSON object. Keys are raw text, never escaped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribute {
    /// The key's bytes.
    pub key: Slice,
    /// Its value.
    pub value: Value,
}

/// A value of OpenTelemetry's `AnyValue`, without ownership of the bytes it names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Raw text, not escaped and not proven to be UTF-8.
    Text(Slice),
    /// One valid JSON value, spliceable as it is: the way nested lists and maps travel.
    Json(Slice),
    /// Raw bytes, shown in base64.
    Bytes(Slice),
    /// A signed integer.
    Int(i64),
    /// A double; JSON has no way to write one that is not finite.
    Double(f64),
    /// A boolean.
    Bool(bool),
}
