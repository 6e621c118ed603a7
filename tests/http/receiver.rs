//! Receivers: whom they let in, what they take, and clients that mean no good.

use std::time::Duration;

use axum::Router;
use axum::extract::Request as Received;
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderValue, Method};
use tailwater::data::{MemoryBudget, Signal};
use tailwater::net::http_client::Request;
use tailwater::net::http_server::{BodyLimits, Server};
use tailwater::options::HttpServerOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{client, echo, get, receiver, url};

/// Answers with the length of the body it took.
async fn taking(options: serde_json::Value) -> Server {
    let limits: HttpServerOptions = serde_json::from_value(options.clone()).expect("the shape is right");
    let limits = BodyLimits::new(&limits);
    let take = move |request: Received| async move {
        let (head, body) = request.into_parts();
        let memory = MemoryBudget::new(1 << 30).share(Signal::Logs);
        match limits.read_inflated(&memory, &head.headers, body).await {
            Ok((body, _)) => body.len().to_string().into_response(),
            Err(error) => error.into_response(),
        }
    };
    receiver(options, Router::new().route("/", post(take))).await
}

async fn put(server: &Server, body: Vec<u8>, encoding: Option<&'static str>) -> (u16, String) {
    let request = Request {
        method: Method::POST,
        content_type: Some(HeaderValue::from_static("text/plain")),
        content_encoding: encoding.map(HeaderValue::from_static),
        body: Bytes::from(body).into(),
        ..Request::get(url("http", server.address()))
    };
    let answer = client(serde_json::json!({})).send(request).await.expect("an answer");
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).trim().to_owned())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(text).and_then(|()| gzip.finish()).expect("into memory")
}

#[tokio::test]
async fn bodies_are_taken_within_limits() {
    let server = taking(serde_json::json!({ "max_body": "10KiB", "max_inflated": "100KiB" })).await;
    let text = |length: usize| vec![b'x'; length];
    assert_eq!(put(&server, text(10 << 10), None).await, (200, "10240".into()));
    assert_eq!(put(&server, text((10 << 10) + 1), None).await.0, 413);
    assert_eq!(put(&server, gzip(&text(100 << 10)), Some("gzip")).await, (200, "102400".into()));
    let bomb = put(&server, gzip(&text(5 << 20)), Some("gzip")).await;
    assert_eq!(bomb, (413, "the body inflates to more than 102400 bytes".into()));
    assert_eq!(put(&server, text(10), Some("gzip")).await.0, 400);
    let (status, words) = put(&server, text(10), Some("br")).await;
    assert_eq!((status, words.as_str()), (415, "the encoding `br` is not understood; send gzip, zstd or none"));
}

#[tokio::test]
async fn only_those_who_know_the_login_are_let_in() {
    let bearer = receiver(serde_json::json!({ "login": { "bearer_token": "right" } }), echo()).await;
    let basic = receiver(serde_json::json!({ "login": { "username": "u", "password": "p:w" } }), echo()).await;
    let ask = async |server: &Server, options: serde_json::Value| {
        let answer = get(&client(options), url("http", server.address())).await.expect("an answer");
        answer[..3].to_owned()
    };
    for (server, options, expected) in [
        (&bearer, serde_json::json!({ "bearer_token": "right" }), "200"),
        (&bearer, serde_json::json!({ "bearer_token": "wrong" }), "401"),
        (&bearer, serde_json::json!({ "authorization": { "type": "Token", "credentials": "right" } }), "401"),
        (&bearer, serde_json::json!({}), "401"),
        (&basic, serde_json::json!({ "basic_auth": { "username": "u", "password": "p:w" } }), "200"),
        (&basic, serde_json::json!({ "basic_auth": { "username": "u", "password": "p" } }), "401"),
        (&basic, serde_json::json!({ "bearer_token": "u:p:w" }), "401"),
        (&basic, serde_json::json!({}), "401"),
    ] {
        assert_eq!(ask(server, options.clone()).await, expected, "{options}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = receiver(serde_json::json!({}), echo()).await;
    let options = HttpServerOptions::default();
    let taken = Server::receive(first.address(), "prometheus_remote_write/in", &options, echo()).await;
    let error = taken.expect_err("taken").to_string();
    let parts = [&*first.address().to_string(), "give `listen` of `prometheus_remote_write/in` another"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

#[tokio::test]
async fn http2_without_tls_and_keep_alive_are_spoken() {
    let server = receiver(serde_json::json!({}), echo()).await;
    tailwater::net::tls::install_provider();
    let prior = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let answer = prior.get(url("http", server.address())).send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("text").trim(), "HTTP/2.0 127.0.0.1");
    let mut stream = TcpStream::connect(server.address()).await.expect("connects");
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writes");
        let mut head = Vec::new();
        while !head.ends_with(b"HTTP/1.1 a ") {
            head.push(stream.read_u8().await.expect("an answer on the same connection"));
        }
    }
}

/// What the server sends before it closes the connection, which it must do once time has moved on.
async fn rest_until_closed(stream: &mut TcpStream) -> String {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the server keeps the connection");
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn slow_clients_are_cut_off_and_leave_room_for_others() {
    let server = receiver(serde_json::json!({ "max_connections": 1 }), echo()).await;
    // On one thread: by the time that it has answered, everybody else has had a turn.
    let elsewhere = receiver(serde_json::json!({}), echo()).await;
    for begun in [&b"GET / HT"[..], b"PRI * HTTP/2.0\r\n", b"G"] {
        let mut slow = TcpStream::connect(server.address()).await.expect("connects");
        slow.write_all(begun).await.expect("writes");
        let mut next = TcpStream::connect(server.address()).await.expect("the backlog takes it");
        next.write_all(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n").await.expect("writes");
        for _ in 0..3 {
            let later = get(&client(serde_json::json!({})), url("http", elsewhere.address())).await;
            assert!(later.is_ok(), "{later:?}");
        }
        let early = next.try_read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(early, Err(std::io::ErrorKind::WouldBlock), "there is room for one");
        let rest = rest_until_closed(&mut slow).await;
        assert!(!rest.contains("200 OK"), "{rest}");
        let mut answer = String::new();
        next.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.contains("200 OK"), "{answer}");
    }
}
