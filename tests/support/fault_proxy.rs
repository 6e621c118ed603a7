//! An HTTP proxy in front of a real server that does what a real server will not do on demand: it hangs,
//! closes connections, cuts answers short, delays, or answers in the server's place. It remembers every
//! request that it saw.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::print_stderr, reason = "shown with a test that fails")]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::http::{self, Message};

/// What happens to one request. "Before" means that the server never sees it, "after" that the server has
/// done what was asked and the client does not learn it.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is passed on, and so is the answer.
    Pass,
    /// It is passed on this much later, also where the client has given up by then.
    Delay(Duration),
    /// No answer, until the client gives up.
    HangBefore,
    /// The server does it; no answer, until the client gives up.
    HangAfter,
    /// The connection is closed.
    CloseBefore,
    /// The server does it, then the connection is closed.
    CloseAfter,
    /// The server does it; the answer's head and the first bytes of its body arrive, then the connection
    /// is closed.
    Truncate(usize),
    /// This answer, without the server.
    Answer(Canned),
    /// The server does it; this answer takes the place of its own.
    AnswerAfter(Canned),
    /// The server's answer with another body.
    Rewrite(fn(Vec<u8>) -> Vec<u8>),
}

/// An answer in the server's place.
#[derive(Clone, Debug)]
pub struct Canned {
    /// Such as 429.
    pub status: u16,
    /// Further header fields.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body, JSON.
    pub body: &'static str,
}

impl Canned {
    /// An error as Elasticsearch words it.
    pub const fn new(status: u16, body: &'static str) -> Self {
        Self { status, headers: &[], body }
    }
}

/// A request that the proxy saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Such as `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Head and body.
    pub request: Message,
    /// Status that went back to the client; `None` where nothing or not all did.
    pub answered: Option<u16>,
    /// The body that went with it.
    pub answer: Vec<u8>,
    /// Its header fields.
    pub answer_headers: BTreeMap<String, String>,
}

impl Seen {
    /// Whether documents were sent.
    pub fn is_bulk(&self) -> bool {
        self.path.contains("/_bulk")
    }

    /// The documents of a bulk request, as text.
    pub fn documents(&self) -> Vec<String> {
        let body = String::from_utf8(self.request.inflated()).expect("documents are UTF-8");
        body.lines().skip(1).step_by(2).map(str::to_owned).collect()
    }
}

type Decide = dyn FnMut(&Seen) -> Fault + Send;

struct Shared {
    upstream: Mutex<SocketAddr>,
    decide: Mutex<Box<Decide>>,
    seen: Mutex<Vec<Seen>>,
    changes: watch::Sender<usize>,
}

/// A running proxy; it stops when it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// A proxy in front of `upstream` that passes everything on.
    pub async fn start(upstream: SocketAddr) -> Self {
        Self::listen(upstream, None).await
    }

    /// The same, speaking TLS towards its clients.
    pub async fn start_tls(upstream: SocketAddr, tls: TlsAcceptor) -> Self {
        Self::listen(upstream, Some(tls)).await
    }

    async fn listen(upstream: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            decide: Mutex::new(Box::new(|_| Fault::Pass)),
            seen: Mutex::default(),
            changes: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, shared.clone(), tls));
        Self { address, shared, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on requests go to another server.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        *lock(&self.shared.upstream) = upstream;
    }

    /// From now on `decide` says what happens to each request. It is asked in the order in which requests
    /// have arrived whole.
    pub fn decide(&self, decide: impl FnMut(&Seen) -> Fault + Send + 'static) {
        *lock(&self.shared.decide) = Box::new(decide);
    }

    /// The next bulk requests get these faults, one each; everything else passes.
    pub fn bulks(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut faults: VecDeque<Fault> = faults.into_iter().collect();
        self.decide(move |seen| if seen.is_bulk() { faults.pop_front().unwrap_or(Fault::Pass) } else { Fault::Pass });
    }

    /// Every bulk request gets this fault, until something else is said.
    pub fn all_bulks(&self, fault: Fault) {
        self.decide(move |seen| if seen.is_bulk() { fault.clone() } else { Fault::Pass });
    }

    /// What was seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The bulk requests that were seen so far.
    pub fn seen_bulks(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(Seen::is_bulk).collect()
    }

    /// Waits until what was seen is as wanted.
    pub async fn saw(&self, wanted: impl Fn(&[Seen]) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        let look = changes.wait_for(|_| wanted(&lock(&self.shared.seen)));
        let waited = tokio::time::timeout(Duration::from_secs(60), look).await;
        assert!(waited.is_ok(), "not seen within a minute; seen: {:?}", self.briefly());
    }

    fn briefly(&self) -> Vec<(String, String, Option<u16>)> {
        self.seen().into_iter().map(|seen| (seen.method, seen.path, seen.answered)).collect()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the proxy saw {:?}", self.briefly());
        }
        self.task.abort();
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, tls) = (shared.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, &shared).await,
                Some(tls) => {
                    // A client that does not trust the certificate goes away here.
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, &shared).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: &Shared) {
    let mut left = Vec::new();
    while let Some(request) = http::read(&mut stream, &mut left, false).await {
        let mut words = request.first_line.split(' ');
        let (method, path) = (words.next().unwrap_or_default().into(), words.next().unwrap_or_default().into());
        let seen = Seen {
            method,
            path,
            request: request.clone(),
            answered: None,
            answer: Vec::new(),
            answer_headers: BTreeMap::new(),
        };
        let fault = lock(&shared.decide)(&seen);
        let index = {
            let mut all = lock(&shared.seen);
            all.push(seen);
            all.len() - 1
        };
        shared.changes.send_modify(|change| *change += 1);
        let Some(answer) = answer(&mut stream, shared, request, fault).await else { return };
        {
            let seen = &mut lock(&shared.seen)[index];
            seen.answered = Some(answer.status());
            (seen.answer, seen.answer_headers) = (answer.body, answer.headers);
        }
        shared.changes.send_modify(|change| *change += 1);
    }
}

/// Does what the fault says; returns what was sent, `None` where the connection is to be closed.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    shared: &Shared,
    request: Message,
    fault: Fault,
) -> Option<Message> {
    let upstream = *lock(&shared.upstream);
    let pass = async { http::exchange(upstream, request).await };
    let answer = match fault {
        Fault::Pass => pass.await?,
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            pass.await?
        }
        Fault::HangBefore => {
            gone(stream).await;
            return None;
        }
        Fault::HangAfter => {
            pass.await;
            gone(stream).await;
            return None;
        }
        Fault::CloseBefore => return None,
        Fault::CloseAfter => {
            pass.await;
            return None;
        }
        Fault::Truncate(keep) => {
            let answer = pass.await?;
            let cut = answer.body.len().saturating_sub(keep);
            let bytes = answer.bytes();
            // The client may have gone meanwhile.
            let _ = stream.write_all(&bytes[..bytes.len() - cut]).await;
            return None;
        }
        Fault::Answer(canned) => canned.message(),
        Fault::AnswerAfter(canned) => {
            pass.await;
            canned.message()
        }
        Fault::Rewrite(rewrite) => {
            let answer = pass.await?;
            Message { body: rewrite(answer.body.clone()), ..answer }
        }
    };
    let mut answer = answer;
    answer.headers.remove("connection");
    stream.write_all(&answer.bytes()).await.ok()?;
    stream.flush().await.ok()?;
    Some(answer)
}

impl Canned {
    fn message(&self) -> Message {
        let headers = [("content-type", "application/json")].iter().chain(self.headers);
        Message {
            first_line: format!("HTTP/1.1 {} Canned", self.status),
            headers: headers.map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: self.body.into(),
        }
    }
}

/// Waits until the client closes the connection.
async fn gone<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
}
