//! Trace batches: a request's own bytes, and an index of where its spans stand in them.
//!
//! The index is made by one scan (`formats::otlp`). Spans are filtered by the selection and edited one message at
//! a time: an edited span, resource or scope is written anew into a chunk that the batch gets besides, and its
//! entry points there. Everything else stays the bytes in which it came.

use std::ops::Range;
use std::sync::Arc;

use super::chunk::{Chunk, Slice};
use super::selection::Selection;
use super::time::UnixNanos;

/// Where a span stands, and what conditions read most. 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanEntry {
    /// The span's encoded message (opentelemetry.proto.trace.v1.Span).
    pub message: Slice,
    /// Where its first attribute stands in the message: nobody who looks for one need begin before. 0 where there is
    /// none, where it stands too far behind, and once an edit has moved it.
    pub attributes: u16,
    /// Bytes of the field's tag and length right before the message.
    pub header: u8,
    /// `SpanKind` of the proto.
    pub kind: u8,
    /// `Status.code` of the proto.
    pub status: u8,
    /// Whether it has no parent.
    pub is_root: bool,
    /// Index of its [`ScopeSpans`].
    pub scope: u32,
    /// Trace id; zeros where the span has none.
    pub trace_id: [u8; 16],
    /// Span id; zeros where the span has none.
    pub span_id: [u8; 8],
    /// Start.
    pub start: UnixNanos,
    /// End.
    pub end: UnixNanos,
}

const _: () = assert!(size_of::<SpanEntry>() <= 64);

/// The spans of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSpans {
    /// The resource's encoded message (opentelemetry.proto.resource.v1.Resource); empty where there is none.
    pub resource: Slice,
    /// Encoded fields that stand before the spans of its scopes, the resource among them as a rule.
    pub head: Slice,
    /// Encoded fields that stand behind them.
    pub tail: Slice,
    /// Its scopes.
    pub scopes: Range<u32>,
}

/// The spans of one instrumentation scope of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeSpans {
    /// The scope's encoded message (opentelemetry.proto.common.v1.InstrumentationScope); empty where there is none.
    pub scope: Slice,
    /// Index of its [`ResourceSpans`].
    pub resource: u32,
    /// Encoded fields that stand before the spans.
    pub head: Slice,
    /// Encoded fields that stand behind them.
    pub tail: Slice,
    /// Its spans.
    pub spans: Range<u32>,
}

/// What stands where in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceIndex {
    /// Resources that have spans, in the order of the request.
    pub resources: Vec<ResourceSpans>,
    /// Scopes that have spans, those of one resource side by side.
    pub scopes: Vec<ScopeSpans>,
    /// Spans, those of one scope side by side.
    pub spans: Vec<SpanEntry>,
    /// Encoded fields of the request that are not known.
    pub rest: Option<Slice>,
}

impl TraceIndex {
    /// An index with room for so many entries.
    pub fn with_capacity(resources: usize, scopes: usize, spans: usize) -> Self {
        Self {
            resources: Vec::with_capacity(resources),
            scopes: Vec::with_capacity(scopes),
            spans: Vec::with_capacity(spans),
            rest: None,
        }
    }

    /// Bytes that so many entries take.
    pub const fn bytes_of(resources: usize, scopes: usize, spans: usize) -> u64 {
        (resources * size_of::<ResourceSpans>() + scopes * size_of::<ScopeSpans>() + spans * size_of::<SpanEntry>())
            as u64
    }
}

/// Spans of one request. Cloning shares everything but the selection.
#[derive(Clone, Debug)]
pub struct TraceBatch {
    /// Which spans are still in the batch.
    pub selection: Selection,
    shared: Arc<Shared>,
}

#[derive(Clone, Debug)]
struct Shared {
    /// The request, then what edits wrote.
    chunks: Vec<Chunk>,
    index: TraceIndex,
    /// Whether the request's bytes are what the batch says.
    whole: bool,
}

impl TraceBatch {
    /// The spans of the first chunk, which is the whole request, all selected. Slices of `index` lead into the
    /// chunks; those behind the first hold what the index wrote anew. `whole` says that the request holds nothing
    /// else.
    pub fn new(chunks: Vec<Chunk>, index: TraceIndex, whole: bool) -> Self {
        Self { selection: Selection::all(index.spans.len()), shared: Arc::new(Shared { chunks, index, whole }) }
    }

    /// The request as it came (opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest).
    pub fn request(&self) -> &Chunk {
        &self.shared.chunks[0]
    }

    /// Whether the request's own bytes are still what the batch says.
    pub fn is_whole(&self) -> bool {
        self.shared.whole && self.selection.count() == self.selection.len()
    }

    /// What stands where.
    pub fn index(&self) -> &TraceIndex {
        &self.shared.index
    }

    /// The entries of all spans, selected or not.
    pub fn spans(&self) -> &[SpanEntry] {
        &self.shared.index.spans
    }

    /// The chunks that slices lead into.
    pub fn chunks(&self) -> &[Chunk] {
        &self.shared.chunks
    }

    /// The bytes of a slice.
    pub fn bytes(&self, slice: Slice) -> &[u8] {
        let start = slice.start as usize;
        &self.shared.chunks[slice.chunk as usize].as_slice()[start..start + slice.len as usize]
    }

    /// The encoded message of a span.
    pub fn span(&self, index: usize) -> &[u8] {
        self.bytes(self.shared.index.spans[index].message)
    }

    /// The encoded message of the scope of a span; empty where there is none.
    pub fn scope_of(&self, span: &SpanEntry) -> &[u8] {
        self.bytes(self.shared.index.scopes[span.scope as usize].scope)
    }

    /// The encoded message of the resource of a span; empty where there is none.
    pub fn resource_of(&self, span: &SpanEntry) -> &[u8] {
        let scope = &self.shared.index.scopes[span.scope as usize];
        self.bytes(self.shared.index.resources[scope.resource as usize].resource)
    }

    /// The number that a chunk added next will have.
    pub fn next_chunk(&self) -> u32 {
        u32::try_from(self.shared.chunks.len()).expect("one chunk an edit")
    }

    /// Adds what edits wrote, and gives the index so that they can point into it. A batch that shares its index
    /// gets one of its own first.
    pub fn edit(&mut self, written: Chunk) -> &mut TraceIndex {
        let shared = Arc::make_mut(&mut self.shared);
        shared.chunks.push(written);
        shared.whole = false;
        &mut shared.index
    }

    /// Bytes that the batch counts for in a queue.
    pub fn payload_bytes(&self) -> u64 {
        let Shared { chunks, index, .. } = &*self.shared;
        let payload: usize = chunks.iter().map(Chunk::len).sum();
        payload as u64 + TraceIndex::bytes_of(index.resources.len(), index.scopes.len(), index.spans.len())
    }
}
