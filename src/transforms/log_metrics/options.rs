//! The options of `log_metrics`, and what can be wrong with them.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::count::{Counted, Counting};
use super::example::Shown;
use crate::data::metrics::Family;
use crate::data::{MetricKind, Names};
use crate::expression::logs::SUBJECT;
use crate::expression::option::CompileError;
use crate::expression::{Condition, Evaluator, ValueOption};
use crate::options::{Code, Duration, Problem, Span, Spanned};
use crate::pipeline::aggregate::options::{
    MOST_BUCKETS, Pace, WhenFull, are_bounds, default_exemplars, default_expiry, default_interval, default_limit,
    exemplars_problem, is_name, pace_problems,
};
use crate::pipeline::aggregate::{Kind, Limits, Metric};

/// A name that a metric or a label cannot have.
pub const BAD_METRIC_NAME: Code = Code("TW0450");

/// A metric that is described wrongly.
pub const BAD_METRIC: Code = Code("TW0451");

/// A pace or a limit that makes no sense.
pub const BAD_PACE: Code = Code("TW0452");

/// Options of the transform `log_metrics`. Its output is metrics.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// The metrics. At least one; names differ.
    metrics: Vec<MetricOptions>,
    /// Records shown as examples of what counters and histograms counted.
    #[serde(default)]
    exemplars: Exemplars,
    /// How often every series is emitted; at least `1s`. Default: `30s`.
    #[serde(default = "default_interval")]
    interval: Spanned<Duration>,
    /// A series that no record touched for this long ends with a staleness marker and is forgotten; at least
    /// `interval`. A counter that comes back begins at zero. Default: `1h`.
    #[serde(default = "default_expiry")]
    expiry: Spanned<Duration>,
    /// Most series of all metrics; a histogram counts as its buckets and three more. Default: `10000`.
    #[serde(default = "default_limit")]
    limit: Spanned<usize>,
    /// What becomes of a record that would make a series beyond `limit`. Default: `overflow`.
    #[serde(default)]
    when_full: WhenFull,
}

/// Records shown as examples.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[schemars(rename = "LogMetricsExemplars")]
#[serde(deny_unknown_fields, default)]
struct Exemplars {
    /// Whether there are any. Default: `false`.
    enabled: bool,
    /// Most of a series between two emissions; the latest are kept. Default: `5`.
    max_per_data_point: Spanned<usize>,
    /// The trace's id: 32 hexadecimal digits. A record without one is no example, unless it has a `log_line`. Default:
    /// `trace_id`, and where the record has none, `attributes["trace_id"]`.
    trace_id: Option<ValueOption>,
    /// The span's id: 16 hexadecimal digits. Default: `span_id`, and where the record has none, `attributes["span_id"]`.
    span_id: Option<ValueOption>,
    /// What of a record an alert shows as its line: `body`, or `attributes["msg"]` where the record was parsed. Up to 256 bytes
    /// of it go into pages, and to nobody else: no sink sends them. They are what the record says here, so put `redact` before:
    /// a line may hold what not everybody who gets a page may know. Default: none.
    log_line: Option<ValueOption>,
}

impl Default for Exemplars {
    fn default() -> Self {
        Self { enabled: false, max_per_data_point: default_exemplars(), trace_id: None, span_id: None, log_line: None }
    }
}

impl Exemplars {
    fn problems(&self) -> Vec<Problem> {
        let values = self.trace_id.iter().chain(&self.span_id).chain(&self.log_line);
        let values = values.filter_map(|value| value.problems(&SUBJECT));
        let off = self.log_line.as_ref().filter(|_| !self.enabled).map(|line| {
            let words = "`log_line` is set, but exemplars are not enabled: pages would not show it";
            Problem::new(BAD_METRIC, line.span(), words).help("write `enabled: true` beside it, or leave it out")
        });
        exemplars_problem(BAD_PACE, &self.max_per_data_point).into_iter().chain(values).chain(off).collect()
    }

    fn compile(&self, names: &Names) -> Result<Option<Shown>, CompileError> {
        let id = |written: Option<&ValueOption>, own: [&str; 2]| match written {
            Some(written) => Ok(vec![written.compile(&SUBJECT, names)?]),
            None => own.iter().map(|path| ValueOption::of(path).compile(&SUBJECT, names)).collect(),
        };
        let trace = |written| id(written, ["trace_id", "attributes[\"trace_id\"]"]);
        let span = |written| id(written, ["span_id", "attributes[\"span_id\"]"]);
        let line = || self.log_line.as_ref().map(|line| line.compile(&SUBJECT, names)).transpose();
        let shown = || Ok(Shown::new(trace(self.trace_id.as_ref())?, span(self.span_id.as_ref())?, line()?));
        self.enabled.then(shown).transpose()
    }
}

/// One metric.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MetricOptions {
    /// Its name, by Prometheus's conventions: `shop_orders_total`, `shop_payment_seconds`. That of a counter
    /// ends in `_total`.
    name: Spanned<String>,
    /// What it is.
    #[serde(rename = "type")]
    kind: KindOption,
    /// What it counts, in words.
    #[serde(default)]
    help: String,
    /// Its unit, a suffix of its name: `seconds`, `bytes`.
    #[serde(default)]
    unit: Spanned<String>,
    /// Which records count. Default: all.
    #[serde(default, rename = "if")]
    condition: Option<Condition>,
    /// What is added, set or observed; a record without it does not count. A text that is a number is taken
    /// as one. Default: `1` for counters; gauges and histograms need one.
    #[serde(default)]
    value: Option<ValueOption>,
    /// Labels: their names, and where their values come from. One that a record does not have is absent;
    /// values are cut at 1 KiB.
    #[serde(default)]
    labels: BTreeMap<String, ValueOption>,
    /// Upper bounds of a histogram's buckets, ascending, without +Inf. Default: Prometheus's `[0.005, 0.01,
    /// 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]`.
    #[serde(default)]
    buckets: Option<Spanned<Vec<f64>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum KindOption {
    /// Goes up by `value`.
    Counter,
    /// Is the `value` of the latest record.
    Gauge,
    /// Counts `value` in buckets.
    Histogram,
}

/// Prometheus's default buckets, made for seconds of answers.
const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Options {
    pub fn all_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.metrics.is_empty() {
            let help = "write `metrics: [{ name: shop_orders_total, type: counter }]`";
            let words = "`metrics` is empty: nothing would be counted";
            problems.push(Problem::new(BAD_METRIC, Span::UNKNOWN, words).help(help));
        }
        problems.extend(pace_problems(BAD_PACE, &self.interval, &self.expiry, &self.limit));
        for (at, metric) in self.metrics.iter().enumerate() {
            if self.metrics[..at].iter().any(|other| other.name.value == metric.name.value) {
                let words = format!("two metrics are called `{}`", metric.name.value);
                let help = "give each a name of its own; one metric may count different records under a label";
                problems.push(Problem::new(BAD_METRIC, metric.name.span, words).help(help));
            }
        }
        problems.extend(self.metrics.iter().flat_map(MetricOptions::problems));
        problems.extend(self.exemplars.problems());
        problems
    }

    pub fn compile(&self, names: &Names) -> Result<Counting, CompileError> {
        let metrics = self.metrics.iter().map(|metric| metric.compile(names)).collect::<Result<_, _>>()?;
        Ok(Counting::new(metrics, self.exemplars.compile(names)?))
    }

    pub fn limits(&self) -> Limits {
        let exemplars = if self.exemplars.enabled { self.exemplars.max_per_data_point.value } else { 0 };
        Limits { series: self.limit.value, when_full: self.when_full, exemplars }
    }

    /// Where lines are asked for.
    pub fn log_line(&self) -> Option<Span> {
        self.exemplars.log_line.as_ref().map(ValueOption::span)
    }

    pub fn pace(&self) -> Pace {
        Pace { interval: self.interval.0, expiry: self.expiry.0 }
    }
}

impl MetricOptions {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let name = self.name.value.as_str();
        let told = |code, span, words: String, help: &str| Problem::new(code, span, words).help(help);
        if !is_name(name, true) {
            let words = format!("`{name}` is no name for a metric");
            problems.push(told(
                BAD_METRIC_NAME,
                self.name.span,
                words,
                "use letters, digits, `_` and `:`, not a digit first",
            ));
        } else if (self.kind == KindOption::Counter) != name.ends_with("_total") {
            let words = match self.kind {
                KindOption::Counter => format!("`{name}` is a counter, whose name ends in `_total`"),
                _ => format!("`{name}` ends in `_total`, which is for counters"),
            };
            let help = format!(
                "call it `{}`",
                match self.kind {
                    KindOption::Counter => format!("{name}_total"),
                    _ => name.trim_end_matches("_total").to_owned(),
                }
            );
            problems.push(told(BAD_METRIC_NAME, self.name.span, words, &help));
        }
        let base = name.strip_suffix("_total").unwrap_or(name);
        if !self.unit.is_empty() && !base.ends_with(&format!("_{}", self.unit.value)) {
            let words = format!("the unit `{}` is no suffix of `{base}`", self.unit.value);
            problems.push(told(BAD_METRIC, self.unit.span, words, "end the name in the unit, or leave the unit out"));
        }
        for (label, value) in &self.labels {
            let reserved = label == "le" && self.kind == KindOption::Histogram;
            if !is_name(label, false) || label.starts_with("__") || reserved {
                let words = match reserved {
                    true => "the label `le` holds the bounds of a histogram's buckets".to_owned(),
                    false => format!("`{label}` is no name for a label"),
                };
                let help = "use letters, digits and `_`; not a digit first, and not two `_`";
                problems.push(told(BAD_METRIC_NAME, value.span(), words, help));
            }
            problems.extend(value.problems(&SUBJECT));
        }
        problems.extend(self.condition.as_ref().and_then(|condition| condition.problems(&SUBJECT)));
        problems.extend(self.value.as_ref().and_then(|value| value.problems(&SUBJECT)));
        if self.value.is_none() && self.kind != KindOption::Counter {
            let words = format!("`{name}` has no `value`: what is it to show?");
            problems.push(told(BAD_METRIC, self.name.span, words, "write `value: 'attributes[\"seconds\"]'`"));
        }
        if let Some(buckets) = &self.buckets {
            if self.kind != KindOption::Histogram {
                let words = format!("`{name}` has `buckets` and is no histogram");
                problems.push(told(BAD_METRIC, buckets.span, words, "leave them out, or write `type: histogram`"));
            } else if !are_bounds(buckets) {
                let words = format!("`buckets` are 1 to {MOST_BUCKETS} ascending numbers, without +Inf");
                problems.push(told(BAD_METRIC, buckets.span, words, "write `buckets: [0.1, 0.5, 1, 5]`"));
            }
        }
        problems
    }

    fn compile(&self, names: &Names) -> Result<Counted, CompileError> {
        let (kind, metric_kind) = match self.kind {
            KindOption::Counter => (Kind::Counter, MetricKind::Counter),
            KindOption::Gauge => (Kind::Gauge, MetricKind::Gauge),
            KindOption::Histogram => {
                let bounds = self.buckets.as_ref().map_or(&DEFAULT_BUCKETS[..], |buckets| &buckets.value);
                (Kind::Histogram(bounds.into()), MetricKind::Histogram)
            }
        };
        let name = self.name.value.as_str();
        let base = name.strip_suffix("_total").unwrap_or(name);
        let family = Family {
            name: base.into(),
            kind: metric_kind,
            help: self.help.as_str().into(),
            unit: self.unit.value.as_str().into(),
        };
        let condition = self.condition.as_ref().map(|condition| condition.compile(&SUBJECT, names)).transpose()?;
        let labels = self.labels.values().map(|value| value.compile(&SUBJECT, names));
        Ok(Counted {
            metric: Metric {
                name: name.into(),
                kind,
                family,
                labels: self.labels.keys().map(|label| label.as_str().into()).collect(),
            },
            reads: condition.clone(),
            condition: condition.map(Evaluator::new),
            value: self.value.as_ref().map(|value| value.compile(&SUBJECT, names)).transpose()?,
            labels: labels.collect::<Result<_, CompileError>>()?,
        })
    }
}
