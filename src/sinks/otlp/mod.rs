//! The sinks `otlp` and `jaeger`: log records and spans to whatever speaks OTLP 1.10 (<https://opentelemetry.io/docs/specs/otlp/>), over
//! gRPC or HTTP. Jaeger speaks it since version 1.35; its sink is the same one by another name, for spans alone.
//!
//! Messages are gathered into parcels; each is one task that writes a request, sends it and settles what it holds by the
//! receiver's answer (`request`). A request kept whole goes out as the bytes in which it came.

mod answer;
mod options;
mod request;
mod server;

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
use crate::formats::otlp::logs::LogsEncoder;
use crate::formats::otlp::traces;
use crate::options::Problem;
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task, TaskError};
use options::Options;
use request::{Delivery, Shared};
use server::Server;

/// The registry's entry for `otlp`.
pub const OTLP: Descriptor<dyn SinkPlan> = Descriptor {
    name: "otlp",
    summary: "Sends logs and spans by OTLP over gRPC or HTTP.",
    plan: |options| {
        let options = erased_serde::deserialize::<Options>(options)?;
        Ok(Box::new(Named { options, signals: &[Signal::Logs, Signal::Traces] }))
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
        self.signals.contains(&signal)
    }

    fn interest(&self, _names: &Names) -> Result<Interest, PrepareError> {
        Ok(LogsEncoder::interest())
    }

    fn prepare(&self, _cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        let server = Server::new(&self.options).map_err(|error| PrepareError(error.to_string()))?;
        Ok(Box::new(Otlp { options: self.options.clone(), server }))
    }
}

struct Otlp {
    options: Options,
    server: Server,
}

impl Sink for Otlp {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(self.run(cx))
    }
}

/// Bytes of a log record beside what its batch counts: ids, times, the lengths around them. An estimate.
const BESIDE_RECORD: u64 = 80;

/// Bytes that a message takes in a request.
fn weigh(message: &Message) -> u64 {
    match &message.batch {
        Batch::Traces(batch) => traces::size(batch),
        other => other.bytes() + other.count() as u64 * BESIDE_RECORD,
    }
}

impl Otlp {
    async fn run(self: Box<Self>, cx: SinkContext) -> Result<(), TaskError> {
        let own = &self.options.own;
        let complaints = Arc::new(Complaints::new(cx.metrics.clone()));
        let most = own.concurrency.value as usize;
        let sender = Arc::new(Sender::new(cx.metrics.clone(), complaints, most, fastrand::Rng::new()));
        let max_bytes = own.batch.max_bytes.0;
        let shared = Arc::new(Shared {
            server: self.server,
            compression: own.compression,
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
            metrics: cx.metrics.clone(),
            logs: LogsEncoder::new(),
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
