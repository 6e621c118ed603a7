//! The options of the source, and what is wrong with them.

use schemars::JsonSchema;

use crate::options::{Duration, HttpServerOptions, Problem, SendersPods, Spanned, answer_within};

/// Options of the source `otlp`.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(rename = "OtlpSource")]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// OTLP over gRPC. It listens on `127.0.0.1:4317` unless `listen` says otherwise; `listen: off` takes no port.
    pub grpc: HttpServerOptions,
    /// OTLP over HTTP, protobuf and JSON, at `/v1/logs`, `/v1/metrics` and
    /// `/v1/traces`. It listens on `127.0.0.1:4318` unless `listen`
    /// says otherwise; `listen: off` takes no port.
    pub http: HttpServerOptions,
    /// How long a request waits for a destination to have it. After it, it is answered so that it is sent again,
    /// unless some destination has it already. Keep it below the sender's own timeout, which is 10 s as a rule.
    /// Default: `5s`.
    pub answer_within: Spanned<Duration>,
    /// Attributes of the Kubernetes pod that sent something, for its resource.
    pub kubernetes: SendersPods,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grpc: HttpServerOptions::default(),
            http: HttpServerOptions::default(),
            answer_within: answer_within::default(),
            kubernetes: SendersPods::default(),
        }
    }
}

/// Everything that is wrong with the options.
pub(super) fn problems(options: &Options) -> Vec<Problem> {
    let mut problems = options.grpc.problems();
    problems.extend(options.http.problems());
    problems.extend(answer_within::problem(&options.answer_within));
    problems
}
