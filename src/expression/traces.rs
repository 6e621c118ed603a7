//! Spans as expressions see them. What the index knows costs nothing to read; anything else is one walk over the
//! encoded span.

use std::sync::Arc;

use super::compile::AttributePath;
use super::eval::Record;
use super::subject::{FieldId, FieldSpec, Kind, Subject, Words};
use super::value::ValueRef;
use crate::data::traces::SpanEntry;
use crate::data::{Resource, Signal, UnixNanos};
use crate::formats::otlp::span::{SpanMessage, scope_name, scope_version};

/// The fields of a span.
pub const SUBJECT: Subject =
    Subject { signal: Signal::Traces, fields: FIELDS, attributes: "attributes", attribute: Kind::Any };

// Numbers of fields are apart from those of other signals, which other code knows by their numbers alone.

/// What was done.
pub const NAME: FieldId = FieldId(64);
/// `OK`, `ERROR` or `UNSET`.
pub const STATUS_CODE: FieldId = FieldId(65);
/// What is told beside an error.
pub const STATUS_MESSAGE: FieldId = FieldId(66);
const KIND: FieldId = FieldId(67);
const DURATION: FieldId = FieldId(68);
const TRACE_ID: FieldId = FieldId(69);
const SPAN_ID: FieldId = FieldId(70);
const PARENT_SPAN_ID: FieldId = FieldId(71);
const TRACE_STATE: FieldId = FieldId(72);
const START_TIME: FieldId = FieldId(73);
const END_TIME: FieldId = FieldId(74);
const SCOPE_NAME: FieldId = FieldId(75);
const SCOPE_VERSION: FieldId = FieldId(76);

/// What a span is to its trace, by the proto's numbers.
pub static KINDS: Words =
    Words { prefix: "SPAN_KIND_", words: &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] };

/// How a span ended, by the proto's numbers.
pub static STATUS_CODES: Words = Words { prefix: "STATUS_CODE_", words: &["UNSET", "OK", "ERROR"] };

const fn field(name: &'static str, id: FieldId, kind: Kind, settable: bool) -> FieldSpec {
    FieldSpec { name, id, kind, settable }
}

const FIELDS: &[FieldSpec] = &[
    field("name", NAME, Kind::Text, true),
    field("kind", KIND, Kind::Word(&KINDS), false),
    field("status.code", STATUS_CODE, Kind::Word(&STATUS_CODES), true),
    field("status.message", STATUS_MESSAGE, Kind::Text, false),
    field("duration", DURATION, Kind::Duration, false),
    field("trace_id", TRACE_ID, Kind::Id(16), false),
    field("span_id", SPAN_ID, Kind::Id(8), false),
    field("parent_span_id", PARENT_SPAN_ID, Kind::Id(8), false),
    field("trace_state", TRACE_STATE, Kind::Text, false),
    field("start_time", START_TIME, Kind::Time, false),
    field("end_time", END_TIME, Kind::Time, false),
    field("scope.name", SCOPE_NAME, Kind::Text, false),
    field("scope.version", SCOPE_VERSION, Kind::Text, false),
];

/// A span.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    /// What its index says.
    pub entry: &'a SpanEntry,
    /// Its encoded message.
    pub message: SpanMessage<'a>,
    /// The encoded message of its scope.
    pub scope: &'a [u8],
    /// Its resource.
    pub resource: &'a Arc<Resource>,
}

fn text(text: &[u8]) -> ValueRef<'_> {
    if text.is_empty() { ValueRef::Missing } else { ValueRef::Text(text) }
}

fn id(id: &[u8]) -> ValueRef<'_> {
    if id.iter().all(|byte| *byte == 0) { ValueRef::Missing } else { ValueRef::Id(id) }
}

fn time<'a>(time: UnixNanos) -> ValueRef<'a> {
    if time.is_some() { ValueRef::Time(time) } else { ValueRef::Missing }
}

fn word<'a>(words: &Words, number: u8) -> ValueRef<'a> {
    words.words.get(usize::from(number)).map_or(ValueRef::Missing, |word| ValueRef::Text(word.as_bytes()))
}

/// Nanoseconds that a span took: none where clocks say that it ended before it began, nothing where a time is
/// missing.
fn duration<'a>(entry: &SpanEntry) -> ValueRef<'a> {
    if !entry.start.is_some() || !entry.end.is_some() {
        return ValueRef::Missing;
    }
    ValueRef::Int(i64::try_from(entry.end.0.saturating_sub(entry.start.0)).unwrap_or(i64::MAX))
}

impl<'a> Record<'a> for SpanView<'a> {
    fn field(&self, field: FieldId) -> ValueRef<'a> {
        match field {
            NAME => text(self.message.name()),
            KIND => word(&KINDS, self.entry.kind),
            STATUS_CODE => word(&STATUS_CODES, self.entry.status),
            STATUS_MESSAGE => text(self.message.status_message()),
            DURATION => duration(self.entry),
            TRACE_ID => id(&self.entry.trace_id),
            SPAN_ID => id(&self.entry.span_id),
            PARENT_SPAN_ID => id(self.message.parent_span_id()),
            TRACE_STATE => text(self.message.trace_state()),
            START_TIME => time(self.entry.start),
            END_TIME => time(self.entry.end),
            SCOPE_NAME => text(scope_name(self.scope)),
            SCOPE_VERSION => text(scope_version(self.scope)),
            _ => ValueRef::Missing,
        }
    }

    fn attribute(&self, path: &AttributePath) -> ValueRef<'a> {
        let from = usize::from(self.entry.attributes).min(self.message.0.len());
        SpanMessage(&self.message.0[from..]).attribute(&path.keys).map_or(ValueRef::Missing, ValueRef::of_otlp)
    }

    fn event(&self, keys: &[Box<str>]) -> ValueRef<'a> {
        let Some((name, keys)) = keys.split_first() else { return ValueRef::Missing };
        match self.message.event(name.as_bytes()) {
            None => ValueRef::Missing,
            Some(event) if keys.is_empty() => ValueRef::Time(UnixNanos(event.time())),
            Some(event) => event.attribute(keys).map_or(ValueRef::Missing, ValueRef::of_otlp),
        }
    }

    fn resource(&self) -> &'a Resource {
        self.resource
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::trace::v1::span::Event;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use prost::Message;

    use super::super::{Assignment, Condition, Evaluator, PathOption};
    use super::*;
    use crate::data::{Names, Slice};

    fn pair(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn text(text: &str) -> Value {
        Value::StringValue(text.into())
    }

    /// A span as it is read once it has been indexed.
    fn holds(span: &Span, condition: &str) -> bool {
        let entry = SpanEntry {
            message: Slice::EMPTY,
            attributes: 0,
            header: 0,
            is_root: span.parent_span_id.is_empty(),
            kind: span.kind as u8,
            status: span.status.as_ref().map_or(0, |status| status.code as u8),
            scope: 0,
            trace_id: span.trace_id.clone().try_into().expect("16 bytes"),
            span_id: span.span_id.clone().try_into().expect("8 bytes"),
            start: UnixNanos(span.start_time_unix_nano),
            end: UnixNanos(span.end_time_unix_nano),
        };
        let scope = InstrumentationScope { name: "lib".into(), ..InstrumentationScope::default() }.encode_to_vec();
        let resource = Arc::new(Resource::new([("service.name".into(), "shop".into())]));
        let message = span.encode_to_vec();
        let program = Condition::of(condition).compile(&SUBJECT, &Names::default()).expect(condition);
        let mut evaluator = Evaluator::new(program);
        let view = SpanView { entry: &entry, message: SpanMessage(&message), scope: &scope, resource: &resource };
        evaluator.begin(&resource).unwrap_or_else(|| evaluator.holds(&view))
    }

    fn span() -> Span {
        let inner = KeyValueList { values: vec![pair("b", text("deep")), pair("b", Value::BoolValue(true))] };
        let list = ArrayValue { values: vec![AnyValue { value: Some(Value::IntValue(1)) }] };
        let event = |name: &str, kind: &str| Event {
            time_unix_nano: 1_700_000_000_000_000_500,
            name: name.into(),
            attributes: vec![pair("exception.type", text(kind))],
            ..Event::default()
        };
        Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: "GET /cart".into(),
            kind: 2,
            trace_state: "ot=th:8".into(),
            start_time_unix_nano: 1_700_000_000_000_000_000,
            end_time_unix_nano: 1_700_000_000_250_000_000,
            attributes: vec![
                pair("http.response.status_code", Value::IntValue(404)),
                pair("http.response.status_code", Value::IntValue(500)),
                pair("a", Value::KvlistValue(inner)),
                pair("list", Value::ArrayValue(list)),
                pair("ratio", Value::DoubleValue(0.5)),
                pair("bytes", Value::BytesValue(vec![1, 2])),
                KeyValue { key: "empty".into(), ..KeyValue::default() },
            ],
            events: vec![event("retry", "no"), event("exception", "IoError"), event("exception", "second")],
            status: Some(Status { message: "it broke".into(), code: 2 }),
            ..Span::default()
        }
    }

    #[test]
    fn conditions_read_what_a_span_says() {
        let span = span();
        for condition in [
            r#"name == "GET /cart" and name startsWith "GET " and name matches "^GET""#,
            r#"kind == "SERVER" and kind == "SPAN_KIND_SERVER" and kind != "CLIENT" and kind endsWith "VER""#,
            r#"status.code == "ERROR" and status.code != "STATUS_CODE_OK" and status.message contains "broke""#,
            r#"duration == "250ms" and duration > "249ms" and duration <= "1s""#,
            r#"trace_id == "01010101010101010101010101010101" and span_id == "0202020202020202""#,
            r#"parent_span_id == nil and trace_state == "ot=th:8""#,
            r#"start_time < end_time and start_time == "2023-11-14T22:13:20Z""#,
            r#"attributes["http.response.status_code"] == 500 and attributes["ratio"] < 1"#,
            r#"attributes["a"]["b"] == true and exists(attributes["a"]) and attributes["a"]["c"] == nil"#,
            r#"exists(attributes["list"]) and attributes["list"]["b"] == nil and attributes["list"] != "x""#,
            r#"exists(attributes["bytes"]) and attributes["empty"] == nil and attributes["none"] == nil"#,
            r#"resource["service.name"] == "shop" and resource["x"] == nil and scope.name == "lib""#,
            r#"scope.version == nil and exists(events["exception"]) and not exists(events["other"])"#,
            r#"events["exception"]["exception.type"] == "IoError" and events["exception"]["none"] == nil"#,
            r#"events["retry"] > start_time and events["retry"] < end_time"#,
        ] {
            assert!(holds(&span, condition), "{condition}");
        }
        let bare = Span { trace_id: vec![1; 16], span_id: vec![2; 8], ..Span::default() };
        for condition in [
            r#"kind == "UNSPECIFIED" and status.code == "UNSET" and name == nil"#,
            r#"duration == nil and not (duration < "1h") and start_time == nil and events["x"] == nil"#,
        ] {
            assert!(holds(&bare, condition), "{condition}");
        }
        let backwards = Span { start_time_unix_nano: 7, end_time_unix_nano: 5, ..bare };
        assert!(holds(&backwards, r#"duration == "0s""#));
    }

    #[test]
    fn expressions_are_typed_against_spans() {
        for (bad, says) in [
            (r#"kind == "SERVR""#, "did you mean \"SERVER\"?"),
            (r#"kind == "server""#, "did you mean \"SERVER\"?"),
            (r#"status.code == "FAILED""#, "UNSET, OK, ERROR"),
            (r#"status.code == 2"#, "a text is compared with a number"),
            ("duration > 250", "write a duration with its unit"),
            (r#"duration > "250""#, "no duration"),
            (r#"duration startsWith "2s""#, "wants texts"),
            (r#"trace_id == "12""#, "32 hexadecimal digits"),
            ("exists(events)", "is a map"),
            (r#"events["x"] == 1"#, "a time is compared with a number"),
            ("severity_number > 1", "no field `severity_number`"),
        ] {
            let problem = Condition::of(bad).problems(&SUBJECT).unwrap_or_else(|| panic!("{bad} is wrong"));
            let said = format!("{} {}", problem.message, problem.help.unwrap_or_default());
            assert!(said.contains(says), "{bad}: {said}");
        }
        for good in [
            r#"name = "x""#,
            r#"name = attributes["http.route"]"#,
            r#"status.code = "STATUS_CODE_OK""#,
            r#"resource["team"] = "x""#,
            r#"attributes["d"] = duration"#,
            r#"attributes["e"] = events["exception"]["exception.type"]"#,
        ] {
            assert_eq!(Assignment::of(good).problems(&SUBJECT), None, "{good}");
        }
        for (bad, says) in [
            (r#"kind = "SERVER""#, "cannot be set"),
            (r#"events["x"] = 1"#, "cannot be set"),
            (r#"status.code = "BAD""#, "none of the words"),
            ("name = 1", "is a text; this is a number"),
        ] {
            let problem = Assignment::of(bad).problems(&SUBJECT).unwrap_or_else(|| panic!("{bad} is wrong"));
            assert!(problem.message.contains(says), "{bad}: {}", problem.message);
        }
        for good in ["attributes[\"a\"][\"b\"]", "resource[\"a\"]"] {
            assert!(PathOption::of(good).editable(&SUBJECT).is_ok(), "{good}");
        }
        for bad in ["name", "events[\"a\"]", "trace_id"] {
            assert!(PathOption::of(bad).editable(&SUBJECT).is_err(), "{bad}");
        }
    }
}
