//! SIGKILLs and outages of the receiver, by a seed, each life of the agent with a write that is never answered: every
//! scrape that reached the disk queue is stored in the end, whole; none is invented, none changes its place. What was
//! sent twice is counted on the wire, since Prometheus hides it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tailwater::data::metrics::SampleValue;
use tailwater::data::{Batch, SeriesTable};
use tailwater::formats::segment::{Decoder, Frames};

use crate::agent::Agent;
use crate::fault_proxy::{Canned, Fault, FaultProxy, Seen};
use crate::prometheus_server::PrometheusServer;
use crate::remote_write_proto::{Labels, STALE, decode};
use crate::setup::Setup;
use crate::shop::{Shop, TURN};
use crate::{seed, until};

/// Seeds that are tried; all of the fifty where `TAILWATER_TEST_LONG` is set.
fn seeds() -> u64 {
    if std::env::var_os("TAILWATER_TEST_LONG").is_some() { 50 } else { 3 }
}

/// What one seed showed.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "it is printed")]
struct Tally {
    scrapes: usize,
    stored: usize,
    on_disk: usize,
    sent: usize,
    doubled: usize,
}

/// What a receiver in trouble does with writes.
fn weather(mut random: fastrand::Rng) -> impl FnMut(&Seen) -> Fault + Send + 'static {
    const RETRY: Canned = Canned { status: 429, headers: &[("retry-after", "0")], body: "slow down" };
    move |_| match random.u32(..100) {
        0..70 => Fault::Pass,
        70..76 => Fault::Answer(RETRY),
        76..82 => Fault::Answer(Canned::new(503, "not now")),
        82..86 => Fault::AnswerAfter(Canned::new(500, "done, and said otherwise")),
        86..90 => Fault::CloseBefore,
        90..95 => Fault::CloseAfter,
        _ => Fault::Delay(Duration::from_millis(random.u64(..50))),
    }
}

async fn lives(receiver: &PrometheusServer, seed: u64) -> Tally {
    let mut random = fastrand::Rng::with_seed(seed);
    let shop = Shop::open(random.u64(..), random.usize(20..200)).await;
    let proxy = FaultProxy::start(receiver.address()).await;
    let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
    nobody.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let nowhere = nobody.local_addr().expect("bound");
    let job = format!("seed-{seed}");
    let setup = Setup::new();
    let config = setup.configure(
        json!({ "prometheus_scrape/app": { "scrape_configs": [{
            "job_name": job, "scrape_interval": "250ms", "scrape_timeout": "250ms",
            "static_configs": [{ "targets": [shop.instance()] }],
        }] } }),
        json!({ "prometheus_remote_write/out": {
            "inputs": ["prometheus_scrape/app"],
            "url": format!("http://{}/api/v1/write", proxy.address()),
            "version": if random.bool() { "1.0" } else { "2.0" },
            // Whatever else fills this disk.
            "buffer": { "disk": "64MiB", "min_free": "0%" },
        } }),
    );
    let (mut on_disk, mut begun) = (BTreeSet::new(), Vec::new());
    for _ in 0..random.u32(2..5) {
        begun.push(proxy.seen().len());
        // The receiver may be down at the start, and may go down later.
        let down_at_start = random.bool();
        proxy.set_upstream(if down_at_start { nowhere } else { receiver.address() });
        let (mut left, hung) = (random.u32(..6), Arc::new(tokio::sync::Notify::new()));
        let (told, mut weather) = (hung.clone(), weather(random.fork()));
        let unanswered = if random.bool() { Fault::HangAfter } else { Fault::HangBefore };
        proxy.decide(move |seen| {
            if left > 0 {
                left -= 1;
                return weather(seen);
            }
            told.notify_one();
            unanswered.clone()
        });
        let agent = Agent::start(&config);
        let scraped = shop.told().len() + random.usize(3..15);
        until(&format!("scrapes: {}", agent.log()), || async { shop.told().len() >= scraped }).await;
        proxy.set_upstream(if random.u32(..3) == 0 { nowhere } else { receiver.address() });
        let waited = tokio::time::timeout(Duration::from_secs(120), hung.notified()).await;
        assert!(waited.is_ok(), "seed {seed}: no write within two minutes: {}", agent.log());
        let scraped = shop.told().len() + random.usize(..8);
        until("more scrapes", || async { shop.told().len() >= scraped }).await;
        agent.kill();
        on_disk.extend(scrapes_on_disk(&setup.path("data"), &shop.instance()));
    }
    begun.push(proxy.seen().len());
    proxy.set_upstream(receiver.address());
    proxy.decide(|_| Fault::Pass);
    let last_life = shop.told().len();
    let agent = Agent::start(&config);
    until("scrapes of the last life", || async { shop.told().len() >= last_life + 5 }).await;
    agent.stop();

    let selector = format!("{{job=\"{job}\"}}");
    let samples = receiver.samples(&selector).await;
    let turns = shop.assert_stored(&samples, &job);
    let stored: BTreeSet<_> = turns.iter().copied().collect();
    let lost: Vec<_> = on_disk.difference(&stored).collect();
    assert!(lost.is_empty(), "seed {seed}: these scrapes were on disk and are not stored: {lost:?}");
    // It was stopped as one should be: nothing of its last life is lost but a scrape that was under way.
    let scrapes = shop.told().len();
    shop.assert_none_missing(last_life..scrapes - 1, &turns, &samples);
    let (sent, doubled) = on_the_wire(&proxy.seen(), &begun);
    Tally { scrapes, stored: stored.len(), on_disk: on_disk.len(), sent, doubled }
}

/// Samples that were sent, and those of them that were sent more than once. Fails where a sample overtook one of its
/// series that was never sent before, or was sent again in the same life after it was accepted.
fn on_the_wire(seen: &[Seen], begun: &[usize]) -> (usize, usize) {
    let mut newest: BTreeMap<Labels, i64> = BTreeMap::new();
    let mut times: BTreeMap<(Labels, i64), usize> = BTreeMap::new();
    let mut accepted: BTreeSet<(Labels, i64)> = BTreeSet::new();
    for (index, seen) in seen.iter().enumerate().filter(|(_, seen)| seen.method == "POST") {
        if begun.contains(&index) {
            accepted.clear();
        }
        for sample in decode(&seen.request).expect("as specified").samples {
            let key = (sample.labels.clone(), sample.millis);
            assert!(!accepted.contains(&key), "sent again after it was accepted: {key:?}");
            let count = times.entry(key.clone()).or_default();
            *count += 1;
            let newest = newest.entry(sample.labels).or_insert(i64::MIN);
            assert!(*count > 1 || sample.millis > *newest, "overtaken: {key:?}");
            *newest = sample.millis.max(*newest);
            if seen.answered.is_some_and(|status| status / 100 == 2) {
                accepted.insert(key);
            }
        }
    }
    (times.len(), times.values().filter(|times| **times > 1).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_and_outages_lose_nothing_that_reached_the_queue() {
    let receiver = PrometheusServer::receiver().await;
    let first = seed();
    for number in 0..seeds() {
        let seed = first.wrapping_add(number);
        let tally = lives(&receiver, seed).await;
        eprintln!("seed {seed}: {tally:?}");
        assert!(tally.on_disk > 0, "nothing was on disk at any kill");
    }
}

/// The numbers of the scrapes in the segments of the queue: what its files say, not what the agent makes of them.
fn scrapes_on_disk(data: &Path, instance: &str) -> BTreeSet<usize> {
    let folder = data.join("queue/prometheus_remote_write/out");
    let table = SeriesTable::new(1_000_000);
    let mut numbers = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "segment") {
            continue;
        }
        let segment = std::fs::read(entry.path()).expect("it can be read");
        // One that was begun and has no header yet holds nothing.
        let Ok(frames) = Frames::new(&segment) else { continue };
        let mut decoder = Decoder::new(Arc::default(), table.clone());
        for frame in frames {
            let Batch::Metrics(batch) = decoder.decode(&frame).expect("its checksum fits").batch else { continue };
            let series = table.read();
            for sample in batch.iter() {
                let labels = series.labels(sample.series);
                let SampleValue::Float(value) = sample.value else { continue };
                let is_turn = labels.metric_name() == TURN && labels.get("instance") == Some(instance);
                if is_turn && value.to_bits() != STALE {
                    numbers.insert(value as usize);
                }
            }
        }
    }
    numbers
}
