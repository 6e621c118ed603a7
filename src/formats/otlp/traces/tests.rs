//! What is indexed and put out again, against the official messages read by prost.

mod arbitrary;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;

use super::super::random::Random;
use super::*;
use crate::data::{Chunk, TraceBatch};
use crate::formats::otlp::MessageError;
use crate::formats::protobuf::{WireError, push_bytes, push_uint, push_varint};
use arbitrary::{pair, request};

fn indexed(bytes: Vec<u8>) -> TraceBatch {
    let indexed = index(Chunk::from_vec(bytes)).expect("a valid request");
    assert_eq!(indexed.refused, 0);
    indexed.batch
}

fn all(batch: &TraceBatch, most: usize) -> Vec<Vec<u8>> {
    let (mut emitter, mut bodies, mut from) = (Emitter::default(), Vec::new(), Some(0));
    while let Some(at) = from {
        let (next, spans) = emitter.emit(batch, at..usize::MAX, most);
        let len = emitter.len();
        let body = emitter.finish().concat();
        assert_eq!(body.len(), len);
        assert!(body.len() <= most || spans == 1, "{} bytes of {most}", body.len());
        bodies.push(body);
        from = next;
    }
    bodies
}

fn decoded(body: &[u8]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(body).expect("prost reads what is put out")
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<(Option<Resource>, Option<InstrumentationScope>, Span)> {
    let of = |resource: &ResourceSpans| {
        let scopes = resource.scope_spans.clone();
        let resource = resource.resource.clone();
        scopes.into_iter().flat_map(move |scope| {
            let resource = resource.clone();
            scope.spans.into_iter().map(move |span| (resource.clone(), scope.scope.clone(), span))
        })
    };
    request.resource_spans.iter().flat_map(of).collect()
}

proptest! {
    #[test]
    fn a_request_kept_whole_is_byte_for_byte_what_came(request in request()) {
        let bytes = request.encode_to_vec();
        let batch = indexed(bytes.clone());
        prop_assert!(batch.is_whole());
        prop_assert_eq!(size(&batch), bytes.len() as u64);
        prop_assert_eq!(all(&batch, usize::MAX).concat(), bytes);
    }

    #[test]
    fn the_index_says_what_the_spans_say(request in request()) {
        let batch = indexed(request.encode_to_vec());
        let spans = spans(&request);
        prop_assert_eq!(batch.spans().len(), spans.len());
        for (entry, (resource, scope, span)) in batch.spans().iter().zip(spans) {
            prop_assert_eq!(&entry.trace_id[..], &span.trace_id[..]);
            prop_assert_eq!(&entry.span_id[..], &span.span_id[..]);
            prop_assert_eq!((entry.start.0, entry.end.0), (span.start_time_unix_nano, span.end_time_unix_nano));
            prop_assert_eq!(i32::from(entry.kind), span.kind);
            prop_assert_eq!(i32::from(entry.status), span.status.map_or(0, |status| status.code));
            prop_assert_eq!(batch.resource_of(entry), resource.map_or(Vec::new(), |it| it.encode_to_vec()));
            prop_assert_eq!(batch.scope_of(entry), scope.map_or(Vec::new(), |it| it.encode_to_vec()));
        }
    }

    #[test]
    fn what_is_filtered_and_split_has_the_kept_spans_in_their_order(
        request in request(), kept in proptest::collection::vec(any::<bool>(), 48), most in 1_usize..3000,
    ) {
        let mut batch = indexed(request.encode_to_vec());
        let before = spans(&request);
        (0..before.len()).filter(|at| !kept[*at]).for_each(|at| batch.selection.remove(at));
        let expected: Vec<_> = before.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(span, _)| span).collect();
        let bodies = all(&batch, most);
        let found: Vec<_> = bodies.iter().flat_map(|body| spans(&decoded(body))).collect();
        prop_assert_eq!(&found, &expected);
        // One behind the other they are one message.
        prop_assert_eq!(spans(&decoded(&bodies.concat())), expected);
    }

    #[test]
    fn broken_bytes_are_refused_and_never_panic(
        request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = request.encode_to_vec();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let ours = index(Chunk::from_vec(bytes.clone()));
        if let Ok(indexed) = ours {
            let again = all(&indexed.batch, usize::MAX).concat();
            if indexed.refused == 0 {
                prop_assert_eq!(&again, &bytes);
            }
            index(Chunk::from_vec(again)).expect("what is put out can be read");
        }
    }
}

fn minimal() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "x".into(), ..Span::default() }
}

fn of_spans(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
        .encode_to_vec()
}

#[test]
fn spans_without_valid_ids_are_refused_alone() {
    let bad = [
        Span { trace_id: vec![0; 16], ..minimal() },
        Span { trace_id: vec![1; 15], ..minimal() },
        Span { span_id: Vec::new(), ..minimal() },
        Span { span_id: vec![0; 8], ..minimal() },
    ];
    let [a, b, c, d] = bad;
    let last = Span { name: "last".into(), ..minimal() };
    let bytes = of_spans(vec![minimal(), a, b, c, last.clone(), d]);
    let indexed = index(Chunk::from_vec(bytes)).expect("well-formed");
    assert_eq!(indexed.refused, 4);
    assert_eq!(indexed.reason.as_deref(), Some("resource_spans[0].scope_spans[0].spans[1]: its trace id is all zeros"));
    assert!(!indexed.batch.is_whole());
    let out = all(&indexed.batch, usize::MAX).concat();
    assert_eq!(spans(&decoded(&out)).into_iter().map(|(.., span)| span).collect::<Vec<_>>(), [minimal(), last]);
}

#[test]
fn unknown_fields_are_kept_wherever_they_stand() {
    let mut span = minimal().encode_to_vec();
    push_bytes(900, b"span", &mut span);
    let mut scope = Vec::new();
    push_bytes(901, b"before", &mut scope);
    push_bytes(2, &span, &mut scope);
    push_bytes(902, b"between", &mut scope);
    push_bytes(2, &span, &mut scope);
    push_bytes(903, b"behind", &mut scope);
    let mut resource = Vec::new();
    push_bytes(2, &scope, &mut resource);
    push_uint(1001, 7, &mut resource);
    let mut bytes = Vec::new();
    push_uint(2000, 1, &mut bytes);
    push_bytes(1, &resource, &mut bytes);
    push_uint(2001, 2, &mut bytes);
    let mut batch = indexed(bytes.clone());
    assert_eq!(all(&batch, usize::MAX).concat(), bytes);
    batch.selection.remove(0);
    let out = all(&batch, usize::MAX).concat();
    let mut scope = Vec::new();
    push_bytes(901, b"before", &mut scope);
    push_bytes(902, b"between", &mut scope);
    push_bytes(903, b"behind", &mut scope);
    push_bytes(2, &span, &mut scope);
    let mut resource = Vec::new();
    push_bytes(2, &scope, &mut resource);
    push_uint(1001, 7, &mut resource);
    let mut expected = Vec::new();
    push_uint(2000, 1, &mut expected);
    push_uint(2001, 2, &mut expected);
    push_bytes(1, &resource, &mut expected);
    assert_eq!(out, expected);
}

#[test]
fn hostile_messages_are_refused_with_their_place() {
    let malformed = |bytes: Vec<u8>| {
        let error = index(Chunk::from_vec(bytes)).expect_err("it is hostile");
        (error.place, error.error)
    };
    let in_span = |field: &[u8]| {
        let mut span = minimal().encode_to_vec();
        span.extend_from_slice(field);
        let (mut scope, mut resource, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        push_bytes(2, &minimal().encode_to_vec(), &mut scope);
        push_bytes(2, &span, &mut scope);
        push_bytes(2, &scope, &mut resource);
        push_bytes(1, &resource, &mut bytes);
        bytes
    };
    let place = "resource_spans[0].scope_spans[0].spans[1]".to_owned();
    let nested = |levels: usize| {
        let mut value = Vec::new();
        for _ in 0..levels {
            let mut array = Vec::new();
            push_bytes(1, &value, &mut array);
            value.clear();
            push_bytes(5, &array, &mut value);
        }
        let (mut pair, mut field) = (Vec::new(), Vec::new());
        push_bytes(2, &value, &mut pair);
        push_bytes(9, &pair, &mut field);
        in_span(&field)
    };
    index(Chunk::from_vec(nested(30))).expect("as deep as it may be");
    ExportTraceServiceRequest::decode(&nested(30)[..]).expect("as deep as prost reads");
    assert_eq!(malformed(nested(31)), (place.clone(), MessageError::Depth));
    assert_eq!(malformed(nested(20_000)), (place.clone(), MessageError::Depth));
    // A group, a length beyond the end, a wrong type, a length beyond all bounds.
    let mut huge = vec![0x4a];
    push_varint(u64::MAX, &mut huge);
    for (field, error) in [
        (&[0x93, 0x01, 0x94, 0x01][..], WireError::Tag),
        (&[0x4a, 0x05, 0x00], WireError::Short),
        (&[0x49, 0, 0, 0, 0, 0, 0, 0, 0], WireError::Type),
        (&huge, WireError::Short),
    ] {
        assert_eq!(malformed(in_span(field)), (place.clone(), error.into()));
    }
    for (attribute, twice) in [
        // A key, and a value that is two texts; two values; two keys.
        (&b"\x4a\x0b\x0a\x01k\x12\x06\x0a\x01a\x0a\x01b"[..], "value"),
        (b"\x4a\x0d\x0a\x01k\x12\x03\x0a\x01a\x12\x03\x0a\x01b", "value"),
        (b"\x4a\x06\x0a\x01k\x0a\x01l", "key"),
    ] {
        assert_eq!(malformed(in_span(attribute)), (place.clone(), MessageError::Repeated(twice)));
    }
    let mut resource = Vec::new();
    push_bytes(1, b"", &mut resource);
    push_bytes(1, b"", &mut resource);
    let mut bytes = Vec::new();
    push_bytes(1, &resource, &mut bytes);
    assert_eq!(malformed(bytes), ("resource_spans[0]".into(), MessageError::Repeated("resource")));
}

#[test]
fn the_agents_identity_is_added_where_it_replaces_nothing() {
    let attribute =
        |key: &str, text: &str| pair(key.into(), AnyValue { value: Some(ProtoValue::StringValue(text.into())) });
    let of = |attributes| Some(Resource { attributes, ..Resource::default() });
    let resource_spans = |resource, schema_url: &str| ResourceSpans {
        resource,
        scope_spans: vec![ScopeSpans { spans: vec![minimal()], ..ScopeSpans::default() }],
        schema_url: schema_url.into(),
    };
    let request = |first, second, third| ExportTraceServiceRequest {
        resource_spans: vec![
            resource_spans(of(first), "https://x/1"),
            resource_spans(of(second), ""),
            resource_spans(third, "https://y/1"),
        ],
    };
    let (name, own) = (attribute("service.name", "shop"), attribute("k8s.cluster.name", "own"));
    let mut batch = indexed(request(vec![name.clone()], vec![own.clone()], None).encode_to_vec());
    super::super::resource::ResourceAttributes::new([]).add(&mut batch);
    assert!(batch.is_whole());
    super::super::resource::ResourceAttributes::new([("k8s.cluster.name", "prod")]).add(&mut batch);
    let prod = attribute("k8s.cluster.name", "prod");
    let expected = request(vec![name, prod.clone()], vec![own], of(vec![prod]));
    assert_eq!(decoded(&all(&batch, usize::MAX).concat()), expected);
    let entry = batch.spans()[2];
    let Some(Some(third)) = expected.resource_spans.last().map(|last| &last.resource) else { panic!("it has one") };
    assert_eq!(batch.resource_of(&entry), third.encode_to_vec());
}

#[test]
fn spans_that_receivers_refuse_are_refused_alone() {
    let good = Span { trace_id: vec![1; 16], span_id: vec![1; 8], ..Span::default() };
    let link = |trace_id: usize, span_id: usize| Link {
        trace_id: vec![1; trace_id],
        span_id: vec![1; span_id],
        ..Link::default()
    };
    let bad = [
        Span { parent_span_id: vec![1; 4], ..good.clone() },
        Span { links: vec![link(16, 8), link(15, 8)], ..good.clone() },
        Span { links: vec![link(16, 1)], ..good.clone() },
    ];
    let spans = bad.into_iter().chain([Span { links: vec![link(16, 8), link(0, 0)], ..good.clone() }, good]).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let indexed = index(Chunk::from_vec(request)).expect("well-formed");
    assert_eq!((indexed.batch.spans().len(), indexed.refused), (2, 3));
    let place = "resource_spans[0].scope_spans[0].spans[0]";
    let reason = format!("{place}: the id of its parent or of a link is of a wrong length");
    assert_eq!(indexed.reason, Some(reason));
}

#[test]
fn what_would_stand_in_every_part_of_a_request_is_bounded() {
    let large = "x".repeat(super::super::MOST_AROUND);
    let spans = |count: u8| {
        (1..=count)
            .map(|id| Span { trace_id: vec![id; 16], span_id: vec![id; 8], ..Span::default() })
            .collect::<Vec<_>>()
    };
    let of = |resource: &str, scopes: &[(&str, u8)]| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![pair("k".into(), AnyValue { value: Some(ProtoValue::StringValue(resource.into())) })],
            ..Resource::default()
        }),
        scope_spans: scopes
            .iter()
            .map(|(name, count)| ScopeSpans {
                scope: Some(InstrumentationScope { name: (*name).into(), ..InstrumentationScope::default() }),
                spans: spans(*count),
                ..ScopeSpans::default()
            })
            .collect(),
        ..ResourceSpans::default()
    };
    let resource_spans =
        vec![of("a", &[("s", 1)]), of(&large, &[("s", 2), ("t", 1)]), of("b", &[(&large, 4), ("s", 5)])];
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let indexed = index(Chunk::from_vec(request)).expect("well-formed");
    assert_eq!((indexed.batch.spans().len(), indexed.refused), (6, 7));
    assert_eq!(indexed.reason.as_deref(), Some("resource_spans[1]: its resource is larger than 256 KiB"));
    let out = all(&indexed.batch, usize::MAX).concat();
    let out = ExportTraceServiceRequest::decode(&*out).expect("prost reads it");
    let count = |resource: &ResourceSpans| resource.scope_spans.iter().map(|scope| scope.spans.len()).sum::<usize>();
    assert_eq!(out.resource_spans.iter().map(count).collect::<Vec<_>>(), [1, 5]);
}

/// The fuzzer's seeds.
#[test]
fn seeds_are_requests() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/otlp_traces");
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let attributes = |random: &mut Random| {
            (0..3).map(|key| pair(["a", "b", "http.route"][key].into(), random.value(3))).collect::<Vec<_>>()
        };
        let span = |random: &mut Random, id: u8| Span {
            trace_id: vec![id; 16],
            span_id: vec![id; 8],
            name: "GET /".into(),
            attributes: attributes(random),
            events: vec![Event { name: "e".into(), attributes: attributes(random), ..Event::default() }],
            status: Some(Status { code: 2, message: "no".into() }),
            ..Span::default()
        };
        let spans = (1..4).map(|id| span(&mut random, id)).collect();
        let scope_spans = vec![ScopeSpans { spans, schema_url: "https://x".into(), ..ScopeSpans::default() }; 2];
        let resource = Some(Resource { attributes: attributes(&mut random), ..Resource::default() });
        let resource_spans = vec![ResourceSpans { resource, scope_spans, schema_url: "https://r".into() }];
        let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let path = folder.join(format!("request_{seed}"));
        if std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some() {
            std::fs::create_dir_all(&folder).expect("writable");
            std::fs::write(&path, &request).expect("writable");
        }
        assert_eq!(indexed(request.clone()).spans().len(), 6);
        assert_eq!(request, std::fs::read(&path).unwrap_or_default(), "the fuzzer's seed {}", path.display());
    }
}
