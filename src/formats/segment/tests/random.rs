//! Batches of anything that a batch can have.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::*;
use crate::data::histogram::{BucketSpan, Counts, Histogram, ResetHint};
use crate::data::metrics::{Exemplar, Family, STALE};
use crate::data::series_table::SeriesList;
use crate::data::{
    Attribute, Cut, Field, FieldEdit, Generation, JsonKind, LogBatch, MetricBatch, MetricKind, TraceBatch, Value,
};
use crate::formats::otlp::traces::index;

/// A batch of random records, with everything that a record can have.
pub(super) fn logs(random: &mut fastrand::Rng, resources: &[Arc<Resource>], names: &Names) -> LogBatch {
    let resource = resources[random.usize(..resources.len())].clone();
    let mut builder =
        LogBuilder::new(resource, Arc::new(Scope { name: "s".into(), version: "1".into(), ..Scope::default() }));
    let object = br#"{"level":"info","n":1,"deep":{"er":[1,2]}}"#;
    let text = builder.add_chunk(Chunk::from_vec((0..4000).map(|_| random.alphabetic() as u8).collect()));
    let objects = builder.add_chunk(Chunk::from_static(object));
    let slice = |random: &mut fastrand::Rng| Slice::new(text, random.u32(..3000), random.u32(..900));
    let value = |random: &mut fastrand::Rng, slice: Slice| match random.u8(..6) {
        0 => Value::Text(slice),
        1 => Value::Json(Slice::new(objects, 0, object.len() as u32)),
        2 => Value::Bytes(slice),
        3 => Value::Int(random.i64(..)),
        4 => Value::Double(random.f64()),
        _ => Value::Bool(random.bool()),
    };
    for _ in 0..random.usize(..4) {
        builder.source().generations.push(Generation { id: random.u64(..), birth: UnixNanos(random.u64(..)) });
    }
    for _ in 0..random.usize(..6) {
        let (key, of) = (slice(random), slice(random));
        let value = value(random, of);
        builder.source().attributes.push(Attribute { key, value });
    }
    let mut at = random.u64(..1 << 40);
    for index in 0..random.u32(..40) {
        let mut record = LogRecord::of_body(slice(random));
        record.time = UnixNanos(random.u64(..));
        record.severity = Severity(random.u8(..25));
        record.start = at;
        at = if random.u8(..20) == 0 { random.u64(..9000) } else { at + random.u64(..900) };
        record.end = at;
        record.start_generation = random.u16(..3);
        record.end_generation = random.u16(..3);
        let pool = builder.source().attributes.len() as u32;
        record.attributes_start = random.u32(..=pool);
        record.attributes_len = random.u32(..=pool - record.attributes_start) as u16;
        if random.u8(..4) == 0 {
            record.rare = builder.source().rare.len() as u32;
            let rare = RareFields {
                trace_id: random.u128(..).to_le_bytes(),
                span_id: random.u64(..).to_le_bytes(),
                flags: random.u32(..),
                observed: UnixNanos(u64::from(index)),
                event_name: random.bool().then(|| slice(random)),
                uid: random.bool().then(|| slice(random)),
                ..RareFields::default()
            };
            builder.source().rare.push(rare);
        }
        builder.source().records.push(record);
    }
    let mut batch = builder.build();
    if random.bool() {
        edit(random, &mut batch, Slice::new(objects, 0, object.len() as u32), names);
    }
    for index in 0..batch.records().len() {
        if random.u8(..5) == 0 {
            batch.selection.remove(index);
        }
    }
    batch
}

fn edit(random: &mut fastrand::Rng, batch: &mut LogBatch, object: Slice, names: &Names) {
    let added = batch.add_chunk(Chunk::from_static(b"\"added\"\"redacted\""));
    let known = names.intern(&["deep", "er"]).expect("room");
    let source = batch.source().attributes.clone();
    for index in 0..batch.records().len() {
        let record = batch.records()[index];
        let (overlay, _) = batch.edit();
        let state = &mut overlay.states[index];
        state.severity = Severity(random.u8(..25));
        state.time = if random.bool() { record.time } else { UnixNanos(random.u64(..)) };
        if random.bool() {
            state.object = object;
            state.body = Slice::EMPTY;
            let edits = [FieldEdit::Original, FieldEdit::Replaced, FieldEdit::Deleted];
            for edit in edits.into_iter().filter(|_| random.bool()).collect::<Vec<_>>() {
                let value = if edit == FieldEdit::Replaced { Slice::new(added, 7, 10) } else { object.sub(20, 21) };
                let name = random.bool().then_some(known);
                let key = object.sub(16, 19);
                let member = (16, 21);
                overlay
                    .push_field(index, Field { name, kind: JsonKind::Number, edit, nested: false, key, value, member });
            }
            if random.bool() {
                overlay.push_cut(index, Cut { from: 9, to: 15, with: Slice::new(added, 0, 7) });
            }
        }
        if random.bool() {
            let key = Slice::new(added, 0, 7);
            let own = &source[record.attributes_start as usize..][..usize::from(record.attributes_len)];
            overlay.push_attribute(index, own, Attribute { key, value: Value::Text(Slice::new(added, 7, 10)) });
        }
    }
}

pub(super) fn traces(random: &mut fastrand::Rng) -> TraceBatch {
    let span = |random: &mut fastrand::Rng| Span {
        trace_id: random.u128(1..).to_le_bytes().to_vec(),
        span_id: random.u64(1..).to_le_bytes().to_vec(),
        name: "x".repeat(random.usize(..40)),
        ..Span::default()
    };
    let spans: Vec<Span> = (0..random.usize(..9)).map(|_| span(random)).collect();
    let count = spans.len();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let mut batch = index(Chunk::from_vec(request)).expect("a valid request").batch;
    (0..count).filter(|_| random.u8(..4) == 0).for_each(|index| batch.selection.remove(index));
    batch
}

/// Lists of some of a few series, so that lists define, repeat and reorder them.
pub(super) fn series(random: &mut fastrand::Rng, table: &Arc<SeriesTable>) -> Arc<SeriesList> {
    let mut builder = ListBuilder::default();
    let help = Family { name: "f".into(), kind: MetricKind::Counter, help: "Helps.".into(), unit: "".into() };
    let family = table.family(&help);
    for _ in 0..random.usize(..30) {
        let number = random.u8(..40).to_string();
        let labels: LabelSet = [("__name__", "f_total"), ("n", &number)].into_iter().collect();
        builder.labels(&labels, if random.bool() { family } else { FamilyId::default() });
    }
    table.list_with_repeats(&builder).list
}

pub(super) fn metrics(
    random: &mut fastrand::Rng,
    resources: &[Arc<Resource>],
    lists: &[Arc<SeriesList>],
) -> MetricBatch {
    let list = lists[random.usize(..lists.len())].clone();
    let mut builder = MetricBuilder::new();
    let columns = builder.samples();
    columns.time = UnixMillis(random.i64(..));
    let values = [0.0, 1.0, 1e300, 4711.0, 0.1, STALE, f64::NAN, -0.0, f64::INFINITY];
    columns.values.extend((0..list.len()).map(|_| values[random.usize(..values.len())]));
    if random.bool() {
        columns.times.extend((0..list.len()).map(|_| UnixMillis(random.i64(..))));
    }
    let exemplar: LabelSet = [("trace_id", "abc")].into_iter().collect();
    exemplar.encode(&mut columns.text);
    for sample in 0..list.len() as u32 {
        match random.u8(..6) {
            0 => {
                let buckets = (0..random.usize(..4)).map(|_| random.i64(..)).collect::<Vec<_>>();
                let spans = vec![BucketSpan { offset: random.i32(..), length: buckets.len() as u32 }];
                let floats = buckets.iter().map(|bucket| *bucket as f64).collect();
                let counts = match random.bool() {
                    true => Counts::Integer { count: 9, zero: 1, positive: buckets, negative: Vec::new() },
                    false => Counts::Float { count: 9.5, zero: 1.0, positive: floats, negative: vec![0.5] },
                };
                let histogram = Histogram {
                    schema: random.i32(-4..9),
                    zero_threshold: 0.001,
                    sum: random.f64(),
                    counts,
                    positive_spans: spans,
                    negative_spans: Vec::new(),
                    custom_bounds: vec![1.0, 2.0],
                    reset_hint: ResetHint::No,
                };
                columns.histograms.push((sample, Arc::new(histogram)));
            }
            1 => {
                let time = random.bool().then(|| UnixMillis(random.i64(..)));
                let labels = 0..columns.text.len() as u32;
                columns.exemplars.push(Exemplar {
                    sample,
                    labels: labels.clone(),
                    line: 0..3,
                    value: random.f64(),
                    time,
                });
                // What is nothing but a line is for pages, which no disk queue is before.
                columns.exemplars.push(Exemplar { sample, labels: 0..0, line: labels, value: 0.5, time });
            }
            2 => columns.created.push((sample, UnixMillis(random.i64(..)))),
            _ => {}
        }
    }
    let mut batch = builder.build(resources[random.usize(..resources.len())].clone(), list);
    if random.bool() {
        (0..batch.selection.len()).filter(|_| random.u8(..5) == 0).for_each(|index| batch.selection.remove(index));
    }
    batch
}
