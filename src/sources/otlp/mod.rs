//! The source `otlp`: takes what OpenTelemetry's SDKs and collectors send by OTLP 1.10
//! (<https://opentelemetry.io/docs/specs/otlp/>), over gRPC and over HTTP.
//!
//! A request is answered by what becomes of it ([`pushed`](crate::pipeline::pushed)): a success once a destination has
//! it, a `partial_success` that counts what is refused for good, and else an answer that makes the sender bring it
//! again.

mod grpc;
mod http;
mod options;
mod points;
mod receive;
mod resources;

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use tokio_util::sync::CancellationToken;

use crate::data::{MemoryBudget, Resource, SeriesTable, Signal};
use crate::kubernetes::Pods;
use crate::net::http_server::{BodyLimits, Server};
use crate::options::{HttpServerOptions, Identity, Listen, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareContext, Source};
use crate::pipeline::{Descriptor, Outputs, PrepareError, Senders, SourceContext, SourcePlan, Task, TaskError};
use options::Options;
use points::Points;
use receive::Receiver;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SourcePlan> = Descriptor {
    name: "otlp",
    summary: "Receives logs, metrics and traces by OTLP over gRPC and HTTP.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Where gRPC listens unless told.
const GRPC: Listen = Listen::loopback(4317);

/// Where HTTP listens unless told.
const HTTP: Listen = Listen::loopback(4318);

/// The outputs, in the order of [`Receiver`]'s outlets.
const OUTPUTS: [Signal; 3] = [Signal::Logs, Signal::Metrics, Signal::Traces];

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        options::problems(self)
    }

    fn listeners(&self) -> Vec<Spanned<SocketAddr>> {
        self.grpc.listener(GRPC).into_iter().chain(self.http.listener(HTTP)).collect()
    }
}

impl SourcePlan for Options {
    fn outputs(&self) -> Outputs {
        Outputs::Named(OUTPUTS.map(|signal| (signal.name().into(), signal)).into())
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Otlp {
            options: self.clone(),
            memory: cx.memory.clone(),
            identity: cx.identity.clone(),
            pods: cx.pods.clone(),
            series: cx.series.clone(),
            resource: Arc::new(cx.identify(&Resource::default())),
        }))
    }
}

struct Otlp {
    options: Options,
    memory: Arc<MemoryBudget>,
    identity: Arc<Identity>,
    pods: Arc<Pods>,
    series: Arc<SeriesTable>,
    /// What samples are about beside their labels.
    resource: Arc<Resource>,
}

impl Source for Otlp {
    fn start(self: Box<Self>, cx: SourceContext) -> Task {
        let Options { grpc, http, .. } = &self.options;
        cx.metrics.health.set_lacks_port(grpc.address(GRPC).or(http.address(HTTP)).is_some());
        Box::pin(self.run(cx))
    }
}

impl Otlp {
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), TaskError> {
        let senders = Arc::new(Senders::start(&self.identity, self.options.kubernetes, &self.pods));
        let receiver = {
            let points = Points::new(self.series, self.resource);
            let metrics = cx.metrics.clone();
            Receiver::new(&self.options, &self.memory, senders.clone(), points, cx.outlets, metrics)
        };
        let (grpc, http) = (&self.options.grpc, &self.options.http);
        // Each has limits of its own, so each has a receiver.
        let over_grpc = grpc::router(receiver.clone(), BodyLimits::new(grpc));
        let over_http = http::router(receiver, BodyLimits::new(http));
        let mut servers = Vec::new();
        for (options, default, section, router) in [(grpc, GRPC, "grpc", over_grpc), (http, HTTP, "http", over_http)] {
            servers.extend(listen(options, default, section, router).await?.inspect(|server| {
                tracing::info!(component = %cx.id, protocol = section, address = %server.address(), "listens");
            }));
        }
        cx.metrics.health.set_lacks_port(false);
        tokio::select! {
            () = serve(servers, cx.shutdown) => {}
            () = senders.tell(&cx.metrics) => {}
        }
        Ok(())
    }
}

async fn listen(
    options: &HttpServerOptions,
    default: Listen,
    section: &'static str,
    router: axum::Router,
) -> Result<Option<Server>, TaskError> {
    let Some(address) = options.address(default) else { return Ok(None) };
    let server = Server::receive(address, section, options, router).await;
    server.map(Some).map_err(|error| TaskError(error.to_string()))
}

async fn serve(servers: Vec<Server>, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    futures_util::future::join_all(servers.into_iter().map(Server::stop)).await;
}
