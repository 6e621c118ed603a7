//! The options of the sink, and what is wrong with them.

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use http::header::{HeaderName, HeaderValue};
use url::Url;

use crate::formats::prometheus::NameValidation;
use crate::formats::prometheus::remote_write::Version;
use crate::options::{ByteSize, Code, Duration, HttpClientOptions, Joined, Problem, SecretAddress, Spanned};
use crate::relabel::{RelabelRule, Rules};

/// Options of the sink, with those of its HTTP client beside them.
pub(super) type Options = Joined<Own, HttpClientOptions>;

/// Options of the sink `prometheus_remote_write`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PrometheusRemoteWrite")]
#[serde(deny_unknown_fields)]
pub(super) struct Own {
    /// Where samples are sent, such as `https://mimir.metrics/api/v1/push` or
    /// `http://prometheus:9090/api/v1/write`.
    pub url: Spanned<SecretAddress>,
    /// Version of the protocol: `"2.0"` or `"1.0"`. Default: `"2.0"`, which needs about half the processor and
    /// half the network. A receiver that does not know it is sent 1.0 from then on, until the agent starts again.
    #[serde(default)]
    pub version: WrittenVersion,
    /// Further headers of every request, such as `X-Scope-OrgID`. Those that the protocol sets cannot be given, and
    /// secret ones belong into `http_headers`.
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    /// Whether series get the labels of `identity.external_labels` that they do not have. Default: `true`.
    #[serde(default = "yes")]
    pub external_labels: bool,
    /// Prometheus's relabelling of what is sent, after external labels are there. Worked out once a series.
    #[serde(default)]
    pub write_relabel_configs: Vec<Spanned<RelabelRule>>,
    /// How samples are gathered into requests.
    #[serde(default)]
    pub batch: Batch,
    /// Time for one request. After it the request counts as unanswered and is sent again. Default: `30s`.
    #[serde(default = "timeout")]
    pub timeout: Spanned<Duration>,
    /// How many requests are in flight. A series is always in the same one of them, so its samples stay in order.
    #[serde(default)]
    pub shards: Spanned<Shards>,
    /// Whether exemplars are sent. Default: `true`.
    #[serde(default = "yes")]
    pub send_exemplars: bool,
    /// Whether type, help and unit of metrics are sent: in 2.0 with each sample, in 1.0 once a minute. Default:
    /// `true`.
    #[serde(default = "yes")]
    pub send_metadata: bool,
}

/// A version as configurations write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
pub(super) enum WrittenVersion {
    /// `prometheus.WriteRequest`.
    #[serde(rename = "1.0")]
    V1,
    /// `io.prometheus.write.v2.Request`.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

impl From<WrittenVersion> for Version {
    fn from(version: WrittenVersion) -> Self {
        match version {
            WrittenVersion::V1 => Self::V1,
            WrittenVersion::V2 => Self::V2,
        }
    }
}

/// How samples are gathered into requests.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Batch {
    /// Bytes before compression from which on a request is sent. Default: `1MiB`: about 5,000 samples in 1.0 and
    /// 20,000 in 2.0.
    pub max_bytes: Spanned<ByteSize>,
    /// Longest time that a sample waits for others. Default: `1s`.
    pub linger: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self { max_bytes: Spanned::unknown(ByteSize(1 << 20)), linger: Duration(StdDuration::from_secs(1)) }
    }
}

/// How many requests are in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shards {
    /// At the least: a power of two. Default: `1`.
    pub min: usize,
    /// At the most, when samples come faster than they are taken: a power of two up to 64. Default: `8`. Each
    /// takes about three times `batch.max_bytes` of memory at the most.
    pub max: usize,
}

impl Default for Shards {
    fn default() -> Self {
        Self { min: 1, max: 8 }
    }
}

fn yes() -> bool {
    true
}

fn timeout() -> Spanned<Duration> {
    Spanned::unknown(Duration(StdDuration::from_secs(30)))
}

/// Headers that the protocol sets.
const RESERVED: [&str; 7] = [
    "content-encoding",
    "content-type",
    "content-length",
    "host",
    "user-agent",
    "x-prometheus-remote-write-version",
    "authorization",
];

impl Own {
    /// The address, where it is one.
    pub fn address(&self) -> Result<Url, String> {
        let url = Url::parse(&self.url.expose()).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("the scheme is `{}`, not http or https", url.scheme()));
        }
        if url.host_str().is_none() {
            return Err("it has no host".into());
        }
        Ok(url)
    }

    /// The rules of `write_relabel_configs`.
    pub fn rules(&self) -> Result<Rules, Vec<Problem>> {
        Rules::new(&self.write_relabel_configs, NameValidation::Utf8)
    }
}

/// Everything that is wrong with the options.
pub(super) fn problems(options: &Options) -> Vec<Problem> {
    let own = &options.own;
    let mut problems = Vec::new();
    let mut wrong = |code, span, message: String, help: &str| {
        problems.push(Problem::new(Code(code), span, message).help(help));
    };
    if let Err(why) = own.address() {
        let help = "write scheme, host and path, such as http://prometheus:9090/api/v1/write";
        wrong("TW0640", own.url.span, format!("`url` is not an address: {why}"), help);
    }
    for (name, value) in &own.headers {
        let valid = HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok();
        let (what, help) = if RESERVED.contains(&&*name.to_ascii_lowercase()) {
            (
                "is set by the sink itself",
                "credentials have options of their own: `basic_auth`, `authorization`, `oauth2`",
            )
        } else if !valid {
            ("with this value is not one of HTTP", "see RFC 9110")
        } else {
            continue;
        };
        wrong("TW0641", value.span, format!("header `{name}` {what}"), help);
    }
    if !(16 << 10..=64 << 20).contains(&own.batch.max_bytes.0) {
        let message = format!("`batch.max_bytes` is {}", own.batch.max_bytes.value);
        wrong("TW0642", own.batch.max_bytes.span, message, "write a size from 16KiB to 64MiB, such as 1MiB");
    }
    if own.timeout.0 < StdDuration::from_millis(100) {
        let message = format!("`timeout` is {}", own.timeout.value);
        wrong("TW0643", own.timeout.span, message, "write a time that a slow answer needs, such as 30s");
    }
    let Shards { min, max } = own.shards.value;
    let possible = |shards: usize| shards.is_power_of_two() && shards <= 64;
    if !possible(min) || !possible(max) || min > max {
        let message = format!("`shards` is {min} to {max}");
        wrong("TW0644", own.shards.span, message, "write powers of two from 1 to 64, `min` not above `max`");
    }
    problems.extend(own.rules().err().into_iter().flatten());
    problems.extend(options.shared.problems(own.url.span));
    problems
}
