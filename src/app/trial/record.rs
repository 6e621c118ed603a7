//! Records between a test's words and batches: as a source would build them, and as JSON to compare.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::config::Record;
use crate::data::logs::{LogView, RareFields};
use crate::data::resource::ResourceValue;
use crate::data::{Attribute, Chunk, LogBatch, LogBuilder, LogRecord, Resource, Severity, Slice, UnixNanos, Value};
use crate::formats::container::{HeaderReader, Line, Stream};
use crate::formats::json::{MemberWriter, text};
use crate::options::Identity;
use crate::pipeline::component::identify;

/// Batches of the records: neighbours about one resource share one, as those of one container do.
pub(super) fn batches(records: &[Record], identity: &Identity) -> Vec<LogBatch> {
    let same = |a: &Record, b: &Record| a.resource == b.resource && a.raw.is_some() == b.raw.is_some();
    records.chunk_by(same).map(|records| batch(records, identity)).collect()
}

fn batch(records: &[Record], identity: &Identity) -> LogBatch {
    let attributes = records[0].resource.iter();
    let resource = Resource::new(attributes.map(|(key, value)| (key.as_str().into(), resource_value(value))));
    let mut build = Build(LogBuilder::new(Arc::new(identify(identity, &resource)), Arc::default()));
    let raw: Vec<&str> = records.iter().filter_map(|record| record.raw.as_ref().map(|raw| raw.as_str())).collect();
    if raw.is_empty() {
        records.iter().for_each(|record| build.fields(record));
    } else {
        build.lines(raw.iter().flat_map(|raw| raw.lines()));
    }
    build.0.build()
}

pub(super) fn resource_value(value: &Json) -> ResourceValue {
    match value {
        Json::String(text) => text.as_str().into(),
        Json::Bool(value) => ResourceValue::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => ResourceValue::Int(int),
            (None, Some(double)) => ResourceValue::Double(double),
            (None, None) => ResourceValue::Json(number.to_string().into()),
        },
        other => ResourceValue::Json(other.to_string().into()),
    }
}

struct Build(LogBuilder);

/// The start of a line that goes on in the next of its stream.
struct Partial {
    stream: Stream,
    time: UnixNanos,
    content: Vec<u8>,
}

impl Build {
    /// A chunk of its own for these bytes.
    fn bytes(&mut self, bytes: Vec<u8>) -> Slice {
        let len = u32::try_from(bytes.len()).expect("a configuration's file is far smaller than 4 GiB");
        self.0.add_payload_bytes(bytes.len() as u64);
        let chunk = self.0.add_chunk(Chunk::from_vec(bytes));
        Slice::new(chunk, 0, len)
    }

    fn fields(&mut self, record: &Record) {
        let text = record.body.as_ref().map(|body| body.value.clone()).unwrap_or_default();
        let body = self.bytes(text.into_bytes());
        let named = record.severity_text.as_ref().map(|name| name.value.0);
        let severity = record.severity_number.as_ref().map(|number| number.value.0).or(named);
        let mut log = LogRecord {
            time: record.time.as_ref().map(|time| time.value.0).unwrap_or_default(),
            severity: severity.unwrap_or_default(),
            ..LogRecord::of_body(body)
        };
        if let Some(attributes) = &record.attributes {
            let of = attributes.iter().map(|(key, value)| self.attribute(key, value)).collect();
            self.give(&mut log, of);
        }
        if record.trace_id.is_some() || record.span_id.is_some() {
            let rare = &mut self.0.source().rare;
            log.rare = u32::try_from(rare.len()).expect("few records stand in a file");
            rare.push(RareFields {
                trace_id: record.trace_id.as_ref().map(|id| id.value.0).unwrap_or_default(),
                span_id: record.span_id.as_ref().map(|id| id.value.0).unwrap_or_default(),
                ..RareFields::default()
            });
        }
        self.0.source().records.push(log);
    }

    fn attribute(&mut self, key: &str, value: &Json) -> Attribute {
        let key = self.bytes(key.as_bytes().to_vec());
        let value = match value {
            Json::String(text) => Value::Text(self.bytes(text.as_bytes().to_vec())),
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Value::Int(int),
                (None, Some(double)) => Value::Double(double),
                (None, None) => Value::Json(self.bytes(number.to_string().into_bytes())),
            },
            other => Value::Json(self.bytes(other.to_string().into_bytes())),
        };
        Attribute { key, value }
    }

    fn give(&mut self, log: &mut LogRecord, attributes: Vec<Attribute>) {
        let pool = &mut self.0.source().attributes;
        log.attributes_start = u32::try_from(pool.len()).expect("few attributes stand in a file");
        log.attributes_len = u16::try_from(attributes.len()).expect("few attributes stand in a file");
        pool.extend(attributes);
    }

    /// Lines of one file of a container. One whose header is broken is a record as it stands.
    fn lines<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        let mut header = HeaderReader::default();
        let mut open: Vec<Partial> = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let Ok(read) = header.read(line.as_bytes()) else {
                let body = self.bytes(line.as_bytes().to_vec());
                self.0.source().records.push(LogRecord::of_body(body));
                continue;
            };
            let at = open.iter().position(|partial| partial.stream == read.stream).unwrap_or_else(|| {
                open.push(Partial { stream: read.stream, time: read.time, content: Vec::new() });
                open.len() - 1
            });
            content(line.as_bytes(), &read, &mut open[at].content);
            if !read.partial {
                let whole = open.remove(at);
                self.record(whole);
            }
        }
        open.into_iter().for_each(|partial| self.record(partial));
    }

    fn record(&mut self, Partial { stream, time, content }: Partial) {
        let body = self.bytes(content);
        let mut log = LogRecord { time, ..LogRecord::of_body(body) };
        let attribute = self.attribute("log.iostream", &stream.name().into());
        self.give(&mut log, vec![attribute]);
        self.0.source().records.push(log);
    }
}

fn content(line: &[u8], header: &Line, out: &mut Vec<u8>) {
    let content = &line[header.content.clone()];
    if header.escaped { text::unescape(content, out) } else { out.extend_from_slice(content) }
}

/// A record as the tests see it: fields that it does not have are left out.
pub(super) fn shown(view: &LogView<'_>) -> Map<String, Json> {
    let mut fields = Map::new();
    if !view.body().is_empty() {
        fields.insert("body".into(), String::from_utf8_lossy(view.body()).into());
    }
    let attributes = attributes(view);
    if !attributes.is_empty() {
        fields.insert("attributes".into(), attributes.into());
    }
    let severity = view.severity();
    if severity != Severity::UNSPECIFIED {
        fields.insert("severity_text".into(), severity.text().into());
        fields.insert("severity_number".into(), severity.0.into());
    }
    if view.time().is_some() {
        fields.insert("time".into(), time(view.time()).into());
    }
    if let Some(rare) = view.batch.rare(view.record) {
        for (name, id) in [("trace_id", &rare.trace_id[..]), ("span_id", &rare.span_id[..])] {
            if id.iter().any(|byte| *byte != 0) {
                fields.insert(name.into(), hex(id).into());
            }
        }
    }
    let resource = view.batch.resource.attributes().map(|(key, value)| (key.to_owned(), resource_json(value)));
    let resource: Map<String, Json> = resource.collect();
    if !resource.is_empty() {
        fields.insert("resource".into(), resource.into());
    }
    fields
}

/// A time in RFC 3339.
pub(super) fn time(time: UnixNanos) -> String {
    let mut text = Vec::new();
    time.write_rfc3339(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(view: &LogView<'_>) -> Map<String, Json> {
    let mut object = Vec::new();
    MemberWriter::default().write_object(view, &mut object);
    // An object with a value that is none of JSON's is shown as the text it is.
    let mut all: Map<String, Json> = match serde_json::from_slice(&object) {
        Ok(all) => all,
        Err(_) => [("(not JSON)".to_owned(), String::from_utf8_lossy(&object).into())].into_iter().collect(),
    };
    for attribute in view.attributes() {
        let lossy = |slice| String::from_utf8_lossy(view.bytes(slice)).into_owned();
        let value = match attribute.value {
            Value::Text(slice) => lossy(slice).into(),
            Value::Json(slice) => serde_json::from_slice(view.bytes(slice)).unwrap_or_else(|_| lossy(slice).into()),
            Value::Bytes(slice) => {
                let mut base64 = Vec::new();
                text::write_base64(view.bytes(slice), &mut base64);
                serde_json::from_slice(&base64).unwrap_or(Json::Null)
            }
            Value::Int(number) => number.into(),
            Value::Double(number) => number.into(),
            Value::Bool(value) => value.into(),
        };
        all.insert(lossy(attribute.key), value);
    }
    all
}

pub(super) fn resource_json(value: &ResourceValue) -> Json {
    match value {
        ResourceValue::Text(text) => (**text).into(),
        ResourceValue::Int(number) => (*number).into(),
        ResourceValue::Double(number) => (*number).into(),
        ResourceValue::Bool(value) => (*value).into(),
        ResourceValue::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| (**text).into()),
    }
}
