//! What metrics made of spans have in common: the histograms of their durations, and labels that are attributes of spans
//! and resources, read where they stand.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use schemars::JsonSchema;

use super::Kind;
use super::options::are_bounds;
use crate::data::UnixNanos;
use crate::formats::otlp::value::AnyValue;
use crate::options::{Code, Duration, Problem, Spanned};

/// A label that is an attribute of a span or of its resource.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// Name of the attribute; the span's own goes before that of its resource. The label is called the same with `_` for
    /// what labels cannot have: `http_method` for `http.method`.
    pub name: Spanned<String>,
    /// Its value where neither has the attribute. Default: the label is absent.
    #[serde(default)]
    pub default: Option<String>,
}

/// The bounds of a histogram where none are written, in seconds.
const BOUNDS: [f64; 16] = [0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0, 15.0];

/// Bytes of a text that are read: more than a label's value may have.
const LONGEST_TEXT: usize = 2048;

/// A unit of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Seconds.
    #[default]
    S,
    /// Milliseconds.
    Ms,
}

impl Unit {
    /// Its name as Prometheus has it, the suffix of metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S => "seconds",
            Self::Ms => "milliseconds",
        }
    }

    /// A length of time in this unit.
    pub fn of(self, time: StdDuration) -> f64 {
        match self {
            Self::S => time.as_secs_f64(),
            Self::Ms => time.as_nanos() as f64 / 1e6,
        }
    }
}

/// Classic buckets.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explicit {
    /// Upper bounds, ascending, without +Inf: `[100ms, 250ms, 1s]`.
    pub buckets: Spanned<Vec<Duration>>,
}

/// Native buckets.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// Most buckets; where there would be more, two become one. Default: `160`.
    #[serde(default = "max_size")]
    pub max_size: Spanned<usize>,
}

fn max_size() -> Spanned<usize> {
    Spanned::unknown(160)
}

/// What durations are counted in: bounds as written, a native histogram, or the default's bounds.
pub fn kind_of(explicit: Option<&Explicit>, exponential: Option<&Exponential>, unit: Unit) -> Kind {
    match (explicit, exponential) {
        (Some(explicit), _) => Kind::Histogram(explicit.buckets.iter().map(|bound| unit.of(bound.0)).collect()),
        (None, Some(exponential)) => Kind::Native(exponential.max_size.value),
        (None, None) => Kind::Histogram(BOUNDS.iter().map(|s| unit.of(StdDuration::from_secs_f64(*s))).collect()),
    }
}

/// What is wrong with the description of a histogram.
pub fn histogram_problems(
    code: Code,
    explicit: Option<&Explicit>,
    exponential: Option<&Exponential>,
) -> Option<Problem> {
    match (explicit, exponential) {
        (Some(explicit), Some(_)) => Some(
            Problem::new(code, explicit.buckets.span, "a histogram is `explicit` or `exponential`, not both")
                .help("leave one of them out"),
        ),
        (Some(explicit), None) => {
            let bounds: Vec<f64> = explicit.buckets.iter().map(|bound| bound.0.as_secs_f64()).collect();
            (!are_bounds(&bounds)).then(|| {
                Problem::new(code, explicit.buckets.span, "`buckets` are 1 to 200 ascending times")
                    .help("write `buckets: [100ms, 250ms, 1s]`")
            })
        }
        (None, Some(exponential)) => {
            let size = exponential.max_size.value;
            (!(2..=1024).contains(&size)).then(|| {
                Problem::new(code, exponential.max_size.span, format!("`max_size` is {size}"))
                    .help("write a number from 2 to 1024, such as 160")
            })
        }
        (None, None) => None,
    }
}

/// The label of an attribute.
pub fn label_of(attribute: &str) -> Box<str> {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let label: String = attribute.chars().map(fits).collect();
    if label.starts_with(|c: char| c.is_ascii_digit()) { format!("key_{label}").into() } else { label.into() }
}

/// How long a span took: nothing where it ends before it starts.
pub fn duration(start: UnixNanos, end: UnixNanos) -> StdDuration {
    StdDuration::from_nanos(end.0.saturating_sub(start.0))
}

/// Appends the text of an encoded `AnyValue`. False where it is a list, a map, bytes or nothing: no value of a label.
pub fn write_value(any: &[u8], out: &mut Vec<u8>) -> bool {
    match AnyValue::read(any) {
        Ok(AnyValue::Text(text)) => out.extend_from_slice(&text[..text.len().min(LONGEST_TEXT)]),
        Ok(AnyValue::Bool(value)) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        // Writing into memory cannot fail.
        Ok(AnyValue::Int(int)) => drop(write!(out, "{int}")),
        Ok(AnyValue::Double(double)) => drop(write!(out, "{double}")),
        Ok(AnyValue::Array(_) | AnyValue::Map(_) | AnyValue::Bytes(_) | AnyValue::Empty) | Err(_) => return false,
    }
    true
}

/// Where values of some attributes stand, found in one walk over a message.
#[derive(Clone, Debug)]
pub struct Found {
    keys: Arc<[Box<[u8]>]>,
    text: Vec<u8>,
    /// Start and end in `text`.
    places: Vec<Option<(u32, u32)>>,
}

impl Found {
    /// Nothing found yet of these attributes.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let keys: Arc<[Box<[u8]>]> = keys.into_iter().map(|key| key.as_bytes().into()).collect();
        Self { places: vec![None; keys.len()], keys, text: Vec::new() }
    }

    /// Forgets what was found.
    pub fn clear(&mut self) {
        self.text.clear();
        self.places.fill(None);
    }

    /// Takes an attribute, if it is one of those looked for and the first of its key.
    pub fn take(&mut self, key: &[u8], any: &[u8]) {
        for (place, wanted) in self.places.iter_mut().zip(self.keys.iter()) {
            if place.is_none() && **wanted == *key {
                let start = self.text.len() as u32;
                if write_value(any, &mut self.text) {
                    *place = Some((start, self.text.len() as u32));
                }
            }
        }
    }

    /// What was found of attribute `index`.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.places[index].map(|(start, end)| &self.text[start as usize..end as usize])
    }

    /// The first of all that was found, from attribute `index` on.
    pub fn first_from(&self, index: usize) -> Option<&[u8]> {
        (index..self.places.len()).find_map(|index| self.get(index))
    }
}
