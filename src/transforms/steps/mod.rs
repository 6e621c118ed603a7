//! The transform `steps`: a list of small edits and filters, applied to whole batches one after another.
//!
//! A step is one file here and one line in [`STEPS`]. Its options are a [`step::StepPlan`]; prepared, it
//! is a [`step::Step`] that is handed the records its `if:` holds for. Steps never touch payload: they
//! write the batch's overlay through the [`edit::Workbench`] and take records out of its selection.

pub mod delete;
pub mod drop;
pub mod edit;
pub mod fields;
pub mod insert;
pub mod keep;
pub mod list;
pub mod parse_json;
pub mod parse_regex;
pub mod redact;
pub mod rename;
pub mod set;
pub mod step;
pub mod target;

use std::sync::Arc;

use schemars::JsonSchema;

use self::edit::Workbench;
use self::list::StepEntry;
use self::step::{Step, StepKind};
use crate::data::names::Interest;
use crate::data::{Batch, LogBatch, Names, Signal};
use crate::delivery::Message;
use crate::expression::logs::SUBJECT;
use crate::expression::option::CompileError;
use crate::expression::{Evaluator, Program};
use crate::options::Problem;
use crate::pipeline::component::{Plan, PrepareTransform, Transform, TransformFactory};
use crate::pipeline::outlet::Ports;
use crate::pipeline::{Descriptor, Outputs, PrepareError, PreparedTransform, TransformPlan};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "steps",
    summary: "Parses, edits, redacts and filters records, one step after another.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Every kind of step.
pub const STEPS: &[&StepKind] = &[
    &parse_json::KIND,
    &parse_regex::KIND,
    &set::KIND,
    &rename::KIND,
    &delete::KIND,
    &keep::KIND,
    &drop::KIND,
    &redact::KIND,
];

/// Options of the transform `steps`.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// What is done to each record, in this order. Each entry has one step and may have an `if:`; the step
    /// `use: name` is replaced by the steps of that fragment.
    steps: Vec<StepEntry>,
}

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        let guards = self.steps.iter().filter_map(|entry| entry.guard.as_ref()?.problems(&SUBJECT));
        guards.chain(self.steps.iter().flat_map(|entry| entry.plan.problems(&SUBJECT))).collect()
    }
}

impl TransformPlan for Options {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        match signal {
            Signal::Logs => Ok(Outputs::One(signal)),
            other => {
                Err(format!("`steps` does not take {} yet; read them with another transform or a sink", other.name()))
            }
        }
    }

    fn interest(&self, names: &Names, downstream: &Interest) -> Result<Interest, PrepareError> {
        let list = self.compile(names).map_err(|error| PrepareError(error.to_string()))?;
        let mut interest = downstream.clone();
        for guarded in &list {
            guarded.interest(&mut interest);
        }
        Ok(interest)
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let names = &cx.common.names;
        let list = self.compile(names).map_err(|error| PrepareError(error.to_string()))?;
        let interest = self.interest(names, cx.downstream)?;
        Ok(PreparedTransform::Carries(Arc::new(Factory { worker: Worker::new(list, names, &interest) })))
    }
}

impl Options {
    fn compile(&self, names: &Names) -> Result<Vec<Guarded>, CompileError> {
        let guarded = self.steps.iter().map(|entry| {
            let guard = entry.guard.as_ref().map(|guard| guard.compile(&SUBJECT, names)).transpose()?;
            Ok(Guarded {
                reads: guard.clone(),
                guard: guard.map(Evaluator::new),
                step: entry.plan.prepare(&SUBJECT, names)?,
            })
        });
        guarded.collect()
    }
}

/// A step and its `if:`.
#[derive(Clone)]
struct Guarded {
    reads: Option<Program>,
    guard: Option<Evaluator>,
    step: Box<dyn Step>,
}

impl Guarded {
    fn interest(&self, interest: &mut Interest) {
        if let Some(program) = &self.reads {
            step::wants(interest, program);
        }
        self.step.interest(interest);
    }
}

struct Factory {
    worker: Worker,
}

impl TransformFactory for Factory {
    fn worker(&self) -> Box<dyn Transform> {
        Box::new(self.worker.clone())
    }
}

/// The steps of one worker.
#[derive(Clone)]
pub struct Worker {
    list: Vec<Guarded>,
    bench: Workbench,
    selected: Vec<u32>,
    chosen: Vec<u32>,
}

impl Worker {
    fn new(list: Vec<Guarded>, names: &Names, interest: &Interest) -> Self {
        Self { list, bench: Workbench::new(names, interest), selected: Vec::new(), chosen: Vec::new() }
    }

    /// Applies every step to the records it is meant for.
    fn apply(&mut self, batch: &mut LogBatch) {
        let Self { list, bench, selected, chosen } = self;
        let mut count = usize::MAX;
        for Guarded { guard, step, .. } in list {
            let now = batch.selection.count();
            if now == 0 {
                return;
            }
            if now != count {
                count = now;
                selected.clear();
                selected.extend(batch.selection.iter().map(|index| index as u32));
            }
            let records = match guard.as_mut().map(|guard| (guard.begin(&batch.resource), guard)) {
                None | Some((Some(true), _)) => &*selected,
                Some((Some(false), _)) => continue,
                Some((None, guard)) => {
                    chosen.clear();
                    chosen.extend(selected.iter().filter(|&&index| guard.holds(&batch.view(index as usize))));
                    &*chosen
                }
            };
            if !records.is_empty() {
                step.run(batch, records, bench);
            }
        }
    }
}

impl Transform for Worker {
    fn process(&mut self, mut message: Message, out: &mut Ports<'_>) {
        if let Batch::Logs(batch) = &mut message.batch {
            let before = batch.selection.count();
            self.apply(batch);
            let removed = before - batch.selection.count();
            out.filtered(&message, removed as u64);
            for (words, count) in self.bench.take_errors() {
                out.metrics().errors.inc_by(count - 1);
                out.metrics().error(words);
            }
        }
        out.push(0, message);
    }
}

#[cfg(test)]
mod tests;
