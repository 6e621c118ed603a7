//! A log line costs no heap allocation on its way from a read to the body of a bulk request, in the steady
//! state: what is allocated is allocated for batches, and mostly used again.

mod queries;
mod series;
#[path = "../../benches/stages/mod.rs"]
mod stages;
mod tail_sampling;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use allocation_counter::measure;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1 as proto;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::json;
use stages::{Log, Steps, corpus, encode, reads, settle};
use tailwater::data::series_table::{FamilyId, ListBuilder};
use tailwater::data::{Batch, Chunk, MemoryBudget, MetricBuilder, Resource, SeriesTable, Signal, SlabPool, UnixNanos};
use tailwater::delivery::Outcome;
use tailwater::formats::document::{DocumentEncoder, Layout};
use tailwater::formats::otlp::logs::{LogsEncoder, decode};
use tailwater::formats::otlp::metrics as otlp;
use tailwater::formats::otlp::traces::index;
use tailwater::formats::prometheus::remote_write::{Body, Compressor, EncodeOptions, Encoder, Part, Version};
use tailwater::tail::Format;
use tailwater::tail::generation::{GenerationFile, fresh_generation};
use tailwater::tail::inbox::{Command, Inbox, Mailbox};
use tailwater::tail::lines::LineCutter;
use tailwater::tail::origin::{Origin, Position, Progress};
use tailwater::tail::worker::Worker;
use tailwater::telemetry::Telemetry;
use tokio_util::sync::CancellationToken;

/// Allocations a record that are still called none.
const MOST: f64 = 0.01;

fn allocations_a_record(steps: serde_json::Value, layout: Layout) -> f64 {
    let text = corpus(8 << 20);
    let reads = reads(&text, 250 * 1024);
    let budget = MemoryBudget::new(64 << 20).share(Signal::Logs);
    let pool = SlabPool::new(budget, 4);
    let mut log = Log::new();
    let mut steps = Steps::new(steps, &DocumentEncoder::interest(layout));
    let mut encoder = DocumentEncoder::new(layout);
    let mut body = Vec::with_capacity(1 << 20);
    let mut records = 0;
    let mut pass = |records: &mut usize| {
        for read in &reads {
            let mut slab = pool.try_take().expect("every earlier batch has gone, and its slab came back");
            assert!(slab.push(read), "a read fits a slab");
            let batch = log.batch(slab);
            *records += batch.records().len();
            body.clear();
            if let Some(message) = steps.run(batch) {
                assert!(encode(&mut encoder, &settle(message), &mut body) > 0);
            }
        }
    };
    // Buffers grow to what these lines need.
    pass(&mut 0);
    let info = measure(|| pass(&mut records));
    assert!(records > 20_000);
    info.count_total as f64 / records as f64
}

#[test]
fn dropping_debug_lines_on_the_way_to_elasticsearch_allocates_nothing_a_record() {
    for layout in [Layout::Ecs, Layout::Otel] {
        let steps = json!([{ "parse_json": { "on_error": "keep" } }, { "drop": "attributes[\"level\"] == \"debug\"" }]);
        let rate = allocations_a_record(steps, layout);
        println!("{layout:?}: {rate:.5} allocations a record");
        assert!(rate < MOST, "{layout:?}: {rate:.5} allocations a record");
    }
}

#[test]
fn setting_an_attribute_allocates_nothing_a_record() {
    let steps = json!([{ "parse_json": {} }, { "set": "attributes[\"env\"] = \"prod\"" }]);
    let rate = allocations_a_record(steps, Layout::Ecs);
    println!("{rate:.5} allocations a record");
    assert!(rate < MOST, "{rate:.5} allocations a record");
}

/// The whole way, from a file that a worker reads.
#[test]
fn a_file_that_is_tailed_allocates_nothing_a_record() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, &corpus(24 << 20)).expect("writes");
    let list = json!([{ "parse_json": { "on_error": "keep" } }, { "drop": "attributes[\"level\"] == \"debug\"" }]);
    let Steps { outlet, mut end, .. } = Steps::new(list, &DocumentEncoder::interest(Layout::Ecs));
    let (inbox, shutdown) = (Arc::<Inbox>::default(), CancellationToken::new());
    let progress = Arc::new(Progress::new("a.log".into(), Position::default()));
    let open = Arc::new(File::open(file.path()).expect("opens"));
    let generation = Arc::new(GenerationFile::new(fresh_generation(), open, 0, None));
    let cutter = LineCutter::new(Format::Container, 1 << 20, Some("a.log"));
    let mailbox = Arc::new(Mailbox { inbox: inbox.clone(), origin: 0 });
    let origin = Origin::new(0, progress, Arc::new(Resource::default()), cutter, mailbox, [generation]);
    inbox.command(Command::Add(Box::new(origin)));
    let pool = SlabPool::new(MemoryBudget::new(64 << 20).share(Signal::Logs), 8);
    let metrics = Telemetry::new().component("source", "file/a");
    let worker = Worker::new(inbox, outlet, pool, metrics.clone(), Arc::new(|_, _, _| ()), shutdown);
    let mut worker = Box::pin(worker.run());

    let mut encoder = DocumentEncoder::new(Layout::Ecs);
    let mut body = Vec::with_capacity(1 << 20);
    let documents = AtomicUsize::new(0);
    // Encodes what arrives until so many bytes were read.
    let mut until = async |bytes: u64| {
        while metrics.bytes_in.get() < bytes {
            let message = end.recv().await.expect("the worker holds the other end");
            body.clear();
            documents.fetch_add(encode(&mut encoder, &settle(message), &mut body), Ordering::Relaxed);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut run = |bytes: u64| {
        runtime.block_on(async {
            tokio::select! {
                ended = &mut worker => panic!("the worker ended: {ended:?}"),
                () = until(bytes) => {}
            }
        });
    };
    run(8 << 20);
    let before = (metrics.records_in.get(), documents.load(Ordering::Relaxed));
    let info = measure(|| run(23 << 20));
    let records = metrics.records_in.get() - before.0;
    assert!(records > 30_000 && documents.load(Ordering::Relaxed) > before.1);
    let rate = info.count_total as f64 / records as f64;
    println!("{rate:.5} allocations a record");
    assert!(rate < MOST, "{rate:.5} allocations a record");
}

#[test]
fn pushed_logs_allocate_nothing_a_record_in_and_out() {
    const RECORDS: usize = 4000;
    let text = |text: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) });
    let attribute = |key: &str, value| KeyValue { key: key.to_owned(), value, key_strindex: 0 };
    let nested = any_value::Value::KvlistValue(KeyValueList { values: vec![attribute("id", text("7\"8"))] });
    let record = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        severity_number: 9,
        severity_text: "Information".to_owned(),
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        body: text("an order of some length was taken and paid for by somebody who wanted it at once"),
        attributes: vec![
            attribute("user", Some(AnyValue { value: Some(nested) })),
            attribute("log.record.uid", text("01JD4")),
        ],
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record; RECORDS], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let request = Chunk::from_vec(ExportLogsServiceRequest { resource_logs }.encode_to_vec());
    let resource = Arc::new(Resource::default());
    let (mut encoder, mut out) = (LogsEncoder::new(), Vec::new());
    let mut pass = || {
        let decoded = decode(&request, |_, _| Ok(resource.clone())).expect("well-formed");
        out.clear();
        let [batch] = &*decoded.batches else { panic!("one batch") };
        let appended = encoder.append(batch, 0, "otlp/x.logs", UnixNanos(1), usize::MAX, &mut out);
        assert_eq!(appended.records, RECORDS as u64);
    };
    pass();
    let info = measure(&mut pass);
    let rate = info.count_total as f64 / RECORDS as f64;
    println!("{rate:.5} allocations a record");
    assert!(rate < MOST, "{rate:.5} allocations a record");
}

/// A request of 1000 spans of one resource.
fn request_of_spans() -> Chunk {
    let text = |key: &str, text: &str| {
        let value = Some(AnyValue { value: Some(any_value::Value::StringValue(text.into())) });
        KeyValue { key: key.into(), value, ..KeyValue::default() }
    };
    let span = |n: u64| Span {
        trace_id: [7_u64, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)].map(u64::to_be_bytes).concat(),
        span_id: (n + 1).to_be_bytes().to_vec(),
        name: format!("GET /cart/{n}"),
        attributes: vec![
            text("http.route", "/cart/{id}"),
            text("user.id", &format!("user {n}")),
            text("contact", "jane@example.org"),
            text("db.query.text", "SELECT * FROM carts WHERE id = $1"),
        ],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (0..1000).map(span).collect(), ..ScopeSpans::default() }];
    let resource = proto::Resource { attributes: vec![text("service.name", "shop")], ..proto::Resource::default() };
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    Chunk::from_vec(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

#[test]
fn steps_on_spans_allocate_nothing_a_span() {
    let request = request_of_spans();
    let steps = json!([
        { "drop": "name endsWith \"7\" or resource[\"service.name\"] == \"x\"" },
        { "sample": { "percent": 50, "keep_if": ["status.code == \"ERROR\""] } },
        { "set": "attributes[\"env\"] = \"prod\"" },
        { "set": "name = attributes[\"http.route\"]" },
        { "set": "resource[\"team\"] = \"web\"" },
        { "rename": { "from": "attributes[\"http.route\"]", "to": "attributes[\"route\"]" } },
        { "hash": { "fields": "attributes[\"user.id\"]" } },
        { "redact": { "patterns": ["email"] } },
        { "truncate": { "max_bytes": "20B" } },
        { "delete": "attributes[\"env\"]" },
    ]);
    let mut steps = Steps::of(Signal::Traces, steps, &DocumentEncoder::interest(Layout::Otel));
    let mut kept = 0;
    let mut pass = || {
        let batch = index(request.clone()).expect("well-formed").batch;
        let message = steps.pass(Batch::Traces(batch)).expect("some are kept");
        let Batch::Traces(batch) = &message.batch else { panic!("spans") };
        kept = batch.selection.count();
        assert_eq!(batch.chunks().len(), 2);
        message.ack.settle(Outcome::Delivered, kept as u64);
    };
    pass();
    pass();
    let info = measure(pass);
    println!("{} allocations for {kept} spans", info.count_total);
    assert!((300..600).contains(&kept), "{kept} are kept");
    assert!(info.count_total < 60, "{} allocations for 1000 spans", info.count_total);
}

#[test]
fn the_counter_counts() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let info = measure(|| (0..100).for_each(|n| kept.lock().expect("one thread").push(Box::new(n))));
    assert!(info.count_total >= 100);
}

#[test]
fn a_sample_on_its_way_into_a_remote_write_request_allocates_nothing() {
    let table = SeriesTable::new(10_000);
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    for series in 0..5000 {
        let path = format!("/{series}");
        let labels = [("__name__", "requests_total"), ("job", "shop"), ("path", &path)].into_iter().collect();
        list.labels(&labels, FamilyId::default());
        builder.samples().values.push(f64::from(series));
    }
    let batch = builder.build(Arc::default(), table.list(&list).list);
    for version in [Version::V1, Version::V2] {
        let options = EncodeOptions { external: Vec::new(), exemplars: true, metadata: true, relabel: None };
        let (mut encoder, mut compressor) = (Encoder::new(version, options), Compressor::default());
        let (mut bodies, mut memory, mut sent) = ([Body::new()], Vec::new(), 0);
        let mut pass = || {
            let mut part = Part::whole(&batch, 1, 1 << 20);
            while part.from < part.to {
                part.from = encoder.encode(&batch, &table.read(), &part, &mut compressor, &mut bodies).next;
                let request = bodies[0].finish(&mut compressor, std::mem::take(&mut memory));
                sent += request.as_ref().len();
                memory = request.into_memory();
            }
        };
        pass();
        pass();
        let info = measure(pass);
        assert!(sent > 0);
        assert!(info.count_total < 20, "{version:?}: {} allocations for 5000 samples", info.count_total);
    }
}

/// An OTLP request of `points` counters and as many histograms of five buckets, at a time in seconds.
fn otlp_request(points: u64, time: u64) -> Vec<u8> {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::*;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message;
    let text = |key: &str, value: String| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value)) }),
        ..Default::default()
    };
    let time_unix_nano = time * 1_000_000_000;
    let counter = |index| NumberDataPoint {
        attributes: vec![text("http.route", format!("/{index}"))],
        start_time_unix_nano: 1_000_000_000,
        time_unix_nano,
        value: Some(number_data_point::Value::AsInt(time as i64)),
        ..Default::default()
    };
    let latency = |index| HistogramDataPoint {
        attributes: vec![text("http.route", format!("/{index}"))],
        start_time_unix_nano: 1_000_000_000,
        time_unix_nano,
        count: 5 * time,
        sum: Some(1.5),
        bucket_counts: vec![time; 5],
        explicit_bounds: vec![0.1, 0.5, 1.0, 5.0],
        ..Default::default()
    };
    let metric = |name: &str, data| Metric { name: name.into(), data: Some(data), ..Default::default() };
    let counters =
        Sum { data_points: (0..points).map(counter).collect(), aggregation_temporality: 2, is_monotonic: true };
    let latencies = Histogram { data_points: (0..points).map(latency).collect(), aggregation_temporality: 2 };
    let metrics = vec![metric("requests", Data::Sum(counters)), metric("latency", Data::Histogram(latencies))];
    let resource = Resource { attributes: vec![text("service.name", "shop".into())], ..Default::default() };
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: Some(resource), scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

#[test]
fn an_otlp_point_whose_series_is_known_allocates_nothing() {
    let allocations = |points: u64| {
        let table = SeriesTable::new(100_000);
        let deltas = std::sync::Mutex::new(otlp::DeltaToCumulative::new(otlp::DeltaLimits::default()));
        let mut decoder = otlp::Decoder::new(table, otlp::DecodeOptions::default());
        let requests: Vec<_> = (2..6).map(|time| otlp_request(points, time)).collect();
        let resource = Arc::default();
        let mut decode = |request: &[u8]| {
            let now = tailwater::data::UnixNanos(1_000_000_000);
            let decoded = decoder.decode(request, &deltas, &resource, now).expect("a request");
            assert_eq!(decoded.points, 2 * points);
            decoded
        };
        let (warm, steady) = requests.split_at(2);
        warm.iter().for_each(|request| drop(decode(request)));
        measure(|| steady.iter().for_each(|request| drop(decode(request)))).count_total
    };
    let (few, many) = (allocations(50), allocations(1000));
    assert!(few < 30 && many < 30, "{few} allocations for 200 points, {many} for 4000");
}
