//! The transform `service_graph`: which service calls which, how often, how long it takes and how often it fails.
//!
//! A call has two ends: the span of the client (or producer), and that of the server (or consumer) whose parent it is.
//! Whichever comes first waits for the other, by trace id and the client's span id, for a bounded time in bounded memory.
//! It absorbs its input: one worker pairs spans, so that both ends meet in one place; how series are counted and emitted is
//! [`aggregate`](crate::pipeline::aggregate)'s.

mod count;
mod options;
mod pending;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;

use self::count::Graph;
use self::options::Options;
use crate::data::names::Interest;
use crate::data::{Names, Signal};
use crate::options::Problem;
use crate::pipeline::aggregate::Aggregation;
use crate::pipeline::component::{Plan, PrepareTransform, TransformTask};
use crate::pipeline::{Descriptor, Outputs, PrepareError, PreparedTransform, Task, TaskContext, TransformPlan};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "service_graph",
    summary: "Counts calls between services: pairs the spans of clients and servers.",
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
            other => Err(format!("`service_graph` pairs spans, not {}", other.name())),
        }
    }

    fn interest(&self, _: Signal, _: &Names, _: &Interest) -> Result<Interest, PrepareError> {
        Ok(Interest::default())
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let aggregation = Aggregation::new(&self.metrics(), self.limits(), self.pace(), cx.common);
        Ok(PreparedTransform::Task(Box::new(ServiceGraph { graph: self.graph(), aggregation })))
    }
}

struct ServiceGraph {
    graph: Graph,
    aggregation: Aggregation,
}

impl TransformTask for ServiceGraph {
    fn absorbs(&self) -> bool {
        true
    }

    fn start(self: Box<Self>, cx: TaskContext) -> Task {
        let Self { graph, aggregation } = *self;
        Box::pin(aggregation.run(vec![graph], cx))
    }
}
