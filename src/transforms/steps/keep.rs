//! The step `keep`: takes the records out for which a condition does not hold.

use schemars::JsonSchema;

use super::drop::Filter;
use super::step::{Step, StepKind, StepPlan};
use crate::data::Names;
use crate::expression::option::CompileError;
use crate::expression::{Condition, Subject};
use crate::options::Problem;

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "keep",
    summary: "Keeps only the records for which the condition holds.",
    plan: |options| Ok(Box::new(Keep(erased_serde::deserialize(options)?))),
    schema: |generator| Condition::json_schema(generator),
};

#[derive(Debug)]
struct Keep(Condition);

impl StepPlan for Keep {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        self.0.problems(subject).into_iter().collect()
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        Ok(Box::new(Filter::new(self.0.compile(subject, names)?, false)))
    }
}
