//! Log records as expressions see them.

use super::compile::AttributePath;
use super::eval::Record;
use super::subject::{FieldId, FieldSpec, Kind, Subject};
use super::value::ValueRef;
use crate::data::logs::{LogView, RareFields};
use crate::data::{FieldEdit, Resource, Signal, Value};

/// The fields of a log record.
pub const SUBJECT: Subject =
    Subject { signal: Signal::Logs, fields: FIELDS, attributes: "attributes", attribute: Kind::Any };

/// The body: the record's text, missing once its object has become the attributes.
pub const BODY: FieldId = FieldId(0);
/// The severity as a number from 1 to 24.
pub const SEVERITY_NUMBER: FieldId = FieldId(1);
/// The severity's short name: `INFO`, `WARN2`.
pub const SEVERITY_TEXT: FieldId = FieldId(2);
const TIME: FieldId = FieldId(3);
const OBSERVED_TIME: FieldId = FieldId(4);
const TRACE_ID: FieldId = FieldId(5);
const SPAN_ID: FieldId = FieldId(6);
const FLAGS: FieldId = FieldId(7);
const EVENT_NAME: FieldId = FieldId(8);
const SCOPE_NAME: FieldId = FieldId(9);
const SCOPE_VERSION: FieldId = FieldId(10);

const fn field(name: &'static str, id: FieldId, kind: Kind, settable: bool) -> FieldSpec {
    FieldSpec { name, id, kind, settable }
}

const FIELDS: &[FieldSpec] = &[
    field("body", BODY, Kind::Text, true),
    field("severity_number", SEVERITY_NUMBER, Kind::Number, true),
    field("severity_text", SEVERITY_TEXT, Kind::Text, true),
    field("time", TIME, Kind::Time, false),
    field("observed_time", OBSERVED_TIME, Kind::Time, false),
    field("trace_id", TRACE_ID, Kind::Id(16), false),
    field("span_id", SPAN_ID, Kind::Id(8), false),
    field("flags", FLAGS, Kind::Number, false),
    field("event_name", EVENT_NAME, Kind::Text, false),
    field("scope.name", SCOPE_NAME, Kind::Text, false),
    field("scope.version", SCOPE_VERSION, Kind::Text, false),
];

fn non_empty(text: &[u8]) -> ValueRef<'_> {
    if text.is_empty() { ValueRef::Missing } else { ValueRef::Text(text) }
}

fn id(bytes: &[u8]) -> ValueRef<'_> {
    if bytes.iter().all(|b| *b == 0) { ValueRef::Missing } else { ValueRef::Id(bytes) }
}

impl<'a> Record<'a> for LogView<'a> {
    fn field(&self, field: FieldId) -> ValueRef<'a> {
        let rare =
            |read: fn(&'a RareFields) -> ValueRef<'a>| self.batch.rare(self.record).map_or(ValueRef::Missing, read);
        let time = |time: crate::data::UnixNanos| if time.is_some() { ValueRef::Time(time) } else { ValueRef::Missing };
        match field {
            BODY => non_empty(self.body()),
            SEVERITY_NUMBER if self.severity().is_some() => ValueRef::Int(i64::from(self.severity().0)),
            SEVERITY_TEXT => non_empty(self.severity().text().as_bytes()),
            TIME => time(self.time()),
            OBSERVED_TIME => self.batch.rare(self.record).map_or(ValueRef::Missing, |rare| time(rare.observed)),
            TRACE_ID => rare(|rare| id(&rare.trace_id)),
            SPAN_ID => rare(|rare| id(&rare.span_id)),
            FLAGS => rare(|rare| ValueRef::Int(i64::from(rare.flags))),
            EVENT_NAME => {
                let name = self.batch.rare(self.record).and_then(|rare| rare.event_name);
                name.map_or(ValueRef::Missing, |name| ValueRef::Text(self.bytes(name)))
            }
            SCOPE_NAME => non_empty(self.batch.scope.name.as_bytes()),
            SCOPE_VERSION => non_empty(self.batch.scope.version.as_bytes()),
            _ => ValueRef::Missing,
        }
    }

    fn attribute(&self, path: &AttributePath) -> ValueRef<'a> {
        let of_path = |field: &&crate::data::Field| field.name == Some(path.id) && field.edit != FieldEdit::Deleted;
        if let Some(field) = self.fields().iter().rev().find(of_path) {
            return ValueRef::of_json(field.kind, self.bytes(field.value));
        }
        let attributes = self.attributes();
        if attributes.is_empty() {
            return ValueRef::Missing;
        }
        let key = path.keys[0].as_bytes();
        let found = attributes.iter().rev().find(|attribute| self.bytes(attribute.key) == key);
        match (found.map(|attribute| attribute.value), &path.keys[1..]) {
            (None, _) => ValueRef::Missing,
            (Some(Value::Json(json)), keys) => super::value::nested(self.bytes(json), keys),
            (Some(_), [_, ..]) => ValueRef::Missing,
            (Some(Value::Text(text)), _) => ValueRef::Text(self.bytes(text)),
            (Some(Value::Bytes(bytes)), _) => ValueRef::Id(self.bytes(bytes)),
            (Some(Value::Int(int)), _) => ValueRef::Int(int),
            (Some(Value::Double(double)), _) => ValueRef::Double(double),
            (Some(Value::Bool(value)), _) => ValueRef::Bool(value),
        }
    }

    fn resource(&self) -> &'a Resource {
        &self.batch.resource
    }
}
