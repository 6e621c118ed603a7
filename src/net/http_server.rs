//! A small HTTP/1.1 server for the agent's own pages: bounded in connections, ended with the agent.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections served at one time; more wait in the system's backlog.
const CONNECTIONS: usize = 64;

/// How long an answer under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_millis(500);

/// A connection without a byte in either direction for this long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// A running server. Dropping it ends it at once; [`Server::stop`] lets answers under way finish.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `router` on `listener`.
    pub fn start(listener: TcpListener, router: Router) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let listener = Bounded { listener, connections: Arc::new(Semaphore::new(CONNECTIONS)) };
        let serve = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
        let task = tokio::spawn(async move {
            // The server ends only when told to; errors of connections end connections.
            let _ = serve.await;
        });
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

struct Bounded {
    listener: TcpListener,
    connections: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        const OPEN: &str = "the semaphore is never closed";
        let permit = self.connections.clone().acquire_owned().await.expect(OPEN);
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        (Connection { stream, idle: Box::pin(tokio::time::sleep(IDLE)), _permit: permit }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One client, cut off when nothing moves.
struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// Passes on what the stream said, or an error where it has been silent for too long.
    fn watched<T>(&mut self, cx: &mut Context<'_>, said: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if said.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return said;
        }
        self.idle.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let said = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watched(cx, said)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(cx, said)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

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
