//! Native histograms in a segment.

use super::super::Damaged;
use super::super::numbers::{Input, put, put_difference};
use crate::data::histogram::{BucketSpan, Counts, Histogram, ResetHint};

fn put_signed(number: i64, out: &mut Vec<u8>) {
    put_difference(out, 0, number.cast_unsigned());
}

fn put_double(number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_bits().to_le_bytes());
}

/// Appends a histogram.
pub fn put_histogram(histogram: &Histogram, out: &mut Vec<u8>) {
    put_signed(i64::from(histogram.schema), out);
    put_double(histogram.zero_threshold, out);
    put_double(histogram.sum, out);
    out.push(histogram.reset_hint as u8);
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put(out, spans.len() as u64);
        for BucketSpan { offset, length } in spans {
            put_signed(i64::from(*offset), out);
            put(out, u64::from(*length));
        }
    }
    put(out, histogram.custom_bounds.len() as u64);
    histogram.custom_bounds.iter().for_each(|bound| put_double(*bound, out));
    match &histogram.counts {
        Counts::Integer { count, zero, positive, negative } => {
            out.push(0);
            put(out, *count);
            put(out, *zero);
            for buckets in [positive, negative] {
                put(out, buckets.len() as u64);
                buckets.iter().for_each(|bucket| put_signed(*bucket, out));
            }
        }
        Counts::Float { count, zero, positive, negative } => {
            out.push(1);
            put_double(*count, out);
            put_double(*zero, out);
            for buckets in [positive, negative] {
                put(out, buckets.len() as u64);
                buckets.iter().for_each(|bucket| put_double(*bucket, out));
            }
        }
    }
}

fn read_signed(input: &mut Input<'_>) -> Result<i64, Damaged> {
    Ok(input.difference(0)?.cast_signed())
}

fn read_small(input: &mut Input<'_>) -> Result<i32, Damaged> {
    i32::try_from(read_signed(input)?).map_err(|_| Damaged("a number is too large"))
}

fn read_double(input: &mut Input<'_>) -> Result<f64, Damaged> {
    Ok(f64::from_bits(input.u64()?))
}

fn read_all<T>(input: &mut Input<'_>, one: impl Fn(&mut Input<'_>) -> Result<T, Damaged>) -> Result<Vec<T>, Damaged> {
    (0..input.count()?).map(|_| one(input)).collect()
}

/// Reads a histogram.
pub fn read_histogram(input: &mut Input<'_>) -> Result<Histogram, Damaged> {
    let span = |input: &mut Input<'_>| Ok(BucketSpan { offset: read_small(input)?, length: input.small()? });
    let schema = read_small(input)?;
    let (zero_threshold, sum) = (read_double(input)?, read_double(input)?);
    let reset_hint = match input.byte()? {
        0 => ResetHint::Unknown,
        1 => ResetHint::Yes,
        2 => ResetHint::No,
        3 => ResetHint::Gauge,
        _ => return Err(Damaged("a histogram has an unknown hint")),
    };
    let (positive_spans, negative_spans) = (read_all(input, span)?, read_all(input, span)?);
    let custom_bounds = read_all(input, read_double)?;
    let counts = match input.byte()? {
        0 => Counts::Integer {
            count: input.number()?,
            zero: input.number()?,
            positive: read_all(input, read_signed)?,
            negative: read_all(input, read_signed)?,
        },
        1 => Counts::Float {
            count: read_double(input)?,
            zero: read_double(input)?,
            positive: read_all(input, read_double)?,
            negative: read_all(input, read_double)?,
        },
        _ => return Err(Damaged("a histogram counts in an unknown way")),
    };
    Ok(Histogram { schema, zero_threshold, sum, counts, positive_spans, negative_spans, custom_bounds, reset_hint })
}
