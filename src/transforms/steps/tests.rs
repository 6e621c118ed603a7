//! What steps do to records, against examples and against a model.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::data::resource::ResourceValue;
use crate::data::{Attribute, Chunk, LogBuilder, LogRecord, Resource, Severity, Slice, Value};
use crate::formats::json::MemberWriter;

/// Runs steps, given as JSON, over lines; each has the attribute `stream` of its source.
pub(super) fn run_on(steps: Json, lines: &[&[u8]], downstream: &Interest) -> (LogBatch, Vec<(&'static str, u64)>) {
    let options: Options = serde_json::from_value(json!({ "steps": steps })).expect("valid options");
    assert_eq!(options.problems_of(Signal::Logs), []);
    let names = Names::default();
    let list = options.compile(&names).expect("compiles");
    let interest = options.interest(Signal::Logs, &names, downstream).expect("interest");
    let mut worker = Worker::new(list, &names, &interest);
    let resource = Resource::new([("k8s.namespace.name".into(), ResourceValue::from("shop"))]);
    let mut builder = LogBuilder::new(Arc::new(resource), Arc::default());
    let mut bytes = b"streamstdout".to_vec();
    let slices: Vec<_> = lines
        .iter()
        .map(|line| {
            bytes.extend_from_slice(line);
            Slice::new(0, (bytes.len() - line.len()) as u32, line.len() as u32)
        })
        .collect();
    builder.add_chunk(Chunk::from_vec(bytes));
    let source = builder.source();
    source.attributes.push(Attribute { key: Slice::new(0, 0, 6), value: Value::Text(Slice::new(0, 6, 6)) });
    source.records.extend(slices.into_iter().map(|body| LogRecord { attributes_len: 1, ..LogRecord::of_body(body) }));
    let mut batch = builder.build();
    worker.apply(&mut batch);
    let errors = worker.bench.take_errors().collect();
    (batch, errors)
}

/// What a sink would see of every record that is left: `body`, `severity` where there is one, and all
/// attributes.
pub(super) fn documents(batch: &LogBatch) -> Vec<Json> {
    let mut writer = MemberWriter::default();
    let document = |view: crate::data::logs::LogView<'_>| {
        let mut text = Vec::new();
        writer.write_object(&view, &mut text);
        let mut all: Map<String, Json> =
            serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&text)));
        for attribute in view.attributes() {
            let key = String::from_utf8(view.bytes(attribute.key).to_vec()).expect("UTF-8");
            let value = match attribute.value {
                Value::Text(text) => String::from_utf8_lossy(view.bytes(text)).into(),
                Value::Json(json) => serde_json::from_slice(view.bytes(json)).expect("JSON"),
                Value::Int(int) => int.into(),
                Value::Double(double) => double.into(),
                Value::Bool(value) => value.into(),
                Value::Bytes(_) => panic!("no bytes here"),
            };
            assert!(all.insert(key, value).is_none(), "an attribute stands inside and outside the object");
        }
        all.remove("stream").expect("the source's attribute stays");
        let mut document = Map::new();
        if !view.body().is_empty() {
            document.insert("body".into(), String::from_utf8_lossy(view.body()).into());
        }
        if view.severity() != Severity::UNSPECIFIED {
            document.insert("severity".into(), view.severity().text().into());
        }
        document.insert("attributes".into(), all.into());
        Json::Object(document)
    };
    batch.iter().map(document).collect()
}

fn run(steps: Json, lines: &[&str]) -> Vec<Json> {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    documents(&run_on(steps, &lines, &Interest::default()).0)
}

#[test]
fn the_example_of_the_documentation() {
    let steps = json!([
        { "parse_json": { "on_error": "keep" } },
        { "drop": "attributes[\"level\"] == \"debug\"" },
        { "set": "attributes[\"env\"] = \"prod\"" }
    ]);
    let lines = [
        r#"{"level":"info","msg":"one"}"#,
        r#"{"level":"debug","msg":"two"}"#,
        r#"{"level":"\u0064ebug"}"#,
        r#"{"msg":"{\"level\":\"debug\"}","x":{"level":"debug"}}"#,
        "level=debug plain",
        r#"{"level":"debug""#,
        "{}",
    ];
    let expected = [
        json!({"attributes": {"level": "info", "msg": "one", "env": "prod"}}),
        json!({"attributes": {"msg": "{\"level\":\"debug\"}", "x": {"level": "debug"}, "env": "prod"}}),
        json!({"body": "level=debug plain", "attributes": {"env": "prod"}}),
        json!({"body": "{\"level\":\"debug\"", "attributes": {"env": "prod"}}),
        json!({"attributes": {"env": "prod"}}),
    ];
    assert_eq!(run(steps, &lines), expected);
}

#[test]
fn parse_json_moves_and_counts_what_it_cannot_read() {
    let lines: [&[u8]; 4] = [b" {\"a\":\n1}\t", b"[1]", b"", b"{\"level\":50}"];
    let steps = json!([{ "parse_json": {} }, { "keep": "severity_number == ERROR or severity_number == nil" }]);
    let (batch, errors) = run_on(steps, &lines, &Interest::default());
    assert_eq!(errors.iter().map(|(_, count)| count).sum::<u64>(), 2);
    let expected = [
        json!({"attributes": {"a": 1}}),
        json!({"body": "[1]", "attributes": {}}),
        json!({"attributes": {}}),
        json!({"severity": "ERROR", "attributes": {"level": 50}}),
    ];
    assert_eq!(documents(&batch), expected);
    let dropped = run(json!([{ "parse_json": { "on_error": "drop" } }]), &["x", r#"{"a":1}"#]);
    assert_eq!(dropped, [json!({"attributes": {"a": 1}})]);
    let unread = run(json!([{ "parse_json": null }]), &[r#"{"level":"info"}"#]);
    assert_eq!(unread, [json!({"attributes": {"level": "info"}})], "nothing reads the severity");
}

#[test]
fn an_object_replaces_the_attributes_that_it_has_too() {
    let steps = json!([
        { "set": "attributes[\"env\"] = \"before\"" },
        { "set": "attributes[\"kept\"] = 1" },
        { "parse_json": {} }
    ]);
    let lines = [r#"{"\u0065nv":"object","n":1}"#, r#"{"n":2}"#, " {\"env\":\n3}"];
    let expected = [
        json!({"attributes": {"env": "object", "kept": 1, "n": 1}}),
        json!({"attributes": {"env": "before", "kept": 1, "n": 2}}),
        json!({"attributes": {"env": 3, "kept": 1}}),
    ];
    assert_eq!(run(steps, &lines), expected);
}

#[test]
fn edits_meet_every_occurrence() {
    let line = r#"{"a":1,"b":2,"\u0061":3,"c":{"a":4}}"#;
    let one = |step: Json| run(json!([{ "parse_json": {} }, step]), &[line]).remove(0)["attributes"].take();
    assert_eq!(one(json!({ "set": "attributes[\"a\"] = \"x\"" })), json!({"a": "x", "b": 2, "c": {"a": 4}}));
    assert_eq!(one(json!({ "delete": "attributes[\"a\"]" })), json!({"b": 2, "c": {"a": 4}}));
    let rename = json!({ "rename": { "from": "attributes[\"a\"]", "to": "attributes[\"b\"]" } });
    assert_eq!(one(rename), json!({"b": 3, "c": {"a": 4}}));
    assert_eq!(one(json!({ "set": "attributes[\"d\"] = attributes[\"a\"]" }))["d"], json!(3));
}

#[test]
fn values_go_in_and_out_of_nested_objects() {
    let steps = json!([
        { "parse_json": {} },
        { "set": "attributes[\"user\"][\"id\"] = 7" },
        { "set": "attributes[\"new\"][\"deep\"] = attributes[\"user\"]" },
        { "rename": { "from": "attributes[\"user\"][\"mail\"]", "to": "attributes[\"mail\"]" } },
        { "set": "attributes[\"copy\"] = attributes[\"user\"][\"id\"]" },
        { "delete": ["attributes[\"user\"][\"gone\"]", "attributes[\"new\"][\"deep\"][\"mail\"]"] },
        { "set": "attributes[\"whole\"] = attributes[\"user\"]" }
    ]);
    let lines = [r#"{"user":{"mail":"m","gone":true,"id":1}}"#, r#"{"user":"text"}"#, r#"{"x":1}"#];
    let expected = [
        json!({"attributes": {
            "user": {"id": 7}, "whole": {"id": 7}, "copy": 7, "mail": "m", "new": {"deep": {"gone": true, "id": 7}}
        }}),
        json!({"attributes": {"user": "text", "whole": "text", "new": {"deep": "text"}}}),
        json!({"attributes": {"x": 1, "user": {"id": 7}, "whole": {"id": 7}, "copy": 7, "new": {"deep": {"id": 7}}}}),
    ];
    assert_eq!(run(steps, &lines), expected);
}

#[test]
fn a_text_gets_attributes_of_its_own() {
    let steps = json!([
        { "set": "attributes[\"ns\"] = resource[\"k8s.namespace.name\"]" },
        { "set": "attributes[\"team\"] = resource[\"absent\"]" },
        { "set": "attributes[\"a\"][\"b\"] = body" },
        { "set": "attributes[\"a\"][\"c\"] = 1.5" },
        { "set": "severity_text = \"warning\"", "if": "body contains \"!\"" },
        { "rename": { "from": "attributes[\"ns\"]", "to": "attributes[\"namespace\"]" } },
        { "delete": "attributes[\"a\"][\"b\"]", "if": "attributes[\"a\"][\"b\"] == \"bye\"" },
        { "rename": { "from": "body", "to": "attributes[\"text\"]" }, "if": "body == \"move\"" },
        { "set": "body = attributes[\"namespace\"]", "if": "body == \"bye\"" }
    ]);
    let expected = [
        json!({"body": "hi \"you\"!", "severity": "WARN", "attributes": {"namespace": "shop", "a": {"b": "hi \"you\"!", "c": 1.5}}}),
        json!({"body": "shop", "attributes": {"namespace": "shop", "a": {"c": 1.5}}}),
        json!({"attributes": {"namespace": "shop", "text": "move", "a": {"b": "move", "c": 1.5}}}),
    ];
    assert_eq!(run(steps, &["hi \"you\"!", "bye", "move"]), expected);
}

#[test]
fn what_is_wrong_with_a_list_is_said() {
    let error =
        |steps: Json| serde_json::from_value::<Options>(json!({ "steps": steps })).expect_err("wrong").to_string();
    assert!(error(json!([{ "prase_json": {} }])).contains("unknown field `prase_json`"));
    assert!(error(json!([{ "if": "true" }])).contains("an entry needs a step"));
    assert!(error(json!([{ "drop": "true", "keep": "true" }])).contains("stand in one entry"));
    assert!(error(json!([{ "parse_json": { "on_eror": "keep" } }])).contains("on_eror"));
    let options: Options = serde_json::from_value(json!({ "steps": [
        { "drop": "levl == 1", "if": "body = 1" },
        { "delete": ["severity_number"] },
        { "set": "trace_id = \"x\"" }
    ] }))
    .expect("the shape is right");
    let problems = options.problems_of(Signal::Logs);
    let within: Vec<_> = problems.iter().map(|problem| problem.within).collect();
    assert_eq!(within, [Some((5, 6)), Some((0, 4)), Some((0, 15)), Some((0, 8))], "{problems:?}");
}

#[test]
fn the_log_level_of_another_object_is_never_read() {
    let hostile = [
        r#"{"a":1},"x":{"b":2}"#,
        r#"{"a":1} {"b":2}"#,
        r#"{"a":1}/*"#,
        "{\"a\":\"\u{1}\"}",
        r#"{"a":1,}"#,
        r#"{a:1}"#,
    ];
    for line in hostile {
        let documents = run(json!([{ "parse_json": {} }, { "set": "attributes[\"z\"] = 1" }]), &[line]);
        assert_eq!(documents, [json!({"body": line, "attributes": {"z": 1}})]);
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    assert_eq!(run(json!([{ "parse_json": {} }]), &[&deep])[0]["body"], json!(deep));
}

mod model {
    //! Random objects and steps, against serde_json on the same.

    use proptest::prelude::*;
    use proptest::strategy::LazyJust;

    use super::*;

    const KEYS: [&str; 4] = ["a", "b", "a.b", "ü\"\\"];

    fn key() -> impl Strategy<Value = String> {
        proptest::sample::select(KEYS.to_vec()).prop_map(str::to_owned)
    }

    fn value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            LazyJust::new(|| Json::Null),
            any::<bool>().prop_map(Json::from),
            (-5i64..5).prop_map(Json::from),
            "[a\"\\\\\n\u{e9}\u{1f600}]{0,3}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
                proptest::collection::hash_map(key(), inner, 0..3)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    #[derive(Clone, Debug)]
    enum Edit {
        Set(Vec<String>, Json),
        Copy(Vec<String>, Vec<String>),
        Delete(Vec<String>),
        Rename(Vec<String>, Vec<String>),
    }

    fn path() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(key(), 1..3)
    }

    fn edit() -> impl Strategy<Value = Edit> {
        let scalar = prop_oneof![
            (-5i64..5).prop_map(Json::from),
            any::<bool>().prop_map(Json::from),
            "[a\"\\\\ü]{0,3}".prop_map(Json::from)
        ];
        prop_oneof![
            (path(), scalar).prop_map(|(path, value)| Edit::Set(path, value)),
            (path(), path()).prop_map(|(to, from)| Edit::Copy(to, from)),
            path().prop_map(Edit::Delete),
            (path(), path()).prop_map(|(from, to)| Edit::Rename(from, to)),
        ]
    }

    fn written(path: &[String]) -> String {
        let keys = path.iter().map(|key| format!("[{}]", Json::from(key.as_str())));
        format!("attributes{}", keys.collect::<String>())
    }

    fn step(edit: &Edit) -> Json {
        match edit {
            Edit::Set(path, value) => json!({ "set": format!("{} = {value}", written(path)) }),
            Edit::Copy(to, from) => json!({ "set": format!("{} = {}", written(to), written(from)) }),
            Edit::Delete(path) => json!({ "delete": written(path) }),
            Edit::Rename(from, to) => json!({ "rename": { "from": written(from), "to": written(to) } }),
        }
    }

    fn get<'a>(object: &'a Map<String, Json>, path: &[String]) -> Option<&'a Json> {
        let (first, rest) = path.split_first()?;
        let value = rest.iter().try_fold(object.get(first)?, |value, key| value.as_object()?.get(key))?;
        (!value.is_null()).then_some(value)
    }

    fn set(object: &mut Map<String, Json>, path: &[String], value: Json) {
        let Some((first, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            object.insert(first.clone(), value);
        } else if let Json::Object(inner) = object.entry(first.clone()).or_insert_with(|| json!({})) {
            set(inner, rest, value);
        }
    }

    fn delete(object: &mut Map<String, Json>, path: &[String]) {
        let Some((first, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            object.remove(first);
        } else if let Some(Json::Object(inner)) = object.get_mut(first) {
            delete(inner, rest);
        }
    }

    fn model(object: &mut Map<String, Json>, edit: &Edit) {
        match edit {
            Edit::Set(path, value) => set(object, path, value.clone()),
            Edit::Copy(to, from) => {
                if let Some(value) = get(object, from).cloned() {
                    set(object, to, value);
                }
            }
            Edit::Delete(path) => delete(object, path),
            Edit::Rename(from, to) if from == to => {}
            Edit::Rename(from, to) => {
                if let Some(value) = get(object, from).cloned() {
                    delete(object, from);
                    set(object, to, value);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn steps_do_what_serde_json_would(
            object in proptest::collection::hash_map(key(), value(), 0..5),
            edits in proptest::collection::vec(edit(), 1..6),
            parsed in any::<bool>(),
        ) {
            let mut expected: Map<String, Json> = object.into_iter().collect();
            let line = Json::Object(expected.clone()).to_string();
            let mut steps: Vec<Json> = edits.iter().map(step).collect();
            if parsed {
                steps.insert(0, json!({ "parse_json": {} }));
            } else {
                expected.clear();
            }
            for edit in &edits {
                model(&mut expected, edit);
            }
            let documents = run(steps.clone().into(), &[&line]);
            prop_assert_eq!(&documents[0]["attributes"], &Json::Object(expected), "{} {}", line, Json::from(steps));
        }
    }
}
