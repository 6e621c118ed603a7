//! Test-only components: a metric source on a timer, a pushed log source that waits for its answer, a
//! replayable source, an absorbing and a holding transform, and a sink that records or refuses to answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tailwater::data::metrics::SampleValue;
use tailwater::data::names::Interest;
use tailwater::data::series_table::{FamilyId, ListBuilder};
use tailwater::data::{
    Batch, Chunk, LogBuilder, LogRecord, MemoryBudget, MetricBuilder, Names, Resource, SeriesTable, Signal, Slice,
};
use tailwater::delivery::{Ack, Cursor, Message, Outcome, Settle, Verdict};
use tailwater::options::Identity;
use tailwater::pipeline::component::{
    Plan, PrepareContext, PrepareTransform, Sink, Source, Transform, TransformFactory, TransformTask,
};
use tailwater::pipeline::graph::{Buffer, Component, OutputId, Role};
use tailwater::pipeline::outlet::Ports;
use tailwater::pipeline::pushed::{Became, Intake};
use tailwater::pipeline::{
    Common, ComponentId, Graph, Outputs, PrepareError, PreparedTransform, SinkContext, SinkPlan, SourceContext,
    SourcePlan, Task, TaskContext, TransformPlan,
};
use tailwater::telemetry::Telemetry;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

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

/// A source of samples driven by the clock: 0, 1, 2, … one a second.
pub struct Ticks;

impl Plan for Ticks {}

impl SourcePlan for Ticks {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Metrics)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Self))
    }
}

impl Source for Ticks {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut value = 0.0;
            while cx.shutdown.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some() {
                let message = Message::new(sample(value), Ack::detached());
                if cx.outlets[0].send(message).await.is_err() {
                    break;
                }
                value += 1.0;
            }
            Ok(())
        })
    }
}

/// A pushed source: the test hands in lines and is answered with the verdict.
pub struct Pushed(pub Arc<tokio::sync::Mutex<mpsc::Receiver<Push>>>);

/// Lines and where to answer.
pub type Push = (Vec<&'static str>, oneshot::Sender<Verdict>);

struct Answer(Mutex<Option<oneshot::Sender<Verdict>>>);

impl Settle for Answer {
    fn settled(&self, _: u64, verdict: Verdict) {
        let waiting = self.0.lock().expect("not poisoned").take();
        // The one who pushed may have gone.
        let _ = waiting.expect("settled once").send(verdict);
    }
}

impl Plan for Pushed {}

impl SourcePlan for Pushed {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl Source for Pushed {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut pushes = self.0.lock().await;
            while let Some(Some((lines, answer))) = cx.shutdown.run_until_cancelled(pushes.recv()).await {
                let settle = Arc::new(Answer(Mutex::new(Some(answer))));
                let Ok(ack) = cx.outlets[0].ack(settle, 0, true).await else { break };
                if cx.outlets[0].send(Message::new(logs(&lines), ack)).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// A source of requests, each answered by what became of it in time.
pub struct Requests(pub Arc<tokio::sync::Mutex<mpsc::Receiver<Request>>>);

/// Lines and where to answer.
pub type Request = (Vec<&'static str>, oneshot::Sender<Became>);

/// Time in which a request is answered.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl Plan for Requests {}

impl SourcePlan for Requests {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl Source for Requests {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut requests = self.0.lock().await;
            let intake = Intake::new(cx.outlets.remove(0), cx.metrics.clone());
            let budget = MemoryBudget::new(1 << 20).share(Signal::Logs);
            while let Some(Some((lines, answer))) = cx.shutdown.run_until_cancelled(requests.recv()).await {
                let (intake, paid) = (intake.clone(), budget.acquire(1).await);
                tokio::spawn(async move {
                    let became = intake.hand_on(vec![logs(&lines)], paid, Instant::now() + ANSWER_WITHIN).await;
                    // The one who asked may have gone.
                    let _ = answer.send(became);
                });
            }
            Ok(())
        })
    }
}

/// A replayable source of numbered lines, paced by the test; reads again from its safe position what was
/// abandoned. The position outlives the source, like a checkpoint.
#[derive(Clone, Default)]
pub struct Numbers(pub Arc<NumbersState>);

#[derive(Default)]
pub struct NumbersState {
    pub safe: AtomicUsize,
    pub allowed: AtomicUsize,
    pub wake: Notify,
}

struct Position {
    cursor: Mutex<Cursor<usize>>,
    state: Arc<NumbersState>,
    abandoned: AtomicBool,
    unsettled: AtomicUsize,
}

impl Settle for Position {
    fn settled(&self, token: u64, verdict: Verdict) {
        if verdict.abandoned {
            self.abandoned.store(true, Ordering::SeqCst);
        } else if let Some(&safe) = self.cursor.lock().expect("not poisoned").settle(token) {
            self.state.safe.store(safe, Ordering::SeqCst);
        }
        self.unsettled.fetch_sub(1, Ordering::SeqCst);
        self.state.wake.notify_one();
    }
}

impl Numbers {
    /// Lets the source read up to this number.
    pub fn allow(&self, upto: usize) {
        self.0.allowed.store(upto, Ordering::SeqCst);
        self.0.wake.notify_one();
    }

    /// Waits until everything before `position` is settled.
    pub async fn settled(&self, position: usize) {
        while self.0.safe.load(Ordering::SeqCst) < position {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Plan for Numbers {}

impl SourcePlan for Numbers {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        true
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(self.clone()))
    }
}

impl Source for Numbers {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut next = self.0.safe.load(Ordering::SeqCst);
            let position = Arc::new(Position {
                cursor: Mutex::new(Cursor::new(next)),
                state: self.0.clone(),
                abandoned: AtomicBool::new(false),
                unsettled: AtomicUsize::new(0),
            });
            loop {
                let idle = position.unsettled.load(Ordering::SeqCst) == 0;
                if cx.shutdown.is_cancelled() && idle {
                    return Ok(());
                }
                if position.abandoned.load(Ordering::SeqCst) {
                    if idle {
                        next = *position.cursor.lock().expect("not poisoned").rewind();
                        position.abandoned.store(false, Ordering::SeqCst);
                        continue;
                    }
                } else if !cx.shutdown.is_cancelled() && next < self.0.allowed.load(Ordering::SeqCst) {
                    let sent = cx.shutdown.run_until_cancelled(async {
                        let token = position.cursor.lock().expect("not poisoned").push(next + 1);
                        position.unsettled.fetch_add(1, Ordering::SeqCst);
                        match cx.outlets[0].ack(position.clone(), token, false).await {
                            Ok(ack) => {
                                let line = next.to_string();
                                let sent = cx.outlets[0].send(Message::new(logs(&[&line]), ack)).await;
                                sent.is_ok()
                            }
                            Err(_) => false,
                        }
                    });
                    match sent.await {
                        Some(true) => next += 1,
                        Some(false) => return Ok(()),
                        // Stopped while the gate was closed: the batch never got an ack.
                        None => {
                            let mut cursor = position.cursor.lock().expect("not poisoned");
                            cursor.rewind();
                            position.unsettled.store(0, Ordering::SeqCst);
                            return Ok(());
                        }
                    }
                    continue;
                }
                tokio::select! {
                    () = self.0.wake.notified() => {}
                    () = cx.shutdown.cancelled(), if !cx.shutdown.is_cancelled() => {}
                }
            }
        })
    }
}

/// A carrying transform that drops lines of one text.
pub struct DropLines(pub &'static str);

struct DropLinesWorker(&'static str);

impl Plan for DropLines {}

impl TransformPlan for DropLines {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        Ok(Outputs::One(signal))
    }

    fn interest(&self, _: Signal, _: &Names, downstream: &Interest) -> Result<Interest, PrepareError> {
        Ok(downstream.clone())
    }

    fn prepare(&self, _: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        struct Factory(&'static str);
        impl TransformFactory for Factory {
            fn worker(&self) -> Box<dyn Transform> {
                Box::new(DropLinesWorker(self.0))
            }
        }
        Ok(PreparedTransform::Carries(Arc::new(Factory(self.0))))
    }
}

impl Transform for DropLinesWorker {
    fn process(&mut self, mut message: Message, out: &mut Ports<'_>) {
        let mut dropped = 0;
        if let Batch::Logs(batch) = &mut message.batch {
            for index in 0..batch.records().len() {
                if batch.selection.contains(index) && batch.view(index).body() == self.0.as_bytes() {
                    batch.selection.remove(index);
                    dropped += 1;
                }
            }
        }
        out.filtered(&message, dropped);
        out.push(0, message);
    }
}

/// An absorbing transform: counts lines and emits the count as a sample every ten seconds.
pub struct CountLines;

impl Plan for CountLines {}

impl TransformPlan for CountLines {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        match signal {
            Signal::Logs => Ok(Outputs::One(Signal::Metrics)),
            other => Err(format!("cannot count {}", other.name())),
        }
    }

    fn interest(&self, _: Signal, _: &Names, _: &Interest) -> Result<Interest, PrepareError> {
        Ok(Interest::default())
    }

    fn prepare(&self, _: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        Ok(PreparedTransform::Task(Box::new(Self)))
    }
}

impl TransformTask for CountLines {
    fn absorbs(&self) -> bool {
        true
    }

    fn start(self: Box<Self>, mut cx: TaskContext) -> Task {
        Box::pin(async move {
            let mut count = 0usize;
            let mut timer = tokio::time::interval(Duration::from_secs(10));
            timer.tick().await;
            loop {
                tokio::select! {
                    message = cx.input.recv() => {
                        let Some(message) = message else { return Ok(()) };
                        let records = message.batch.count();
                        count += records;
                        message.ack.settle(Outcome::Filtered, records as u64);
                    }
                    _ = timer.tick() => {
                        // A pipeline that is gone wants no counts.
                        let _ = cx.outlets[0].send(Message::new(sample(count as f64), Ack::detached())).await;
                    }
                }
            }
        })
    }
}

/// A holding transform: keeps messages until the test releases them or the input ends.
pub struct HoldLines(pub Arc<Notify>);

impl Plan for HoldLines {}

impl TransformPlan for HoldLines {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        Ok(Outputs::One(signal))
    }

    fn interest(&self, _: Signal, _: &Names, downstream: &Interest) -> Result<Interest, PrepareError> {
        Ok(downstream.clone())
    }

    fn prepare(&self, _: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        Ok(PreparedTransform::Task(Box::new(Self(self.0.clone()))))
    }
}

impl TransformTask for HoldLines {
    fn absorbs(&self) -> bool {
        false
    }

    fn start(self: Box<Self>, mut cx: TaskContext) -> Task {
        Box::pin(async move {
            let mut held = Vec::new();
            loop {
                let ended = tokio::select! {
                    message = cx.input.recv() => match message {
                        Some(message) => { held.push(message); continue }
                        None => true,
                    },
                    () = self.0.notified() => false,
                };
                for message in held.drain(..) {
                    // A pipeline that is gone abandons what was held.
                    let _ = cx.outlets[0].send(message).await;
                }
                if ended {
                    return Ok(());
                }
            }
        })
    }
}

/// A sink that records what it gets, once it is not hung.
#[derive(Clone, Default)]
pub struct Record(pub Arc<RecordState>);

#[derive(Default)]
pub struct RecordState {
    pub texts: Mutex<Vec<String>>,
    pub hung: AtomicBool,
    pub panics: AtomicBool,
    pub wake: Notify,
}

impl Record {
    pub fn texts(&self) -> Vec<String> {
        self.0.texts.lock().expect("not poisoned").clone()
    }

    /// Stops, or lets go on, every answer.
    pub fn hang(&self, hung: bool) {
        self.0.hung.store(hung, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    /// Waits until this many texts have arrived.
    pub async fn reached(&self, count: usize) {
        while self.texts().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Plan for Record {}

impl SinkPlan for Record {
    fn accepts(&self, _: Signal) -> bool {
        true
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        Ok(Box::new(self.clone()))
    }
}

impl Sink for Record {
    fn start(self: Box<Self>, mut cx: SinkContext) -> Task {
        Box::pin(async move {
            while let Some(Some(message)) = cx.shutdown.run_until_cancelled(cx.input.recv()).await {
                assert!(!self.0.panics.swap(false, Ordering::SeqCst), "the test asked for a panic");
                loop {
                    let wake = self.0.wake.notified();
                    tokio::pin!(wake);
                    wake.as_mut().enable();
                    if !self.0.hung.load(Ordering::SeqCst) {
                        let texts = texts(&message.batch);
                        let records = texts.len() as u64;
                        self.0.texts.lock().expect("not poisoned").extend(texts);
                        message.ack.settle(Outcome::Delivered, records);
                        break;
                    }
                    let path = message.ack.path().clone();
                    tokio::select! {
                        () = wake => {}
                        () = path.revoked() => break,
                        () = cx.shutdown.cancelled() => return Ok(()),
                    }
                }
            }
            Ok(())
        })
    }
}
