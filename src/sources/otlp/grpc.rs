//! OTLP over gRPC: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;

use super::receive::{AGAIN, Answer, Receiver};
use crate::data::Signal;
use crate::net::grpc::{self, Code, Status, retry_later};
use crate::net::http_server::BodyLimits;

/// The method of each signal.
const METHODS: [(Signal, &str); 1] = [(Signal::Traces, "/opentelemetry.proto.collector.trace.v1.TraceService/Export")];

/// Serves the methods.
pub(super) fn router(receiver: Receiver, limits: BodyLimits) -> Router {
    let mut router = Router::new().fallback(unknown);
    for (signal, path) in METHODS {
        let receiver = receiver.clone();
        let call = move |request: Request| export(receiver.clone(), limits, signal, request);
        router = router.route(path, post(call));
    }
    router
}

async fn export(receiver: Receiver, limits: BodyLimits, signal: Signal, request: Request) -> Response {
    if let Some(declined) = grpc::decline(request.headers()) {
        return declined;
    }
    let until = receiver.until();
    let message = match grpc::read(&limits, request).await {
        Ok(message) => message,
        Err(status) => {
            receiver.malformed(status.message());
            return grpc::reply(Err(status));
        }
    };
    grpc::reply(match receiver.take(signal, message, until).await {
        Answer::Taken { rejected, reason } => Ok(Answer::response(rejected, &reason)),
        Answer::Malformed(words) => Err(Status::invalid_argument(words)),
        Answer::Pressure => Err(retry_later(Code::ResourceExhausted, "there is no memory for the request now", AGAIN)),
        Answer::Later(words) => Err(retry_later(Code::Unavailable, &words, AGAIN)),
    })
}

async fn unknown(request: Request) -> Response {
    if let Some(declined) = grpc::decline(request.headers()) {
        return declined;
    }
    let words = format!("this agent has no method {}", request.uri().path());
    grpc::reply(Err(Status::unimplemented(words)))
}
