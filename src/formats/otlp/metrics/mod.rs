//! Metrics of OTLP (opentelemetry-proto 1.10: `collector/metrics/v1/metrics_service.proto` and what it imports) and
//! batches of samples, both ways, by "Prometheus and OpenMetrics Compatibility" of OpenTelemetry's specification
//! (<https://github.com/open-telemetry/opentelemetry-specification/blob/v1.38.0/specification/compatibility/prometheus_and_openmetrics.md>).
//!
//! **In**: [`Decoder`]. A point becomes the samples that a scrape of the same metric would have given: names by
//! [`Translation`], `job` and `instance` from the resource, `target_info` with its other attributes, the scope as labels
//! `otel_scope_*`. Exponential histograms become native ones, deltas are added up ([`DeltaToCumulative`]), and what is
//! refused is counted by point and reason ([`Refused`]). Where the specification leaves open how, Prometheus's own receiver
//! (3.x) says: `le` and `quantile` are the shortest decimals, a native histogram without a sum has the sum 0.
//!
//! **Out**: [`Encoder`]. Series of a classic histogram or a summary become one point again, native histograms
//! exponential ones.

mod attributes;
mod cache;
mod decode;
mod delta;
mod encode;
mod exponential;
mod growing;
mod names;
mod point;
mod refused;
mod request;
mod resolve;
mod units;

#[cfg(test)]
mod tests;

pub use cache::CacheLimits;
pub use decode::{DecodeOptions, Decoded, Decoder};
pub use delta::{DeltaLimits, DeltaToCumulative};
pub use encode::{Encoded, Encoder, Portion, Room, Unsendable};
pub use names::Translation;
pub use refused::{Reason, Refused, RefusedFor};

/// The instrumentation scope under which series go out that have none, as the specification wants it. On the way in it
/// says nothing about a series and becomes no label, so that series stay the same from agent to agent.
const OWN_SCOPE: &str = "tailwater";

/// The label, or the attribute, by which Prometheus and the semantic conventions call the same.
const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";
const JOB: &str = "job";
const INSTANCE: &str = "instance";
const SCOPE_PREFIX: &str = "otel_scope_";
const TARGET_INFO: &str = "target_info";
