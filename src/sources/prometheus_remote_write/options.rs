//! The options of the source, and what is wrong with them.

use schemars::JsonSchema;

use crate::options::{Code, Duration, HttpServerOptions, Joined, Problem, Spanned, answer_within};

/// Options of the source, with those of its server beside them.
pub(super) type Options = Joined<Own, HttpServerOptions>;

/// Options of the source `prometheus_remote_write`. It listens on `127.0.0.1:9201` unless `listen` says otherwise.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(rename = "PrometheusRemoteWriteReceiver")]
#[serde(deny_unknown_fields, default)]
pub(super) struct Own {
    /// The path that senders write to. Default: `/api/v1/write`.
    pub path: Spanned<String>,
    /// How long a request waits for a destination to have its samples. After it, it is answered by 503, so that it is
    /// sent again, unless some destination has it already. Keep it below the sender's own timeout. Default: `5s`.
    pub answer_within: Spanned<Duration>,
    /// Most labels of a series; one that has more is refused. Default: `64`.
    pub max_labels: Spanned<u32>,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            path: Spanned::unknown("/api/v1/write".into()),
            answer_within: answer_within::default(),
            max_labels: Spanned::unknown(64),
        }
    }
}

/// Everything that is wrong with the options.
pub(super) fn problems(options: &Options) -> Vec<Problem> {
    let mut problems = options.shared.problems();
    let own = &options.own;
    let mut wrong = |code, span, message: String, help: &str| {
        problems.push(Problem::new(Code(code), span, message).help(help));
    };
    if !own.path.starts_with('/') || own.path.contains(['{', '}', '?', '#', ' ']) {
        let message = format!("`path` is `{}`", own.path.value);
        wrong("TW0540", own.path.span, message, "write a path from its slash on, such as /api/v1/write");
    }
    if !(2..=10_000).contains(&own.max_labels.value) {
        let message = format!("`max_labels` is {}", own.max_labels.value);
        wrong("TW0542", own.max_labels.span, message, "write a number from 2 to 10000, such as 64");
    }
    problems.extend(answer_within::problem(&own.answer_within));
    problems
}
