//! The JSON Schema, and as much of a validator (JSON Schema draft 7) as it needs: whatever the loader takes,
//! the schema must take.

use regex::Regex;
use serde_json::Value as Json;
use tailwater::config;
use tailwater::registry::TABLES;

use super::documents::{documents, read};

/// The schema of the whole configuration.
pub fn schema() -> Json {
    config::schema(TABLES)
}

/// What is wrong with `value`; nothing if the schema takes it.
fn wrong(root: &Json, schema: &Json, value: &Json, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.strip_prefix("#/definitions/").expect("a definition");
        found.extend(wrong(root, &root["definitions"][name], value, at));
    }
    let kinds = schema["type"].as_array().map_or_else(|| vec![&schema["type"]], |kinds| kinds.iter().collect());
    if !schema["type"].is_null() && !kinds.iter().any(|kind| is_kind(kind.as_str().unwrap_or_default(), value)) {
        found.push(format!("{at}: {value} is not {}", schema["type"]));
    }
    let matching = |choices: &Json| {
        let choices = choices.as_array()?;
        Some(choices.iter().filter(|choice| wrong(root, choice, value, at).is_empty()).count())
    };
    if matching(&schema["anyOf"]) == Some(0) || matching(&schema["oneOf"]).is_some_and(|fit| fit != 1) {
        found.push(format!("{at}: {value} fits none, or several, of the choices"));
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        found.extend(wrong(root, part, value, at));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        found.push(format!("{at}: {value} is not one of {}", schema["enum"]));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !Regex::new(pattern).expect("a pattern").is_match(text)
    {
        found.push(format!("{at}: {value} does not match {pattern}"));
    }
    let number = value.as_f64();
    let beyond = |key: &str, less: bool| {
        number
            .zip(schema[key].as_f64())
            .is_some_and(|(number, bound)| if less { number < bound } else { number > bound })
    };
    if beyond("minimum", true) || beyond("maximum", false) {
        found.push(format!("{at}: {value} is out of bounds"));
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        found.extend(list.iter().enumerate().flat_map(|(n, item)| wrong(root, items, item, &format!("{at}[{n}]"))));
    }
    if let Some(map) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten().filter_map(|key| key.as_str()) {
            if !map.contains_key(key) {
                found.push(format!("{at}: `{key}` is missing"));
            }
        }
        for (key, value) in map {
            let at = format!("{at}.{key}");
            let pattern = schema["patternProperties"].as_object().into_iter().flatten();
            let by_pattern = pattern.filter(|(pattern, _)| Regex::new(pattern).expect("a pattern").is_match(key));
            let known: Vec<&Json> =
                schema["properties"].get(key).into_iter().chain(by_pattern.map(|(_, schema)| schema)).collect();
            match (known.is_empty(), schema.get("additionalProperties")) {
                (true, Some(Json::Bool(false))) => found.push(format!("{at}: no such key")),
                (true, Some(other)) if other.is_object() => found.extend(wrong(root, other, value, &at)),
                _ => found.extend(known.into_iter().flat_map(|schema| wrong(root, schema, value, &at))),
            }
        }
    }
    found
}

fn is_kind(kind: &str, value: &Json) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        // The loader takes a number where a text is expected; an editor may warn of it.
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema has a type `{other}`"),
    }
}

#[test]
fn the_schema_takes_every_good_configuration() {
    let schema = schema();
    let mut refused = Vec::new();
    for (name, text) in documents() {
        refused.extend(wrong(&schema, &schema, &read(&text), &name));
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn the_schema_finds_slips() {
    let schema = schema();
    let base = "sources: { stdin/in: {} }\n";
    for slip in [
        "source: {}",
        "sinks: { blackhole/out: { inptus: [stdin/in] } }",
        "sinks: { blackhole/out: {} }",
        "sinks: { blackhole/out: { inputs: stdin/in } }",
        "sinks: { console/out: { inputs: [stdin/in], format: table } }",
        "sinks: { elasticsearch/out: { inputs: [stdin/in], endpoints: [], timeout: 5 seconds } }",
        "sinks: { elasticsearch/out: { inputs: [stdin/in], endpoints: [], api_key: inline } }",
        "transforms: { steps/main: { inputs: [stdin/in], steps: [{ prase_json: {} }] } }",
        "transforms: { steps/main: { inputs: [stdin/in], steps: [{ parse_json: { on_eror: keep } }] } }",
        "tests: [{ name: a, at: steps/main, input: { bdoy: x }, expect: [] }]",
        "drain_timeout: soon",
    ] {
        let value = read(&format!("{base}{slip}"));
        assert!(!wrong(&schema, &schema, &value, "").is_empty(), "{slip}");
    }
}
