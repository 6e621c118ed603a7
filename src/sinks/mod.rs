//! Floor 8: where data goes. One file or folder a kind; none imports another.

pub mod blackhole;
pub mod console;
pub mod elasticsearch;
pub mod file;
pub mod otlp;
pub mod prometheus_exposition;
pub mod prometheus_remote_write;
pub mod zipkin;
