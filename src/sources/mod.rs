//! Floor 8: where data comes in. One file or folder a kind; none imports another.

pub mod file;
pub mod internal;
pub mod kubernetes_logs;
pub mod otlp;
pub mod prometheus_remote_write;
pub mod prometheus_scrape;
pub mod stdin;
pub mod zipkin;
