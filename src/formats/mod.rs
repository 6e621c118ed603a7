//! Floor 1: pure bytes to data and back; no I/O, nothing async. Every parser states its limits.

pub mod container;
pub mod json;
pub mod ndjson;
