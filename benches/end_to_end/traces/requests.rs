//! What is sent: requests as an SDK batches them, made once, and how many spans one holds.

use fastrand::Rng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use prost::bytes::Bytes;

/// Spans of a request.
pub const SPANS: usize = 200;
/// Different requests, sent in turns.
const REQUESTS: usize = 64;

/// Encoded requests (opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest).
pub fn make(seed: u64) -> Vec<Bytes> {
    let mut random = Rng::with_seed(seed);
    (0..REQUESTS).map(|_| request(&mut random).encode_to_vec().into()).collect()
}

fn request(random: &mut Rng) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", "checkout"),
            text("service.namespace", "shop"),
            text("service.version", "1.14.2"),
            text("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09"),
            text("host.name", "checkout-7c9d8b5f6d-x2x7p"),
            text("os.type", "linux"),
            text("telemetry.sdk.language", "rust"),
            text("telemetry.sdk.name", "opentelemetry"),
        ],
        ..Resource::default()
    };
    let scope = |name: &str, spans| ScopeSpans {
        scope: Some(InstrumentationScope { name: name.into(), version: "0.58.0".into(), ..Default::default() }),
        spans,
        ..ScopeSpans::default()
    };
    let mut spans = |count| (0..count).map(|_| span(random)).collect();
    let scope_spans = vec![scope("http.server", spans(SPANS / 2)), scope("sql.client", spans(SPANS - SPANS / 2))];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }],
    }
}

fn span(random: &mut Rng) -> Span {
    let start = 1_795_000_000_000_000_000 + random.u64(..1_000_000_000_000);
    let mut id = |length| (0..length).map(|_| random.u8(1..)).collect::<Vec<_>>();
    let (trace_id, span_id, parent_span_id) = (id(16), id(8), id(8));
    let route = ["/cart", "/cart/items", "/checkout", "/orders/status"][random.usize(..4)];
    let code = [200, 200, 200, 204, 404, 503][random.usize(..6)];
    Span {
        trace_id,
        span_id,
        parent_span_id,
        flags: 0x101,
        name: format!("GET {route}"),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + random.u64(100_000..400_000_000),
        attributes: vec![
            text("http.request.method", "GET"),
            text("http.route", route),
            text("url.path", &format!("{route}/{}", random.u32(100_000..999_999))),
            text("url.scheme", "https"),
            text("server.address", "checkout.shop.svc.cluster.local"),
            number("server.port", 8443),
            number("http.response.status_code", code),
            text("network.protocol.version", "1.1"),
            text("client.address", &format!("10.4.{}.{}", random.u8(..), random.u8(..))),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
        ],
        status: Some(Status { code: i32::from(code >= 500) * 2, message: String::new() }),
        ..Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Spans of an encoded request; `None` where it is broken.
pub fn count(request: &[u8]) -> Option<u64> {
    let mut spans = 0;
    for resource in inner(request, 1) {
        for scope in inner(resource?, 2) {
            for span in inner(scope?, 2) {
                span?;
                spans += 1;
            }
        }
    }
    Some(spans)
}

/// The messages of a repeated field, the others skipped.
fn inner(mut message: &[u8], wanted: u64) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        while !message.is_empty() {
            let Some((number, value)) = field(&mut message) else {
                message = &[];
                return Some(None);
            };
            if number == wanted {
                return Some(Some(value));
            }
        }
        None
    })
}

/// A field whose value is bytes; whatever else stands on these levels is not counted.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let key = varint(message)?;
    let length = if key & 7 == 2 { usize::try_from(varint(message)?).ok()? } else { return None };
    Some((key >> 3, message.split_off(..length)?))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
