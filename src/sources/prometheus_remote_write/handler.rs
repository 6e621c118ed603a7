//! One request: read, handed on, and answered by what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Refused};
use super::take::{Families, Taker};
use crate::data::{Batch, Budget, Resource, SeriesTable};
use crate::formats::prometheus::remote_write::{Counts, Limits, Version, decode};
use crate::net::http_server::{BodyError, BodyLimits};
use crate::pipeline::pushed::{Became, Intake};
use crate::telemetry::ComponentMetrics;

/// What requests share.
#[derive(Clone)]
pub(super) struct Receiver {
    pub intake: Intake,
    pub table: Arc<SeriesTable>,
    pub memory: Arc<Budget>,
    pub resource: Arc<Resource>,
    pub metrics: Arc<ComponentMetrics>,
    pub limits: BodyLimits,
    pub labels: usize,
    pub answer_within: Duration,
    pub families: Arc<Families>,
}

impl Receiver {
    /// Serves the path.
    pub fn router(self, path: &str) -> Router {
        Router::new().route(path, post(write)).with_state(self)
    }

    async fn write(&self, request: Request) -> Response {
        let version = match version(request.headers()) {
            Ok(version) => version,
            Err(words) => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{words}\n")).into_response(),
        };
        let (body, _paid) = match self.limits.read(&self.memory, request.into_body()).await {
            Ok(read) => read,
            Err(BodyError::NoRoom) => return answer::later(version, "there is no memory for the request"),
            Err(error) => return error.into_response(),
        };
        let until = Instant::now() + self.answer_within;
        let inflated = match snap::raw::decompress_len(&body) {
            Ok(length) if length <= self.limits.inflated => length,
            Ok(_) => {
                let words = format!("the body has more than {} bytes without compression\n", self.limits.inflated);
                return (StatusCode::PAYLOAD_TOO_LARGE, words).into_response();
            }
            Err(error) => return self.broken(version, &error.to_string()),
        };
        // What is read from it is about as large.
        let Ok(permit) = timeout_at(until, self.memory.acquire(2 * inflated as u64)).await else {
            return answer::later(version, "there is no memory for the request");
        };
        let message = match snap::raw::Decoder::new().decompress_vec(&body) {
            Ok(message) => message,
            Err(error) => return self.broken(version, &error.to_string()),
        };
        drop(body);
        let mut taker = Taker::new(&self.table, &self.families);
        if let Err(error) = decode(version, &message, Limits::of_labels(self.labels), &mut taker) {
            return self.broken(version, &error.to_string());
        }
        drop(message);
        let (batch, taken, refused) = taker.finish(self.resource.clone());
        self.count(taken, &refused);
        let became = match batch {
            Some(batch) => self.intake.hand_on(vec![Batch::Metrics(batch)], permit, until).await,
            None => Became::TAKEN,
        };
        answer::answer(version, &became, taken, &refused)
    }

    fn count(&self, taken: Counts, refused: &Refused) {
        self.metrics.records_in.inc_by(taken.all_samples() + refused.counts.all_samples());
        if refused.reasons > 0 {
            self.metrics.records_refused.inc_by(refused.counts.all_samples());
            self.metrics.error(format!("refused of a request: {}", refused.words()));
        }
    }

    fn broken(&self, version: Version, words: &str) -> Response {
        self.metrics.error(format!("a request that cannot be read: {words}"));
        answer::respond(StatusCode::BAD_REQUEST, version, Counts::default(), words.into())
    }
}

async fn write(State(receiver): State<Receiver>, request: Request) -> Response {
    receiver.write(request).await
}

/// Which message a request carries; an error in words where that is not known.
fn version(headers: &HeaderMap) -> Result<Version, String> {
    let text = |name| match headers.get(&name) {
        None => Ok(""),
        Some(value) => value.to_str().map_err(|_| format!("the header `{name}` is no text")),
    };
    let encoding = text(CONTENT_ENCODING)?.trim();
    // Old senders say nothing about the encoding.
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(format!("content encoding `{encoding}` is not snappy"));
    }
    Version::of_content_type(text(CONTENT_TYPE)?)
}
