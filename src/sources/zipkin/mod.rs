//! The source `zipkin`: takes what Zipkin's tracers send by its API 1.0 (<https://zipkin.io/zipkin-api/>): v2 in JSON
//! and Protocol Buffers, v1 in JSON.
//!
//! Spans become a request of OTLP and are spans like any other from there on. A request is answered by what becomes of
//! it ([`pushed`](crate::pipeline::pushed)): 202 once a destination has it. What is wrong with one span costs that span.

mod options;
mod receive;

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;

use crate::data::{MemoryBudget, Signal};
use crate::kubernetes::Pods;
use crate::net::http_server::{BodyLimits, Server};
use crate::options::{Identity, Listen, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareContext, Source};
use crate::pipeline::pushed::Intake;
use crate::pipeline::{Descriptor, Outputs, PrepareError, Senders, SourceContext, SourcePlan, Task, TaskError};
use options::Options;
use receive::Receiver;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SourcePlan> = Descriptor {
    name: "zipkin",
    summary: "Receives spans by Zipkin's API, v2 in JSON and Protocol Buffers and v1 in JSON.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Where it listens unless told.
const LISTEN: Listen = Listen::loopback(9411);

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
        Outputs::One(Signal::Traces)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Zipkin {
            options: self.clone(),
            memory: cx.memory.clone(),
            identity: cx.identity.clone(),
            pods: cx.pods.clone(),
        }))
    }
}

struct Zipkin {
    options: Options,
    memory: Arc<MemoryBudget>,
    identity: Arc<Identity>,
    pods: Arc<Pods>,
}

impl Source for Zipkin {
    fn start(self: Box<Self>, cx: SourceContext) -> Task {
        cx.metrics.health.set_lacks_port(self.options.shared.address(LISTEN).is_some());
        Box::pin(self.run(cx))
    }
}

impl Zipkin {
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), TaskError> {
        let Some(address) = self.options.shared.address(LISTEN) else {
            cx.shutdown.cancelled().await;
            return Ok(());
        };
        let senders = Arc::new(Senders::start(&self.identity, self.options.own.kubernetes, &self.pods));
        let outlet = cx.outlets.into_iter().next().ok_or_else(|| TaskError("it has no output".into()))?;
        let receiver = Receiver {
            intake: Intake::new(outlet, cx.metrics.clone()),
            memory: self.memory.share(Signal::Traces),
            senders: senders.clone(),
            metrics: cx.metrics.clone(),
            limits: BodyLimits::new(&self.options.shared),
            answer_within: self.options.own.answer_within.0,
        };
        let server = Server::receive(address, &cx.id.0, &self.options.shared, receiver.router()).await;
        let server = server.map_err(|error| TaskError(error.to_string()))?;
        cx.metrics.health.set_lacks_port(false);
        tracing::info!(component = %cx.id, address = %server.address(), "listens");
        tokio::select! {
            () = cx.shutdown.cancelled() => {}
            () = senders.tell(&cx.metrics) => {}
        }
        server.stop().await;
        Ok(())
    }
}
