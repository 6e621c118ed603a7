//! The JSON Schema of a whole configuration, made from the option types: editors complete and check with
//! it, and the reference is written from it.
//!
//! It says less than [`super::load`] checks (no graph, no expressions), and nothing that `load` refuses is
//! refused by it alone.

use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use super::wiring::Buffer;
use super::{Tables, TestCase};
use crate::options::{Duration, Identity};
use crate::pipeline::Descriptor;

/// The keys of the root that belong to no component and to no section.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used; `plan` reads the keys one by one")]
struct Root {
    /// Folder of everything that outlives the process: positions, dead letters. One agent alone uses it.
    /// Default: `/var/lib/tailwater`.
    data_dir: PathBuf,
    /// Who this agent is.
    identity: Identity,
    /// How long what is under way may take to arrive at a reload and at the end; what has not arrived then is
    /// read again later, where its source can. Default: `20s`.
    drain_timeout: Duration,
    /// Tests of the configuration itself, run by `tailwater test`.
    tests: Vec<TestCase>,
}

/// What transforms and sinks have in common.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used; `wiring` takes the keys out of a component's entry")]
struct Wired {
    /// The outputs that feed it: `file/containers`, `route/teams.shop`, or patterns such as `file/*`.
    inputs: Vec<String>,
    /// The buffer before it.
    buffer: Buffer,
}

/// The schema, in JSON Schema's draft 7, which editors know best.
pub fn schema(tables: Tables) -> Json {
    let mut generator = SchemaSettings::draft07().into_generator();
    let mut root = Json::from(Root::json_schema(&mut generator));
    let wired = Json::from(Wired::json_schema(&mut generator));
    let sources = group(tables.sources, None, &mut generator);
    let transforms = group(tables.transforms, Some(&wired), &mut generator);
    let sinks = group(tables.sinks, Some(&wired), &mut generator);
    let alerting = component(tables.alerting, Some(&wired), &mut generator);
    let sections: Vec<(&str, Json)> = tables
        .sections
        .iter()
        .map(|section| {
            let mut schema = Json::from((section.schema)(&mut generator));
            schema["description"] = section.summary.into();
            (section.name, schema)
        })
        .collect();
    let mut definitions = generator.take_definitions(true);
    let step = if definitions.contains_key("Step") { json!({ "$ref": "#/definitions/Step" }) } else { json!({}) };
    let fragments = json!({
        "description": "Lists of steps by name, which the step `use: name` inserts.",
        "type": ["object", "null"],
        "additionalProperties": { "type": "array", "items": step }
    });
    if let Some(properties) = root["properties"].as_object_mut() {
        properties.insert("sources".into(), described(sources, "Where data comes from, each called `type/name`."));
        let what = "What changes, filters or routes data, each called `type/name`.";
        properties.insert("transforms".into(), described(transforms, what));
        properties.insert("sinks".into(), described(sinks, "Where data goes, each called `type/name`."));
        properties.insert("fragments".into(), fragments);
        properties.insert(tables.alerting.name.into(), alerting);
        properties.extend(sections.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
        properties.values_mut().for_each(refer);
    }
    definitions.values_mut().for_each(refer);
    definitions.insert("Reference".into(), reference());
    root["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    root["title"] = "A configuration of Tailwater".into();
    root["definitions"] = definitions.into();
    if let Some(root) = root.as_object_mut() {
        root.remove("required");
        root.remove("description");
    }
    root
}

fn described(mut schema: Json, what: &str) -> Json {
    schema["description"] = what.into();
    schema
}

/// Components of one kind by `type/name`.
fn group<P: ?Sized>(table: &[&Descriptor<P>], wired: Option<&Json>, generator: &mut SchemaGenerator) -> Json {
    let mut patterns = Map::new();
    for descriptor in table {
        patterns.insert(format!("^{}/[a-z0-9_-]+$", descriptor.name), component(descriptor, wired, generator));
    }
    json!({ "type": ["object", "null"], "patternProperties": patterns, "additionalProperties": false })
}

/// One kind of component.
fn component<P: ?Sized>(descriptor: &Descriptor<P>, wired: Option<&Json>, generator: &mut SchemaGenerator) -> Json {
    let mut schema = Json::from((descriptor.schema)(generator));
    schema["description"] = descriptor.summary.into();
    if let (Some(wired), Some(schema)) = (wired, schema.as_object_mut()) {
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let (Some(into), Some(wired)) = (properties.as_object_mut(), wired["properties"].as_object()) {
            into.extend(wired.clone());
        }
        let required = schema.entry("required").or_insert_with(|| json!([]));
        required.as_array_mut().into_iter().for_each(|required| required.push("inputs".into()));
    } else if schema.get("required").is_none() {
        schema["type"] = json!(["object", "null"]);
    }
    schema
}

/// What `${env:…}` and `${file:…}` look like where they stand for a value of another type than text.
fn reference() -> Json {
    json!({ "description": "`${env:NAME}`, `${env:NAME:-default}` or `${file:/path}`.",
        "type": "string", "pattern": r"\$\{(env|file):" })
}

/// Lets a reference stand wherever a scalar that is not any text stands.
fn refer(schema: &mut Json) {
    let Some(object) = schema.as_object_mut() else {
        if let Some(list) = schema.as_array_mut() {
            list.iter_mut().for_each(refer);
        }
        return;
    };
    let scalar = |kind: &Json| matches!(kind.as_str(), Some("integer" | "number" | "boolean"));
    let typed = object.get("type").is_some_and(|kind| match kind {
        Json::Array(kinds) => kinds.iter().any(scalar),
        kind => scalar(kind),
    });
    let words = |choice: &Json| choice.get("const").is_some() || choice.get("enum").is_some();
    let choice = ["oneOf", "anyOf"].iter().filter_map(|key| object.get(*key)?.as_array()).flatten().any(words);
    if typed || choice || object.contains_key("enum") || object.contains_key("const") {
        let description = object.remove("description");
        let own = std::mem::take(schema);
        *schema = json!({ "anyOf": [own, { "$ref": "#/definitions/Reference" }] });
        if let Some(description) = description {
            schema["description"] = description;
        }
        return;
    }
    for key in ["items", "additionalProperties", "oneOf", "anyOf", "allOf"] {
        object.get_mut(key).into_iter().for_each(refer);
    }
    for key in ["properties", "patternProperties"] {
        let of = object.get_mut(key).and_then(Json::as_object_mut);
        of.into_iter().flat_map(|of| of.values_mut()).for_each(refer);
    }
}
