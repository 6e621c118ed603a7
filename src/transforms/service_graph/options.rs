//! The options of `service_graph`, in the words of the OpenTelemetry Collector's connector where it has them, and what can be
//! wrong with them.

use std::time::Duration as StdDuration;

use schemars::JsonSchema;

use super::count::Graph;
use super::pending::Pending;
use crate::data::MetricKind;
use crate::data::metrics::Family;
use crate::options::{ByteSize, Code, Duration, Problem, Spanned};
use crate::pipeline::aggregate::options::{
    Pace, WhenFull, default_expiry, default_interval, default_limit, pace_problems,
};
use crate::pipeline::aggregate::spans::{
    Dimension, Explicit, Exponential, Unit, histogram_problems, kind_of, label_of,
};
use crate::pipeline::aggregate::{Kind, Limits, Metric};

const LIMITS: Code = Code("TW0475");
const DIMENSION: Code = Code("TW0476");

/// Options of the transform `service_graph`. Its output is metrics.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(rename = "ServiceGraph")]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// How long a span waits for the other end of its call. Default: `10s`.
    #[serde(default = "wait")]
    wait: Spanned<Duration>,
    /// Most bytes of spans that wait; beyond it the oldest goes and is counted as dropped. Default: `16MiB`.
    #[serde(default = "max_bytes")]
    max_bytes: Spanned<ByteSize>,
    /// Attributes that become labels of both ends, `client_NAME` and `server_NAME`. Default: none.
    #[serde(default)]
    dimensions: Vec<Dimension>,
    /// Attributes of a client's span that name what it called where no span comes from there: the first that it has.
    /// Default: `[peer.service, db.system, db.system.name]`.
    #[serde(default = "peers")]
    virtual_node_peer_attributes: Vec<String>,
    /// Attributes of a client's span that name a database, which is called without waiting for a span from there. Default:
    /// `[db.name, db.namespace]`.
    #[serde(default = "databases")]
    database_name_attributes: Vec<String>,
    /// How durations are counted.
    #[serde(default)]
    histogram: HistogramOptions,
    /// How often every series is emitted; at least `1s`. Default: `30s`.
    #[serde(default = "default_interval")]
    interval: Spanned<Duration>,
    /// A series that no call touched for this long ends with a staleness marker and is forgotten; at least `interval`. A
    /// counter that comes back begins at zero. Default: `1h`.
    #[serde(default = "default_expiry")]
    expiry: Spanned<Duration>,
    /// Most series; a classic histogram counts as its buckets and three more. Default: `10000`.
    #[serde(default = "default_limit")]
    limit: Spanned<usize>,
    /// What becomes of a call that would make a series beyond `limit`. Default: `overflow`.
    #[serde(default)]
    when_full: WhenFull,
}

fn wait() -> Spanned<Duration> {
    Spanned::unknown(Duration(StdDuration::from_secs(10)))
}

fn max_bytes() -> Spanned<ByteSize> {
    Spanned::unknown(ByteSize(16 << 20))
}

fn peers() -> Vec<String> {
    ["peer.service", "db.system", "db.system.name"].map(String::from).into()
}

fn databases() -> Vec<String> {
    ["db.name", "db.namespace"].map(String::from).into()
}

/// How durations are counted, in seconds.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[schemars(rename = "ServiceGraphHistogram")]
#[serde(deny_unknown_fields, default)]
struct HistogramOptions {
    /// Classic histograms of these buckets. Default: 16 from 2 ms to 15 s.
    explicit: Option<Explicit>,
    /// Native histograms instead.
    exponential: Option<Exponential>,
}

impl Options {
    pub fn all_problems(&self) -> Vec<Problem> {
        let mut problems = pace_problems(LIMITS, &self.interval, &self.expiry, &self.limit);
        let HistogramOptions { explicit, exponential } = &self.histogram;
        problems.extend(histogram_problems(LIMITS, explicit.as_ref(), exponential.as_ref()));
        let longest = StdDuration::from_secs(600);
        if !(StdDuration::from_millis(10)..=longest).contains(&self.wait.0) {
            let words = "`wait` is a time from 10ms to 10m";
            problems.push(Problem::new(LIMITS, self.wait.span, words).help("write `wait: 10s`"));
        }
        if !(64 << 10..=16 << 30).contains(&self.max_bytes.0) {
            let words = "`max_bytes` is from 64KiB to 16GiB";
            problems.push(Problem::new(LIMITS, self.max_bytes.span, words).help("write `max_bytes: 16MiB`"));
        }
        for (at, dimension) in self.dimensions.iter().enumerate() {
            let name = &dimension.name;
            let (words, help) = if name.is_empty() {
                ("a dimension has no name".to_owned(), "name an attribute, such as `http.route`")
            } else if self.dimensions[..at].iter().any(|known| label_of(&known.name) == label_of(name)) {
                (format!("two labels are called `client_{}`", label_of(name)), "leave one of them out")
            } else {
                continue;
            };
            problems.push(Problem::new(DIMENSION, name.span, words).help(help));
        }
        problems
    }

    /// In the order of their places in keys.
    pub fn metrics(&self) -> Vec<Metric> {
        let ends = ["client", "server"].into_iter();
        let dimensions = ends.flat_map(|end| {
            self.dimensions.iter().map(move |dimension| format!("{end}_{}", label_of(&dimension.name)).into())
        });
        let labels: Vec<Box<str>> =
            ["client", "server", "connection_type"].map(Box::from).into_iter().chain(dimensions).collect();
        let HistogramOptions { explicit, exponential } = &self.histogram;
        let seconds = kind_of(explicit.as_ref(), exponential.as_ref(), Unit::S);
        let metric = |name: &str, kind: &Kind, help: &str| {
            let base = format!("traces_service_graph_{name}");
            let (suffix, metric_kind, unit) = match kind {
                Kind::Counter => ("_total", MetricKind::Counter, ""),
                _ => ("", MetricKind::Histogram, "seconds"),
            };
            Metric {
                name: format!("{base}{suffix}").into(),
                kind: kind.clone(),
                family: Family { name: base.into(), kind: metric_kind, help: help.into(), unit: unit.into() },
                labels: labels.clone(),
            }
        };
        vec![
            metric("request", &Kind::Counter, "Calls from one service to another."),
            metric("request_failed", &Kind::Counter, "Calls of which a span has the status ERROR."),
            metric("request_server_seconds", &seconds, "How long calls took as the server saw it."),
            metric("request_client_seconds", &seconds, "How long calls took as the client saw it."),
            metric("unpaired_spans", &Kind::Counter, "Spans whose other end did not come in time."),
            metric("dropped_spans", &Kind::Counter, "Spans that could not wait: there were too many bytes."),
        ]
    }

    pub fn graph(&self) -> Graph {
        let most = usize::try_from(self.max_bytes.0).unwrap_or(usize::MAX);
        let dimensions: Vec<_> =
            self.dimensions.iter().map(|dimension| (dimension.name.value.clone(), dimension.default.clone())).collect();
        Graph::new(
            Pending::new(most, self.wait.0),
            &dimensions,
            &self.database_name_attributes,
            &self.virtual_node_peer_attributes,
        )
    }

    pub fn limits(&self) -> Limits {
        Limits { series: self.limit.value, when_full: self.when_full, exemplars: 0 }
    }

    pub fn pace(&self) -> Pace {
        Pace { interval: self.interval.0, expiry: self.expiry.0 }
    }
}
