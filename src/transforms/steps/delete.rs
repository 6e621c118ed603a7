//! The step `delete`: removes attributes, or empties the body.

use schemars::JsonSchema;

use super::edit::Workbench;
use super::fields::Fields;
use super::series::{self, SeriesStep};
use super::spans::{self, SpanStep};
use super::step::{Step, StepKind, StepPlan};
use super::target::Place;
use crate::data::names::Interest;
use crate::data::{LogBatch, Names, Signal, Slice};
use crate::expression::Subject;
use crate::expression::option::CompileError;
use crate::options::Problem;

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "delete",
    summary: "Deletes attributes, every occurrence of each, or the body; of metrics, labels; of spans also attributes of the resource.",
    plan: |options| Ok(Box::new(Delete(erased_serde::deserialize(options)?))),
    schema: |generator| Fields::json_schema(generator),
};

#[derive(Debug)]
struct Delete(Fields);

impl StepPlan for Delete {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        self.0.problems(subject)
    }

    fn takes(&self, signal: Signal) -> bool {
        matches!(signal, Signal::Logs | Signal::Metrics | Signal::Traces)
    }

    fn on_series(&self, _: &Names) -> Option<Result<SeriesStep, CompileError>> {
        Some(self.0.0.iter().map(series::label).collect::<Result<_, _>>().map(SeriesStep::Delete))
    }

    fn on_spans(&self, _: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        Some(self.0.on_spans().map(spans::edits::delete))
    }

    fn edits_resource(&self) -> bool {
        self.0.name_a_resource()
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        Ok(Box::new(Prepared(self.0.places(subject, names)?)))
    }
}

#[derive(Clone)]
struct Prepared(Vec<Place>);

impl Step for Prepared {
    fn interest(&self, interest: &mut Interest) {
        self.0.iter().for_each(|place| place.interest(interest));
    }

    fn run(&mut self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench) {
        for place in &self.0 {
            bench.begin(batch);
            place.clear(batch, bench, records.iter().copied());
            bench.finish(batch);
        }
    }

    fn copy(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}

impl Place {
    /// Empties the place in each of the records.
    pub(super) fn clear(&self, batch: &mut LogBatch, bench: &mut Workbench, records: impl Iterator<Item = u32>) {
        let bound = if let Self::Attribute(target) = self { Some(target.bind(bench)) } else { None };
        let (overlay, payload) = batch.edit();
        for record in records {
            match &bound {
                Some(bound) => bound.delete(overlay, payload, bench, record),
                None => overlay.states[record as usize].body = Slice::EMPTY,
            }
        }
    }
}
