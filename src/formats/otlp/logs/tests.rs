//! Requests as prost encodes them, through batches and back.

mod goldens;
mod tailed;

use std::sync::Arc;

use base64::Engine;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1 as proto;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Kind;
use opentelemetry_proto::tonic::logs::v1 as logs;
use proptest::prelude::*;
use prost::Message;

use super::super::MessageError;
use super::super::origin::read_resource;
use super::super::random::Random;
use super::*;
use crate::data::logs::RareFields;
use crate::data::{Chunk, LogBatch, LogBuilder, LogRecord, Resource, Severity, Slice, UnixNanos, Value};
use crate::formats::elasticsearch::id;
use crate::formats::protobuf::WireError;

const UNLIMITED: usize = usize::MAX;

fn decoded(request: &[u8]) -> Result<Decoded, MessageError> {
    let chunk = Chunk::from_vec(request.to_vec());
    decode(&chunk, |message, schema_url| Ok(Arc::new(read_resource(message, schema_url)?)))
}

fn encoded(batches: &[LogBatch], input: &str) -> ExportLogsServiceRequest {
    let (mut encoder, mut out) = (LogsEncoder::new(), Vec::new());
    for batch in batches {
        let appended = encoder.append(batch, 0, input, UnixNanos::NONE, UNLIMITED, &mut out);
        assert_eq!(appended, Appended { records: batch.selection.count() as u64, next: None });
    }
    ExportLogsServiceRequest::decode(&*out).expect("prost reads it")
}

/// A record with all that is around it.
#[derive(Debug, PartialEq)]
struct Around {
    resource: Vec<proto::KeyValue>,
    scope: proto::InstrumentationScope,
    schema_urls: [String; 2],
    record: logs::LogRecord,
}

/// The records of a request in their order.
fn flat(request: ExportLogsServiceRequest) -> Vec<Around> {
    let mut all = Vec::new();
    for of_resource in request.resource_logs {
        for of_scope in of_resource.scope_logs {
            all.extend(of_scope.log_records.into_iter().map(|record| Around {
                resource: of_resource.resource.clone().unwrap_or_default().attributes,
                scope: of_scope.scope.clone().unwrap_or_default(),
                schema_urls: [of_resource.schema_url.clone(), of_scope.schema_url.clone()],
                record,
            }));
        }
    }
    all
}

/// What the data model keeps of a request.
fn kept(mut around: Around) -> Around {
    around.scope.dropped_attributes_count = 0;
    around.scope.attributes.iter_mut().chain(&mut around.resource).for_each(|attribute| {
        attribute.value = attribute.value.take().map(nested).or_else(|| Some(proto::AnyValue::default()));
    });
    let record = &mut around.record;
    let without_content =
        |body: &proto::AnyValue| matches!(&body.value, None | Some(Kind::StringValue(_))) && text(body).is_empty();
    record.body = record.body.take().filter(|body| !without_content(body));
    for attribute in &mut record.attributes {
        let bytes = |value: &proto::AnyValue| matches!(value.value, Some(Kind::BytesValue(_)));
        let value = attribute.value.take().unwrap_or_default();
        attribute.value = Some(if bytes(&value) { value } else { nested(value) });
    }
    if record.severity_text.is_empty() {
        record.severity_text = Severity(record.severity_number as u8).text().to_owned();
    }
    around
}

fn text(value: &proto::AnyValue) -> &str {
    if let Some(Kind::StringValue(text)) = &value.value { text } else { "" }
}

/// A value after it was JSON.
fn nested(value: proto::AnyValue) -> proto::AnyValue {
    let value = value.value.map(|value| match value {
        Kind::BytesValue(bytes) => Kind::StringValue(base64::engine::general_purpose::STANDARD.encode(bytes)),
        Kind::ArrayValue(list) => {
            Kind::ArrayValue(proto::ArrayValue { values: list.values.into_iter().map(nested).collect() })
        }
        Kind::KvlistValue(list) => {
            let member = |member: proto::KeyValue| proto::KeyValue { value: member.value.map(nested), ..member };
            Kind::KvlistValue(proto::KeyValueList { values: list.values.into_iter().map(member).collect() })
        }
        other => other,
    });
    proto::AnyValue { value }
}

proptest! {
    #[test]
    fn a_request_comes_back(seed: u64) {
        let request = Random::new(seed).logs();
        let decoded = decoded(&request.encode_to_vec()).expect("well-formed");
        prop_assert_eq!(decoded.refused, Refused::default());
        let expected: Vec<_> = flat(request).into_iter().map(kept).collect();
        prop_assert_eq!(flat(encoded(&decoded.batches, "otlp/x.logs")), expected);
    }

    #[test]
    fn a_request_that_ends_early_is_refused_or_shorter(seed: u64, at: proptest::sample::Index) {
        let request = Random::new(seed).logs().encode_to_vec();
        prop_assume!(!request.is_empty());
        let _ = decoded(&request[..at.index(request.len())]);
        let mut request = request;
        let flipped = at.index(request.len());
        request[flipped] ^= 0x55;
        if let Ok(decoded) = decoded(&request) {
            encoded(&decoded.batches, "otlp/x.logs");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        // Within a record, so that most of it is looked at.
        let request = [&[0x0a, bytes.len() as u8 + 4, 0x12, bytes.len() as u8 + 2, 0x12, bytes.len() as u8], &bytes[..]].concat();
        for request in [&request, &bytes] {
            if let Ok(decoded) = decoded(request) {
                encoded(&decoded.batches, "otlp/x.logs");
            }
        }
    }

    #[test]
    fn requests_stay_within_their_limit(lengths in proptest::collection::vec(0_usize..400, 1..40), most in 50_usize..2000) {
        let mut builder = LogBuilder::new(Arc::new(Resource::new([("service.name".into(), "shop".into())])), Arc::default());
        let text: Vec<u8> = lengths.iter().enumerate().flat_map(|(index, length)| vec![b'a' + (index % 26) as u8; *length]).collect();
        let chunk = builder.add_chunk(Chunk::from_vec(text));
        let mut at = 0;
        for length in &lengths {
            builder.source().records.push(LogRecord::of_body(Slice::new(chunk, at, *length as u32)));
            at += *length as u32;
        }
        let mut batch = builder.build();
        batch.selection.remove(lengths.len() / 2);
        let (mut encoder, mut bodies, mut from) = (LogsEncoder::new(), Vec::new(), Some(0));
        while let Some(first) = from {
            let mut out = Vec::new();
            let appended = encoder.append(&batch, first, "in", UnixNanos::NONE, most, &mut out);
            from = appended.next;
            let request = flat(ExportLogsServiceRequest::decode(&*out).expect("prost reads it"));
            prop_assert_eq!(request.len() as u64, appended.records);
            prop_assert!(out.len() <= most || appended.records == 1, "{} bytes of {}", out.len(), most);
            prop_assert!(appended.records > 0 || batch.selection.count() == 0);
            bodies.extend(request.into_iter().map(|around| around.record.body.map_or(0, |body| text_len(&body))));
        }
        let expected: Vec<_> = batch.iter().map(|view| view.body().len()).collect();
        prop_assert_eq!(bodies, expected);
    }
}

fn text_len(value: &proto::AnyValue) -> usize {
    text(value).len()
}

#[test]
fn a_request_that_is_begun_takes_what_fits() {
    let mut builder = LogBuilder::new(Arc::default(), Arc::default());
    let chunk = builder.add_chunk(Chunk::from_static(&[b'x'; 500]));
    builder.source().records.push(LogRecord::of_body(Slice::new(chunk, 0, 500)));
    let batch = builder.build();
    let (mut encoder, mut out) = (LogsEncoder::new(), Vec::new());
    let mut append = |out: &mut Vec<u8>| encoder.append(&batch, 0, "in", UnixNanos(1), 800, out);
    assert_eq!(append(&mut out), Appended { records: 1, next: None });
    let before = out.clone();
    assert_eq!(append(&mut out), Appended { records: 0, next: Some(0) });
    assert_eq!(out, before, "nothing is left of what did not fit");
}

#[test]
fn attributes_of_two_bytes_are_not_taken_without_end() {
    use crate::formats::protobuf::push_bytes;
    let (mut record, mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    (0..60_000).for_each(|_| push_bytes(6, b"", &mut record));
    (0..20).for_each(|_| push_bytes(2, &record, &mut scope));
    push_bytes(2, &scope, &mut resource);
    push_bytes(1, &resource, &mut request);
    assert_eq!(decoded(&request).err(), Some(MessageError::Crowded));
}

#[test]
fn records_are_refused_alone() {
    let record = |record: logs::LogRecord| logs::LogRecord {
        body: record.body.or_else(|| Some(proto::AnyValue { value: Some(Kind::StringValue("kept".to_owned())) })),
        ..record
    };
    let nested = (0..31).fold(proto::AnyValue::default(), |inner, _| proto::AnyValue {
        value: Some(Kind::ArrayValue(proto::ArrayValue { values: vec![inner] })),
    });
    let attribute = |value: proto::AnyValue| proto::KeyValue { key: "k".into(), value: Some(value), key_strindex: 0 };
    let (long, deep) = (vec![attribute(proto::AnyValue::default()); 65_536], vec![attribute(nested.clone())]);
    let log_records = vec![
        record(logs::LogRecord { trace_id: vec![1; 15], ..Default::default() }),
        record(logs::LogRecord { trace_id: vec![1; 16], span_id: vec![2; 8], ..Default::default() }),
        record(logs::LogRecord { span_id: vec![1; 16], ..Default::default() }),
        record(logs::LogRecord { span_id: vec![1; 9], ..Default::default() }),
        record(logs::LogRecord { attributes: deep, ..Default::default() }),
        record(logs::LogRecord { body: Some(nested), ..Default::default() }),
        record(logs::LogRecord { attributes: long, ..Default::default() }),
        record(logs::LogRecord { trace_id: vec![0; 16], ..Default::default() }),
    ];
    let scope_logs = vec![logs::ScopeLogs { log_records, ..Default::default() }];
    let resource_logs = vec![logs::ResourceLogs { scope_logs, ..Default::default() }];
    let decoded = decoded(&ExportLogsServiceRequest { resource_logs }.encode_to_vec()).expect("well-formed");
    assert_eq!(decoded.refused.records(), 6);
    assert_eq!(
        decoded.refused.to_string(),
        "1 log record refused: the trace id is not 16 bytes long; 2 log records refused: the span id is not 8 bytes \
         long; 2 log records refused: a value is nested more than 30 deep; 1 log record refused: it has more than \
         65535 attributes"
    );
    let [batch] = &*decoded.batches else { panic!("one batch") };
    assert_eq!(batch.records().len(), 2);
    assert_eq!(batch.source().attributes, [], "nothing is left of what was refused");
    assert_eq!(batch.rare(&batch.records()[0]).map(|rare| rare.span_id), Some([2; 8]));
    assert_eq!(batch.rare(&batch.records()[1]), None, "an id of zeros is none");
}

#[test]
fn a_request_that_is_not_well_formed_is_refused_whole() {
    // A record's time as a varint, a body of a group, an attribute that ends early.
    for record in [&b"\x08\x01"[..], b"\x2b\x2c", b"\x32\x02\x0a\x05"] {
        let length = record.len() as u8;
        let request = [&[0x0a, length + 4, 0x12, length + 2, 0x12, length], record].concat();
        assert!(decoded(&request).is_err(), "{record:?}");
    }
    assert_eq!(decoded(b"\x0a\x05").map(|decoded| decoded.batches.len()), Err(WireError::Short.into()));
    assert_eq!(decoded(b"").map(|decoded| decoded.batches.len()), Ok(0));
}

#[test]
fn bodies_are_the_bytes_of_the_request() {
    let text = "two\nlines \u{1b}[1m and an invalid ";
    let record = [text.as_bytes(), b"\xff"].concat();
    let value = [&[0x0a, record.len() as u8], &record[..]].concat();
    let record = [&[0x2a, value.len() as u8], &value[..]].concat();
    let length = record.len() as u8;
    let request = Chunk::from_vec([&[0x0a, length + 4, 0x12, length + 2, 0x12, length], &record[..]].concat());
    let decoded = decode(&request, |_, _| Ok(Arc::default())).expect("well-formed");
    let view = decoded.batches[0].view(0);
    assert_eq!(view.body(), [text.as_bytes(), b"\xff"].concat());
    let range = request.as_slice().as_ptr_range();
    assert!(range.contains(&view.body().as_ptr()), "not copied");
    let again = encoded(&decoded.batches, "in");
    let body = flat(again).remove(0).record.body.expect("a body");
    assert_eq!(text_of(&body), format!("{text}\u{fffd}"));
}

fn text_of(value: &proto::AnyValue) -> String {
    text(value).to_owned()
}

#[test]
fn many_records_are_several_batches() {
    let log_records = vec![logs::LogRecord { time_unix_nano: 1, ..Default::default() }; 20_000];
    let scope_logs = vec![logs::ScopeLogs { log_records, ..Default::default() }];
    let resource_logs = vec![logs::ResourceLogs { scope_logs, ..Default::default() }];
    let decoded = decoded(&ExportLogsServiceRequest { resource_logs }.encode_to_vec()).expect("well-formed");
    let counts: Vec<_> = decoded.batches.iter().map(|batch| batch.records().len()).collect();
    assert_eq!(counts, [8192, 8192, 3616]);
}

#[test]
fn an_edited_body_leaves_as_text() {
    let body = proto::AnyValue {
        value: Some(Kind::KvlistValue(proto::KeyValueList {
            values: vec![proto::KeyValue {
                key: "card".into(),
                value: Some(proto::AnyValue { value: Some(Kind::BytesValue(vec![1, 2])) }),
                key_strindex: 0,
            }],
        })),
    };
    let log_records = vec![logs::LogRecord {
        body: Some(body.clone()),
        severity_number: 9,
        severity_text: "Info!".into(),
        ..Default::default()
    }];
    let scope_logs = vec![logs::ScopeLogs { log_records, ..Default::default() }];
    let resource_logs = vec![logs::ResourceLogs { scope_logs, ..Default::default() }];
    let mut batch =
        decoded(&ExportLogsServiceRequest { resource_logs }.encode_to_vec()).expect("well-formed").batches.remove(0);
    assert_eq!(batch.view(0).body(), br#"{"card":"AQI="}"#);
    let one = |batch: &LogBatch| flat(encoded(std::slice::from_ref(batch), "in")).remove(0).record;
    let before = one(&batch);
    assert_eq!((before.body, &*before.severity_text), (Some(body.clone()), "Info!"));
    assert_eq!(one(&batch.detached()).body, Some(body), "as it came, also in memory of its own");
    let edited = batch.add_chunk(Chunk::from_static(b"***"));
    let (overlay, _) = batch.edit();
    overlay.states[0].body = Slice::new(edited, 0, 3);
    overlay.states[0].severity = Severity(17);
    for batch in [&batch, &batch.detached()] {
        let after = one(batch);
        assert_eq!(after.body.as_ref().map(text_of).as_deref(), Some("***"));
        assert_eq!((after.severity_number, &*after.severity_text), (17, "ERROR"));
    }
    let rare = batch.rare(&batch.records()[0]).copied().unwrap_or_default();
    assert_ne!(rare, RareFields::default(), "what came is still known");
}
