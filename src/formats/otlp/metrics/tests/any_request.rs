//! Requests of every shape, for properties.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Summary, SummaryDataPoint, exemplar};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Text as people write it, and as nobody does.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-c]{1,3}([._][a-c]{1,2})?", 1 => "[_.é1/]{0,3}"]
}

fn any_attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let value = prop_oneof![
        4 => "[a-z]{0,3}".prop_map(Kind::StringValue),
        1 => any::<i64>().prop_map(Kind::IntValue),
        1 => any::<f64>().prop_map(Kind::DoubleValue),
        1 => any::<bool>().prop_map(Kind::BoolValue),
        1 => vec(any::<u8>(), 0..4).prop_map(Kind::BytesValue),
    ];
    let value = proptest::option::weighted(0.9, value).prop_map(|value| AnyValue { value });
    vec((word(), value), 0..4).prop_map(|pairs| {
        pairs.into_iter().map(|(key, value)| KeyValue { key, value: Some(value), ..Default::default() }).collect()
    })
}

fn seconds() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 20 => 1..50_u64].prop_map(|seconds| seconds * SECOND)
}

fn any_exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    // One without a time has that of its point on the way out.
    let one = (any_attributes(), 1..50_u64, -5.0..50.0f64, any::<bool>()).prop_map(
        |(filtered_attributes, time, value, ids)| Exemplar {
            filtered_attributes,
            time_unix_nano: time * SECOND,
            value: Some(exemplar::Value::AsDouble(value)),
            span_id: if ids { vec![1; 8] } else { Vec::new() },
            trace_id: if ids { vec![2; 16] } else { Vec::new() },
        },
    );
    vec(one, 0..3)
}

fn any_number() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![any::<f64>().prop_map(Value::AsDouble), any::<i64>().prop_map(Value::AsInt)];
    let value = proptest::option::weighted(0.9, value);
    (any_attributes(), seconds(), seconds(), value, any_exemplars(), proptest::bool::weighted(0.1)).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, value, exemplars, stale)| NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            exemplars,
            flags: u32::from(stale),
            value,
        },
    )
}

fn any_classic() -> impl Strategy<Value = HistogramDataPoint> {
    let shape = (vec(0..9_u64, 0..5), vec(-3..20_i32, 0..4), any::<bool>(), proptest::bool::weighted(0.8));
    (any_attributes(), seconds(), seconds(), shape, any_exemplars(), proptest::bool::weighted(0.1)).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, (counts, mut bounds, sum, fits), exemplars, stale)| {
            if fits {
                bounds.sort_unstable();
                bounds.dedup();
            }
            let mut bucket_counts = counts;
            if fits && !bucket_counts.is_empty() {
                bucket_counts.resize(bounds.len() + 1, 1);
            }
            HistogramDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                count: bucket_counts.iter().sum(),
                sum: sum.then_some(3.5),
                bucket_counts,
                explicit_bounds: bounds.into_iter().map(|bound| f64::from(bound) / 2.0).collect(),
                exemplars,
                flags: u32::from(stale),
                ..Default::default()
            }
        },
    )
}

fn any_exponential() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let side = || proptest::option::of((-40..40_i32, vec(prop_oneof![2 => Just(0_u64), 1 => 0..9_u64], 0..20)));
    let shape = (-6..20_i32, side(), side(), 0..3_u64, prop_oneof![3 => Just(0.0), 1 => Just(1e-3)]);
    (any_attributes(), seconds(), seconds(), shape, any_exemplars(), proptest::bool::weighted(0.9)).prop_map(
        |(
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            (scale, positive, negative, zero_count, zero_threshold),
            exemplars,
            fits,
        )| {
            let buckets =
                |side: Option<(i32, Vec<u64>)>| side.map(|(offset, bucket_counts)| Buckets { offset, bucket_counts });
            let (positive, negative) = (buckets(positive), buckets(negative));
            let sides = [&positive, &negative].into_iter().flatten();
            let count: u64 = sides.flat_map(|side| &side.bucket_counts).sum::<u64>() + zero_count;
            ExponentialHistogramDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                count: if fits { count } else { count + 1 },
                sum: Some(1.25),
                scale,
                zero_count,
                zero_threshold,
                positive,
                negative,
                exemplars,
                ..Default::default()
            }
        },
    )
}

fn any_summary() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile =
        (0..5_u8, -9.0..9.0f64).prop_map(|(at, value)| ValueAtQuantile { quantile: f64::from(at) / 4.0, value });
    (any_attributes(), seconds(), vec(quantile, 0..4), 0..99_u64).prop_map(
        |(attributes, time_unix_nano, quantile_values, count)| SummaryDataPoint {
            attributes,
            time_unix_nano,
            quantile_values,
            count,
            sum: 7.5,
            ..Default::default()
        },
    )
}

fn any_metric() -> impl Strategy<Value = Metric> {
    let temporality = || prop_oneof![1 => Just(0), 4 => Just(DELTA), 8 => Just(CUMULATIVE)];
    let data = prop_oneof![
        vec(any_number(), 0..4).prop_map(gauge),
        (vec(any_number(), 0..4), temporality(), any::<bool>()).prop_map(|(points, temporality, up)| sum(
            temporality,
            up,
            points
        )),
        (vec(any_classic(), 0..3), temporality()).prop_map(|(points, temporality)| histogram(temporality, points)),
        (vec(any_exponential(), 0..3), temporality())
            .prop_map(|(points, temporality)| exponential(temporality, points)),
        vec(any_summary(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ];
    let unit = prop_oneof![Just(""), Just("1"), Just("s"), Just("By/s"), Just("{x}")];
    (word(), unit, data).prop_map(|(name, unit, data)| metric(&name, unit, data))
}

/// Any request that is protobuf; not everything in it can be taken.
pub(super) fn any_request() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let service = prop_oneof![
        Just(vec![]),
        Just(attributes(&[("service.name", "s"), ("service.namespace", "n")])),
        Just(attributes(&[("service.name", "s"), ("service.instance.id", "i")])),
    ];
    let scope = proptest::option::of((word(), any_attributes()).prop_map(|(name, attributes)| InstrumentationScope {
        name,
        attributes,
        ..Default::default()
    }));
    let scoped = (scope, vec(any_metric(), 0..4)).prop_map(|(scope, metrics)| ScopeMetrics {
        scope,
        metrics,
        ..Default::default()
    });
    let one = (service, any_attributes(), vec(scoped, 0..3)).prop_map(|(mut attributes, more, scope_metrics)| {
        attributes.extend(more);
        ResourceMetrics {
            resource: Some(Resource { attributes, ..Default::default() }),
            scope_metrics,
            ..Default::default()
        }
    });
    vec(one, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

/// Data points of a request.
pub(super) fn points(request: &ExportMetricsServiceRequest) -> u64 {
    let scopes = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
    let data = scopes.flat_map(|of| &of.metrics).filter_map(|metric| metric.data.as_ref());
    data.map(|data| match data {
        Data::Gauge(of) => of.data_points.len(),
        Data::Sum(of) => of.data_points.len(),
        Data::Histogram(of) => of.data_points.len(),
        Data::ExponentialHistogram(of) => of.data_points.len(),
        Data::Summary(of) => of.data_points.len(),
    } as u64)
        .sum()
}
