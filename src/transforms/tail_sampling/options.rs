//! The options of the transform, in the words of the OpenTelemetry Collector's processor of the same name, and what is wrong
//! with them.

use std::time::Duration as StdDuration;

use schemars::JsonSchema;

use super::policy::Policies;
use crate::expression::Condition;
use crate::options::{ByteSize, Code, Duration, Problem, Spanned};

const LIMITS: Code = Code("TW0460");

/// A policy that cannot be.
pub(super) const POLICY: Code = Code("TW0461");

/// Options of the transform `tail_sampling`.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(rename = "TailSampling")]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Time from the first span of a trace to its decision. Default: `30s`.
    #[serde(default = "decision_wait")]
    pub decision_wait: Spanned<Duration>,
    /// Time from the end of a trace's root to its decision, where that is sooner. Default: `5s`.
    #[serde(default = "root_wait")]
    pub root_wait: Spanned<Duration>,
    /// Most bytes of undecided spans in memory, with what the transform keeps beside them. Beyond it the oldest trace is
    /// decided early. Default: `64MiB`.
    #[serde(default = "max_bytes")]
    pub max_bytes: Spanned<ByteSize>,
    /// How many decisions are remembered for spans that come late, at about 64 bytes each. Default: `100000`.
    #[serde(default = "decision_cache")]
    pub decision_cache: Spanned<u32>,
    /// A trace is kept that one of them wants, unless one of type `drop` fits.
    pub policies: Vec<Spanned<Written>>,
}

fn decision_wait() -> Spanned<Duration> {
    Spanned::unknown(Duration(StdDuration::from_secs(30)))
}

fn root_wait() -> Spanned<Duration> {
    Spanned::unknown(Duration(StdDuration::from_secs(5)))
}

fn max_bytes() -> Spanned<ByteSize> {
    Spanned::unknown(ByteSize(64 << 20))
}

fn decision_cache() -> Spanned<u32> {
    Spanned::unknown(100_000)
}

/// A policy: its type, and under the key of that name what it needs.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// Its name, for `composite` and for whoever reads the configuration.
    #[serde(default)]
    pub name: String,
    /// What it asks.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Of type `latency`.
    #[serde(default)]
    pub latency: Option<Latency>,
    /// Of type `numeric_attribute`.
    #[serde(default)]
    pub numeric_attribute: Option<NumericAttribute>,
    /// Of type `string_attribute`.
    #[serde(default)]
    pub string_attribute: Option<StringAttribute>,
    /// Of type `boolean_attribute`.
    #[serde(default)]
    pub boolean_attribute: Option<BooleanAttribute>,
    /// Of type `condition`: true of some span, as in the transform `steps`.
    #[serde(default)]
    pub condition: Option<Condition>,
    /// Of type `probabilistic`.
    #[serde(default)]
    pub probabilistic: Option<Probabilistic>,
    /// Of type `status_code`.
    #[serde(default)]
    pub status_code: Option<StatusCodes>,
    /// Of type `trace_state`.
    #[serde(default)]
    pub trace_state: Option<TraceState>,
    /// Of type `rate_limiting`.
    #[serde(default)]
    pub rate_limiting: Option<RateLimiting>,
    /// Of type `bytes_limiting`.
    #[serde(default)]
    pub bytes_limiting: Option<BytesLimiting>,
    /// Of type `span_count`.
    #[serde(default)]
    pub span_count: Option<SpanCount>,
    /// Of type `and`.
    #[serde(default)]
    pub and: Option<And>,
    /// Of type `not`.
    #[serde(default)]
    pub not: Option<Box<Not>>,
    /// Of type `drop`.
    #[serde(default)]
    pub drop: Option<Drop>,
    /// Of type `composite`.
    #[serde(default)]
    pub composite: Option<Composite>,
}

/// What a policy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Nothing: it keeps every trace.
    AlwaysSample,
    /// Whether the time from the first start to the last end is within bounds.
    Latency,
    /// Whether a span or its resource has a number within bounds.
    NumericAttribute,
    /// Whether a span or its resource has a text among some.
    StringAttribute,
    /// Whether a span or its resource has a boolean.
    BooleanAttribute,
    /// Whether a condition holds for a span.
    Condition,
    /// Whether the trace id is among so many of a hundred.
    Probabilistic,
    /// Whether a span has one of these statuses.
    StatusCode,
    /// Whether a span's trace state has a value among some.
    TraceState,
    /// Whether so many spans a second are not used up.
    RateLimiting,
    /// Whether so many bytes a second are not used up.
    BytesLimiting,
    /// Whether the trace has so many spans.
    SpanCount,
    /// Whether all of some policies want the trace.
    And,
    /// Whether a policy does not want it.
    Not,
    /// Whether all of some policies fit: then it is dropped, whatever others want.
    Drop,
    /// Several policies that share spans a second.
    Composite,
}

/// Bounds of a trace's duration.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Latency {
    /// At least so many milliseconds.
    pub threshold_ms: u64,
    /// At most so many milliseconds. Default: `0`, no limit.
    #[serde(default)]
    pub upper_threshold_ms: u64,
}

/// A number and its bounds.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NumericAttribute {
    /// The attribute.
    pub key: String,
    /// At least. Default: no limit.
    #[serde(default)]
    pub min_value: Option<i64>,
    /// At most. Default: no limit.
    #[serde(default)]
    pub max_value: Option<i64>,
    /// Whether traces are wanted that have no such span. Default: `false`.
    #[serde(default)]
    pub invert_match: bool,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StringAttribute {
    /// The attribute.
    pub key: String,
    /// One of these texts.
    pub values: Vec<Spanned<String>>,
    /// Whether `values` are regular expressions. Default: `false`.
    #[serde(default)]
    pub enabled_regex_matching: bool,
    /// Whether traces are wanted that have no such span. Default: `false`.
    #[serde(default)]
    pub invert_match: bool,
}

/// A boolean.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BooleanAttribute {
    /// The attribute.
    pub key: String,
    /// Its value.
    pub value: bool,
    /// Whether traces are wanted that have no such span. Default: `false`.
    #[serde(default)]
    pub invert_match: bool,
}

/// A share of traces.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Probabilistic {
    /// From 0 to 100.
    pub sampling_percentage: Spanned<f64>,
    /// Makes another choice of traces than others who sample. Default: none; then the choice is that of W3C's random
    /// trace ids, the same everywhere.
    #[serde(default)]
    pub hash_salt: String,
}

/// Statuses.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusCodes {
    /// Any of these.
    pub status_codes: Vec<StatusCode>,
}

/// A span's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum StatusCode {
    /// None was set.
    Unset,
    /// It was set to be fine.
    Ok,
    /// It failed.
    Error,
}

/// A member of W3C's trace state.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceState {
    /// Its key.
    pub key: String,
    /// One of these values.
    pub values: Vec<String>,
}

/// Spans a second.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RateLimiting {
    /// So many, and as many at once.
    pub spans_per_second: u64,
}

/// Bytes a second.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BytesLimiting {
    /// So many bytes of spans.
    pub bytes_per_second: u64,
    /// At once. Default: twice as many as a second.
    #[serde(default)]
    pub burst_capacity: Option<u64>,
}

/// A number of spans.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanCount {
    /// At least.
    pub min_spans: u64,
    /// At most. Default: `0`, no limit.
    #[serde(default)]
    pub max_spans: u64,
}

/// Policies that must all want a trace.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct And {
    /// Asked in their order, until one does not want it: those that limit a rate belong behind the others.
    pub and_sub_policy: Vec<Spanned<Written>>,
}

/// A policy that must not want it.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Not {
    /// The policy.
    pub not_sub_policy: Spanned<Written>,
}

/// Policies that drop a trace where all of them fit.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Drop {
    /// The policies.
    pub drop_sub_policy: Vec<Spanned<Written>>,
}

/// Policies that share spans a second.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Composite {
    /// Spans a second of all of them.
    pub max_total_spans_per_second: u64,
    /// The names of the policies, in the order in which they are asked. Default: as they stand.
    #[serde(default)]
    pub policy_order: Vec<Spanned<String>>,
    /// The policies: the first that wants a trace keeps it, within its share.
    pub composite_sub_policy: Vec<Spanned<Written>>,
    /// Shares. Those of policies that are not named are equal parts of what is left.
    #[serde(default)]
    pub rate_allocation: Vec<RateAllocation>,
}

/// The share of a policy.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RateAllocation {
    /// Its name.
    pub policy: Spanned<String>,
    /// Of a hundred.
    pub percent: u64,
}

/// Everything that is wrong with the options.
pub(super) fn problems(options: &Options) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |span, message: String, help: &str| {
        problems.push(Problem::new(LIMITS, span, message).help(help));
    };
    let (shortest, longest) = (StdDuration::from_millis(10), StdDuration::from_secs(3600));
    for (name, time) in [("decision_wait", &options.decision_wait), ("root_wait", &options.root_wait)] {
        if !(shortest..=longest).contains(&time.0) {
            wrong(time.span, format!("`{name}` is {}", time.value), "write a time from 10ms to 1h");
        }
    }
    if options.max_bytes.0 < 1 << 20 {
        let message = format!("`max_bytes` is {}", options.max_bytes.value);
        wrong(options.max_bytes.span, message, "write a size of 1MiB or more, such as 64MiB");
    }
    problems.extend(Policies::new(options).err());
    problems
}
