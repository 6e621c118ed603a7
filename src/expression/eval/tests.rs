//! Conditions and values over views of records.

use std::sync::Arc;

use super::super::{Condition, logs};
use super::*;
use crate::data::logs::RareFields;
use crate::data::{
    Attribute, Chunk, Field, FieldEdit, JsonKind, LogBatch, LogBuilder, LogRecord, Names, Severity, Slice, UnixNanos,
    Value,
};

/// A record with attributes of both sorts: pool attributes as a source gives them, and located members.
fn batch(names: &Names) -> LogBatch {
    let resource = Resource::new([
        ("k8s.namespace.name".into(), ResourceValue::from("prod")),
        ("replicas".into(), ResourceValue::Int(3)),
    ]);
    let mut builder = LogBuilder::new(Arc::new(resource), Arc::default());
    let mut bytes = Vec::new();
    let mut slice = |text: &str| {
        bytes.extend_from_slice(text.as_bytes());
        Slice::new(0, (bytes.len() - text.len()) as u32, text.len() as u32)
    };
    let attributes = [
        ("stream", Value::Text(slice("stderr"))),
        ("n", Value::Int(7)),
        ("deep", Value::Json(slice(r#"{"a":{"b":"x"},"a":{"b":"y"}}"#))),
    ];
    let attributes = attributes.map(|(key, value)| Attribute { key: slice(key), value });
    let body = slice("GET /health 200");
    let mut fields = Vec::new();
    for (path, kind, value) in [
        (&["level"][..], JsonKind::String, r#""info""#),
        (&["level"], JsonKind::String, r#""debug""#),
        (&["esc"], JsonKind::String, r#""d\u0065b\u00fcg""#),
        (&["status"], JsonKind::Number, "503"),
        (&["ratio"], JsonKind::Number, "0.25"),
        (&["ok"], JsonKind::Bool, "true"),
        (&["none"], JsonKind::Null, "null"),
        (&["user", "email"], JsonKind::String, r#""a@b.c""#),
        (&["empty"], JsonKind::String, r#""""#),
    ] {
        let name = Some(names.intern(path).expect("room"));
        let key = Slice::EMPTY;
        let (edit, nested) = (FieldEdit::Original, path.len() > 1);
        fields.push(Field { name, kind, edit, nested, key, value: slice(value), member: (0, 0) });
    }
    builder.add_chunk(Chunk::from_vec(bytes));
    let source = builder.source();
    source.attributes.extend(attributes);
    source.rare.push(RareFields { trace_id: [0xab; 16], ..RareFields::default() });
    let time = UnixNanos("2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().expect("valid").as_nanosecond() as u64);
    source.records.push(LogRecord {
        attributes_len: 3,
        rare: 0,
        severity: Severity(9),
        time,
        ..LogRecord::of_body(body)
    });
    source.records.push(LogRecord::of_body(Slice::EMPTY));
    let mut batch = builder.build();
    for field in fields {
        batch.edit().0.push_field(0, field);
    }
    batch
}

fn holds(text: &str, record: usize) -> bool {
    let names = Names::default();
    let batch = batch(&names);
    let program = Condition::of(text).compile(&logs::SUBJECT, &names).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut evaluator = Evaluator::new(program);
    let verdict = evaluator.begin(&batch.resource);
    let holds = evaluator.holds(&batch.view(record));
    assert!(verdict.is_none_or(|v| v == holds), "{text}");
    holds
}

#[test]
fn true_of_a_record_with_everything() {
    for text in [
        r#"attributes["level"] == "debug""#,
        r#"attributes["level"] != "info""#,
        r#"attributes["esc"] == "debüg""#,
        r#"attributes["esc"] startsWith "deb" and attributes["esc"] endsWith "üg""#,
        r#"attributes["esc"] matches "^d.b.g$""#,
        r#"attributes["esc"] contains "b\u00fc""#,
        r#"attributes["status"] >= 500 and attributes["status"] < 5.031e2"#,
        r#"attributes["status"] == 503.0"#,
        r#"attributes["status"] != "503""#,
        r#"attributes["ratio"] < 1 and attributes["ratio"] == 0.25"#,
        r#"attributes["ok"] == true and attributes["ok"] != false"#,
        r#"attributes["none"] == nil and not exists(attributes["none"])"#,
        r#"attributes["absent"] == nil and nil == attributes["absent"]"#,
        r#"attributes["user"]["email"] matches "@b[.]c$""#,
        r#"attributes["empty"] == "" and exists(attributes["empty"])"#,
        r#"attributes["stream"] == "stderr" and attributes["n"] == 7"#,
        r#"attributes["deep"]["a"]["b"] == "y""#,
        r#"resource["k8s.namespace.name"] == "prod" and resource["replicas"] > 2"#,
        r#"resource["k8s.namespace.name"] != attributes["stream"]"#,
        r#"body contains "/health" and matches(body, "[0-9]{3}$") and body startsWith "GET""#,
        "severity_number >= INFO and severity_number < WARN and severity_text == \"INFO\"",
        r#"trace_id == "ABababababababababababababababab" and span_id == nil"#,
        r#"time >= "2026-01-01T00:00:00Z" and time < "2026-01-01T01:00:00.5+00:30""#,
        r#"attributes["level"] < "e""#,
        "not (false or not true)",
    ] {
        assert!(holds(text, 0), "{text}");
    }
}

#[test]
fn false_where_a_value_is_missing_or_of_another_type() {
    for text in [
        r#"attributes["absent"] == "x""#,
        r#"attributes["absent"] != "x""#,
        r#"attributes["absent"] < 5"#,
        r#"attributes["absent"] >= 5"#,
        r#"attributes["absent"] == attributes["absent"]"#,
        r#"attributes["absent"] contains """#,
        r#"attributes["none"] != 1"#,
        r#"attributes["absent"] != nil"#,
        r#"attributes["status"] == "503""#,
        r#"attributes["status"] < "6""#,
        r#"attributes["status"] contains "5""#,
        r#"attributes["level"] == 5"#,
        r#"attributes["ok"] == "true""#,
        r#"resource["absent"] != "x""#,
        r#"attributes["deep"]["a"]["c"] == "y""#,
        r#"attributes["n"]["x"] != 1"#,
        r#"attributes["level"] == "info""#,
    ] {
        assert!(!holds(text, 0), "{text}");
    }
    for text in [
        "severity_number < INFO",
        "severity_number != INFO",
        "severity_text != \"INFO\"",
        "body != \"x\"",
        "time > \"1970-01-01T00:00:00Z\"",
        "trace_id != \"00000000000000000000000000000000\"",
    ] {
        assert!(!holds(text, 1), "{text}: nothing is known of the second record");
    }
    assert!(holds("severity_number == nil and body == nil and trace_id == nil and time == nil", 1));
}

#[test]
fn what_only_the_resource_decides_is_answered_once_a_batch() {
    let names = Names::default();
    let batch = batch(&names);
    let begin = |text: &str| {
        let program = Condition::of(text).compile(&logs::SUBJECT, &names).expect("valid");
        Evaluator::new(program).begin(&batch.resource)
    };
    assert_eq!(begin(r#"resource["k8s.namespace.name"] == "dev""#), Some(false));
    assert_eq!(begin(r#"not (resource["k8s.namespace.name"] == "dev" or resource["x"] == nil)"#), Some(false));
    assert_eq!(begin("body == nil and true"), None);
    assert_eq!(begin("true"), Some(true));
}
