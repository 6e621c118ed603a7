//! The sink `zipkin`: spans as v2 JSON to Zipkin, and to whatever takes what Zipkin takes
//! (<https://zipkin.io/zipkin-api/> 1.0, `POST /api/v2/spans`).
//!
//! Messages are gathered into parcels; each is one task that writes a request, sends it and settles what it holds by the
//! answer (`request`). An answer is one for the whole request: there is no word for a part of it.

mod options;
mod request;
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use tokio::task::JoinSet;

use crate::data::names::Interest;
use crate::data::{Batch, Names, Signal};
use crate::delivery::Message;
use crate::delivery::batcher::Batcher;
use crate::delivery::complaints::Complaints;
use crate::delivery::parts::Part;
use crate::delivery::sender::Sender;
use crate::formats::otlp::traces;
use crate::options::Problem;
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task, TaskError};
use options::Options;
use request::{Delivery, Shared};
use server::Server;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SinkPlan> = Descriptor {
    name: "zipkin",
    summary: "Sends spans to Zipkin as v2 JSON.",
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
        signal == Signal::Traces
    }

    fn interest(&self, _names: &Names) -> Result<Interest, PrepareError> {
        Ok(Interest::default())
    }

    fn prepare(&self, _cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        let server = Server::new(self).map_err(|error| PrepareError(error.to_string()))?;
        Ok(Box::new(Zipkin { options: self.clone(), server }))
    }
}

struct Zipkin {
    options: Options,
    server: Server,
}

impl Sink for Zipkin {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(self.run(cx))
    }
}

/// Bytes of a span in JSON for each of OTLP. An estimate: it decides how many messages share a parcel.
const INFLATION: u64 = 2;

/// Bytes that a message takes in a request.
fn weigh(message: &Message) -> u64 {
    match &message.batch {
        Batch::Traces(batch) => INFLATION * traces::size(batch),
        other => other.bytes(),
    }
}

impl Zipkin {
    async fn run(self: Box<Self>, cx: SinkContext) -> Result<(), TaskError> {
        let own = &self.options.own;
        let complaints = Arc::new(Complaints::new(cx.metrics.clone()));
        let most = own.concurrency.value as usize;
        let sender = Arc::new(Sender::new(cx.metrics.clone(), complaints, most, fastrand::Rng::new()));
        let max_bytes = own.batch.max_bytes.0;
        let shared = Arc::new(Shared {
            server: self.server,
            compression: own.compression.of_bodies(),
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
            metrics: cx.metrics.clone(),
        });
        let mut batcher = Batcher::new(cx.input, own.batch.linger.0);
        let mut requests = JoinSet::new();
        let mut ended = false;
        while !ended || !requests.is_empty() {
            let room = !ended && requests.len() < sender.allowed();
            let parcel = tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => return Ok(()),
                Some(done) = requests.join_next() => {
                    done.map_err(|error| TaskError(format!("a request failed to run: {error}")))?;
                    continue;
                }
                parcel = batcher.next(max_bytes, weigh), if room => parcel,
            };
            let Some(messages) = parcel else {
                ended = true;
                continue;
            };
            let (parcel, parts) = Part::all(messages);
            let mut delivery = Delivery::new(shared.clone(), parcel, parts);
            let sender = sender.clone();
            // Boxed, so that the runtime moves a pointer and not all that a request needs.
            requests.spawn(Box::pin(async move { sender.run(&mut delivery).await }));
        }
        Ok(())
    }
}
