//! What was read of a request so far: columns of samples, the points they belong to, and what is left to do once the
//! whole request proves to be readable.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::cache::Known;
use super::decode::{Decoded, Temporality};
use super::delta::{Delta, DeltaToCumulative};
use super::exponential::Exponential;
use super::growing::Growing;
use super::point::Head;
use super::refused::{Reason, Refused};
use super::resolve::Resolver;
use crate::data::metrics::{Exemplar, STALE, Samples};
use crate::data::{MetricBatch, MetricBuilder, Resource, UnixMillis, UnixNanos};
use crate::formats::prometheus::number::NORMAL_NAN;

/// Samples, buckets of native histograms and exemplars that one request may have: an honest sender has some thousands.
const MOST: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Request {
    builder: MetricBuilder,
    pub growing: Growing,
    points: Vec<Taken>,
    deltas: Vec<Pending>,
    /// Names of metrics, and where the last one is in them.
    names: String,
    metric: Range<u32>,
    pub refused: Refused,
    /// What is left of [`MOST`].
    pub room: usize,
    /// The latest time among the points of the resource being read.
    pub latest: u64,
    /// Whose `target_info` there is.
    pub targets: HashSet<u128>,
}

/// A point that was taken, and its samples.
#[derive(Debug)]
struct Taken {
    key: u128,
    identity: u128,
    first: u32,
    len: u32,
    /// The metric's place in `names`.
    metric: Range<u32>,
    /// Whether a sender calls it a data point.
    counts: bool,
    refused: bool,
}

/// A point whose value is to be added up.
#[derive(Debug)]
struct Pending {
    point: u32,
    delta: Delta,
    stale: bool,
    native: Option<Exponential>,
    /// Its places in the columns of histograms and of starts.
    histogram: u32,
    created: u32,
}

impl Request {
    pub fn clear(&mut self) {
        self.builder = MetricBuilder::new();
        self.growing.clear();
        self.points.clear();
        self.deltas.clear();
        self.names.clear();
        self.metric = 0..0;
        self.refused = Refused::default();
        self.room = MOST;
        self.latest = 0;
        self.targets.clear();
    }

    fn columns(&mut self) -> &mut Samples {
        self.builder.samples()
    }

    /// Another metric begins.
    pub fn next_metric(&mut self, name: &str) {
        let start = self.names.len() as u32;
        self.names.push_str(name);
        self.metric = start..self.names.len() as u32;
    }

    /// Begins a point with `len` samples, whose values follow.
    pub fn begin(&mut self, key: u128, identity: u128, first: u32, len: u32, head: &Head) {
        let metric = self.metric.clone();
        self.points.push(Taken { key, identity, first, len, metric, counts: true, refused: false });
        self.latest = self.latest.max(head.time);
        let time = UnixNanos(head.time).into();
        let times = &mut self.columns().times;
        times.resize(times.len() + len as usize, time);
    }

    /// The value of a sample. A NaN says nothing but that it is one.
    pub fn value(&mut self, value: f64, stale: bool) {
        let value = if stale {
            STALE
        } else if value.is_nan() {
            NORMAL_NAN
        } else {
            value
        };
        self.columns().values.push(value);
    }

    /// The value of a sample that is a native histogram.
    pub fn native(&mut self, histogram: &Exponential) {
        let columns = self.builder.samples();
        let sample = columns.values.len() as u32;
        columns.values.push(0.0);
        columns.histograms.push((sample, Arc::new(histogram.to_native())));
    }

    /// When the last point's counting began, if its sender says so; of deltas their sum says it later.
    pub fn started(&mut self, head: &Head, temporality: Temporality) {
        let known = head.start != 0 && head.start <= head.time && !head.stale;
        if !known && temporality == Temporality::Cumulative {
            return;
        }
        let Some(point) = self.points.last() else { return };
        let (first, len) = (point.first, point.len);
        let start = UnixNanos(head.start).into();
        self.columns().created.extend((first..first + len).map(|sample| (sample, start)));
    }

    /// Exemplars' labels.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.columns().text
    }

    /// An exemplar whose labels begin at `labels`.
    pub fn exemplar(&mut self, sample: u32, labels: u32, value: f64, time: u64) {
        let columns = self.builder.samples();
        let labels = labels..columns.text.len() as u32;
        let time = (time != 0).then(|| UnixNanos(time).into());
        columns.exemplars.push(Exemplar { sample, labels, line: 0..0, value, time });
    }

    /// The sample `target_info`.
    pub fn target_info(&mut self, key: u128, identity: u128, first: u32) {
        let head = Head { time: self.latest, ..Head::default() };
        self.begin(key, identity, first, 1, &head);
        self.value(1.0, false);
        if let Some(point) = self.points.last_mut() {
            point.counts = false;
        }
    }

    /// If the last point is a delta, it is to be added up.
    pub fn delta(&mut self, delta: Delta, temporality: Temporality, native: Option<Exponential>, stale: bool) {
        if temporality == Temporality::Cumulative {
            return;
        }
        let columns = self.builder.samples();
        let histogram = columns.histograms.len().saturating_sub(1) as u32;
        let Some(point) = self.points.last() else { return };
        let created = (columns.created.len() - point.len as usize) as u32;
        let point = (self.points.len() - 1) as u32;
        self.deltas.push(Pending { point, delta, stale, native, histogram, created });
    }

    pub fn has_deltas(&self) -> bool {
        !self.deltas.is_empty()
    }

    /// Replaces deltas by their sums.
    pub fn add_up(&mut self, sums: &mut DeltaToCumulative, now: UnixNanos) {
        let columns = self.builder.samples();
        let mut unknown = false;
        for pending in self.deltas.drain(..) {
            let point = &mut self.points[pending.point as usize];
            let (first, len) = (point.first as usize, point.len as usize);
            let created = &mut columns.created[pending.created as usize..][..len];
            if pending.stale {
                sums.end(pending.delta.identity);
                created.iter_mut().for_each(|(_, start)| *start = UNKNOWN);
                unknown = true;
                continue;
            }
            let added = match pending.native {
                None => sums.add(&pending.delta, &mut columns.values[first..first + len], now),
                Some(mut native) => sums.add_native(&pending.delta, &mut native, now).inspect(|_| {
                    columns.histograms[pending.histogram as usize].1 = Arc::new(native.to_native());
                }),
            };
            let start = match added {
                Ok(0) => UNKNOWN,
                Ok(start) => UnixNanos(start).into(),
                Err(reason) => {
                    point.refused = true;
                    let metric = point.metric.start as usize..point.metric.end as usize;
                    self.refused.add(reason, 1, &self.names[metric]);
                    UNKNOWN
                }
            };
            unknown |= start == UNKNOWN;
            created.iter_mut().for_each(|(_, created)| *created = start);
        }
        if unknown {
            columns.created.retain(|(_, start)| *start != UNKNOWN);
        }
    }

    /// The batch, and what of the request it has.
    pub fn finish(&mut self, resolver: &mut Resolver, resource: Arc<Resource>, now: UnixNanos) -> Decoded {
        if self.points.is_empty() {
            return Decoded { batch: None, points: 0, refused: std::mem::take(&mut self.refused) };
        }
        let known = self.growing.whole().cloned();
        let news = self.growing.news || known.is_none() || resolver.cache.is_due(now);
        let (list, left_out) = known.map(|list| (list, Vec::new())).unwrap_or_else(|| {
            let resolved = resolver.table.list_with_repeats(self.growing.own());
            (resolved.list, resolved.refused)
        });
        if !left_out.is_empty() {
            self.refuse_series(&left_out);
        } else if news {
            resolver.cache.make_room(&list, self.points.len(), now);
            for Taken { key, identity, first, len, .. } in &self.points {
                let known = Known { list: list.clone(), start: *first, len: *len, identity: *identity };
                resolver.cache.keep(*key, known);
            }
        }
        let mut builder = std::mem::take(&mut self.builder);
        let columns = builder.samples();
        if !left_out.is_empty() {
            columns.leave_out(&left_out);
        }
        if !columns.exemplars.is_sorted_by_key(|exemplar| exemplar.sample) {
            columns.exemplars.sort_by_key(|exemplar| exemplar.sample);
        }
        if let Some(first) = columns.times.first().copied()
            && columns.times.iter().all(|time| *time == first)
        {
            columns.time = first;
            columns.times.clear();
        }
        let mut batch = builder.build(resource, list);
        self.deselect_refused(&mut batch, &left_out);
        let taken = self.points.iter().filter(|point| point.counts && !point.refused).count() as u64;
        let batch = Some(batch).filter(|batch| batch.selection.count() > 0);
        Decoded { batch, points: taken, refused: std::mem::take(&mut self.refused) }
    }

    /// Takes what is left of refused points out of the batch, in which the samples of `left_out` have no place.
    fn deselect_refused(&self, batch: &mut MetricBatch, left_out: &[usize]) {
        let mut left = left_out.iter().copied().peekable();
        let mut gone = 0;
        for point in self.points.iter().filter(|point| point.refused) {
            let (first, end) = (point.first as usize, (point.first + point.len) as usize);
            while left.next_if(|out| *out < first).is_some() {
                gone += 1;
            }
            for sample in first..end {
                match left.next_if_eq(&sample) {
                    Some(_) => gone += 1,
                    None => batch.selection.remove(sample - gone),
                }
            }
        }
    }

    /// A point of which the table has not every series is refused.
    fn refuse_series(&mut self, left_out: &[usize]) {
        let mut left = left_out.iter().peekable();
        for point in &mut self.points {
            let mut out = false;
            while left.next_if(|out| **out < (point.first + point.len) as usize).is_some() {
                out = true;
            }
            if out && !point.refused {
                point.refused = true;
                let metric = point.metric.start as usize..point.metric.end as usize;
                self.refused.add(Reason::SeriesFull, u64::from(point.counts), &self.names[metric]);
            }
        }
    }
}

/// A start that nobody knows.
const UNKNOWN: UnixMillis = UnixMillis(i64::MIN);
