//! The agent's HTTP client and its receivers against each other and against the world: TLS in all its
//! options, proxies, servers and clients that mean no good.

#[path = "../support/connect_proxy.rs"]
mod connect_proxy;

mod hostile;
mod proxies;
mod receiver;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::HeaderMap;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tailwater::net::HttpClient;
use tailwater::net::http_client::Request;
use tailwater::net::http_server::Server;
use tailwater::options::{HttpClientOptions, HttpServerOptions};
use tempfile::TempDir;
use url::Url;

/// An authority, and a folder for what it signs.
pub struct Authority {
    /// Where they are.
    pub folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Another authority.
    pub fn generate() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { folder, issuer }
    }

    /// Its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Writes a certificate for `name` and its key; their paths.
    pub fn sign(&self, file: &str, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let path = |suffix: &str| self.folder.path().join(format!("{file}.{suffix}"));
        std::fs::write(path("pem"), certificate.pem()).expect("written");
        std::fs::write(path("key"), key.serialize_pem()).expect("written");
        (path("pem"), path("key"))
    }
}

/// A receiver on a free port.
pub async fn receiver(options: serde_json::Value, router: Router) -> Server {
    let options: HttpServerOptions = serde_json::from_value(options).expect("the shape is right");
    assert!(options.problems().is_empty());
    Server::receive(([127, 0, 0, 1], 0).into(), "test", &options, router).await.expect("starts")
}

/// A receiver with TLS that says what it saw.
pub async fn tls_receiver(authority: &Authority, name: &str, client_ca: Option<&Path>) -> Server {
    let (cert, key) = authority.sign("server", name);
    let tls = serde_json::json!({ "cert_file": cert, "key_file": key, "client_ca_file": client_ca });
    receiver(serde_json::json!({ "tls": tls }), echo()).await
}

/// Says the version, the host and the headers that matter.
pub fn echo() -> Router {
    Router::new().fallback(|request: axum::extract::Request| async move {
        let head = |headers: &HeaderMap, name: &str| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
        };
        let host = request.uri().host().map_or_else(|| head(request.headers(), "host"), str::to_owned);
        let host = host.split(':').next().unwrap_or_default().to_owned();
        format!("{:?} {host} {}", request.version(), head(request.headers(), "authorization"))
    })
}

/// A client that options say works.
pub fn client(options: serde_json::Value) -> HttpClient {
    let options: HttpClientOptions = serde_json::from_value(options).expect("the shape is right");
    assert!(options.problems(tailwater::options::Span::UNKNOWN).is_empty());
    HttpClient::new(&options).expect("a client")
}

/// The address of a server's root.
pub fn url(scheme: &str, address: SocketAddr) -> Url {
    format!("{scheme}://{address}/").parse().expect("an address")
}

/// The answer's text, or the error's.
pub async fn get(client: &HttpClient, url: Url) -> Result<String, String> {
    let answer = client.send(Request::get(url)).await.map_err(|error| error.to_string())?;
    Ok(format!("{} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body).trim()))
}
