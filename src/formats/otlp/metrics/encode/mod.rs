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
//!
//! A batch is written in [portions](Portion): as much as a request has room for, never a part of a point, so that
//! what a receiver finds too large can be written again in smaller ones.

mod body;
mod plan;
mod plans;
mod points;
mod portion;

use std::cmp::Ordering;
use std::sync::Arc;

use self::body::{Data, Filling, Home, Put};
use self::plan::{Assembles, Part, Plan, Point, Role};
use self::plans::Plans;
use crate::data::metrics::is_stale;
use crate::data::{Histogram, MetricBatch, Selection, UnixMillis};

pub use self::body::Room;
pub use self::portion::Portion;

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

/// What became of a portion. Every sample of it is in one of the four.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// An `ExportMetricsServiceRequest`; several, one behind the other, are one too. Empty where nothing was written.
    pub body: Vec<u8>,
    /// Data points in it.
    pub points: u64,
    /// What it is made of.
    pub sent: Portion,
    /// Samples that make no point together, as they are to be written next.
    pub loose: Option<Portion>,
    /// What there was no room for.
    pub rest: Option<Portion>,
    /// Samples that cannot be sent, and why.
    pub unsendable: Vec<(Unsendable, u64)>,
}

/// Writes batches. What it works out for a list of series it keeps for the next batch of that list, and shares with
/// its clones.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// The version that goes out with the scope of those that have none.
    version: Arc<str>,
    plans: Arc<Plans>,
    body: Filling,
    parts: Vec<Sampled>,
    point: Vec<u8>,
    out: Out,
}

/// Samples that are not written, by why.
#[derive(Clone, Debug, Default)]
struct Out {
    loose: Vec<u32>,
    rest: Vec<u32>,
    unsendable: Vec<u32>,
    why: Vec<(Unsendable, u64)>,
}

/// What is being written: samples of a batch by a plan.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    plan: &'a Plan,
    batch: &'a MetricBatch,
    samples: &'a Selection,
    room: Room,
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
            plans: Arc::default(),
            body: Filling::default(),
            parts: Vec::new(),
            point: Vec::new(),
            out: Out::default(),
        }
    }

    /// Bytes of memory that it keeps, together with its clones.
    pub fn bytes(&self) -> usize {
        self.plans.bytes()
    }

    /// The selected samples of a batch as they are to be written, in this order.
    pub fn portions(&self, batch: &MetricBatch) -> Vec<Portion> {
        Portion::of(batch, &self.plan(batch))
    }

    /// Writes samples of a batch, as far as there is room.
    pub fn encode(&mut self, batch: &MetricBatch, portion: Portion, room: Room) -> Encoded {
        let plan = if portion.plain {
            let refs = batch.series().refs();
            let places = portion.samples.iter().map(|sample| (sample as u32, refs[sample]));
            Arc::new(Plan::of(places, &batch.series().table().read(), &self.version, true))
        } else {
            self.plan(batch)
        };
        let about = plan::resource_attributes(&batch.resource, |_| true).len();
        let subject = Subject { plan: &plan, batch, samples: &portion.samples, room, about };
        self.write(&subject);
        let (body, points) = self.body.finish(&subject);
        let Out { loose, rest, unsendable, why } = &mut self.out;
        let mut encoded = Encoded { body, points, unsendable: std::mem::take(why), ..Encoded::default() };
        let plain = portion.plain;
        let mut sent = portion;
        encoded.loose = sent.take_out(loose, true);
        encoded.rest = sent.take_out(rest, plain);
        sent.take_out(unsendable, plain);
        encoded.sent = sent;
        encoded.settle_riding();
        encoded
    }

    fn plan(&self, batch: &MetricBatch) -> Arc<Plan> {
        let list = batch.series();
        self.plans.get(list.id(), || {
            let places = (0..).zip(list.refs().iter().copied());
            Plan::of(places, &list.table().read(), &self.version, false)
        })
    }

    fn write(&mut self, subject: &Subject<'_>) {
        let points = &subject.plan.points;
        for (at, point) in points.iter().enumerate() {
            let full = match point.assembles {
                Assembles::Nothing => self.singles(subject, point),
                Assembles::Histogram | Assembles::Summary => self.assemble(subject, point),
            };
            if full {
                let left = points[at + 1..].iter().flat_map(|point| subject.selected(point));
                self.out.rest.extend(left.map(|part| part.sample));
                return;
            }
        }
    }

    /// Samples that are points. Returns whether there was no room for one, which is among the rest then.
    fn singles(&mut self, subject: &Subject<'_>, point: &Point) -> bool {
        let mut full = false;
        for part in subject.selected(point) {
            if full {
                self.out.rest.push(part.sample);
            } else {
                full = self.single(subject, point, part);
            }
        }
        full
    }

    fn single(&mut self, subject: &Subject<'_>, point: &Point, part: Part) -> bool {
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
            Ok(data) => self.put(subject, point, data, std::iter::once(part.sample)),
            Err(why) => {
                self.out.refuse(why, std::iter::once(part.sample));
                false
            }
        }
    }

    /// Samples that are a point together, one for each time that they have.
    fn assemble(&mut self, subject: &Subject<'_>, point: &Point) -> bool {
        let batch = subject.batch;
        let mut sampled = std::mem::take(&mut self.parts);
        sampled.clear();
        sampled.extend(subject.selected(point).map(|part| Sampled {
            part,
            time: batch.time(part.sample as usize),
            value: batch.columns().values[part.sample as usize],
        }));
        sampled.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.part.role.order(b.part.role)));
        let mut full = false;
        for together in sampled.chunk_by(|a, b| a.time == b.time) {
            let samples = together.iter().map(|sampled| sampled.part.sample);
            if full {
                self.out.rest.extend(samples);
                continue;
            }
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
                full = self.put(subject, point, data, samples);
            } else {
                self.out.loose.extend(samples);
            }
        }
        self.parts = sampled;
        full
    }

    /// Adds the point that samples became. Returns whether there was no room for it.
    fn put(
        &mut self,
        subject: &Subject<'_>,
        point: &Point,
        data: Data,
        samples: impl Iterator<Item = u32> + Clone,
    ) -> bool {
        let home = Home { target: point.target, scope: point.scope, metric: point.metric, data };
        let put = self.body.put(subject, home, &self.point);
        match put {
            Put::Done => {}
            Put::Full => self.out.rest.extend(samples),
            Put::TooLarge => self.out.refuse(Unsendable::TooLarge, samples),
        }
        put == Put::Full
    }
}

impl<'a> Subject<'a> {
    /// The content of the message `Resource` of a target.
    fn resource(&self, target: u32) -> Vec<u8> {
        let infos = &self.plan.targets[target as usize].infos;
        let informed = infos.iter().any(|info| self.batch.selection.contains(*info as usize));
        self.plan.resource(target, &self.batch.resource, informed)
    }

    /// The parts of a point that are to be written.
    fn selected(&self, point: &Point) -> impl Iterator<Item = Part> + use<'a> {
        let (plan, samples) = (self.plan, self.samples);
        let parts = &plan.parts[point.parts.start as usize..point.parts.end as usize];
        parts.iter().copied().filter(|part| samples.contains(part.sample as usize))
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
    /// What goes with others goes with those that are left where none of them was written.
    fn settle_riding(&mut self) {
        if self.points > 0 {
            return;
        }
        let riding = std::mem::take(&mut self.sent.riding);
        match self.rest.as_mut().or(self.loose.as_mut()) {
            Some(left) => left.riding += riding,
            None => {
                if let Some((_, samples)) = self.unsendable.first_mut() {
                    *samples += riding;
                }
            }
        }
    }
}

impl Out {
    fn refuse(&mut self, why: Unsendable, samples: impl Iterator<Item = u32>) {
        let before = self.unsendable.len();
        self.unsendable.extend(samples);
        let refused = (self.unsendable.len() - before) as u64;
        match self.why.iter_mut().find(|(known, _)| *known == why) {
            Some((_, known)) => *known += refused,
            None => self.why.push((why, refused)),
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
