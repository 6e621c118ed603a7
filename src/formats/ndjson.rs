//! Newline-delimited JSON: one record a line, each the document that `mapping: otel` would send to
//! Elasticsearch. What the sinks `file` and `console` write.

use crate::data::logs::LogView;
use crate::data::resource::ResourceValue;
use crate::data::{LogBatch, UnixNanos, Value};

/// Writes the selected records of a batch, one line each.
#[derive(Debug, Default)]
pub struct Lines;

impl Lines {
    /// A writer for one sink.
    pub fn new() -> Self {
        Self
    }

    /// Appends a line for each selected record of `batch`.
    pub fn write(&self, batch: &LogBatch, out: &mut Vec<u8>) {
        for view in batch.iter() {
            document(&view, out);
            out.push(b'\n');
        }
    }
}

fn document(view: &LogView<'_>, out: &mut Vec<u8>) {
    let time = if view.time().is_some() { view.time() } else { UnixNanos::now() };
    out.extend_from_slice(b"{\"@timestamp\":\"");
    time.write_rfc3339(out);
    out.push(b'"');
    let severity = view.severity();
    if severity.is_some() {
        let fields = format!(",\"severity_text\":\"{}\",\"severity_number\":{}", severity.text(), severity.0);
        out.extend_from_slice(fields.as_bytes());
    }
    out.extend_from_slice(b",\"body\":{\"text\":");
    string(view.body(), out);
    out.extend_from_slice(b"},\"attributes\":");
    if view.object().is_empty() {
        out.push(b'{');
        for (i, attribute) in view.batch.attributes(view.record).iter().enumerate() {
            member(i, view.bytes(attribute.key), out);
            value(view, attribute.value, out);
        }
        out.push(b'}');
    } else {
        out.extend_from_slice(view.object());
    }
    out.extend_from_slice(b",\"resource\":{\"attributes\":{");
    for (i, (key, value)) in view.batch.resource.attributes().enumerate() {
        member(i, key.as_bytes(), out);
        match value {
            ResourceValue::Text(text) => string(text.as_bytes(), out),
            ResourceValue::Json(json) => out.extend_from_slice(json.as_bytes()),
            ResourceValue::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            ResourceValue::Double(n) => out.extend_from_slice(serde_json::json!(n).to_string().as_bytes()),
            ResourceValue::Bool(b) => out.extend_from_slice(b.to_string().as_bytes()),
        }
    }
    out.extend_from_slice(b"}}}");
}

fn member(index: usize, key: &[u8], out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
    string(key, out);
    out.push(b':');
}

fn value(view: &LogView<'_>, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) | Value::Bytes(text) => string(view.bytes(text), out),
        Value::Json(json) => out.extend_from_slice(view.bytes(json)),
        Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::Double(n) => out.extend_from_slice(serde_json::json!(n).to_string().as_bytes()),
        Value::Bool(b) => out.extend_from_slice(b.to_string().as_bytes()),
    }
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    let text = serde_json::Value::String(String::from_utf8_lossy(bytes).into_owned());
    out.extend_from_slice(text.to_string().as_bytes());
}

/// Appends a line for people for each selected record: time, severity, origin, then the body or the
/// object.
pub fn text(batch: &LogBatch, out: &mut Vec<u8>) {
    for view in batch.iter() {
        if view.time().is_some() {
            view.time().write_rfc3339(out);
            out.push(b' ');
        }
        let severity = if view.severity().is_some() { view.severity().text() } else { "-" };
        out.extend_from_slice(severity.as_bytes());
        out.push(b' ');
        for (i, key) in ["k8s.namespace.name", "k8s.pod.name", "k8s.container.name"].into_iter().enumerate() {
            if let Some(ResourceValue::Text(name)) = batch.resource.get(key) {
                out.extend_from_slice(if i > 0 { b"/" } else { b"" });
                out.extend_from_slice(name.as_bytes());
            }
        }
        out.push(b' ');
        out.extend_from_slice(if view.object().is_empty() { view.body() } else { view.object() });
        out.push(b'\n');
    }
}
