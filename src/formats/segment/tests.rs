//! What comes back is what went in, and damage costs what stands behind it and nothing else.

use proptest::prelude::*;

use super::*;
use crate::data::logs::RareFields;
use crate::data::resource::ResourceValue;
use crate::data::traces::SpanEntry;
use crate::data::{
    Attribute, Cut, Field, FieldEdit, Generation, JsonKind, LogBatch, LogBuilder, LogRecord, Resource, Scope, Severity,
    Slice, TraceBatch, Value,
};
use crate::formats::document::{DocumentEncoder, Form, Layout};
use crate::formats::elasticsearch::id;

/// A batch of random records, with everything that a record can have.
fn logs(random: &mut fastrand::Rng, resources: &[Arc<Resource>], names: &Names) -> LogBatch {
    let resource = resources[random.usize(..resources.len())].clone();
    let mut builder = LogBuilder::new(resource, Arc::new(Scope { name: "s".into(), version: "1".into() }));
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

fn traces(random: &mut fastrand::Rng) -> TraceBatch {
    let request: Vec<u8> = (0..random.usize(..500)).map(|_| random.u8(..)).collect();
    let length = request.len() as u32;
    let span = |random: &mut fastrand::Rng| SpanEntry {
        message: Slice::new(0, length / 2, random.u32(..=length / 2)),
        trace_id: random.u128(..).to_le_bytes(),
        span_id: random.u64(..).to_le_bytes(),
        start: UnixNanos(random.u64(..)),
        end: UnixNanos(random.u64(..)),
        resource: random.u16(..),
        scope: random.u16(..),
        kind: random.u8(..),
        status: random.u8(..),
    };
    let spans: Vec<SpanEntry> = (0..random.usize(..9)).map(|_| span(random)).collect();
    let count = spans.len();
    let mut batch = TraceBatch::new(Chunk::from_vec(request), spans.into());
    (0..count).filter(|_| random.u8(..4) == 0).for_each(|index| batch.selection.remove(index));
    batch
}

/// Everything that a sink can see of a batch, in one text.
fn seen(batch: &Batch, input: &Arc<str>, names: &Names) -> String {
    let mut out = format!("{input} {}\n", batch.count());
    match batch {
        Batch::Logs(logs) => {
            let resource: Vec<_> = logs.resource.attributes().collect();
            out += &format!("{resource:?} {:?}\n", logs.scope);
            for view in logs.iter() {
                let bytes = |slice: Slice| view.bytes(slice).to_vec();
                let attributes = view.attributes().iter().map(|Attribute { key, value }| match *value {
                    Value::Text(slice) | Value::Json(slice) | Value::Bytes(slice) => (bytes(*key), bytes(slice), 0),
                    Value::Int(number) => (bytes(*key), Vec::new(), number.cast_unsigned()),
                    Value::Double(number) => (bytes(*key), Vec::new(), number.to_bits()),
                    Value::Bool(yes) => (bytes(*key), Vec::new(), u64::from(yes)),
                });
                let rare = logs.rare(view.record).map(|rare| {
                    let names = (rare.event_name.map(bytes), rare.uid.map(bytes));
                    (rare.trace_id, rare.span_id, rare.flags, rare.observed, names)
                });
                let fields = view.fields().iter().map(|field| {
                    let Field { kind, edit, nested, member, .. } = field;
                    let path = field.name.map(|name| names.path(name));
                    (path, kind, edit, nested, member, bytes(field.key), bytes(field.value))
                });
                let cuts = view.cuts().iter().map(|cut| (cut.from, cut.to, bytes(cut.with)));
                out += &format!(
                    "{:?}\n",
                    (
                        (view.time(), view.record.time, view.severity(), view.body(), view.object()),
                        (view.record.start, view.record.end),
                        (logs.start_generation(view.record), logs.end_generation(view.record)),
                        attributes.collect::<Vec<_>>(),
                        rare,
                        fields.collect::<Vec<_>>(),
                        cuts.collect::<Vec<_>>(),
                        id::of_position(&view, input),
                    )
                );
            }
            let mut documents = DocumentEncoder::new(Layout::Otel);
            documents.begin(logs, UnixNanos(1));
            let mut text = Vec::new();
            for view in logs.iter() {
                documents.write(&view, Form::Spliced, &mut text);
            }
            out += &String::from_utf8_lossy(&text);
        }
        Batch::Traces(traces) => {
            out += &format!("{:?}\n", traces.request().as_slice());
            traces.selection.iter().for_each(|index| out += &format!("{:?}\n", traces.spans()[index]));
        }
        Batch::Metrics(_) => {}
    }
    out
}

/// A segment of random messages, what a sink sees of each, and where each ends.
fn segment(seed: u64, names: &Arc<Names>) -> (Vec<u8>, Vec<String>, Vec<usize>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let resource = |n: i64| {
        let values = [("k8s.pod.name", ResourceValue::from("web")), ("n", ResourceValue::Int(n))];
        Arc::new(Resource::new(values.map(|(key, value)| (key.into(), value))))
    };
    let resources: Vec<_> = (0..3).map(resource).collect();
    let inputs: [Arc<str>; 2] = ["file/a".into(), "steps/b.errors".into()];
    let (mut encoder, mut bytes) = (Encoder::new(names.clone()), Vec::new());
    encoder.begin(Header { first: 7, created: UnixNanos(5) }, &mut bytes);
    let (mut expected, mut ends, mut sequence) = (Vec::new(), vec![bytes.len()], 6);
    for _ in 0..random.usize(1..6) {
        let batch = match random.u8(..4) {
            0 => Batch::Traces(traces(&mut random)),
            _ => Batch::Logs(logs(&mut random, &resources, names)),
        };
        sequence += random.u64(1..4);
        let input = &inputs[random.usize(..2)];
        let first_attempt = random.bool().then_some(UnixNanos(99));
        let entry = Entry { sequence, accepted: UnixNanos(random.u64(..)), first_attempt, input, batch: &batch };
        encoder.append(&entry, &mut bytes).expect("storable");
        expected.push(format!("{sequence} {first_attempt:?} {}", seen(&batch, input, names)));
        ends.push(bytes.len());
    }
    (bytes, expected, ends)
}

fn read(bytes: &[u8], names: &Arc<Names>) -> Vec<String> {
    let Ok(frames) = Frames::new(bytes) else { return Vec::new() };
    let mut decoder = Decoder::new(names.clone());
    let mut messages = Vec::new();
    for frame in frames {
        let Ok(Stored { input, batch }) = decoder.decode(&frame) else { break };
        let Head { sequence, first_attempt, .. } = frame.head;
        messages.push(format!("{sequence} {first_attempt:?} {}", seen(&batch, &input, names)));
    }
    messages
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_sink_sees_the_same_after_the_disk(seed: u64) {
        let names = Arc::new(Names::default());
        let (bytes, expected, _) = segment(seed, &names);
        prop_assert_eq!(read(&bytes, &names), expected);
    }

    #[test]
    fn damage_anywhere_costs_what_stands_behind_it(seed: u64, at: proptest::sample::Index, bit in 0u8..8, cut: bool) {
        let names = Arc::new(Names::default());
        let (mut bytes, expected, ends) = segment(seed, &names);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        let whole = ends.iter().filter(|end| **end <= at).count().saturating_sub(1);
        prop_assert_eq!(read(&bytes, &names), &expected[..whole]);
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 1u8..4) {
        // A record whose checksum fits, whatever it holds.
        let mut segment = Vec::new();
        Header { first: 0, created: UnixNanos(0) }.write(&mut segment);
        let at = segment.len();
        segment.resize(at + HEAD_LEN, 0);
        let packed = bytes.first().is_some_and(|byte| byte % 4 == 0);
        let length = bytes.len();
        segment.append(&mut bytes);
        let kind = [Kind::Logs, Kind::Metrics, Kind::Traces][usize::from(kind) - 1];
        let (accepted, first_attempt, defines) = (UnixNanos(0), None, false);
        let head = Head { kind, packed, defines, count: 1, sequence: 3, accepted, first_attempt, length };
        head.seal(&mut segment[at..]);
        let names = Arc::new(Names::default());
        let frames = Frames::new(&segment).expect("a header");
        let mut decoder = Decoder::new(names);
        for frame in frames {
            let _ = decoder.decode(&frame);
        }
    }
}

#[test]
fn what_defines_nothing_need_not_be_decoded() {
    let names = Arc::new(Names::default());
    for seed in 0..50 {
        let (bytes, expected, _) = segment(seed, &names);
        let frames: Vec<_> = Frames::new(&bytes).expect("a header").collect();
        let mut decoder = Decoder::new(names.clone());
        let (last, before) = frames.split_last().expect("a record");
        for frame in before.iter().filter(|frame| frame.head.defines) {
            decoder.decode(frame).expect("whole");
        }
        let Stored { input, batch } = decoder.decode(last).expect("whole");
        assert!(expected[before.len()].ends_with(&seen(&batch, &input, &names)), "seed {seed}");
    }
}

#[test]
fn paths_are_found_again_by_their_words() {
    let before = Arc::new(Names::default());
    let (bytes, expected, _) = segment(11, &before);
    let after = Arc::new(Names::default());
    for other in ["x", "y"] {
        after.intern(&[other]).expect("room");
    }
    after.intern(&["deep", "er"]).expect("room");
    assert_eq!(read(&bytes, &after), expected);
}

#[test]
fn other_files_and_other_versions_are_told_apart() {
    let mut bytes = Vec::new();
    Header { first: 1, created: UnixNanos(2) }.write(&mut bytes);
    assert_eq!(Header::read(&bytes), Ok(Header { first: 1, created: UnixNanos(2) }));
    assert_eq!(Header::read(&bytes[..20]), Err(HeaderError::Damaged));
    bytes[8] = 2;
    assert_eq!(Header::read(&bytes), Err(HeaderError::Version(2)));
    assert_eq!(Header::read(b"TWCHECKP and more"), Err(HeaderError::Magic));
}

#[test]
fn text_shrinks_and_a_resource_is_written_once_a_segment() {
    let line = "the same words again and again ".repeat(100);
    let resource = Arc::new(Resource::new([("k".into(), ResourceValue::from("v".repeat(4000)))]));
    let mut encoder = Encoder::new(Arc::default());
    let mut bytes = Vec::new();
    encoder.begin(Header { first: 1, created: UnixNanos(0) }, &mut bytes);
    for sequence in 1..=50 {
        let mut builder = LogBuilder::new(resource.clone(), Arc::default());
        let chunk = builder.add_chunk(Chunk::from_vec(line.clone().into_bytes()));
        builder.source().records.push(LogRecord::of_body(Slice::new(chunk, 0, line.len() as u32)));
        let input = &Arc::from("file/a");
        let batch = &Batch::Logs(builder.build());
        let entry = Entry { sequence, accepted: UnixNanos(1), first_attempt: None, input, batch };
        encoder.append(&entry, &mut bytes).expect("storable");
    }
    assert!(bytes.len() < 50 * 200, "{} bytes", bytes.len());
    assert_eq!(read(&bytes, &Arc::default()).len(), 50);
}
