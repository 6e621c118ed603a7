//! Which series of a list belong to which point: worked out once a list, since the batches of an origin share theirs.

use std::collections::HashMap;
use std::ops::Range;

use super::super::attributes::Attribute;
use super::super::units::to_ucum;
use super::super::{INSTANCE, JOB, OWN_SCOPE, SCOPE_PREFIX, SERVICE_INSTANCE, SERVICE_NAME, TARGET_INFO};
use super::body::Data;
use crate::data::labels::METRIC_NAME;
use crate::data::metrics::Family;
use crate::data::resource::ResourceValue;
use crate::data::series_table::Series;
use crate::data::{Labels, MetricKind, Resource, SeriesRef};
use crate::formats::prometheus::number;
use crate::formats::protobuf::{Fields, push_bytes, push_double, push_message, push_uint};

/// The series of a list by the points that their samples become.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub targets: Vec<Target>,
    /// The content of `ScopeMetrics` but for its metrics.
    pub scopes: Vec<Vec<u8>>,
    pub metrics: Vec<Metric>,
    /// In the order in which they are written.
    pub points: Vec<Point>,
    pub parts: Vec<Part>,
    /// Attributes of points, each a `KeyValue` as field 1.
    pub text: Vec<u8>,
}

/// A job and instance.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// Content of `Resource`: what `job` and `instance` say.
    pub own: Vec<u8>,
    /// The same of the labels of `target_info`, and the places of its samples.
    pub info: Vec<u8>,
    pub infos: Vec<u32>,
    points: usize,
}

/// A metric under which points stand.
#[derive(Debug)]
pub(super) struct Metric {
    /// Name, description and unit, as `Metric` has them.
    pub header: Vec<u8>,
    /// What its numbers are.
    pub data: Data,
    /// Whether its series are native histograms, so that what ends one is too.
    pub native: bool,
}

/// A point: samples of one time are its parts.
#[derive(Debug)]
pub(super) struct Point {
    pub target: u32,
    pub scope: u32,
    pub metric: u32,
    pub assembles: Assembles,
    pub attributes: Range<u32>,
    pub parts: Range<u32>,
}

/// What the parts of a point become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Assembles {
    /// Each a point of its own.
    Nothing,
    Histogram,
    Summary,
}

/// A series in a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Its place in the list.
    pub sample: u32,
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    Value,
    /// With its upper bound.
    Bucket(f64),
    Quantile(f64),
    Sum,
    Count,
}

/// Numbers the different values of a kind.
#[derive(Debug)]
struct Numbered<K>(HashMap<K, u32>);

impl<K: std::hash::Hash + Eq> Numbered<K> {
    fn number<V>(&mut self, key: K, values: &mut Vec<V>, make: impl FnOnce() -> V) -> u32 {
        let next = values.len() as u32;
        *self.0.entry(key).or_insert_with(|| {
            values.push(make());
            next
        })
    }
}

/// What [`Plan::of`] knows meanwhile.
struct Builder {
    plan: Plan,
    targets: Numbered<(Box<str>, Box<str>)>,
    scopes: Numbered<Vec<u8>>,
    metrics: Numbered<(Box<str>, Data, Assembles, bool)>,
    points: Numbered<(u32, u32, u32, Vec<u8>)>,
    /// The parts of each point.
    parts: Vec<Vec<Part>>,
    attributes: Vec<u8>,
}

impl Plan {
    /// The plan of the series at these places. With `plainly`, every series has points of its own.
    pub fn of(
        places: impl Iterator<Item = (u32, SeriesRef)>,
        series: &Series<'_>,
        version: &str,
        plainly: bool,
    ) -> Self {
        let mut builder = Builder {
            plan: Self::default(),
            targets: Numbered(HashMap::new()),
            scopes: Numbered(HashMap::new()),
            metrics: Numbered(HashMap::new()),
            points: Numbered(HashMap::new()),
            parts: Vec::new(),
            attributes: Vec::new(),
        };
        let mut infos = Vec::new();
        for (sample, found) in places {
            let labels = series.labels(found);
            if labels.metric_name() == TARGET_INFO && !plainly {
                infos.push((sample, labels));
            } else {
                builder.series(sample, labels, series.family(found), version, plainly);
            }
        }
        for (sample, labels) in infos {
            let target = builder.target(labels);
            let target = &mut builder.plan.targets[target as usize];
            if target.points == 0 {
                // Nobody else carries what it says.
                builder.series(sample, labels, &Family::default(), version, true);
                continue;
            }
            if target.infos.is_empty() {
                let own = [METRIC_NAME, JOB, INSTANCE, SERVICE_NAME, SERVICE_INSTANCE];
                let said = labels.iter().filter(|(name, _)| !own.contains(name));
                said.for_each(|(name, value)| push_attribute(1, name, value, &mut target.info));
            }
            target.infos.push(sample);
        }
        builder.finish()
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        let targets: usize = self.targets.iter().map(|target| target.own.len() + target.info.len()).sum();
        let headers: usize = self.metrics.iter().map(|metric| metric.header.len() + size_of::<Metric>()).sum();
        targets
            + headers
            + self.scopes.iter().map(Vec::len).sum::<usize>()
            + self.points.len() * size_of::<Point>()
            + self.parts.len() * size_of::<Part>()
            + self.text.len()
    }

    /// The content of the message `Resource` of a target: what the batch is about, `job` and `instance`, and with `info`
    /// what `target_info` says. Of two attributes of one key the later is kept.
    pub fn resource(&self, target: u32, about: &Resource, info: bool) -> Vec<u8> {
        let target = &self.targets[target as usize];
        let said = |key: &str| {
            let holds = |held: &[u8]| keys(held).any(|known| known == key);
            holds(&target.own) || info && holds(&target.info)
        };
        let mut out = resource_attributes(about, |key| !said(key));
        out.extend_from_slice(&target.own);
        if info {
            out.extend_from_slice(&target.info);
        }
        out
    }
}

impl Builder {
    fn series(&mut self, sample: u32, labels: Labels<'_>, family: &Family, version: &str, plainly: bool) {
        let name = labels.metric_name();
        let role = if plainly { Role::Value } else { role(name, family, labels) };
        let assembles = match role {
            Role::Value => Assembles::Nothing,
            Role::Quantile(_) => Assembles::Summary,
            Role::Bucket(_) => Assembles::Histogram,
            Role::Sum | Role::Count if family.kind == MetricKind::Summary => Assembles::Summary,
            Role::Sum | Role::Count => Assembles::Histogram,
        };
        let target = self.target(labels);
        let scope = self.scope(labels, version);
        let metric = if role == Role::Value { name } else { &family.name };
        let data = match family.kind {
            _ if plainly => Data::Gauge,
            MetricKind::Counter => Data::Counter,
            MetricKind::Info | MetricKind::StateSet => Data::UpDown,
            _ => Data::Gauge,
        };
        let native = role == Role::Value && family.kind == MetricKind::Histogram && *family.name == *name && !plainly;
        let key = (metric.into(), data, assembles, native);
        let make = || Metric { header: header(metric, family, !plainly), data, native };
        let metric = self.metrics.number(key, &mut self.plan.metrics, make);
        let bound = match role {
            Role::Bucket(_) => "le",
            Role::Quantile(_) => "quantile",
            _ => "",
        };
        self.attributes.clear();
        for (label, value) in labels.iter() {
            let elsewhere = [METRIC_NAME, JOB, INSTANCE, bound].contains(&label) || label.starts_with(SCOPE_PREFIX);
            if !elsewhere {
                push_attribute(1, label, value, &mut self.attributes);
            }
        }
        let Self { plan, points, parts, attributes, .. } = self;
        let key = (target, scope, metric, attributes.clone());
        let point = points.number(key, &mut plan.points, || {
            let start = plan.text.len() as u32;
            plan.text.extend_from_slice(attributes);
            let attributes = start..plan.text.len() as u32;
            parts.push(Vec::new());
            Point { target, scope, metric, assembles, attributes, parts: 0..0 }
        });
        parts[point as usize].push(Part { sample, role });
        plan.targets[target as usize].points += 1;
    }

    fn target(&mut self, labels: Labels<'_>) -> u32 {
        let (job, instance) = (labels.get(JOB).unwrap_or_default(), labels.get(INSTANCE).unwrap_or_default());
        self.targets.number((job.into(), instance.into()), &mut self.plan.targets, || {
            let mut own = Vec::new();
            let said = [(SERVICE_NAME, job), (SERVICE_INSTANCE, instance)];
            said.iter()
                .filter(|(_, value)| !value.is_empty())
                .for_each(|(key, value)| push_attribute(1, key, value, &mut own));
            Target { own, ..Target::default() }
        })
    }

    fn scope(&mut self, labels: Labels<'_>, version: &str) -> u32 {
        let (mut scope, mut schema_url) = (Vec::new(), "");
        let (mut name, mut own_version) = ("", "");
        for (label, value) in labels.iter() {
            match label.strip_prefix(SCOPE_PREFIX) {
                Some("name") => name = value,
                Some("version") => own_version = value,
                Some("schema_url") => schema_url = value,
                Some(key) => push_attribute(3, key, value, &mut scope),
                None => {}
            }
        }
        if name.is_empty() && own_version.is_empty() && scope.is_empty() && schema_url.is_empty() {
            (name, own_version) = (OWN_SCOPE, version);
        }
        for (number, text) in [(1, name), (2, own_version)] {
            if !text.is_empty() {
                push_bytes(number, text.as_bytes(), &mut scope);
            }
        }
        let mut message = Vec::new();
        push_bytes(1, &scope, &mut message);
        if !schema_url.is_empty() {
            push_bytes(3, schema_url.as_bytes(), &mut message);
        }
        self.scopes.number(message.clone(), &mut self.plan.scopes, || message)
    }

    fn finish(self) -> Plan {
        let Self { mut plan, parts, .. } = self;
        for (point, parts) in plan.points.iter_mut().zip(parts) {
            let start = plan.parts.len() as u32;
            plan.parts.extend(parts);
            point.parts = start..plan.parts.len() as u32;
        }
        plan.points.sort_by_key(|point| (point.target, point.scope, point.metric));
        plan
    }
}

/// What a series is to its family.
fn role(name: &str, family: &Family, labels: Labels<'_>) -> Role {
    let Some(suffix) = name.strip_prefix(&*family.name).filter(|_| !family.name.is_empty()) else { return Role::Value };
    let bound =
        |label| labels.get(label).and_then(|text| number::parse(text.as_bytes())).filter(|bound| !bound.is_nan());
    let role = match (family.kind, suffix) {
        (MetricKind::Histogram, "_bucket") => bound("le").map(Role::Bucket),
        (MetricKind::Summary, "") => bound("quantile").map(Role::Quantile),
        (MetricKind::Histogram | MetricKind::Summary, "_sum") => Some(Role::Sum),
        (MetricKind::Histogram | MetricKind::Summary, "_count") => Some(Role::Count),
        _ => None,
    };
    role.unwrap_or(Role::Value)
}

fn header(metric: &str, family: &Family, unit: bool) -> Vec<u8> {
    let mut header = Vec::new();
    push_bytes(1, metric.as_bytes(), &mut header);
    if !family.help.is_empty() {
        push_bytes(2, family.help.as_bytes(), &mut header);
    }
    if !family.unit.is_empty() && unit {
        let mut unit = String::new();
        to_ucum(&family.unit, &mut unit);
        push_bytes(3, unit.as_bytes(), &mut header);
    }
    header
}

/// Appends a `KeyValue` of a text as a field.
pub(super) fn push_attribute(number: u32, key: &str, value: &str, out: &mut Vec<u8>) {
    push_message(number, out, |out| {
        push_bytes(1, key.as_bytes(), out);
        push_message(2, out, |out| push_bytes(1, value.as_bytes(), out));
    });
}

/// The keys of attributes that stand as field 1.
fn keys(attributes: &[u8]) -> impl Iterator<Item = &str> {
    let messages = Fields::of(attributes).filter_map(|field| field.ok()?.1.bytes().ok());
    messages.filter_map(|message| Some(Attribute::read(message).ok()?.key))
}

/// Attributes of a resource as field 1, those that `wanted` says by their keys.
pub(super) fn resource_attributes(resource: &Resource, wanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in resource.attributes().filter(|(key, _)| wanted(key)) {
        push_message(1, &mut out, |out| {
            push_bytes(1, key.as_bytes(), out);
            push_message(2, out, |out| match value {
                ResourceValue::Text(text) | ResourceValue::Json(text) => push_bytes(1, text.as_bytes(), out),
                ResourceValue::Bool(truth) => push_uint(2, u64::from(*truth), out),
                ResourceValue::Int(number) => push_uint(3, *number as u64, out),
                ResourceValue::Double(number) => push_double(4, *number, out),
            });
        });
    }
    out
}
