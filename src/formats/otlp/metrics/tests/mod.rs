//! Requests written by the official messages (crates `opentelemetry-proto` and `prost`), and what they become.

mod any_request;
mod decode;
mod encode;
mod goldens;
mod hostile;

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Kind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::data::histogram::Counts;
use crate::data::metrics::{SampleValue, is_stale};
use crate::data::{MetricBatch, SeriesTable, UnixMillis, UnixNanos};
use crate::formats::otlp::MessageError;

/// `AggregationTemporality`.
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

const SECOND: u64 = 1_000_000_000;

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Kind::StringValue(text.into())) }
}

/// What becomes of a batch in requests of their own.
fn all_of(encoder: &mut Encoder, batch: &MetricBatch, limit: usize) -> Vec<Encoded> {
    let (mut left, mut all) = (encoder.portions(batch), Vec::new());
    left.reverse();
    while let Some(portion) = left.pop() {
        let encoded = encoder.encode(batch, portion, Room::of(limit));
        left.extend(encoded.loose.clone());
        left.extend(encoded.rest.clone());
        all.push(encoded);
    }
    all
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let of =
        |(key, value): &(&str, &str)| KeyValue { key: (*key).into(), value: Some(text(value)), ..Default::default() };
    pairs.iter().map(of).collect()
}

fn number(value: f64, time: u64, pairs: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(pairs),
        time_unix_nano: time * SECOND,
        value: Some(Value::AsDouble(value)),
        ..Default::default()
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.into(),
        unit: unit.into(),
        description: format!("about {name}"),
        data: Some(data),
        ..Default::default()
    }
}

fn gauge(data_points: Vec<NumberDataPoint>) -> Data {
    Data::Gauge(Gauge { data_points })
}

fn sum(aggregation_temporality: i32, is_monotonic: bool, data_points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
}

fn histogram(aggregation_temporality: i32, data_points: Vec<HistogramDataPoint>) -> Data {
    Data::Histogram(Histogram { data_points, aggregation_temporality })
}

fn exponential(aggregation_temporality: i32, data_points: Vec<ExponentialHistogramDataPoint>) -> Data {
    Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
}

/// Metrics of one resource and scope.
fn request_of(
    resource: &[(&str, &str)],
    scope: Option<InstrumentationScope>,
    metrics: Vec<Metric>,
) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { scope, metrics, ..Default::default() }];
    let resource = Some(Resource { attributes: attributes(resource), ..Default::default() });
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }],
    }
}

/// Metrics of nobody.
fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    request_of(&[], None, metrics)
}

/// A source: a decoder and what it shares with others.
struct Source {
    table: Arc<SeriesTable>,
    decoder: Decoder,
    deltas: Mutex<DeltaToCumulative>,
    now: UnixNanos,
}

impl Source {
    fn new(options: DecodeOptions) -> Self {
        let table = SeriesTable::new(10_000);
        let deltas = Mutex::new(DeltaToCumulative::new(DeltaLimits::default()));
        Self { decoder: Decoder::new(table.clone(), options), table, deltas, now: UnixNanos(SECOND) }
    }

    fn bytes(&mut self, message: &[u8]) -> Result<Decoded, MessageError> {
        self.decoder.decode(message, &self.deltas, &Arc::default(), self.now)
    }

    fn read(&mut self, request: &ExportMetricsServiceRequest) -> Decoded {
        self.bytes(&request.encode_to_vec()).expect("a whole request")
    }

    /// The samples that a request becomes, and what is refused of it.
    fn told(&mut self, request: &ExportMetricsServiceRequest) -> (Vec<String>, String) {
        let decoded = self.read(request);
        (decoded.batch.as_ref().map(lines).unwrap_or_default(), decoded.refused.to_string())
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::new(DecodeOptions::default())
    }
}

/// Samples without what is told of metrics: `name{labels} value @seconds`, `+seconds` for a start, `# {labels} value @seconds`
/// for an exemplar.
fn lines(batch: &MetricBatch) -> Vec<String> {
    let series = batch.series().table().read();
    let seconds = |time: UnixMillis| time.0 as f64 / 1e3;
    let told = batch.iter().map(|sample| {
        let mut line = series.labels(sample.series).to_string();
        match sample.value {
            SampleValue::Float(value) if is_stale(value) => line.push_str(" stale"),
            SampleValue::Float(value) => write!(line, " {value}").expect("memory"),
            SampleValue::Histogram(found) if is_stale(found.sum) => line.push_str(" stale histogram"),
            SampleValue::Histogram(found) => {
                assert!(found.is_valid(), "{found:?}");
                let Counts::Integer { count, zero, positive, negative } = &found.counts else { panic!("integers") };
                let spans = |spans: &[crate::data::histogram::BucketSpan]| {
                    spans.iter().map(|span| format!("{}:{}", span.offset, span.length)).collect::<Vec<_>>().join(",")
                };
                write!(
                    line,
                    " schema {} count {count} sum {} zero {zero}<{:e}",
                    found.schema, found.sum, found.zero_threshold
                )
                .expect("memory");
                write!(line, " + [{}] {positive:?}", spans(&found.positive_spans)).expect("memory");
                write!(line, " - [{}] {negative:?}", spans(&found.negative_spans)).expect("memory");
            }
        }
        write!(line, " @{}", seconds(sample.time)).expect("memory");
        if let Some(created) = batch.created(sample.index) {
            write!(line, " +{}", seconds(created)).expect("memory");
        }
        for exemplar in batch.exemplars(sample.index) {
            write!(line, " # {} {}", batch.exemplar_labels(exemplar), exemplar.value).expect("memory");
            exemplar.time.into_iter().for_each(|time| write!(line, " @{}", seconds(time)).expect("memory"));
        }
        line
    });
    told.collect()
}
