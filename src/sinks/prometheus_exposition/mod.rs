//! The sink `prometheus_exposition`: the last sample of every series, for scrapers to fetch. What Prometheus
//! calls an exporter, at the end of a graph.
//!
//! A sample is delivered once it is held: a pull says nothing of who pulls, or whether anybody does.

mod accept;
mod held;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as StdDuration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::JsonSchema;

use self::accept::{content_type, negotiate};
use self::held::Held;
use crate::data::{Batch, Signal};
use crate::delivery::Outcome;
use crate::formats::prometheus::expose::Exposer;
use crate::net::http_server::Server;
use crate::options::http_server::HttpServerOptions;
use crate::options::{Code, Duration, Joined, Listen, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareContext, Sink};
use crate::pipeline::{Descriptor, PrepareError, SinkContext, SinkPlan, Task, TaskError};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SinkPlan> = Descriptor {
    name: "prometheus_exposition",
    summary: "Exposes the last sample of every series at `/metrics`, for Prometheus to scrape.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// A limit that makes no sense.
pub const BAD_LIMIT: Code = Code("TW0670");

type Options = Joined<Exposition, HttpServerOptions>;

/// Options of the sink `prometheus_exposition`. It listens on `127.0.0.1:9464` where `listen` says nothing else.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Exposition {
    /// A series without a new sample for this long is not exposed any more; a staleness marker ends one at
    /// once. Default: `5m`.
    expiry: Spanned<Duration>,
    /// Whether samples are exposed with the time at which they were taken. Default: `false`: a scraper takes
    /// the time of its scrape.
    timestamps: bool,
    /// Most series; samples of more are refused and counted. Default: `100000`.
    limit: Spanned<usize>,
}

impl Default for Exposition {
    fn default() -> Self {
        Self {
            expiry: Spanned::unknown(Duration(StdDuration::from_secs(300))),
            timestamps: false,
            limit: Spanned::unknown(100_000),
        }
    }
}

/// Where it listens unless it is told otherwise: OpenTelemetry's port for this.
const DEFAULT_LISTEN: Listen = Listen::loopback(9464);

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.shared.problems();
        if self.expiry.0.is_zero() {
            let problem = Problem::new(BAD_LIMIT, self.expiry.span, "`expiry` is 0: nothing would be exposed");
            problems.push(problem.help("write a time of several scrapes, such as 5m"));
        }
        if self.limit.value == 0 {
            let problem = Problem::new(BAD_LIMIT, self.limit.span, "`limit` is 0: nothing would be exposed");
            problems.push(problem.help("write a number of series, such as 100000"));
        }
        problems
    }

    fn listeners(&self) -> Vec<Spanned<SocketAddr>> {
        self.shared.listener(DEFAULT_LISTEN).into_iter().collect()
    }
}

impl SinkPlan for Options {
    fn accepts(&self, signal: Signal) -> bool {
        signal == Signal::Metrics
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        let held = Held::new(cx.series.clone(), self.expiry.0, self.limit.value);
        let timestamps = self.timestamps;
        Ok(Box::new(ExpositionSink { server: self.shared.clone(), held: Arc::new(Mutex::new(held)), timestamps }))
    }
}

struct ExpositionSink {
    server: HttpServerOptions,
    held: Arc<Mutex<Held>>,
    timestamps: bool,
}

impl Sink for ExpositionSink {
    fn start(self: Box<Self>, cx: SinkContext) -> Task {
        Box::pin(self.run(cx))
    }
}

impl ExpositionSink {
    async fn run(self: Box<Self>, mut cx: SinkContext) -> Result<(), TaskError> {
        let server = match self.server.address(DEFAULT_LISTEN) {
            None => None,
            Some(address) => {
                let router = router(self.held.clone(), self.timestamps);
                let server = Server::receive(address, &cx.metrics.name, &self.server, router).await;
                let server = server.map_err(|error| TaskError(error.to_string()))?;
                tracing::info!(component = &*cx.metrics.name, address = %server.address(), "exposes metrics");
                Some(server)
            }
        };
        loop {
            let message = tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => break,
                message = cx.input.recv() => message,
            };
            let Some(message) = message else { break };
            cx.metrics.count_in(&message.batch);
            if let Batch::Metrics(batch) = &message.batch {
                let taken = self.held.lock().unwrap_or_else(PoisonError::into_inner).take(batch);
                cx.metrics.records_out.inc_by(taken.held);
                message.ack.count(Outcome::Delivered, taken.held);
                if taken.older > 0 {
                    cx.metrics.records_dropped.inc_by(taken.older);
                    message.ack.count(Outcome::Dropped, taken.older);
                }
                for (samples, reason) in [
                    (taken.native, "native histograms have no place in the text formats"),
                    (taken.beyond, "`limit` series are exposed already"),
                ] {
                    if samples > 0 {
                        cx.metrics.records_refused.inc_by(samples);
                        cx.metrics.error(format!("{samples} samples are refused: {reason}"));
                        tracing::warn!(component = &*cx.metrics.name, samples, "samples are refused: {reason}");
                        message.ack.refuse(Outcome::Refused, samples, reason);
                    }
                }
            }
            message.ack.done();
        }
        if let Some(server) = server {
            server.stop().await;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Shown {
    held: Arc<Mutex<Held>>,
    timestamps: bool,
}

fn router(held: Arc<Mutex<Held>>, timestamps: bool) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Shown { held, timestamps })
}

async fn metrics(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let accepted = negotiate(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    // Sorting and writing many series takes longer than a task should.
    let written = tokio::task::spawn_blocking(move || {
        let exposer = Exposer::new(accepted.0, accepted.1)?;
        let snapshot = shown.held.lock().unwrap_or_else(PoisonError::into_inner).snapshot();
        let mut out = Vec::new();
        snapshot.write(exposer, shown.timestamps, &mut out);
        Some(out)
    });
    match written.await {
        Ok(Some(text)) => ([(CONTENT_TYPE, content_type(accepted))], text).into_response(),
        Ok(None) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests;
