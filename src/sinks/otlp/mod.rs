//! The sinks `otlp` and `jaeger`: log records, samples and spans to whatever speaks OTLP 1.10 (<https://opentelemetry.io/docs/specs/otlp/>), over
//! gRPC or HTTP. Jaeger speaks it since version 1.35; its sink is the same one by another name, for spans alone.
//!
//! Messages are gathered into parcels; each is one task that writes a request, sends it and settles what it holds by the
//! receiver's answer (`request`). Several receivers are one lane in which requests fail over, or a lane each, by traces
//! (`lanes`). A request kept whole goes out as the bytes in which it came.

mod answer;
mod lanes;
mod members;
mod options;
mod part;
mod rendezvous;
mod request;
mod server;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use schemars::JsonSchema;
use tokio::sync::watch;

use crate::data::names::Interest;
use crate::data::{Batch, Names, Signal};
use crate::delivery::Message;
use crate::delivery::batcher::Batcher;
use crate::delivery::complaints::Complaints;
use crate::delivery::refusals::Refusals;
use crate::formats::otlp::logs::LogsEncoder;
use crate::formats::otlp::traces;
use crate::net::Endpoints;
use crate::options::Problem;
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task, TaskError};
use lanes::{Lanes, Limits, Routing};
use members::Members;
use options::Options;
use request::Shared;
use server::Server;
use write::{Form, Writer};

/// The registry's entry for `otlp`.
pub const OTLP: Descriptor<dyn SinkPlan> = Descriptor {
    name: "otlp",
    summary: "Sends logs, metrics and spans by OTLP over gRPC or HTTP.",
    plan: |options| {
        let options = erased_serde::deserialize::<Options>(options)?;
        Ok(Box::new(Named { options, signals: &[Signal::Logs, Signal::Metrics, Signal::Traces] }))
    },
    schema: |generator| Options::json_schema(generator),
};

/// The registry's entry for `jaeger`.
pub const JAEGER: Descriptor<dyn SinkPlan> = Descriptor {
    name: "jaeger",
    summary: "Sends spans to Jaeger, by OTLP.",
    plan: |options| {
        let options = erased_serde::deserialize::<Options>(options)?;
        Ok(Box::new(Named { options, signals: &[Signal::Traces] }))
    },
    schema: |generator| Options::json_schema(generator),
};

/// The options of a sink by one of the names, and what it takes.
struct Named {
    options: Options,
    signals: &'static [Signal],
}

impl Plan for Named {
    fn problems(&self) -> Vec<Problem> {
        options::problems(&self.options)
    }
}

impl SinkPlan for Named {
    fn accepts(&self, signal: Signal) -> bool {
        let routed = self.options.own.routing == options::Routing::TraceId;
        self.signals.contains(&signal) && (signal == Signal::Traces || !routed)
    }

    fn interest(&self, _names: &Names) -> Result<Interest, PrepareError> {
        Ok(LogsEncoder::interest())
    }

    fn prepare(&self, _cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        let server = Server::new(&self.options).map_err(|error| PrepareError(error.to_string()))?;
        let own = &self.options.own;
        let members = match own.routing {
            options::Routing::Failover => None,
            options::Routing::TraceId => Some(Members::of(own.urls(), own.resolve_interval.0)),
        };
        Ok(Box::new(Otlp { options: self.options.clone(), server, members }))
    }
}

struct Otlp {
    options: Options,
    server: Server,
    /// Where traces are routed.
    members: Option<Members>,
}

impl Sink for Otlp {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(self.run(cx))
    }
}

/// Bytes of a log record beside what its batch counts: ids, times, the lengths around them. An estimate.
const BESIDE_RECORD: u64 = 80;

/// Bytes of a sample of metrics. An estimate.
const SAMPLE: u64 = 150;

/// Bytes that a message takes in a request of at most `most`.
fn weigh(message: &Message, most: u64) -> u64 {
    match &message.batch {
        Batch::Traces(batch) => traces::size(batch),
        Batch::Logs(batch) => batch.payload_bytes() + message.batch.count() as u64 * BESIDE_RECORD,
        // Never more than one holds: to be cut before it is written, it would have to be cut between points.
        Batch::Metrics(_) => (message.batch.count() as u64 * SAMPLE).min(most),
    }
}

impl Otlp {
    async fn run(self: Box<Self>, cx: SinkContext) -> Result<(), TaskError> {
        let Self { options, server, members } = *self;
        let own = &options.own;
        let complaints = Arc::new(Complaints::new(cx.metrics.clone()));
        let max_bytes = own.batch.max_bytes.0;
        let form = Form {
            compression: own.compression,
            framed: server.framed(),
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        };
        let shared = Arc::new(Shared {
            server,
            metrics: cx.metrics.clone(),
            refusals: Refusals::new(cx.metrics.clone()),
            writer: Writer::new(form),
        });
        let limits = Limits { max_bytes, concurrency: own.concurrency.value as usize };
        let batcher = Batcher::new(cx.input, own.batch.linger.0);
        let lanes = |routing| Lanes::new(shared, complaints.clone(), limits, routing).run(batcher, cx.shutdown);
        let Some(members) = members else {
            return lanes(Routing::Failover(Endpoints::new(own.urls()))).await;
        };
        let (tell, known) = watch::channel(Vec::new());
        let follow = members.follow(tell, complaints.clone());
        tokio::select! {
            ended = lanes(Routing::ByTrace(known)) => ended,
            never = follow => match never {},
        }
    }
}
