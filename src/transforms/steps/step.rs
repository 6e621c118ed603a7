//! What a step is.

use schemars::{Schema, SchemaGenerator};

use super::edit::Workbench;
use super::series::SeriesStep;
use super::spans::SpanStep;
use crate::data::names::Interest;
use crate::data::{LogBatch, Names, Signal};
use crate::expression::option::CompileError;
use crate::expression::{Operand, Program, Subject};
use crate::options::Problem;

/// How the list of steps knows a kind: one constant beside each implementation.
pub struct StepKind {
    /// Its key in the configuration.
    pub name: &'static str,
    /// One sentence for the reference.
    pub summary: &'static str,
    /// Reads its options.
    pub plan: fn(&mut dyn erased_serde::Deserializer<'_>) -> Planned,
    /// The JSON Schema of its options.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// A step's options, read.
pub type Planned = Result<Box<dyn StepPlan>, erased_serde::Error>;

/// A step's options.
pub trait StepPlan: Send + Sync + std::fmt::Debug {
    /// Everything that is wrong with them beyond their shape, for records of `subject`'s signal.
    fn problems(&self, subject: &Subject) -> Vec<Problem>;

    /// Whether there is such a step for this signal.
    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Logs
    }

    /// What the step does to metric series, where it takes metrics.
    fn on_series(&self, _names: &Names) -> Option<Result<SeriesStep, CompileError>> {
        None
    }

    /// What the step does to spans, where it takes traces.
    fn on_spans(&self, _names: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        None
    }

    /// Whether it edits the resource of spans, which has one value for all of them.
    fn edits_resource(&self) -> bool {
        false
    }

    /// Prepares the step to run on logs.
    fn prepare(&self, _subject: &Subject, _names: &Names) -> Result<Box<dyn Step>, CompileError> {
        Err(CompileError::Signal)
    }
}

/// A step ready to run; each worker has a copy of its own.
pub trait Step: Send + Sync {
    /// Adds what must be located for the step.
    fn interest(&self, interest: &mut Interest);

    /// Does its work on `records` of the batch: indices of selected records, ascending.
    fn run(&mut self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench);

    /// A copy for another worker.
    fn copy(&self) -> Box<dyn Step>;
}

impl Clone for Box<dyn Step> {
    fn clone(&self) -> Self {
        (**self).copy()
    }
}

/// Adds what a condition reads.
pub fn wants(interest: &mut Interest, program: &Program) {
    interest.merge(&Interest {
        paths: program.paths().to_vec(),
        reserved: Vec::new(),
        severity: program.reads_severity(),
    });
}

/// Adds what a value reads.
pub fn wants_value(interest: &mut Interest, operand: &Operand) {
    let paths = operand.path().into_iter().collect();
    interest.merge(&Interest { paths, reserved: Vec::new(), severity: operand.reads_severity() });
}

/// What happens to a record that a parser cannot read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It stays as it was.
    #[default]
    Keep,
    /// It is dropped, and counted as filtered.
    Drop,
}
