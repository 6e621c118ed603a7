//! Bodies of Zipkin's spans that may be anything: the first byte says in which format, the rest is the body. What is
//! written of the spans that were read is read again as what it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::formats::protobuf::Fields;
use tailwater::formats::zipkin::{Decoded, Encoder, Format, Limits, decode};

/// The fields of a number in a message, which are messages.
fn messages(number: u32, message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let fields = Fields::of(message).map(|field| field.expect("the request is well-formed"));
    fields.filter(move |(found, _)| *found == number).map(|(_, value)| value.bytes().expect("it is a message"))
}

/// Every span in JSON, in an order of its own: spans of one service stand together.
fn encoded(decoded: &Decoded) -> Vec<String> {
    let (mut encoder, mut spans) = (Encoder::new(), Vec::new());
    for resource_spans in messages(1, &decoded.request) {
        let resource = messages(1, resource_spans).last().unwrap_or_default();
        for scope_spans in messages(2, resource_spans) {
            let scope = messages(1, scope_spans).last().unwrap_or_default();
            for span in messages(2, scope_spans) {
                let mut out = Vec::new();
                encoder.span(resource, scope, span, &mut out).expect("it can be written");
                spans.push(String::from_utf8(out).expect("it is UTF-8"));
            }
        }
    }
    spans.sort();
    spans
}

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let format = [Format::JsonV2, Format::Protobuf, Format::JsonV1][usize::from(first % 3)];
    let Ok(decoded) = decode(format, body, &Limits::default()) else { return };
    let once = encoded(&decoded);
    assert_eq!(once.len(), decoded.spans);
    let body = format!("[{}]", once.join(","));
    let again = decode(Format::JsonV2, body.as_bytes(), &Limits::default()).expect("it was just written");
    assert_eq!(again.refused.spans, 0);
    // A tag that contradicts an endpoint stands beside it, and counts once that is read.
    if !body.contains(r#""network."#) {
        assert_eq!(encoded(&again), once);
    }
});
