//! OTLP/JSON beside the crate `opentelemetry-proto`, whose messages and JSON are another's work, and what is
//! taken beyond it.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value;
use proptest::prelude::*;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::random::Random;
use super::*;
use crate::formats::protobuf::{open_message, push_bytes};

const MOST: usize = 1 << 20;
const LOGS: Document = Document::Request(Signal::Logs);
const METRICS: Document = Document::Request(Signal::Metrics);
const TRACES: Document = Document::Request(Signal::Traces);

fn decoded<M: Message + Default>(document: Document, text: &str) -> M {
    let bytes = read(document, text.as_bytes(), MOST).expect(text);
    M::decode(&*bytes).expect("prost reads what was written")
}

fn written(document: Document, message: &[u8]) -> String {
    let mut out = Vec::new();
    write(document, message, &mut out).expect("a message");
    String::from_utf8(out).expect("JSON is text")
}

/// Both ways, against the crate's JSON.
fn agrees<M: Message + Default + PartialEq + Debug + Serialize + DeserializeOwned>(document: Document, message: &M) {
    let theirs = serde_json::to_string(message).expect("the crate writes JSON");
    assert_eq!(&decoded::<M>(document, &theirs), message, "{theirs}");
    let ours = written(document, &message.encode_to_vec());
    assert_eq!(&decoded::<M>(document, &ours), message, "{ours}");
    let read: M = serde_json::from_str(&ours).unwrap_or_else(|error| panic!("{error}: {ours}"));
    assert_eq!(&read, message, "{ours}");
}

proptest! {
    #[test]
    fn requests_are_read_and_written_as_others_do(seed: u64) {
        agrees(TRACES, &Random::new(seed).traces());
        agrees(LOGS, &Random::new(seed).logs());
        agrees(METRICS, &Random::new(seed).metrics());
    }

    #[test]
    fn a_double_stays_the_same(bits: u64) {
        let double = f64::from_bits(bits);
        prop_assume!(!double.is_nan());
        let mut number = Vec::new();
        crate::formats::json::text::write_double(double, &mut number);
        let value = format!("{{\"doubleValue\":{}}}", String::from_utf8(number).expect("text"));
        let text = record(&format!("\"body\":{value}"));
        let request: ExportLogsServiceRequest = decoded(LOGS, &text);
        let body = request.resource_logs[0].scope_logs[0].log_records[0].body.clone().expect("a body");
        let Some(any_value::Value::DoubleValue(read)) = body.value else { panic!("{body:?}") };
        prop_assert_eq!(read.to_bits(), bits);
        prop_assert_eq!(written(LOGS, &request.encode_to_vec()), text);
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"(\{|\}|\[|\]|,|:|"resourceLogs"|"scopeLogs"|"logRecords"|"body"|"traceId"|"flags"|"ab"|null|1|-7e3){0,30}"#) {
        if let Ok(message) = read(LOGS, text.as_bytes(), MOST) {
            written(LOGS, &message);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for document in [LOGS, METRICS, TRACES, Document::Status, Document::Response(Signal::Traces)] {
            let mut out = Vec::new();
            if write(document, &bytes, &mut out).is_ok() {
                serde_json::from_slice::<serde::de::IgnoredAny>(&out).expect("what is written is JSON");
            }
        }
    }
}

/// A request of one record with these members.
fn record(members: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{members}}}]}}]}}]}}"#)
}

/// `tests/formats/otlp_json`: what senders write, and the same as Tailwater writes it. The name begins with the signal.
#[test]
fn goldens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/otlp_json");
    let mut inputs: Vec<PathBuf> =
        std::fs::read_dir(folder.join("input")).expect("goldens").map(|entry| entry.expect("entry").path()).collect();
    inputs.sort();
    assert!(inputs.len() > 4, "the goldens are there");
    for input in inputs {
        let name = input.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let document = match name.split('_').next() {
            Some("logs") => LOGS,
            Some("metrics") => METRICS,
            Some("traces") => TRACES,
            Some("status") => Document::Status,
            other => panic!("{other:?}"),
        };
        let text = std::fs::read(&input).expect("readable");
        let message = read(document, &text, MOST).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = written(document, &message);
        let value: serde_json::Value = serde_json::from_str(&again).expect("JSON");
        let shown = format!("{value:#}\n");
        let expected = folder.join("expected").join(&name);
        if std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some() {
            std::fs::write(&expected, &shown).expect("writable");
        }
        assert_eq!(shown, std::fs::read_to_string(&expected).unwrap_or_default(), "{name}");
        assert_eq!(written(document, &read(document, again.as_bytes(), MOST).expect("ours")), again, "{name}");
    }
}

#[test]
fn an_id_of_half_a_byte_costs_its_span_alone() {
    let [trace_id, span_id] = [32, 16].map(|digits| "a".repeat(digits));
    let ids = [(31, 16), (33, 16), (32, 15), (32, 17), (32, 1)];
    let mut spans: Vec<_> = ids
        .iter()
        .map(|&(of_trace, of_span)| json!({ "traceId": "a".repeat(of_trace), "spanId": "a".repeat(of_span) }))
        .collect();
    spans.push(json!({ "traceId": trace_id, "spanId": span_id, "parentSpanId": "abc" }));
    spans.push(json!({ "traceId": trace_id, "spanId": span_id }));
    let text = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string();
    let message = read(TRACES, text.as_bytes(), MOST).expect("a request");
    let indexed = crate::formats::otlp::traces::index(crate::data::Chunk::from_vec(message)).expect("well-formed");
    assert_eq!((indexed.batch.spans().len(), indexed.refused), (1, 6));
    let reason = "resource_spans[0].scope_spans[0].spans[0]: its trace id is not 16 bytes";
    assert_eq!(indexed.reason.as_deref(), Some(reason));
}

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    let told = |text: &str| read(LOGS, text.as_bytes(), MOST).expect_err(text).to_string();
    let cases = [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("[]", "invalid type: sequence, expected an object at line 1 column 0"),
        ("{} {}", "trailing characters at line 1 column 4"),
        ("{\"resourceLogs\":\n {}}", "expected a list as `resourceLogs` at line 2 column"),
        (&record("\"traceId\":\"W47/95gDgQPSabYzgT/GDA==\""), "an id in hexadecimal as `traceId` at line 1 column"),
        (&record("\"spanId\":\"abcg\""), "an id in hexadecimal as `spanId`"),
        (&record("\"spanId\":\"abg\""), "an id in hexadecimal as `spanId`"),
        (&record("\"timeUnixNano\":-1"), "`timeUnixNano` is not an integer of 64 bits without sign: -1"),
        (&record("\"timeUnixNano\":\"18446744073709551616\""), "`timeUnixNano` is not"),
        (&record("\"timeUnixNano\":1.5"), "`timeUnixNano` is not"),
        (&record("\"timeUnixNano\":\"\""), "`timeUnixNano` is not"),
        (&record("\"timeUnixNano\":[1]"), "`timeUnixNano` is not"),
        (&record("\"flags\":4294967296"), "`flags` is not an integer of 32 bits without sign: 4294967296"),
        (&record("\"severityNumber\":\"LOUD\""), "`severityNumber` is not the number of an enumeration's value"),
        (&record("\"severityText\":5"), "invalid type: integer `5`, expected a string as `severityText`"),
        (&record("\"body\":\"text\""), "invalid type: string \"text\", expected an object as `body`"),
        (&record("\"body\":{\"doubleValue\":1e999}"), "`doubleValue` is not a number"),
        (&record("\"body\":{\"doubleValue\":\"nan\"}"), "`doubleValue` is not a number"),
        (&record("\"body\":{\"boolValue\":\"true\"}"), "`boolValue` is not true or false"),
        (&record("\"body\":{\"bytesValue\":\"?\"}"), "a string in base64 as `bytesValue`"),
        (&record("\"eventName\":\"\\ud800\""), "line 1 column"),
    ];
    for (text, expected) in cases {
        let told = told(text);
        assert!(told.starts_with("not OTLP/JSON: ") && told.contains(expected), "{told}\n{expected}");
        assert!(told.contains(" at line "), "{told}");
    }
    let error = read(LOGS, b"{\"resourceLogs\":[{\"schemaUrl\":\"\xff\"}]}", MOST).expect_err("not UTF-8");
    assert!(error.to_string().contains("at line 1 column"), "{error}");
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| {
        let open = "{\"kvlistValue\":{\"values\":[{\"value\":".repeat(depth);
        record(&format!("\"body\":{open}{{}}{}", "}]}}".repeat(depth)))
    };
    let message = read(LOGS, nested(29).as_bytes(), MOST).expect("deep");
    opentelemetry_proto::tonic::logs::v1::LogsData::decode(&*message).expect("what is read, others read too");
    let error = read(LOGS, nested(40).as_bytes(), MOST).expect_err("too deep");
    assert!(error.to_string().contains("recursion limit exceeded at line 1"), "{error}");
    let ignored = format!("{{\"unknown\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(LOGS, ignored.as_bytes(), MOST).is_ok());

    let many = format!("[{}]", vec!["1"; 1000].join(","));
    let wide = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"explicitBounds":{many}}}]}}}}]}}]}}]}}"#
    );
    assert!(read(METRICS, wide.as_bytes(), 9000).is_ok());
    let error = read(METRICS, wide.as_bytes(), 4000).expect_err("too large");
    assert!(error.to_string().contains("the message takes more than 4000 bytes at line 1"), "{error}");

    let mut deep = Vec::new();
    for _ in 0..200 {
        let mut array = Vec::new();
        push_bytes(1, &deep, &mut array);
        deep.clear();
        push_bytes(5, &array, &mut deep);
    }
    let mut request = Vec::new();
    for number in [5, 2, 2, 1] {
        let mut outer = Vec::new();
        push_bytes(number, if request.is_empty() { &deep } else { &request }, &mut outer);
        request = outer;
    }
    assert_eq!(write(LOGS, &request, &mut Vec::new()), Err(Unwritable::Depth));
}

#[test]
fn answers() {
    let answer = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: 3,
            error_message: "a trace id of 15 bytes".to_owned(),
        }),
    };
    let document = Document::Response(Signal::Logs);
    let text = written(document, &answer.encode_to_vec());
    assert_eq!(text, r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"a trace id of 15 bytes"}}"#);
    assert_eq!(decoded::<ExportLogsServiceResponse>(document, &text), answer);
    assert_eq!(written(document, &[]), "{}");
    for (signal, name) in [(Signal::Traces, "rejectedSpans"), (Signal::Metrics, "rejectedDataPoints")] {
        let text = written(Document::Response(signal), b"\x0a\x02\x08\x07");
        assert_eq!(text, format!(r#"{{"partialSuccess":{{"{name}":"7"}}}}"#));
    }
}

#[test]
fn parts_of_one_message_are_merged_as_protobuf_merges_them() {
    // Two resources of one attribute each, in one `ResourceLogs`.
    let mut request = Vec::new();
    let open = open_message(1, &mut request);
    for key in ["a", "b"] {
        let resource = open_message(1, &mut request);
        let attribute = open_message(1, &mut request);
        push_bytes(1, key.as_bytes(), &mut request);
        attribute.close(&mut request);
        resource.close(&mut request);
    }
    open.close(&mut request);
    let expected = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"a"},{"key":"b"}]}}]}"#;
    assert_eq!(written(LOGS, &request), expected);
}
