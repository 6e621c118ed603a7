//! Questions: what a policy asks of every span of a trace, as it comes.

use regex::bytes::Regex;

use super::options::POLICY;
use crate::expression::Evaluator;
use crate::expression::traces::SpanView;
use crate::formats::otlp::span::{ATTRIBUTES, RESOURCE_ATTRIBUTES, attributes};
use crate::formats::otlp::value::AnyValue;
use crate::options::{Problem, Spanned};

/// What is asked of every span.
#[derive(Clone, Debug)]
pub(super) enum Question {
    Number {
        key: Box<[u8]>,
        min: i64,
        max: i64,
    },
    Text {
        key: Box<[u8]>,
        values: Texts,
    },
    Bool {
        key: Box<[u8]>,
        value: bool,
    },
    /// One bit a status.
    Status(u8),
    State {
        key: Box<[u8]>,
        values: Vec<Box<[u8]>>,
    },
    Condition {
        holds: Box<Evaluator>,
        reads_resource: bool,
    },
}

/// What a text may be.
#[derive(Clone, Debug)]
pub(super) enum Texts {
    Plain(Vec<Box<[u8]>>),
    Patterns(Vec<Regex>),
}

/// Texts, or patterns, that a policy names.
pub(super) fn texts(values: &[Spanned<String>], patterns: bool) -> Result<Texts, Problem> {
    if !patterns {
        return Ok(Texts::Plain(values.iter().map(|value| value.as_bytes().into()).collect()));
    }
    let compile = |value: &Spanned<String>| {
        crate::expression::check::regex(&value.value).map_err(|why| {
            Problem::new(POLICY, value.span, format!("the pattern is wrong: {why}"))
                .help("the syntax is that of https://docs.rs/regex#syntax")
        })
    };
    values.iter().map(compile).collect::<Result<_, _>>().map(Texts::Patterns)
}

impl Question {
    /// Whether a condition asks for attributes of the resource.
    pub fn reads_resource(&self) -> bool {
        matches!(self, Self::Condition { reads_resource: true, .. })
    }

    /// Whether a span, whose resource is encoded so, says yes.
    pub fn holds(&mut self, span: &SpanView<'_>, resource: &[u8]) -> bool {
        let any = |key: &[u8], fits: &dyn Fn(AnyValue<'_>) -> bool| {
            let of = |message, number| {
                let mut found = attributes(message, number).filter(|(known, _)| *known == key);
                found.any(|(_, value)| AnyValue::read(value).is_ok_and(fits))
            };
            of(span.message.0, ATTRIBUTES) || of(resource, RESOURCE_ATTRIBUTES)
        };
        match self {
            Self::Condition { holds, .. } => holds.begin(span.resource).unwrap_or_else(|| holds.holds(span)),
            Self::Status(codes) => *codes >> span.entry.status.min(7) & 1 == 1,
            Self::Number { key, min, max } => any(key, &|value| match value {
                AnyValue::Int(number) => (*min..=*max).contains(&number),
                AnyValue::Double(number) => *min as f64 <= number && number <= *max as f64,
                _ => false,
            }),
            Self::Text { key, values } => any(key, &|value| match value {
                AnyValue::Text(text) => values.have(text),
                _ => false,
            }),
            Self::Bool { key, value } => any(key, &|found| found == AnyValue::Bool(*value)),
            Self::State { key, values } => {
                // W3C Trace Context, 3.3: members are separated by commas, with white space around them.
                let mut members = span.message.trace_state().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                members.any(|member| {
                    let value = member.strip_prefix(&**key).and_then(|rest| rest.strip_prefix(b"="));
                    value.is_some_and(|value| values.iter().any(|wanted| **wanted == *value))
                })
            }
        }
    }
}

impl Texts {
    fn have(&self, text: &[u8]) -> bool {
        match self {
            Self::Plain(values) => values.iter().any(|value| **value == *text),
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern.is_match(text)),
        }
    }
}
