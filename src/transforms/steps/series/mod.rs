//! Steps on metrics. What labels decide is decided once a series and kept; a batch whose list of series was
//! seen before takes what was made of it, without a look at any series. Only conditions on `value` are asked
//! sample by sample.
//!
//! Two series that an edit makes one are what Prometheus calls a duplicate: the first in the order of the list
//! keeps the name, samples of the others are refused and told. A staleness marker says that a series has
//! ended, so it passes conditions on `value`.

mod derive;
mod verdicts;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use self::derive::{Derived, Why};
use self::verdicts::Verdicts;
use crate::data::labels::METRIC_NAME;
use crate::data::metrics::is_stale;
use crate::data::{Batch, LabelSet, MetricBatch, Resource, SeriesTable};
use crate::delivery::{Message, Outcome};
use crate::expression::check::CheckedTerm;
use crate::expression::metrics::{SUBJECT, SeriesView, VALUE};
use crate::expression::option::CompileError;
use crate::expression::{Evaluator, Open, Operand, PathOption, Program, Residue, ValueRef};
use crate::pipeline::component::{Transform, TransformFactory};
use crate::pipeline::outlet::Ports;

/// What a step does to a series.
#[derive(Clone, Debug)]
pub enum SeriesStep {
    /// Gives a label a value.
    Set {
        /// The label.
        label: Box<str>,
        /// Where the value comes from.
        value: Operand,
    },
    /// Moves a value to another label.
    Rename {
        /// The old name.
        from: Box<str>,
        /// The new name.
        to: Box<str>,
    },
    /// Removes labels.
    Delete(Vec<Box<str>>),
    /// Takes out the samples for which the answer is `unwanted`.
    Filter {
        /// The condition.
        condition: Box<Evaluator>,
        /// Whether it reads the resource.
        reads_resource: bool,
        /// Which answer takes a sample out.
        unwanted: bool,
    },
}

impl SeriesStep {
    /// Takes out the samples for which the condition's answer is `unwanted`.
    pub fn filter(program: Program, unwanted: bool) -> Self {
        let reads_resource = program.reads_resource();
        Self::Filter { condition: Box::new(Evaluator::new(program)), reads_resource, unwanted }
    }

    /// Gives the name or a label a value.
    pub fn set(target: &Operand, value: Operand) -> Self {
        let label = match target {
            Operand::Attribute(path) => path.keys[0].clone(),
            // The checker lets only labels and the name be set.
            _ => METRIC_NAME.into(),
        };
        Self::Set { label, value }
    }

    fn reads_resource(&self) -> bool {
        match self {
            Self::Set { value, .. } => matches!(value, Operand::Resource(_)),
            Self::Rename { .. } | Self::Delete(_) => false,
            Self::Filter { reads_resource, .. } => *reads_resource,
        }
    }
}

/// The label that an option names.
pub fn label(path: &PathOption) -> Result<Box<str>, CompileError> {
    Ok(match path.editable(&SUBJECT)? {
        CheckedTerm::Attribute(keys) => keys[0].clone(),
        // Nothing else is editable.
        _ => METRIC_NAME.into(),
    })
}

/// A step and its `if:`.
#[derive(Clone, Debug)]
pub struct Guarded {
    guard: Option<Evaluator>,
    step: SeriesStep,
    reads_resource: bool,
}

impl Guarded {
    /// A step for the samples for which `guard` holds.
    pub fn new(guard: Option<Program>, step: SeriesStep) -> Self {
        let reads_resource = step.reads_resource() || guard.as_ref().is_some_and(Program::reads_resource);
        Self { guard: guard.map(Evaluator::new), step, reads_resource }
    }
}

/// What the steps make of a series.
#[derive(Debug, PartialEq)]
enum Fate {
    Dropped,
    Kept { edited: bool, open: Option<Open> },
}

/// The steps, ready to judge series one by one.
#[derive(Clone, Debug)]
struct Steps {
    list: Vec<Guarded>,
    text: Vec<u8>,
}

impl Steps {
    /// Decides about the series of these labels, which become what the steps make of them.
    fn judge(&mut self, labels: &mut LabelSet, resource: &Arc<Resource>) -> Fate {
        let (mut stays, mut edited) = (Residue::Decided(true), false);
        for Guarded { guard, step, .. } in &mut self.list {
            let view = SeriesView { labels, resource };
            let guard = guard.as_mut().map_or(Residue::Decided(true), |guard| ask(guard, &view, resource));
            if guard == Residue::Decided(false) {
                continue;
            }
            match step {
                SeriesStep::Filter { condition, unwanted, .. } => {
                    let holds = ask(condition, &view, resource);
                    let out = if *unwanted { holds } else { holds.negated() };
                    stays = stays.and(guard.and(out).negated());
                    if stays == Residue::Decided(false) {
                        return Fate::Dropped;
                    }
                }
                SeriesStep::Set { label, value } => {
                    self.text.clear();
                    if text(value.read(&view), &mut self.text) {
                        let value = String::from_utf8_lossy(&self.text);
                        if !(value.is_empty() && **label == *METRIC_NAME) && labels.get(label) != value {
                            labels.set(label, &value);
                            edited = true;
                        }
                    }
                }
                SeriesStep::Rename { from, to } => {
                    if from != to && labels.has(from) {
                        let value = labels.get(from).to_owned();
                        labels.remove(from);
                        labels.set(to, &value);
                        edited = true;
                    }
                }
                SeriesStep::Delete(names) => {
                    for name in names.iter().filter(|name| ***name != *METRIC_NAME) {
                        edited |= labels.has(name);
                        labels.remove(name);
                    }
                }
            }
        }
        let open = if let Residue::Open(open) = stays { Some(open) } else { None };
        Fate::Kept { edited, open }
    }
}

fn ask(condition: &mut Evaluator, view: &SeriesView<'_>, resource: &Arc<Resource>) -> Residue {
    match condition.begin(resource) {
        Some(known) => Residue::Decided(known),
        None => condition.holds_but_for(view, VALUE),
    }
}

/// Appends a value as a label has it; returns whether there is one.
fn text(value: ValueRef<'_>, out: &mut Vec<u8>) -> bool {
    match value {
        ValueRef::Missing | ValueRef::Encoded(_) | ValueRef::Id(_) | ValueRef::Time(_) => return false,
        ValueRef::Text(text) | ValueRef::Escaped(text) | ValueRef::Number(text) | ValueRef::Json(text) => {
            out.extend_from_slice(text);
        }
        ValueRef::Int(int) => out.extend_from_slice(int.to_string().as_bytes()),
        ValueRef::Double(double) => out.extend_from_slice(double.to_string().as_bytes()),
        ValueRef::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
    }
    true
}

/// Most bytes of derived lists that a worker keeps.
const MOST_BYTES: usize = 32 << 20;

/// Makes workers, which share what was decided about series.
pub struct Factory {
    worker: Worker,
}

impl Factory {
    /// Steps over series of `table`.
    pub fn new(list: Vec<Guarded>, table: Arc<SeriesTable>) -> Self {
        let reads_resource = list.iter().any(|guarded| guarded.reads_resource);
        let worker = Worker {
            steps: Steps { list, text: Vec::new() },
            reads_resource,
            verdicts: Arc::default(),
            lists: HashMap::new(),
            bytes: 0,
            clock: 0,
            table,
        };
        Self { worker }
    }
}

impl TransformFactory for Factory {
    fn worker(&self) -> Box<dyn Transform> {
        Box::new(self.worker.fresh())
    }
}

/// The steps of one worker.
struct Worker {
    steps: Steps,
    /// Whether a verdict is about a series and a resource, not about a series alone.
    reads_resource: bool,
    verdicts: Arc<Mutex<Verdicts>>,
    /// What became of lists, by the numbers of the lists that batches came with.
    lists: HashMap<u64, Derived>,
    bytes: usize,
    clock: u64,
    table: Arc<SeriesTable>,
}

/// Samples that a batch lost.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lost {
    filtered: u64,
    collided: u64,
    found_full: u64,
}

impl Worker {
    fn fresh(&self) -> Self {
        Self {
            steps: self.steps.clone(),
            reads_resource: self.reads_resource,
            verdicts: self.verdicts.clone(),
            lists: HashMap::new(),
            bytes: 0,
            clock: 0,
            table: self.table.clone(),
        }
    }

    /// Applies the steps; says what the batch lost, and for a list that is new, an example of a collision.
    fn apply(&mut self, batch: &mut MetricBatch) -> (Lost, Option<String>) {
        let told = self.prepare(batch);
        let derived = &self.lists[&batch.series().id()];
        let before = batch.selection.count();
        if let Some(kept) = &derived.kept {
            batch.selection.intersect(kept);
        }
        let mut lost = Lost::default();
        for &(place, why) in &derived.refused {
            if batch.selection.contains(place as usize) {
                batch.selection.remove(place as usize);
                match why {
                    Why::Collided => lost.collided += 1,
                    Why::Full => lost.found_full += 1,
                }
            }
        }
        for run in &derived.runs {
            let open = &derived.open[usize::from(run.open)];
            for place in run.from..run.to {
                if !stays(batch, place as usize, open) {
                    batch.selection.remove(place as usize);
                }
            }
        }
        lost.filtered = (before - batch.selection.count()) as u64 - lost.collided - lost.found_full;
        if let Some(list) = &derived.list {
            batch.renamed(list.clone());
        }
        (lost, told)
    }

    /// Sees to it that what becomes of the batch's list is known.
    fn prepare(&mut self, batch: &MetricBatch) -> Option<String> {
        self.clock += 1;
        let id = batch.series().id();
        if let Some(derived) = self.lists.get_mut(&id)
            && derived.is_for(&batch.resource)
            && !derived.is_worth_another_look(&self.table)
        {
            derived.used = self.clock;
            return None;
        }
        self.forget(id);
        let (mut derived, told) = self.derive(batch);
        derived.used = self.clock;
        self.bytes += derived.bytes();
        self.lists.insert(id, derived);
        told
    }

    /// Forgets lists whose source is gone, and the longest unused where the others are too many.
    fn forget(&mut self, replaced: u64) {
        let mut bytes = 0;
        self.lists.retain(|id, derived| {
            let keep = *id != replaced && derived.source.strong_count() > 0;
            bytes += if keep { derived.bytes() } else { 0 };
            keep
        });
        while bytes > MOST_BYTES {
            let Some((&id, _)) = self.lists.iter().min_by_key(|(_, derived)| derived.used) else { break };
            bytes -= self.lists.remove(&id).map_or(0, |derived| derived.bytes());
        }
        self.bytes = bytes;
    }
}

/// Whether a sample passes what its labels left open.
fn stays(batch: &MetricBatch, place: usize, open: &Open) -> bool {
    let columns = batch.columns();
    let at = columns.histograms.binary_search_by_key(&place, |(at, _)| *at as usize);
    let value = match at {
        Ok(_) => ValueRef::Missing,
        Err(_) if is_stale(columns.values[place]) => return true,
        Err(_) => ValueRef::Double(columns.values[place]),
    };
    open.holds(value)
}

impl Transform for Worker {
    fn process(&mut self, mut message: Message, out: &mut Ports<'_>) {
        if let Batch::Metrics(batch) = &mut message.batch {
            let (lost, told) = self.apply(batch);
            out.filtered(&message, lost.filtered);
            for (samples, reason) in [
                (lost.collided, "the steps give it the labels of another series"),
                (lost.found_full, "its new labels make a new series, and the limit of active series is reached"),
            ] {
                if samples > 0 {
                    out.metrics().records_refused.inc_by(samples);
                    message.ack.refuse(Outcome::Refused, samples, reason);
                }
            }
            if let Some(words) = told {
                tracing::warn!(component = &*out.metrics().name, "{words}");
                out.metrics().error(words);
            }
        }
        out.push(0, message);
    }
}

#[cfg(test)]
mod tests;
