//! The side of gRPC that is called.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, StatusCode};
use hyper::body::Frame;
use tonic::{Code, Status};

use super::{ENCODINGS, GRPC, PREFIX, prefix, retry_later, unpack};
use crate::data::{Budget, Permit};
use crate::formats::inflate::InflateError;
use crate::net::http_server::{BodyError, BodyLimits};

/// Reads the one message of a call, within `limits`, and what pays for it from `memory`. A failure is the status to answer
/// with.
pub async fn read(
    limits: &BodyLimits,
    memory: &Arc<Budget>,
    request: Request<Body>,
) -> Result<(Bytes, Permit), Status> {
    let encoding = request.headers().get("grpc-encoding").cloned();
    let framed = BodyLimits { wire: limits.wire.saturating_add(PREFIX), ..*limits };
    let (body, permit) = framed.read(memory, request.into_body()).await.map_err(status)?;
    let invalid = |words: &str| Status::invalid_argument(words);
    let Some((prefix, _)) = body.split_first_chunk::<PREFIX>() else {
        return Err(invalid("the request ends before its message"));
    };
    let [flag, length @ ..] = *prefix;
    let message = body.slice(PREFIX..);
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(invalid("the request does not hold exactly one message"));
    }
    match (flag, encoding.as_ref().map(HeaderValue::as_bytes)) {
        (0, _) if message.len() > limits.inflated => Err(too_large(limits.inflated)),
        (0, _) => Ok((message, permit)),
        (1, Some(encoding)) => {
            let unpack = unpack(encoding).ok_or_else(|| unknown(encoding))?;
            limits.unpack(memory, unpack, &message, permit).await.map_err(status)
        }
        (1, None) => Err(Status::internal("a message is compressed, and no `grpc-encoding` says how")),
        _ => Err(invalid("a message begins with a flag that is not known")),
    }
}

/// The status that says why a body is not taken.
fn status(error: BodyError) -> Status {
    match error {
        BodyError::Inflate(InflateError::TooLarge(most)) => too_large(most),
        BodyError::TooLarge(_) => Status::resource_exhausted(error.to_string()),
        BodyError::NoRoom => retry_later(Code::ResourceExhausted, &error.to_string(), AGAIN),
        BodyError::Timeout => Status::deadline_exceeded(error.to_string()),
        BodyError::Inflate(_) => Status::invalid_argument(error.to_string()),
        BodyError::Broken(_) | BodyError::Encoding(_) => Status::cancelled(error.to_string()),
    }
}

fn unknown(encoding: &[u8]) -> Status {
    let name = String::from_utf8_lossy(encoding);
    let mut status = Status::unimplemented(format!("the encoding `{name}` is not understood"));
    let known = ENCODINGS.to_str().ok().and_then(|known| known.parse().ok()).expect("it is text");
    status.metadata_mut().insert("grpc-accept-encoding", known);
    status
}

fn too_large(most: usize) -> Status {
    Status::resource_exhausted(format!("the message is larger than {most} bytes without compression"))
}

/// When a client may come again that there was no memory for.
const AGAIN: Duration = Duration::from_secs(5);

/// The answer to a call.
pub fn reply(result: Result<Vec<u8>, Status>) -> Response {
    let message = match result {
        Err(status) => return status.into_http(),
        Ok(message) => message,
    };
    let mut framed = Vec::with_capacity(PREFIX + message.len());
    framed.extend_from_slice(&prefix(false, message.len()));
    framed.extend_from_slice(&message);
    let mut response = Response::new(Body::new(Reply { message: Some(framed.into()), ended: false }));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// The answer to a request that is no call of gRPC: 415, and `words` that say where it belongs; `None` where it is one.
pub fn decline(headers: &HeaderMap, words: &'static str) -> Option<Response> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = kind.strip_prefix(GRPC.as_bytes());
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b";") || rest == b"+proto") {
        return None;
    }
    let mut response = Response::new(Body::from(words));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(response)
}

/// One message, and behind it the status that says that all went well.
struct Reply {
    message: Option<Bytes>,
    ended: bool,
}

impl hyper::body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}
