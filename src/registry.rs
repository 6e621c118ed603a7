//! Floor 9: every kind of component and every root section, one line each.

use crate::admin;
use crate::config::Tables;
use crate::options::Section;
use crate::pipeline::{Descriptor, SinkPlan, SourcePlan, TransformPlan};
use crate::{kubernetes, sinks, sources, telemetry, transforms};

/// Every kind of source.
pub const SOURCES: &[&Descriptor<dyn SourcePlan>] = &[
    &sources::file::DESCRIPTOR,
    &sources::internal::DESCRIPTOR,
    &sources::kubernetes_logs::DESCRIPTOR,
    &sources::otlp::DESCRIPTOR,
    &sources::prometheus_remote_write::DESCRIPTOR,
    &sources::prometheus_scrape::DESCRIPTOR,
    &sources::stdin::DESCRIPTOR,
    &sources::zipkin::DESCRIPTOR,
];

/// Every kind of transform.
pub const TRANSFORMS: &[&Descriptor<dyn TransformPlan>] = &[
    &transforms::log_metrics::DESCRIPTOR,
    &transforms::route::DESCRIPTOR,
    &transforms::service_graph::DESCRIPTOR,
    &transforms::span_metrics::DESCRIPTOR,
    &transforms::steps::DESCRIPTOR,
    &transforms::tail_sampling::DESCRIPTOR,
];

/// Every kind of sink.
pub const SINKS: &[&Descriptor<dyn SinkPlan>] = &[
    &sinks::blackhole::DESCRIPTOR,
    &sinks::console::DESCRIPTOR,
    &sinks::elasticsearch::DESCRIPTOR,
    &sinks::file::DESCRIPTOR,
    &sinks::otlp::JAEGER,
    &sinks::otlp::OTLP,
    &sinks::prometheus_exposition::DESCRIPTOR,
    &sinks::prometheus_remote_write::DESCRIPTOR,
    &sinks::zipkin::DESCRIPTOR,
];

/// Every root section that a part of the agent owns.
pub const SECTIONS: &[&Section] = &[
    &admin::SECTION,
    &admin::health::SECTION,
    &kubernetes::pods::SECTION,
    &telemetry::options::SECTION,
    &telemetry::series::SECTION,
];

/// Everything that a configuration may name.
pub const TABLES: Tables = Tables {
    sources: SOURCES,
    transforms: TRANSFORMS,
    sinks: SINKS,
    alerting: &transforms::alerting::DESCRIPTOR,
    sections: SECTIONS,
};
