//! Who may see what, and what happens while the API server is away.

use serde_json::{Value, json};
use tailwater::sources::prometheus_scrape::discovery::Found;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::cluster::{fill, pod, running};
use crate::kubernetes_server::{ADMIN, KubernetesServer, VIEWER};
use crate::{Discovery, addresses, until};

/// The documents of a manifest that is shipped.
fn shipped(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("deploy/kubernetes/scrape/{name}.yaml")).expect("it is shipped");
    serde_saphyr::from_multiple(&text).expect("YAML")
}

/// Makes an object of a role of access, for the user `viewer` where it names the agent.
pub async fn apply(server: &KubernetesServer, mut object: Value) {
    if let Some(subjects) = object.get_mut("subjects") {
        *subjects = json!([{ "kind": "User", "name": "viewer", "apiGroup": "rbac.authorization.k8s.io" }]);
    }
    let kind = object["kind"].as_str().expect("a kind").to_lowercase();
    server.must("POST", &format!("/apis/rbac.authorization.k8s.io/v1/{kind}s"), &object).await;
}

fn words(found: &Found) -> String {
    found.troubles.first().map(|trouble| trouble.words.to_string()).unwrap_or_default()
}

fn options(server: &KubernetesServer, url: &str, role: &str, token: &str) -> Value {
    json!({
        "role": role, "api_server": url,
        "authorization": { "credentials": token }, "tls_config": { "ca_file": server.ca_file() },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forbidden_is_told_and_found_once_it_is_allowed() {
    let server = KubernetesServer::start().await;
    fill(&server).await;
    let url = server.url();
    let everything = json!({ "node": true, "namespace": true, "deployment": true, "job": true, "cronjob": true });
    let mut discoveries = Vec::new();
    for role in ["node", "service", "pod", "endpoints", "endpointslice", "ingress"] {
        let mut options = options(&server, &url, role, VIEWER);
        if ["pod", "endpoints", "endpointslice"].contains(&role) {
            options["attach_metadata"] = everything.clone();
        }
        let mut discovery = Discovery::start(&options, None);
        discovery.until(role, |found| words(found).contains("forbids to list and watch")).await;
        assert!(!discovery.found.borrow().complete && discovery.targets().is_empty());
        let words = words(&discovery.found.borrow());
        assert!(words.contains("User \"viewer\" cannot list resource"), "{words}");
        assert!(words.contains("deploy/kubernetes/scrape"), "{words}");
        discoveries.push((role, discovery));
    }
    for object in shipped("rbac") {
        if object["kind"] != "ServiceAccount" {
            apply(&server, object).await;
        }
    }
    for (role, discovery) in &mut discoveries {
        discovery.until(role, |found| found.complete && found.troubles.is_empty() && !found.groups.is_empty()).await;
    }
    // What is taken away is told, and what was found stays.
    server
        .must("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/tailwater-scrape", &json!(null))
        .await;
    until("it is taken away", || async { server.ask(VIEWER, "GET", "/api/v1/pods", &json!(null)).await.0 == 403 })
        .await;
    assert!(discoveries.iter().all(|(_, discovery)| !discovery.targets().is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expired_is_read_again() {
    let server = KubernetesServer::start().await;
    fill(&server).await;
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "expired").expect("written");
    let mut options = options(&server, &server.url(), "pod", "");
    options["authorization"] = json!({ "credentials_file": token });
    let mut discovery = Discovery::start(&options, None);
    discovery.until("it is told", |found| words(found).contains("does not know these credentials")).await;
    std::fs::write(&token, ADMIN).expect("written");
    discovery.until("it is read again", |found| found.complete && found.troubles.is_empty()).await;
    assert_eq!(discovery.targets().len(), 10);
}

/// Passes connections on until it is cut.
struct Line {
    port: u16,
    to: std::net::SocketAddr,
    tasks: JoinSet<()>,
}

impl Line {
    async fn new(to: std::net::SocketAddr) -> Self {
        let port =
            TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("free").port();
        let mut line = Self { port, to, tasks: JoinSet::new() };
        line.mend().await;
        line
    }

    async fn mend(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("its port");
        let to = self.to;
        self.tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.expect("a connection");
                open.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
    }

    /// Breaks every connection and takes no more.
    async fn cut(&mut self) {
        self.tasks.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_stay_while_the_server_is_away_and_are_right_when_it_is_back() {
    let server = KubernetesServer::start().await;
    fill(&server).await;
    let mut line = Line::new(server.address()).await;
    let url = format!("https://127.0.0.1:{}", line.port);
    let mut discovery = Discovery::start(&options(&server, &url, "endpointslice", ADMIN), None);
    discovery.until("all", |found| found.complete).await;
    let before = discovery.targets();
    line.cut().await;
    discovery.until("it is told", |found| words(found).contains("the API server cannot be asked for")).await;
    assert_eq!(discovery.targets(), before);
    // While it is away, a pod goes, another comes and a slice changes.
    let now = json!({ "gracePeriodSeconds": 0 });
    server.must("DELETE", "/api/v1/namespaces/shop/pods/web-1-b", &now).await;
    let spec = json!({ "nodeName": "n1", "containers": [{ "name": "app", "image": "i", "ports": [{ "containerPort": 81 }] }] });
    pod(&server, "shop", "late", spec, json!({}), running("10.0.0.42")).await;
    let slice = json!({
        "metadata": { "name": "late" }, "addressType": "IPv4", "ports": [{ "port": 80 }],
        "endpoints": [{ "addresses": ["10.0.0.42"], "targetRef": { "kind": "Pod", "namespace": "shop", "name": "late" } }],
    });
    server.must("POST", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", &slice).await;
    line.mend().await;
    discovery
        .until("it is back", |found| {
            let found_now = addresses(found);
            let has = |address: &str| found_now.iter().any(|known| known == address);
            found.troubles.is_empty()
                && has("10.0.0.42:80")
                && has("10.0.0.42:81")
                && !has("10.0.0.2:9100")
                && has("10.0.0.2:8080")
        })
        .await;
}
