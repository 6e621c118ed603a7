//! The options of the sinks, and what is wrong with them.

use std::time::Duration as StdDuration;

use url::Url;

use crate::options::{ByteSize, Code, Duration, HttpClientOptions, Joined, Problem, SecretAddress, Span, Spanned};

const ENDPOINT: Code = Code("TW0650");
const ADDRESS: Code = Code("TW0651");
const LIMITS: Code = Code("TW0652");

/// Options of the sinks, with those of their HTTP client beside them.
pub(super) type Options = Joined<Own, HttpClientOptions>;

/// Options of the sinks `otlp` and `jaeger`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "OtlpSink")]
#[serde(deny_unknown_fields, default)]
pub(super) struct Own {
    /// Where requests are sent: `http://host:4317` or `https://host:4317` for gRPC; for HTTP the address before
    /// `/v1/traces`, such as `http://host:4318`, or `http://prometheus:9090/api/v1/otlp` for metrics to Prometheus. One of
    /// this and `endpoints`.
    pub endpoint: Option<Spanned<SecretAddress>>,
    /// Several such addresses, which `routing` chooses from.
    pub endpoints: Option<Spanned<Vec<SecretAddress>>>,
    /// Who gets what. Default: `failover`.
    pub routing: Routing,
    /// How often the name in `endpoint` is asked for where `routing` is `trace_id`. Default: `5s`.
    pub resolve_interval: Spanned<Duration>,
    /// What is spoken. Default: `grpc`.
    pub protocol: Protocol,
    /// How requests are compressed. Default: `gzip`, which every receiver takes. `zstd` makes less of more with less
    /// of the processor, where the receiver knows it; `none` costs least where the network is near.
    pub compression: Compression,
    /// How messages are gathered into requests.
    pub batch: Batch,
    /// Time for one request. After it the request counts as unanswered and is sent again. Default: `10s`.
    pub timeout: Spanned<Duration>,
    /// Most requests in flight, to each receiver where `routing` is `trace_id`; of metrics one, since samples of a series must arrive in their order. Default: `4`.
    pub concurrency: Spanned<u32>,
}

/// Who of several receivers gets what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Routing {
    /// The first of the addresses that works gets everything, the others stand by.
    #[default]
    Failover,
    /// All spans of a trace go to one receiver, from every agent to the same: for what must see whole traces, such as
    /// `tail_sampling`. Receivers are all addresses that the DNS has for the name in `endpoint` (in Kubernetes a headless
    /// service), or the `endpoints` as they are. For spans alone.
    TraceId,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    /// OTLP over gRPC.
    #[default]
    Grpc,
    /// OTLP over HTTP, protobuf.
    Http,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    /// Not at all.
    None,
    /// gzip, at its fastest.
    #[default]
    Gzip,
    /// zstd, at level 1.
    Zstd,
}

/// How messages are gathered into requests.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Batch {
    /// Most bytes of a request before compression; more is split between records, spans or data points. Default: `2MiB`. Receivers of gRPC
    /// take 4 MiB unless they are told otherwise.
    pub max_bytes: Spanned<ByteSize>,
    /// Longest time that records wait for others where nobody waits for them. Default: `200ms`.
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
            endpoints: None,
            routing: Routing::default(),
            resolve_interval: Spanned::unknown(Duration(StdDuration::from_secs(5))),
            protocol: Protocol::default(),
            compression: Compression::default(),
            batch: Batch::default(),
            timeout: Spanned::unknown(Duration(StdDuration::from_secs(10))),
            concurrency: Spanned::unknown(4),
        }
    }
}

impl Own {
    /// The addresses, in their order.
    pub fn addresses(&self) -> Vec<SecretAddress> {
        match (&self.endpoint, &self.endpoints) {
            (Some(one), _) => vec![one.value.clone()],
            (None, Some(several)) => several.value.clone(),
            (None, None) => Vec::new(),
        }
    }

    /// The same, read. For options that have no problems.
    pub fn urls(&self) -> Vec<Url> {
        let addresses = self.addresses().into_iter();
        addresses.map(|address| Url::parse(&address.expose()).expect("the plan has read it")).collect()
    }
}

/// Everything that is wrong with the options.
pub(super) fn problems(options: &Options) -> Vec<Problem> {
    let own = &options.own;
    let span = own.endpoint.as_ref().map(|one| one.span).or(own.endpoints.as_ref().map(|several| several.span));
    let span = span.unwrap_or(Span::UNKNOWN);
    let mut problems = options.shared.problems(span);
    let mut wrong = |code, span, message: String, help: &str| {
        problems.push(Problem::new(code, span, message).help(help));
    };
    let help = "write http://HOST:PORT or https://HOST:PORT";
    match (&own.endpoint, &own.endpoints) {
        (Some(_), Some(several)) => {
            wrong(ENDPOINT, several.span, "both `endpoint` and `endpoints` are given".into(), "give one of them");
        }
        (None, None) => {
            wrong(ENDPOINT, Span::UNKNOWN, "there is no `endpoint`".into(), help);
        }
        (None, Some(several)) if several.is_empty() => {
            wrong(ENDPOINT, several.span, "`endpoints` is empty".into(), help);
        }
        _ => {}
    }
    for address in own.addresses() {
        let url = Url::parse(&address.expose());
        let is_signal =
            |url: &Url| ["/v1/traces", "/v1/logs", "/v1/metrics"].iter().any(|path| url.path().ends_with(path));
        if url.as_ref().is_ok_and(is_signal) {
            let message = "this is the address of one signal".into();
            wrong(ADDRESS, span, message, "leave the path out: the sink adds `/v1/traces` and the others");
            continue;
        }
        let fits =
            url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none());
        if !fits {
            wrong(ADDRESS, span, "this is not an address of a receiver".into(), help);
        }
    }
    if !(1 << 10..=1 << 30).contains(&own.batch.max_bytes.0) {
        let message = format!("`batch.max_bytes` is {}", own.batch.max_bytes.value);
        wrong(LIMITS, own.batch.max_bytes.span, message, "write a size from 1KiB to 1GiB, such as 2MiB");
    }
    if !(StdDuration::from_millis(100)..=StdDuration::from_secs(600)).contains(&own.timeout.0) {
        let message = format!("`timeout` is {}", own.timeout.value);
        wrong(LIMITS, own.timeout.span, message, "write a time from 100ms to 10m, such as 10s");
    }
    if !(StdDuration::from_secs(1)..=StdDuration::from_secs(3600)).contains(&own.resolve_interval.0) {
        let message = format!("`resolve_interval` is {}", own.resolve_interval.value);
        wrong(LIMITS, own.resolve_interval.span, message, "write a time from 1s to 1h, such as 5s");
    }
    if !(1..=64).contains(&own.concurrency.value) {
        let message = format!("`concurrency` is {}", own.concurrency.value);
        wrong(LIMITS, own.concurrency.span, message, "write a number from 1 to 64");
    }
    problems
}
