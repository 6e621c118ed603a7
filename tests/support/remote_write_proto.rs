//! The messages of remote write as a test reads them off the wire: Prometheus Remote-Write 1.0
//! (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`), and one shape for both, in which
//! what was sent can be compared and counted. It knows nothing of the agent's own encoder, which is what is under test.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;

use prost::Message as _;

use crate::http::Message;

/// The value that ends a series (a NaN of these bits).
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The labels of a series, `__name__` among them.
pub type Labels = BTreeMap<String, String>;

/// What one request carried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// The samples in the order of the request.
    pub samples: Vec<WrittenSample>,
    /// Exemplars: labels of the series, labels of the exemplar, its value and its milliseconds.
    pub exemplars: Vec<(Labels, Labels, f64, i64)>,
    /// Metadata by metric: in 1.0 by the family's name, in 2.0 by that of the series.
    pub metadata: BTreeMap<String, WrittenMetadata>,
}

/// A sample.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenSample {
    /// Labels of its series.
    pub labels: Labels,
    /// Milliseconds since 1970.
    pub millis: i64,
    /// When the series was begun anew, in milliseconds, 0 for not said; 2.0 alone.
    pub start_millis: i64,
    /// What was measured.
    pub value: WrittenValue,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum WrittenValue {
    /// The bits of a number, so that NaNs can be told apart.
    Number(u64),
    /// A native histogram.
    Histogram(Box<Histogram>),
}

/// Metadata of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenMetadata {
    /// The type's number; the same in both versions, up to `stateset`.
    pub kind: i32,
    /// Help.
    pub help: String,
    /// Unit.
    pub unit: String,
}

/// Which message a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Version {
    /// By the content type, which without `proto` means 1.0.
    pub fn of(request: &Message) -> Self {
        let kind = request.headers.get("content-type").map_or("", String::as_str);
        if kind.contains("proto=io.prometheus.write.v2.Request") { Self::V2 } else { Self::V1 }
    }
}

/// Decodes a request; fails where it breaks the specification.
pub fn decode(request: &Message) -> Result<Written, String> {
    let encoding = request.headers.get("content-encoding").map(String::as_str);
    if encoding != Some("snappy") {
        return Err(format!("content-encoding is {encoding:?}"));
    }
    let body = snap::raw::Decoder::new().decompress_vec(&request.body).map_err(|error| error.to_string())?;
    match Version::of(request) {
        Version::V1 => WriteRequest::decode(&*body).map_err(|error| error.to_string())?.read(),
        Version::V2 => Request::decode(&*body).map_err(|error| error.to_string())?.read(),
    }
}

/// How often each sample was sent: labels and milliseconds.
pub fn times_sent<'a>(written: impl IntoIterator<Item = &'a Written>) -> BTreeMap<(Labels, i64), usize> {
    let mut times = BTreeMap::new();
    for sample in written.into_iter().flat_map(|written| &written.samples) {
        *times.entry((sample.labels.clone(), sample.millis)).or_default() += 1;
    }
    times
}

impl WriteRequest {
    fn read(self) -> Result<Written, String> {
        let mut written = Written::default();
        for series in self.timeseries {
            let labels = labels_of(series.labels.into_iter().map(|label| (label.name, label.value)))?;
            written.push_samples(&labels, series.samples.iter().map(|s| (s.value, s.timestamp, 0)), series.histograms);
            for exemplar in series.exemplars {
                let own = exemplar.labels.into_iter().map(|label| (label.name, label.value)).collect();
                written.exemplars.push((labels.clone(), own, exemplar.value, exemplar.timestamp));
            }
        }
        for metadata in self.metadata {
            let words = WrittenMetadata { kind: metadata.kind, help: metadata.help, unit: metadata.unit };
            written.metadata.insert(metadata.metric_family_name, words);
        }
        Ok(written)
    }
}

impl Request {
    fn read(self) -> Result<Written, String> {
        let symbols = &self.symbols;
        if symbols.first().is_some_and(|first| !first.is_empty()) {
            return Err("the first symbol is not empty".into());
        }
        let symbol = |at: u32| symbols.get(at as usize).cloned().ok_or_else(|| format!("no symbol {at}"));
        let pairs = |refs: &[u32]| {
            if refs.len() % 2 == 1 {
                return Err("an odd number of references to labels".into());
            }
            refs.chunks_exact(2)
                .map(|pair| Ok((symbol(pair[0])?, symbol(pair[1])?)))
                .collect::<Result<Vec<_>, String>>()
        };
        let mut written = Written::default();
        for series in self.timeseries {
            let labels = labels_of(pairs(&series.labels_refs)?.into_iter())?;
            if !series.samples.is_empty() && !series.histograms.is_empty() {
                return Err(format!("numbers and histograms in one series: {labels:?}"));
            }
            let created = series.created_timestamp;
            let start = |own: i64| if own == 0 { created } else { own };
            let samples = series.samples.iter().map(|s| (s.value, s.timestamp, start(s.start_timestamp)));
            written.push_samples(&labels, samples, series.histograms);
            for exemplar in series.exemplars {
                let own = pairs(&exemplar.labels_refs)?.into_iter().collect();
                written.exemplars.push((labels.clone(), own, exemplar.value, exemplar.timestamp));
            }
            if let Some(metadata) = series.metadata {
                let (help, unit) = (symbol(metadata.help_ref)?, symbol(metadata.unit_ref)?);
                let name = labels.get("__name__").cloned().unwrap_or_default();
                written.metadata.insert(name, WrittenMetadata { kind: metadata.kind, help, unit });
            }
        }
        Ok(written)
    }
}

impl Written {
    fn push_samples(
        &mut self,
        labels: &Labels,
        samples: impl Iterator<Item = (f64, i64, i64)>,
        histograms: Vec<Histogram>,
    ) {
        for (value, millis, start_millis) in samples {
            let value = WrittenValue::Number(value.to_bits());
            self.samples.push(WrittenSample { labels: labels.clone(), millis, start_millis, value });
        }
        for histogram in histograms {
            let (millis, start_millis) = (histogram.timestamp, histogram.start_timestamp);
            let value = WrittenValue::Histogram(Box::new(histogram));
            self.samples.push(WrittenSample { labels: labels.clone(), millis, start_millis, value });
        }
    }
}

/// What both specifications demand: sorted by name, no name twice, none empty, one of them `__name__`.
fn labels_of(pairs: impl Iterator<Item = (String, String)>) -> Result<Labels, String> {
    let pairs: Vec<_> = pairs.collect();
    if let Some(pair) = pairs.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        return Err(format!("labels are not sorted: {} before {}", pair[0].0, pair[1].0));
    }
    if let Some((name, value)) = pairs.iter().find(|(name, value)| name.is_empty() || value.is_empty()) {
        return Err(format!("an empty label: {name:?} = {value:?}"));
    }
    let labels: Labels = pairs.into_iter().collect();
    if labels.contains_key("__name__") { Ok(labels) } else { Err(format!("no __name__: {labels:?}")) }
}

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<MetricMetadata>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<Histogram>,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `prometheus.Sample` and `io.prometheus.write.v2.Sample`, which alone has a start.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

/// `prometheus.Exemplar`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub value: f64,
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// `prometheus.MetricMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricMetadata {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    #[prost(string, tag = "4")]
    pub help: String,
    #[prost(string, tag = "5")]
    pub unit: String,
}

/// `io.prometheus.write.v2.Request`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    #[prost(string, repeated, tag = "4")]
    pub symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub timeseries: Vec<TimeSeriesV2>,
}

/// `io.prometheus.write.v2.TimeSeries`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeSeriesV2 {
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    pub exemplars: Vec<ExemplarV2>,
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<MetadataV2>,
    /// In the first drafts of 2.0; later ones have a start for each sample instead.
    #[prost(int64, tag = "6")]
    pub created_timestamp: i64,
}

/// `io.prometheus.write.v2.Exemplar`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExemplarV2 {
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    pub value: f64,
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// `io.prometheus.write.v2.Metadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetadataV2 {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub unit_ref: u32,
}

/// The native histogram of both versions; the start is in 2.0 alone.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub count_int: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub count_float: Option<f64>,
    #[prost(double, tag = "3")]
    pub sum: f64,
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    pub zero_count_int: Option<u64>,
    #[prost(double, optional, tag = "7")]
    pub zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    pub negative_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "9")]
    pub negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "10")]
    pub negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    pub positive_counts: Vec<f64>,
    #[prost(int32, tag = "14")]
    pub reset_hint: i32,
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    pub custom_values: Vec<f64>,
    #[prost(int64, tag = "17")]
    pub start_timestamp: i64,
}

/// Neighbouring buckets.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint32, tag = "2")]
    pub length: u32,
}
