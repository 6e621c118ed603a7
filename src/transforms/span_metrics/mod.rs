//! The transform `span_metrics`: how many spans there are and how long they took, by service, name, kind and status.
//!
//! It absorbs its input; how series are counted and emitted is [`aggregate`](crate::pipeline::aggregate)'s. A span that is
//! one of a sample counts for all that it stands for, so counters and buckets are floats: a rounded count would be wrong
//! for good, and what is stored and sent is a float anyway.

mod count;
mod options;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;

use self::count::Counting;
use self::options::Options;
use crate::data::names::Interest;
use crate::data::{Names, Signal};
use crate::options::Problem;
use crate::pipeline::aggregate::Aggregation;
use crate::pipeline::component::{Plan, PrepareTransform, TransformTask};
use crate::pipeline::{Descriptor, Outputs, PrepareError, PreparedTransform, Task, TaskContext, TransformPlan};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "span_metrics",
    summary: "Counts spans and their durations by service, name, kind and status.",
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
            Signal::Traces => Ok(Outputs::One(Signal::Metrics)),
            other => Err(format!("`span_metrics` counts spans, not {}", other.name())),
        }
    }

    fn interest(&self, _: Signal, _: &Names, _: &Interest) -> Result<Interest, PrepareError> {
        Ok(Interest::default())
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let common = cx.common;
        let aggregation = Aggregation::new(&self.metrics(), self.limits(), self.pace(), common);
        let task = SpanMetrics { counting: self.counting(), aggregation, workers: common.workers };
        Ok(PreparedTransform::Task(Box::new(task)))
    }
}

struct SpanMetrics {
    counting: Counting,
    aggregation: Aggregation,
    workers: usize,
}

impl TransformTask for SpanMetrics {
    fn absorbs(&self) -> bool {
        true
    }

    fn start(self: Box<Self>, cx: TaskContext) -> Task {
        let Self { counting, aggregation, workers } = *self;
        Box::pin(aggregation.run(vec![counting; workers.max(1)], cx))
    }
}
