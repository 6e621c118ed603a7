//! Spans between a test's words and batches: OTLP/JSON on both sides, with maps for lists of keys and values and words for
//! numbers.

use serde_json::{Map, Value as Json, json};

use super::record::{hex, resource_json, resource_value};
use crate::config::{Record, SpanFields};
use crate::data::{Chunk, Resource, Signal, TraceBatch};
use crate::formats::otlp::json::{self, Document};
use crate::formats::otlp::traces::index;
use crate::formats::span_lines;
use crate::options::Identity;
use crate::pipeline::component::identify;

/// Most bytes of the spans of one test.
const MOST: usize = 16 << 20;

/// A batch of spans, each of a resource of its own.
pub(super) fn batch(records: &[Record], identity: &Identity) -> Result<TraceBatch, String> {
    let resources: Vec<Json> = (1u64..).zip(records).map(|(number, record)| one(number, record, identity)).collect();
    let request = json!({ "resourceSpans": resources }).to_string();
    let message = json::read(Document::Request(Signal::Traces), request.as_bytes(), MOST);
    let message = message.map_err(|error| format!("a span of the input is {error}"))?;
    let indexed = index(Chunk::from_vec(message)).map_err(|error| format!("the input cannot be read: {error}"))?;
    match indexed.reason {
        Some(reason) => Err(format!("a span of the input is not valid: {reason}")),
        None => Ok(indexed.batch),
    }
}

fn one(number: u64, record: &Record, identity: &Identity) -> Json {
    let of = record.resource.iter().map(|(key, value)| (key.as_str().into(), resource_value(value)));
    let resource = identify(identity, &Resource::new(of));
    let resource: Map<String, Json> =
        resource.attributes().map(|(key, value)| (key.to_owned(), resource_json(value))).collect();
    let mut span = record.span.as_ref().map(|span| span.value.0.clone()).unwrap_or_default();
    let id = |given: Option<String>, digits: usize| Json::from(given.unwrap_or_else(|| format!("{number:0digits$x}")));
    let trace_id = record.trace_id.as_ref().map(|id| hex(&id.value.0));
    let span_id = record.span_id.as_ref().map(|id| hex(&id.value.0));
    span.entry("traceId").or_insert_with(|| id(trace_id, 32));
    span.entry("spanId").or_insert_with(|| id(span_id, 16));
    listed(&mut span, record.attributes.as_ref().map(|attributes| &attributes.value));
    for event in span.get_mut("events").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(event) = event.as_object_mut() {
            listed(event, None);
        }
    }
    prefixed(span.get_mut("kind"), "SPAN_KIND_");
    prefixed(span.get_mut("status").and_then(|status| status.get_mut("code")), "STATUS_CODE_");
    json!({ "resource": { "attributes": list(&resource) }, "scopeSpans": [{ "spans": [span] }] })
}

/// Attributes written as a map, and more of them, as OTLP's list.
fn listed(of: &mut Map<String, Json>, more: Option<&Map<String, Json>>) {
    let mut attributes = match of.remove("attributes") {
        Some(Json::Object(map)) => list(&map),
        Some(Json::Array(list)) => list,
        _ => Vec::new(),
    };
    attributes.extend(more.map(list).unwrap_or_default());
    if !attributes.is_empty() {
        of.insert("attributes".into(), attributes.into());
    }
}

fn list(map: &Map<String, Json>) -> Vec<Json> {
    map.iter().map(|(key, value)| json!({ "key": key, "value": any_value(value) })).collect()
}

fn any_value(value: &Json) -> Json {
    match value {
        Json::Null => json!({}),
        Json::String(text) => json!({ "stringValue": text }),
        Json::Bool(value) => json!({ "boolValue": value }),
        Json::Number(number) => match number.as_i64() {
            Some(int) => json!({ "intValue": int.to_string() }),
            None => json!({ "doubleValue": number }),
        },
        Json::Array(values) => json!({ "arrayValue": { "values": values.iter().map(any_value).collect::<Vec<_>>() } }),
        Json::Object(map) => json!({ "kvlistValue": { "values": list(map) } }),
    }
}

fn prefixed(word: Option<&mut Json>, prefix: &str) {
    if let Some(Json::String(word)) = word
        && !word.starts_with(prefix)
    {
        *word = format!("{prefix}{word}");
    }
}

/// What is left of spans, as the tests see them.
pub(super) fn shown(batch: &TraceBatch) -> Result<Vec<Map<String, Json>>, String> {
    let mut lines = Vec::new();
    span_lines::json(batch, &mut lines).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let request: Json = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let each = |of: &Json, key: &str| of[key].as_array().cloned().unwrap_or_default();
        for resource in each(&request, "resourceSpans") {
            let about = map(&resource["resource"]["attributes"]);
            for span in each(&resource, "scopeSpans").iter().flat_map(|scope| each(scope, "spans")) {
                all.push(shown_one(span, &about));
            }
        }
    }
    Ok(all)
}

fn shown_one(span: Json, about: &Map<String, Json>) -> Map<String, Json> {
    let mut shown = Map::new();
    let Json::Object(mut span) = span else { return shown };
    for (name, key) in [("trace_id", "traceId"), ("span_id", "spanId")] {
        shown.extend(span.get(key).map(|id| (name.to_owned(), id.clone())));
    }
    let attributes = map(&span.remove("attributes").unwrap_or_default());
    for (name, of) in [("attributes", &attributes), ("resource", about)] {
        if !of.is_empty() {
            shown.insert(name.into(), of.clone().into());
        }
    }
    shown.insert("span".into(), in_words(&span).into());
    shown
}

/// A span's fields with maps and words, whichever way they were written.
pub(super) fn in_words(span: &SpanFields) -> SpanFields {
    let mut span = span.clone();
    worded(
        span.get_mut("kind"),
        "SPAN_KIND_",
        &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"],
    );
    worded(span.get_mut("status").and_then(|status| status.get_mut("code")), "STATUS_CODE_", &["UNSET", "OK", "ERROR"]);
    for event in span.get_mut("events").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(attributes) = event.get_mut("attributes").filter(|attributes| attributes.is_array()) {
            *attributes = map(attributes).into();
        }
    }
    span
}

fn worded(value: Option<&mut Json>, prefix: &str, words: &[&str]) {
    let Some(value) = value else { return };
    let word = match &*value {
        Json::Number(number) => number.as_u64().and_then(|number| words.get(usize::try_from(number).ok()?)).copied(),
        Json::String(word) => word.strip_prefix(prefix),
        _ => None,
    };
    if let Some(word) = word {
        *value = Json::from(word);
    }
}

/// OTLP's list of keys and values as a map.
fn map(list: &Json) -> Map<String, Json> {
    let pairs = list.as_array().into_iter().flatten();
    pairs.filter_map(|pair| Some((pair["key"].as_str()?.to_owned(), plain(&pair["value"])))).collect()
}

fn plain(value: &Json) -> Json {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return Json::Null };
    match (kind.as_str(), value) {
        ("intValue", Json::String(digits)) => digits.parse::<i64>().map_or_else(|_| value.clone(), Json::from),
        ("arrayValue", list) => list["values"].as_array().into_iter().flatten().map(plain).collect(),
        ("kvlistValue", list) => map(&list["values"]).into(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(record: Json) -> Record {
        serde_json::from_value(record).expect("the shape is right")
    }

    #[test]
    fn what_enters_is_what_is_shown() {
        let attributes = json!({ "n": 7, "d": 0.5, "b": true, "t": "x", "l": [1, "a"], "m": { "k": null } });
        let input = record(json!({
            "span": { "name": "GET /", "kind": "SERVER", "status": { "code": 2, "message": "no" },
                      "events": [{ "name": "e", "attributes": { "k": "v" } }] },
            "attributes": attributes, "resource": { "service.name": "shop" }, "span_id": "00000000000000aa",
        }));
        let listed = record(json!({
            "span": { "kind": 3, "attributes": [{ "key": "a", "value": { "intValue": "1" } }] }
        }));
        let identity = Identity { cluster: Some("prod".into()), ..Identity::default() };
        let shown = shown(&batch(&[input, listed], &identity).expect("spans")).expect("JSON");
        let expected = json!([
            {
                "trace_id": "00000000000000000000000000000001", "span_id": "00000000000000aa",
                "attributes": attributes, "resource": { "service.name": "shop", "k8s.cluster.name": "prod" },
                "span": { "traceId": "00000000000000000000000000000001", "spanId": "00000000000000aa", "name": "GET /",
                          "kind": "SERVER", "status": { "code": "ERROR", "message": "no" },
                          "events": [{ "name": "e", "attributes": { "k": "v" } }] },
            },
            {
                "trace_id": "00000000000000000000000000000002", "span_id": "0000000000000002",
                "attributes": { "a": 1 }, "resource": { "k8s.cluster.name": "prod" },
                "span": { "traceId": "00000000000000000000000000000002", "spanId": "0000000000000002", "kind": "CLIENT" },
            },
        ]);
        assert_eq!(Json::from_iter(shown.into_iter().map(Json::from)), expected);
    }

    #[test]
    fn what_is_no_span_is_told() {
        let wrong = batch(&[record(json!({ "span": { "kind": "SERVR" } }))], &Identity::default());
        assert!(wrong.is_err_and(|why| why.contains("SPAN_KIND_SERVR")), "an enumeration in words that do not exist");
    }
}
