//! The side of gRPC that calls.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use http::{Method, StatusCode};
use tonic::{Code, Status};
use url::Url;

use super::{ENCODINGS, GRPC, PREFIX, prefix, retry_delay, unpack};
use crate::net::http_client::{HttpClientError, Payload, Request};
use crate::net::{ClientError, HttpClient};
use crate::options::HttpClientOptions;

/// Most bytes of an answer.
const MOST_ANSWER: usize = 4 << 20;

/// Calls the methods of one server. Cloning it shares its connections.
#[derive(Clone, Debug)]
pub struct GrpcClient(HttpClient);

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server has done it, and what it says beside that cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The server answered so.
    #[error("{}: {}", name(.status.code()), .status.message())]
    Status {
        /// Its status.
        status: Box<Status>,
        /// How long it asks to wait.
        retry_delay: Option<Duration>,
    },
}

/// A code as the specification of gRPC writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The address of the server with the method as its path: `http://host:4317/package.Service/Method`.
    pub url: Url,
    /// Further metadata.
    pub metadata: HeaderMap,
    /// The message, after [`Call::prefix`].
    pub payload: Payload,
    /// How it is compressed.
    pub encoding: Option<HeaderValue>,
    /// Time for all of it.
    pub timeout: Duration,
}

impl Call {
    /// The bytes before a message of `length` bytes.
    pub fn prefix(compressed: bool, length: usize) -> [u8; PREFIX] {
        prefix(compressed, length)
    }
}

impl GrpcClient {
    /// A client that goes by `options`. Its files may come later, as with [`HttpClient::patient`].
    pub fn new(options: &HttpClientOptions) -> Result<Self, HttpClientError> {
        HttpClient::http2(options).map(Self)
    }

    /// Calls a method and returns the message of its answer.
    pub async fn unary(&self, call: Call) -> Result<Bytes, CallError> {
        let mut headers = call.metadata;
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(encoding) = call.encoding {
            headers.insert(HeaderName::from_static("grpc-encoding"), encoding);
        }
        headers.insert(HeaderName::from_static("grpc-accept-encoding"), ENCODINGS);
        headers.insert(HeaderName::from_static("grpc-timeout"), timeout(call.timeout));
        let answer = self
            .0
            .send(Request {
                method: Method::POST,
                url: call.url,
                headers,
                content_type: Some(GRPC),
                content_encoding: None,
                body: call.payload,
                timeout: call.timeout,
                most_answer: MOST_ANSWER,
            })
            .await?;
        // An answer without a message has its status among the headers.
        let status = Status::from_header_map(&answer.trailers).or_else(|| Status::from_header_map(&answer.headers));
        let status = status.unwrap_or_else(|| no_status(answer.status, &answer.headers, &answer.body));
        if status.code() != Code::Ok {
            let retry_delay = retry_delay(status.details()).or(answer.retry_after);
            return Err(CallError::Status { status: Box::new(status), retry_delay });
        }
        message(&answer.headers, &answer.body)
    }
}

/// A time as gRPC writes it: at most eight digits and a unit.
fn timeout(time: Duration) -> HeaderValue {
    let millis = time.as_millis();
    let text = if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", time.as_secs().min(99_999_999)) };
    HeaderValue::from_str(&text).expect("digits and a letter")
}

/// What an answer without a status of gRPC means: <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.
fn no_status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Status {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    let kind =
        headers.get(CONTENT_TYPE).map_or("no content type".into(), |kind| String::from_utf8_lossy(kind.as_bytes()));
    let words = String::from_utf8_lossy(&body[..body.len().min(200)]);
    Status::new(code, format!("HTTP {status} without a status of gRPC ({kind}): {}", words.trim()))
}

fn message(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, CallError> {
    let broken = |words: &str| CallError::Unreadable(words.into());
    let Some(([flag, length @ ..], message)) = body.split_first_chunk::<PREFIX>() else {
        return Err(broken("the answer ends before its message"));
    };
    if u32::from_be_bytes(*length) as usize != message.len() {
        return Err(broken("the answer does not hold exactly one message"));
    }
    if *flag == 0 {
        return Ok(body.slice(PREFIX..));
    }
    let encoding = headers.get("grpc-encoding").map(HeaderValue::as_bytes).unwrap_or_default();
    let unpack = unpack(encoding).ok_or_else(|| broken("the answer is compressed in a way that was not asked for"))?;
    let mut text = Vec::new();
    unpack(message, &mut text, MOST_ANSWER).map_err(|error| broken(&format!("the answer: {error}")))?;
    Ok(text.into())
}
