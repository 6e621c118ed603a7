//! What holds whatever the bytes are, and whatever a span is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// `zipkin.proto`, once more and by somebody else's encoder.
mod proto {
    use std::collections::BTreeMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ListOfSpans {
        #[prost(message, repeated, tag = "1")]
        pub spans: Vec<Span>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Span {
        #[prost(bytes = "vec", tag = "1")]
        pub trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub parent_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub id: Vec<u8>,
        #[prost(int32, tag = "4")]
        pub kind: i32,
        #[prost(string, tag = "5")]
        pub name: String,
        #[prost(fixed64, tag = "6")]
        pub timestamp: u64,
        #[prost(uint64, tag = "7")]
        pub duration: u64,
        #[prost(message, optional, tag = "8")]
        pub local_endpoint: Option<Endpoint>,
        #[prost(message, optional, tag = "9")]
        pub remote_endpoint: Option<Endpoint>,
        #[prost(message, repeated, tag = "10")]
        pub annotations: Vec<Annotation>,
        #[prost(btree_map = "string, string", tag = "11")]
        pub tags: BTreeMap<String, String>,
        #[prost(bool, tag = "12")]
        pub debug: bool,
        #[prost(bool, tag = "13")]
        pub shared: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Endpoint {
        #[prost(string, tag = "1")]
        pub service_name: String,
        #[prost(bytes = "vec", tag = "2")]
        pub ipv4: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub ipv6: Vec<u8>,
        #[prost(int32, tag = "4")]
        pub port: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Annotation {
        #[prost(fixed64, tag = "1")]
        pub timestamp: u64,
        #[prost(string, tag = "2")]
        pub value: String,
    }
}

const KINDS: [&str; 5] = ["", "CLIENT", "SERVER", "PRODUCER", "CONSUMER"];

fn endpoint() -> impl Strategy<Value = Option<proto::Endpoint>> {
    let port = prop_oneof![Just(0_u16), any::<u16>()];
    let service = prop_oneof![Just(String::new()), "[a-z]{1,8}", "10\\.0\\.0\\.[1-9]"];
    let endpoint = (service, of(any::<[u8; 4]>()), of(any::<[u8; 16]>()), port);
    of(endpoint.prop_map(|(service_name, ipv4, ipv6, port)| proto::Endpoint {
        service_name,
        ipv4: ipv4.map(Vec::from).unwrap_or_default(),
        ipv6: ipv6.map(Vec::from).unwrap_or_default(),
        port: port.into(),
    }))
}

/// Spans as Zipkin has them, whose tags stand for nothing but `error`.
fn span() -> impl Strategy<Value = proto::Span> {
    let ids = (any::<[u8; 8]>(), of(any::<[u8; 8]>()), 1_u64.., of(1_u64..));
    let times = (prop_oneof![Just(0), 1..1_u64 << 51], prop_oneof![Just(0), 1..1_u64 << 40]);
    let annotations = vec((0..1_u64 << 51, ".{0,12}"), 0..4);
    let tags = (btree_map("t\\..{0,6}", ".{0,12}", 0..6), of("(|true|[a-z]{1,8})"));
    let rest = (0..5_i32, ".{0,8}", any::<[bool; 2]>());
    (ids, times, endpoint(), endpoint(), annotations, tags, rest).prop_map(
        |(ids, times, local_endpoint, remote_endpoint, annotations, (mut tags, error), (kind, name, flags))| {
            let mut trace_id: Vec<u8> = ids.1.map(Vec::from).unwrap_or_default();
            trace_id.extend(ids.0);
            trace_id[7] |= 1;
            let tag = trace_id.len() - 1;
            trace_id[tag] |= 1;
            tags.extend(error.map(|error| ("error".to_owned(), error)));
            let annotations = annotations.into_iter();
            proto::Span {
                trace_id,
                id: ids.2.to_be_bytes().into(),
                parent_id: ids.3.map(|id| id.to_be_bytes().into()).unwrap_or_default(),
                kind,
                name,
                timestamp: times.0,
                duration: times.1,
                local_endpoint,
                remote_endpoint,
                annotations: annotations.map(|(timestamp, value)| proto::Annotation { timestamp, value }).collect(),
                tags,
                debug: flags[0],
                shared: flags[1],
            }
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An endpoint in JSON, without what is empty.
fn endpoint_json(endpoint: &proto::Endpoint) -> Value {
    let ipv4 = <[u8; 4]>::try_from(&*endpoint.ipv4).map(IpAddr::from).ok();
    let ipv6 = <[u8; 16]>::try_from(&*endpoint.ipv6).map(IpAddr::from).ok();
    without_empty(json!({
        "serviceName": endpoint.service_name, "ipv4": ipv4, "ipv6": ipv6, "port": endpoint.port,
    }))
}

fn without_empty(mut object: Value) -> Value {
    let empty = [json!(null), json!(""), json!(0), json!(false), json!([]), json!({})];
    object.as_object_mut().expect("an object").retain(|_, value| !empty.contains(value));
    object
}

/// A span in JSON, without what is empty.
fn span_json(span: &proto::Span) -> Value {
    let annotations = span.annotations.iter().map(|at| json!({ "timestamp": at.timestamp, "value": at.value }));
    without_empty(json!({
        "traceId": hex(&span.trace_id), "id": hex(&span.id), "parentId": hex(&span.parent_id),
        "kind": KINDS[span.kind as usize], "name": span.name, "timestamp": span.timestamp, "duration": span.duration,
        "localEndpoint": span.local_endpoint.as_ref().map(endpoint_json),
        "remoteEndpoint": span.remote_endpoint.as_ref().map(endpoint_json),
        "annotations": annotations.collect::<Vec<_>>(), "tags": span.tags, "debug": span.debug, "shared": span.shared,
    }))
}

/// What comes of a span that went through OTLP: ids and times in their one form, a service's name in any case, and the
/// status said twice.
fn settled(mut span: proto::Span) -> proto::Span {
    let local = span.local_endpoint.get_or_insert_default();
    if local.service_name.is_empty() {
        local.service_name = "unknown_service".into();
    }
    if span.parent_id == span.id {
        span.parent_id.clear();
    }
    if let Some(error) = span.tags.get_mut("error") {
        if error == "true" {
            error.clear();
        }
        span.tags.insert("otel.status_code".into(), "ERROR".into());
    }
    span
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        ".{0,6}".prop_map(|text| Some(Any::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Any::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Any::IntValue(value))),
        any::<f64>().prop_map(|value| Some(Any::DoubleValue(value))),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY)].prop_map(|value| Some(Any::DoubleValue(value))),
        vec(any::<u8>(), 0..6).prop_map(|bytes| Some(Any::BytesValue(bytes))),
    ];
    leaf.prop_map(|value| AnyValue { value }).prop_recursive(3, 12, 3, |inner| {
        let array = vec(inner.clone(), 0..3).prop_map(|values| Any::ArrayValue(ArrayValue { values }));
        let list = vec((".{0,3}", inner), 0..3)
            .prop_map(|values| Any::KvlistValue(KeyValueList { values: key_values(values) }));
        prop_oneof![array, list].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key_values(pairs: Vec<(String, AnyValue)>) -> Vec<KeyValue> {
    pairs.into_iter().map(|(key, value)| KeyValue { key, value: Some(value), ..KeyValue::default() }).collect()
}

/// Attributes, often of names that stand for something, and of one name more than once.
fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let names = [
        "error",
        "service.name",
        "peer.service",
        "network.peer.address",
        "network.peer.port",
        "network.local.address",
        "server.address",
        "server.port",
        "zipkin.shared",
        "otlp.link.0",
        "otel.scope.name",
        "otel.scope.version",
        "otel.library.name",
        "otel.library.version",
        "otel.status_code",
        "a",
    ];
    let name = prop_oneof![proptest::sample::select(names.to_vec()).prop_map(str::to_owned), ".{0,3}"];
    let address = prop_oneof![Just("10.0.0.1"), Just("::1")].prop_map(|text| Any::StringValue(text.to_owned()));
    let value = prop_oneof![any_value(), address.prop_map(|value| AnyValue { value: Some(value) })];
    vec((name, value), 0..8).prop_map(key_values)
}

/// The members of an object as they are written.
struct Members(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> serde::de::Visitor<'de> for Read {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Reads bodies of every format, and holds what comes of them to what everybody relies on.
fn check(body: &[u8]) {
    for format in [Format::JsonV2, Format::Protobuf, Format::JsonV1] {
        let Ok(decoded) = decode(format, body, &Limits::default()) else { continue };
        let request = request(&decoded);
        assert_eq!(request.encoded_len(), decoded.request.len(), "it is as prost would write it");
        assert_eq!(decoded.refused.spans > 0, decoded.refused.first.is_some());
        let once = encode_all(&decoded);
        assert_eq!(once.len(), decoded.spans);
        let body = format!("[{}]", once.join(","));
        let again = decode(Format::JsonV2, body.as_bytes(), &Limits::default()).expect("it was just written");
        assert_eq!(again.refused, Refused::default());
        // A tag that contradicts an endpoint stands beside it, and counts once that is read.
        if !body.contains(r#""network."#) {
            assert_eq!(encode_all(&again), once, "what was written once comes back as it is");
        }
    }
}

/// Every span in JSON, in an order of its own: spans of one service stand together.
fn encode_all(decoded: &Decoded) -> Vec<String> {
    let written = encoded(&decoded.request).into_iter();
    let mut written: Vec<_> = written.map(|span| span.expect("Zipkin's spans can be written")).collect();
    written.sort();
    written
}

proptest! {
    #[test]
    fn what_zipkin_holds_comes_back(spans in vec(span(), 0..5)) {
        let body = json!(spans.iter().map(span_json).collect::<Vec<_>>()).to_string();
        let list = proto::ListOfSpans { spans: spans.clone() }.encode_to_vec();
        let decoded = decode(Format::JsonV2, body.as_bytes(), &Limits::default()).expect("JSON");
        prop_assert_eq!(&decoded, &decode(Format::Protobuf, &list, &Limits::default()).expect("Protocol Buffers"));
        prop_assert_eq!(&decoded.refused, &Refused::default());
        let read = |span: Result<String, EncodeError>| serde_json::from_str(&span.expect("written")).expect("JSON");
        let mut came: Vec<Value> = encoded(&decoded.request).into_iter().map(read).collect();
        let mut expected: Vec<Value> = spans.into_iter().map(|span| span_json(&settled(span))).collect();
        // Spans of one service stand together.
        let text = |span: &Value| span.to_string();
        came.sort_by_key(text);
        expected.sort_by_key(text);
        prop_assert_eq!(came, expected);
    }

    #[test]
    fn any_span_of_otlp_becomes_json(
        attributes in attributes(),
        resource in attributes(),
        scope in (attributes(), "[a-z]{0,3}", "[0-9]{0,3}"),
        events in vec((any::<u64>(), ".{0,8}", attributes()), 0..3),
        links in vec((vec(any::<u8>(), 0..20), attributes()), 0..3),
        numbers in any::<[u64; 3]>(),
        status in (".{0,4}", 0..4_i32),
    ) {
        let tags = attributes.iter().chain(&resource).chain(&scope.0).map(|attribute| (attribute.key.clone(), ()));
        let tags: BTreeMap<_, _> = tags.collect();
        let linked = links.len();
        let span = Span {
            trace_id: vec![7; 16],
            span_id: vec![7; 8],
            start_time_unix_nano: numbers[0],
            end_time_unix_nano: numbers[1],
            kind: (numbers[2] % 8) as i32,
            dropped_links_count: numbers[2] as u32 % 2,
            attributes,
            events: events.into_iter().map(|(time_unix_nano, name, attributes)| Event {
                time_unix_nano, name, attributes, dropped_attributes_count: numbers[2] as u32 % 3,
            }).collect(),
            links: links.into_iter().map(|(id, attributes)| Link { trace_id: id, attributes, ..Link::default() }).collect(),
            status: Some(Status { message: status.0, code: status.1 }),
            ..Span::default()
        };
        let resource = opentelemetry_proto::tonic::resource::v1::Resource { attributes: resource, ..Default::default() };
        let scope = opentelemetry_proto::tonic::common::v1::InstrumentationScope {
            attributes: scope.0, name: scope.1, version: scope.2, ..Default::default()
        };
        let mut out = Vec::new();
        let written = Encoder::new().span(&resource.encode_to_vec(), &scope.encode_to_vec(), &span.encode_to_vec(), &mut out);
        prop_assert_eq!(written, Ok(()));
        let Members(members) = serde_json::from_slice(&out).expect("JSON");
        let mut names: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), all, "each member once");
        // Each tag once, whatever had its name, and all of them texts.
        let whole: Value = serde_json::from_slice(&out).expect("JSON");
        let text = std::str::from_utf8(&out).expect("UTF-8");
        if let Some(kept) = whole["tags"].as_object() {
            prop_assert!(kept.values().all(Value::is_string));
            let start = text.rfind(",\"tags\":").expect("it is there") + ",\"tags\":".len();
            let mut read = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Members>();
            let Members(written) = read.next().expect("an object").expect("JSON");
            prop_assert_eq!(written.len(), kept.len());
            let own = |name: &String| name.starts_with("otel.") || name.starts_with("otlp.link.") || name == "error";
            prop_assert!(kept.keys().all(|name| tags.contains_key(name) || own(name)));
            let links = kept.keys().filter(|name| name.starts_with("otlp.link.")).count();
            prop_assert!(linked == 0 || links == linked);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        check(&bytes);
        let mut out = Vec::new();
        let _ = Encoder::new().span(&bytes, &bytes, &bytes, &mut out);
        let mut span = Span { trace_id: vec![1; 16], span_id: vec![1; 8], ..Span::default() }.encode_to_vec();
        span.extend_from_slice(&bytes);
        let _ = Encoder::new().span(&bytes, &bytes, &span, &mut out);
    }

    #[test]
    fn nor_do_bodies_with_a_few_bytes_changed(
        which in any::<proptest::sample::Index>(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/zipkin/input");
        let mut inputs: Vec<_> = std::fs::read_dir(folder).expect("inputs").map(|entry| entry.expect("one").path()).collect();
        inputs.sort();
        let mut body = std::fs::read(which.get(&inputs)).expect("readable");
        for (at, byte, how) in changes {
            let at = at.index(body.len().max(1)).min(body.len().saturating_sub(1));
            match how {
                0 if !body.is_empty() => body[at] = byte,
                1 if !body.is_empty() => drop(body.remove(at)),
                _ => body.insert(at, byte),
            }
        }
        check(&body);
    }
}
