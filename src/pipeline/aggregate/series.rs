//! Series as they are counted: in shards by the hash of their keys, so that two workers meet only where they count for
//! the same shard at the same moment. A series that is known costs no allocation.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::key::metric_of;
use super::native::Native;
use super::options::WhenFull;
use crate::data::metrics::Family;
use crate::data::{UnixMillis, UnixNanos};

/// A metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name, with `_total` where it is a counter.
    pub name: Box<str>,
    /// What it is.
    pub kind: Kind,
    /// How it is described.
    pub family: Family,
    /// Names of its labels, in the order of their values in keys.
    pub labels: Vec<Box<str>>,
}

/// What a metric is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Goes up.
    Counter,
    /// Is what the latest record says.
    Gauge,
    /// Counts observations; the upper bounds of its buckets.
    Histogram(Arc<[f64]>),
    /// Counts observations in a native histogram of so many buckets at most.
    Native(usize),
}

impl Kind {
    /// How many series a series of the metric counts for.
    fn weight(&self) -> usize {
        if let Self::Histogram(bounds) = self { bounds.len() + 3 } else { 1 }
    }

    /// Nothing counted yet.
    fn zero(&self) -> Value {
        match self {
            Self::Counter => Value::Counter(0.0),
            Self::Gauge => Value::Gauge(0.0, UnixNanos::NONE),
            Self::Histogram(bounds) => Value::Histogram(vec![0.0; bounds.len() + 1].into(), 0.0),
            Self::Native(most) => Value::Native(Box::new(Native::new(*most))),
        }
    }
}

/// How much may be counted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most series.
    pub series: usize,
    /// What becomes of a record that would make one more.
    pub when_full: WhenFull,
    /// Most exemplars of a series between two emissions.
    pub exemplars: usize,
}

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// What is added, set or observed.
    pub value: f64,
    /// How many records it stands for: more than one where it is one of a sample.
    pub count: f64,
    /// The time of the record, by which the latest of several is known.
    pub time: UnixNanos,
    /// Trace and span that it was observed in; the span's id may be zeros.
    pub span: Option<([u8; 16], [u8; 8])>,
    /// The record as text, where an example shows it; empty for none.
    pub line: &'a [u8],
}

/// An observation that is shown as an example.
#[derive(Clone, Debug)]
pub struct Example {
    /// Trace and span that it was observed in; the span's id may be zeros.
    pub span: Option<([u8; 16], [u8; 8])>,
    /// The beginning of the record, one byte more than is shown of it.
    pub line: Vec<u8>,
    /// What was observed.
    pub value: f64,
    /// When it was counted.
    pub time: UnixMillis,
}

/// When records are counted.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    at: Instant,
    wall: UnixMillis,
}

impl Touch {
    /// Now; taken once a batch.
    pub fn now() -> Self {
        Self { at: Instant::now(), wall: UnixMillis::now() }
    }
}

/// Bytes of a line at which it is cut.
pub(super) const LONGEST_LINE: usize = 256;

/// Parts that lock apart.
const SHARDS: usize = 16;

/// All series.
pub struct Counters {
    pub(super) shards: Vec<Mutex<Shard>>,
    kinds: Vec<Kind>,
    limits: Limits,
    series: AtomicUsize,
    /// How often, since the last look, a metric refused a record because the limit is reached.
    pub(super) over_limit: AtomicUsize,
    /// How often a metric counted a record for the overflow.
    pub(super) overflowed: AtomicUsize,
    bad_values: AtomicUsize,
    refused_records: AtomicUsize,
}

/// Series whose hashes are alike.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub series: Vec<Series>,
    index: HashTable<usize>,
    /// Changes with the set of series.
    pub version: u64,
}

/// One series, or the series of one histogram.
#[derive(Debug)]
pub(super) struct Series {
    /// Its metric and labels; for the overflow only the metric.
    pub key: Box<[u8]>,
    pub is_overflow: bool,
    pub value: Value,
    pub created: UnixMillis,
    touched: Instant,
    /// Whether the zero that it began with was emitted.
    pub is_known: bool,
    /// Those since the last emission.
    examples: Vec<Example>,
    /// Which example is the oldest, once there are as many as may be.
    oldest: usize,
}

/// What was counted.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Counter(f64),
    Gauge(f64, UnixNanos),
    /// Counts of buckets, the last being +Inf's, each without those before it; and the sum.
    Histogram(Box<[f64]>, f64),
    Native(Box<Native>),
}

impl Counters {
    pub(super) fn new(metrics: &[Metric], limits: Limits) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            kinds: metrics.iter().map(|metric| metric.kind.clone()).collect(),
            limits,
            series: AtomicUsize::new(0),
            over_limit: AtomicUsize::new(0),
            overflowed: AtomicUsize::new(0),
            bad_values: AtomicUsize::new(0),
            refused_records: AtomicUsize::new(0),
        }
    }

    /// Most series.
    pub fn limit(&self) -> usize {
        self.limits.series
    }

    /// Counts for the series of a key. False where there is no room.
    pub fn add(&self, key: &[u8], observed: &Observation<'_>, now: Touch) -> bool {
        let kind = &self.kinds[metric_of(key)];
        let most = self.limits.exemplars;
        let hash = xxh3_64(key);
        {
            let mut shard = self.shard(hash);
            if let Some(series) = shard.find(hash, key, false) {
                series.add(kind, observed, most, now);
                return true;
            }
            let weight = kind.weight();
            let room = self.series.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |series| {
                Some(series + weight).filter(|series| *series <= self.limits.series)
            });
            if room.is_ok() {
                shard.insert(hash, key, false, kind, now).add(kind, observed, most, now);
                return true;
            }
        }
        if self.limits.when_full == WhenFull::Refuse {
            self.over_limit.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        let key = &key[..2];
        let hash = !xxh3_64(key);
        let mut shard = self.shard(hash);
        match shard.find(hash, key, true) {
            Some(series) => series.add(kind, observed, most, now),
            None => shard.insert(hash, key, true, kind, now).add(kind, observed, most, now),
        }
        true
    }

    /// Notes that a metric refused a record whose value is no number, or lowers a counter.
    pub fn bad_value(&self) {
        self.bad_values.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes records that a metric refused, be it one or several.
    pub fn refused(&self, records: usize) {
        self.refused_records.fetch_add(records, Ordering::Relaxed);
    }

    /// How many values were bad and how many records refused, since the last look.
    pub(super) fn take_refusals(&self) -> (usize, usize) {
        (self.bad_values.swap(0, Ordering::Relaxed), self.refused_records.swap(0, Ordering::Relaxed))
    }

    /// Forgets the series of a shard for which `expired` says so.
    pub(super) fn forget(&self, shard: &mut Shard, mut expired: impl FnMut(&Series) -> bool) {
        let before = shard.series.len();
        shard.series.retain(|series| {
            let gone = expired(series);
            if gone && !series.is_overflow {
                self.series.fetch_sub(self.kinds[metric_of(&series.key)].weight(), Ordering::Relaxed);
            }
            !gone
        });
        if shard.series.len() < before {
            shard.reindex();
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.shards[hash as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn find(&mut self, hash: u64, key: &[u8], is_overflow: bool) -> Option<&mut Series> {
        let Self { series, index, .. } = self;
        let found = index.find(hash, |&at| *series[at].key == *key && series[at].is_overflow == is_overflow)?;
        Some(&mut series[*found])
    }

    fn insert(&mut self, hash: u64, key: &[u8], is_overflow: bool, kind: &Kind, now: Touch) -> &mut Series {
        let at = self.series.len();
        self.series.push(Series {
            key: key.into(),
            is_overflow,
            value: kind.zero(),
            created: now.wall,
            touched: now.at,
            is_known: false,
            examples: Vec::new(),
            oldest: 0,
        });
        let Self { series, index, .. } = self;
        index.insert_unique(hash, at, |&at| series[at].hash());
        self.version += 1;
        &mut self.series[at]
    }

    fn reindex(&mut self) {
        let Self { series, index, version } = self;
        index.clear();
        for at in 0..series.len() {
            index.insert_unique(series[at].hash(), at, |&at| series[at].hash());
        }
        *version += 1;
    }
}

impl Series {
    fn hash(&self) -> u64 {
        let hash = xxh3_64(&self.key);
        if self.is_overflow { !hash } else { hash }
    }

    /// How long no record touched it.
    pub fn idle(&self) -> std::time::Duration {
        self.touched.elapsed()
    }

    fn add(&mut self, kind: &Kind, observed: &Observation<'_>, most_examples: usize, now: Touch) {
        self.touched = now.at;
        let Observation { value, count, time, span, line } = *observed;
        match (&mut self.value, kind) {
            (Value::Counter(sum), _) => *sum += value * count,
            // Batches of one log may be counted side by side: the record's own time says which is the latest.
            (Value::Gauge(last, when), _) => {
                if time >= *when {
                    (*last, *when) = (value, time);
                }
            }
            (Value::Histogram(counts, sum), Kind::Histogram(bounds)) => {
                counts[bounds.partition_point(|bound| *bound < value)] += count;
                *sum += value * count;
            }
            (Value::Histogram(..), _) => {}
            (Value::Native(native), _) => native.add(value, count),
        }
        if most_examples > 0 && (span.is_some() || !line.is_empty()) {
            let slot = self.slot(most_examples);
            (slot.span, slot.value, slot.time) = (span, value, now.wall);
            slot.line.clear();
            slot.line.extend_from_slice(&line[..line.len().min(LONGEST_LINE + 1)]);
        }
    }

    /// The examples since the last emission, in the order in which they came; none are left.
    pub fn take_examples(&mut self) -> std::vec::Drain<'_, Example> {
        let oldest = std::mem::take(&mut self.oldest);
        self.examples.rotate_left(oldest);
        self.examples.drain(..)
    }

    /// Where the next example goes: into the place of the oldest, with the memory of its line, where there are as many as
    /// may be.
    fn slot(&mut self, most: usize) -> &mut Example {
        let at = self.examples.len();
        if at < most {
            // All the room that will ever be needed, and no more.
            self.examples.reserve_exact(most - at);
            self.examples.push(Example { span: None, line: Vec::new(), value: 0.0, time: UnixMillis::default() });
            return &mut self.examples[at];
        }
        let oldest = self.oldest;
        self.oldest = (oldest + 1) % most;
        &mut self.examples[oldest]
    }
}
