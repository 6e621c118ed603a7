//! The step `sample`: keeps a share of all traces, the same traces wherever it is asked.

use schemars::JsonSchema;
use serde::de::Error as _;

use super::spans::SpanStep;
use super::spans::desk::Desk;
use super::step::{StepKind, StepPlan};
use crate::data::{Names, Signal};
use crate::expression::option::CompileError;
use crate::expression::{Condition, Evaluator, Subject, traces};
use crate::formats::otlp::patch::set_text;
use crate::formats::otlp::span::TRACE_STATE;
use crate::formats::trace_state::{Sampling, Threshold, randomness, write};
use crate::options::Problem;

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "sample",
    summary: "Keeps a share of the traces by their ids, by OpenTelemetry's consistent probability sampling.",
    plan: |options| {
        let options = erased_serde::deserialize::<Options>(options)?;
        if !(options.percent > 0.0 && options.percent <= 100.0) {
            let words = format!("`percent: {}` is no share: write a number above 0, at most 100", options.percent);
            return Err(erased_serde::Error::custom(words));
        }
        Ok(Box::new(options))
    },
    schema: |generator| Options::json_schema(generator),
};

/// All spans of a trace are kept or none, by every agent and SDK that samples so: those of 10 % are among those of 20 %.
/// What is kept says so in its `tracestate` (`ot=th:…`), by which a receiver knows how many spans it stands for. A span
/// that was sampled before is only thinned further, to the smaller of the two shares.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The share that is kept: a number above 0, at most 100.
    percent: f64,
    /// Spans for which one of these conditions holds are always kept, and stay as they are: they stand for nothing but
    /// what they stood for before.
    #[serde(default)]
    keep_if: Vec<Condition>,
}

impl StepPlan for Options {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        self.keep_if.iter().filter_map(|condition| condition.problems(subject)).collect()
    }

    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Traces
    }

    fn on_spans(&self, names: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        let compile = |condition: &Condition| condition.compile(&traces::SUBJECT, names);
        let conditions = self.keep_if.iter().map(compile).collect::<Result<Vec<_>, _>>();
        Some(conditions.map(|conditions| {
            let reads_resource = conditions.iter().any(|condition| condition.reads_resource());
            let keep_if = conditions.into_iter().map(Evaluator::new).collect();
            let threshold = Threshold::of_percent(self.percent);
            Box::new(Sample { threshold, keep_if, reads_resource, state: Vec::new() }) as Box<dyn SpanStep>
        }))
    }
}

#[derive(Clone)]
struct Sample {
    threshold: Threshold,
    keep_if: Vec<Evaluator>,
    reads_resource: bool,
    state: Vec<u8>,
}

impl SpanStep for Sample {
    fn reads_resource(&self) -> bool {
        self.reads_resource
    }

    fn run(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.keep_if.iter_mut().any(|condition| desk.holds(condition)) {
            return true;
        }
        let state = desk.view().message.trace_state();
        let sampling = Sampling::of(state);
        let random = sampling.randomness.unwrap_or_else(|| randomness(&desk.entry.trace_id));
        if !self.threshold.passes(random) {
            return false;
        }
        // One that the span cannot have passed says nothing.
        let passed = sampling.threshold.filter(|passed| passed.passes(random));
        if passed.is_some_and(|passed| passed >= self.threshold) || self.threshold.passes_all() {
            return true;
        }
        self.state.clear();
        write(state, self.threshold, &mut self.state);
        desk.edit(|message, out| set_text(message, TRACE_STATE, &self.state, out));
        true
    }

    fn copy(&self) -> Box<dyn SpanStep> {
        Box::new(self.clone())
    }
}
