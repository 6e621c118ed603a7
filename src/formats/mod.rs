//! Floor 1: pure bytes to data and back; no I/O, nothing async. Every parser states its limits.

pub mod compression;
pub mod container;
pub mod document;
pub mod elasticsearch;
pub mod go;
pub mod inflate;
pub mod json;
pub mod ndjson;
pub mod otlp;
pub mod prometheus;
pub mod protobuf;
pub mod sample_lines;
pub mod segment;
pub mod span_lines;
pub mod trace_ids;
pub mod trace_state;
pub mod yaml;
pub mod zipkin;
