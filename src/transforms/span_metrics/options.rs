//! The options of `span_metrics`, in the words of the OpenTelemetry Collector's connector where it has them, and what can be
//! wrong with them.

use schemars::JsonSchema;

use super::count::{Counting, Source};
use crate::data::MetricKind;
use crate::data::metrics::Family;
use crate::options::{Code, Duration, Problem, Spanned};
use crate::pipeline::aggregate::options::{
    Pace, WhenFull, default_exemplars, default_expiry, default_interval, default_limit, exemplars_problem, is_name,
    pace_problems,
};
use crate::pipeline::aggregate::spans::{
    Dimension, Explicit, Exponential, Unit, histogram_problems, kind_of, label_of,
};
use crate::pipeline::aggregate::{Kind, Limits, Metric};

const LIMITS: Code = Code("TW0470");
const DIMENSION: Code = Code("TW0471");

/// Options of the transform `span_metrics`. Its output is metrics.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(rename = "SpanMetrics")]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// What the names of the metrics begin with: `NAMESPACE_calls_total` and `NAMESPACE_duration_seconds`. May be empty.
    /// Default: `traces_span_metrics`.
    #[serde(default = "namespace")]
    namespace: Spanned<String>,
    /// Labels besides `service_name`, `span_name`, `span_kind` and `status_code`. Default: none.
    #[serde(default)]
    dimensions: Vec<Dimension>,
    /// Labels that are left out although they are there by default. Default: none.
    #[serde(default)]
    exclude_dimensions: Vec<Excluded>,
    /// How durations are counted.
    #[serde(default)]
    histogram: HistogramOptions,
    /// Spans shown as examples of durations.
    #[serde(default)]
    exemplars: Exemplars,
    /// How often every series is emitted; at least `1s`. Default: `30s`.
    #[serde(default = "default_interval")]
    interval: Spanned<Duration>,
    /// A series that no span touched for this long ends with a staleness marker and is forgotten; at least `interval`. A
    /// counter that comes back begins at zero. Default: `1h`.
    #[serde(default = "default_expiry")]
    expiry: Spanned<Duration>,
    /// Most series; a classic histogram counts as its buckets and three more. Default: `10000`.
    #[serde(default = "default_limit")]
    limit: Spanned<usize>,
    /// What becomes of a span that would make a series beyond `limit`. Default: `overflow`.
    #[serde(default)]
    when_full: WhenFull,
}

fn namespace() -> Spanned<String> {
    Spanned::unknown("traces_span_metrics".to_owned())
}

/// A label that is there by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
pub(super) enum Excluded {
    /// The resource's `service.name`.
    #[serde(rename = "service.name")]
    Service,
    /// The span's name.
    #[serde(rename = "span.name")]
    Name,
    /// The span's kind.
    #[serde(rename = "span.kind")]
    Kind,
    /// The span's status.
    #[serde(rename = "status.code")]
    Status,
}

/// How durations are counted.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[schemars(rename = "SpanMetricsHistogram")]
#[serde(deny_unknown_fields, default)]
struct HistogramOptions {
    /// Leaves the histogram out: calls alone are counted. Default: `false`.
    disable: bool,
    /// The unit of the values, of the metric's name and of `buckets`. Default: `s`.
    unit: Unit,
    /// A classic histogram of these buckets. Default: 16 from 2 ms to 15 s.
    explicit: Option<Explicit>,
    /// A native histogram instead.
    exponential: Option<Exponential>,
}

/// Spans shown as examples.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(rename = "SpanMetricsExemplars")]
#[serde(deny_unknown_fields, default)]
struct Exemplars {
    /// Whether there are any. Default: `false`.
    enabled: bool,
    /// Most of a series between two emissions; the latest are kept. Default: `5`.
    max_per_data_point: Spanned<usize>,
}

impl Default for Exemplars {
    fn default() -> Self {
        Self { enabled: false, max_per_data_point: default_exemplars() }
    }
}

impl Options {
    pub fn all_problems(&self) -> Vec<Problem> {
        let mut problems = pace_problems(LIMITS, &self.interval, &self.expiry, &self.limit);
        let HistogramOptions { explicit, exponential, .. } = &self.histogram;
        problems.extend(histogram_problems(LIMITS, explicit.as_ref(), exponential.as_ref()));
        problems.extend(exemplars_problem(LIMITS, &self.exemplars.max_per_data_point));
        if !self.namespace.is_empty() && !is_name(&self.namespace, true) {
            let words = format!("metrics cannot be called `{}_calls_total`", self.namespace.value);
            let help = "use letters, digits, `_` and `:`, not a digit first";
            problems.push(Problem::new(DIMENSION, self.namespace.span, words).help(help));
        }
        let labels = self.labels();
        for (at, dimension) in self.dimensions.iter().enumerate() {
            let name = &dimension.name;
            let label = label_of(name);
            let before = &labels[..labels.len() - self.dimensions.len() + at];
            let (words, help) = if name.is_empty() {
                ("a dimension has no name".to_owned(), "name an attribute, such as `http.route`".to_owned())
            } else if label.starts_with("__") || ["le", "overflow"].contains(&&*label) {
                (format!("the label `{label}` is taken"), "rename the attribute before".to_owned())
            } else if before.iter().any(|(known, _)| *known == label) {
                (format!("two labels are called `{label}`"), "leave one of them out".to_owned())
            } else {
                continue;
            };
            problems.push(Problem::new(DIMENSION, name.span, words).help(help));
        }
        problems
    }

    /// Labels and where their values come from, those of `dimensions` last.
    fn labels(&self) -> Vec<(Box<str>, Source)> {
        let fixed = [
            (Excluded::Service, "service_name", Source::Service),
            (Excluded::Name, "span_name", Source::Name),
            (Excluded::Kind, "span_kind", Source::Kind),
            (Excluded::Status, "status_code", Source::Status),
        ];
        let kept = fixed.into_iter().filter(|(excluded, ..)| !self.exclude_dimensions.contains(excluded));
        let more = self.dimensions.iter().enumerate();
        kept.map(|(_, label, source)| (label.into(), source))
            .chain(more.map(|(place, dimension)| (label_of(&dimension.name), Source::Attribute(place))))
            .collect()
    }

    pub fn metrics(&self) -> Vec<Metric> {
        let labels: Vec<Box<str>> = self.labels().into_iter().map(|(label, _)| label).collect();
        let named = |name: &str| match self.namespace.as_str() {
            "" => name.to_owned(),
            namespace => format!("{namespace}_{name}"),
        };
        let metric = |name: &str, suffix: &str, kind: Kind, metric_kind, help: &str, unit: &str| Metric {
            name: format!("{}{suffix}", named(name)).into(),
            kind,
            family: Family { name: named(name).into(), kind: metric_kind, help: help.into(), unit: unit.into() },
            labels: labels.clone(),
        };
        let mut metrics = vec![metric("calls", "_total", Kind::Counter, MetricKind::Counter, "Spans.", "")];
        let HistogramOptions { disable, unit, explicit, exponential } = &self.histogram;
        if !disable {
            let kind = kind_of(explicit.as_ref(), exponential.as_ref(), *unit);
            let name = format!("duration_{}", unit.name());
            metrics.push(metric(&name, "", kind, MetricKind::Histogram, "How long spans took.", unit.name()));
        }
        metrics
    }

    pub fn counting(&self) -> Counting {
        let labels = self.labels().into_iter().map(|(_, source)| source).collect();
        let defaults = self.dimensions.iter().map(|dimension| dimension.default.as_deref().map(Into::into)).collect();
        let keys = self.dimensions.iter().map(|dimension| dimension.name.as_str());
        Counting::new(labels, keys, defaults, (!self.histogram.disable).then_some(self.histogram.unit))
    }

    pub fn limits(&self) -> Limits {
        let exemplars = if self.exemplars.enabled { self.exemplars.max_per_data_point.value } else { 0 };
        Limits { series: self.limit.value, when_full: self.when_full, exemplars }
    }

    pub fn pace(&self) -> Pace {
        Pace { interval: self.interval.0, expiry: self.expiry.0 }
    }
}
