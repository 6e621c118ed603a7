//! Puts spans out as a request: runs of the bytes they came in, with the lengths of their scopes and resources set
//! anew. Requests can stand one behind the other: the message that they make together has the spans of all.

use std::ops::Range;

use bytes::Bytes;

use crate::data::traces::{SpanEntry, TraceBatch};
use crate::data::{Chunk, Slice};
use crate::formats::protobuf::{push_varint, varint_len};

/// A run of at least this many bytes is shared with its batch; a shorter one is copied, which is cheaper.
const SHARE_FROM: usize = 4096;

/// Most bytes that a tag and a length take.
const HEADER: usize = 6;

/// Bytes that the selected spans take as a request: exactly, as far as they are whole, else a little more.
pub fn size(batch: &TraceBatch) -> u64 {
    if batch.is_whole() {
        return batch.request().len() as u64;
    }
    let index = batch.index();
    let spans: u64 = batch.selection.iter().map(|at| u64::from(run(&index.spans[at]).len)).sum();
    let around = |sides: [Slice; 2]| HEADER as u64 + sides.iter().map(|side| u64::from(side.len)).sum::<u64>();
    let scopes: u64 = index.scopes.iter().map(|scope| around([scope.head, scope.tail])).sum();
    let resources: u64 = index.resources.iter().map(|resource| around([resource.head, resource.tail])).sum();
    spans + scopes + resources + index.rest.map_or(0, |rest| rest.len.into())
}

/// A span with its tag and length.
fn run(span: &SpanEntry) -> Slice {
    let header = u32::from(span.header);
    Slice::new(span.message.chunk, span.message.start - header, span.message.len + header)
}

/// Writes requests.
#[derive(Debug, Default)]
pub struct Emitter {
    plan: Plan,
    /// What was finished, in order.
    pieces: Vec<Bytes>,
    /// Bytes behind the last piece.
    own: Vec<u8>,
    len: usize,
}

impl Emitter {
    /// Number of bytes so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes that stand before a request, such as those that frame it.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends an encoded message, which is not copied.
    pub fn piece(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.seal();
            self.len += bytes.len();
            self.pieces.push(bytes);
        }
    }

    /// Appends the selected spans of a range of indices as far as they take at most `most` bytes, or a single one
    /// that takes more. Returns the index of the next span, or `None` where all are written, and how many were.
    pub fn emit(&mut self, batch: &TraceBatch, range: Range<usize>, most: usize) -> (Option<usize>, u64) {
        let all = range.start == 0 && range.end >= batch.spans().len();
        if all && batch.is_whole() && batch.request().len() <= most {
            self.share(batch.request(), Slice::new(0, 0, batch.request().len() as u32));
            return (None, batch.spans().len() as u64);
        }
        let mut plan = std::mem::take(&mut self.plan);
        let next = plan.take(batch, range, most);
        self.write(batch, &plan);
        let spans = plan.spans;
        self.plan = plan;
        (next, spans)
    }

    /// What was written, in pieces.
    pub fn finish(&mut self) -> Vec<Bytes> {
        self.seal();
        self.len = 0;
        std::mem::take(&mut self.pieces)
    }

    fn seal(&mut self) {
        if !self.own.is_empty() {
            self.pieces.push(std::mem::take(&mut self.own).into());
        }
    }

    fn write(&mut self, batch: &TraceBatch, plan: &Plan) {
        let index = batch.index();
        if let Some(rest) = plan.rest {
            self.slice(batch, rest);
        }
        let mut scopes = plan.scopes.iter().peekable();
        for &(resource, len) in &plan.resources {
            let entry = &index.resources[resource as usize];
            self.header(1, len);
            self.slice(batch, entry.head);
            while let Some(scope) = scopes.next_if(|scope| index.scopes[scope.scope as usize].resource == resource) {
                let entry = &index.scopes[scope.scope as usize];
                self.header(2, scope.len);
                self.slice(batch, entry.head);
                for &run in &plan.runs[scope.runs.clone()] {
                    self.slice(batch, run);
                }
                self.slice(batch, entry.tail);
            }
            self.slice(batch, entry.tail);
        }
    }

    fn header(&mut self, number: u8, len: usize) {
        let before = self.own.len();
        self.own.push(number << 3 | 2);
        push_varint(len as u64, &mut self.own);
        self.len += self.own.len() - before;
    }

    fn slice(&mut self, batch: &TraceBatch, slice: Slice) {
        if (slice.len as usize) < SHARE_FROM {
            self.raw(batch.bytes(slice));
        } else {
            self.share(&batch.chunks()[slice.chunk as usize], slice);
        }
    }

    fn share(&mut self, chunk: &Chunk, slice: Slice) {
        self.seal();
        self.pieces.push(chunk.share(slice));
        self.len += slice.len as usize;
    }
}

/// What of a batch goes into a request.
#[derive(Debug, Default)]
struct Plan {
    /// Resources and the length of their messages.
    resources: Vec<(u32, usize)>,
    scopes: Vec<PlannedScope>,
    /// Spans that stand side by side, as one.
    runs: Vec<Slice>,
    rest: Option<Slice>,
    spans: u64,
    /// At most as many bytes will it be.
    size: usize,
}

#[derive(Debug)]
struct PlannedScope {
    scope: u32,
    /// Length of its message.
    len: usize,
    runs: Range<usize>,
}

impl Plan {
    fn take(&mut self, batch: &TraceBatch, range: Range<usize>, most: usize) -> Option<usize> {
        let index = batch.index();
        self.resources.clear();
        self.scopes.clear();
        self.runs.clear();
        self.spans = 0;
        self.rest = if range.start == 0 { index.rest } else { None };
        self.size = self.rest.map_or(0, |rest| rest.len as usize);
        let mut next = None;
        for at in batch.selection.iter_range(range) {
            let span = &index.spans[at];
            let run = run(span);
            let scope = &index.scopes[span.scope as usize];
            let known = self.scopes.last().is_some_and(|last| last.scope == span.scope);
            let mut more = run.len as usize;
            if !known {
                more += HEADER + (scope.head.len + scope.tail.len) as usize;
                if self.resources.last().is_none_or(|last| last.0 != scope.resource) {
                    let resource = &index.resources[scope.resource as usize];
                    more += HEADER + (resource.head.len + resource.tail.len) as usize;
                }
            }
            if self.size.saturating_add(more) > most && self.spans > 0 {
                next = Some(at);
                break;
            }
            self.size += more;
            self.spans += 1;
            if !known {
                if self.resources.last().is_none_or(|last| last.0 != scope.resource) {
                    self.resources.push((scope.resource, 0));
                }
                let len = (scope.head.len + scope.tail.len) as usize;
                let runs = self.runs.len()..self.runs.len();
                self.scopes.push(PlannedScope { scope: span.scope, len, runs });
            }
            self.run(run);
        }
        self.measure(batch);
        next
    }

    /// Adds a span to the last scope, to the run before it where it stands right behind.
    fn run(&mut self, run: Slice) {
        let Some(scope) = self.scopes.last_mut() else { return };
        scope.len += run.len as usize;
        match self.runs.last_mut().filter(|_| !scope.runs.is_empty()) {
            Some(last) if last.chunk == run.chunk && last.start + last.len == run.start => last.len += run.len,
            _ => {
                self.runs.push(run);
                scope.runs.end = self.runs.len();
            }
        }
    }

    /// Lengths of the resources' messages.
    fn measure(&mut self, batch: &TraceBatch) {
        let index = batch.index();
        let mut scopes = self.scopes.iter().peekable();
        for (resource, len) in &mut self.resources {
            let entry = &index.resources[*resource as usize];
            *len = (entry.head.len + entry.tail.len) as usize;
            while let Some(scope) = scopes.next_if(|scope| index.scopes[scope.scope as usize].resource == *resource) {
                *len += 1 + varint_len(scope.len as u64) + scope.len;
            }
        }
    }
}
