//! An agent with the sink under test, made from YAML like any other, and a source into which a test feeds
//! lines with positions, or spans.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tailwater::config::{self, Tables};
use tailwater::data::{
    Attribute, Batch, Chunk, Generation, LogBatch, LogBuilder, LogRecord, MemoryBudget, Names, Resource, Signal, Slice,
    UnixNanos, Value,
};
use tailwater::delivery::{Message, Outcome, Settle, Verdict};
use tailwater::formats::otlp::json::{self, Document};
use tailwater::formats::otlp::traces;
use tailwater::options::Identity;
use tailwater::pipeline::component::{Plan, PrepareContext, Source};
use tailwater::pipeline::{
    Common, Descriptor, Outputs, PrepareError, Runner, SourceContext, SourcePlan, Task, prepare,
};
use tailwater::registry;
use tailwater::telemetry::{ComponentMetrics, Telemetry};
use tokio::sync::{mpsc, watch};

/// When the first line of every feed was written: 2026-11-24T12:00:00Z.
pub const NOON: u64 = 1_795_521_600_000_000_000;

type Fed = (Batch, Option<UnixNanos>);

/// Lines on their way into an agent, and what became of them.
#[derive(Clone)]
pub struct Feed(Arc<Feeding>);

struct Feeding {
    name: String,
    lines: mpsc::UnboundedSender<Fed>,
    taken: Mutex<Option<mpsc::UnboundedReceiver<Fed>>>,
    state: Mutex<State>,
    verdicts: watch::Sender<Verdicts>,
}

struct State {
    generation: Generation,
    offset: u64,
    lines: u64,
    batches: u64,
}

/// What became of what was fed.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    pub batches: u64,
    pub delivered: u64,
    pub filtered: u64,
    pub dead_lettered: u64,
    pub refused: u64,
    pub abandoned: u64,
    pub reasons: Vec<String>,
}

/// Sources find their feeds by name: a plan is made from options alone.
static FEEDS: LazyLock<Mutex<BTreeMap<String, Feed>>> = LazyLock::new(Mutex::default);

impl Feed {
    /// A feed for the source `feed/<name>`, from the beginning of the log with this number. A second one of
    /// the same name and number gives the same lines the same positions, like a restart.
    pub fn new(name: &str, log: u64) -> Self {
        let (lines, taken) = mpsc::unbounded_channel();
        let generation = Generation { id: log, birth: UnixNanos(NOON) };
        let feed = Self(Arc::new(Feeding {
            name: format!("feed/{name}"),
            lines,
            taken: Mutex::new(Some(taken)),
            state: Mutex::new(State { generation, offset: 0, lines: 0, batches: 0 }),
            verdicts: watch::Sender::default(),
        }));
        FEEDS.lock().expect("not poisoned").insert(feed.0.name.clone(), feed.clone());
        feed
    }

    /// Feeds lines as one batch, seen for the first time.
    pub fn lines<T: AsRef<str>>(&self, lines: &[T]) {
        self.send(lines, None);
    }

    /// Feeds lines that may have been sent before, since then at the earliest.
    pub fn lines_again<T: AsRef<str>>(&self, lines: &[T], since: UnixNanos) {
        self.send(lines, Some(since));
    }

    fn send<T: AsRef<str>>(&self, lines: &[T], first_attempt: Option<UnixNanos>) {
        let batch = {
            let mut state = self.0.state.lock().expect("not poisoned");
            state.batches += 1;
            state.batch(lines)
        };
        self.hand_on(Batch::Logs(batch), first_attempt);
    }

    /// Feeds a request of OTLP/JSON, one batch of spans.
    pub fn spans(&self, request: &serde_json::Value) {
        let text = request.to_string();
        let request = json::read(Document::Request(Signal::Traces), text.as_bytes(), 1 << 20).expect("a request");
        let indexed = traces::index(Chunk::from_vec(request)).expect("well-formed");
        self.0.state.lock().expect("not poisoned").batches += 1;
        self.hand_on(Batch::Traces(indexed.batch), None);
    }

    fn hand_on(&self, batch: Batch, first_attempt: Option<UnixNanos>) {
        assert!(self.0.lines.send((batch, first_attempt)).is_ok(), "the feed holds a receiver or its source does");
    }

    /// Feeds a batch of the test's own making.
    pub fn batch(&self, batch: LogBatch) {
        self.0.state.lock().expect("not poisoned").batches += 1;
        self.hand_on(Batch::Logs(batch), None);
    }

    /// What became of everything so far.
    pub fn verdicts(&self) -> Verdicts {
        self.0.verdicts.borrow().clone()
    }

    /// Waits until everything that was fed is settled.
    pub async fn settled(&self) -> Verdicts {
        let all = self.0.state.lock().expect("not poisoned").batches;
        let mut verdicts = self.0.verdicts.subscribe();
        let settled = verdicts.wait_for(|verdicts| verdicts.batches >= all);
        let settled = tokio::time::timeout(Duration::from_secs(90), settled).await;
        let settled = settled.unwrap_or_else(|_| panic!("not settled in time: {:?}", self.verdicts()));
        settled.expect("the feed holds the sender").clone()
    }
}

impl State {
    fn batch<T: AsRef<str>>(&mut self, lines: &[T]) -> LogBatch {
        let resource = Resource::new([
            ("k8s.namespace.name".into(), "shop".into()),
            ("k8s.pod.name".into(), "web-1".into()),
            ("k8s.container.name".into(), "web".into()),
        ]);
        let mut builder = LogBuilder::new(Arc::new(resource), Arc::default());
        let mut text: Vec<u8> = b"log.iostreamstdout".to_vec();
        lines.iter().for_each(|line| text.extend_from_slice(line.as_ref().as_bytes()));
        builder.add_payload_bytes(text.len() as u64);
        let chunk = builder.add_chunk(Chunk::from_vec(text));
        builder.source().generations.push(self.generation);
        let stream = Attribute { key: Slice::new(chunk, 0, 12), value: Value::Text(Slice::new(chunk, 12, 6)) };
        builder.source().attributes.push(stream);
        let mut at = 18;
        for line in lines {
            let len = u32::try_from(line.as_ref().len()).expect("short");
            let end = self.offset + u64::from(len) + 1;
            builder.source().records.push(LogRecord {
                time: UnixNanos(NOON + self.lines * 1_000_000),
                attributes_len: 1,
                start: self.offset,
                end,
                ..LogRecord::of_body(Slice::new(chunk, at, len))
            });
            self.offset = end;
            self.lines += 1;
            at += len;
        }
        builder.build()
    }
}

impl Settle for Feeding {
    fn settled(&self, _: u64, verdict: Verdict) {
        self.verdicts.send_modify(|all| {
            all.batches += 1;
            all.delivered += verdict.count(Outcome::Delivered);
            all.filtered += verdict.count(Outcome::Filtered);
            all.dead_lettered += verdict.count(Outcome::DeadLettered);
            all.refused += verdict.count(Outcome::Refused);
            all.abandoned += u64::from(verdict.abandoned);
            all.reasons.extend(verdict.reason.map(String::from));
        });
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FeedOptions {
    spans: bool,
}

impl Plan for FeedOptions {}

impl SourcePlan for FeedOptions {
    fn outputs(&self) -> Outputs {
        Outputs::One(if self.spans { Signal::Traces } else { Signal::Logs })
    }

    fn replayable(&self) -> bool {
        true
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        let feeds = FEEDS.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(feeds.get(&*cx.id.0).cloned().ok_or_else(|| PrepareError("no such feed".into()))?))
    }
}

impl Source for Feed {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut lines = self.0.taken.lock().expect("not poisoned").take().expect("a feed has one source");
            while let Some(Some((batch, first_attempt))) = cx.shutdown.run_until_cancelled(lines.recv()).await {
                let Ok(ack) = cx.outlets[0].ack(self.0.clone(), 0, false).await else { break };
                let message = Message { first_attempt, ..Message::new(batch, ack) };
                if cx.outlets[0].send(message).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }
}

const FEED: Descriptor<dyn SourcePlan> = Descriptor {
    name: "feed",
    summary: "Lines from a test.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<FeedOptions>(options)?)),
    schema: |_| true.into(),
};

const TABLES: Tables = Tables { sources: &[&FEED], ..registry::TABLES };

/// A running agent.
pub struct Agent {
    runner: Option<Runner>,
    telemetry: Arc<Telemetry>,
    sink: String,
    /// Its `data_dir`, and room for the test's own files.
    pub folder: tempfile::TempDir,
}

impl Agent {
    /// An agent of one feed, the step `parse_json`, and the sink `elasticsearch/<feed's name>` with these
    /// options, as YAML's flow style has them between braces.
    pub fn start(feed: &Feed, options: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), feed, options)
    }

    /// The same with a folder that the test has put files into.
    pub fn start_in(folder: tempfile::TempDir, feed: &Feed, options: &str) -> Self {
        Self::with_steps(folder, feed, "{ parse_json: { on_error: keep } }", options)
    }

    /// The same of a feed of spans, without steps.
    pub fn of_spans(feed: &Feed, options: &str) -> Self {
        let source = &feed.0.name;
        let name = source.trim_start_matches("feed/");
        let yaml = format!(
            "sources:\n  {source}: {{ spans: true }}\nsinks:\n  elasticsearch/{name}: {{ inputs: [{source}], {options}, \
             dead_letter: {{ min_free: 0% }} }}\n"
        );
        Self::start_yaml(tempfile::tempdir().expect("a folder"), &yaml, &format!("elasticsearch/{name}"))
    }

    /// The same with steps of the test's own.
    pub fn with_steps(folder: tempfile::TempDir, feed: &Feed, steps: &str, options: &str) -> Self {
        let source = &feed.0.name;
        let name = source.trim_start_matches("feed/");
        // What the dead letter does must not depend on how full this machine's disk is.
        let more = if options.contains("dead_letter") { "" } else { ", dead_letter: { min_free: 0% }" };
        let yaml = format!(
            "sources:\n  {source}: {{}}\n\
             transforms:\n  steps/{name}: {{ inputs: [{source}], steps: [{steps}] }}\n\
             sinks:\n  elasticsearch/{name}: {{ inputs: [steps/{name}], {options}{more} }}\n"
        );
        Self::start_yaml(folder, &yaml, &format!("elasticsearch/{name}"))
    }

    fn start_yaml(folder: tempfile::TempDir, yaml: &str, sink: &str) -> Self {
        let file = folder.path().join("tailwater.yaml");
        std::fs::write(&file, yaml).expect("written");
        let plan = config::load(&[file], TABLES).unwrap_or_else(|errors| panic!("{errors}"));
        let telemetry = Arc::new(Telemetry::new());
        let common = Common {
            telemetry: telemetry.clone(),
            names: Arc::new(Names::default()),
            series: tailwater::data::SeriesTable::new(1),
            memory: Arc::new(MemoryBudget::new(64 << 20)),
            data_dir: folder.path().into(),
            identity: Arc::new(Identity::default()),
            pods: Arc::default(),
            lasting: Default::default(),
            workers: 1,
        };
        let prepared = prepare(plan.graph, &common).unwrap_or_else(|errors| panic!("{errors:?}"));
        let (runner, _ended) = Runner::start(prepared, common);
        Self { runner: Some(runner), telemetry, sink: sink.to_owned(), folder }
    }

    /// The sink's metrics and health.
    pub fn metrics(&self) -> Arc<ComponentMetrics> {
        self.telemetry.component("sink", &self.sink)
    }

    /// Why the sink is unhealthy.
    pub fn unhealthy(&self) -> Option<String> {
        self.metrics().health.status().unhealthy
    }

    /// Waits until the sink is unhealthy with words like these.
    pub async fn complains(&self, words: &str) {
        let what = format!("unhealthy with `{words}`");
        crate::server::until(&what, async || self.unhealthy().is_some_and(|why| why.contains(words))).await;
    }

    /// The entries of the sink's dead letter.
    pub fn dead_letter(&self) -> Vec<serde_json::Value> {
        dead_letter(self.folder.path(), &self.sink)
    }

    /// Drains and stops; where the destination is unhealthy, what is unsettled is abandoned.
    pub async fn stop(mut self) {
        let runner = self.runner.take().expect("stopped once");
        runner.shutdown(Duration::from_secs(20)).await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {:?}", self.sink, self.metrics().health.status());
        }
    }
}

fn dead_letter(data_dir: &Path, sink: &str) -> Vec<serde_json::Value> {
    let Ok(folder) = std::fs::read_dir(data_dir.join("dead_letter").join(sink)) else { return Vec::new() };
    let mut files: Vec<_> = folder.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).expect("text"));
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.map(|line| serde_json::from_str(&line).expect("each entry is a line of JSON")).collect()
}
