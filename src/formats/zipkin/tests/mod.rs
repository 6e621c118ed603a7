//! Zipkin's formats, read and written. What is written of OTLP is read by its own types (`opentelemetry-proto`).

mod cases;
mod goldens;
mod properties;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::*;
use crate::data::Chunk;
use crate::formats::otlp;
use crate::formats::protobuf::Fields;

/// The request that was read.
fn request(decoded: &Decoded) -> ExportTraceServiceRequest {
    let indexed = otlp::traces::index(Chunk::from_vec(decoded.request.clone())).expect("it is well-formed");
    assert!(indexed.batch.is_whole());
    assert_eq!((indexed.batch.spans().len(), indexed.refused), (decoded.spans, 0), "{:?}", indexed.reason);
    ExportTraceServiceRequest::decode(&*decoded.request).expect("it is a request")
}

/// The only span of a body of v2.
fn span_of(body: &str) -> Span {
    let decoded = decode(Format::JsonV2, body.as_bytes(), &Limits::default()).expect("it can be read");
    assert_eq!(decoded.refused, Refused::default());
    let mut request = request(&decoded);
    request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
}

/// The fields of a number in a message, which are messages.
fn messages(number: u32, message: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields::of(message)
        .map_while(Result::ok)
        .filter(move |(found, _)| *found == number)
        .flat_map(|(_, value)| value.bytes())
}

/// Every span of a request as a JSON object, or why not.
fn encoded(request: &[u8]) -> Vec<Result<String, EncodeError>> {
    let mut encoder = Encoder::new();
    let mut spans = Vec::new();
    for resource_spans in messages(1, request) {
        let resource = messages(1, resource_spans).last().unwrap_or_default();
        for scope_spans in messages(2, resource_spans) {
            let scope = messages(1, scope_spans).last().unwrap_or_default();
            for span in messages(2, scope_spans) {
                let mut out = b"before".to_vec();
                let written = encoder.span(resource, scope, span, &mut out);
                let out = String::from_utf8(out).expect("it is UTF-8").split_off(6);
                spans.push(written.map(|()| out.clone()));
                assert!(written.is_ok() || out.is_empty());
            }
        }
    }
    spans
}
