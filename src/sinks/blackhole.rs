//! The sink `blackhole`: takes everything, keeps nothing and says that it was delivered. It shows what a
//! pipeline can do without a destination, and ends a branch that nobody needs.

use schemars::JsonSchema;

use crate::data::Signal;
use crate::delivery::Outcome;
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task, TaskError};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SinkPlan> = Descriptor {
    name: "blackhole",
    summary: "Takes everything, keeps nothing and reports it as delivered.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Options of the sink `blackhole`: none.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Options {}

impl Plan for Options {}

impl SinkPlan for Options {
    fn accepts(&self, _signal: Signal) -> bool {
        true
    }

    fn is_destination(&self) -> bool {
        false
    }

    fn prepare(&self, _cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        Ok(Box::new(Blackhole))
    }
}

struct Blackhole;

impl Sink for Blackhole {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(swallow(cx))
    }
}

async fn swallow(mut cx: SinkContext) -> Result<(), TaskError> {
    loop {
        let message = tokio::select! {
            biased;
            () = cx.shutdown.cancelled() => return Ok(()),
            message = cx.input.recv() => message,
        };
        let Some(message) = message else { return Ok(()) };
        let records = message.batch.count() as u64;
        cx.metrics.count_in(&message.batch);
        cx.metrics.records_out.inc_by(records);
        message.ack.settle(Outcome::Delivered, records);
    }
}
