//! A series as a snapshot has it: what is known of it, and its chunks as they are.

use std::sync::Arc;

use crate::data::labels::Labels;
use crate::data::metrics::{Family, MetricKind};
use crate::data::series_table::{FamilyId, Series as Look, SeriesTable};
use crate::formats::segment::Damaged;
use crate::formats::segment::numbers::{Input, put, put_difference, put_text};
use crate::series::chunk::{Chunk, Kind, Outline};
use crate::series::stored::Series;

pub const KEPT: u8 = 5;
pub const END: u8 = 6;

/// Appends what is known of a series, its samples apart.
pub fn put_series(series: &Series, look: &Look<'_>, out: &mut Vec<u8>) {
    put_text(out, &series.labels);
    out.push(u8::from(series.is_result));
    if series.family == FamilyId::default() {
        return out.push(0);
    }
    let Family { name, kind, help, unit } = look.family_of(series.family);
    out.push(1);
    put_text(out, name.as_bytes());
    out.push(*kind as u8);
    put_text(out, help.as_bytes());
    put_text(out, unit.as_bytes());
}

/// What is known of a series.
#[derive(Debug)]
pub struct Known<'a> {
    /// Its labels.
    pub labels: Labels<'a>,
    /// Whether it is the result of a rule.
    pub is_result: bool,
    /// Metadata of its metric.
    pub family: FamilyId,
}

/// Reads what [`put_series`] wrote.
pub fn read_series<'a>(input: &mut Input<'a>, table: &SeriesTable) -> Result<Known<'a>, Damaged> {
    let labels = Labels::of_encoded(input.bytes()?);
    let mut all = labels.iter();
    while all.next().is_some() {}
    if !all.rest().is_empty() {
        return Err(Damaged("a series has labels that cannot be read"));
    }
    let is_result = input.byte()? != 0;
    let family = match input.byte()? {
        0 => FamilyId::default(),
        1 => table.family(&Family {
            name: input.text()?.into(),
            kind: MetricKind::of_number(input.byte()?).ok_or(Damaged("a metric is of an unknown kind"))?,
            help: input.text()?.into(),
            unit: input.text()?.into(),
        }),
        _ => return Err(Damaged("a metric is described in an unknown way")),
    };
    Ok(Known { labels, is_result, family })
}

/// Appends a series with its samples. `bytes` is for use on the way.
pub fn put_kept(series: &Series, look: &Look<'_>, bytes: &mut Vec<u8>, out: &mut Vec<u8>) {
    out.push(KEPT);
    put_series(series, look, out);
    let starts = series.starts.as_ref().map_or(&[][..], |starts| &starts.0);
    put(out, starts.len() as u64);
    let mut before = (0i64, 0i64);
    for start in starts {
        put_difference(out, before.0.cast_unsigned(), start.0.cast_unsigned());
        put_difference(out, before.1.cast_unsigned(), start.1.cast_unsigned());
        before = *start;
    }
    let head = series.head.outline();
    put(out, (series.chunks.len() + usize::from(head.is_some())) as u64);
    let mut last = 0;
    for chunk in &series.chunks {
        put_chunk(&chunk.outline, &chunk.bytes, &mut last, out);
    }
    if let Some(outline) = head {
        bytes.clear();
        series.head.copy_to(bytes);
        put_chunk(&outline, bytes, &mut last, out);
    }
}

fn put_chunk(outline: &Outline, bytes: &[u8], last: &mut i64, out: &mut Vec<u8>) {
    put_difference(out, last.cast_unsigned(), outline.first.cast_unsigned());
    put(out, u64::from(outline.span));
    put(out, u64::from(outline.count));
    out.push(outline.kind.number());
    put_text(out, bytes);
    *last = outline.last();
}

/// The samples of a series in a snapshot.
#[derive(Debug, Default)]
pub struct Kept {
    /// From when on its counter began when.
    pub starts: Vec<(i64, i64)>,
    /// Its samples.
    pub chunks: Vec<Chunk>,
}

/// Reads what [`put_kept`] wrote behind [`put_series`].
pub fn read_kept(input: &mut Input<'_>) -> Result<Kept, Damaged> {
    let mut kept = Kept::default();
    let mut before = (0u64, 0u64);
    for _ in 0..input.count()? {
        before = (input.difference(before.0)?, input.difference(before.1)?);
        kept.starts.push((before.0.cast_signed(), before.1.cast_signed()));
    }
    let mut last = 0i64;
    for _ in 0..input.count()? {
        let outline = Outline {
            first: input.difference(last.cast_unsigned())?.cast_signed(),
            span: input.small()?,
            count: input.small()?,
            kind: Kind::of_number(input.byte()?).ok_or(Damaged("a chunk is of an unknown kind"))?,
        };
        if outline.count == 0 || outline.first < last && !kept.chunks.is_empty() {
            return Err(Damaged("chunks of a series are not in their order"));
        }
        last = outline.last();
        kept.chunks.push(Chunk { outline, bytes: Arc::from(input.bytes()?) });
    }
    Ok(kept)
}
