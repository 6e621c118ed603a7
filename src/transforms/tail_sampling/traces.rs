//! Traces that are open: what was seen of them, and their spans.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::decided::Decisions;
use super::options::Options;
use super::policy::Seen;
use crate::data::{Chunk, Selection, TraceBatch};
use crate::delivery::Ack;
use crate::formats::otlp::traces::Emitter;

/// What became of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// It is kept.
    Kept,
    /// It is dropped.
    Dropped,
}

/// The spans of one trace that came in one message: a request of their own, so that they hold nothing else.
#[derive(Debug)]
pub(super) struct Part {
    pub request: Chunk,
    pub spans: u64,
    pub ack: Ack,
}

/// Takes a batch apart into the spans of its traces.
pub(super) struct OneTrace {
    batch: TraceBatch,
    emitter: Emitter,
}

impl OneTrace {
    /// Of this batch.
    pub fn of(batch: &TraceBatch) -> Self {
        let mut batch = batch.clone();
        batch.selection = Selection::none(batch.spans().len());
        Self { batch, emitter: Emitter::default() }
    }

    /// Copies these spans.
    pub fn part(&mut self, spans: &[usize], ack: Ack) -> Part {
        let Self { batch, emitter } = self;
        spans.iter().for_each(|&span| batch.selection.insert(span));
        let (first, last) = (spans.iter().min().copied(), spans.iter().max().copied());
        emitter.emit(batch, first.unwrap_or(0)..last.map_or(0, |last| last + 1), usize::MAX);
        spans.iter().for_each(|&span| batch.selection.remove(span));
        Part { request: Chunk::from_vec(emitter.finish().concat()), spans: spans.len() as u64, ack }
    }
}

/// A trace that is open, or was until now.
#[derive(Debug)]
pub(super) struct Trace {
    pub id: [u8; 16],
    pub parts: Vec<Part>,
    pub seen: Seen,
    bytes: u64,
    /// When it is decided.
    due: Instant,
    /// When it would be without a root.
    first_due: Instant,
}

/// Bytes that a trace takes beside its spans.
const TRACE_BYTES: u64 = size_of::<Trace>() as u64 + 96;

/// Bytes that a part takes beside its spans.
const PART_BYTES: u64 = size_of::<Part>() as u64 + 64;

/// Traces that are open, bounded in bytes, and what became of those that were.
#[derive(Debug)]
pub(super) struct Traces {
    open: HashMap<[u8; 16], Box<Trace>>,
    /// When traces are due by the time of their first span, in order; and by the end of their root.
    by_first: VecDeque<(Instant, [u8; 16])>,
    by_root: VecDeque<(Instant, [u8; 16])>,
    decided: Decisions,
    bytes: u64,
    max_bytes: u64,
    decision_wait: Duration,
    root_wait: Duration,
}

impl Traces {
    pub fn new(options: &Options) -> Self {
        Self {
            open: HashMap::new(),
            by_first: VecDeque::new(),
            by_root: VecDeque::new(),
            decided: Decisions::new(options.decision_cache.value as usize),
            bytes: 0,
            max_bytes: options.max_bytes.0,
            decision_wait: options.decision_wait.0,
            root_wait: options.root_wait.0,
        }
    }

    /// What became of a trace; `None` while that is open.
    pub fn decision(&self, id: &[u8; 16]) -> Option<Decided> {
        self.decided.get(id)
    }

    /// Keeps in mind what became of a trace.
    pub fn remember(&mut self, id: [u8; 16], decided: Decided) {
        self.decided.insert(id, decided);
    }

    /// What was seen of a trace, which is open from now on.
    pub fn open(&mut self, id: [u8; 16], now: Instant) -> &mut Seen {
        let due = now + self.decision_wait;
        let trace = self.open.entry(id).or_insert_with(|| {
            self.by_first.push_back((due, id));
            self.bytes += TRACE_BYTES;
            Box::new(Trace { id, parts: Vec::new(), seen: Seen::default(), bytes: TRACE_BYTES, due, first_due: due })
        });
        &mut trace.seen
    }

    /// Adds spans to an open trace.
    pub fn add(&mut self, id: [u8; 16], part: Part, now: Instant) {
        let Some(trace) = self.open.get_mut(&id) else { return };
        let bytes = part.request.len() as u64 + PART_BYTES;
        trace.bytes += bytes;
        self.bytes += bytes;
        trace.parts.push(part);
        let due = now + self.root_wait;
        if trace.seen.root && due < trace.due {
            trace.due = due;
            self.by_root.push_back((due, id));
        }
    }

    /// When the next trace is to be decided: now, where more bytes are held than may be.
    pub fn next_due(&self) -> Option<Instant> {
        if self.is_full() {
            return Some(Instant::now());
        }
        let fronts = [self.by_first.front(), self.by_root.front()];
        fronts.into_iter().flatten().map(|(due, _)| *due).min()
    }

    /// Takes the traces that are to be decided, and the oldest beyond what may be held.
    pub fn take_due(&mut self, now: Instant) -> Vec<Trace> {
        let mut taken = Vec::new();
        while let Some(&(due, id)) = self.by_root.front()
            && due <= now
        {
            self.by_root.pop_front();
            // Decided before, it may be open again by now: that is another entry's.
            if self.open.get(&id).is_some_and(|trace| trace.due == due) {
                taken.extend(self.take(&id));
            }
        }
        while let Some(&(due, id)) = self.by_first.front()
            && (due <= now || self.is_full() || !self.open.contains_key(&id))
        {
            self.by_first.pop_front();
            if self.open.get(&id).is_some_and(|trace| trace.first_due == due) {
                taken.extend(self.take(&id));
            }
        }
        self.forget_stale();
        taken
    }

    /// Lets go of entries whose traces are decided, once they are more than the others: they would stand behind the
    /// oldest that is open.
    fn forget_stale(&mut self) {
        let Self { open, by_first, by_root, .. } = self;
        let most = 2 * open.len() + 1024;
        if by_first.len() > most {
            by_first.retain(|(due, id)| open.get(id).is_some_and(|trace| trace.first_due == *due));
        }
        if by_root.len() > most {
            by_root.retain(|(due, id)| open.get(id).is_some_and(|trace| trace.due == *due));
        }
    }

    /// Entries that wait, those of decided traces among them.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.by_first.len() + self.by_root.len()
    }

    /// Whether more bytes are held than may be.
    pub fn is_full(&self) -> bool {
        self.bytes > self.max_bytes
    }

    /// Takes all that is open.
    pub fn take_all(&mut self) -> Vec<Trace> {
        self.by_root.clear();
        let ids = std::mem::take(&mut self.by_first);
        ids.into_iter().filter_map(|(_, id)| self.take(&id)).collect()
    }

    fn take(&mut self, id: &[u8; 16]) -> Option<Trace> {
        let trace = self.open.remove(id)?;
        self.bytes -= trace.bytes;
        Some(*trace)
    }
}

/// The selected spans of a batch by their traces.
pub(super) fn by_trace(batch: &TraceBatch) -> Vec<([u8; 16], Vec<usize>)> {
    let mut spans: Vec<usize> = batch.selection.iter().collect();
    let id = |span: &usize| batch.spans()[*span].trace_id;
    spans.sort_by_key(id);
    spans.chunk_by(|a, b| id(a) == id(b)).map(|run| (id(&run[0]), run.to_vec())).collect()
}
