//! Writes expositions: Prometheus's text formats 0.0.4 and 1.0.0, and OpenMetrics 0.0.1 and 1.0.0, a sample at a
//! time. Native histograms have no place in any of them.
//!
//! What is written reads back as the same series, values and times. Metadata is adapted where the formats
//! differ: in OpenMetrics the family of a counter is named without `_total`, in the others with it.

use std::io::Write;

use super::names::{Escaping, is_legacy};
use super::negotiate::{Format, ScrapeProtocol};
use super::number;
use crate::data::labels::METRIC_NAME;
use crate::data::metrics::Family;
use crate::data::{Labels, MetricKind, UnixMillis};

/// A sample to be written.
#[derive(Clone, Copy, Debug)]
pub struct Exposed<'a> {
    /// Its labels, the metric's name included; without one nothing is written.
    pub labels: Labels<'a>,
    /// The value.
    pub value: f64,
    /// When it was taken; most expositions do not say.
    pub timestamp: Option<UnixMillis>,
    /// An exemplar: its labels, value and time. Only OpenMetrics has them, and only for totals and buckets.
    pub exemplar: Option<(Labels<'a>, f64, Option<UnixMillis>)>,
}

/// Writes one exposition. Samples of a family must come one after the other; its metadata is written before
/// the first.
#[derive(Clone, Debug)]
pub struct Exposer {
    openmetrics: bool,
    escaping: Escaping,
    /// The family whose samples are being written, as it is named.
    family: String,
    kind: MetricKind,
    name: String,
}

impl Exposer {
    /// An exposition in a version of a text format; `None` for protobuf. The older versions have no quoted
    /// names: there, underscores take the place of [`Escaping::AllowUtf8`].
    pub fn new(protocol: ScrapeProtocol, escaping: Escaping) -> Option<Self> {
        let openmetrics = match protocol.format() {
            Format::Text => false,
            Format::OpenMetrics => true,
            Format::Protobuf => return None,
        };
        let quotes = matches!(protocol, ScrapeProtocol::OpenMetricsText1_0_0 | ScrapeProtocol::PrometheusText1_0_0);
        let escaping = if escaping == Escaping::AllowUtf8 && !quotes { Escaping::Underscores } else { escaping };
        Some(Self { openmetrics, escaping, family: String::new(), kind: MetricKind::Unknown, name: String::new() })
    }

    /// Appends a sample, and what is known of its family where the one before was of another.
    pub fn sample(&mut self, family: Option<&Family>, sample: &Exposed<'_>, out: &mut Vec<u8>) {
        let metric = sample.labels.metric_name();
        if metric.is_empty() {
            return;
        }
        self.metadata(family, metric, out);
        self.series(metric, sample.labels, out);
        out.push(b' ');
        self.value(sample.value, out);
        if let Some(time) = sample.timestamp {
            out.push(b' ');
            self.time(time, out);
        }
        if let Some((labels, value, time)) = sample.exemplar
            && self.openmetrics
            && (metric.ends_with("_bucket") || self.kind == MetricKind::Counter && metric.ends_with("_total"))
        {
            out.extend_from_slice(b" # ");
            self.labels(None, labels, out);
            out.push(b' ');
            self.value(value, out);
            if let Some(time) = time {
                out.push(b' ');
                self.time(time, out);
            }
        }
        out.push(b'\n');
    }

    /// Appends the end of the exposition.
    pub fn end(self, out: &mut Vec<u8>) {
        if self.openmetrics {
            out.extend_from_slice(b"# EOF\n");
        }
    }

    fn metadata(&mut self, family: Option<&Family>, metric: &str, out: &mut Vec<u8>) {
        let unknown = Family::default();
        let family = family.unwrap_or(&unknown);
        let (stem, suffix, kind) = named(family, metric, self.openmetrics);
        self.name.clear();
        self.escaping.escape(stem, &mut self.name);
        self.name.push_str(suffix);
        if self.name == self.family && kind == self.kind {
            return;
        }
        std::mem::swap(&mut self.family, &mut self.name);
        self.kind = kind;
        // In the text formats, no type at all says the same.
        if kind != MetricKind::Unknown || self.openmetrics {
            self.line(b"# TYPE ", word(kind, self.openmetrics).as_bytes(), out);
        }
        let unit = &*family.unit;
        if self.openmetrics
            && !unit.is_empty()
            && !matches!(kind, MetricKind::Info | MetricKind::StateSet)
            && self.family.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'))
        {
            self.line(b"# UNIT ", unit.as_bytes(), out);
        }
        if !family.help.is_empty() {
            self.begin_line(b"# HELP ", out);
            escape(&family.help, self.openmetrics, out);
            out.push(b'\n');
        }
    }

    fn line(&self, word: &[u8], text: &[u8], out: &mut Vec<u8>) {
        self.begin_line(word, out);
        out.extend_from_slice(text);
        out.push(b'\n');
    }

    fn begin_line(&self, word: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(word);
        if is_legacy(&self.family, true) {
            out.extend_from_slice(self.family.as_bytes());
        } else {
            quote(&self.family, out);
        }
        out.push(b' ');
    }

    fn series(&mut self, metric: &str, labels: Labels<'_>, out: &mut Vec<u8>) {
        self.name.clear();
        self.escaping.escape(metric, &mut self.name);
        if is_legacy(&self.name, true) {
            out.extend_from_slice(self.name.as_bytes());
            if labels.iter().any(|(name, _)| name != METRIC_NAME) {
                self.labels(None, labels, out);
            }
        } else {
            let name = std::mem::take(&mut self.name);
            self.labels(Some(&name), labels, out);
            self.name = name;
        }
    }

    /// Labels between braces, but for the metric's name, which comes first where it has to be quoted.
    fn labels(&mut self, metric: Option<&str>, labels: Labels<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        if let Some(metric) = metric {
            quote(metric, out);
            first = false;
        }
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            self.name.clear();
            self.escaping.escape(name, &mut self.name);
            if is_legacy(&self.name, false) {
                out.extend_from_slice(self.name.as_bytes());
            } else {
                quote(&self.name, out);
            }
            out.push(b'=');
            quote(value, out);
        }
        out.push(b'}');
    }

    fn value(&self, value: f64, out: &mut Vec<u8>) {
        if self.openmetrics { number::push_canonical(value, out) } else { number::push(value, out) }
    }

    fn time(&self, time: UnixMillis, out: &mut Vec<u8>) {
        // Writing into memory does not fail.
        if !self.openmetrics {
            let _ = write!(out, "{}", time.0);
            return;
        }
        let start = out.len();
        let sign = if time.0 < 0 { "-" } else { "" };
        let millis = time.0.unsigned_abs();
        let _ = write!(out, "{sign}{}.{:03}", millis / 1000, millis % 1000);
        // Readers multiply by 1000 and cut off: where that falls short, half a microsecond more does not.
        let read = number::parse(&out[start..]).map(|seconds| (seconds * 1000.0) as i64);
        if read != Some(time.0) {
            out.extend_from_slice(b"0005");
        }
    }
}

/// The family under which a sample is written: the name without and with what is put behind it, and its kind.
fn named<'a>(family: &'a Family, metric: &'a str, openmetrics: bool) -> (&'a str, &'static str, MetricKind) {
    let name = if family.name.is_empty() { metric } else { &*family.name };
    let suffix = metric.strip_prefix(name).unwrap_or_default();
    match (family.kind, openmetrics) {
        (MetricKind::Counter, true) => match name.strip_suffix("_total") {
            Some(stem) => (stem, "", MetricKind::Counter),
            None if matches!(suffix, "_total" | "_created") => (name, "", MetricKind::Counter),
            // A counter without the suffix that OpenMetrics wants.
            None => (metric, "", MetricKind::Unknown),
        },
        // What is no sample of a counter in the text formats stands on its own.
        (MetricKind::Counter, false) if suffix == "_created" => (metric, "", MetricKind::Gauge),
        (MetricKind::Counter, false) if suffix == "_total" => (name, "_total", MetricKind::Counter),
        (MetricKind::Histogram | MetricKind::Summary, false) if suffix == "_created" => (metric, "", MetricKind::Gauge),
        (MetricKind::GaugeHistogram, false) if suffix != "_bucket" => (metric, "", MetricKind::Gauge),
        (MetricKind::Info, true) => match name.strip_suffix("_info") {
            Some(stem) => (stem, "", MetricKind::Info),
            None if suffix == "_info" => (name, "", MetricKind::Info),
            None => (metric, "", MetricKind::Unknown),
        },
        (MetricKind::Info, false) => (metric, "", MetricKind::Info),
        (kind, _) => (name, "", kind),
    }
}

/// The word for a kind; the text formats know fewer.
fn word(kind: MetricKind, openmetrics: bool) -> &'static str {
    match kind {
        kind if openmetrics => kind.name(),
        MetricKind::Info | MetricKind::StateSet => "gauge",
        MetricKind::GaugeHistogram => "histogram",
        MetricKind::Unknown => "untyped",
        kind => kind.name(),
    }
}

fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, true, out);
    out.push(b'"');
}

fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr3(b'\\', b'\n', if quotes { b'"' } else { b'\\' }, rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            _ => b"\\\"",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests;
