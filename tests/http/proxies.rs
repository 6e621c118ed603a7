//! Requests through proxies.

use crate::connect_proxy::ConnectProxy;
use crate::{Authority, client, echo, get, receiver, tls_receiver, url};

/// `us@er:p:w` in base64.
const LOGIN: &str = "Basic dXNAZXI6cDp3";

#[tokio::test]
async fn https_goes_through_a_tunnel_and_http_by_the_whole_address() {
    let authority = Authority::generate();
    let (plain, secure) =
        (receiver(serde_json::json!({}), echo()).await, tls_receiver(&authority, "127.0.0.1", None).await);
    let proxy = ConnectProxy::start(Some(LOGIN)).await;
    let agent = client(serde_json::json!({
        "proxy_url": format!("http://us%40er:p%3Aw@{}", proxy.address()),
        "proxy_connect_header": { "X-Tunnel": ["a", "b"] },
        "tls_config": { "ca_file": authority.ca() },
        "bearer_token": "secret",
    }));
    let secure_url = url("https", secure.address());
    assert_eq!(get(&agent, secure_url).await.as_deref(), Ok("200 HTTP/2.0 127.0.0.1 Bearer secret"));
    let head = proxy.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with(&format!("connect {} http/1.1\r\n", secure.address())), "{head}");
    assert!(head.contains("x-tunnel: a\r\nx-tunnel: b\r\n"), "{head}");
    assert!(!head.contains("secret"), "what the server is told is not the proxy's: {head}");
    let plain_url = url("http", plain.address());
    assert_eq!(get(&agent, plain_url).await.as_deref(), Ok("200 HTTP/1.1 127.0.0.1 Bearer secret"));
    let head = proxy.heads().remove(1).to_ascii_lowercase();
    assert!(head.starts_with(&format!("get http://{}/ http/1.1\r\n", plain.address())), "{head}");
    assert!(!head.contains("x-tunnel"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_and_loopback_is_direct_where_exceptions_are() {
    let authority = Authority::generate();
    let server = tls_receiver(&authority, "127.0.0.1", None).await;
    let proxy = ConnectProxy::start(Some(LOGIN)).await;
    let through = |extra: serde_json::Value| {
        let mut options = serde_json::json!({ "proxy_url": format!("http://{}", proxy.address()),
            "tls_config": { "ca_file": authority.ca() } });
        options.as_object_mut().expect("a mapping").extend(extra.as_object().expect("a mapping").clone());
        client(options)
    };
    let refused = get(&through(serde_json::json!({})), url("https", server.address())).await.expect_err("no login");
    let expected = format!(
        "cannot connect: the proxy http://{}: it refused to connect to {}: 407 Proxy Authentication Required",
        proxy.address(),
        server.address()
    );
    assert_eq!(refused, expected);
    let before = proxy.heads().len();
    assert!(
        get(&through(serde_json::json!({ "no_proxy": "example.com" })), url("https", server.address())).await.is_ok()
    );
    assert_eq!(proxy.heads().len(), before);
}
