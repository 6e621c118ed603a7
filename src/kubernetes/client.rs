//! A client of the API server, by the agent's own HTTP client, so that credentials, certificates and proxies work as
//! they do everywhere, and their files are read again. Only a kubeconfig, which has ways of its own to log in, is
//! left to crate `kube`.

use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tower_service::Service;
use url::Url;

use crate::net::http_client::{self, ClientError, HttpClientError};
use crate::net::{HttpClient, tls};
use crate::options::http_client::Authorization;
use crate::options::{HttpClientOptions, Spanned, TlsConfig};

/// Where the kubelet puts the token, the authority and the namespace of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the kubelet tells every container that the API server is.
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// Time until the head of an answer is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How the API server is reached.
#[derive(Clone, Debug)]
pub enum Access {
    /// As a pod of the cluster, by its service account.
    InCluster,
    /// As a kubeconfig's current context says.
    Kubeconfig(PathBuf),
    /// At this address, with these credentials.
    Server(Url, Box<HttpClientOptions>),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The agent is not in a pod.
    #[error(
        "the environment has no {0}, so this is no pod of a cluster: name a cluster by `kubeconfig_file` (for `kubernetes_sd_configs` also by `api_server`), or run in a pod"
    )]
    NotInCluster(&'static str),
    /// The address is none.
    #[error("`{0}` is no address of an API server: {1}")]
    Address(String, String),
    /// A file of the service account cannot be read.
    #[error("{0} cannot be read: {1}; set `automountServiceAccountToken: true` for the agent's pod")]
    ServiceAccount(PathBuf, std::io::Error),
    /// The kubeconfig.
    #[error("the kubeconfig {0} cannot be used: {1}")]
    Kubeconfig(PathBuf, String),
    /// The client.
    #[error(transparent)]
    Http(#[from] HttpClientError),
}

/// A client. Nothing is asked yet; files are read. Must be called within a Tokio runtime.
pub async fn connect(access: &Access) -> Result<kube::Client, ConnectError> {
    match access {
        Access::InCluster => {
            let (url, options) = in_cluster(|name| std::env::var(name).ok(), Path::new(SERVICE_ACCOUNT))?;
            Ok(by_http(url, HttpClient::patient(&options)?))
        }
        Access::Server(url, options) => Ok(by_http(url.clone(), HttpClient::patient(options)?)),
        Access::Kubeconfig(path) => {
            tls::install_provider();
            let failed = |error: &dyn std::error::Error| ConnectError::Kubeconfig(path.clone(), error.to_string());
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            kube::Client::try_from(config.map_err(|error| failed(&error))?).map_err(|error| failed(&error))
        }
    }
}

/// Whether the agent runs in a pod that has a token of its service account.
pub fn in_pod() -> bool {
    std::env::var_os(HOST).is_some() && Path::new(SERVICE_ACCOUNT).join("token").exists()
}

/// The namespace of the agent's own pod.
pub fn own_namespace() -> Result<String, ConnectError> {
    let path = Path::new(SERVICE_ACCOUNT).join("namespace");
    let read = std::fs::read_to_string(&path).map(|name| name.trim().to_owned());
    read.map_err(|error| ConnectError::ServiceAccount(path, error))
}

fn in_cluster(
    environment: impl Fn(&str) -> Option<String>,
    account: &Path,
) -> Result<(Url, HttpClientOptions), ConnectError> {
    let host = environment(HOST).ok_or(ConnectError::NotInCluster(HOST))?;
    let port = environment(PORT).ok_or(ConnectError::NotInCluster(PORT))?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let address = format!("https://{host}:{port}");
    let url = address.parse().map_err(|error: url::ParseError| ConnectError::Address(address, error.to_string()))?;
    let token = account.join("token");
    if let Err(error) = std::fs::metadata(&token) {
        return Err(ConnectError::ServiceAccount(token, error));
    }
    let authorization = Authorization { credentials_file: Some(Spanned::unknown(token)), ..Authorization::default() };
    let tls = TlsConfig { ca_file: Some(account.join("ca.crt")), ..TlsConfig::default() };
    let options = HttpClientOptions {
        authorization: Some(Spanned::unknown(authorization)),
        tls_config: Some(Spanned::unknown(tls)),
        ..HttpClientOptions::default()
    };
    Ok((url, options))
}

fn by_http(base: Url, client: HttpClient) -> kube::Client {
    kube::Client::new(Transport { base, client }, "default")
}

/// Carries kube's requests, which name no server.
#[derive(Clone)]
struct Transport {
    base: Url,
    client: HttpClient,
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Incoming>;
    type Error = ClientError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { base, client } = self.clone();
        async move {
            let (head, body) = request.into_parts();
            let mut url = base;
            url.set_path(&format!("{}{}", url.path().trim_end_matches('/'), head.uri.path()));
            url.set_query(head.uri.query());
            let body = body.collect().await.map_err(|error| ClientError::Broken(error.to_string()))?.to_bytes();
            let mut asked = http_client::Request::get(url);
            asked.method = head.method;
            asked.content_type = head.headers.get(http::header::CONTENT_TYPE).filter(|_| !body.is_empty()).cloned();
            asked.headers = head.headers;
            asked.body = body.into();
            asked.timeout = ANSWER_WITHIN;
            client.stream(&asked).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_finds_its_server_and_says_what_is_missing() {
        let account = tempfile::tempdir().expect("a folder");
        let environment = |name: &str| match name {
            "KUBERNETES_SERVICE_HOST" => Some("fd00::1".to_owned()),
            "KUBERNETES_SERVICE_PORT" => Some("443".to_owned()),
            _ => None,
        };
        let missing = in_cluster(|_| None, account.path()).expect_err("no pod").to_string();
        assert!(missing.starts_with("the environment has no KUBERNETES_SERVICE_HOST"), "{missing}");
        let missing = in_cluster(environment, account.path()).expect_err("no token").to_string();
        assert!(
            missing.contains("/token cannot be read") && missing.contains("automountServiceAccountToken"),
            "{missing}"
        );
        std::fs::write(account.path().join("token"), "t").expect("written");
        let (url, options) = in_cluster(environment, account.path()).expect("a pod");
        assert_eq!(url.as_str(), "https://[fd00::1]/");
        assert!(options.problems(crate::options::Span::UNKNOWN).is_empty());
    }
}
