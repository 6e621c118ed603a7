//! The sink `elasticsearch`: log records and spans as documents of an index or a data stream, by the bulk API.
//!
//! Messages are gathered into parcels; each parcel is one task that encodes it, sends it and settles every
//! record by the cluster's own answer for it (`request`). Nothing is settled before that answer. A
//! document's `_id` is a function of the line's position, or of what the span says, so what has to be sent twice is
//! stored once (`earlier`).

mod documents;
mod earlier;
mod options;
mod parcel;
mod refused;
mod request;
mod server;
mod shared;
mod template;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use schemars::JsonSchema;
use tokio::task::JoinSet;

use crate::data::names::Interest;
use crate::data::{Batch, Names, Signal};
use crate::delivery::Message;
use crate::delivery::batcher::Batcher;
use crate::delivery::complaints::Complaints;
use crate::delivery::dead_letter::DeadLetter;
use crate::delivery::sender::Sender;
use crate::formats::compression::Compression;
use crate::formats::document::{DocumentEncoder, SpanEncoder};
use crate::formats::otlp::traces;
use crate::options::Problem;
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task, TaskError};
use crate::telemetry::{ComponentMetrics, Telemetry};
use documents::Documents;
use options::{DataStream, Options, Template};
use parcel::Parcel;
use request::Delivery;
use server::Server;
pub use shared::described;
use shared::{BodyPool, Renamed, Shared};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SinkPlan> = Descriptor {
    name: "elasticsearch",
    summary: "Sends log records and spans to Elasticsearch as documents of an index or a data stream.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        self.problems()
    }
}

impl SinkPlan for Options {
    fn accepts(&self, signal: Signal) -> bool {
        matches!(signal, Signal::Logs | Signal::Traces)
    }

    fn problems_with(&self, signal: Option<Signal>) -> Vec<Problem> {
        self.problems_with(signal)
    }

    fn interest(&self, _names: &Names) -> Result<Interest, PrepareError> {
        Ok(DocumentEncoder::interest(self.mapping))
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        let server = Server::new(self).map_err(|error| PrepareError(error.to_string()))?;
        Ok(Box::new(Elasticsearch {
            options: self.clone(),
            server: Arc::new(server),
            name: cx.id.0.clone(),
            data_dir: cx.data_dir.clone(),
            telemetry: cx.telemetry.clone(),
        }))
    }
}

struct Elasticsearch {
    options: Options,
    server: Arc<Server>,
    name: Arc<str>,
    data_dir: Arc<std::path::Path>,
    telemetry: Arc<Telemetry>,
}

impl Sink for Elasticsearch {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(self.run(cx))
    }
}

/// Bytes of a document beside those of its record: action line, time, resource, attributes. An estimate:
/// it decides how many records share a request and how large its buffer is.
const BESIDE_RECORD: u64 = 560;

/// The same of a span, whose fields are about twice as long in JSON.
const BESIDE_SPAN: u64 = 300;

fn weigh(message: &Message) -> u64 {
    match &message.batch {
        Batch::Traces(batch) => 2 * traces::size(batch) + batch.selection.count() as u64 * BESIDE_SPAN,
        other => other.bytes() + other.count() as u64 * BESIDE_RECORD,
    }
}

impl Elasticsearch {
    async fn run(self: Box<Self>, cx: SinkContext) -> Result<(), TaskError> {
        let linger = self.options.batch.linger.0;
        let most = self.options.concurrency.value as usize;
        let complaints = Arc::new(Complaints::new(cx.metrics.clone()));
        let random = fastrand::Rng::new();
        let sender = Arc::new(Sender::new(cx.metrics.clone(), complaints.clone(), most, random));
        let letters = self.options.dead_letter;
        let dead_letter =
            Arc::new(DeadLetter::new(&self.data_dir, &self.name, letters, cx.metrics.clone(), complaints));
        let renamed = Arc::new(Renamed::new(&self.telemetry, &self.name));
        let mut shared: Option<Arc<Shared>> = None;
        let mut batcher = Batcher::new(cx.input, linger);
        let mut requests = JoinSet::new();
        loop {
            let configured = self.options.batch.max_bytes.0;
            let max_bytes = shared.as_ref().map_or(configured, |shared| shared.max_bytes.load(Ordering::Relaxed));
            let room = requests.len() < sender.allowed();
            let parcel = tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => return Ok(()),
                Some(ended) = requests.join_next() => {
                    ended.map_err(|error| TaskError(format!("a request failed to run: {error}")))?;
                    continue;
                }
                parcel = batcher.next(max_bytes, weigh), if room => parcel,
            };
            let Some(parcel) = parcel else { break };
            // All inputs carry one signal; which, the first message says.
            let Some(signal) = parcel.first().map(|message| message.batch.signal()) else { continue };
            let shared = shared
                .get_or_insert_with(|| Arc::new(self.share(signal, &cx.metrics, dead_letter.clone(), renamed.clone())));
            let (parcel, items, maybe_stored_since) = Parcel::new(parcel);
            let mut delivery = Delivery::new(shared.clone(), parcel, items, maybe_stored_since);
            let sender = sender.clone();
            // Boxed, so that the runtime moves a pointer and not all that a request needs.
            requests.spawn(Box::pin(async move { sender.run(&mut delivery).await }));
        }
        loop {
            tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => return Ok(()),
                ended = requests.join_next() => match ended {
                    None => return Ok(()),
                    Some(ended) => ended.map_err(|error| TaskError(format!("a request failed to run: {error}")))?,
                },
            }
        }
    }

    /// What the requests share.
    fn share(
        &self,
        signal: Signal,
        metrics: &Arc<ComponentMetrics>,
        dead_letter: Arc<DeadLetter>,
        renamed: Arc<Renamed>,
    ) -> Shared {
        let options = &self.options;
        let (target, stream) = (options.target(signal), options.stream());
        let mut documents = Documents { records: DocumentEncoder::new(options.mapping), spans: SpanEncoder::new() };
        if let Some(DataStream { dataset, namespace, .. }) = &stream {
            documents.records = documents.records.with_data_stream(dataset, namespace);
            documents.spans = documents.spans.with_data_stream(dataset, namespace);
        }
        let install = options.template == Template::Install;
        let template = install.then(|| template::template(options.mapping, &target, stream.is_some()));
        let max_bytes = options.batch.max_bytes.0;
        let compression = options.body_compression();
        let capacity = match compression {
            Compression::None => max_bytes,
            Compression::Gzip(_) => max_bytes / 3,
        };
        Shared {
            server: self.server.clone(),
            documents,
            document_id: options.document_id,
            compression,
            most_bytes: max_bytes,
            max_bytes: AtomicU64::new(max_bytes),
            bodies: BodyPool::new(capacity as usize, options.concurrency.value as usize),
            dead_letter,
            template: tokio::sync::Mutex::new(template),
            may_not_look: AtomicBool::new(false),
            metrics: metrics.clone(),
            renamed,
            target: target.into(),
            name: self.name.clone(),
        }
    }
}
