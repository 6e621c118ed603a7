//! The sink `prometheus_remote_write`: samples to whatever takes Prometheus remote write, 1.0 or 2.0.
//!
//! One task writes samples straight into the bodies of requests as they come (`gather`): each series belongs to
//! one shard by the hash of its labels, and each shard has one body that is open, few that wait, and one request
//! in flight, so the samples of a series stay in order. A finished body keeps the batches that it was written
//! from (`parcel`), because what a receiver refuses is written again in parts (`delivery`).

mod answer;
mod delivery;
mod gather;
mod options;
mod parcel;
mod pool;
mod shards;
mod shared;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;

use crate::data::Signal;
use crate::options::{Identity, Problem};
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::graph::Buffer;
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task};
use options::Options;
use shared::Server;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SinkPlan> = Descriptor {
    name: "prometheus_remote_write",
    summary: "Sends metric samples by Prometheus remote write, 1.0 or 2.0.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        options::problems(self)
    }
}

impl SinkPlan for Options {
    fn accepts(&self, signal: Signal) -> bool {
        signal == Signal::Metrics
    }

    /// An outage of the receiver loses nothing within this, also where the agent is killed in it.
    fn default_buffer(&self) -> Buffer {
        Buffer::on_disk(2 << 30)
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        let server = Server::new(self).map_err(PrepareError)?;
        let identity = cx.identity.clone();
        Ok(Box::new(RemoteWrite { options: self.clone(), server, identity }))
    }
}

struct RemoteWrite {
    options: Options,
    server: Server,
    identity: Arc<Identity>,
}

impl Sink for RemoteWrite {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(gather::run(*self, cx))
    }
}
