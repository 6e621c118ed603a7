//! The transform `log_metrics`: counters, gauges and histograms made of log records.
//!
//! It absorbs its input; how series are counted and emitted is [`aggregate`](crate::pipeline::aggregate)'s.

mod count;
mod example;
mod options;

use schemars::JsonSchema;

use self::count::Counting;
use self::options::Options;
use crate::data::names::Interest;
use crate::data::{Names, Signal};
use crate::options::{Problem, Span};
use crate::pipeline::aggregate::Aggregation;
use crate::pipeline::component::{Plan, PrepareTransform, TransformTask};
use crate::pipeline::{Descriptor, Outputs, PrepareError, PreparedTransform, Task, TaskContext, TransformPlan};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "log_metrics",
    summary: "Counts log records: counters, gauges and histograms, emitted at a steady pace.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        self.all_problems()
    }
}

impl TransformPlan for Options {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        match signal {
            Signal::Logs => Ok(Outputs::One(Signal::Metrics)),
            other => Err(format!("`log_metrics` counts logs, not {}", other.name())),
        }
    }

    fn interest(&self, _: Signal, names: &Names, _: &Interest) -> Result<Interest, PrepareError> {
        Ok(self.compile(names).map_err(|error| PrepareError(error.to_string()))?.interest())
    }

    fn shows_records(&self) -> Option<Span> {
        self.log_line()
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let common = cx.common;
        let counting = self.compile(&common.names).map_err(|error| PrepareError(error.to_string()))?;
        let aggregation = Aggregation::new(&counting.emitted(), self.limits(), self.pace(), common);
        Ok(PreparedTransform::Task(Box::new(LogMetrics { counting, aggregation, workers: common.workers })))
    }
}

struct LogMetrics {
    counting: Counting,
    aggregation: Aggregation,
    workers: usize,
}

impl TransformTask for LogMetrics {
    fn absorbs(&self) -> bool {
        true
    }

    fn start(self: Box<Self>, cx: TaskContext) -> Task {
        let Self { counting, aggregation, workers } = *self;
        Box::pin(aggregation.run(vec![counting; workers.max(1)], cx))
    }
}

#[cfg(test)]
mod tests;
