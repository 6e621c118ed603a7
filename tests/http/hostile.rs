//! Servers that mean no good, and what a scrape makes of them.

use std::net::SocketAddr;
use std::time::Duration;

use tailwater::net::ClientError;
use tailwater::net::http_client::{Body, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{client, url};

/// A server that answers every connection with `bytes`, again and again where `endless`, and then keeps it
/// open where `stays`.
async fn server(bytes: Vec<u8>, endless: Vec<u8>, stays: bool) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, bytes.clone(), endless.clone(), stays));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, bytes: Vec<u8>, endless: Vec<u8>, stays: bool) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        asked.push(byte);
    }
    if stream.write_all(&bytes).await.is_err() {
        return;
    }
    while !endless.is_empty() && stream.write_all(&endless).await.is_ok() {}
    if stays {
        std::future::pending().await
    }
}

async fn fetch(address: SocketAddr, body: &mut Body) -> Result<u16, ClientError> {
    let request =
        Request { timeout: Duration::from_millis(500), most_answer: 100_000, ..Request::get(url("http", address)) };
    let fetched = client(serde_json::json!({})).fetch(request, 200_000, body).await?;
    Ok(fetched.status.as_u16())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(text).and_then(|()| gzip.finish()).expect("into memory")
}

fn with_length(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_told_and_costs_no_more_than_its_limit() {
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let endless = server(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), chunk, false).await;
    let bomb = server(with_length("content-encoding: gzip\r\n", &gzip(&vec![0; 50 << 20])), Vec::new(), false).await;
    let announced = server(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec(), Vec::new(), true).await;
    let short = server(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc".to_vec(), Vec::new(), false).await;
    let no_gzip = server(with_length("content-encoding: gzip\r\n", b"plain"), Vec::new(), false).await;
    let other = server(with_length("content-encoding: br\r\n", b"x"), Vec::new(), false).await;
    let mute = server(Vec::new(), Vec::new(), true).await;
    let slow_body = server(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc".to_vec(), Vec::new(), true).await;
    let nonsense = server(b"SMTP ready\r\n\r\n".to_vec(), Vec::new(), false).await;
    let heads =
        server(b"HTTP/1.1 200 OK\r\n".to_vec(), [b"x: ".to_vec(), vec![b'y'; 4096], b"\r\n".to_vec()].concat(), false)
            .await;
    let mut body = Body::default();
    for (address, expected) in [
        (endless, "the answer is larger than 100000 bytes"),
        (bomb, "the body inflates to more than 200000 bytes"),
        (announced, "the answer is larger than 100000 bytes"),
        (short, "the connection broke: "),
        (no_gzip, "the body is not valid gzip: "),
        (other, "the answer is encoded as `br`, which was not asked for"),
        (mute, "no answer within 500ms"),
        (slow_body, "no answer within 500ms"),
        (nonsense, "the connection broke: "),
        (heads, "the connection broke: "),
    ] {
        let error = fetch(address, &mut body).await.expect_err(expected);
        assert!(error.to_string().starts_with(expected), "{error} is not {expected}");
        assert!(error.outcome_unknown());
    }
    assert!(body.text.capacity() <= 400_000, "{}", body.text.capacity());
    let gone =
        TcpListener::bind(("127.0.0.1", 0)).await.and_then(|listener| listener.local_addr()).expect("a free port");
    let error = fetch(gone, &mut body).await.expect_err("nobody is there");
    assert!(
        error.to_string().starts_with("cannot connect: ") && error.to_string().contains("Connection refused"),
        "{error}"
    );
    assert!(!error.outcome_unknown());
}

#[tokio::test]
async fn bodies_are_read_into_the_same_buffer_scrape_after_scrape() {
    let text = "metric 1\n".repeat(10_000);
    let plain = server(with_length("", text.as_bytes()), Vec::new(), false).await;
    let packed = server(with_length("content-encoding: gzip\r\n", &gzip(text.as_bytes())), Vec::new(), false).await;
    let failing = server(b"HTTP/1.1 503 no\r\ncontent-length: 3\r\n\r\nabc".to_vec(), Vec::new(), false).await;
    let mut body = Body::default();
    assert_eq!(fetch(plain, &mut body).await.expect("an answer"), 200);
    let buffer = (body.text.as_ptr(), body.text.capacity());
    for _ in 0..3 {
        for address in [plain, packed] {
            assert_eq!(fetch(address, &mut body).await.expect("an answer"), 200);
            assert_eq!(body.text, text.as_bytes());
            assert_eq!((body.text.as_ptr(), body.text.capacity()), buffer);
        }
    }
    assert_eq!(fetch(failing, &mut body).await.expect("an answer"), 503);
    assert!(body.text.is_empty());
}
