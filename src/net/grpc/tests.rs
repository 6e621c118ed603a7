//! Calls between the two sides, and what a client makes of what no server of gRPC says.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::post;
use tokio::net::TcpListener;

use super::*;
use crate::net::http_client::Payload;
use crate::net::http_server::{BodyLimits, Server};
use crate::options::HttpClientOptions;
use client::Call;

const LIMITS: BodyLimits = BodyLimits { wire: 1 << 20, inflated: 2 << 20 };

async fn serve(router: Router) -> (Server, url::Url) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let server = Server::start(listener, router).expect("starts");
    let url = format!("http://{}/s.S/M", server.address()).parse().expect("an address");
    (server, url)
}

/// A server that answers with what it is sent, or with what its first byte asks for.
fn echo() -> Router {
    let call = |request: Request| async {
        if let Some(declined) = decline(request.headers(), "port 4318") {
            return declined;
        }
        let memory = crate::data::MemoryBudget::new(1 << 30).share(crate::data::Signal::Traces);
        reply(read(&LIMITS, &memory, request).await.and_then(|(message, _)| match message.first() {
            Some(b'!') => Err(retry_later(Code::ResourceExhausted, "no room", std::time::Duration::from_millis(2500))),
            _ => Ok(message.to_vec()),
        }))
    };
    Router::new().route("/s.S/M", post(call))
}

fn call(url: &url::Url, message: &[u8], encoding: Option<&'static str>) -> Call {
    let mut pieces = vec![Bytes::copy_from_slice(&prefix(encoding.is_some(), message.len()))];
    pieces.extend(message.chunks(1000).map(Bytes::copy_from_slice));
    Call {
        url: url.clone(),
        metadata: http::HeaderMap::new(),
        payload: Payload::from(pieces),
        encoding: encoding.map(HeaderValue::from_static),
        timeout: std::time::Duration::from_secs(10),
    }
}

fn status(error: CallError) -> (Code, String, Option<std::time::Duration>) {
    let CallError::Status { status, retry_delay } = error else { panic!("{error}") };
    (status.code(), status.message().to_owned(), retry_delay)
}

#[tokio::test]
async fn messages_go_and_come_as_bytes() {
    let (_server, url) = serve(echo()).await;
    let client = GrpcClient::new(&HttpClientOptions::default()).expect("a client");
    let long: Vec<u8> = (0..700_000_u32).map(|n| n as u8 | 1).collect();
    for message in [&b""[..], b"x", &long] {
        assert_eq!(client.unary(call(&url, message, None)).await.expect("an answer"), message);
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &long).expect("into memory");
    let packed = gzip.finish().expect("into memory");
    assert_eq!(client.unary(call(&url, &packed, Some("gzip"))).await.expect("an answer"), long);
    let packed = zstd::encode_all(&long[..], 1).expect("packs");
    assert_eq!(client.unary(call(&url, &packed, Some("zstd"))).await.expect("an answer"), long);
}

#[tokio::test]
async fn an_answer_may_be_compressed_as_its_request_was() {
    // As Go's library has it.
    let packed = zstd::encode_all(&b"an answer"[..], 1).expect("packs");
    let mut framed = prefix(true, packed.len()).to_vec();
    framed.extend_from_slice(&packed);
    let answer = move || {
        let headers = [("content-type", "application/grpc"), ("grpc-encoding", "zstd"), ("grpc-status", "0")];
        let framed = framed.clone();
        async move { (headers, framed).into_response() }
    };
    let (_server, url) = serve(Router::new().route("/s.S/M", post(answer))).await;
    let client = GrpcClient::new(&HttpClientOptions::default()).expect("a client");
    assert_eq!(client.unary(call(&url, b"x", None)).await.expect("an answer"), &b"an answer"[..]);
}

#[tokio::test]
async fn what_is_wrong_comes_as_a_status() {
    let (_server, url) = serve(echo()).await;
    let client = GrpcClient::new(&HttpClientOptions::default()).expect("a client");
    let (code, words, delay) = status(client.unary(call(&url, b"!", None)).await.expect_err("no room"));
    assert_eq!((code, &*words), (Code::ResourceExhausted, "no room"));
    assert_eq!(delay, Some(std::time::Duration::from_millis(2500)));
    let (code, ..) = status(client.unary(call(&url, b"x", Some("snappy"))).await.expect_err("unknown"));
    assert_eq!(code, Code::Unimplemented);
    let (code, ..) = status(client.unary(call(&url, b"x", Some("gzip"))).await.expect_err("no gzip"));
    assert_eq!(code, Code::InvalidArgument);
    let bomb = zstd::encode_all(&vec![0; LIMITS.inflated + 1][..], 1).expect("packs");
    let (code, words, _) = status(client.unary(call(&url, &bomb, Some("zstd"))).await.expect_err("a bomb"));
    assert_eq!(
        (code, &*words),
        (Code::ResourceExhausted, "the message is larger than 2097152 bytes without compression")
    );
    let (code, ..) = status(client.unary(call(&url, &vec![0; LIMITS.wire + 1], None)).await.expect_err("too large"));
    assert_eq!(code, Code::ResourceExhausted);
    let mut cut = call(&url, b"abc", None);
    cut.payload = Payload::from(vec![Bytes::from_static(&[0, 0, 0, 0, 4]), Bytes::from_static(b"abc")]);
    assert_eq!(status(client.unary(cut).await.expect_err("cut")).0, Code::InvalidArgument);
}

#[tokio::test]
async fn answers_without_a_status_are_mapped_from_http() {
    let proxy =
        || async { (http::StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")], "<html>down").into_response() };
    let (_server, url) = serve(Router::new().route("/s.S/M", post(proxy))).await;
    let client = GrpcClient::new(&HttpClientOptions::default()).expect("a client");
    let (code, words, delay) = status(client.unary(call(&url, b"x", None)).await.expect_err("down"));
    assert_eq!(code, Code::Unavailable);
    assert!(words.contains("503") && words.contains("<html>down"), "{words}");
    assert_eq!(delay, Some(std::time::Duration::from_secs(7)));
}

#[tokio::test]
async fn a_success_is_one_whatever_stands_in_the_answer() {
    let answer = || async { ([("content-type", "application/grpc"), ("grpc-status", "0")], "").into_response() };
    let (_server, url) = serve(Router::new().route("/s.S/M", post(answer))).await;
    let client = GrpcClient::new(&HttpClientOptions::default()).expect("a client");
    let error = client.unary(call(&url, b"x", None)).await.expect_err("there is no message");
    assert!(matches!(error, CallError::Unreadable(_)), "{error}");
}

#[tokio::test]
async fn who_does_not_speak_grpc_is_told_so() {
    let (_server, url) = serve(echo()).await;
    let client = Arc::new(crate::net::HttpClient::new(&HttpClientOptions::default()).expect("a client"));
    let mut request = crate::net::http_client::Request::get(url);
    request.method = http::Method::POST;
    request.content_type = Some(HeaderValue::from_static("application/x-protobuf"));
    let answer = client.send(request).await.expect("an answer");
    assert_eq!(answer.status, http::StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(String::from_utf8_lossy(&answer.body).contains("4318"));
}

#[test]
fn delays_that_are_none_are_passed_over() {
    assert_eq!(retry_delay(b""), None);
    assert_eq!(retry_delay(b"\xff\xff"), None);
    let status = retry_later(Code::Unavailable, "x", std::time::Duration::new(3, 5));
    assert_eq!(retry_delay(status.details()), Some(std::time::Duration::new(3, 5)));
}
