//! The real Prometheus as a sender: what it writes to the agent's receiver is what the agent writes to another
//! Prometheus, to the sample, in every pair of versions, also where answers get lost on both sides.

use std::collections::BTreeMap;

use serde_json::json;

use crate::agent::Agent;
use crate::exposition_target::{Exposition, ExpositionTarget, PROTOBUF};
use crate::fault_proxy::{Fault, FaultProxy};
use crate::metric_family_proto::{BucketSpan, Histogram, Metric, MetricFamily, delimited};
use crate::prometheus_server::{Mode, PrometheusServer};
use crate::server_process::free_ports;
use crate::setup::Setup;
use crate::shop::Shop;
use crate::{seed, until};

async fn forwarded(message: &str, version: &str) {
    let shop = Shop::open(seed(), 200).await;
    let native = ExpositionTarget::exposing(Exposition::new(PROTOBUF, delimited(&[native_histogram()]))).await;
    let receiver = PrometheusServer::receiver().await;
    let behind = FaultProxy::start(receiver.address()).await;
    behind.decide({
        // The agent does not learn that its third write was done.
        let mut count = 0;
        move |_| {
            count += 1;
            if count == 3 { Fault::CloseAfter } else { Fault::Pass }
        }
    });
    let [port] = free_ports();
    let setup = Setup::new();
    let config = setup.configure(
        json!({ "prometheus_remote_write/in": { "listen": format!("127.0.0.1:{port}") } }),
        json!({ "prometheus_remote_write/out": {
            "inputs": ["prometheus_remote_write/in"],
            "url": format!("http://{}/api/v1/write", behind.address()),
            "version": version,
        } }),
    );
    let agent = Agent::start(&config);
    let before = FaultProxy::start(([127, 0, 0, 1], port).into()).await;
    before.decide({
        // Prometheus does not learn that its second write was done.
        let mut count = 0;
        move |_| {
            count += 1;
            if count == 2 { Fault::CloseAfter } else { Fault::Pass }
        }
    });
    let targets = [("app", shop.instance()), ("native", native.address().to_string())];
    let jobs: Vec<_> = targets
        .iter()
        .map(|(job, target)| {
            json!({
                "job_name": job, "scrape_interval": "500ms", "scrape_timeout": "500ms",
                "scrape_native_histograms": true, "static_configs": [{ "targets": [target] }],
            })
        })
        .collect();
    let sender = json!({
        "scrape_configs": jobs,
        "remote_write": [{
            "url": format!("http://{}/api/v1/write", before.address()),
            "protobuf_message": message,
            "send_native_histograms": true,
            "queue_config": { "batch_send_deadline": "200ms", "min_backoff": "30ms" },
        }],
    });
    let sender = PrometheusServer::start(Mode::Agent, &sender.to_string()).await;
    until("twenty scrapes", || async { shop.told().len() >= 20 }).await;
    drop(sender);
    agent.stop();

    let writes: Vec<_> = before.seen().into_iter().filter(|seen| seen.method == "POST").collect();
    let refused: Vec<_> = writes.iter().filter(|seen| seen.answered.is_some_and(|status| status >= 400)).collect();
    assert!(
        refused.is_empty(),
        "{:?}",
        refused.iter().map(|seen| String::from_utf8_lossy(&seen.answer)).collect::<Vec<_>>()
    );
    if message.contains("v2") {
        // The headers that 2.0 demands.
        for seen in writes.iter().filter(|seen| seen.answered.is_some()) {
            let sent = crate::remote_write_proto::decode(&seen.request).expect("Prometheus keeps to the specification");
            let numbers = seen.answer_headers.get("x-prometheus-remote-write-samples-written");
            let histograms = sent
                .samples
                .iter()
                .filter(|sample| matches!(sample.value, crate::remote_write_proto::WrittenValue::Histogram(_)))
                .count();
            assert_eq!(numbers.map(String::as_str), Some((sent.samples.len() - histograms).to_string().as_str()));
        }
    }
    let stored = receiver.all_samples().await;
    let turns = shop.assert_stored(&stored, "app");
    // Prometheus drops what it has not sent when it ends.
    assert!(turns.len() >= 15, "{} scrapes are stored", turns.len());
    shop.assert_none_missing(0..*turns.last().expect("scrapes"), &turns, &stored);
    // Native histograms, as Prometheus stores what it scraped itself.
    let config = json!({ "scrape_configs": [jobs[1].clone()] });
    let direct = PrometheusServer::start(Mode::Server, &config.to_string()).await;
    until("a histogram is stored", || async { !direct.samples("latency").await.is_empty() }).await;
    let once = |samples: crate::prometheus_server::Samples| -> BTreeMap<_, Vec<_>> {
        let values = |samples: Vec<(i64, String)>| {
            let mut values: Vec<_> = samples.into_iter().map(|(_, value)| value).collect();
            values.dedup();
            values
        };
        samples.into_iter().map(|(labels, samples)| (labels, values(samples))).collect()
    };
    assert_eq!(once(receiver.samples("latency").await), once(direct.samples("latency").await));
}

/// One with buckets on both sides and gaps between them.
pub fn native_histogram() -> MetricFamily {
    let histogram = Histogram {
        schema: 2,
        zero_threshold: 1e-9,
        zero_count: 3,
        positive_span: vec![BucketSpan { offset: 1, length: 3 }, BucketSpan { offset: 2, length: 1 }],
        positive_delta: vec![4, -2, 5, -6],
        negative_span: vec![BucketSpan { offset: -4, length: 2 }],
        negative_delta: vec![1, 1],
        sample_count: 3 + 4 + 2 + 7 + 1 + 1 + 2,
        sample_sum: 71.25,
        ..Histogram::default()
    };
    MetricFamily {
        name: "latency".into(),
        kind: 4,
        metric: vec![Metric { histogram: Some(histogram), ..Metric::default() }],
        ..MetricFamily::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_writes_by_1_0_arrives_by_2_0() {
    forwarded("prometheus.WriteRequest", "2.0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_writes_by_2_0_arrives_by_1_0() {
    forwarded("io.prometheus.write.v2.Request", "1.0").await;
}
