//! An `ExportMetricsServiceRequest` becomes a batch.
//!
//! The request is read twice at most: from the outside in, each message for what stands once in it, then for what it
//! repeats, so that it does not matter what comes first. A point whose bytes are known is found by their hash and its
//! attributes are not looked at; a request that has the points of an earlier one, in their order, gets its very list of
//! series, for which nothing is asked of the series table.
//!
//! Whatever is wrong with the wire format refuses the request, and nothing of it is taken. Whatever is wrong with a point
//! refuses that point, and is counted.

use std::sync::{Arc, Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use super::attributes::once;
use super::cache::CacheLimits;
use super::delta::{Delta, DeltaToCumulative};
use super::exponential::Exponential;
use super::names::Translation;
use super::point::{Head, Memory, RawExemplar};
use super::refused::{Fault, Reason, Refused};
use super::request::Request;
use super::resolve::{Kind, Parts, Place, Resolver};
use crate::data::metrics::STALE;
use crate::data::{MetricBatch, Resource, SeriesTable, UnixNanos};
use crate::formats::otlp::MessageError;
use crate::formats::protobuf::{Fields, WireError};

/// How requests are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// How names are translated.
    pub translation: Translation,
    /// Whether the instrumentation scope becomes labels `otel_scope_*`.
    pub scope_labels: bool,
    /// Labels of a series at the most.
    pub labels: usize,
    /// Bounds of what is remembered of points.
    pub cache: CacheLimits,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { translation: Translation::default(), scope_labels: true, labels: 64, cache: CacheLimits::default() }
    }
}

/// Reads requests, one after the other, and remembers the series of their points. For more at a time take several;
/// they share the sums of deltas.
#[derive(Debug)]
pub struct Decoder {
    resolver: Resolver,
    memory: Memory,
    request: Request,
    /// A resource that more was added to.
    extended: Vec<u8>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Decoded {
    /// The samples; none where no point was taken.
    pub batch: Option<MetricBatch>,
    /// Data points that were taken.
    pub points: u64,
    /// Data points that were not, and why.
    pub refused: Refused,
}

/// Whether a sum counts from its start or from the point before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temporality {
    Delta,
    Cumulative,
}

impl Decoder {
    /// A decoder whose series go into `table`.
    pub fn new(table: Arc<SeriesTable>, options: DecodeOptions) -> Self {
        let resolver = Resolver::new(table, options);
        Self { resolver, memory: Memory::default(), request: Request::default(), extended: Vec::new() }
    }

    /// Reads a request. The batch is about `resource`; `deltas` is locked once if there are any, and `now` is the agent's
    /// clock, by which silent sums and points are forgotten.
    pub fn decode(
        &mut self,
        message: &[u8],
        deltas: &Mutex<DeltaToCumulative>,
        resource: &Arc<Resource>,
        now: UnixNanos,
    ) -> Result<Decoded, MessageError> {
        self.decode_extended(message, deltas, resource, now, |_, _| {})
    }

    /// The same of resources that have beside their own fields those that `add` appends for their message.
    pub fn decode_extended(
        &mut self,
        message: &[u8],
        deltas: &Mutex<DeltaToCumulative>,
        resource: &Arc<Resource>,
        now: UnixNanos,
        mut add: impl FnMut(&[u8], &mut Vec<u8>),
    ) -> Result<Decoded, MessageError> {
        self.request.clear();
        for field in Fields::of(message) {
            if let (1, value) = field? {
                self.resource_metrics(value.bytes()?, &mut add)?;
            }
        }
        if self.request.has_deltas() {
            let mut deltas = deltas.lock().unwrap_or_else(PoisonError::into_inner);
            deltas.sweep(now);
            self.request.add_up(&mut deltas, now);
        }
        Ok(self.request.finish(&mut self.resolver, resource.clone(), now))
    }

    /// Points that it knows.
    pub fn known_points(&self) -> usize {
        self.resolver.cache.len()
    }

    /// Bytes of memory that what it knows takes.
    pub fn bytes(&self) -> usize {
        self.resolver.cache.bytes()
    }

    fn resource_metrics(
        &mut self,
        message: &[u8],
        add: &mut impl FnMut(&[u8], &mut Vec<u8>),
    ) -> Result<(), MessageError> {
        let mut resource = None;
        for field in Fields::of(message) {
            if let (1, value) = field? {
                once(&mut resource, value.bytes()?, "resource")?;
            }
        }
        let resource = resource.unwrap_or_default();
        let mut extended = std::mem::take(&mut self.extended);
        extended.clear();
        add(resource, &mut extended);
        let read = if extended.is_empty() {
            self.metrics_of(message, resource)
        } else {
            extended.splice(..0, resource.iter().copied());
            self.metrics_of(message, &extended)
        };
        self.extended = extended;
        read
    }

    fn metrics_of(&mut self, message: &[u8], resource: &[u8]) -> Result<(), MessageError> {
        let place = Place::of_resource(resource, self.resolver.seed());
        self.request.latest = 0;
        for field in Fields::of(message) {
            if let (2, value) = field? {
                self.scope_metrics(value.bytes()?, place)?;
            }
        }
        if self.request.latest > 0 {
            self.target_info(&place)?;
        }
        Ok(())
    }

    fn scope_metrics(&mut self, message: &[u8], place: Place<'_>) -> Result<(), MessageError> {
        let (mut scope, mut schema_url) = (None, "");
        for field in Fields::of(message) {
            match field? {
                (1, value) => once(&mut scope, value.bytes()?, "scope")?,
                (3, value) => schema_url = value.text()?,
                _ => {}
            }
        }
        let place = place.with_scope(scope.unwrap_or_default(), schema_url);
        for field in Fields::of(message) {
            if let (2, value) = field? {
                self.metric(value.bytes()?, place)?;
            }
        }
        Ok(())
    }

    fn metric(&mut self, message: &[u8], place: Place<'_>) -> Result<(), MessageError> {
        let (mut name, mut description, mut unit) = ("", "", "");
        let (mut data, mut number) = (None, 0);
        for field in Fields::of(message) {
            match field? {
                (1, value) => name = value.text()?,
                (2, value) => description = value.text()?,
                (3, value) => unit = value.text()?,
                (found @ (5 | 7 | 9 | 10 | 11), value) => {
                    once(&mut data, value.bytes()?, "data")?;
                    number = found;
                }
                _ => {}
            }
        }
        let Some(data) = data else { return Ok(()) };
        let (mut temporality, mut monotonic, mut points) = (0, false, 0);
        for field in Fields::of(data) {
            match field? {
                (1, value) => {
                    value.bytes()?;
                    points += 1;
                }
                (2, value) if matches!(number, 7 | 9 | 10) => temporality = value.varint()?,
                (3, value) if number == 7 => monotonic = value.varint()? != 0,
                _ => {}
            }
        }
        let kind = match number {
            5 => Kind::Gauge,
            7 if monotonic => Kind::Counter,
            7 => Kind::UpDown,
            9 => Kind::Classic,
            10 => Kind::Exponential,
            _ => Kind::Summary,
        };
        let temporality = match (kind, temporality) {
            (Kind::Gauge | Kind::Summary, _) | (_, 2) => Temporality::Cumulative,
            (Kind::UpDown, 1) => {
                self.request.refused.add(Reason::NotMonotonic, points, name);
                return Ok(());
            }
            (_, 1) => Temporality::Delta,
            _ => {
                self.request.refused.add(Reason::Temporality, points, name);
                return Ok(());
            }
        };
        let place = place.with_metric(name, description, unit, kind);
        self.resolver.next_metric();
        self.request.next_metric(name);
        for field in Fields::of(data) {
            let (1, value) = field? else { continue };
            let message = value.bytes()?;
            let read = match kind {
                Kind::Gauge | Kind::Counter | Kind::UpDown => self.number(message, &place, temporality),
                Kind::Classic => self.classic(message, &place, temporality),
                Kind::Exponential => self.exponential(message, &place, temporality),
                Kind::Summary => self.summary(message, &place),
            };
            match read {
                Ok(()) => {}
                Err(Fault::Refused(reason)) => self.request.refused.add(reason, 1, name),
                Err(Fault::Broken(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Finds the series of the point in memory and begins its samples: the first one's index, and the point as sums of
    /// deltas see it.
    fn begin(&mut self, place: &Place<'_>, head: &Head, parts: Parts, more: usize) -> Result<(u32, Delta), Fault> {
        if head.time == 0 {
            return Err(Reason::Time.into());
        }
        let samples = parts.len(&self.memory);
        if samples + more > self.request.room {
            return Err(Reason::TooMuch.into());
        }
        // What tells the series of two points apart beside their attributes stands behind these, with their length.
        let Memory { attributes, bounds, quantiles, .. } = &mut self.memory;
        let held = attributes.len();
        match parts {
            Parts::One => {}
            Parts::Classic { .. } => attributes.extend(bounds.iter().flat_map(|bound| bound.to_le_bytes())),
            Parts::Summary => attributes.extend(quantiles.iter().flat_map(|(quantile, _)| quantile.to_le_bytes())),
        }
        attributes.push(u8::from(matches!(parts, Parts::Classic { sum: true })));
        attributes.extend_from_slice(&(held as u64).to_le_bytes());
        let layout = xxh3_64(&attributes[held..]);
        let first = self.request.growing.len() as u32;
        let (key, identity) = self.resolver.point(place, &self.memory, held, parts, &mut self.request.growing)?;
        self.request.room -= samples + more;
        self.request.begin(key, identity, first, samples as u32, head);
        // A start behind the end is none.
        let start = if head.start > head.time { 0 } else { head.start };
        Ok((first, Delta { identity, start, time: head.time, layout }))
    }

    fn number(&mut self, message: &[u8], place: &Place<'_>, temporality: Temporality) -> Result<(), Fault> {
        let point = self.memory.number(message)?;
        let value = match point.value {
            _ if point.head.stale => STALE,
            Some(value) => value,
            None => return Err(Reason::Value.into()),
        };
        let (first, delta) = self.begin(place, &point.head, Parts::One, 0)?;
        self.request.value(value, point.head.stale);
        if place.kind == Kind::Counter {
            self.request.started(&point.head, temporality);
            self.exemplars(message, 5, &point.head, |_| first)?;
        }
        self.request.delta(delta, temporality, None, point.head.stale);
        Ok(())
    }

    fn classic(&mut self, message: &[u8], place: &Place<'_>, temporality: Temporality) -> Result<(), Fault> {
        let point = self.memory.classic(message)?;
        let Memory { bounds, counts, .. } = &mut self.memory;
        if counts.is_empty() {
            // Nothing is said of buckets: they would all be the last.
            bounds.clear();
        } else if counts.len() != bounds.len() + 1 || !ascend(bounds) {
            return Err(Reason::Bounds.into());
        }
        if bounds.last() == Some(&f64::INFINITY) {
            // The last bucket is there twice.
            bounds.pop();
        }
        let parts = Parts::Classic { sum: point.sum.is_some() };
        let (first, delta) = self.begin(place, &point.head, parts, 0)?;
        let stale = point.head.stale;
        let mut counted = 0_u64;
        for count in &self.memory.counts[..self.memory.bounds.len()] {
            counted = counted.saturating_add(*count);
            self.request.value(counted as f64, stale);
        }
        self.request.value(point.count as f64, stale);
        if let Some(sum) = point.sum {
            self.request.value(sum, stale);
        }
        self.request.value(point.count as f64, stale);
        self.request.started(&point.head, temporality);
        let bounds = std::mem::take(&mut self.memory.bounds);
        let bucket = |value: f64| first + bounds.partition_point(|bound| *bound < value || value.is_nan()) as u32;
        let exemplars = self.exemplars(message, 8, &point.head, bucket);
        self.memory.bounds = bounds;
        exemplars?;
        self.request.delta(delta, temporality, None, stale);
        Ok(())
    }

    fn exponential(&mut self, message: &[u8], place: &Place<'_>, temporality: Temporality) -> Result<(), Fault> {
        let point = self.memory.exponential(message)?;
        let histogram =
            if point.head.stale { Exponential::stale() } else { Exponential::read(&point, self.request.room)? };
        let (first, delta) = self.begin(place, &point.head, Parts::One, histogram.buckets())?;
        self.request.native(&histogram);
        self.request.started(&point.head, temporality);
        self.exemplars(message, 11, &point.head, |_| first)?;
        self.request.delta(delta, temporality, Some(histogram), point.head.stale);
        Ok(())
    }

    fn summary(&mut self, message: &[u8], place: &Place<'_>) -> Result<(), Fault> {
        let point = self.memory.summary(message)?;
        let quantiles = &mut self.memory.quantiles;
        quantiles.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        if quantiles.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Reason::Bounds.into());
        }
        self.begin(place, &point.head, Parts::Summary, 0)?;
        let stale = point.head.stale;
        for (_, value) in &self.memory.quantiles {
            self.request.value(*value, stale);
        }
        self.request.value(point.sum, stale);
        self.request.value(point.count as f64, stale);
        self.request.started(&point.head, Temporality::Cumulative);
        Ok(())
    }

    /// Takes the exemplars of a point, which are its fields `number`, for the samples that `sample` gives by their values.
    fn exemplars(
        &mut self,
        message: &[u8],
        number: u32,
        head: &Head,
        sample: impl Fn(f64) -> u32,
    ) -> Result<(), MessageError> {
        if !head.exemplars {
            return Ok(());
        }
        for field in Fields::of(message) {
            let (found, value) = field?;
            if found != number {
                continue;
            }
            let exemplar = RawExemplar::read(value.bytes()?)?;
            let Some(observed) = exemplar.value else { continue };
            if self.request.room == 0 {
                break;
            }
            self.request.room -= 1;
            let labels = self.request.text_len()?;
            self.resolver.exemplar_labels(&exemplar, self.request.text())?;
            self.request.exemplar(sample(observed), labels, observed, exemplar.time);
        }
        Ok(())
    }

    /// The resource's other attributes, at the latest time of its points.
    fn target_info(&mut self, place: &Place<'_>) -> Result<(), MessageError> {
        if self.request.room == 0 {
            return Ok(());
        }
        let first = self.request.growing.len() as u32;
        let Request { targets, growing, .. } = &mut self.request;
        match self.resolver.target_info(place, targets, growing) {
            Ok(Some((key, identity))) => {
                self.request.room -= 1;
                self.request.targets.insert(identity);
                self.request.target_info(key, identity, first);
                Ok(())
            }
            // An attribute that cannot be named: the points are worth more than what it says.
            Ok(None) | Err(Fault::Refused(_)) => Ok(()),
            Err(Fault::Broken(error)) => Err(error),
        }
    }
}

/// Whether each bound is above the one before; none is NaN.
fn ascend(bounds: &[f64]) -> bool {
    bounds.is_sorted_by(|a, b| a < b) && !bounds.iter().any(|bound| bound.is_nan())
}

/// Texts are located by 32 bits.
impl Request {
    fn text_len(&mut self) -> Result<u32, MessageError> {
        u32::try_from(self.text().len()).map_err(|_| MessageError::Wire(WireError::Short))
    }
}
