//! A batch becomes `ExportMetricsServiceRequest`s, by "Prometheus Metric points to OTLP" of the specification.
//!
//! - `job` and `instance` are the resource's `service.name` and `service.instance.id`; what `target_info` of the same job
//!   and instance says beside, where the batch has it, are more of its attributes, and it is no metric then.
//! - Names stay as they are, `_total` included: who translates them once more gets the same ones.
//! - Counters are monotonic cumulative sums, information and states sums that are not monotonic; gauges and whatever has
//!   no type are gauges.
//! - Series of one classic histogram or summary at one time are one point, where they make one: with all of the buckets
//!   that the batch has, whole numbers that ascend, and a count or a bucket `+Inf`. Where they do not, each is a gauge under
//!   its own name, which loses nothing. So are the series of a gauge histogram.
//! - Native histograms are exponential ones, those with custom bounds classic ones. Those of floats and of gauges have no
//!   place in OTLP and are told in [`Encoded::unsendable`].

mod body;
mod plan;
mod points;

use std::cmp::Ordering;
use std::sync::Arc;

use self::body::{Bodies, Data, Home};
use self::plan::{Assembles, Part, Plan, Point, Role};
use crate::data::metrics::is_stale;
use crate::data::{Histogram, MetricBatch, UnixMillis};

pub use self::body::Body;

/// Why a sample cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// OTLP's histograms count whole observations.
    #[error("OTLP has no histograms of fractions of observations")]
    FloatHistogram,
    /// OTLP's histograms do not go down.
    #[error("OTLP has no gauge histograms")]
    GaugeHistogram,
    /// Buckets and spans that do not fit, negative counts, or more buckets than anybody takes.
    #[error("the histogram's buckets make no histogram")]
    Broken,
    /// One point is larger than a request may be.
    #[error("a point alone is larger than a request may be")]
    TooLarge,
}

/// What became of a batch. Every selected sample is in one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Requests, none larger than the limit.
    pub bodies: Vec<Body>,
    /// Samples `target_info` that became attributes of resources.
    pub absorbed: u64,
    /// Samples that cannot be sent, and why.
    pub unsendable: Vec<(Unsendable, u64)>,
}

/// Plans kept at the most, and bytes of them.
const MOST_PLANS: usize = 64;
const MOST_PLAN_BYTES: usize = 16 << 20;

/// Writes batches. What it works out for a list of series it keeps for the next batch of that list.
#[derive(Debug)]
pub struct Encoder {
    /// The version that goes out with the scope of those that have none.
    version: String,
    /// By the number of their list, the one used last at the end.
    plans: Vec<(u64, Arc<Plan>)>,
    bodies: Bodies,
    parts: Vec<Sampled>,
    point: Vec<u8>,
    /// Samples that made no point together.
    loose: Vec<u32>,
}

/// What is being written: samples of a batch by a plan.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    plan: &'a Plan,
    batch: &'a MetricBatch,
    /// Bytes of the attributes of the batch's own resource.
    about: usize,
}

/// A selected sample of a point.
#[derive(Clone, Copy, Debug)]
struct Sampled {
    part: Part,
    time: UnixMillis,
    value: f64,
}

impl Encoder {
    /// An encoder that calls the agent so in the scope of series that have none.
    pub fn new(version: &str) -> Self {
        Self {
            version: version.into(),
            plans: Vec::new(),
            bodies: Bodies::default(),
            parts: Vec::new(),
            point: Vec::new(),
            loose: Vec::new(),
        }
    }

    /// Bytes of memory that it keeps.
    pub fn bytes(&self) -> usize {
        self.plans.iter().map(|(_, plan)| plan.bytes()).sum()
    }

    /// Writes the selected samples of a batch into requests of at most `limit` bytes.
    pub fn encode(&mut self, batch: &MetricBatch, limit: usize) -> Encoded {
        let mut encoded = Encoded::default();
        let plan = self.plan(batch);
        self.bodies.begin(limit);
        self.loose.clear();
        let about = plan::resource_attributes(&batch.resource, |_| true).len();
        self.write(&Subject { plan: &plan, batch, about }, &mut encoded);
        if !self.loose.is_empty() {
            let mut loose = std::mem::take(&mut self.loose);
            loose.sort_unstable();
            let refs = batch.series().refs();
            let places = loose.iter().map(|sample| (*sample, refs[*sample as usize]));
            let plain = Plan::of(places, &batch.series().table().read(), &self.version, true);
            self.write(&Subject { plan: &plain, batch, about }, &mut encoded);
            self.loose = loose;
        }
        encoded.bodies = self.bodies.finish();
        encoded
    }

    fn plan(&mut self, batch: &MetricBatch) -> Arc<Plan> {
        let list = batch.series();
        if let Some(at) = self.plans.iter().position(|(id, _)| *id == list.id()) {
            let found = self.plans.remove(at);
            let plan = found.1.clone();
            self.plans.push(found);
            return plan;
        }
        let places = (0..).zip(list.refs().iter().copied());
        let plan = Arc::new(Plan::of(places, &list.table().read(), &self.version, false));
        self.plans.push((list.id(), plan.clone()));
        while self.plans.len() > MOST_PLANS || self.plans.len() > 1 && self.bytes() > MOST_PLAN_BYTES {
            self.plans.remove(0);
        }
        plan
    }

    fn write(&mut self, subject: &Subject<'_>, encoded: &mut Encoded) {
        let Subject { plan, batch, .. } = *subject;
        for target in &plan.targets {
            encoded.absorbed +=
                target.infos.iter().filter(|info| batch.selection.contains(**info as usize)).count() as u64;
        }
        for point in &plan.points {
            let parts = &plan.parts[point.parts.start as usize..point.parts.end as usize];
            match point.assembles {
                Assembles::Nothing => {
                    let selected = parts.iter().filter(|part| batch.selection.contains(part.sample as usize));
                    selected.for_each(|part| self.single(subject, point, *part, encoded));
                }
                Assembles::Histogram | Assembles::Summary => self.assemble(subject, point, parts, encoded),
            }
        }
        self.bodies.close(subject);
    }

    /// A sample that is a point.
    fn single(&mut self, subject: &Subject<'_>, point: &Point, part: Part, encoded: &mut Encoded) {
        let Subject { plan, batch, .. } = *subject;
        let (sample, metric) = (part.sample as usize, &plan.metrics[point.metric as usize]);
        let value = batch.columns().values[sample];
        self.point.clear();
        let data = match histogram(batch, part.sample) {
            Some(histogram) => points::native(batch, sample, histogram, subject.held(point), &mut self.point)
                .map(|exponential| if exponential { Data::Exponential } else { Data::Histogram }),
            None if metric.native && is_stale(value) => {
                points::ended(batch, sample, subject.held(point), &mut self.point);
                Ok(Data::Exponential)
            }
            None => {
                points::number(batch, sample, value, subject.held(point), &mut self.point);
                Ok(metric.data)
            }
        };
        match data {
            Ok(data) => self.put(subject, point, data, 1, encoded),
            Err(why) => encoded.unsendable(why, 1),
        }
    }

    /// Samples that are a point together, one for each time that they have.
    fn assemble(&mut self, subject: &Subject<'_>, point: &Point, parts: &[Part], encoded: &mut Encoded) {
        let batch = subject.batch;
        let mut sampled = std::mem::take(&mut self.parts);
        sampled.clear();
        let selected = parts.iter().filter(|part| batch.selection.contains(part.sample as usize));
        sampled.extend(selected.map(|part| Sampled {
            part: *part,
            time: batch.time(part.sample as usize),
            value: batch.columns().values[part.sample as usize],
        }));
        sampled.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.part.role.order(b.part.role)));
        for together in sampled.chunk_by(|a, b| a.time == b.time) {
            self.point.clear();
            let held = subject.held(point);
            let (made, data) = match point.assembles {
                // A native histogram has no business among classic series.
                _ if together.iter().any(|sampled| histogram(batch, sampled.part.sample).is_some()) => {
                    (false, Data::Histogram)
                }
                Assembles::Summary => (points::summary(batch, together, held, &mut self.point), Data::Summary),
                _ => (points::classic(batch, together, held, &mut self.point), Data::Histogram),
            };
            if made {
                self.put(subject, point, data, together.len() as u64, encoded);
            } else {
                self.loose.extend(together.iter().map(|sampled| sampled.part.sample));
            }
        }
        self.parts = sampled;
    }

    fn put(&mut self, subject: &Subject<'_>, point: &Point, data: Data, samples: u64, encoded: &mut Encoded) {
        let home = Home { target: point.target, scope: point.scope, metric: point.metric, data };
        if !self.bodies.put(subject, home, &self.point, samples) {
            encoded.unsendable(Unsendable::TooLarge, samples);
        }
    }
}

impl<'a> Subject<'a> {
    /// The content of the message `Resource` of a target.
    fn resource(&self, target: u32) -> Vec<u8> {
        let infos = &self.plan.targets[target as usize].infos;
        let informed = infos.iter().any(|info| self.batch.selection.contains(*info as usize));
        self.plan.resource(target, &self.batch.resource, informed)
    }

    /// The attributes of a point.
    fn held(&self, point: &Point) -> &'a [u8] {
        &self.plan.text[point.attributes.start as usize..point.attributes.end as usize]
    }
}

/// The native histogram that a sample is.
fn histogram(batch: &MetricBatch, sample: u32) -> Option<&Histogram> {
    let histograms = &batch.columns().histograms;
    let found = histograms.binary_search_by_key(&sample, |(at, _)| *at).ok()?;
    Some(&histograms[found].1)
}

impl Encoded {
    fn unsendable(&mut self, why: Unsendable, samples: u64) {
        match self.unsendable.iter_mut().find(|(known, _)| *known == why) {
            Some((_, known)) => *known += samples,
            None => self.unsendable.push((why, samples)),
        }
    }
}

impl Role {
    /// Buckets and quantiles by their bounds, then the others.
    fn order(self, other: Self) -> Ordering {
        let key = |role: Self| match role {
            Self::Bucket(bound) | Self::Quantile(bound) => (0, bound),
            Self::Sum => (1, 0.0),
            Self::Count => (2, 0.0),
            Self::Value => (3, 0.0),
        };
        let ((a, first), (b, second)) = (key(self), key(other));
        a.cmp(&b).then(first.total_cmp(&second))
    }
}
