//! Spans in a segment: the request's own bytes and the index of its spans.
//!
//! ```text
//! request   text
//! spans     varint count × {
//!   message   varint start, varint length, within the request
//!   trace id  16 bytes
//!   span id   8 bytes
//!   start     u64
//!   end       varint, by how much it is later (it wraps around)
//!   resource  varint
//!   scope     varint
//!   kind      u8
//!   status    u8
//!   selected  u8     0 or 1
//! }
//! ```

use super::Damaged;
use super::numbers::{Input, put, put_difference, put_text};
use crate::data::traces::SpanEntry;
use crate::data::{Chunk, Slice, TraceBatch, UnixNanos};

/// Appends a batch. Spans that are not selected stay in the request, so they stay in the index.
pub fn encode(batch: &TraceBatch, out: &mut Vec<u8>) {
    put_text(out, batch.request().as_slice());
    put(out, batch.spans().len() as u64);
    for (index, span) in batch.spans().iter().enumerate() {
        put(out, u64::from(span.message.start));
        put(out, u64::from(span.message.len));
        out.extend_from_slice(&span.trace_id);
        out.extend_from_slice(&span.span_id);
        out.extend_from_slice(&span.start.0.to_le_bytes());
        put_difference(out, span.start.0, span.end.0);
        put(out, u64::from(span.resource));
        put(out, u64::from(span.scope));
        out.extend_from_slice(&[span.kind, span.status, u8::from(batch.selection.contains(index))]);
    }
}

/// Reads a batch.
pub fn decode(input: &mut Input<'_>) -> Result<TraceBatch, Damaged> {
    let request = Chunk::from_vec(input.bytes()?.to_vec());
    let count = input.count()?;
    let mut spans = Vec::with_capacity(count);
    let mut left_out = Vec::new();
    for index in 0..count {
        let (start, len): (u32, u32) = (input.small()?, input.small()?);
        if start.checked_add(len).is_none_or(|end| end as usize > request.len()) {
            return Err(Damaged("a span leads out of its request"));
        }
        let (trace_id, span_id) = (input.array()?, input.array()?);
        let start_time = input.u64()?;
        spans.push(SpanEntry {
            message: Slice::new(0, start, len),
            trace_id,
            span_id,
            start: UnixNanos(start_time),
            end: UnixNanos(input.difference(start_time)?),
            resource: input.small()?,
            scope: input.small()?,
            kind: input.byte()?,
            status: input.byte()?,
        });
        if input.byte()? == 0 {
            left_out.push(index);
        }
    }
    let mut batch = TraceBatch::new(request, spans.into());
    left_out.into_iter().for_each(|index| batch.selection.remove(index));
    Ok(batch)
}
