//! OTLP over HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};

use super::receive::{AGAIN, Answer, NO_MEMORY, Receiver};
use crate::data::Signal;
use crate::formats::otlp::json::{self, Document};
use crate::formats::protobuf::push_bytes;
use crate::net::http_server::{BodyError, BodyLimits, direct_sender};

/// The path of each signal.
const PATHS: [(Signal, &str); 3] =
    [(Signal::Logs, "/v1/logs"), (Signal::Metrics, "/v1/metrics"), (Signal::Traces, "/v1/traces")];

/// Serves the paths.
pub(super) fn router(receiver: Receiver, limits: BodyLimits) -> Router {
    let mut router = Router::new().fallback(unknown).method_not_allowed_fallback(unknown);
    for (signal, path) in PATHS {
        let receiver = receiver.clone();
        let call = move |request: Request| export(receiver.clone(), limits, signal, request);
        router = router.route(path, post(call));
    }
    router
}

/// Where requests belong, for those that come elsewhere, or by another method.
async fn unknown(request: Request) -> Response {
    let known = PATHS.iter().any(|(_, path)| *path == request.uri().path());
    let status = if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
    (status, "OTLP is taken by POST at /v1/traces, /v1/logs and /v1/metrics\n").into_response()
}

/// How a request and its answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }

    fn write(self, document: Document, message: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Protobuf => message,
            Self::Json => {
                let mut text = Vec::new();
                json::write(document, &message, &mut text).expect("the agent's own message is one");
                text
            }
        }
    }

    /// An answer that says what is wrong: a `google.rpc.Status`.
    fn wrong(self, status: StatusCode, words: &str) -> Response {
        let mut message = Vec::new();
        push_bytes(2, words.as_bytes(), &mut message);
        (status, [(CONTENT_TYPE, self.content_type())], self.write(Document::Status, message)).into_response()
    }

    fn later(self, status: StatusCode, words: &str) -> Response {
        let mut response = self.wrong(status, words);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(AGAIN.as_secs()));
        response
    }
}

async fn export(receiver: Receiver, limits: BodyLimits, signal: Signal, request: Request) -> Response {
    let Some(encoding) = Encoding::of(request.headers()) else {
        let words = "send application/x-protobuf or application/json; gRPC has a port of its own, 4317 by default\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, words).into_response();
    };
    if !receiver.takes(signal) {
        return encoding.wrong(StatusCode::NOT_FOUND, &Receiver::unread(signal));
    }
    let from = direct_sender(&request);
    let (head, body) = request.into_parts();
    let (message, mut permit) = match limits.read_inflated(receiver.memory(signal), &head.headers, body).await {
        Ok(read) => read,
        Err(BodyError::NoRoom) => {
            receiver.pressure();
            return encoding.later(StatusCode::TOO_MANY_REQUESTS, &BodyError::NoRoom.to_string());
        }
        Err(error) => {
            receiver.malformed(&error.to_string());
            return encoding.wrong(error.status(), &error.to_string());
        }
    };
    let message = match encoding {
        Encoding::Protobuf => message,
        Encoding::Json => match json::read(Document::Request(signal), &message, limits.inflated) {
            Ok(read) => {
                drop(message);
                permit.resize(read.capacity() as u64);
                Bytes::from(read)
            }
            Err(error) => {
                receiver.malformed(&error.to_string());
                return encoding.wrong(StatusCode::BAD_REQUEST, &error.to_string());
            }
        },
    };
    match receiver.take(signal, message, permit, from).await {
        Answer::Taken { rejected, reason } => {
            let body = encoding.write(Document::Response(signal), Answer::response(rejected, &reason));
            ([(CONTENT_TYPE, encoding.content_type())], body).into_response()
        }
        Answer::Malformed(words) => encoding.wrong(StatusCode::BAD_REQUEST, &words),
        Answer::Later(words) => encoding.later(StatusCode::SERVICE_UNAVAILABLE, &words),
        Answer::Pressure => encoding.later(StatusCode::TOO_MANY_REQUESTS, NO_MEMORY),
    }
}
