//! Requests as prost types, made at random from a seed: what tests compare with an independent codec.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// Makes requests.
pub(super) struct Random(fastrand::Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    fn some<T>(&mut self, most: usize, make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.0.usize(..=most);
        let mut make = make;
        (0..count).map(|_| make(self)).collect()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.0.bool().then(|| make(self))
    }

    pub fn text(&mut self) -> String {
        const WORDS: [&str; 9] =
            ["", "a", "shop", "line\nbreak", "q\"uo\\te", "café ☕ 🦀", "\u{0}\u{1b}", "{\"a\":1}", "x.y"];
        let word = WORDS[self.0.usize(..WORDS.len())];
        if self.0.u8(..20) == 0 { word.repeat(self.0.usize(..200)) } else { word.to_owned() }
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.0.u8(..)).collect()
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        if self.0.u8(..4) == 0 { Vec::new() } else { self.bytes(length) }
    }

    fn double(&mut self) -> f64 {
        if self.0.u8(..4) == 0 { f64::NEG_INFINITY } else { self.finite() }
    }

    /// A double that the crate's own JSON has a form for, and one that serde_json reads as it stands.
    fn finite(&mut self) -> f64 {
        if self.0.u8(..4) == 0 { 0.1 } else { f64::from(self.0.i32(..)) / 8.0 }
    }

    fn u64(&mut self) -> u64 {
        match self.0.u8(..4) {
            0 => 0,
            1 => u64::MAX,
            _ => self.0.u64(..),
        }
    }

    fn u32(&mut self) -> u32 {
        if self.0.bool() { 0 } else { self.0.u32(..) }
    }

    pub fn value(&mut self, depth: usize) -> AnyValue {
        let value = match self.0.u8(..if depth == 0 { 6 } else { 8 }) {
            0 => None,
            1 => Some(Value::StringValue(self.text())),
            2 => Some(Value::BoolValue(self.0.bool())),
            3 => Some(Value::IntValue(self.u64().cast_signed())),
            // The crate's own JSON has no form for doubles that are not finite.
            4 => Some(Value::DoubleValue(self.finite())),
            5 => {
                let length = self.0.usize(..9);
                Some(Value::BytesValue(self.bytes(length)))
            }
            6 => Some(Value::ArrayValue(ArrayValue { values: self.some(3, |random| random.value(depth - 1)) })),
            _ => Some(Value::KvlistValue(KeyValueList { values: self.attributes_of(depth - 1) })),
        };
        AnyValue { value }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.attributes_of(2)
    }

    /// Attributes whose keys differ.
    fn attributes_of(&mut self, depth: usize) -> Vec<KeyValue> {
        let mut number = 0;
        self.some(3, |random| {
            number += 1;
            let key = format!("{}{number}", random.text());
            KeyValue { key, value: Some(random.value(depth)), key_strindex: 0 }
        })
    }

    fn resource(&mut self) -> Resource {
        Resource { attributes: self.attributes(), dropped_attributes_count: self.u32(), entity_refs: Vec::new() }
    }

    fn scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.text(),
            version: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
        }
    }

    pub fn logs(&mut self) -> ExportLogsServiceRequest {
        let resource_logs = self.some(2, |random| ResourceLogs {
            resource: random.maybe(Self::resource),
            scope_logs: random.some(2, |random| ScopeLogs {
                scope: random.maybe(Self::scope),
                log_records: random.some(4, Self::log_record),
                schema_url: random.text(),
            }),
            schema_url: random.text(),
        });
        ExportLogsServiceRequest { resource_logs }
    }

    pub fn log_record(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.u64(),
            observed_time_unix_nano: self.u64(),
            severity_number: self.0.i32(0..25),
            severity_text: self.text(),
            body: self.maybe(|random| random.value(3)),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            flags: self.u32(),
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.text(),
        }
    }

    pub fn traces(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = self.some(2, |random| ResourceSpans {
            resource: random.maybe(Self::resource),
            scope_spans: random.some(2, |random| ScopeSpans {
                scope: random.maybe(Self::scope),
                spans: random.some(4, Self::span),
                schema_url: random.text(),
            }),
            schema_url: random.text(),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            parent_span_id: self.id(8),
            flags: self.u32(),
            name: self.text(),
            kind: self.0.i32(0..6),
            start_time_unix_nano: self.u64(),
            end_time_unix_nano: self.u64(),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            events: self.some(2, |random| Event {
                time_unix_nano: random.u64(),
                name: random.text(),
                attributes: random.attributes(),
                dropped_attributes_count: random.u32(),
            }),
            dropped_events_count: self.u32(),
            links: self.some(2, |random| Link {
                trace_id: random.id(16),
                span_id: random.id(8),
                trace_state: random.text(),
                attributes: random.attributes(),
                dropped_attributes_count: random.u32(),
                flags: random.u32(),
            }),
            dropped_links_count: self.u32(),
            status: self.maybe(|random| Status { message: random.text(), code: random.0.i32(0..3) }),
        }
    }

    pub fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.some(2, |random| ResourceMetrics {
            resource: random.maybe(Self::resource),
            scope_metrics: random.some(2, |random| ScopeMetrics {
                scope: random.maybe(Self::scope),
                metrics: random.some(4, Self::metric),
                schema_url: random.text(),
            }),
            schema_url: random.text(),
        });
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn metric(&mut self) -> Metric {
        let temporality = self.0.i32(0..3);
        let data = match self.0.u8(..6) {
            0 => metric::Data::Gauge(Gauge { data_points: self.some(2, Self::number_point) }),
            1 => metric::Data::Sum(Sum {
                data_points: self.some(2, Self::number_point),
                aggregation_temporality: temporality,
                is_monotonic: self.0.bool(),
            }),
            2 => metric::Data::Histogram(Histogram {
                data_points: self.some(2, Self::histogram_point),
                aggregation_temporality: temporality,
            }),
            3 => metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.some(2, Self::exponential_point),
                aggregation_temporality: temporality,
            }),
            _ => metric::Data::Summary(Summary { data_points: self.some(2, Self::summary_point) }),
        };
        Metric {
            name: self.text(),
            description: self.text(),
            unit: self.text(),
            metadata: self.attributes(),
            data: Some(data),
        }
    }

    fn number_point(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            exemplars: self.some(2, Self::exemplar),
            flags: self.u32(),
            value: self.maybe(|random| match random.0.bool() {
                true => number_data_point::Value::AsDouble(random.finite()),
                false => number_data_point::Value::AsInt(random.u64().cast_signed()),
            }),
        }
    }

    fn exemplar(&mut self) -> Exemplar {
        Exemplar {
            filtered_attributes: self.attributes(),
            time_unix_nano: self.u64(),
            span_id: self.id(8),
            trace_id: self.id(16),
            value: self.maybe(|random| match random.0.bool() {
                true => exemplar::Value::AsDouble(random.finite()),
                false => exemplar::Value::AsInt(random.u64().cast_signed()),
            }),
        }
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.maybe(Self::finite),
            bucket_counts: self.some(4, Self::u64),
            explicit_bounds: self.some(4, Self::finite),
            exemplars: self.some(2, Self::exemplar),
            flags: self.u32(),
            min: self.maybe(Self::finite),
            max: self.maybe(Self::finite),
        }
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.maybe(Self::finite),
            scale: self.0.i32(..),
            zero_count: self.u64(),
            positive: self.maybe(Self::buckets),
            negative: self.maybe(Self::buckets),
            flags: self.u32(),
            exemplars: self.some(2, Self::exemplar),
            min: self.maybe(Self::finite),
            max: self.maybe(Self::finite),
            zero_threshold: self.finite(),
        }
    }

    fn buckets(&mut self) -> Buckets {
        Buckets { offset: self.0.i32(..), bucket_counts: self.some(4, Self::u64) }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.finite(),
            quantile_values: self
                .some(3, |random| ValueAtQuantile { quantile: random.double(), value: random.double() }),
            flags: self.u32(),
        }
    }
}
