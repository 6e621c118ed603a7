//! Spans that this process makes about itself, on their way out by OTLP over HTTP: encoded and sent by the crate
//! `opentelemetry-otlp`, through the agent's own client.
//!
//! Whoever makes spans puts them into a queue of so many and goes on; what does not fit is dropped and counted. A task of
//! its own takes them out, some hundreds a request. A receiver that does not answer is asked again for some seconds, then
//! the request's spans are dropped too: these spans are a help, never a burden.

mod transport;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{HttpClient, shown};
use transport::Transport;

/// Most spans of a request.
const MOST_A_REQUEST: usize = 512;

/// Where spans go, and how.
#[derive(Debug)]
pub struct Settings {
    /// The client that requests are made by.
    pub client: HttpClient,
    /// The whole address that requests are posted to.
    pub endpoint: Url,
    /// What the spans are of.
    pub resource: Resource,
    /// Most spans that wait.
    pub queue: usize,
    /// How long the first of a request waits for more.
    pub linger: Duration,
    /// Time for a request.
    pub timeout: Duration,
}

/// What becomes of spans.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Spans that the receiver has.
    pub sent: IntCounter,
    /// Spans that were dropped: the queue was full, the receiver refused them or could not be reached.
    pub dropped: IntCounter,
}

impl Counters {
    /// Counters at zero, which no registry knows yet.
    ///
    /// # Errors
    /// None with these names.
    pub fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            sent: IntCounter::new("tailwater_own_spans_sent_total", "Spans about the agent itself that were sent.")?,
            dropped: IntCounter::new(
                "tailwater_own_spans_dropped_total",
                "Spans about the agent itself that were dropped: their queue was full, or nobody took them.",
            )?,
        })
    }

    /// The same in a registry.
    ///
    /// # Errors
    /// Where it has them already.
    pub fn register(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let counters = Self::new()?;
        registry.register(Box::new(counters.sent.clone()))?;
        registry.register(Box::new(counters.dropped.clone()))?;
        Ok(counters)
    }
}

/// The end of the queue that spans are put into. Cloning it shares the queue.
#[derive(Clone, Debug)]
pub struct SpanQueue {
    spans: mpsc::Sender<SpanData>,
    dropped: IntCounter,
}

impl SpanQueue {
    /// Puts a span in, or drops it where there is no room.
    pub fn offer(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
        }
    }

    /// Puts a span in and waits for room: for a thread that may.
    pub fn put(&self, span: SpanData) {
        if self.spans.blocking_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

/// The task that sends. It ends by itself once every [`SpanQueue`] is gone.
#[derive(Debug)]
pub struct SpanExporter {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The exporter cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot export spans to {}: {reason}", shown(endpoint))]
pub struct ExporterError {
    endpoint: Box<Url>,
    reason: String,
}

/// Starts an exporter on the runtime that this is called in.
pub fn start(settings: Settings, counters: Counters) -> Result<(SpanQueue, SpanExporter), ExporterError> {
    let Settings { client, endpoint, resource, queue, linger, timeout } = settings;
    let transport = Arc::new(Transport::new(client, timeout));
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_shared_http_client(transport.clone())
        .with_endpoint(endpoint.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(timeout)
        // Its own pauses would hold a thread up; the transport's do not.
        .with_retry_policy(RetryPolicy::disabled())
        .build();
    let mut exporter =
        exporter.map_err(|error| ExporterError { endpoint: Box::new(endpoint.clone()), reason: error.to_string() })?;
    exporter.set_resource(&resource);
    let (spans, waiting) = mpsc::channel(queue);
    let queue = SpanQueue { spans, dropped: counters.dropped.clone() };
    let stop = CancellationToken::new();
    let sending = Sending { exporter, transport, linger, counters, endpoint, stop: stop.clone(), broken: false };
    Ok((queue, SpanExporter { stop, task: tokio::spawn(sending.run(waiting)) }))
}

impl SpanExporter {
    /// Takes no more spans, sends those that wait for at most `limit`, and ends.
    pub async fn finish(mut self, limit: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(limit, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

struct Sending {
    exporter: opentelemetry_otlp::SpanExporter,
    transport: Arc<Transport>,
    linger: Duration,
    counters: Counters,
    endpoint: Url,
    stop: CancellationToken,
    /// Whether the last request failed, which is told once.
    broken: bool,
}

impl Sending {
    async fn run(mut self, mut waiting: mpsc::Receiver<SpanData>) {
        loop {
            let mut spans = Vec::new();
            tokio::select! {
                _ = waiting.recv_many(&mut spans, MOST_A_REQUEST) => {}
                () = self.stop.cancelled(), if !waiting.is_closed() => {
                    waiting.close();
                    continue;
                }
            }
            if spans.is_empty() {
                return;
            }
            let until = Instant::now() + self.linger;
            while spans.len() < MOST_A_REQUEST && !self.stop.is_cancelled() {
                let room = MOST_A_REQUEST - spans.len();
                match timeout_at(until, waiting.recv_many(&mut spans, room)).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            self.send(spans).await;
        }
    }

    async fn send(&mut self, spans: Vec<SpanData>) {
        let count = spans.len() as u64;
        let sent = self.exporter.export(spans).await;
        let rejected = self.transport.rejected().min(count);
        let (endpoint, why) = (shown(&self.endpoint), self.transport.words());
        match sent {
            Ok(()) => {
                self.counters.sent.inc_by(count - rejected);
                self.counters.dropped.inc_by(rejected);
                if rejected > 0 {
                    tracing::warn!(endpoint, rejected, "spans were refused: {why}");
                }
                if std::mem::take(&mut self.broken) {
                    tracing::info!(endpoint, "spans are taken again");
                }
            }
            Err(error) => {
                self.counters.dropped.inc_by(count);
                if !std::mem::replace(&mut self.broken, true) {
                    let why = if why.is_empty() { error.to_string() } else { why };
                    tracing::warn!(endpoint, "spans cannot be sent and are dropped: {why}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
