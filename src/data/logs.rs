//! Log batches: records of one origin, each a handful of offsets into shared chunks.

use std::sync::Arc;

use super::Attribute;
use super::chunk::{Chunk, Slice};
use super::overlay::{Overlay, RecordState};
use super::recycle::{Pool, Recycle, Recycled, clear_bounded};
use super::resource::{Resource, Scope};
use super::selection::Selection;
use super::severity::Severity;
use super::time::UnixNanos;

/// One life of a log file: from its creation, or its last truncation, to the next. The number is random
/// and never used again, so that a position names the same bytes for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// The random number; 0 where records have no position.
    pub id: u64,
    /// When the generation was first seen.
    pub birth: UnixNanos,
}

/// One log record. At most 64 bytes; payload and attributes are named, not held.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord {
    /// When it happened, as its source was told; [`UnixNanos::NONE`] if it was not.
    pub time: UnixNanos,
    /// The text, without line terminator.
    pub body: Slice,
    /// First of its attributes in the batch's pool. Records may share a range.
    pub attributes_start: u32,
    /// Number of its attributes.
    pub attributes_len: u16,
    /// Index into the batch's generations of the record's first byte.
    pub start_generation: u16,
    /// Index into the batch's generations of the record's end.
    pub end_generation: u16,
    /// Severity as the source was told.
    pub severity: Severity,
    /// Offset of the record's first byte in its file.
    pub start: u64,
    /// Offset behind the record's last byte, line terminator included.
    pub end: u64,
    /// Index into the batch's [`RareFields`], `u32::MAX` for none.
    pub rare: u32,
}

const _: () = assert!(size_of::<LogRecord>() <= 64);

impl LogRecord {
    /// A record that is only a body, without time, attributes or position.
    pub const fn of_body(body: Slice) -> Self {
        Self {
            time: UnixNanos::NONE,
            body,
            attributes_start: 0,
            attributes_len: 0,
            start_generation: 0,
            end_generation: 0,
            severity: Severity::UNSPECIFIED,
            start: 0,
            end: 0,
            rare: u32::MAX,
        }
    }
}

/// Fields that few records have, kept beside the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RareFields {
    /// Trace id, all zero if none.
    pub trace_id: [u8; 16],
    /// Span id, all zero if none.
    pub span_id: [u8; 8],
    /// W3C trace flags.
    pub flags: u32,
    /// When a collector first saw the record.
    pub observed: UnixNanos,
    /// Name of the event, if the record is one.
    pub event_name: Option<Slice>,
    /// The document id that the sender gave it (`log.record.uid`).
    pub uid: Option<Slice>,
    /// The severity in the sender's words, where they are not the short name of its number.
    pub severity_text: Option<Slice>,
    /// The body as its sender typed it, an encoded `AnyValue` of OTLP, where it is no text: the record's body
    /// then shows it as text.
    pub typed_body: Option<Slice>,
    /// Attributes that the sender has left out.
    pub dropped_attributes: u32,
}

impl RareFields {
    /// The slices of all its fields.
    pub fn slices_mut(&mut self) -> [&mut Option<Slice>; 4] {
        [&mut self.event_name, &mut self.uid, &mut self.severity_text, &mut self.typed_body]
    }
}

/// What the source wrote; shared by all forks of a batch.
#[derive(Clone, Debug, Default)]
pub struct LogRecords {
    /// The records in the order of their positions.
    pub records: Vec<LogRecord>,
    /// The pool that attribute ranges point into.
    pub attributes: Vec<Attribute>,
    /// The pool of rare fields.
    pub rare: Vec<RareFields>,
    /// The generations that positions refer to; empty where records have none.
    pub generations: Vec<Generation>,
}

impl LogRecords {
    /// The attributes that the source gave to `record`.
    pub fn attributes(&self, record: &LogRecord) -> &[Attribute] {
        let start = record.attributes_start as usize;
        &self.attributes[start..start + usize::from(record.attributes_len)]
    }
}

impl Recycle for LogRecords {
    fn pool() -> &'static Pool<Self> {
        static POOL: Pool<LogRecords> = Pool::new();
        &POOL
    }

    fn clear(&mut self) {
        clear_bounded(&mut self.records, 8192);
        clear_bounded(&mut self.attributes, 16 * 1024);
        clear_bounded(&mut self.rare, 4096);
        clear_bounded(&mut self.generations, 64);
    }
}

/// Log records of one origin.
///
/// What the source wrote is immutable; parsing and edits live in the [`Overlay`], filters in the
/// [`Selection`]. A clone shares records and payload, and each clone may then be edited on its own.
#[derive(Clone, Debug)]
pub struct LogBatch {
    /// The origin's resource.
    pub resource: Arc<Resource>,
    /// The instrumentation scope.
    pub scope: Arc<Scope>,
    /// Which records are still in the batch.
    pub selection: Selection,
    source: Recycled<LogRecords>,
    chunks: Vec<Chunk>,
    overlay: Option<Recycled<Overlay>>,
    bytes: u64,
}

impl LogBatch {
    /// Everything the source wrote.
    pub fn source(&self) -> &LogRecords {
        &self.source
    }

    /// The records the source wrote, selected or not.
    pub fn records(&self) -> &[LogRecord] {
        &self.source.records
    }

    /// The attributes that the source gave to `record`; with edits they are [`LogView::attributes`].
    pub fn attributes(&self, record: &LogRecord) -> &[Attribute] {
        self.source.attributes(record)
    }

    /// The rare fields of `record`.
    pub fn rare(&self, record: &LogRecord) -> Option<&RareFields> {
        self.source.rare.get(record.rare as usize)
    }

    /// The generation of the record's first byte; `None` for a record without position.
    pub fn start_generation(&self, record: &LogRecord) -> Option<Generation> {
        self.source.generations.get(usize::from(record.start_generation)).copied()
    }

    /// The generation of the record's end; `None` for a record without position.
    pub fn end_generation(&self, record: &LogRecord) -> Option<Generation> {
        self.source.generations.get(usize::from(record.end_generation)).copied()
    }

    /// The bytes that a slice of this batch names.
    pub fn bytes(&self, slice: Slice) -> &[u8] {
        if slice.is_empty() {
            return &[];
        }
        let start = slice.start as usize;
        &self.chunks[slice.chunk as usize].as_slice()[start..start + slice.len as usize]
    }

    /// The chunks that slices point into.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Adds bytes for edits to point at; returns the chunk's index.
    pub fn add_chunk(&mut self, chunk: Chunk) -> u32 {
        self.chunks.push(chunk);
        u32::try_from(self.chunks.len() - 1).expect("a batch has far fewer than 2^32 chunks")
    }

    /// What parsing and edits did to record `index`; `None` where nothing touched the batch yet.
    pub fn state(&self, index: usize) -> Option<&RecordState> {
        self.overlay.as_ref().map(|overlay| &overlay.states[index])
    }

    /// The overlay, if anything was parsed or edited.
    pub fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_deref()
    }

    /// The overlay for writing, made on first use and copied only where a fork shares it. Payload stays
    /// readable at the same time through the returned [`Payload`].
    pub fn edit(&mut self) -> (&mut Overlay, Payload<'_>) {
        let source = &self.source;
        let overlay = self.overlay.get_or_insert_with(|| {
            let mut overlay = Recycled::<Overlay>::new();
            overlay.make_mut().states.extend(source.records.iter().map(RecordState::untouched));
            overlay
        });
        (overlay.make_mut(), Payload { source, chunks: &self.chunks })
    }

    /// Bytes that the batch counts for in a queue: what its records span, not what its chunks hold.
    pub fn payload_bytes(&self) -> u64 {
        self.bytes
    }

    /// Record `index` with everything that parsing and edits did to it.
    pub fn view(&self, index: usize) -> LogView<'_> {
        LogView { batch: self, record: &self.source.records[index], state: self.state(index) }
    }

    /// Views of the selected records, in order.
    pub fn iter(&self) -> impl Iterator<Item = LogView<'_>> {
        self.selection.iter().map(|index| self.view(index))
    }
}

/// The parts of a batch that no edit changes, readable while its overlay is written.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// What the source wrote.
    pub source: &'a LogRecords,
    chunks: &'a [Chunk],
}

impl<'a> Payload<'a> {
    /// The bytes that a slice of this batch names.
    pub fn bytes(&self, slice: Slice) -> &'a [u8] {
        if slice.is_empty() {
            return &[];
        }
        let start = slice.start as usize;
        &self.chunks[slice.chunk as usize].as_slice()[start..start + slice.len as usize]
    }
}

/// One record of a batch, as a reader sees it.
#[derive(Clone, Copy, Debug)]
pub struct LogView<'a> {
    /// The batch it is in.
    pub batch: &'a LogBatch,
    /// What the source wrote.
    pub record: &'a LogRecord,
    /// What parsing and edits did, if anything touched the batch.
    pub state: Option<&'a RecordState>,
}

impl<'a> LogView<'a> {
    /// The body's bytes; empty once its object has become the attributes.
    pub fn body(&self) -> &'a [u8] {
        self.batch.bytes(self.state.map_or(self.record.body, |state| state.body))
    }

    /// The JSON object whose members are attributes, as it came; empty for none. Its edits are in
    /// [`LogView::fields`] and [`LogView::cuts`].
    pub fn object(&self) -> &'a [u8] {
        self.state.map_or(&[], |state| self.batch.bytes(state.object))
    }

    /// The located and edited members of the object.
    pub fn fields(&self) -> &'a [super::Field] {
        match (self.state, self.batch.overlay()) {
            (Some(state), Some(overlay)) => overlay.fields(state),
            _ => &[],
        }
    }

    /// Replacements inside the object that are not edits of a located member.
    pub fn cuts(&self) -> &'a [super::Cut] {
        match (self.state, self.batch.overlay()) {
            (Some(state), Some(overlay)) => overlay.cuts(state),
            _ => &[],
        }
    }

    /// The attributes outside the object, after edits.
    pub fn attributes(&self) -> &'a [Attribute] {
        let edited = self.state.zip(self.batch.overlay()).and_then(|(state, overlay)| overlay.attributes(state));
        edited.unwrap_or_else(|| self.batch.attributes(self.record))
    }

    /// Severity after parsing and edits.
    pub fn severity(&self) -> Severity {
        self.state.map_or(self.record.severity, |state| state.severity)
    }

    /// The severity in words: the sender's own while nothing has changed its severity, else the short name of
    /// its number; empty for none.
    pub fn severity_text(&self) -> &'a [u8] {
        let severity = self.severity();
        let rare = self.batch.rare(self.record).filter(|_| severity == self.record.severity);
        let own = rare.and_then(|rare| rare.severity_text);
        own.map_or(severity.text().as_bytes(), |text| self.bytes(text))
    }

    /// The body as its sender typed it, an encoded `AnyValue`; `None` where it is a text or was edited.
    pub fn typed_body(&self) -> Option<&'a [u8]> {
        let typed = self.batch.rare(self.record)?.typed_body?;
        let unedited = self.state.is_none_or(|state| state.body == self.record.body);
        unedited.then(|| self.bytes(typed))
    }

    /// Time after parsing and edits.
    pub fn time(&self) -> UnixNanos {
        self.state.map_or(self.record.time, |state| state.time)
    }

    /// The bytes that a slice of the record's batch names.
    pub fn bytes(&self, slice: Slice) -> &'a [u8] {
        self.batch.bytes(slice)
    }
}

/// Builds a batch: the one place where records are written.
#[derive(Debug)]
pub struct LogBuilder {
    resource: Arc<Resource>,
    scope: Arc<Scope>,
    source: Recycled<LogRecords>,
    chunks: Vec<Chunk>,
    bytes: u64,
}

impl LogBuilder {
    /// An empty batch about `resource`.
    pub fn new(resource: Arc<Resource>, scope: Arc<Scope>) -> Self {
        Self { resource, scope, source: Recycled::new(), chunks: Vec::with_capacity(3), bytes: 0 }
    }

    /// Adds payload; returns the index for its slices.
    pub fn add_chunk(&mut self, chunk: Chunk) -> u32 {
        self.chunks.push(chunk);
        u32::try_from(self.chunks.len() - 1).expect("a batch has far fewer than 2^32 chunks")
    }

    /// The records, attributes, rare fields and generations being written. Take the reference once and
    /// push in a loop.
    pub fn source(&mut self) -> &mut LogRecords {
        self.source.make_mut()
    }

    /// Adds to what the batch counts for in a queue's limit, beside the size of its records: the bytes
    /// of payload that they span.
    pub fn add_payload_bytes(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.source.records.is_empty()
    }

    /// The finished batch, all records selected.
    pub fn build(self) -> LogBatch {
        let count = self.source.records.len();
        LogBatch {
            resource: self.resource,
            scope: self.scope,
            selection: Selection::all(count),
            bytes: self.bytes + (count * size_of::<LogRecord>()) as u64,
            source: self.source,
            chunks: self.chunks,
            overlay: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &'static [u8]) -> LogBatch {
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        let chunk = builder.add_chunk(Chunk::from_static(text));
        let mut at = 0;
        for line in text.split(|&b| b == b'\n') {
            builder.source().records.push(LogRecord::of_body(Slice::new(chunk, at, line.len() as u32)));
            at += line.len() as u32 + 1;
        }
        builder.build()
    }

    #[test]
    fn forks_are_edited_apart() {
        let mut one = batch(b"first\nsecond");
        let mut other = one.clone();
        let redacted = one.add_chunk(Chunk::from_static(b"***"));
        one.edit().0.states[1].body = Slice::new(redacted, 0, 3);
        other.selection.remove(0);
        let bodies = |batch: &LogBatch| batch.iter().map(|view| view.body().to_vec()).collect::<Vec<_>>();
        assert_eq!(bodies(&one), [b"first".to_vec(), b"***".to_vec()]);
        assert_eq!(bodies(&other), [b"second".to_vec()]);
        assert!(std::ptr::eq(one.records(), other.records()), "records are shared, not copied");
    }
}
