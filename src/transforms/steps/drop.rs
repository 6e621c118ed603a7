//! The step `drop`: takes the records out for which a condition holds.

use schemars::JsonSchema;

use super::edit::Workbench;
use super::series::SeriesStep;
use super::spans::{self, SpanStep};
use super::step::{Step, StepKind, StepPlan, wants};
use crate::data::names::Interest;
use crate::data::{LogBatch, Names, Signal};
use crate::expression::option::CompileError;
use crate::expression::{Condition, Evaluator, Program, Subject, metrics, traces};
use crate::options::Problem;

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "drop",
    summary: "Drops the records, the samples or the spans, for which the condition holds.",
    plan: |options| Ok(Box::new(Drop(erased_serde::deserialize(options)?))),
    schema: |generator| Condition::json_schema(generator),
};

#[derive(Debug)]
struct Drop(Condition);

impl StepPlan for Drop {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        self.0.problems(subject).into_iter().collect()
    }

    fn takes(&self, signal: Signal) -> bool {
        matches!(signal, Signal::Logs | Signal::Metrics | Signal::Traces)
    }

    fn on_series(&self, names: &Names) -> Option<Result<SeriesStep, CompileError>> {
        Some(self.0.compile(&metrics::SUBJECT, names).map(|program| SeriesStep::filter(program, true)))
    }

    fn on_spans(&self, names: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        Some(self.0.compile(&traces::SUBJECT, names).map(|program| spans::Filter::boxed(program, true)))
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        Ok(Box::new(Filter::new(self.0.compile(subject, names)?, true)))
    }
}

/// Takes out the records for which a condition holds, or those for which it does not.
#[derive(Clone)]
pub(super) struct Filter {
    program: Program,
    condition: Evaluator,
    unwanted: bool,
}

impl Filter {
    /// Takes out the records for which the condition's answer is `unwanted`.
    pub(super) fn new(program: Program, unwanted: bool) -> Self {
        Self { condition: Evaluator::new(program.clone()), program, unwanted }
    }
}

impl Step for Filter {
    fn interest(&self, interest: &mut Interest) {
        wants(interest, &self.program);
    }

    fn run(&mut self, batch: &mut LogBatch, records: &[u32], _: &mut Workbench) {
        let settled = self.condition.begin(&batch.resource);
        for &index in records {
            let holds = settled.unwrap_or_else(|| self.condition.holds(&batch.view(index as usize)));
            if holds == self.unwanted {
                batch.selection.remove(index as usize);
            }
        }
    }

    fn copy(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}
