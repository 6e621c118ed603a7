//! Components of the tests, and a graph made of them without a configuration.

mod record;
mod sources;
mod transforms;

use std::collections::BTreeMap;
use std::sync::Arc;

use tailwater::data::metrics::SampleValue;
use tailwater::data::series_table::{FamilyId, ListBuilder};
use tailwater::data::{
    Batch, Chunk, LogBuilder, LogRecord, MemoryBudget, MetricBuilder, Names, Resource, SeriesTable, Signal, Slice,
};
use tailwater::options::Identity;
use tailwater::pipeline::graph::{Buffer, Component, OutputId, Role};
use tailwater::pipeline::{Common, ComponentId, Graph, Outputs, SinkPlan, SourcePlan, TransformPlan};
use tailwater::telemetry::Telemetry;

pub use record::Record;
pub use sources::{Numbers, Pushed, Requests, Ticks};
pub use transforms::{CountLines, DropLines, HoldLines};

/// What all components of a test share.
pub fn common() -> Common {
    Common {
        telemetry: Arc::new(Telemetry::new()),
        names: Arc::new(Names::default()),
        series: SeriesTable::new(100),
        memory: Arc::new(MemoryBudget::new(64 << 20)),
        data_dir: std::env::temp_dir().into(),
        identity: Arc::new(Identity::default()),
        pods: Arc::default(),
        lasting: Default::default(),
        workers: 1,
    }
}

/// A batch of log lines.
pub fn logs(lines: &[&str]) -> Batch {
    let mut builder = LogBuilder::new(Arc::new(Resource::default()), Arc::default());
    let chunk = builder.add_chunk(Chunk::from_vec(lines.concat().into_bytes()));
    let mut at = 0;
    for line in lines {
        let len = u32::try_from(line.len()).expect("short");
        builder.source().records.push(LogRecord::of_body(Slice::new(chunk, at, len)));
        builder.add_payload_bytes(u64::from(len));
        at += len;
    }
    Batch::Logs(builder.build())
}

/// The bodies of a batch of logs, or the values of a batch of metrics, as text.
pub fn texts(batch: &Batch) -> Vec<String> {
    match batch {
        Batch::Logs(logs) => logs.iter().map(|view| String::from_utf8_lossy(view.body()).into_owned()).collect(),
        Batch::Metrics(metrics) => metrics.iter().map(|sample| format_value(sample.value)).collect(),
        Batch::Traces(_) => Vec::new(),
    }
}

fn format_value(value: SampleValue<'_>) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(histogram) => format!("{histogram:?}"),
    }
}

/// One sample of the series `count`.
pub fn sample(value: f64) -> Batch {
    let mut series = ListBuilder::default();
    series.labels(&[("__name__", "count")].into_iter().collect(), FamilyId::default());
    let mut builder = MetricBuilder::new();
    builder.samples().values.push(value);
    Batch::Metrics(builder.build(Arc::default(), SeriesTable::new(1).list(&series).list))
}

/// Builds a graph without a configuration. Components are added in an order in which each stands behind
/// its inputs.
#[derive(Default)]
pub struct Plans {
    graph: Graph,
    outputs: BTreeMap<String, OutputId>,
}

impl Plans {
    pub fn source(mut self, name: &str, hash: u64, plan: impl SourcePlan + 'static) -> Self {
        let outputs = plan.outputs();
        self.add(name, hash, Role::Source(Arc::new(plan)), outputs, &[], None);
        self
    }

    pub fn source_plan(mut self, name: &str, plan: Arc<dyn SourcePlan>) -> Self {
        let outputs = plan.outputs();
        self.add(name, 1, Role::Source(plan), outputs, &[], None);
        self
    }

    pub fn transform(mut self, name: &str, hash: u64, inputs: &[&str], plan: impl TransformPlan + 'static) -> Self {
        let signal = self.signal(inputs[0]);
        let outputs = plan.outputs(signal).expect("the test's signals fit");
        self.add(name, hash, Role::Transform(Arc::new(plan)), outputs, inputs, Some(signal));
        self
    }

    pub fn sink(
        mut self,
        name: &str,
        hash: u64,
        inputs: &[&str],
        buffer: Buffer,
        plan: impl SinkPlan + 'static,
    ) -> Self {
        let signal = self.signal(inputs[0]);
        self.add(name, hash, Role::Sink(Arc::new(plan)), Outputs::Named(Vec::new()), inputs, Some(signal));
        self.graph.components.last_mut().expect("just added").buffer = buffer;
        self
    }

    pub fn sink_plan(mut self, name: &str, inputs: &[&str], plan: Arc<dyn SinkPlan>) -> Self {
        let signal = self.signal(inputs[0]);
        self.add(name, 1, Role::Sink(plan), Outputs::Named(Vec::new()), inputs, Some(signal));
        self
    }

    pub fn build(self) -> Graph {
        self.graph
    }

    fn signal(&self, output: &str) -> Signal {
        let id = &self.outputs[output];
        match &self.graph.components[id.component].outputs {
            Outputs::One(signal) => *signal,
            Outputs::Named(outputs) => outputs[id.output].1,
        }
    }

    fn add(&mut self, name: &str, hash: u64, role: Role, outputs: Outputs, inputs: &[&str], signal: Option<Signal>) {
        let index = self.graph.components.len();
        let component = Component {
            id: ComponentId(name.into()),
            role,
            outputs,
            inputs: inputs.iter().map(|input| self.outputs[*input].clone()).collect(),
            input_signal: signal,
            buffer: Buffer::default(),
            hash,
        };
        for output in 0..component.outputs.len() {
            self.outputs.insert(component.output_name(output), OutputId { component: index, output });
        }
        self.graph.components.push(component);
    }
}
