//! The step `keep`: takes the records out for which a condition does not hold.

use schemars::JsonSchema;

use super::drop::Filter;
use super::series::SeriesStep;
use super::spans::{self, SpanStep};
use super::step::{Step, StepKind, StepPlan};
use crate::data::{Names, Signal};
use crate::expression::option::CompileError;
use crate::expression::{Condition, Subject, metrics, traces};
use crate::options::Problem;

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "keep",
    summary: "Keeps only the records, the samples or the spans, for which the condition holds.",
    plan: |options| Ok(Box::new(Keep(erased_serde::deserialize(options)?))),
    schema: |generator| Condition::json_schema(generator),
};

#[derive(Debug)]
struct Keep(Condition);

impl StepPlan for Keep {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        self.0.problems(subject).into_iter().collect()
    }

    fn takes(&self, signal: Signal) -> bool {
        matches!(signal, Signal::Logs | Signal::Metrics | Signal::Traces)
    }

    fn on_series(&self, names: &Names) -> Option<Result<SeriesStep, CompileError>> {
        Some(self.0.compile(&metrics::SUBJECT, names).map(|program| SeriesStep::filter(program, false)))
    }

    fn on_spans(&self, names: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        Some(self.0.compile(&traces::SUBJECT, names).map(|program| spans::Filter::boxed(program, false)))
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        Ok(Box::new(Filter::new(self.0.compile(subject, names)?, false)))
    }
}
