//! What comes back is what went in, and damage costs what stands behind it and nothing else.

mod random;
mod seen;

use proptest::prelude::*;

use super::*;
use crate::data::logs::RareFields;
use crate::data::resource::ResourceValue;
use crate::data::series_table::{FamilyId, ListBuilder};
use crate::data::{LabelSet, LogBuilder, LogRecord, MetricBuilder, Resource, Scope, Severity, Slice, UnixMillis};
use random::{logs, metrics, series, traces};
use seen::seen;

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
