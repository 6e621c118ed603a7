//! From a target to the real Prometheus: what its query API returns is what was exposed, to the sample, by both
//! versions of remote write; and what the agent says of its scrapes.

use serde_json::{Value, json};

use crate::fault_proxy::FaultProxy;
use crate::prometheus_server::{Labels, PrometheusServer};
use crate::remote_write_proto::{STALE, Version, WrittenValue, decode};
use crate::setup::Setup;
use crate::shop::Shop;
use crate::{seed, until};

fn job(target: &str) -> Value {
    json!([{
        "job_name": "app", "scrape_interval": "500ms", "scrape_timeout": "500ms",
        "static_configs": [{ "targets": [target] }],
    }])
}

async fn every_sample(version: &str, expected: Version) {
    let shop = Shop::open(seed(), 300).await;
    let receiver = PrometheusServer::receiver().await;
    let proxy = FaultProxy::start(receiver.address()).await;
    let setup = Setup::new();
    let url = format!("http://{}/api/v1/write", proxy.address());
    let agent = setup.scrape_and_send(job(&shop.instance()), &url, version);
    until("twenty scrapes", || async { shop.told().len() >= 20 }).await;
    agent.stop();

    let stored = receiver.all_samples().await;
    let turns = shop.assert_stored(&stored, "app");
    // The agent may have been stopped between an answer and its last byte.
    shop.assert_none_missing(0..shop.told().len() - 1, &turns, &stored);

    // What the agent adds, at the times of the scrapes.
    let own = |name: &str| {
        let labels = [("__name__", name), ("job", "app"), ("instance", &shop.instance())];
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        stored.get(&labels).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let times: Vec<_> = own("shop_turn").iter().map(|(millis, _)| *millis).collect();
    let told = shop.told();
    for (name, of) in [
        ("up", (|_| Some(1)) as fn(usize) -> Option<usize>),
        ("scrape_samples_scraped", Some),
        ("scrape_samples_post_metric_relabeling", Some),
        ("scrape_duration_seconds", |_| None),
    ] {
        let added = own(name);
        for (turn, millis) in turns.iter().zip(&times) {
            let (_, added) = added.iter().find(|(at, _)| at == millis).unwrap_or_else(|| panic!("no {name} of {turn}"));
            if let Some(value) = of(told[*turn].len()) {
                assert_eq!(*added, value.to_string(), "{name} of scrape {turn}");
            }
        }
    }

    // A series that is gone ends with a marker, once, at the time of the scrape that has it no more.
    let writes: Vec<_> = proxy.seen().into_iter().filter(|seen| seen.method == "POST").collect();
    assert!(writes.iter().all(|seen| Version::of(&seen.request) == expected), "another version was sent");
    let written: Vec<_> = writes.iter().map(|seen| decode(&seen.request).expect("as specified")).collect();
    let mut marked: Vec<(String, i64)> = Vec::new();
    for sample in written.iter().flat_map(|written| &written.samples) {
        if sample.value == WrittenValue::Number(STALE) && sample.labels["__name__"] == "shop_requests_total" {
            marked.push((sample.labels["series"].clone(), sample.millis));
        }
    }
    let mut gone = Vec::new();
    for (pair, at) in turns.windows(2).zip(&times[1..]) {
        // Where one failed between them, everything was gone with it.
        let in_between = pair[1] - pair[0] == 1;
        for labels in told[pair[0]].keys().filter(|labels| in_between && !told[pair[1]].contains_key(*labels)) {
            gone.push((labels["series"].clone(), *at));
        }
    }
    // Those at the time of a failed scrape, and at the end of the agent, are of everything.
    marked.retain(|(_, millis)| times.contains(millis));
    marked.sort();
    gone.sort();
    assert_eq!(marked, gone);
    assert!(!gone.is_empty(), "no series was gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_is_stored_by_1_0() {
    every_sample("1.0", Version::V1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_is_stored_by_2_0() {
    every_sample("2.0", Version::V2).await;
}
