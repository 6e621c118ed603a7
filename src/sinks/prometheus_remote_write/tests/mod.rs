//! The sink before a receiver that answers in every way, on a real connection.

mod answers;
mod apart;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;
use crate::data::series_table::ListBuilder;
use crate::data::{
    Batch, Histogram, LabelSet, Labels, MemoryBudget, MetricBatch, MetricBuilder, SeriesTable, UnixMillis, UnixNanos,
};
use crate::delivery::{Outcome, Verdict};
use crate::formats::prometheus::remote_write::{
    Counts, Limits, ReadMetadata, Receive, Version, WRITTEN_HEADERS, decode,
};
use crate::pipeline::graph::ComponentId;
use crate::pipeline::testing::Driven;
use crate::telemetry::Telemetry;

/// Series by its labels in words, and milliseconds.
type Key = (String, i64);

/// How the receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// 1.0 as Prometheus does it: a request in which one sample is refused is refused as a whole.
    Atomic,
    /// 2.0 as Prometheus does it: what can be written is.
    Partial,
    /// A receiver of 1.0 that does not look at the content type.
    Blind,
    /// It takes 2.0, and a proxy before it cuts off the headers that say so; 1.0 as Prometheus does it.
    Stripped,
}

/// In a script: the request is looked at.
const LOOK: (u16, &str) = (0, "");

struct Store {
    kind: Kind,
    /// Answers that come before any look at the request.
    script: Vec<(u16, &'static str)>,
    /// Series that are never taken.
    bad: &'static str,
    last: BTreeMap<String, i64>,
    taken: Vec<Key>,
    /// The next request is answered once this is told.
    hold: Option<Arc<Notify>>,
    requests: Vec<(Version, u16)>,
    headers: Vec<HeaderMap>,
}

struct Receiver {
    store: Arc<Mutex<Store>>,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Default)]
struct Seen(String, Vec<Key>);

impl Receive for Seen {
    fn series(&mut self, labels: Labels<'_>, _: Option<ReadMetadata<'_>>) {
        self.0 = labels.to_string();
    }
    fn number(&mut self, _: f64, time: UnixMillis, _: Option<UnixMillis>) {
        self.1.push((self.0.clone(), time.0));
    }
    fn histogram(&mut self, _: Histogram, _: UnixMillis, _: Option<UnixMillis>) {}
    fn exemplar(&mut self, _: Labels<'_>, _: f64, _: UnixMillis) {}
    fn metadata(&mut self, _: ReadMetadata<'_>) {}
    fn refused(&mut self, reason: String, _: Counts) {
        panic!("{reason}");
    }
}

impl Receiver {
    async fn start(kind: Kind) -> Self {
        let store = Store {
            kind,
            script: vec![],
            bad: "nothing",
            last: BTreeMap::new(),
            taken: vec![],
            hold: None,
            requests: vec![],
            headers: vec![],
        };
        let store = Arc::new(Mutex::new(store));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}/write", listener.local_addr().expect("bound"));
        let router = Router::new().route("/write", post(write)).with_state(store.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serves until aborted");
        });
        Self { store, url, server }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.store.lock().expect("not poisoned"))
    }

    fn statuses(&self) -> Vec<u16> {
        self.with(|store| store.requests.iter().map(|(_, status)| *status).collect())
    }
}

async fn write(State(store): State<Arc<Mutex<Store>>>, headers: HeaderMap, body: Bytes) -> Response {
    let hold = store.lock().expect("not poisoned").hold.take();
    if let Some(hold) = hold {
        hold.notified().await;
    }
    let mut store = store.lock().expect("not poisoned");
    let said = headers["content-type"].to_str().expect("text").to_owned();
    let version = Version::of_content_type(&said).expect("one of the two");
    assert_eq!(headers["content-encoding"], "snappy");
    assert_eq!(headers["x-prometheus-remote-write-version"], version.header());
    store.headers.push(headers);
    let (status, words, written) = store.take(version, &body);
    store.requests.push((version, status));
    let status = StatusCode::from_u16(status).expect("a status");
    match written {
        Some(written) => {
            let [samples, histograms, exemplars] = WRITTEN_HEADERS;
            (status, [(samples, written.to_string()), (histograms, "0".into()), (exemplars, "0".into())], words)
                .into_response()
        }
        None => (status, words).into_response(),
    }
}

impl Store {
    fn take(&mut self, version: Version, body: &[u8]) -> (u16, String, Option<usize>) {
        if !self.script.is_empty() {
            let (status, words) = self.script.remove(0);
            if (status, words) != LOOK {
                return (status, words.into(), None);
            }
        }
        let body = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
        let mut seen = Seen::default();
        decode(version, &body, Limits::of_labels(30), &mut seen).expect("a request");
        match (self.kind, version) {
            (Kind::Blind, Version::V2) => return (204, String::new(), None),
            (Kind::Atomic, Version::V2) => return (415, "only prometheus.WriteRequest".into(), None),
            _ => {}
        }
        let (mut last, mut taken, mut wrong) = (self.last.clone(), Vec::new(), Vec::new());
        for (series, time) in seen.1 {
            let latest = last.entry(series.clone()).or_insert(i64::MIN);
            if series.contains(self.bad) {
                wrong.push(format!("invalid series {series}"));
            } else if time < *latest {
                wrong.push(format!("out of order sample for series {series}"));
            } else {
                *latest = time;
                taken.push((series, time));
            }
        }
        let written = taken.len();
        if let (Some(words), Kind::Atomic | Kind::Blind | Kind::Stripped) = (wrong.last(), self.kind) {
            return (400, words.clone(), None);
        }
        self.last = last;
        self.taken.extend(taken);
        let written = (version == Version::V2 && self.kind != Kind::Stripped).then_some(written);
        if wrong.is_empty() { (204, String::new(), written) } else { (400, wrong.join("\n"), written) }
    }
}

impl Store {
    /// Has samples from before.
    fn have(&mut self, samples: impl IntoIterator<Item = Key>) {
        for (series, time) in samples {
            self.last.insert(series.clone(), time);
            self.taken.push((series, time));
        }
    }
}

fn sink(options: serde_json::Value) -> Box<dyn Sink> {
    let options: Options = serde_json::from_value(options).expect("the shape is right");
    assert_eq!(options.problems(), []);
    let telemetry = Arc::new(Telemetry::new());
    let labels = [("region".to_owned(), "eu".to_owned())];
    let identity = Identity { external_labels: labels.into(), ..Identity::default() };
    let cx = PrepareContext {
        id: ComponentId("prometheus_remote_write/x".into()),
        metrics: telemetry.component("sink", "prometheus_remote_write/x"),
        telemetry,
        names: Arc::default(),
        series: SeriesTable::new(1),
        memory: Arc::new(MemoryBudget::new(1)),
        data_dir: std::path::Path::new("").into(),
        identity: Arc::new(identity),
        pods: Arc::default(),
        lasting: Default::default(),
        workers: 1,
    };
    options.prepare(&cx).expect("prepares")
}

fn start(receiver: &Receiver, more: serde_json::Value) -> Driven {
    let mut options = json!({ "url": receiver.url, "batch": { "linger": "10ms" } });
    for (key, value) in more.as_object().expect("an object") {
        options[key] = value.clone();
    }
    Driven::start(sink(options))
}

fn scrape(table: &Arc<SeriesTable>, series: usize, millis: i64) -> MetricBatch {
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    builder.samples().time = UnixMillis(millis);
    for index in 0..series {
        let instance = index.to_string();
        let labels: LabelSet = [("__name__", "up"), ("instance", &instance)].into_iter().collect();
        list.labels(&labels, Default::default());
        builder.samples().values.push(index as f64);
    }
    builder.build(Arc::default(), table.list(&list).list)
}

/// Samples in this order, each of an instance and with its milliseconds: what a sender that catches up brings.
fn samples(table: &Arc<SeriesTable>, samples: impl IntoIterator<Item = (usize, i64)>) -> MetricBatch {
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    for (instance, millis) in samples {
        let labels: LabelSet = [("__name__", "up"), ("instance", &instance.to_string())].into_iter().collect();
        list.labels(&labels, Default::default());
        builder.samples().values.push(millis as f64);
        builder.samples().times.push(UnixMillis(millis));
    }
    builder.build(Arc::default(), table.list_with_repeats(&list).list)
}

/// What a receiver has of samples when it has all of them, in their order.
fn keys_of(table: &SeriesTable, batch: &MetricBatch) -> Vec<Key> {
    let series = table.read();
    let key = |sample: crate::data::metrics::Sample<'_>| {
        let mut labels = series.labels(sample.series).to_set();
        labels.set("region", "eu");
        let mut encoded = Vec::new();
        labels.encode(&mut encoded);
        (Labels::of_encoded(&encoded).to_string(), sample.time.0)
    };
    batch.iter().map(key).collect()
}

/// What a receiver has of scrapes when it has all of them once.
fn keys(series: usize, times: impl Iterator<Item = i64> + Clone) -> BTreeSet<Key> {
    let series = (0..series).map(|index| format!("up{{instance=\"{index}\", region=\"eu\"}}"));
    series.flat_map(|series| times.clone().map(move |time| (series.clone(), time))).collect()
}

fn once(taken: &[Key]) -> BTreeSet<Key> {
    let set: BTreeSet<_> = taken.iter().cloned().collect();
    assert_eq!(set.len(), taken.len(), "nothing is taken twice");
    set
}

fn delivered(verdict: &Verdict) -> (u64, u64) {
    assert!(!verdict.abandoned);
    (verdict.count(Outcome::Delivered), verdict.count(Outcome::Refused))
}
