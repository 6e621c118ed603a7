//! One `Metric` message: what it counts, and the series or the native histogram that it stands for.

use super::super::error::Fault;
use super::super::{Point, RawExemplar, number};
use crate::data::histogram::{BucketSpan, Counts, ResetHint};
use crate::data::{Histogram, MetricKind, UnixMillis};
use crate::formats::protobuf::{Fields, Value, WireError, push_bytes};

/// A metric that was read, and how far its parts were handed out.
#[derive(Clone, Debug, Default)]
pub(super) struct Metric<'a> {
    /// `repeated LabelPair label = 1`, as in the message.
    pub labels: Vec<u8>,
    pub timestamp: Option<UnixMillis>,
    pub created: Option<UnixMillis>,
    /// The value, or the number of observations.
    pub count: f64,
    pub sum: f64,
    exemplar: Option<RawExemplar<'a>>,
    /// The message of the value.
    message: &'a [u8],
    distribution: Option<Distribution>,
    /// What comes next of a distribution.
    pub step: Step,
    parts: Option<Fields<'a>>,
    pub parts_seen: usize,
    /// Length of the text of a series up to its last label.
    pub text_length: usize,
}

/// How a metric counts observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distribution {
    Summary,
    Classic,
    Native,
}

/// Series of a distribution in the order in which they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Count,
    Sum,
    Each,
}

/// A bucket or a quantile.
pub(super) struct Part<'a> {
    pub bound: f64,
    pub value: f64,
    pub exemplar: Option<RawExemplar<'a>>,
}

impl<'a> Metric<'a> {
    /// Reads a message over what was read before.
    pub fn read(&mut self, message: &'a [u8], kind: MetricKind) -> Result<(), Fault> {
        let labels = std::mem::take(&mut self.labels);
        *self = Self { labels, ..Self::default() };
        self.labels.clear();
        let wanted = match kind {
            MetricKind::Gauge => 2,
            MetricKind::Counter => 3,
            MetricKind::Summary => 4,
            MetricKind::Histogram | MetricKind::GaugeHistogram => 7,
            _ => 5,
        };
        for field in Fields::of(message) {
            match field? {
                (1, value) => push_bytes(1, value.bytes()?, &mut self.labels),
                (6, value) => self.timestamp = Some(value.varint()? as i64).filter(|time| *time != 0).map(UnixMillis),
                (number, value) if number == wanted => self.message = value.bytes()?,
                _ => {}
            }
        }
        match kind {
            MetricKind::Summary => self.read_summary()?,
            MetricKind::Histogram | MetricKind::GaugeHistogram => self.read_histogram()?,
            _ => self.read_simple(kind)?,
        }
        Ok(())
    }

    fn read_simple(&mut self, kind: MetricKind) -> Result<(), WireError> {
        for field in Fields::of(self.message) {
            match field? {
                (1, value) => self.count = value.double()?,
                (2, value) if kind == MetricKind::Counter => self.exemplar = Some(exemplar(value.bytes()?)?),
                (3, value) if kind == MetricKind::Counter => self.created = Some(timestamp(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_summary(&mut self) -> Result<(), WireError> {
        for field in Fields::of(self.message) {
            match field? {
                (1, value) => self.count = value.varint()? as f64,
                (2, value) => self.sum = value.double()?,
                (4, value) => self.created = Some(timestamp(value.bytes()?)?),
                _ => {}
            }
        }
        self.parts = Some(Fields::of(self.message));
        self.distribution = Some(Distribution::Summary);
        Ok(())
    }

    fn read_histogram(&mut self) -> Result<(), WireError> {
        let (mut whole, mut float, mut native) = (0, 0.0, false);
        for field in Fields::of(self.message) {
            match field? {
                (1, value) => whole = value.varint()?,
                (4, value) => float = value.double()?,
                (2, value) => self.sum = value.double()?,
                (15, value) => self.created = Some(timestamp(value.bytes()?)?),
                (6, value) => native |= value.double()? > 0.0,
                (7, value) => native |= value.varint()? > 0,
                (9 | 12, _) => native = true,
                _ => {}
            }
        }
        self.count = either(float, whole);
        self.parts = Some(Fields::of(self.message));
        self.distribution = Some(if native { Distribution::Native } else { Distribution::Classic });
        Ok(())
    }

    /// How the metric counts observations; `None` where it has just a value.
    pub fn distribution(&self) -> Option<Distribution> {
        self.distribution
    }

    /// The one value of a metric without a distribution.
    pub fn point(&self) -> Result<Point<'a>, Fault> {
        Ok(self.at(self.count, self.exemplar))
    }

    /// A value at the time of this metric.
    pub fn at(&self, value: f64, exemplar: Option<RawExemplar<'a>>) -> Point<'a> {
        Point { value: normal(value), timestamp: self.timestamp, exemplar }
    }

    /// Whether there are classic buckets.
    pub fn has_buckets(&self) -> bool {
        Fields::of(self.message).flatten().any(|(number, _)| number == 3)
    }

    /// The next bucket or quantile. Buckets end with +Inf, which is added where the message leaves it out.
    pub fn next_part(&mut self) -> Result<Option<Part<'a>>, WireError> {
        let Some(parts) = &mut self.parts else { return Ok(None) };
        let summary = self.distribution == Some(Distribution::Summary);
        while let Some((number, value)) = parts.field()? {
            if number != 3 {
                continue;
            }
            let part = if summary { quantile(value.bytes()?)? } else { bucket(value.bytes()?)? };
            self.parts_seen += 1;
            if !summary && part.bound == f64::INFINITY {
                self.parts = None;
            }
            return Ok(Some(part));
        }
        self.parts = None;
        self.parts_seen += 1;
        Ok((!summary).then_some(Part { bound: f64::INFINITY, value: self.count, exemplar: None }))
    }

    /// The native histogram, and its exemplars: those of its own, else those of its classic buckets. Only
    /// those with a time are taken.
    pub fn histogram(&self, kind: MetricKind, exemplars: &mut Vec<RawExemplar<'a>>) -> Result<Histogram, Fault> {
        exemplars.clear();
        let mut own = false;
        let (mut whole, mut whole_zero, mut float, mut float_zero) = (0, 0, 0.0, 0.0);
        let (mut positive, mut negative) = (Vec::new(), Vec::new());
        let (mut positive_floats, mut negative_floats) = (Vec::new(), Vec::new());
        let mut histogram = Histogram {
            schema: 0,
            zero_threshold: 0.0,
            sum: normal(self.sum),
            counts: Counts::Float { count: 0.0, zero: 0.0, positive: Vec::new(), negative: Vec::new() },
            positive_spans: Vec::new(),
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: if kind == MetricKind::GaugeHistogram { ResetHint::Gauge } else { ResetHint::Unknown },
        };
        for field in Fields::of(self.message) {
            match field? {
                (1, value) => whole = value.varint()?,
                (4, value) => float = value.double()?,
                (5, value) => histogram.schema = value.zigzag()? as i32,
                (6, value) => histogram.zero_threshold = value.double()?,
                (7, value) => whole_zero = value.varint()?,
                (8, value) => float_zero = value.double()?,
                (9, value) => histogram.negative_spans.push(span(value)?),
                (10, value) => value.each_varint(|delta| negative.push(crate::formats::protobuf::zigzag(delta)))?,
                (11, value) => value.each_double(|count| negative_floats.push(count))?,
                (12, value) => histogram.positive_spans.push(span(value)?),
                (13, value) => value.each_varint(|delta| positive.push(crate::formats::protobuf::zigzag(delta)))?,
                (14, value) => value.each_double(|count| positive_floats.push(count))?,
                (16, value) => {
                    own = true;
                    exemplars.push(exemplar(value.bytes()?)?);
                }
                _ => {}
            }
        }
        if !own {
            for field in Fields::of(self.message) {
                if let (3, value) = field? {
                    exemplars.extend(bucket(value.bytes()?)?.exemplar);
                }
            }
        }
        exemplars.retain(|exemplar| exemplar.timestamp.is_some());
        let is_float = float > 0.0 || float_zero > 0.0 || !positive_floats.is_empty() || !negative_floats.is_empty();
        histogram.counts = if is_float {
            Counts::Float { count: float, zero: float_zero, positive: positive_floats, negative: negative_floats }
        } else {
            Counts::Integer { count: whole, zero: whole_zero, positive, negative }
        };
        if histogram.is_valid() { Ok(histogram) } else { Err(Fault::Histogram) }
    }
}

/// A count that is a float where that is above zero, else whole.
fn either(float: f64, whole: u64) -> f64 {
    if float == 0.0 { whole as f64 } else { float }
}

/// No NaN of an exposition is taken for a staleness marker.
fn normal(value: f64) -> f64 {
    if value.is_nan() { number::NORMAL_NAN } else { value }
}

fn bucket(message: &[u8]) -> Result<Part<'_>, WireError> {
    let mut part = Part { bound: 0.0, value: 0.0, exemplar: None };
    let (mut float, mut whole) = (0.0, 0);
    for field in Fields::of(message) {
        match field? {
            (1, value) => whole = value.varint()?,
            (2, value) => part.bound = value.double()?,
            (3, value) => part.exemplar = Some(exemplar(value.bytes()?)?),
            (4, value) => float = value.double()?,
            _ => {}
        }
    }
    part.value = either(float, whole);
    Ok(part)
}

fn quantile(message: &[u8]) -> Result<Part<'_>, WireError> {
    let mut part = Part { bound: 0.0, value: 0.0, exemplar: None };
    for field in Fields::of(message) {
        match field? {
            (1, value) => part.bound = value.double()?,
            (2, value) => part.value = value.double()?,
            _ => {}
        }
    }
    Ok(part)
}

fn span(value: Value<'_>) -> Result<BucketSpan, WireError> {
    let mut span = BucketSpan { offset: 0, length: 0 };
    for field in Fields::of(value.bytes()?) {
        match field? {
            (1, value) => span.offset = value.zigzag()? as i32,
            (2, value) => span.length = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(span)
}

fn exemplar(message: &[u8]) -> Result<RawExemplar<'_>, WireError> {
    let mut exemplar = RawExemplar { labels: message, value: 0.0, timestamp: None };
    for field in Fields::of(message) {
        match field? {
            (2, value) => exemplar.value = normal(value.double()?),
            (3, value) => exemplar.timestamp = Some(timestamp(value.bytes()?)?),
            _ => {}
        }
    }
    Ok(exemplar)
}

/// `google.protobuf.Timestamp`.
fn timestamp(message: &[u8]) -> Result<UnixMillis, WireError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    for field in Fields::of(message) {
        match field? {
            (1, value) => seconds = value.varint()? as i64,
            (2, value) => nanos = i64::from(value.varint()? as i32),
            _ => {}
        }
    }
    Ok(UnixMillis(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)))
}
