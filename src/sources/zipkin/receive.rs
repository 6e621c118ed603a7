//! One request: read, handed on, and answered by what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::time::{Instant, timeout_at};

use crate::data::{Batch, Budget, Chunk};
use crate::formats::otlp::traces;
use crate::formats::zipkin::{self, Format, Limits, Refused};
use crate::net::http_server::{BodyError, BodyLimits, direct_sender};
use crate::pipeline::Senders;
use crate::pipeline::pushed::{Became, Intake};
use crate::telemetry::ComponentMetrics;

/// Seconds after which a tracer may come again.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// Bytes that reading takes for each of the body: the request that is made of it, and what leads there.
const READING: u64 = 2;

/// What requests share.
pub(super) struct Receiver {
    pub intake: Intake,
    pub memory: Arc<Budget>,
    pub senders: Arc<Senders>,
    pub metrics: Arc<ComponentMetrics>,
    pub limits: BodyLimits,
    pub answer_within: Duration,
}

/// What a request's path says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Receiver {
    /// Serves the paths.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/v1/spans", post(v1))
            .route("/api/v2/spans", post(v2))
            .fallback(elsewhere)
            .with_state(Arc::new(self))
    }

    async fn take(&self, version: Version, request: Request) -> Response {
        let format = match format(version, request.headers()) {
            Ok(format) => format,
            Err(words) => {
                self.metrics.error(format!("a request that is not understood: {words}"));
                return told(StatusCode::UNSUPPORTED_MEDIA_TYPE, words);
            }
        };
        let from = direct_sender(&request);
        let (head, body) = request.into_parts();
        let (body, mut paid) = match self.limits.read_inflated(&self.memory, &head.headers, body).await {
            Ok(read) => read,
            Err(BodyError::NoRoom) => return self.pressure(),
            Err(error) => return self.broken(error.status(), &error.to_string()),
        };
        let until = Instant::now() + self.answer_within;
        self.metrics.bytes_in.inc_by(body.len() as u64);
        let Ok(reading) = timeout_at(until, self.memory.acquire(READING * body.len() as u64)).await else {
            return self.pressure();
        };
        let decoded = match zipkin::decode(format, &body, &Limits::default()) {
            Ok(decoded) => decoded,
            Err(error) => return self.broken(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        drop(body);
        let traces::Indexed { mut batch, refused, reason } = match traces::index(Chunk::from_vec(decoded.request)) {
            Ok(indexed) => indexed,
            Err(error) => return self.broken(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        self.senders.ready().await;
        self.senders.add(&mut batch, from);
        let batch = Batch::Traces(batch);
        paid.resize(batch.bytes());
        drop(reading);
        let mut answer = Answer::new(decoded.spans as u64, &decoded.refused);
        answer.refuse(refused, reason.as_deref().unwrap_or_default());
        self.count(&answer);
        if batch.count() == 0 {
            return answer.response();
        }
        match self.intake.hand_on(vec![batch], paid, until).await {
            Became::Later(words) => later(&words),
            Became::Taken { refused, reason } => {
                answer.refuse(refused, &reason);
                answer.response()
            }
        }
    }

    fn count(&self, answer: &Answer) {
        self.metrics.records_in.inc_by(answer.spans);
        if answer.refused > 0 {
            self.metrics.records_refused.inc_by(answer.refused);
            self.metrics.error(answer.words());
        }
    }

    fn pressure(&self) -> Response {
        self.metrics.error("requests are put off: there is no memory for them");
        later("there is no memory for the request")
    }

    fn broken(&self, status: StatusCode, words: &str) -> Response {
        self.metrics.error(format!("a request that cannot be read: {words}"));
        told(status, words)
    }
}

async fn v1(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    receiver.take(Version::V1, request).await
}

async fn v2(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    receiver.take(Version::V2, request).await
}

async fn elsewhere() -> Response {
    told(StatusCode::NOT_FOUND, "there is nothing here; spans are sent to /api/v2/spans or /api/v1/spans")
}

/// How a body is written; in words where that is not understood.
fn format(version: Version, headers: &HeaderMap) -> Result<Format, &'static str> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    match (&*kind, version) {
        // Zipkin takes it for JSON where nothing is said.
        (b"" | b"application/json", Version::V1) => Ok(Format::JsonV1),
        (b"" | b"application/json", Version::V2) => Ok(Format::JsonV2),
        (b"application/x-protobuf", Version::V2) => Ok(Format::Protobuf),
        (b"application/x-protobuf", Version::V1) => {
            Err("spans of v1 are not written as Protocol Buffers; send these to /api/v2/spans")
        }
        (b"application/x-thrift", _) => {
            Err("Thrift is not understood; send JSON, or v2 as Protocol Buffers to /api/v2/spans")
        }
        _ => Err("send application/json or application/x-protobuf"),
    }
}

/// What a tracer is told once it is known what became of its spans.
struct Answer {
    /// All that came.
    spans: u64,
    refused: u64,
    /// Why the first was refused.
    reason: String,
}

impl Answer {
    fn new(taken: u64, refused: &Refused) -> Self {
        let reason = refused.first.as_ref().map(|(place, reason)| format!("span {place}: {reason}"));
        let refused = refused.spans as u64;
        Self { spans: taken + refused, refused, reason: reason.unwrap_or_default() }
    }

    fn refuse(&mut self, spans: u64, reason: &str) {
        self.refused += spans;
        if self.reason.is_empty() {
            self.reason = reason.to_owned();
        }
    }

    fn words(&self) -> String {
        format!("{} of {} spans were refused: {}", self.refused, self.spans, self.reason)
    }

    /// 202 as from Zipkin, unless nothing was taken. Its API has no word for a part: the body says it.
    fn response(&self) -> Response {
        match self.refused {
            0 => StatusCode::ACCEPTED.into_response(),
            refused if refused < self.spans => told(StatusCode::ACCEPTED, &self.words()),
            _ => told(StatusCode::BAD_REQUEST, &self.words()),
        }
    }
}

fn later(words: &str) -> Response {
    let mut response = told(StatusCode::SERVICE_UNAVAILABLE, words);
    response.headers_mut().insert(RETRY_AFTER, AGAIN);
    response
}

fn told(status: StatusCode, words: &str) -> Response {
    (status, format!("{words}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: Version, kind: &'static str) -> Result<Format, &'static str> {
        format(version, &HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]))
    }

    #[test]
    fn what_a_body_is_says_its_path_and_its_type() {
        assert_eq!(of(Version::V2, "Application/JSON; charset=utf-8"), Ok(Format::JsonV2));
        assert_eq!(of(Version::V1, "application/json"), Ok(Format::JsonV1));
        assert_eq!(of(Version::V2, "application/x-protobuf"), Ok(Format::Protobuf));
        assert_eq!(format(Version::V2, &HeaderMap::new()), Ok(Format::JsonV2));
        for (version, kind, words) in [
            (Version::V1, "application/x-thrift", "Thrift is not understood"),
            (Version::V1, "application/x-protobuf", "/api/v2/spans"),
            (Version::V2, "text/plain", "send application/json or application/x-protobuf"),
        ] {
            assert!(of(version, kind).is_err_and(|said| said.contains(words)), "{kind}");
        }
    }

    #[test]
    fn only_a_request_of_which_nothing_was_taken_is_a_bad_one() {
        let first = Some((3, "`id` is missing".to_owned()));
        for (taken, refused, status) in [(5, 0, 202), (5, 1, 202), (0, 1, 400), (0, 0, 202)] {
            let answer = Answer::new(taken, &Refused { spans: refused, first: first.clone().filter(|_| refused > 0) });
            assert_eq!(answer.response().status(), status, "{taken} taken, {refused} refused");
        }
        let mut answer = Answer::new(2, &Refused::default());
        answer.refuse(2, "the destination says no");
        assert_eq!(answer.response().status(), 400);
        assert_eq!(answer.words(), "2 of 2 spans were refused: the destination says no");
        let answer = Answer::new(1, &Refused { spans: 1, first });
        assert_eq!(answer.words(), "1 of 2 spans were refused: span 3: `id` is missing");
    }
}
