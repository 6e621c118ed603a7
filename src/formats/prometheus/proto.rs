//! Expositions as protobuf messages: `io.prometheus.client.MetricFamily`, each behind its length as a varint
//! (`application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited`). The only
//! format with native histograms. <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>
//!
//! A message has no lines, so a series gets a text of its own: its name behind the name's length, then its
//! labels as the message has them. Classic histograms and summaries come as the series that the text formats
//! write for them, as Prometheus names them.

mod metric;
#[cfg(test)]
mod tests;

use super::error::{Fault, ParseError, Place};
use super::series::MAX_LABELS;
use super::{Entry, Exposition, HistogramSeries, Point, RawExemplar, Series, number};
use crate::data::labels::METRIC_NAME;
use crate::data::{Histogram, LabelSet, MetricKind};
use crate::formats::protobuf::{Fields, WireError, push_varint, take_delimited};
use metric::{Distribution, Metric, Step};

/// What is made of histograms that have native buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histograms {
    /// Read native histograms; else every histogram is a classic one (`scrape_native_histograms`).
    pub native: bool,
    /// Read the classic buckets of a native histogram as well (`always_scrape_classic_histograms`).
    pub classic_too: bool,
}

/// Reads an exposition of protobuf messages.
#[derive(Clone, Debug)]
pub struct ProtobufParser<'a> {
    /// Families that were not begun yet.
    rest: &'a [u8],
    /// Where the current family begins.
    at: usize,
    length: usize,
    histograms: Histograms,
    family: Family<'a>,
    metric: Metric<'a>,
    stage: Stage,
    /// Text of the current entry: a series, or what stands for a piece of metadata.
    text: Vec<u8>,
    exemplars: Vec<RawExemplar<'a>>,
    current: Current<'a>,
    /// Whether `current` was looked at and is still to be handed out.
    waiting: bool,
    fault: Option<Fault>,
}

/// A family without its metrics.
#[derive(Clone, Debug)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    unit: &'a str,
    kind: MetricKind,
    metrics: Fields<'a>,
}

/// What comes next of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Family,
    Help,
    Unit,
    Type,
    Metric,
    Parts,
}

#[derive(Clone, Debug)]
enum Current<'a> {
    Help,
    Unit,
    Type,
    Series(Point<'a>),
    Histogram(Option<Histogram>),
}

impl<'a> ProtobufParser<'a> {
    /// Reads `body`, to its end.
    pub fn new(body: &'a [u8], histograms: Histograms) -> Self {
        Self {
            rest: body,
            at: 0,
            length: body.len(),
            histograms,
            family: Family { name: "", help: "", unit: "", kind: MetricKind::Unknown, metrics: Fields::of(&[]) },
            metric: Metric::default(),
            stage: Stage::Family,
            text: Vec::new(),
            exemplars: Vec::new(),
            current: Current::Help,
            waiting: false,
            fault: None,
        }
    }

    /// Goes on to the next entry; false at the end.
    fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            match self.stage {
                Stage::Family => {
                    if self.rest.is_empty() {
                        return Ok(false);
                    }
                    self.at = self.length - self.rest.len();
                    let message = take_delimited(&mut self.rest)?;
                    if let Some(family) = Family::read(message)? {
                        self.family = family;
                        self.stage = Stage::Help;
                    }
                }
                Stage::Help => {
                    self.stage = Stage::Unit;
                    if !self.family.help.is_empty() {
                        self.metadata(b'H', self.family.help);
                        self.current = Current::Help;
                        return Ok(true);
                    }
                }
                Stage::Unit => {
                    self.stage = Stage::Type;
                    if !self.family.unit.is_empty() {
                        self.metadata(b'U', self.family.unit);
                        self.current = Current::Unit;
                        return Ok(true);
                    }
                }
                Stage::Type => {
                    self.stage = Stage::Metric;
                    self.metadata(b'T', self.family.kind.name());
                    self.current = Current::Type;
                    return Ok(true);
                }
                Stage::Metric => match self.family.metric()? {
                    Some(message) => {
                        self.metric.read(message, self.family.kind)?;
                        if self.begin()? {
                            return Ok(true);
                        }
                    }
                    None => self.stage = Stage::Family,
                },
                Stage::Parts => {
                    if self.part()? {
                        return Ok(true);
                    }
                    self.stage = Stage::Metric;
                }
            }
        }
    }

    /// Begins the metric that was read; whether it is an entry already.
    fn begin(&mut self) -> Result<bool, Fault> {
        let Some(distribution) = self.metric.distribution() else {
            self.series("");
            self.current = Current::Series(self.metric.point()?);
            return Ok(true);
        };
        self.stage = Stage::Parts;
        self.metric.step = Step::Count;
        if distribution == Distribution::Native && self.histograms.native {
            self.series("");
            let histogram = self.metric.histogram(self.family.kind, &mut self.exemplars)?;
            self.current = Current::Histogram(Some(histogram));
            if !(self.histograms.classic_too && self.metric.has_buckets()) {
                self.stage = Stage::Metric;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// The next series of a classic histogram or a summary; false when there are no more.
    fn part(&mut self) -> Result<bool, Fault> {
        let value = match self.metric.step {
            Step::Count => {
                self.metric.step = Step::Sum;
                self.series("_count");
                self.metric.count
            }
            Step::Sum => {
                self.metric.step = Step::Each;
                self.series("_sum");
                let sum = self.metric.sum;
                // The series of the buckets or quantiles differ in their last label.
                self.current = Current::Series(self.metric.at(sum, None));
                return Ok(true);
            }
            Step::Each => {
                let first = self.metric.parts_seen == 0;
                let Some(part) = self.metric.next_part()? else { return Ok(false) };
                let (suffix, label) =
                    if self.family.kind == MetricKind::Summary { ("", "quantile") } else { ("_bucket", "le") };
                if first {
                    self.series(suffix);
                    self.metric.text_length = self.text.len();
                }
                self.text.truncate(self.metric.text_length);
                push_number_label(label, part.bound, &mut self.text);
                self.current = Current::Series(self.metric.at(part.value, part.exemplar));
                return Ok(true);
            }
        };
        self.current = Current::Series(self.metric.at(value, None));
        Ok(true)
    }

    /// Writes the text of the current metric's series.
    fn series(&mut self, suffix: &str) {
        let name = self.family.name;
        self.text.clear();
        push_varint((name.len() + suffix.len()) as u64, &mut self.text);
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(suffix.as_bytes());
        self.text.extend_from_slice(&self.metric.labels);
    }

    /// Writes what stands for a piece of metadata where two expositions are compared.
    fn metadata(&mut self, word: u8, what: &str) {
        self.text.clear();
        self.text.push(word);
        push_varint(self.family.name.len() as u64, &mut self.text);
        self.text.extend_from_slice(self.family.name.as_bytes());
        self.text.extend_from_slice(what.as_bytes());
    }

    /// Looks at the next entry without handing it out; whether there is one.
    fn look(&mut self) -> bool {
        if !self.waiting && self.fault.is_none() {
            match self.advance() {
                Ok(more) => self.waiting = more,
                Err(fault) => self.fault = Some(fault),
            }
        }
        self.waiting
    }
}

impl Exposition for ProtobufParser<'_> {
    fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError> {
        if !self.look() {
            let place = Place::Byte(self.at);
            return self.fault.clone().map_or(Ok(None), |fault| Err(ParseError { place, fault }));
        }
        self.waiting = false;
        let (name, created) = (self.family.name.as_bytes(), self.metric.created);
        Ok(Some(match &mut self.current {
            Current::Help => Entry::Help { name, text: self.family.help.as_bytes() },
            Current::Unit => Entry::Unit { name, unit: self.family.unit.as_bytes() },
            Current::Type => Entry::Type { name, kind: self.family.kind },
            Current::Series(point) => Entry::Series(Series { raw: &self.text, point: *point, created }),
            Current::Histogram(histogram) => {
                let Some(histogram) = histogram.take() else { return Ok(None) };
                let (timestamp, exemplars) = (self.metric.timestamp, &self.exemplars[..]);
                Entry::Histogram(HistogramSeries { raw: &self.text, histogram, timestamp, created, exemplars })
            }
        }))
    }

    /// `None` for a series with a time at which it began, too: a point has no room for it.
    fn predicted(&mut self, series: &[u8]) -> Option<Point<'_>> {
        if !self.look() || self.metric.created.is_some() || self.text != series {
            return None;
        }
        let Current::Series(point) = self.current else { return None };
        self.waiting = false;
        Some(point)
    }

    fn skip(&mut self, bytes: &[u8], _: MetricKind) -> bool {
        let metadata = self.look() && !matches!(self.current, Current::Series(_) | Current::Histogram(_));
        let same = metadata && self.text == bytes;
        if same {
            self.waiting = false;
        }
        same
    }

    fn kind(&self) -> MetricKind {
        self.family.kind
    }

    fn consumed(&self) -> &[u8] {
        &self.text
    }

    fn read_labels(series: &[u8], _: MetricKind, into: &mut LabelSet) -> Result<(), Fault> {
        into.clear();
        let mut rest = series;
        let name = take_delimited(&mut rest)?;
        into.set(METRIC_NAME, std::str::from_utf8(name).map_err(|_| Fault::Utf8)?);
        labels(rest, into)
    }

    fn read_exemplar(exemplar: RawExemplar<'_>, into: &mut LabelSet) -> Result<(), Fault> {
        into.clear();
        labels(exemplar.labels, into)
    }
}

impl<'a> Family<'a> {
    /// Reads all but the metrics; `None` where there are none.
    fn read(message: &'a [u8]) -> Result<Option<Self>, Fault> {
        let (mut name, mut help, mut unit, mut kind, mut empty) = ("", "", "", 0, true);
        for field in Fields::of(message) {
            match field? {
                (1, value) => name = value.text()?,
                (2, value) => help = value.text()?,
                (3, value) => kind = value.varint()?,
                (4, _) => empty = false,
                (5, value) => unit = value.text()?,
                _ => {}
            }
        }
        if empty {
            return Ok(None);
        }
        if name.is_empty() {
            return Err(Fault::MetaName);
        }
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Summary,
            3 => MetricKind::Unknown,
            4 => MetricKind::Histogram,
            5 => MetricKind::GaugeHistogram,
            _ => return Err(Fault::Kind),
        };
        Ok(Some(Self { name, help, unit, kind, metrics: Fields::of(message) }))
    }

    fn metric(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        while let Some((number, value)) = self.metrics.field()? {
            if number == 4 {
                return value.bytes().map(Some);
            }
        }
        Ok(None)
    }
}

/// Reads `repeated LabelPair … = 1`.
fn labels(message: &[u8], into: &mut LabelSet) -> Result<(), Fault> {
    let mut count = 0;
    for field in Fields::of(message) {
        let (1, pair) = field? else { continue };
        let (mut name, mut value) = ("", "");
        for field in Fields::of(pair.bytes()?) {
            match field? {
                (1, text) => name = text.text()?,
                (2, text) => value = text.text()?,
                _ => {}
            }
        }
        count += 1;
        if count > MAX_LABELS {
            return Err(Fault::TooManyLabels);
        }
        if into.has(name) {
            return Err(Fault::Twice(name.into()));
        }
        into.set(name, value);
    }
    Ok(())
}

/// Appends a label with a number for its value, as [`labels`] reads it.
fn push_number_label(name: &str, value: f64, out: &mut Vec<u8>) {
    let start = out.len();
    // The canonical form of a number is far shorter than 64 bytes, so that every length is one byte.
    out.extend_from_slice(&[0x0a, 0, 0x0a, name.len() as u8]);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&[0x12, 0]);
    let text = out.len();
    number::push_canonical(value, out);
    out[text - 1] = (out.len() - text) as u8;
    out[start + 1] = (out.len() - start - 2) as u8;
}
