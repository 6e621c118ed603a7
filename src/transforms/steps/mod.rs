//! The transform `steps`: a list of small edits and filters, applied to whole batches one after another. What
//! it does to metrics is in [`series`], to spans in [`spans`].
//!
//! A step is one file here and one line in [`STEPS`]. Its options are a [`step::StepPlan`]; prepared, it
//! is a [`step::Step`] that is handed the records its `if:` holds for. Steps never touch payload: they
//! write the batch's overlay through the [`edit::Workbench`] and take records out of its selection.

pub mod delete;
pub mod drop;
pub mod edit;
pub mod fields;
pub mod hash;
pub mod insert;
pub mod keep;
pub mod list;
pub mod parse_json;
pub mod parse_regex;
pub mod redact;
pub mod rename;
pub mod sample;
pub mod series;
pub mod set;
pub mod spans;
pub mod step;
pub mod target;
pub mod truncate;

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
use crate::expression::{metrics, traces};
use crate::options::{Code, Problem};
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
    &hash::KIND,
    &truncate::KIND,
    &sample::KIND,
];

/// Options of the transform `steps`.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// What is done to each record, in this order. Each entry has one step and may have an `if:`; the step
    /// `use: name` is replaced by the steps of that fragment.
    steps: Vec<StepEntry>,
}

/// A step that the signal does not have.
pub const NOT_THIS_SIGNAL: Code = Code("TW0440");

/// An edit that would depend on a sample's value.
pub const EDIT_BY_VALUE: Code = Code("TW0441");

/// An edit of a resource that would depend on one of its spans.
pub const RESOURCE_BY_SPAN: Code = Code("TW0442");

impl Plan for Options {}

impl TransformPlan for Options {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        match signal {
            Signal::Logs | Signal::Metrics | Signal::Traces => Ok(Outputs::One(signal)),
        }
    }

    fn problems_with(&self, signal: Option<Signal>) -> Vec<Problem> {
        match signal {
            Some(signal) => self.problems_of(signal),
            // What feeds it is wrong itself: only what is wrong for every signal is told.
            None => {
                let signals = [Signal::Logs, Signal::Metrics, Signal::Traces];
                signals.map(|signal| self.problems_of(signal)).into_iter().min_by_key(Vec::len).unwrap_or_default()
            }
        }
    }

    fn interest(&self, signal: Signal, names: &Names, downstream: &Interest) -> Result<Interest, PrepareError> {
        if signal != Signal::Logs {
            return Ok(downstream.clone());
        }
        let list = self.compile(names).map_err(|error| PrepareError(error.to_string()))?;
        let mut interest = downstream.clone();
        for guarded in &list {
            guarded.interest(&mut interest);
        }
        Ok(interest)
    }

    fn redacts(&self) -> bool {
        self.steps.iter().any(|step| step.name == redact::KIND.name)
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let names = &cx.common.names;
        if cx.signal == Signal::Metrics {
            let steps = self.compile_series(names).map_err(|error| PrepareError(error.to_string()))?;
            return Ok(PreparedTransform::Carries(Arc::new(series::Factory::new(steps, cx.common.series.clone()))));
        }
        if cx.signal == Signal::Traces {
            let steps = self.compile_spans(names).map_err(|error| PrepareError(error.to_string()))?;
            return Ok(PreparedTransform::Carries(Arc::new(spans::Worker::new(steps))));
        }
        let list = self.compile(names).map_err(|error| PrepareError(error.to_string()))?;
        let interest = self.interest(cx.signal, names, cx.downstream)?;
        Ok(PreparedTransform::Carries(Arc::new(Factory { worker: Worker::new(list, names, &interest) })))
    }
}

impl Options {
    fn problems_of(&self, signal: Signal) -> Vec<Problem> {
        let subject = match signal {
            Signal::Logs => &SUBJECT,
            Signal::Metrics => &metrics::SUBJECT,
            Signal::Traces => &traces::SUBJECT,
        };
        let mut problems = Vec::new();
        for entry in &self.steps {
            if !entry.plan.takes(signal) {
                let message = format!("{} have no step `{}`", signal.name(), entry.name);
                let help = match signal {
                    Signal::Logs => "it is for traces",
                    Signal::Metrics => "steps on metrics are `set`, `rename`, `delete`, `keep` and `drop`",
                    Signal::Traces => "`parse_json` and `parse_regex` read the text of a log record",
                };
                problems.push(Problem::new(NOT_THIS_SIGNAL, entry.span, message).help(help));
                continue;
            }
            problems.extend(entry.guard.as_ref().and_then(|guard| guard.problems(subject)));
            problems.extend(entry.plan.problems(subject));
            let edits = !matches!(entry.name, "keep" | "drop");
            if let Some(guard) = entry.guard.as_ref().filter(|guard| edits && guard.reads(subject, metrics::VALUE)) {
                let message =
                    format!("`{}` cannot depend on `value`: a series has one name, whatever its value", entry.name);
                let help = "ask for the name or for labels; `keep` and `drop` may ask for the value";
                problems.push(Problem::new(EDIT_BY_VALUE, guard.span(), message).help(help));
            }
            if signal == Signal::Traces
                && entry.plan.edits_resource()
                && let Some(guard) = entry.guard.as_ref().filter(|guard| !guard.is_settled(subject))
            {
                let message = format!(
                    "`{}` edits the resource, and cannot depend on a span: it is one for all of them",
                    entry.name
                );
                let help = "ask only for `resource[\"key\"]`, or edit an attribute of the span";
                problems.push(Problem::new(RESOURCE_BY_SPAN, guard.span(), message).help(help));
            }
        }
        problems
    }

    fn compile_spans(&self, names: &Names) -> Result<Vec<spans::Guarded>, CompileError> {
        let guarded = self.steps.iter().filter_map(|entry| {
            let step = entry.plan.on_spans(names)?;
            let guard = entry.guard.as_ref().map(|guard| guard.compile(&traces::SUBJECT, names)).transpose();
            Some(step.and_then(|step| Ok(spans::Guarded::new(guard?, step))))
        });
        guarded.collect()
    }

    fn compile_series(&self, names: &Names) -> Result<Vec<series::Guarded>, CompileError> {
        let guarded = self.steps.iter().filter_map(|entry| {
            let step = entry.plan.on_series(names)?;
            let guard = entry.guard.as_ref().map(|guard| guard.compile(&metrics::SUBJECT, names)).transpose();
            Some(step.and_then(|step| Ok(series::Guarded::new(guard?, step))))
        });
        guarded.collect()
    }

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
