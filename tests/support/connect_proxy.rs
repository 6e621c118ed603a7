//! A proxy as RFC 9110 has it: tunnels for `CONNECT`, and requests that name the whole address passed on. It
//! keeps the heads it was sent.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running proxy; dropping it ends it.
pub struct ConnectProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ConnectProxy {
    /// A proxy that refuses whoever does not send `authorization` as `Proxy-Authorization`.
    pub async fn start(authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), authorization));
            }
        });
        Self { address, heads, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    seen: Arc<Mutex<Vec<String>>>,
    authorization: Option<&'static str>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let given = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then_some(value)
    });
    if authorization.is_some_and(|wanted| given != Some(wanted)) {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(refusal).await.ok();
    }
    let (method, rest) = head.split_once(' ')?;
    let (target, rest) = rest.split_once(' ')?;
    let mut server = if method == "CONNECT" {
        let server = TcpStream::connect(target).await.ok()?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
        server
    } else {
        let (authority, path) = target.strip_prefix("http://")?.split_once('/')?;
        let mut server = TcpStream::connect(authority).await.ok()?;
        server.write_all(format!("{method} /{path} {rest}").as_bytes()).await.ok()?;
        server
    };
    copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
}
