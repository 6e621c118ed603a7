//! Every role beside Prometheus.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{self, fill, running};
use crate::kubernetes_server::{ADMIN, KubernetesServer};
use crate::prometheus_server::{Mode, PrometheusServer};
use crate::{Discovery, Target};

/// Labels that Prometheus adds to what it discovers.
const OF_SCRAPING: [&str; 8] = [
    "__always_scrape_classic_histograms__",
    "__convert_classic_histograms_to_nhcb__",
    "__metrics_path__",
    "__scheme__",
    "__scrape_interval__",
    "__scrape_native_histograms__",
    "__scrape_timeout__",
    "job",
];

/// A job of both.
struct Job {
    name: &'static str,
    options: Value,
}

fn jobs(server: &KubernetesServer) -> Vec<Job> {
    let kubeconfig = server.kubeconfig(ADMIN);
    let everything = json!({ "node": true, "namespace": true, "deployment": true, "job": true, "cronjob": true });
    let job = |name, role: &str, more: Value| {
        let mut options = json!({ "role": role, "kubeconfig_file": kubeconfig });
        options.as_object_mut().expect("options").extend(more.as_object().expect("options").clone());
        Job { name, options }
    };
    let attached = json!({ "attach_metadata": everything });
    let namespaced = json!({ "attach_metadata": { "namespace": true } });
    vec![
        job("node", "node", json!({})),
        job(
            "node selected",
            "node",
            json!({ "selectors": [{ "role": "node", "label": "kubernetes.io/hostname=n2" }] }),
        ),
        job("service", "service", json!({})),
        job("service attached", "service", namespaced.clone()),
        job("pod", "pod", json!({})),
        job("pod attached", "pod", attached.clone()),
        job(
            "pod selected",
            "pod",
            json!({ "selectors": [{ "role": "pod", "label": "app=web", "field": "spec.nodeName=n2" }] }),
        ),
        job(
            "pod of node selected",
            "pod",
            json!({
                "attach_metadata": { "node": true },
                "selectors": [{ "role": "node", "field": "metadata.name=n1" }],
            }),
        ),
        job("pod of namespaces", "pod", json!({ "namespaces": { "names": ["bank", "default"] } })),
        job("endpoints", "endpoints", json!({})),
        job("endpoints attached", "endpoints", attached.clone()),
        job("endpoints selected", "endpoints", json!({ "selectors": [{ "role": "endpoints", "label": "ours=yes" }] })),
        job("endpointslice", "endpointslice", json!({})),
        job("endpointslice attached", "endpointslice", attached),
        job("endpointslice of namespaces", "endpointslice", json!({ "namespaces": { "names": ["shop"] } })),
        job("ingress", "ingress", json!({})),
        job("ingress attached", "ingress", namespaced),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_finds_what_prometheus_finds_with_the_same_labels() {
    let server = KubernetesServer::start().await;
    fill(&server).await;
    let jobs = jobs(&server);
    let scrapes: Vec<Value> = jobs
        .iter()
        .map(|job| {
            json!({
                "job_name": job.name, "scrape_interval": "1h", "kubernetes_sd_configs": [job.options],
                // Targets that differ in nothing but what discovery says would be one.
                "relabel_configs": [{ "action": "labelmap", "regex": "__(.+)", "replacement": "found_$1" }],
            })
        })
        .collect();
    let prometheus = PrometheusServer::start(Mode::Server, &json!({ "scrape_configs": scrapes }).to_string()).await;
    let mut discoveries: Vec<Discovery> = jobs.iter().map(|job| Discovery::start(&job.options, None)).collect();
    for discovery in &mut discoveries {
        discovery.until("all is listed", |found| found.complete && !found.groups.is_empty()).await;
    }
    same(&prometheus, &jobs, &discoveries, "at first").await;
    let found = |name: &str| {
        let index = jobs.iter().position(|job| job.name == name).expect("a job");
        discoveries[index].targets()
    };
    // That both find nothing would be no proof.
    let count = |name: &str| found(name).len();
    assert_eq!((count("node"), count("node selected"), count("ingress")), (2, 1, 5));
    assert_eq!((count("pod"), count("pod selected"), count("pod of node selected")), (10, 4, 6));
    assert!(
        count("endpoints") > 10 && count("endpointslice") > 10,
        "{} {}",
        count("endpoints"),
        count("endpointslice")
    );
    let attached = found("endpointslice attached");
    let label = |name: &str| attached.iter().any(|target| target.contains_key(&format!("__meta_kubernetes_{name}")));
    assert!(label("pod_deployment_name") && label("pod_cronjob_name") && label("node_annotation_note"));

    change(&server).await;
    same(&prometheus, &jobs, &discoveries, "after changes").await;
    remove(&server).await;
    same(&prometheus, &jobs, &discoveries, "after removals").await;
    assert_eq!(found("pod attached").len(), 5, "{:#?}", found("pod attached"));
    assert!(discoveries.iter().all(|discovery| discovery.found.borrow().troubles.is_empty()));
}

async fn change(server: &KubernetesServer) {
    // What was without an address has one; a pod stops being ready; labels change on everything.
    let pods = "/api/v1/namespaces/bank/pods/starting/status";
    server.must("PATCH", pods, &json!({ "status": running("10.0.1.2") })).await;
    let mut status = running("10.0.0.1");
    status["phase"] = json!("Failed");
    status["conditions"][0]["status"] = json!("False");
    server.must("PATCH", "/api/v1/namespaces/shop/pods/web-1-a/status", &json!({ "status": status })).await;
    let labels = json!({ "metadata": { "labels": { "changed": "yes", "team": null } } });
    for path in [
        "/api/v1/namespaces/shop",
        "/api/v1/nodes/n1",
        "/api/v1/namespaces/shop/services/web",
        "/api/v1/namespaces/shop/endpoints/web",
        "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-1",
        "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/front",
    ] {
        server.must("PATCH", path, &labels).await;
    }
    let spec = json!({ "nodeName": "n2", "containers": [{ "name": "app", "image": "new:1" }] });
    cluster::pod(server, "default", "new", spec, json!({ "labels": { "app": "web" } }), running("10.0.2.1")).await;
}

async fn remove(server: &KubernetesServer) {
    let now = json!({ "gracePeriodSeconds": 0, "propagationPolicy": "Background" });
    for path in [
        "/api/v1/namespaces/bank/pods/db-0",
        "/api/v1/namespaces/shop/pods/report-1-x",
        "/api/v1/namespaces/shop/services/web",
        "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/six",
        "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/front",
        "/api/v1/namespaces/bank/endpoints/no-service",
        "/apis/apps/v1/namespaces/shop/replicasets/web-1",
        "/api/v1/nodes/n2",
    ] {
        server.must("DELETE", path, &now).await;
    }
}

/// Waits until every job has the same targets in both; fails after a minute with what differs.
async fn same(prometheus: &PrometheusServer, jobs: &[Job], discoveries: &[Discovery], when: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let theirs = theirs(prometheus, jobs).await;
        let differs = jobs.iter().zip(discoveries).zip(&theirs).find(|((_, ours), theirs)| ours.targets() != **theirs);
        let Some(((job, ours), theirs)) = differs else { return };
        if tokio::time::Instant::now() > deadline {
            let ours = ours.targets();
            let missing: Vec<_> = theirs.iter().filter(|target| !ours.contains(target)).collect();
            let more: Vec<_> = ours.iter().filter(|target| !theirs.contains(target)).collect();
            panic!(
                "{when}, {}: missing {missing:#?}, more {more:#?}, ours {} theirs {}",
                job.name,
                ours.len(),
                theirs.len()
            );
        }
        // Prometheus tells of no change: it can only be asked again.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What Prometheus found, by job.
async fn theirs(prometheus: &PrometheusServer, jobs: &[Job]) -> Vec<Vec<Target>> {
    let answer = prometheus.api("/api/v1/targets").await;
    let all = answer["activeTargets"].as_array().expect("targets").iter();
    let mut by_job = vec![Vec::new(); jobs.len()];
    for target in all.chain(answer["droppedTargets"].as_array().into_iter().flatten()) {
        let mut labels: Target = serde_json::from_value(target["discoveredLabels"].clone()).expect("labels");
        let name = labels.get("job").cloned().unwrap_or_default();
        let index = jobs.iter().position(|job| job.name == name).expect("a job");
        // An empty value means that there is none.
        labels.retain(|name, value| !OF_SCRAPING.contains(&&**name) && !value.is_empty());
        by_job[index].push(labels);
    }
    by_job.iter_mut().for_each(|targets| targets.sort());
    by_job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_finds_what_runs_on_it_alone() {
    let server = KubernetesServer::start().await;
    fill(&server).await;
    let options = |role: &str| json!({ "role": role, "kubeconfig_file": server.kubeconfig(ADMIN) });
    let mut with_nodes = options("pod");
    with_nodes["attach_metadata"] = json!({ "node": true });
    let pods = ["10.0.0.1", "10.0.0.1:7000", "10.0.0.1:8080", "10.0.0.1:9100", "10.0.1.1:5432", "[fd00::7]:53"];
    // What has no node and no pod of this node behind it is elsewhere.
    let endpoints = ["10.0.0.1:1234", "10.0.0.1:7000", "10.0.0.1:8080", "10.0.0.1:9100", "10.0.1.1:1", "10.0.1.1:5432"];
    let slices = ["10.0.0.1", "10.0.0.1:7000", "10.0.0.1:8080", "10.0.0.1:9100", "[fd00::7]:53"];
    for (options, expected) in [
        (options("node"), &["10.1.0.1:10250"][..]),
        (options("pod"), &pods[..]),
        (with_nodes, &pods[..]),
        (options("endpoints"), &endpoints[..]),
        (options("endpointslice"), &slices[..]),
    ] {
        let mut discovery = Discovery::start(&options, Some("n1"));
        discovery.until(&options.to_string(), |found| found.complete).await;
        assert_eq!(crate::addresses(&discovery.found.borrow()), expected, "{options}");
    }
    // A pod that is deleted takes the endpoints with it that only it made local.
    let mut discovery = Discovery::start(&options("endpoints"), Some("n1"));
    discovery.until("all", |found| crate::addresses(found) == endpoints).await;
    server.must("DELETE", "/api/v1/namespaces/bank/pods/db-0", &json!({ "gracePeriodSeconds": 0 })).await;
    discovery.until("less", |found| crate::addresses(found) == endpoints[..4]).await;
}
