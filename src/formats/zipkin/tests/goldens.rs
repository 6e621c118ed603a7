//! Every file of `tests/formats/zipkin/input`, and what `expected` says of it: the request that a body becomes and the
//! spans that are written of it again, or the spans that are written of a request. `TAILWATER_UPDATE_GOLDENS=1`
//! writes what is expected anew.
//!
//! `py_zipkin.*` were written by py_zipkin 1.2.8, `python_sdk.*` by OpenTelemetry's exporters for Python 1.45.1.

use std::path::Path;

use super::*;
use crate::formats::protobuf::push_bytes;

#[test]
fn goldens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/zipkin");
    let entries = std::fs::read_dir(folder.join("input")).expect("there are inputs");
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 10, "there are goldens");
    let update = std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some();
    for input in inputs {
        let name = input.file_name().expect("a name").to_string_lossy().into_owned();
        let told = told(&name, &std::fs::read(&input).expect("readable"));
        let expected = folder.join("expected").join(format!("{name}.txt"));
        if update {
            std::fs::write(&expected, &told).expect("writable");
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(told, expected, "{}", input.display());
    }
}

fn told(name: &str, body: &[u8]) -> String {
    let format = match name.rsplit_once('.').expect("an extension") {
        (_, "pb") => Format::Protobuf,
        (stem, _) if stem.ends_with(".v1") => Format::JsonV1,
        (stem, _) if stem.ends_with(".v2") => Format::JsonV2,
        _ => {
            let request: ExportTraceServiceRequest = serde_json::from_slice(body).expect("OTLP in JSON");
            return written(&request.encode_to_vec());
        }
    };
    match decode(format, body, &Limits::default()) {
        Err(error) => format!("{error}\n"),
        Ok(decoded) => {
            let request = serde_json::to_string_pretty(&request(&decoded)).expect("JSON");
            let refused: String = alone(format, body).iter().filter_map(|span| refusal(format, span)).collect();
            format!("{} refused\n{refused}\n{request}\n\n{}", decoded.refused.spans, written(&decoded.request))
        }
    }
}

/// Each span of a body as a body of its own.
fn alone(format: Format, body: &[u8]) -> Vec<Vec<u8>> {
    if format == Format::Protobuf {
        let spans = messages(1, body);
        return spans
            .map(|span| {
                let mut one = Vec::new();
                push_bytes(1, span, &mut one);
                one
            })
            .collect();
    }
    let spans: Vec<&serde_json::value::RawValue> = serde_json::from_slice(body).expect("it was read");
    spans.iter().map(|span| format!("[{span}]").into_bytes()).collect()
}

/// What a span is refused for.
fn refusal(format: Format, body: &[u8]) -> Option<String> {
    let decoded = decode(format, body, &Limits::default()).expect("it is a span");
    decoded.refused.first.map(|(_, reason)| format!("{reason}\n"))
}

/// A span a line.
fn written(request: &[u8]) -> String {
    let spans = encoded(request).into_iter().map(|span| match span {
        Ok(span) => {
            serde_json::from_str::<serde_json::Value>(&span).expect("JSON");
            format!("{span}\n")
        }
        Err(error) => format!("not written: {error}\n"),
    });
    spans.collect()
}
