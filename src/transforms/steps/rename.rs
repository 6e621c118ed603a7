//! The step `rename`: moves a value to another name. Within one object only the key's bytes are replaced;
//! elsewhere the value is written anew.

use schemars::JsonSchema;

use super::RESOURCE_BY_SPAN;
use super::edit::Workbench;
use super::fields;
use super::series::{self, SeriesStep};
use super::spans::{self, SpanStep};
use super::step::{Step, StepKind, StepPlan, wants_value};
use super::target::{Incoming, Place};
use crate::data::names::Interest;
use crate::data::{LogBatch, Names, Signal};
use crate::expression::option::CompileError;
use crate::expression::{Operand, PathOption, Subject};
use crate::options::Problem;

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "rename",
    summary: "Moves a value from one attribute, or the body, to another; of metrics, from one label to another; of spans also from one attribute of the resource to another.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// What was under the new name before is replaced. Where there is no value, nothing changes.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The old name: `attributes["msg"]` or `body`; of metrics `labels["pod"]`.
    from: PathOption,
    /// The new name: `attributes["message"]` or `body`; of metrics `labels["instance"]`.
    to: PathOption,
}

impl StepPlan for Options {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        let problems: Vec<_> =
            [&self.from, &self.to].into_iter().filter_map(|path| fields::problem(path, subject)).collect();
        if subject.signal == Signal::Traces && problems.is_empty() {
            let of_resource = |path| fields::is_of_resource(path);
            if of_resource(&self.from) != of_resource(&self.to) {
                let message = "a value is moved between a span and its resource";
                let help = "copy it with `set`, or name two attributes of one of them";
                return vec![Problem::new(RESOURCE_BY_SPAN, self.to.span(), message).help(help)];
            }
        }
        problems
    }

    fn takes(&self, signal: Signal) -> bool {
        matches!(signal, Signal::Logs | Signal::Metrics | Signal::Traces)
    }

    fn on_series(&self, _: &Names) -> Option<Result<SeriesStep, CompileError>> {
        let both = series::label(&self.from).and_then(|from| Ok((from, series::label(&self.to)?)));
        Some(both.map(|(from, to)| SeriesStep::Rename { from, to }))
    }

    fn on_spans(&self, _: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        Some(spans::edits::rename(&self.from, &self.to))
    }

    fn edits_resource(&self) -> bool {
        fields::is_of_resource(&self.from)
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        let (from, to) = (fields::place(&self.from, subject, names)?, fields::place(&self.to, subject, names)?);
        let value = Operand::new(&self.from.editable(subject)?, names)?;
        Ok(Box::new(Prepared { from, to, value, incoming: Vec::new() }))
    }
}

#[derive(Clone)]
struct Prepared {
    from: Place,
    to: Place,
    value: Operand,
    incoming: Vec<(u32, Incoming)>,
}

impl Prepared {
    /// Replaces keys in place where both names are of one object; `None` where they are not.
    fn in_place(&self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench) -> Option<()> {
        let (Place::Attribute(from), Place::Attribute(to)) = (&self.from, &self.to) else { return None };
        let (old, new) = (&from.path.keys, &to.path.keys);
        if from.path.id == to.path.id {
            return Some(());
        }
        if old.len() != new.len() || old[..old.len() - 1] != new[..new.len() - 1] {
            return None;
        }
        // A nested value may be outside the object, where it has no key of its own to replace.
        if old.len() > 1 && records.iter().any(|&record| !batch.view(record as usize).attributes().is_empty()) {
            return None;
        }
        let (from, to) = (from.bind(bench), to.bind(bench));
        let (overlay, payload) = batch.edit();
        for &record in records {
            from.rename(&to, overlay, payload, bench, record);
        }
        Some(())
    }
}

impl Step for Prepared {
    fn interest(&self, interest: &mut Interest) {
        wants_value(interest, &self.value);
        self.to.interest(interest);
    }

    fn run(&mut self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench) {
        bench.begin(batch);
        if self.in_place(batch, records, bench).is_none() {
            self.incoming.clear();
            for &record in records {
                let value = self.value.read(&batch.view(record as usize));
                self.incoming.extend(self.to.ready(value, bench).map(|value| (record, value)));
            }
            self.from.clear(batch, bench, self.incoming.iter().map(|&(record, _)| record));
            // A deletion inside a located member is settled before the value goes elsewhere.
            bench.finish(batch);
            bench.begin(batch);
            self.to.write(batch, bench, self.incoming.iter().copied());
        }
        bench.finish(batch);
    }

    fn copy(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}
