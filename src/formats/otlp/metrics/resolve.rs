//! From where a point stands to its series: known ones by the hash of its bytes, others by their labels, which are put
//! together once.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128, xxh3_128_with_seed};

use super::attributes::{Attribute, write_text};
use super::cache::Cache;
use super::decode::DecodeOptions;
use super::growing::Growing;
use super::names::Ending;
use super::point::{Memory, attributes};
use super::refused::{Fault, Reason};
use super::{INSTANCE, JOB, OWN_SCOPE, SCOPE_PREFIX, SERVICE_INSTANCE, SERVICE_NAME, SERVICE_NAMESPACE, TARGET_INFO};
use crate::data::labels::METRIC_NAME;
use crate::data::metrics::Family;
use crate::data::series_table::{FamilyId, ListBuilder};
use crate::data::{LabelSet, MetricKind, SeriesTable};
use crate::formats::otlp::MessageError;
use crate::formats::protobuf::{Fields, WireError};

/// Bytes of labels of one request, written out: one resource can stand for many points.
const MOST_TEXT: usize = 64 << 20;

/// What kind of data a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
    /// A sum that may go down.
    UpDown,
    Classic,
    Exponential,
    Summary,
}

/// Where a point stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// `Resource`.
    pub resource: &'a [u8],
    /// `InstrumentationScope`.
    pub scope: &'a [u8],
    pub schema_url: &'a str,
    pub name: &'a str,
    pub description: &'a str,
    pub unit: &'a str,
    pub kind: Kind,
    /// A hash of all of that.
    pub hash: u64,
}

impl<'a> Place<'a> {
    pub fn of_resource(resource: &'a [u8], seed: u64) -> Self {
        Self {
            resource,
            scope: &[],
            schema_url: "",
            name: "",
            description: "",
            unit: "",
            kind: Kind::Gauge,
            hash: xxh3_64_with_seed(resource, seed),
        }
    }

    pub fn with_scope(self, scope: &'a [u8], schema_url: &'a str) -> Self {
        let hash = xxh3_64_with_seed(schema_url.as_bytes(), xxh3_64_with_seed(scope, self.hash));
        Self { scope, schema_url, hash, ..self }
    }

    /// With name, description, unit and kind as they are.
    pub fn with_metric(self, name: &'a str, description: &'a str, unit: &'a str, kind: Kind) -> Self {
        let texts = [name, description, unit];
        let hash = texts.iter().fold(self.hash, |hash, text| xxh3_64_with_seed(text.as_bytes(), hash));
        Self { name, description, unit, kind, hash: hash.wrapping_add(kind as u64), ..self }
    }
}

/// The samples that a point becomes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parts {
    One,
    /// A bucket for each bound, one for the rest, a sum perhaps, and a count.
    Classic {
        sum: bool,
    },
    /// A sample for each quantile, a sum and a count.
    Summary,
}

impl Parts {
    pub fn len(self, memory: &Memory) -> usize {
        match self {
            Self::One => 1,
            Self::Classic { sum } => memory.bounds.len() + 2 + usize::from(sum),
            Self::Summary => memory.quantiles.len() + 2,
        }
    }
}

/// Finds series, and keeps what it found.
#[derive(Debug)]
pub(super) struct Resolver {
    pub table: Arc<SeriesTable>,
    pub options: DecodeOptions,
    pub cache: Cache,
    seed: u64,
    labels: LabelSet,
    name: String,
    text: Vec<u8>,
    encoded: Vec<u8>,
    /// Of the current metric, once they were needed.
    metric: Option<(String, FamilyId)>,
}

impl Resolver {
    pub fn new(table: Arc<SeriesTable>, options: DecodeOptions) -> Self {
        Self {
            table,
            cache: Cache::new(options.cache),
            options,
            seed: fastrand::u64(..),
            labels: LabelSet::new(),
            name: String::new(),
            text: Vec::new(),
            encoded: Vec::new(),
            metric: None,
        }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Another metric begins.
    pub fn next_metric(&mut self) {
        self.metric = None;
    }

    /// Adds the series of the point in `memory`, of which its attributes take the first `attributes` bytes. Its key, and a
    /// hash of what all its series share.
    pub fn point(
        &mut self,
        place: &Place<'_>,
        memory: &Memory,
        held: usize,
        parts: Parts,
        growing: &mut Growing,
    ) -> Result<(u128, u128), Fault> {
        let key = xxh3_128_with_seed(&memory.attributes, place.hash);
        if let Some((known, young)) = self.cache.get(key) {
            growing.news |= !young;
            growing.known(known);
            return Ok((key, known.identity));
        }
        let (metric, family) = self.metric(place)?;
        self.point_labels(place, &memory.attributes[..held])?;
        self.labels.set(METRIC_NAME, &metric);
        if self.labels.len() > self.options.labels {
            return Err(Reason::Labels.into());
        }
        self.encoded.clear();
        self.labels.encode(&mut self.encoded);
        let samples = parts.len(memory);
        if (growing.text_len() + self.encoded.len()).saturating_add(samples * (self.encoded.len() + 32)) > MOST_TEXT {
            return Err(Reason::TooMuch.into());
        }
        growing.news = true;
        let identity = xxh3_128(&self.encoded);
        let list = growing.own();
        match parts {
            Parts::One => list.labels(&self.labels, family),
            Parts::Classic { sum } => {
                self.suffixed(&metric, "_bucket");
                let bounds = memory.bounds.iter().copied().chain([f64::INFINITY]);
                bounds.for_each(|bound| self.numbered("le", bound, family, list));
                self.labels.remove("le");
                self.sum_and_count(&metric, sum, family, list);
            }
            Parts::Summary => {
                memory.quantiles.iter().for_each(|(quantile, _)| self.numbered("quantile", *quantile, family, list));
                self.labels.remove("quantile");
                self.sum_and_count(&metric, true, family, list);
            }
        }
        // It is kept for as long as the metric is read.
        self.metric = Some((metric, family));
        Ok((key, identity))
    }

    /// Adds the series `target_info` of a resource: its key, and a hash of the job and instance it is about. `None` where
    /// it would say nothing or `given` has it already.
    pub fn target_info(
        &mut self,
        place: &Place<'_>,
        given: &HashSet<u128>,
        growing: &mut Growing,
    ) -> Result<Option<(u128, u128)>, Fault> {
        let key = xxh3_128_with_seed(TARGET_INFO.as_bytes(), place.hash);
        if let Some((known, young)) = self.cache.get(key) {
            if given.contains(&known.identity) {
                return Ok(None);
            }
            growing.news |= !young;
            growing.known(known);
            return Ok(Some((key, known.identity)));
        }
        let identifying = |key: &str| matches!(key, SERVICE_NAME | SERVICE_NAMESPACE | SERVICE_INSTANCE);
        self.labels.clear();
        let attributes = || resource_attributes(place.resource);
        self.attributes(attributes().filter(|found| !found.is_ok_and(|found| identifying(found.key))))?;
        self.labels.remove(METRIC_NAME);
        let says_something = !self.labels.is_empty();
        self.target(place)?;
        let (job, instance) = (self.labels.get(JOB), self.labels.get(INSTANCE));
        if !says_something || job.is_empty() && instance.is_empty() {
            return Ok(None);
        }
        let identity = xxh3_128_with_seed(instance.as_bytes(), xxh3_64_with_seed(job.as_bytes(), 1));
        if given.contains(&identity) {
            return Ok(None);
        }
        self.labels.set(METRIC_NAME, TARGET_INFO);
        let family = Family {
            name: "target".into(),
            kind: MetricKind::Info,
            help: "Attributes of the resource".into(),
            unit: Box::default(),
        };
        growing.news = true;
        let family = self.table.family(&family);
        growing.own().labels(&self.labels, family);
        Ok(Some((key, identity)))
    }

    /// Labels of an exemplar as they are kept, appended to `out`.
    pub fn exemplar_labels(
        &mut self,
        exemplar: &super::point::RawExemplar<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), MessageError> {
        self.labels.clear();
        let attributes = exemplar.attributes().map(|message| message.and_then(Attribute::read));
        match self.attributes(attributes) {
            Err(Fault::Broken(error)) => return Err(error),
            // A label that cannot be named is no reason to leave an exemplar out.
            Err(Fault::Refused(_)) | Ok(()) => {}
        }
        for (name, id) in [("span_id", exemplar.span_id), ("trace_id", exemplar.trace_id)] {
            if id.iter().any(|byte| *byte != 0) {
                self.text.clear();
                crate::formats::json::text::write_hex(id, &mut self.text);
                self.labels.set(name, std::str::from_utf8(&self.text).unwrap_or_default());
            }
        }
        let characters = self.labels.iter().map(|(name, value)| name.chars().count() + value.chars().count());
        if characters.sum::<usize>() > MOST_EXEMPLAR {
            self.labels.retain(|name, value| matches!(name, "span_id" | "trace_id") && value.len() <= 32);
        }
        self.labels.encode(out);
        Ok(())
    }

    /// Name and family of the metric.
    fn metric(&mut self, place: &Place<'_>) -> Result<(String, FamilyId), Reason> {
        if let Some(known) = self.metric.take() {
            return Ok(known);
        }
        let translation = self.options.translation;
        let (kind, ending) = match place.kind {
            Kind::Gauge => (MetricKind::Gauge, Ending::Gauge),
            Kind::Counter => (MetricKind::Counter, Ending::Counter),
            Kind::UpDown => (MetricKind::Gauge, Ending::Other),
            Kind::Classic | Kind::Exponential => (MetricKind::Histogram, Ending::Other),
            Kind::Summary => (MetricKind::Summary, Ending::Other),
        };
        let (mut name, mut unit) = (String::new(), String::new());
        if !translation.metric_name(place.name, place.unit, ending, &mut name) {
            return Err(Reason::Name);
        }
        translation.unit(place.unit, &name, &mut unit);
        let family =
            Family { name: name.as_str().into(), kind, help: place.description.into(), unit: unit.into_boxed_str() };
        let id = self.table.family(&family);
        Ok((name, id))
    }

    /// The labels that all series of a point have, but for the metric's name.
    fn point_labels(&mut self, place: &Place<'_>, held: &[u8]) -> Result<(), Fault> {
        self.labels.clear();
        self.attributes(attributes(held).map(Attribute::read))?;
        if self.options.scope_labels {
            self.scope(place)?;
        }
        self.target(place)
    }

    /// Sets labels by attributes. Those that get the same name have their values joined, in the order of their keys.
    fn attributes<'a>(
        &mut self,
        attributes: impl Iterator<Item = Result<Attribute<'a>, MessageError>>,
    ) -> Result<(), Fault> {
        let mut sorted = attributes.collect::<Result<Vec<_>, _>>()?;
        sorted.sort_by_key(|attribute| attribute.key);
        for attribute in sorted {
            if !self.options.translation.label_name(attribute.key, &mut self.name) {
                return Err(Reason::LabelName.into());
            }
            self.text.clear();
            if self.labels.has(&self.name) {
                self.text.extend_from_slice(self.labels.get(&self.name).as_bytes());
                self.text.push(b';');
            }
            write_text(attribute.value, &mut self.text)?;
            let value = std::str::from_utf8(&self.text).map_err(|_| WireError::Utf8)?;
            self.labels.set(&self.name, value);
        }
        Ok(())
    }

    fn scope(&mut self, place: &Place<'_>) -> Result<(), Fault> {
        let (mut name, mut version) = ("", "");
        for field in Fields::of(place.scope) {
            match field? {
                (1, value) => name = value.text()?,
                (2, value) => version = value.text()?,
                _ => {}
            }
        }
        if name == OWN_SCOPE {
            return Ok(());
        }
        for field in Fields::of(place.scope) {
            let (3, value) = field? else { continue };
            let attribute = Attribute::read(value.bytes()?)?;
            let key = format!("{SCOPE_PREFIX}{}", attribute.key);
            if self.options.translation.label_name(&key, &mut self.name) {
                self.text.clear();
                write_text(attribute.value, &mut self.text)?;
                let value = std::str::from_utf8(&self.text).map_err(|_| WireError::Utf8)?;
                self.labels.set(&self.name, value);
            }
        }
        self.labels.set("otel_scope_name", name);
        self.labels.set("otel_scope_version", version);
        self.labels.set("otel_scope_schema_url", place.schema_url);
        Ok(())
    }

    /// Sets `job` and `instance`, which are the agent's to say wherever the resource has them.
    fn target(&mut self, place: &Place<'_>) -> Result<(), Fault> {
        let (mut namespace, mut service, mut instance) = (String::new(), None, None);
        for attribute in resource_attributes(place.resource) {
            let attribute = attribute?;
            let mut text = || -> Result<String, Fault> {
                self.text.clear();
                write_text(attribute.value, &mut self.text)?;
                Ok(std::str::from_utf8(&self.text).map_err(|_| WireError::Utf8)?.to_owned())
            };
            match attribute.key {
                SERVICE_NAME => service = Some(text()?),
                SERVICE_NAMESPACE => namespace = text()?,
                SERVICE_INSTANCE => instance = Some(text()?),
                _ => {}
            }
        }
        if let Some(service) = service {
            if !namespace.is_empty() {
                namespace.push('/');
            }
            namespace.push_str(&service);
            self.labels.set(JOB, &namespace);
        }
        if let Some(instance) = instance {
            self.labels.set(INSTANCE, &instance);
        }
        Ok(())
    }

    fn suffixed(&mut self, metric: &str, suffix: &str) {
        self.name.clear();
        self.name.push_str(metric);
        self.name.push_str(suffix);
        self.labels.set(METRIC_NAME, &self.name);
    }

    /// A series of a bucket or a quantile. The number is written as Prometheus's own receiver writes it.
    fn numbered(&mut self, label: &str, number: f64, family: FamilyId, list: &mut ListBuilder) {
        self.name.clear();
        let written = if number == f64::INFINITY { write!(self.name, "+Inf") } else { write!(self.name, "{number}") };
        debug_assert!(written.is_ok(), "a string takes everything");
        self.labels.set(label, &self.name);
        list.labels(&self.labels, family);
    }

    fn sum_and_count(&mut self, metric: &str, sum: bool, family: FamilyId, list: &mut ListBuilder) {
        if sum {
            self.suffixed(metric, "_sum");
            list.labels(&self.labels, family);
        }
        self.suffixed(metric, "_count");
        list.labels(&self.labels, family);
    }
}

/// Characters of an exemplar's labels, OpenMetrics's limit.
const MOST_EXEMPLAR: usize = 128;

/// Attributes of a `Resource`.
fn resource_attributes(resource: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, MessageError>> {
    Fields::of(resource).filter_map(|field| match field {
        Ok((1, value)) => Some(value.bytes().map_err(MessageError::from).and_then(Attribute::read)),
        Ok(_) => None,
        Err(error) => Some(Err(error.into())),
    })
}
