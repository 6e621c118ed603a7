//! OTLP over gRPC: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;

use super::receive::{AGAIN, Answer, NO_MEMORY, Receiver};
use crate::data::Signal;
use crate::net::grpc::{self, Code, Status, retry_later};
use crate::net::http_server::{BodyLimits, direct_sender};

/// The method of each signal.
const METHODS: [(Signal, &str); 3] = [
    (Signal::Logs, "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
    (Signal::Metrics, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
    (Signal::Traces, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
];

/// What who does not speak gRPC is told.
const ELSEWHERE: &str =
    "this port speaks gRPC (application/grpc); OTLP over HTTP has a port of its own, 4318 by default\n";

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
    if let Some(declined) = grpc::decline(request.headers(), ELSEWHERE) {
        return declined;
    }
    if !receiver.takes(signal) {
        return grpc::reply(Err(Status::unimplemented(Receiver::unread(signal))));
    }
    let from = direct_sender(&request);
    let (message, permit) = match grpc::read(&limits, receiver.memory(signal), request).await {
        Ok(read) => read,
        // Only where there is no memory does it say when to come again.
        Err(status) if status.code() == Code::ResourceExhausted && !status.details().is_empty() => {
            receiver.pressure();
            return grpc::reply(Err(status));
        }
        Err(status) => {
            receiver.malformed(status.message());
            return grpc::reply(Err(status));
        }
    };
    grpc::reply(match receiver.take(signal, message, permit, from).await {
        Answer::Taken { rejected, reason } => Ok(Answer::response(rejected, &reason)),
        Answer::Malformed(words) => Err(Status::invalid_argument(words)),
        Answer::Later(words) => Err(retry_later(Code::Unavailable, &words, AGAIN)),
        Answer::Pressure => Err(retry_later(Code::ResourceExhausted, NO_MEMORY, AGAIN)),
    })
}

async fn unknown(request: Request) -> Response {
    if let Some(declined) = grpc::decline(request.headers(), ELSEWHERE) {
        return declined;
    }
    let words = format!("this agent has no method {}", request.uri().path());
    grpc::reply(Err(Status::unimplemented(words)))
}
