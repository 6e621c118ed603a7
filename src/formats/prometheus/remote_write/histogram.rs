//! The message `Histogram`, which both versions share (2.0 alone has a start).

use crate::data::histogram::{BucketSpan, Counts, ResetHint};
use crate::data::{Histogram, UnixMillis};
use crate::formats::protobuf::{Fields, WireError, push_double, push_message, push_uint, push_varint, to_zigzag};

/// Appends the content of the message.
pub(super) fn write(histogram: &Histogram, time: UnixMillis, start: Option<UnixMillis>, out: &mut Vec<u8>) {
    match &histogram.counts {
        Counts::Integer { count, .. } => push_uint(1, *count, out),
        Counts::Float { count, .. } => push_double(2, *count, out),
    }
    push_double(3, histogram.sum, out);
    push_uint(4, to_zigzag(i64::from(histogram.schema)), out);
    push_double(5, histogram.zero_threshold, out);
    match &histogram.counts {
        Counts::Integer { zero, negative, positive, .. } => {
            push_uint(6, *zero, out);
            spans(8, &histogram.negative_spans, out);
            deltas(9, negative, out);
            spans(11, &histogram.positive_spans, out);
            deltas(12, positive, out);
        }
        Counts::Float { zero, negative, positive, .. } => {
            push_double(7, *zero, out);
            spans(8, &histogram.negative_spans, out);
            doubles(10, negative, out);
            spans(11, &histogram.positive_spans, out);
            doubles(13, positive, out);
        }
    }
    if histogram.reset_hint != ResetHint::Unknown {
        push_uint(14, histogram.reset_hint as u64, out);
    }
    push_uint(15, time.0 as u64, out);
    doubles(16, &histogram.custom_bounds, out);
    if let Some(start) = start {
        push_uint(17, start.0 as u64, out);
    }
}

fn spans(number: u32, spans: &[BucketSpan], out: &mut Vec<u8>) {
    for span in spans {
        push_message(number, out, |out| {
            push_uint(1, to_zigzag(i64::from(span.offset)), out);
            push_uint(2, u64::from(span.length), out);
        });
    }
}

fn deltas(number: u32, deltas: &[i64], out: &mut Vec<u8>) {
    if !deltas.is_empty() {
        push_message(number, out, |out| deltas.iter().for_each(|delta| push_varint(to_zigzag(*delta), out)));
    }
}

fn doubles(number: u32, doubles: &[f64], out: &mut Vec<u8>) {
    if !doubles.is_empty() {
        push_varint(u64::from(number) << 3 | 2, out);
        push_varint(8 * doubles.len() as u64, out);
        doubles.iter().for_each(|double| out.extend_from_slice(&double.to_le_bytes()));
    }
}

/// A histogram that was read, when it was taken, and when counting began.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReadHistogram {
    pub histogram: Histogram,
    pub time: UnixMillis,
    pub start: Option<UnixMillis>,
}

/// Reads the content of the message. Whether buckets and spans fit together is for the caller to ask.
pub(super) fn read(message: &[u8]) -> Result<ReadHistogram, WireError> {
    let (mut count, mut count_float, mut zero, mut zero_float) = (0, None, 0, None);
    let (mut positive, mut negative, mut positive_floats, mut negative_floats) = (vec![], vec![], vec![], vec![]);
    let mut read = ReadHistogram {
        histogram: Histogram {
            schema: 0,
            zero_threshold: 0.0,
            sum: 0.0,
            counts: Counts::Integer { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() },
            positive_spans: Vec::new(),
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: ResetHint::Unknown,
        },
        time: UnixMillis(0),
        start: None,
    };
    let histogram = &mut read.histogram;
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        let zigzag = |raw| crate::formats::protobuf::zigzag(raw);
        match number {
            1 => count = value.varint()?,
            2 => count_float = Some(value.double()?),
            3 => histogram.sum = value.double()?,
            4 => histogram.schema = i32::try_from(value.zigzag()?).map_err(|_| WireError::Type)?,
            5 => histogram.zero_threshold = value.double()?,
            6 => zero = value.varint()?,
            7 => zero_float = Some(value.double()?),
            8 => histogram.negative_spans.push(span(value.bytes()?)?),
            9 => value.each_varint(|raw| negative.push(zigzag(raw)))?,
            10 => value.each_double(|double| negative_floats.push(double))?,
            11 => histogram.positive_spans.push(span(value.bytes()?)?),
            12 => value.each_varint(|raw| positive.push(zigzag(raw)))?,
            13 => value.each_double(|double| positive_floats.push(double))?,
            14 => {
                histogram.reset_hint = match value.varint()? {
                    1 => ResetHint::Yes,
                    2 => ResetHint::No,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                }
            }
            15 => read.time = UnixMillis(value.varint()? as i64),
            16 => value.each_double(|double| histogram.custom_bounds.push(double))?,
            17 => read.start = Some(UnixMillis(value.varint()? as i64)).filter(|start| start.0 != 0),
            _ => {}
        }
    }
    histogram.counts = match count_float {
        Some(count) => Counts::Float {
            count,
            zero: zero_float.unwrap_or_default(),
            positive: positive_floats,
            negative: negative_floats,
        },
        None => Counts::Integer { count, zero, positive, negative },
    };
    Ok(read)
}

fn span(message: &[u8]) -> Result<BucketSpan, WireError> {
    let mut span = BucketSpan { offset: 0, length: 0 };
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match number {
            1 => span.offset = i32::try_from(value.zigzag()?).map_err(|_| WireError::Type)?,
            2 => span.length = u32::try_from(value.varint()?).map_err(|_| WireError::Type)?,
            _ => {}
        }
    }
    Ok(span)
}
