//! Spans in a segment: a request of those that are still selected. Its index is made again when it is read.
//!
//! ```text
//! request   text    opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest
//! ```

use super::Damaged;
use super::numbers::{Input, put};
use crate::data::{Chunk, TraceBatch};
use crate::formats::otlp::traces::{Emitter, index};

/// Appends a batch.
pub fn encode(batch: &TraceBatch, out: &mut Vec<u8>) {
    let mut emitter = Emitter::default();
    emitter.emit(batch, 0..usize::MAX, usize::MAX);
    put(out, emitter.len() as u64);
    emitter.finish().iter().for_each(|piece| out.extend_from_slice(piece));
}

/// Reads a batch.
pub fn decode(input: &mut Input<'_>) -> Result<TraceBatch, Damaged> {
    let request = Chunk::from_vec(input.bytes()?.to_vec());
    let indexed = index(request).map_err(|_| Damaged("a request of spans cannot be read"))?;
    Ok(indexed.batch)
}
