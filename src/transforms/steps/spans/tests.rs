//! Steps on spans, by what a receiver decodes of what leaves them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::*;
use crate::data::{Names, Signal};
use crate::formats::otlp::traces::{Emitter, index};
use crate::transforms::steps::Options;

fn options(steps: Json) -> Options {
    serde_json::from_value(json!({ "steps": steps })).expect("valid options")
}

fn worker(steps: Json) -> Worker {
    let options = options(steps);
    assert_eq!(options.problems_of(Signal::Traces), []);
    Worker::new(options.compile_spans(&Names::default()).expect("compiles"))
}

fn problems(steps: Json) -> Vec<String> {
    options(steps).problems_of(Signal::Traces).into_iter().map(|problem| problem.message).collect()
}

fn pair(key: &str, value: impl Into<Value>) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value.into()) }), ..KeyValue::default() }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.into())
}

fn span(name: &str, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: name.into(),
        kind: 2,
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 3_001_000,
        attributes,
        ..Span::default()
    }
}

fn of(service: &str, spans: Vec<Span>) -> ResourceSpans {
    let attributes = vec![pair("service.name", text(service)), pair("pid", Value::IntValue(7))];
    let resource = Some(ProtoResource { attributes, ..ProtoResource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ResourceSpans { resource, scope_spans, schema_url: "https://x/1".into() }
}

fn request(resource_spans: Vec<ResourceSpans>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest { resource_spans }
}

fn batch(request: &ExportTraceServiceRequest) -> TraceBatch {
    index(Chunk::from_vec(request.encode_to_vec())).expect("well-formed").batch
}

fn emitted(batch: &TraceBatch) -> Vec<u8> {
    let mut emitter = Emitter::default();
    emitter.emit(batch, 0..batch.spans().len(), usize::MAX);
    emitter.finish().concat()
}

fn decoded(batch: &TraceBatch) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&emitted(batch)[..]).expect("prost reads it")
}

/// What the steps make of a request; the second time of the same, so that nothing depends on what was kept.
fn run(steps: Json, request: &ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let mut worker = worker(steps);
    let [first, second] = [(); 2].map(|()| {
        let mut batch = batch(request);
        worker.apply(&mut batch);
        decoded(&batch)
    });
    assert_eq!(first, second);
    first
}

/// What the steps make of one span.
fn of_one(steps: Json, before: Span) -> Option<Span> {
    let after = run(steps, &request(vec![of("shop", vec![before])]));
    after.resource_spans.into_iter().flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).next()
}

#[test]
fn spans_are_dropped_and_kept() {
    let before = request(vec![
        of("shop", vec![span("GET /", vec![]), span("health", vec![]), span("POST /", vec![])]),
        of("other", vec![span("GET /", vec![])]),
    ]);
    let names = |steps| {
        let after = run(steps, &before);
        let scopes = after.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(|span| span.name).collect::<Vec<_>>()
    };
    assert_eq!(names(json!([{ "drop": "name == \"health\"" }])), ["GET /", "POST /", "GET /"]);
    assert_eq!(names(json!([{ "keep": "resource[\"service.name\"] == \"other\"" }])), ["GET /"]);
    assert_eq!(names(json!([{ "keep": "resource[\"pid\"] == 7 and name endsWith \" /\"" }])).len(), 3);
    assert_eq!(names(json!([{ "drop": "duration > \"2ms\"", "if": "name startsWith \"GET\"" }])), ["health", "POST /"]);
    let all: [&str; 0] = [];
    assert_eq!(names(json!([{ "drop": "true" }])), all);
}

#[test]
fn what_no_step_edits_stays_the_bytes_that_came() {
    let before = request(vec![of("shop", vec![span("a", vec![]), span("b", vec![pair("k", text("v"))])])]);
    let mut whole = batch(&before);
    worker(json!([
        { "set": "attributes[\"x\"] = 1", "if": "name == \"none\"" },
        { "set": "attributes[\"y\"] = attributes[\"missing\"]" },
        { "rename": { "from": "attributes[\"missing\"]", "to": "attributes[\"z\"]" } },
        { "delete": ["attributes[\"missing\"]", "resource[\"missing\"]"] },
        { "set": "status.code = \"UNSET\"" },
        { "drop": "kind == \"CLIENT\"" },
    ]))
    .apply(&mut whole);
    assert!(whole.is_whole());
    assert_eq!(emitted(&whole), before.encode_to_vec());
}

#[test]
fn edits_of_one_span_are_one_message() {
    let before = Span {
        status: Some(Status { message: "m".into(), code: 0 }),
        ..span(
            "GET /1",
            vec![
                pair("old", text("v")),
                pair("secret", text("s")),
                pair("n", Value::IntValue(-3)),
                pair("n", Value::IntValue(4)),
            ],
        )
    };
    let steps = json!([
        { "set": "attributes[\"env\"] = \"prod\"" },
        { "set": "name = attributes[\"old\"]" },
        { "rename": { "from": "attributes[\"old\"]", "to": "attributes[\"new\"][\"inner\"]" } },
        { "delete": "attributes[\"secret\"]" },
        { "set": "attributes[\"n\"] = attributes[\"n\"]" },
        { "set": "attributes[\"d\"] = duration" },
        { "set": "attributes[\"id\"] = trace_id" },
        { "set": "attributes[\"service\"] = resource[\"service.name\"]" },
        { "set": "status.code = \"ERROR\"", "if": "attributes[\"new\"][\"inner\"] == \"v\"" },
        { "set": "attributes[\"seen\"] = true", "if": "status.code == \"ERROR\" and name == \"v\"" },
    ]);
    let after = of_one(steps, before.clone()).expect("it stays");
    let inner = Value::KvlistValue(opentelemetry_proto::tonic::common::v1::KeyValueList {
        values: vec![pair("inner", text("v"))],
    });
    let attributes = vec![
        pair("n", Value::IntValue(4)),
        pair("env", text("prod")),
        pair("new", inner),
        pair("d", Value::IntValue(3_000_000)),
        pair("id", text("01010101010101010101010101010101")),
        pair("service", text("shop")),
        pair("seen", Value::BoolValue(true)),
    ];
    let status = Some(Status { message: "m".into(), code: 2 });
    let expected = Span { name: "v".into(), attributes, status, ..before };
    assert_eq!(after, expected);
}

#[test]
fn edited_spans_stand_side_by_side_in_one_chunk() {
    let spans = (0..50).map(|n| span(&format!("span {n}"), vec![pair("n", Value::IntValue(n))])).collect();
    let mut batch = batch(&request(vec![of("shop", spans)]));
    worker(json!([
        { "set": "attributes[\"env\"] = \"prod\"" },
        { "delete": "attributes[\"n\"]" },
        { "set": "resource[\"team\"] = \"web\"" },
    ]))
    .apply(&mut batch);
    assert_eq!(batch.chunks().len(), 2);
    let entries = batch.spans();
    for (before, after) in entries.iter().zip(&entries[1..]) {
        let end = before.message.start + before.message.len;
        assert_eq!((after.message.chunk, after.message.start), (1, end + u32::from(after.header)));
    }
    assert_eq!(decoded(&batch).resource_spans[0].scope_spans[0].spans.len(), 50);
}

#[test]
fn resources_are_edited_once_for_all_their_spans() {
    let before =
        request(vec![of("shop", vec![span("a", vec![]), span("b", vec![])]), of("other", vec![span("c", vec![])])]);
    let steps = json!([
        { "drop": "resource[\"team\"] == \"web\"" },
        { "set": "resource[\"team\"] = \"web\"", "if": "resource[\"service.name\"] == \"shop\"" },
        { "rename": { "from": "resource[\"service.name\"]", "to": "resource[\"name\"]" } },
        { "delete": "resource[\"pid\"]" },
        { "set": "attributes[\"team\"] = resource[\"team\"]" },
        { "drop": "resource[\"name\"] == \"other\"" },
    ]);
    let after = run(steps, &before);
    let [shop] = &after.resource_spans[..] else { panic!("one is left: {after:?}") };
    let resource = shop.resource.as_ref().expect("it has one");
    assert_eq!(resource.attributes, [pair("team", text("web")), pair("name", text("shop"))]);
    assert_eq!(shop.schema_url, "https://x/1");
    let spans = &shop.scope_spans[0].spans;
    assert!(spans.len() == 2 && spans.iter().all(|span| span.attributes == [pair("team", text("web"))]), "{spans:?}");
}

#[test]
fn more_resources_than_are_remembered_are_told_apart() {
    let resources: Vec<_> = (0..600).map(|n| of(&format!("service {n}"), vec![span("a", vec![])])).collect();
    let steps = json!([
        { "set": "attributes[\"of\"] = resource[\"service.name\"]" },
        { "set": "resource[\"was\"] = resource[\"service.name\"]" },
    ]);
    let after = run(steps, &request(resources));
    for (n, resource) in after.resource_spans.iter().enumerate() {
        let name = text(&format!("service {n}"));
        assert_eq!(resource.scope_spans[0].spans[0].attributes, [pair("of", name.clone())]);
        assert_eq!(resource.resource.as_ref().expect("one").attributes[2], pair("was", name));
    }
}

#[test]
fn what_spans_cannot_have_is_told() {
    for (steps, says) in [
        (json!([{ "parse_json": {} }]), "traces have no step `parse_json`"),
        (json!([{ "set": "resource[\"a\"] = attributes[\"b\"]" }]), "what each span has for itself"),
        (json!([{ "set": "resource[\"a\"] = 1", "if": "name == \"x\"" }]), "cannot depend on a span"),
        (json!([{ "delete": "resource[\"a\"]", "if": "exists(attributes[\"x\"])" }]), "cannot depend on a span"),
        (
            json!([{ "rename": { "from": "resource[\"a\"]", "to": "attributes[\"a\"]" } }]),
            "between a span and its resource",
        ),
        (json!([{ "drop": "severity_number < INFO" }]), "no field `severity_number`"),
        (json!([{ "delete": "name" }]), "only an attribute"),
    ] {
        let told = problems(steps.clone());
        assert!(told.len() == 1 && told[0].contains(says), "{steps}: {told:?}");
    }
    let good = json!([{ "set": "resource[\"a\"] = 1", "if": "resource[\"b\"] == nil and not false" }]);
    assert_eq!(problems(good), [""; 0]);
}
