//! Requests of `opentelemetry.proto.collector.trace.v1.TraceService`: indexed by one scan, and put out again as runs
//! of their own bytes.

mod emit;
mod index;
#[cfg(test)]
mod tests;

pub use emit::{Emitter, size};
pub use index::{Indexed, index};
