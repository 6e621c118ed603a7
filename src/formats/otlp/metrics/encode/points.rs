//! The content of data points.

use super::super::exponential::dense;
use super::plan::{Part, Role};
use super::{Sampled, Unsendable};
use crate::data::histogram::{CUSTOM_BOUNDS, Counts, ResetHint};
use crate::data::metrics::{Exemplar, is_stale};
use crate::data::{Histogram, MetricBatch, UnixMillis};
use crate::formats::protobuf::{
    Fields, push_bytes, push_double, push_fixed64, push_message, push_uint, push_varint, to_zigzag,
};

/// Buckets of one side of a native histogram at the most, those in its gaps included.
const MOST_BUCKETS: usize = 1 << 16;

/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: u64 = 1;

/// Nanoseconds; what was before 1970 has none.
fn nanos(time: UnixMillis) -> u64 {
    u64::try_from(time.0).unwrap_or_default().saturating_mul(1_000_000)
}

/// Attributes that stand as field 1, as another field.
fn attributes(number: u32, held: &[u8], out: &mut Vec<u8>) {
    for (_, value) in Fields::of(held).flatten() {
        push_bytes(number, value.bytes().unwrap_or_default(), out);
    }
}

fn times(batch: &MetricBatch, sample: usize, out: &mut Vec<u8>) {
    if let Some(start) = batch.created(sample) {
        push_fixed64(2, nanos(start), out);
    }
    push_fixed64(3, nanos(batch.time(sample)), out);
}

/// `NumberDataPoint`.
pub(super) fn number(batch: &MetricBatch, sample: usize, value: f64, held: &[u8], out: &mut Vec<u8>) {
    times(batch, sample, out);
    if is_stale(value) {
        push_uint(8, NO_RECORDED_VALUE, out);
    } else {
        push_double(4, value, out);
    }
    exemplars(5, batch, sample, out);
    attributes(7, held, out);
}

/// `HistogramDataPoint` of the samples of one time; `parts` are sorted by their roles. False where they are none: a bucket
/// is missing, repeated or smaller than one before.
pub(super) fn classic(batch: &MetricBatch, parts: &[Sampled], held: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(stale) = all_or_none(parts) else { return false };
    let (mut total, mut sum, mut before) = (None, None, None);
    let (mut bounds, mut counts) = (Vec::new(), Vec::new());
    for Sampled { part: Part { role, .. }, value, .. } in parts {
        match role {
            Role::Bucket(bound) if before.is_none_or(|before| before < *bound) => {
                before = Some(*bound);
                let Some(count) = whole(if stale { 0.0 } else { *value }) else { return false };
                counts.push(count);
                bounds.push(*bound);
            }
            Role::Sum if sum.is_none() => sum = Some(*value),
            Role::Count if total.is_none() => total = Some(*value),
            _ => return false,
        }
    }
    let Some(&Sampled { part: Part { sample, .. }, .. }) = parts.first() else { return false };
    // The last bucket holds everything; where it is missing, the count says the same.
    let total = match total {
        // Bounds and a sum are told of what has ended too: they are the series that end.
        Some(_) if stale => Some(0),
        Some(total) => whole(total),
        None => counts.last().copied().filter(|_| before == Some(f64::INFINITY)),
    };
    let Some(total) = total else { return false };
    if before == Some(f64::INFINITY) {
        bounds.pop();
        if counts.last() != Some(&total) {
            return false;
        }
    } else if !counts.is_empty() {
        counts.push(total);
    }
    if !counts.is_sorted() {
        return false;
    }
    times(batch, sample as usize, out);
    push_fixed64(4, total, out);
    if let Some(sum) = sum {
        push_double(5, if stale { 0.0 } else { sum }, out);
    }
    let each = std::iter::once(&0).chain(&counts).zip(&counts).map(|(before, count)| count - before);
    packed(6, each, counts.len(), out);
    packed(7, bounds.iter().map(|bound| bound.to_bits()), bounds.len(), out);
    parts.iter().for_each(|part| exemplars(8, batch, part.part.sample as usize, out));
    attributes(9, held, out);
    if stale {
        push_uint(10, NO_RECORDED_VALUE, out);
    }
    true
}

/// `SummaryDataPoint`, the same way.
pub(super) fn summary(batch: &MetricBatch, parts: &[Sampled], held: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(stale) = all_or_none(parts) else { return false };
    let (mut total, mut sum, mut before) = (None, None, None);
    for Sampled { part: Part { role, .. }, value, .. } in parts {
        match role {
            Role::Quantile(quantile) if before.is_none_or(|before| before < *quantile) => before = Some(*quantile),
            Role::Sum if sum.is_none() => sum = Some(*value),
            Role::Count if total.is_none() => total = Some(*value),
            _ => return false,
        }
    }
    let Some(total) = total.filter(|total| stale || whole(*total).is_some()) else { return false };
    let Some(&Sampled { part: Part { sample, .. }, .. }) = parts.first() else { return false };
    times(batch, sample as usize, out);
    push_fixed64(4, whole(total).unwrap_or_default(), out);
    push_double(5, sum.filter(|_| !stale).unwrap_or_default(), out);
    for Sampled { part: Part { role, .. }, value, .. } in parts {
        if let Role::Quantile(quantile) = role {
            push_message(6, out, |out| {
                push_double(1, *quantile, out);
                push_double(2, if stale { 0.0 } else { *value }, out);
            });
        }
    }
    attributes(7, held, out);
    if stale {
        push_uint(8, NO_RECORDED_VALUE, out);
    }
    true
}

/// Whether all samples are staleness markers, or none; `None` where some are.
fn all_or_none(parts: &[Sampled]) -> Option<bool> {
    let stale = parts.iter().filter(|sampled| is_stale(sampled.value)).count();
    (stale == 0 || stale == parts.len()).then_some(stale > 0)
}

/// A count of observations.
fn whole(value: f64) -> Option<u64> {
    // Below 2^64, which is where a double that is whole fits.
    (value >= 0.0 && value.fract() == 0.0 && value < 18_446_744_073_709_551_616.0).then_some(value as u64)
}

fn packed(number: u32, values: impl Iterator<Item = u64>, len: usize, out: &mut Vec<u8>) {
    if len > 0 {
        push_varint(u64::from(number) << 3 | 2, out);
        push_varint(8 * len as u64, out);
        values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }
}

/// What a native histogram becomes, written to `out`: whether it is an exponential histogram, or a classic one.
pub(super) fn native(
    batch: &MetricBatch,
    sample: usize,
    histogram: &Histogram,
    held: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, Unsendable> {
    let custom = histogram.schema == CUSTOM_BOUNDS;
    let start = out.len();
    times(batch, sample, out);
    attributes(if custom { 9 } else { 1 }, held, out);
    if is_stale(histogram.sum) {
        push_uint(10, NO_RECORDED_VALUE, out);
        return Ok(!custom);
    }
    let written = match &histogram.counts {
        _ if histogram.reset_hint == ResetHint::Gauge => Err(Unsendable::GaugeHistogram),
        Counts::Float { .. } => Err(Unsendable::FloatHistogram),
        Counts::Integer { .. } if !histogram.is_valid() => Err(Unsendable::Broken),
        Counts::Integer { count, positive, .. } if custom => custom_bounds(histogram, *count, positive, out),
        Counts::Integer { count, zero, positive, negative } => {
            exponential(histogram, *count, *zero, [positive, negative], out)
        }
    };
    if let Err(why) = written {
        out.truncate(start);
        return Err(why);
    }
    exemplars(if custom { 8 } else { 11 }, batch, sample, out);
    Ok(!custom)
}

/// `ExponentialHistogramDataPoint` that ends a series.
pub(super) fn ended(batch: &MetricBatch, sample: usize, held: &[u8], out: &mut Vec<u8>) {
    times(batch, sample, out);
    push_uint(10, NO_RECORDED_VALUE, out);
    attributes(1, held, out);
}

fn custom_bounds(histogram: &Histogram, count: u64, positive: &[i64], out: &mut Vec<u8>) -> Result<(), Unsendable> {
    let bounds = &histogram.custom_bounds;
    let buckets = dense(&histogram.positive_spans, positive, MOST_BUCKETS).ok_or(Unsendable::Broken)?;
    // Buckets with custom bounds are numbered from 0, as OpenTelemetry's are, and the others from 1.
    let first = usize::try_from(buckets.offset + 1).map_err(|_| Unsendable::Broken)?;
    if !buckets.counts.is_empty() && first + buckets.counts.len() > bounds.len() + 1 {
        return Err(Unsendable::Broken);
    }
    let mut counts = vec![0; bounds.len() + 1];
    counts[first.min(bounds.len())..].iter_mut().zip(&buckets.counts).for_each(|(slot, count)| *slot = *count);
    push_fixed64(4, count, out);
    push_double(5, histogram.sum, out);
    packed(6, counts.iter().copied(), counts.len(), out);
    packed(7, bounds.iter().map(|bound| bound.to_bits()), bounds.len(), out);
    Ok(())
}

fn exponential(
    histogram: &Histogram,
    count: u64,
    zero: u64,
    sides: [&[i64]; 2],
    out: &mut Vec<u8>,
) -> Result<(), Unsendable> {
    push_fixed64(4, count, out);
    push_double(5, histogram.sum, out);
    push_uint(6, to_zigzag(i64::from(histogram.schema)), out);
    push_fixed64(7, zero, out);
    let spans = [&histogram.positive_spans, &histogram.negative_spans];
    for ((number, spans), deltas) in [8, 9].into_iter().zip(spans).zip(sides) {
        let buckets = dense(spans, deltas, MOST_BUCKETS).ok_or(Unsendable::Broken)?;
        if buckets.counts.is_empty() {
            continue;
        }
        push_message(number, out, |out| {
            push_uint(1, to_zigzag(i64::from(buckets.offset)), out);
            push_message(2, out, |out| buckets.counts.iter().for_each(|count| push_varint(*count, out)));
        });
    }
    push_double(14, histogram.zero_threshold, out);
    Ok(())
}

fn exemplars(number: u32, batch: &MetricBatch, sample: usize, out: &mut Vec<u8>) {
    for exemplar in batch.exemplars(sample).iter().filter(|exemplar| exemplar.leaves()) {
        push_message(number, out, |out| write_exemplar(batch, exemplar, batch.time(sample), out));
    }
}

/// `Exemplar` of a sample of this time, which is its own where it has none. The labels `trace_id` and `span_id` are its ids,
/// if that is what they are; the others its attributes.
fn write_exemplar(batch: &MetricBatch, exemplar: &Exemplar, sampled: UnixMillis, out: &mut Vec<u8>) {
    push_fixed64(2, nanos(exemplar.time.unwrap_or(sampled)), out);
    push_double(3, exemplar.value, out);
    for (name, value) in batch.exemplar_labels(exemplar).iter() {
        let id = match name {
            "trace_id" => hex::<16>(value).map(|id| push_bytes(5, &id, out)),
            "span_id" => hex::<8>(value).map(|id| push_bytes(4, &id, out)),
            _ => None,
        };
        if id.is_none() {
            super::plan::push_attribute(7, name, value, out);
        }
    }
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut id = [0; N];
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in id.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Some(id)
}
