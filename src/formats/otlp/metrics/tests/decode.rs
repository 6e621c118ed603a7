//! What requests become.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Summary, SummaryDataPoint, exemplar};

use super::*;
use crate::data::MetricKind;
use crate::data::metrics::Family;

const SHOP: &[(&str, &str)] = &[
    ("service.name", "checkout"),
    ("service.namespace", "shop"),
    ("service.instance.id", "pod-1"),
    ("k8s.pod.name", "checkout-1"),
];

#[test]
fn numbers_become_gauges_and_counters() {
    let mut counter = number(3.0, 20, &[("http.method", "GET"), ("empty", "")]);
    counter.start_time_unix_nano = 10 * SECOND;
    let mut whole = number(0.0, 20, &[]);
    whole.value = Some(Value::AsInt(-7));
    let metrics = vec![
        metric("requests", "{request}", sum(CUMULATIVE, true, vec![counter])),
        metric("queue.length", "1", sum(CUMULATIVE, false, vec![whole])),
        metric("cpu.utilization", "1", gauge(vec![number(0.5, 21, &[])])),
    ];
    let mut source = Source::default();
    let request = request_of(SHOP, None, metrics);
    let (lines, refused) = source.told(&request);
    let expected = [
        r#"requests_total{http_method="GET", instance="pod-1", job="shop/checkout"} 3 @20 +10"#,
        r#"queue_length{instance="pod-1", job="shop/checkout"} -7 @20"#,
        r#"cpu_utilization_ratio{instance="pod-1", job="shop/checkout"} 0.5 @21"#,
        r#"target_info{instance="pod-1", job="shop/checkout", k8s_pod_name="checkout-1"} 1 @21"#,
    ];
    assert_eq!((&lines[..], &*refused), (&expected.map(String::from)[..], ""));
    let decoded = source.read(&request);
    assert_eq!(decoded.points, 3, "target_info is no data point");
    let batch = decoded.batch.expect("a batch");
    let look = source.table.read();
    let family = |at: usize| look.family(batch.series().refs()[at]);
    let of = |name: &str, kind, help: &str, unit: &str| Family {
        name: name.into(),
        kind,
        help: help.into(),
        unit: unit.into(),
    };
    assert_eq!(*family(0), of("requests_total", MetricKind::Counter, "about requests", ""));
    assert_eq!(*family(1), of("queue_length", MetricKind::Gauge, "about queue.length", ""));
    assert_eq!(*family(2), of("cpu_utilization_ratio", MetricKind::Gauge, "about cpu.utilization", "ratio"));
    assert_eq!(family(3).kind, MetricKind::Info);
}

#[test]
fn the_scope_is_told_by_labels() {
    let scope = InstrumentationScope {
        name: "http".into(),
        version: "1.2".into(),
        attributes: attributes(&[("library.mascot", "bear")]),
        ..Default::default()
    };
    let metrics = || vec![metric("m", "", gauge(vec![number(1.0, 1, &[("otel_scope_name", "mine")])]))];
    let mut request = request_of(&[], Some(scope.clone()), metrics());
    request.resource_metrics[0].scope_metrics[0].schema_url = "https://x/1".into();
    let labels = r#"otel_scope_library_mascot="bear", otel_scope_name="http", otel_scope_schema_url="https://x/1", otel_scope_version="1.2""#;
    assert_eq!(Source::default().told(&request).0, [format!("m{{{labels}}} 1 @1")]);
    let mut without = Source::new(DecodeOptions { scope_labels: false, ..DecodeOptions::default() });
    assert_eq!(without.told(&request).0, [r#"m{otel_scope_name="mine"} 1 @1"#]);
    let own = InstrumentationScope { name: OWN_SCOPE.into(), version: "0".into(), ..Default::default() };
    let request = request_of(&[], Some(own), vec![metric("m", "", gauge(vec![number(1.0, 1, &[])]))]);
    assert_eq!(Source::default().told(&request).0, ["m{} 1 @1"], "the agent's own scope says nothing");
}

#[test]
fn attributes_of_one_name_are_joined_and_targets_are_the_resources() {
    let point = number(1.0, 1, &[("a.b", "2"), ("a_b", "3"), ("a-b", "1"), ("job", "mine"), ("__name__", "mine")]);
    let request = request_of(&[("service.name", "s")], None, vec![metric("m", "", gauge(vec![point]))]);
    assert_eq!(Source::default().told(&request).0, [r#"m{a_b="1;2;3", job="s"} 1 @1"#]);
}

#[test]
fn names_follow_the_strategy() {
    let metrics = || vec![metric("http.time", "s", sum(CUMULATIVE, true, vec![number(1.0, 1, &[("url.path", "/")])]))];
    let told = |translation| {
        let mut source = Source::new(DecodeOptions { translation, ..DecodeOptions::default() });
        source.told(&request(metrics())).0.remove(0)
    };
    assert_eq!(told(Translation::UnderscoreEscapingWithSuffixes), r#"http_time_seconds_total{url_path="/"} 1 @1"#);
    assert_eq!(told(Translation::UnderscoreEscapingWithoutSuffixes), r#"http_time{url_path="/"} 1 @1"#);
    assert_eq!(told(Translation::NoUtf8EscapingWithSuffixes), r#"http.time_seconds_total{url.path="/"} 1 @1"#);
    assert_eq!(told(Translation::NoTranslation), r#"http.time{url.path="/"} 1 @1"#);
}

fn latency() -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(&[("path", "/")]),
        start_time_unix_nano: 5 * SECOND,
        time_unix_nano: 9 * SECOND,
        count: 7,
        sum: Some(2.5),
        bucket_counts: vec![1, 2, 4],
        explicit_bounds: vec![0.1, 1.0],
        ..Default::default()
    }
}

#[test]
fn histograms_are_cumulative_over_their_bounds() {
    let sampled = |value: f64, trace: u8| Exemplar {
        time_unix_nano: 8 * SECOND,
        value: Some(exemplar::Value::AsDouble(value)),
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        filtered_attributes: attributes(&[("user.id", "u")]),
    };
    let mut point = latency();
    point.exemplars = vec![sampled(3.0, 0xab), sampled(0.1, 0x01)];
    let mut bare = latency();
    (bare.bucket_counts, bare.explicit_bounds, bare.sum, bare.start_time_unix_nano) = (vec![], vec![], None, 0);
    let data = histogram(CUMULATIVE, vec![point, bare]);
    let (lines, refused) = Source::default().told(&request(vec![metric("latency", "s", data)]));
    let ids = |id: &str| format!(r#"# {{span_id="{}", trace_id="{}", user_id="u"}}"#, id.repeat(8), id.repeat(16));
    let expected = [
        format!(r#"latency_seconds_bucket{{le="0.1", path="/"}} 1 @9 +5 {} 0.1 @8"#, ids("01")),
        r#"latency_seconds_bucket{le="1", path="/"} 3 @9 +5"#.into(),
        format!(r#"latency_seconds_bucket{{le="+Inf", path="/"}} 7 @9 +5 {} 3 @8"#, ids("ab")),
        r#"latency_seconds_sum{path="/"} 2.5 @9 +5"#.into(),
        r#"latency_seconds_count{path="/"} 7 @9 +5"#.into(),
        r#"latency_seconds_bucket{le="+Inf", path="/"} 7 @9"#.into(),
        r#"latency_seconds_count{path="/"} 7 @9"#.into(),
    ];
    assert_eq!((lines, &*refused), (expected.to_vec(), ""));
}

#[test]
fn exemplars_are_kept_short() {
    let mut point = number(1.0, 1, &[]);
    point.exemplars = vec![Exemplar {
        value: Some(exemplar::Value::AsInt(4)),
        span_id: vec![7; 8],
        filtered_attributes: attributes(&[("long", &"x".repeat(130))]),
        ..Default::default()
    }];
    let gauge = metric("g", "", gauge(vec![point.clone()]));
    let counter = metric("c", "", sum(CUMULATIVE, true, vec![point]));
    let lines = Source::default().told(&request(vec![gauge, counter])).0;
    assert_eq!(lines, ["g{} 1 @1", r#"c_total{} 1 @1 # {span_id="0707070707070707"} 4"#], "gauges have none");
}

fn durations(scale: i32, offset: i32, counts: Vec<u64>) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        start_time_unix_nano: SECOND,
        time_unix_nano: 2 * SECOND,
        count: counts.iter().sum::<u64>() + 1,
        zero_count: 1,
        sum: Some(8.0),
        scale,
        positive: Some(Buckets { offset, bucket_counts: counts }),
        ..Default::default()
    }
}

#[test]
fn exponential_histograms_become_native_ones() {
    let mut negative = durations(0, 0, vec![]);
    (negative.zero_threshold, negative.count) = (0.25, 3);
    negative.negative = Some(Buckets { offset: -2, bucket_counts: vec![2] });
    let points =
        vec![durations(0, 1, vec![2, 0, 0, 0, 3]), durations(9, 3, vec![1, 1]), negative, durations(-5, 0, vec![1])];
    let data = exponential(CUMULATIVE, points);
    let (lines, refused) = Source::default().told(&request(vec![metric("d", "ms", data)]));
    let expected = [
        "d_milliseconds{} schema 0 count 6 sum 8 zero 1<1e-128 + [2:1,3:1] [2, 1] - [] [] @2 +1",
        "d_milliseconds{} schema 8 count 3 sum 8 zero 1<1e-128 + [2:2] [1, 0] - [] [] @2 +1",
        "d_milliseconds{} schema 0 count 3 sum 8 zero 1<2.5e-1 + [] [] - [-1:1] [2] @2 +1",
    ];
    assert_eq!(lines, expected);
    assert_eq!(refused, "1 point, first of metric \"d\": its scale is below -4");
}

#[test]
fn summaries_have_quantiles_a_sum_and_a_count() {
    let at = |quantile, value| ValueAtQuantile { quantile, value };
    let point = SummaryDataPoint {
        time_unix_nano: SECOND,
        count: 4,
        sum: 2.0,
        quantile_values: vec![at(0.99, 9.0), at(0.5, 1.0), at(1.0, f64::NAN)],
        ..Default::default()
    };
    let data = Data::Summary(Summary { data_points: vec![point] });
    let lines = Source::default().told(&request(vec![metric("s", "By", data)])).0;
    let expected = [
        r#"s_bytes{quantile="0.5"} 1 @1"#,
        r#"s_bytes{quantile="0.99"} 9 @1"#,
        r#"s_bytes{quantile="1"} NaN @1"#,
        "s_bytes_sum{} 2 @1",
        "s_bytes_count{} 4 @1",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_series_that_ended_is_stale() {
    let mut gone = number(5.0, 1, &[]);
    (gone.flags, gone.value) = (1, None);
    let mut latency = latency();
    latency.flags = 1;
    let mut durations = durations(0, 0, vec![]);
    durations.flags = 1;
    let metrics = vec![
        metric("g", "", gauge(vec![gone])),
        metric("h", "", histogram(CUMULATIVE, vec![latency])),
        metric("e", "", exponential(DELTA, vec![durations])),
    ];
    let lines = Source::default().told(&request(metrics)).0;
    assert_eq!(lines.iter().filter(|line| line.contains(" stale")).count(), lines.len(), "{lines:#?}");
    assert_eq!(lines.len(), 1 + 5 + 1);
}

#[test]
fn deltas_are_added_up() {
    let mut source = Source::default();
    let mut told = |from: u64, to: u64, value: f64, counts: [u64; 3]| {
        let mut counted = number(value, to, &[]);
        counted.start_time_unix_nano = from * SECOND;
        let (start_time_unix_nano, time_unix_nano) = (from * SECOND, to * SECOND);
        let bucket_counts = counts.to_vec();
        let count = counts.iter().sum();
        let latency = HistogramDataPoint { start_time_unix_nano, time_unix_nano, bucket_counts, count, ..latency() };
        let durations =
            ExponentialHistogramDataPoint { start_time_unix_nano, time_unix_nano, ..durations(1, 0, vec![counts[0]]) };
        let request = request(vec![
            metric("c", "", sum(DELTA, true, vec![counted])),
            metric("h", "", histogram(DELTA, vec![latency])),
            metric("e", "", exponential(DELTA, vec![durations])),
        ]);
        source.told(&request)
    };
    let first = told(1, 2, 5.0, [1, 0, 1]);
    assert_eq!(first.0[0], "c_total{} 5 @2 +1");
    let second = told(2, 3, 2.0, [0, 1, 0]);
    let expected = [
        "c_total{} 7 @3 +1",
        r#"h_bucket{le="0.1", path="/"} 1 @3 +1"#,
        r#"h_bucket{le="1", path="/"} 2 @3 +1"#,
        r#"h_bucket{le="+Inf", path="/"} 3 @3 +1"#,
        r#"h_sum{path="/"} 5 @3 +1"#,
        r#"h_count{path="/"} 3 @3 +1"#,
        "e{} schema 1 count 3 sum 16 zero 2<1e-128 + [1:1] [1] - [] [] @3 +1",
    ];
    assert_eq!((&second.0[..], &*second.1), (&expected.map(String::from)[..], ""));
    assert_eq!(told(2, 3, 2.0, [0, 1, 0]), second, "a sender that had no answer sends it again");
    let (lines, refused) = told(1, 2, 5.0, [1, 0, 1]);
    assert!(lines.is_empty());
    assert_eq!(refused, "3 points, first of metric \"c\": a delta is older than the one before");
    let (lines, refused) = told(2, 4, 1.0, [1, 0, 0]);
    assert!(lines.is_empty());
    assert_eq!(refused, "3 points, first of metric \"c\": a delta overlaps the one before");
    assert_eq!(told(3, 4, 1.0, [1, 0, 0]).0[0], "c_total{} 8 @4 +1", "what was refused was not counted");
}

#[test]
fn a_start_behind_the_end_is_none() {
    let mut ahead = number(1.0, 10, &[]);
    ahead.start_time_unix_nano = 99 * SECOND;
    for temporality in [CUMULATIVE, DELTA] {
        let told = Source::default().told(&request(vec![metric("c", "", sum(temporality, true, vec![ahead.clone()]))]));
        assert_eq!(told.0, ["c_total{} 1 @10"]);
    }
}

#[test]
fn what_is_refused_is_counted_by_point() {
    let mut wrong = latency();
    wrong.explicit_bounds.pop();
    let mut disordered = latency();
    disordered.explicit_bounds = vec![1.0, 0.1];
    let mut nowhere = latency();
    (nowhere.bucket_counts, nowhere.explicit_bounds) = (vec![3, 4], vec![f64::NAN]);
    let mut unfit = durations(0, 0, vec![1]);
    unfit.count = 9;
    let mut nothing = number(1.0, 1, &[]);
    nothing.value = None;
    let many: Vec<_> = (0..200).map(|index| format!("l{index}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
    let metrics = vec![
        metric("a", "", sum(0, true, vec![number(1.0, 1, &[]), number(1.0, 1, &[])])),
        metric("b", "", sum(DELTA, false, vec![number(1.0, 1, &[])])),
        metric("c", "", gauge(vec![number(1.0, 0, &[]), nothing, number(1.0, 1, &many), number(1.0, 1, &[("", "x")])])),
        metric("d", "", histogram(CUMULATIVE, vec![wrong, disordered, nowhere])),
        metric("e", "", exponential(CUMULATIVE, vec![unfit])),
        metric("é", "", gauge(vec![number(1.0, 1, &[])])),
        metric("good", "", gauge(vec![number(1.0, 1, &[])])),
    ];
    let decoded = Source::default().read(&request(metrics));
    assert_eq!(lines(&decoded.batch.expect("a batch")), ["good{} 1 @1"]);
    let reasons: Vec<_> = decoded.refused.reasons.iter().map(|of| (of.reason, of.points, of.metric.as_str())).collect();
    let expected = [
        (Reason::Temporality, 2, "a"),
        (Reason::NotMonotonic, 1, "b"),
        (Reason::Time, 1, "c"),
        (Reason::Value, 1, "c"),
        (Reason::Labels, 1, "c"),
        (Reason::LabelName, 1, "c"),
        (Reason::Bounds, 3, "d"),
        (Reason::BucketCounts, 1, "e"),
        (Reason::Name, 1, "é"),
    ];
    assert_eq!(reasons, expected);
    assert_eq!((decoded.points, decoded.refused.points), (1, 12));
}

#[test]
fn a_full_table_refuses_whole_points() {
    let mut source = Source::default();
    source.table.set_limit(3);
    let metrics = vec![
        metric("a", "", gauge(vec![number(1.0, 1, &[])])),
        metric("h", "", histogram(CUMULATIVE, vec![latency()])),
        metric("b", "", gauge(vec![number(2.0, 1, &[])])),
    ];
    let decoded = source.read(&request(metrics));
    assert_eq!(lines(&decoded.batch.expect("a batch")), ["a{} 1 @1"]);
    assert_eq!((decoded.points, decoded.refused.points), (1, 2));
    assert_eq!(decoded.refused.reasons[0].reason, Reason::SeriesFull);
}

#[test]
fn the_same_points_are_known_again_and_share_their_list() {
    let mut source = Source::default();
    let points = |time, names: &[&str]| {
        let metrics = names.iter().map(|name| metric(name, "", gauge(vec![number(time as f64, time, &[("a", "b")])])));
        let latency = HistogramDataPoint { time_unix_nano: time * SECOND, ..latency() };
        request_of(SHOP, None, metrics.chain([metric("h", "s", histogram(CUMULATIVE, vec![latency]))]).collect())
    };
    let first = source.read(&points(1, &["x", "y"])).batch.expect("a batch");
    let second = source.read(&points(2, &["x", "y"])).batch.expect("a batch");
    assert!(Arc::ptr_eq(first.series(), second.series()), "nothing was asked of the table");
    let more = source.read(&points(3, &["x", "new", "y"])).batch.expect("a batch");
    assert_eq!(more.series().len(), first.series().len() + 1);
    assert_eq!(lines(&more)[2], r#"y{a="b", instance="pod-1", job="shop/checkout"} 3 @3"#);
    let again = source.read(&points(4, &["x", "new", "y"])).batch.expect("a batch");
    assert!(Arc::ptr_eq(more.series(), again.series()));
    // In another order the series are the same ones.
    let turned = source.read(&points(5, &["y", "x", "new"])).batch.expect("a batch");
    assert_eq!(turned.series().refs()[0], more.series().refs()[2]);
    assert_eq!(source.table.read().len(), more.series().len());
    // What nobody sends any longer is forgotten with its series.
    drop((first, second, more, again, turned));
    for seconds in [1000, 2000, 3000] {
        source.now = UnixNanos(seconds * SECOND);
        source.read(&points(seconds, &["other"]));
    }
    let other = source.read(&points(4000, &["other"])).batch.expect("a batch");
    assert_eq!(source.table.read().len(), other.series().len());
}

#[test]
fn one_target_has_one_target_info() {
    let with = |extra: &str| {
        request_of(
            &[("service.name", "s"), ("host", extra)],
            None,
            vec![metric("m", "", gauge(vec![number(1.0, 1, &[("x", extra)])]))],
        )
    };
    let mut both = with("a");
    both.resource_metrics.extend(with("b").resource_metrics);
    let mut source = Source::default();
    let expected = [r#"m{job="s", x="a"} 1 @1"#, r#"target_info{host="a", job="s"} 1 @1"#, r#"m{job="s", x="b"} 1 @1"#];
    assert_eq!(source.told(&both).0, expected);
    assert_eq!(source.told(&both).0, expected, "known points say the same");
    let nameless = request_of(&[("host", "a")], None, vec![metric("m", "", gauge(vec![number(1.0, 1, &[])]))]);
    assert_eq!(source.told(&nameless).0, ["m{} 1 @1"], "whom would it be about?");
}
