//! Documents of spans, read back as JSON.

use serde_json::{Value, json};

use super::*;
use crate::data::{Chunk, Signal};
use crate::formats::otlp::json::{self, Document};
use crate::formats::otlp::traces;

/// The documents of a request in OTLP/JSON.
fn documents(request: Value) -> Vec<Value> {
    let request = json::read(Document::Request(Signal::Traces), request.to_string().as_bytes(), 1 << 20);
    let batch = traces::index(Chunk::from_vec(request.expect("a request"))).expect("well-formed").batch;
    let mut encoder = SpanEncoder::new().with_data_stream("shop", "prod");
    encoder.begin(UnixNanos(1_795_521_600_000_000_000));
    let write = |index| {
        let mut out = Vec::new();
        encoder.write(&batch, index, &mut out);
        serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
    };
    (0..batch.spans().len()).map(write).collect()
}

#[test]
fn every_field_has_its_place() {
    let attribute = |key: &str, value: Value| json!({ "key": key, "value": value });
    let span = json!({
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
        "parentSpanId": "10f067aa0ba902b7", "traceState": "ot=th:8", "name": "GET \"/\"", "kind": 2,
        "startTimeUnixNano": "1764380000000000001", "endTimeUnixNano": "1764380000250000001",
        "attributes": [
            attribute("a", json!({ "stringValue": "x" })), attribute("a.b", json!({ "intValue": "-3" })),
            attribute("list", json!({ "arrayValue": { "values": [{ "boolValue": true }, { "doubleValue": 0.5 }] } })),
            attribute("map", json!({ "kvlistValue": { "values": [attribute("k", json!({ "bytesValue": "AAEC" }))] } })),
            attribute("none", json!({})),
        ],
        "droppedAttributesCount": 1, "droppedEventsCount": 2, "droppedLinksCount": 3,
        "events": [
            { "timeUnixNano": "1764380000100000000", "name": "exception", "droppedAttributesCount": 4,
              "attributes": [attribute("exception.type", json!({ "stringValue": "io" }))] },
            { "name": "untimed" },
        ],
        "links": [{ "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "traceState": "v=1",
                    "attributes": [attribute("why", json!({ "stringValue": "follows" }))], "droppedAttributesCount": 5 }],
        "status": { "code": 2, "message": "it failed" },
    });
    let request = json!({ "resourceSpans": [{
        "resource": { "attributes": [attribute("service.name", json!({ "stringValue": "shop" }))],
                      "droppedAttributesCount": 6 },
        "schemaUrl": "https://opentelemetry.io/schemas/1.37.0",
        "scopeSpans": [{ "scope": { "name": "checkout", "version": "1.2" }, "spans": [span] }],
    }] });
    let expected = json!({
        "@timestamp": "2025-11-29T01:33:20.000000001Z",
        "data_stream": { "type": "traces", "dataset": "shop", "namespace": "prod" },
        "resource": { "attributes": { "service.name": "shop" }, "dropped_attributes_count": 6,
                      "schema_url": "https://opentelemetry.io/schemas/1.37.0" },
        "scope": { "name": "checkout", "version": "1.2" },
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7",
        "parent_span_id": "10f067aa0ba902b7", "trace_state": "ot=th:8", "name": "GET \"/\"", "kind": "Server",
        "duration": 250_000_000, "status": { "code": "Error", "message": "it failed" },
        "attributes": { "a": "x", "a.b": -3, "list": [true, 0.5], "map": { "k": "AAEC" }, "none": null },
        "events": [
            { "name": "exception", "timestamp": "2025-11-29T01:33:20.100000000Z",
              "attributes": { "exception.type": "io" }, "dropped_attributes_count": 4 },
            { "name": "untimed" },
        ],
        "links": [{ "trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174",
                    "trace_state": "v=1", "attributes": { "why": "follows" }, "dropped_attributes_count": 5 }],
        "dropped_attributes_count": 1, "dropped_events_count": 2, "dropped_links_count": 3,
    });
    assert_eq!(documents(request), [expected]);
}

#[test]
fn what_a_span_does_not_say_is_no_field() {
    let ids = |span: &str| json!({ "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": span });
    let mut backwards = ids("10f067aa0ba902b7");
    backwards["startTimeUnixNano"] = json!("1764380000000000001");
    backwards["endTimeUnixNano"] = json!("1764380000000000000");
    let request = json!({ "resourceSpans": [
        { "scopeSpans": [{ "spans": [ids("00f067aa0ba902b7"), backwards] }] },
        { "resource": { "attributes": [{ "key": "pod", "value": { "intValue": "1" } }] },
          "scopeSpans": [{ "spans": [ids("20f067aa0ba902b7")] }] },
    ] });
    let bare = |time: &str, span: &str| {
        json!({
            "@timestamp": time, "data_stream": { "type": "traces", "dataset": "shop", "namespace": "prod" },
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": span, "kind": "Unspecified", "duration": 0,
            "status": { "code": "Unset" },
        })
    };
    // One without a start has the time at which it arrived.
    let arrival = "2026-11-24T12:00:00.000000000Z";
    let mut of_pod = bare(arrival, "20f067aa0ba902b7");
    of_pod["resource"] = json!({ "attributes": { "pod": 1 } });
    let backwards = bare("2025-11-29T01:33:20.000000001Z", "10f067aa0ba902b7");
    assert_eq!(documents(request), [bare(arrival, "00f067aa0ba902b7"), backwards, of_pod]);
}
