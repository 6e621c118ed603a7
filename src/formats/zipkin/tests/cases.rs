//! What goldens do not show: limits, grouping, and what bodies made to hurt come to.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::json;

use super::*;

fn decoded(format: Format, body: &str) -> Decoded {
    decode(format, body.as_bytes(), &Limits::default()).expect("it can be read")
}

/// What the first span was refused for.
fn reason(decoded: &Decoded) -> &str {
    &decoded.refused.first.as_ref().expect("one was refused").1
}

#[test]
fn short_ids_have_zeros_before_them() {
    let span = span_of(r#"[{"traceId":"Abc","id":"1f","parentId":"02"}]"#);
    assert_eq!(span.trace_id, 0xabc_u128.to_be_bytes());
    assert_eq!(span.span_id, 0x1f_u64.to_be_bytes());
    assert_eq!(span.parent_span_id, 2_u64.to_be_bytes());
    let decoded = decoded(Format::JsonV2, r#"[{"traceId":"1","id":"1","parentId":"00000000000000002"}]"#);
    assert!(reason(&decoded).starts_with("`parentId` `00000000000000002` is not 1 to 16 hexadecimal digits"));
}

#[test]
fn spans_are_grouped_by_service_and_scope() {
    let span = |id: u32, service: &str, scope: &str| {
        let tags = if scope.is_empty() { String::new() } else { format!(r#","tags":{{"otel.scope.name":"{scope}"}}"#) };
        format!(r#"{{"traceId":"1","id":"{id}","localEndpoint":{{"serviceName":"{service}"}}{tags}}}"#)
    };
    let spans = [
        span(1, "a", ""),
        span(2, "b", "s"),
        span(3, "a", "s"),
        span(4, "a", ""),
        span(5, "", ""),
        span(6, "b", "t"),
        span(7, "b", "s"),
    ];
    let decoded = decoded(Format::JsonV2, &format!("[{}]", spans.join(",")));
    assert_eq!((decoded.spans, decoded.request.capacity()), (7, decoded.request.len()));
    let mut told = String::new();
    for resource in request(&decoded).resource_spans {
        let attributes = resource.resource.unwrap_or_default().attributes;
        let names = attributes.into_iter().filter_map(|attribute| attribute.value?.value);
        let names: Vec<_> =
            names.map(|name| if let Value::StringValue(name) = name { name } else { "?".into() }).collect();
        write!(told, "{names:?}").expect("memory");
        for scope in resource.scope_spans {
            let ids: Vec<_> = scope.spans.iter().map(|span| span.span_id[7]).collect();
            write!(told, " {:?} {ids:?}", scope.scope.unwrap_or_default().name).expect("memory");
        }
        told.push('\n');
    }
    assert_eq!(told, "[\"a\"] \"\" [1, 4] \"s\" [3]\n[\"b\"] \"s\" [2, 7] \"t\" [6]\n[] \"\" [5]\n");
}

#[test]
fn a_scope_under_its_former_names_is_written_the_same_again() {
    for tags in [
        json!({ "otel.library.name": "x", "otel.scope.version": "1" }),
        json!({ "otel.library.name": "x", "otel.scope.name": "", "otel.scope.version": "1" }),
        json!({ "otel.scope.name": "x", "otel.library.version": "1", "otel.scope.version": "" }),
        json!({ "otel.scope.name": "x", "otel.library.name": "", "otel.scope.version": "1" }),
    ] {
        let written = |tags: &serde_json::Value| -> serde_json::Value {
            let body = json!([{ "traceId": "1", "id": "1", "tags": tags }]).to_string();
            let span = encoded(&decoded(Format::JsonV2, &body).request).remove(0).expect("it can be written");
            serde_json::from_str::<serde_json::Value>(&span).expect("JSON")["tags"].take()
        };
        let once = written(&tags);
        let expected = json!({
            "otel.library.name": "x", "otel.library.version": "1",
            "otel.scope.name": "x", "otel.scope.version": "1",
        });
        assert_eq!(once, expected, "{tags}");
        assert_eq!(written(&once), once, "{tags}");
    }
}

#[test]
fn limits_cost_the_span_that_is_beyond_them() {
    let body = r#"[{"traceId":"1","id":"1","name":"a long name"},{"traceId":"1","id":"2"}]"#;
    for format in [Format::JsonV2, Format::JsonV1] {
        let decoded = decode(format, body.as_bytes(), &Limits { span_bytes: 30, ..Limits::default() }).expect("read");
        assert_eq!((decoded.spans, decoded.refused.spans), (1, 1));
        assert_eq!(reason(&decoded), "it has 45 bytes, the limit is 30");
    }
    let services = |count: u32| {
        let spans = (0..count)
            .map(|at| format!(r#"{{"traceId":"1","id":"1","localEndpoint":{{"serviceName":"{}"}}}}"#, at % 5));
        format!("[{}]", spans.collect::<Vec<_>>().join(","))
    };
    let limits = Limits { scopes: 4, ..Limits::default() };
    let decoded = decode(Format::JsonV2, services(20).as_bytes(), &limits).expect("read");
    assert_eq!((decoded.spans, decoded.refused.spans), (16, 4));
    assert_eq!(decoded.refused.first, Some((4, "the request has more than 4 services and scopes".into())));
}

#[test]
fn what_a_sender_wrote_makes_no_long_reason() {
    let decoded = decoded(Format::JsonV2, &format!(r#"[{{"traceId":"1","id":"1","kind":"{}"}}]"#, "ä".repeat(500)));
    assert!(reason(&decoded).len() <= 300 && reason(&decoded).starts_with("`kind` is `ää"));
}

#[test]
fn depth_takes_no_stack() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(300_000), close.repeat(300_000));
    let body = format!(r#"[{{"traceId":"1","id":"1","unknown":{}}},{{"traceId":"1","id":"2"}}]"#, deep("[", "]"));
    let limits = Limits { span_bytes: usize::MAX, ..Limits::default() };
    let decoded = decode(Format::JsonV2, body.as_bytes(), &limits).expect("read");
    assert_eq!((decoded.spans, decoded.refused.spans), (2, 0));
    decode(Format::JsonV2, deep("[", "]").as_bytes(), &limits).map(|decoded| decoded.refused.spans).expect("read");
    decode(Format::JsonV2, "[".repeat(300_000).as_bytes(), &limits).expect_err("it never ends");
    // Attributes of an event beyond what receivers take are text.
    for (depth, attributes) in [(20, 1), (100, 0)] {
        let value = format!(r#""name": {{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let value = serde_json::to_string(&value).expect("JSON");
        let body = format!(r#"[{{"traceId":"1","id":"1","annotations":[{{"value":{value}}}]}}]"#);
        assert_eq!(span_of(&body).events[0].attributes.len(), attributes, "{depth}");
    }
}

#[test]
fn many_tags_of_one_name_are_one() {
    let tags: Vec<_> = (0..50_000).map(|at| format!(r#""a{}":"{at}""#, at % 2)).collect();
    let body = format!(r#"[{{"traceId":"1","id":"1","tags":{{{}}}}}]"#, tags.join(","));
    let span = span_of(&body);
    let last = |at: usize| match span.attributes[at].value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((span.attributes.len(), last(0), last(1)), (2, "49998".into(), "49999".into()));
}

#[test]
fn a_span_of_too_many_services_is_refused() {
    let body = |services: usize| {
        let annotations =
            (0..services).map(|at| format!(r#"{{"timestamp":1,"value":"x","endpoint":{{"serviceName":"s{at}"}}}}"#));
        format!(r#"[{{"traceId":"1","id":"1","annotations":[{}]}}]"#, annotations.collect::<Vec<_>>().join(","))
    };
    let (most, more) = (decoded(Format::JsonV1, &body(32)), decoded(Format::JsonV1, &body(33)));
    assert_eq!((most.spans, most.refused.spans), (32, 0));
    assert_eq!((more.spans, reason(&more)), (0, "more than 32 services took part in it"));
}

#[test]
fn what_services_of_a_span_repeat_is_bounded_by_the_body() {
    let span = |name: &str, services: usize| {
        let endpoint = |at| format!(r#"{{"timestamp":1,"value":"x","endpoint":{{"serviceName":"s{at}"}}}}"#);
        let annotations: Vec<_> = (0..services).map(endpoint).collect();
        format!(r#"{{"traceId":"1","id":"1","name":"{name}","annotations":[{}]}}"#, annotations.join(","))
    };
    let long = "n".repeat(1_000_000);
    // As it stands, and as one that has to be unescaped.
    for long in [long.clone(), format!("\\t{long}")] {
        let body = format!("[{}]", [span(&long, 32), span("short", 32), span(&long, 3), span(&long, 3)].join(","));
        let (mut decoding, allocated) = (None, |decoding: &mut Option<Decoded>| {
            allocation_counter::measure(|| *decoding = Some(decoded(Format::JsonV1, &body))).bytes_max
        });
        let most = allocated(&mut decoding);
        let decoded = decoding.expect("decoded");
        assert_eq!((decoded.spans, decoded.refused.spans), (38, 1));
        let reason = reason(&decoded);
        assert!(reason.starts_with("each service that took part in it repeats its name of 100000"), "{reason}");
        assert!(most < 10 * body.len() as u64, "{most} bytes of memory for a body of {}", body.len());
    }
    // Three services for each span, however many there are.
    let spans: Vec<_> = (0..20).map(|_| span(&long, 3)).collect();
    let decoded = decoded(Format::JsonV1, &format!("[{}]", spans.join(",")));
    assert_eq!((decoded.spans, decoded.refused.spans), (60, 0));
}

#[test]
fn values_too_deep_to_write_cost_their_span() {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
    let nested = |depth: usize| {
        let empty = AnyValue { value: None };
        (0..depth)
            .fold(empty, |value, _| AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })) })
    };
    let span = |depth| Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        attributes: vec![KeyValue { key: "deep".into(), value: Some(nested(depth)), ..KeyValue::default() }],
        ..Span::default()
    };
    let mut out = Vec::new();
    let mut written = |depth| Encoder::new().span(b"", b"", &span(depth).encode_to_vec(), &mut out);
    assert_eq!((written(64), written(65)), (Ok(()), Err(EncodeError::Depth)));
}

#[test]
fn a_span_costs_no_allocation() {
    let span = r#"{"traceId":"5b8aa5a2d2c872e8321cf37308d69df2","id":"051581bf3cb55c13","kind":"CLIENT","name":"get","timestamp":1795521600000000,"duration":5,"localEndpoint":{"serviceName":"checkout","ipv4":"10.0.0.1","port":80},"remoteEndpoint":{"serviceName":"pay"},"annotations":[{"timestamp":1795521600000001,"value":"sent"}],"tags":{"http.method":"GET","error":"late","sizes":"[1,2]"}}"#;
    let body = |spans: usize| format!("[{}]", vec![span; spans].join(","));
    let (few, many) = (body(100), body(800));
    let decoding = |body: &str| allocation_counter::measure(|| drop(decoded(Format::JsonV2, body))).count_total;
    // The buffer of the spans doubles a few times.
    assert!(decoding(&many) <= decoding(&few) + 8, "{} {}", decoding(&few), decoding(&many));
    let decoded = decoded(Format::JsonV2, &few);
    let resource_spans = messages(1, &decoded.request).next().expect("a service");
    let (resource, scope_spans) = (messages(1, resource_spans).next(), messages(2, resource_spans).next());
    let (mut encoder, mut out) = (Encoder::new(), Vec::with_capacity(2 * many.len()));
    let mut encode = |out: &mut Vec<u8>| {
        for span in messages(2, scope_spans.expect("a scope")) {
            encoder.span(resource.expect("a resource"), b"", span, out).expect("written");
        }
    };
    encode(&mut out);
    assert_eq!(allocation_counter::measure(|| encode(&mut out)).count_total, 0);
}
