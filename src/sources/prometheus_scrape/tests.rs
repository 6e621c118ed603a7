//! Jobs against a real target on loopback: what a scrape brings, and the markers by which series end.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;
use tokio::time::timeout;

use super::discovery::Found;
use super::*;
use crate::data::metrics::{SampleValue, is_stale};
use crate::data::target_group::ADDRESS;
use crate::data::{Batch, MemoryBudget, TargetGroup};
use crate::delivery::Path;
use crate::delivery::queue::{EdgeReceiver, WhenFull, edge};
use crate::pipeline::outlet::{Chain, Gate, Reader};
use crate::telemetry::targets::TargetHealth;
use crate::telemetry::testing::Logged;
use crate::telemetry::{ComponentMetrics, Telemetry};

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A clock that is set by this panics once.
const UNLUCKY: i64 = i64::MIN;

/// A target whose answer the test sets.
#[derive(Clone, Default)]
struct Exposed(Arc<Mutex<(u16, String)>>);

impl Exposed {
    fn set(&self, status: u16, text: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (status, text.into());
    }

    async fn serve(&self) -> String {
        let exposed = self.clone();
        let answer = move || async move {
            let (status, text) = exposed.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            (StatusCode::from_u16(status).expect("a status"), [("content-type", "text/plain; version=0.0.4")], text)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let router = axum::Router::new().fallback(get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

/// A running job, its discovery in the test's hands.
struct Running {
    found: watch::Sender<Found>,
    input: EdgeReceiver,
    stop: CancellationToken,
    gone_for_good: Arc<AtomicBool>,
    metrics: Arc<ComponentMetrics>,
    table: Arc<SeriesTable>,
    /// By how many milliseconds the clock on the wall was set.
    set: Arc<AtomicI64>,
    memory: Arc<MemoryBudget>,
    pool: tokio::task::JoinHandle<Vec<succession::Remains>>,
}

/// The samples that came, by series: time and value of each.
type Seen = BTreeMap<String, Vec<(i64, f64)>>;

impl Running {
    fn start(job: serde_json::Value) -> Self {
        Self::after(job, Telemetry::new().component("source", "prometheus_scrape/test"), SeriesTable::new(1000))
    }

    /// Starts a job under a name and with a table that another may have used before.
    fn after(job: serde_json::Value, metrics: Arc<ComponentMetrics>, table: Arc<SeriesTable>) -> Self {
        let options: Options =
            serde_json::from_value(serde_json::json!({ "scrape_configs": [job] })).expect("the shape is right");
        let job = options.plan().expect("valid").jobs.remove(0);
        let (sender, input) = edge(64 << 20, WhenFull::Block, metrics.clone());
        let chain = Chain { readers: vec![Reader::edge(sender, "prometheus_scrape/test")] };
        let (_, outlet) = Gate::open(chain, Path::new(), metrics.clone());
        let memory = Arc::new(MemoryBudget::new(64 << 20));
        let budget = memory.share(Signal::Metrics);
        let (outputs, _) = output::start(&outlet, 1, &budget, &metrics);
        let (stop, gone_for_good) = (CancellationToken::new(), Arc::default());
        let set = Arc::new(AtomicI64::new(0));
        let by = set.clone();
        let shared = Shared {
            table: Arc::clone(&table),
            benches: Arc::new(bench::Benches::new(memory.scrapes())),
            outputs: outputs.into(),
            metrics: metrics.clone(),
            external: Arc::default(),
            shard: None,
            troubles: Arc::default(),
            estate: Arc::new(Estate::of(&metrics)),
            wall: Wall::new(move || {
                let unlucky = by.compare_exchange(UNLUCKY, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
                assert!(!unlucky, "an unlucky clock");
                UnixMillis(UnixMillis::now().0 + by.load(Ordering::Relaxed))
            }),
            seed: 1,
            gone_for_good: Arc::clone(&gone_for_good),
        };
        let client = HttpClient::patient(&job.client).expect("a client");
        let (found, watched) = watch::channel(Found::default());
        let pool = tokio::spawn(Pool::new(Arc::new(job), client, shared).run(watched, stop.clone()));
        Self { found, input, stop, gone_for_good, metrics, table, set, memory, pool }
    }

    fn find(&self, addresses: &[&str]) {
        let targets: Vec<_> = addresses.iter().map(|address| (*address, "/metrics")).collect();
        self.find_at(&targets);
    }

    /// Discovers targets, each with a path of its own.
    fn find_at(&self, targets: &[(&str, &str)]) {
        let labels =
            |target: &(&str, &str)| [(ADDRESS, target.0), ("__metrics_path__", target.1)].into_iter().collect();
        let targets = targets.iter().map(labels).collect();
        let group = TargetGroup { source: "0".into(), targets, labels: Default::default() };
        self.found.send_replace(Found { groups: [Arc::new(group)].into(), complete: true, ..Found::default() });
    }

    /// Gathers samples until `done` with what has come since the last call.
    async fn until(&mut self, done: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = Seen::new();
        let gather = async {
            while !done(&seen) {
                let message = self.input.recv().await.expect("the job runs");
                add(&message.batch, &mut seen);
                message.ack.done();
            }
        };
        if timeout(PATIENCE, gather).await.is_err() {
            panic!("this is all that came: {seen:?}");
        }
        seen
    }

    /// Ends the job and gathers what is left.
    async fn end(mut self, for_good: bool) -> Seen {
        self.gone_for_good.store(for_good, Ordering::Release);
        self.stop.cancel();
        let remains = timeout(PATIENCE, self.pool).await.expect("in time").expect("no panic");
        Estate::leave(remains, &self.metrics);
        let mut seen = Seen::new();
        while let Some(message) = self.input.recv().await {
            add(&message.batch, &mut seen);
            message.ack.done();
        }
        seen
    }
}

fn add(batch: &Batch, seen: &mut Seen) {
    let Batch::Metrics(batch) = batch else { panic!("a scrape brings metrics") };
    let table = batch.series().table().clone();
    let series = table.read();
    for sample in batch.iter() {
        let SampleValue::Float(value) = sample.value else { panic!("text has no native histograms") };
        let labels = series.labels(sample.series);
        let name = match labels.get("code") {
            Some(code) => format!("{}/{code}", labels.metric_name()),
            None => labels.metric_name().into(),
        };
        seen.entry(name).or_default().push((sample.time.0, value));
    }
}

fn last(seen: &Seen, series: &str) -> Option<f64> {
    Some(seen.get(series)?.last()?.1)
}

fn stale(seen: &Seen, series: &str) -> bool {
    last(seen, series).is_some_and(is_stale)
}

fn job() -> serde_json::Value {
    serde_json::json!({ "job_name": "shop", "scrape_interval": "50ms", "scrape_timeout": "50ms" })
}

/// A job whose one target was scraped.
struct Scraped {
    exposed: Exposed,
    address: String,
    running: Running,
    seen: Seen,
}

async fn scraped(text: &str) -> Scraped {
    let exposed = Exposed::default();
    exposed.set(200, text);
    let address = exposed.serve().await;
    let mut running = Running::start(job());
    running.find(&[&address]);
    let seen = running.until(|seen| last(seen, "up") == Some(1.0)).await;
    Scraped { exposed, address, running, seen }
}

#[tokio::test]
async fn a_failed_scrape_ends_the_series_and_a_good_one_brings_them_back() {
    let exposed = Exposed::default();
    exposed.set(200, "a{code=\"200\"} 1\na{code=\"500\"} 2\n");
    let address = exposed.serve().await;
    let mut running = Running::start(job());
    running.find(&[&address]);
    let seen = running.until(|seen| last(seen, "up") == Some(1.0) && seen.contains_key("scrape_series_added")).await;
    assert_eq!((last(&seen, "a/200"), last(&seen, "a/500")), (Some(1.0), Some(2.0)));
    assert_eq!(last(&seen, "scrape_samples_scraped"), Some(2.0));
    assert!(!seen.contains_key("scrape_body_size_bytes"), "only with `extra_scrape_metrics`");
    exposed.set(500, "");
    let seen = running.until(|seen| last(seen, "up") == Some(0.0)).await;
    assert!(stale(&seen, "a/200") && stale(&seen, "a/500"), "{seen:?}");
    let (ended, down) = (seen["a/200"].last().expect("ended"), seen["up"].last().expect("down"));
    assert_eq!(ended.0, down.0, "at the time of the scrape that failed");
    let targets = running.metrics.targets.pools().remove("shop").expect("a pool").active;
    assert_eq!(targets[0].state().health, TargetHealth::Down);
    assert_eq!(targets[0].state().last_error, "server returned HTTP status 500 Internal Server Error");
    // Once is enough.
    let seen = running.until(|seen| seen.get("up").is_some_and(|up| up.len() > 2)).await;
    assert!(!seen.contains_key("a/200"), "{seen:?}");
    exposed.set(200, "a{code=\"200\"} 3\n");
    let seen = running.until(|seen| last(seen, "up") == Some(1.0)).await;
    assert_eq!(last(&seen, "a/200"), Some(3.0));
    assert!(!seen.contains_key("a/500"), "it has ended before");
}

#[tokio::test]
async fn a_series_that_is_not_exposed_any_more_ends() {
    let Scraped { exposed, mut running, .. } = scraped("a{code=\"200\"} 1\na{code=\"500\"} 2\n").await;
    exposed.set(200, "a{code=\"200\"} 1\n");
    let seen = running.until(|seen| stale(seen, "a/500")).await;
    assert_eq!(last(&seen, "a/200"), Some(1.0));
}

#[tokio::test]
async fn a_target_that_is_gone_ends_with_everything_it_had() {
    let Scraped { mut running, .. } = scraped("a 1\n").await;
    running.find(&[]);
    let seen = running.until(|seen| stale(seen, "scrape_series_added")).await;
    for series in ["a", "up", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling"] {
        assert!(stale(&seen, series), "{series}: {seen:?}");
        assert!(seen[series].is_sorted_by(|a, b| a.0 < b.0), "{series}: {seen:?}");
    }
    let table = running.table.clone();
    drop(seen);
    timeout(PATIENCE, async {
        while !table.read().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("nothing holds its series any more");
}

#[tokio::test]
async fn the_series_end_when_the_source_is_removed_and_not_when_the_agent_stops() {
    for for_good in [false, true] {
        let Scraped { running, .. } = scraped("a 1\n").await;
        let seen = running.end(for_good).await;
        assert_eq!((stale(&seen, "a"), stale(&seen, "up")), (for_good, for_good), "{seen:?}");
    }
}

#[tokio::test]
async fn a_reload_goes_on_with_a_target_and_ends_what_is_gone() {
    let Scraped { exposed, address, running, .. } = scraped("a 1\nb 1\n").await;
    let (metrics, table) = (running.metrics.clone(), running.table.clone());
    let seen = running.end(false).await;
    assert!(!stale(&seen, "a"), "{seen:?}");
    exposed.set(200, "a 2\n");
    let mut running = Running::after(job(), metrics.clone(), table.clone());
    running.find(&[&address]);
    let seen = running.until(|seen| last(seen, "a") == Some(2.0) && last(seen, "up") == Some(1.0)).await;
    assert!(stale(&seen, "b"), "what is not exposed any more: {seen:?}");
    assert!(seen["a"].iter().all(|(_, value)| !is_stale(*value)), "{seen:?}");
    let left = running.end(false).await;
    let scrapes = [&seen, &left].into_iter().filter_map(|seen| seen.get("up")).flatten();
    let latest = scrapes.map(|(time, _)| *time).max().expect("a scrape");
    let mut running = Running::after(job(), metrics, table);
    running.find(&[]);
    let seen = running.until(|seen| stale(seen, "up")).await;
    assert!(stale(&seen, "a"), "the target is gone: {seen:?}");
    // Not now: a successor that exposes the same series may have scraped meanwhile.
    assert_eq!(seen["a"].last().map(|(time, _)| *time), Some(latest + 1));
}

/// Fails where a series ended, or its samples are out of order.
fn assert_go_on(seen: &Seen) {
    for (series, samples) in seen {
        assert!(samples.iter().all(|(_, value)| !is_stale(*value)), "{series} ended: {seen:?}");
        assert!(samples.is_sorted_by(|a, b| a.0 < b.0), "{series} is out of order: {seen:?}");
    }
}

#[tokio::test]
async fn a_reload_that_changes_the_interval_ends_nothing() {
    let Scraped { address, running, .. } = scraped("a 1\n").await;
    let (metrics, table) = (running.metrics.clone(), running.table.clone());
    assert_go_on(&running.end(false).await);
    let mut options = job();
    options["scrape_interval"] = "70ms".into();
    let mut running = Running::after(options, metrics, table);
    running.find(&[&address]);
    assert_go_on(&running.until(|seen| seen.get("up").is_some_and(|up| up.len() > 2)).await);
}

#[tokio::test]
async fn series_go_on_where_another_target_of_the_same_labels_does() {
    let exposed = Exposed::default();
    exposed.set(200, "a 1\n");
    let address = exposed.serve().await;
    let mut running = Running::start(job());
    let goes_on = |seen: &Seen| seen.get("up").is_some_and(|up| up.len() > 3);
    running.find_at(&[(&address, "/one")]);
    assert_go_on(&running.until(goes_on).await);
    running.find_at(&[(&address, "/other")]);
    assert_go_on(&running.until(goes_on).await);
    exposed.set(200, "b 1\n");
    running.find_at(&[(&address, "/third")]);
    let seen = running.until(|seen| stale(seen, "a") && goes_on(seen)).await;
    assert!(seen["up"].iter().all(|(_, value)| *value == 1.0), "{seen:?}");
    running.find(&[]);
    let seen = running.until(|seen| stale(seen, "up")).await;
    assert!(stale(&seen, "b") && !seen.contains_key("a"), "{seen:?}");
}

#[tokio::test]
async fn scrapes_go_on_when_the_clock_is_set_back() {
    const HOUR: i64 = 3_600_000;
    let Scraped { mut running, seen, .. } = scraped("a 1\n").await;
    let before = seen["a"].last().expect("a sample").0;
    running.set.store(-HOUR, Ordering::Relaxed);
    let set_back = |time: i64| time < before - HOUR / 2;
    let seen =
        running.until(|seen| seen.get("a").is_some_and(|a| a.iter().filter(|a| set_back(a.0)).count() > 3)).await;
    let mut times: Vec<_> = seen["a"].iter().map(|(time, _)| *time).filter(|time| set_back(*time)).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{seen:?}");
    assert!(seen["a"].iter().all(|(_, value)| !is_stale(*value)), "{seen:?}");
    assert!(running.metrics.errors.get() > 0, "it is told");
    // It is set forth again: nothing of the time between is brought a second time.
    running.set.store(0, Ordering::Relaxed);
    let seen =
        running.until(|seen| seen.get("a").is_some_and(|a| a.iter().filter(|a| !set_back(a.0)).count() > 3)).await;
    times.extend(seen["a"].iter().map(|(time, _)| *time));
    let count = times.len();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), count, "{seen:?}");
}

#[tokio::test]
async fn series_that_a_limit_refuses_are_told_where_that_begins_and_ends() {
    let logged = Logged::start();
    let exposed = Exposed::default();
    exposed.set(200, "a 1\nb 1\n");
    let address = exposed.serve().await;
    let mut options = job();
    (options["sample_limit"], options["sample_limit_mode"]) = (2.into(), "known_series_win".into());
    let mut running = Running::start(options);
    running.find(&[&address]);
    let told = |words: &str| logged.lines().iter().filter(|line| line.contains(words)).count();
    let (begins, ends) = ("new series of the target are refused", "no series of the target is refused");
    running.until(|seen| last(seen, "a") == Some(1.0)).await;
    assert_eq!((told(begins), told(ends)), (0, 0));
    // Long enough for what is refused to be asked about again.
    for round in 2..30 {
        exposed.set(200, &format!("a {round}\nb 1\nc 1\n"));
        running.until(|seen| last(seen, "a") == Some(f64::from(round))).await;
    }
    assert_eq!((told(begins), told(ends)), (1, 0));
    exposed.set(200, "a 1\nc 1\n");
    running.until(|_| told(ends) == 1).await;
    assert_eq!(told(begins), 1);
}

/// What an exposition may take of memory is bounded also where the job sets no limit.
#[tokio::test]
async fn an_exposition_beyond_64_mib_is_not_read() {
    let exposed = Exposed::default();
    exposed.set(200, &format!("a 1\n# {}\n", "x".repeat(64 << 20)));
    let address = exposed.serve().await;
    let mut options = job();
    (options["scrape_interval"], options["scrape_timeout"]) = ("1s".into(), "1s".into());
    let mut running = Running::start(options);
    running.find(&[&address]);
    let metrics = running.metrics.clone();
    let error = || metrics.targets.pools().remove("shop").map(|pool| pool.active[0].state().last_error.clone());
    let told = |words: String| words.contains("larger than 67108864 bytes");
    let seen = running.until(|seen| seen.contains_key("a") || error().is_some_and(told)).await;
    assert_eq!((last(&seen, "up"), seen.contains_key("a")), (Some(0.0), false));
}

#[tokio::test]
async fn scrapes_go_on_while_the_memory_for_metrics_is_used_up() {
    let exposed = Exposed::default();
    exposed.set(200, "a 1\n");
    let (one, other) = (exposed.serve().await, exposed.serve().await);
    let mut running = Running::start(job());
    let metrics = running.memory.share(Signal::Metrics);
    let sizes = (0..=20).rev().map(|power| 1 << power);
    let all: Vec<_> =
        sizes.flat_map(|bytes| std::iter::from_fn(|| metrics.try_acquire(bytes)).collect::<Vec<_>>()).collect();
    running.find(&[&one, &other]);
    let up = async {
        let health = || {
            let pool = running.metrics.targets.pools().remove("shop");
            pool.map(|pool| pool.active.iter().map(|target| target.state().health).collect::<Vec<_>>())
        };
        while health() != Some(vec![TargetHealth::Up; 2]) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, up).await.expect("a scrape waits for nothing that waits for a sink");
    assert!(running.metrics.records_dropped.get() > 0, "what there is no room for is counted");
    drop(all);
    running.until(|seen| last(seen, "a") == Some(1.0)).await;
}

#[tokio::test]
async fn more_targets_than_allowed_fail_every_scrape() {
    let exposed = Exposed::default();
    exposed.set(200, "a 1\n");
    let (one, other) = (exposed.serve().await, exposed.serve().await);
    let mut options = job();
    options["target_limit"] = 1.into();
    let mut running = Running::start(options);
    running.find(&[&one, &other]);
    let seen = running.until(|seen| seen.get("up").is_some_and(|up| up.len() > 1)).await;
    assert!(seen["up"].iter().all(|(_, up)| *up == 0.0) && !seen.contains_key("a"), "{seen:?}");
    running.find(&[&one]);
    running.until(|seen| last(seen, "up") == Some(1.0) && last(seen, "a") == Some(1.0)).await;
}

mod failures;
