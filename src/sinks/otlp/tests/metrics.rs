//! Samples: by both protocols, in requests that every receiver takes, and settled exactly.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message as _;

use super::*;
use crate::data::histogram::{Counts, ResetHint};
use crate::data::metrics::{Family, STALE};
use crate::data::series_table::ListBuilder;
use crate::data::{Histogram, LabelSet, MetricBatch, MetricBuilder, MetricKind, UnixMillis};

/// A gauge for each of so many series, a classic histogram, and what the target is.
fn scrape(table: &Arc<SeriesTable>, series: usize, millis: i64) -> MetricBatch {
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    builder.samples().time = UnixMillis(millis);
    let mut add = |family: Family, labels: &[(&str, &str)], value: f64| {
        let labels: LabelSet = [("job", "shop"), ("instance", "a:1")].iter().chain(labels).copied().collect();
        list.labels(&labels, table.family(&family));
        builder.samples().values.push(value);
    };
    for index in 0..series {
        let family = Family { name: "m".into(), kind: MetricKind::Gauge, ..Family::default() };
        add(family, &[("__name__", "m"), ("i", &index.to_string())], index as f64);
    }
    let latency = Family { name: "latency".into(), kind: MetricKind::Histogram, ..Family::default() };
    for (le, count) in [("0.1", 1.0), ("1", 3.0), ("+Inf", 4.0)] {
        add(latency.clone(), &[("__name__", "latency_bucket"), ("le", le)], count);
    }
    add(latency.clone(), &[("__name__", "latency_sum")], 2.5);
    add(latency, &[("__name__", "latency_count")], 4.0);
    add(Family::default(), &[("__name__", "target_info"), ("region", "eu")], 1.0);
    builder.build(Arc::default(), table.list(&list).list)
}

/// Samples of a scrape that are not gauges.
const BESIDE: u64 = 6;

/// What was taken: values of gauges by series, the last ones, and the number of histograms.
fn taken(receiver: &Receiver) -> (BTreeMap<String, f64>, usize) {
    let (mut values, mut histograms) = (BTreeMap::new(), 0);
    for request in receiver.with(|store| store.taken.clone()) {
        let request = ExportMetricsServiceRequest::decode(&*request).expect("a request");
        for metrics in &request.resource_metrics {
            let resource = metrics.resource.as_ref().expect("a resource");
            assert_eq!(resource.attributes.len(), 3, "every request says what the target is: {resource:?}");
            for metric in metrics.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                match metric.data.as_ref().expect("data") {
                    Data::Gauge(gauge) => {
                        for point in &gauge.data_points {
                            let Some(Value::AsDouble(value)) = point.value else { panic!("{point:?}") };
                            values.insert(format!("{:?}", point.attributes[0].value), value);
                        }
                    }
                    Data::Histogram(histogram) => {
                        histograms += 1;
                        let point = &histogram.data_points[0];
                        assert_eq!((point.count, &point.bucket_counts[..]), (4, &[1, 2, 1][..]));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    (values, histograms)
}

#[tokio::test]
async fn samples_arrive_by_both_protocols_however_they_are_compressed() {
    for protocol in ["grpc", "http"] {
        for compression in ["none", "gzip", "zstd"] {
            let receiver = Receiver::start(|_| Says::Taken).await;
            let mut driven = start(&receiver, json!({ "protocol": protocol, "compression": compression }));
            let table = SeriesTable::new(1000);
            driven.send_batch(Batch::Metrics(scrape(&table, 10, 1000)), None).await;
            assert_eq!(delivered(&driven.verdict().await), (10 + BESIDE, 0), "{protocol} {compression}");
            let (values, histograms) = taken(&receiver);
            assert_eq!((values.len(), histograms), (10, 1), "{protocol} {compression}");
            let name = if protocol == "grpc" { "grpc-encoding" } else { "content-encoding" };
            let said = receiver.with(|store| store.headers[0].get(name).cloned());
            assert_eq!(said.as_ref().map_or("none", |said| said.to_str().expect("text")), compression);
        }
    }
}

#[tokio::test]
async fn a_scrape_larger_than_a_request_is_split_between_points() {
    let receiver = Receiver::start(|_| Says::Taken).await;
    let mut driven = start(&receiver, json!({ "batch": { "max_bytes": "4KiB" } }));
    let table = SeriesTable::new(10_000);
    driven.send_batch(Batch::Metrics(scrape(&table, 2000, 1000)), None).await;
    assert_eq!(delivered(&driven.verdict().await), (2000 + BESIDE, 0));
    let (values, histograms) = taken(&receiver);
    assert_eq!((values.len(), histograms), (2000, 1));
    let sizes = receiver.with(|store| store.taken.iter().map(Vec::len).collect::<Vec<_>>());
    assert!(sizes.len() > 10 && sizes.iter().all(|size| *size <= 4096), "{sizes:?}");
}

#[tokio::test]
async fn what_a_receiver_finds_too_large_is_sent_in_halves_of_whole_points() {
    let mut limit = 1500;
    for protocol in ["grpc", "http"] {
        limit += 100;
        let look = move |request: &[u8]| if request.len() > limit { Says::TooLarge } else { Says::Taken };
        let receiver = Receiver::start(look).await;
        let mut driven = start(&receiver, json!({ "protocol": protocol }));
        let table = SeriesTable::new(10_000);
        driven.send_batch(Batch::Metrics(scrape(&table, 300, 1000)), None).await;
        driven.send_batch(Batch::Metrics(scrape(&table, 300, 2000)), None).await;
        for _ in 0..2 {
            assert_eq!(delivered(&driven.verdict().await), (300 + BESIDE, 0), "nothing is dropped for its size");
        }
        let (values, histograms) = taken(&receiver);
        assert_eq!((values.len(), histograms), (300, 2), "{protocol}");
    }
}

#[tokio::test]
async fn one_point_that_is_refused_costs_itself() {
    // The receiver refuses whatever has the histogram in it.
    let look = |request: &[u8]| {
        let has = request.windows(7).any(|window| window == b"latency");
        if has { Says::Refused("latency is not welcome") } else { Says::Taken }
    };
    let receiver = Receiver::start(look).await;
    let mut driven = start(&receiver, json!({}));
    driven.send_batch(Batch::Metrics(scrape(&SeriesTable::new(1000), 50, 1000)), None).await;
    let verdict = driven.verdict().await;
    assert_eq!(delivered(&verdict), (50 + 1, 5), "the samples of the histogram, and no other");
    assert!(verdict.reason.is_some_and(|reason| reason.contains("latency is not welcome")));
    assert_eq!(taken(&receiver).0.len(), 50);
    assert_eq!(driven.metrics.records_refused.get(), 5);
}

#[tokio::test]
async fn points_that_a_receiver_rejects_are_counted_as_the_samples_that_they_are() {
    let receiver = Receiver::start(|_| Says::Partly(2)).await;
    let mut driven = start(&receiver, json!({}));
    driven.send_batch(Batch::Metrics(scrape(&SeriesTable::new(1000), 3, 1000)), None).await;
    // Two of four points, of nine samples.
    let verdict = driven.verdict().await;
    assert_eq!(delivered(&verdict), (4, 5));
    assert!(verdict.reason.is_some_and(|reason| reason.contains("too strange")));
}

#[tokio::test]
async fn samples_that_otlp_has_no_place_for_are_refused_with_the_reason_and_the_others_sent() {
    let receiver = Receiver::start(|_| Says::Taken).await;
    let mut driven = start(&receiver, json!({}));
    let table = SeriesTable::new(100);
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    for name in ["native", "plain"] {
        list.labels(&[("__name__", name), ("job", "j")].into_iter().collect(), Default::default());
    }
    let columns = builder.samples();
    columns.values.extend([0.0, STALE]);
    let histogram = Histogram {
        schema: 0,
        zero_threshold: 0.0,
        sum: 1.5,
        counts: Counts::Float { count: 1.5, zero: 1.5, positive: Vec::new(), negative: Vec::new() },
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        reset_hint: ResetHint::Unknown,
    };
    columns.histograms.push((0, Arc::new(histogram)));
    let batch = builder.build(Arc::default(), table.list(&list).list);
    let mut fractions_alone = batch.clone();
    fractions_alone.selection.remove(1);
    driven.send_batch(Batch::Metrics(batch), None).await;
    let verdict = driven.verdict().await;
    assert_eq!(delivered(&verdict), (1, 1));
    assert!(verdict.reason.is_some_and(|reason| reason.contains("fractions")));
    let request = receiver.with(|store| ExportMetricsServiceRequest::decode(&*store.taken[0]).expect("a request"));
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Gauge(gauge)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!((gauge.data_points[0].flags, gauge.data_points[0].value), (1, None), "what ends a series is told");
    // Where nothing can be sent, nothing is.
    driven.send_batch(Batch::Metrics(fractions_alone), None).await;
    assert_eq!(delivered(&driven.verdict().await), (0, 1));
    assert_eq!(receiver.with(|store| store.requests), 1);
    driven.finish().await.expect("ends");
}

#[tokio::test]
async fn a_receiver_that_is_busy_is_asked_again_after_the_time_that_it_says_and_in_order() {
    let mut asked = Vec::new();
    let look = move |_: &[u8]| {
        asked.push(tokio::time::Instant::now());
        match asked.as_slice() {
            [_] => Says::Later(Duration::from_secs(1)),
            [first, second] => {
                assert!(*second - *first >= Duration::from_secs(1), "it came too early");
                Says::Taken
            }
            _ => Says::Taken,
        }
    };
    let receiver = Receiver::start(look).await;
    let mut driven = start(&receiver, json!({ "batch": { "linger": "1ms" } }));
    let table = SeriesTable::new(1000);
    for turn in 1..=5 {
        driven.send_batch(Batch::Metrics(scrape(&table, 1, turn * 1000)), None).await;
        tokio::task::yield_now().await;
    }
    for _ in 0..5 {
        assert_eq!(delivered(&driven.verdict().await), (1 + BESIDE, 0));
    }
    assert!(driven.metrics.retries.get() >= 1);
    let times: Vec<u64> = receiver.with(|store| {
        let requests = store.taken.iter().map(|bytes| ExportMetricsServiceRequest::decode(&**bytes).expect("one"));
        let points = requests.flat_map(|request| {
            let metrics = request.resource_metrics.into_iter().flat_map(|metrics| metrics.scope_metrics);
            metrics.flat_map(|scope| scope.metrics).filter_map(|metric| match metric.data {
                Some(Data::Gauge(gauge)) => Some(gauge.data_points[0].time_unix_nano / 1_000_000_000),
                _ => None,
            })
        });
        points.collect()
    });
    assert_eq!(times, [1, 2, 3, 4, 5]);
}
