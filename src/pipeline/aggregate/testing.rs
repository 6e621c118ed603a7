//! Drives one transform that makes metrics in unit tests, under virtual time: batches in, samples as text out.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use super::super::component::{PrepareContext, PrepareTransform, TransformPlan};
use super::super::outlet::{Chain, Gate, Reader};
use super::super::{ComponentId, PreparedTransform, TaskContext, TaskError};
use crate::data::labels::METRIC_NAME;
use crate::data::metrics::{SampleValue, is_stale};
use crate::data::names::Interest;
use crate::data::{Batch, Chunk, MemoryBudget, MetricBatch, SeriesTable, Signal};
use crate::delivery::queue::{EdgeReceiver, EdgeSender, WhenFull, edge};
use crate::delivery::{Ack, Message, Path};
use crate::formats::otlp::traces::index;
use crate::options::Identity;
use crate::telemetry::{ComponentMetrics, Telemetry};

/// A running transform.
pub(crate) struct Driven {
    input: EdgeSender,
    output: EdgeReceiver,
    /// The transform's metrics.
    pub metrics: Arc<ComponentMetrics>,
    table: Arc<SeriesTable>,
    _gate: Arc<Gate>,
    task: tokio::task::JoinHandle<Result<(), TaskError>>,
}

impl Driven {
    /// Starts a transform whose options are right.
    pub fn start(plan: &dyn TransformPlan, signal: Signal) -> Self {
        assert_eq!(plan.problems(), []);
        let telemetry = Arc::new(Telemetry::new());
        let metrics = telemetry.component("transform", "x/x");
        let table = SeriesTable::new(1000);
        let common = PrepareContext {
            id: ComponentId("x/x".into()),
            metrics: metrics.clone(),
            telemetry,
            names: Arc::default(),
            series: table.clone(),
            memory: Arc::new(MemoryBudget::new(1)),
            data_dir: std::path::Path::new("").into(),
            identity: Arc::new(Identity::default()),
            pods: Arc::default(),
            lasting: Default::default(),
            workers: 2,
        };
        let downstream = Interest::default();
        let cx = PrepareTransform { common: &common, signal, downstream: &downstream };
        let Ok(PreparedTransform::Task(task)) = plan.prepare(&cx) else { panic!("a task") };
        assert!(task.absorbs());
        let (input, receiver) = edge(1 << 20, WhenFull::Block, metrics.clone());
        let (sender, output) = edge(1 << 20, WhenFull::Block, metrics.clone());
        let chain = Chain { readers: vec![Reader::edge(sender, "x/x")] };
        let (gate, outlet) = Gate::open(chain, Path::new(), metrics.clone());
        let shutdown = CancellationToken::new();
        let cx = TaskContext { input: receiver, outlets: vec![outlet], metrics: metrics.clone(), shutdown };
        Self { input, output, metrics, table, _gate: gate, task: tokio::spawn(task.start(cx)) }
    }

    /// Sends a batch, and waits until it is counted.
    pub async fn send(&self, batch: Batch) {
        let sent = self.input.send(Message::new(batch, Ack::detached())).await;
        assert!(sent.is_ok(), "the transform takes input");
        // Under virtual time the clock moves only when everybody waits: the workers have counted by then.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// The next batch.
    pub async fn batch(&mut self) -> MetricBatch {
        let message = self.output.recv().await.expect("emits");
        let Batch::Metrics(batch) = message.batch else { panic!("metrics come out") };
        message.ack.done();
        batch
    }

    /// The next batch as `name{labels} value`, and the number of its list.
    pub async fn next(&mut self) -> (Vec<String>, u64) {
        let batch = self.batch().await;
        (self.show(&batch), batch.series().id())
    }

    /// Samples as `name{labels} value`, in the order of these texts.
    pub fn show(&self, batch: &MetricBatch) -> Vec<String> {
        let mut shown = self.show_unsorted(batch);
        shown.sort();
        shown
    }

    /// The same in the order of the samples.
    pub fn show_unsorted(&self, batch: &MetricBatch) -> Vec<String> {
        let table = self.table.read();
        let shown = batch.iter().map(|sample| {
            let labels = table.labels(sample.series);
            let rest: Vec<_> =
                labels.iter().filter(|(n, _)| *n != METRIC_NAME).map(|(n, v)| format!("{n}={v}")).collect();
            let value = match sample.value {
                SampleValue::Float(value) if is_stale(value) => "stale".to_owned(),
                SampleValue::Float(value) => value.to_string(),
                SampleValue::Histogram(histogram) => format!("{} buckets, sum {}", histogram.buckets(), histogram.sum),
            };
            format!("{}{{{}}} {value}", labels.metric_name(), rest.join(","))
        });
        shown.collect()
    }

    /// Ends the input. What is left to come out.
    pub async fn finish(self) -> Vec<Message> {
        let Self { input, mut output, task, _gate, .. } = self;
        drop(input);
        task.await.expect("no panic").expect("ends well");
        drop(_gate);
        let mut left = Vec::new();
        while let Some(message) = output.try_recv() {
            left.push(message);
        }
        left
    }
}

/// A batch of the spans of services.
pub(crate) fn spans(services: &[(&str, Vec<Span>)]) -> Batch {
    let resource_spans = services.iter().map(|(service, spans)| ResourceSpans {
        resource: Some(ProtoResource { attributes: vec![text("service.name", service)], ..ProtoResource::default() }),
        scope_spans: vec![ScopeSpans { spans: spans.clone(), ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    });
    let request = ExportTraceServiceRequest { resource_spans: resource_spans.collect() };
    Batch::Traces(index(Chunk::from_vec(request.encode_to_vec())).expect("valid").batch)
}

/// An attribute that is a text.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, ProtoValue::StringValue(value.to_owned()))
}

/// An attribute.
pub(crate) fn attribute(key: &str, value: ProtoValue) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
