//! The source `prometheus_remote_write`: takes samples from Prometheus and whatever else sends remote write, 1.0
//! and 2.0.
//!
//! A sender keeps what was not taken and sends it again, so a request is answered by what became of its samples:
//! taken once a destination has them, to be sent again where none has them in time. What is wrong with one series
//! costs that series.

mod answer;
mod handler;
mod options;
mod take;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;

use crate::data::{MemoryBudget, Resource, SeriesTable, Signal};
use crate::net::http_server::{BodyLimits, Server};
use crate::options::{Listen, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareContext, Source};
use crate::pipeline::pushed::Intake;
use crate::pipeline::{Descriptor, Outputs, PrepareError, SourceContext, SourcePlan, Task, TaskError};
use handler::Receiver;
use options::Options;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SourcePlan> = Descriptor {
    name: "prometheus_remote_write",
    summary: "Receives metric samples by Prometheus remote write, 1.0 and 2.0.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Where it listens unless told.
const LISTEN: Listen = Listen::loopback(9201);

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        options::problems(self)
    }

    fn listeners(&self) -> Vec<Spanned<SocketAddr>> {
        self.shared.listener(LISTEN).into_iter().collect()
    }
}

impl SourcePlan for Options {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Metrics)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(RemoteWrite {
            options: self.clone(),
            table: cx.series.clone(),
            memory: cx.memory.clone(),
            resource: Arc::new(cx.identify(&Resource::default())),
        }))
    }
}

struct RemoteWrite {
    options: Options,
    table: Arc<SeriesTable>,
    memory: Arc<MemoryBudget>,
    resource: Arc<Resource>,
}

impl Source for RemoteWrite {
    fn start(self: Box<Self>, cx: SourceContext) -> Task {
        cx.metrics.health.set_lacks_port(self.options.shared.address(LISTEN).is_some());
        Box::pin(self.run(cx))
    }
}

impl RemoteWrite {
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), TaskError> {
        let own = &self.options.own;
        let Some(address) = self.options.shared.address(LISTEN) else {
            cx.shutdown.cancelled().await;
            return Ok(());
        };
        let outlet = cx.outlets.into_iter().next().ok_or_else(|| TaskError("it has no output".into()))?;
        let receiver = Receiver {
            intake: Intake::new(outlet, cx.metrics.clone()),
            table: self.table,
            memory: self.memory.share(Signal::Metrics),
            resource: self.resource,
            metrics: cx.metrics.clone(),
            limits: BodyLimits::new(&self.options.shared),
            labels: own.max_labels.value as usize,
            answer_within: own.answer_within.0,
            families: Arc::default(),
        };
        let router = receiver.router(&own.path);
        let server = Server::receive(address, &cx.id.0, &self.options.shared, router).await;
        let server = server.map_err(|error| TaskError(error.to_string()))?;
        cx.metrics.health.set_lacks_port(false);
        tracing::info!(component = %cx.id, address = %server.address(), "listens");
        cx.shutdown.cancelled().await;
        server.stop().await;
        Ok(())
    }
}
