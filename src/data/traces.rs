//! Trace batches: a request's own bytes and one index entry a span.

use std::sync::Arc;

use super::chunk::{Chunk, Slice};
use super::selection::Selection;
use super::time::UnixNanos;

/// Where a span stands in its request, and what conditions read most. At most 64 bytes.
#[derive(Clone, Copy, Debug)]
pub struct SpanEntry {
    /// The span's encoded message (opentelemetry.proto.trace.v1.Span).
    pub message: Slice,
    /// Trace id.
    pub trace_id: [u8; 16],
    /// Span id.
    pub span_id: [u8; 8],
    /// Start.
    pub start: UnixNanos,
    /// End.
    pub end: UnixNanos,
    /// Index of its `ResourceSpans` in the request.
    pub resource: u16,
    /// Index of its `ScopeSpans` in the request.
    pub scope: u16,
    /// `SpanKind` of the proto.
    pub kind: u8,
    /// `Status.code` of the proto.
    pub status: u8,
}

const _: () = assert!(size_of::<SpanEntry>() <= 64);

/// Spans of one request. Cloning shares them.
#[derive(Clone, Debug)]
pub struct TraceBatch {
    /// Which spans are still in the batch.
    pub selection: Selection,
    request: Chunk,
    spans: Arc<[SpanEntry]>,
}

impl TraceBatch {
    /// The spans of `request`, all selected.
    pub fn new(request: Chunk, spans: Arc<[SpanEntry]>) -> Self {
        Self { selection: Selection::all(spans.len()), request, spans }
    }

    /// The request's bytes (opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest).
    pub fn request(&self) -> &Chunk {
        &self.request
    }

    /// The index, selected or not.
    pub fn spans(&self) -> &[SpanEntry] {
        &self.spans
    }

    /// Bytes that the batch counts for in a queue.
    pub fn payload_bytes(&self) -> u64 {
        self.request.len() as u64 + size_of_val::<[SpanEntry]>(&self.spans) as u64
    }
}
