//! The instruments of these tests, held against the real Prometheus: an instrument that reads wrongly would let
//! anything pass.

use std::collections::BTreeMap;

use serde_json::json;

use crate::exposition_target::{Cut, Exposition, ExpositionTarget};
use crate::fault_proxy::{Fault, FaultProxy};
use crate::kubernetes_server::{ADMIN, KubernetesServer, VIEWER};
use crate::prometheus_server::{Labels, Mode, PrometheusServer, Samples, promtool};
use crate::python_target::PythonTarget;
use crate::remote_write_proto::{STALE, Version, WrittenValue, decode, times_sent};
use crate::shop::Shop;
use crate::{seed, until};

/// Prometheus scrapes `target` every second and sends to `proxy`.
fn sender(target: &str, proxy: &str, message: &str) -> String {
    json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{ "job_name": "app", "static_configs": [{ "targets": [target] }] }],
        "remote_write": [{ "url": format!("http://{proxy}/api/v1/write"), "protobuf_message": message,
            "queue_config": { "batch_send_deadline": "200ms", "min_backoff": "30ms" } }],
    })
    .to_string()
}

async fn read_off_the_wire(version: Version, message: &str) {
    let target = ExpositionTarget::start().await;
    let mut turn = 0;
    target.expose_by("/metrics", move |_| {
        turn += 1;
        Exposition::text(format!("# TYPE a counter\na_total{{b=\"c\"}} {turn}\nd 0.5\n"))
    });
    let receiver = PrometheusServer::receiver().await;
    let proxy = FaultProxy::start(receiver.address()).await;
    proxy.decide({
        // The second one is done, and the sender does not learn it: it comes again.
        let mut count = 0;
        move |_| {
            count += 1;
            if count == 2 { Fault::CloseAfter } else { Fault::Pass }
        }
    });
    let config = sender(&target.address().to_string(), &proxy.address().to_string(), message);
    let agent = PrometheusServer::start(Mode::Agent, &config).await;
    target.was_asked(4).await;
    until("three values are stored", || async {
        receiver.samples("a_total").await.values().any(|samples| samples.len() >= 3)
    })
    .await;
    drop(agent);

    let requests: Vec<_> = proxy.seen().into_iter().filter(|seen| seen.method == "POST").collect();
    assert!(requests.iter().all(|seen| Version::of(&seen.request) == version), "another version was sent");
    let written: Vec<_> = requests.iter().map(|seen| decode(&seen.request).expect("as specified")).collect();
    assert!(times_sent(&written).values().any(|times| *times == 2), "what got no answer is sent again");
    let mut sent = Samples::new();
    for sample in written.iter().flat_map(|written| &written.samples) {
        let WrittenValue::Number(bits) = sample.value else { panic!("no histogram was exposed") };
        if bits != STALE {
            let value = (sample.millis, number(f64::from_bits(bits)));
            let of_series = sent.entry(sample.labels.clone()).or_default();
            if !of_series.contains(&value) {
                of_series.push(value);
            }
        }
    }
    for samples in sent.values_mut() {
        samples.sort();
    }
    let stored = receiver.all_samples().await;
    assert_eq!(sent, stored);
    let values: Vec<_> = stored[&labels(&[("__name__", "a_total"), ("b", "c"), ("instance", &instance(&target))])]
        .iter()
        .map(|(_, value)| value.clone())
        .collect();
    assert_eq!(values[..3], ["1", "2", "3"]);
}

fn instance(target: &ExpositionTarget) -> String {
    target.address().to_string()
}

/// These labels and those of the job.
fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().chain(&[("job", "app")]).map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// A number in Prometheus's words.
fn number(value: f64) -> String {
    if value.is_infinite() { format!("{}Inf", if value > 0.0 { '+' } else { '-' }) } else { value.to_string() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_sends_by_1_0_is_read_off_the_wire() {
    read_off_the_wire(Version::V1, "prometheus.WriteRequest").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_sends_by_2_0_is_read_off_the_wire() {
    read_off_the_wire(Version::V2, "io.prometheus.write.v2.Request").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_program_tells_what_it_exposed() {
    let mut target = PythonTarget::start(seed());
    let config = json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{ "job_name": "app", "static_configs": [{ "targets": [target.address().to_string()] }] }],
    });
    let prometheus = PrometheusServer::start(Mode::Server, &config.to_string()).await;
    until("three scrapes", || async { prometheus.samples("up").await.values().any(|samples| samples.len() >= 3) })
        .await;
    let stored = prometheus.samples("shop_requests_total").await;
    let exposed = target.exposed();
    assert!(exposed[0].content_type.starts_with("application/openmetrics-text; version=1.0.0"), "{exposed:?}");
    for (labels, samples) in stored {
        // A series is exposed from some scrape on, and then always.
        let told: Vec<f64> = exposed
            .iter()
            .flat_map(|exposed| &exposed.samples)
            .filter(|sample| sample.name == "shop_requests_total")
            .filter(|sample| sample.labels["path"] == *labels.get("path").map_or("", String::as_str))
            .filter(|sample| sample.labels["code"] == labels["code"])
            .map(|sample| sample.value.parse().expect("a number"))
            .collect();
        let stored: Vec<f64> = samples.iter().map(|(_, value)| value.parse().expect("a number")).collect();
        assert!(told.starts_with(&stored), "{labels:?}: {stored:?} of {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_tells_what_prometheus_stores() {
    let shop = Shop::open(seed(), 200).await;
    let config = json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{ "job_name": "app", "static_configs": [{ "targets": [shop.instance()] }] }],
    });
    let prometheus = PrometheusServer::start(Mode::Server, &config.to_string()).await;
    until("three scrapes", || async { prometheus.samples("up").await.values().any(|samples| samples.len() >= 3) })
        .await;
    // A scrape that is asked for meanwhile is stored whole or not at all.
    let turns = shop.assert_stored(&prometheus.all_samples().await, "app");
    assert_eq!(turns[..3], [0, 1, 2]);
    let mut broken = prometheus.all_samples().await;
    for samples in broken.values_mut() {
        samples.retain(|(_, value)| value != "9007199254740994");
    }
    let missed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shop.assert_stored(&broken, "app")));
    assert!(missed.is_err(), "a lost sample is seen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_that_fails_is_a_failed_scrape() {
    let target = ExpositionTarget::start().await;
    let fails = [
        Exposition::text("a 1\n"),
        Exposition::status(500),
        // A request over a connection that was open before is tried once more by Go's client.
        Exposition::text("a 1\n").cut(Cut::Close),
        Exposition::text("a 1\n").cut(Cut::Close),
        Exposition::text("a 1\nb 2\n").cut(Cut::After(5)),
        Exposition { gzip: true, ..Exposition::text("a 2\n") },
    ];
    target.expose_in_turn("/metrics", fails);
    let config = json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{ "job_name": "app", "static_configs": [{ "targets": [target.address().to_string()] }] }],
    });
    let mut prometheus = PrometheusServer::start(Mode::Server, &config.to_string()).await;
    until("five scrapes", || async { prometheus.samples("up").await.values().any(|samples| samples.len() >= 5) }).await;
    // What it stores is kept over an end and a new start.
    prometheus.pause();
    prometheus.resume().await;
    let stored = prometheus.samples("up").await;
    let values: Vec<_> = stored.values().flatten().take(5).map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["1", "0", "0", "0", "1"]);
    let stored: Vec<_> =
        prometheus.samples("a").await.into_values().flatten().map(|(_, value)| value).take(2).collect();
    assert_eq!(stored, ["1", "2"]);
}

#[test]
fn promtool_judges_an_exposition() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("metrics");
    for (text, code) in [("# HELP a_total A.\n# TYPE a_total counter\na_total 1\n", 0), ("a{b=1} 1\n", 1)] {
        std::fs::write(&file, text).expect("written");
        let (status, words) = promtool(&["check", "metrics"], &file);
        assert_eq!(status, code, "{text}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_of_kubernetes_keeps_pods_and_holds_to_roles() {
    let server = KubernetesServer::start().await;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web", "labels": { "app": "shop" } },
        "spec": { "containers": [{ "name": "app", "image": "shop:1", "ports": [{ "containerPort": 8080 }] }] },
    });
    let pods = "/api/v1/namespaces/default/pods";
    server.must("POST", pods, &pod).await;
    let status = json!({ "status": { "phase": "Running", "podIP": "10.0.0.7" } });
    server.must("PATCH", &format!("{pods}/web/status"), &status).await;
    assert_eq!(server.must("GET", &format!("{pods}/web"), &json!(null)).await["status"]["podIP"], "10.0.0.7");
    assert_eq!(server.ask(VIEWER, "GET", pods, &json!(null)).await.0, 403);

    let config = json!({
        "scrape_configs": [{ "job_name": "app", "kubernetes_sd_configs": [{
            "role": "pod", "kubeconfig_file": server.kubeconfig(ADMIN),
        }] }],
    });
    let prometheus = PrometheusServer::start(Mode::Server, &config.to_string()).await;
    until("the pod is a target", || async {
        let targets = prometheus.api("/api/v1/targets").await;
        targets["activeTargets"]
            .as_array()
            .is_some_and(|targets| targets.iter().any(|target| target["scrapeUrl"] == "http://10.0.0.7:8080/metrics"))
    })
    .await;
    let targets = prometheus.api("/api/v1/targets").await;
    let found: BTreeMap<String, String> =
        serde_json::from_value(targets["activeTargets"][0]["discoveredLabels"].clone()).expect("labels");
    assert_eq!(found["__meta_kubernetes_pod_label_app"], "shop");
}
