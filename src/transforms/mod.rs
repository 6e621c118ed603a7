//! Floor 8: what changes, filters, routes, absorbs or holds data between a source and a sink.

pub mod alerting;
pub mod log_metrics;
pub mod route;
pub mod service_graph;
pub mod span_metrics;
pub mod steps;
pub mod tail_sampling;
