//! A target whose every byte a test chooses: what each path answers, in which content type, compressed or not, late,
//! with an error, cut short or not at all. It remembers what was asked.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{self, Message};

/// The content type of the oldest text format.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// That of OpenMetrics 1.0.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// That of messages of `io.prometheus.client.MetricFamily`, each behind its length.
pub const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// What a scrape is given.
#[derive(Clone, Debug)]
pub struct Exposition {
    /// Such as 200.
    pub status: u16,
    /// The content type; none is sent where it is empty.
    pub content_type: String,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// The body before compression.
    pub body: Vec<u8>,
    /// Whether it is compressed for clients that say they take gzip.
    pub gzip: bool,
    /// How long the answer takes.
    pub delay: Duration,
    /// How the connection ends before the answer does, if it does.
    pub fault: Option<Cut>,
}

/// How an answer is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection is closed without an answer.
    Close,
    /// No answer, until the client gives up.
    Hang,
    /// The connection is closed after so many bytes of the body.
    After(usize),
}

impl Exposition {
    /// A body of this content type.
    pub fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            content_type: content_type.into(),
            headers: Vec::new(),
            body: body.into(),
            gzip: false,
            delay: Duration::ZERO,
            fault: None,
        }
    }

    /// The oldest text format.
    pub fn text(body: impl Into<Vec<u8>>) -> Self {
        Self::new(TEXT, body)
    }

    /// An error.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::text("") }
    }

    /// No whole answer.
    pub fn cut(self, fault: Cut) -> Self {
        Self { fault: Some(fault), ..self }
    }
}

/// A request that was seen.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub path: String,
    /// Head and body.
    pub request: Message,
    /// The answer, as the test gave it.
    pub answer: Exposition,
}

type Answer = dyn FnMut(&Message) -> Exposition + Send;

struct Shared {
    /// By path, without the query.
    paths: Mutex<HashMap<String, Box<Answer>>>,
    asked: Mutex<Vec<Asked>>,
    changes: watch::Sender<usize>,
}

/// A running target; it stops when it is dropped.
pub struct ExpositionTarget {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl ExpositionTarget {
    /// A target on a free port; every path is a 404 until it is given something.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared =
            Arc::new(Shared { paths: Mutex::default(), asked: Mutex::default(), changes: watch::Sender::new(0) });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Self { address, shared, task }
    }

    /// A target whose `/metrics` answers this.
    pub async fn exposing(exposition: Exposition) -> Self {
        let target = Self::start().await;
        target.expose("/metrics", exposition);
        target
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a path answers this.
    pub fn expose(&self, path: &str, exposition: Exposition) {
        self.expose_by(path, move |_| exposition.clone());
    }

    /// From now on a path answers these, one a request, and the last of them for good.
    pub fn expose_in_turn(&self, path: &str, expositions: impl IntoIterator<Item = Exposition>) {
        let mut expositions: VecDeque<_> = expositions.into_iter().collect();
        self.expose_by(path, move |_| {
            if expositions.len() > 1 { expositions.pop_front() } else { expositions.front().cloned() }
                .expect("at least one")
        });
    }

    /// From now on a path answers what this says; it is asked once a request, one after the other.
    pub fn expose_by(&self, path: &str, answer: impl FnMut(&Message) -> Exposition + Send + 'static) {
        lock(&self.shared.paths).insert(path.into(), Box::new(answer));
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// Waits until so many requests came.
    pub async fn was_asked(&self, times: usize) {
        let mut changes = self.shared.changes.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(60), changes.wait_for(|asked| *asked >= times)).await;
        assert!(waited.is_ok(), "asked {} times within a minute, not {times}", self.asked().len());
    }
}

impl Drop for ExpositionTarget {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            // Ends with the connection, whoever ends it.
            let _ = serve(stream, &shared).await;
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut left = Vec::new();
    while let Some(request) = http::read(&mut stream, &mut left, false).await {
        let path = request.first_line.split(' ').nth(1).unwrap_or_default().to_owned();
        let answer = {
            let mut paths = lock(&shared.paths);
            let of_path = paths.get_mut(path.split('?').next().unwrap_or_default());
            of_path.map_or_else(|| Exposition::status(404), |answer| answer(&request))
        };
        let message = answer.message(&request);
        let (bytes, body) = (message.bytes(), message.body.len());
        let (delay, fault) = (answer.delay, answer.fault);
        let count = {
            let mut asked = lock(&shared.asked);
            asked.push(Asked { path, request, answer });
            asked.len()
        };
        shared.changes.send_replace(count);
        tokio::time::sleep(delay).await;
        match fault {
            None => stream.write_all(&bytes).await?,
            Some(Cut::Close) => return Ok(()),
            Some(Cut::After(keep)) => return stream.write_all(&bytes[..bytes.len() - body + keep.min(body)]).await,
            Some(Cut::Hang) => {
                while stream.read(&mut [0; 1024]).await? > 0 {}
                return Ok(());
            }
        }
    }
    Ok(())
}

impl Exposition {
    fn message(&self, request: &Message) -> Message {
        let mut answer = Message { first_line: format!("HTTP/1.1 {} As-Told", self.status), ..Message::default() };
        answer.headers = self.headers.iter().cloned().collect();
        if !self.content_type.is_empty() {
            answer.headers.insert("content-type".into(), self.content_type.clone());
        }
        answer.body = self.body.clone();
        if self.gzip && request.headers.get("accept-encoding").is_some_and(|takes| takes.contains("gzip")) {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&self.body).expect("memory takes everything");
            answer.body = encoder.finish().expect("memory takes everything");
            answer.headers.insert("content-encoding".into(), "gzip".into());
        }
        answer
    }
}
