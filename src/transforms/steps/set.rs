//! The step `set`: gives a field a value.

use schemars::JsonSchema;

use super::RESOURCE_BY_SPAN;
use super::edit::Workbench;
use super::series::SeriesStep;
use super::spans::{self, SpanStep};
use super::step::{Step, StepKind, StepPlan, wants_value};
use super::target::{Incoming, Place};
use crate::data::names::Interest;
use crate::data::{LogBatch, Names, Signal};
use crate::expression::check::CheckedTerm;
use crate::expression::option::CompileError;
use crate::expression::{Assignment, Operand, Subject, metrics, traces};
use crate::options::Problem;

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "set",
    summary: "Sets an attribute, the body or the severity; of metrics, the name or a label; of spans, the name, the status code, an attribute or one of the resource. A value that is missing changes nothing.",
    plan: |options| Ok(Box::new(Set(erased_serde::deserialize(options)?))),
    schema: |generator| Assignment::json_schema(generator),
};

#[derive(Debug)]
struct Set(Assignment);

impl StepPlan for Set {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        if let Some(problem) = self.0.problems(subject) {
            return vec![problem];
        }
        match self.0.checked(subject) {
            Ok((CheckedTerm::Resource(_), value)) if !value.is_settled() => {
                let message = "an attribute of the resource is set to what each span has for itself";
                let help = "a resource is one for all its spans: set it to a constant or to another of its attributes";
                vec![Problem::new(RESOURCE_BY_SPAN, self.0.span(), message).help(help)]
            }
            _ => Vec::new(),
        }
    }

    fn takes(&self, signal: Signal) -> bool {
        matches!(signal, Signal::Logs | Signal::Metrics | Signal::Traces)
    }

    fn on_series(&self, names: &Names) -> Option<Result<SeriesStep, CompileError>> {
        Some(self.0.compile(&metrics::SUBJECT, names).map(|(target, value)| SeriesStep::set(&target, value)))
    }

    fn on_spans(&self, names: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        Some(spans::edits::set(&self.0, names))
    }

    fn edits_resource(&self) -> bool {
        self.0.checked(&traces::SUBJECT).is_ok_and(|(target, _)| matches!(target, CheckedTerm::Resource(_)))
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        let (target, value) = self.0.compile(subject, names)?;
        let place = Place::of(target).expect("the checker lets only fields be set that have a place");
        Ok(Box::new(Prepared { place, value, incoming: Vec::new() }))
    }
}

#[derive(Clone)]
struct Prepared {
    place: Place,
    value: Operand,
    incoming: Vec<(u32, Incoming)>,
}

impl Step for Prepared {
    fn interest(&self, interest: &mut Interest) {
        self.place.interest(interest);
        wants_value(interest, &self.value);
    }

    fn run(&mut self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench) {
        bench.begin(batch);
        if self.value.is_settled() {
            // One value for the whole batch: encoded once, named by every record.
            let value = self.value.read(&batch.view(records[0] as usize));
            if let Some(value) = self.place.ready(value, bench) {
                self.place.write(batch, bench, records.iter().map(|&record| (record, value)));
            }
        } else {
            self.incoming.clear();
            for &record in records {
                let value = self.value.read(&batch.view(record as usize));
                self.incoming.extend(self.place.ready(value, bench).map(|value| (record, value)));
            }
            if !self.incoming.is_empty() {
                self.place.write(batch, bench, self.incoming.iter().copied());
            }
        }
        bench.finish(batch);
    }

    fn copy(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}
