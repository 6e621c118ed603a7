//! Resources and scopes as the data model has them (opentelemetry-proto 1.11, `resource/v1/resource.proto`,
//! `common/v1/common.proto`): read once for what shares them, and written from then on as they were encoded.
//!
//! Not kept are the number of attributes that the sender has dropped and the references to entities, which the
//! specification does not call stable.

use super::MessageError;
use super::value::{AnyValue, key_value, push_json_value, push_scalar_value, push_text, push_text_value};
use crate::data::resource::ResourceValue;
use crate::data::{Resource, Scope};
use crate::formats::protobuf::{Fields, open_message, push_bytes};

type Attributes = Vec<(Box<str>, ResourceValue)>;

/// Reads a `Resource`, and the URL of its schema that stands beside it.
pub fn read_resource(message: &[u8], schema_url: &[u8]) -> Result<Resource, MessageError> {
    let mut attributes = Attributes::new();
    for field in Fields::of(message) {
        if let (1, found) = field? {
            attributes.push(read_attribute(found.bytes()?)?);
        }
    }
    Ok(Resource::new(attributes).with_schema_url(&String::from_utf8_lossy(schema_url)))
}

/// Reads an `InstrumentationScope`, and the URL of its schema that stands beside it.
pub fn read_scope(message: &[u8], schema_url: &[u8]) -> Result<Scope, MessageError> {
    let mut scope = Scope { schema_url: String::from_utf8_lossy(schema_url).into(), ..Scope::default() };
    for field in Fields::of(message) {
        match field? {
            (1, found) => scope.name = String::from_utf8_lossy(found.bytes()?).into(),
            (2, found) => scope.version = String::from_utf8_lossy(found.bytes()?).into(),
            (3, found) => scope.attributes.push(read_attribute(found.bytes()?)?),
            _ => {}
        }
    }
    Ok(scope)
}

fn read_attribute(message: &[u8]) -> Result<(Box<str>, ResourceValue), MessageError> {
    let (key, value) = key_value(message)?;
    let value = match AnyValue::read(value)? {
        AnyValue::Text(text) => ResourceValue::Text(String::from_utf8_lossy(text).into()),
        AnyValue::Bool(value) => ResourceValue::Bool(value),
        AnyValue::Int(value) => ResourceValue::Int(value),
        AnyValue::Double(value) => ResourceValue::Double(value),
        nested => {
            let mut json = Vec::new();
            nested.write_json(&mut json)?;
            ResourceValue::Json(String::from_utf8_lossy(&json).into())
        }
    };
    Ok((String::from_utf8_lossy(key).into(), value))
}

/// Appends what stands in a `ResourceLogs`, `ResourceSpans` or `ResourceMetrics` beside its scopes: the resource
/// and the URL of its schema.
pub fn write_resource(resource: &Resource, out: &mut Vec<u8>) {
    let open = open_message(1, out);
    resource.attributes().for_each(|(key, value)| push_attribute(1, key, value, out));
    if open.is_empty(out) {
        open.cancel(out);
    } else {
        open.close(out);
    }
    if !resource.schema_url().is_empty() {
        push_bytes(3, resource.schema_url().as_bytes(), out);
    }
}

/// Appends what stands in a `ScopeLogs`, `ScopeSpans` or `ScopeMetrics` beside its content: the scope and the URL
/// of its schema.
pub fn write_scope(scope: &Scope, out: &mut Vec<u8>) {
    let open = open_message(1, out);
    for (number, text) in [(1, &scope.name), (2, &scope.version)] {
        if !text.is_empty() {
            push_bytes(number, text.as_bytes(), out);
        }
    }
    scope.attributes.iter().for_each(|(key, value)| push_attribute(3, key, value, out));
    if open.is_empty(out) {
        open.cancel(out);
    } else {
        open.close(out);
    }
    if !scope.schema_url.is_empty() {
        push_bytes(3, scope.schema_url.as_bytes(), out);
    }
}

fn push_attribute(number: u32, key: &str, value: &ResourceValue, out: &mut Vec<u8>) {
    let open = open_message(number, out);
    push_text(1, key.as_bytes(), out);
    match value {
        ResourceValue::Text(text) => push_text_value(2, text.as_bytes(), out),
        ResourceValue::Int(value) => push_scalar_value(2, AnyValue::Int(*value), out),
        ResourceValue::Double(value) => push_scalar_value(2, AnyValue::Double(*value), out),
        ResourceValue::Bool(value) => push_scalar_value(2, AnyValue::Bool(*value), out),
        ResourceValue::Json(json) => push_json_value(2, json.as_bytes(), out),
    }
    open.close(out);
}
