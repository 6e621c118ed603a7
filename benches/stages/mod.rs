//! What the benches of single stages, and the test that counts allocations, have in common: lines of the
//! bench corpus, batches made of them as a source makes them, and steps without a pipeline around them.
#![allow(dead_code, reason = "each bench uses the stages that it times")]

#[path = "../end_to_end/corpus.rs"]
mod corpus;

use std::sync::Arc;

use futures_util::FutureExt;
use memchr::memchr_iter;
use tailwater::data::names::Interest;
use tailwater::data::{
    Attribute, Batch, Chunk, Generation, LogBatch, LogBuilder, LogRecord, MemoryBudget, Names, Resource, Scope, Signal,
    Slab, Slice, UnixNanos, Value,
};
use tailwater::delivery::queue::{EdgeReceiver, WhenFull, edge};
use tailwater::delivery::{Message, Outcome, Path, Settle, Verdict};
use tailwater::formats::container::HeaderReader;
use tailwater::formats::document::{DocumentEncoder, Form};
use tailwater::formats::elasticsearch::bulk::{self, DocumentId};
use tailwater::options::Identity;
use tailwater::pipeline::component::{PrepareContext, PrepareTransform, PreparedTransform};
use tailwater::pipeline::graph::ComponentId;
use tailwater::pipeline::outlet::{Chain, Gate, Outlet, Reader};
use tailwater::telemetry::Telemetry;
use tailwater::transforms::steps;

/// At least `bytes` of the end-to-end bench's corpus: lines as a container runtime writes them.
pub fn corpus(bytes: usize) -> Vec<u8> {
    let mut records = corpus::Records::new(7);
    let mut text = Vec::with_capacity(bytes + 4096);
    while text.len() < bytes {
        records.push(&mut text);
    }
    text
}

/// Whole lines of `text`, at most `most` bytes at a time, as reads bring them.
pub fn reads(text: &[u8], most: usize) -> Vec<&[u8]> {
    let mut reads = Vec::new();
    let mut rest = text;
    while let Some(end) = memchr::memrchr(b'\n', &rest[..most.min(rest.len())]) {
        let (read, behind) = rest.split_at(end + 1);
        reads.push(read);
        rest = behind;
    }
    reads
}

/// One container's log: makes batches of its lines.
pub struct Log {
    header: HeaderReader,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
    constants: Chunk,
    offset: u64,
}

impl Log {
    pub fn new() -> Self {
        let resource = [
            ("k8s.namespace.name", "shop"),
            ("k8s.pod.name", "web-5d9c7b6f4-x2x7k"),
            ("k8s.container.name", "app"),
            ("k8s.node.name", "node-17"),
        ];
        Self {
            header: HeaderReader::default(),
            resource: Arc::new(Resource::new(resource.map(|(key, value)| (key.into(), value.into())))),
            scope: Arc::default(),
            constants: Chunk::from_static(b"log.iostreamstdoutstderr"),
            offset: 0,
        }
    }

    /// The batch of one read.
    pub fn batch(&mut self, slab: Slab) -> LogBatch {
        self.batch_of(slab.freeze())
    }

    /// The batch of the lines in `chunk`.
    pub fn batch_of(&mut self, chunk: Chunk) -> LogBatch {
        let mut builder = LogBuilder::new(self.resource.clone(), self.scope.clone());
        builder.add_chunk(chunk.clone());
        builder.add_chunk(self.constants.clone());
        builder.add_payload_bytes(chunk.len() as u64);
        let records = builder.source();
        records.generations.push(Generation { id: 7, birth: UnixNanos(1) });
        for stream in [12, 18] {
            let value = Value::Text(Slice::new(1, stream, 6));
            records.attributes.push(Attribute { key: Slice::new(1, 0, 12), value });
        }
        let text = chunk.as_slice();
        let mut from = 0;
        for feed in memchr_iter(b'\n', text) {
            let line = self.header.read(&text[from..feed]).expect("the corpus has good headers");
            let body = Slice::new(0, (from + line.content.start) as u32, line.content.len() as u32);
            records.records.push(LogRecord {
                time: line.time,
                attributes_start: line.stream as u32,
                attributes_len: 1,
                start: self.offset + from as u64,
                end: self.offset + feed as u64 + 1,
                ..LogRecord::of_body(body)
            });
            from = feed + 1;
        }
        self.offset += text.len() as u64;
        builder.build()
    }
}

/// The transform `steps` with an edge behind it.
pub struct Steps {
    /// Where a source hands its messages in.
    pub outlet: Outlet,
    _gate: Arc<Gate>,
    /// The edge behind the steps.
    pub end: EdgeReceiver,
    settle: Arc<dyn Settle>,
}

struct Unheard;

impl Settle for Unheard {
    fn settled(&self, _: u64, _: Verdict) {}
}

impl Steps {
    /// Steps given as JSON, before a sink that wants `downstream` located.
    pub fn new(list: serde_json::Value, downstream: &Interest) -> Self {
        Self::of(Signal::Logs, list, downstream)
    }

    /// The same for any signal.
    pub fn of(signal: Signal, list: serde_json::Value, downstream: &Interest) -> Self {
        let options = serde_json::json!({ "steps": list });
        let plan = (steps::DESCRIPTOR.plan)(&mut <dyn erased_serde::Deserializer>::erase(options)).expect("good steps");
        let telemetry = Arc::new(Telemetry::new());
        let metrics = telemetry.component("transform", "steps/main");
        let common = PrepareContext {
            id: ComponentId("steps/main".into()),
            metrics: metrics.clone(),
            telemetry,
            names: Arc::new(Names::default()),
            series: tailwater::data::SeriesTable::new(1),
            memory: Arc::new(MemoryBudget::new(1 << 30)),
            data_dir: std::path::Path::new("").into(),
            identity: Arc::new(Identity::default()),
            pods: Arc::default(),
            lasting: Default::default(),
            workers: 1,
        };
        let prepared = plan.prepare(&PrepareTransform { common: &common, signal, downstream });
        let Ok(PreparedTransform::Carries(factory)) = prepared else { panic!("`steps` carries acknowledgements") };
        let (sender, end) = edge(u64::MAX, WhenFull::Block, metrics.clone());
        let edge = Chain { readers: vec![Reader::edge(sender, "steps/main")] };
        let fused = Reader::Fused { factory, metrics: metrics.clone(), outputs: vec![edge] };
        let (gate, outlet) = Gate::open(Chain { readers: vec![fused] }, Path::new(), metrics);
        Self { outlet, _gate: gate, end, settle: Arc::new(Unheard) }
    }

    /// Runs a batch through; what is left of it, if anything is.
    pub fn run(&mut self, batch: LogBatch) -> Option<Message> {
        self.pass(Batch::Logs(batch))
    }

    /// The same for any signal.
    pub fn pass(&mut self, batch: Batch) -> Option<Message> {
        const AT_ONCE: &str = "the gate is open and the edge takes everything";
        let ack = self.outlet.ack(self.settle.clone(), 0, false).now_or_never().expect(AT_ONCE).expect(AT_ONCE);
        let message = Message::new(batch, ack);
        self.outlet.send(message).now_or_never().expect(AT_ONCE).expect(AT_ONCE);
        self.end.try_recv()
    }
}

/// The batch of a message, which nobody waits for any more.
pub fn settle(message: Message) -> LogBatch {
    let Batch::Logs(batch) = message.batch else { panic!("a batch of logs") };
    message.ack.settle(Outcome::Delivered, batch.selection.count() as u64);
    batch
}

/// Appends the bulk body of a batch; returns the number of documents.
pub fn encode(encoder: &mut DocumentEncoder, batch: &LogBatch, out: &mut Vec<u8>) -> usize {
    encoder.begin(batch, UnixNanos(1));
    for view in batch.iter() {
        bulk::write_item(DocumentId::Position, encoder, &view, "steps/main", Form::Spliced, out);
    }
    batch.selection.count()
}
