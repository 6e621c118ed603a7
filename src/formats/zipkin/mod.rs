//! Zipkin's spans, read into OTLP and written from it.
//!
//! Read are the v2 API in JSON and Protocol Buffers (`zipkin.proto3.ListOfSpans`) and the v1 API in JSON, as
//! <https://zipkin.io/zipkin-api/> 1.0 describes them; written is v2 JSON. What becomes of what follows
//! OpenTelemetry's specification 1.55, "OpenTelemetry to Zipkin Transformation"
//! (<https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/>) and "Transformation to non-OTLP Formats"
//! (<https://opentelemetry.io/docs/specs/otel/common/mapping-to-non-otlp/>). Where these leave it open, the
//! Collector's translator is followed, so that agents and Collectors in one path understand each other:
//!
//! | Zipkin | OTLP |
//! |---|---|
//! | `traceId`, `id`, `parentId` | the ids; 64 bits of a trace id are the lower ones, and are written as 64 bits again |
//! | `kind` | `kind`; none is `INTERNAL`, or what a tag `span.kind` says |
//! | `timestamp`, `duration` (µs) | start and end (ns); none is 0 and an end at the start |
//! | `localEndpoint.serviceName` | the resource's `service.name`; `unknown_service` where there is none |
//! | `localEndpoint`'s address and port | `network.local.address`, `network.local.port` |
//! | `remoteEndpoint` | `peer.service`, `network.peer.address`, `network.peer.port`; on the way out by the specification's ranking |
//! | `annotations` | events; `"name": {attributes}` is an event with attributes, also in the Collector's form |
//! | `tags` | attributes: strings; on the way out those of the resource and of the scope as well |
//! | `tags`: `error`, `otel.status_code`, `otel.status_description` | the status |
//! | `tags`: `otel.scope.*`, `otel.library.*` | the scope |
//! | `tags`: `otel.dropped_*_count`, `w3c.tracestate`, `otlp.link.N` | the counts, the trace state, the links |
//! | `debug`, `shared` | attributes `zipkin.debug`, `zipkin.shared` |
//!
//! An attribute that a tag names explicitly is not replaced by what an endpoint says.

mod annotation;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Decoded, Limits, Refused, decode};
pub use encode::{EncodeError, Encoder};

/// How spans are written in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// v2: a JSON array of spans.
    JsonV2,
    /// v2: a `zipkin.proto3.ListOfSpans`.
    Protobuf,
    /// v1: a JSON array of spans.
    JsonV1,
}

/// The names of attributes and tags that stand for something, each way.
mod names {
    pub const SERVICE_NAME: &str = "service.name";
    /// `service.name` where there is none: the SDK's default resource.
    pub const UNKNOWN_SERVICE: &str = "unknown_service";
    pub const PEER_SERVICE: &str = "peer.service";
    pub const PEER_ADDRESS: &str = "network.peer.address";
    pub const PEER_PORT: &str = "network.peer.port";
    pub const LOCAL_ADDRESS: &str = "network.local.address";
    pub const LOCAL_PORT: &str = "network.local.port";
    /// The IPv6 address of an endpoint that has one of IPv4 too: attributes have room for one.
    pub const PEER_IPV6: &str = "zipkin.remote_endpoint.ipv6";
    pub const LOCAL_IPV6: &str = "zipkin.local_endpoint.ipv6";
    pub const DEBUG: &str = "zipkin.debug";
    pub const SHARED: &str = "zipkin.shared";
    pub const ERROR: &str = "error";
    pub const STATUS_CODE: &str = "otel.status_code";
    pub const STATUS_DESCRIPTION: &str = "otel.status_description";
    pub const SCOPE_NAME: &str = "otel.scope.name";
    pub const SCOPE_VERSION: &str = "otel.scope.version";
    /// What the scope was called before; still written beside it.
    pub const LIBRARY_NAME: &str = "otel.library.name";
    pub const LIBRARY_VERSION: &str = "otel.library.version";
    pub const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
    pub const DROPPED_EVENTS: &str = "otel.dropped_events_count";
    pub const DROPPED_LINKS: &str = "otel.dropped_links_count";
    pub const TRACE_STATE: &str = "w3c.tracestate";
    pub const SPAN_KIND: &str = "span.kind";
    /// Followed by the link's index.
    pub const LINK: &str = "otlp.link.";
}

/// `SpanKind` of OTLP.
mod kind {
    pub const INTERNAL: u64 = 1;
    pub const SERVER: u64 = 2;
    pub const CLIENT: u64 = 3;
    pub const PRODUCER: u64 = 4;
    pub const CONSUMER: u64 = 5;
}

/// `StatusCode` of OTLP.
mod status {
    pub const OK: u64 = 1;
    pub const ERROR: u64 = 2;
}
