//! From a target over OTLP into the real Prometheus, by its own receiver and by a second agent: what is stored is what
//! was exposed, to the sample, also where an answer gets lost.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::agent::Agent;
use crate::exposition_target::{Exposition, ExpositionTarget, OPENMETRICS, PROTOBUF};
use crate::fault_proxy::{Fault, FaultProxy};
use crate::forwarded::native_histogram;
use crate::metric_family_proto::delimited;
use crate::prometheus_server::{Mode, PrometheusServer, Samples};
use crate::server_process::free_ports;
use crate::setup::Setup;
use crate::shop::Shop;
use crate::{seed, until};

/// An agent that scrapes every half second and sends over OTLP.
fn sender(setup: &Setup, targets: &[(&str, String)], sink: serde_json::Value) -> Agent {
    let jobs: Vec<_> = targets
        .iter()
        .map(|(job, target)| {
            json!({
                "job_name": job, "scrape_interval": "500ms", "scrape_timeout": "500ms",
                "scrape_native_histograms": true, "static_configs": [{ "targets": [target] }],
            })
        })
        .collect();
    let source = json!({ "prometheus_scrape/app": { "scrape_configs": jobs } });
    Agent::start(&setup.configure(source, json!({ "otlp/out": sink })))
}

/// Fails unless every sample is stored, and every series has ended that the last scrape did not have any more.
async fn assert_stored(shop: &Shop, receiver: &PrometheusServer) {
    let stored = receiver.all_samples().await;
    let turns = shop.assert_stored(&stored, "app");
    let told = shop.told();
    // The agent may have been stopped between an answer and its last byte.
    shop.assert_none_missing(0..told.len() - 1, &turns, &stored);
    let last = &told[*turns.last().expect("scrapes")];
    let of_last: BTreeSet<_> = last.keys().filter_map(|labels| labels.get("series").cloned()).collect();
    let found = receiver.api("/api/v1/query?query=shop_requests_total").await;
    let live = found["result"].as_array().expect("a vector").iter().map(|series| series["metric"]["series"].as_str());
    let live: BTreeSet<_> = live.map(|series| series.expect("a label").to_owned()).collect();
    assert_eq!(live, of_last);
    assert!(live.len() < 300, "none came and went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_is_stored_by_the_receiver_of_prometheus() {
    let shop = Shop::open(seed(), 300).await;
    let receiver = PrometheusServer::receiver().await;
    let proxy = FaultProxy::start(receiver.address()).await;
    proxy.decide({
        // The agent does not learn that its third request was done.
        let mut count = 0;
        move |_| {
            count += 1;
            if count == 3 { Fault::CloseAfter } else { Fault::Pass }
        }
    });
    let setup = Setup::new();
    let sink = json!({
        "inputs": ["prometheus_scrape/app"], "protocol": "http",
        "endpoint": format!("http://{}/api/v1/otlp", proxy.address()),
    });
    let agent = sender(&setup, &[("app", shop.instance())], sink);
    until("twenty scrapes", || async { shop.told().len() >= 20 }).await;
    agent.stop();
    assert_stored(&shop, &receiver).await;
    let answered: Vec<_> = proxy.seen().into_iter().filter_map(|seen| seen.answered).collect();
    assert!(answered.iter().all(|status| *status == 200), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_is_stored_by_way_of_a_second_agent() {
    let shop = Shop::open(seed(), 300).await;
    let receiver = PrometheusServer::receiver().await;
    let ([port], between, setup) = (free_ports(), Setup::new(), Setup::new());
    let config = between.configure(
        json!({ "otlp/in": { "grpc": { "listen": format!("127.0.0.1:{port}") }, "http": { "listen": "off" } } }),
        json!({ "prometheus_remote_write/out": {
            "inputs": ["otlp/in.metrics"], "url": receiver.write_url(), "version": "2.0",
        } }),
    );
    let second = Agent::start(&config);
    let sink = json!({
        "inputs": ["prometheus_scrape/app"], "endpoint": format!("http://127.0.0.1:{port}"), "compression": "zstd",
        "batch": { "max_bytes": "8KiB" },
    });
    let first = sender(&setup, &[("app", shop.instance())], sink);
    until("twenty scrapes", || async { shop.told().len() >= 20 }).await;
    first.stop();
    second.stop();
    assert_stored(&shop, &receiver).await;
}

const OPEN: &str = r#"# TYPE orders counter
# HELP orders Orders.
orders_total{shop="a"} 7 # {trace_id="0123456789abcdef0123456789abcdef",user="u"} 0.5 1700000000.25
# TYPE waiting gauge
waiting 3.5
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{path="/",le="0.1"} 2
took_seconds_bucket{path="/",le="0.5"} 5 # {trace_id="fedcba9876543210fedcba9876543210"} 0.3
took_seconds_bucket{path="/",le="+Inf"} 6
took_seconds_sum{path="/"} 4.25
took_seconds_count{path="/"} 6
# TYPE rpc summary
rpc{quantile="0.5"} 1.5
rpc{quantile="0.99"} 2.5
rpc_sum 30.5
rpc_count 20
# TYPE build info
build_info{version="1.2"} 1
# EOF
"#;

/// The values of series without their times.
fn values(samples: Samples) -> BTreeMap<crate::prometheus_server::Labels, Vec<String>> {
    let of = |samples: Vec<(i64, String)>| {
        let mut values: Vec<_> = samples.into_iter().map(|(_, value)| value).collect();
        values.dedup();
        values
    };
    samples.into_iter().map(|(labels, samples)| (labels, of(samples))).collect()
}

/// Exemplars by their series: labels and values.
async fn exemplars(server: &PrometheusServer) -> Vec<String> {
    let found = server.api("/api/v1/query_exemplars?query=orders_total+or+took_seconds_bucket").await;
    let mut all = Vec::new();
    for series in found.as_array().expect("series") {
        for exemplar in series["exemplars"].as_array().expect("exemplars") {
            all.push(format!("{} {} {}", series["seriesLabels"], exemplar["labels"], exemplar["value"]));
        }
    }
    all.sort();
    all.dedup();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_of_every_type_are_those_that_prometheus_stores_when_it_scrapes_itself() {
    let open = ExpositionTarget::exposing(Exposition::new(OPENMETRICS, OPEN)).await;
    let native = ExpositionTarget::exposing(Exposition::new(PROTOBUF, delimited(&[native_histogram()]))).await;
    let targets = [("open", open.address().to_string()), ("native", native.address().to_string())];
    let jobs = targets.iter().map(|(job, target)| {
        json!({
            "job_name": job, "scrape_interval": "500ms", "scrape_timeout": "500ms",
            "scrape_native_histograms": true, "static_configs": [{ "targets": [target] }],
        })
    });
    let config = json!({ "scrape_configs": jobs.collect::<Vec<_>>() });
    let direct = PrometheusServer::start(Mode::Server, &config.to_string()).await;
    let receiver = PrometheusServer::receiver().await;
    let setup = Setup::new();
    let sink = json!({
        "inputs": ["prometheus_scrape/app"], "protocol": "http", "compression": "none",
        "endpoint": format!("http://{}/api/v1/otlp", receiver.address()),
    });
    let agent = sender(&setup, &targets, sink);
    // What the scrapers add is the same by name; their durations are not.
    let selector = r#"{job=~"open|native", __name__!~"scrape_.*|up"}"#;
    for server in [&direct, &receiver] {
        for name in ["latency", "build_info"] {
            until(name, || async { !server.samples(name).await.is_empty() }).await;
        }
        until("exemplars", || async { exemplars(server).await.len() >= 2 }).await;
    }
    let (mut arrived, expected) = (receiver.samples(selector).await, direct.samples(selector).await);
    // Prometheus makes it of the resource.
    arrived.retain(|labels, _| labels["__name__"] != "target_info");
    // Of the zero bucket of exponential histograms Prometheus has one width for all, whatever a point says.
    let of_width = |mut samples: Samples, width: &str| {
        let all = samples.values_mut().flatten();
        all.for_each(|(_, value)| *value = value.replace(width, "ZERO"));
        values(samples)
    };
    assert_eq!(of_width(arrived, "1e-128"), of_width(expected, "1e-09"), "{}", agent.log());
    assert_eq!(exemplars(&receiver).await, exemplars(&direct).await);
}
