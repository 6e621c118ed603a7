//! The options of the sink, and what is wrong with them.

use std::time::Duration as StdDuration;

use url::Url;

use crate::formats::compression::Compression as OfBodies;
use crate::options::{ByteSize, Code, Duration, HttpClientOptions, Joined, Problem, SecretAddress, Span, Spanned};

const ADDRESS: Code = Code("TW0660");
const LIMITS: Code = Code("TW0661");

/// Where spans go unless told.
const ENDPOINT: &str = "http://localhost:9411/api/v2/spans";

/// Options of the sink, with those of its HTTP client beside them.
pub(super) type Options = Joined<Own, HttpClientOptions>;

/// Options of the sink `zipkin`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ZipkinSink")]
#[serde(deny_unknown_fields, default)]
pub(super) struct Own {
    /// Where requests are sent, with the path. Default: `http://localhost:9411/api/v2/spans`.
    pub endpoint: Option<Spanned<SecretAddress>>,
    /// How requests are compressed. Default: `gzip`, which Zipkin takes.
    pub compression: Compression,
    /// How messages are gathered into requests.
    pub batch: Batch,
    /// Time for one request. After it the request counts as unanswered and is sent again. Default: `10s`.
    pub timeout: Spanned<Duration>,
    /// Most requests in flight. Default: `4`.
    pub concurrency: Spanned<u32>,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ZipkinCompression")]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    /// Not at all.
    None,
    /// gzip, at its fastest.
    #[default]
    Gzip,
}

impl Compression {
    /// The same for whatever writes bodies.
    pub fn of_bodies(self) -> OfBodies {
        match self {
            Self::None => OfBodies::None,
            Self::Gzip => OfBodies::Gzip(1),
        }
    }
}

/// How messages are gathered into requests.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ZipkinBatch")]
#[serde(deny_unknown_fields, default)]
pub(super) struct Batch {
    /// Most bytes of a request before compression; more is split between spans, and a single span may be larger.
    /// Default: `2MiB`.
    pub max_bytes: Spanned<ByteSize>,
    /// Longest time that spans wait for others where nobody waits for them. Default: `200ms`.
    pub linger: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self { max_bytes: Spanned::unknown(ByteSize(2 << 20)), linger: Duration(StdDuration::from_millis(200)) }
    }
}

impl Default for Own {
    fn default() -> Self {
        Self {
            endpoint: None,
            compression: Compression::default(),
            batch: Batch::default(),
            timeout: Spanned::unknown(Duration(StdDuration::from_secs(10))),
            concurrency: Spanned::unknown(4),
        }
    }
}

impl Own {
    /// The address; `None` where what is written is none.
    pub fn address(&self) -> Option<Url> {
        let written = self.endpoint.as_ref().map(|endpoint| endpoint.expose());
        let url = Url::parse(written.as_deref().unwrap_or(ENDPOINT)).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
    }
}

/// Everything that is wrong with the options.
pub(super) fn problems(options: &Options) -> Vec<Problem> {
    let own = &options.own;
    let span = own.endpoint.as_ref().map_or(Span::UNKNOWN, |endpoint| endpoint.span);
    let mut problems = options.shared.problems(span);
    let mut wrong = |code, span, message: String, help: &str| {
        problems.push(Problem::new(code, span, message).help(help));
    };
    if own.address().is_none() {
        let help = "write the whole address, such as http://zipkin:9411/api/v2/spans";
        wrong(ADDRESS, span, "this is not an address of a receiver".into(), help);
    }
    if !(1 << 10..=1 << 30).contains(&own.batch.max_bytes.0) {
        let message = format!("`batch.max_bytes` is {}", own.batch.max_bytes.value);
        wrong(LIMITS, own.batch.max_bytes.span, message, "write a size from 1KiB to 1GiB, such as 2MiB");
    }
    if !(StdDuration::from_millis(100)..=StdDuration::from_secs(600)).contains(&own.timeout.0) {
        let message = format!("`timeout` is {}", own.timeout.value);
        wrong(LIMITS, own.timeout.span, message, "write a time from 100ms to 10m, such as 10s");
    }
    if !(1..=64).contains(&own.concurrency.value) {
        let message = format!("`concurrency` is {}", own.concurrency.value);
        wrong(LIMITS, own.concurrency.span, message, "write a number from 1 to 64");
    }
    problems
}
