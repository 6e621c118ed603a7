//! What is emitted for spans, under virtual time.

use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::{Value as Json, json};

use super::*;
use crate::data::histogram::Counts;
use crate::data::metrics::SampleValue;
use crate::pipeline::aggregate::testing::{Driven, attribute, spans, text};

fn start(value: Json) -> Driven {
    let options: Options = serde_json::from_value(value).expect("the shape is right");
    Driven::start(&options, Signal::Traces)
}

/// A span of a server that took so long.
fn span(name: &str, millis: u64) -> Span {
    let start = 1_000_000_000;
    Span {
        trace_id: vec![1; 16],
        span_id: vec![millis as u8 + 1; 8],
        name: name.into(),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + millis * 1_000_000,
        ..Span::default()
    }
}

/// Only calls, by as few labels as told.
fn calls(more: Json) -> Json {
    let mut options = json!({ "namespace": "", "histogram": { "disable": true } });
    let more = more.as_object().expect("an object").clone();
    options.as_object_mut().expect("an object").extend(more);
    options
}

#[tokio::test(start_paused = true)]
async fn spans_are_counted_by_service_name_kind_and_status() {
    let mut driven = start(json!({ "histogram": { "explicit": { "buckets": ["10ms", "1s"] } } }));
    let failed = Span { status: Some(Status { code: 2, message: String::new() }), kind: 3, ..span("pay", 2000) };
    driven.send(spans(&[("shop", vec![span("buy", 10), span("buy", 500)]), ("bank", vec![failed])])).await;
    assert!(driven.next().await.0.iter().all(|sample| sample.ends_with(" 0")), "counters begin at zero");
    let buy = "service_name=shop,span_kind=SPAN_KIND_SERVER,span_name=buy,status_code=STATUS_CODE_UNSET";
    let pay = "service_name=bank,span_kind=SPAN_KIND_CLIENT,span_name=pay,status_code=STATUS_CODE_ERROR";
    let mut expected = Vec::new();
    for (labels, [small, middle, all], sum) in [(buy, [1, 2, 2], "0.51"), (pay, [0, 0, 1], "2")] {
        expected.push(format!("traces_span_metrics_calls_total{{{labels}}} {all}"));
        let (before, after) = labels.split_once(",span_kind").expect("a kind");
        for (bound, count) in [("0.01", small), ("1.0", middle), ("+Inf", all)] {
            let name = "traces_span_metrics_duration_seconds_bucket";
            expected.push(format!("{name}{{le={bound},{before},span_kind{after}}} {count}"));
        }
        expected.push(format!("traces_span_metrics_duration_seconds_count{{{labels}}} {all}"));
        expected.push(format!("traces_span_metrics_duration_seconds_sum{{{labels}}} {sum}"));
    }
    expected.sort();
    assert_eq!(driven.next().await.0, expected);
    assert_eq!(driven.metrics.records_in.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn dimensions_are_of_the_span_of_its_resource_or_the_default() {
    let mut driven = start(calls(json!({
        "exclude_dimensions": ["span.name", "span.kind", "status.code", "service.name"],
        "dimensions": [{ "name": "http.status" }, { "name": "service.name" }, { "name": "env", "default": "test" }]
    })));
    let mut known = span("a", 1);
    known.attributes = vec![attribute("http.status", ProtoValue::IntValue(200)), text("env", "prod")];
    let mut own = span("b", 1);
    own.attributes = vec![text("service.name", "own"), text("http.status", "a"), text("http.status", "b")];
    driven.send(spans(&[("shop", vec![known, span("c", 1)]), ("bank", vec![own, span("d", 1)])])).await;
    driven.next().await;
    let expected = [
        "calls_total{env=prod,http_status=200,service_name=shop} 1",
        "calls_total{env=test,http_status=a,service_name=own} 1",
        "calls_total{env=test,service_name=bank} 1",
        "calls_total{env=test,service_name=shop} 1",
    ];
    assert_eq!(driven.next().await.0, expected);
}

#[tokio::test(start_paused = true)]
async fn a_sampled_span_counts_for_all_that_it_stands_for() {
    let mut driven =
        start(json!({ "namespace": "n", "histogram": { "unit": "ms", "explicit": { "buckets": ["1ms"] } } }));
    let sampled = |threshold: &str| format!("ot=rv:ffffffffffffff;th:{threshold}");
    let of = |state: &str, millis| Span { trace_state: state.into(), ..span("a", millis) };
    driven.send(spans(&[("s", vec![of(&sampled("c"), 1), of(&sampled("4"), 3), of("", 5)])])).await;
    driven.next().await;
    let (samples, _) = driven.next().await;
    let all = 4.0 + 4.0 / 3.0 + 1.0;
    let value = |name: &str| -> f64 {
        let sample = samples.iter().find(|sample| sample.starts_with(name)).expect("is emitted");
        sample.rsplit_once(' ').expect("a value").1.parse().expect("a number")
    };
    assert_eq!((value("n_calls_total"), value("n_duration_milliseconds_count")), (all, all));
    assert_eq!(value("n_duration_milliseconds_sum"), 4.0 + 4.0 + 5.0);
    assert_eq!(value("n_duration_milliseconds_bucket{le=1.0"), 4.0);
}

#[tokio::test(start_paused = true)]
async fn durations_may_be_native_histograms() {
    let mut driven = start(json!({ "namespace": "", "histogram": { "exponential": { "max_size": 4 } } }));
    driven.send(spans(&[("s", vec![span("a", 0), span("a", 250), span("a", 500), span("a", 4000)])])).await;
    driven.next().await;
    let batch = driven.batch().await;
    let histograms: Vec<_> = batch
        .iter()
        .filter_map(|sample| if let SampleValue::Histogram(histogram) = sample.value { Some(histogram) } else { None })
        .collect();
    let [histogram] = histograms.as_slice() else { panic!("one histogram") };
    assert_eq!((histogram.schema, histogram.sum), (-1, 4.75));
    // Buckets end at 1/4, 1 and 4 s, and hold what ends them.
    let Counts::Float { count, zero, positive, .. } = &histogram.counts else { panic!("floats") };
    assert_eq!((*count, *zero, positive.as_slice()), (4.0, 1.0, &[1.0, 1.0, 1.0][..]));
}

#[tokio::test(start_paused = true)]
async fn exemplars_are_the_latest_spans_of_each_series_and_are_sent_once() {
    let mut driven = start(json!({
        "histogram": { "explicit": { "buckets": ["10ms"] } },
        "exemplars": { "enabled": true, "max_per_data_point": 2 }
    }));
    driven.send(spans(&[("s", vec![span("a", 1), span("a", 20), span("a", 5)])])).await;
    assert_eq!(driven.batch().await.columns().exemplars, []);
    let batch = driven.batch().await;
    let shown: Vec<_> = batch
        .columns()
        .exemplars
        .iter()
        .map(|exemplar| {
            let labels = batch.exemplar_labels(exemplar).iter().map(|(name, value)| format!("{name}={value}"));
            (batch.columns().values[exemplar.sample as usize], exemplar.value, labels.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let ids = |byte: &str| format!("span_id={} trace_id={}", byte.repeat(8), "01".repeat(16));
    // The buckets up to 10 ms and +Inf count 2 and 3.
    assert_eq!(shown, [(2.0, 0.005, ids("06")), (3.0, 0.02, ids("15"))]);
    assert_eq!(driven.batch().await.columns().exemplars, []);
}

#[tokio::test(start_paused = true)]
async fn series_expire_and_beyond_the_limit_overflow() {
    let mut driven = start(calls(json!({
        "interval": "10s", "expiry": "15s", "limit": 1,
        "exclude_dimensions": ["service.name", "span.kind", "status.code"]
    })));
    driven.send(spans(&[("s", vec![span("a", 1), span("b", 1), span("c", 1)])])).await;
    driven.next().await;
    assert_eq!(driven.next().await.0, ["calls_total{overflow=true} 2", "calls_total{span_name=a} 1"]);
    let ended = ["calls_total{overflow=true} stale", "calls_total{span_name=a} stale"];
    assert_eq!(driven.next().await.0, ended);
    driven.send(spans(&[("s", vec![span("b", 1)])])).await;
    assert_eq!(driven.next().await.0, ["calls_total{span_name=b} 0"]);
    let refused = start(calls(json!({ "limit": 1, "when_full": "refuse" })));
    refused.send(spans(&[("s", vec![span("a", 1), span("b", 1), span("a", 1)])])).await;
    let metrics = refused.metrics.clone();
    let left = refused.finish().await;
    assert_eq!((left.len(), metrics.records_refused.get()), (2, 1));
    left.into_iter().for_each(|message| message.ack.done());
}

#[tokio::test(start_paused = true)]
async fn hostile_spans_are_counted_as_what_they_say() {
    let mut driven = start(json!({ "namespace": "", "dimensions": [{ "name": "v" }], "histogram": { "unit": "ms" } }));
    let backwards = Span { start_time_unix_nano: 5, end_time_unix_nano: 1, kind: 77, ..span("", 0) };
    let long = Span { attributes: vec![text("v", &"\u{e9}".repeat(5000))], ..span("x", 1) };
    let forever = Span { start_time_unix_nano: 0, end_time_unix_nano: u64::MAX, ..span("y", 1) };
    driven.send(spans(&[("s", vec![backwards, long, forever])])).await;
    driven.next().await;
    let (samples, _) = driven.next().await;
    assert!(samples.contains(
        &"duration_milliseconds_sum{service_name=s,span_kind=SPAN_KIND_UNSPECIFIED,status_code=STATUS_CODE_UNSET} 0".to_owned()
    ));
    let cut = samples.iter().filter_map(|sample| sample.split_once(",v=")).map(|(_, rest)| rest);
    assert!(cut.clone().count() > 0);
    cut.for_each(|rest| assert_eq!(rest.split_once('}').expect("ends").0, "\u{e9}".repeat(512)));
}
