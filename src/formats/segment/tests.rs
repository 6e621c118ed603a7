//! What comes back is what went in, and damage costs what stands behind it and nothing else.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::data::histogram::{BucketSpan, Counts, Histogram, ResetHint};
use crate::data::logs::RareFields;
use crate::data::metrics::{Exemplar, Family, STALE, SampleValue};
use crate::data::resource::ResourceValue;
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList};
use crate::data::{
    Attribute, Cut, Field, FieldEdit, Generation, JsonKind, LabelSet, LogBatch, LogBuilder, LogRecord, MetricBatch,
    MetricBuilder, MetricKind, Resource, Scope, Severity, Slice, TraceBatch, UnixMillis, Value,
};
use crate::formats::document::{DocumentEncoder, Form, Layout};
use crate::formats::elasticsearch::id;
use crate::formats::otlp::traces::index;

/// A batch of random records, with everything that a record can have.
fn logs(random: &mut fastrand::Rng, resources: &[Arc<Resource>], names: &Names) -> LogBatch {
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

fn traces(random: &mut fastrand::Rng) -> TraceBatch {
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
fn series(random: &mut fastrand::Rng, table: &Arc<SeriesTable>) -> Arc<SeriesList> {
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

fn metrics(random: &mut fastrand::Rng, resources: &[Arc<Resource>], lists: &[Arc<SeriesList>]) -> MetricBatch {
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
            traces.selection.iter().for_each(|index| out += &format!("{:?}\n", traces.span(index)));
        }
        Batch::Metrics(metrics) => {
            out += &format!("{:?}\n", metrics.resource.attributes().collect::<Vec<_>>());
            let table = metrics.series().table().read();
            for sample in metrics.iter() {
                let value = match sample.value {
                    SampleValue::Float(value) => format!("{:x}", value.to_bits()),
                    SampleValue::Histogram(histogram) => format!("{histogram:?}"),
                };
                let exemplars = metrics.exemplars(sample.index).iter().filter(|one| one.leaves());
                let exemplars = exemplars.map(|one| (metrics.exemplar_labels(one), one.value, one.time));
                out += &format!(
                    "{:?} {:?} {:?} {value} {:?} {:?}\n",
                    table.labels(sample.series),
                    table.family(sample.series),
                    sample.time,
                    exemplars.collect::<Vec<_>>(),
                    metrics.created(sample.index)
                );
            }
        }
    }
    out
}

/// A segment of random messages, what a sink sees of each, and where each ends.
fn segment(seed: u64, names: &Arc<Names>) -> (Vec<u8>, Vec<String>, Vec<usize>) {
    segment_of(frame::VERSION, seed, names)
}

fn segment_of(version: u16, seed: u64, names: &Arc<Names>) -> (Vec<u8>, Vec<String>, Vec<usize>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let resource = |n: i64| {
        let values = [("k8s.pod.name", ResourceValue::from("web")), ("n", ResourceValue::Int(n))];
        Arc::new(Resource::new(values.map(|(key, value)| (key.into(), value))))
    };
    let resources: Vec<_> = (0..3).map(resource).collect();
    let table = SeriesTable::new(1000);
    let lists: Vec<_> = (0..3).map(|_| series(&mut random, &table)).collect();
    let inputs: [Arc<str>; 2] = ["file/a".into(), "steps/b.errors".into()];
    let (mut encoder, mut bytes) = (Encoder::new(names.clone()), Vec::new());
    encoder.begin(Header { version, ..Header::new(7, UnixNanos(5)) }, &mut bytes);
    let (mut expected, mut ends, mut sequence) = (Vec::new(), vec![bytes.len()], 6);
    for _ in 0..random.usize(1..6) {
        let batch = match random.u8(..6) {
            0 => Batch::Traces(traces(&mut random)),
            1 | 2 => Batch::Metrics(metrics(&mut random, &resources, &lists)),
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
    let mut decoder = Decoder::new(names.clone(), SeriesTable::new(1000));
    decoder.begin(frames.header());
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
        Header::new(0, UnixNanos(0)).write(&mut segment);
        let at = segment.len();
        segment.resize(at + HEAD_LEN, 0);
        let packed = bytes.first().is_some_and(|byte| byte % 4 == 0);
        let detailed = bytes.first().is_some_and(|byte| byte % 8 < 4);
        let length = bytes.len();
        segment.append(&mut bytes);
        let kind = [Kind::Logs, Kind::Metrics, Kind::Traces][usize::from(kind) - 1];
        let (accepted, first_attempt, defines) = (UnixNanos(0), None, false);
        let head = Head { kind, packed, defines, detailed, count: 1, sequence: 3, accepted, first_attempt, length };
        head.seal(&mut segment[at..]);
        let names = Arc::new(Names::default());
        let frames = Frames::new(&segment).expect("a header");
        let mut decoder = Decoder::new(names, SeriesTable::new(1000));
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
        let mut decoder = Decoder::new(names.clone(), SeriesTable::new(1000));
        let (last, before) = frames.split_last().expect("a record");
        for frame in before.iter().filter(|frame| frame.head.defines) {
            decoder.decode(frame).expect("whole");
        }
        let Stored { input, batch } = decoder.decode(last).expect("whole");
        assert!(expected[before.len()].ends_with(&seen(&batch, &input, &names)), "seed {seed}");
    }
}

#[test]
fn what_only_pushed_records_have_comes_back() {
    let names = Arc::new(Names::default());
    let scope = Scope {
        name: "shop".into(),
        version: "2".into(),
        attributes: vec![("team".into(), ResourceValue::Json("[1]".into())), ("n".into(), ResourceValue::Int(-1))],
        schema_url: "https://example.org/2".into(),
    };
    let resource = Resource::new([("k".into(), "v".into())]).with_schema_url("https://example.org/1");
    let (scope, resource) = (Arc::new(scope), Arc::new(resource));
    let mut encoder = Encoder::new(names.clone());
    let mut bytes = Vec::new();
    encoder.begin(Header::new(1, UnixNanos(0)), &mut bytes);
    for sequence in 1..=3 {
        let mut builder = LogBuilder::new(resource.clone(), scope.clone());
        let chunk = builder.add_chunk(Chunk::from_static(b"before {\"a\":1} Warning typed behind"));
        let rare = RareFields {
            severity_text: Some(Slice::new(chunk, 15, 7)),
            typed_body: Some(Slice::new(chunk, 23, 5)),
            dropped_attributes: 70_000,
            ..RareFields::default()
        };
        for index in 0..2 {
            builder.source().rare.push(rare);
            let body = LogRecord::of_body(Slice::new(chunk, 7, 7));
            builder.source().records.push(LogRecord { severity: Severity(13), rare: index, ..body });
        }
        let mut batch = builder.build();
        if sequence > 1 {
            let edited = batch.add_chunk(Chunk::from_static(b"edited"));
            batch.edit().0.states[1].body = Slice::new(edited, 0, 6);
        }
        let batch = &Batch::Logs(batch);
        let entry = Entry { sequence, accepted: UnixNanos(1), first_attempt: None, input: &Arc::from("in/x"), batch };
        encoder.append(&entry, &mut bytes).expect("storable");
    }
    let mut decoder = Decoder::new(names, SeriesTable::new(10));
    for (index, frame) in Frames::new(&bytes).expect("a header").enumerate() {
        let Stored { batch: Batch::Logs(batch), .. } = decoder.decode(&frame).expect("whole") else { panic!("logs") };
        assert_eq!(batch.scope, scope);
        assert_eq!(batch.resource.schema_url(), "https://example.org/1");
        let [first, second] = [0, 1].map(|index| batch.view(index));
        for view in [first, second] {
            assert_eq!(view.severity_text(), b"Warning");
            assert_eq!(batch.rare(view.record).map(|rare| rare.dropped_attributes), Some(70_000));
        }
        assert_eq!((first.body(), first.typed_body()), (&b"{\"a\":1}"[..], Some(&b"typed"[..])));
        let edited = (&b"edited"[..], None);
        assert_eq!(
            (second.body(), second.typed_body()),
            if index > 0 { edited } else { (first.body(), first.typed_body()) }
        );
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
    Header::new(1, UnixNanos(2)).write(&mut bytes);
    assert_eq!(Header::read(&bytes), Ok(Header::new(1, UnixNanos(2))));
    assert_eq!(Header::read(&bytes[..20]), Err(HeaderError::Damaged));
    bytes[8] = 3;
    assert_eq!(Header::read(&bytes), Err(HeaderError::Version(3)));
    assert_eq!(Header::read(b"TWCHECKP and more"), Err(HeaderError::Magic));
}

#[test]
fn text_shrinks_and_a_resource_is_written_once_a_segment() {
    let line = "the same words again and again ".repeat(100);
    let resource = Arc::new(Resource::new([("k".into(), ResourceValue::from("v".repeat(4000)))]));
    let mut encoder = Encoder::new(Arc::default());
    let mut bytes = Vec::new();
    encoder.begin(Header::new(1, UnixNanos(0)), &mut bytes);
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

/// The fuzzer's seeds are segments as each version wrote them: what a later one writes must not keep it from
/// reading these.
#[test]
fn segments_of_this_version_and_the_one_before_are_read_for_ever() {
    let folder = std::path::Path::new("fuzz/seeds/disk_segment");
    for (version, seed) in [1, 2].into_iter().flat_map(|version| (1..=4).map(move |seed| (version, seed))) {
        let path =
            folder.join(if version == 1 { format!("{seed}.segment") } else { format!("v{version}-{seed}.segment") });
        let names = Arc::new(Names::default());
        let (bytes, expected, _) = segment_of(version, seed, &names);
        if std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some() {
            std::fs::write(&path, &bytes).expect("written");
        }
        let kept = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(Header::read(&kept).expect("a header").version, version);
        assert_eq!(read(&kept, &names), expected, "{}", path.display());
    }
}

#[test]
fn samples_of_a_known_list_cost_little_more_than_their_values() {
    let table = SeriesTable::new(10_000);
    let mut builder = ListBuilder::default();
    for number in 0..5000 {
        let number = number.to_string();
        let labels: LabelSet = [("__name__", "http_requests_total"), ("path", &number)].into_iter().collect();
        builder.labels(&labels, FamilyId::default());
    }
    let list = table.list(&builder).list;
    let (mut encoder, mut bytes) = (Encoder::new(Arc::default()), Vec::new());
    encoder.begin(Header::new(1, UnixNanos(0)), &mut bytes);
    let (resource, input) = (Arc::default(), Arc::from("prometheus_scrape/x"));
    let mut before = 0;
    for sequence in 1..=3 {
        before = bytes.len();
        let mut builder = MetricBuilder::new();
        builder.samples().time = UnixMillis(1_700_000_000_000 + sequence as i64);
        builder.samples().values.extend((0..5000).map(|number| f64::from(number * 17) + sequence as f64));
        let batch = &Batch::Metrics(builder.build(Arc::clone(&resource), list.clone()));
        let entry = Entry { sequence, accepted: UnixNanos(1), first_attempt: None, input: &input, batch };
        encoder.append(&entry, &mut bytes).expect("storable");
    }
    assert!(bytes.len() - before < 5000 * 5, "{} bytes for 5000 samples", bytes.len() - before);
}

#[test]
fn a_full_table_costs_nothing_that_was_stored() {
    let names = Arc::new(Names::default());
    let large = SeriesTable::new(100);
    let mut builder = ListBuilder::default();
    for number in 0..6 {
        builder.labels(&[("n", &*number.to_string())].into_iter().collect(), FamilyId::default());
    }
    let list = large.list(&builder).list;
    let (mut encoder, mut bytes) = (Encoder::new(names.clone()), Vec::new());
    encoder.begin(Header::new(1, UnixNanos(0)), &mut bytes);
    for sequence in 1..=2 {
        let mut builder = MetricBuilder::new();
        builder.samples().values.extend([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let mut batch = builder.build(Arc::default(), list.clone());
        batch.selection.remove(0);
        let input = &Arc::from("in/x");
        let batch = &Batch::Metrics(batch);
        let entry = Entry { sequence, accepted: UnixNanos(1), first_attempt: None, input, batch };
        encoder.append(&entry, &mut bytes).expect("storable");
    }
    let small = SeriesTable::new(4);
    let mut decoder = Decoder::new(names, small.clone());
    for frame in Frames::new(&bytes).expect("a header") {
        let Stored { batch: Batch::Metrics(batch), .. } = decoder.decode(&frame).expect("whole") else {
            panic!("metrics")
        };
        let shown =
            batch.iter().map(|sample| (small.read().labels(sample.series).get("n").map(str::to_owned), sample.value));
        let shown: Vec<_> = shown.map(|(label, value)| format!("{} {value:?}", label.unwrap_or_default())).collect();
        assert_eq!(shown, (1..6).map(|n| format!("{n} Float({n_plus}.0)", n_plus = n + 1)).collect::<Vec<_>>());
    }
    assert_eq!(small.refused(), 0);
}
