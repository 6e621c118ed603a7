//! The options of the source, and what is wrong with them.

use schemars::JsonSchema;

use crate::options::{Duration, HttpServerOptions, Joined, Problem, SendersPods, Spanned, answer_within};

/// Options of the source, with those of its server beside them.
pub(super) type Options = Joined<Own, HttpServerOptions>;

/// Options of the source `zipkin`. It listens on `127.0.0.1:9411` unless `listen` says otherwise, at `/api/v2/spans`
/// (JSON and Protocol Buffers) and `/api/v1/spans` (JSON).
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(rename = "ZipkinSource")]
#[serde(deny_unknown_fields, default)]
pub(super) struct Own {
    /// How long a request waits for a destination to have its spans. After it, it is answered by 503, unless some
    /// destination has it already. Keep it below the tracer's own timeout, which is 10 s as a rule. Default: `5s`.
    pub answer_within: Spanned<Duration>,
    /// Attributes of the Kubernetes pod that sent something, for its resource.
    pub kubernetes: SendersPods,
}

impl Default for Own {
    fn default() -> Self {
        Self { answer_within: answer_within::default(), kubernetes: SendersPods::default() }
    }
}

/// Everything that is wrong with the options.
pub(super) fn problems(options: &Options) -> Vec<Problem> {
    let mut problems = options.shared.problems();
    problems.extend(answer_within::problem(&options.own.answer_within));
    problems
}
