//! A metric family: its metadata, and its metrics in a row.

use std::collections::HashSet;

use super::super::kind;
use super::Broken;
use super::line::{Metadata, Sample, Word};
use super::point::Point;
use super::rule::Rule;
use crate::data::MetricKind;

/// The family that is being read.
pub(super) struct Family<'a> {
    pub name: &'a str,
    /// Where it begins in the body.
    pub at: usize,
    kind: Option<MetricKind>,
    unit: Option<&'a str>,
    has_help: bool,
    point: Option<Point<'a>>,
    /// Labels of the metrics that have begun.
    metrics: HashSet<Metric>,
}

/// What tells metrics of a family apart: their labels.
pub(super) type Metric = Vec<(String, String)>;

/// Suffixes that samples of a kind can have.
pub(super) fn suffixes(kind: MetricKind) -> &'static [&'static str] {
    match kind {
        MetricKind::Counter => &["_total", "_created"],
        MetricKind::Summary => &["", "_count", "_sum", "_created"],
        MetricKind::Histogram => &["_count", "_sum", "_bucket", "_created"],
        MetricKind::GaugeHistogram => &["_gcount", "_gsum", "_bucket"],
        MetricKind::Info => &["_info"],
        MetricKind::Gauge | MetricKind::StateSet | MetricKind::Unknown => &[""],
    }
}

impl<'a> Family<'a> {
    /// A family whose first line begins at `at`.
    pub fn new(name: &'a str, at: usize) -> Self {
        Self { name, at, kind: None, unit: None, has_help: false, point: None, metrics: HashSet::new() }
    }

    fn kind(&self) -> MetricKind {
        self.kind.unwrap_or_default()
    }

    /// Whether a sample of this name is one of the family's.
    pub fn may_hold(&self, sample: &str) -> bool {
        sample.strip_prefix(self.name).is_some_and(|suffix| suffixes(self.kind()).contains(&suffix))
    }

    /// The family's name, and all names that its samples can have.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let of_samples = suffixes(self.kind()).iter().filter(|suffix| !suffix.is_empty());
        std::iter::once(&"").chain(of_samples).map(|suffix| format!("{}{suffix}", self.name))
    }

    /// Takes a metadata line; places are in the line.
    pub fn metadata(&mut self, line: &Metadata<'a>) -> Result<(), Broken> {
        if self.point.is_some() {
            return Err((0, Rule::Late));
        }
        match line.word {
            Word::Help if self.has_help => return Err((0, Rule::Repeated("HELP"))),
            Word::Help => self.has_help = true,
            Word::Type if self.kind.is_some() => return Err((0, Rule::Repeated("TYPE"))),
            Word::Type => self.kind = Some(kind(line.text.as_bytes()).ok_or((line.text_at, Rule::Type))?),
            Word::Unit if self.unit.is_some() => return Err((0, Rule::Repeated("UNIT"))),
            Word::Unit => {
                let stem = self.name.strip_suffix(line.text);
                if !line.text.is_empty() && !stem.is_some_and(|stem| stem.ends_with('_')) {
                    return Err((line.text_at, Rule::UnitSuffix));
                }
                self.unit = Some(line.text);
            }
        }
        if let Some(MetricKind::Info | MetricKind::StateSet) = self.kind
            && self.unit.is_some_and(|unit| !unit.is_empty())
        {
            return Err((0, Rule::UnitOfType(self.kind().name())));
        }
        Ok(())
    }

    /// Takes a sample whose line begins at `at`.
    pub fn sample(&mut self, sample: Sample<'a>, at: usize) -> Result<(), Broken> {
        let suffix = &sample.name[self.name.len()..];
        let kind = self.kind();
        if !self.may_hold(sample.name) {
            return Err((at, Rule::Suffix(kind.name(), suffixes(kind).join(", "))));
        }
        let metric = self.metric(&sample, suffix);
        let continues = self.point.as_ref().is_some_and(|point| point.metric == metric);
        if continues && let Some(point) = &self.point {
            if sample.time.is_some() != point.time.is_some() {
                return Err((at, Rule::MixedTimestamps));
            }
            if sample.time < point.time {
                return Err((at + sample.time_at, Rule::Backwards));
            }
        }
        if !continues && !self.metrics.insert(metric.clone()) {
            return Err((at, Rule::Interleaved));
        }
        if !continues || self.point.as_ref().is_some_and(|point| point.time != sample.time) {
            self.end()?;
            self.point = Some(Point::new(kind, metric, sample.time, at));
        }
        match &mut self.point {
            Some(point) => point.sample(self.name, suffix, sample).map_err(|(column, rule)| (at + column, rule)),
            None => Ok(()),
        }
    }

    /// Labels of the sample without the one that tells samples of a metric apart.
    fn metric(&self, sample: &Sample<'_>, suffix: &str) -> Metric {
        let own = match (self.kind(), suffix) {
            (MetricKind::StateSet, _) => self.name,
            (MetricKind::Summary, "") => "quantile",
            (MetricKind::Histogram | MetricKind::GaugeHistogram, "_bucket") => "le",
            _ => "",
        };
        let others = sample.labels.iter().filter(|(name, _)| *name != own);
        others.map(|(name, value)| ((*name).to_owned(), value.clone().into_owned())).collect()
    }

    /// Ends the point that is open; the next may begin.
    pub fn end(&mut self) -> Result<(), Broken> {
        self.point.as_ref().map_or(Ok(()), Point::end)
    }
}
