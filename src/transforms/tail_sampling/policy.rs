//! Policies: what they look at in every span as it comes, and what they decide once a trace is there.

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::options::{Composite, Kind, Options, POLICY, StatusCode, Written};
use super::question::{Question, texts};
use super::rate::Rate;
use crate::data::Names;
use crate::expression::Evaluator;
use crate::expression::option::CompileError;
use crate::expression::traces::{SUBJECT, SpanView};
use crate::formats::trace_state;
use crate::options::{Problem, Span, Spanned};

/// Questions about spans that one transform may ask: one bit each for every open trace.
const MOST_QUESTIONS: usize = 128;

/// Randomness of a trace id: its last 56 bits (W3C Trace Context 2, random-trace-id).
const RANDOM_BITS: u32 = 56;

/// What was seen of an open trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Questions to which some span said yes.
    yes: u128,
    spans: u64,
    bytes: u64,
    first_start: u64,
    last_end: u64,
    /// Whether its root, which has no parent, has ended.
    pub root: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self { yes: 0, spans: 0, bytes: 0, first_start: u64::MAX, last_end: 0, root: false }
    }
}

/// The policies of one transform.
#[derive(Clone, Debug)]
pub(super) struct Policies {
    questions: Vec<Question>,
    drops: Vec<Policy>,
    keeps: Vec<Policy>,
}

/// What is asked of a trace.
#[derive(Clone, Debug)]
enum Policy {
    Always,
    Latency {
        min: u64,
        max: u64,
    },
    /// Whether a question was answered with yes, or never.
    Asked {
        question: usize,
        invert: bool,
    },
    /// Keeps a trace whose randomness is at least this.
    Probabilistic {
        threshold: u64,
        salt: Option<u64>,
    },
    Spans(Rate),
    Bytes(Rate),
    Count {
        min: u64,
        max: u64,
    },
    And(Vec<Policy>),
    Not(Box<Policy>),
    Composite(Vec<(Policy, Rate)>),
}

impl Policies {
    /// Compiles the policies, or says what is wrong with one.
    pub fn new(options: &Options) -> Result<Self, Problem> {
        let mut policies = Self { questions: Vec::new(), drops: Vec::new(), keeps: Vec::new() };
        if options.policies.is_empty() {
            let help = "name one, such as `{ type: always_sample }`";
            return Err(Problem::new(POLICY, Span::UNKNOWN, "there are no policies: no trace would be kept").help(help));
        }
        for written in &options.policies {
            match (written.kind, &written.drop) {
                (Kind::Drop, Some(drop)) => {
                    let all = policies.all(&drop.drop_sub_policy)?;
                    policies.drops.push(Policy::And(all));
                }
                _ => {
                    let policy = policies.compile(written)?;
                    policies.keeps.push(policy);
                }
            }
        }
        Ok(policies)
    }

    /// Whether any of them asks for attributes of the resource by a condition.
    pub fn read_resource(&self) -> bool {
        self.questions.iter().any(Question::reads_resource)
    }

    /// Notes what one span says, whose resource is encoded so.
    pub fn look(&mut self, span: &SpanView<'_>, resource: &[u8], seen: &mut Seen) {
        seen.spans += 1;
        seen.bytes += span.message.0.len() as u64;
        seen.first_start = seen.first_start.min(span.entry.start.0);
        seen.last_end = seen.last_end.max(span.entry.end.0);
        seen.root |= span.entry.is_root;
        for (bit, question) in self.questions.iter_mut().enumerate() {
            if seen.yes >> bit & 1 == 0 && question.holds(span, resource) {
                seen.yes |= 1 << bit;
            }
        }
    }

    /// Whether a trace is kept.
    pub fn decide(&mut self, seen: &Seen, id: &[u8; 16], now: Instant) -> bool {
        let dropped = self.drops.iter_mut().any(|policy| policy.wants(seen, id, now));
        !dropped && self.keeps.iter_mut().any(|policy| policy.wants(seen, id, now))
    }

    fn all(&mut self, written: &[Spanned<Written>]) -> Result<Vec<Policy>, Problem> {
        written.iter().map(|written| self.compile(written)).collect()
    }

    fn ask(&mut self, question: Question, invert: bool, written: &Spanned<Written>) -> Result<Policy, Problem> {
        if self.questions.len() == MOST_QUESTIONS {
            let message = format!("there are more than {MOST_QUESTIONS} policies that look at spans");
            return Err(Problem::new(POLICY, written.span, message).help("put texts into one policy's `values`"));
        }
        self.questions.push(question);
        Ok(Policy::Asked { question: self.questions.len() - 1, invert })
    }

    fn compile(&mut self, written: &Spanned<Written>) -> Result<Policy, Problem> {
        let lacks = |key: &str| {
            let message = format!("a policy of type `{key}` needs `{key}`");
            Problem::new(POLICY, written.span, message).help(format!("write `{key}: {{ … }}` beside `type`"))
        };
        Ok(match written.kind {
            Kind::AlwaysSample => Policy::Always,
            Kind::Latency => {
                let latency = written.latency.as_ref().ok_or_else(|| lacks("latency"))?;
                let nanos = |millis: u64| millis.saturating_mul(1_000_000);
                let max = match latency.upper_threshold_ms {
                    0 => u64::MAX,
                    upper => nanos(upper),
                };
                Policy::Latency { min: nanos(latency.threshold_ms), max }
            }
            Kind::NumericAttribute => {
                let asked = written.numeric_attribute.as_ref().ok_or_else(|| lacks("numeric_attribute"))?;
                let (min, max) = (asked.min_value.unwrap_or(i64::MIN), asked.max_value.unwrap_or(i64::MAX));
                let question = Question::Number { key: asked.key.as_bytes().into(), min, max };
                self.ask(question, asked.invert_match, written)?
            }
            Kind::StringAttribute => {
                let asked = written.string_attribute.as_ref().ok_or_else(|| lacks("string_attribute"))?;
                let values = texts(&asked.values, asked.enabled_regex_matching)?;
                self.ask(Question::Text { key: asked.key.as_bytes().into(), values }, asked.invert_match, written)?
            }
            Kind::BooleanAttribute => {
                let asked = written.boolean_attribute.as_ref().ok_or_else(|| lacks("boolean_attribute"))?;
                let question = Question::Bool { key: asked.key.as_bytes().into(), value: asked.value };
                self.ask(question, asked.invert_match, written)?
            }
            Kind::StatusCode => {
                let asked = written.status_code.as_ref().ok_or_else(|| lacks("status_code"))?;
                let bit = |code: &StatusCode| match code {
                    StatusCode::Unset => 1,
                    StatusCode::Ok => 2,
                    StatusCode::Error => 4,
                };
                let bits = asked.status_codes.iter().map(bit).fold(0, |all, bit| all | bit);
                self.ask(Question::Status(bits), false, written)?
            }
            Kind::TraceState => {
                let asked = written.trace_state.as_ref().ok_or_else(|| lacks("trace_state"))?;
                let values = asked.values.iter().map(|value| value.as_bytes().into()).collect();
                self.ask(Question::State { key: asked.key.as_bytes().into(), values }, false, written)?
            }
            Kind::Condition => {
                let asked = written.condition.as_ref().ok_or_else(|| lacks("condition"))?;
                // Names are for parsers of what has none yet; spans have theirs with them.
                let program = asked.compile(&SUBJECT, &Names::default());
                let program = program.map_err(|error| match error {
                    CompileError::Expression(error) => asked.problem(error),
                    other => Problem::new(POLICY, asked.span(), other.to_string()),
                })?;
                let reads_resource = program.reads_resource();
                let question = Question::Condition { holds: Box::new(Evaluator::new(program)), reads_resource };
                self.ask(question, false, written)?
            }
            Kind::Probabilistic => {
                let asked = written.probabilistic.as_ref().ok_or_else(|| lacks("probabilistic"))?;
                let percent = asked.sampling_percentage.value;
                if !(0.0..=100.0).contains(&percent) {
                    let message = format!("`sampling_percentage` is {percent}");
                    let problem = Problem::new(POLICY, asked.sampling_percentage.span, message);
                    return Err(problem.help("write a number from 0 to 100"));
                }
                let threshold = ((1.0 - percent / 100.0) * (1_u64 << RANDOM_BITS) as f64) as u64;
                let salt = (!asked.hash_salt.is_empty()).then(|| xxh3_64_with_seed(asked.hash_salt.as_bytes(), 0));
                Policy::Probabilistic { threshold, salt }
            }
            Kind::RateLimiting => {
                let rate = written.rate_limiting.as_ref().ok_or_else(|| lacks("rate_limiting"))?.spans_per_second;
                Policy::Spans(Rate::new(rate as f64, rate as f64))
            }
            Kind::BytesLimiting => {
                let asked = written.bytes_limiting.as_ref().ok_or_else(|| lacks("bytes_limiting"))?;
                let burst = asked.burst_capacity.unwrap_or(asked.bytes_per_second.saturating_mul(2));
                Policy::Bytes(Rate::new(asked.bytes_per_second as f64, burst as f64))
            }
            Kind::SpanCount => {
                let asked = written.span_count.as_ref().ok_or_else(|| lacks("span_count"))?;
                let max = if asked.max_spans == 0 { u64::MAX } else { asked.max_spans };
                Policy::Count { min: asked.min_spans, max }
            }
            Kind::And => {
                let and = written.and.as_ref().ok_or_else(|| lacks("and"))?;
                Policy::And(self.all(&and.and_sub_policy)?)
            }
            Kind::Not => {
                let not = written.not.as_ref().ok_or_else(|| lacks("not"))?;
                Policy::Not(Box::new(self.compile(&not.not_sub_policy)?))
            }
            Kind::Drop => {
                let help = "list it among `policies` itself";
                let message = "a policy of type `drop` within another would drop nothing";
                return Err(match &written.drop {
                    None => lacks("drop"),
                    Some(_) => Problem::new(POLICY, written.span, message).help(help),
                });
            }
            Kind::Composite => {
                let composite = written.composite.as_ref().ok_or_else(|| lacks("composite"))?;
                Policy::Composite(self.composite(composite)?)
            }
        })
    }

    fn composite(&mut self, composite: &Composite) -> Result<Vec<(Policy, Rate)>, Problem> {
        let named = |name: &Spanned<String>| {
            let found = composite.composite_sub_policy.iter().find(|policy| policy.name == name.value);
            found.ok_or_else(|| {
                let message = format!("no policy of `composite_sub_policy` is called `{}`", name.value);
                Problem::new(POLICY, name.span, message).help("give it the `name` of one of them")
            })
        };
        for allocation in &composite.rate_allocation {
            named(&allocation.policy)?;
        }
        let order: Vec<_> = match composite.policy_order.as_slice() {
            [] => composite.composite_sub_policy.iter().collect(),
            names => names.iter().map(named).collect::<Result<_, _>>()?,
        };
        let total = composite.max_total_spans_per_second as f64;
        let share = |name: &str| {
            let known = composite.rate_allocation.iter().find(|allocation| allocation.policy.value == name);
            known.map(|allocation| allocation.percent as f64 / 100.0)
        };
        let given: f64 = order.iter().filter_map(|policy| share(&policy.name)).sum();
        let others = order.iter().filter(|policy| share(&policy.name).is_none()).count().max(1) as f64;
        let left = (1.0 - given).max(0.0) / others;
        let compile = |policy: &Spanned<Written>| {
            let rate = total * share(&policy.name).unwrap_or(left);
            Ok((self.compile(policy)?, Rate::new(rate, rate)))
        };
        order.into_iter().map(compile).collect()
    }
}

impl Policy {
    fn wants(&mut self, seen: &Seen, id: &[u8; 16], now: Instant) -> bool {
        match self {
            Self::Always => true,
            Self::Latency { min, max } => (*min..=*max).contains(&seen.last_end.saturating_sub(seen.first_start)),
            Self::Asked { question, invert } => (seen.yes >> *question & 1 == 1) != *invert,
            Self::Probabilistic { threshold, salt } => randomness(id, *salt) >= *threshold,
            Self::Spans(rate) => rate.take(seen.spans as f64, now),
            Self::Bytes(rate) => rate.take(seen.bytes as f64, now),
            Self::Count { min, max } => (*min..=*max).contains(&seen.spans),
            Self::And(policies) => policies.iter_mut().all(|policy| policy.wants(seen, id, now)),
            Self::Not(policy) => !policy.wants(seen, id, now),
            Self::Composite(policies) => {
                let first = policies.iter_mut().find_map(|(policy, rate)| {
                    // The first that wants it decides, within its share.
                    policy.wants(seen, id, now).then(|| rate.take(seen.spans as f64, now))
                });
                first.unwrap_or(false)
            }
        }
    }
}

fn randomness(id: &[u8; 16], salt: Option<u64>) -> u64 {
    let number = match salt {
        Some(salt) => xxh3_64_with_seed(id, salt),
        None => trace_state::randomness(id),
    };
    number & ((1 << RANDOM_BITS) - 1)
}
