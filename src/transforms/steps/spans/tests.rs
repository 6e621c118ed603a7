//! Steps on spans, by what a receiver decodes of what leaves them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::*;
use crate::data::{Names, Signal};
use crate::formats::otlp::span::SpanMessage;
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

fn list<const N: usize>(values: [Value; N]) -> Value {
    Value::ArrayValue(ArrayValue { values: values.map(|value| AnyValue { value: Some(value) }).into() })
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

#[test]
fn hashes_are_those_that_everybody_computes() {
    let before = span(
        "a",
        vec![
            pair("user", text("abc")),
            pair("n", Value::IntValue(-12)),
            pair("list", Value::ArrayValue(Default::default())),
            KeyValue { key: "none".into(), ..KeyValue::default() },
        ],
    );
    let of = |key| format!("attributes[\"{key}\"]");
    let fields = json!([of("user"), of("n"), of("list"), of("none"), of("missing")]);
    let after = of_one(json!([{ "hash": { "fields": fields } }]), before.clone()).expect("it stays");
    let digest = |of: &str| {
        let digest = ring::digest::digest(&ring::digest::SHA256, of.as_bytes());
        text(&digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    // FIPS 180-2, B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(after.attributes[0], pair("user", text(abc)));
    assert_eq!(after.attributes[1], pair("n", digest("-12")));
    assert_eq!(after.attributes[2], pair("list", digest("[]")));
    assert_eq!(after.attributes[3], before.attributes[3]);
    let salt = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"Jefe");
    let mut asked = batch(&request(vec![of_text("what do ya want for nothing?")]));
    let places = vec![Place { on: On::Span, keys: ["user".into()].into() }];
    Worker::new(vec![Guarded::new(None, crate::transforms::steps::hash::of(places, Some(salt)))]).apply(&mut asked);
    // RFC 4231, test case 2.
    let hmac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let after = decoded(&asked);
    assert_eq!(after.resource_spans[0].scope_spans[0].spans[0].attributes, [pair("user", text(hmac))]);
}

fn of_text(user: &str) -> ResourceSpans {
    of("shop", vec![span("a", vec![pair("user", text(user))])])
}

#[test]
fn texts_are_cut_between_characters() {
    let mut before = span(
        "a name that is longer than ten bytes",
        vec![
            pair("a", text("123456789\u{e9}x")),
            pair("b", text("1234567890")),
            pair("c", Value::BytesValue(vec![0xe9; 12])),
        ],
    );
    let event = opentelemetry_proto::tonic::trace::v1::span::Event {
        name: "an event with a long name".into(),
        attributes: vec![pair("stack", text("abcdefghijklm"))],
        ..Default::default()
    };
    before.events.push(event);
    let after = of_one(json!([{ "truncate": { "max_bytes": 10 } }]), before.clone()).expect("it stays");
    let mut expected = before.clone();
    expected.attributes[0] = pair("a", text("123456789"));
    expected.attributes[2] = pair("c", Value::BytesValue(vec![0xe9; 10]));
    expected.events[0].attributes[0] = pair("stack", text("abcdefghij"));
    assert_eq!(after, expected);
    let one = json!([{ "truncate": { "fields": "attributes[\"c\"]", "max_bytes": "4B" } }]);
    let after = of_one(one, before.clone()).expect("it stays");
    before.attributes[2] = pair("c", Value::BytesValue(vec![0xe9; 4]));
    assert_eq!(after, before);
}

#[test]
fn secrets_are_redacted_wherever_they_stand() {
    let mail = "x jane@example.org y";
    let mut before = span(
        mail,
        vec![
            pair("note", text(mail)),
            pair("bill@example.org", Value::BoolValue(true)),
            pair("joe@example.org", Value::BoolValue(true)),
            pair("card", Value::IntValue(4_111_111_111_111_111)),
            pair("same", Value::DoubleValue(4_111_111_111_111_111.0)),
            pair("in", list([Value::DoubleValue(-4_111_111_111_111_111.0), Value::DoubleValue(0.5), text(mail)])),
            pair("odd", Value::DoubleValue(f64::INFINITY)),
            pair("ok", text("nothing")),
        ],
    );
    before.status = Some(Status { message: mail.into(), code: 2 });
    let after = of_one(json!([{ "redact": { "patterns": ["email", "card_number"] } }]), before.clone());
    let clean = "x [REDACTED:email] y";
    let expected = Span {
        name: clean.into(),
        attributes: vec![
            pair("note", text(clean)),
            pair("[REDACTED:email]", Value::BoolValue(true)),
            pair("[REDACTED:email]-2", Value::BoolValue(true)),
            pair("card", text("[REDACTED:card_number]")),
            pair("same", text("[REDACTED:card_number]")),
            pair("in", list([text("[REDACTED:card_number]"), Value::DoubleValue(0.5), text(clean)])),
            pair("odd", Value::DoubleValue(f64::INFINITY)),
            pair("ok", text("nothing")),
        ],
        status: Some(Status { message: clean.into(), code: 2 }),
        ..before.clone()
    };
    assert_eq!(after, Some(expected));
    let fields = json!({ "fields": "attributes[\"note\"]", "patterns": ["email"], "replacement": "-" });
    let after = of_one(json!([{ "redact": fields }]), before.clone());
    before.attributes[0] = pair("note", text("x - y"));
    assert_eq!(after, Some(before));
}

/// A span of this randomness.
fn random(state: &str, randomness: u64) -> Span {
    let trace_id = [[9; 8], randomness.to_be_bytes()].concat();
    Span { trace_id, trace_state: state.into(), ..span("a", vec![]) }
}

#[test]
fn sampling_is_consistent_and_says_what_it_did() {
    let steps = json!([{ "sample": { "percent": 25, "keep_if": ["status.code == \"ERROR\""] } }]);
    let state = |state: &str, randomness| Some(of_one(steps.clone(), random(state, randomness))?.trace_state);
    let (low, high) = (0xbf_ffff_ffff_ffff, 0xc0_0000_0000_0000);
    assert_eq!(state("", low), None);
    assert_eq!(state("", high).as_deref(), Some("ot=th:c"));
    // Beyond the 56 bits nothing counts.
    assert_eq!(state("", high | 0xff << 56).as_deref(), Some("ot=th:c"));
    assert_eq!(state("x=y", high).as_deref(), Some("ot=th:c,x=y"));
    // One that stands for two is thinned to stand for four; one that stands for eight stays.
    assert_eq!(state("x=y,ot=th:8", high).as_deref(), Some("ot=th:c,x=y"));
    assert_eq!(state("x=y,ot=th:e", 0xef_ffff_ffff_ffff).as_deref(), Some("x=y,ot=th:e"));
    assert_eq!(state("ot=th:8", low), None);
    // A randomness of its own; and a threshold that it cannot have passed.
    assert_eq!(state("ot=rv:ffffffffffffff", low).as_deref(), Some("ot=th:c;rv:ffffffffffffff"));
    assert_eq!(state("ot=rv:00000000000000", high), None);
    assert_eq!(state("ot=th:f", high).as_deref(), Some("ot=th:c"));
    let error = Span { status: Some(Status { code: 2, ..Status::default() }), ..random("x=y", 0) };
    assert_eq!(of_one(steps.clone(), error.clone()), Some(error));
    let all = json!([{ "sample": { "percent": 100 } }]);
    assert_eq!(of_one(all, random("x=y", 0)), Some(random("x=y", 0)));
}

#[test]
fn a_smaller_share_is_part_of_a_larger_one_and_counts_add_up() {
    let mut rng = fastrand::Rng::with_seed(7);
    let spans: Vec<_> = (0..20_000).map(|_| random("", rng.u64(..))).collect();
    let mut batch = batch(&request(vec![of("shop", spans)]));
    for (percent, threshold) in [(50.0, "8"), (10.0, "e6666666666666"), (1.0, "fd70a3d70a3d71")] {
        worker(json!([{ "sample": { "percent": percent } }])).apply(&mut batch);
        let kept = batch.selection.count() as f64;
        assert!((kept * 100.0 / percent / 20_000.0 - 1.0).abs() < 0.25, "{kept} stand for 20000 at {percent} %");
        let first = batch.selection.iter().next().expect("some are left");
        let state = SpanMessage(batch.span(first)).trace_state();
        assert_eq!(state, format!("ot=th:{threshold}").as_bytes());
    }
}

#[test]
fn sampling_no_share_is_refused() {
    for percent in [json!(0), json!(-1), json!(100.5)] {
        let options = json!({ "steps": [{ "sample": { "percent": percent } }] });
        let error = serde_json::from_value::<Options>(options).expect_err("no share");
        assert!(error.to_string().contains("is no share"), "{error}");
    }
}
