//! The sink before a receiver that answers in every way, on a real connection.

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
}

struct Store {
    kind: Kind,
    /// Answers that come before any look at the request.
    script: Vec<(u16, &'static str)>,
    /// Series that are never taken.
    bad: &'static str,
    last: BTreeMap<String, i64>,
    taken: Vec<Key>,
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
            return (status, words.into(), None);
        }
        let body = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
        let mut seen = Seen::default();
        decode(version, &body, Limits { labels: 30 }, &mut seen).expect("a request");
        match (self.kind, version) {
            (Kind::Blind, Version::V2) => return (204, String::new(), None),
            (Kind::Atomic, Version::V2) => return (415, "only prometheus.WriteRequest".into(), None),
            _ => {}
        }
        let (mut last, mut taken, mut wrong) = (self.last.clone(), Vec::new(), None);
        for (series, time) in seen.1 {
            let latest = last.entry(series.clone()).or_insert(i64::MIN);
            if series.contains(self.bad) {
                wrong = Some(format!("invalid series {series}"));
            } else if time < *latest {
                wrong = Some(format!("out of order sample for series {series}"));
            } else {
                *latest = time;
                taken.push((series, time));
            }
        }
        let written = taken.len();
        if let (Some(words), Kind::Atomic | Kind::Blind) = (&wrong, self.kind) {
            return (400, words.clone(), None);
        }
        self.last = last;
        self.taken.extend(taken);
        let written = (version == Version::V2).then_some(written);
        wrong.map_or((204, String::new(), written), |words| (400, words, written))
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

#[tokio::test]
async fn samples_are_delivered_with_external_labels_and_told_by_the_receivers_headers() {
    let receiver = Receiver::start(Kind::Partial).await;
    let mut driven = start(&receiver, json!({ "headers": { "X-Scope-OrgID": "me" } }));
    let table = SeriesTable::new(1000);
    for time in 1..=3 {
        driven.send_batch(Batch::Metrics(scrape(&table, 100, time)), None).await;
    }
    for _ in 0..3 {
        assert_eq!(delivered(&driven.verdict().await), (100, 0));
    }
    receiver.with(|store| {
        assert_eq!(once(&store.taken), keys(100, 1..=3));
        assert!(store.requests.iter().all(|request| *request == (Version::V2, 204)));
        assert!(store.headers.iter().all(|headers| headers["x-scope-orgid"] == "me"));
        assert!(store.headers[0]["user-agent"].to_str().expect("text").starts_with("tailwater/"));
    });
    assert_eq!(driven.metrics.records_out.get(), 300);
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn a_receiver_of_1_0_is_sent_1_0_for_good() {
    for kind in [Kind::Atomic, Kind::Blind] {
        let receiver = Receiver::start(kind).await;
        let mut driven = start(&receiver, json!({}));
        let table = SeriesTable::new(1000);
        for time in 1..=2 {
            driven.send_batch(Batch::Metrics(scrape(&table, 10, time)), None).await;
            assert_eq!(delivered(&driven.verdict().await), (10, 0));
        }
        receiver.with(|store| {
            let versions: Vec<_> = store.requests.iter().map(|(version, _)| *version).collect();
            assert_eq!(versions, [Version::V2, Version::V1, Version::V1]);
            assert_eq!(once(&store.taken), keys(10, 1..=2));
        });
        driven.finish().await.expect("ends");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_now_is_sent_again_and_what_blocks_is_told() {
    let receiver = Receiver::start(Kind::Partial).await;
    receiver.with(|store| store.script = vec![(429, "slow down"), (503, "busy"), (401, "who are you")]);
    let mut driven = start(&receiver, json!({}));
    let table = SeriesTable::new(1000);
    driven.send_batch(Batch::Metrics(scrape(&table, 10, 1)), None).await;
    assert_eq!(delivered(&driven.verdict().await), (10, 0));
    assert_eq!(receiver.statuses(), [429, 503, 401, 204]);
    assert_eq!(receiver.with(|store| once(&store.taken)), keys(10, 1..=1));
    let (_, words) = driven.metrics.health.status().last_error.expect("an error was told");
    assert!(words.contains("401: who are you; check the credentials"), "{words}");
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn one_bad_series_costs_itself_in_both_versions() {
    for kind in [Kind::Atomic, Kind::Partial] {
        let receiver = Receiver::start(kind).await;
        receiver.with(|store| store.bad = "instance=\"77\"");
        let mut driven = start(&receiver, json!({}));
        let table = SeriesTable::new(1000);
        driven.send_batch(Batch::Metrics(scrape(&table, 100, 1)), None).await;
        let verdict = driven.verdict().await;
        assert_eq!(delivered(&verdict), (99, 1));
        let reason = verdict.reason.expect("a reason");
        assert!(reason.contains("answered 400: invalid series up{instance=\"77\""), "{reason}");
        let mut expected = keys(100, 1..=1);
        expected.retain(|(series, _)| !series.contains("\"77\""));
        assert_eq!(receiver.with(|store| once(&store.taken)), expected, "{kind:?}");
        assert_eq!(driven.metrics.records_refused.get(), 1);
        driven.finish().await.expect("ends");
    }
}

#[tokio::test]
async fn a_request_that_is_all_bad_is_not_taken_apart_for_ever() {
    let receiver = Receiver::start(Kind::Atomic).await;
    receiver.with(|store| store.bad = "up");
    let mut driven = start(&receiver, json!({ "version": "1.0" }));
    let table = SeriesTable::new(10_000);
    driven.send_batch(Batch::Metrics(scrape(&table, 4000, 1)), None).await;
    assert_eq!(delivered(&driven.verdict().await), (0, 4000));
    assert!(receiver.statuses().len() < 60, "{}", receiver.statuses().len());
    driven.finish().await.expect("ends");
}

/// A kill: of each shard the receiver has what was sent up to some place, and everything is sent again.
#[tokio::test]
async fn what_is_stored_already_is_found_and_what_is_not_is_stored() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for version in ["1.0", "2.0"] {
        for _ in 0..10 {
            let receiver = Receiver::start(if version == "1.0" { Kind::Atomic } else { Kind::Partial }).await;
            let table = SeriesTable::new(10_000);
            let times = 1..=4_i64;
            let batches: Vec<_> = times.clone().map(|time| scrape(&table, 300, time)).collect();
            let shards = 1 << random.u32(0..=3);
            receiver.with(|store| {
                let series = table.read();
                for shard in 0..shards {
                    let mut own: Vec<Key> = Vec::new();
                    for batch in &batches {
                        for sample in batch.iter() {
                            let hash = series.hash(sample.series);
                            if crate::formats::prometheus::remote_write::shard(hash, shards) == shard {
                                let mut labels = series.labels(sample.series).to_set();
                                labels.set("region", "eu");
                                let mut encoded = Vec::new();
                                labels.encode(&mut encoded);
                                own.push((Labels::of_encoded(&encoded).to_string(), sample.time.0));
                            }
                        }
                    }
                    own.truncate(random.usize(0..=own.len()));
                    for (labels, time) in own {
                        store.last.insert(labels.clone(), time);
                        store.taken.push((labels, time));
                    }
                }
            });
            let mut driven = start(&receiver, json!({ "version": version }));
            for batch in &batches {
                driven.send_batch(Batch::Metrics(batch.clone()), Some(UnixNanos(1))).await;
            }
            for _ in &batches {
                assert_eq!(delivered(&driven.verdict().await), (300, 0), "seed {seed}");
            }
            receiver.with(|store| {
                // What is the latest of its series may be taken twice: it is the same sample.
                let taken: BTreeSet<_> = store.taken.iter().cloned().collect();
                assert_eq!(taken, keys(300, times), "seed {seed}, {version}, {shards} shards");
                assert!(store.requests.len() < 600, "{} requests", store.requests.len());
            });
            driven.finish().await.expect("ends");
        }
    }
}

#[tokio::test]
async fn each_series_stays_in_order_over_shards_and_small_requests() {
    let receiver = Receiver::start(Kind::Partial).await;
    receiver.with(|store| store.script = vec![(500, ""), (500, ""), (500, "")]);
    let options = json!({ "shards": { "min": 4, "max": 4 }, "batch": { "max_bytes": "16KiB", "linger": "1ms" } });
    let mut driven = start(&receiver, options);
    let table = SeriesTable::new(10_000);
    for time in 1..=20 {
        driven.send_batch(Batch::Metrics(scrape(&table, 1000, time)), None).await;
    }
    for _ in 1..=20 {
        assert_eq!(delivered(&driven.verdict().await), (1000, 0));
    }
    receiver.with(|store| {
        assert_eq!(once(&store.taken), keys(1000, 1..=20));
        assert!(store.requests.iter().all(|(_, status)| matches!(status, 204 | 500)), "nothing was out of order");
        assert!(store.requests.len() > 40);
    });
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn relabelling_drops_and_renames_on_the_way_out() {
    let receiver = Receiver::start(Kind::Partial).await;
    let rules = json!([
        { "source_labels": ["instance"], "regex": "[0-4].*", "action": "drop" },
        { "source_labels": ["region"], "target_label": "zone" },
        { "regex": "region", "action": "labeldrop" },
    ]);
    let mut driven = start(&receiver, json!({ "write_relabel_configs": rules }));
    let table = SeriesTable::new(100);
    driven.send_batch(Batch::Metrics(scrape(&table, 6, 1)), None).await;
    let verdict = driven.verdict().await;
    assert_eq!((verdict.count(Outcome::Delivered), verdict.count(Outcome::Filtered)), (1, 5));
    receiver.with(|store| assert_eq!(store.taken, [("up{instance=\"5\", zone=\"eu\"}".to_owned(), 1)]));
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn the_end_of_the_input_sends_what_lingers_and_a_withdrawal_lets_it_go() {
    let receiver = Receiver::start(Kind::Partial).await;
    let mut driven = start(&receiver, json!({ "batch": { "linger": "1h" } }));
    let table = SeriesTable::new(100);
    driven.send_batch(Batch::Metrics(scrape(&table, 5, 1)), None).await;
    drop(driven.input.take());
    assert_eq!(delivered(&driven.verdict().await), (5, 0));
    driven.finish().await.expect("ends");

    receiver.with(|store| store.script = vec![(503, ""); 1000]);
    let mut driven = start(&receiver, json!({}));
    driven.send_batch(Batch::Metrics(scrape(&table, 5, 2)), None).await;
    while receiver.with(|store| store.script.len()) > 998 {
        tokio::task::yield_now().await;
    }
    driven.path.revoke();
    assert!(driven.verdict().await.abandoned);
    driven.finish().await.expect("ends");
}
