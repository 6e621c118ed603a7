//! HTTP servers: the agent's own pages, and receivers of data with TLS and a login. HTTP/1.1 with keep-alive
//! and HTTP/2, bounded in connections and in the time that a slow client may take, ended with the agent.

mod connection;
mod peer;
mod receive;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

pub use peer::direct_sender;
pub use receive::{BodyError, BodyLimits, Unpack, guard};

use super::listen::{BindError, bind};
use super::tls::{self, TlsError};
use crate::options::HttpServerOptions;
use crate::options::http_server::ServerTls;
use connection::Watched;
use peer::Peer;

#[cfg(test)]
use connection::IDLE;

/// Connections of the agent's own pages that are served at one time; more wait in the system's backlog.
const CONNECTIONS: usize = 64;

/// How long an answer under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_millis(500);

/// Time for a handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Time for the head of a request, the wait for it included.
const HEAD: Duration = Duration::from_secs(30);

/// A client of HTTP/2 that does not answer a ping for this long is gone.
const PING: Duration = Duration::from_secs(20);

/// Requests under way on one connection of HTTP/2.
const STREAMS: u32 = 64;

/// Window of a stream and of a connection of HTTP/2: what a client may send before it is read.
const WINDOWS: (u32, u32) = (1 << 20, 2 << 20);

/// Largest frame of HTTP/2. Most requests come in one, which is then handed on without a copy.
const FRAME: u32 = 256 << 10;

/// How often the files of certificates are looked at for a change.
const REREAD_EVERY: Duration = Duration::from_secs(10);

/// A pause after the system could not give a connection, as when no file descriptor is left.
const BREATH: Duration = Duration::from_millis(100);

/// A running server. Dropping it ends it at once; [`Server::stop`] lets answers under way finish.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Why a receiver does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port cannot be taken.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Serves the agent's own pages on `listener`.
    pub fn start(listener: TcpListener, router: Router) -> io::Result<Self> {
        Self::run(listener, router, CONNECTIONS, None)
    }

    /// Takes the port for the component of this name in the configuration and serves `router` to those that
    /// `options` let in. A failure names the address and is this component's alone.
    pub async fn receive(
        address: SocketAddr,
        component: &str,
        options: &HttpServerOptions,
        router: Router,
    ) -> Result<Self, ServerError> {
        let tls = match &options.tls {
            None => None,
            Some(tls) => Some(Certificates::read(tls.clone()).await?),
        };
        let listener = bind(address, component).await?;
        let router = guard(router, options.login.as_deref());
        let connections = options.max_connections.value as usize;
        let failed = |error| BindError { address, owner: component.into(), error };
        Ok(Self::run(listener, router, connections, tls).map_err(failed)?)
    }

    fn run(
        listener: TcpListener,
        router: Router,
        connections: usize,
        tls: Option<Arc<Certificates>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(accept(listener, router, connections, tls, shutdown.clone()));
        Ok(Self { address, shutdown, task })
    }

    /// The address it listens on, with the port that it was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections and gives answers under way a moment.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if timeout(GRACE, &mut self.task).await.is_err() {
            self.task.abort();
            // The port is free once the task is gone.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a server shows in TLS.
struct Certificates {
    options: ServerTls,
    config: ArcSwap<rustls::ServerConfig>,
}

impl Certificates {
    async fn read(options: ServerTls) -> Result<Arc<Self>, TlsError> {
        let config = ArcSwap::from_pointee(tls::server(&options)?);
        Ok(Arc::new(Self { options, config }))
    }

    /// Reads the files again whenever they change; what cannot be used changes nothing.
    async fn watch(self: Arc<Self>) {
        let mut known = tls::server_content(&self.options);
        loop {
            tokio::time::sleep(REREAD_EVERY).await;
            let options = self.options.clone();
            let read = move || (tls::server_content(&options), tls::server(&options));
            let Ok((content, config)) = tokio::task::spawn_blocking(read).await else { continue };
            if content == known {
                continue;
            }
            known = content;
            match config {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    tracing::info!("the files of `tls` changed: new connections go by them");
                }
                Err(error) => tracing::warn!(%error, "the files of `tls` changed, and those before stay in force"),
            }
        }
    }
}

/// Takes connections until told to stop, then waits for those under way. Connections end with this task.
async fn accept(
    listener: TcpListener,
    router: Router,
    most: usize,
    tls: Option<Arc<Certificates>>,
    shutdown: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    let mut watch = JoinSet::new();
    if let Some(tls) = &tls {
        watch.spawn(tls.clone().watch());
    }
    loop {
        let permit = tokio::select! {
            () = shutdown.cancelled() => break,
            permit = permits.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => (stream, Peer(peer)),
                Err(_) => {
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            },
        };
        while connections.try_join_next().is_some() {}
        let (router, shutdown) = (router.clone(), shutdown.clone());
        let config = tls.as_ref().map(|tls| tls.config.load_full());
        connections.spawn(async move {
            serve(stream, peer, config, router, shutdown).await;
            drop(permit);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(
    stream: TcpStream,
    peer: Peer,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    shutdown: CancellationToken,
) {
    // An error means that the connection is gone.
    let _ = stream.set_nodelay(true);
    let stream = Watched::new(stream);
    match tls {
        None => exchange(stream, peer, router, shutdown).await,
        Some(config) => match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => exchange(stream, peer, router, shutdown).await,
            Ok(Err(error)) => tracing::debug!(%error, "a handshake of TLS failed"),
            Err(_) => tracing::debug!("a handshake of TLS took too long"),
        },
    }
}

/// Serves one connection. Its errors end it and nothing else.
async fn exchange<S>(stream: S, peer: Peer, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PING).max_concurrent_streams(STREAMS);
    http2.initial_stream_window_size(WINDOWS.0).initial_connection_window_size(WINDOWS.1).max_frame_size(FRAME);
    let asked = AtomicBool::new(false);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let late = tokio::time::sleep(HEAD);
    tokio::pin!(late);
    let (mut waits, mut stops) = (true, true);
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection ended");
                }
                return;
            }
            // Before the version is known, no timeout of a version holds.
            () = &mut late, if waits => {
                waits = false;
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
            }
            () = shutdown.cancelled(), if stops => {
                stops = false;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_request_knows_the_other_end_of_its_connection() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let peer = |request: axum::extract::Request| async move {
            request.extensions().get::<Peer>().expect("it is there").0.to_string()
        };
        let server = Server::start(listener, Router::new().route("/", axum::routing::get(peer))).expect("starts");
        let mut client = TcpStream::connect(server.address()).await.expect("connects");
        let own = client.local_addr().expect("bound").to_string();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("writes");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with(&own), "{own}: {answer}");
    }

    #[tokio::test]
    async fn silent_clients_do_not_keep_others_out_for_ever() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let server = Server::start(listener, router).expect("starts");
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(server.address()).await.expect("connects"));
        }
        // All of them must be accepted before time moves on.
        for client in &mut silent {
            client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writes");
            client.read_exact(&mut [0; 15]).await.expect("an answer");
        }
        let mut late = TcpStream::connect(server.address()).await.expect("the backlog takes it");
        late.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("writes");
        tokio::time::pause();
        tokio::time::advance(IDLE + Duration::from_secs(1)).await;
        tokio::time::resume();
        let mut answer = String::new();
        late.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("here"), "{answer}");
    }
}
