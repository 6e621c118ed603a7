//! Prometheus remote write, 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`):
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/> and
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>, the messages as Prometheus 3.16 has them.
//!
//! A series is sent again and again with another number, so what is said about it is worked out once: in 1.0
//! its labels are the bytes that the series table keeps, in 2.0 each pair of name and value has a number, and
//! a request looks up what it called that pair. On the way of a sample nothing is hashed and nothing allocated.

mod body;
mod column;
mod decode;
mod encode_v1;
mod encode_v2;
mod histogram;
mod limits;
mod out;
mod symbols;

pub use body::{Body, Compressor, Request};
pub use decode::{DecodeError, ReadMetadata, Receive, decode};
pub use encode_v1::EncoderV1;
pub use encode_v2::EncoderV2;
pub use limits::Limits;

use crate::data::metrics::Exemplar;
use crate::data::series_table::Series;
use crate::data::{Histogram, LabelSet, MetricBatch, SeriesRef, UnixMillis};
use std::sync::Arc;

/// Version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.0.
    V1,
    /// 2.0.
    V2,
}

impl Version {
    /// The message's full name, which content types carry.
    pub const fn message(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }

    /// `Content-Type` of a request.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// `X-Prometheus-Remote-Write-Version` of a request.
    pub const fn header(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }

    /// The version that a `Content-Type` means; an error in words where it means neither. Without one it is
    /// 1.0, as old senders have it.
    pub fn of_content_type(header: &str) -> Result<Self, String> {
        let mut parts = header.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if media.is_empty() {
            return Ok(Self::V1);
        }
        if !media.eq_ignore_ascii_case("application/x-protobuf") {
            return Err(format!("content type `{media}` is not application/x-protobuf"));
        }
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if name.trim().eq_ignore_ascii_case("proto") {
                let value = value.trim().trim_matches('"');
                let known = [Self::V1, Self::V2].into_iter().find(|version| version.message() == value);
                return known.ok_or_else(|| format!("message `{value}` is not known"));
            }
        }
        Ok(Self::V1)
    }
}

/// What a request has, or what a receiver says that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Numbers.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

impl Counts {
    /// Numbers and histograms: what a batch calls samples.
    pub const fn all_samples(self) -> u64 {
        self.samples + self.histograms
    }
}

/// Headers by which a 2.0 receiver says what it took: samples, histograms, exemplars.
pub const WRITTEN_HEADERS: [&str; 3] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

/// What becomes of the labels of series on their way out. Asked once a series.
pub trait Relabel: Send {
    /// Changes the labels as they are to be sent; false: the series is not sent.
    fn relabel(&mut self, labels: &mut LabelSet) -> bool;
}

/// What an encoder sends beside samples, and under which labels.
#[derive(Default)]
pub struct EncodeOptions {
    /// Labels of every series that has none of that name, sorted by name, none empty.
    pub external: Vec<(String, String)>,
    /// Applied to the labels with the external ones.
    pub relabel: Option<Box<dyn Relabel>>,
    /// Whether exemplars are sent.
    pub exemplars: bool,
    /// Whether metadata is sent.
    pub metadata: bool,
}

impl EncodeOptions {
    /// The labels as they are sent; false: not at all.
    fn apply(&mut self, labels: &mut LabelSet) -> bool {
        for (name, value) in &self.external {
            if !labels.has(name) {
                labels.set(name, value);
            }
        }
        self.relabel.as_mut().is_none_or(|relabel| relabel.relabel(labels)) && !labels.is_empty()
    }
}

impl std::fmt::Debug for EncodeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncodeOptions").field("external", &self.external).finish_non_exhaustive()
    }
}

/// Writes samples into bodies of one version.
#[derive(Debug)]
pub enum Encoder {
    /// 1.0.
    V1(EncoderV1),
    /// 2.0.
    V2(EncoderV2),
}

/// How far [`Encoder::encode`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Index of the first sample that was not looked at.
    pub next: usize,
    /// Samples that relabelling dropped.
    pub dropped: u64,
}

/// Which samples of a batch are written, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The first sample.
    pub from: usize,
    /// The sample behind the last.
    pub to: usize,
    /// Size in bytes from which on a body is full.
    pub full: usize,
    /// Write only the samples of this shard, into the only body; else every sample into the body of its shard.
    pub only: Option<usize>,
    /// Number of shards: a power of two.
    pub shards: usize,
}

impl Part {
    /// All samples of a batch, into one body or one for each of `shards`.
    pub fn whole(batch: &MetricBatch, shards: usize, full: usize) -> Self {
        Self { from: 0, to: batch.selection.len(), full, only: None, shards }
    }

    /// The body of a sample; `None` where it is of another shard.
    fn body(&self, series: &Series<'_>, of: SeriesRef) -> Option<usize> {
        if self.shards <= 1 {
            return Some(0);
        }
        let shard = shard(series.hash(of), self.shards);
        match self.only {
            None => Some(shard),
            Some(only) => (only == shard).then_some(0),
        }
    }
}

/// The shard of a series by the hash of its labels: where the number of shards is doubled, each is split in two.
pub const fn shard(hash: u64, shards: usize) -> usize {
    ((hash as u128 * shards as u128) >> 64) as usize
}

impl Encoder {
    /// An encoder that knows no series yet.
    pub fn new(version: Version, options: EncodeOptions) -> Self {
        match version {
            Version::V1 => Self::V1(EncoderV1::new(options)),
            Version::V2 => Self::V2(EncoderV2::new(options)),
        }
    }

    /// The version that it writes.
    pub const fn version(&self) -> Version {
        match self {
            Self::V1(_) => Version::V1,
            Self::V2(_) => Version::V2,
        }
    }

    /// Appends samples to bodies until one is full. `series` is a look at the table of the batch's series.
    pub fn encode(
        &mut self,
        batch: &MetricBatch,
        series: &Series<'_>,
        part: &Part,
        compressor: &mut Compressor,
        bodies: &mut [Body],
    ) -> Encoded {
        match self {
            Self::V1(encoder) => encode(encoder, batch, series, part, compressor, bodies),
            Self::V2(encoder) => encode(encoder, batch, series, part, compressor, bodies),
        }
    }

    /// Whether so many series have gone that what is known of them is worth dropping, once no body is open.
    pub fn is_worn(&self) -> bool {
        match self {
            Self::V1(encoder) => encoder.is_worn(),
            Self::V2(encoder) => encoder.is_worn(),
        }
    }

    /// Forgets what it knows of series. Every body must be fresh.
    pub fn renew(&mut self) {
        match self {
            Self::V1(encoder) => encoder.renew(),
            Self::V2(encoder) => encoder.renew(),
        }
    }

    /// In 1.0 metadata goes out again with the next sample of each metric; in 2.0 it does with every sample.
    pub fn repeat_metadata(&mut self) {
        if let Self::V1(encoder) = self {
            encoder.repeat_metadata();
        }
    }

    /// Bytes of memory that it holds for series.
    pub fn bytes(&self) -> usize {
        match self {
            Self::V1(encoder) => encoder.bytes(),
            Self::V2(encoder) => encoder.bytes(),
        }
    }
}

/// One sample on its way into a body.
struct Point<'a> {
    batch: &'a MetricBatch,
    series: &'a Series<'a>,
    of: SeriesRef,
    time: UnixMillis,
    value: f64,
    /// What there is beside time and value.
    extra: Option<Extra<'a>>,
}

/// A version's way to write a sample.
trait WritePoint {
    /// Appends a sample to a body; false: its series is not sent.
    fn write(&mut self, point: &Point<'_>, body: &mut Body) -> bool;
}

fn encode(
    version: &mut impl WritePoint,
    batch: &MetricBatch,
    series: &Series<'_>,
    part: &Part,
    compressor: &mut Compressor,
    bodies: &mut [Body],
) -> Encoded {
    let refs = batch.series().refs();
    let values = &batch.columns().values;
    let mut extras = Extras::of(batch);
    let mut dropped = 0;
    for index in batch.selection.iter().skip_while(|index| *index < part.from) {
        if index >= part.to {
            break;
        }
        let of = refs[index];
        let Some(body) = part.body(series, of) else { continue };
        let body = &mut bodies[body];
        let extra = if extras.is_empty() { None } else { Some(extras.at(index)).filter(|extra| !extra.is_empty()) };
        let point = Point { batch, series, of, time: batch.time(index), value: values[index], extra };
        if !version.write(&point, body) {
            dropped += 1;
            continue;
        }
        match extra.and_then(|extra| extra.histogram) {
            Some(_) => body.counts.histograms += 1,
            None => body.counts.samples += 1,
        }
        body.compress(compressor);
        if body.len() >= part.full {
            return Encoded { next: index + 1, dropped };
        }
    }
    Encoded { next: part.to, dropped }
}

/// What a batch says about single samples, followed in the order of their indices.
struct Extras<'a> {
    histograms: &'a [(u32, Arc<Histogram>)],
    exemplars: &'a [Exemplar],
    created: &'a [(u32, UnixMillis)],
}

/// The same for one sample.
#[derive(Clone, Copy)]
struct Extra<'a> {
    histogram: Option<&'a Histogram>,
    exemplars: &'a [Exemplar],
    created: Option<UnixMillis>,
}

impl<'a> Extras<'a> {
    fn of(batch: &'a MetricBatch) -> Self {
        let columns = batch.columns();
        Self { histograms: &columns.histograms, exemplars: &columns.exemplars, created: &columns.created }
    }

    /// Whether there is nothing for sample `index` or any behind it.
    fn is_empty(&self) -> bool {
        self.histograms.is_empty() && self.exemplars.is_empty() && self.created.is_empty()
    }

    /// What there is for sample `index`; those of earlier samples are passed.
    fn at(&mut self, index: usize) -> Extra<'a> {
        let passed = |at: u32| (at as usize) < index;
        while self.histograms.first().is_some_and(|(at, _)| passed(*at)) {
            self.histograms = &self.histograms[1..];
        }
        while self.exemplars.first().is_some_and(|exemplar| passed(exemplar.sample)) {
            self.exemplars = &self.exemplars[1..];
        }
        while self.created.first().is_some_and(|(at, _)| passed(*at)) {
            self.created = &self.created[1..];
        }
        let own = self.exemplars.iter().take_while(|exemplar| exemplar.sample as usize == index).count();
        Extra {
            histogram: self.histograms.first().filter(|(at, _)| *at as usize == index).map(|(_, found)| &**found),
            exemplars: &self.exemplars[..own],
            created: self.created.first().filter(|(at, _)| *at as usize == index).map(|(_, time)| *time),
        }
    }
}

impl Extra<'_> {
    fn is_empty(&self) -> bool {
        self.histogram.is_none() && self.exemplars.is_empty() && self.created.is_none()
    }

    /// Whether there is more than 1.0 says with a number.
    fn is_more_than_a_number(&self) -> bool {
        self.histogram.is_some() || !self.exemplars.is_empty()
    }
}
