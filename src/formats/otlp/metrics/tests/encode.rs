//! What batches become, read by the official messages.

use opentelemetry_proto::tonic::metrics::v1::{Exemplar as OtlpExemplar, SummaryDataPoint, exemplar};
use proptest::prelude::*;

use super::any_request::any_request;
use super::*;
use crate::data::histogram::{BucketSpan, CUSTOM_BOUNDS, ResetHint};
use crate::data::metrics::{Exemplar, Family, STALE};
use crate::data::series_table::ListBuilder;
use crate::data::{Histogram as Native, LabelSet, MetricBuilder, MetricKind, Resource as About};

const LIMIT: usize = 1 << 20;

/// A sample of a scrape.
struct Scraped {
    labels: Vec<(&'static str, String)>,
    family: Option<(&'static str, MetricKind)>,
    value: f64,
    native: Option<Native>,
}

fn scraped(
    name: &str,
    family: Option<(&'static str, MetricKind)>,
    labels: &[(&'static str, &str)],
    value: f64,
) -> Scraped {
    let named = [("__name__", name)].iter().chain(labels).map(|(label, value)| (*label, (*value).to_owned())).collect();
    Scraped { labels: named, family, value, native: None }
}

fn batch(samples: Vec<Scraped>) -> MetricBatch {
    let table = SeriesTable::new(1000);
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    let columns = builder.samples();
    columns.time = UnixMillis(2000);
    for (index, sample) in samples.into_iter().enumerate() {
        let labels: LabelSet = sample.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let family = sample.family.map(|(name, kind)| Family {
            name: name.into(),
            kind,
            help: format!("about {name}").into(),
            unit: if name.ends_with("_seconds") { "seconds".into() } else { "".into() },
        });
        list.labels(&labels, table.family(&family.unwrap_or_default()));
        columns.values.push(sample.value);
        columns.histograms.extend(sample.native.map(|native| (index as u32, Arc::new(native))));
    }
    builder.build(Arc::default(), table.list(&list).list)
}

fn encoded(batch: &MetricBatch, limit: usize) -> (Vec<ExportMetricsServiceRequest>, Vec<(Unsendable, u64)>) {
    let (mut messages, mut unsendable, mut samples) = (Vec::new(), Vec::new(), 0);
    for encoded in all_of(&mut Encoder::new("1.0"), batch, limit) {
        assert!(encoded.body.len() <= limit, "{} bytes", encoded.body.len());
        let message = ExportMetricsServiceRequest::decode(&*encoded.body).expect("a request");
        assert_eq!(super::any_request::points(&message), encoded.points);
        samples += encoded.sent.samples() + encoded.unsendable.iter().map(|(_, samples)| samples).sum::<u64>();
        unsendable.extend(encoded.unsendable);
        messages.extend((encoded.points > 0).then_some(message));
    }
    assert_eq!(samples, batch.selection.count() as u64);
    (messages, unsendable)
}

/// The metrics of a batch that fits into one body with one resource and scope.
fn metrics(batch: &MetricBatch) -> Vec<Metric> {
    let mut messages = encoded(batch, LIMIT).0;
    assert_eq!(messages.len(), 1);
    let mut resources = messages.remove(0).resource_metrics;
    assert_eq!((resources.len(), resources[0].scope_metrics.len()), (1, 1));
    resources.remove(0).scope_metrics.remove(0).metrics
}

const LATENCY: Option<(&str, MetricKind)> = Some(("latency_seconds", MetricKind::Histogram));

fn bucket(le: &str, value: f64) -> Scraped {
    scraped("latency_seconds_bucket", LATENCY, &[("path", "/"), ("le", le)], value)
}

#[test]
fn a_scrape_becomes_metrics_of_its_target() {
    let labels = [("job", "shop"), ("instance", "a:1"), ("method", "GET")];
    let samples = vec![
        scraped("requests_total", Some(("requests", MetricKind::Counter)), &labels, 3.0),
        scraped("up", None, &labels[..2], 1.0),
        scraped("temp", Some(("temp", MetricKind::Gauge)), &labels[..2], STALE),
        scraped("build_info", Some(("build", MetricKind::Info)), &labels[..2], 1.0),
        scraped("target_info", None, &[("job", "shop"), ("instance", "a:1"), ("region", "eu")], 1.0),
        scraped("target_info", None, &[("job", "other"), ("region", "eu")], 1.0),
    ];
    let mut batch = batch(samples);
    batch.resource = Arc::new(About::new([("k8s.node.name".into(), "n1".into()), ("region".into(), "us".into())]));
    let (mut messages, _) = encoded(&batch, LIMIT);
    assert_eq!(messages.len(), 1);
    let resources = messages.remove(0).resource_metrics;
    assert_eq!(resources.len(), 2, "whose metric is alone keeps its target_info");
    let mut found = resources[0].resource.clone().expect("a resource").attributes;
    found.sort_by(|a, b| a.key.cmp(&b.key));
    let expected =
        [("k8s.node.name", "n1"), ("region", "eu"), ("service.instance.id", "a:1"), ("service.name", "shop")];
    assert_eq!(found, attributes(&expected));
    let scoped = &resources[0].scope_metrics[0];
    let scope = scoped.scope.as_ref().expect("a scope");
    assert_eq!((&*scope.name, &*scope.version), (OWN_SCOPE, "1.0"));
    let of = |name: &str, about: &str, data| Metric {
        name: name.into(),
        description: about.into(),
        data: Some(data),
        ..Default::default()
    };
    let at = |value, pairs: &[(&str, &str)]| number(value, 2, pairs);
    let stale = NumberDataPoint { flags: 1, value: None, ..at(0.0, &[]) };
    let expected = [
        of("requests_total", "about requests", sum(CUMULATIVE, true, vec![at(3.0, &[("method", "GET")])])),
        of("up", "", gauge(vec![at(1.0, &[])])),
        of("temp", "about temp", gauge(vec![stale])),
        of("build_info", "about build", sum(CUMULATIVE, false, vec![at(1.0, &[])])),
    ];
    assert_eq!(scoped.metrics, expected);
    assert_eq!(resources[1].scope_metrics[0].metrics[0].name, "target_info");
}

#[test]
fn a_scope_is_made_of_its_labels() {
    let labels = [
        ("otel_scope_name", "http"),
        ("otel_scope_version", "2"),
        ("otel_scope_schema_url", "https://x"),
        ("otel_scope_k", "v"),
    ];
    let (messages, _) = encoded(&batch(vec![scraped("m", None, &labels, 1.0)]), LIMIT);
    let scoped = &messages[0].resource_metrics[0].scope_metrics[0];
    let expected = InstrumentationScope {
        name: "http".into(),
        version: "2".into(),
        attributes: attributes(&[("k", "v")]),
        ..Default::default()
    };
    assert_eq!((scoped.scope.as_ref(), &*scoped.schema_url), (Some(&expected), "https://x"));
    assert_eq!(scoped.metrics[0].data, Some(gauge(vec![number(1.0, 2, &[])])));
}

#[test]
fn series_of_a_histogram_are_one_point() {
    let mut samples = vec![bucket("+Inf", 7.0), bucket("0.1", 1.0), bucket("1.0", 3.0)];
    samples.push(scraped("latency_seconds_sum", LATENCY, &[("path", "/")], 2.5));
    samples.push(scraped("latency_seconds_count", LATENCY, &[("path", "/")], 7.0));
    let mut whole = batch(samples);
    let expected = HistogramDataPoint {
        attributes: attributes(&[("path", "/")]),
        time_unix_nano: 2 * SECOND,
        count: 7,
        sum: Some(2.5),
        bucket_counts: vec![1, 2, 4],
        explicit_bounds: vec![0.1, 1.0],
        ..Default::default()
    };
    let of =
        |point: &HistogramDataPoint| vec![metric("latency_seconds", "s", histogram(CUMULATIVE, vec![point.clone()]))];
    assert_eq!(metrics(&whole), of(&expected));
    // Without one of its buckets it is a coarser one.
    whole.selection.remove(1);
    let coarser = HistogramDataPoint { bucket_counts: vec![3, 4], explicit_bounds: vec![1.0], ..expected.clone() };
    assert_eq!(metrics(&whole), of(&coarser));
    // Without the last one, the count says how many there are.
    whole.selection.remove(0);
    assert_eq!(metrics(&whole), of(&coarser));
    // Without both, nothing does, and each is what it is.
    whole.selection.remove(4);
    let names: Vec<_> = metrics(&whole).into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["latency_seconds_bucket", "latency_seconds_sum"]);
}

#[test]
fn what_makes_no_histogram_stays_as_it_is() {
    let count = |value| scraped("latency_seconds_count", LATENCY, &[("path", "/")], value);
    let cases = [
        vec![bucket("0.1", 4.0), bucket("+Inf", 3.0)],
        vec![bucket("0.1", 1.5), bucket("+Inf", 3.0)],
        vec![bucket("0.1", STALE), bucket("+Inf", 3.0)],
        vec![bucket("0.1", 1.0), bucket("0.10", 1.0), bucket("+Inf", 3.0)],
        vec![bucket("0.1", 1.0), bucket("+Inf", 3.0), count(4.0)],
        vec![bucket("0.1", -1.0), bucket("+Inf", 3.0)],
        vec![bucket("0.1", 1.0)],
    ];
    for samples in cases {
        let expected: Vec<_> = samples.iter().map(|sample| sample.value.to_bits()).collect();
        let metrics = metrics(&batch(samples));
        assert!(metrics.iter().all(|metric| matches!(metric.data, Some(Data::Gauge(_)))));
        let points = metrics.iter().flat_map(|metric| match &metric.data {
            Some(Data::Gauge(gauge)) => &gauge.data_points[..],
            _ => &[],
        });
        let found: Vec<_> = points
            .map(|point| match point.value {
                Some(Value::AsDouble(value)) => value.to_bits(),
                _ => STALE.to_bits(),
            })
            .collect();
        assert_eq!(found, expected);
    }
    let stale = metrics(&batch(vec![bucket("0.1", STALE), bucket("+Inf", STALE), count(STALE)]));
    let Some(Data::Histogram(ended)) = &stale[0].data else { panic!("a histogram") };
    assert_eq!((ended.data_points[0].flags, ended.data_points.len()), (1, 1));
}

#[test]
fn series_of_a_summary_are_one_point() {
    let summary = Some(("s", MetricKind::Summary));
    let samples = vec![
        scraped("s", summary, &[("quantile", "0.9")], f64::NAN),
        scraped("s", summary, &[("quantile", "0.5")], 1.0),
        scraped("s_count", summary, &[], 4.0),
    ];
    let found = metrics(&batch(samples));
    let Some(Data::Summary(found)) = &found[0].data else { panic!("a summary") };
    let SummaryDataPoint { count, sum, quantile_values, .. } = &found.data_points[0];
    assert_eq!((*count, *sum), (4, 0.0));
    assert_eq!(quantile_values.iter().map(|at| at.quantile).collect::<Vec<_>>(), [0.5, 0.9]);
    assert!(quantile_values[1].value.is_nan());
}

fn native(schema: i32, counts: Counts) -> Native {
    Native {
        schema,
        zero_threshold: 0.001,
        sum: 2.0,
        counts,
        positive_spans: vec![BucketSpan { offset: 0, length: 1 }, BucketSpan { offset: 1, length: 1 }],
        negative_spans: Vec::new(),
        custom_bounds: if schema == CUSTOM_BOUNDS { vec![1.0, 2.0] } else { Vec::new() },
        reset_hint: ResetHint::Unknown,
    }
}

fn integers() -> Counts {
    Counts::Integer { count: 6, zero: 0, positive: vec![2, 2], negative: Vec::new() }
}

#[test]
fn native_histograms_are_exponential_or_classic_ones() {
    let kind = Some(("n", MetricKind::Histogram));
    let of = |native| batch(vec![Scraped { native: Some(native), ..scraped("n", kind, &[("a", "b")], 0.0) }]);
    let found = metrics(&of(native(3, integers())));
    let Some(Data::ExponentialHistogram(found)) = &found[0].data else { panic!("exponential") };
    let point = &found.data_points[0];
    assert_eq!((point.scale, point.count, point.sum, point.zero_threshold), (3, 6, Some(2.0), 0.001));
    let positive = point.positive.as_ref().expect("buckets");
    assert_eq!((positive.offset, &positive.bucket_counts[..]), (-1, &[2, 0, 4][..]));
    assert_eq!(point.attributes, attributes(&[("a", "b")]));
    let found = metrics(&of(native(CUSTOM_BOUNDS, integers())));
    let Some(Data::Histogram(found)) = &found[0].data else { panic!("classic") };
    let point = &found.data_points[0];
    assert_eq!((&point.explicit_bounds[..], &point.bucket_counts[..]), (&[1.0, 2.0][..], &[2, 0, 4][..]));
    let stale = metrics(&of(Native { sum: STALE, ..native(3, integers()) }));
    let Some(Data::ExponentialHistogram(stale)) = &stale[0].data else { panic!("exponential") };
    assert_eq!((stale.data_points[0].flags, stale.data_points[0].count), (1, 0));
    let ended = metrics(&batch(vec![scraped("n", kind, &[], STALE)]));
    assert!(matches!(ended[0].data, Some(Data::ExponentialHistogram(_))));
    let float = Counts::Float { count: 1.5, zero: 0.0, positive: vec![1.0, 0.5], negative: Vec::new() };
    let cases = [
        (native(3, float), Unsendable::FloatHistogram),
        (Native { reset_hint: ResetHint::Gauge, ..native(3, integers()) }, Unsendable::GaugeHistogram),
        (Native { positive_spans: Vec::new(), ..native(3, integers()) }, Unsendable::Broken),
    ];
    for (native, why) in cases {
        assert_eq!(encoded(&of(native), LIMIT).1, [(why, 1)]);
    }
}

#[test]
fn gauges_and_native_histograms_of_one_name_end_as_what_they_were() {
    let stale = |kind, value: &str| scraped("a", Some(("a", kind)), &[("i", value)], STALE);
    let found = metrics(&batch(vec![stale(MetricKind::Histogram, "1"), stale(MetricKind::Gauge, "2")]));
    assert!(matches!(found[0].data, Some(Data::ExponentialHistogram(_))));
    assert!(matches!(found[1].data, Some(Data::Gauge(_))));
}

#[test]
fn exemplars_keep_their_ids() {
    let table = SeriesTable::new(10);
    let (mut list, mut builder) = (ListBuilder::default(), MetricBuilder::new());
    let family = Family { name: "c".into(), kind: MetricKind::Counter, ..Family::default() };
    list.labels(&[("__name__", "c_total")].into_iter().collect(), table.family(&family));
    let columns = builder.samples();
    (columns.time, columns.values) = (UnixMillis(2000), vec![1.0]);
    columns.created.push((0, UnixMillis(500)));
    let trace = "0123456789abcdef0123456789abcdef";
    let labels: LabelSet = [("trace_id", trace), ("span_id", "no span"), ("user", "u")].into_iter().collect();
    labels.encode(&mut columns.text);
    let labels = 0..columns.text.len() as u32;
    let time = Some(UnixMillis(1500));
    // What is nothing but a line is for pages.
    columns.exemplars.push(Exemplar { sample: 0, labels: 0..0, line: labels.clone(), value: 0.25, time });
    columns.exemplars.push(Exemplar { sample: 0, labels, line: 0..4, value: 0.5, time });
    let found = metrics(&builder.build(Arc::default(), table.list(&list).list));
    let Some(Data::Sum(found)) = &found[0].data else { panic!("a sum") };
    let point = &found.data_points[0];
    assert_eq!(point.start_time_unix_nano, SECOND / 2);
    let expected = OtlpExemplar {
        filtered_attributes: attributes(&[("span_id", "no span"), ("user", "u")]),
        time_unix_nano: 3 * SECOND / 2,
        value: Some(exemplar::Value::AsDouble(0.5)),
        trace_id: vec![0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
        span_id: Vec::new(),
    };
    assert_eq!(point.exemplars, [expected]);
}

#[test]
fn bodies_are_split_and_a_point_that_fits_none_is_told() {
    let long = "x".repeat(400);
    let samples = (0..20).map(|index| {
        let value = format!("{index}{}", if index == 7 { &long } else { "" });
        scraped("m", None, &[("job", "shop"), ("i", &value)], f64::from(index))
    });
    let (messages, unsendable) = encoded(&batch(samples.collect()), 300);
    assert!(messages.len() > 2);
    assert_eq!(unsendable, [(Unsendable::TooLarge, 1)]);
    for message in &messages {
        let resource = message.resource_metrics[0].resource.as_ref().expect("every body tells whose it is");
        assert_eq!(resource.attributes, attributes(&[("service.name", "shop")]));
    }
}

#[test]
fn a_target_info_whose_metrics_are_filtered_is_sent_as_a_metric() {
    let labels = [("job", "shop"), ("region", "eu")];
    let mut batch = batch(vec![scraped("up", None, &labels[..1], 1.0), scraped("target_info", None, &labels, 1.0)]);
    batch.selection.remove(0);
    assert_eq!(metrics(&batch)[0].name, "target_info");
}

#[test]
fn a_portion_is_written_again_in_halves_of_whole_points() {
    let mut samples: Vec<_> =
        (0..5).map(|index| scraped("m", None, &[("job", "shop"), ("i", &index.to_string())], 1.0)).collect();
    samples.extend([bucket("0.1", 1.0), bucket("0.2", 1.0), bucket("+Inf", 3.0)]);
    samples.push(scraped("target_info", None, &[("job", "shop"), ("region", "eu")], 1.0));
    let batch = batch(samples);
    let mut encoder = Encoder::new("1.0");
    let [whole] = encoder.portions(&batch).try_into().expect("one");
    assert_eq!(whole.samples(), 9);
    let whole = encoder.encode(&batch, whole, Room::of(LIMIT));
    assert_eq!((whole.points, whole.rest, whole.loose), (6, None, None));
    let mut open = vec![(whole.sent, whole.points)];
    let (mut alone, mut samples) = (Vec::new(), 0);
    while let Some((portion, points)) = open.pop() {
        let room = Room { points: points.div_ceil(2), ..Room::of(LIMIT) };
        let half = encoder.encode(&batch, portion, room);
        let message = ExportMetricsServiceRequest::decode(&*half.body).expect("a request");
        assert_eq!(super::any_request::points(&message), half.points);
        assert_eq!(half.points, points.div_ceil(2));
        if half.points > 1 {
            open.push((half.sent, half.points));
        } else {
            samples += half.sent.samples();
            alone.push(message);
        }
        open.extend(half.rest.map(|rest| (rest, points - half.points)));
    }
    assert_eq!((alone.len(), samples), (6, 9));
    let histograms = alone.iter().filter(|message| {
        let metric = &message.resource_metrics[0].scope_metrics[0].metrics[0];
        matches!(metric.data, Some(Data::Histogram(_)))
    });
    assert_eq!(histograms.count(), 1, "a histogram is never cut");
    let regions = alone.iter().filter(|message| {
        let resource = message.resource_metrics[0].resource.as_ref().expect("a resource");
        resource.attributes.iter().any(|attribute| attribute.key == "region")
    });
    assert_eq!(regions.count(), 5, "every half says what the target is, and the histogram has another");
}

#[test]
fn what_finds_no_room_stays_for_the_next_request() {
    let batch = batch(vec![scraped("m", None, &[("job", "shop")], 1.0)]);
    let mut encoder = Encoder::new("1.0");
    let [whole] = encoder.portions(&batch).try_into().expect("one");
    let encoded = encoder.encode(&batch, whole, Room { bytes: 10, ..Room::of(LIMIT) });
    assert_eq!((encoded.points, encoded.rest.map(|rest| rest.samples()), encoded.unsendable), (0, Some(1), vec![]));
}

#[test]
fn a_list_that_comes_again_is_not_looked_at_again() {
    let batch = batch(vec![bucket("+Inf", 1.0), scraped("up", None, &[("job", "a")], 1.0)]);
    let mut encoder = Encoder::new("1.0");
    let first = all_of(&mut encoder, &batch, LIMIT);
    let bytes = encoder.bytes();
    assert!(bytes > 0);
    assert_eq!(all_of(&mut encoder.clone(), &batch, LIMIT), first);
    assert_eq!(encoder.bytes(), bytes);
}

proptest! {
    /// What came in by OTLP and goes out by it comes in as the same samples.
    #[test]
    fn samples_survive_the_way_out_and_in(request in any_request(), limit in prop_oneof![Just(LIMIT), 600..3000_usize]) {
        let options = || DecodeOptions { translation: Translation::NoTranslation, ..DecodeOptions::default() };
        let Some(batch) = Source::new(options()).read(&request).batch else { return Ok(()) };
        // A series that is there twice has one kind for both, and two of its samples at one time make no point together.
        let mut once = std::collections::HashSet::new();
        if !batch.series().refs().iter().all(|series| once.insert(*series)) {
            return Ok(());
        }
        let (messages, unsendable) = encoded(&batch, limit);
        if !unsendable.is_empty() {
            return Ok(());
        }
        let mut again = Source::new(options());
        let mut found = Vec::new();
        for message in &messages {
            let decoded = again.read(message);
            prop_assert_eq!(decoded.refused.to_string(), "");
            found.extend(decoded.batch.iter().flat_map(lines));
        }
        let mut expected = lines(&batch);
        // A resource is told with every part of what is about it, and what a point does not say is not told.
        let normal = |lines: &mut Vec<String>| {
            lines.retain(|line| !line.starts_with("target_info{"));
            lines.sort();
        };
        normal(&mut expected);
        normal(&mut found);
        prop_assert_eq!(found, expected);
    }
}
