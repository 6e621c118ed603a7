//! Data points as `metrics/v1/metrics.proto` of opentelemetry-proto 1.10 has them, read into memory that serves point
//! after point.

use super::attributes::once;
use crate::formats::otlp::MessageError;
use crate::formats::protobuf::{Fields, Value, WireError, push_varint, take_delimited};

/// The flag by which a sender says that a series has ended.
const NO_RECORDED_VALUE: u64 = 1;

/// What every point has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Head {
    /// Nanoseconds, 0 where it is not known.
    pub start: u64,
    pub time: u64,
    pub stale: bool,
    pub exemplars: bool,
}

/// A gauge's or a sum's point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Number {
    pub head: Head,
    pub value: Option<f64>,
}

/// A histogram's point; bounds and counts are in [`Memory`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Classic {
    pub head: Head,
    pub count: u64,
    pub sum: Option<f64>,
}

/// A summary's point; quantiles are in [`Memory`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub head: Head,
    pub count: u64,
    pub sum: f64,
}

/// An exponential histogram's point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Exponential<'a> {
    pub head: Head,
    pub count: u64,
    pub sum: Option<f64>,
    pub scale: i32,
    pub zero: u64,
    pub zero_threshold: f64,
    /// `Buckets`, if there are any.
    pub positive: &'a [u8],
    pub negative: &'a [u8],
}

/// Lists of the point that was read last.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Its attributes, each behind its length. Behind them what else tells its series apart.
    pub attributes: Vec<u8>,
    pub counts: Vec<u64>,
    pub bounds: Vec<f64>,
    pub quantiles: Vec<(f64, f64)>,
}

/// Attributes as [`Memory`] holds them.
pub(super) fn attributes(mut held: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || if held.is_empty() { None } else { take_delimited(&mut held).ok() })
}

impl Memory {
    fn clear(&mut self) {
        self.attributes.clear();
        self.counts.clear();
        self.bounds.clear();
        self.quantiles.clear();
    }

    fn attribute(&mut self, value: Value<'_>) -> Result<(), WireError> {
        let message = value.bytes()?;
        push_varint(message.len() as u64, &mut self.attributes);
        self.attributes.extend_from_slice(message);
        Ok(())
    }

    pub fn number(&mut self, message: &[u8]) -> Result<Number, MessageError> {
        self.clear();
        let mut point = Number::default();
        for field in Fields::of(message) {
            match field? {
                (2, value) => point.head.start = value.fixed64()?,
                (3, value) => point.head.time = value.fixed64()?,
                (4, value) => point.value = Some(value.double()?),
                (5, _) => point.head.exemplars = true,
                (6, value) => point.value = Some(value.fixed64()? as i64 as f64),
                (7, value) => self.attribute(value)?,
                (8, value) => point.head.stale = value.varint()? & NO_RECORDED_VALUE != 0,
                _ => {}
            }
        }
        Ok(point)
    }

    pub fn classic(&mut self, message: &[u8]) -> Result<Classic, MessageError> {
        self.clear();
        let mut point = Classic::default();
        for field in Fields::of(message) {
            match field? {
                (2, value) => point.head.start = value.fixed64()?,
                (3, value) => point.head.time = value.fixed64()?,
                (4, value) => point.count = value.fixed64()?,
                (5, value) => point.sum = Some(value.double()?),
                (6, value) => value.each_fixed64(|count| self.counts.push(count))?,
                (7, value) => value.each_double(|bound| self.bounds.push(bound))?,
                (8, _) => point.head.exemplars = true,
                (9, value) => self.attribute(value)?,
                (10, value) => point.head.stale = value.varint()? & NO_RECORDED_VALUE != 0,
                _ => {}
            }
        }
        Ok(point)
    }

    pub fn exponential<'a>(&mut self, message: &'a [u8]) -> Result<Exponential<'a>, MessageError> {
        self.clear();
        let (mut point, mut positive, mut negative) = (Exponential::default(), None, None);
        for field in Fields::of(message) {
            match field? {
                (1, value) => self.attribute(value)?,
                (2, value) => point.head.start = value.fixed64()?,
                (3, value) => point.head.time = value.fixed64()?,
                (4, value) => point.count = value.fixed64()?,
                (5, value) => point.sum = Some(value.double()?),
                (6, value) => point.scale = narrow(value.zigzag()?)?,
                (7, value) => point.zero = value.fixed64()?,
                (8, value) => once(&mut positive, value.bytes()?, "positive")?,
                (9, value) => once(&mut negative, value.bytes()?, "negative")?,
                (10, value) => point.head.stale = value.varint()? & NO_RECORDED_VALUE != 0,
                (11, _) => point.head.exemplars = true,
                (14, value) => point.zero_threshold = value.double()?,
                _ => {}
            }
        }
        (point.positive, point.negative) = (positive.unwrap_or_default(), negative.unwrap_or_default());
        Ok(point)
    }

    pub fn summary(&mut self, message: &[u8]) -> Result<Summary, MessageError> {
        self.clear();
        let mut point = Summary::default();
        for field in Fields::of(message) {
            match field? {
                (2, value) => point.head.start = value.fixed64()?,
                (3, value) => point.head.time = value.fixed64()?,
                (4, value) => point.count = value.fixed64()?,
                (5, value) => point.sum = value.double()?,
                (6, value) => self.quantiles.push(quantile(value.bytes()?)?),
                (7, value) => self.attribute(value)?,
                (8, value) => point.head.stale = value.varint()? & NO_RECORDED_VALUE != 0,
                _ => {}
            }
        }
        Ok(point)
    }
}

fn quantile(message: &[u8]) -> Result<(f64, f64), MessageError> {
    let mut read = (0.0, 0.0);
    for field in Fields::of(message) {
        match field? {
            (1, value) => read.0 = value.double()?,
            (2, value) => read.1 = value.double()?,
            _ => {}
        }
    }
    Ok(read)
}

/// Reads `Buckets`: the index of the first, and counts into `counts`.
pub(super) fn buckets(message: &[u8], counts: &mut Vec<u64>) -> Result<i32, MessageError> {
    let mut offset = 0;
    for field in Fields::of(message) {
        match field? {
            (1, value) => offset = narrow(value.zigzag()?)?,
            (2, value) => value.each_varint(|count| counts.push(count))?,
            _ => {}
        }
    }
    Ok(offset)
}

fn narrow(number: i64) -> Result<i32, WireError> {
    i32::try_from(number).map_err(|_| WireError::Type)
}

/// An exemplar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RawExemplar<'a> {
    pub time: u64,
    pub value: Option<f64>,
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    /// The message, for its attributes.
    pub message: &'a [u8],
}

impl<'a> RawExemplar<'a> {
    pub fn read(message: &'a [u8]) -> Result<Self, MessageError> {
        let mut exemplar = Self { message, ..Self::default() };
        for field in Fields::of(message) {
            match field? {
                (2, value) => exemplar.time = value.fixed64()?,
                (3, value) => exemplar.value = Some(value.double()?),
                (4, value) => exemplar.span_id = value.bytes()?,
                (5, value) => exemplar.trace_id = value.bytes()?,
                (6, value) => exemplar.value = Some(value.fixed64()? as i64 as f64),
                _ => {}
            }
        }
        Ok(exemplar)
    }

    /// Its filtered attributes.
    pub fn attributes(self) -> impl Iterator<Item = Result<&'a [u8], MessageError>> {
        Fields::of(self.message).filter_map(|field| match field {
            Ok((7, value)) => Some(value.bytes().map_err(MessageError::from)),
            Ok(_) => None,
            Err(error) => Some(Err(error.into())),
        })
    }
}
