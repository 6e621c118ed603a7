//! The messages: goldens of their bytes, and read by prost, which knows nothing of the agent's encoder.

use proptest::prelude::*;
use tailwater::data::histogram::Counts as Buckets;
use tailwater::data::metrics::STALE;
use tailwater::data::{LabelSet, MetricBatch, MetricKind, SeriesTable, UnixMillis};
use tailwater::formats::prometheus::remote_write::{
    Body, Compressor, Counts, EncodeOptions, Encoder, Limits, Part, ReadMetadata, Receive, Relabel, Version, decode,
};

use crate::http::Message;
use crate::remote_write_proto::{self as proto, Written, WrittenSample, WrittenValue};
use crate::samples::{Labels, Made, Value, batch, custom_histogram, family, integer_histogram, labels, number};

fn everything() -> EncodeOptions {
    EncodeOptions { exemplars: true, metadata: true, ..EncodeOptions::default() }
}

fn encode(encoder: &mut Encoder, batches: &[MetricBatch], bodies: &mut [Body]) {
    let shards = bodies.len();
    for batch in batches {
        let part = Part::whole(batch, shards, usize::MAX);
        let read = batch.series().table().read();
        let encoded = encoder.encode(batch, &read, &part, &mut Compressor::default(), bodies);
        assert_eq!(encoded.next, batch.selection.len());
    }
}

/// As prost reads it.
fn read(version: Version, body: &mut Body) -> Written {
    let request = body.finish(&mut Compressor::default(), Vec::new());
    let headers = [("content-encoding", "snappy"), ("content-type", version.content_type())];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let message = Message { first_line: String::new(), headers, body: request.as_ref().to_vec() };
    let written = proto::decode(&message).expect("a request as the specification has it");
    let histograms = written.samples.iter().filter(|sample| matches!(sample.value, WrittenValue::Histogram(_))).count();
    let counts = Counts {
        samples: (written.samples.len() - histograms) as u64,
        histograms: histograms as u64,
        exemplars: written.exemplars.len() as u64,
    };
    assert_eq!(request.counts, counts);
    assert_eq!(snap::raw::decompress_len(request.as_ref()).expect("snappy"), request.uncompressed);
    written
}

fn histogram_of(value: &tailwater::data::Histogram, millis: i64, start: i64) -> proto::Histogram {
    let spans = |spans: &[tailwater::data::histogram::BucketSpan]| {
        spans.iter().map(|span| proto::BucketSpan { offset: span.offset, length: span.length }).collect()
    };
    let mut message = proto::Histogram {
        sum: value.sum,
        schema: value.schema,
        zero_threshold: value.zero_threshold,
        negative_spans: spans(&value.negative_spans),
        positive_spans: spans(&value.positive_spans),
        reset_hint: value.reset_hint as i32,
        timestamp: millis,
        custom_values: value.custom_bounds.clone(),
        start_timestamp: start,
        ..proto::Histogram::default()
    };
    match value.counts.clone() {
        Buckets::Integer { count, zero, positive, negative } => {
            (message.count_int, message.zero_count_int) = (Some(count), Some(zero));
            (message.positive_deltas, message.negative_deltas) = (positive, negative);
        }
        Buckets::Float { count, zero, positive, negative } => {
            (message.count_float, message.zero_count_float) = (Some(count), Some(zero));
            (message.positive_counts, message.negative_counts) = (positive, negative);
        }
    }
    message
}

/// What a receiver must see of these samples.
fn expected(version: Version, made: &[Made]) -> Written {
    let mut written = Written::default();
    for sample in made {
        let start = if version == Version::V2 { sample.created.unwrap_or(0) } else { 0 };
        let value = match &sample.value {
            Value::Number(value) => WrittenValue::Number(value.to_bits()),
            Value::Histogram(value) => WrittenValue::Histogram(Box::new(histogram_of(value, sample.millis, start))),
        };
        let labels = sample.labels.clone();
        written.samples.push(WrittenSample { labels, millis: sample.millis, start_millis: start, value });
        for (own, value, millis) in &sample.exemplars {
            written.exemplars.push((sample.labels.clone(), own.clone(), *value, *millis));
        }
        let (of, known) = match version {
            Version::V1 => (sample.family.name.to_string(), !sample.family.name.is_empty()),
            Version::V2 => {
                let family = &sample.family;
                let known = family.kind != MetricKind::Unknown || !family.help.is_empty() || !family.unit.is_empty();
                (sample.labels["__name__"].clone(), known)
            }
        };
        if known {
            let kind = sample.family.kind as i32;
            let (help, unit) = (sample.family.help.to_string(), sample.family.unit.to_string());
            written.metadata.insert(of, proto::WrittenMetadata { kind, help, unit });
        }
    }
    written
}

fn mixed() -> Vec<Made> {
    let requests = family("http_requests", MetricKind::Counter, "Requests.", "");
    let exemplar = (labels([("trace_id", "abc"), ("span", "7")]), 0.5, 1_700_000_000_123);
    let mut counter = number("http_requests_total", "a:1", 1_700_000_000_000, 3.0);
    (counter.family, counter.created, counter.exemplars) = (requests.clone(), Some(1_600_000_000_001), vec![exemplar]);
    let mut again = number("http_requests_total", "b:1", 1_700_000_000_000, STALE);
    again.family = requests;
    let mut native = number("latency_seconds", "a:1", 1_700_000_000_000, 0.0);
    native.value = Value::Histogram(integer_histogram());
    native.family = family("latency_seconds", MetricKind::Histogram, "Latency.", "seconds");
    native.created = Some(1_600_000_000_002);
    let mut custom = number("size", "a:1", -5, 0.0);
    custom.value = Value::Histogram(custom_histogram());
    custom.exemplars = vec![(labels([]), 2.0, 1), (labels([("instance", "a:1")]), 3.0, 2)];
    vec![counter, again, native, custom, number("up", "a:1", 0, -0.0)]
}

#[test]
fn both_versions_say_everything_of_a_batch() {
    for version in [Version::V1, Version::V2] {
        let table = SeriesTable::new(100);
        let mut encoder = Encoder::new(version, everything());
        let made = mixed();
        let batches = [batch(&table, &made)];
        let mut bodies = [Body::new()];
        // The second time everything is known already, and the request is a fresh one all the same.
        for _ in 0..2 {
            encoder.repeat_metadata();
            encode(&mut encoder, &batches, &mut bodies);
            assert_eq!(read(version, &mut bodies[0]), expected(version, &made), "{version:?}");
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_goldens() {
    for (version, name) in [(Version::V1, "v1"), (Version::V2, "v2")] {
        let table = SeriesTable::new(100);
        let mut encoder = Encoder::new(version, everything());
        let mut bodies = [Body::uncompressed()];
        encode(&mut encoder, &[batch(&table, &mixed())], &mut bodies);
        let mut text = String::new();
        for line in bodies[0].plain().chunks(16) {
            text.push_str(&line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "));
            text.push('\n');
        }
        let path = format!("{}/tests/formats/remote_write/{name}.hex", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some() {
            std::fs::write(&path, &text).expect("a golden");
        }
        assert_eq!(text, std::fs::read_to_string(&path).expect("a golden"), "{name}");
    }
}

struct DropAndRename;

impl Relabel for DropAndRename {
    fn relabel(&mut self, labels: &mut LabelSet) -> bool {
        if labels.get("instance") == "dropped" {
            return false;
        }
        if labels.get("__name__") == "old" {
            labels.set("__name__", "new_and_longer");
            labels.remove("cluster");
        }
        true
    }
}

#[test]
fn external_labels_replace_none_and_relabelling_sees_them() {
    let external = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    };
    let cases = [
        (external(&[("cluster", "eu"), ("zone", "1")]), false),
        (external(&[("A", "first"), ("instance", "never")]), false),
        (external(&[("cluster", "eu"), ("zone", "1")]), true),
    ];
    for (version, (external, relabel)) in
        [Version::V1, Version::V2].into_iter().flat_map(|v| cases.clone().into_iter().map(move |case| (v, case)))
    {
        let table = SeriesTable::new(100);
        let relabel: Option<Box<dyn Relabel>> = if relabel { Some(Box::new(DropAndRename)) } else { None };
        let renames = relabel.is_some();
        let mut encoder = Encoder::new(version, EncodeOptions { external: external.clone(), relabel, ..everything() });
        let mut own = number("old", "a", 1, 1.0);
        own.labels.insert("zone".into(), "own".into());
        let mut made = vec![number("up", "a", 1, 1.0), own, number("up", "dropped", 1, 2.0)];
        let batches = [batch(&table, &made)];
        for sample in &mut made {
            for (name, value) in &external {
                sample.labels.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        if renames {
            made.pop();
            made[1].labels.insert("__name__".into(), "new_and_longer".into());
            made[1].labels.remove("cluster");
        }
        let mut bodies = [Body::new()];
        for _ in 0..2 {
            encode(&mut encoder, &batches, &mut bodies);
            assert_eq!(read(version, &mut bodies[0]), expected(version, &made), "{version:?} {external:?}");
        }
    }
}

#[test]
fn a_series_in_a_reused_slot_has_its_own_labels() {
    for version in [Version::V1, Version::V2] {
        let table = SeriesTable::new(1);
        let external = vec![("zone".to_owned(), "1".to_owned())];
        let mut encoder = Encoder::new(version, EncodeOptions { external, ..everything() });
        for round in 0..10_000 {
            let mut made = [number(&format!("metric_{round}"), "a", 1, 1.0)];
            let batches = [batch(&table, &made)];
            made[0].labels.insert("zone".into(), "1".into());
            let mut bodies = [Body::new()];
            encode(&mut encoder, &batches, &mut bodies);
            assert_eq!(read(version, &mut bodies[0]), expected(version, &made), "{version:?}");
            if encoder.is_worn() {
                encoder.renew();
            }
        }
        assert!(encoder.bytes() < 4 << 20, "what is gone is forgotten: {}", encoder.bytes());
    }
}

#[test]
fn large_bodies_are_compressed_while_they_grow_and_end_where_they_are_full() {
    for version in [Version::V1, Version::V2] {
        let table = SeriesTable::new(100_000);
        let made: Vec<_> =
            (0..20_000).map(|i| number("a_metric_name", &format!("instance-{i}"), 1, f64::from(i))).collect();
        let batch = batch(&table, &made);
        let mut encoder = Encoder::new(version, everything());
        let mut compressor = Compressor::default();
        let (mut bodies, mut samples, mut requests) = ([Body::new()], Vec::new(), 0);
        let mut part = Part::whole(&batch, 1, 200 << 10);
        while part.from < part.to {
            let read = batch.series().table().read();
            part.from = encoder.encode(&batch, &read, &part, &mut compressor, &mut bodies).next;
            drop(read);
            assert!(bodies[0].len() < (200 << 10) + 1024);
            samples.extend(self::read(version, &mut bodies[0]).samples);
            requests += 1;
        }
        assert!(requests > 2);
        assert_eq!(samples, expected(version, &made).samples);
    }
}

/// What a receiver was handed, in the order in which it came.
#[derive(Default)]
struct Taken(Written, Vec<String>, Labels);

impl Receive for Taken {
    fn series(&mut self, labels: tailwater::data::Labels<'_>, metadata: Option<ReadMetadata<'_>>) {
        self.2 = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        if let Some(metadata) = metadata {
            self.metadata(ReadMetadata { family: &self.2["__name__"].clone(), ..metadata });
        }
    }

    fn number(&mut self, value: f64, time: UnixMillis, start: Option<UnixMillis>) {
        let value = WrittenValue::Number(value.to_bits());
        let start_millis = start.map_or(0, |start| start.0);
        self.0.samples.push(WrittenSample { labels: self.2.clone(), millis: time.0, start_millis, value });
    }

    fn histogram(&mut self, histogram: tailwater::data::Histogram, time: UnixMillis, start: Option<UnixMillis>) {
        let start_millis = start.map_or(0, |start| start.0);
        let value = WrittenValue::Histogram(Box::new(histogram_of(&histogram, time.0, start_millis)));
        self.0.samples.push(WrittenSample { labels: self.2.clone(), millis: time.0, start_millis, value });
    }

    fn exemplar(&mut self, labels: tailwater::data::Labels<'_>, value: f64, time: UnixMillis) {
        let own = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        self.0.exemplars.push((self.2.clone(), own, value, time.0));
    }

    fn metadata(&mut self, metadata: ReadMetadata<'_>) {
        let words = proto::WrittenMetadata {
            kind: metadata.kind as i32,
            help: metadata.help.into(),
            unit: metadata.unit.into(),
        };
        self.0.metadata.insert(metadata.family.to_owned(), words);
    }

    fn refused(&mut self, reason: String, _had: Counts) {
        self.1.push(reason);
    }
}

fn without_negative_zero(mut made: Made) -> Made {
    if let Value::Number(value) = &mut made.value
        && *value == 0.0
    {
        *value = 0.0;
    }
    for (_, value, _) in &mut made.exemplars {
        *value += 0.0;
    }
    made
}

const LIMITS: Limits = Limits::of_labels(30);

fn any_made() -> impl Strategy<Value = Made> {
    let text = prop_oneof![4 => "[a-c]{1,3}", 1 => "\\PC{1,200}"];
    let name = prop_oneof![4 => "[a-e]{1}", 1 => "\\PC{1,3}"];
    let value = prop_oneof![
        6 => any::<u64>().prop_map(|bits| Value::Number(f64::from_bits(bits))),
        1 => Just(Value::Histogram(integer_histogram())),
        1 => Just(Value::Histogram(custom_histogram())),
    ];
    let own = proptest::collection::btree_map(name, text.clone(), 0..12);
    let exemplars = proptest::collection::vec(
        // As long as OpenMetrics lets them be.
        (proptest::collection::btree_map("[a-c]", "\\PC{1,60}", 0..3), any::<f64>(), any::<i64>()),
        0..2,
    );
    let of = ("[a-c]{1}", "\\PC{0,9}", 0..3_u8);
    let created = proptest::option::of(any::<i64>().prop_filter("0 means none", |millis| *millis != 0));
    (own, text, any::<i64>(), value, exemplars, created, of).prop_map(
        |(mut labels, name, millis, value, exemplars, created, (of, help, kind))| {
            labels.insert("__name__".into(), name.clone());
            let kind = [MetricKind::Unknown, MetricKind::Counter, MetricKind::Summary][usize::from(kind)];
            // One family a name, as one exposition has it.
            let family =
                if help.is_empty() { Default::default() } else { family(&format!("{name}{of}"), kind, &name, "") };
            Made { labels, millis, value, exemplars, created, family }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn prost_and_the_decoder_read_what_was_written(all in proptest::collection::vec(proptest::collection::vec(any_made(), 0..20), 1..4), shards in 0..3_u32) {
        let shards = 1 << shards;
        for version in [Version::V1, Version::V2] {
            let table = SeriesTable::new(10_000);
            let mut encoder = Encoder::new(version, EncodeOptions { metadata: version == Version::V2, ..everything() });
            let batches: Vec<_> = all.iter().map(|made| batch(&table, made)).collect();
            let mut bodies: Vec<_> = (0..shards).map(|_| Body::uncompressed()).collect();
            encode(&mut encoder, &batches, &mut bodies);
            let made: Vec<_> = all.iter().flatten().cloned().collect();
            let mut expected = expected(version, &made);
            let mut got = Written::default();
            for body in &mut bodies {
                let plain = body.plain();
                let written = read(version, body);
                let mut taken = Taken::default();
                decode(version, &plain, LIMITS, &mut taken).expect("a request");
                // Of exemplars and samples only the order in their series is given.
                prop_assert_eq!(&taken.0.samples, &written.samples);
                prop_assert_eq!(format!("{:?}", taken.0.exemplars), format!("{:?}", written.exemplars));
                prop_assert_eq!(&taken.0.metadata, &written.metadata);
                prop_assert!(taken.1.is_empty(), "{:?}", taken.1);
                got.samples.extend(written.samples);
                got.exemplars.extend(written.exemplars);
            }
            let by_series = |written: &mut Written| {
                written.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
                written.exemplars.sort_by(|a, b| a.0.cmp(&b.0));
            };
            by_series(&mut got);
            by_series(&mut expected);
            prop_assert_eq!(got.samples, expected.samples);
            prop_assert_eq!(format!("{:?}", got.exemplars), format!("{:?}", expected.exemplars));
        }
    }

    #[test]
    fn the_decoder_reads_what_prost_wrote(made in proptest::collection::vec(any_made(), 0..20)) {
        use prost::Message as _;
        // 1.0 as another sender writes it: prost leaves out what is zero (and takes -0 for it) and packs as it likes.
        let made: Vec<_> = made.into_iter().map(without_negative_zero).collect();
        let label = |(name, value): (&String, &String)| proto::Label { name: name.clone(), value: value.clone() };
        let mut request = proto::WriteRequest::default();
        for sample in &made {
            let mut series = proto::TimeSeries { labels: sample.labels.iter().map(label).collect(), ..Default::default() };
            match &sample.value {
                Value::Number(value) => series.samples.push(proto::Sample { value: *value, timestamp: sample.millis, start_timestamp: 0 }),
                Value::Histogram(value) => series.histograms.push(histogram_of(value, sample.millis, 0)),
            }
            for (own, value, millis) in &sample.exemplars {
                let labels = own.iter().map(label).collect();
                series.exemplars.push(proto::Exemplar { labels, value: *value, timestamp: *millis });
            }
            request.timeseries.push(series);
        }
        let mut taken = Taken::default();
        decode(Version::V1, &request.encode_to_vec(), LIMITS, &mut taken).expect("a request");
        let mut expected = expected(Version::V1, &made);
        expected.metadata.clear();
        prop_assert_eq!(taken.0.samples, expected.samples);
        prop_assert_eq!(format!("{:?}", taken.0.exemplars), format!("{:?}", expected.exemplars));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for version in [Version::V1, Version::V2] {
            let _ = decode(version, &bytes, LIMITS, &mut Taken::default());
        }
    }
}

#[test]
fn what_a_series_has_wrong_costs_that_series() {
    use prost::Message as _;
    let series = |pairs: &[(&str, &str)], samples: usize| proto::TimeSeries {
        labels: pairs.iter().map(|(n, v)| proto::Label { name: (*n).into(), value: (*v).into() }).collect(),
        samples: vec![proto::Sample { value: 1.0, timestamp: 2, start_timestamp: 0 }; samples],
        ..Default::default()
    };
    let mut broken = series(&[("__name__", "h")], 0);
    broken.histograms.push(proto::Histogram { positive_deltas: vec![1], count_int: Some(1), ..Default::default() });
    let many: Vec<_> = (0..40).map(|i| (format!("l{i:02}"), "x".to_owned())).collect();
    let mut many: Vec<_> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    many.insert(0, ("__name__", "many"));
    let request = proto::WriteRequest {
        timeseries: vec![
            series(&[("a", "1")], 1),
            series(&[("__name__", "up"), ("b", "1"), ("a", "2")], 2),
            series(&[("__name__", "up"), ("a", "1"), ("a", "1")], 1),
            series(&[("", "x"), ("__name__", "up")], 1),
            series(&many, 1),
            broken,
            series(&[("__name__", "up"), ("empty", "")], 1),
        ],
        metadata: vec![],
    };
    let mut taken = Taken::default();
    decode(Version::V1, &request.encode_to_vec(), LIMITS, &mut taken).expect("a request");
    let words = [
        "no metric name",
        "labels are not sorted: `b` before `a`",
        "label `a` stands twice",
        "a label has an empty name",
        "41 labels where at most 30 are taken",
        "do not fit together",
    ];
    assert_eq!(taken.1.len(), words.len(), "{:?}", taken.1);
    for (refused, words) in taken.1.iter().zip(words) {
        assert!(refused.contains(words), "{refused}: {words}");
    }
    assert_eq!(taken.0.samples.len(), 1);
    assert_eq!(taken.0.samples[0].labels, labels([("__name__", "up")]));
}

#[test]
fn a_reference_to_no_symbol_is_refused() {
    use prost::Message as _;
    let series = proto::TimeSeriesV2 { labels_refs: vec![1, 7], ..Default::default() };
    let request = proto::Request { symbols: vec![String::new(), "a".into()], timeseries: vec![series] };
    let error = decode(Version::V2, &request.encode_to_vec(), LIMITS, &mut Taken::default()).expect_err("no symbol 7");
    assert_eq!(error.to_string(), "the body refers to symbol 7 and has 2");
}

#[test]
fn content_types_name_the_version() {
    let of = Version::of_content_type;
    assert_eq!(of(""), Ok(Version::V1));
    assert_eq!(of("application/x-protobuf"), Ok(Version::V1));
    assert_eq!(of("application/x-protobuf;proto=prometheus.WriteRequest"), Ok(Version::V1));
    assert_eq!(of("application/x-protobuf; proto=io.prometheus.write.v2.Request"), Ok(Version::V2));
    assert!(of("application/x-protobuf;proto=io.prometheus.write.v3.Request").is_err());
    assert!(of("application/json").is_err());
}
