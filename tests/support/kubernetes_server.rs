//! The real API of Kubernetes without nodes: etcd and the API server on free loopback ports. Objects can be made and
//! their status patched, watches are real, and so are roles; no kubelet runs what is made.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::server_process::{ServerProcess, free_ports, new_folder};

/// The token of a member of `system:masters`, who may do everything.
pub const ADMIN: &str = "admintoken";
/// The token of the user `viewer`, who may do what the test's roles allow.
pub const VIEWER: &str = "viewtoken";

/// A running API server.
pub struct KubernetesServer {
    address: SocketAddr,
    folder: PathBuf,
    client: reqwest::Client,
    /// The API server, unless it is stopped. It ends before what it asks does.
    api: Option<ServerProcess>,
    arguments: [String; 4],
    _etcd: ServerProcess,
}

impl KubernetesServer {
    /// An empty cluster: its namespaces are `default` and those of Kubernetes itself.
    pub async fn start() -> Self {
        let [etcd, peer, port] = free_ports();
        let folder = new_folder("kubernetes");
        let key = rcgen::KeyPair::generate().expect("a key");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("it can be written");
        write("sa.key", &key.serialize_pem());
        write("sa.pub", &key.public_key_pem());
        write("tokens.csv", &format!("{ADMIN},admin,u1,\"system:masters\"\n{VIEWER},viewer,u2\n"));
        let arguments =
            |what: &str, port: u16| [what.to_owned(), folder.display().to_string(), etcd.to_string(), port.to_string()];
        let (of_etcd, of_api) = (arguments("etcd", peer), arguments("api", port));
        let etcd = ServerProcess::start("kubernetes", &of_etcd, &folder.join("etcd.log"));
        let mut api = ServerProcess::start("kubernetes", &of_api, &folder.join("server.log"));

        // It makes its certificate when it starts.
        let certificates = folder.join("certificates/apiserver.crt");
        api.wait_ready(|| async { certificates.exists() && client(&certificates).is_some() }).await;
        let client = client(&certificates).expect("read before");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Self { address, folder, client, api: Some(api), arguments: of_api, _etcd: etcd };
        server.ready().await;
        server
    }

    async fn ready(&mut self) {
        let (url, http) = (self.url(), self.client.clone());
        let ready = async |path: &str| {
            let answer = http.get(format!("{url}{path}")).bearer_auth(ADMIN).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        let api = self.api.as_mut().expect("it is started");
        api.wait_ready(async || ready("/readyz").await && ready("/api/v1/namespaces/default").await).await;
    }

    /// Kills the API server; what the cluster knows stays.
    pub async fn stop_api(&mut self) {
        let api = self.api.take().expect("it is started");
        tokio::task::spawn_blocking(move || api.stop()).await.expect("it ends");
    }

    /// Starts it again, where it was.
    pub async fn start_api(&mut self) {
        self.api = Some(ServerProcess::start("kubernetes", &self.arguments, &self.folder.join("server.log")));
        self.ready().await;
    }

    /// Where it listens, with TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its root, without a slash at the end.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificates to trust, PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("certificates/apiserver.crt")
    }

    /// Writes a kubeconfig for the holder of this token.
    pub fn kubeconfig(&self, token: &str) -> PathBuf {
        let file = self.folder.join(format!("{token}.yaml"));
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": { "server": self.url(), "certificate-authority": self.ca_file() } }],
            "users": [{ "name": "test", "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "current-context": "test",
        });
        std::fs::write(&file, config.to_string()).expect("it can be written");
        file
    }

    /// Status and body of a request of the holder of this token. A body goes as JSON, with `PATCH` as a merge patch.
    pub async fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let method: reqwest::Method = method.parse().expect("a method");
        let kind = if method == reqwest::Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let mut request = self.client.request(method, format!("{}{path}", self.url())).bearer_auth(token);
        if !body.is_null() {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = request.send().await.expect("the real server answers");
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.expect("a whole answer")).unwrap_or_default())
    }

    /// The same as administrator, where nothing but success will do.
    pub async fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(ADMIN, method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }
}

/// A client that trusts these certificates alone; `None` while they are not written whole.
fn client(certificates: &Path) -> Option<reqwest::Client> {
    // Another test may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(certificates).ok()?;
    let trusted = reqwest::Certificate::from_pem_bundle(&pem).ok().filter(|trusted| !trusted.is_empty())?;
    let builder = reqwest::Client::builder().tls_certs_only(trusted).timeout(Duration::from_secs(30));
    builder.no_proxy().build().ok()
}
