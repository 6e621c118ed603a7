//! TLS: authorities, names, versions, client certificates, and files that change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use tokio::time::{pause, resume};

use crate::{Authority, client, echo, get, receiver, tls_receiver, url};

#[tokio::test]
async fn the_authority_that_is_configured_is_trusted_and_no_other() {
    let (right, wrong) = (Authority::generate(), Authority::generate());
    let server = tls_receiver(&right, "127.0.0.1", None).await;
    let to = url("https", server.address());
    let ask =
        async |options: serde_json::Value| get(&client(serde_json::json!({ "tls_config": options })), to.clone()).await;
    let pem = std::fs::read_to_string(right.ca()).expect("written");
    assert_eq!(ask(serde_json::json!({ "ca_file": right.ca() })).await.as_deref(), Ok("200 HTTP/2.0 127.0.0.1"));
    assert_eq!(ask(serde_json::json!({ "ca": pem })).await.as_deref(), Ok("200 HTTP/2.0 127.0.0.1"));
    let refused = ask(serde_json::json!({ "ca_file": wrong.ca() })).await.expect_err("not trusted");
    assert!(refused.starts_with("cannot connect: TLS: invalid peer certificate"), "{refused}");
    assert!(ask(serde_json::json!({})).await.is_err());
    assert!(ask(serde_json::json!({ "insecure_skip_verify": true })).await.is_ok());
}

#[tokio::test]
async fn the_name_that_is_configured_is_asked_for_and_checked() {
    let authority = Authority::generate();
    let server = tls_receiver(&authority, "inside.example", None).await;
    let to = url("https", server.address());
    let ask = async |name: Option<&str>| {
        let tls = serde_json::json!({ "ca_file": authority.ca(), "server_name": name });
        get(&client(serde_json::json!({ "tls_config": tls })), to.clone()).await
    };
    assert_eq!(ask(Some("inside.example")).await.as_deref(), Ok("200 HTTP/2.0 127.0.0.1"), "the host stays");
    for name in [None, Some("outside.example")] {
        let refused = ask(name).await.expect_err("another name");
        assert!(refused.contains("certificate not valid for name"), "{refused}");
    }
}

#[tokio::test]
async fn http2_and_versions_of_tls_are_as_configured() {
    let authority = Authority::generate();
    let server = tls_receiver(&authority, "127.0.0.1", None).await;
    let to = url("https", server.address());
    let tls = serde_json::json!({ "ca_file": authority.ca() });
    let without = client(serde_json::json!({ "tls_config": tls, "enable_http2": false }));
    assert_eq!(get(&without, to.clone()).await.as_deref(), Ok("200 HTTP/1.1 127.0.0.1"));
    let old = old_server(&authority).await;
    let ask = async |oldest: &str, newest: &str, to: Url| {
        let tls = serde_json::json!({ "ca_file": authority.ca(), "min_version": oldest, "max_version": newest });
        get(&client(serde_json::json!({ "tls_config": tls })), to).await
    };
    assert!(ask("TLS13", "TLS13", to.clone()).await.is_ok());
    assert!(ask("TLS12", "TLS12", to).await.is_ok());
    assert!(ask("TLS12", "TLS13", url("https", old)).await.is_ok());
    let refused = ask("TLS13", "TLS13", url("https", old)).await.expect_err("an older version");
    assert!(refused.contains("ProtocolVersion"), "{refused}");
}

/// A server that speaks TLS 1.2 alone.
async fn old_server(authority: &Authority) -> SocketAddr {
    let (cert, key) = authority.sign("old", "127.0.0.1");
    let certificate = CertificateDer::from_pem_file(cert).expect("written");
    let key = PrivateKeyDer::from_pem_file(key).expect("written");
    let config = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS12])
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not like it goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a request"));
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test]
async fn tokens_are_fetched_over_tls_of_their_own() {
    let (tokens, other) = (Authority::generate(), Authority::generate());
    let (cert, key) = tokens.sign("server", "127.0.0.1");
    let token = Router::new().fallback(async || r#"{"access_token":"t"}"#);
    let token = token.layer(axum::middleware::map_response(async |mut response: axum::response::Response| {
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        response
    }));
    let server = receiver(serde_json::json!({ "tls": { "cert_file": cert, "key_file": key } }), token).await;
    let guarded = tls_receiver(&other, "127.0.0.1", None).await;
    let ask = async |authority: &Authority| {
        let oauth2 = serde_json::json!({ "client_id": "a", "client_secret": "b",
            "token_url": url("https", server.address()).as_str(), "tls_config": { "ca_file": authority.ca() } });
        let options = serde_json::json!({ "oauth2": oauth2, "tls_config": { "ca_file": other.ca() } });
        get(&client(options), url("https", guarded.address())).await
    };
    assert_eq!(ask(&tokens).await.as_deref(), Ok("200 HTTP/2.0 127.0.0.1 Bearer t"));
    let refused = ask(&other).await.expect_err("another authority");
    assert!(refused.starts_with("no OAuth 2.0 token from https://"), "{refused}");
}

#[tokio::test]
async fn a_receiver_that_asks_for_certificates_lets_only_their_owners_in() {
    let (authority, stranger) = (Authority::generate(), Authority::generate());
    let server = tls_receiver(&authority, "127.0.0.1", Some(&authority.ca())).await;
    let to = url("https", server.address());
    let ask = async |identity: Option<(std::path::PathBuf, std::path::PathBuf)>| {
        let (cert, key) = identity.unzip();
        let tls = serde_json::json!({ "ca_file": authority.ca(), "cert_file": cert, "key_file": key });
        get(&client(serde_json::json!({ "tls_config": tls })), to.clone()).await
    };
    assert!(ask(Some(authority.sign("client", "agent"))).await.is_ok());
    assert!(ask(Some(stranger.sign("client", "agent"))).await.is_err());
    assert!(ask(None).await.is_err());
}

#[tokio::test]
async fn certificates_that_change_are_used_without_a_restart() {
    let (old, new) = (Authority::generate(), Authority::generate());
    let (cert, key) = old.sign("server", "127.0.0.1");
    let options = serde_json::json!({ "tls": { "cert_file": cert, "key_file": key } });
    let server = receiver(options, echo()).await;
    let to = url("https", server.address());
    let trusted = old.folder.path().join("trusted.pem");
    std::fs::copy(old.ca(), &trusted).expect("copied");
    let agent = client(serde_json::json!({ "tls_config": { "ca_file": trusted }, "enable_http2": false }));
    assert!(get(&agent, to.clone()).await.is_ok());
    let (new_cert, new_key) = new.sign("server", "127.0.0.1");
    std::fs::copy(&new_cert, &cert).and_then(|_| std::fs::copy(&new_key, &key)).expect("copied");
    // The server looks again after ten seconds of the clock; only a stranger makes a new connection.
    let probe = || client(serde_json::json!({ "tls_config": { "ca_file": new.ca() } }));
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while get(&probe(), to.clone()).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "the server still shows the old certificate");
        pause();
        tokio::time::advance(Duration::from_secs(11)).await;
        resume();
        tokio::task::yield_now().await;
    }
    std::fs::copy(new.ca(), &trusted).expect("copied");
    assert!(agent.reread().is_ok_and(|changed| changed));
    assert!(get(&agent, to).await.is_ok());
}
