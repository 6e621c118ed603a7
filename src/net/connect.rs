//! Connections of the HTTP client: TCP, through a proxy where one is named, TLS where the address asks for
//! it, HTTP/2 where both sides offer it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::header::HOST;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::proxy::{Proxies, Proxy};

/// Time to set up a connection, TLS and proxy included; beyond it the endpoint counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of a proxy's answer to `CONNECT`.
const MOST_PROXY_ANSWER: usize = 8 * 1024;

/// Sets up connections.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    /// Towards servers: with what HTTP versions are offered.
    tls: Arc<rustls::ClientConfig>,
    /// Towards a proxy that is spoken to by TLS: HTTP/1.1 alone.
    proxy_tls: Arc<rustls::ClientConfig>,
    server_name: Option<ServerName<'static>>,
    proxies: Arc<Proxies>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no connection within {CONNECT_TIMEOUT:?}")]
    Timeout,
    #[error("{}", chain(.0.as_ref()))]
    Tcp(Box<dyn std::error::Error + Send + Sync>),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("`{0}` is not a name that a certificate can have")]
    Name(String),
    #[error("the proxy {proxy}: {error}")]
    Proxy { proxy: String, error: Box<ConnectError> },
    #[error("it refused to connect to {to}: {status}")]
    Refused { to: String, status: String },
    #[error("{0}")]
    ProxyBroken(io::Error),
}

/// An error and its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.ends_with(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}

impl Connector {
    pub(super) fn new(
        tls: rustls::ClientConfig,
        http2: bool,
        server_name: Option<ServerName<'static>>,
        proxies: Arc<Proxies>,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let mut proxy_tls = tls.clone();
        proxy_tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tls = tls;
        tls.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        Self { tcp, tls: Arc::new(tls), proxy_tls: Arc::new(proxy_tls), server_name, proxies }
    }

    async fn connect(self, to: Uri) -> Result<Stream, ConnectError> {
        let https = to.scheme_str() == Some("https");
        let host = to.host().unwrap_or_default().to_owned();
        let proxy = self.proxies.pick(https, &host, to.port_u16()).cloned();
        let through = proxy.as_ref().map(|proxy| proxy.shown().to_owned());
        let blame = |error: ConnectError| match through.clone() {
            Some(proxy) => ConnectError::Proxy { proxy, error: Box::new(error) },
            None => error,
        };
        let stream = match &proxy {
            None => self.tcp(to.clone()).await?,
            Some(proxy) => self.to_proxy(proxy).await.map_err(blame)?,
        };
        if !https {
            return Ok(Stream { io: TokioIo::new(stream), http2: false, to_proxy: proxy.is_some() });
        }
        let stream = match &proxy {
            None => stream,
            Some(proxy) => tunnel(stream, proxy, &host, to.port_u16().unwrap_or(443)).await.map_err(blame)?,
        };
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => name(&host)?,
        };
        let stream = TlsConnector::from(self.tls).connect(name, stream).await.map_err(ConnectError::Tls)?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { io: TokioIo::new(Box::new(stream)), http2, to_proxy: false })
    }

    async fn tcp(&self, to: Uri) -> Result<Box<dyn Io>, ConnectError> {
        let stream = self.tcp.clone().call(to).await.map_err(|error| ConnectError::Tcp(error.into()))?;
        Ok(Box::new(stream.into_inner()))
    }

    async fn to_proxy(&self, proxy: &Proxy) -> Result<Box<dyn Io>, ConnectError> {
        let address: Uri = proxy.url.as_str().parse().map_err(|_| ConnectError::Name(proxy.url.to_string()))?;
        let stream = self.tcp(address).await?;
        if proxy.url.scheme() != "https" {
            return Ok(stream);
        }
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => name(proxy.url.host_str().unwrap_or_default())?,
        };
        let tls = TlsConnector::from(self.proxy_tls.clone());
        Ok(Box::new(tls.connect(name, stream).await.map_err(ConnectError::Tls)?))
    }
}

/// The name that a server's certificate must have.
pub(super) fn name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::Name(host.to_owned()))
}

/// Asks a proxy for a tunnel (RFC 9110, 9.3.6).
async fn tunnel(mut stream: Box<dyn Io>, proxy: &Proxy, host: &str, port: u16) -> Result<Box<dyn Io>, ConnectError> {
    let to = format!("{host}:{port}");
    let mut request = format!("CONNECT {to} HTTP/1.1\r\n{HOST}: {to}\r\n").into_bytes();
    let own = proxy.authorization.iter().map(|value| (&http::header::PROXY_AUTHORIZATION, value));
    for (name, value) in own.chain(&proxy.connect_headers) {
        request.extend_from_slice(name.as_str().as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(ConnectError::ProxyBroken)?;
    let mut answer = Vec::new();
    // Behind its head the server speaks only when spoken to, so nothing is read that belongs to it.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MOST_PROXY_ANSWER {
            return Err(ConnectError::ProxyBroken(io::Error::other("its answer is too large")));
        }
        answer.push(stream.read_u8().await.map_err(ConnectError::ProxyBroken)?);
    }
    let head = String::from_utf8_lossy(&answer);
    let status = head.lines().next().unwrap_or_default().split_once(' ').map_or("", |(_, status)| status);
    if !status.starts_with('2') {
        return Err(ConnectError::Refused { to, status: status.to_owned() });
    }
    Ok(stream)
}

/// Any stream of bytes.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

/// A connection, and what is known of it.
pub(super) struct Stream {
    io: TokioIo<Box<dyn Io>>,
    http2: bool,
    /// Requests of HTTP name the whole address.
    to_proxy: bool,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, connector.connect(to)).await;
            connected.unwrap_or(Err(ConnectError::Timeout))
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.to_proxy);
        if self.http2 { connected.negotiated_h2() } else { connected }
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }
}
