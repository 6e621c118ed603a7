//! A cluster with one of everything that labels come from, and with the corners of each.

use serde_json::{Value, json};

use crate::kubernetes_server::KubernetesServer;

/// Makes it: namespaces `shop` and `bank`, nodes `n1` and `n2`, pods of every kind of owner, services of every type.
pub async fn fill(server: &KubernetesServer) {
    for (name, team) in [("shop", "blue"), ("bank", "red")] {
        let object = json!({
            "metadata": { "name": name, "labels": { "team": team }, "annotations": { "example.com/owner": "me" } },
        });
        server.must("POST", "/api/v1/namespaces", &object).await;
    }
    for (name, ip) in [("n1", "10.1.0.1"), ("n2", "10.1.0.2")] {
        node(server, name, ip).await;
    }
    owners(server).await;
    pods(server).await;
    services(server).await;
    endpoints(server).await;
    let ingress = json!({
        "metadata": { "name": "front", "labels": { "a.b/c": "d" }, "annotations": { "x": "y" } },
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{ "hosts": ["*.example.com", "exact.example.org"] }],
            "rules": [
                { "host": "www.example.com", "http": { "paths": [path("/"), path("/api")] } },
                { "host": "a.b.example.com", "http": { "paths": [path("/deep")] } },
                { "host": "exact.example.org", "http": { "paths": [path("/x")] } },
                { "host": "plain.example.net" },
            ],
        },
    });
    server.must("POST", "/apis/networking.k8s.io/v1/namespaces/shop/ingresses", &ingress).await;
}

fn path(path: &str) -> Value {
    json!({ "path": path, "pathType": "Prefix", "backend": { "service": { "name": "web", "port": { "number": 80 } } } })
}

async fn node(server: &KubernetesServer, name: &str, ip: &str) {
    let object = json!({
        "metadata": {
            "name": name,
            "labels": { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "z-1", "empty": "" },
            "annotations": { "note": "a node" },
        },
        "spec": { "providerID": format!("cloud://{name}") },
    });
    server.must("POST", "/api/v1/nodes", &object).await;
    let status = json!({ "status": {
        "addresses": [
            { "type": "Hostname", "address": name },
            { "type": "InternalIP", "address": ip },
            { "type": "InternalIP", "address": "fd00::1" },
            { "type": "ExternalDNS", "address": format!("{name}.example.com") },
        ],
        "conditions": [
            { "type": "Ready", "status": "True", "lastHeartbeatTime": null, "lastTransitionTime": null, "reason": "", "message": "" },
            { "type": "DiskPressure", "status": "Unknown", "lastHeartbeatTime": null, "lastTransitionTime": null, "reason": "", "message": "" },
        ],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
    } });
    server.must("PATCH", &format!("/api/v1/nodes/{name}/status"), &status).await;
}

/// A Deployment's ReplicaSet and a CronJob's Job; no controller made them, and none will touch them.
async fn owners(server: &KubernetesServer) {
    let template = json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "restartPolicy": "Always", "containers": [{ "name": "c", "image": "i" }] },
    });
    let set = json!({
        "metadata": { "name": "web-1", "ownerReferences": [owner("apps/v1", "Deployment", "web")] },
        "spec": { "replicas": 0, "selector": { "matchLabels": { "app": "web" } }, "template": template },
    });
    server.must("POST", "/apis/apps/v1/namespaces/shop/replicasets", &set).await;
    let mut once = template.clone();
    once["spec"]["restartPolicy"] = json!("Never");
    let job = json!({
        "metadata": { "name": "report-1", "ownerReferences": [owner("batch/v1", "CronJob", "report")] },
        "spec": { "suspend": true, "template": once },
    });
    server.must("POST", "/apis/batch/v1/namespaces/shop/jobs", &job).await;
}

/// An owner that controls.
fn owner(version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": version, "kind": kind, "name": name, "uid": format!("uid-{name}"), "controller": true })
}

/// Makes a pod in `namespace`, with the status that a kubelet would give it.
pub async fn pod(server: &KubernetesServer, namespace: &str, name: &str, spec: Value, more: Value, status: Value) {
    let mut metadata = more;
    metadata["name"] = json!(name);
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    server.must("POST", &pods, &json!({ "metadata": metadata, "spec": spec })).await;
    if !status.is_null() {
        server.must("PATCH", &format!("{pods}/{name}/status"), &json!({ "status": status })).await;
    }
}

/// The status of a pod that runs.
pub fn running(ip: &str) -> Value {
    json!({
        "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }], "hostIP": "10.1.0.1",
        "conditions": [{ "type": "Ready", "status": "True" }],
        "containerStatuses": [{
            "name": "app", "ready": true, "restartCount": 0, "image": "shop:1", "imageID": "sha256:1",
            "containerID": "containerd://abc", "state": {}, "lastState": {},
        }],
    })
}

async fn pods(server: &KubernetesServer) {
    let web = json!({
        "nodeName": "n1",
        "initContainers": [{ "name": "init", "image": "init:1", "ports": [{ "name": "early", "containerPort": 7000 }] }],
        "containers": [
            { "name": "app", "image": "shop:1", "ports": [
                { "name": "http", "containerPort": 8080 }, { "name": "metrics", "containerPort": 9100, "protocol": "TCP" },
            ] },
            { "name": "quiet", "image": "quiet:2" },
        ],
    });
    let metadata = json!({
        "labels": { "app": "web", "app.kubernetes.io/name": "web", "app_kubernetes_io_part": "shop" },
        "annotations": { "prometheus.io/scrape": "true", "long-text": "line one\nline two ✓" },
        "ownerReferences": [owner("apps/v1", "ReplicaSet", "web-1")],
    });
    pod(server, "shop", "web-1-a", web.clone(), metadata.clone(), running("10.0.0.1")).await;
    let mut other = web.clone();
    other["nodeName"] = json!("n2");
    pod(server, "shop", "web-1-b", other, metadata, running("10.0.0.2")).await;
    let job = json!({ "ownerReferences": [owner("batch/v1", "Job", "report-1")] });
    let one = |port: u16| json!({ "nodeName": "n1", "containers": [{ "name": "app", "image": "r:1", "ports": [{ "containerPort": port, "protocol": "UDP" }] }] });
    let mut done = running("fd00::7");
    done["phase"] = json!("Succeeded");
    done["conditions"] = json!([]);
    pod(server, "shop", "report-1-x", one(53), job, done).await;
    let set = json!({ "ownerReferences": [owner("apps/v1", "StatefulSet", "db")] });
    pod(server, "bank", "db-0", one(5432), set, running("10.0.1.1")).await;
    // Neither has an address yet; one has no node.
    pod(server, "bank", "starting", one(1), json!({}), Value::Null).await;
    let mut unscheduled = one(2);
    unscheduled.as_object_mut().expect("a spec").remove("nodeName");
    pod(server, "bank", "unscheduled", unscheduled, json!({}), Value::Null).await;
}

async fn services(server: &KubernetesServer) {
    let port =
        json!([{ "name": "http", "port": 80, "targetPort": 8080 }, { "name": "dns", "port": 53, "protocol": "UDP" }]);
    let metadata = |name: &str| json!({ "name": name, "labels": { "tier": "front" }, "annotations": { "prometheus.io/port": "80" } });
    for (namespace, name, spec) in [
        ("shop", "web", json!({ "selector": { "app": "web" }, "ports": port })),
        ("shop", "headless", json!({ "clusterIP": "None", "ports": port })),
        ("bank", "outside", json!({ "type": "ExternalName", "externalName": "db.example.com", "ports": port })),
        ("bank", "balanced", json!({ "type": "LoadBalancer", "ports": port, "loadBalancerIP": "192.0.2.9" })),
        ("bank", "pending", json!({ "type": "LoadBalancer", "ports": port, "loadBalancerIP": "192.0.2.8" })),
    ] {
        let services = format!("/api/v1/namespaces/{namespace}/services");
        server.must("POST", &services, &json!({ "metadata": metadata(name), "spec": spec })).await;
    }
    let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }, { "hostname": "lb" }, { "ip": "192.0.2.2" }] } } });
    server.must("PATCH", "/api/v1/namespaces/bank/services/balanced/status", &status).await;
}

async fn endpoints(server: &KubernetesServer) {
    let to = |namespace: &str, name: &str| json!({ "kind": "Pod", "namespace": namespace, "name": name });
    let subsets = json!([
        {
            "addresses": [
                { "ip": "10.0.0.1", "nodeName": "n1", "targetRef": to("shop", "web-1-a"), "hostname": "web-a" },
                { "ip": "192.0.2.50" },
            ],
            "notReadyAddresses": [{ "ip": "10.0.0.2", "nodeName": "n2", "targetRef": to("shop", "web-1-b") }],
            "ports": [{ "name": "http", "port": 8080 }, { "name": "other", "port": 1234, "protocol": "UDP" }],
        },
        {
            "addresses": [
                { "ip": "10.0.0.99", "targetRef": to("shop", "gone") },
                { "ip": "10.1.0.2", "targetRef": { "kind": "Node", "name": "n2" } },
            ],
            "ports": [{ "port": 9100 }],
        },
    ]);
    let object = json!({
        "metadata": { "name": "web", "labels": { "ours": "yes" }, "annotations": { "note": "endpoints" } },
        "subsets": subsets,
    });
    server.must("POST", "/api/v1/namespaces/shop/endpoints", &object).await;
    let alone = json!({
        "metadata": { "name": "no-service" },
        "subsets": [{ "addresses": [{ "ip": "10.0.1.1", "targetRef": to("bank", "db-0") }], "ports": [{ "port": 1 }] }],
    });
    server.must("POST", "/api/v1/namespaces/bank/endpoints", &alone).await;

    let slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
    let slice = json!({
        "metadata": {
            "name": "web-1", "annotations": { "note": "slice" },
            "labels": { "kubernetes.io/service-name": "web", "ours": "yes" },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": 8080, "appProtocol": "http" }, { "name": "all" }],
        "endpoints": [
            {
                "addresses": ["10.0.0.1"], "nodeName": "n1", "zone": "z-1", "hostname": "web-a",
                "conditions": { "ready": true, "serving": true, "terminating": false }, "targetRef": to("shop", "web-1-a"),
            },
            { "addresses": ["10.0.0.2"], "nodeName": "n2", "conditions": { "ready": false }, "targetRef": to("shop", "web-1-b") },
            { "addresses": ["192.0.2.50"] },
            { "addresses": ["10.1.0.2"], "targetRef": { "kind": "Node", "name": "n2" } },
            { "addresses": ["10.0.0.99"], "targetRef": to("shop", "gone") },
        ],
    });
    server.must("POST", slices, &slice).await;
    let six = json!({
        "metadata": { "name": "six" },
        "addressType": "IPv6",
        "ports": [{ "port": 53, "protocol": "UDP" }],
        "endpoints": [{ "addresses": ["fd00::7"], "targetRef": to("shop", "report-1-x") }],
    });
    server.must("POST", slices, &six).await;
}
