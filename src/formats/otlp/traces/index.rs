//! One scan of a request: where its resources, scopes and spans stand.

use std::ops::Range;

use crate::data::traces::{ResourceSpans, ScopeSpans, SpanEntry, TraceIndex};
use crate::data::{Chunk, Slice, TraceBatch, UnixNanos};
use crate::formats::otlp::entries::Entries;
use crate::formats::otlp::{MOST_AROUND, Malformed, MessageError, check};
use crate::formats::protobuf::{Fields, Value, WireError};

/// What a request holds.
#[derive(Debug)]
pub struct Indexed {
    /// Its spans; those that were refused are not among them.
    pub batch: TraceBatch,
    /// Spans that are not valid by the specification.
    pub refused: u64,
    /// Why the first of them is not.
    pub reason: Option<String>,
}

/// Indexes an encoded `ExportTraceServiceRequest`. It is checked as far as any receiver reads it: lengths, types of
/// fields, nesting. A span without valid ids is refused alone; a request that is not well-formed is refused whole.
pub fn index(request: Chunk) -> Result<Indexed, Malformed> {
    let base = request.as_slice();
    if u32::try_from(base.len()).is_err() {
        return Err(Malformed { place: "the request".into(), error: MessageError::TooLarge });
    }
    let Entries { resources, scopes, records } = Entries::of(base);
    let index = TraceIndex::with_capacity(resources, scopes, records);
    let mut scan = Scan { base, at: [0; 3], index, written: Vec::new(), refused: 0, reason: None };
    let read = scan.request();
    let Scan { index, written, at, refused, reason, .. } = scan;
    read.map_err(|(level, error)| Malformed { place: place(&at[..level]), error })?;
    let mut chunks = vec![request];
    if !written.is_empty() {
        chunks.push(Chunk::from_vec(written));
    }
    Ok(Indexed { batch: TraceBatch::new(chunks, index, refused == 0), refused, reason })
}

fn place(at: &[u32]) -> String {
    let names = ["resource_spans", "scope_spans", "spans"];
    let parts: Vec<_> = names.iter().zip(at).map(|(name, at)| format!("{name}[{at}]")).collect();
    if parts.is_empty() { "the request".into() } else { parts.join(".") }
}

/// An error, and on how many levels [`Scan::at`] tells its place.
type Read<T> = Result<T, (usize, MessageError)>;

fn on<T, E: Into<MessageError>>(level: usize, result: Result<T, E>) -> Read<T> {
    result.map_err(|error| (level, error.into()))
}

struct Scan<'a> {
    base: &'a [u8],
    /// Places of what is being read, by level.
    at: [u32; 3],
    index: TraceIndex,
    /// What had to be gathered from several places.
    written: Vec<u8>,
    refused: u64,
    reason: Option<String>,
}

impl<'a> Scan<'a> {
    /// Where a part of the request starts in it.
    fn offset(&self, part: &[u8]) -> usize {
        part.as_ptr() as usize - self.base.as_ptr() as usize
    }

    fn slice(&self, part: &[u8]) -> Slice {
        if part.is_empty() { Slice::EMPTY } else { Slice::new(0, self.offset(part) as u32, part.len() as u32) }
    }

    fn request(&mut self) -> Read<()> {
        let mut outer = Outer::default();
        let mut fields = Fields::of(self.base);
        loop {
            let before = fields.rest();
            let Some((number, value)) = on(0, fields.field())? else { break };
            if number != 1 {
                outer.found(self.offset(before)..self.offset(fields.rest()));
                continue;
            }
            outer.inner();
            self.resource_spans(on(1, value.bytes())?)?;
            self.at[0] += 1;
        }
        if !outer.is_empty() {
            let (head, tail) = outer.slices(self.base, 1, &mut self.written);
            if too_large(head, tail) {
                return Err((0, MessageError::Around));
            }
            // Both at once is as good as scattered.
            self.index.rest = Some(match (head.is_empty(), tail.is_empty()) {
                (false, true) => head,
                (true, false) => tail,
                _ => gather(self.base, 1, &mut self.written),
            });
        }
        Ok(())
    }

    fn resource_spans(&mut self, message: &'a [u8]) -> Read<()> {
        let (mut outer, mut resource) = (Outer::default(), None);
        let (first, first_span) = (self.index.scopes.len(), self.index.spans.len());
        let mut fields = Fields::of(message);
        self.at[1] = 0;
        loop {
            let before = fields.rest();
            let Some((number, value)) = on(1, fields.field())? else { break };
            if number == 2 {
                outer.inner();
                self.scope_spans(on(2, value.bytes())?)?;
                self.at[1] += 1;
                continue;
            }
            outer.found(self.offset(before)..self.offset(fields.rest()));
            match number {
                1 => {
                    let found = on(1, value.bytes())?;
                    on(1, check::resource(found))?;
                    once(&mut resource, found, "resource")?;
                }
                3 => drop(on(1, value.bytes())?),
                _ => {}
            }
        }
        if self.index.scopes.len() == first {
            return Ok(());
        }
        let (head, tail) = outer.slices(message, 2, &mut self.written);
        if too_large(head, tail) {
            self.index.scopes.truncate(first);
            self.refuse_from(first_span, 1, "its resource is larger than 256 KiB");
            return Ok(());
        }
        let scopes = first as u32..self.index.scopes.len() as u32;
        let resource = resource.map_or(Slice::EMPTY, |found| self.slice(found));
        self.index.resources.push(ResourceSpans { resource, head, tail, scopes });
        Ok(())
    }

    fn scope_spans(&mut self, message: &'a [u8]) -> Read<()> {
        let (mut outer, mut scope) = (Outer::default(), None);
        let first = self.index.spans.len();
        let mut fields = Fields::of(message);
        self.at[2] = 0;
        loop {
            let before = fields.rest();
            let Some((number, value)) = on(2, fields.field())? else { break };
            if number == 2 {
                outer.inner();
                let span = on(3, value.bytes())?;
                let header = before.len() - fields.rest().len() - span.len();
                self.span(span, header as u8)?;
                self.at[2] += 1;
                continue;
            }
            outer.found(self.offset(before)..self.offset(fields.rest()));
            match number {
                1 => {
                    let found = on(2, value.bytes())?;
                    on(2, check::scope(found))?;
                    once(&mut scope, found, "scope").map_err(|(_, error)| (2, error))?;
                }
                3 => drop(on(2, value.bytes())?),
                _ => {}
            }
        }
        if self.index.spans.len() == first {
            return Ok(());
        }
        let (head, tail) = outer.slices(message, 2, &mut self.written);
        if too_large(head, tail) {
            self.refuse_from(first, 2, "its scope is larger than 256 KiB");
            return Ok(());
        }
        let spans = first as u32..self.index.spans.len() as u32;
        let scope = scope.map_or(Slice::EMPTY, |found| self.slice(found));
        let resource = self.index.resources.len() as u32;
        self.index.scopes.push(ScopeSpans { scope, resource, head, tail, spans });
        Ok(())
    }

    /// Refuses the spans from this one on, which are those of one message of this level.
    fn refuse_from(&mut self, first: usize, level: usize, why: &str) {
        self.refused += (self.index.spans.len() - first) as u64;
        self.index.spans.truncate(first);
        if self.reason.is_none() {
            self.reason = Some(format!("{}: {why}", place(&self.at[..level])));
        }
    }

    fn span(&mut self, message: &'a [u8], header: u8) -> Read<()> {
        let read = on(3, span(message))?;
        let mut entry = read.entry;
        let wrong = match (read.trace_id, read.span_id) {
            (None, _) => "its trace id is not 16 bytes",
            (_, None) => "its span id is not 8 bytes",
            (Some([0, 0]), _) => "its trace id is all zeros",
            (_, Some(0)) => "its span id is all zeros",
            _ if !read.is_sound => "the id of its parent or of a link is of a wrong length",
            (Some(trace_id), Some(span_id)) => {
                entry.message = self.slice(message);
                entry.header = header;
                entry.scope = self.index.scopes.len() as u32;
                let [high, low] = trace_id.map(u64::to_ne_bytes);
                entry.trace_id[..8].copy_from_slice(&high);
                entry.trace_id[8..].copy_from_slice(&low);
                entry.span_id = span_id.to_ne_bytes();
                self.index.spans.push(entry);
                return Ok(());
            }
        };
        self.refused += 1;
        if self.reason.is_none() {
            self.reason = Some(format!("{}: {wrong}", place(&self.at)));
        }
        Ok(())
    }
}

/// A span's fields as they were found. Ids are numbers in the machine's order; `None` where the length is wrong.
struct SpanRead {
    entry: SpanEntry,
    trace_id: Option<[u64; 2]>,
    span_id: Option<u64>,
    /// Whether the ids of others that it names are as long as ids are.
    is_sound: bool,
}

/// Reads a `Span`. Of what a proto3 message has twice, the last counts.
fn span(message: &[u8]) -> Result<SpanRead, MessageError> {
    let mut read = SpanRead {
        entry: SpanEntry {
            message: Slice::EMPTY,
            attributes: 0,
            header: 0,
            kind: 0,
            status: 0,
            is_root: true,
            scope: 0,
            trace_id: [0; 16],
            span_id: [0; 8],
            start: UnixNanos(0),
            end: UnixNanos(0),
        },
        trace_id: None,
        span_id: None,
        is_sound: true,
    };
    let mut has_status = false;
    let mut fields = Fields::of(message);
    let mut is_first = true;
    loop {
        let from = message.len() - fields.rest().len();
        let Some((number, value)) = fields.field()? else { break };
        match (number, value) {
            (9, Value::Bytes(attribute)) => {
                if std::mem::take(&mut is_first) {
                    read.entry.attributes = u16::try_from(from).unwrap_or(0);
                }
                check::key_value(attribute, check::MOST_DEPTH)?;
            }
            (1, Value::Bytes(id)) => {
                let halves = |id: &[u8]| id.as_chunks::<8>().0.try_into().ok().map(|[a, b]: [[u8; 8]; 2]| [a, b]);
                read.trace_id = (id.len() == 16).then(|| halves(id)).flatten().map(|id| id.map(u64::from_ne_bytes));
            }
            (2, Value::Bytes(id)) => read.span_id = id.try_into().ok().map(u64::from_ne_bytes),
            (4, Value::Bytes(parent)) => {
                read.entry.is_root = parent.iter().all(|byte| *byte == 0);
                read.is_sound &= matches!(parent.len(), 0 | 8);
            }
            (3 | 5, Value::Bytes(_)) | (10 | 12 | 14, Value::Varint(_)) | (16, Value::Fixed32(_)) => {}
            (6, Value::Varint(kind)) => read.entry.kind = u8::try_from(kind).unwrap_or(0),
            (7, Value::Fixed64(time)) => read.entry.start = UnixNanos(time),
            (8, Value::Fixed64(time)) => read.entry.end = UnixNanos(time),
            (11, Value::Bytes(event)) => check::event(event)?,
            (13, Value::Bytes(link)) => read.is_sound &= check::link(link)?,
            (15, Value::Bytes(status)) => {
                if std::mem::replace(&mut has_status, true) {
                    return Err(MessageError::Repeated("status"));
                }
                read.entry.status = status_code(status)?;
            }
            (1..=16, _) => return Err(WireError::Type.into()),
            _ => {}
        }
    }
    Ok(read)
}

fn status_code(message: &[u8]) -> Result<u8, MessageError> {
    let mut code = 0;
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match number {
            2 => drop(value.bytes()?),
            3 => code = u8::try_from(value.varint()?).unwrap_or(0),
            _ => {}
        }
    }
    Ok(code)
}

/// Keeps a message that may stand once. Twice, Protocol Buffers would merge them: nobody writes that, and who
/// reads it disagrees.
fn once<'a>(known: &mut Option<&'a [u8]>, found: &'a [u8], name: &'static str) -> Read<()> {
    match known.replace(found) {
        None => Ok(()),
        Some(_) => Err((1, MessageError::Repeated(name))),
    }
}

fn too_large(head: Slice, tail: Slice) -> bool {
    (head.len + tail.len) as usize > MOST_AROUND
}

/// The fields of a message beside its repeated inner ones.
#[derive(Default)]
struct Outer {
    /// Before the first inner field.
    head: Range<usize>,
    /// Behind one.
    tail: Range<usize>,
    inner: bool,
    /// Whether some stand between inner fields.
    scattered: bool,
}

impl Outer {
    fn found(&mut self, field: Range<usize>) {
        let run = if self.inner { &mut self.tail } else { &mut self.head };
        if run.start == run.end {
            *run = field;
        } else {
            run.end = field.end;
        }
    }

    fn inner(&mut self) {
        self.inner = true;
        self.scattered |= !self.tail.is_empty();
    }

    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }

    /// What stands before and behind the inner fields, gathered into `written` where they are scattered.
    fn slices(self, message: &[u8], inner: u32, written: &mut Vec<u8>) -> (Slice, Slice) {
        if self.scattered {
            return (gather(message, inner, written), Slice::EMPTY);
        }
        let slice = |run: Range<usize>| match run.len() {
            0 => Slice::EMPTY,
            _ => Slice::new(0, run.start as u32, run.len() as u32),
        };
        (slice(self.head), slice(self.tail))
    }
}

/// Copies all fields but the inner ones side by side into the chunk behind the request.
fn gather(message: &[u8], inner: u32, written: &mut Vec<u8>) -> Slice {
    let start = written.len();
    let mut fields = Fields::of(message);
    loop {
        let before = fields.rest();
        // It was read once.
        let Ok(Some((number, _))) = fields.field() else { break };
        if number != inner {
            written.extend_from_slice(&before[..before.len() - fields.rest().len()]);
        }
    }
    Slice::new(1, start as u32, (written.len() - start) as u32)
}
