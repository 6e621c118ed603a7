//! Steps on spans. A span passes all of them before the next one does, so that several edits of one span write its
//! message once: into one chunk that the batch gets besides, where it stands behind the edited span before it, with
//! its tag and length in front. A span that no step edits stays the bytes in which it came.
//!
//! A resource is read only if a step asks for it, and once: what steps make of it is kept by its bytes.

pub mod desk;
pub mod edits;
mod resources;
#[cfg(test)]
mod tests;

use self::desk::{Desk, Sheets};
use self::resources::Resources;
use super::fields::Fields;
use crate::data::traces::{SpanEntry, TraceBatch};
use crate::data::{Batch, Chunk, Slice, UnixNanos};
use crate::delivery::{Message, Outcome};
use crate::expression::check::CheckedTerm;
use crate::expression::option::CompileError;
use crate::expression::traces::SUBJECT;
use crate::expression::{Evaluator, PathOption, Program};
use crate::formats::otlp::patch;
use crate::formats::otlp::resource::replaced;
use crate::formats::otlp::span::{ATTRIBUTES, RESOURCE_ATTRIBUTES};
use crate::formats::otlp::texts::{self, OfValue, TextEdit};
use crate::pipeline::component::{Transform, TransformFactory};
use crate::pipeline::outlet::Ports;

/// A step ready to run; each worker has a copy of its own.
pub trait SpanStep: Send + Sync {
    /// Whether it reads attributes of the resource.
    fn reads_resource(&self) -> bool {
        false
    }

    /// Whether it edits the resource: it then runs on each of them too.
    fn edits_resource(&self) -> bool {
        false
    }

    /// Does its work on what lies on the desk; returns whether a span stays in its batch.
    fn run(&mut self, desk: &mut Desk<'_>) -> bool;

    /// A copy for another worker.
    fn copy(&self) -> Box<dyn SpanStep>;
}

impl Clone for Box<dyn SpanStep> {
    fn clone(&self) -> Self {
        (**self).copy()
    }
}

/// What an edit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A span.
    Span,
    /// A resource, for all its spans.
    Resource,
}

/// An attribute of a span or of its resource.
#[derive(Clone, Debug)]
pub struct Place {
    /// Of what.
    pub on: On,
    /// Its key, then keys of maps in each other.
    pub keys: Box<[Box<str>]>,
}

impl Place {
    /// The attribute that an option names.
    pub fn of(path: &PathOption) -> Result<Self, CompileError> {
        Ok(Self::of_term(&path.editable(&SUBJECT)?))
    }

    /// The attribute that a checked term names; there is nothing else that it could.
    pub fn of_term(term: &CheckedTerm) -> Self {
        match term {
            CheckedTerm::Attribute(keys) => Self { on: On::Span, keys: keys.clone() },
            CheckedTerm::Resource(key) => Self { on: On::Resource, keys: [key.clone()].into() },
            CheckedTerm::Literal(_) | CheckedTerm::Field(..) | CheckedTerm::Event(_) => {
                Self { on: On::Span, keys: Box::default() }
            }
        }
    }

    /// Number of the attributes' field in the message it is of.
    pub fn number(&self) -> u32 {
        match self.on {
            On::Span => ATTRIBUTES,
            On::Resource => RESOURCE_ATTRIBUTES,
        }
    }
}

/// A step and its `if:`.
#[derive(Clone)]
pub struct Guarded {
    guard: Option<Evaluator>,
    step: Box<dyn SpanStep>,
    asks: bool,
}

impl Guarded {
    /// A step for the spans for which `guard` holds.
    pub fn new(guard: Option<Program>, step: Box<dyn SpanStep>) -> Self {
        let asks =
            step.reads_resource() || step.edits_resource() || guard.as_ref().is_some_and(Program::reads_resource);
        Self { guard: guard.map(Evaluator::new), step, asks }
    }

    fn run(&mut self, desk: &mut Desk<'_>) -> bool {
        let is_meant = self.guard.as_mut().is_none_or(|guard| desk.holds(guard));
        !is_meant || self.step.run(desk)
    }
}

/// The step `drop` or `keep`: takes out the spans for which the answer is `unwanted`.
#[derive(Clone)]
pub struct Filter {
    condition: Evaluator,
    reads_resource: bool,
    unwanted: bool,
}

impl Filter {
    /// Takes out the spans for which the condition's answer is `unwanted`.
    pub fn boxed(program: Program, unwanted: bool) -> Box<dyn SpanStep> {
        let reads_resource = program.reads_resource();
        Box::new(Self { condition: Evaluator::new(program), reads_resource, unwanted })
    }
}

impl SpanStep for Filter {
    fn reads_resource(&self) -> bool {
        self.reads_resource
    }

    fn run(&mut self, desk: &mut Desk<'_>) -> bool {
        desk.holds(&mut self.condition) != self.unwanted
    }

    fn copy(&self) -> Box<dyn SpanStep> {
        Box::new(self.clone())
    }
}

/// A step that edits texts: those of some attributes, or all of a span.
#[derive(Clone)]
pub struct OfTexts<E> {
    places: Option<Vec<Place>>,
    edit: E,
}

impl<E: TextEdit + Clone + Send + Sync + 'static> OfTexts<E> {
    /// Edits the attributes that an option names, or all texts where it names none.
    pub fn boxed(fields: Option<&Fields>, edit: E) -> Result<Box<dyn SpanStep>, CompileError> {
        Ok(Box::new(Self { places: fields.map(Fields::on_spans).transpose()?, edit }))
    }
}

impl<E: TextEdit + Clone + Send + Sync + 'static> SpanStep for OfTexts<E> {
    fn edits_resource(&self) -> bool {
        self.places.iter().flatten().any(|place| place.on == On::Resource)
    }

    fn run(&mut self, desk: &mut Desk<'_>) -> bool {
        let Self { places, edit } = self;
        let on = desk.on;
        edit.begin();
        match places {
            None if on == On::Span => desk.edit(|message, out| texts::SPAN.edit(message, edit, out)),
            None => {}
            Some(places) => {
                for place in places.iter().filter(|place| place.on == on) {
                    let edit = &mut OfValue(edit);
                    desk.edit_attributes(|rest, out| patch::edit(rest, place.number(), &place.keys, edit, out));
                }
            }
        }
        true
    }

    fn copy(&self) -> Box<dyn SpanStep> {
        Box::new(self.clone())
    }
}

/// Bytes that edits may make of any batch; beyond them at most four times those of its request.
const MOST_FREE: usize = 16 << 20;

/// Why spans are refused that edits make too large.
const TOO_LARGE: &str = "the steps make more than 16 MiB and four times its size of its request";

const NO_ENTRY: SpanEntry = SpanEntry {
    message: Slice::EMPTY,
    attributes: 0,
    header: 0,
    kind: 0,
    status: 0,
    is_root: false,
    scope: 0,
    trace_id: [0; 16],
    span_id: [0; 8],
    start: UnixNanos(0),
    end: UnixNanos(0),
};

/// The steps of one worker.
#[derive(Clone)]
pub struct Worker {
    steps: Vec<Guarded>,
    resources: Resources,
    sheets: Sheets,
    dropped: Vec<u32>,
    edited: Vec<(u32, SpanEntry)>,
    /// Bytes that edits made of the last batch: about what they will make of the next.
    made: usize,
    refused: u64,
}

impl Worker {
    /// The steps, for any worker.
    pub fn new(steps: Vec<Guarded>) -> Self {
        let asks = steps.iter().any(|guarded| guarded.asks);
        let edits = steps.iter().any(|guarded| guarded.step.edits_resource());
        Self {
            resources: Resources::new(asks, edits),
            steps,
            sheets: Sheets::default(),
            dropped: Vec::new(),
            edited: Vec::new(),
            made: 0,
            refused: 0,
        }
    }

    /// Applies every step to every span.
    fn apply(&mut self, batch: &mut TraceBatch) {
        self.judge(batch);
        let mut written = std::mem::take(&mut self.sheets.written);
        self.dropped.drain(..).for_each(|at| batch.selection.remove(at as usize));
        let chunk = batch.next_chunk();
        let mut resources = Vec::new();
        for (place, entry) in batch.index().resources.iter().enumerate() {
            if let Some(edited) = self.resources.edited(batch.bytes(entry.resource), &mut self.steps) {
                resources.push((place, replaced(batch, entry, edited, chunk, &mut written)));
            }
        }
        if written.is_empty() {
            return;
        }
        self.made = written.len();
        let index = batch.edit(Chunk::from_vec(written));
        for (at, entry) in self.edited.drain(..) {
            index.spans[at as usize] = entry;
        }
        for (place, entry) in resources {
            index.resources[place] = entry;
        }
    }

    /// Finds out which spans go, and writes those that are edited.
    fn judge(&mut self, batch: &TraceBatch) {
        let Self { steps, resources, sheets, dropped, edited, made, refused } = self;
        let (index, chunk) = (batch.index(), batch.next_chunk());
        let most = (MOST_FREE + 4 * batch.request().len()).min(u32::MAX as usize / 2);
        let (mut of, mut seen) = (u32::MAX, 0);
        for at in batch.selection.iter() {
            let entry = index.spans[at];
            let scope = &index.scopes[entry.scope as usize];
            if scope.resource != of {
                of = scope.resource;
                seen = resources.find(batch.bytes(index.resources[of as usize].resource), steps);
            }
            let mut after = entry;
            let (came, scope) = (batch.bytes(entry.message), batch.bytes(scope.scope));
            let stays = steps.iter_mut().enumerate().all(|(step, guarded)| {
                let resource = resources.seen(seen, step);
                guarded.run(&mut Desk { on: On::Span, entry: &mut after, came, scope, resource, sheets })
            });
            let written = &mut sheets.written;
            match sheets.open.take() {
                None if stays => {}
                None => dropped.push(at as u32),
                Some(open) if stays && written.len() <= most => {
                    let (length, start) = (open.content(written).len(), open.start());
                    open.close(written);
                    let message = written.len() - length;
                    after.header = (message - start) as u8;
                    after.message = Slice::new(chunk, message as u32, length as u32);
                    edited.push((at as u32, after));
                    if edited.len() == 1 {
                        written.reserve(*made);
                    }
                }
                Some(open) => {
                    *refused += u64::from(stays);
                    open.cancel(written);
                    dropped.push(at as u32);
                }
            }
        }
    }
}

impl TransformFactory for Worker {
    fn worker(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Worker {
    fn process(&mut self, mut message: Message, out: &mut Ports<'_>) {
        if let Batch::Traces(batch) = &mut message.batch {
            let before = batch.selection.count();
            self.apply(batch);
            let removed = (before - batch.selection.count()) as u64;
            let refused = std::mem::take(&mut self.refused);
            out.filtered(&message, removed - refused);
            if refused > 0 {
                out.metrics().records_refused.inc_by(refused);
                message.ack.refuse(Outcome::Refused, refused, TOO_LARGE);
                out.metrics().error(TOO_LARGE);
            }
        }
        out.push(0, message);
    }
}
